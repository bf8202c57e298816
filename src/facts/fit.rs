//! Whether a new system fits the host it was copied to.

use serde::{Deserialize, Serialize};

/// Whether the new system fits a host it was copied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// Each refuses the push.
    pub misfits: Vec<Misfit>,
    pub check: PreSwitchCheck,
    /// The new system would install another kind of boot loader than the one that boots the old: `from grub to ...`.
    pub loader_change: Option<String>,
    /// What the pre-switch check said, line by line.
    pub log: Vec<String>,
    /// What `nix store diff-closures` there says of what runs and the new system; `None`: it could not.
    pub changes: Option<Vec<String>>,
    /// What only a reboot brings, in words.
    pub reboot_for: Vec<String>,
}

/// Something about the new system that cannot be right for this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// `architecture`, `host_name`, `missing`, `no_system`, `no_switch`, `not_prepared`.
    pub kind: String,
    pub text: String,
}

/// What the new system's own `switch-to-configuration check` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreSwitchCheck {
    Passed,
    Failed,
    /// It had not ended within its limit, and was ended: what it would have said is not known.
    CutOff,
    /// It does not know that action: NixOS of 2024 and before.
    NotKnown,
}
