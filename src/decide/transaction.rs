//! The decider of a push, from arming to the last clean-up.
//!
//! Feed [`Transaction::handle`] what happened; carry out, in order, what it returns. It keeps no time: it names timers
//! and hears of them. The point of no return is the entry `Disarming`: before it every host can go back to what it
//! ran, and the guards do so by themselves if nobody else does; after it the push only goes forward.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decide::fact::{JobKind, JobState, RefusalReason, StepAnswer, StepOutcome, Systems};
use crate::decide::links::{LinkId, Round};
use crate::decide::plan::{HostId, Plan};
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, RollbackReason, Signal, Step, Timer, Verdict};
use crate::event::{Cell, Event, HostOutcome, Outcome, Phase};
use crate::inventory::model::Place;

/// Rounds of the matrix that must hold one after another before a push is believed. Fixed by DESIGN.md section 5.
const ROUNDS_TO_HOLD: u32 = 3;

/// Where the whole push stands. Every stage ends in a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Arm,
    Test,
    Verify,
    /// Guards are being extended before the decision, or before the disarm.
    ExtendToSwitch,
    Switch,
    /// The matrix once more, after the boot defaults moved.
    Proof,
    ExtendToDisarm,
    Disarm,
    /// Every touched host is on its way back.
    Back,
    /// New logins and the baseline's matrix, before the guards of a roll back go.
    BackProof,
    BackDisarm,
    Clean,
    Over,
}

/// How a host stands in the stage under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Progress {
    Waiting,
    Sent,
    /// The host has begun, or cannot be reached: nobody needs to wait for it before cutting its way.
    Released,
    Done,
}

/// A host on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Back {
    /// This run never held it.
    Untouched,
    /// Its arm command is still out: nobody knows yet whether there is a guard.
    Arming,
    Waiting,
    Rolling,
    /// On its old systems, on the boot it was on, with its guard still armed.
    Restored,
    /// Out of reach, or beyond a roll back from here: its guard brings it back.
    Awaited,
    /// Brought back by its guard.
    Returned,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the host")]
pub(super) struct HostNow {
    /// The order that is out; an answer to any other is late and means nothing.
    pub(super) step: Option<Step>,
    pub(super) progress: Progress,
    /// It may hold a guard of this run.
    pub(super) armed: bool,
    /// A `test` was sent: its current system may have moved.
    pub(super) activated: bool,
    /// A `switch` was sent: its boot default may have moved.
    pub(super) moved: bool,
    /// It has taken a new login in this stage.
    pub(super) logged_in: bool,
    pub(super) boot_id: String,
    pub(super) back: Back,
    pub(super) end: Option<HostOutcome>,
}

impl HostNow {
    /// Nothing was said about its end yet.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// A roll back must be proven here by a new login.
    pub(super) fn needs_login(&self) -> bool {
        self.is_open() && self.activated && matches!(self.back, Back::Restored | Back::Returned)
    }
}

/// One push over a fleet.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the push")]
pub struct Transaction {
    pub(super) plan: Arc<Plan>,
    pub(super) hosts: Vec<HostNow>,
    pub(super) stage: Stage,
    /// Rounds in a row that held.
    pub(super) streak: u32,
    /// A round is out.
    pub(super) probing: bool,
    /// The round that is out began in an earlier stage and proves nothing for this one.
    pub(super) stale: bool,
    pub(super) last_broken: BTreeSet<LinkId>,
    pub(super) last_failures: BTreeSet<(HostId, String)>,
    pub(super) waiting: BTreeSet<LinkId>,
    /// Only handshakes were missing when the settle time ended: WireGuard is given its rekey time, once.
    pub(super) rekeying: bool,
    pub(super) extended: bool,
    /// Restored hosts whose links stayed down were left to their guards once already.
    pub(super) left_to_guards: bool,
    pub(super) last_round: Option<Round>,
    pub(super) reason: Option<RollbackReason>,
    pub(super) interrupted: Option<Signal>,
}

