//! Units that fail, and units that do not stay up.

use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;

use super::machine::{job, plan};
use super::world::{Fault, World, said};
use crate::decide::vocabulary::{Entry, Step, Timer};
use crate::event::Outcome;
use crate::facts::host::JobKind;
use crate::facts::plan::{HostId, Plan};
use crate::facts::units::{UnitNow, UnitState, Units};
use crate::inventory::model::UnitPattern;

fn now(invocation: &str, state: UnitState) -> UnitNow {
    UnitNow { invocation: invocation.to_owned(), state, needed: true, triggered: false, transient: false, gone: false }
}

fn up(invocation: &str) -> UnitNow {
    now(invocation, UnitState::Active)
}

fn failed(invocation: &str) -> UnitNow {
    now(invocation, UnitState::Failed)
}

fn units(all: &[(&str, UnitNow)]) -> Units {
    all.iter().map(|(unit, now)| ((*unit).to_owned(), now.clone())).collect()
}

/// Two hosts that change; the first has these terms.
fn planned(change: impl FnOnce(&mut Plan)) -> Arc<Plan> {
    let mut plan = (*plan(2, 2)).clone();
    for host in &mut plan.hosts {
        host.units.steady = Duration::from_secs(10);
    }
    change(&mut plan);
    Arc::new(plan)
}

/// The test of the first host has left it with these units, where it had `before`; every login was made, and the first
/// round is out.
fn tested(plan: Arc<Plan>, before: Units, after: Units) -> World {
    let mut world = World::asleep(plan);
    world.machines[0].units = before;
    world.begin();
    let at = world.until(0, job(JobKind::Test));
    world.machines[0].units = after;
    world.end_step(at, Fault::None);
    world.until(0, |step| matches!(step, Step::Login { .. }));
    while !world.now.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    world
}

/// Rounds, a second after the other on the host's clock.
fn seconds(world: &mut World, count: u64) {
    for _ in 0..count {
        world.machines[0].uptime += 1;
        world.end_round();
        if world.now.timers.contains(&Timer::RoundPause) {
            world.elapse(Timer::RoundPause);
        }
    }
}

fn is_decided(world: &World) -> bool {
    world.now.entries.contains(&Entry::Decided)
}

#[test]
fn a_unit_that_has_failed_has_the_settle_time_to_come_right() {
    let before = units(&[("app.service", up("1"))]);
    let mut world = tested(planned(|_| {}), before.clone(), units(&[("app.service", failed("2"))]));
    seconds(&mut world, 5);
    assert!(world.now.timers.contains(&Timer::Settle) && !world.now.entries.contains(&Entry::Decided));
    world.machines[0].units = units(&[("app.service", up("3"))]);
    seconds(&mut world, 10);
    assert!(!is_decided(&world), "it was not up for ten seconds yet");
    seconds(&mut world, 1);
    assert!(is_decided(&world));
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    assert!(world.remembered.is_empty());

    let before = units(&[("app.service", up("1")), ("by-hand.service", up("1")), ("sshd@1.service", up("1"))]);
    let mut world =
        tested(planned(|_| {}), before, units(&[("app.service", failed("2")), ("new.service", failed("3"))]));
    seconds(&mut world, 5);
    world.elapse(Timer::Settle);
    // The old system brings the one up again, and not the other.
    world.machines[0].units = units(&[("app.service", up("4")), ("new.service", failed("5"))]);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(
        said(&verdict),
        "units fail on host0: app.service (running before this push), new.service (not running before this push)"
    );
    let kept = ["app.service", "new.service"].map(str::to_owned);
    assert_eq!(world.remembered, [(HostId(0), kept.into())].into());
    let left: Vec<&String> = world.warnings.iter().filter(|text| text.starts_with("failed now, and not")).collect();
    assert!(matches!(left[..], [text] if text.contains(": new.service;")), "{left:?}");
    let stopped: Vec<&String> = world.warnings.iter().filter(|text| text.contains("and not now: ")).collect();
    assert!(matches!(stopped[..], [text] if text.contains(": by-hand.service;")), "{stopped:?}");
}

#[test]
fn what_the_push_did_not_start_and_nothing_needs_only_warns_and_is_said_once() {
    let lonely = UnitNow { needed: false, ..failed("2") };
    // A timer has run it; the same while the test was at work; a person has, as a transient unit.
    let by_timer = UnitNow { triggered: true, ..lonely.clone() };
    let by_hand = UnitNow { transient: true, ..lonely.clone() };
    let gone = UnitNow { gone: true, ..failed("2") };
    for unit in [by_timer, by_hand, gone] {
        let mut world = tested(planned(|_| {}), units(&[("a.service", up("1"))]), units(&[("backup.service", unit)]));
        seconds(&mut world, 3);
        assert_eq!(world.run_to_end().outcome, Outcome::Committed);
        let said = world.warnings.iter().filter(|text| text.contains("backup.service has failed")).count();
        assert_eq!(said, 1, "{:?}", world.warnings);
    }
    // Started in the test, or after it; needed or not.
    for (started, needed, outcome) in [
        (true, false, Outcome::RolledBack),
        (true, true, Outcome::RolledBack),
        (false, true, Outcome::RolledBack),
        (false, false, Outcome::Committed),
    ] {
        let before = units(&[("a.service", UnitNow { needed, ..up("1") })]);
        let after = units(&[("a.service", UnitNow { needed, ..up(if started { "2" } else { "1" }) })]);
        let mut world = tested(planned(|_| {}), before, after);
        world.machines[0].units =
            units(&[("a.service", UnitNow { needed, ..failed(if started { "2" } else { "1" }) })]);
        seconds(&mut world, 1);
        world.elapse(Timer::Settle);
        world.machines[0].units.clear();
        assert_eq!(world.run_to_end().outcome, outcome, "started: {started}, needed: {needed}");
    }
}

