//! A push, by named scenarios.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;

use super::machine::{job, plan, system};
use super::world::{Fault, World, said};
use crate::decide::asking::Continuity;
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, Signal, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::{Event, HostOutcome, Outcome};
use crate::facts::host::{GuardState, JobKind};
use crate::facts::links::{Link, LinkAnswer};
use crate::facts::plan::{HostId, LoginBefore, Plan};
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use crate::facts::systems::Systems;
use crate::facts::traces::{EndMark, EndSide};
use crate::inventory::model::Place;

#[test]
fn a_good_change_is_committed_everywhere() {
    let mut world = World::new(plan(3, 2));
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Committed, "{verdict:?}");
    let ends: Vec<HostOutcome> = verdict.hosts.into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, [HostOutcome::Committed, HostOutcome::Committed, HostOutcome::Witness]);
    assert_eq!(world.machines[1].systems, Systems::all(&system("new")));
    assert_eq!(
        world.now.entries,
        [
            Entry::Arming,
            Entry::Testing,
            Entry::Decided,
            Entry::Disarming,
            Entry::Finished { outcome: Outcome::Committed }
        ]
    );
}

#[test]
fn a_host_behind_a_jump_is_tested_before_the_jump() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, job(JobKind::Test));
    assert!(!world.now.pending.iter().any(|(host, _)| host.0 == 0), "{:?}", world.now.pending);
    world.give(Input::Started { host: HostId(1) });
    assert!(world.now.pending.iter().any(|(host, step)| host.0 == 0 && job(JobKind::Test)(step)));
    world.end_step(at, Fault::None);
}

/// `host0`, the jump, is through with its test, and the way to `host1` is gone in the middle of its own.
fn cut_off_by_the_jump() -> World {
    let mut world = World::new(plan(2, 2));
    world.until(1, job(JobKind::Test));
    world.give(Input::Started { host: HostId(1) });
    world.give(Input::ContactLost { host: HostId(1), why: Cause::NoTimeToAsk });
    assert!(!world.now.timers.contains(&Timer::Settle), "the jump is still at work");
    let at = world.until(0, job(JobKind::Test));
    world.end_step(at, Fault::None);
    assert!(world.now.timers.contains(&Timer::Settle), "nothing else is waited for");
    world
}

#[test]
fn a_host_that_stays_silent_when_all_others_are_through_turns_the_push_back_after_the_settle_time() {
    let mut world = cut_off_by_the_jump();
    world.elapse(Timer::Settle);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.to_string().starts_with("test failed on host1: it is out of reach"), "{}", verdict.text);
}

#[test]
fn a_silent_host_that_is_back_has_its_whole_time_again() {
    let mut world = cut_off_by_the_jump();
    world.give(Input::Started { host: HostId(1) });
    assert!(!world.now.timers.contains(&Timer::Settle));
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn when_every_host_is_silent_nothing_is_turned_back() {
    let mut world = World::new(plan(2, 2));
    world.until(1, job(JobKind::Test));
    world.give(Input::ContactLost { host: HostId(1), why: Cause::NoTimeToAsk });
    world.until(0, job(JobKind::Test));
    world.give(Input::ContactLost { host: HostId(0), why: Cause::NoTimeToAsk });
    assert!(!world.now.timers.contains(&Timer::Settle), "this workstation may be the one that is gone");
}

#[test]
fn a_foreign_lease_on_one_host_refuses_and_leaves_no_guard() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Arm { .. }));
    world.end_step(at, Fault::Fails);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Refused);
    assert_eq!(world.machines[0].guard, GuardState::None);
    assert_eq!(world.machines[1].guard, GuardState::None);
}

#[test]
fn links_that_stay_down_roll_every_host_back() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.links_up = false;
    while !world.now.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    world.end_round();
    world.elapse(Timer::Settle);
    world.links_up = true;
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.to_string().starts_with("links are down: host0 -> host1 (ping"), "{}", verdict.text);
    assert_eq!(world.machines[0].systems, Systems::all(&system("old")));
    assert_eq!((world.machines[0].boots, world.machines[1].boots), (0, 0), "nobody needed to reboot");
}

