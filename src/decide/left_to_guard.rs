//! Describes hosts that the program does not wait for any more, and that their guards bring back.

use std::time::Duration;

use crate::decide::vocabulary::Signal;
use crate::event::HostOutcome;
use crate::event::reason::fate::Fate;
use crate::inventory::model::HostName;

/// A run that was left at once, because of a second signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftRun {
    /// Hosts that have a known end, or that a recovery found in a known state.
    pub through: Vec<(HostName, HostOutcome)>,
    /// Hosts that may still be guarded.
    pub guarded: Vec<LeftToGuard>,
    /// It was on its way back, so that every host ends on its old system.
    pub goes_back: bool,
    pub signal: Signal,
}

/// How a host under its guard was seen last, and when it is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftToGuard {
    pub host: HostName,
    /// The time until it should be back at the latest; zero: it should be back by now.
    pub back_within: Duration,
    /// It runs its old systems already: its guard only restarts it.
    pub seen_on_old: bool,
    /// The command that disarms it is out.
    pub may_be_disarmed: bool,
}

impl LeftToGuard {
    #[must_use]
    pub fn outcome(&self) -> HostOutcome {
        let back_within_ms = Some(u64::try_from(self.back_within.as_millis()).unwrap_or(u64::MAX));
        HostOutcome::Left { why: self.fate().into(), back_within_ms }
    }

    /// Returns how it is left.
    #[must_use]
    pub fn fate(&self) -> Fate {
        let Self { host: _, back_within, seen_on_old, may_be_disarmed } = self;
        let (seen_on_old, may_be_disarmed, back_within) = (*seen_on_old, *may_be_disarmed, *back_within);
        Fate::LeftToItsGuard { seen_on_old, may_be_disarmed, back_within }
    }
}
