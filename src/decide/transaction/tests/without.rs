//! Runs that end without a host, hosts that come back to such a run, and hosts that other hands have moved on.

use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::machine::{job, plan, system};
use super::world::{Fault, World};
use crate::decide::vocabulary::{Entry, Input, Signal, Step, Timer, Verdict};
use crate::event::{HostOutcome, Outcome};
use crate::facts::host::{GuardState, JobKind};
use crate::facts::systems::Systems;
use crate::facts::traces::{EndMark, EndSide};
use crate::inventory::model::HostName;

const BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };

fn disarm(step: &Step) -> bool {
    matches!(step, Step::Disarm { .. })
}

pub(super) fn name(host: usize) -> HostName {
    HostName::new(format!("host{host}")).unwrap()
}

pub(super) fn mark(side: EndSide, missing: &[usize]) -> EndMark {
    EndMark { side: Some(side), missing: missing.iter().map(|host| (name(*host), Some(host.to_string()))).collect() }
}

pub(super) fn end(verdict: &Verdict, host: usize) -> HostOutcome {
    verdict.hosts.iter().find(|(its, _)| *its == name(host)).unwrap().1.clone()
}

pub(super) fn moved_on(to: &str) -> HostOutcome {
    HostOutcome::MovedOn { on: system(to) }
}

fn dead_host(world: &World, host: usize) -> Systems {
    assert!(world.machines[host].dead);
    world.machines[host].systems.clone()
}

/// A push of three hosts that is gone just before a step of this kind reaches the last one, which is gone for good as
/// well.
pub(super) fn dies_with_the_last(wanted: impl Fn(&Step) -> bool) -> World {
    let mut world = World::new(plan(3, 3));
    world.until(2, wanted);
    world.machines[2].dead = true;
    world
}

/// The same in the middle of the disarm: these are disarmed.
pub(super) fn dies_disarming(disarmed: &[usize]) -> World {
    let mut world = World::new(plan(3, 3));
    world.until(0, disarm);
    for host in disarmed {
        let at = world.until(*host, disarm);
        world.end_step(at, Fault::None);
    }
    world.machines[2].dead = true;
    world.now.pending.clear();
    world
}

/// Every host that answers is on this side, unguarded, and holds the mark and nothing else.
pub(super) fn is_ended(world: &World, hosts: &[usize], on: &str, mark: &EndMark) {
    for host in hosts {
        let machine = &world.machines[*host];
        assert_eq!(machine.systems, Systems::all(&system(on)));
        assert_eq!((machine.guard.clone(), machine.lease, machine.roots), (GuardState::None, None, false));
        assert_eq!(machine.traces.ended.as_ref().map(|ended| &ended.mark), Some(mark));
    }
}

pub(super) fn is_clean(world: &World, hosts: &[usize]) {
    for host in hosts {
        let machine = &world.machines[*host];
        assert_eq!((machine.lease, machine.roots, machine.traces.ended.clone()), (None, false, None), "host{host}");
    }
}

#[test]
fn without_a_dead_host_the_others_go_back_and_are_free() {
    let mut world = dies_with_the_last(job(JobKind::Switch));
    let before = dead_host(&world, 2);
    world.recover_without(true, &[2]);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 2)), (Outcome::RolledBack, HostOutcome::Missing));
    assert!(verdict.text.to_string().ends_with("; missing: host2"), "{}", verdict.text);
    is_ended(&world, &[0, 1], "old", &mark(EndSide::Old, &[2]));
    assert!(world.sent.iter().rev().take_while(|(_, step)| !job(JobKind::Switch)(step)).all(|(host, _)| host.0 != 2));
    let entries = &world.now.entries;
    let at = entries.iter().position(|entry| matches!(entry, Entry::EndedWithout { .. })).unwrap();
    assert_eq!(
        entries[at..],
        [Entry::EndedWithout { mark: mark(EndSide::Old, &[2]) }, Entry::Finished { outcome: Outcome::RolledBack }]
    );
    // Its guard has brought it back meanwhile, as far as that can be.
    assert_ne!(before, world.machines[2].systems);
}

