use std::fmt;

use super::{Worded, names};
use crate::event::reason::forecast::NotKnown;

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