#[test]
fn what_a_person_ignores_neither_fails_a_push_nor_is_waited_for() {
    let ignoring = || planned(|plan| plan.hosts[0].units.ignore = vec![UnitPattern::new("restic-*").unwrap()]);
    for after in [failed("2"), now("2", UnitState::Moving)] {
        let before = units(&[("a.service", up("1"))]);
        let after = units(&[("a.service", up("1")), ("restic-nas.service", after)]);
        let mut world = tested(ignoring(), before, after);
        seconds(&mut world, 3);
        assert!(is_decided(&world));
        assert!(!world.warnings.iter().any(|text| text.contains("restic")), "{:?}", world.warnings);
    }
}

#[test]
fn what_failed_before_counts_only_where_it_is_remembered() {
    for (is_remembered, outcome) in [(false, Outcome::Committed), (true, Outcome::RolledBack)] {
        let plan = planned(|plan| {
            if is_remembered {
                plan.hosts[0].units.remembered.insert("old.service".to_owned(), "r-0".to_owned());
            } else {
                plan.hosts[0].failed_units.insert("old.service".to_owned());
            }
        });
        // Nothing needs it; and the push tries it anew.
        let state = |start: &str| units(&[("old.service", UnitNow { needed: false, ..failed(start) })]);
        let mut world = tested(plan, state("1"), state("2"));
        seconds(&mut world, 1);
        world.elapse(Timer::Settle);
        assert_eq!(world.run_to_end().outcome, outcome);
        let left = world.warnings.iter().filter(|text| text.starts_with("failed now, and not")).count();
        assert_eq!(left, 0, "it was so before: {:?}", world.warnings);
    }
}

#[test]
fn what_was_started_must_be_up_for_its_time_and_what_was_not_costs_nothing() {
    let before = units(&[("app.service", up("1")), ("other.service", up("1"))]);
    let mut world = tested(planned(|_| {}), before.clone(), before.clone());
    seconds(&mut world, 3);
    assert!(is_decided(&world), "nothing was restarted");

    let after = units(&[("app.service", up("2")), ("other.service", up("1"))]);
    let mut world = tested(planned(|_| {}), before, after);
    seconds(&mut world, 9);
    assert!(!is_decided(&world));
    seconds(&mut world, 1);
    assert!(is_decided(&world), "it is counted from the end of the test");
}

#[test]
fn a_service_that_is_started_again_and_again_is_never_steady() {
    let before = units(&[("app.service", up("0"))]);
    let mut world = tested(planned(|_| {}), before.clone(), units(&[("app.service", up("1"))]));
    for start in 2..8 {
        seconds(&mut world, 8);
        world.machines[0].units = units(&[("app.service", up(&start.to_string()))]);
    }
    assert!(!is_decided(&world));
    world.elapse(Timer::Settle);
    assert!(world.now.timers.contains(&Timer::Steady), "one that was started late may still come to its time");
    seconds(&mut world, 1);
    world.elapse(Timer::Steady);
    seconds(&mut world, 1);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(said(&verdict), "what this push started was not up for 10s on host0: app.service");
    assert_eq!(world.remembered, [(HostId(0), ["app.service".to_owned()].into())].into());
}

#[test]
fn what_ended_well_and_what_is_not_a_service_of_the_system_is_proven() {
    let before = units(&[("app.service", up("0"))]);
    let by_socket = UnitNow { triggered: true, ..up("1") };
    let after = units(&[
        ("app.service", up("0")),
        ("job.service", now("1", UnitState::Moving)),
        ("sshd@1.service", up("1")),
        ("nix-daemon.service", by_socket),
    ]);
    let mut world = tested(planned(|_| {}), before, after);
    seconds(&mut world, 5);
    assert!(!is_decided(&world), "the job is still at work");
    world.machines[0].units.remove("job.service");
    seconds(&mut world, 1);
    assert!(is_decided(&world));
}

#[test]
fn what_was_started_again_and_again_before_is_not_waited_for() {
    let plan = planned(|plan| {
        plan.hosts[0].units.restless.insert("loop.service".to_owned());
    });
    let before = units(&[("loop.service", up("0"))]);
    let mut world = tested(plan, before, units(&[("loop.service", up("1"))]));
    seconds(&mut world, 3);
    assert!(is_decided(&world));
    assert!(world.warnings.iter().any(|text| text.starts_with("loop.service is started again and again")));
}

#[test]
fn a_second_activation_is_waited_for_as_well() {
    let plan = planned(|plan| plan.hosts[0].reactivate = true);
    let before = units(&[("app.service", up("0"))]);
    let mut world = tested(plan, before.clone(), before);
    seconds(&mut world, 3);
    let at = world.until(0, job(JobKind::Reactivate));
    world.machines[0].units = units(&[("app.service", up("1"))]);
    world.end_step(at, Fault::None);
    while !world.now.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    seconds(&mut world, 9);
    assert!(!world.now.entries.contains(&Entry::Disarming));
    seconds(&mut world, 1);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn a_host_that_does_not_say_how_its_units_are_is_not_proven() {
    let mut world = tested(planned(|_| {}), Units::new(), Units::new());
    for _ in 0..5 {
        let mut round = world.round();
        round.hosts.clear();
        world.end_round_with(round);
        world.elapse(Timer::RoundPause);
    }
    assert!(!is_decided(&world));
    world.elapse(Timer::Settle);
    let verdict = world.run_to_end();
    assert_eq!(said(&verdict), "host0 takes no new ssh login: it does not say how its units are");
}
