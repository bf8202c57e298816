//! Defines what a new system does to the units that run on a host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The units that activating a system would stop, start and so on, as the system's own program says beforehand.
///
/// Source: docs/facts.md, "Lines that switch-to-configuration prints"; the manual of NixOS says that the lists are "not
/// guaranteed to be complete".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnitChanges {
    pub stop: Vec<String>,
    /// They change and go on as they are: their units say so.
    pub leave: Vec<String>,
    pub reload: Vec<String>,
    pub restart: Vec<String>,
    pub start: Vec<String>,
    /// systemd itself is run anew; its units go on.
    pub restart_systemd: bool,
    /// Other lines, such as those of activation scripts that can tell what they would do.
    pub said: Vec<String>,
}

impl UnitChanges {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
