//! Describes what a push would do, if that can be known before anything is touched: the answer of `plan`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::reason::any::AnyReason;
use crate::event::{Cell, Phase};
use crate::facts::package_change::PackageChange;
use crate::facts::sending::SendingWay;
use crate::facts::store_path::StorePath;
use crate::facts::unit_changes::UnitChanges;
use crate::inventory::model::HostName;

/// The answer of `plan`, and what `push --ask` shows before it asks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    pub fleet: String,
    /// Where a rollback goes, in words; absent: the push goes to new systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<String>,
    /// Why a push would be refused, in one sentence; the faults of each host were told before. Then the rest is only
    /// what was known by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The same with its code and its fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<AnyReason>,
    /// The hosts, in the inventory's order, without those that did not answer.
    pub hosts: Vec<HostForecast>,
    /// The host that is leased and armed alone, before all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_first: Option<HostName>,
    /// The hosts that change, in the order in which their steps begin; those of one group begin side by side.
    pub order: Vec<Vec<HostName>>,
    /// The hosts that are tested together, one group after the other, with a look at the whole fleet in between; empty
    /// if all are tested together.
    pub waves: Vec<Vec<HostName>>,
    /// The phases; the last one begins only if anything fails.
    pub phases: Vec<PhaseForecast>,
    /// Every link, as it is now; empty where it was not probed.
    pub links: Vec<Cell>,
    /// Required links that are down now and are accepted, each as `vps -> homeserver (ping)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// Hosts that take no part: they were left out by name, or are `optional` and silent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<HostName>,
    /// Checks that are commands of the inventory: a command that looks ahead runs none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_run: Vec<NotRun>,
    /// Things that cannot be known by now, in words.
    pub not_known: Vec<String>,
    /// The same, each with its code and its fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknowns: Vec<AnyReason>,
    /// The copies, where nothing was copied yet; absent: there are none, or they are through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<CopiesForecast>,
    /// The gaps of the guards of this push, host by host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<GuardGap>,
}

/// A gap about one host that its guard does not cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "gap", rename_all = "snake_case")]
pub enum GuardGap {
    /// It has no boot loader: activation itself moves what a reboot brings, until its last act puts that back.
    ActivationMovesBoot { host: HostName },
    /// Kernel and initrd that its guard would boot cannot be compared with the system's own, and are believed.
    BootFilesNotCompared { host: HostName, why: String },
}

/// A `command` check that was not run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct NotRun {
    /// The name in the inventory.
    pub check: String,
    /// Where it would run; absent: on the workstation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<HostName>,
    pub required: bool,
}

/// The effects of a push on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostForecast {
    pub host: HostName,
    pub selected: bool,
    pub changes: bool,
    /// The system that it runs.
    pub old: StorePath,
    /// The system that a reboot would bring, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boots: Option<StorePath>,
    /// The system that it would run.
    pub new: StorePath,
    /// The generation of its profile now.
    pub generation: u64,
    /// The host of the fleet through which it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<HostName>,
    pub guard_ms: u64,
    /// The longest time from arming to the end of a roll back.
    pub needed_ms: u64,
    pub boot_ms: u64,
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Whether a system can be booted on it once, before it is its boot default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<AnyReason>,
    /// The changes of units; absent: they were not asked for, or could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<UnitChanges>,
}

/// The difference between a host's new system and the one that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Absent: not known by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<PackageChange>>,
    /// The parts that only a reboot brings, in words; empty: none. Absent: not known by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_for: Option<Vec<String>>,
}

/// One phase, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseForecast {
    pub phase: Phase,
    /// The time on the slowest host; absent: a moment, or as long as its probes take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_ms: Option<u64>,
    /// The longest time that it took on a host in former runs of the fleet here; absent: no record tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// The copies that are to come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CopiesForecast {
    pub each: Vec<CopyForecast>,
    /// About how long all that is sent takes together, by former runs; absent: that of one is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about_ms: Option<u64>,
}

/// How much goes to one host, and about how long that takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyForecast {
    /// Absent: it goes to the cache of the fleet, which is none of its hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    #[serde(flatten)]
    pub way: SendingWay,
    /// Unpacked, beyond what its systems of now have. Absent: these systems are not in the store of this workstation,
    /// so what it lacks is known only once its copy begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// By the median of the last copies of this way that were large enough to tell; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about_ms: Option<u64>,
}
