//! One package that differs between two systems.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A package that is not the same in an old and in a new system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageChange {
    pub package: String,
    /// Versions that only the old system has; empty: it has none, or the same. A version can be an empty text.
    pub before: Vec<String>,
    /// Versions that only the new system has.
    pub after: Vec<String>,
    /// In bytes, to a tenth of the unit that nix chose; absent: below 8 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_delta: Option<i64>,
}
