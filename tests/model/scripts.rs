//! What the scripts do that are sent to a host: `src/remote/scripts`, one function per file.

use std::collections::{BTreeMap, BTreeSet};

use fleetdeploy::decide::vocabulary::Step;
use fleetdeploy::facts::host::{GuardState, JobKind, JobState as Told, Lease as ToldLease, Standing};
use fleetdeploy::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use fleetdeploy::facts::systems::{BootLoader, NextBoot};
use fleetdeploy::facts::traces::{EndMark, EndSide, Ended, RunTraces};

use crate::host::{Guard, Host, JobState, Lease, Mark, Token, unfenced_rollback};
use crate::mistakes::Mistake;
use crate::words::{Places, Sys, boot_id, host_name, host_number, stands_for};
use crate::world::OURS;

/// A command under way to a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Order {
    pub(crate) speaker: Lease,
    pub(crate) step: Step,
    /// An arm command whose latest time is past on the host's clock.
    pub(crate) expired: bool,
}

/// What comes of a command that reaches its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// The host answers with this and with how it stands.
    Answers(StepOutcome),
    /// A detached step is under way; the answer comes with its end.
    Works,
}

/// Facts that the properties want to know of a command that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trace {
    /// A step was let through the fence although the guard was not armed, not alive, or too near to its end.
    pub(crate) unfenced: bool,
    /// A step that goes forward was let through although the next boot is not the boot default.
    pub(crate) past_next_boot: bool,
    /// The token went from armed to disarmed while the host was to stay on new.
    pub(crate) disarmed_for_commit: bool,
}

fn refused(reason: RefusalReason) -> Reaction {
    Reaction::Answers(StepOutcome::Refused { reason, text: String::new() })
}

fn failed() -> Reaction {
    Reaction::Answers(StepOutcome::said_to_have_failed(String::new()))
}

const DONE: Reaction = Reaction::Answers(StepOutcome::Done);

impl Host {
    /// Carries out a command. `well`: arming works.
    pub(crate) fn take(&mut self, order: &Order, well: bool, mistake: Option<Mistake>) -> (Reaction, Trace) {
        let mut trace = Trace::default();
        let reaction = match &order.step {
            Step::Arm { expect, boot_id } => self.arm(order, Places::of(expect), boot_id, well, mistake),
            Step::Extend { boot_id } => self.extend(order.speaker, boot_id, mistake),
            Step::Job { kind, boot_id } => self.step(order.speaker, *kind, boot_id, mistake, &mut trace),
            Step::Disarm { expect, boot_id } => {
                let reaction = self.disarm(order.speaker, Places::of(expect), boot_id, mistake, &mut trace);
                if mistake == Some(Mistake::DisarmingCleansUp) && reaction == DONE {
                    self.clean(order.speaker, None);
                }
                reaction
            }
            Step::Release => self.release(order.speaker),
            Step::Clean { mark } => {
                let missing = mark.missing.keys().fold(0, |missing, host| missing | 1 << host_number(host));
                let side = mark.side.map(|side| if side == EndSide::Old { Sys::Old } else { Sys::New });
                let mark = Mark { side, missing, epoch: order.speaker.epoch };
                self.clean(order.speaker, Some(mark).filter(|mark| mark.missing != 0))
            }
            Step::Unmark { host } => self.unmark(order.speaker, host.as_ref().map(host_number)),
            Step::TakeOver { .. } => self.take_over(order.speaker, mistake),
            // ask.sh; engine::orders, `understand`.
            Step::Ask if self.is_gone(order.speaker) => refused(RefusalReason::Ended),
            // standing.sh changes nothing.
            Step::Ask | Step::Login { .. } | Step::Return { .. } => DONE,
        };
        (reaction, trace)
    }

