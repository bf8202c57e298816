//! Finds the run that is to be recovered: what the hosts hold, which of their runs is meant, and which hosts are waited
//! for.
//!
//! It changes nothing on any host, but for what a trial needs or has left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::reboot::RollingClaim;
use super::{Chosen, LOOK_PAUSE, RecordedRun, Recovered, RecoveryRecords, RecoveryRun, SurveyedHosts, claims};
use crate::decide::time::Times;
use crate::decide::transaction::recover::Aim;
use crate::engine::surveyor::Surveyor;
use crate::event::Event;
use crate::event::reason::recover::RecoverReason;
use crate::inventory::model::{Host, HostName};

impl<S: Surveyor> RecoveryRun<'_, S> {
    /// Finds out which run it is, how the hosts stand, and which hosts a person has just said that it is to end
    /// without. It changes nothing of a push.
    pub(super) async fn find(
        &self,
        records: &mut impl RecoveryRecords,
    ) -> Result<(Chosen, SurveyedHosts, BTreeSet<HostName>), Recovered> {
        let mut surveyed = SurveyedHosts::new();
        let all: BTreeSet<HostName> = self.request.fleet.hosts.iter().map(|host| host.name.clone()).collect();
        // A host that the run is to end without is not asked: it takes no part, even if it would answer.
        let left_out: BTreeSet<HostName> = match self.request.aim {
            Aim::Without | Aim::Returned => self.request.without.clone(),
            Aim::Recover | Aim::Forget { .. } => BTreeSet::new(),
        };
        let asked: BTreeSet<HostName> = all.difference(&left_out).cloned().collect();
        let mut silent = self.survey(&asked, &mut surveyed, true).await;
        silent.extend(left_out);
        let cleaned = self.clean_what_is_at_rest(&surveyed).await;
        if let Some(ended) = self.end_trial(&mut surveyed, &silent).await {
            return Err(Recovered::Rolling(ended));
        }
        let mut rolling = self.rolling(&surveyed);
        if let RollingClaim::SaidByOne { run, host } = rolling {
            rolling = self.look_at_rolling_again(run, host, &mut surveyed).await;
            silent = all.iter().filter(|host| !surveyed.contains_key(*host)).cloned().collect();
        }
        match rolling {
            RollingClaim::None | RollingClaim::SaidByOne { .. } => {}
            RollingClaim::Ends { run, begun } => {
                return Err(Recovered::Rolling(
                    self.end_rolling(run, begun.as_ref(), &surveyed, BTreeMap::new(), BTreeSet::new()).await,
                ));
            }
            RollingClaim::Holds { run, hosts } => return Err(self.held_by(&run, &hosts)),
        }
        self.let_go_what_is_over(&surveyed).await;
        let Some(mut chosen) = self.choose(&surveyed)? else {
            if let (Some(RecordedRun { run, plan: Some(_), .. }), false) = (&self.request.known, silent.is_empty()) {
                // The run's hosts may be exactly those that do not answer.
                return Ok((self.chosen(run, &surveyed), surveyed, BTreeSet::new()));
            }
            let silent = self.tell_of_marks(silent, &surveyed);
            return Err(match (cleaned, self.nothing(silent, records)) {
                // That was all that there was to be done.
                (Some(cleaned), Recovered::Nothing { silent }) if silent.is_empty() => Recovered::Rolling(cleaned),
                (_, nothing) => nothing,
            });
        };
        let named = Self::named_by_marks(&chosen, &surveyed);
        let missing = || {
            let missing = chosen.hosts.intersection(&silent);
            missing.filter(|host| !self.request.without.contains(host) && !named.contains(*host)).cloned().collect()
        };
        let unexpected: BTreeSet<HostName> = missing();
        if self.request.aim == Aim::Without && !unexpected.is_empty() {
            let all = self.request.without.iter().chain(&unexpected).cloned().collect();
            return Err(Recovered::NotBegun(RecoverReason::SilentHostsNotNamed {
                hosts: unexpected.into_iter().collect(),
                all,
                fleet: self.request.fleet.name.clone(),
            }));
        }
        let would_wait = self.request.aim == Aim::Recover && !unexpected.is_empty();
        if would_wait
            // What cannot be planned is refused as soon as it is to be taken over.
            && let Ok((plan, times, ..)) = self.plan(&chosen, &surveyed)
            && let until = self.until_no_guard_is_armed_on(&unexpected, &chosen, &plan, &times, &surveyed)
            && let wait = until.map_or(Duration::ZERO, |until| until.saturating_sub(self.clock.now()))
            && records.goes_on_without(&unexpected, wait).await
        {
            return Ok((chosen, surveyed, unexpected));
        }
        if chosen.is_alone() && self.request.aim == Aim::Recover && !unexpected.is_empty() {
            self.wait_for(unexpected, &chosen, &mut surveyed).await;
            if !surveyed.values().any(|one| one.holds(&chosen.run)) {
                // Another coordinator has ended it meanwhile.
                let silent = all.into_iter().filter(|host| !surveyed.contains_key(host)).collect();
                return Err(self.nothing(silent, records));
            }
            chosen.waited = true;
        }
        Ok((chosen, surveyed, BTreeSet::new()))
    }

    fn nothing(&self, silent: BTreeSet<HostName>, records: &mut impl RecoveryRecords) -> Recovered {
        if self.request.known.is_some() && silent.is_empty() {
            records.ended_elsewhere();
        }
        Recovered::Nothing { silent: silent.into_iter().collect() }
    }

    /// Waits for silent hosts until the latest known guard must have brought them back. Without a record only the host
    /// itself knows what it ran before the run.
    async fn wait_for(&self, mut silent: BTreeSet<HostName>, chosen: &Chosen, surveyed: &mut SurveyedHosts) {
        let run = &chosen.run;
        let now = self.clock.now();
        let all_times: Vec<Times> = self.request.fleet.hosts.iter().map(|host| self.times(host)).collect();
        let longest = claims::longest_guard(run, &all_times, surveyed.values());
        let until = self.request.fleet.hosts.iter().filter_map(|host| {
            let one = surveyed.get(&host.name)?;
            let times = self.times(host);
            match claims::left(run, one) {
                Some(left) => Some(times.awaited_until(one.clock.at + left.min(longest))),
                // It holds the run and shows no guard any more. The silent hosts were armed together with it, so their
                // guards are over by now too.
                _ if one.holds(run) => Some(times.awaited_until(now)),
                _ => None,
            }
        });
        let mut until = until.max().unwrap_or(now);
        let recorded = chosen.known.as_ref().and_then(|known| known.guards.as_ref());
        if let Some(guards) = recorded
            && surveyed.values().all(|one| claims::left(run, one).is_none())
        {
            // An earlier recovery here has written down when they were armed at the latest.
            let over = |host: &Host| {
                let guard = guards.get(&host.name)?;
                Some(now + self.times(host).awaited_until(guard.holds).saturating_sub(guard.ago))
            };
            until = until.min(self.request.fleet.hosts.iter().filter_map(over).max().unwrap_or(until));
        }
        if until > now {
            let (run, hosts) = (run.clone(), silent.iter().cloned().collect());
            let waits = RecoverReason::WaitsForGuards { run, hosts, wait: until.saturating_sub(now) };
            self.events.publish(Event::warned(None, waits));
        }
        // The wait is on the clock that goes on in a suspend: guards do not stand still while this machine sleeps.
        while !silent.is_empty() && self.clock.now() < until {
            self.clock.sleep_until(self.clock.now() + LOOK_PAUSE).await;
            silent = self.survey(&silent, surveyed, false).await;
        }
        // The answers of the other hosts are from before the wait, and old by now.
        let others = surveyed.keys().cloned().collect();
        self.survey(&others, surveyed, false).await;
    }

    /// Chooses the run: the one that was named, or that this workstation knows of, or that most hosts hold something
    /// of.
    pub(super) fn choose(&self, surveyed: &SurveyedHosts) -> Result<Option<Chosen>, Recovered> {
        let mut runs = claims::runs(surveyed);
        for (run, hosts) in claims::to_be_judged(surveyed) {
            runs.entry(run).or_default().extend(hosts);
        }
        // A mark claims nothing, so its run is meant only if the person names it.
        if let Some(run) = &self.request.run {
            let marked = surveyed.iter().filter(|(_, one)| one.mark(run).is_some()).map(|(host, _)| host.clone());
            let marked: Vec<HostName> = marked.collect();
            if !marked.is_empty() {
                runs.entry(run.clone()).or_default().extend(marked);
            }
            let over = surveyed.iter().filter(|(_, one)| one.holds(run)).map(|(host, _)| host.clone());
            let over: Vec<HostName> = over.collect();
            if !over.is_empty() {
                runs.entry(run.clone()).or_default().extend(over);
            }
        }
        if let Some(named) = &self.request.run
            && !runs.contains_key(named)
            && self.request.known.as_ref().is_none_or(|known| known.run != *named)
        {
            let hosts = self.request.fleet.hosts.iter().map(|host| &host.name);
            let silent = hosts.filter(|host| !surveyed.contains_key(*host)).cloned().collect();
            return Err(Recovered::NotBegun(RecoverReason::NothingOfRun { run: named.clone(), silent }));
        }
        let known = self.request.known.as_ref().map(|known| known.run.clone());
        let known = known.filter(|run| runs.contains_key(run));
        let Some(run) = self.request.run.clone().or(known).or_else(|| claims::most_claimed(&runs)) else {
            return Ok(None);
        };
        for (other, hosts) in runs.iter().filter(|(other, _)| **other != run) {
            let (run, hosts) = (other.clone(), hosts.iter().cloned().collect());
            let another = RecoverReason::AnotherRunUnfinished { run, hosts, fleet: self.request.fleet.name.clone() };
            self.events.publish(Event::warned(None, another));
        }
        let chosen = self.chosen(&run, surveyed);
        let strangers =
            claims::strangers(&run, &chosen.hosts, &self.request.fleet, surveyed, self.request.run.is_some());
        if strangers.is_empty() {
            return Ok(Some(chosen));
        }
        let fleet = self.request.fleet.name.clone();
        Err(Recovered::NotBegun(RecoverReason::HostsNotInFleet { run, hosts: strangers, fleet }))
    }

    pub(super) fn chosen(&self, run: &str, surveyed: &SurveyedHosts) -> Chosen {
        let known = self.request.known.iter().chain(&self.request.ended).find(|known| known.run == run).cloned();
        let mut hosts = BTreeSet::new();
        if let Some(plan) = known.as_ref().and_then(|known| known.plan.as_ref()) {
            hosts.extend(plan.changing().map(|host| plan.host(host).name.clone()));
        }
        let is_recorded = !hosts.is_empty();
        for (host, one) in surveyed.iter().filter(|(_, one)| one.holds(run) || one.mark(run).is_some()) {
            // A true name that is left out would let the others be decided without that host; a false name only costs a
            // wait. No host changes what the record tells.
            if !is_recorded {
                hosts.extend(claims::names(run, one));
            }
            hosts.insert(host.clone());
        }
        Chosen { run: run.to_owned(), known, hosts, waited: false }
    }

    /// Returns the hosts that were missing when the run was ended and still are: the recovery does not wait for them. A
    /// host counts as missing also if another machine has its name now.
    fn named_by_marks(chosen: &Chosen, surveyed: &SurveyedHosts) -> BTreeSet<HostName> {
        let marks = surveyed.values().filter_map(|one| one.mark(&chosen.run));
        let recorded = chosen.known.as_ref().and_then(|known| known.mark.as_ref());
        marks.chain(recorded).flat_map(|mark| mark.missing.keys().cloned()).collect()
    }

    /// Tells which marks on the hosts need nothing now. A host that is missing by a mark is not told as silent: that is
    /// known.
    pub(super) fn tell_of_marks(&self, mut silent: BTreeSet<HostName>, surveyed: &SurveyedHosts) -> BTreeSet<HostName> {
        let fleet = &self.request.fleet.name;
        let mut told = BTreeSet::new();
        for mark in surveyed.values().flat_map(|one| &one.facts.marks) {
            for host in mark.ended.mark.missing.keys() {
                silent.remove(host);
                if told.insert((mark.run.clone(), host.clone())) {
                    let (run, fleet) = (mark.run.clone(), fleet.clone());
                    let missing = if surveyed.contains_key(host) {
                        RecoverReason::ReplacedWhileMissing { run, fleet }
                    } else {
                        RecoverReason::StillMissing { run, fleet }
                    };
                    self.events.publish(Event::warned(Some(host), missing));
                }
            }
        }
        silent
    }
}
