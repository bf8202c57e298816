//! A host is believed about itself only: one that says that it is not this run's any more, by named scenarios.

use pretty_assertions::assert_eq;

use super::machine::{job, plan, system};
use super::world::{Fault, World};
use crate::decide::transaction::recover::{Reached, Recorded};
use crate::decide::vocabulary::{Answer, Disowned, Entry, Input, Signal, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::reason::recover::ClaimDoubt;
use crate::event::{HostOutcome, Outcome};
use crate::facts::host::{GuardState, JobKind};
use crate::facts::plan::HostId;
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use crate::facts::systems::Systems;

const LIES: [RefusalReason; 3] = [RefusalReason::Superseded, RefusalReason::Ended, RefusalReason::ForeignLease];

fn take_over(step: &Step) -> bool {
    matches!(step, Step::TakeOver { .. })
}

fn login(step: &Step) -> bool {
    matches!(step, Step::Login { .. })
}

fn disarm(step: &Step) -> bool {
    matches!(step, Step::Disarm { .. })
}

/// The step at this place of those that are out is not carried out, and refused with this reason.
fn refuses(world: &mut World, at: usize, reason: RefusalReason) {
    let (host, step) = world.now.pending.remove(at);
    let standing = world.machines[host.0].standing(world.plan.host(host));
    let outcome = StepOutcome::Refused { reason, text: "ada@desktop has taken this run over".to_owned() };
    let answer = Answer::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }));
    world.give(Input::Answered { host, step, answer });
}

/// Goes on well until the end, but for the host that lies whenever it is asked.
fn ends_with_a_liar(world: &mut World, liar: usize, reason: RefusalReason) -> Outcome {
    for _ in 0..1000 {
        if let Some(verdict) = &world.now.verdict {
            return verdict.outcome;
        }
        match world.now.pending.iter().position(|(host, _)| host.0 == liar) {
            Some(at) => refuses(world, at, reason),
            None => world.go_on(),
        }
    }
    panic!("does not end: {:#?}", world.now);
}

fn ends(world: &World) -> Vec<HostOutcome> {
    world.now.verdict.iter().flat_map(|verdict| &verdict.hosts).map(|(_, end)| end.clone()).collect()
}

fn is_lost(end: &HostOutcome) -> bool {
    matches!(end, HostOutcome::Lost { .. })
}

const BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };

fn old() -> Systems {
    Systems::all(&system("old"))
}

#[test]
fn one_word_loses_that_host_and_the_others_are_taken_back() {
    type Wanted = fn(&Step) -> bool;
    let stages: [(&str, Wanted); 4] = [
        ("test", |step| job(JobKind::Test)(step)),
        ("verify", login),
        ("switch", |step| job(JobKind::Switch)(step)),
        ("roll back", |step| job(JobKind::Rollback)(step)),
    ];
    for (stage, wanted) in stages {
        for reason in LIES {
            if reason != RefusalReason::Superseded && stage == "verify" {
                // A login is refused by no fence.
                continue;
            }
            let context = format!("{stage} {reason:?}");
            let mut world = World::new(plan(3, 3));
            if stage == "roll back" {
                world.until(0, login);
                world.give(Input::CancelRequested(Signal::Sigint));
            }
            let at = world.until(2, wanted);
            refuses(&mut world, at, reason);
            assert_eq!(ends_with_a_liar(&mut world, 2, reason), Outcome::Split, "{context}");
            let ends = ends(&world);
            assert!(ends[..2] == [BACK, BACK] && is_lost(&ends[2]), "{context}: {ends:?}");
            for machine in &world.machines[..2] {
                assert_eq!((&machine.systems, machine.boots), (&old(), 0), "{context}");
                assert!(
                    matches!(machine.guard, GuardState::Disarmed { .. }) && machine.roots,
                    "{context}: {machine:?}"
                );
            }
            assert!(world.now.entries.iter().any(|entry| matches!(entry, Entry::HostLost { .. })), "{context}");
        }
    }
}