#[test]
fn the_way_back_has_its_time_from_the_first_round_that_looks_at_it() {
    let mut world = World::new(plan(2, 2));
    all_log_in(&mut world);
    world.links_up = false;
    world.end_round();
    world.elapse(Timer::RoundPause);
    world.elapse(Timer::Settle);
    while !world.now.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    // A round that began before the roll back is still under way.
    world.elapse(Timer::SettleBack);
    world.end_round();
    assert!(world.now.timers.contains(&Timer::SettleBack));
    world.end_round();
    world.links_up = true;
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    assert_eq!((world.machines[0].boots, world.machines[1].boots), (0, 0), "nobody needed to reboot");
}

#[test]
fn a_settle_time_that_ends_between_rounds_that_hold_lets_them_end() {
    let mut world = World::new(plan(2, 2));
    all_log_in(&mut world);
    world.end_round();
    world.elapse(Timer::Settle);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn a_round_that_breaks_after_the_settle_time_rolls_back_at_once() {
    let mut world = World::new(plan(2, 2));
    all_log_in(&mut world);
    world.end_round();
    world.elapse(Timer::Settle);
    assert!(world.now.probe, "a round that proves something is followed by the next one at once");
    world.links_up = false;
    world.end_round();
    world.links_up = true;
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.to_string().starts_with("links are down: host0 -> host1 (ping"), "{}", verdict.text);
}

#[test]
fn a_host_that_cannot_be_reached_is_awaited_until_its_guard_has_brought_it_back() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, job(JobKind::Test));
    world.end_step(at, Fault::LostReply);
    let at = world.until(1, job(JobKind::Rollback));
    world.end_step(at, Fault::LostCommand);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(verdict.hosts[1].1, HostOutcome::RolledBack { by_guard: true });
    assert_eq!((world.machines[0].boots, world.machines[1].boots), (0, 1));
}

#[test]
fn a_boot_loader_that_cannot_be_installed_on_one_host_rolls_both_back() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(0, job(JobKind::Switch));
    world.end_step(at, Fault::Fails);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    for machine in &world.machines {
        assert_eq!(machine.systems, Systems::all(&system("old")));
    }
}

#[test]
fn ctrl_c_rolls_back_before_the_decision_and_not_after_it() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.give(Input::CancelRequested(Signal::Sigint));
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, verdict.interrupted), (Outcome::RolledBack, Some(Signal::Sigint)));

    let mut world = World::new(plan(2, 2));
    world.until(0, job(JobKind::Switch));
    world.give(Input::CancelRequested(Signal::Sigint));
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, verdict.interrupted), (Outcome::Committed, None));
}

/// The next one leaves: a person must know that the first was heard.
#[test]
fn ctrl_c_while_the_hosts_go_back_is_heard_and_changes_nothing() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, job(JobKind::Test));
    world.end_step(at, Fault::Fails);
    world.until(1, job(JobKind::Rollback));
    world.give(Input::CancelRequested(Signal::Sigint));
    let told = "SIGINT: it is going back already, and goes on; one more leaves what is not back to its guard";
    assert_eq!(world.warnings, [told]);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, verdict.interrupted), (Outcome::RolledBack, None));
}

#[test]
fn a_guard_that_fired_before_its_disarm_makes_a_split() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Disarm { .. }));
    world.end_step(at, Fault::Fires);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert!(matches!(verdict.hosts[1].1, HostOutcome::Lost { .. }));
}

#[test]
fn guards_that_all_fired_before_their_disarm_have_rolled_the_push_back() {
    let mut world = World::new(plan(2, 2));
    world.until(1, |step| matches!(step, Step::Disarm { .. }));
    while let Some(at) = world.now.pending.iter().position(|(_, step)| matches!(step, Step::Disarm { .. })) {
        world.end_step(at, Fault::Fires);
    }
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(verdict.hosts[0].1, HostOutcome::RolledBack { by_guard: true });
    assert_eq!(world.machines[1].systems, Systems::all(&system("old")));
}

