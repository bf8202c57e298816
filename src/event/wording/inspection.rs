use std::fmt;

use super::{Worded, names, words};
use crate::event::reason::inspection::{ComeBack, Elsewhere, FoundAs, GuardAtEnd, LastLook};

impl fmt::Display for LastLook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (systems, guard) = match self {
            Self::SilentAtEnd { cause } => return write!(formatter, "does not answer: {cause}"),
            Self::StandsAtEnd { systems, guard } => (systems, guard),
        };
        let boots = systems.known_boot_default().map_or_else(|| "not known".to_owned(), words::bare);
        write!(formatter, "runs {}, would boot {boots}", words::bare(&systems.current))?;
        if systems.profile != systems.boot_default {
            write!(formatter, ", its profile is {}", words::bare(&systems.profile))?;
        }
        write!(formatter, "; {guard}")
    }
}

impl fmt::Display for GuardAtEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotArmed => formatter.write_str("no guard is armed"),
            Self::Armed { fires_in } => write!(formatter, "its guard fires in {} s", fires_in.as_secs()),
            Self::Dead => formatter.write_str("its guard is dead"),
            Self::AtWork => formatter.write_str("its guard has fired and is at work"),
            Self::Fired => formatter.write_str("its guard has fired"),
        }
    }
}

impl Worded for LastLook {}

impl fmt::Display for FoundAs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FoundSilent { cause } => write!(formatter, "does not answer: {cause}"),
            Self::FoundBroughtBack => {
                formatter.write_str("is back on its old system, without a guard: brought back by it")
            }
            Self::FoundOnOld => formatter.write_str("is on its old system, without a guard"),
            Self::FoundCommitted => formatter.write_str("is on its new system for good: its guard was disarmed"),
            Self::FoundOnNew => formatter.write_str("is on its new system for good, without a guard"),
            Self::FoundGuarded => formatter.write_str("is guarded, and nothing has begun on it"),
            Self::FoundGuardedOnNew => formatter.write_str("is guarded, and runs its new system"),
            Self::FoundGuardedBetween => {
                formatter.write_str("is guarded, in the middle of a change or of its roll back")
            }
            Self::FoundBetween { systems } => {
                write!(formatter, "has no guard, and is between old and new: {systems}")
            }
            Self::FoundFiring => formatter.write_str("its guard has fired and is bringing it back"),
            Self::FoundCleaned => formatter.write_str("holds nothing of the run any more"),
            Self::FoundCleanedOnOld => {
                formatter.write_str("holds nothing of the run any more, and is on its old system")
            }
            Self::FoundCleanedOnNew => {
                formatter.write_str("holds nothing of the run any more, and is on its new system")
            }
            Self::FoundCleanedAndMovedOn => formatter.write_str("holds nothing of the run any more, and has moved on"),
            Self::FoundCleanedAndNotKnown => {
                formatter.write_str("holds nothing of the run any more, and nobody knows here what it was to run")
            }
            Self::FoundEnded { missing } => {
                write!(formatter, "the run was ended here, where it stands, without {}", names(missing))
            }
            Self::FoundEndedAndMovedOn { missing } => write!(
                formatter,
                "the run was ended here without {}: what it runs now is its own affair",
                names(missing)
            ),
            Self::FoundMovedOn { onto } => {
                write!(formatter, "has moved on by other hands, to {onto}: this run is over for it")
            }
            Self::FoundOver => formatter.write_str("a later run has committed here: this one is over for it"),
            Self::FoundElsewhere { cause } => cause.fmt(formatter),
        }
    }
}

impl Worded for FoundAs {}

impl fmt::Display for Elsewhere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => cause.fmt(formatter),
            Self::Doubt(doubt) => doubt.fmt(formatter),
        }
    }
}

impl fmt::Display for ComeBack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BackOnNewBoot => "on its old system, on a new boot",
            Self::BackByGuard => "on its old system, brought back by its guard",
        })
    }
}

impl Worded for ComeBack {}
