//! The decider under every order of answers that a small fleet can give: scenarios by name, and random walks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::fact::{
    BootLoader, GuardState, JobKind, JobState, RefusalReason, Standing, StepAnswer, StepOutcome, Systems,
};
use super::links::{HostRound, Link, LinkAnswer, Probe, Round};
use super::plan::{HostId, HostPlan, Plan};
use super::transaction::Transaction;
use super::vocabulary::{Answer, Effect, Entry, Input, Signal, Step, Timer, Verdict};
use crate::event::{HostOutcome, Outcome};
use crate::inventory::model::{HostName, Place};
use crate::store_path::StorePath;

fn system(name: &str) -> StorePath {
    StorePath::new(format!("/nix/store/00000000000000000000000000000000-{name}")).unwrap()
}

fn plan(hosts: usize, changing: usize) -> Arc<Plan> {
    let name = |index: usize| HostName::new(format!("host{index}")).unwrap();
    let mut links = Vec::new();
    for from in 0..hosts {
        for to in (0..hosts).filter(|to| *to != from) {
            let probe = Probe::Ping { address: format!("10.0.0.{to}") };
            links.push(Link {
                check: "vpn".to_owned(),
                from: Place::Host(name(from)),
                to: name(to).to_string(),
                to_host: Some(name(to)),
                probe: probe.clone(),
                probe_after: probe,
                required: true,
                timeout: Duration::from_secs(2),
            });
        }
    }
    let baseline = Round {
        answers: (0..links.len()).map(|link| (link, LinkAnswer::Up { round_trip_us: None })).collect(),
        hosts: BTreeMap::new(),
    };
    let hosts = (0..hosts)
        .map(|index| HostPlan {
            name: name(index),
            changes: index < changing,
            old: Systems::all(&system("old")),
            generation: 1,
            new: system("new"),
            boot_id: format!("boot{index}"),
            machine_id: format!("{index}"),
            behind: (index > 0).then_some(HostId(0)),
            reactivate: false,
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
        })
        .collect();
    Arc::new(Plan { hosts, links, baseline, accepted: BTreeSet::new() })
}

/// A host of the model world.
#[derive(Debug, Clone)]
struct Machine {
    boot: String,
    boots: usize,
    systems: Systems,
    guard: GuardState,
    jobs: BTreeMap<JobKind, JobState>,
    /// Whether it was ever armed, and ever tested, and said so.
    told_armed: bool,
    told_tested: bool,
}

/// What goes wrong with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It did not run, and nobody knows.
    LostCommand,
    /// It ran, and nobody knows.
    LostReply,
    Fails,
    /// The guard fires and the host reboots into its boot default, before the step arrives.
    Fires,
    /// The guard fires after the step was done and answered.
    FiresAfter,
    Denied,
}

struct World {
    plan: Arc<Plan>,
    machines: Vec<Machine>,
    transaction: Transaction,
    pending: Vec<(HostId, Step)>,
    probe: bool,
    timers: BTreeSet<Timer>,
    links_up: bool,
    entries: Vec<Entry>,
    verdict: Option<Verdict>,
    disarmed_for_commit: bool,
}

