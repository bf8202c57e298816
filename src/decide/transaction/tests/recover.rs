//! A recovery, by named scenarios: the rules of docs/design.md, "Recovery".

use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::machine::{job, plan, system};
use super::world::{Coordinator, Fault, World, said};
use crate::decide::transaction::recover::{Reached, Recorded};
use crate::decide::vocabulary::{Entry, Input, Signal, Step, Timer};
use crate::event::reason::any::AnyReason;
use crate::event::{HostOutcome, Outcome};
use crate::facts::host::{GuardState, JobKind};
use crate::facts::plan::Plan;
use crate::facts::systems::Systems;

fn take_over(step: &Step) -> bool {
    matches!(step, Step::TakeOver { .. })
}

fn arm(step: &Step) -> bool {
    matches!(step, Step::Arm { .. })
}

fn login(step: &Step) -> bool {
    matches!(step, Step::Login { .. })
}

fn disarm(step: &Step) -> bool {
    matches!(step, Step::Disarm { .. })
}

/// A push of two hosts that dies just before a step of this kind reaches `host`.
fn dies_before(host: usize, wanted: impl Fn(&Step) -> bool) -> World {
    let mut world = World::new(plan(2, 2));
    world.until(host, wanted);
    world
}

/// One host of two was disarmed for commit, and nothing was heard of the other's disarm.
fn split() -> World {
    let mut world = dies_before(0, disarm);
    let at = world.until(0, disarm);
    world.end_step(at, Fault::None);
    assert!(matches!(world.machines[0].guard, GuardState::Disarmed { .. }));
    world.strays.clear();
    world.now.pending.clear();
    world
}

fn all_on(world: &World, name: &str) {
    for machine in &world.machines {
        assert_eq!(machine.systems, Systems::all(&system(name)), "{machine:#?}");
        assert_eq!((machine.guard.clone(), machine.lease), (GuardState::None, None), "not cleaned");
    }
}

fn steps(world: &World) -> Vec<(usize, &Step)> {
    world.now.pending.iter().map(|(host, step)| (host.0, step)).collect()
}

/// A disk that is full when a recovery wants to announce its disarm: who was through already is taken back with the
/// others, and is not called committed.
#[test]
fn who_was_through_is_taken_back_when_the_disarm_cannot_be_announced() {
    let mut world = split();
    world.recover(true);
    world.until(1, disarm);
    // The entry before it could not be written, so it was not sent.
    world.now.pending.clear();
    world.give(Input::RecordFailed { why: "no space".to_owned() });
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    all_on(&world, "old");
}

// Rule 1: a higher epoch on every host before anything else.

#[test]
fn nothing_is_sent_before_every_host_is_taken_over() {
    let mut world = dies_before(0, login);
    world.recover(true);
    for _ in 0..2 {
        let steps = steps(&world);
        assert!(steps.iter().all(|(_, step)| take_over(step)), "{steps:?}");
        assert_eq!(world.now.entries.last(), Some(&Entry::Testing), "nothing is decided yet");
        world.end_step(0, Fault::None);
    }
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    all_on(&world, "old");
}

#[test]
fn of_two_who_recover_at_once_exactly_one_goes_on() {
    let mut world = dies_before(0, login);
    world.recover(true);
    let first: Coordinator = world.recover(true);
    // Both were begun before either had been heard of: the same epoch, and only one can have it.
    let second = std::mem::replace(&mut world.now, first);
    assert_eq!(steps(&world), [(0, &Step::TakeOver { by_guard: false })], "the first host is taken alone");
    world.now.epoch = second.epoch;
    world.end_step(0, Fault::None);
    let first = std::mem::replace(&mut world.now, second);
    world.now.epoch -= 1;
    world.end_step(0, Fault::None);
    assert_eq!(steps(&world), [(1, &Step::Ask)], "the host is held by the first");
    let second = std::mem::replace(&mut world.now, first);
    world.end_step(0, Fault::None);
    let first = std::mem::replace(&mut world.now, second);
    assert_eq!(world.run_to_end().outcome, Outcome::Superseded);
    world.now = first;
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
}

