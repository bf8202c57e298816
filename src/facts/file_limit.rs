//! The limits of open files that this workstation may come to.

use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileLimit {
    /// That of one process.
    Process,
    /// That of the whole machine.
    Machine,
}