#[test]
fn an_entry_that_cannot_be_written_is_not_followed_by_its_act() {
    let mut world = World::new(plan(2, 2));
    world.until(0, job(JobKind::Test));
    world.give(Input::RecordFailed { why: "no space".to_owned() });
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
}

/// A copy of the command armed it, and its time is over already: the workstation slept in between.
#[test]
fn a_guard_that_fires_while_its_arm_command_is_out_is_waited_for() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Arm { .. }));
    let (host, step) = world.now.pending.remove(at);
    world.machines[1].lease = Some(1);
    world.machines[1].guard = GuardState::Firing { run: "run".to_owned() };
    let outcome = StepOutcome::Refused { reason: RefusalReason::Fired, text: String::new() };
    let standing = world.machines[1].standing(&world.plan.hosts[1]);
    let answer = Answer::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }));
    world.give(Input::Answered { host, step, answer });
    world.until(1, |step| matches!(step, Step::Return { .. }));
    assert_eq!(world.now.verdict, None, "nothing is said while a guard is at work");
    world.machines[1].guard = GuardState::Fired { run: "run".to_owned() };
    assert_eq!(world.run_to_end().outcome, Outcome::Refused);
}

#[test]
fn a_host_that_is_lost_makes_no_other_host_reboot() {
    let mut world = World::new(plan(3, 3));
    let at = world.until(2, |step| matches!(step, Step::Login { .. }));
    world.end_step(at, Fault::Denied);
    let at = world.until(2, job(JobKind::Rollback));
    world.end_step(at, Fault::LostCommand);
    let at = world.until(2, |step| matches!(step, Step::Return { .. }));
    world.end_step(at, Fault::LostCommand);
    world.until(0, |step| matches!(step, Step::Login { .. }));
    let mut round = world.round();
    let lost = Some(world.plan.hosts[2].name.clone());
    let at_the_lost = |link: &Link| link.to_host == lost || lost.clone().map(Place::Host) == Some(link.from.clone());
    for (id, _) in world.plan.links.iter().enumerate().filter(|(_, link)| at_the_lost(link)) {
        round.answers.insert(id, LinkAnswer::Down { why: "no answer".to_owned() });
    }
    while !world.now.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    world.end_round_with(round);
    // The others have answered since: it is asked once more.
    let at = world.until(2, |step| matches!(step, Step::Return { .. }));
    world.end_step(at, Fault::LostCommand);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert_eq!(verdict.hosts[0].1, HostOutcome::RolledBack { by_guard: false });
    assert_eq!((world.machines[0].boots, world.machines[1].boots), (0, 0), "nobody needed to reboot");
}

#[test]
fn what_was_proven_before_the_boot_defaults_moved_stands_only_where_nothing_was_activated_again() {
    for (reactivates, last) in [(false, Continuity::KeepsConnections), (true, Continuity::Anew)] {
        let mut plan = Plan::clone(&plan(2, 2));
        plan.hosts[1].reactivate = reactivates;
        let mut world = World::new(Arc::new(plan));
        assert_eq!(world.run_to_end().outcome, Outcome::Committed);
        let begun: Vec<Continuity> = world.rounds.into_iter().filter(|one| *one != Continuity::GoesOn).collect();
        assert_eq!(begun, [Continuity::Anew, last]);
    }
}

#[test]
fn a_host_that_was_given_up_and_answers_once_the_others_are_back_makes_no_split() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Login { .. }));
    world.end_step(at, Fault::Denied);
    let at = world.until(1, job(JobKind::Rollback));
    world.end_step(at, Fault::LostCommand);
    let at = world.until(1, |step| matches!(step, Step::Return { .. }));
    world.end_step(at, Fault::LostCommand);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack, "{verdict:?}");
    assert_eq!(verdict.hosts[1].1, HostOutcome::RolledBack { by_guard: true });
}