    /// arm.sh, `arm`.
    fn arm(
        &mut self,
        order: &Order,
        expect: Places,
        wanted_boot: &str,
        well: bool,
        mistake: Option<Mistake>,
    ) -> Reaction {
        let speaker = order.speaker;
        let fences =
            !matches!(mistake, Some(Mistake::RecoveringWithoutAnEpoch | Mistake::ArmingOverridesAForeignGuard));
        if wanted_boot != boot_id(self.boot) && mistake != Some(Mistake::TheFenceIgnoresTheBoot) {
            return refused(RefusalReason::OtherBoot);
        }
        match self.lease {
            _ if mistake == Some(Mistake::ArmingOverridesAForeignGuard) => {}
            Some(lease) if lease.run != speaker.run => return refused(RefusalReason::ForeignLease),
            Some(lease) if lease.epoch > speaker.epoch => return refused(RefusalReason::Superseded),
            _ if self.fence > speaker.epoch && fences => return refused(RefusalReason::Superseded),
            _ => {}
        }
        if self.mark.is_some() {
            return refused(RefusalReason::Ended);
        }
        let lives = self.guard != Guard::Absent;
        if lives || self.token == Token::Armed {
            if self.guard_of != speaker.run && mistake != Some(Mistake::ArmingOverridesAForeignGuard) {
                return refused(RefusalReason::ForeignGuard);
            } else if self.token == Token::Fired {
                return refused(RefusalReason::Fired);
            }
        }
        if self.token == Token::Armed {
            self.lease = Some(speaker);
            self.fence = self.fence.max(speaker.epoch);
            self.guard_of = speaker.run;
            // A unit that died is started again, with the deadline it had.
            self.guard = Guard::Watching;
            return DONE;
        }
        let forgets = mistake == Some(Mistake::ArmingForgetsThatItIsOver);
        let is_again =
            self.token != Token::None && (self.guard_of, self.armed_by) == (speaker.run, Some(speaker.epoch));
        if order.expired && mistake != Some(Mistake::TheFenceTrustsTheSendersClock) {
            return refused(RefusalReason::TooLate);
        } else if (is_again || self.saved.is_none()) && !forgets {
            return refused(RefusalReason::Other);
        } else if self.over {
            return refused(RefusalReason::Ended);
        } else if self.on != expect || (speaker.epoch == 1 && !self.boots_its_default(mistake)) {
            // What goes on from an earlier arming is a way back, and no next boot binds that.
            return refused(RefusalReason::Moved);
        }
        let had_lease = self.lease.replace(speaker);
        self.fence = self.fence.max(speaker.epoch);
        // `write_roots`: what an earlier arming wrote stays.
        self.saved.get_or_insert(self.on);
        self.planned = true;
        self.guard_of = speaker.run;
        self.armed_by = Some(speaker.epoch);
        self.short = false;
        if well {
            self.token = Token::Armed;
            self.guard = Guard::Watching;
            return DONE;
        }
        if mistake == Some(Mistake::ArmingIsNotReadBack) {
            self.token = Token::Armed;
            return DONE;
        }
        self.token = Token::None;
        self.lease = had_lease.map(|_| speaker);
        failed()
    }

    /// take_over.sh. That the driver then waits for a switch which is under way (engine::ssh_hosts, `take_over`) only
    /// takes choices away: here the answer may come at any time.
    fn take_over(&mut self, speaker: Lease, mistake: Option<Mistake>) -> Reaction {
        if self.is_gone(speaker) {
            return refused(RefusalReason::Ended);
        }
        match self.lease {
            Some(lease) if lease.run != speaker.run => return refused(RefusalReason::ForeignLease),
            Some(lease) if lease.epoch > speaker.epoch => return refused(RefusalReason::Superseded),
            _ if self.fence > speaker.epoch => return refused(RefusalReason::Superseded),
            _ => {}
        }
        if self.token == Token::Armed && self.guard_of != speaker.run {
            return refused(RefusalReason::ForeignGuard);
        }
        if mistake != Some(Mistake::RecoveringWithoutAnEpoch) {
            self.lease = Some(speaker);
            self.fence = self.fence.max(speaker.epoch);
        }
        DONE
    }

