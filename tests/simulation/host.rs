//! A simulated host: its power and its clock, what its loader, its profile and its `/run/fleetdeploy` say.

use std::collections::{BTreeMap, BTreeSet};

use fleetdeploy::facts::host::{GuardState, JobKind, JobState, Lease, Standing};
use fleetdeploy::facts::systems::BootLoader;
use fleetdeploy::facts::traces::{Ended, RunTraces};
use fleetdeploy::inventory::model::GuardAction;

use crate::fleet::RUN;
use crate::systems::{Stand, Sys};

/// Milliseconds on the world's clock.
pub(crate) type Ms = u64;

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
    /// The number of all jobs that were ever started in this world.
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
    pub(crate) fn empty() -> Self {
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

/// What a run keeps on a host's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    /// What the host ran and booted before.
    pub(crate) old: Stand,
    /// The run's guard was armed here: its plan is there, too.
    pub(crate) armed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    Off,
    /// It will not come back.
    Gone,
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
    /// By run.
    pub(crate) roots: BTreeMap<String, Root>,
    /// Beside them, by run: the highest epoch that was ever written here, and by whom. A restart does not take it away.
    pub(crate) fences: BTreeMap<String, (u64, String)>,
    /// The run has begun to move what a reboot brings, and that has not been put back; on disk, like what follows.
    pub(crate) switching: bool,
    /// Its guard was disarmed to keep the new system.
    pub(crate) committed: bool,
    /// It was ended here without hosts that were missing.
    pub(crate) mark: Option<Ended>,
    /// When its current system was last activated.
    pub(crate) activated_at: Ms,
    /// A switch by hand holds the lock until then.
    pub(crate) switch_lock: Ms,
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
            fences: BTreeMap::new(),
            switching: false,
            committed: false,
            mark: None,
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

    /// traces.sh, `print_run`.
    fn traces(&self) -> RunTraces {
        let no_guard = matches!(self.run.token, Token::None | Token::Disarmed(_));
        RunTraces {
            traced: true,
            switching: self.switching,
            committed: self.committed && no_guard && self.stand == Stand::all(Sys::New),
            over: false,
            ended: self.mark.clone(),
            volatile: false,
        }
    }

    /// No step of a run is running, and no guard armed or firing.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.power == Power::On && !self.run.guard_lives && !self.job_lives(false) && !self.job_lives(true)
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
            next_boot: None,
            guard: match self.run.token {
                Token::None => GuardState::None,
                Token::Armed(deadline) if self.run.guard_lives => GuardState::Armed { run: run(), deadline },
                Token::Armed(deadline) => GuardState::Dead { run: run(), deadline },
                Token::Fired(_) if self.run.guard_lives => GuardState::Firing { run: run() },
                Token::Fired(_) => GuardState::Fired { run: run() },
                Token::Disarmed(_) => GuardState::Disarmed { run: run() },
            },
            lease: self.run.lease.clone(),
            rolling: None,
            jobs: jobs.collect(),
            failed_units,
            restarts: BTreeMap::new(),
            units: BTreeMap::new(),
            run_traces: Some(self.traces()),
            fence: self.fence(RUN),
            trial: fleetdeploy::facts::trial::TrialStanding::default(),
        }
    }
}
