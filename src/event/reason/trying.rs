//! What becomes of a host's trial: one boot into a system before that is its boot default.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::any::AnyReason;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// What is told of a trial, and how it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TryingReason {
    /// The host is rebooted as without trials.
    RebootedUntried { cause: AnyReason },
    /// Several are, all for the same reason.
    HostsRebootedUntried {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        cause: AnyReason,
    },
    /// Its new system cannot be tried, and a person wants no other reboot.
    TrialDemanded { cause: AnyReason },
    /// What runs now is in the way of a trial that a person demands; the system that is pushed may not be.
    MayNotBeTried { cause: AnyReason },
    /// Hosts that are tried go one by one, though the waves would have taken several at a time.
    TriedOneByOne {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        waves: u64,
        /// As many as there would be without trials.
        untried: u64,
    },
    /// It is the machine that fleetdeploy runs on, so that nobody could judge a trial.
    NobodyJudges,
    /// What runs there, the profile and the boot default are not one system, and that was accepted.
    TrialOfDrift,
    /// A reboot would bring what booted last, and not the profile, which was tried here before.
    BootsOlder { tried: StorePath, booted: StorePath },
    /// The same, and the profile cannot be tried again.
    BootsOlderUntried { tried: StorePath, booted: StorePath, cause: AnyReason },
    /// The host cannot try it, or what would have prepared that has failed; it stands where it stood.
    CannotTry { cause: AnyReason },
    /// It was not told to go, or its guard could not carry that out.
    DidNotGo {
        /// Why its guard could not. Absent: nothing is known of that.
        #[serde(skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
    /// The guard of the old boot is through, and the boot default is not what it was.
    NotPutBack,
    /// What was tried did not become the boot default.
    NotKept { cause: AnyReason },
    /// The trial came up without its guard.
    CameUpUnguarded,
    /// The same, and the host refuses to reboot out of it.
    NotLeft { cause: AnyReason },
    /// In the trial, the systems are not those that it began with.
    MovedInTrial {
        current: StorePath,
        profile: StorePath,
        /// Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        boot_default: Option<StorePath>,
    },
    /// The firmware has not forgotten the next boot.
    NextBootStays,
    /// The trial's guard has fired, and stays where it is: a reboot would be worse.
    GuardStayed,
    /// The host is on a boot that this trial cannot have brought.
    BootedNeither {
        booted: StorePath,
        /// The run whose trial that boot is.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<String>,
    },
    /// The host runs what is to be tried, and not as this trial.
    BootedBesideTrial { tried: StorePath },
    /// The host was restarted by something else before it went into its trial.
    RestartedUntried { tried: StorePath },
    /// It was tried, and was sent back by a signal.
    BackBySignal { tried: StorePath },
    /// It was tried, and was sent back because of what was seen.
    BackFor { tried: StorePath, cause: AnyReason },
    /// It was tried, and its guard went back by itself.
    BackByItsGuard { tried: StorePath, trace: String },
    /// It runs again what booted last, and no guard has left a word.
    BackWithoutATrace { tried: StorePath },
    /// The host is out of reach, past the time at which it must be back by itself.
    TrialOverdue {
        waited_s: u64,
        /// What was tried is its boot default, so that a power cycle brings that. Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        was_kept: Option<bool>,
        cause: AnyReason,
    },
    /// The host answers past that time, and its trial is not over.
    TrialStandsStill { waited_s: u64 },
    /// A recovery waits for the end of a trial.
    WaitsForTrial {
        #[serde(rename = "of_run")]
        run: String,
        wait_s: u64,
    },
    /// Hosts that do not answer may be on their way in a rolling reboot that holds the others.
    WaitsForRebooted {
        #[serde(rename = "of_run")]
        run: String,
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
        wait_s: u64,
    },
    /// Its guard is armed.
    StillInTrial {
        #[serde(rename = "of_run")]
        run: String,
        fires_in_s: u64,
        /// It has booted what is tried.
        in_trial: bool,
    },
    /// It has not answered since a recovery asks.
    NotSeenSince,
    /// What a trial of another run had left is cleaned away.
    TrialCleaned {
        #[serde(rename = "of_run")]
        run: String,
        /// How that trial had ended. Absent: there is nothing to be said of that any more.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<AnyReason>,
    },
    /// Something of the trial may still lie on the host.
    TrialRemains { cause: AnyReason },
}