fn all_log_in(world: &mut World) {
    world.until(0, |step| matches!(step, Step::Login { .. }));
    while !world.now.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
}

/// Rounds in which everything is up, and `host0` says how often a service of it was restarted.
fn seen_restarting(world: &mut World, counts: &[u64]) {
    for count in counts {
        let mut round = world.round();
        let host = round.hosts.get_mut(&world.plan.hosts[0].name).unwrap();
        host.restarts.insert("app.service".to_owned(), *count);
        world.end_round_with(round);
        if world.now.timers.contains(&Timer::RoundPause) {
            world.elapse(Timer::RoundPause);
        }
    }
}

#[test]
fn a_service_that_systemd_brings_up_at_the_second_try_is_committed_after_a_longer_look() {
    let mut world = World::new(plan(2, 2));
    all_log_in(&mut world);
    seen_restarting(&mut world, &[1; 9]);
    assert!(!world.now.entries.contains(&Entry::Decided), "nine rounds are not ten");
    seen_restarting(&mut world, &[1]);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn a_service_that_restarts_again_and_again_rolls_back() {
    let mut world = World::new(plan(2, 2));
    all_log_in(&mut world);
    seen_restarting(&mut world, &[1, 1, 2, 2, 3, 3]);
    world.elapse(Timer::Settle);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(said(&verdict), "units fail on host0: app.service");
}

#[test]
fn what_could_not_be_cleaned_away_is_said() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Clean { .. }));
    let answer = Answer::Unknown { why: Cause::SilentTooLong { waited: std::time::Duration::from_secs(10) } };
    let effects = world.now.transaction.handle(Input::Answered {
        host: HostId(0),
        step: Step::Clean { mark: EndMark::of_all(Some(EndSide::New)) },
        answer,
    });
    let [Effect::Tell(Event::Warned { host: Some(host), text })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(host.as_str(), "host0");
    let text = text.to_string();
    assert!(text.contains("no answer within 10 s") && text.contains("fleetdeploy recover"), "{text}");
    assert_eq!(world.now.transaction.ended().map(|verdict| verdict.outcome), Some(Outcome::Committed));
}

#[test]
fn a_roll_back_does_not_end_while_a_host_that_restarted_is_armed_again() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.give(Input::CancelRequested(Signal::Sigint));
    let at = world.until(0, |step| matches!(step, Step::Disarm { .. }));
    // The run itself had begun to move what a reboot brings, and it restarts into that.
    world.machines[0].systems = Systems::all(&system("new"));
    world.machines[0].traces.switching = true;
    world.restart(0);
    world.end_step(at, Fault::None);
    let of = |world: &World, host: usize| world.now.pending.iter().position(|(id, _)| id.0 == host).expect("a step");
    let returns = of(&world, 0);
    world.end_step(returns, Fault::None);
    assert!(matches!(world.now.pending[of(&world, 0)].1, Step::Arm { .. }), "{:?}", world.now.pending);
    let disarm = of(&world, 1);
    world.end_step(disarm, Fault::None);
    assert!(!world.now.entries.iter().any(|entry| matches!(entry, Entry::Finished { .. })), "{:?}", world.now.entries);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    assert_eq!(world.machines[0].systems, Systems::all(&system("old")));
}

#[test]
fn a_roll_back_asks_for_no_login_that_was_not_there_before() {
    for login in [LoginBefore::Taken, LoginBefore::Unknown, LoginBefore::NotTaken] {
        let mut plan = Plan::clone(&plan(2, 2));
        plan.hosts[0].login = login;
        let mut world = World::new(Arc::new(plan));
        world.until(0, |step| matches!(step, Step::Login { .. }));
        world.met = Some(Vec::new());
        world.give(Input::CancelRequested(Signal::Sigint));
        let verdict = world.run_to_end();
        assert_eq!(verdict.outcome, Outcome::RolledBack);
        let met = world.met.iter().flatten();
        let asked: BTreeSet<usize> = met
            .filter_map(|(_, input)| match input {
                Input::Answered { host, step: Step::Login { after: false }, .. } => Some(host.0),
                _ => None,
            })
            .collect();
        let expected = if login == LoginBefore::NotTaken { vec![1] } else { vec![0, 1] };
        assert_eq!(asked, expected.into_iter().collect(), "{login:?}");
    }
}