impl World {
    fn new(plan: Arc<Plan>) -> Self {
        let machine = |host: &HostPlan| Machine {
            boot: host.boot_id.clone(),
            boots: 0,
            systems: host.old.clone(),
            guard: GuardState::None,
            jobs: BTreeMap::new(),
            told_armed: false,
            told_tested: false,
        };
        let mut world = Self {
            machines: plan.hosts.iter().map(machine).collect(),
            transaction: Transaction::new(Arc::clone(&plan)),
            plan,
            pending: Vec::new(),
            probe: false,
            timers: BTreeSet::new(),
            links_up: true,
            entries: Vec::new(),
            verdict: None,
            disarmed_for_commit: false,
        };
        let effects = world.transaction.start();
        world.carry_out(effects);
        world
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(self.verdict.is_none(), "after the end: {effect:?}");
            match effect {
                Effect::Record(entry) => self.entries.push(entry),
                Effect::Run { host, step } => {
                    self.check_order(host, &step);
                    self.pending.retain(|(other, _)| *other != host);
                    self.pending.push((host, step));
                }
                Effect::Probe { .. } => {
                    assert!(!self.probe, "two rounds at once");
                    self.probe = true;
                }
                Effect::Expect(timer) => {
                    self.timers.insert(timer);
                }
                Effect::Forget(timer) => {
                    self.timers.remove(&timer);
                }
                Effect::Weigh => {
                    let effects = self.transaction.handle(Input::Weighed { enough: true });
                    self.carry_out(effects);
                }
                Effect::Tell(_) => {}
                Effect::Finish(verdict) => self.verdict = Some(verdict),
            }
        }
    }

    /// The order that must hold whatever happens: DESIGN.md section 9, 2 and 3.
    fn check_order(&mut self, host: HostId, step: &Step) {
        match step {
            Step::Job { kind: JobKind::Switch, .. } => {
                assert!(self.entries.contains(&Entry::Decided), "switch before the decision");
                for changing in self.plan.changing() {
                    assert!(self.machines[changing.0].told_tested, "switch on {host:?} before {changing:?} was tested");
                }
            }
            Step::Disarm { expect, .. } if *expect == Systems::all(&system("new")) => {
                assert!(self.entries.contains(&Entry::Disarming), "disarm before its entry");
                self.disarmed_for_commit = true;
            }
            Step::Job { kind: JobKind::Test, .. } => {
                for changing in self.plan.changing() {
                    assert!(self.machines[changing.0].told_armed, "test before all were armed");
                }
            }
            _ => {}
        }
    }

    fn give(&mut self, input: Input) {
        let effects = self.transaction.handle(input);
        self.carry_out(effects);
    }

    fn reboot(machine: &mut Machine) {
        machine.boots += 1;
        machine.boot = format!("{}+{}", machine.boot, machine.boots);
        machine.systems.current = machine.systems.boot_default.clone();
        machine.guard = GuardState::None;
        machine.jobs.clear();
    }

    /// What a guard does that fires.
    fn fire(&mut self, host: HostId) {
        let machine = &mut self.machines[host.0];
        if matches!(machine.guard, GuardState::Armed { .. }) {
            machine.systems = Systems { current: machine.systems.current.clone(), ..self.plan.host(host).old.clone() };
            Self::reboot(machine);
        }
    }

    fn answer(&mut self, host: HostId, step: &Step, fault: Fault) -> Answer {
        let run = || "run".to_owned();
        if fault == Fault::Fires {
            self.fire(host);
        }
        let unknown = Answer::Unknown { why: "no answer".to_owned() };
        match fault {
            Fault::LostCommand => return unknown,
            Fault::Denied => return Answer::Denied { why: "no sudo".to_owned() },
            _ => {}
        }
        let plan = self.plan.host(host).clone();
        let machine = &mut self.machines[host.0];
        let refused = |reason| StepOutcome::Refused { reason, text: String::new() };
        let armed = matches!(machine.guard, GuardState::Armed { .. });
        let outcome = match step {
            Step::Arm { expect, boot_id } => {
                if *boot_id != machine.boot {
                    refused(RefusalReason::OtherBoot)
                } else if *expect != machine.systems {
                    refused(RefusalReason::Moved)
                } else if fault == Fault::Fails {
                    refused(RefusalReason::ForeignLease)
                } else {
                    machine.guard = GuardState::Armed { run: run(), deadline: 900 };
                    StepOutcome::Done
                }
            }
            Step::Extend { boot_id } | Step::Job { boot_id, .. } | Step::Disarm { boot_id, .. }
                if *boot_id != machine.boot =>
            {
                refused(RefusalReason::OtherBoot)
            }
            Step::Extend { .. } | Step::Job { .. } if !armed => refused(RefusalReason::NoGuard),
            Step::Extend { .. } | Step::Clean | Step::Login { .. } => StepOutcome::Done,
            Step::Job { kind, .. } => {
                let fails = fault == Fault::Fails;
                machine.jobs.insert(*kind, JobState::Exited { status: i32::from(fails) });
                match (kind, fails) {
                    (JobKind::Rollback, false) => machine.systems = plan.old.clone(),
                    (JobKind::Rollback, true) => {}
                    (JobKind::Test, _) => machine.systems.current = plan.new.clone(),
                    // A loader that cannot be installed leaves the profile moved.
                    (_, true) => machine.systems.profile = plan.new.clone(),
                    (_, false) => machine.systems = Systems::all(&plan.new),
                }
                if fails { StepOutcome::Failed { text: "status 1".to_owned() } } else { StepOutcome::Done }
            }
            Step::Return { .. } => {
                self.fire(host);
                StepOutcome::Done
            }
            Step::Disarm { expect, .. } => match machine.guard.clone() {
                GuardState::Armed { .. } if *expect == machine.systems => {
                    machine.guard = GuardState::Disarmed { run: run() };
                    StepOutcome::Done
                }
                GuardState::Armed { .. } => refused(RefusalReason::Moved),
                GuardState::Disarmed { .. } => StepOutcome::Done,
                _ => refused(RefusalReason::NoGuard),
            },
        };
        let machine = &mut self.machines[host.0];
        if fault != Fault::LostReply && outcome == StepOutcome::Done {
            machine.told_armed |= matches!(step, Step::Arm { .. });
            machine.told_tested |= job(JobKind::Test)(step);
        }
        let standing = Standing {
            boot_id: machine.boot.clone(),
            uptime: 100,
            systems: machine.systems.clone(),
            booted: plan.old.current.clone(),
            generation: 1,
            loader: BootLoader::SystemdBoot,
            guard: machine.guard.clone(),
            lease: None,
            jobs: machine.jobs.clone(),
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
        };
        if fault == Fault::FiresAfter {
            self.fire(host);
        }
        if fault == Fault::LostReply {
            return unknown;
        }
        Answer::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }))
    }

    /// Lets the `index`th of the steps that are out end.
    fn end_step(&mut self, index: usize, fault: Fault) {
        let (host, step) = self.pending.remove(index);
        let answer = self.answer(host, &step, fault);
        self.give(Input::Answered { host, step, answer });
    }

    fn end_round(&mut self) {
        self.probe = false;
        let answer = if self.links_up {
            LinkAnswer::Up { round_trip_us: None }
        } else {
            LinkAnswer::Down { why: "no answer".to_owned() }
        };
        let hosts = self.plan.hosts.iter().zip(&self.machines).map(|(host, machine)| {
            let round = HostRound {
                boot_id: machine.boot.clone(),
                current: machine.systems.current.to_string(),
                ..HostRound::default()
            };
            (host.name.clone(), round)
        });
        let answers = (0..self.plan.links.len()).map(|link| (link, answer.clone())).collect();
        let round = Round { answers, hosts: hosts.collect() };
        self.give(Input::RoundSeen { round, waiting: BTreeSet::new() });
    }

    fn elapse(&mut self, timer: Timer) {
        self.timers.remove(&timer);
        self.give(Input::TimerElapsed(timer));
    }

    /// Everything goes well from here; timers elapse only when nothing else can happen.
    fn run_to_end(&mut self) -> Verdict {
        for _ in 0..1000 {
            if let Some(verdict) = &self.verdict {
                return verdict.clone();
            }
            if !self.pending.is_empty() {
                self.end_step(0, Fault::None);
            } else if self.probe {
                self.end_round();
            } else if let Some(timer) = self.timers.first().copied() {
                let next = if self.timers.contains(&Timer::RoundPause) { Timer::RoundPause } else { timer };
                self.elapse(next);
            } else {
                panic!("the push stands still: {:#?}", self.transaction);
            }
        }
        panic!("the push does not end: {:#?}", self.transaction);
    }

    /// Goes on well until a step of this kind is out on `host`, and gives its place.
    fn until(&mut self, host: usize, wanted: impl Fn(&Step) -> bool) -> usize {
        for _ in 0..1000 {
            if let Some(at) = self.pending.iter().position(|(id, step)| id.0 == host && wanted(step)) {
                return at;
            }
            if !self.pending.is_empty() {
                self.end_step(0, Fault::None);
            } else if self.probe {
                self.end_round();
            } else {
                let timer = *self.timers.first().expect("something is waited for");
                self.elapse(if self.timers.contains(&Timer::RoundPause) { Timer::RoundPause } else { timer });
            }
        }
        panic!("never ordered");
    }
}

