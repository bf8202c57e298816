//! Is the one dictionary: turns each reason into the sentence that a person reads on the screen, in plain lines, in the
//! logs of the record and in `show`.

#![expect(clippy::format_push_string, reason = "text for people, a line at a time: `+=` reads better than `write!`")]

pub mod absent;
pub mod activity;
mod baseline;
mod boot;
pub(crate) mod build;
mod cache;
mod cause;
mod caution;
mod claim;
mod command;
pub mod command_end;
mod command_fault;
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
pub(crate) mod host_log;
mod inspection;
mod inventory_fault;
mod job;
pub mod leftover;
mod look_ahead;
mod notice;
mod obstacle;
pub(crate) mod packages;
mod push;
mod reboot;
mod record_fault;
mod recover;
mod refusal;
mod rollback;
mod rollback_target;
mod run_end;
pub(crate) mod sending;
mod status;
mod survey;
mod trial;
mod trying;
mod tunnel;
mod units;
mod unlinked;
pub(crate) mod waiting;
mod waves;
pub(crate) mod words;
mod workstation;

use std::fmt::Display;

use crate::event::reason::Worded;
use crate::inventory::model::HostName;

/// `vps, nas`
fn names(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

/// `a`, `a` and `b`, `a`, `b` and `c`: not more than a message bears.
fn quoted(names: &[impl Display]) -> String {
    const MOST: usize = 30;
    let shown = if names.len() > MOST { MOST - 1 } else { names.len() };
    let mut quoted: Vec<String> = names[..shown].iter().map(|name| format!("`{name}`")).collect();
    if shown < names.len() {
        quoted.push(format!("{} more", names.len() - shown));
    }
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}