#[test]
fn a_next_boot_that_somebody_has_set_binds_no_disarm_and_is_said() {
    for goes_back in [false, true] {
        let mut world = World::new(plan(2, 2));
        world.until(1, |step| matches!(step, Step::Login { .. }));
        world.machines[1].next_boot = Some("nixos-generation-5.conf".to_owned());
        if goes_back {
            world.give(Input::CancelRequested(Signal::Sigint));
        }
        let outcome = world.run_to_end().outcome;
        assert_eq!(outcome, if goes_back { Outcome::RolledBack } else { Outcome::Committed });
        let said = world.warnings.iter().filter(|text| text.contains("brings nixos-generation-5.conf, once"));
        assert_eq!(said.count(), 1, "{:?}", world.warnings);
    }
}

/// A person can mend that; it is no reason to go back, and not said with every answer.
#[test]
fn a_host_that_cannot_write_down_what_is_done_there_is_told_of_once() {
    let mut world = World::new(plan(2, 2));
    world.machines[1].traces.volatile = true;
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    let told: Vec<_> = world.warnings.iter().filter(|text| text.contains("a restart forgets it")).collect();
    assert_eq!(told.len(), 1, "{:?}", world.warnings);
}

/// A witness is no part of the push: what it does is told, once, and judges nothing.
#[test]
fn a_witness_that_switches_meanwhile_is_told_of_once_and_the_push_commits() {
    let mut world = World::new(plan(3, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.machines[2].systems = Systems::all(&system("later"));
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, &verdict.hosts[2].1), (Outcome::Committed, &HostOutcome::Witness));
    assert_eq!(world.warnings, [format!("this witness has switched to {} since the survey", system("later"))]);
}

/// The reply to its disarm was lost, and a person has switched it before it was asked again.
#[test]
fn a_host_that_was_disarmed_and_stands_on_something_else_is_not_called_committed() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Disarm { .. }));
    world.machines[1].guard = GuardState::Disarmed { run: "run".to_owned() };
    world.machines[1].systems = Systems::all(&system("later"));
    world.end_step(at, Fault::None);
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, &verdict.hosts[0].1), (Outcome::Split, &HostOutcome::Committed));
    let HostOutcome::Lost { why } = &verdict.hosts[1].1 else { panic!("{verdict:?}") };
    assert!(why.to_string().starts_with("disarmed, and on "), "{why}");
    assert!(world.machines[1].roots, "what the run keeps there is left for who looks at it");
}

/// Its process is gone, and nothing of it ever fires; and its token cannot be moved.
#[test]
fn a_guard_that_neither_fires_nor_is_disarmed_after_a_roll_back_is_not_waited_for_for_ever() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Login { .. }));
    world.end_step(at, Fault::Denied);
    world.until(1, |step| matches!(step, Step::Disarm { .. }));
    world.machines[1].guard = GuardState::Dead { run: "run".to_owned(), deadline: 900 };
    for _ in 0..1000 {
        let disarms = |(host, step): &(HostId, Step)| host.0 == 1 && matches!(step, Step::Disarm { .. });
        match world.now.pending.iter().position(disarms) {
            _ if world.now.verdict.is_some() => break,
            Some(at) => {
                let (host, step) = world.now.pending.remove(at);
                let standing = world.machines[1].standing(&world.plan.hosts[1]);
                let outcome = StepOutcome::said_to_have_failed("cannot get the lock of /run/fleetdeploy");
                let answer = Answer::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }));
                world.give(Input::Answered { host, step, answer });
            }
            None => world.go_on(),
        }
    }
    let verdict = world.now.verdict.clone().expect("the push ends");
    assert_eq!((verdict.outcome, &verdict.hosts[0].1), (Outcome::Split, &HostOutcome::RolledBack { by_guard: false }));
    let HostOutcome::Lost { why } = &verdict.hosts[1].1 else { panic!("{verdict:?}") };
    let says = "its guard has not fired, and could not be disarmed: cannot get the lock of /run/fleetdeploy";
    assert_eq!((why.code(), why.to_string().as_str()), (Some("not-disarmed"), says));
    assert!(world.machines[1].roots, "what the run keeps there is left for a recovery");
}