#[test]
fn a_coordinator_that_was_asleep_is_superseded_and_takes_no_further_step() {
    let mut world = dies_before(1, job(JobKind::Switch));
    let sleeper = world.recover(true);
    world.until(0, login);
    let recovery = std::mem::replace(&mut world.now, sleeper);
    let systems: Vec<Systems> = world.machines.iter().map(|machine| machine.systems.clone()).collect();
    assert_eq!(world.run_to_end().outcome, Outcome::Superseded);
    assert_eq!(world.now.entries.last(), Some(&Entry::Finished { outcome: Outcome::Superseded }));
    assert_eq!(systems, world.machines.iter().map(|machine| machine.systems.clone()).collect::<Vec<_>>());
    world.now = recovery;
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    all_on(&world, "new");
}

#[test]
fn a_coordinator_that_wakes_when_all_is_done_and_cleaned_is_superseded_too() {
    for wanted in [login as fn(&Step) -> bool, |step| job(JobKind::Switch)(step), disarm] {
        let mut world = dies_before(1, wanted);
        let sleeper = world.recover(true);
        let ended = world.run_to_end().outcome;
        world.now = sleeper;
        assert_eq!(world.run_to_end().outcome, Outcome::Superseded);
        all_on(&world, if ended == Outcome::Committed { "new" } else { "old" });
    }
}

#[test]
fn a_recovery_that_slept_while_another_ended_the_run_asks_again_who_was_not_through() {
    let mut world = dies_before(0, login);
    world.recover(true);
    world.end_step(0, Fault::None);
    assert!(matches!(world.machines[0].guard, GuardState::Armed { .. }), "found so");
    let sleeper = world.recover(true);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    world.now = sleeper;
    assert_eq!(steps(&world), [(1, &Step::TakeOver { by_guard: false })]);
    assert_eq!(world.run_to_end().outcome, Outcome::Superseded);
    all_on(&world, "old");
}

#[test]
fn a_host_that_another_run_holds_is_not_touched_and_is_named() {
    let mut world = dies_before(0, login);
    world.recover(true);
    let at = world.until(1, take_over);
    world.end_step(at, Fault::Fails);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    let HostOutcome::Lost { why } = &verdict.hosts[1].1 else { panic!("{verdict:?}") };
    assert!(why.to_string().contains("another run holds this host"), "{why}");
    assert_eq!(verdict.hosts[0].1, HostOutcome::RolledBack { by_guard: false });
}

// Rule 2: not every host fenced and no record: nothing is done until the latest deadline.

#[test]
fn without_a_record_a_silent_host_is_waited_for_before_anything_is_done() {
    let mut world = dies_before(0, login);
    world.machines[1].dead = true;
    world.recover(false);
    world.end_step(0, Fault::None);
    world.end_step(0, Fault::None);
    assert_eq!(steps(&world), []);
    assert_eq!(world.now.timers.iter().collect::<Vec<_>>(), [&Timer::GuardsOver]);
    world.machines[1].dead = false;
    // Both guards fire meanwhile; then both are asked again.
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!((world.machines[0].boots, world.machines[1].boots), (1, 1));
    all_on(&world, "old");
}

#[test]
fn without_a_record_a_host_that_stays_silent_is_named_and_the_others_go_back() {
    let mut world = split();
    world.machines[1].dead = true;
    world.machines[0].guard = GuardState::Armed { run: "run".to_owned(), deadline: 900 };
    world.recover(false);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert!(matches!(verdict.hosts[1].1, HostOutcome::Lost { .. }), "{verdict:?}");
    assert_eq!(verdict.gone, [verdict.hosts[1].0.clone()], "who could be left out");
    assert_eq!(world.machines[0].systems, Systems::all(&system("old")));
}

#[test]
fn with_the_record_a_silent_host_is_taken_over_as_soon_as_it_answers() {
    let mut world = dies_before(0, login);
    world.machines[1].dead = true;
    world.recover(true);
    let at = world.until(1, |step| *step == Step::TakeOver { by_guard: true });
    world.machines[1].dead = false;
    world.end_step(at, Fault::None);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(world.machines[1].boots, 0, "taken back from here, not by its guard");
    all_on(&world, "old");
}

