use std::fmt;

use super::Worded;
use crate::event::reason::push::PushNote;

impl fmt::Display for PushNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryHostCurrent => formatter.write_str("every host already runs its system"),
            Self::RootsLeft { cause } => write!(formatter, "roots of this run are left on it: {cause}"),
            Self::RecordNotWritten { said } => write!(formatter, "the run's record cannot be written: {said}"),
            Self::HostNoted { said } => formatter.write_str(said),
            Self::DifferencesNotKnown { cause } => {
                write!(formatter, "does not say what its new system changes: {cause}")
            }
        }
    }
}

impl Worded for PushNote {}
