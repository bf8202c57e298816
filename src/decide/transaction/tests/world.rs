//! A small fleet, and coordinators that may die at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::machine::{Machine, job, system};
use crate::decide::asking::Continuity;
use crate::decide::transaction::recover::{Aim, Recorded};
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, Step, Timer, Verdict};
use crate::event::reason::cause::Cause;
use crate::event::{Event, Outcome, Phase};
use crate::facts::host::{GuardState, JobKind};
use crate::facts::links::{HostRound, LinkAnswer, Round};
use crate::facts::plan::{HostId, Plan};
use crate::facts::step_answer::{StepAnswer, StepOutcome};
use crate::facts::systems::Systems;
use crate::inventory::model::HostName;

/// What goes wrong with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It did not run, and that is not known.
    LostCommand,
    /// It ran, and that is not known.
    LostReply,
    Fails,
    /// The guard fires and the host reboots into its boot default, before the step arrives.
    Fires,
    /// The guard fires after the step was done and answered.
    FiresAfter,
    /// The host restarts by itself before the step arrives.
    Restarts,
    Denied,
}

/// The driver of a run: a push, or a recovery of it.
#[derive(Debug)]
pub(super) struct Coordinator {
    pub(super) transaction: Transaction,
    pub(super) epoch: u64,
    pub(super) pending: Vec<(HostId, Step)>,
    pub(super) probe: bool,
    pub(super) timers: BTreeSet<Timer>,
    /// The journal of its workstation.
    pub(super) entries: Vec<Entry>,
    pub(super) verdict: Option<Verdict>,
    /// It dies after so many effects.
    pub(super) life: Option<usize>,
}

impl Coordinator {
    fn new(transaction: Transaction, epoch: u64, entries: Vec<Entry>) -> Self {
        Self {
            transaction,
            epoch,
            pending: Vec::new(),
            probe: false,
            timers: BTreeSet::new(),
            entries,
            verdict: None,
            life: None,
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.life == Some(0)
    }
}

pub(super) struct World {
    pub(super) plan: Arc<Plan>,
    pub(super) machines: Vec<Machine>,
    pub(super) now: Coordinator,
    /// Commands of coordinators that are dead or asleep, which may still arrive.
    pub(super) strays: Vec<(HostId, Step, u64)>,
    pub(super) links_up: bool,
    /// The next entry that announces an act cannot be written.
    pub(super) disk_full: bool,
    pub(super) disarmed_for_commit: bool,
    /// What was seen since the latest verify began: rounds in a row that held, and new logins.
    held: u32,
    pub(super) warnings: Vec<String>,
    /// What hosts were said to be doing.
    pub(super) doings: Vec<(HostName, String)>,
    /// What the hosts were to keep of units.
    pub(super) remembered: BTreeMap<HostId, BTreeSet<String>>,
    /// Every order that was given.
    pub(super) sent: Vec<(HostId, Step)>,
    /// What still counted of earlier rounds, for every round.
    pub(super) rounds: Vec<Continuity>,
    logins: BTreeSet<HostId>,
    /// If wanted: every input, with the state that it met.
    pub(super) met: Option<Vec<(Transaction, Input)>>,
}

impl World {
    /// A push has begun.
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let mut world = Self::asleep(plan);
        world.begin();
        world
    }

    /// A push is about to begin.
    pub(super) fn asleep(plan: Arc<Plan>) -> Self {
        Self {
            machines: plan.hosts.iter().map(Machine::new).collect(),
            now: Coordinator::new(Transaction::new(Arc::clone(&plan)), 1, Vec::new()),
            plan,
            strays: Vec::new(),
            links_up: true,
            disk_full: false,
            disarmed_for_commit: false,
            held: 0,
            warnings: Vec::new(),
            doings: Vec::new(),
            remembered: BTreeMap::new(),
            sent: Vec::new(),
            rounds: Vec::new(),
            logins: BTreeSet::new(),
            met: None,
        }
    }

    pub(super) fn begin(&mut self) {
        let effects = self.now.transaction.start();
        self.carry_out(effects);
    }

    /// Another coordinator takes the run over, from the journal of the one before or from the hosts alone; the one
    /// before is returned, with what it had under way.
    pub(super) fn recover(&mut self, record: bool) -> Coordinator {
        self.recover_after(record, None, |_| {})
    }

    /// The same, to end the run without these hosts.
    pub(super) fn recover_without(&mut self, record: bool, missing: &[usize]) -> Coordinator {
        self.recover_after(record, None, |transaction| {
            transaction.aim_at(Aim::Without);
            for host in missing {
                transaction.go_without(HostId(*host));
            }
        })
    }

