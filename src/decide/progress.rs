//! Tells of the matrix: how many links are up, which are waited for, and whole rounds.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::transaction::Transaction;
use crate::decide::vocabulary::Effect;
use crate::event::{Cell, Event, LinkCount, Phase};
use crate::facts::links::{Link, LinkAnswer, LinkId, Round};
use crate::facts::plan::Plan;
use crate::inventory::model::{HostName, Place};

impl Transaction {
    pub(super) fn links_moved(&self, round: &Round) -> Event {
        let counted = || self.plan.links.iter().enumerate().filter(|(_, link)| link.left_out.is_none());
        Event::LinksMoved {
            up: counted().filter(|(id, _)| round.answer(*id).is_up()).count() as u64,
            of: counted().count() as u64,
            rounds: self.streak,
            waiting_for: self.link_texts(&self.last_broken).into_iter().chain(self.unsteady_texts()).collect(),
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

    pub(super) fn link_texts(&self, links: &BTreeSet<LinkId>) -> Vec<String> {
        links
            .iter()
            .map(|id| {
                let link = &self.plan.links[*id];
                let from = match &link.from {
                    Place::Workstation => "workstation",
                    Place::Host(name) => name.as_str(),
                };
                let known_down = self.plan.baseline.answers.get(id).is_some_and(|before| !before.is_up());
                let before = if known_down { ", was down before" } else { "" };
                let why = match self.last_round.as_ref().map(|round| round.answer(*id)) {
                    Some(LinkAnswer::Down { why }) if !why.is_empty() => format!(", {why}"),
                    _ => String::new(),
                };
                format!("{from} -> {} ({}{why}{before})", link.to, link.probe.kind())
            })
            .collect()
    }

    pub(super) fn tell_matrix(&self, phase: Phase, effects: &mut Vec<Effect>) {
        if let Some(round) = &self.last_round {
            effects.push(Effect::Tell(Event::MatrixSeen { phase, cells: cells(&self.plan, round, true) }));
        }
    }
}

/// Writes `vps -> homeserver (ping)`.
#[must_use]
pub fn link_text(link: &Link) -> String {
    let from = match &link.from {
        Place::Workstation => "workstation",
        Place::Host(name) => name.as_str(),
    };
    format!("{from} -> {} ({})", link.to, link.probe.kind())
}

/// Returns the matrix for an event. `compare`: beside the baseline.
#[must_use]
pub fn cells(plan: &Plan, round: &Round, compare: bool) -> Vec<Cell> {
    plan.links
        .iter()
        .enumerate()
        .map(|(id, link)| Cell {
            check: link.check.clone(),
            from: link.from.clone(),
            to: link.to.clone(),
            kind: link.probe.kind().to_owned(),
            required: link.required,
            answer: round.answer(id).clone(),
            was_up: plan.baseline.answers.get(&id).filter(|_| compare).map(LinkAnswer::is_up),
            left_out: link.left_out.is_some(),
        })
        .collect()
}
