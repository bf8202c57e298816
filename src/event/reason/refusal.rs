//! Why a push or a query has ended before it touched anything, in one sentence: the details were told before.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// What ended it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Refusal {
    /// Nix has no system for every host.
    SystemsNotEvaluated,
    /// The source of the systems is not what was asked for.
    SourceNotClean,
    /// Nix has not built every system.
    SystemsNotBuilt,
    /// A host is silent that must answer.
    HostsNotSurveyed,
    /// Not one host answers.
    NoHostAnswers,
    /// A host has not what it is to go back to.
    RollbackTargetsMissing,
    /// Something stands against touching a host.
    HostNotTouchable,
    /// Some wave could not be proven.
    WavesNotProvable,
    /// A new system did not come to its host, or does not fit it.
    SystemsNotBrought,
    /// A new system could not come to its host.
    SystemsNotBringable,
    /// A required link is down, and stays so.
    RequiredLinkHopeless,
    /// A host takes no new login.
    NoNewLogin,
    /// What the run will do cannot be written down.
    RecordNotBegun,
}
