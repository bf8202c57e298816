//! What the facts of the survey say against a push, a guard by hand or a reboot, or about it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// What stands against touching a host, or needs a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Judgement {
    /// One machine has two names: it would be pushed twice at the same time.
    SameMachine { other: HostName },
    /// There is no bash: nothing could be looked at round after round, neither links nor units.
    BashMissing,
    /// Something else changes the host, or is about to.
    HostBusy {
        /// What it is, in the host's words.
        activity: String,
    },
    /// A reboot would not bring back what runs.
    SystemsDiffer { current: StorePath, profile: StorePath, boot_default: StorePath },
    /// A reboot would not bring back what runs, which a person has accepted.
    SystemsDifferAccepted { current: StorePath, profile: StorePath, boot_default: StorePath },
    /// A reboot that was asked for would bring something else than what runs.
    BootDefaultDiffers { current: StorePath, boot_default: StorePath },
    /// A reboot that was asked for brings something else than what runs, which a person has accepted.
    BootDefaultDiffersAccepted { current: StorePath, boot_default: StorePath },
    /// A disk is encrypted, and the inventory does not say how the host is to be guarded.
    EncryptedUnguarded { disks: Vec<String> },
    /// A disk is encrypted, and the inventory does not say that the host boots by itself.
    EncryptedReboot { disks: Vec<String> },
    /// The inventory says that the host does not boot by itself.
    PersonNeededAtBoot,
    /// The guard would fire before a push and its roll back must be through.
    GuardTooShort {
        #[serde(rename = "guard_ms", with = "millis")]
        #[schemars(with = "u64")]
        guard: Duration,
        /// What a push and its roll back may take.
        #[serde(rename = "shortest_ms", with = "millis")]
        #[schemars(with = "u64")]
        shortest: Duration,
        /// What that is made of, in the order of a push.
        parts: Vec<GuardPart>,
    },
}

/// One part of the shortest guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GuardPart {
    /// The key of the inventory that sets it.
    pub key: String,
    #[serde(rename = "time_ms", with = "millis")]
    #[schemars(with = "u64")]
    pub time: Duration,
}
