//! A simulated host: what its loader, its profile and its `/run/fleetdeploy` say, and the fence. It follows the scripts
//! of `src/remote/scripts` function by function; the functions here bear their names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fleetdeploy::decide::fact::{
    BootLoader, GuardState, JobKind, JobState, Lease, RefusalReason, Standing, StepOutcome, Systems,
};
use fleetdeploy::inventory::model::GuardAction;
use fleetdeploy::remote::step::{Expected, Speaker};
use fleetdeploy::store_path::StorePath;

/// Milliseconds on the world's clock.
pub(crate) type Ms = u64;

/// A system, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sys {
    Old,
    New,
    /// What a person's own `nixos-rebuild switch` brings in the middle of a push.
    Other,
}

impl Sys {
    fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Other => "other",
        }
    }

    pub(crate) fn path(self) -> StorePath {
        static PATHS: LazyLock<[StorePath; 3]> = LazyLock::new(|| {
            [Sys::Old, Sys::New, Sys::Other].map(|system| {
                let text = format!("/nix/store/{}-{}", "0".repeat(32), system.name());
                StorePath::new(text).expect("a store path")
            })
        });
        PATHS[self as usize].clone()
    }

    fn is(self, expected: Option<&StorePath>) -> bool {
        expected.is_none_or(|expected| expected.as_str().rsplit('-').next() == Some(self.name()))
    }
}

/// The three places that say which system a host is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) current: Sys,
    pub(crate) profile: Sys,
    pub(crate) boot: Sys,
}

impl Stand {
    pub(crate) fn all(system: Sys) -> Self {
        Self { current: system, profile: system, boot: system }
    }

    pub(crate) fn systems(self) -> Systems {
        Systems { current: self.current.path(), profile: self.profile.path(), boot_default: self.boot.path() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    None,
    /// In whole seconds on the host's own clock.
    Armed(u64),
    Fired(u64),
    Disarmed(u64),
}

/// What arm left for the guard.
#[derive(Debug, Clone)]
pub(crate) struct GuardPlan {
    pub(crate) run: String,
    pub(crate) epoch: u64,
    pub(crate) old: Stand,
    pub(crate) action: GuardAction,
    pub(crate) job_wait: Ms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// systemd has started it, and it has not come to its first line.
    Starting,
    Running,
    Exited(i32),
    /// Killed before its end.
    Lost,
    /// It refused to begin.
    NotBegun,
}

impl Work {
    pub(crate) fn lives(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Of all jobs that were ever started in this world.
    pub(crate) id: u64,
    pub(crate) run: String,
    pub(crate) epoch: u64,
    pub(crate) work: Work,
}

/// `/run/fleetdeploy`: gone with a reboot.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    pub(crate) lease: Option<Lease>,
    pub(crate) plan: Option<GuardPlan>,
    pub(crate) token: Token,
    pub(crate) guard_lives: bool,
    pub(crate) jobs: BTreeMap<JobKind, Job>,
    /// Kinds that have begun, under any epoch.
    pub(crate) started: BTreeSet<JobKind>,
    pub(crate) reactivated: bool,
}

impl RunFolder {
    fn empty() -> Self {
        Self {
            lease: None,
            plan: None,
            token: Token::None,
            guard_lives: false,
            jobs: BTreeMap::new(),
            started: BTreeSet::new(),
            reactivated: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    Off,
    /// It will not come back.
    Gone,
}

/// Mistakes that a host could have: each must be found by the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A guard that fires reboots without having put the boot default back.
    GuardLeavesTheBootDefault,
    /// A guard that fires does not stop the run's own step.
    GuardLeavesTheStep,
    /// The fence looks at no guard.
    FenceWithoutGuard,
    /// Disarming says done and leaves the token.
    DisarmStopsOnlyTheUnit,
    /// A lost reply is told as a refusal.
    LostReplyIsRefusal,
    /// The clock of the workstation stands still in a suspend.
    ClockStandsStill,
    /// A link that nobody answered for is taken for one that is up.
    SilenceIsUp,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) stand: Stand,
    pub(crate) booted: Sys,
    pub(crate) power: Power,
    /// Counts its boots.
    pub(crate) boot: u32,
    /// On the world's clock; before its beginning for a host that has been up.
    pub(crate) booted_at: i64,
    /// How much faster its clock goes, in millionths.
    pub(crate) drift: i64,
    pub(crate) run: RunFolder,
    /// Runs whose roots are there, with what the host ran before them.
    pub(crate) roots: BTreeMap<String, Stand>,
    /// When its current system was last activated.
    pub(crate) activated_at: Ms,
    /// A switch by hand holds the lock until then.
    pub(crate) switch_lock: Ms,
}

/// What a script did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Did {
    Said(StepOutcome),
    /// A step is there to be waited for; `begin` if it has just been started.
    Await {
        kind: JobKind,
        begin: bool,
    },
}

fn refusal(reason: RefusalReason) -> StepOutcome {
    StepOutcome::Refused { reason, text: String::new() }
}

fn refused(reason: RefusalReason) -> Result<(), StepOutcome> {
    Err(refusal(reason))
}

/// What `arm` is told.
pub(crate) struct Arming<'a> {
    pub(crate) speaker: &'a Speaker,
    pub(crate) owner: &'a str,
    pub(crate) boot_id: &'a str,
    pub(crate) expected: &'a Expected,
    pub(crate) latest: u64,
    pub(crate) seconds: u64,
    pub(crate) action: GuardAction,
    pub(crate) job_wait: Ms,
}

