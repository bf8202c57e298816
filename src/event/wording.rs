//! Is the one dictionary: turns each reason into the sentence that a person reads on the screen, in plain lines, in the
//! logs of the record and in `show`.

#![expect(clippy::format_push_string, reason = "text for people, a line at a time: `+=` reads better than `write!`")]

pub mod absent;
pub mod activity;
mod baseline;
mod boot;
mod build;
mod cause;
mod caution;
mod claim;
mod command;
mod copy;
mod cut;
mod disowned;
mod doctor;
mod fate;
mod fit;
mod forecast;
mod guard;
mod hooks;
pub(crate) mod host;
mod inspection;
pub mod leftover;
mod notice;
mod obstacle;
pub(crate) mod packages;
mod push;
mod reboot;
mod recover;
mod refusal;
mod rollback;
mod rollback_target;
mod run_end;
mod status;
mod survey;
mod tunnel;
mod units;
mod unlinked;
pub(crate) mod waiting;
mod waves;
pub(crate) mod words;
mod workstation;

use crate::event::reason::Worded;
use crate::inventory::model::HostName;

/// `vps, nas`
fn names(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}