fn job(kind: JobKind) -> impl Fn(&Step) -> bool {
    move |step| matches!(step, Step::Job { kind: other, .. } if *other == kind)
}

#[test]
fn a_good_change_is_committed_everywhere() {
    let mut world = World::new(plan(3, 2));
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Committed, "{verdict:?}");
    let ends: Vec<HostOutcome> = verdict.hosts.into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, [HostOutcome::Committed, HostOutcome::Committed, HostOutcome::Witness]);
    assert_eq!(world.machines[1].systems, Systems::all(&system("new")));
    assert_eq!(
        world.entries,
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
    assert!(!world.pending.iter().any(|(host, _)| host.0 == 0), "{:?}", world.pending);
    world.give(Input::Started { host: HostId(1) });
    assert!(world.pending.iter().any(|(host, step)| host.0 == 0 && job(JobKind::Test)(step)));
    world.end_step(at, Fault::None);
}

/// `host0`, the jump, is through with its test, and the way to `host1` is gone in the middle of its own.
fn cut_off_by_the_jump() -> World {
    let mut world = World::new(plan(2, 2));
    world.until(1, job(JobKind::Test));
    world.give(Input::Started { host: HostId(1) });
    world.give(Input::ContactLost { host: HostId(1) });
    assert!(!world.timers.contains(&Timer::Settle), "the jump is still at work");
    let at = world.until(0, job(JobKind::Test));
    world.end_step(at, Fault::None);
    assert!(world.timers.contains(&Timer::Settle), "nothing else is waited for");
    world
}

