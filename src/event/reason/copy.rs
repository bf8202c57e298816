//! Why a new system does not come to its host.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

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

/// Why a copy has failed, or is not begun.
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
    CopyNoRoom { said: String },
    /// The host's Nix takes no unsigned paths from this login.
    CopyUntrusted {
        said: String,
        /// Who must be a trusted user there; absent: the user that logs in.
        user: Option<String>,
    },
    /// The login finds no Nix there.
    CopyNoNix { said: String },
    /// The connection broke off in the middle.
    CopyInterrupted { said: String },
    /// The copy did not end in its time.
    CopyTimedOut { said: String },
    /// The host said more than any copy has.
    CopyTooTalkative { said: String },
    /// Nix could not be started.
    CopyNotStarted { said: String },
    /// It failed for another reason.
    CopyFailed { said: String },
}