    /// lib.sh, `still_here`.
    fn is_gone(&self, speaker: Lease) -> bool {
        self.mark.is_some() || (self.saved.is_none() && self.lease.is_none_or(|lease| lease.run != speaker.run))
    }

    /// lib.sh, `held_by`.
    fn held_by(&self, speaker: Lease, wanted_boot: &str, mistake: Option<Mistake>) -> Result<(), Reaction> {
        if wanted_boot != boot_id(self.boot) && mistake != Some(Mistake::TheFenceIgnoresTheBoot) {
            return Err(refused(RefusalReason::OtherBoot));
        }
        match self.lease {
            None => Err(refused(RefusalReason::ForeignLease)),
            Some(lease) if lease.run != speaker.run => Err(refused(RefusalReason::ForeignLease)),
            Some(_) if mistake == Some(Mistake::RecoveringWithoutAnEpoch) => Ok(()),
            Some(lease) if lease.epoch > speaker.epoch => Err(refused(RefusalReason::Superseded)),
            Some(lease) if lease.epoch < speaker.epoch => Err(refused(RefusalReason::Other)),
            Some(_) => Ok(()),
        }
    }

    /// lib.sh, `guarded_for`. `long`: for longer than a moment.
    fn guarded_for(&self, long: bool, mistake: Option<Mistake>) -> Result<(), Reaction> {
        let only_the_token = mistake == Some(Mistake::ArmingIsNotReadBack);
        let trusts_the_sender = mistake == Some(Mistake::TheFenceTrustsTheSendersClock);
        match self.token {
            Token::Fired => Err(refused(RefusalReason::Fired)),
            Token::None | Token::Disarmed => Err(refused(RefusalReason::NoGuard)),
            Token::Armed if self.guard == Guard::Absent && !only_the_token => Err(refused(RefusalReason::NoGuard)),
            Token::Armed if long && self.short && !trusts_the_sender => Err(refused(RefusalReason::TooLate)),
            Token::Armed => Ok(()),
        }
    }

    /// extend.sh.
    fn extend(&mut self, speaker: Lease, wanted_boot: &str, mistake: Option<Mistake>) -> Reaction {
        if let Err(no) = self.held_by(speaker, wanted_boot, mistake).and_then(|()| self.guarded_for(false, mistake)) {
            return no;
        }
        self.short = false;
        DONE
    }

    /// step.sh, `start`, and what `await_job` then says.
    fn step(
        &mut self,
        speaker: Lease,
        kind: JobKind,
        wanted_boot: &str,
        mistake: Option<Mistake>,
        trace: &mut Trace,
    ) -> Reaction {
        if let Err(no) = self.held_by(speaker, wanted_boot, mistake) {
            return no;
        }
        if self.job(kind).started_by != Some(speaker.epoch)
            && let Err(no) = self.start(speaker, kind, mistake, trace)
        {
            return no;
        }
        self.await_job(kind)
    }

    fn start(
        &mut self,
        speaker: Lease,
        kind: JobKind,
        mistake: Option<Mistake>,
        trace: &mut Trace,
    ) -> Result<(), Reaction> {
        let forward = kind != JobKind::Rollback;
        if !unfenced_rollback(kind, mistake) {
            self.guarded_for(forward, mistake)?;
        }
        if !stands_for(self.on, kind, speaker.epoch > 1) || (forward && !self.boots_its_default(mistake)) {
            return Err(refused(RefusalReason::Moved));
        }
        // `free_to_start`.
        if forward && self.rollback.started_by.is_some() {
            return Err(refused(RefusalReason::Other));
        }
        if forward && self.forward_lives() {
            return Err(refused(RefusalReason::Busy));
        }
        trace.past_next_boot = forward && self.next;
        trace.unfenced = self.token != Token::Armed || self.guard == Guard::Absent || (forward && self.short);
        if !self.job(kind).lives() {
            // `set_aside`: what an older epoch's step has left is out of the way.
            let job = self.job_mut(kind);
            job.state = JobState::None;
            job.starting = Some(speaker.epoch);
        }
        Ok(())
    }

