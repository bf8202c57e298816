//! Why a new system does not come to its host.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;
use crate::facts::store_path::StorePath;

/// Why a system is copied a second time. It is a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CopyAgain {
    /// The connection, or the host's Nix, broke off in the middle.
    CopiedAgain { said: String },
    /// A garbage collection on the host has taken away what had just come.
    CollectedAfterCopy,
}

/// Why a copy has failed, or is not begun. `said` is always the words of Nix, of ssh or of the operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CopyFault {
    /// What the copy would bring does not fit on the host's disk.
    RoomTooLittle {
        /// What its new system brings at most.
        needed_bytes: u64,
        free_bytes: u64,
    },
    /// The host's disk was full in the middle.
    CopyNoRoom { machine: String, system: StorePath, said: String },
    /// The host's Nix takes no unsigned paths from this login.
    CopyUntrusted {
        machine: String,
        system: StorePath,
        said: String,
        /// Who must be a trusted user there; absent: the user that logs in.
        user: Option<String>,
    },
    /// The login finds no Nix there.
    CopyNoNix { machine: String, said: String },
    /// The login shell has printed before Nix there, where only that may speak.
    CopyGarbled { machine: String, said: String },
    /// The connection broke off in the middle.
    CopyInterrupted { machine: String, said: String },
    /// The copy did not end in its time.
    CopyTimedOut {
        machine: String,
        #[serde(rename = "limit_ms", with = "millis")]
        #[schemars(with = "u64")]
        limit: Duration,
    },
    /// The host said more than any copy has.
    CopyTooTalkative { machine: String, bytes: u64 },
    /// Nix could not be started.
    CopyNotStarted {
        machine: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// It failed for another reason.
    CopyFailed { machine: String, system: StorePath, said: String },
}
