//! What a push would do, as far as it can be known before anything is touched: the answer of `plan`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Cell, Phase};
use crate::facts::package_change::PackageChange;
use crate::facts::store_path::StorePath;
use crate::facts::unit_changes::UnitChanges;
use crate::inventory::model::HostName;

/// The answer of `plan`, and what `push --ask` shows before it asks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    pub fleet: String,
    /// Where it goes back to, in words; absent: to new systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<String>,
    /// Why a push would be refused, in one sentence; what is wrong with which host was told before. Then the rest is
    /// only what was known by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// In the inventory's order; those that did not answer are not among them.
    pub hosts: Vec<HostForecast>,
    /// Leased and armed alone, before all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_first: Option<HostName>,
    /// The hosts that change, in the order in which their steps begin; those of one group side by side.
    pub order: Vec<Vec<HostName>>,
    /// Those that are tested together, one group after the other, with a look at the whole fleet between; empty where
    /// all are.
    pub waves: Vec<Vec<HostName>>,
    /// What begins when anything fails is the last of them.
    pub phases: Vec<PhaseForecast>,
    /// Every link, as it is now; empty where it was not probed.
    pub links: Vec<Cell>,
    /// Required links that are down now and accepted so, each as `vps -> homeserver (ping)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// Hosts that take no part: named so, or `optional` and silent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<HostName>,
    /// Checks that are commands of the inventory: what looks ahead runs none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_run: Vec<NotRun>,
    /// What nobody can know by now, in words.
    pub not_known: Vec<String>,
    /// What the guards of this push do not cover, host by host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<GuardGap>,
}

/// Something about one host that its guard does not cover.
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
    /// As the inventory names it.
    pub check: String,
    /// Where it would run; absent: on the workstation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<HostName>,
    pub required: bool,
}

/// What a push would do to one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostForecast {
    pub host: HostName,
    pub selected: bool,
    pub changes: bool,
    /// What it runs.
    pub old: StorePath,
    /// What a reboot would bring, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boots: Option<StorePath>,
    /// What it would run.
    pub new: StorePath,
    /// Of its profile, now.
    pub generation: u64,
    /// The host of the fleet that the way to it leads over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<HostName>,
    pub guard_ms: u64,
    /// What everything between arming and the end of a roll back may take at most.
    pub needed_ms: u64,
    pub boot_ms: u64,
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Absent: not asked for, or it could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<UnitChanges>,
}

/// How a host's new system differs from what it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Absent: not known by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<PackageChange>>,
    /// What only a reboot brings, in words; empty: nothing. Absent: not known by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_for: Option<Vec<String>>,
}

/// One phase, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseForecast {
    pub phase: Phase,
    /// On the slowest host; absent: a moment, or as long as its probes take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_ms: Option<u64>,
}