    /// To remove what is left of the run.
    pub(super) fn forget(&mut self, as_they_stand: bool) -> Coordinator {
        self.recover_after(true, None, |transaction| transaction.aim_at(Aim::Forget { as_they_stand }))
    }

    /// Only to clean up after the run, where a push finds it.
    pub(super) fn clean_returned(&mut self) -> Coordinator {
        self.recover_after(false, None, |transaction| transaction.aim_at(Aim::Returned))
    }

    /// The same, and it dies after so many effects.
    pub(super) fn recover_after(
        &mut self,
        record: bool,
        life: Option<usize>,
        prepare: impl FnOnce(&mut Transaction),
    ) -> Coordinator {
        let entries = if record { self.now.entries.clone() } else { Vec::new() };
        let recorded = if record { Recorded::of(&entries) } else { Recorded::nowhere() };
        let highest = self.machines.iter().filter_map(|machine| machine.lease).max().unwrap_or(0);
        let mut transaction = Transaction::recover(Arc::clone(&self.plan), recorded);
        transaction.is_of("homelab");
        let ended = entries.iter().rev().find_map(|entry| match entry {
            Entry::EndedWithout { mark } => Some(mark.clone()),
            _ => None,
        });
        if let Some(mark) = ended {
            transaction.was_ended(mark);
        }
        prepare(&mut transaction);
        let next = Coordinator { life, ..Coordinator::new(transaction, highest.max(self.now.epoch) + 1, entries) };
        let before = std::mem::replace(&mut self.now, next);
        self.strays.extend(before.pending.iter().map(|(host, step)| (*host, step.clone(), before.epoch)));
        self.begin();
        before
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(self.now.verdict.is_none(), "after the end: {effect:?}");
            match &mut self.now.life {
                Some(0) => return,
                Some(left) => *left -= 1,
                None => {}
            }
            match &effect {
                Effect::Tell(event) => crate::codes::keep(event),
                Effect::Finish(verdict) => crate::codes::keep_end(verdict),
                _ => {}
            }
            match effect {
                Effect::Record(entry) if self.disk_full && announces(&entry) => {
                    self.disk_full = false;
                    // What was to follow is dropped, as the driver does.
                    self.give(Input::RecordFailed { why: "no space".to_owned() });
                    return;
                }
                Effect::Record(entry) => self.now.entries.push(entry),
                Effect::Run { host, step } => {
                    self.check_order(host, &step);
                    self.now.pending.retain(|(other, _)| *other != host);
                    self.sent.push((host, step.clone()));
                    self.now.pending.push((host, step));
                }
                Effect::Probe { continuity, .. } => {
                    self.rounds.push(continuity);
                    assert!(!self.now.probe, "two rounds at once");
                    self.now.probe = true;
                }
                Effect::Expect(timer) => {
                    self.now.timers.insert(timer);
                }
                Effect::Forget(timer) => {
                    self.now.timers.remove(&timer);
                }
                Effect::Weigh => self.give(Input::Weighed { enough: true }),
                Effect::Tell(Event::PhaseStarted { phase: Phase::Verify }) => {
                    self.held = 0;
                    self.logins.clear();
                }
                Effect::Outbid { host } => {
                    let shown = self.machines[host.0].lease.unwrap_or(0);
                    self.now.epoch = self.now.epoch.max(shown) + 1;
                }
                Effect::Tell(Event::Warned { text, .. }) => self.warnings.push(text.to_string()),
                Effect::Tell(Event::HostMoved { host, doing, .. }) => self.doings.push((host, doing)),
                Effect::Remember { host, units } => drop(self.remembered.insert(host, units)),
                Effect::Tell(_) | Effect::ReadJournals { .. } => {}
                Effect::Finish(verdict) => self.now.verdict = Some(verdict),
            }
        }
    }

    /// The order that must hold whatever happens: docs/design.md, "Invariants", 2 and 3.
    fn check_order(&mut self, host: HostId, step: &Step) {
        match step {
            Step::Job { kind: JobKind::Switch, .. } => {
                assert!(self.now.entries.contains(&Entry::Decided), "switch before the decision");
                for changing in self.plan.changing() {
                    assert!(self.machines[changing.0].told_tested, "switch on {host:?} before {changing:?} was tested");
                }
            }
            Step::Disarm { expect, .. } if *expect == Systems::all(&system("new")) => {
                assert!(self.now.entries.contains(&Entry::Disarming), "disarm before its entry");
                self.disarmed_for_commit = true;
            }
            Step::Job { kind: JobKind::Test, .. } => {
                let wave = |host: HostId| self.plan.host(host).wave;
                for changing in self.plan.changing() {
                    let machine = &self.machines[changing.0];
                    assert!(machine.told_armed, "test before all were armed");
                    let untouched = machine.jobs.is_empty();
                    assert!(untouched || wave(changing) <= wave(host), "{changing:?} was tested before its wave");
                    assert!(machine.told_tested || wave(changing) >= wave(host), "{changing:?} was not tested first");
                    let looked_at = self.held >= 3 && self.logins.len() == self.machines.len();
                    assert!(looked_at || wave(changing) >= wave(host), "{host:?} is tested and nobody has looked");
                }
            }
            _ => {}
        }
    }

    pub(super) fn give(&mut self, input: Input) {
        if let Some(met) = &mut self.met {
            met.push((self.now.transaction.clone(), input.clone()));
        }
        let effects = self.now.transaction.handle(input);
        self.carry_out(effects);
    }

    pub(super) fn restart(&mut self, host: usize) {
        self.machines[host].restart();
    }

    pub(super) fn fire(&mut self, host: usize) {
        self.machines[host].fire(&self.plan.hosts[host]);
    }

    fn answer(&mut self, host: HostId, step: &Step, fault: Fault) -> Answer {
        match fault {
            Fault::Fires => self.fire(host.0),
            Fault::Restarts => self.restart(host.0),
            _ => {}
        }
        let unknown = Answer::Unknown { why: Cause::NoTimeToAsk };
        if fault == Fault::LostCommand || self.machines[host.0].dead {
            return unknown;
        }
        if fault == Fault::Denied {
            return Answer::Denied { why: Cause::NotNixos };
        }
        let outcome = self.perform(host, step, self.now.epoch, fault == Fault::Fails);
        let machine = &mut self.machines[host.0];
        if fault != Fault::LostReply && outcome == StepOutcome::Done {
            if matches!(step, Step::Login { .. }) {
                self.logins.insert(host);
            }
            machine.told_armed |= matches!(step, Step::Arm { .. });
            let on_new = machine.systems.current == self.plan.host(host).new;
            machine.told_tested |= job(JobKind::Test)(step) || matches!(step, Step::TakeOver { .. }) && on_new;
        }
        let standing = machine.standing(self.plan.host(host));
        if fault == Fault::FiresAfter {
            self.fire(host.0);
        }
        if fault == Fault::LostReply {
            return unknown;
        }
        Answer::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }))
    }

    fn perform(&mut self, host: HostId, step: &Step, epoch: u64, fails: bool) -> StepOutcome {
        let outcome = self.machines[host.0].perform(self.plan.host(host), step, epoch, fails);
        if matches!(step, Step::Clean { .. }) && outcome == StepOutcome::Done {
            let plan = Arc::clone(&self.plan);
            let at_rest = plan.changing().all(|id| self.machines[id.0].is_at_rest(plan.host(id)));
            let told = (epoch, &self.now.entries, &self.machines);
            assert!(at_rest, "cleaned before all hosts are through: {host:?} {told:#?}");
            // An arm command has a latest time: one that comes after a clean-up is refused for that.
            self.strays.retain(|(other, step, _)| *other != host || !matches!(step, Step::Arm { .. }));
        }
        outcome
    }

    /// Lets the `index`th of the steps that are out end.
    pub(super) fn end_step(&mut self, index: usize, fault: Fault) {
        let (host, step) = self.now.pending.remove(index);
        let answer = self.answer(host, &step, fault);
        self.give(Input::Answered { host, step, answer });
    }

    /// A command of a coordinator that is gone arrives now.
    pub(super) fn stray_arrives(&mut self, index: usize) {
        let (host, step, epoch) = self.strays.remove(index);
        if !self.machines[host.0].dead && !matches!(step, Step::Return { .. } | Step::TakeOver { .. }) {
            self.perform(host, &step, epoch, false);
        }
    }

    pub(super) fn end_round(&mut self) {
        let round = self.round();
        self.end_round_with(round);
    }

    pub(super) fn end_round_with(&mut self, round: Round) {
        self.now.probe = false;
        self.held = if self.links_up { self.held + 1 } else { 0 };
        self.give(Input::RoundSeen { round, waiting: BTreeSet::new() });
    }

    /// The next round ends with this, after its pause if there is one.
    pub(super) fn see(&mut self, round: Round) {
        if !self.now.probe {
            self.elapse(Timer::RoundPause);
        }
        self.end_round_with(round);
    }

    /// All that is under way ends well, and what that leads to.
    pub(super) fn end_steps(&mut self) {
        while !self.now.pending.is_empty() {
            self.end_step(0, Fault::None);
        }
    }

    /// The settle time ends while every link only lacks a new handshake.
    pub(super) fn wait_for_handshakes(&mut self) {
        self.links_up = false;
        self.now.probe = false;
        let (round, waiting) = (self.round(), (0..self.plan.links.len()).collect());
        self.held = 0;
        self.give(Input::RoundSeen { round, waiting });
        self.links_up = true;
        self.elapse(Timer::RoundPause);
        self.elapse(Timer::Settle);
    }

    /// What a look at every link and every host that is there shows now.
    pub(super) fn round(&self) -> Round {
        let answer = if self.links_up {
            LinkAnswer::Up { round_trip_us: None }
        } else {
            LinkAnswer::Down { why: "no answer".to_owned() }
        };
        let machines = self.plan.hosts.iter().zip(&self.machines).filter(|(_, machine)| !machine.dead);
        let hosts = machines.map(|(host, machine)| {
            let round = HostRound {
                boot_id: machine.boot.clone(),
                current: machine.systems.current.to_string(),
                failed_units: machine.failed_units(),
                units: machine.units.clone(),
                uptime: machine.uptime,
                ..HostRound::default()
            };
            (host.name.clone(), round)
        });
        let answers = (0..self.plan.links.len()).map(|link| (link, answer.clone())).collect();
        Round { answers, hosts: hosts.collect(), ..Round::default() }
    }

    pub(super) fn elapse(&mut self, timer: Timer) {
        self.now.timers.remove(&timer);
        if timer == Timer::GuardsOver {
            // A recovery without a host waits for that one's guard alone.
            let missing: Vec<usize> = self.now.transaction.missing().map(|host| host.0).collect();
            for host in 0..self.machines.len() {
                if missing.is_empty() || missing.contains(&host) {
                    self.fire(host);
                }
            }
        }
        self.give(Input::TimerElapsed(timer));
    }

    /// The next thing that goes well; timers elapse only when nothing else can happen.
    pub(super) fn go_on(&mut self) {
        if !self.now.pending.is_empty() {
            self.end_step(0, Fault::None);
        } else if self.now.probe {
            self.end_round();
        } else {
            let timer = *self.now.timers.first().unwrap_or_else(|| panic!("stands still: {:#?}", self.now));
            self.elapse(if self.now.timers.contains(&Timer::RoundPause) { Timer::RoundPause } else { timer });
        }
    }

    /// Everything goes well from here.
    pub(super) fn run_to_end(&mut self) -> Verdict {
        for _ in 0..1000 {
            if let Some(verdict) = &self.now.verdict {
                return verdict.clone();
            }
            self.go_on();
        }
        panic!("does not end: {:#?}", self.now);
    }

    /// Goes on well until a step of this kind is out on `host`, and gives its place.
    pub(super) fn until(&mut self, host: usize, wanted: impl Fn(&Step) -> bool) -> usize {
        for _ in 0..1000 {
            if let Some(at) = self.now.pending.iter().position(|(id, step)| id.0 == host && wanted(step)) {
                return at;
            }
            self.go_on();
        }
        panic!("never ordered");
    }

    /// What must hold when a coordinator has ended: docs/design.md, "Invariants", 1 and 6.
    pub(super) fn check_end(&self, context: &str) {
        let verdict = self.now.verdict.as_ref().unwrap();
        for host in self.plan.changing() {
            let machine = &self.machines[host.0];
            let systems = &machine.systems;
            let armed = matches!(machine.guard, GuardState::Armed { .. });
            let (new, old) = (Systems::all(&system("new")), Systems::all(&system("old")));
            let expected = match verdict.outcome {
                Outcome::Committed => new,
                Outcome::RolledBack | Outcome::Refused => old,
                Outcome::Split | Outcome::Left | Outcome::Superseded => continue,
                other => panic!("{context}: no driver ends a push as {other:?}"),
            };
            assert_eq!(*systems, expected, "{context}: {verdict:?}");
            assert!(!armed, "{context}: a guard is left: {verdict:?}");
        }
        let split_is_named = verdict.hosts.iter().any(|(_, end)| matches!(end, crate::event::HostOutcome::Lost { .. }));
        let not_seen = matches!(verdict.outcome, Outcome::Split | Outcome::Superseded);
        assert_eq!(not_seen, split_is_named, "{context}: {verdict:?}");
    }
}

/// Whether nothing may follow unless it is written.
fn announces(entry: &Entry) -> bool {
    matches!(entry, Entry::Arming | Entry::Testing | Entry::Decided | Entry::Disarming)
}

/// Why it ended so, where it was rolled back and all is proven to be as it was before.
pub(super) fn said(verdict: &Verdict) -> String {
    let said = verdict.text.to_string();
    let proven = "; the network is as before: every link that was up is up again";
    said.strip_suffix(proven).unwrap_or_else(|| panic!("it does not say that all is as before: {said}")).to_owned()
}
