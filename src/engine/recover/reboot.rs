//! Ends a rolling reboot that died: asks its hosts, names them and lets them go. What a trial needs is done before, and
//! nothing else.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::{Recovered, RecoveryRun, SurveyedHosts};
use crate::decide::reboot::unfinished::{UnfinishedReboot, found};
use crate::engine::ask::ask_all;
use crate::engine::surveyor::{Surveyor, let_go_all};
use crate::event::Event;
use crate::event::reason::reboot::{FoundRolling, RollingReason};
use crate::event::reason::recover::RecoverReason;
use crate::inventory::model::{Host, HostName};

/// A rolling reboot, as a recovery has found and left it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RollingEnded {
    pub run: String,
    pub hosts: BTreeMap<HostName, FoundRolling>,
    /// The hosts from which what was left of a trial was cleaned away.
    pub cleaned: BTreeSet<HostName>,
}

/// A rolling reboot that is under way on the hosts beside the run that is recovered, by what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RollingClaim {
    None,
    /// The rolling reboot itself is to be ended.
    Ends {
        run: String,
        begun: Option<UnfinishedReboot>,
    },
    /// One host alone says that a rolling reboot holds it, and other hosts still hold a run.
    SaidByOne {
        run: String,
        host: HostName,
    },
    /// The unfinished run waits for the rolling reboot.
    Holds {
        run: String,
        hosts: BTreeSet<HostName>,
    },
}

impl<S: Surveyor> RecoveryRun<'_, S> {
    /// Chooses the rolling reboot that is to be ended: the one that was named, or that this workstation knows of, or
    /// that holds the hosts. An unfinished push that this workstation knows of waits for it.
    ///
    /// A rolling reboot holds every host that answers, or none, and its lease survives their reboots. So a lease that
    /// one host alone shows is no reason to leave all others as they are. That host itself is left alone.
    pub(super) fn rolling(&self, surveyed: &SurveyedHosts) -> RollingClaim {
        let mut held: BTreeMap<&str, BTreeSet<&HostName>> = BTreeMap::new();
        for (host, one) in surveyed {
            if let Some(lease) = &one.facts.standing.rolling {
                held.entry(&lease.run).or_default().insert(host);
            }
        }
        let known = self.request.known.as_ref();
        if let Some(known) = known.filter(|known| self.request.run.as_ref().is_none_or(|named| *named == known.run))
            && let Some(begun) = &known.rolling
        {
            return RollingClaim::Ends { run: known.run.clone(), begun: Some(begun.clone()) };
        }
        if let Some(named) = &self.request.run
            && held.contains_key(named.as_str())
        {
            return RollingClaim::Ends { run: named.clone(), begun: None };
        }
        let Some((run, hosts)) = held.iter().max_by_key(|(_, hosts)| hosts.len()) else { return RollingClaim::None };
        let run = (*run).to_owned();
        let is_held_by_others = || surveyed.iter().any(|(host, one)| !hosts.contains(host) && !one.runs().is_empty());
        let is_unfinished = self.request.run.is_some() || known.is_some() || is_held_by_others();
        match hosts.first() {
            Some(host) if held.len() == 1 && hosts.len() == 1 && surveyed.len() > 1 && is_unfinished => {
                RollingClaim::SaidByOne { run, host: (*host).clone() }
            }
            _ if self.request.run.is_none() && known.is_none() => RollingClaim::Ends { run, begun: None },
            _ => RollingClaim::Holds { run, hosts: hosts.iter().map(|host| (*host).clone()).collect() },
        }
    }

    /// Looks once more if one host alone says that it is held: a rolling reboot that was just beginning there has come
    /// to the others by now, or has let go. If it is still the only one, the recovery tells that it leaves this host as
    /// it is.
    pub(super) async fn look_at_rolling_again(
        &self,
        run: String,
        host: HostName,
        surveyed: &mut SurveyedHosts,
    ) -> RollingClaim {
        let asked = surveyed.keys().cloned().collect();
        let pause = self.request.fleet.hosts.iter().map(|host| host.limits.connect + host.limits.step).max();
        self.clock.sleep_until(self.clock.now() + pause.unwrap_or_default()).await;
        let silent = self.survey(&asked, surveyed, false).await;
        surveyed.retain(|host, _| !silent.contains(host));
        match self.rolling(surveyed) {
            RollingClaim::SaidByOne { run: still, host: one } if still == run && one == host => {
                let fleet = self.request.fleet.name.clone();
                let said = RecoverReason::RollingSaidByOne { run: run.clone(), fleet };
                self.events.publish(Event::warned(Some(&host), said));
                RollingClaim::SaidByOne { run, host }
            }
            RollingClaim::SaidByOne { run, host } => RollingClaim::Holds { run, hosts: [host].into() },
            other => other,
        }
    }

    /// Leases that are over would count again after the next boot of their hosts.
    pub(super) async fn let_go_what_is_over(&self, surveyed: &SurveyedHosts) {
        let hosts = self.request.fleet.hosts.iter();
        let over = hosts.filter_map(|host| Some((host, surveyed.get(&host.name)?.facts.rolling_over.as_deref()?)));
        let_go_all(self.surveyor, over.collect()).await;
    }

    pub(super) fn held_by(&self, run: &str, hosts: &BTreeSet<HostName>) -> Recovered {
        Recovered::NotBegun(RecoverReason::HeldByRolling {
            run: run.to_owned(),
            hosts: hosts.iter().cloned().collect(),
            fleet: self.request.fleet.name.clone(),
        })
    }

    pub(super) async fn end_rolling(
        &self,
        run: String,
        begun: Option<&UnfinishedReboot>,
        surveyed: &SurveyedHosts,
        trials: BTreeMap<HostName, FoundRolling>,
        cleaned: BTreeSet<HostName>,
    ) -> RollingEnded {
        let fleet = &self.request.fleet.hosts;
        let standing = |host: &Host| surveyed.get(&host.name).map(|one| one.facts.standing.clone());
        let answers = fleet.iter().map(|host| (host.name.clone(), standing(host))).collect();
        let mut hosts = found(&run, begun, &answers);
        // Of a host that was tried more is known than that it has rebooted.
        hosts.extend(trials);
        for (host, found) in &hosts {
            self.events.publish(Event::HostFound { host: host.clone(), text: found.clone().into() });
        }
        let there = fleet.iter().filter(|host| surveyed.contains_key(&host.name));
        let questions = there.map(|host| (host.name.clone(), self.surveyor.let_go(host, &run).boxed()));
        for (host, answer) in ask_all(questions).await {
            if let Err(cause) = answer {
                let held = RollingReason::MayStillBeHeldFor { run: run.clone(), cause: cause.into() };
                self.events.publish(Event::warned(Some(&host), held));
            }
        }
        RollingEnded { run, hosts, cleaned }
    }
}
