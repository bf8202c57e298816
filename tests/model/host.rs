//! One host: what lies on its disk and under /run, and what its own programs do without us: jobs and the guard.
//!
//! What the scripts do that are sent to it is in `scripts.rs`. Each rule names the place in `src/remote/scripts` that
//! it follows.

use crate::mistakes::Mistake;
use crate::words::{Places, Sys};
use fleetdeploy::facts::host::JobKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Token {
    None,
    Armed,
    Fired,
    Disarmed,
}

/// The guard's unit, and how far it is with firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Guard {
    Absent,
    Watching,
    /// It has taken the token and waits for the run's own steps, or ends them.
    Stopping,
    /// The profile is back, the boot default is not yet.
    ProfileBack,
    /// The boot loader could not be put back, what ran is active again: from here on without a reboot.
    Reactivated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lease {
    pub(crate) run: u8,
    pub(crate) epoch: u8,
}

/// A detached step on its way, by how many of its writes are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum JobState {
    None,
    Running { writes: u8 },
    Ended { well: bool },
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Job {
    /// systemd runs its unit, and it has not come to its first line. job.sh, before `begin`.
    pub(crate) starting: Option<u8>,
    /// The epoch in KIND.started; it says more than `state` once a later epoch starts the same step again.
    pub(crate) started_by: Option<u8>,
    pub(crate) state: JobState,
}

const NO_JOB: Job = Job { starting: None, started_by: None, state: JobState::None };

impl Job {
    pub(crate) fn lives(&self) -> bool {
        self.starting.is_some() || matches!(self.state, JobState::Running { .. })
    }

    /// Whether it is at work, or will be, for the coordinator of this epoch.
    pub(crate) fn is_of(&self, epoch: u8) -> bool {
        let runs = matches!(self.state, JobState::Running { .. });
        self.starting == Some(epoch) || (runs && self.started_by == Some(epoch))
    }

    fn kill(&mut self) {
        self.starting = None;
        if matches!(self.state, JobState::Running { .. }) {
            self.state = JobState::Lost;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    /// How often it has booted since the survey.
    pub(crate) boot: u8,
    pub(crate) on: Places,
    /// What the run's roots say of before the run; on disk. `None` once they are cleaned away.
    pub(crate) saved: Option<Places>,
    pub(crate) lease: Option<Lease>,
    pub(crate) token: Token,
    /// The epoch that armed it last: `epoch` in /run/fleetdeploy/plan.
    pub(crate) armed_by: Option<u8>,
    /// Whose guard it is: the run in /run/fleetdeploy/plan.
    pub(crate) guard_of: u8,
    pub(crate) guard: Guard,
    /// Too little is left on the guard's clock for a step; it may fire at any moment now.
    pub(crate) short: bool,
    /// `guard_action: switch-back`: its guard does not reboot it.
    pub(crate) switch_back: bool,
    pub(crate) test: Job,
    pub(crate) switch: Job,
    pub(crate) rollback: Job,
    /// Only a reboot mends what the change did to its links.
    pub(crate) scarred: bool,
    /// The workstation cannot reach it: a cable, not its system.
    pub(crate) cut: bool,
    /// The next reboot brings what a person has set, once; on disk or in the firmware.
    pub(crate) next: bool,
    /// The highest epoch ever written beside the roots; on disk, like the rest. traces.sh.
    pub(crate) fence: u8,
    /// The run has begun to move what a reboot brings, and that has not been put back.
    pub(crate) switching: bool,
    /// Its guard was disarmed to keep the new system.
    pub(crate) committed: bool,
    /// The run was ended while these hosts were missing, by bit, and it stood here.
    pub(crate) mark: Option<Mark>,
    /// What a person has switched it to by hand, last.
    pub(crate) by_hand: Option<Sys>,
    /// The run was armed here once: its plan lies beside the roots.
    pub(crate) planned: bool,
    /// A run that was armed here later has committed.
    pub(crate) over: bool,
    /// It is another machine under the same name.
    pub(crate) anew: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark {
    pub(crate) side: Option<Sys>,
    pub(crate) missing: u8,
    pub(crate) epoch: u8,
}

/// What a host did that the properties want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Deed {
    /// Its boot default moved to new, by the step of this epoch.
    pub(crate) moved_by: Option<u8>,
    /// A step began although nothing of this run was armed.
    pub(crate) began_unguarded: bool,
    /// The guard put things back under a step that was still running.
    pub(crate) worked_under_a_step: bool,
    /// Its own activation ended, and links depend on it.
    pub(crate) activated: bool,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            boot: 0,
            on: Places::all(Sys::Old),
            saved: Some(Places::all(Sys::Old)),
            lease: None,
            token: Token::None,
            armed_by: None,
            guard_of: 0,
            guard: Guard::Absent,
            short: false,
            switch_back: false,
            test: NO_JOB,
            switch: NO_JOB,
            rollback: NO_JOB,
            scarred: false,
            cut: false,
            next: false,
            fence: 0,
            switching: false,
            committed: false,
            mark: None,
            by_hand: None,
            planned: false,
            over: false,
            anew: false,
        }
    }