/// The coordinator that began the run may only sleep, with an arm command under way to a host that is not fenced: that
/// this one is on its old system and without a guard says nothing then.
#[test]
fn a_host_that_was_given_up_counts_only_once_it_is_fenced() {
    let mut world = dies_before(1, arm);
    world.machines[1].dead = true;
    world.recover(true);
    let at = world.until(1, |step| *step == Step::TakeOver { by_guard: true });
    world.end_step(at, Fault::None);
    world.machines[1].dead = false;
    world.until(1, |step| matches!(step, Step::Clean { .. }));
    let late = world.strays.iter().position(|(host, step, _)| host.0 == 1 && arm(step)).expect("it is under way");
    world.stray_arrives(late);
    assert_eq!(world.machines[1].guard, GuardState::None);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    all_on(&world, "old");
}

#[test]
fn without_a_record_a_silent_host_is_asked_once_more_before_it_is_called_a_split() {
    let mut world = dies_before(0, login);
    world.machines[1].dead = true;
    world.recover(false);
    // The others are still being proven.
    world.until(0, login);
    world.machines[1].dead = false;
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    all_on(&world, "old");
}

#[test]
fn a_host_of_which_nobody_knows_what_it_ran_has_not_moved_on() {
    let mut world = dies_before(0, login);
    world.fire(1);
    let mut plan = Plan::clone(&world.plan);
    (plan.hosts[1].old, plan.hosts[1].new) = (Systems::all(&Systems::not_known()), Systems::not_known());
    world.plan = Arc::new(plan);
    world.recover(false);
    let verdict = world.run_to_end();
    assert!(matches!(verdict.hosts[1].1, HostOutcome::Lost { .. }), "{verdict:?}");
    assert!(world.machines[1].roots, "what it ran before is still to be read there");
}

#[test]
fn a_signal_while_guards_are_waited_for_leaves_everything_as_it_was() {
    let mut world = dies_before(0, login);
    world.machines[1].dead = true;
    world.recover(false);
    world.end_step(0, Fault::None);
    world.end_step(0, Fault::None);
    world.give(Input::CancelRequested(Signal::Sigint));
    let verdict = world.now.verdict.clone().expect("it ends at once");
    assert_eq!((verdict.outcome, verdict.interrupted), (Outcome::Left, Some(Signal::Sigint)));
    assert!(verdict.hosts.iter().all(|(_, end)| matches!(end, HostOutcome::Left { .. })), "{verdict:?}");
    assert!(
        !world.now.entries.iter().any(|entry| matches!(entry, Entry::Finished { .. })),
        "it has not come to its end"
    );
    assert!(matches!(world.machines[0].guard, GuardState::Armed { .. }));
}

// Rule 3: without the record it is an abort, unless some host was disarmed by this run.

#[test]
fn a_decided_run_goes_forward_with_its_record_and_back_without() {
    let forward = (Outcome::Committed, "every host runs what it was to run");
    let back = (Outcome::RolledBack, "the interrupted run is undone: its record is not here, and no host is committed");
    for (record, (outcome, text), on) in [(true, forward, "new"), (false, back, "old")] {
        let mut world = dies_before(0, job(JobKind::Switch));
        world.recover(record);
        let verdict = world.run_to_end();
        assert_eq!(verdict.outcome, outcome, "record: {record}");
        assert!(verdict.text.to_string().starts_with(text), "{}", verdict.text);
        all_on(&world, on);
    }
}

#[test]
fn without_a_record_a_disarmed_host_takes_the_others_forward() {
    let mut world = split();
    world.recover(false);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    all_on(&world, "new");
}

#[test]
fn a_run_that_had_not_decided_goes_back() {
    for wanted in [arm as fn(&Step) -> bool, |step| job(JobKind::Test)(step), login] {
        let mut world = dies_before(1, wanted);
        world.recover(true);
        let verdict = world.run_to_end();
        let on: Vec<&Systems> = world.machines.iter().map(|machine| &machine.systems).collect();
        assert_eq!(on, [&Systems::all(&system("old")); 2]);
        assert!(matches!(verdict.outcome, Outcome::RolledBack | Outcome::Refused), "{verdict:?}");
        let undone = "the interrupted run is undone: it had not come to the decision to commit";
        assert!(verdict.text.to_string().starts_with(undone), "{}", verdict.text);
    }
}

#[test]
fn a_roll_back_that_was_begun_goes_on() {
    let mut world = dies_before(0, job(JobKind::Switch));
    let at = world.until(0, job(JobKind::Switch));
    world.end_step(at, Fault::Fails);
    world.until(0, job(JobKind::Rollback));
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(said(&verdict), "the interrupted run is undone: it was being rolled back already");
    all_on(&world, "old");
}

