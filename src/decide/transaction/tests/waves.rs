//! A push by waves, by named scenarios.

use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::machine::{in_waves, job, plan, system};
use super::world::{Fault, World, said};
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, Signal, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::{Event, HostOutcome, Outcome};
use crate::facts::host::{GuardState, JobKind};
use crate::facts::links::LinkAnswer;
use crate::facts::plan::{HostId, Plan};
use crate::facts::step_answer::{StepAnswer, StepOutcome};
use crate::facts::systems::Systems;

fn login(step: &Step) -> bool {
    matches!(step, Step::Login { .. })
}

fn extend(step: &Step) -> bool {
    matches!(step, Step::Extend { .. })
}

/// Three hosts, of which the second is the canary.
fn canary() -> Arc<Plan> {
    in_waves(&plan(3, 3), &[1, 0, 1])
}

fn is_on(world: &World, host: usize, name: &str) -> bool {
    world.machines[host].systems == Systems::all(&system(name))
}

fn pending(world: &World) -> Vec<(usize, &Step)> {
    world.now.pending.iter().map(|(host, step)| (host.0, step)).collect()
}

fn extended(world: &World) -> Vec<usize> {
    pending(world).into_iter().filter(|(_, step)| extend(step)).map(|(host, _)| host).collect()
}

#[test]
fn wave_after_wave_is_tested_and_all_are_committed_together() {
    let mut world = World::new(canary());
    world.until(1, job(JobKind::Test));
    assert_eq!(pending(&world).len(), 1, "only the canary");
    // World::check_order sees to it that nothing is tested before the canary was looked at.
    world.until(0, job(JobKind::Test));
    assert!(!world.now.entries.contains(&Entry::Decided));
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Committed, "{verdict:?}");
    assert!((0..3).all(|host| is_on(&world, host, "new")));
    let (arming, testing, decided) = (Entry::Arming, Entry::Testing, Entry::Decided);
    let finished = Entry::Finished { outcome: Outcome::Committed };
    assert_eq!(world.now.entries, [arming, testing.clone(), testing, decided, Entry::Disarming, finished]);
}