impl Transaction {
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let hosts = plan
            .hosts
            .iter()
            .map(|host| HostNow {
                step: None,
                progress: Progress::Waiting,
                armed: false,
                activated: false,
                moved: false,
                logged_in: false,
                boot_id: host.boot_id.clone(),
                back: Back::Untouched,
                end: None,
            })
            .collect();
        Self {
            plan,
            hosts,
            stage: Stage::Arm,
            streak: 0,
            probing: false,
            stale: false,
            last_broken: BTreeSet::new(),
            last_failures: BTreeSet::new(),
            waiting: BTreeSet::new(),
            rekeying: false,
            extended: false,
            left_to_guards: false,
            last_round: None,
            reason: None,
            interrupted: None,
        }
    }

    /// The first orders: the fleet's first host by machine id is armed alone, so that of two pushes exactly one goes on.
    #[must_use]
    pub fn start(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::Tell(Event::PhaseStarted { phase: Phase::Arm }), Effect::Record(Entry::Arming)];
        let first = self.plan.changing().min_by_key(|host| self.plan.host(*host).machine_id.clone());
        if let Some(first) = first {
            self.arm(first, &mut effects);
        }
        effects
    }

    /// Takes what happened and returns what is to be done about it.
    #[must_use]
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Started { host } | Input::ContactLost { host } => {
                let now = &mut self.hosts[host.0];
                if now.progress == Progress::Sent {
                    now.progress = Progress::Released;
                }
                self.send_waiting(false, &mut effects);
            }
            Input::Answered { host, step, answer } => {
                if self.hosts[host.0].step.as_ref() == Some(&step) {
                    self.hosts[host.0].step = None;
                    self.answered(host, &step, answer, &mut effects);
                }
            }
            Input::RoundSeen { round, waiting } => self.round_seen(round, waiting, &mut effects),
            Input::TimerElapsed(timer) => self.timer_elapsed(timer, &mut effects),
            Input::CancelRequested(signal) => self.cancel(signal, &mut effects),
            Input::RecordFailed { why } => {
                if self.stage == Stage::Arm {
                    // The entry before the first arm command: none was sent.
                    for host in &mut self.hosts {
                        host.step = None;
                        host.armed = false;
                    }
                }
                self.turn_back(RollbackReason::NoRecord { why }, &mut effects);
            }
            Input::Weighed { enough } => self.weighed(enough, &mut effects),
        }
        effects
    }

    /// The hosts that may hold a guard of this run right now: what a person who leaves at once must hear of.
    pub fn guarded(&self) -> impl Iterator<Item = HostId> + '_ {
        self.plan.ids().filter(|host| self.hosts[host.0].armed)
    }

    fn answered(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Arm => self.after_arm(host, answer, effects),
            Stage::Test | Stage::Switch => self.after_job(host, step, answer, effects),
            Stage::Verify | Stage::Proof => self.after_login(host, answer, effects),
            Stage::ExtendToSwitch | Stage::ExtendToDisarm => self.after_extend(host, &answer, effects),
            Stage::Disarm => self.after_disarm(host, answer, effects),
            Stage::Back | Stage::BackProof | Stage::BackDisarm => self.after_back(host, step, answer, effects),
            Stage::Clean => {
                self.hosts[host.0].progress = Progress::Done;
                self.finish_when_clean(effects);
            }
            Stage::Over => {}
        }
    }

    // Phase 5: arm.

    pub(super) fn arm(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        self.hosts[host.0].armed = true;
        self.hosts[host.0].progress = Progress::Sent;
        let step = Step::Arm { expect: self.plan.host(host).old.clone(), boot_id: self.hosts[host.0].boot_id.clone() };
        self.run(host, step, effects);
    }

    fn after_arm(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let why = match answer {
            Answer::Said(said) => match said.outcome {
                StepOutcome::Done => {
                    self.hosts[host.0].progress = Progress::Done;
                    effects.push(done(self.plan.host(host).name.clone(), Phase::Arm));
                    let others: Vec<HostId> = self
                        .plan
                        .changing()
                        .filter(|other| self.hosts[other.0].progress == Progress::Waiting)
                        .collect();
                    for other in others {
                        self.arm(other, effects);
                    }
                    if self.all_changing(Progress::Done) {
                        self.enter_test(effects);
                    }
                    return;
                }
                StepOutcome::Refused { reason, text } => {
                    // A host that refuses to be armed has no guard of ours, and changed nothing.
                    self.hosts[host.0].armed = false;
                    refusal_text(reason, &text)
                }
                StepOutcome::Failed { text } => text,
            },
            Answer::Unknown { why } => why,
            Answer::Denied { why } => {
                self.hosts[host.0].armed = false;
                why
            }
            Answer::NotSent => {
                self.hosts[host.0].armed = false;
                "there was no time left to send it".to_owned()
            }
        };
        let name = self.plan.host(host).name.clone();
        self.turn_back(RollbackReason::NotArmed { host: name, why }, effects);
    }

    // Phase 6 and 9: detached jobs.

    fn enter_test(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Test, Phase::Test, effects);
        effects.push(Effect::Record(Entry::Testing));
        self.send_waiting(false, effects);
        effects.push(Effect::Expect(Timer::HeadStart));
    }

    fn enter_switch(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Record(Entry::Decided));
        effects.push(Effect::Tell(Event::Decided));
        self.enter(Stage::Switch, Phase::Switch, effects);
        self.send_waiting(false, effects);
        effects.push(Effect::Expect(Timer::HeadStart));
    }

    /// Sends the stage's job to every host whose turn it is: hosts behind a jump have a head start on the jump, whose
    /// own job may cut their way. `regardless` ends the head start.
    pub(super) fn send_waiting(&mut self, regardless: bool, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        for host in plan.changing() {
            let held = plan.changing().any(|far| plan.is_behind(far, host) && self.holds_its_way_open(far));
            if self.hosts[host.0].progress != Progress::Waiting || (held && !regardless) {
                continue;
            }
            let kind = match self.stage {
                Stage::Test => JobKind::Test,
                Stage::Switch if plan.host(host).reactivate => JobKind::Reactivate,
                Stage::Switch => JobKind::Switch,
                Stage::Back => JobKind::Rollback,
                _ => return,
            };
            if self.stage == Stage::Back && self.hosts[host.0].back != Back::Waiting {
                continue;
            }
            let now = &mut self.hosts[host.0];
            now.progress = Progress::Sent;
            match kind {
                JobKind::Test => now.activated = true,
                JobKind::Switch | JobKind::Reactivate => now.moved = true,
                JobKind::Rollback => now.back = Back::Rolling,
            }
            let boot_id = now.boot_id.clone();
            self.run(host, Step::Job { kind, boot_id }, effects);
        }
    }

    /// Whether this stage's job has yet to begin on `far`, so that the way to it must stay.
    fn holds_its_way_open(&self, far: HostId) -> bool {
        let now = &self.hosts[far.0];
        let takes_part = self.stage != Stage::Back || matches!(now.back, Back::Waiting | Back::Rolling);
        takes_part && matches!(now.progress, Progress::Waiting | Progress::Sent)
    }

    fn after_job(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        let name = self.plan.host(host).name.clone();
        let (phase, kind) = match step {
            Step::Job { kind: JobKind::Test, .. } => (Phase::Test, JobKind::Test),
            Step::Job { kind, .. } => (Phase::Switch, *kind),
            _ => return,
        };
        match self.job_failure(host, kind, answer, effects) {
            None => {
                self.hosts[host.0].progress = Progress::Done;
                effects.push(done(name, phase));
                self.send_waiting(false, effects);
                if self.all_changing(Progress::Done) {
                    effects.push(Effect::Forget(Timer::HeadStart));
                    match phase {
                        Phase::Test => self.enter_verify(effects),
                        _ => self.enter_proof(effects),
                    }
                }
            }
            Some(reason) => self.turn_back(reason, effects),
        }
    }

    /// What is wrong with a finished job, if anything is.
    fn job_failure(
        &self,
        host: HostId,
        kind: JobKind,
        answer: Answer,
        effects: &mut Vec<Effect>,
    ) -> Option<RollbackReason> {
        let plan = self.plan.host(host);
        let name = plan.name.clone();
        let phase = if kind == JobKind::Test { Phase::Test } else { Phase::Switch };
        let said = match answer {
            Answer::Said(said) => said,
            Answer::NotSent => return Some(RollbackReason::NoTime),
            Answer::Unknown { why } | Answer::Denied { why } => {
                return Some(RollbackReason::StepFailed { host: name, phase, why });
            }
        };
        let StepAnswer { outcome, standing, log } = *said;
        let failures = self.plan.new_failures(host, &standing.failed_units, &standing.restarts);
        let exited = standing.jobs.get(&kind).copied();
        let expected = match kind {
            JobKind::Test => Systems { current: plan.new.clone(), ..plan.old.clone() },
            JobKind::Switch | JobKind::Reactivate | JobKind::Rollback => Systems::all(&plan.new),
        };
        let failed = |why: String| Some(RollbackReason::StepFailed { host: name.clone(), phase, why });
        let reason = match outcome {
            StepOutcome::Refused { reason: RefusalReason::OtherBoot, .. } => {
                return Some(RollbackReason::Restarted { host: name });
            }
            StepOutcome::Refused { reason, text } => return failed(refusal_text(reason, &text)),
            StepOutcome::Failed { text } if failures.is_empty() => failed(text),
            // Status 4 says that some unit of the whole machine is failed, not that this change failed one: the
            // standing tells. Source: CONTRACTS.md 1.4.
            _ if !failures.is_empty() => Some(RollbackReason::UnitsFailed { host: name.clone(), units: failures }),
            _ if standing.systems != expected => {
                failed(format!("the host is on {} afterwards, not where it should be", describe(&standing.systems)))
            }
            _ => None,
        };
        if reason.is_some() {
            let what = phase.word().to_owned();
            effects.push(Effect::Tell(Event::Logged { host: name, what, lines: log }));
        } else if exited == Some(JobState::Exited { status: 4 }) {
            let text = "some units were failed before this push and still are".to_owned();
            effects.push(Effect::Tell(Event::Warned { host: Some(name), text }));
        }
        reason
    }

    // Phase 7: verify.

    fn enter_verify(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Verify, Phase::Verify, effects);
        for host in self.plan.ids() {
            self.run(host, Step::Login, effects);
        }
        effects.push(Effect::Expect(Timer::Settle));
        self.probe(effects);
    }

    /// After the boot defaults moved: the matrix once more.
    fn enter_proof(&mut self, effects: &mut Vec<Effect>) {
        self.stage = Stage::Proof;
        self.streak = 0;
        effects.push(Effect::Expect(Timer::Settle));
        self.probe(effects);
    }

    pub(super) fn probe(&mut self, effects: &mut Vec<Effect>) {
        if self.probing {
            self.stale = true;
        } else {
            self.probing = true;
            effects.push(Effect::Probe { after: !matches!(self.stage, Stage::Back | Stage::BackProof) });
        }
    }

    fn after_login(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let plan = self.plan.host(host);
        let name = plan.name.clone();
        let reason = match answer {
            Answer::Said(said) => {
                let standing = &said.standing;
                let failures = self.plan.new_failures(host, &standing.failed_units, &standing.restarts);
                if standing.boot_id != self.hosts[host.0].boot_id && plan.changes {
                    RollbackReason::Restarted { host: name }
                } else if plan.changes && standing.systems.current != plan.new {
                    let why = format!("it runs {}, which this push did not bring", standing.systems.current);
                    RollbackReason::StepFailed { host: name, phase: Phase::Verify, why }
                } else if plan.changes && !failures.is_empty() {
                    RollbackReason::UnitsFailed { host: name, units: failures }
                } else {
                    self.hosts[host.0].logged_in = true;
                    self.verified_when_all_holds(effects);
                    return;
                }
            }
            Answer::Unknown { why } | Answer::Denied { why } => RollbackReason::NoLogin { host: name, why },
            Answer::NotSent => RollbackReason::NoTime,
        };
        self.turn_back(reason, effects);
    }

    fn round_seen(&mut self, mut round: Round, waiting: BTreeSet<LinkId>, effects: &mut Vec<Effect>) {
        self.probing = false;
        if std::mem::take(&mut self.stale) {
            self.probe(effects);
            return;
        }
        match self.stage {
            Stage::Verify | Stage::Proof => {}
            Stage::BackProof => {
                self.back_round_seen(round, effects);
                return;
            }
            _ => return,
        }
        if let Some(reason) = self.moved_by_itself(&round) {
            self.turn_back(reason, effects);
            return;
        }
        self.last_broken = self.plan.broken(&round);
        self.last_failures = self.failures_in(&round);
        self.waiting = waiting;
        let holds = self.last_broken.is_empty() && self.last_failures.is_empty();
        self.streak = if holds { self.streak + 1 } else { 0 };
        effects.push(Effect::Tell(self.links_moved(&round)));
        round.hosts.clear();
        self.last_round = Some(round);
        self.verified_when_all_holds(effects);
        if matches!(self.stage, Stage::Verify | Stage::Proof) && !self.probing {
            effects.push(Effect::Expect(Timer::RoundPause));
        }
    }

    fn verified_when_all_holds(&mut self, effects: &mut Vec<Effect>) {
        let needed = if self.stage == Stage::Verify { ROUNDS_TO_HOLD } else { 1 };
        if self.streak < needed {
            return;
        }
        match self.stage {
            Stage::Verify if self.hosts.iter().all(|host| host.logged_in) => {
                Self::forget_verify_timers(effects);
                self.tell_matrix(Phase::Verify, effects);
                effects.push(Effect::Tell(Event::PhaseStarted { phase: Phase::Decide }));
                self.stage = Stage::ExtendToSwitch;
                self.extended = false;
                effects.push(Effect::Weigh);
            }
            Stage::Proof => {
                Self::forget_verify_timers(effects);
                self.stage = Stage::ExtendToDisarm;
                self.extended = false;
                effects.push(Effect::Weigh);
            }
            _ => {}
        }
    }

    fn timer_elapsed(&mut self, timer: Timer, effects: &mut Vec<Effect>) {
        match (timer, self.stage) {
            (Timer::HeadStart, Stage::Test | Stage::Switch | Stage::Back) => self.send_waiting(true, effects),
            (Timer::RoundPause, Stage::Verify | Stage::Proof | Stage::BackProof) => self.probe(effects),
            (Timer::Settle, Stage::Verify | Stage::Proof) => {
                let only_handshakes = !self.last_broken.is_empty()
                    && self.last_failures.is_empty()
                    && self.last_broken.is_subset(&self.waiting);
                if only_handshakes && !self.rekeying {
                    self.rekeying = true;
                    effects.push(Effect::Expect(Timer::Rekey));
                    let text = "the links carry packets over an old WireGuard session; waiting for a new handshake, \
                                up to 3 minutes"
                        .to_owned();
                    effects.push(Effect::Tell(Event::Warned { host: None, text }));
                } else {
                    self.not_verified(effects);
                }
            }
            (Timer::Rekey, Stage::Verify | Stage::Proof) => self.not_verified(effects),
            (Timer::Settle, Stage::BackProof) => self.back_not_proven(effects),
            _ => {}
        }
    }

    fn not_verified(&mut self, effects: &mut Vec<Effect>) {
        self.tell_matrix(Phase::Verify, effects);
        let silent = self.plan.ids().find(|host| self.stage == Stage::Verify && !self.hosts[host.0].logged_in);
        let reason = if let Some((host, _)) = self.last_failures.first() {
            let units = self.last_failures.iter().filter(|(other, _)| other == host).map(|(_, unit)| unit.clone());
            RollbackReason::UnitsFailed { host: self.plan.host(*host).name.clone(), units: units.collect() }
        } else if let (Some(host), true) = (silent, self.last_broken.is_empty()) {
            let why = "it did not answer within the settle time".to_owned();
            RollbackReason::NoLogin { host: self.plan.host(host).name.clone(), why }
        } else {
            RollbackReason::LinksDown { links: self.link_texts(&self.last_broken) }
        };
        self.turn_back(reason, effects);
    }

    /// A changed host that is on another boot or another system than it should be.
    fn moved_by_itself(&self, round: &Round) -> Option<RollbackReason> {
        self.plan.changing().find_map(|host| {
            let plan = self.plan.host(host);
            let seen = round.hosts.get(&plan.name)?;
            if seen.boot_id != self.hosts[host.0].boot_id {
                Some(RollbackReason::Restarted { host: plan.name.clone() })
            } else if seen.current != plan.new.as_str() {
                let why = format!("it runs {}, which this push did not bring", seen.current);
                Some(RollbackReason::StepFailed { host: plan.name.clone(), phase: Phase::Verify, why })
            } else {
                None
            }
        })
    }

    fn failures_in(&self, round: &Round) -> BTreeSet<(HostId, String)> {
        let mut failures = BTreeSet::new();
        for host in self.plan.changing() {
            if let Some(seen) = round.hosts.get(&self.plan.host(host).name) {
                let new = self.plan.new_failures(host, &seen.failed_units, &seen.restarts);
                failures.extend(new.into_iter().map(|unit| (host, unit)));
            }
        }
        failures
    }

    // Phase 8 and 10: decide, disarm.

    fn weighed(&mut self, enough: bool, effects: &mut Vec<Effect>) {
        match (self.stage, enough) {
            (Stage::ExtendToSwitch, true) => self.enter_switch(effects),
            (Stage::ExtendToDisarm, true) => self.enter_disarm(effects),
            (Stage::ExtendToSwitch | Stage::ExtendToDisarm, false) if !self.extended => {
                self.extended = true;
                self.extend_all(effects);
            }
            (Stage::ExtendToSwitch | Stage::ExtendToDisarm, false) => self.turn_back(RollbackReason::NoTime, effects),
            _ => {}
        }
    }

    fn extend_all(&mut self, effects: &mut Vec<Effect>) {
        let changing: Vec<HostId> = self.plan.changing().collect();
        for host in changing {
            self.hosts[host.0].progress = Progress::Sent;
            let boot_id = self.hosts[host.0].boot_id.clone();
            self.run(host, Step::Extend { boot_id }, effects);
        }
    }

    fn after_extend(&mut self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        if matches!(answer, Answer::Said(said) if said.outcome == StepOutcome::Done) {
            self.hosts[host.0].progress = Progress::Done;
            if self.all_changing(Progress::Done) {
                effects.push(Effect::Weigh);
            }
        } else {
            // All or nothing: the earliest deadline known for certain counts.
            self.turn_back(RollbackReason::NoTime, effects);
        }
    }

    fn enter_disarm(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Disarm, Phase::Disarm, effects);
        effects.push(Effect::Record(Entry::Disarming));
        let changing: Vec<HostId> = self.plan.changing().collect();
        for host in changing {
            self.disarm(host, Systems::all(&self.plan.host(host).new), effects);
        }
    }

    pub(super) fn disarm(&mut self, host: HostId, expect: Systems, effects: &mut Vec<Effect>) {
        self.hosts[host.0].progress = Progress::Sent;
        let boot_id = self.hosts[host.0].boot_id.clone();
        self.run(host, Step::Disarm { expect, boot_id }, effects);
    }

    fn after_disarm(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let plan = self.plan.host(host);
        let end = match answer {
            Answer::Said(said) => {
                let on_new = said.standing.systems.all_are(&plan.new);
                match said.outcome {
                    // The second: it restarted by itself after its boot default moved, on the new system, unguarded.
                    StepOutcome::Done | StepOutcome::Refused { reason: RefusalReason::OtherBoot, .. } if on_new => {
                        HostOutcome::Committed
                    }
                    StepOutcome::Refused { reason, text } => HostOutcome::Lost { why: refusal_text(reason, &text) },
                    StepOutcome::Failed { text } => HostOutcome::Lost { why: text },
                    StepOutcome::Done => {
                        HostOutcome::Lost { why: format!("disarmed, and on {}", describe(&said.standing.systems)) }
                    }
                }
            }
            Answer::Unknown { why } | Answer::Denied { why } => HostOutcome::Lost { why },
            Answer::NotSent => HostOutcome::Lost { why: "there was no time left to disarm it".to_owned() },
        };
        if end == HostOutcome::Committed {
            self.hosts[host.0].armed = false;
            effects.push(Effect::Tell(Event::GuardDisarmed { host: plan.name.clone() }));
        }
        self.hosts[host.0].end = Some(end);
        if self.plan.changing().all(|host| self.hosts[host.0].end.is_some()) {
            self.enter_clean(effects);
        }
    }

    // The end.

    /// Only after the last answer: what a split leaves on the hosts is what `recover` needs.
    pub(super) fn enter_clean(&mut self, effects: &mut Vec<Effect>) {
        let outcome = self.outcome();
        effects.push(Effect::Record(Entry::Finished { outcome }));
        self.stage = Stage::Clean;
        if outcome != Outcome::Split {
            for host in self.plan.ids() {
                if self.plan.host(host).changes && self.hosts[host.0].end.is_some() {
                    self.hosts[host.0].progress = Progress::Sent;
                    self.run(host, Step::Clean, effects);
                }
            }
        }
        self.finish_when_clean(effects);
    }

    fn finish_when_clean(&mut self, effects: &mut Vec<Effect>) {
        if self.hosts.iter().all(|host| host.step.is_none()) {
            self.stage = Stage::Over;
            effects.push(Effect::Finish(self.verdict()));
        }
    }

    fn outcome(&self) -> Outcome {
        let ends = || self.hosts.iter().filter_map(|host| host.end.as_ref());
        if ends().any(|end| matches!(end, HostOutcome::Lost { .. })) {
            Outcome::Split
        } else if ends().any(|end| *end == HostOutcome::Committed) {
            Outcome::Committed
        } else if self.hosts.iter().all(|host| !host.activated) && self.interrupted.is_none() {
            Outcome::Refused
        } else {
            Outcome::RolledBack
        }
    }

    fn verdict(&self) -> Verdict {
        let hosts = self.plan.ids().map(|host| {
            let plan = self.plan.host(host);
            let end = self.hosts[host.0].end.clone().unwrap_or(if plan.changes {
                HostOutcome::Untouched
            } else {
                HostOutcome::Witness
            });
            (plan.name.clone(), end)
        });
        let text = match (&self.reason, self.outcome()) {
            (Some(reason), _) => reason.to_string(),
            (None, Outcome::Split) => "not every guard could be disarmed".to_owned(),
            (None, _) => "every host is on its new system, and every required link is up".to_owned(),
        };
        Verdict { outcome: self.outcome(), hosts: hosts.collect(), text, interrupted: self.interrupted }
    }

    fn cancel(&mut self, signal: Signal, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Arm | Stage::Test | Stage::Verify | Stage::ExtendToSwitch => {
                self.interrupted = Some(signal);
                self.turn_back(RollbackReason::Interrupted(signal), effects);
            }
            Stage::Switch | Stage::Proof | Stage::ExtendToDisarm | Stage::Disarm => {
                let text = format!("{signal}: the decision to commit was made; finishing first");
                effects.push(Effect::Tell(Event::Warned { host: None, text }));
            }
            Stage::Back | Stage::BackProof | Stage::BackDisarm | Stage::Clean | Stage::Over => {}
        }
    }

    // Small things that several stages need.

    pub(super) fn run(&mut self, host: HostId, step: Step, effects: &mut Vec<Effect>) {
        self.hosts[host.0].step = Some(step.clone());
        effects.push(Effect::Run { host, step });
    }

    fn enter(&mut self, stage: Stage, phase: Phase, effects: &mut Vec<Effect>) {
        self.stage = stage;
        self.streak = 0;
        for host in &mut self.hosts {
            host.progress = Progress::Waiting;
        }
        effects.push(Effect::Tell(Event::PhaseStarted { phase }));
    }

    fn all_changing(&self, progress: Progress) -> bool {
        self.plan.changing().all(|host| self.hosts[host.0].progress == progress)
    }

    pub(super) fn forget_verify_timers(effects: &mut Vec<Effect>) {
        effects.extend([Timer::Settle, Timer::Rekey, Timer::RoundPause].map(Effect::Forget));
    }

    fn links_moved(&self, round: &Round) -> Event {
        let of = self.plan.links.len();
        let down = round.down(&self.plan.links).len();
        Event::LinksMoved {
            up: (of - down) as u64,
            of: of as u64,
            rounds: self.streak,
            waiting_for: self.link_texts(&self.last_broken),
        }
    }

    pub(super) fn link_texts(&self, links: &BTreeSet<LinkId>) -> Vec<String> {
        links
            .iter()
            .map(|id| {
                let link = &self.plan.links[*id];
                let from = match &link.from {
                    Place::Workstation => "workstation",
                    Place::Host(name) => name.as_str(),
                };
                let before = if self.plan.baseline.answer(*id).is_up() { "" } else { ", was down before" };
                let why = match self.last_round.as_ref().map(|round| round.answer(*id)) {
                    Some(crate::decide::links::LinkAnswer::Down { why }) if !why.is_empty() => format!(", {why}"),
                    _ => String::new(),
                };
                format!("{from} -> {} ({}{why}{before})", link.to, link.probe.kind())
            })
            .collect()
    }

    pub(super) fn tell_matrix(&self, phase: Phase, effects: &mut Vec<Effect>) {
        if let Some(round) = &self.last_round {
            effects.push(Effect::Tell(Event::MatrixSeen { phase, cells: cells(&self.plan, round, true) }));
        }
    }
}

/// The matrix as events carry it. `compare`: beside what the baseline said.
#[must_use]
pub fn cells(plan: &Plan, round: &Round, compare: bool) -> Vec<Cell> {
    plan.links
        .iter()
        .enumerate()
        .map(|(id, link)| Cell {
            check: link.check.clone(),
            from: link.from.clone(),
            to: link.to.clone(),
            kind: link.probe.kind().to_owned(),
            required: link.required,
            answer: round.answer(id).clone(),
            was_up: compare.then(|| plan.baseline.answer(id).is_up()),
        })
        .collect()
}

fn done(host: crate::inventory::model::HostName, phase: Phase) -> Effect {
    Effect::Tell(Event::HostDone { host, phase })
}

pub(super) fn refusal_text(reason: RefusalReason, text: &str) -> String {
    if text.is_empty() { reason.to_string() } else { format!("{reason}: {text}") }
}

pub(super) fn describe(systems: &Systems) -> String {
    if systems.agree() {
        systems.current.to_string()
    } else {
        format!("current {}, profile {}, boot default {}", systems.current, systems.profile, systems.boot_default)
    }
}