#[test]
fn a_second_word_ends_it_at_once_and_nothing_more_is_sent() {
    let mut world = World::new(plan(3, 3));
    let at = world.until(2, login);
    refuses(&mut world, at, RefusalReason::Superseded);
    let at = world.until(1, job(JobKind::Rollback));
    refuses(&mut world, at, RefusalReason::Ended);
    let verdict = world.now.verdict.clone().expect("it ends at once");
    assert_eq!(verdict.outcome, Outcome::Superseded);
    assert!(verdict.hosts.iter().all(|(_, end)| is_lost(end)), "{verdict:?}");
}

#[test]
fn where_nothing_was_tested_it_is_a_refusal_like_any_other() {
    for reason in [RefusalReason::Superseded, RefusalReason::ForeignGuard, RefusalReason::BadArgument] {
        let mut world = World::new(plan(3, 3));
        let at = world.until(2, |step| matches!(step, Step::Arm { .. }));
        refuses(&mut world, at, reason);
        assert_eq!(ends_with_a_liar(&mut world, 2, reason), Outcome::Refused, "{reason:?}");
        for machine in &world.machines[..2] {
            assert_eq!((&machine.guard, machine.roots), (&GuardState::None, false), "{reason:?}");
        }
    }
}

/// The signal comes among the disarms, after a host has said that it is not this run's any more.
#[test]
fn a_signal_in_doubt_is_answered_and_changes_nothing() {
    let run = |interrupted: bool| {
        let mut world = World::new(plan(3, 3));
        let at = world.until(2, disarm);
        refuses(&mut world, at, RefusalReason::Superseded);
        let before = world.warnings.len();
        if interrupted {
            world.give(Input::CancelRequested(Signal::Sigint));
            let said = "it is asked what has become of each guard";
            assert!(world.warnings[before..].iter().any(|text| text.contains(said)), "{:?}", world.warnings);
        }
        let outcome = ends_with_a_liar(&mut world, 2, RefusalReason::Superseded);
        (outcome, ends(&world))
    };
    let (outcome, hosts) = run(true);
    assert_eq!((outcome, &hosts), (run(false).0, &run(false).1));
    assert_eq!(hosts[..2], [HostOutcome::Committed, HostOutcome::Committed]);
    assert!(is_lost(&hosts[2]), "{hosts:?}");
}