#[test]
fn without_a_dead_host_nothing_is_done_before_its_guard_must_be_over() {
    let mut world = dies_with_the_last(disarm);
    world.recover_without(true, &[2]);
    while !world.now.timers.contains(&Timer::GuardsOver) {
        let steps: Vec<_> = world.now.pending.iter().map(|(_, step)| step).collect();
        assert!(steps.iter().all(|step| matches!(step, Step::TakeOver { .. })), "{steps:?}");
        world.end_step(0, Fault::None);
    }
    let doing = "waiting until no guard can be armed on host2".to_owned();
    assert_eq!(world.doings, [(name(0), doing.clone()), (name(1), doing)]);
    // A host that might go forward gets more time before its own guard fires, and then all hosts are asked again.
    while !world.now.pending.is_empty() {
        assert!(matches!(world.now.pending[0].1, Step::Extend { .. }));
        world.end_step(0, Fault::None);
    }
    world.elapse(Timer::GuardsOver);
    assert!(matches!(world.now.pending[..], [(_, Step::TakeOver { .. }), ..]), "{:?}", world.now.pending);
}

#[test]
fn without_a_dead_host_the_others_go_forward_after_one_that_was_disarmed_and_only_proven_anew() {
    let mut world = dies_disarming(&[1]);
    world.recover_without(true, &[2]);
    world.until(0, |step| matches!(step, Step::Login { after: true }));
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 2)), (Outcome::Committed, HostOutcome::Missing));
    assert!(verdict.text.to_string().contains("missing: host2"), "{}", verdict.text);
    is_ended(&world, &[0, 1], "new", &mark(EndSide::New, &[2]));
}

#[test]
fn without_a_dead_host_and_without_the_record_others_that_are_merely_decided_go_back() {
    let mut world = dies_with_the_last(disarm);
    world.recover_without(false, &[2]);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    is_ended(&world, &[0, 1], "old", &mark(EndSide::Old, &[2]));
}

#[test]
fn links_of_a_host_that_the_run_ends_without_prove_nothing() {
    let mut world = dies_disarming(&[0]);
    world.recover_without(true, &[2]);
    world.until(1, |step| matches!(step, Step::Login { .. }));
    let plan = std::sync::Arc::clone(&world.plan);
    while world.now.verdict.is_none() {
        if world.now.probe {
            let mut round = world.round();
            for (at, link) in plan.links.iter().enumerate() {
                if link.is_of(&[name(2)].into()) {
                    round.answers.remove(&at);
                }
            }
            world.end_round_with(round);
        } else {
            world.go_on();
        }
    }
    assert_eq!(world.now.verdict.as_ref().map(|verdict| verdict.outcome), Some(Outcome::Committed));
}

#[test]
fn a_silent_host_that_was_not_named_leaves_everything_as_it_is() {
    let mut world = dies_with_the_last(job(JobKind::Switch));
    world.machines[1].dead = true;
    world.recover_without(true, &[2]);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert!(verdict.text.to_string().contains("host1 does not answer either"), "{}", verdict.text);
    let moved = |step: &Step| matches!(step, Step::Job { kind: JobKind::Rollback, .. } | Step::Clean { .. });
    assert!(!world.sent.iter().any(|(_, step)| moved(step)));
}

#[test]
fn somebody_else_who_recovers_ends_a_recovery_without_a_host_at_once() {
    let mut world = dies_with_the_last(job(JobKind::Switch));
    world.recover_without(true, &[2]);
    world.machines[0].lease = Some(99);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Superseded);
    assert!(!world.sent.iter().any(|(_, step)| *step == Step::Ask), "nobody is asked, and nobody is bid for once more");
}

