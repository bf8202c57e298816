use std::fmt;

use super::Worded;
use crate::event::reason::job::JobFailure;

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
            Self::SwitchProgramCrashed { step, status } => {
                return write!(formatter, "switch-to-configuration crashed in `{step}` (status {status})");
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
        matches!(self, Self::LoaderNotInstalled { .. }).then(|| {
            "look there whether /boot is full or cannot be written (`df -h /boot`, `findmnt /boot`); mend that, and \
             push again"
                .to_owned()
        })
    }
}