    /// waiting.sh, `await_job`.
    pub(crate) fn await_job(&self, kind: JobKind) -> Reaction {
        let job = self.job(kind);
        match job.state {
            JobState::None if job.starting.is_some() => Reaction::Works,
            JobState::Running { .. } => Reaction::Works,
            JobState::Ended { well: true } => DONE,
            JobState::None | JobState::Ended { well: false } | JobState::Lost => failed(),
        }
    }

    /// disarm.sh.
    fn disarm(
        &mut self,
        speaker: Lease,
        expect: Places,
        wanted_boot: &str,
        mistake: Option<Mistake>,
        trace: &mut Trace,
    ) -> Reaction {
        if let Err(no) = self.held_by(speaker, wanted_boot, mistake) {
            return no;
        }
        let next_boot_binds = self.next && mistake == Some(Mistake::ANextBootBindsTheDisarm);
        if self.on != expect || next_boot_binds {
            return refused(RefusalReason::Moved);
        }
        if self.any_lives() {
            return refused(RefusalReason::Busy);
        }
        match self.token {
            Token::Fired if mistake == Some(Mistake::DisarmingStopsAFiredGuard) => return DONE,
            Token::Fired => return refused(RefusalReason::Fired),
            Token::None => return refused(RefusalReason::NoGuard),
            Token::Armed | Token::Disarmed => {}
        }
        trace.disarmed_for_commit = self.token == Token::Armed && expect.all_are(Sys::New);
        if mistake == Some(Mistake::DisarmingOnlyStopsTheUnit) {
            // Such as one that refuses to stop.
            return DONE;
        }
        self.committed |= expect.all_are(Sys::New);
        self.token = Token::Disarmed;
        self.guard = Guard::Absent;
        self.short = false;
        DONE
    }

    /// clean.sh.
    fn release(&mut self, speaker: Lease) -> Reaction {
        match self.lease {
            Some(lease) if lease.run != speaker.run => return DONE,
            Some(lease) if lease.epoch > speaker.epoch => return refused(RefusalReason::Superseded),
            _ => {}
        }
        if self.token == Token::Armed || self.guard != Guard::Absent {
            return refused(RefusalReason::Other);
        } else if self.any_lives() {
            return refused(RefusalReason::Busy);
        }
        self.lease = None;
        DONE
    }

    /// clean.sh, `clean`.
    fn clean(&mut self, speaker: Lease, mark: Option<Mark>) -> Reaction {
        if self.fence > speaker.epoch || self.mark.is_some_and(|mark| mark.epoch > speaker.epoch) {
            return refused(RefusalReason::Superseded);
        }
        // A mark that is there is not removed by this, and the first one stays.
        let mark = if self.saved.is_some() || self.lease.is_some() { self.mark.or(mark) } else { self.mark };
        match self.lease {
            Some(lease) if lease.run != speaker.run => {
                (self.saved, self.fence, self.mark, self.over) = (None, 0, mark, false);
                return DONE;
            }
            Some(lease) if lease.epoch > speaker.epoch => return refused(RefusalReason::Superseded),
            _ => {}
        }
        if self.token == Token::Armed || self.guard != Guard::Absent {
            return refused(RefusalReason::Other);
        } else if self.any_lives() {
            return refused(RefusalReason::Busy);
        }
        *self = Self {
            boot: self.boot,
            on: self.on,
            saved: None,
            switch_back: self.switch_back,
            scarred: self.scarred,
            cut: self.cut,
            next: self.next,
            by_hand: self.by_hand,
            anew: self.anew,
            mark,
            ..Self::new()
        };
        DONE
    }

