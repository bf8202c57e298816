//! Why a new system does not fit its host.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;

/// Why the new system's own pre-switch check refuses the push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PreSwitchRefusal {
    /// It says no.
    PreSwitchCheckFailed,
    /// It was ended after its limit: it has said neither yes nor no.
    PreSwitchCheckCutOff {
        #[serde(rename = "limit_ms", with = "millis")]
        #[schemars(with = "u64")]
        limit: Duration,
    },
}