// Rule 4: forward only after verify has passed again.

#[test]
fn a_decided_run_whose_links_are_down_now_goes_back() {
    let mut world = dies_before(0, job(JobKind::Switch));
    world.links_up = false;
    world.recover(true);
    world.until(0, login);
    assert!(!steps(&world).iter().any(|(_, step)| job(JobKind::Switch)(step)));
    while !world.now.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    world.end_round();
    world.elapse(Timer::Settle);
    world.links_up = true;
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    all_on(&world, "old");
}

// Rule 5: a host to be rolled back that has no guard is armed first.

#[test]
fn a_disarmed_host_that_must_go_back_is_armed_first() {
    let mut world = split();
    world.fire(1);
    world.recover(true);
    let at = world.until(0, arm);
    assert!(!world.now.entries.contains(&Entry::Finished { outcome: Outcome::Split }));
    world.end_step(at, Fault::None);
    world.until(0, job(JobKind::Rollback));
    let verdict = world.run_to_end();
    let ends: Vec<&HostOutcome> = verdict.hosts.iter().map(|(_, end)| end).collect();
    assert_eq!(ends, [&HostOutcome::RolledBack { by_guard: false }, &HostOutcome::RolledBack { by_guard: true }]);
    all_on(&world, "old");
}

// Rule 6: after a split it goes the way that needs only reachable hosts.

#[test]
fn hosts_that_are_all_on_new_stay_there_although_one_does_not_answer() {
    let mut world = split();
    world.machines[1].dead = true;
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert_eq!(verdict.hosts[0].1, HostOutcome::Committed);
    assert!(matches!(verdict.hosts[1].1, HostOutcome::Lost { .. }));
    // Nothing was cleaned: the next recovery finds everything.
    world.machines[1].dead = false;
    world.recover(true);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    all_on(&world, "new");
}

// Rule 7: what is found after a reboot is known as ours.

#[test]
fn a_profile_that_is_ahead_of_the_boot_default_is_put_back() {
    let mut world = dies_before(1, job(JobKind::Switch));
    world.machines[1].systems.profile = system("new");
    world.machines[1].traces.switching = true;
    world.restart(1);
    assert_eq!(world.machines[1].systems.boot_default, system("old"));
    world.recover(false);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    all_on(&world, "old");
}

#[test]
fn a_host_that_restarted_by_itself_onto_its_new_system_takes_the_others_forward() {
    let mut world = dies_before(1, job(JobKind::Switch));
    let at = world.until(0, job(JobKind::Switch));
    world.end_step(at, Fault::None);
    world.restart(0);
    world.recover(true);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    all_on(&world, "new");
}

#[test]
fn a_system_that_is_neither_old_nor_new_is_left_alone() {
    let mut world = split();
    world.machines[0].systems = Systems::all(&system("by-hand"));
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Committed, "it hinders the others no more");
    assert_eq!(world.machines[0].systems, Systems::all(&system("by-hand")));
    assert_eq!(world.machines[1].systems, Systems::all(&system("new")));
}

// Nothing left to do.

#[test]
fn after_the_guards_have_fired_only_the_clean_up_is_left() {
    for record in [true, false] {
        let mut world = dies_before(0, login);
        world.fire(0);
        world.fire(1);
        world.recover(record);
        let verdict = world.run_to_end();
        let ends: Vec<&HostOutcome> = verdict.hosts.iter().map(|(_, end)| end).collect();
        assert_eq!(ends.contains(&&HostOutcome::Committed), false, "{verdict:?}");
        assert_eq!(verdict.outcome, Outcome::RolledBack);
        all_on(&world, "old");
    }
}

#[test]
fn a_guard_that_fired_before_anything_began_leaves_a_lease_that_is_cleaned_away() {
    let mut world = dies_before(1, arm);
    world.fire(0);
    assert_eq!(world.machines[0].guard, GuardState::Fired { run: "run".to_owned() });
    world.recover(true);
    assert_eq!(world.run_to_end().outcome, Outcome::Refused);
    all_on(&world, "old");
}

