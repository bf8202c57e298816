//! Tells of the matrix: how many links are up, which are waited for, and whole rounds.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::matrix::cells;
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::Effect;
use crate::event::reason::rollback::{DownLink, LinkEnds, LinksCause};
use crate::event::{Event, LinkCount, Phase};
use crate::facts::links::{Link, LinkAnswer, LinkId, Round};
use crate::inventory::model::{HostName, Place};

impl Transaction {
    pub(super) fn links_moved(&self, round: &Round) -> Event {
        let up = round.are_up(self.plan.links.len());
        let (mut all, mut hosts) = (LinkCount::default(), BTreeMap::<&HostName, LinkCount>::new());
        for (link, is_up) in self.plan.links.iter().zip(up).filter(|(link, _)| link.left_out.is_none()) {
            let of_host = match &link.from {
                Place::Host(from) => Some(hosts.entry(from).or_default()),
                Place::Workstation => None,
            };
            for count in of_host.into_iter().chain([&mut all]) {
                count.of += 1;
                count.up += u64::from(is_up);
            }
        }
        Event::LinksMoved {
            up: all.up,
            of: all.of,
            rounds: self.links().streak,
            waiting_for: self.waited_for(),
            cause: self.in_common(&self.links().broken),
            hosts: hosts.into_iter().map(|(host, count)| (host.clone(), count)).collect(),
        }
    }

    /// Returns the links and the units that verify waits for.
    fn waited_for(&self) -> Vec<String> {
        let links = self.down_links(&self.links().broken).into_iter().map(|link| link.to_string());
        links.chain(self.unsteady_units().map(|unit| unit.to_string())).collect()
    }

    pub(super) fn down_links(&self, links: &BTreeSet<LinkId>) -> Vec<DownLink> {
        links
            .iter()
            .map(|id| {
                let link = &self.plan.links[*id];
                let said = match self.told.last_round.as_ref().map(|round| round.answer(*id)) {
                    Some(LinkAnswer::Down { why }) => why.clone(),
                    _ => String::new(),
                };
                DownLink {
                    from: link.from.clone(),
                    to: link.to.clone(),
                    kind: link.probe.kind().to_owned(),
                    said,
                    was_down_before: self.plan.baseline.answers.get(id).is_some_and(|before| !before.is_up()),
                }
            })
            .collect()
    }

    /// Returns the hosts at which the links begin of which the last round could say nothing.
    pub(super) fn slow_hosts(&self) -> BTreeSet<HostName> {
        let begins = |link: &LinkId| match &self.plan.links[*link].from {
            Place::Host(name) => Some(name.clone()),
            Place::Workstation => None,
        };
        self.links().unproven.iter().filter_map(begins).collect()
    }

    /// Returns what these links have in common, if one sentence says it all: a person looks for the cause, and a list
    /// of links is none.
    pub(super) fn in_common(&self, down: &BTreeSet<LinkId>) -> Option<LinksCause> {
        // Two are named as fast as what they have in common.
        if down.len() < 3 {
            return None;
        }
        let checks: BTreeSet<&str> = down.iter().map(|id| self.plan.links[*id].check.as_str()).collect();
        // Of all links that count, and of those of the same checks; and of those that are down.
        let (mut all, mut of_checks, mut of_down) = (Tally::default(), Tally::default(), Tally::default());
        for (id, link) in self.plan.links.iter().enumerate() {
            if link.required && link.left_out.is_none() && !self.plan.accepted.contains(&id) {
                all.add(link);
                if checks.contains(link.check.as_str()) {
                    of_checks.add(link);
                }
                if down.contains(&id) {
                    of_down.add(link);
                }
            }
        }
        if of_down.links != down.len() {
            return None;
        }
        let named = |checks_count: bool, at: Option<&HostName>, ends: LinkEnds| LinksCause {
            checks: if checks_count { checks.iter().map(|check| (*check).to_owned()).collect() } else { Vec::new() },
            at: at.cloned(),
            ends,
            links: down.len(),
        };
        let whole = [(false, &all), (true, &of_checks)];
        if let Some((checks_count, _)) = whole.iter().find(|(_, meant)| meant.links == down.len()) {
            return Some(named(*checks_count, None, LinkEnds::Both));
        }
        whole.into_iter().find_map(|(checks_count, meant)| {
            [LinkEnds::Both, LinkEnds::To, LinkEnds::From].into_iter().find_map(|ends| {
                // All links there are down, and no other one is.
                let is_it = |host: &&HostName| [meant, &of_down].iter().all(|of| of.at(host, ends) == down.len());
                let host = self.plan.hosts.iter().map(|host| &host.name).find(is_it);
                host.map(|host| named(checks_count, Some(host), ends))
            })
        })
    }

    pub(super) fn tell_matrix(&self, phase: Phase, effects: &mut Vec<Effect>) {
        if let Some(round) = &self.told.last_round {
            effects.push(Effect::Tell(Event::MatrixSeen { phase, cells: cells(&self.plan, round, true) }));
        }
    }
}

/// How many links there are, and at each host: those that begin or end there, that lead there, and that begin there.
#[derive(Default)]
struct Tally<'a> {
    links: usize,
    hosts: BTreeMap<&'a HostName, [usize; 3]>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, link: &'a Link) {
        self.links += 1;
        let from = match &link.from {
            Place::Host(name) => Some(name),
            Place::Workstation => None,
        };
        let to = link.to_host.as_ref();
        for host in from.into_iter().chain(to.filter(|to| from != Some(to))) {
            let [both, leads, begins] = self.hosts.entry(host).or_default();
            *both += 1;
            *leads += usize::from(to == Some(host));
            *begins += usize::from(from == Some(host));
        }
    }

    fn at(&self, host: &HostName, ends: LinkEnds) -> usize {
        let [both, leads, begins] = self.hosts.get(host).copied().unwrap_or_default();
        match ends {
            LinkEnds::Both => both,
            LinkEnds::To => leads,
            LinkEnds::From => begins,
        }
    }
}
