//! What becomes of a guard that a person arms, extends and disarms by hand.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::any::AnyReason;
use crate::facts::store_path::StorePath;

/// What a person who works under a guard is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum HandGuard {
    /// A reboot would bring something else than runs, so the host keeps its guard.
    GuardStays {
        current: StorePath,
        profile: StorePath,
        /// Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        boot_default: Option<StorePath>,
    },
    /// The fleet is under a guard of an earlier command, and gets no second one.
    GuardArmedBefore {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// The run cannot be written down, so no guard is armed.
    GuardNotRecorded { error: String },
    /// The record of the run cannot be made, so no guard is armed.
    GuardRecordNotMade { error: String },
    /// The guard has ended, and that could not be written down.
    GuardEndNotRecorded { error: String },
    /// One host could not be armed, so the others are disarmed again.
    GuardsTakenBack,
    /// The host has not armed its guard.
    GuardNotArmed { cause: AnyReason },
    /// The host has done what arms a guard, and shows none.
    GuardNotThere,
    /// The host has not extended its guard.
    GuardNotExtended { cause: AnyReason },
    /// The host has not disarmed its guard.
    GuardNotDisarmed { cause: AnyReason },
    /// What belongs to a disarmed guard could not be removed.
    GuardNotCleanedUp { cause: AnyReason },
    /// No guard of this person is on the host.
    NoGuardArmed,
    /// The guard of another run is on the host.
    GuardOfAnother {
        /// Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[serde(rename = "of_run")]
        run: Option<String>,
    },
    /// The guard of another run is on the host, and was to be disarmed.
    GuardOfAnotherToDisarm {
        /// Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// Absent: not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[serde(rename = "of_run")]
        run: Option<String>,
    },
    /// The guard has fired.
    GuardFired,
    /// The unit that should act on the guard is gone.
    GuardDead,
    /// The guard has fired, and is still at work.
    GuardAtWork,
    /// The guard has fired, and has brought the host back.
    GuardBroughtBack,
}
