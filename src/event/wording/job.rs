use std::fmt;

use super::Worded;
use crate::event::reason::job::JobFailure;

/// How it says that a unit in its list of what is to be reloaded is not loaded.
///
/// Source: docs/facts.md, "What a switch that was cut off leaves".
const UNIT_NOT_LOADED: &str = "Failed to get unit ";

impl fmt::Display for JobFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::JobUnfinished { step } => return write!(formatter, "`{step}` has not ended within its limit"),
            Self::JobKilled { step } => return write!(formatter, "`{step}` was killed before its end"),
            Self::JobNotBegun { step } => return write!(formatter, "`{step}` did not begin"),
            Self::ActivationScriptFailed { step, status } => {
                return write!(formatter, "`{step}`: the activation script failed (status {status})");
            }
            Self::SwitchLockTaken { step, status } => {
                return write!(formatter, "`{step}`: another switch holds the lock (status {status})");
            }
            Self::ActivationNeedsReboot { step, status } => {
                return write!(formatter, "`{step}`: the new system needs a reboot to be activated (status {status})");
            }
            Self::SwitchProgramFailed { step, status, said } => {
                write!(formatter, "`{step}`: switch-to-configuration gave up before its end (status {status})")?;
                return if said.is_empty() { Ok(()) } else { write!(formatter, ": {said}") };
            }
            Self::SwitchProgramCrashed { step, status } => {
                return write!(formatter, "switch-to-configuration crashed in `{step}` (status {status})");
            }
            Self::TrialStepFailed { step, said } => {
                write!(formatter, "`{step}` did not come to its end")?;
                return if said.is_empty() { Ok(()) } else { write!(formatter, ": {said}") };
            }
            Self::JobStatusUnknown { step, status } => {
                return write!(formatter, "`{step}` ended with status {status}");
            }
            Self::LoaderNotInstalled { step, said } => {
                write!(formatter, "`{step}` could not install its boot loader")?;
                return if said.is_empty() { Ok(()) } else { write!(formatter, ": {said}") };
            }
            Self::OldSystemNotActivated => "the old system could not be activated again",
            Self::BootDefaultNotPutBack => "the boot default could not be put back",
            Self::ProfileNotPutBack => "the profile could not be put back",
            Self::ProfileNotMoved => "the profile could not be moved to the new system",
            Self::BootDefaultNotMoved => "the boot default did not move to the new system",
            Self::GenerationNotWrittenDown => "the generation to be added could not be written down",
            Self::PlanThereDamaged => "the plan on the host is damaged",
            Self::BootedFilesNotWhole => "a reboot would not come up: kernel or initrd of the new system is not whole",
            Self::NextBootNotPutBack => "what a reboot brings could not be put back after the activation",
            Self::NoPlaceForLoader => "nothing was installed: there is no place for a boot loader",
        })
    }
}

impl Worded for JobFailure {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::LoaderNotInstalled { .. } => {
                "look there whether /boot is full or cannot be written (`df -h /boot`, `findmnt /boot`); mend that, \
                 and push again"
            }
            // A mount of /etc/fstab whose options change, as a rule.
            Self::SwitchProgramFailed { said, .. } if said.starts_with(UNIT_NOT_LOADED) => {
                "it falls over a unit that it is to reload and that is not up there, as a rule a mount with new \
                 options: start that unit there, and push again"
            }
            _ => return None,
        };
        Some(mend.to_owned())
    }
}
