//! Tells of the matrix: how many links are up, which are waited for, and whole rounds.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::matrix::cells;
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::Effect;
use crate::event::reason::rollback::DownLink;
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

    pub(super) fn tell_matrix(&self, phase: Phase, effects: &mut Vec<Effect>) {
        if let Some(round) = &self.last_round {
            effects.push(Effect::Tell(Event::MatrixSeen { phase, cells: cells(&self.plan, round, true) }));
        }
    }
}
