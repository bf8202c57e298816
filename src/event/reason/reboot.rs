//! What becomes of a rolling reboot, and of each of its hosts.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::any::AnyReason;
use crate::event::reason::millis;
use crate::facts::signal::Signal;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// What a person is told of a rolling reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RollingReason {
    /// One of the hosts is the machine that this program runs on.
    OwnMachineReboots { fleet: String },
    /// A signal ends the rolling reboot after what is under way.
    NoFurtherReboot { signal: Signal },
    /// A host must not be rebooted, as the survey says.
    RebootNotAllowed,
    /// None of the hosts that were to be rebooted answers.
    NobodyToReboot,
    /// A host cannot be held.
    HostNotHeld { cause: AnyReason },
    /// Hosts are not held before the first reboot: another rolling reboot may be at work on this fleet.
    HostsNotHeld {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// Hosts are not held any more in the middle: another workstation may have ended this one.
    HostsNotHeldLonger {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// The record cannot be written: after a death no command would know of the rolling reboot.
    RebootNotRecorded { error: String },
    /// A host may not have been let go.
    MayStillBeHeld { cause: AnyReason },
    /// A host may not have been let go by the recovery that has ended a rolling reboot.
    MayStillBeHeldFor {
        #[serde(rename = "of_run")]
        run: String,
        cause: AnyReason,
    },
    /// The host was not rebooted.
    HostNotRebooted { cause: AnyReason },
    /// The order to reboot has not come to the host.
    RebootNotDelivered { cause: AnyReason },
    /// The host answers, and has not gone down yet.
    StillOnOldBoot,
    /// The host has not come back within its time.
    RebootOverdue {
        #[serde(rename = "waited_ms", with = "millis")]
        #[schemars(with = "u64")]
        waited: Duration,
        /// What came of the last try to reach it.
        cause: AnyReason,
    },
    /// The host is back, and nobody can log in anew.
    NoLoginAfterReboot { cause: AnyReason },
    /// The host is back, and some of its units have not started yet.
    BootNotEnded,
    /// The host answers on the boot on which it was told to reboot.
    RebootDidNotHappen,
    /// The host is back, and a guard of a run is armed or at work on it.
    BackUnderGuard {
        #[serde(rename = "of_run")]
        run: String,
    },
    /// The host has come up on another system than its boot default was.
    BootedSomethingElse {
        wanted: StorePath,
        booted: StorePath,
        current: StorePath,
        profile: StorePath,
        /// Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        boot_default: Option<StorePath>,
    },
    /// The host is back, and it was not seen whether its links are.
    LinksNotProven,
    /// The host is back, and the fleet is not as it was before.
    NotAllAsBefore { wrong: Vec<Regression> },
}

/// How a rolling reboot has ended, for all of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RollingEnd {
    /// It has come to its end, good or bad, or was left.
    RebootsEnded(Box<RebootsEnded>),
    /// A recovery has ended it.
    RollingEndedByRecovery {
        #[serde(rename = "of_run")]
        run: String,
        rebooted: Vec<HostName>,
        /// Their new systems were tried, and they run again what they booted before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        went_back: Vec<HostName>,
        /// A person must look at these: they are on a boot that their trial has not proven.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unproven: Vec<HostName>,
        /// What was left of a trial was cleaned away from these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cleaned: Vec<HostName>,
        /// Told to reboot, and on the boot that they were on.
        told_only: Vec<HostName>,
        not_rebooted: Vec<HostName>,
        /// A person must look at these: they do not answer.
        away: Vec<HostName>,
    },
    /// What is known of a host that was left while it rebooted.
    LeftWhileRebooting,
}

/// The ends of the hosts of a rolling reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RebootsEnded {
    /// Rebooted and proven back.
    pub rebooted: Vec<HostName>,
    /// A person must look at these.
    pub wrong: Vec<HostWrong>,
    /// Their new systems were tried, and they run again what they booted before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub went_back: Vec<HostWrong>,
    /// Hosts that refused to reboot.
    pub refused: Vec<HostWrong>,
    /// Left while they reboot.
    pub left: Vec<HostName>,
    pub not_rebooted: Vec<HostName>,
    /// Why no host was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none_begun: Option<AnyReason>,
    /// Why no further host was begun, without a host to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<AnyReason>,
    /// The signal after which no further host was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<Signal>,
}

/// A host of a rolling reboot that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HostWrong {
    pub name: HostName,
    pub cause: AnyReason,
}

/// A thing that was well before a reboot, and is not after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Regression {
    /// A link is down.
    LinkDownAfterReboot { link: String },
    /// A link could not be looked at: a host at its ends could not keep up with its own probes.
    LinkNotMeasuredAfterReboot { link: String },
    /// A host does not answer.
    HostSilentAfterReboot { name: HostName },
    /// A host has gone down once more.
    RestartedOnceMore { name: HostName },
    /// A unit has failed.
    UnitFailsAfterReboot { unit: String, name: HostName },
}

/// The state of a host after the rolling reboot's death.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FoundRolling {
    /// It has rebooted.
    RebootDone,
    /// Its turn had not come.
    RebootNotBegun,
    /// It was told to reboot, and is on the boot that it was on.
    RebootToldOnly,
    /// Its new system was tried, and it runs again what it booted before.
    TrialWentBack,
    /// It is on a boot that its trial has not proven.
    TrialUnproven,
    /// It does not answer.
    AwayFromReboot {
        /// Absent: there is no record that says it.
        #[serde(skip_serializing_if = "Option::is_none")]
        told: Option<bool>,
    },
}

impl FoundRolling {
    /// Returns whether a person must look.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::AwayFromReboot { .. })
    }
}

/// What a host is doing in a rolling reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebootActivity {
    Told,
    GoingDown,
    LoggingIn,
    ProvingLinks,
    /// A guard for a trial.
    ArmingTrial,
    /// What booted last becomes the boot default, and the new system an entry of its own.
    RegisteringTrial,
    /// It has not come up in the time for that, and does not answer.
    MayHang,
    /// That time is over, and it answers.
    StandsStill,
    /// Its guard puts back what the boot default was; it has not left the boot that it was on.
    PuttingBack,
    /// What was tried becomes the boot default.
    KeepingTrial,
    GoingBack,
    /// Its guard was dead.
    TendingGuard,
    CleaningTrial,
}