/// The host answers whenever it is asked how it stands, and never the disarm; the process of its guard is gone.
#[test]
fn a_disarm_after_a_roll_back_whose_answers_are_lost_is_not_sent_for_ever() {
    for (done_at, end) in [(None, Outcome::Split), (Some(1), Outcome::RolledBack), (Some(2), Outcome::RolledBack)] {
        let mut world = World::new(plan(2, 2));
        let at = world.until(1, |step| matches!(step, Step::Login { .. }));
        world.end_step(at, Fault::Denied);
        world.until(1, |step| matches!(step, Step::Disarm { .. }));
        world.machines[1].guard = GuardState::Dead { run: "run".to_owned(), deadline: 900 };
        let mut lost = 0;
        for _ in 0..1000 {
            let disarms = |(host, step): &(HostId, Step)| host.0 == 1 && matches!(step, Step::Disarm { .. });
            match world.now.pending.iter().position(disarms) {
                _ if world.now.verdict.is_some() => break,
                Some(at) => {
                    let (host, step) = world.now.pending.remove(at);
                    lost += 1;
                    if done_at == Some(lost) {
                        world.machines[1].guard = GuardState::Disarmed { run: "run".to_owned() };
                    }
                    let why = Cause::SilentTooLong { waited: Duration::from_secs(30) };
                    world.give(Input::Answered { host, step, answer: Answer::Unknown { why } });
                }
                None => world.go_on(),
            }
        }
        let verdict = world.now.verdict.clone().expect("the push ends");
        assert_eq!((verdict.outcome, lost), (end, done_at.unwrap_or(3)), "{verdict:?}");
        if done_at.is_none() {
            let HostOutcome::Lost { why } = &verdict.hosts[1].1 else { panic!("{verdict:?}") };
            assert_eq!(why.code(), Some("disarm-in-doubt"));
            assert!(world.machines[1].roots, "what the run keeps there is left for a recovery");
        }
    }
}

/// What its first guard did says nothing of the second one, which brings it back where it cannot be disarmed.
#[test]
fn a_host_that_restarts_after_a_disarm_in_vain_has_a_new_guard_that_is_waited_for() {
    let refuse = |world: &mut World| {
        let disarms = |(host, step): &(HostId, Step)| host.0 == 1 && matches!(step, Step::Disarm { .. });
        let at = world.now.pending.iter().position(disarms).expect("a disarm");
        let (host, step) = world.now.pending.remove(at);
        let standing = world.machines[1].standing(&world.plan.hosts[1]);
        let outcome = StepOutcome::said_to_have_failed("cannot get the lock of /run/fleetdeploy");
        let answer = Answer::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }));
        world.give(Input::Answered { host, step, answer });
    };
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Login { .. }));
    world.end_step(at, Fault::Denied);
    world.until(1, |step| matches!(step, Step::Disarm { .. }));
    refuse(&mut world);
    world.machines[1].systems = Systems::all(&system("new"));
    world.machines[1].traces.switching = true;
    world.restart(1);
    world.until(1, |step| matches!(step, Step::Disarm { .. }));
    refuse(&mut world);
    assert_eq!(world.now.verdict, None, "its new guard is waited for");
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    assert_eq!(world.machines[1].systems, Systems::all(&system("old")));
}
