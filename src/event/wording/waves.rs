use std::fmt;

use super::Worded;
use crate::event::reason::waves::WaveFault;

impl fmt::Display for WaveFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CanaryUnchanged => "is a canary, and this push does not change it: it tries nothing out",
            Self::AddressMovesBetweenWaves => {
                "gets another address by this push (`after`): between two waves the links to it cannot be proven"
            }
        })
    }
}

impl Worded for WaveFault {
    fn mend(&self) -> Option<String> {
        match self {
            Self::CanaryUnchanged => None,
            Self::AddressMovesBetweenWaves => {
                Some("push it alone with --on, or with all the others at once: `--canary none --waves 100%`".to_owned())
            }
        }
    }
}
