//! Hosts that a run goes on without, links that are accepted as down, and what the end may say of both.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;

use super::machine::plan;
use super::world::World;
use crate::decide::vocabulary::{Step, Timer, Verdict};
use crate::event::Outcome;
use crate::facts::links::{Link, LinkAnswer, LinkId, Probe};
use crate::facts::plan::Plan;
use crate::inventory::model::{HostName, Place};

/// Two hosts that change, and a link from the first to `web`, which is left out.
fn with_web() -> (Plan, LinkId) {
    let mut plan = Arc::unwrap_or_clone(plan(2, 2));
    let (web, probe) = (HostName::new("web").unwrap(), Probe::Ping { address: "10.0.0.9".to_owned() });
    plan.links.push(Link {
        check: "vpn".to_owned(),
        from: Place::Host(plan.hosts[0].name.clone()),
        to: web.to_string(),
        to_host: Some(web.clone()),
        probe: probe.clone(),
        probe_after: probe,
        required: false,
        timeout: Duration::from_secs(1),
        left_out: Some(web),
        shared: false,
    });
    let link = plan.links.len() - 1;
    (plan, link)
}

/// Everything goes well to the end, but these links are down in every round.
fn run_with_down(world: &mut World, down: &[LinkId]) -> Verdict {
    for _ in 0..1000 {
        if let Some(verdict) = &world.now.verdict {
            return verdict.clone();
        }
        if world.now.probe && world.now.pending.is_empty() {
            let mut round = world.round();
            for link in down {
                round.answers.insert(*link, LinkAnswer::Down { why: "no answer".to_owned() });
            }
            world.end_round_with(round);
        } else {
            world.go_on();
        }
    }
    panic!("does not end");
}

#[test]
fn a_host_that_is_left_out_decides_nothing_whether_it_answers_or_not() {
    for answers in [false, true] {
        let (plan, link) = with_web();
        let mut world = World::new(Arc::new(plan));
        let verdict = run_with_down(&mut world, if answers { &[] } else { std::slice::from_ref(&link) });
        assert_eq!(verdict.outcome, Outcome::Committed);
        assert_eq!(verdict.text.to_string(), "every host runs what it was to run; all 2 required links are up");
        let said = world.warnings.iter().filter(|text| text.contains("was left out and answers now")).count();
        assert_eq!(said, usize::from(answers), "{:?}", world.warnings);
    }
}

#[test]
fn a_link_that_was_accepted_as_down_is_named_at_the_end_and_loosens_no_other() {
    let accepting = || {
        let mut plan = Arc::unwrap_or_clone(plan(2, 2));
        plan.baseline.answers.insert(0, LinkAnswer::Down { why: "no answer".to_owned() });
        plan.accepted = BTreeSet::from([0]);
        World::new(Arc::new(plan))
    };
    let verdict = run_with_down(&mut accepting(), &[0]);
    assert_eq!(verdict.outcome, Outcome::Committed);
    let expected =
        "every host runs what it was to run; 1 of 2 required links are up; accepted as down: host0 -> host1 (ping)";
    assert_eq!(verdict.text.to_string(), expected);
    let mut world = accepting();
    world.until(0, |step| matches!(step, Step::Login { .. }));
    while !world.now.probe || !world.now.pending.is_empty() {
        world.go_on();
    }
    let mut round = world.round();
    round.answers.clear();
    world.end_round_with(round);
    world.elapse(Timer::Settle);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack, "the other link was up before");
}

#[test]
fn a_fleet_without_a_link_is_not_told_that_its_links_are_up() {
    let mut plan = Arc::unwrap_or_clone(plan(2, 2));
    plan.links.clear();
    let verdict = World::new(Arc::new(plan)).run_to_end();
    assert_eq!(
        verdict.text.to_string(),
        "every host runs what it was to run; there is no link that could be looked at"
    );
}
