//! What a forecast cannot know.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::inventory::model::HostName;

/// A thing that cannot be known before a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NotKnown {
    /// Which packages change.
    PackagesNotKnown {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// Whether a reboot is needed.
    RebootNotKnown {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// Which units are stopped and started: nobody has asked for it.
    UnitsNotAsked {
        /// The command that asks the hosts.
        command: String,
    },
    /// Which units are stopped and started: a host was asked and does not say.
    UnitsNotKnown { of: HostName, cause: AnyReason },
}

/// Why a host does not say what a new system would do to its units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum DryFault {
    /// The host could not be asked.
    DryNotAsked { cause: Cause },
    /// The host has not begun it.
    DryRefused {
        /// The host's own words.
        said: String,
    },
    /// Its answer has no status.
    DryAnswerSenseless,
    /// Another switch is under way there.
    SwitchLockHeld,
    /// The new system can be activated only by a reboot.
    OnlyByReboot,
    /// It did not end within its limit.
    DryTimedOut,
    /// It ended with another status.
    DryFailed { status: u64 },
}