#[test]
fn a_push_that_wakes_after_its_run_was_ended_without_a_host_does_nothing() {
    let mut world = dies_with_the_last(job(JobKind::Switch));
    let sleeper = world.recover_without(true, &[2]);
    world.run_to_end();
    let systems: Vec<Systems> = world.machines.iter().map(|machine| machine.systems.clone()).collect();
    world.now = sleeper;
    world.machines[2].dead = false;
    let verdict = world.run_to_end();
    assert!(verdict.hosts.iter().all(|(_, end)| *end != HostOutcome::Committed), "{verdict:?}");
    assert_eq!(world.machines.iter().map(|machine| machine.systems.clone()).collect::<Vec<_>>(), systems);
}

/// If the others hold nothing any more, that says nothing about a missing host, and no other coordinator goes on with
/// the run.
#[test]
fn hosts_that_were_cleaned_already_end_a_recovery_without_one_and_nobody_is_called_committed() {
    let mut world = dies_disarming(&[0, 1]);
    for host in [0, 1] {
        (world.machines[host].roots, world.machines[host].lease) = (false, None);
    }
    world.recover_without(true, &[2]);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Unchanged);
    assert!(verdict.text.to_string().contains("missing: host2"), "{}", verdict.text);
    assert!(verdict.hosts.iter().all(|(_, end)| *end != HostOutcome::Committed), "{verdict:?}");
}

// What comes back.

/// Ended on this side without the last host, which is back now.
pub(super) fn returned(side: EndSide, record: bool) -> World {
    let mut world = match side {
        EndSide::Old => dies_with_the_last(job(JobKind::Switch)),
        EndSide::New => dies_disarming(&[0, 1]),
    };
    world.recover_without(true, &[2]);
    world.run_to_end();
    is_ended(&world, &[0, 1], side.word(), &mark(side, &[2]));
    world.machines[2].dead = false;
    world.machines[2].restart();
    if !record {
        world.now.entries.clear();
    }
    world
}

#[test]
fn a_host_that_comes_back_on_the_side_of_the_others_is_cleaned_and_the_marks_go() {
    for (side, on) in [(EndSide::Old, "old"), (EndSide::New, "new")] {
        for record in [true, false] {
            let mut world = returned(side, record);
            world.machines[2].systems = Systems::all(&system(on));
            world.recover(record);
            let verdict = world.run_to_end();
            let expected = if side == EndSide::Old { Outcome::RolledBack } else { Outcome::Committed };
            assert_eq!(verdict.outcome, expected, "{verdict:?}");
            is_clean(&world, &[0, 1, 2]);
        }
    }
}

/// Measured in an earlier version: "every host runs what it was to run", of hosts on old.
#[test]
fn a_host_that_comes_back_on_the_other_side_is_said_and_nothing_is_cleaned() {
    for (side, on, with) in
        [(EndSide::Old, "new", "rollback homelab --on host2"), (EndSide::New, "old", "push homelab --on host2")]
    {
        for record in [true, false] {
            let mut world = returned(side, record);
            world.machines[2].systems = Systems::all(&system(on));
            world.machines[2].traces.switching = true;
            world.recover(record);
            let verdict = world.run_to_end();
            assert_eq!(verdict.outcome, Outcome::Split, "{verdict:?}");
            let HostOutcome::Lost { why } = end(&verdict, 2) else { panic!("{verdict:?}") };
            assert!(why.to_string().contains(with), "{why}");
            assert!(world.machines[2].roots && world.machines[0].traces.ended.is_some());
            assert_eq!(world.machines[2].lease, None, "the claim is given back");
        }
    }
}

#[test]
fn a_host_that_comes_back_between_the_two_is_taken_back_alone() {
    let mut world = returned(EndSide::Old, true);
    world.machines[2].systems = Systems { current: system("old"), profile: system("new"), boot_default: system("old") };
    world.machines[2].traces.switching = true;
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(
        (verdict.outcome, end(&verdict, 0), end(&verdict, 2)),
        (Outcome::RolledBack, HostOutcome::Untouched, BACK)
    );
    is_clean(&world, &[0, 1, 2]);
}