/// A guard that was armed by hand has no new system: what it has brought back was never committed.
#[test]
fn a_guard_by_hand_that_fired_has_brought_its_host_back() {
    let mut by_hand = Plan::clone(&plan(2, 2));
    for host in &mut by_hand.hosts {
        host.new = host.old.current.clone();
    }
    let mut world = World::new(Arc::new(by_hand));
    world.until(1, job(JobKind::Test));
    world.fire(0);
    world.fire(1);
    world.recover(true);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack, "{verdict:?}");
    all_on(&world, "old");
}

#[test]
fn a_run_that_died_in_its_clean_up_keeps_its_outcome() {
    let mut world = dies_before(1, |step| matches!(step, Step::Clean { .. }));
    world.end_step(0, Fault::None);
    // Another coordinator went on with this host in the meantime.
    world.machines[0].systems = Systems::all(&system("new"));
    world.recover(true);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    all_on(&world, "new");
}

#[test]
fn a_recovery_that_dies_is_recovered() {
    let mut world = split();
    world.fire(1);
    world.recover(true);
    world.until(0, job(JobKind::Rollback));
    world.recover(true);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    all_on(&world, "old");
}

#[test]
fn ctrl_c_in_the_verify_of_a_recovery_takes_it_back() {
    let mut world = dies_before(0, job(JobKind::Switch));
    world.recover(true);
    world.until(0, login);
    world.give(Input::CancelRequested(Signal::Sigterm));
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, verdict.interrupted), (Outcome::RolledBack, Some(Signal::Sigterm)));
    all_on(&world, "old");
}

#[test]
fn a_journal_is_read_as_the_latest_act_it_announces() {
    let of = |entries: &[Entry]| {
        let Recorded { reached, turned_back, finished, ended_without: _ } = Recorded::of(entries);
        (reached, turned_back, finished)
    };
    let back = Entry::RollingBack { reason: AnyReason::without_code("a link is down") };
    assert_eq!(of(&[]), (Reached::Nothing, false, None));
    assert_eq!(of(&[Entry::Arming, Entry::Testing]), (Reached::Testing, false, None));
    assert_eq!(of(&[Entry::Arming, Entry::Testing, Entry::Decided, back]), (Reached::Decided, true, None));
    let split = Entry::Finished { outcome: Outcome::Split };
    assert_eq!(of(&[Entry::Arming, Entry::Disarming, split]), (Reached::Disarming, false, Some(Outcome::Split)));
    let superseded = Entry::Finished { outcome: Outcome::Superseded };
    assert_eq!(of(&[Entry::Arming, superseded]), (Reached::Unknown, false, None), "somebody went on elsewhere");
}

/// As a guard by hand leaves it, that was disarmed on one host and has fired on the other.
#[test]
fn where_old_and_new_are_one_a_host_that_was_cleaned_and_one_that_was_brought_back_are_on_one_side() {
    let mut by_hand = Plan::clone(&plan(2, 2));
    by_hand.hosts.iter_mut().for_each(|host| host.new = system("old"));
    let mut world = World::new(Arc::new(by_hand));
    world.until(0, job(JobKind::Test));
    world.now.pending.clear();
    let cleaned = &mut world.machines[0];
    (cleaned.lease, cleaned.roots, cleaned.guard) = (None, false, GuardState::None);
    world.machines[1].restart();
    world.recover(false);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack, "{verdict:?}");
    assert!(world.machines.iter().all(|machine| !machine.roots && machine.lease.is_none()));
    let since = world.sent.iter().rev().take_while(|(_, step)| !job(JobKind::Test)(step));
    let moves = |step: &Step| arm(step) || matches!(step, Step::Job { .. });
    assert_eq!(since.filter(|(_, step)| moves(step)).count(), 0);
}

/// Its first round was dropped together with the entry, so nobody would ever tell how that ended.
#[test]
fn a_recovery_whose_decision_cannot_be_written_looks_at_the_links_on_its_way_back() {
    let mut world = World::new(plan(2, 2));
    world.until(0, job(JobKind::Switch));
    world.end_steps();
    for host in 0..2 {
        world.restart(host);
    }
    world.recover(true);
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.end_steps();
    world.disk_full = true;
    while world.disk_full {
        world.go_on();
    }
    assert!(world.now.entries.iter().any(|entry| matches!(entry, Entry::RollingBack { .. })));
    while !world.now.probe {
        world.end_step(0, Fault::None);
    }
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
}
