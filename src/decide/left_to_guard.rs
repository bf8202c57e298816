//! Describes hosts that the program does not wait for any more, and that their guards bring back.

use std::fmt;
use std::time::Duration;

use crate::event::HostOutcome;
use crate::inventory::model::HostName;

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
        HostOutcome::Left { why: self.to_string().into(), back_within_ms }
    }
}

impl fmt::Display for LeftToGuard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.seen_on_old {
            "was seen on its old system with its guard armed, which restarts it into that once more"
        } else {
            "its guard brings it back to its old system"
        })?;
        if self.may_be_disarmed {
            formatter.write_str(", unless the command that disarms it has arrived")?;
        }
        match self.back_within.as_secs() {
            0 => formatter.write_str("; it should be back by now"),
            seconds => write!(formatter, "; back at the latest in {}m {:02}s", seconds / 60, seconds % 60),
        }
    }
}
