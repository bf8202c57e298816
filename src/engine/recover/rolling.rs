//! The end of a rolling reboot that died: its hosts are asked, named and let go. Nothing else is done to them.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::{Recovered, Recovery, Surveyed};
use crate::decide::rolling::ended::{Begun, FoundRolling, found};
use crate::engine::ssh_hosts::ask_all;
use crate::engine::surveyor::Surveyor;
use crate::event::Event;
use crate::inventory::model::{Host, HostName};

/// A rolling reboot, as a recovery has found and left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollingEnded {
    pub run: String,
    pub hosts: BTreeMap<HostName, FoundRolling>,
}

impl<S: Surveyor> Recovery<'_, S> {
    /// The rolling reboot that is to be ended: the one that was named, or that this workstation knows of, or that holds
    /// the hosts. An unfinished push that this workstation knows of waits for it.
    pub(super) fn rolling(&self, surveyed: &Surveyed) -> Option<Result<(String, Option<Begun>), Recovered>> {
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
            return Some(Ok((known.run.clone(), Some(begun.clone()))));
        }
        if let Some(named) = &self.request.run
            && held.contains_key(named.as_str())
        {
            return Some(Ok((named.clone(), None)));
        }
        let (run, hosts) = held.into_iter().max_by_key(|(_, hosts)| hosts.len())?;
        if self.request.run.is_none() && known.is_none() {
            return Some(Ok((run.to_owned(), None)));
        }
        let hosts: Vec<&str> = hosts.into_iter().map(HostName::as_str).collect();
        Some(Err(Recovered::NotBegun {
            text: format!("rolling reboot {run} holds {}", hosts.join(", ")),
            hint: Some(format!(
                "wait for it to end; if whoever began it is gone, `fleetdeploy recover {} --run {run}` ends it: after \
                 that, try again",
                self.request.fleet.name
            )),
        }))
    }

    pub(super) async fn end_rolling(&self, run: String, begun: Option<&Begun>, surveyed: &Surveyed) -> RollingEnded {
        let fleet = &self.request.fleet.hosts;
        let standing = |host: &Host| surveyed.get(&host.name).map(|one| one.facts.standing.clone());
        let answers = fleet.iter().map(|host| (host.name.clone(), standing(host))).collect();
        let hosts = found(&run, begun, &answers);
        for (host, found) in &hosts {
            self.events.publish(Event::HostFound { host: host.clone(), text: found.to_string() });
        }
        let there = fleet.iter().filter(|host| surveyed.contains_key(&host.name));
        let questions = there.map(|host| (host.name.clone(), self.surveyor.let_go(host, &run).boxed()));
        for (host, answer) in ask_all(questions).await {
            if let Err(why) = answer {
                let text = format!("may still be held for rolling reboot {run}, until that is over by itself: {why}");
                self.events.publish(Event::Warned { host: Some(host), text });
            }
        }
        RollingEnded { run, hosts }
    }
}
