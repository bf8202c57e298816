//! Says of the links at the end of a run what was seen in its last round, and no more.

use std::collections::BTreeSet;

use crate::decide::matrix::link_text;
use crate::event::reason::run_end::LinksAtEnd;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::Plan;

/// Says how many links are up of those that count for the run, and names each that is not.
///
/// `last` is the last round, if one was looked at; `counts` leaves out links that begin or end at a host that is lost
/// to the run.
#[must_use]
pub(super) fn links_at_end(plan: &Plan, last: Option<&Round>, counts: impl Fn(LinkId) -> bool) -> LinksAtEnd {
    let of = |required: bool| -> Vec<LinkId> {
        let is_meant = |id: &LinkId| plan.links[*id].left_out.is_none() && plan.links[*id].required == required;
        (0..plan.links.len()).filter(is_meant).filter(|id| counts(*id)).collect()
    };
    let (required, others) = (of(true), of(false));
    if required.is_empty() && others.is_empty() {
        return LinksAtEnd::NoLinkToSee;
    }
    let Some(round) = last else { return LinksAtEnd::LinksNotSeen };
    let named = |ids: BTreeSet<LinkId>| ids.into_iter().map(|id| link_text(&plan.links[id])).collect();
    let down =
        |ids: &[LinkId]| -> BTreeSet<LinkId> { ids.iter().copied().filter(|id| !round.answer(*id).is_up()).collect() };
    let down_and_required = down(&required);
    let up = required.len() - down_and_required.len();
    // What has missed one probe was down in it.
    let could_not = |id: &LinkId| round.is_open(*id) && !round.missed.contains(id);
    let (not_measured, down_and_required): (BTreeSet<_>, BTreeSet<_>) =
        down_and_required.into_iter().partition(could_not);
    let (accepted, unexpected): (BTreeSet<_>, BTreeSet<_>) =
        down_and_required.into_iter().partition(|id| plan.accepted.contains(id));
    LinksAtEnd::LinksSeen {
        required: required.len(),
        up,
        accepted_as_down: named(accepted),
        down: named(unexpected),
        down_not_required: named(down(&others).into_iter().filter(|id| !could_not(id)).collect()),
        not_measured: named(not_measured),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::transaction::tests::plan;
    use crate::facts::links::LinkAnswer;

    fn round(up: impl IntoIterator<Item = LinkId>) -> Round {
        let answers = up.into_iter().map(|link| (link, LinkAnswer::Up { round_trip_us: None })).collect();
        Round { answers, ..Round::default() }
    }

    /// Two hosts, two links.
    fn two() -> Plan {
        Arc::unwrap_or_clone(plan(2, 2))
    }

    #[test]
    fn nothing_is_said_of_links_that_was_not_seen() {
        let words = |plan: &Plan, last: Option<&Round>| links_at_end(plan, last, |_| true).to_string();
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
        let blurred = Round { unmeasured: BTreeSet::from([0]), ..round([1]) };
        assert_eq!(words(&plan, Some(&blurred)), "1 of 2 required links are up; not measured: host0 -> host1 (ping)");
        let mut missed = Round { missed: BTreeSet::from([0]), ..round([1]) };
        missed.answers.insert(0, LinkAnswer::Down { why: "no answer".to_owned() });
        let accepted = "1 of 2 required links are up; accepted as down: host0 -> host1 (ping)";
        assert_eq!(words(&plan, Some(&missed)), accepted, "it was asked, and was down");
        plan.links[0].required = false;
        assert_eq!(
            words(&plan, Some(&missed)),
            "the one required link is up; down, and not required: host0 -> host1 (ping)"
        );
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
    fn many_links_that_are_down_are_one_line_of_bounded_length() {
        let plan = Arc::unwrap_or_clone(plan(24, 24));
        let text = links_at_end(&plan, Some(&round([])), |_| true).to_string();
        let more = plan.links.len() - 8;
        assert!(text.ends_with(&format!(" and {more} more")) && text.len() < 500, "{text}");
    }

    #[test]
    fn what_does_not_count_is_not_spoken_of() {
        let mut plan = two();
        let all = round([0, 1]);
        assert_eq!(links_at_end(&plan, Some(&all), |link| link == 1).to_string(), "the one required link is up");
        plan.links[0].left_out = plan.links[0].to_host.clone();
        assert_eq!(links_at_end(&plan, Some(&round([1])), |_| true).to_string(), "the one required link is up");
    }
}
