//! Is the one dictionary: turns each reason into the sentence that a person reads on the screen, in plain lines, in the
//! logs of the record and in `show`.

pub mod absent;
mod baseline;
mod boot;
mod caution;
mod claim;
mod fit;
pub mod leftover;
pub(crate) mod packages;
mod survey;
mod units;
mod unlinked;
mod waves;
pub(crate) mod words;

use std::fmt;

use crate::inventory::model::HostName;

/// Words of a reason. `Display` is the sentence; it may have several lines.
pub trait Worded: fmt::Display {
    /// Returns what a person can do about it, if there is something.
    fn mend(&self) -> Option<String> {
        None
    }
}

fn names(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}