#[test]
fn a_host_that_stays_silent_when_all_others_are_through_turns_the_push_back_after_the_settle_time() {
    let mut world = cut_off_by_the_jump();
    world.elapse(Timer::Settle);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.starts_with("test failed on host1: it is out of reach"), "{}", verdict.text);
}

#[test]
fn a_silent_host_that_is_back_has_its_whole_time_again() {
    let mut world = cut_off_by_the_jump();
    world.give(Input::Started { host: HostId(1) });
    assert!(!world.timers.contains(&Timer::Settle));
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn when_every_host_is_silent_nothing_is_turned_back() {
    let mut world = World::new(plan(2, 2));
    world.until(1, job(JobKind::Test));
    world.give(Input::ContactLost { host: HostId(1) });
    world.until(0, job(JobKind::Test));
    world.give(Input::ContactLost { host: HostId(0) });
    assert!(!world.timers.contains(&Timer::Settle), "this workstation may be the one that is gone");
}

#[test]
fn a_foreign_lease_on_one_host_refuses_and_leaves_no_guard() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Arm { .. }));
    world.end_step(at, Fault::Fails);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Refused);
    assert!(matches!(world.machines[0].guard, GuardState::Disarmed { .. }));
    assert_eq!(world.machines[1].guard, GuardState::None);
}

