//! Runs that were ended without hosts, and several of those hosts at once; a push that finds one back.

use pretty_assertions::assert_eq;

use super::machine::{job, plan, system};
use super::without::{dies_disarming, dies_with_the_last, end, is_clean, is_ended, mark, moved_on, name, returned};
use super::world::{Fault, World};
use crate::decide::vocabulary::{Entry, Step, Verdict};
use crate::event::reason::cause::Cause;
use crate::event::{HostOutcome, Outcome};
use crate::facts::host::JobKind;
use crate::facts::systems::Systems;
use crate::facts::traces::EndSide;

const BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };

/// What other steps than these a recovery sends.
fn sends_but(world: &World, allowed: impl Fn(&Step) -> bool) -> Vec<Step> {
    let recovery = world.sent.iter().rev().take_while(|(_, step)| !matches!(step, Step::Job { .. } | Step::Arm { .. }));
    recovery.map(|(_, step)| step.clone()).filter(|step| !allowed(step)).collect()
}

#[test]
fn what_a_push_finds_back_on_old_it_only_cleans() {
    let mut world = returned(EndSide::Old, true);
    world.machines[2].systems = Systems::all(&system("old"));
    world.sent.clear();
    world.clean_returned();
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    is_clean(&world, &[0, 1, 2]);
    let cleans = |step: &Step| matches!(step, Step::TakeOver { .. } | Step::Clean { .. } | Step::Unmark { .. });
    assert_eq!(sends_but(&world, cleans), []);
}

#[test]
fn a_push_leaves_whatever_else_it_finds_back_as_it_is() {
    let between = Systems { current: system("old"), profile: system("new"), boot_default: system("old") };
    for (side, systems) in [
        (EndSide::Old, between.clone()),
        (EndSide::Old, Systems::all(&system("new"))),
        (EndSide::New, Systems::all(&system("old"))),
        (EndSide::New, Systems::all(&system("new"))),
    ] {
        let mut world = returned(side, true);
        world.machines[2].systems = systems.clone();
        world.machines[2].traces.switching = true;
        world.sent.clear();
        world.clean_returned();
        let verdict = world.run_to_end();
        assert_eq!(verdict.outcome, Outcome::Split, "{side:?} {systems:?}");
        assert!(
            verdict.text.to_string().contains("not all that are back are at rest on their old systems"),
            "{}",
            verdict.text
        );
        let looks = |step: &Step| matches!(step, Step::TakeOver { .. } | Step::Release);
        assert_eq!(sends_but(&world, looks), [], "{side:?} {systems:?}");
        assert!(world.machines[2].roots && world.machines[2].lease.is_none());
        is_ended(&world, &[0, 1], side.word(), &mark(side, &[2]));
    }
}

/// No mark of it: it may be a run that is only beginning, or that is being recovered.
#[test]
fn a_push_cleans_up_after_no_run_that_was_not_ended_without_a_host() {
    let mut world = World::new(plan(2, 2));
    world.until(0, job(JobKind::Test));
    world.now.pending.clear();
    (0..2).for_each(|host| world.fire(host));
    world.clean_returned();
    assert_eq!(world.run_to_end().outcome, Outcome::Split);
    assert!(world.machines.iter().all(|machine| machine.roots && machine.lease.is_none()));
}

/// Two were missing when the run was ended on old, and both are back.
fn two_are_back(on: [Systems; 2]) -> World {
    let mut world = dies_with_the_last(job(JobKind::Switch));
    world.machines[1].dead = true;
    world.recover_without(true, &[1, 2]);
    world.run_to_end();
    is_ended(&world, &[0], "old", &mark(EndSide::Old, &[1, 2]));
    for (host, systems) in [1, 2].into_iter().zip(on) {
        world.machines[host].dead = false;
        world.machines[host].restart();
        world.machines[host].systems = systems;
        world.machines[host].traces.switching = true;
    }
    world
}

fn lost(verdict: &Verdict, host: usize) -> String {
    match end(verdict, host) {
        HostOutcome::Lost { why } => why.to_string(),
        other => panic!("host{host}: {other:?}"),
    }
}

/// There is more to be said of one that has moved on than that it is back: that is for who recovers.
#[test]
fn a_push_cleans_nobody_up_beside_one_that_has_moved_on() {
    let mut world = two_are_back([Systems::all(&system("old")), Systems::all(&system("later"))]);
    world.sent.clear();
    world.clean_returned();
    assert_eq!(world.run_to_end().outcome, Outcome::Split);
    assert!(world.machines[1].roots && world.machines[2].roots);
    is_ended(&world, &[0], "old", &mark(EndSide::Old, &[1, 2]));
    // Nor that one alone, when nobody is left who could be apart from anybody.
    let mut world = returned(EndSide::Old, true);
    world.machines[2].systems = Systems::all(&system("later"));
    world.clean_returned();
    let verdict = world.run_to_end();
    assert!(verdict.text.to_string().contains("not all that are back are at rest on their old systems"), "{verdict:?}");
    assert!(world.machines[2].roots && world.machines[2].lease.is_none());
    is_ended(&world, &[0, 1], "old", &mark(EndSide::Old, &[2]));
}

