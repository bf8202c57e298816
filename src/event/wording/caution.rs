use std::fmt;

use super::Worded;
use crate::event::reason::caution::Caution;

impl fmt::Display for Caution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneShotSet { entry } => write!(
                formatter,
                "the next reboot brings {entry}, once, and what this run leaves here only after it: somebody has set \
                 that"
            ),
            Self::TracesVolatile => formatter.write_str(
                "cannot write down beside its roots what this run has done there (is the disk full?): a restart \
                 forgets it",
            ),
        }
    }
}

impl Worded for Caution {}
