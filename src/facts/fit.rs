//! Whether a new system fits the host it was copied to.

use serde::{Deserialize, Serialize};

/// Whether the new system fits a host it was copied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// Each refuses the push.
    pub misfits: Vec<Misfit>,
    /// If the new system's name for its host is not the one that the host has now.
    pub renaming: Option<Renaming>,
    pub check: PreSwitchCheck,
    /// The kinds of boot loader, if the new system would install another kind than the one that boots the old: `from
    /// grub to ...`.
    pub loader_change: Option<String>,
    /// The output of the pre-switch check, line by line.
    pub log: Vec<String>,
    /// The output of `nix store diff-closures` there, for the running system and the new one; `None`: it could not run.
    pub changes: Option<Vec<String>>,
    /// The parts that only a reboot brings, in words.
    pub reboot_for: Vec<String>,
    /// Those of them that the new system changes, if what runs was never booted: the others were pending already.
    pub brings: Vec<String>,
}

/// Something about the new system that cannot be right for this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// `architecture`, `missing`, `no_system`, `no_switch`, `not_prepared`.
    pub kind: String,
    pub text: String,
}

/// The two names of a host that its new system calls by another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renaming {
    /// How it calls itself now.
    pub here: String,
    /// How the new system calls it.
    pub new: String,
}

impl Renaming {
    /// Only the first label of a name counts, as in prepare.sh: a domain is no part of the host's own name.
    #[must_use]
    pub fn between(here: &str, new: &str) -> Option<Self> {
        let label = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        (label(here) != label(new)).then(|| Self { here: here.to_owned(), new: new.to_owned() })
    }
}

/// The result of the new system's own `switch-to-configuration check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreSwitchCheck {
    Passed,
    Failed,
    /// It did not end within its limit, and was ended: its answer is not known.
    CutOff,
    /// It does not know that action: NixOS of 2024 and before.
    NotKnown,
}
