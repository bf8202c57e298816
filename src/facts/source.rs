//! Where a fleet's systems come from, as Nix has locked it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A flake as one evaluation has read it. No URL in it carries a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlakeSource {
    /// As Nix reads what the inventory says: `git+file:///home/ada/fleet`, `github:ada/fleet`.
    pub url: String,
    /// With what locks it, as far as anything does: nothing but `nar_hash` locks a dirty tree.
    pub locked_url: String,
    /// Of all files that the evaluation can read, those of a dirty tree too: `sha256-...`. Absent with a Nix that does
    /// not copy a flake before it evaluates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_hash: Option<String>,
    /// The commit, if the tree is just as it was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit that a dirty tree is based on, with `-dirty` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty_revision: Option<String>,
    /// When it was committed, or its youngest file was changed: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<u64>,
}
