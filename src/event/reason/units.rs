//! What is to be known of a host's units.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// A warning about a host's units, and what refuses a push for the sake of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum UnitCaution {
    /// It has failed, and the push has nothing to do with it.
    UnitFailedOfOthers { unit: String },
    /// It has failed, and the new system does not have it.
    UnitFailedGone { unit: String },
    /// It was started again and again already before the push.
    UnitRestless { unit: String },
    /// After a roll back: failed now, and not before the push.
    UnitsLeftFailed { units: BTreeSet<String> },
    /// After a roll back: not running, and running before the push.
    UnitsLeftStopped { units: BTreeSet<String> },
    /// It made a run roll back, and has failed since: this push is measured by it.
    UnitRemembered {
        unit: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// It made a run roll back, has failed since, and this push would not start it: that refuses the push.
    UnitRememberedIdle {
        unit: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// A person accepts a failed unit that no host remembers.
    AcceptedUnitUnknown { unit: String },
}
