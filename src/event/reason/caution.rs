//! What to know of a host that is left without its guard: it stops no way back and no disarm.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// A warning about a host that is left without its guard. It stops no way back and no disarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Caution {
    /// A person or a program has set what the next reboot brings, once.
    OneShotSet { entry: String },
    /// The traces of the run there are only in memory.
    TracesVolatile,
}