#[test]
fn what_a_push_could_not_clean_away_is_said_with_why_and_nothing_else_is() {
    for fault in [Fault::None, Fault::LostCommand] {
        let mut world = returned(EndSide::Old, true);
        world.machines[2].systems = Systems::all(&system("old"));
        // A warning of its own, which keeps nothing there.
        world.machines[2].traces.volatile = true;
        world.clean_returned();
        let at = world.until(2, |step| matches!(step, Step::Clean { .. }));
        world.end_step(at, fault);
        let verdict = world.run_to_end();
        assert_eq!(verdict.outcome, Outcome::RolledBack);
        let why = || (name(2), Cause::NoTimeToAsk);
        assert_eq!(verdict.kept, (fault == Fault::LostCommand).then(why).into_iter().collect());
        let is_marked = world.machines[0].traces.ended.is_some();
        assert_eq!(is_marked, fault == Fault::LostCommand, "who is not cleaned stays in the marks");
    }
}

/// Who recovers the run from the hosts would know nothing of its end, and take back who was called committed.
#[test]
fn an_end_without_a_host_is_none_where_the_mark_could_not_be_left() {
    for (side, outcome, others) in
        [(EndSide::Old, Outcome::RolledBack, BACK), (EndSide::New, Outcome::Committed, HostOutcome::Committed)]
    {
        for (unmarked, here) in [(vec![0], false), (vec![0], true), (vec![0, 1], false), (vec![0, 1], true)] {
            let mut world = match side {
                EndSide::Old => dies_with_the_last(job(JobKind::Switch)),
                EndSide::New => dies_disarming(&[0, 1]),
            };
            world.recover_without(true, &[2]);
            for host in &unmarked {
                let at = world.until(*host, |step| matches!(step, Step::Clean { .. }));
                world.end_step(at, Fault::LostCommand);
            }
            let verdict = world.run_to_end();
            assert_eq!(verdict.outcome, Outcome::Left, "{verdict:?}");
            let HostOutcome::Left { why, .. } = end(&verdict, 0) else { panic!("{verdict:?}") };
            assert!(
                why.to_string()
                    .contains("(there was no time to ask it): `fleetdeploy recover homelab --without host2` does it"),
                "{why}"
            );
            assert_eq!(end(&verdict, 1) == others, unmarked.len() == 1, "{verdict:?}");
            assert!(
                verdict.text.to_string().contains("that it ended so could not be left on: host0"),
                "{}",
                verdict.text
            );
            let [.., marked, finished] = &world.now.entries[..] else { panic!() };
            assert_eq!(*marked, Entry::EndedWithout { mark: mark(side, &[2]) });
            assert_eq!(*finished, Entry::Finished { outcome: Outcome::Left });
            // What is to be typed does it, from here and from anywhere.
            world.recover_without(here, &[2]);
            assert_eq!(world.run_to_end().outcome, outcome);
            is_ended(&world, &[0, 1], side.word(), &mark(side, &[2]));
        }
    }
}

/// The one beside it went forward for good, and is not brought anywhere for it.
#[test]
fn a_host_that_is_back_on_new_is_not_taken_back_with_one_that_is_not_at_rest() {
    let between = Systems { current: system("old"), profile: system("new"), boot_default: system("old") };
    let mut world = two_are_back([Systems::all(&system("new")), between]);
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 2)), (Outcome::Split, BACK));
    let why = lost(&verdict, 1);
    assert!(why.contains("on its new system, and the others were ended on old"), "{why}");
    assert_eq!(world.machines[1].systems, Systems::all(&system("new")));
    assert_eq!(world.machines[2].systems, Systems::all(&system("old")));
    assert!(world.machines[0].traces.ended.is_some(), "nothing is cleaned of a split");
}

/// The hosts that they were apart from are on something else by now: they are apart from each other.
#[test]
fn two_that_are_back_on_two_sides_are_apart_though_the_others_have_moved_on() {
    let mut world = two_are_back([Systems::all(&system("old")), Systems::all(&system("new"))]);
    world.machines[0].systems = Systems::all(&system("later"));
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 0)), (Outcome::Split, moved_on("later")));
    for host in [1, 2] {
        let why = lost(&verdict, host);
        assert!(why.contains("another host of the run that was missing, too, is on the other side"), "{why}");
    }
}

#[test]
fn who_is_back_is_apart_from_nobody_where_all_the_others_have_moved_on() {
    let mut world = returned(EndSide::Old, true);
    world.machines[2].systems = Systems::all(&system("new"));
    world.machines[2].traces.switching = true;
    (0..2).for_each(|host| world.machines[host].systems = Systems::all(&system("later")));
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 2)), (Outcome::Unchanged, HostOutcome::Untouched));
    assert_eq!([0, 1].map(|host| end(&verdict, host)), [moved_on("later"), moved_on("later")]);
    assert_eq!(world.machines[2].systems, Systems::all(&system("new")));
    is_clean(&world, &[0, 1, 2]);
}

/// The clean-up did not reach it, and somebody has moved it since with the run's own steps: its word and the marks of
/// the others do not fit together.
#[test]
fn beside_marks_a_host_that_is_not_where_they_say_leaves_everything_as_it_was() {
    let mut world = dies_with_the_last(job(JobKind::Switch));
    world.recover_without(true, &[2]);
    let at = world.until(1, |step| matches!(step, Step::Clean { .. }));
    world.end_step(at, Fault::LostCommand);
    world.run_to_end();
    is_ended(&world, &[0], "old", &mark(EndSide::Old, &[2]));
    world.machines[1].systems = Systems::all(&system("new"));
    world.machines[1].traces.switching = true;
    world.sent.clear();
    world.recover(false);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    let text = verdict.text.to_string();
    assert!(text.starts_with("everything was left as it was") && text.contains("host1"), "{text}");
    let looks = |step: &Step| matches!(step, Step::TakeOver { .. } | Step::Release);
    assert_eq!(sends_but(&world, looks), []);
    assert!(world.machines[1].roots);
}
