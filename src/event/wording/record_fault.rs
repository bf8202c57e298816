use std::fmt;

use super::{Worded, quoted};
use crate::event::reason::record_fault::{NoOneSide, RecordFault, RunFault};

impl fmt::Display for RecordFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self {
            Self::RecordPlaceUnknown => {
                return formatter
                    .write_str("no place for records: neither XDG_STATE_HOME nor HOME is an absolute path");
            }
            Self::RecordWriteFailed { path, said } => {
                write!(formatter, "cannot write the record at {path}")?;
                said
            }
            Self::RecordReadFailed { path, said } => {
                write!(formatter, "cannot read the record at {path}")?;
                said
            }
            Self::JournalEntryUnknown { path, line, said } => {
                write!(formatter, "line {line} of {path} is not a journal entry that this fleetdeploy knows")?;
                said
            }
            Self::RecordOfNewerVersion { path, version } => {
                let version = version.as_ref().map(|version| format!(", {version}")).unwrap_or_default();
                return write!(
                    formatter,
                    "the record at {path} is of a newer fleetdeploy{version}: this one is {}, and does not know all \
                     that stands in it",
                    env!("CARGO_PKG_VERSION")
                );
            }
            Self::FleetInUse { fleet, pid, run } => {
                write!(formatter, "another fleetdeploy works on fleet `{fleet}`")?;
                pid.map_or(Ok(()), |pid| write!(formatter, ": process {pid}"))?;
                return run.as_ref().map_or(Ok(()), |run| write!(formatter, ", run {run}"));
            }
        };
        if said.is_empty() { Ok(()) } else { write!(formatter, ": {said}") }
    }
}

impl Worded for RecordFault {
    fn mend(&self) -> Option<String> {
        match self {
            Self::RecordPlaceUnknown => Some("set HOME, or XDG_STATE_HOME, to an absolute path".to_owned()),
            Self::RecordOfNewerVersion { version, .. } => {
                let version = version.as_deref().unwrap_or("of the version that began it");
                Some(format!("go on with this run with fleetdeploy {version} or a newer one; nothing was touched"))
            }
            Self::FleetInUse { .. } => Some(
                "wait for it to end, or look at what it does; if it hangs, end that process first; from another \
                 workstation `recover` takes over"
                    .to_owned(),
            ),
            Self::RecordWriteFailed { .. } | Self::RecordReadFailed { .. } | Self::JournalEntryUnknown { .. } => None,
        }
    }
}

impl fmt::Display for RunFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRunRecorded => formatter.write_str("this workstation has no record of any run"),
            Self::NoRunFailed => formatter.write_str("no run of this workstation was rolled back, refused or split"),
            Self::RunNameUnknown { name, .. } => write!(formatter, "no run `{}`", name.escape_debug()),
            Self::RunNameAmbiguous { name, candidates } => {
                write!(formatter, "`{name}` can be any of {}: {}", candidates.len(), quoted(candidates))
            }
            Self::NoRunCommitted { fleet } => {
                write!(formatter, "this workstation has no record of a committed run of fleet {fleet}")
            }
            Self::RunOfOtherFleet { run, fleet, path } => {
                write!(formatter, "run {run} is not one of this fleet, but of {fleet} in {path}")
            }
            Self::RunChangedNothing { run } => {
                write!(formatter, "run {run} changed nothing, and has not written down what its hosts ran")
            }
            Self::RunOnNoOneSide { run, ended } => {
                let how = match ended {
                    NoOneSide::Split => "ended as split",
                    NoOneSide::Left => "was left to its guards",
                    NoOneSide::Superseded => "was taken over from elsewhere",
                    NoOneSide::Unfinished => "did not come to its end",
                };
                write!(formatter, "run {run} {how}: it did not leave its hosts on one side")
            }
        }
    }
}

impl Worded for RunFault {
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::NoRunRecorded => {
                "records are kept below XDG_STATE_HOME on the workstation that has pushed".to_owned()
            }
            Self::NoRunFailed | Self::RunNameUnknown { near: None, .. } => "fleetdeploy runs lists them".to_owned(),
            Self::RunNameUnknown { near: Some(near), .. } => {
                format!("did you mean `{near}`? fleetdeploy runs lists them")
            }
            Self::RunNameAmbiguous { .. } => "write more of it, or the whole id".to_owned(),
            Self::NoRunCommitted { .. } => {
                "say where to go: --to @2026-11-20 asks the hosts themselves what they ran then".to_owned()
            }
            Self::RunOfOtherFleet { .. } | Self::RunChangedNothing { .. } => {
                "fleetdeploy runs lists what there is".to_owned()
            }
            Self::RunOnNoOneSide { run, .. } => {
                format!("fleetdeploy show {run} tells what it did; name another run")
            }
        })
    }
}
