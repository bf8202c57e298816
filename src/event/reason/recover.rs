//! What a recovery finds, what it waits for, and why it does not begin.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::millis;
use crate::inventory::model::HostName;

/// What a person is told of a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RecoverReason {
    /// Hosts are silent that the run is not to end without.
    SilentHostsNotNamed {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        /// These and the hosts that were named.
        all: Vec<HostName>,
        fleet: String,
    },
    /// Without a record the recovery waits until no guard can be armed on the silent hosts.
    WaitsForGuards {
        #[serde(rename = "of_run")]
        run: String,
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        #[serde(rename = "wait_ms", with = "millis")]
        #[schemars(with = "u64")]
        wait: Duration,
    },
    /// No host that answers holds anything of the run that was named.
    NothingOfRun {
        #[serde(rename = "of_run")]
        run: String,
        /// The hosts that do not answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        silent: Vec<HostName>,
    },
    /// Another run is unfinished, too.
    AnotherRunUnfinished {
        #[serde(rename = "of_run")]
        run: String,
        /// The hosts that say so.
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        fleet: String,
    },
    /// The run changed hosts that the fleet does not have.
    HostsNotInFleet {
        #[serde(rename = "of_run")]
        run: String,
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        fleet: String,
    },
    /// The run changed a host that the inventory does not have any more.
    HostLeftFleet {
        #[serde(rename = "of_run")]
        run: String,
        name: HostName,
        fleet: String,
    },
    /// The host was missing when a run was ended, and still does not answer.
    StillMissing {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// The host was missing when a run was ended, and another machine has its name now.
    ReplacedWhileMissing {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// The host alone says that a rolling reboot holds it.
    RollingSaidByOne {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// A rolling reboot holds hosts of the run.
    HeldByRolling {
        #[serde(rename = "of_run")]
        run: String,
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        fleet: String,
    },
    /// The host is left as it is, since its words about the run are no ground to act on.
    HostSetAside { doubt: ClaimDoubt },
    /// The record of the recovery cannot be written.
    RecoveryNotRecorded { error: String },
    /// The end of a rolling reboot, or of the run, could not be written down.
    EndNotRecorded { error: String },
    /// Another coordinator has ended the run that this workstation knows of.
    RunEndedElsewhere {
        #[serde(rename = "of_run")]
        run: String,
    },
    /// The run is a guard that a person has armed, and that is still armed.
    HandGuardStillArmed {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// The host is as the run has left it.
    AsRunLeftIt,
    /// Nothing is known of the host, since it does not answer.
    NothingKnownOfHost,
    /// The run is ended without hosts that a person has named.
    EndsWithoutHosts {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        #[serde(rename = "wait_ms", with = "millis")]
        #[schemars(with = "u64")]
        wait: Duration,
    },
    /// The host does not answer the recovery.
    SilentInRecovery { cause: Box<Cause> },
    /// What a run had left on the host, which was missing at its end, is removed.
    LeftoverRemoved {
        #[serde(rename = "of_run")]
        run: String,
    },
    /// What a run has left on the host, which was missing at its end, stays.
    LeftoverStays {
        #[serde(rename = "of_run")]
        run: String,
        cause: AnyReason,
        fleet: String,
    },
    /// The end of a run that was cleaned up could not be written down.
    CleanUpNotRecorded {
        #[serde(rename = "of_run")]
        run: String,
        error: String,
    },
}

/// Why a host is left as it is: its words about itself cannot be true, or are no ground to act on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ClaimDoubt {
    /// No higher epoch is left to take it over with.
    NoHigherEpoch { epoch: u64 },
    /// It says that a person works there, and no other host of the run says so.
    ByHandSaidByOne,
    /// It says that a rolling reboot holds it, and no other host says so.
    RollingLeaseSaidByOne {
        #[serde(rename = "of_run")]
        run: String,
    },
}

/// What a host is doing while something is cleaned up there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleaningUp {
    pub run: String,
    pub limit: Duration,
}
