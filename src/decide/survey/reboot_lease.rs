//! Finds what another rolling reboot says against touching a host.

use std::fmt;
use std::time::Duration;

use crate::facts::host::{RollingLease, Standing};

/// The host may go down at any moment, or has just been up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollingRefusal {
    pub lease: RollingLease,
    pub fleet: String,
}

impl RollingRefusal {
    #[must_use]
    pub fn of(standing: &Standing, fleet: &str) -> Option<Self> {
        standing.rolling.clone().map(|lease| Self { lease, fleet: fleet.to_owned() })
    }

    /// Stable, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "rolling_reboot"
    }

    #[must_use]
    pub fn hint(&self) -> String {
        format!(
            "wait for it to end; if whoever began it is gone: `fleetdeploy recover {} --run {}` ends it, and reboots \
             nothing",
            self.fleet, self.lease.run
        )
    }
}

impl fmt::Display for RollingRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RollingLease { run, left, owner, .. } = &self.lease;
        let left = humantime::format_duration(Duration::from_secs(*left));
        write!(
            formatter,
            "is held by rolling reboot {run} of {owner}; if that does not go on, it is over in {left} by itself"
        )
    }
}