/// What `step` is told.
pub(crate) struct Starting<'a> {
    pub(crate) speaker: &'a Speaker,
    pub(crate) boot_id: &'a str,
    pub(crate) kind: JobKind,
    pub(crate) needs: u64,
    pub(crate) expected: &'a Expected,
}

impl Host {
    pub(crate) fn new(up_since: i64, drift: i64) -> Self {
        Self {
            stand: Stand::all(Sys::Old),
            booted: Sys::Old,
            power: Power::On,
            boot: 0,
            booted_at: up_since,
            drift,
            run: RunFolder::empty(),
            roots: BTreeMap::new(),
            activated_at: 0,
            switch_lock: 0,
        }
    }

    pub(crate) fn boot_id(&self) -> String {
        format!("boot-{}", self.boot)
    }

    /// Milliseconds on its own clock.
    pub(crate) fn own_clock(&self, now: Ms) -> u64 {
        let since = now.cast_signed() - self.booted_at;
        (since + since * self.drift / 1_000_000).max(0).cast_unsigned()
    }

    /// `/proc/uptime`, without its fraction.
    pub(crate) fn uptime(&self, now: Ms) -> u64 {
        self.own_clock(now) / 1000
    }

    /// When its own clock will show so many whole seconds.
    pub(crate) fn moment_of(&self, uptime: u64) -> Ms {
        let own = (uptime * 1000).cast_signed();
        let since = own * 1_000_000 / (1_000_000 + self.drift) + 1;
        (self.booted_at + since).max(0).cast_unsigned()
    }

    pub(crate) fn lose_power(&mut self) {
        self.power = Power::Off;
        self.run = RunFolder::empty();
    }

    pub(crate) fn come_up(&mut self, now: Ms) {
        self.power = Power::On;
        self.boot += 1;
        self.booted_at = now.cast_signed();
        self.stand.current = self.stand.boot;
        self.booted = self.stand.boot;
        self.activated_at = now;
        self.switch_lock = 0;
    }

    pub(crate) fn job_lives(&self, rollback: bool) -> bool {
        self.run.jobs.iter().any(|(kind, job)| (*kind == JobKind::Rollback) == rollback && job.work.lives())
    }