    pub(crate) fn job(&self, kind: JobKind) -> &Job {
        match kind {
            JobKind::Test => &self.test,
            JobKind::Switch | JobKind::Reactivate => &self.switch,
            JobKind::Rollback => &self.rollback,
        }
    }

    pub(crate) fn job_mut(&mut self, kind: JobKind) -> &mut Job {
        match kind {
            JobKind::Test => &mut self.test,
            JobKind::Switch | JobKind::Reactivate => &mut self.switch,
            JobKind::Rollback => &mut self.rollback,
        }
    }

    /// fleetdeploy-job.service.
    pub(crate) fn forward_lives(&self) -> bool {
        self.test.lives() || self.switch.lives()
    }

    pub(crate) fn any_lives(&self) -> bool {
        self.forward_lives() || self.rollback.lives()
    }

    pub(crate) fn is_firing(&self) -> bool {
        matches!(self.guard, Guard::Stopping | Guard::ProfileBack | Guard::Reactivated)
    }

    /// docs/design.md, "Invariants", 1: no step of a run running, no guard armed or firing. A unit that has not come to
    /// its first line changes nothing without an armed guard.
    pub(crate) fn at_rest(&self) -> bool {
        let runs = |job: &Job| matches!(job.state, JobState::Running { .. });
        ![self.test, self.switch, self.rollback].iter().any(runs) && self.token != Token::Armed && !self.is_firing()
    }

    /// What no rule reads before it is written again.
    pub(crate) fn forget(&mut self) {
        self.short &= self.token == Token::Armed;
        self.armed_by = self.armed_by.filter(|_| self.token != Token::None);
    }

    /// lib.sh, `boots_as_default`: what is done to go forward is refused while a reboot would bring something else
    /// first.
    pub(crate) fn boots_its_default(&self, mistake: Option<Mistake>) -> bool {
        !self.next || mistake == Some(Mistake::TheFenceIgnoresTheNextBoot)
    }

    /// Whether a reboot that nobody ordered would be the exception of docs/design.md, "Invariants", 5.
    pub(crate) fn boots_new(&self) -> bool {
        self.on.boot == Sys::New
    }

    /// Comes up again on its boot default, or on what was to be booted once. /run is empty then: lib.sh, `place`.
    pub(crate) fn reboot(&mut self) {
        let current = if self.next { Sys::Other } else { self.on.boot };
        *self = Self {
            boot: self.boot + 1,
            on: Places { current, ..self.on },
            saved: self.saved,
            switch_back: self.switch_back,
            cut: self.cut,
            fence: self.fence,
            switching: self.switching,
            committed: self.committed,
            mark: self.mark,
            by_hand: self.by_hand,
            planned: self.planned,
            over: self.over,
            anew: self.anew,
            ..Self::new()
        };
    }

    /// A later run on this host from its first arm command to its last clean-up, which takes away what this one has
    /// left in /run. clean.sh, `end_older`.
    pub(crate) fn commit_later(&mut self, to: Sys) {
        *self = Self {
            boot: self.boot,
            on: Places::all(to),
            saved: self.saved,
            switch_back: self.switch_back,
            scarred: self.scarred,
            cut: self.cut,
            fence: self.highest(),
            switching: self.switching,
            committed: self.committed,
            mark: self.mark,
            by_hand: Some(to),
            planned: self.planned,
            over: self.planned,
            anew: self.anew,
            ..Self::new()
        };
    }

    /// Nothing is left on it of whatever it was.
    pub(crate) fn install_anew(&mut self, with: Sys) {
        *self = Self {
            boot: self.boot + 1,
            on: Places::all(with),
            saved: None,
            switch_back: self.switch_back,
            by_hand: Some(with).filter(|with| *with == Sys::Other),
            anew: true,
            ..Self::new()
        };
    }

    /// `nixos-rebuild switch`, by a person who sees a host at rest.
    pub(crate) fn switch_by_hand(&mut self, to: Sys) {
        self.on = Places::all(to);
        self.by_hand = Some(to);
    }

    /// traces.sh, `has_committed`.
    pub(crate) fn has_committed(&self) -> bool {
        self.committed && self.on.all_are(Sys::New) && matches!(self.token, Token::None | Token::Disarmed)
    }