#[test]
fn links_that_stay_down_roll_every_host_back() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.links_up = false;
    while !world.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    world.end_round();
    world.elapse(Timer::Settle);
    world.links_up = true;
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.starts_with("links are down: host0 -> host1 (ping"), "{}", verdict.text);
    assert_eq!(world.machines[0].systems, Systems::all(&system("old")));
    assert_eq!((world.machines[0].boots, world.machines[1].boots), (0, 0), "nobody needed to reboot");
}

#[test]
fn a_settle_time_that_ends_between_rounds_that_hold_lets_them_end() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    while !world.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    world.end_round();
    world.elapse(Timer::Settle);
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn a_round_that_breaks_after_the_settle_time_rolls_back_at_once() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    while !world.pending.is_empty() {
        world.end_step(0, Fault::None);
    }
    world.end_round();
    world.elapse(Timer::Settle);
    world.elapse(Timer::RoundPause);
    world.links_up = false;
    world.end_round();
    world.links_up = true;
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.starts_with("links are down: host0 -> host1 (ping"), "{}", verdict.text);
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
fn an_entry_that_cannot_be_written_is_not_followed_by_its_act() {
    let mut world = World::new(plan(2, 2));
    world.until(0, job(JobKind::Test));
    world.give(Input::RecordFailed { why: "no space".to_owned() });
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
}

/// Random walks: any step may be lost, fail or meet a firing guard; every walk must end, and end truly.
#[test]
fn random_faults_never_break_what_must_always_hold() {
    let faults = [Fault::LostCommand, Fault::LostReply, Fault::Fails, Fault::Fires, Fault::FiresAfter, Fault::Denied];
    for seed in 0..20_000u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let hosts = 2 + random(2);
        let changing = 1 + random(hosts);
        let mut world = World::new(plan(hosts, changing));
        let mut budget = random(4);
        for turn in 0.. {
            assert!(turn < 2000, "seed {seed} does not end: {:#?}", world.transaction);
            if world.verdict.is_some() {
                break;
            }
            if budget > 0 && random(20) == 0 {
                budget -= 1;
                world.links_up = !world.links_up;
            }
            if random(200) == 0 {
                world.give(Input::CancelRequested(Signal::Sigint));
                continue;
            }
            let choices = world.pending.len() + usize::from(world.probe);
            if choices == 0 || random(30) == 0 {
                let timers: Vec<Timer> = world.timers.iter().copied().collect();
                if timers.is_empty() && choices == 0 {
                    panic!("seed {seed} stands still: {:#?}", world.transaction);
                } else if !timers.is_empty() {
                    world.elapse(timers[random(timers.len())]);
                    continue;
                }
            }
            let choice = random(choices);
            if choice == world.pending.len() {
                world.end_round();
            } else {
                let fault = if budget > 0 && random(6) == 0 {
                    budget -= 1;
                    faults[random(faults.len())]
                } else {
                    Fault::None
                };
                world.end_step(choice, fault);
            }
        }
        let verdict = world.verdict.clone().unwrap();
        for host in world.plan.changing() {
            let systems = &world.machines[host.0].systems;
            let (new, old) = (Systems::all(&system("new")), Systems::all(&system("old")));
            match verdict.outcome {
                Outcome::Committed => assert_eq!(*systems, new, "seed {seed}: {verdict:?}"),
                Outcome::RolledBack | Outcome::Refused => {
                    assert_eq!(*systems, old, "seed {seed}: {verdict:?}");
                    let armed = matches!(world.machines[host.0].guard, GuardState::Armed { .. });
                    assert!(!armed, "seed {seed}: a guard is left: {verdict:?}");
                }
                Outcome::Split | Outcome::Unchanged => {}
            }
        }
        let split_is_named = verdict.hosts.iter().any(|(_, end)| matches!(end, HostOutcome::Lost { .. }));
        assert_eq!(verdict.outcome == Outcome::Split, split_is_named, "seed {seed}");
    }
}