    /// No step of a run is running, and no guard armed or firing.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.power == Power::On && !self.run.guard_lives && !self.job_lives(false) && !self.job_lives(true)
    }

    fn held_by(&self, speaker: &Speaker, boot_id: &str) -> Result<(), StepOutcome> {
        if boot_id != self.boot_id() {
            return refused(RefusalReason::OtherBoot);
        }
        match &self.run.lease {
            None => refused(RefusalReason::ForeignLease),
            Some(lease) if lease.run != speaker.run => refused(RefusalReason::ForeignLease),
            Some(lease) if lease.epoch > speaker.epoch => refused(RefusalReason::Superseded),
            Some(lease) if lease.epoch < speaker.epoch => refused(RefusalReason::Other),
            Some(_) => Ok(()),
        }
    }

    fn guarded_for(&self, seconds: u64, now: Ms, mistake: Option<Mistake>) -> Result<(), StepOutcome> {
        if mistake == Some(Mistake::FenceWithoutGuard) {
            return Ok(());
        }
        match self.run.token {
            Token::Armed(_) if !self.run.guard_lives => refused(RefusalReason::NoGuard),
            Token::Armed(deadline) if deadline < self.uptime(now) + seconds => refused(RefusalReason::TooLate),
            Token::Armed(_) => Ok(()),
            Token::Fired(_) => refused(RefusalReason::Fired),
            Token::None | Token::Disarmed(_) => refused(RefusalReason::NoGuard),
        }
    }

    fn stands_on(&self, expected: &Expected) -> Result<(), StepOutcome> {
        let Stand { current, profile, boot } = self.stand;
        let stands = current.is(expected.current.as_ref())
            && profile.is(expected.profile.as_ref())
            && boot.is(expected.boot_default.as_ref());
        if stands { Ok(()) } else { refused(RefusalReason::Moved) }
    }

    /// Whether the guard was armed anew, so that somebody must wind it up.
    pub(crate) fn arm(&mut self, arming: &Arming<'_>, now: Ms) -> Result<bool, StepOutcome> {
        let run = &arming.speaker.run;
        if arming.boot_id != self.boot_id() {
            refused(RefusalReason::OtherBoot)?;
        }
        match &self.run.lease {
            Some(lease) if lease.run != *run => refused(RefusalReason::ForeignLease)?,
            Some(lease) if lease.epoch > arming.speaker.epoch => refused(RefusalReason::Superseded)?,
            _ => {}
        }
        if self.run.guard_lives || matches!(self.run.token, Token::Armed(_)) {
            if self.run.plan.as_ref().is_none_or(|plan| plan.run != *run) {
                refused(RefusalReason::ForeignGuard)?;
            } else if matches!(self.run.token, Token::Fired(_)) {
                refused(RefusalReason::Fired)?;
            }
        }
        let lease = Lease { run: run.clone(), epoch: arming.speaker.epoch, owner: arming.owner.to_owned() };
        if let Token::Armed(_) = self.run.token {
            self.run.lease = Some(lease);
            return Ok(!std::mem::replace(&mut self.run.guard_lives, true));
        }
        if self.uptime(now) > arming.latest {
            refused(RefusalReason::TooLate)?;
        }
        let epoch = arming.speaker.epoch;
        let same = self.run.plan.as_ref().is_some_and(|plan| plan.run == *run && plan.epoch == epoch);
        if self.run.token != Token::None && same {
            refused(RefusalReason::Other)?;
        }
        let Some(old) = self.roots.get(run).copied() else { return Err(refusal(RefusalReason::Other)) };
        if now < self.switch_lock {
            refused(RefusalReason::Busy)?;
        }
        self.stands_on(arming.expected)?;
        self.run.lease = Some(lease);
        self.run.plan =
            Some(GuardPlan { run: run.clone(), epoch, old, action: arming.action, job_wait: arming.job_wait });
        self.run.token = Token::Armed(self.uptime(now) + arming.seconds);
        self.run.guard_lives = true;
        self.run.reactivated = false;
        Ok(true)
    }

    pub(crate) fn take_over(&mut self, speaker: &Speaker, owner: &str) -> Result<(), StepOutcome> {
        match &self.run.lease {
            Some(lease) if lease.run != speaker.run => refused(RefusalReason::ForeignLease)?,
            Some(lease) if lease.epoch == speaker.epoch && lease.owner == owner => return Ok(()),
            Some(lease) if lease.epoch >= speaker.epoch => refused(RefusalReason::Superseded)?,
            _ => {}
        }
        self.run.lease = Some(Lease { run: speaker.run.clone(), epoch: speaker.epoch, owner: owner.to_owned() });
        Ok(())
    }

    pub(crate) fn extend(
        &mut self,
        speaker: &Speaker,
        boot_id: &str,
        seconds: u64,
        now: Ms,
        mistake: Option<Mistake>,
    ) -> Result<(), StepOutcome> {
        self.held_by(speaker, boot_id)?;
        self.guarded_for(1, now, mistake)?;
        let wanted = self.uptime(now) + seconds;
        if let Token::Armed(deadline) = &mut self.run.token {
            *deadline = wanted.max(*deadline);
        }
        Ok(())
    }

    /// Whether a job must be started, or is there already.
    pub(crate) fn start(&self, step: &Starting<'_>, now: Ms, mistake: Option<Mistake>) -> Result<bool, StepOutcome> {
        self.held_by(step.speaker, step.boot_id)?;
        let begun = self.run.jobs.get(&step.kind).filter(|job| job.work != Work::NotBegun);
        if begun.is_some_and(|job| job.epoch == step.speaker.epoch) {
            return Ok(false);
        }
        self.guarded_for(step.needs, now, mistake)?;
        self.stands_on(step.expected)?;
        if step.kind != JobKind::Rollback {
            if self.run.started.contains(&JobKind::Rollback) {
                refused(RefusalReason::Other)?;
            } else if self.job_lives(false) || now < self.switch_lock {
                refused(RefusalReason::Busy)?;
            }
        }
        Ok(!(step.kind == JobKind::Rollback && self.job_lives(true)))
    }

    /// The fence once more, where nothing can come between.
    pub(crate) fn begin(&mut self, kind: JobKind, id: u64, mistake: Option<Mistake>) -> bool {
        let Some(job) = self.run.jobs.get_mut(&kind).filter(|job| job.id == id) else { return false };
        let held = self.run.lease.as_ref().is_some_and(|lease| lease.run == job.run && lease.epoch == job.epoch);
        let armed = matches!(self.run.token, Token::Armed(_)) || mistake == Some(Mistake::FenceWithoutGuard);
        job.work = if held && armed { Work::Running } else { Work::NotBegun };
        if job.work == Work::Running {
            self.run.started.insert(kind);
        }
        job.work == Work::Running
    }

    pub(crate) fn disarm(
        &mut self,
        speaker: &Speaker,
        boot_id: &str,
        expected: &Expected,
        mistake: Option<Mistake>,
    ) -> Result<(), StepOutcome> {
        self.held_by(speaker, boot_id)?;
        self.stands_on(expected)?;
        if self.job_lives(false) || self.job_lives(true) {
            refused(RefusalReason::Busy)?;
        }
        match self.run.token {
            Token::Armed(_) if mistake == Some(Mistake::DisarmStopsOnlyTheUnit) => Ok(()),
            Token::Armed(deadline) => {
                self.run.token = Token::Disarmed(deadline);
                self.run.guard_lives = false;
                Ok(())
            }
            Token::Disarmed(_) => Ok(()),
            Token::Fired(_) => refused(RefusalReason::Fired),
            Token::None => refused(RefusalReason::NoGuard),
        }
    }

    pub(crate) fn clean(&mut self, speaker: &Speaker) -> Result<(), StepOutcome> {
        match &self.run.lease {
            Some(lease) if lease.run != speaker.run => {
                self.roots.remove(&speaker.run);
                return Ok(());
            }
            Some(lease) if lease.epoch > speaker.epoch => refused(RefusalReason::Superseded)?,
            _ => {}
        }
        if matches!(self.run.token, Token::Armed(_)) || self.run.guard_lives {
            refused(RefusalReason::Other)?;
        } else if self.job_lives(false) || self.job_lives(true) {
            refused(RefusalReason::Busy)?;
        }
        self.roots.remove(&speaker.run);
        self.run = RunFolder::empty();
        Ok(())
    }

    pub(crate) fn standing(&self, now: Ms, failed_units: BTreeSet<String>) -> Standing {
        let run = || self.run.plan.as_ref().map(|plan| plan.run.clone()).unwrap_or_default();
        let jobs = self.run.jobs.iter().filter_map(|(kind, job)| {
            let state = match job.work {
                Work::Starting | Work::NotBegun => return None,
                Work::Running => JobState::Running,
                Work::Exited(status) => JobState::Exited { status },
                Work::Lost => JobState::Lost,
            };
            Some((*kind, state))
        });
        Standing {
            boot_id: self.boot_id(),
            uptime: self.uptime(now),
            systems: self.stand.systems(),
            booted: self.booted.path(),
            generation: 1,
            loader: BootLoader::SystemdBoot,
            guard: match self.run.token {
                Token::None => GuardState::None,
                Token::Armed(deadline) if self.run.guard_lives => GuardState::Armed { run: run(), deadline },
                Token::Armed(deadline) => GuardState::Dead { run: run(), deadline },
                Token::Fired(_) if self.run.guard_lives => GuardState::Firing { run: run() },
                Token::Fired(_) => GuardState::Fired { run: run() },
                Token::Disarmed(_) => GuardState::Disarmed { run: run() },
            },
            lease: self.run.lease.clone(),
            jobs: jobs.collect(),
            failed_units,
            restarts: BTreeMap::new(),
        }
    }
}
