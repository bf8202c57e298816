//! Says of the links at the end of a run what was seen in its last round, and no more.

use std::collections::BTreeSet;

use crate::decide::matrix::link_text;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::Plan;

/// Says in words how many links are up of those that count for the run, and names each that is not.
///
/// `last` is the last round, if one was looked at; `counts` leaves out links that begin or end at a host that is lost
/// to the run.
#[must_use]
pub(super) fn links_in_words(plan: &Plan, last: Option<&Round>, counts: impl Fn(LinkId) -> bool) -> String {
    let of = |required: bool| -> Vec<LinkId> {
        let is_meant = |id: &LinkId| plan.links[*id].left_out.is_none() && plan.links[*id].required == required;
        (0..plan.links.len()).filter(is_meant).filter(|id| counts(*id)).collect()
    };
    let (required, others) = (of(true), of(false));
    if required.is_empty() && others.is_empty() {
        return "there is no link that could be looked at".to_owned();
    }
    let Some(round) = last else { return "its links were not looked at again".to_owned() };
    let up = |ids: &[LinkId]| ids.iter().filter(|id| round.answer(**id).is_up()).count();
    let named = |ids: BTreeSet<LinkId>| {
        let texts: Vec<String> = ids.into_iter().map(|id| link_text(&plan.links[id])).collect();
        texts.join(", ")
    };
    let mut parts = Vec::new();
    match (required.len(), up(&required)) {
        (0, _) => parts.push("no link is required".to_owned()),
        (1, 1) => parts.push("the one required link is up".to_owned()),
        (of, up) if of == up => parts.push(format!("all {of} required links are up")),
        (of, up) => parts.push(format!("{up} of {of} required links are up")),
    }
    let down =
        |ids: &[LinkId]| -> BTreeSet<LinkId> { ids.iter().copied().filter(|id| !round.answer(*id).is_up()).collect() };
    let (accepted, unexpected): (BTreeSet<_>, BTreeSet<_>) =
        down(&required).into_iter().partition(|id| plan.accepted.contains(id));
    for (front, ids) in
        [("accepted as down", accepted), ("down", unexpected), ("down, and not required", down(&others))]
    {
        if !ids.is_empty() {
            parts.push(format!("{front}: {}", named(ids)));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::transaction::tests::plan;
    use crate::facts::links::LinkAnswer;

    fn round(up: impl IntoIterator<Item = LinkId>) -> Round {
        let answers = up.into_iter().map(|link| (link, LinkAnswer::Up { round_trip_us: None })).collect();
        Round { answers, hosts: BTreeMap::new() }
    }

    /// Two hosts, two links.
    fn two() -> Plan {
        Arc::unwrap_or_clone(plan(2, 2))
    }

    #[test]
    fn nothing_is_said_of_links_that_was_not_seen() {
        let words = |plan: &Plan, last: Option<&Round>| links_in_words(plan, last, |_| true);
        let mut plan = two();
        assert_eq!(words(&plan, Some(&round([0, 1]))), "all 2 required links are up");
        assert_eq!(words(&plan, None), "its links were not looked at again");
        assert_eq!(words(&plan, Some(&round([1]))), "1 of 2 required links are up; down: host0 -> host1 (ping)");
        plan.accepted.insert(0);
        assert_eq!(
            words(&plan, Some(&round([1]))),
            "1 of 2 required links are up; accepted as down: host0 -> host1 (ping)"
        );
        assert_eq!(words(&plan, Some(&round([0, 1]))), "all 2 required links are up");
        plan.links[0].required = false;
        assert_eq!(
            words(&plan, Some(&round([1]))),
            "the one required link is up; down, and not required: host0 -> host1 (ping)"
        );
        assert_eq!(words(&plan, Some(&round([0, 1]))), "the one required link is up");
        plan.links[1].required = false;
        assert_eq!(words(&plan, Some(&round([0, 1]))), "no link is required");
        plan.links.clear();
        assert_eq!(words(&plan, Some(&round([]))), "there is no link that could be looked at");
    }

    #[test]
    fn what_does_not_count_is_not_spoken_of() {
        let mut plan = two();
        let all = round([0, 1]);
        assert_eq!(links_in_words(&plan, Some(&all), |link| link == 1), "the one required link is up");
        plan.links[0].left_out = plan.links[0].to_host.clone();
        assert_eq!(links_in_words(&plan, Some(&round([1])), |_| true), "the one required link is up");
    }
}