#[test]
fn a_host_that_was_made_anew_under_the_same_name_ends_the_marks() {
    let mut world = returned(EndSide::Old, true);
    world.machines[2].roots = false;
    world.machines[2].systems = Systems::all(&system("another"));
    world.machines[0].systems = Systems::all(&system("later"));
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(
        (end(&verdict, 0), end(&verdict, 1), end(&verdict, 2)),
        (moved_on("later"), BACK, HostOutcome::Untouched)
    );
    is_clean(&world, &[0, 1, 2]);
}

#[test]
fn a_host_that_is_still_away_keeps_the_marks_and_is_not_waited_for() {
    let mut world = returned(EndSide::Old, true);
    world.machines[2].dead = true;
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 2)), (Outcome::RolledBack, HostOutcome::Missing));
    is_ended(&world, &[0, 1], "old", &mark(EndSide::Old, &[2]));
}

/// Dead between the entry and the marks: the record knows what the hosts do not say yet.
#[test]
fn an_end_that_died_before_its_marks_is_gone_on_with() {
    let mut world = dies_with_the_last(job(JobKind::Switch));
    world.recover_without(true, &[2]);
    world.until(0, |step| matches!(step, Step::Clean { .. }));
    world.now.pending.clear();
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 2)), (Outcome::RolledBack, HostOutcome::Missing));
    is_ended(&world, &[0, 1], "old", &mark(EndSide::Old, &[2]));
}

#[test]
fn a_run_that_was_ended_on_both_sides_is_said() {
    let mut world = returned(EndSide::Old, true);
    world.machines[1].traces.ended.as_mut().unwrap().mark = mark(EndSide::New, &[0, 2]);
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert!(verdict.text.to_string().starts_with("the run was ended twice"), "{}", verdict.text);
}

// What came after.

#[test]
fn a_host_that_was_switched_by_hand_after_a_dead_run_is_cleaned_and_nothing_is_lost() {
    let mut world = World::new(plan(1, 1));
    world.until(0, job(JobKind::Switch));
    world.now.pending.clear();
    world.fire(0);
    // Set for the next boot, and not rebooted yet: it is not at rest, and a reboot makes it so.
    world.machines[0].systems = Systems { boot_default: system("later"), ..Systems::all(&system("old")) };
    world.recover(false);
    assert_eq!(world.run_to_end().outcome, Outcome::Split);

    world.machines[0].systems = Systems::all(&system("later"));
    world.recover(false);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 0)), (Outcome::Unchanged, moved_on("later")));
    assert_eq!(world.machines[0].systems, Systems::all(&system("later")));
    is_clean(&world, &[0]);
    assert!(world.warnings.iter().any(|text| text.contains("moved on by other hands")), "{:?}", world.warnings);
}

/// The very new system, brought by a person: the run itself never began to make it permanent.
#[test]
fn what_a_person_has_made_permanent_is_not_taken_for_the_runs_own() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.now.pending.clear();
    (0..2).for_each(|host| world.fire(host));
    world.machines[0].systems = Systems::all(&system("new"));
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!((end(&verdict, 0), end(&verdict, 1)), (moved_on("new"), HostOutcome::RolledBack { by_guard: true }));
    assert_eq!(world.machines[0].systems, Systems::all(&system("new")));
}

#[test]
fn a_run_is_over_for_a_host_on_which_a_later_one_has_committed() {
    let mut world = World::new(plan(2, 2));
    world.until(0, disarm);
    world.now.pending.clear();
    (0..2).for_each(|host| world.restart(host));
    world.machines[1].traces.over = true;
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 1)), (Outcome::Committed, moved_on("new")));
    is_clean(&world, &[0, 1]);
}

