use std::fmt;

use super::{Worded, names};
use crate::event::reason::command::CommandNote;

impl fmt::Display for CommandNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostsLeftOut { hosts } => {
                write!(formatter, "left out, as asked, with every link from and to it: {}", names(hosts))
            }
            Self::HostsPassedOver { run, hosts } => {
                write!(formatter, "passed over, since run {run} was without: {}; what runs there stays", names(hosts))
            }
            Self::UnitsWillBeAsked { copies } => {
                let copies = if *copies { "copies the new systems and " } else { "" };
                write!(
                    formatter,
                    "--units {copies}runs their `switch-to-configuration dry-activate` on the hosts; nothing is \
                     changed there"
                )
            }
            Self::CommandEnding { signal } => {
                write!(formatter, "{signal}: ending the command on every host; once more to leave at once")
            }
        }
    }
}

impl Worded for CommandNote {}