/// Only a run that changes a host ever holds it.
#[test]
fn a_witness_cannot_say_that_the_run_was_taken_over() {
    let mut world = World::new(plan(3, 2));
    let at = world.until(2, login);
    refuses(&mut world, at, RefusalReason::Superseded);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

/// Another coordinator may have ended the run forward: a host that came up by itself, without a guard, is left where it
/// is.
#[test]
fn in_doubt_no_host_is_armed_again() {
    for doubted in [false, true] {
        let mut world = World::new(plan(3, 3));
        let at = world.until(2, job(JobKind::Switch));
        world.end_step(at, Fault::None);
        let at = world.until(1, job(JobKind::Switch));
        world.end_step(at, Fault::None);
        world.restart(1);
        world.give(Input::RecordFailed { why: "turns back".to_owned() });
        if doubted {
            let at = world.until(2, job(JobKind::Rollback));
            refuses(&mut world, at, RefusalReason::Superseded);
        }
        ends_with_a_liar(&mut world, if doubted { 2 } else { 9 }, RefusalReason::Superseded);
        let armed_again = world.sent.iter().filter(|(host, step)| host.0 == 1 && matches!(step, Step::Arm { .. }));
        assert_eq!(armed_again.count(), if doubted { 1 } else { 2 });
        assert_eq!(world.machines[1].systems == old(), !doubted);
        assert_eq!(is_lost(&ends(&world)[1]), doubted);
    }
}

#[test]
fn in_doubt_a_lost_disarm_is_sent_again_only_once_another_is_known_to_be_done() {
    let mut world = World::new(plan(3, 3));
    world.until(2, disarm);
    let lost = Input::ContactLost { host: HostId(1), why: Cause::NoTimeToAsk };
    world.give(lost);
    let at = world.until(2, disarm);
    refuses(&mut world, at, RefusalReason::Superseded);
    let sent = |world: &World, host: usize| {
        world.now.pending.iter().find(|(id, _)| id.0 == host).map(|(_, step)| step.clone())
    };
    assert!(matches!(sent(&world, 1), Some(Step::Return { .. })), "{:?}", world.now.pending);
    assert!(matches!(sent(&world, 0), Some(Step::Disarm { .. })), "its answer is out: {:?}", world.now.pending);
    let at = world.until(0, disarm);
    world.end_step(at, Fault::None);
    assert!(matches!(sent(&world, 1), Some(Step::Disarm { .. })), "{:?}", world.now.pending);
    assert_eq!(world.run_to_end().outcome, Outcome::Split);
    let ends = ends(&world);
    assert!(ends[..2] == [HostOutcome::Committed, HostOutcome::Committed] && is_lost(&ends[2]), "{ends:?}");
}

#[test]
fn after_one_word_the_record_may_not_tell_all() {
    let lost = Entry::HostLost {
        host: plan(1, 1).hosts[0].name.clone(),
        says: Disowned::SupersededByAnother { said: String::new() }.into(),
    };
    let entries = [Entry::Arming, Entry::Testing, Entry::Decided, lost];
    assert_eq!(Recorded::of(&entries).reached, Reached::Unknown);
}

// Recoveries.

/// A push dies in its verify, and its three hosts are to be recovered.
fn dies() -> World {
    let mut world = World::new(plan(3, 3));
    world.until(2, login);
    world
}

/// Another coordinator has taken the first host and died.
fn taken_by_another() -> World {
    let mut world = dies();
    world.recover(true);
    let at = world.until(0, take_over);
    world.end_step(at, Fault::None);
    let another = world.recover(true);
    world.strays.clear();
    // This one had begun before.
    world.now.epoch = another.epoch - 1;
    world
}

#[test]
fn a_recovery_that_is_refused_asks_the_others_and_takes_none_of_them() {
    let mut world = taken_by_another();
    let at = world.until(0, take_over);
    world.end_step(at, Fault::None);
    let asked: Vec<&Step> = world.now.pending.iter().map(|(_, step)| step).collect();
    assert_eq!(asked, [&Step::Ask, &Step::Ask]);
    world.end_step(0, Fault::None);
    world.end_step(0, Fault::None);
    assert_eq!(world.now.timers.iter().collect::<Vec<_>>(), [&Timer::AskAgain]);
    // No other coordinator is there: it bids more, at the refusing host last.
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    let taken = world.sent.iter().filter(|(_, step)| take_over(step)).map(|(host, _)| host.0);
    assert_eq!(taken.collect::<Vec<_>>()[4..], [1, 2, 0]);
    for machine in &world.machines {
        assert_eq!((&machine.systems, machine.boots, machine.roots), (&old(), 0, false));
    }
}

#[test]
fn a_recovery_that_meets_another_on_a_second_host_leaves_the_run_to_it() {
    let mut world = taken_by_another();
    let at = world.until(0, take_over);
    world.end_step(at, Fault::None);
    world.machines[2].lease = Some(world.now.epoch + 1);
    assert_eq!(world.run_to_end().outcome, Outcome::Superseded);
    assert!(world.machines.iter().all(|machine| matches!(machine.guard, GuardState::Armed { .. })));
}

#[test]
fn a_host_that_refuses_every_bid_is_lost_alone_and_the_others_go_back() {
    for liar in 0..3 {
        let mut world = World::new(plan(3, 3));
        world.until(2, job(JobKind::Switch));
        world.recover(true);
        assert_eq!(ends_with_a_liar(&mut world, liar, RefusalReason::Superseded), Outcome::Split);
        let ends = ends(&world);
        for host in 0..3 {
            assert_eq!(is_lost(&ends[host]), host == liar, "{liar}: {ends:?}");
            let machine = &world.machines[host];
            assert!(host == liar || machine.systems == old() && machine.boots == 0, "{liar}: {machine:?}");
        }
    }
}

#[test]
fn a_host_that_says_it_was_ended_beside_guarded_ones_tells_only_of_itself() {
    for liar in 0..3 {
        let mut world = dies();
        world.recover(true);
        ends_with_a_liar(&mut world, liar, RefusalReason::Ended);
        for host in (0..3).filter(|host| *host != liar) {
            let machine = &world.machines[host];
            assert_eq!((&machine.systems, machine.boots), (&old(), 0), "{liar}: {:?}", world.now.verdict);
            assert!(!matches!(machine.guard, GuardState::Armed { .. }));
        }
    }
}

#[test]
fn an_asked_host_that_holds_nothing_of_the_run_proves_nobody_else() {
    let mut world = taken_by_another();
    let at = world.until(0, take_over);
    world.end_step(at, Fault::None);
    let at = world.until(1, |step| *step == Step::Ask);
    refuses(&mut world, at, RefusalReason::Ended);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
}

#[test]
fn a_signal_while_the_others_are_asked_leaves_everything_as_it_was() {
    let mut world = taken_by_another();
    let at = world.until(0, take_over);
    world.end_step(at, Fault::None);
    world.end_step(0, Fault::None);
    world.end_step(0, Fault::None);
    world.give(Input::CancelRequested(Signal::Sigint));
    let verdict = world.now.verdict.clone().expect("it ends at once");
    assert_eq!((verdict.outcome, verdict.interrupted), (Outcome::Left, Some(Signal::Sigint)));
    assert!(verdict.hosts.iter().all(|(_, end)| matches!(end, HostOutcome::Left { .. })), "{verdict:?}");
    assert!(!world.sent.iter().any(|(_, step)| matches!(step, Step::Clean { .. })));
}

/// `committed` is not said of a host that holds nothing of the run any more and is on old.
#[test]
fn a_host_that_was_cleaned_on_the_other_side_is_named() {
    let mut world = World::new(plan(2, 2));
    world.until(0, disarm);
    let at = world.until(1, disarm);
    world.end_step(at, Fault::None);
    world.fire(0);
    (world.machines[0].roots, world.machines[0].lease) = (false, None);
    world.recover(false);
    assert_eq!(world.run_to_end().outcome, Outcome::Split);
    let ends = ends(&world);
    assert!(is_lost(&ends[0]) && ends[1] == HostOutcome::Committed, "{ends:?}");
    assert!(!world.machines[1].roots, "what it keeps helps nobody");
}

#[test]
fn a_host_that_is_set_aside_is_left_as_it_is() {
    let mut world = dies();
    let mut transaction =
        crate::decide::transaction::Transaction::recover(std::sync::Arc::clone(&world.plan), Recorded::nowhere());
    transaction.set_aside(HostId(0), ClaimDoubt::NoHigherEpoch { epoch: u64::MAX });
    world.now.transaction = transaction;
    (world.now.epoch, world.now.probe) = (2, false);
    world.now.pending.clear();
    world.now.timers.clear();
    world.sent.clear();
    world.begin();
    assert_eq!(world.run_to_end().outcome, Outcome::Split);
    assert!(world.sent.iter().all(|(host, step)| host.0 != 0 || login(step)), "{:?}", world.sent);
    assert_eq!(ends(&world)[1..], [BACK, BACK]);
}

/// One host was disarmed, and taken back by a coordinator that has taken the run over, while the other's guard fired.
#[test]
fn who_was_disarmed_is_asked_once_more_before_it_is_called_committed_alone() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(0, disarm);
    world.end_step(at, Fault::None);
    world.machines[0].systems = old();
    world.machines[0].guard = GuardState::None;
    world.fire(1);
    world.run_to_end();
    let ends = ends(&world);
    assert!(ends.iter().all(|end| *end == HostOutcome::RolledBack { by_guard: true }), "{ends:?}");
}

#[test]
fn a_host_that_is_asked_once_more_and_silent_just_then_is_still_taken_back() {
    let mut world = World::new(plan(2, 2));
    world.until(0, login);
    world.recover(true);
    let at = world.until(0, take_over);
    refuses(&mut world, at, RefusalReason::Ended);
    let at = world.until(1, take_over);
    world.end_step(at, Fault::None);
    // The other says that it was cleaned: this one was not through, and is asked again.
    let at = world.until(1, take_over);
    let (host, step) = world.now.pending.remove(at);
    world.give(Input::Answered { host, step, answer: Answer::Unknown { why: Cause::NoTimeToAsk } });
    assert!(world.now.pending.iter().any(|(host, step)| host.0 == 1 && job(JobKind::Rollback)(step)));
    world.run_to_end();
    assert_eq!(world.machines[1].systems, old());
    assert_eq!((ends(&world)[1].clone(), world.machines[1].boots), (BACK, 0));
}