/// Measured in an earlier version: a push that had waited rolled back what a person had switched to, without a word.
#[test]
fn a_push_does_not_undo_what_came_after_its_guard_had_fired() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, job(JobKind::Test));
    world.end_step(at, Fault::LostReply);
    let at = world.until(1, job(JobKind::Rollback));
    world.end_step(at, Fault::LostCommand);
    let at = world.until(1, |step| matches!(step, Step::Return { .. }));
    world.fire(1);
    world.machines[1].systems = Systems::all(&system("later"));
    let (host, step) = world.now.pending.remove(at);
    let standing = world.machines[1].standing(world.plan.host(host));
    let said = crate::facts::step_answer::StepAnswer {
        outcome: crate::facts::step_answer::StepOutcome::Done,
        standing,
        log: Vec::new(),
    };
    let answer = crate::decide::vocabulary::Answer::Said(Box::new(said));
    world.give(crate::decide::vocabulary::Input::Answered { host, step, answer });
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, end(&verdict, 1)), (Outcome::RolledBack, moved_on("later")));
    assert_eq!(world.machines[1].systems, Systems::all(&system("later")));
    assert!(verdict.text.to_string().ends_with("; moved on, and not meant by that: host1"), "{}", verdict.text);
}

#[test]
fn a_recovery_that_does_not_end_the_run_gives_its_claims_back() {
    let mut world = World::new(plan(2, 2));
    world.until(0, disarm);
    world.now.pending.clear();
    world.machines[1].dead = true;
    world.restart(0);
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert_eq!((world.machines[0].lease, world.machines[0].roots), (None, true));
}

#[test]
fn without_the_only_host_that_the_run_changed_it_ends_too() {
    let mut world = World::new(plan(2, 1));
    world.until(0, job(JobKind::Switch));
    world.machines[0].dead = true;
    world.recover_without(true, &[0]);
    let verdict = world.run_to_end();
    assert_eq!(end(&verdict, 0), HostOutcome::Missing);
    assert!(verdict.text.to_string().contains("missing: host0"), "{}", verdict.text);
}

#[test]
fn a_signal_while_the_missing_hosts_guard_is_waited_for_ends_nothing_and_is_gone_on_from() {
    for wanted in [JobKind::Test, JobKind::Switch] {
        let mut world = dies_with_the_last(job(wanted));
        if wanted == JobKind::Test {
            // Those that answer are back on old by themselves: their run is still not over.
            for host in [0, 1] {
                world.fire(host);
            }
        }
        world.recover_without(true, &[2]);
        while !world.now.timers.contains(&Timer::GuardsOver) {
            world.end_step(0, Fault::None);
        }
        let through = world.now.transaction.through();
        assert!(through.iter().all(|(_, end)| *end != HostOutcome::Missing), "left at once: {through:?}");
        world.give(Input::CancelRequested(Signal::Sigint));
        let verdict = world.run_to_end();
        assert_eq!(verdict.outcome, Outcome::Left, "{verdict:?}");
        let HostOutcome::Left { why, .. } = end(&verdict, 2) else { panic!("{verdict:?}") };
        assert_eq!(why.to_string(), "it was not asked, and the run is not ended without it");
        assert!(!verdict.text.to_string().contains("missing"), "{}", verdict.text);
        let ended = |entry: &Entry| matches!(entry, Entry::EndedWithout { .. } | Entry::Finished { .. });
        assert!(!world.now.entries.iter().any(ended), "{:?}", world.now.entries);
        world.recover_without(true, &[2]);
        assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
        is_ended(&world, &[0, 1], "old", &mark(EndSide::Old, &[2]));
    }
}

