//! Keeps what a screen shows of one host.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::event::waiting::{AfterWait, HeldBack};
use crate::event::{Bytes, HostPlanned, LinkCount, Phase};
use crate::facts::package_change::PackageChange;
use crate::inventory::model::{GuardAction, HostName};

/// The time over which the speed of a copy is taken: long enough to be steady, short enough to notice a stall.
const SPEED_OVER: Duration = Duration::from_secs(5);

/// One host, as its row and the recap show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    pub name: HostName,
    pub role: Role,
    pub plan: Option<HostPlanned>,
    pub phase: Option<Phase>,
    /// When the phase began for it.
    pub since: SystemTime,
    /// When it was through with the phase; `None`: it is at work, or waited for.
    pub through: Option<SystemTime>,
    /// Whether this phase is its own: the test of another wave is not.
    pub turn: Turn,
    /// In a few words, as the engine told.
    pub doing: String,
    pub copy: CopyView,
    pub changes: Option<Changes>,
    /// The generation that a reboot brings since this push.
    pub new_generation: Option<u64>,
    /// The links that are probed from it, in the last round.
    pub links: Option<LinkCount>,
    pub guard: GuardView,
    /// `false`: its connection is lost, and being made again.
    pub reachable: bool,
    /// Until when what it does ends at the latest, or it is tried to reach it for that; and what comes then.
    pub ends: Option<(SystemTime, Option<AfterWait>)>,
    /// Why it stands by, the hosts for which it does, and how many more of them there are.
    pub stands_by: Option<(HeldBack, Vec<HostName>, usize)>,
    pub failed: bool,
    /// The end of a log of it was shown: something went wrong there.
    pub logged: bool,
    /// How long it took in each phase that it is through with.
    pub times: BTreeMap<Phase, Duration>,
}

/// The part that a host has in a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Not known yet, or not a push.
    Unknown,
    /// Is to be changed, unless it is current already.
    Selected,
    Changes,
    /// Selected, and current already.
    Current,
    /// It is not to be changed; it is probed and probes.
    Witness,
    /// Nothing is asked of it.
    LeftOut,
}

/// Whether it is the host's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Its,
    AnotherWaves,
    /// It is in none of the waves that come.
    OfNoWave,
}

/// The protection of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardView {
    /// None was armed.
    None,
    /// It fires then, of this whole length.
    Armed {
        fires: SystemTime,
        length: Duration,
        /// When the host is back at the latest if it fires; `None`: an old record does not say.
        back: Option<SystemTime>,
        action: GuardAction,
    },
    Disarmed,
    /// The host is out of reach. Its guard brings it back: it fires then, and by that time the host should be back.
    Awaited {
        fires: SystemTime,
        back: SystemTime,
        action: GuardAction,
    },
    /// It has brought the host back.
    Fired,
}

/// The changes of the new system on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// `None`: could not be found out.
    pub packages: Option<Vec<PackageChange>>,
    pub reboot_for: Vec<String>,
}

impl HostView {
    pub(crate) fn new(name: HostName, at: SystemTime) -> Self {
        Self {
            name,
            role: Role::Unknown,
            plan: None,
            phase: None,
            since: at,
            through: None,
            turn: Turn::Its,
            doing: String::new(),
            copy: CopyView::default(),
            changes: None,
            new_generation: None,
            links: None,
            guard: GuardView::None,
            reachable: true,
            ends: None,
            stands_by: None,
            failed: false,
            logged: false,
            times: BTreeMap::new(),
        }
    }

    /// Whether it has something to do in this phase.
    #[must_use]
    pub fn takes_part(&self, phase: Phase) -> bool {
        match phase {
            _ if self.role == Role::LeftOut => false,
            Phase::Survey | Phase::Baseline | Phase::Verify | Phase::TakeOver | Phase::Ask => true,
            Phase::Build => !matches!(self.role, Role::Witness),
            // After a commit also a host that was current may need it.
            Phase::Reboot => self.turn != Turn::OfNoWave && !matches!(self.role, Role::Witness),
            Phase::Copy
            | Phase::Arm
            | Phase::Test
            | Phase::Decide
            | Phase::Switch
            | Phase::Disarm
            | Phase::RollBack => !matches!(self.role, Role::Witness | Role::Current),
        }
    }