#[test]
fn each_wave_is_told_before_its_phase_and_one_alone_is_not() {
    let told = |waves: &[usize]| {
        let mut world = World::asleep(in_waves(&plan(2, 2), waves));
        world.met = Some(Vec::new());
        world.begin();
        world.run_to_end();
        let met = world.met.take().unwrap();
        let effects = met.into_iter().flat_map(|(mut transaction, input)| transaction.handle(input));
        effects
            .filter_map(|effect| match effect {
                Effect::Tell(Event::WaveStarted { wave, of, hosts }) => Some(format!("{wave} of {of}: {}", hosts[0])),
                Effect::Tell(Event::PhaseStarted { phase }) => Some(phase.word().to_owned()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let end = ["decide", "switch", "disarm"];
    let first = ["1 of 2: host1", "test", "verify", "2 of 2: host0", "test", "verify"];
    assert_eq!(told(&[1, 0]), [&first[..], &end[..]].concat());
    // A number that no host has is no wave.
    assert_eq!(told(&[7, 2])[..6], first);
    assert_eq!(told(&[0, 0]), [&["test", "verify"][..], &end[..]].concat());
}

#[test]
fn a_canary_that_breaks_the_links_goes_back_and_no_other_was_touched() {
    let mut world = World::new(canary());
    world.until(1, login);
    world.links_up = false;
    world.end_steps();
    world.end_round();
    world.elapse(Timer::Settle);
    world.links_up = true;
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    let ends: Vec<&HostOutcome> = verdict.hosts.iter().map(|(_, end)| end).collect();
    let untouched = &HostOutcome::Untouched;
    assert_eq!(ends, [untouched, &HostOutcome::RolledBack { by_guard: false }, untouched]);
    for (host, machine) in world.machines.iter().enumerate() {
        assert!(is_on(&world, host, "old"));
        assert_eq!((machine.guard.clone(), machine.boots), (GuardState::None, 0), "host{host}");
    }
    let jobs: Vec<&Step> = world.sent.iter().filter(|(host, _)| host.0 != 1).map(|(_, step)| step).collect();
    assert!(!jobs.iter().any(|step| matches!(step, Step::Job { .. })), "{jobs:?}");
}

#[test]
fn every_look_asks_for_new_logins_of_its_own() {
    let mut world = World::new(canary());
    world.until(0, job(JobKind::Test));
    world.until(1, login);
    assert_eq!(pending(&world).iter().filter(|(_, step)| login(step)).count(), 3, "also of the canary");
    for _ in 0..3 {
        world.end_round();
        world.elapse(Timer::RoundPause);
    }
    assert!(pending(&world).iter().all(|(_, step)| login(step)), "the logins of the first look count for the first");
    assert!(!world.now.entries.contains(&Entry::Decided));
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn a_failure_in_the_last_wave_takes_the_first_back_with_it() {
    let mut world = World::new(canary());
    let at = world.until(2, job(JobKind::Test));
    world.end_step(at, Fault::Fails);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!((0..3).all(|host| is_on(&world, host, "old")));
    let ends: Vec<HostOutcome> = verdict.hosts.into_iter().map(|(_, end)| end).collect();
    let back = HostOutcome::RolledBack { by_guard: false };
    // The first is the way to the last: its own turn had not come.
    assert_eq!(ends, [HostOutcome::Untouched, back.clone(), back]);
}

#[test]
fn every_guard_is_extended_before_the_next_wave_or_all_goes_back() {
    let mut world = World::new(canary());
    let at = world.until(1, extend);
    assert_eq!(extended(&world), [0, 1, 2], "also the canary's");
    world.end_step(at, Fault::None);
    assert_eq!(extended(&world), [0, 2], "one of three is not all");
    assert_eq!(pending(&world).len(), 2, "{:?}", pending(&world));
    let at = world.until(0, extend);
    world.end_step(at, Fault::LostCommand);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(said(&verdict), "the guards leave too little time for the rest of the push");
    assert!((0..3).all(|host| is_on(&world, host, "old")));
}

#[test]
fn what_fails_on_a_host_of_a_later_wave_is_not_blamed_on_the_push_and_a_restart_there_ends_it() {
    let seen_by_the_canary = |change: &dyn Fn(&mut World)| {
        let mut world = World::new(canary());
        let at = world.until(0, login);
        let (host, step) = world.now.pending.remove(at);
        let mut standing = world.machines[0].standing(&world.plan.hosts[0]);
        standing.failed_units.insert("backup.service".to_owned());
        let answer = StepAnswer { outcome: StepOutcome::Done, standing, log: Vec::new() };
        world.give(Input::Answered { host, step, answer: Answer::Said(Box::new(answer)) });
        world.end_steps();
        change(&mut world);
        world
    };
    let mut world = seen_by_the_canary(&|_| {});
    for _ in 0..3 {
        let mut round = world.round();
        let later = round.hosts.get_mut(&world.plan.hosts[0].name).unwrap();
        later.failed_units.insert("backup.service".to_owned());
        later.restarts.insert("app.service".to_owned(), 40);
        world.end_round_with(round);
        if world.now.timers.contains(&Timer::RoundPause) {
            world.elapse(Timer::RoundPause);
        }
    }
    assert_eq!(extended(&world), [0, 1, 2], "{:?}", pending(&world));

    let mut world = seen_by_the_canary(&|world| world.restart(2));
    world.end_round();
    let verdict = world.run_to_end();
    assert_eq!(said(&verdict), "host2 has restarted in the middle of the push");
    assert_eq!(verdict.outcome, Outcome::RolledBack);

    let mut world = seen_by_the_canary(&|world| world.machines[2].systems = Systems::all(&system("new")));
    world.end_round();
    assert!(world.now.entries.iter().any(|entry| matches!(entry, Entry::RollingBack { .. })), "its turn has not come");
}

#[test]
fn a_canary_that_is_awaited_from_its_guard_lets_no_guard_fire_on_the_others() {
    let mut world = World::new(canary());
    let at = world.until(1, login);
    world.end_step(at, Fault::Denied);
    let at = world.until(1, job(JobKind::Rollback));
    world.end_step(at, Fault::LostCommand);
    assert_eq!(extended(&world), [0, 2]);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert_eq!(verdict.hosts[1].1, HostOutcome::RolledBack { by_guard: true });
    assert_eq!((world.machines[0].boots, world.machines[1].boots, world.machines[2].boots), (0, 1, 0));
}

#[test]
fn a_lone_canary_out_of_reach_has_its_whole_time() {
    let mut world = World::new(canary());
    world.until(1, job(JobKind::Test));
    world.give(Input::ContactLost { host: HostId(1), why: Cause::NoTimeToAsk });
    assert!(
        !world.now.timers.contains(&Timer::Settle),
        "nobody else is at work: it may be this workstation's own link"
    );
}

#[test]
fn each_wave_may_wait_for_its_own_handshakes() {
    let mut world = World::new(canary());
    for wave in [1, 2] {
        world.until(1, login);
        world.end_steps();
        world.wait_for_handshakes();
        assert!(world.now.timers.contains(&Timer::Rekey), "wave {wave}");
        while world.now.timers.contains(&Timer::Rekey) {
            world.end_round();
            if world.now.timers.contains(&Timer::RoundPause) {
                world.elapse(Timer::RoundPause);
            }
        }
    }
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

/// The wait for handshakes of verify is none of the proof's: its settle time decides as ever.
#[test]
fn a_proof_after_a_wait_for_handshakes_still_ends_with_its_settle_time() {
    let mut world = World::new(plan(3, 3));
    world.until(1, login);
    world.end_steps();
    world.wait_for_handshakes();
    assert!(world.now.timers.contains(&Timer::Rekey) && !world.now.timers.contains(&Timer::Settle));
    let is_proving = |world: &World| world.sent.iter().any(|(_, step)| job(JobKind::Switch)(step));
    while !(is_proving(&world) && world.now.pending.is_empty() && world.now.probe) {
        match (world.now.pending.is_empty(), world.now.probe) {
            (false, _) => world.end_step(0, Fault::None),
            (true, true) => world.end_round(),
            (true, false) => world.go_on(),
        }
    }
    let mut down = world.round();
    down.answers.insert(0, LinkAnswer::Down { why: "Connection refused".to_owned() });
    world.end_round_with(down);
    world.elapse(Timer::Settle);
    assert!(world.now.entries.iter().any(|entry| matches!(entry, Entry::RollingBack { .. })));
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
}

#[test]
fn handshakes_that_came_in_the_last_moment_are_no_reason_to_go_back() {
    let mut world = World::new(plan(2, 2));
    world.until(1, login);
    world.end_steps();
    world.wait_for_handshakes();
    world.end_round();
    world.elapse(Timer::Rekey);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn ctrl_c_while_guards_are_extended_for_the_next_wave_goes_back() {
    let mut world = World::new(canary());
    world.until(0, extend);
    world.give(Input::CancelRequested(Signal::Sigint));
    let verdict = world.run_to_end();
    assert_eq!((verdict.outcome, verdict.interrupted), (Outcome::RolledBack, Some(Signal::Sigint)));
    assert!(!world.sent.iter().any(|(host, step)| host.0 != 1 && matches!(step, Step::Job { .. })));
}

#[test]
fn a_next_wave_that_cannot_be_announced_does_not_begin() {
    let mut world = World::new(canary());
    world.until(0, extend);
    // The entry before them could not be written, so they were not sent.
    world.now.pending.clear();
    world.give(Input::RecordFailed { why: "no space".to_owned() });
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    assert!((0..3).all(|host| is_on(&world, host, "old")));
}

// A recovery knows of waves what the hosts show.

#[test]
fn a_run_that_died_between_two_waves_goes_back_from_its_record_and_from_the_hosts_alone() {
    for record in [true, false] {
        let mut world = World::new(canary());
        world.until(0, extend);
        world.recover(record);
        assert_eq!(world.run_to_end().outcome, Outcome::RolledBack, "record: {record}");
        assert!((0..3).all(|host| is_on(&world, host, "old")));
    }
}

#[test]
fn a_run_that_died_after_the_decision_goes_forward_with_all_its_waves() {
    let mut world = World::new(canary());
    world.until(0, job(JobKind::Switch));
    world.recover(true);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
    assert!((0..3).all(|host| is_on(&world, host, "new")));
}

#[test]
fn a_plan_of_before_there_were_waves_is_read_as_one_wave() {
    let mut json = serde_json::to_value(&*canary()).unwrap();
    for host in json["hosts"].as_array_mut().unwrap() {
        host.as_object_mut().unwrap().remove("wave").unwrap();
    }
    let plan: Plan = serde_json::from_value(json).unwrap();
    assert_eq!(plan.waves().into_values().collect::<Vec<_>>(), [vec![HostId(0), HostId(1), HostId(2)]]);
}