/// As from a workstation without the record, where nothing of the run but its mark is left on the others: what they
/// were to run nobody knows there.
#[test]
fn what_others_were_to_run_is_not_known_by_their_marks_and_still_decides_for_who_comes_back() {
    let not_known = Systems::all(&Systems::not_known());
    for (side, word) in [(EndSide::Old, "old"), (EndSide::New, "new")] {
        for on in ["old", "new"] {
            let mut world = returned(side, false);
            world.machines[2].systems = Systems::all(&system(on));
            world.machines[2].traces.switching = true;
            let mut elsewhere = (*world.plan).clone();
            for host in &mut elsewhere.hosts[..2] {
                (host.old, host.new) = (not_known.clone(), not_known.current.clone());
            }
            world.plan = Arc::new(elsewhere);
            world.recover(false);
            let verdict = world.run_to_end();
            let untouched = [0, 1].map(|host| end(&verdict, host));
            assert_eq!(
                untouched,
                [HostOutcome::Untouched, HostOutcome::Untouched],
                "never moved on: that was not seen"
            );
            if on == word {
                let expected = if side == EndSide::Old { Outcome::RolledBack } else { Outcome::Committed };
                assert_eq!(verdict.outcome, expected, "{side:?} {on}");
                is_clean(&world, &[0, 1, 2]);
            } else {
                assert_eq!(verdict.outcome, Outcome::Split, "{side:?} {on}");
                assert!(world.machines[2].roots && world.machines[0].traces.ended.is_some());
            }
        }
    }
}

/// The record of the first workstation knows of no end without the last host, and who could tell is silent when it is
/// judged.
#[test]
fn an_end_on_new_that_is_heard_of_only_on_the_way_back_leaves_who_went_back_apart() {
    let mut world = dies_disarming(&[0, 1]);
    let first = world.recover_without(false, &[2]);
    world.run_to_end();
    is_ended(&world, &[0, 1], "new", &mark(EndSide::New, &[2]));
    world.machines[2].dead = false;
    world.machines[2].restart();
    world.machines[2].systems = Systems::all(&system("old"));
    world.now = first;
    (0..2).for_each(|host| world.machines[host].dead = true);
    world.recover(true);
    world.until(0, |step| matches!(step, Step::TakeOver { by_guard: true }));
    (0..2).for_each(|host| world.machines[host].dead = false);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split, "{verdict:?}");
    let HostOutcome::Lost { why } = end(&verdict, 2) else { panic!("{verdict:?}") };
    assert!(why.to_string().contains("on its old system, and the others were ended on new"), "{why}");
    assert!(world.machines[2].roots && world.machines[0].traces.ended.is_some());
}

/// It may have taken them back meanwhile: it had not been told that the run was to end without the last host.
#[test]
fn who_is_taken_over_just_before_the_mark_is_written_calls_no_host_committed() {
    for overtaken in [vec![0], vec![0, 1]] {
        let mut world = dies_disarming(&[0, 1]);
        world.recover_without(true, &[2]);
        world.until(0, |step| matches!(step, Step::Clean { .. }));
        for host in &overtaken {
            world.machines[*host].lease = Some(1 << 30);
        }
        let verdict = world.run_to_end();
        let both = overtaken.len() == 2;
        assert_eq!(verdict.outcome, if both { Outcome::Superseded } else { Outcome::Split }, "{verdict:?}");
        for host in overtaken {
            assert!(matches!(end(&verdict, host), HostOutcome::Lost { .. }), "{verdict:?}");
        }
        let last = world.now.entries.last().unwrap();
        assert_eq!(*last, Entry::Finished { outcome: verdict.outcome }, "the record says so, too");
    }
}

#[test]
fn who_was_taken_back_and_cleaned_by_somebody_else_meanwhile_is_not_called_committed() {
    let mut world = dies_disarming(&[0, 1]);
    world.recover_without(true, &[2]);
    world.until(0, |step| matches!(step, Step::Clean { .. }));
    world.machines[0].systems = Systems::all(&system("old"));
    (world.machines[0].roots, world.machines[0].lease) = (false, None);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split, "{verdict:?}");
    let HostOutcome::Lost { why } = end(&verdict, 0) else { panic!("{verdict:?}") };
    assert!(why.to_string().contains("somebody else has moved it"), "{why}");
    assert_eq!(*world.now.entries.last().unwrap(), Entry::Finished { outcome: Outcome::Split });
}
