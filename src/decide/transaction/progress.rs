//! Tells of the matrix: how many links are up, which are waited for, and whole rounds.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::matrix::cells;
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::Effect;
use crate::event::reason::rollback::{DownLink, LinkEnds, LinksCause};
use crate::event::{Event, LinkCount, Phase};
use crate::facts::links::{LinkAnswer, LinkId, Round};
use crate::inventory::model::{HostName, Place};

impl Transaction {
    pub(super) fn links_moved(&self, round: &Round) -> Event {
        let counted = || self.plan.links.iter().enumerate().filter(|(_, link)| link.left_out.is_none());
        Event::LinksMoved {
            up: counted().filter(|(id, _)| round.answer(*id).is_up()).count() as u64,
            of: counted().count() as u64,
            rounds: self.streak,
            waiting_for: self.waited_for(),
            cause: self.in_common(&self.last_broken),
            hosts: self.links_by_host(round),
        }
    }

    fn links_by_host(&self, round: &Round) -> BTreeMap<HostName, LinkCount> {
        let mut hosts: BTreeMap<HostName, LinkCount> = BTreeMap::new();
        for (id, link) in self.plan.links.iter().enumerate() {
            let (Place::Host(from), None) = (&link.from, &link.left_out) else { continue };
            let count = hosts.entry(from.clone()).or_default();
            count.of += 1;
            count.up += u64::from(round.answer(id).is_up());
        }
        hosts
    }

    /// Returns the links and the units that verify waits for.
    fn waited_for(&self) -> Vec<String> {
        let links = self.down_links(&self.last_broken).into_iter().map(|link| link.to_string());
        links.chain(self.unsteady_units().map(|unit| unit.to_string())).collect()
    }

    pub(super) fn down_links(&self, links: &BTreeSet<LinkId>) -> Vec<DownLink> {
        links
            .iter()
            .map(|id| {
                let link = &self.plan.links[*id];
                let said = match self.last_round.as_ref().map(|round| round.answer(*id)) {
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
        self.unproven.iter().filter_map(begins).collect()
    }

    /// Returns what these links have in common, if one sentence says it all: a person looks for the cause, and a list
    /// of links is none.
    pub(super) fn in_common(&self, down: &BTreeSet<LinkId>) -> Option<LinksCause> {
        let link = |id: &LinkId| &self.plan.links[*id];
        let counts = |id: &LinkId| link(id).required && link(id).left_out.is_none() && !self.plan.accepted.contains(id);
        let counted: Vec<LinkId> = (0..self.plan.links.len()).filter(counts).collect();
        let checks: BTreeSet<&str> = down.iter().map(|id| link(id).check.as_str()).collect();
        let of_checks = |id: &LinkId| checks.contains(link(id).check.as_str());
        let is_it = |meant: &dyn Fn(&LinkId) -> bool| {
            counted.iter().filter(|id| meant(id)).copied().collect::<BTreeSet<LinkId>>() == *down
        };
        let named = |checks_count: bool, at: Option<&HostName>, ends: LinkEnds| LinksCause {
            checks: if checks_count { checks.iter().map(|check| (*check).to_owned()).collect() } else { Vec::new() },
            at: at.cloned(),
            ends,
            links: down.len(),
        };
        // Two are named as fast as what they have in common.
        if down.len() < 3 {
            return None;
        }
        if is_it(&|_| true) {
            return Some(named(false, None, LinkEnds::Both));
        }
        if is_it(&of_checks) {
            return Some(named(true, None, LinkEnds::Both));
        }
        let hosts = || self.plan.hosts.iter().map(|host| &host.name);
        [false, true].into_iter().find_map(|checks_count| {
            [LinkEnds::Both, LinkEnds::To, LinkEnds::From].into_iter().find_map(|ends| {
                hosts().find_map(|host| {
                    let begins = |id: &LinkId| link(id).from == Place::Host(host.clone());
                    let leads = |id: &LinkId| link(id).to_host.as_ref() == Some(host);
                    let meant = |id: &LinkId| {
                        (!checks_count || of_checks(id))
                            && match ends {
                                LinkEnds::Both => begins(id) || leads(id),
                                LinkEnds::To => leads(id),
                                LinkEnds::From => begins(id),
                            }
                    };
                    is_it(&meant).then(|| named(checks_count, Some(host), ends))
                })
            })
        })
    }

    pub(super) fn tell_matrix(&self, phase: Phase, effects: &mut Vec<Effect>) {
        if let Some(round) = &self.last_round {
            effects.push(Effect::Tell(Event::MatrixSeen { phase, cells: cells(&self.plan, round, true) }));
        }
    }
}
