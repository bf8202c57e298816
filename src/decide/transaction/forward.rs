//! Decides in phases 5, 6 and 9 what is done on the hosts on the way forward, one order for each host, and what its
//! answer means.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decide::transaction::done;
use crate::decide::transaction::stage::{Barrier, Stage};
use crate::decide::transaction::state::{Back, Progress, Transaction};
use crate::decide::vocabulary::{Answer, Effect, Entry, RollbackReason, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::reason::job::went_wrong_on_the_way;
use crate::event::reason::notice::Notice;
use crate::event::reason::rollback::{BootsNow, Unarmed};
use crate::event::{Event, Phase};
use crate::facts::host::{JobKind, JobState};
use crate::facts::plan::HostId;
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use crate::facts::systems::Systems;

impl Transaction {
    pub(super) fn arm(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        self.hosts[host.0].armed = true;
        self.hosts[host.0].progress = Progress::Sent;
        let step = Step::Arm { expect: self.plan.host(host).old.clone(), boot_id: self.hosts[host.0].boot_id.clone() };
        self.run(host, step, effects);
    }

    pub(super) fn after_arm(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
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
                    // A host that refuses to be armed has no guard of ours, and changed nothing; unless an earlier copy
                    // of the command has armed a guard that is firing.
                    self.hosts[host.0].armed = reason == RefusalReason::Fired;
                    Cause::refused(reason, text)
                }
                StepOutcome::Failed { failure } => Cause::failed(failure),
            },
            Answer::Unknown { why } => why,
            Answer::Denied { why } => {
                self.hosts[host.0].armed = false;
                why
            }
            Answer::NotSent => {
                self.hosts[host.0].armed = false;
                Cause::NoTimeToAsk
            }
        };
        let name = self.plan.host(host).name.clone();
        self.turn_back(RollbackReason::NotArmed { host: name, cause: Unarmed::Cause(why) }, effects);
    }

    pub(super) fn enter_test(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Test(Barrier::default()));
        self.tell_wave(effects);
        self.begin(Phase::Test, effects);
        effects.push(Effect::Record(Entry::Testing));
        self.send_wave(effects);
    }

    /// Goes on after a wave that was looked at and holds. Every guard gets its whole time again before the next wave
    /// begins: a fleet may be slow, and a step is refused if too little time is left.
    pub(super) fn extend_to_next_wave(&mut self, next: usize, effects: &mut Vec<Effect>) {
        self.enter(Stage::ExtendToTest);
        self.wave = next;
        // The entry announces the tests, and dates the guards: for a host that cannot be asked, `recover` counts from
        // the latest entry.
        effects.push(Effect::Record(Entry::Testing));
        self.extend_all(effects);
    }

    pub(super) fn enter_next_wave(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Test(Barrier::default()));
        self.tell_wave(effects);
        self.begin(Phase::Test, effects);
        // Its tunnels may need another handshake.
        self.rekeying = false;
        self.send_wave(effects);
    }

    fn tell_wave(&self, effects: &mut Vec<Effect>) {
        let waves = self.plan.waves();
        if let (Some(hosts), 2..) = (waves.get(&self.wave), waves.len()) {
            effects.push(Effect::Tell(Event::WaveStarted {
                wave: waves.range(..=self.wave).count() as u64,
                of: waves.len() as u64,
                hosts: hosts.iter().map(|host| self.plan.host(*host).name.clone()).collect(),
            }));
        }
    }

    /// A host of another wave is not waited for.
    fn send_wave(&mut self, effects: &mut Vec<Effect>) {
        for (host, now) in self.plan.ids().zip(&mut self.hosts) {
            if self.plan.host(host).wave != self.wave {
                now.progress = Progress::Done;
            }
        }
        self.send_waiting(false, effects);
        effects.push(Effect::Expect(Timer::HeadStart));
    }

    pub(super) fn enter_switch(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Switch(Barrier::default()));
        effects.push(Effect::Record(Entry::Decided));
        effects.push(Effect::Tell(Event::Decided));
        self.begin(Phase::Switch, effects);
        self.send_waiting(false, effects);
        if self.all_changing(Progress::Done) {
            // This is a recovery that found every host through already.
            self.enter_proof(effects);
        } else {
            effects.push(Effect::Expect(Timer::HeadStart));
        }
    }

    /// Sends the stage's job to every host whose turn it is: hosts behind a jump have a head start on the jump, whose
    /// own job may cut their way. `regardless` ends that head start.
    pub(super) fn send_waiting(&mut self, regardless: bool, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let held = if regardless { BTreeSet::new() } else { self.ways_held_open() };
        for host in plan.changing() {
            if self.hosts[host.0].progress != Progress::Waiting || held.contains(&host) {
                continue;
            }
            let kind = match self.stage {
                Stage::Test(_) => JobKind::Test,
                Stage::Switch(_) => plan.host(host).switch_job(),
                Stage::Back(_) => JobKind::Rollback,
                _ => return,
            };
            if kind == JobKind::Rollback && self.hosts[host.0].back != Back::Waiting {
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

    /// Returns the hosts through which one is reached on which this stage's job has yet to begin.
    fn ways_held_open(&self) -> BTreeSet<HostId> {
        let mut held = BTreeSet::new();
        for far in self.plan.changing().filter(|far| self.holds_its_way_open(*far)) {
            // From one that is known on, the rest of the way is known, too.
            let _ = self.plan.way_to(far).find(|jump| !held.insert(*jump));
        }
        held
    }

    /// Returns whether this stage's job has yet to begin on `far`, so that the way to it must stay. A host out of reach
    /// has no way that could stay.
    pub(super) fn holds_its_way_open(&self, far: HostId) -> bool {
        let now = &self.hosts[far.0];
        let takes_part = !matches!(self.stage, Stage::Back(_)) || matches!(now.back, Back::Waiting | Back::Rolling);
        takes_part && matches!(now.progress, Progress::Waiting | Progress::Sent) && !self.silent.contains(&far)
    }

    pub(super) fn after_job(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        let name = self.plan.host(host).name.clone();
        let (phase, kind) = match step {
            Step::Job { kind: JobKind::Test, .. } => (Phase::Test, JobKind::Test),
            Step::Job { kind, .. } => (Phase::Switch, *kind),
            _ => return,
        };
        if let Answer::Said(said) = &answer {
            match kind {
                JobKind::Test | JobKind::Reactivate => self.learn_started(host, &said.standing, effects),
                JobKind::Switch | JobKind::Rollback => self.forget_waited_for(host),
            }
        }
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

    /// Starts the settle time when the barrier of a job waits only for hosts out of reach, and ends it when one is
    /// back. The jobs of the others may have cut their way. To wait for a job's whole limit would not mend that, and to
    /// turn back does. It is not started while every host is silent: that is this workstation's own link, and no roll
    /// back would arrive.
    pub(super) fn mind_the_silent(&mut self, effects: &mut Vec<Effect>) {
        let missing = |host: &HostId| self.hosts[host.0].progress != Progress::Done;
        let is_test = matches!(self.stage, Stage::Test(_));
        let takes_part = |host: &HostId| !is_test || self.plan.host(*host).wave == self.wave;
        let counts = self.plan.changing().filter(missing).all(|host| self.silent.contains(&host))
            && !self.plan.changing().filter(takes_part).all(|host| missing(&host));
        // A later stage has its own use for the timer.
        if let Stage::Test(barrier) | Stage::Switch(barrier) = &mut self.stage
            && counts != barrier.awaits_silent
        {
            barrier.awaits_silent = counts;
            let timer = Timer::Settle;
            effects.push(if counts { Effect::Expect(timer) } else { Effect::Forget(timer) });
        }
    }

    pub(super) fn silence_is_over_long(&mut self, effects: &mut Vec<Effect>) {
        let (phase, barrier) = match self.stage {
            Stage::Test(barrier) => (Phase::Test, barrier),
            Stage::Switch(barrier) => (Phase::Switch, barrier),
            _ => return,
        };
        let silent = self.plan.changing().find(|host| self.silent.contains(host));
        if let (true, Some(host)) = (barrier.awaits_silent, silent) {
            let host = self.plan.host(host).name.clone();
            self.turn_back(RollbackReason::StepFailed { host, phase, cause: Cause::WayMayBeCut, boots: None }, effects);
        }
    }

    /// Says what is wrong with a finished job, if anything is.
    pub(super) fn job_failure(
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
            Answer::NotSent => return Some(RollbackReason::NoTimeLeft),
            Answer::Unknown { why } | Answer::Denied { why } => {
                return Some(RollbackReason::StepFailed { host: name, phase, cause: why, boots: None });
            }
        };
        let StepAnswer { outcome, standing, log } = *said;
        let exited = standing.jobs.get(&kind).copied();
        let expected = match kind {
            JobKind::Test => Systems { current: plan.new.clone(), ..plan.old.clone() },
            JobKind::Switch | JobKind::Reactivate | JobKind::Rollback => Systems::all(&plan.new),
        };
        let boots = (kind != JobKind::Test).then(|| match standing.systems.known_boot_default() {
            None => BootsNow::NotKnown,
            Some(system) if *system == plan.new => BootsNow::New,
            Some(system) if *system == plan.old.boot_default => BootsNow::Old,
            Some(_) => BootsNow::Another,
        });
        let failed = |cause: Cause| Some(RollbackReason::StepFailed { host: name.clone(), phase, cause, boots });
        let reason = match outcome {
            StepOutcome::Refused { reason: RefusalReason::OtherBoot, .. } => {
                return Some(RollbackReason::HostRestarted { host: name });
            }
            StepOutcome::Refused { reason, text } => return failed(Cause::refused(reason, text)),
            StepOutcome::Failed { failure } => failed(Cause::failed_by_log(failure, &log)),
            // Status 4 counts as done: some unit of the whole machine is failed. It may have been so before, and has
            // the settle time to recover. Source: docs/facts.md, "Exit statuses of switch-to-configuration".
            StepOutcome::Done if standing.systems != expected => {
                failed(Cause::NotWhereExpected { systems: standing.systems })
            }
            StepOutcome::Done => None,
        };
        if reason.is_some() {
            let what = phase.word().to_owned();
            effects.push(Effect::Tell(Event::Logged { host: name, what, lines: log }));
        } else if exited == Some(JobState::Exited { status: 4 }) {
            effects.push(Effect::Tell(Event::warned(
                Some(&name),
                Notice::UnitsUnsettled { said: went_wrong_on_the_way(&log) },
            )));
        }
        reason
    }
}
