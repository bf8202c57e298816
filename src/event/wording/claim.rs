use std::fmt;
use std::time::Duration;

use super::Worded;
use super::leftover::forget;
use crate::event::reason::claim::Claim;

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |time: &Duration| humantime::format_duration(*time);
        match self {
            Self::HeldByRollingReboot { run, owner, left, .. } => write!(
                formatter,
                "is held by rolling reboot {run} of {owner}; if that does not go on, it is over in {} by itself",
                written(left)
            ),
            Self::GuardArmedByHand { run, owner, fires_in, .. } => {
                write!(formatter, "a guard that {owner} has armed (run {run}) fires in {}", written(fires_in))
            }
            Self::HeldByHand { run, owner, .. } | Self::HeldByRun { run, owner, .. } => {
                write!(formatter, "is held by run {run} of {owner}")
            }
            Self::GuardArmedElsewhere { run, fires_in, .. } => {
                write!(formatter, "a guard of run {run} is armed: it fires in {}", written(fires_in))
            }
            Self::InTrial { run, owner, fires_in, is_booted: true, .. } => write!(
                formatter,
                "is in a trial of run {run} of {owner}, back on what it booted before by itself in {}",
                written(fires_in)
            ),
            Self::InTrial { run, owner, fires_in, .. } => write!(
                formatter,
                "is about to begin a trial of run {run} of {owner}, which ends by itself in {}",
                written(fires_in)
            ),
            Self::GuardDeadElsewhere { run, .. } => {
                write!(formatter, "run {run} armed a guard here, and the unit that should act on it is gone")
            }
            Self::GuardFiringElsewhere { run, .. } => {
                write!(formatter, "the guard of run {run} has fired and is bringing this host back")
            }
        }
    }
}

impl Worded for Claim {
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::HeldByRollingReboot { fleet, run, .. } => format!(
                "wait for it to end; if whoever began it is gone: `fleetdeploy recover {fleet} --run {run}` ends it, \
                 and reboots nothing"
            ),
            Self::GuardArmedByHand { fleet, .. } | Self::HeldByHand { fleet, .. } => {
                format!("that work ends with `fleetdeploy guard disarm {fleet}`, or when the guard fires")
            }
            Self::GuardArmedElsewhere { fleet, run, .. } => format!(
                "wait for that push to end, or for its guard to fire; if whoever began it is gone: `fleetdeploy \
                 recover {fleet}`; {}",
                forget(fleet, run)
            ),
            Self::InTrial { fleet, .. } => format!(
                "wait for it to end; if whoever began it is gone: `fleetdeploy recover {fleet}` waits for that end, \
                 and cleans up then"
            ),
            Self::GuardDeadElsewhere { fleet, run } => format!(
                "look at fleetdeploy-guard.service in its journal; `fleetdeploy recover {fleet}` arms it anew; {}",
                forget(fleet, run)
            ),
            Self::GuardFiringElsewhere { fleet, run } => {
                let forget = forget(fleet, run);
                format!("wait until the host is back, then type `fleetdeploy recover {fleet}`; {forget}")
            }
            Self::HeldByRun { fleet, run, .. } => format!(
                "wait for that push to end; if whoever began it is gone: `fleetdeploy recover {fleet}`; {}",
                forget(fleet, run)
            ),
        })
    }
}
