use std::fmt;

use super::{Worded, names};
use crate::event::forecast::GuardGap;
use crate::event::reason::forecast::{DryFault, NotKnown};

impl fmt::Display for NotKnown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PackagesNotKnown { hosts } => write!(
                formatter,
                "which packages change on {}: its two systems are in no store together before the copy",
                names(hosts)
            ),
            Self::RebootNotKnown { hosts } => write!(formatter, "whether a reboot is needed on {}", names(hosts)),
            Self::UnitsNotAsked { command } => {
                write!(formatter, "which units are stopped and started: `{command}` asks the hosts")
            }
            Self::UnitsNotKnown { of, cause } => write!(formatter, "what happens to the units of {of}: {cause}"),
        }
    }
}

impl Worded for NotKnown {}

impl fmt::Display for DryFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DryNotAsked { cause } => cause.fmt(formatter),
            Self::DryRefused { said } => formatter.write_str(said),
            Self::DryAnswerSenseless => formatter.write_str("the answer of `dry-activate` makes no sense"),
            Self::SwitchLockHeld => formatter.write_str("another switch holds the lock"),
            Self::OnlyByReboot => formatter.write_str("it can be activated only by a reboot (status 100)"),
            Self::DryTimedOut => formatter.write_str("`dry-activate` has not ended within its limit"),
            Self::DryFailed { status } => write!(formatter, "`dry-activate` ended with status {status}"),
        }
    }
}

impl Worded for DryFault {}

impl fmt::Display for GuardGap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActivationMovesBoot { host } => write!(
                formatter,
                "{host} has no boot loader, as a container: if its power fails within the seconds of its activation, \
                 it comes up on the new system, unguarded"
            ),
            Self::BootFilesNotCompared { host, why } => {
                write!(formatter, "whether the kernel and the initrd that {host} would boot are whole: {why}")
            }
        }
    }
}