    /// A phase of the fleet begins. The survey is the row's while the build runs beside it.
    pub(crate) fn begin(&mut self, phase: Phase, at: SystemTime) {
        if !self.takes_part(phase) || matches!(self.guard, GuardView::Awaited { .. }) {
            return;
        }
        let passed_a_barrier = !matches!(phase, Phase::Survey | Phase::RollBack);
        let was_at_work = self.through.is_none() && self.turn == Turn::Its;
        if let (Some(last), true, true) = (self.phase, was_at_work, passed_a_barrier) {
            // So it is through, although no event said so.
            self.times.insert(last, at.duration_since(self.since).unwrap_or_default());
        }
        self.phase = Some(phase);
        self.since = at;
        self.through = None;
        self.turn = Turn::Its;
        self.ends = None;
        self.links = None;
        self.doing.clear();
    }

    /// The phase begins for another wave: this host is through with it already, or its turn comes later.
    pub(crate) fn stand_by(&mut self, phase: Phase, at: SystemTime) {
        if self.takes_part(phase) {
            self.begin(phase, at);
            self.turn = Turn::AnotherWaves;
            self.through = self.times.contains_key(&phase).then_some(at);
        }
    }

    /// It is through with a phase. `builds`: this run builds systems.
    pub(crate) fn finish(&mut self, phase: Phase, at: SystemTime, builds: bool) {
        let took = at.duration_since(self.since).unwrap_or_default();
        self.times.insert(phase, took);
        self.ends = None;
        if self.phase == Some(phase) {
            self.through = Some(at);
        }
        if builds && phase == Phase::Survey && self.takes_part(Phase::Build) && !self.times.contains_key(&Phase::Build)
        {
            // The build began with the survey, and is what this host waits for now.
            self.phase = Some(Phase::Build);
            self.through = None;
            self.doing.clear();
        }
    }

    /// Since its phase began, or how long that took.
    #[must_use]
    pub fn time(&self, now: SystemTime) -> Duration {
        self.through.unwrap_or(now).duration_since(self.since).unwrap_or_default()
    }

    /// After the commit, and proven back.
    #[must_use]
    pub fn is_rebooted(&self) -> bool {
        self.times.contains_key(&Phase::Reboot)
    }

    /// All the time it was at work.
    #[must_use]
    pub fn time_at_work(&self) -> Duration {
        // Build and survey ran side by side.
        let beside = self.times.get(&Phase::Build).min(self.times.get(&Phase::Survey)).copied().unwrap_or_default();
        self.times.values().sum::<Duration>().saturating_sub(beside)
    }
}

/// How far a copy is, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyView {
    pub bytes: Bytes,
    /// Bytes a second; `None`: not known yet.
    pub speed: Option<u64>,
    /// The points from which the speed is counted now, and will be counted next.
    marks: Vec<(SystemTime, u64)>,
}

impl CopyView {
    fn speed_since(&self, at: SystemTime) -> Option<u64> {
        let (since, done) = self.marks.first()?;
        let millis = u64::try_from(at.duration_since(*since).ok()?.as_millis()).ok()?;
        (millis >= 500).then(|| self.bytes.done_bytes.saturating_sub(*done).saturating_mul(1000) / millis)
    }

    pub(crate) fn take(&mut self, bytes: Bytes, at: SystemTime) {
        self.bytes = bytes;
        let is_old = |mark: &(SystemTime, u64)| at.duration_since(mark.0).is_ok_and(|age| age > SPEED_OVER);
        while self.marks.len() > 1 && is_old(&self.marks[0]) {
            self.marks.remove(0);
        }
        let apart = SPEED_OVER / 5;
        if self.marks.last().is_none_or(|last| at.duration_since(last.0).is_ok_and(|gap| gap >= apart)) {
            self.marks.push((at, bytes.done_bytes));
        }
        self.speed = self.speed_since(at).or(self.speed);
    }
}