    /// job.sh, `begin`: the fence once more, under the lock.
    pub(crate) fn begin(&mut self, kind: JobKind, run: u8, mistake: Option<Mistake>) -> Deed {
        let Some(epoch) = self.job_mut(kind).starting.take() else { return Deed::default() };
        let fenced = self.lease == Some(Lease { run, epoch })
            && self.token == Token::Armed
            && (kind == JobKind::Rollback || self.boots_its_default(mistake));
        if fenced || mistake == Some(Mistake::AStepBeginsWithoutASecondLook) || unfenced_rollback(kind, mistake) {
            let job = self.job_mut(kind);
            job.started_by = Some(epoch);
            job.state = JobState::Running { writes: 0 };
        }
        let began = self.job(kind).state == JobState::Running { writes: 0 };
        let guarded = self.token == Token::Armed && self.guard == Guard::Watching;
        Deed { began_unguarded: began && !guarded, ..Deed::default() }
    }

    /// The next write of a running step. `well`: it works.
    pub(crate) fn go_on(&mut self, kind: JobKind, well: bool) -> Deed {
        let mut deed = Deed::default();
        let JobState::Running { writes } = self.job(kind).state else { return deed };
        let state = match (kind, writes) {
            // A failed activation has moved the link all the same: the worse of the two.
            (JobKind::Test, _) => {
                self.on.current = Sys::New;
                deed.activated = true;
                JobState::Ended { well }
            }
            (JobKind::Switch | JobKind::Reactivate, 0) => {
                self.switching = true;
                self.on.profile = Sys::New;
                JobState::Running { writes: 1 }
            }
            (JobKind::Switch | JobKind::Reactivate, _) => {
                if well {
                    deed.moved_by = self.job(kind).started_by;
                    self.on.boot = Sys::New;
                }
                JobState::Ended { well }
            }
            // job.sh, `roll_back`: the run's own step has had its time and is killed, then profile, boot default,
            // current system, each although the others failed.
            (JobKind::Rollback, 0) => {
                self.kill_forward();
                self.on.profile = self.before().profile;
                JobState::Running { writes: 1 }
            }
            (JobKind::Rollback, _) => {
                let before = self.before();
                let the_loader_fails = !well && self.on.boot != before.boot;
                if the_loader_fails {
                    self.on.current = before.current;
                } else {
                    self.on.boot = before.boot;
                    if well {
                        self.on.current = before.current;
                        // restore.sh: it was put back.
                        self.switching = false;
                    }
                }
                JobState::Ended { well }
            }
        };
        self.job_mut(kind).state = state;
        deed
    }

    fn before(&self) -> Places {
        self.saved.unwrap_or(self.on)
    }

    /// restore.sh, `wait_for_job`: a running step had its time.
    fn kill_forward(&mut self) {
        self.test.kill();
        self.switch.kill();
    }

    /// guard.sh, `stop_steps`.
    fn kill_all(&mut self) {
        self.kill_forward();
        self.rollback.kill();
    }

    /// guard.sh, `main`: the deadline has come, and the rename of the token succeeds.
    pub(crate) fn take_token(&mut self) {
        self.token = Token::Fired;
        self.guard = Guard::Stopping;
        self.committed = false;
    }

    /// guard.sh, `fire`: the next thing that a guard does which has taken the token. `well`: the boot loader can be put
    /// back.
    pub(crate) fn fire_on(&mut self, well: bool, mistake: Option<Mistake>) -> Deed {
        let mut deed = Deed::default();
        let before = self.before();
        let ever_started = [self.test, self.switch, self.rollback].iter().any(|job| job.started_by.is_some());
        match self.guard {
            Guard::Stopping if !ever_started && self.on == before => self.guard = Guard::Absent,
            Guard::Stopping => {
                if mistake != Some(Mistake::AGuardLeavesTheStepRunning) {
                    self.kill_all();
                }
                deed.worked_under_a_step = self.any_lives();
                self.on.profile = before.profile;
                self.guard = Guard::ProfileBack;
            }
            Guard::ProfileBack if well => {
                if mistake != Some(Mistake::AGuardForgetsTheBootDefault) {
                    self.on.boot = before.boot;
                }
                self.switching = false;
                // guard.sh: the next boot is emptied, whatever it is.
                self.next &= mistake == Some(Mistake::AGuardLeavesTheNextBoot) || self.switch_back;
                if self.switch_back {
                    self.on.current = before.current;
                    self.guard = Guard::Absent;
                } else {
                    self.reboot();
                }
            }
            Guard::ProfileBack => {
                self.on.current = before.current;
                self.guard = Guard::Reactivated;
            }
            Guard::Reactivated => {
                self.on.boot = before.boot;
                self.switching = false;
                self.guard = Guard::Absent;
            }
            Guard::Absent | Guard::Watching => {}
        }
        deed
    }
}

pub(crate) fn unfenced_rollback(kind: JobKind, mistake: Option<Mistake>) -> bool {
    kind == JobKind::Rollback && mistake == Some(Mistake::RollingBackWithoutArming)
}
