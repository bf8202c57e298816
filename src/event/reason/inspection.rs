//! How a host was found by a recovery, or after its guard had brought it back.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::cause::Cause;
use crate::event::reason::millis;
use crate::event::reason::recover::ClaimDoubt;
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::inventory::model::HostName;

/// How a host stands when a run is over that did not end everywhere as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LastLook {
    /// It does not answer.
    SilentAtEnd { cause: Cause },
    /// What it runs, and what it would boot.
    StandsAtEnd { systems: Systems, guard: GuardAtEnd },
}

/// The guard of a host when a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum GuardAtEnd {
    NotArmed,
    Armed {
        #[serde(rename = "fires_in_ms", with = "millis")]
        #[schemars(with = "u64")]
        fires_in: Duration,
    },
    /// It is armed, and nothing would act on it any more.
    Dead,
    /// It has fired, and brings the host back.
    AtWork,
    Fired,
}

/// How a recovery has found a host of the run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FoundAs {
    /// It did not answer, or could not be taken over.
    FoundSilent { cause: Cause },
    /// Its guard has brought it back onto its old system, and is gone.
    FoundBroughtBack,
    /// It is on its old system, without a guard.
    FoundOnOld,
    /// It is on its new system for good: its guard was disarmed.
    FoundCommitted,
    /// It is on its new system for good, without a guard.
    FoundOnNew,
    /// It is guarded, and nothing has begun on it.
    FoundGuarded,
    /// It is guarded, and runs its new system.
    FoundGuardedOnNew,
    /// It is guarded, in the middle of a change or of its roll back.
    FoundGuardedBetween,
    /// It has no guard, and is somewhere between old and new.
    FoundBetween { systems: Systems },
    /// Its guard has fired and is at work.
    FoundFiring,
    /// It holds nothing of the run any more; old and new are one there.
    FoundCleaned,
    /// It holds nothing of the run any more, and is on its old system.
    FoundCleanedOnOld,
    /// It holds nothing of the run any more, and is on its new system.
    FoundCleanedOnNew,
    /// It holds nothing of the run any more, and has moved on.
    FoundCleanedAndMovedOn,
    /// It holds nothing of the run any more, and it is not known here what it was to run.
    FoundCleanedAndNotKnown,
    /// The run was ended there without hosts that were not seen, and the host stands where it stood then.
    FoundEnded {
        /// The hosts that were missing.
        missing: Vec<HostName>,
    },
    /// The run was ended there without hosts that were not seen, and the host has moved on since.
    FoundEndedAndMovedOn {
        /// The hosts that were missing.
        missing: Vec<HostName>,
    },
    /// A person has brought it onto something else since, for good.
    FoundMovedOn { onto: StorePath },
    /// A later run has committed there.
    FoundOver,
    /// It is not known where it is going, or another run holds it.
    FoundElsewhere { cause: Elsewhere },
}

/// Why a host is left as it is by a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Elsewhere {
    Cause(Cause),
    Doubt(ClaimDoubt),
}

impl From<Cause> for Elsewhere {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
}

/// How a host is back that was left to its guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ComeBack {
    /// It is on its old system, on a new boot.
    BackOnNewBoot,
    /// Its guard has brought it back without a restart.
    BackByGuard,
}
