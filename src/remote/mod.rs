//! Reaches the hosts: with one generated ssh config, one master connection for each host, and scripts that travel over
//! it.
//!
//! A [`Workspace`] holds the config and the sockets of one run, a [`Session`] is a host's master connection, and
//! [`login_anew`] is a login that uses none. A host only ever runs a [`Script`], sent as [`transport`] tells. This room
//! does not know what a script does, does not decide anything, and does not try twice.

mod agent;
pub mod answer;
pub(crate) mod bounds;
mod cause;
mod command;
mod connect_error;
mod folder;
mod known_hosts;
mod known_units;
mod layout;
mod login;
mod login_hint;
mod machine;
mod master;
mod master_slot;
mod privilege;
mod session;
mod ssh_config;
pub mod step;
#[cfg(test)]
mod table;
pub mod transport;
mod workspace;
mod workspace_error;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::event::reason::Worded;
use crate::event::reason::cause::Cause;
use crate::inventory::model::{BootLoaderHint, HostName};

pub use command::{Command, Piece};
pub use connect_error::{ConnectCause, ConnectError};
pub(crate) use login::login_anew_with_turn;
pub use login::{Way, login_anew, login_anew_all_the_way};
pub use privilege::{Password, RootRefusal};
pub use session::{Session, Stream};
pub use transport::RawAnswer;
pub use workspace::Workspace;
pub use workspace_error::WorkspaceError;

/// A script to run on a host, as root if the inventory's `become` says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its name, for messages.
    pub name: &'static str,
    /// The text that `/bin/sh` runs; it has no control characters but tab and newline.
    pub text: String,
    /// Become `$1`, `$2`, ...; any text without control characters other than tab and newline.
    pub arguments: Vec<String>,
    /// Whether it is told of its host. Then the inventory's word about the boot loader, and what the host has said of
    /// its services, come before `arguments`: the sender of the script knows the host, and the maker of the script need
    /// not.
    pub is_told: bool,
}

impl Script {
    /// Returns its words for a host, with the inventory's `hint` about the boot loader, and the host's `units` that are
    /// known (`-` for none).
    pub fn words<'a>(&'a self, hint: &BootLoaderHint, units: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let told = self.is_told.then(|| [hint.to_string(), units.to_owned()]);
        told.into_iter()
            .flatten()
            .map(Cow::Owned)
            .chain(self.arguments.iter().map(|argument| Cow::Borrowed(argument.as_str())))
    }
}

/// A script that cannot travel as it is; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadScript {
    pub script: &'static str,
    pub reason: String,
}

/// Why a script gave no answer. [`StepError::nothing_ran`] tells which of these leave the host's state known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    BadScript(#[from] BadScript),
    /// The host had not received the whole script, so it ran nothing of it.
    NotBegun {
        host: HostName,
        script: &'static str,
        reason: String,
    },
    /// There was no login, so nothing ran.
    NoLogin {
        host: HostName,
        script: &'static str,
        #[source]
        source: Box<ConnectError>,
    },
    /// There was a login, but neither root nor the script.
    NotRoot {
        host: HostName,
        script: &'static str,
        refusal: RootRefusal,
        stderr_tail: String,
    },
    /// The login shell did not run `/bin/sh`: `nologin`, a forced command, a shell that knows no single quotes.
    NoShell {
        host: HostName,
        script: &'static str,
        status: i32,
        stderr_tail: String,
    },
    Exit {
        host: HostName,
        script: &'static str,
        status: i32,
        stderr_tail: String,
    },
    /// The script may still be running on the host, or may have finished: the host is unknown until it has been asked.
    TimedOut {
        host: HostName,
        script: &'static str,
        waited: Duration,
    },
    /// The script may still be running on the host, or may have finished: the host is unknown until it has been asked.
    Disconnected {
        host: HostName,
        script: &'static str,
        stderr_tail: String,
    },
    /// The host said more than any answer has, and was cut off. The script may still be running there, or may have
    /// finished: the host is unknown until it has been asked.
    TooMuch {
        host: HostName,
        script: &'static str,
        bytes: u64,
    },
    /// The script began, and its answer has no last line: how far it got is unknown.
    Truncated {
        host: HostName,
        script: &'static str,
        stderr_tail: String,
    },
}

/// Its words are those of the reason.
impl fmt::Display for BadScript {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cause::from(self).fmt(formatter)
    }
}

/// Its words are those of the reason.
impl fmt::Display for StepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cause::from(self).fmt(formatter)
    }
}

impl StepError {
    /// `true` when the script certainly has run nothing on the host; `false` when that is unknown.
    #[must_use]
    pub fn nothing_ran(&self) -> bool {
        match self {
            Self::BadScript(_)
            | Self::NotBegun { .. }
            | Self::NoLogin { .. }
            | Self::NotRoot { .. }
            | Self::NoShell { .. } => true,
            Self::Exit { .. }
            | Self::TimedOut { .. }
            | Self::Disconnected { .. }
            | Self::TooMuch { .. }
            | Self::Truncated { .. } => false,
        }
    }

    /// Says what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Cause::from(self).mend()
    }

    /// Returns the host's words on stderr, if there are any.
    #[must_use]
    pub fn stderr_tail(&self) -> Option<&str> {
        match self {
            Self::NotRoot { stderr_tail, .. }
            | Self::NoShell { stderr_tail, .. }
            | Self::Exit { stderr_tail, .. }
            | Self::Disconnected { stderr_tail, .. }
            | Self::Truncated { stderr_tail, .. } => {
                Some(stderr_tail).filter(|tail| !tail.is_empty()).map(String::as_str)
            }
            _ => None,
        }
    }
}

/// Returns the last lines of what a remote program said, without anything that could steer a terminal.
fn tail(stderr: &[u8]) -> String {
    /// Enough for a stack of systemd's messages, and a bound on what a host can put into a record.
    const LINES: usize = 20;
    /// Lines that `ssh -v` adds.
    const OF_VERBOSE_SSH: [&str; 5] =
        ["debug1: ", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: "];
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !OF_VERBOSE_SSH.iter().any(|sign| line.starts_with(sign)))
        .map(|line| {
            line.trim_end()
                .chars()
                .filter(|character| !character.is_control() || *character == '\t')
                .take(400)
                .collect()
        })
        .collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
