//! What is not as it should be on a host, day by day.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// A thing that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Ailment {
    /// A run did not come to its end on it.
    RunUnfinishedThere {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// What runs is neither what the profile says nor what a reboot brings.
    CurrentStandsAlone { current: StorePath, profile: StorePath, boot_default: StorePath },
    /// The boot loader starts something else than what runs and the profile says.
    BootDefaultStandsAlone { current: StorePath, profile: StorePath, boot_default: StorePath },
    /// The profile says something else than what runs and a reboot brings.
    ProfileStandsAlone { current: StorePath, profile: StorePath, boot_default: StorePath },
    /// The profile says a system that was tried once in a boot, and was not proven there.
    TriedInVain {
        tried: StorePath,
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
        #[serde(rename = "on_host")]
        host: HostName,
    },
    /// What runs, what the profile says and what a reboot brings are three systems.
    SystemsAllDiffer { current: StorePath, profile: StorePath, boot_default: StorePath },
    /// A run was ended on it while other hosts of the run were missing.
    EndedWithoutOthers {
        #[serde(rename = "of_run")]
        run: String,
        missing: Vec<HostName>,
        fleet: String,
    },
    /// A switch, a reboot or an upgrade is under way or due.
    BusyThere {
        /// The host's own words.
        said: String,
    },
    /// Units of it have failed.
    FailedUnitsSeen { units: BTreeSet<String>, fleet: String, host: HostName },
    /// A file system has little room.
    SpaceLow { place: String, free_bytes: u64, size_bytes: u64 },
    /// Only a reboot brings what the current system changes.
    RebootDue {
        /// The parts, in words: `kernel`.
        parts: Vec<String>,
        /// Absent: the kernel is the same, or not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        kernel: Option<KernelDue>,
        fleet: String,
        host: HostName,
    },
}

/// The kernel that runs, and the one that a reboot brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KernelDue {
    pub running: String,
    pub current: String,
}

/// What is wrong, in one or two words for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShortTrouble {
    UnfinishedRun,
    Drift,
    /// What is wrong about the next boot, in the words of that reason.
    Boot(&'static str),
    Without(Vec<HostName>),
    Busy,
    UnitsFailed(usize),
    Space,
    TrialLeft,
    Reboot,
    /// A guard or a lease of another run holds it.
    Claimed,
}
