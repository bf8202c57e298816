//! Why a push turns back.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::event::Phase;
use crate::event::reason::cause::Cause;
use crate::event::reason::disowned::Disowned;
use crate::event::reason::inspection::FoundAs;
use crate::event::reason::millis;
use crate::facts::signal::Signal;
use crate::facts::units::UnitPast;
use crate::inventory::model::{HostName, Place};

/// Why a push turns back, by severity: the first one given stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RollbackReason {
    /// Arming did not succeed everywhere: nothing was changed yet.
    NotArmed {
        /// The host that is to blame.
        #[serde(rename = "on_host")]
        host: HostName,
        cause: Unarmed,
    },
    /// A step failed on a host.
    StepFailed {
        /// The host that is to blame.
        #[serde(rename = "on_host")]
        host: HostName,
        phase: Phase,
        cause: Cause,
        /// What a reboot would bring the host to at that moment; absent: what it ran before, untouched by the step.
        #[serde(skip_serializing_if = "Option::is_none")]
        boots: Option<BootsNow>,
    },
    /// A host is on another boot than the one that was surveyed.
    HostRestarted {
        /// The host that is to blame.
        #[serde(rename = "on_host")]
        host: HostName,
    },
    /// Units fail that did not fail before, or that this push answers for.
    UnitsFailed {
        /// The host that is to blame.
        #[serde(rename = "on_host")]
        host: HostName,
        /// Each with its state before the push.
        units: BTreeMap<String, UnitPast>,
    },
    /// What the push has started was not up for long enough from one start.
    UnitsUnsteady {
        /// The host that is to blame.
        #[serde(rename = "on_host")]
        host: HostName,
        units: BTreeSet<String>,
        /// How long they should have been up.
        #[serde(rename = "steady_ms", with = "millis")]
        #[schemars(with = "u64")]
        steady: Duration,
    },
    /// A host takes no new login, or does not answer over it.
    NoLogin {
        /// The host that is to blame.
        #[serde(rename = "on_host")]
        host: HostName,
        cause: Cause,
    },
    /// Required links are down, or links that were up before.
    LinksDown {
        links: Vec<DownLink>,
        /// What they have in common, if they have something in common.
        #[serde(skip_serializing_if = "Option::is_none")]
        common: Option<LinksCause>,
    },
    /// Nothing speaks against the new systems, and links could not be looked at: the hosts at their ends could not keep
    /// up with their own probes.
    LinksNotMeasured {
        /// How many links.
        links: usize,
        /// The hosts at which they begin.
        #[serde(rename = "from_hosts")]
        hosts: BTreeSet<HostName>,
    },
    /// The guards leave too little time for the rest of the push.
    NoTimeLeft,
    /// One host says that it is not this run's any more.
    HostDisowned {
        /// The host that is to blame.
        #[serde(rename = "on_host")]
        host: HostName,
        cause: Disowned,
    },
    /// The run's record cannot be written on this workstation.
    RecordUnwritable { said: String },
    /// An interrupted run is undone.
    RunUndone { cause: Undone },
    /// A person, or the system, has asked the program to end.
    Interrupted { signal: Signal },
}

impl RollbackReason {
    /// Returns the host that is to blame.
    #[must_use]
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::NotArmed { host, .. }
            | Self::StepFailed { host, .. }
            | Self::HostRestarted { host }
            | Self::UnitsFailed { host, .. }
            | Self::UnitsUnsteady { host, .. }
            | Self::HostDisowned { host, .. }
            | Self::NoLogin { host, .. } => Some(host),
            Self::LinksDown { .. }
            | Self::LinksNotMeasured { .. }
            | Self::NoTimeLeft
            | Self::RecordUnwritable { .. }
            | Self::RunUndone { .. }
            | Self::Interrupted { .. } => None,
        }
    }
}

/// The text is told, and steers nothing: two pushes that differ in it alone go the same way.
impl Hash for RollbackReason {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Why a guard could not be armed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Unarmed {
    Cause(Cause),
    Disowned(Disowned),
}

/// A link that is down and counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct DownLink {
    pub from: Place,
    pub to: String,
    pub kind: String,
    /// What its probe has said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub said: String,
    pub was_down_before: bool,
}

/// What a reboot would bring a host to, just after a step has failed that moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootsNow {
    Old,
    New,
    /// Neither the one nor the other.
    Another,
    /// Its boot loader does not say.
    NotKnown,
}

/// What the links that are down have in common: they are all links of this kind, and no other required link is down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LinksCause {
    /// The checks of the inventory that they belong to; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// The host at which they begin or end; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<HostName>,
    pub ends: LinkEnds,
    /// How many they are.
    pub links: usize,
}

/// Which of the links at a host are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkEnds {
    Both,
    To,
    From,
}

/// Why an interrupted run is undone, and not taken forward.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Undone {
    /// It was being rolled back when it was interrupted.
    TurnedBackBefore,
    /// A host is lost to the recovery, and is not on its new system for good.
    LostHostNotOnNew {
        /// The lost host.
        lost: HostName,
    },
    /// The run is ended without hosts, and no host that answers is on its new system for good.
    NoneOnNewWithoutMissing {
        /// The hosts that the run is ended without.
        missing: Vec<HostName>,
    },
    /// This workstation does not have the run's record, and no host is committed.
    RecordElsewhere,
    /// The run had not come to the decision to commit.
    NotDecided,
    /// A host cannot go forward.
    HostCannotGoForward {
        /// That host.
        stays: HostName,
        found: FoundAs,
    },
    /// A host that was missing when the run was ended is back, and not at rest.
    MissingHostNotAtRest {
        /// That host.
        back: HostName,
        found: FoundAs,
    },
}
