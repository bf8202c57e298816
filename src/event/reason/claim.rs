//! Who else has a claim to a host: another run, a rolling reboot, a person with a guard.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;

/// Why a host must not be touched now: something else is under way there, or has died there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Claim {
    /// A rolling reboot holds it: the host may go down at any moment, or has just been up again.
    HeldByRollingReboot {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// `person@workstation`.
        owner: String,
        /// How long that still counts, if it is not renewed.
        #[serde(rename = "left_ms", with = "millis")]
        #[schemars(with = "u64")]
        left: Duration,
    },
    /// A person has armed a guard by hand.
    GuardArmedByHand {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// `person@workstation`.
        owner: String,
        #[serde(rename = "fires_in_ms", with = "millis")]
        #[schemars(with = "u64")]
        fires_in: Duration,
    },
    /// A person holds it for a guard by hand, which is not armed now.
    HeldByHand {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// `person@workstation`.
        owner: String,
    },
    /// The guard of another run is armed there.
    GuardArmedElsewhere {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        #[serde(rename = "fires_in_ms", with = "millis")]
        #[schemars(with = "u64")]
        fires_in: Duration,
    },
    /// A rolling reboot tries a new system there, before that is what a reboot brings.
    InTrial {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// `person@workstation`.
        owner: String,
        /// How long until its guard ends that by itself.
        #[serde(rename = "fires_in_ms", with = "millis")]
        #[schemars(with = "u64")]
        fires_in: Duration,
        /// It has booted what is tried.
        is_booted: bool,
    },
    /// The guard of another run was armed there, and nothing would act on it any more.
    GuardDeadElsewhere {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// The guard of another run has fired, and is at work.
    GuardFiringElsewhere {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// Another run holds it.
    HeldByRun {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// `person@workstation`.
        owner: String,
    },
}