    /// unmark.sh.
    fn unmark(&mut self, speaker: Lease, host: Option<u8>) -> Reaction {
        let Some(mark) = &mut self.mark else { return DONE };
        if mark.epoch > speaker.epoch {
            return refused(RefusalReason::Superseded);
        }
        mark.missing &= host.map_or(0, |host| !(1 << host));
        self.mark = self.mark.filter(|mark| mark.missing != 0);
        DONE
    }

    /// traces.sh.
    fn traces(&self) -> RunTraces {
        let names = |missing: u8| (0..8).filter(move |host| missing & (1 << host) != 0).map(host_name);
        RunTraces {
            traced: true,
            switching: self.switching,
            committed: self.has_committed(),
            over: self.over,
            ended: self.mark.map(|mark| Ended {
                epoch: mark.epoch.into(),
                mark: EndMark {
                    side: mark.side.map(|side| if side == Sys::Old { EndSide::Old } else { EndSide::New }),
                    missing: names(mark.missing).map(|host| (host, None)).collect(),
                },
            }),
            volatile: false,
        }
    }

    /// lib.sh, `print_standing`.
    pub(crate) fn standing(&self) -> Standing {
        let run = || self.guard_of.to_string();
        let told = |kind| match self.job(kind).state {
            JobState::None => Told::None,
            JobState::Running { .. } => Told::Running,
            JobState::Ended { well } => Told::Exited { status: i32::from(!well) },
            JobState::Lost => Told::Lost,
        };
        let jobs = [JobKind::Test, JobKind::Switch, JobKind::Rollback].map(|kind| (kind, told(kind)));
        Standing {
            boot_id: boot_id(self.boot),
            uptime: 0,
            systems: self.on.systems(),
            booted: Sys::Old.path().clone(),
            generation: 1,
            loader: BootLoader::SystemdBoot,
            next_boot: self.next.then(|| NextBoot { entry: String::new(), system: None }),
            guard: match self.token {
                Token::None => GuardState::None,
                Token::Armed if self.guard == Guard::Absent => GuardState::Dead { run: run(), deadline: 0 },
                Token::Armed => GuardState::Armed { run: run(), deadline: 0 },
                Token::Fired if self.is_firing() => GuardState::Firing { run: run() },
                Token::Fired => GuardState::Fired { run: run() },
                Token::Disarmed => GuardState::Disarmed { run: run() },
            },
            lease: self.lease.map(|lease| ToldLease {
                run: lease.run.to_string(),
                epoch: lease.epoch.into(),
                owner: format!("epoch {}", lease.epoch),
            }),
            rolling: None,
            jobs: jobs.into_iter().filter(|(_, state)| *state != Told::None).collect::<BTreeMap<_, _>>(),
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
            units: BTreeMap::new(),
            run_traces: Some(self.traces()),
            trial: fleetdeploy::facts::trial::TrialStanding::default(),
            fence: Some(self.highest()).filter(|epoch| *epoch > 0).map(|epoch| ToldLease {
                run: OURS.to_string(),
                epoch: epoch.into(),
                owner: format!("epoch {epoch}"),
            }),
        }
    }

    /// traces.sh, `read_fence`: the highest epoch of the run that was ever written here.
    pub(crate) fn highest(&self) -> u8 {
        let lease = self.lease.filter(|lease| lease.run == OURS).map_or(0, |lease| lease.epoch);
        lease.max(self.fence).max(self.mark.map_or(0, |mark| mark.epoch))
    }

    /// engine::orders, `understand`: every answer shows who holds the host.
    pub(crate) fn answer_to(&self, order: &Order, outcome: StepOutcome) -> StepAnswer {
        let is_taken = order.speaker.run == OURS && self.highest() > order.speaker.epoch;
        let taken = StepOutcome::Refused { reason: RefusalReason::Superseded, text: String::new() };
        self.answer(if is_taken { taken } else { outcome })
    }

    pub(crate) fn answer(&self, outcome: StepOutcome) -> StepAnswer {
        StepAnswer { outcome, standing: self.standing(), log: Vec::new() }
    }
}
