use std::collections::BTreeSet;
use std::fmt;

use super::Worded;
use crate::event::reason::units::UnitCaution;

impl fmt::Display for UnitCaution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnitFailedOfOthers { unit } => {
                write!(
                    formatter,
                    "{unit} has failed: this push did not start it, and no unit of the new system needs it"
                )
            }
            Self::UnitFailedGone { unit } => {
                write!(formatter, "{unit} has failed, and the new system does not have it any more")
            }
            Self::UnitRestless { unit } => {
                write!(formatter, "{unit} is started again and again, as it was before this push: it is not waited for")
            }
            Self::UnitsLeftFailed { units } => write!(
                formatter,
                "failed now, and not before this push: {}; the roll back did not bring that back: `systemctl restart` \
                 there",
                list(units)
            ),
            Self::UnitsLeftStopped { units } => write!(
                formatter,
                "running before this push, and not now: {}; the roll back has not started that: `systemctl start` \
                 there",
                list(units)
            ),
            Self::UnitRemembered { unit, run } => write!(
                formatter,
                "{unit} made run {run} roll back and has failed since: this push rolls back, too, unless it comes up \
                 (--accept-failed {unit} takes it as it is)"
            ),
            Self::UnitRememberedIdle { unit, run } => write!(
                formatter,
                "{unit} made run {run} roll back and has failed since, and no unit needs it: this push would not start \
                 it"
            ),
            Self::AcceptedUnitUnknown { unit } => write!(
                formatter,
                "--accept-failed {unit}: no host has failed by it in a run, or it is not failed any more"
            ),
        }
    }
}

impl Worded for UnitCaution {
    fn mend(&self) -> Option<String> {
        match self {
            Self::UnitRememberedIdle { unit, .. } => {
                Some(format!("`systemctl restart {unit}` there, or --accept-failed {unit} takes it as it is"))
            }
            Self::UnitFailedOfOthers { .. }
            | Self::UnitFailedGone { .. }
            | Self::UnitRestless { .. }
            | Self::UnitsLeftFailed { .. }
            | Self::UnitsLeftStopped { .. }
            | Self::UnitRemembered { .. }
            | Self::AcceptedUnitUnknown { .. } => None,
        }
    }
}

fn list(units: &BTreeSet<String>) -> String {
    units.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
