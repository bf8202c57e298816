//! The matrix, and one link of it, as events and sentences carry them.

use crate::event::Cell;
use crate::facts::links::{Link, LinkAnswer, Round};
use crate::facts::plan::Plan;
use crate::inventory::model::Place;

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
