//! What is against the waves that a person wants, or needs a word.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// What is to be said of a host in the waves of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum WaveFault {
    /// A canary that does not change tries nothing out.
    CanaryUnchanged,
    /// Between two waves some far ends would have their new address and some the old one.
    AddressMovesBetweenWaves,
}
