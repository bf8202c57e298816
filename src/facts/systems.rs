//! Which system a host is on, and what its boot loader brings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::store_path::StorePath;

/// The three places that say which system a host is on. At rest they are one and the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Systems {
    /// The system that runs: `/run/current-system`.
    pub current: StorePath,
    /// The system that `/nix/var/nix/profiles/system` points to.
    pub profile: StorePath,
    /// The system that a reboot brings, as the boot loader itself says; [`Systems::not_known`] if that is not known.
    pub boot_default: StorePath,
}

impl Systems {
    /// The store path that stands for a boot default that is not known, for example because /boot is not mounted.
    ///
    /// It equals no system that was ever built. So a comparison with it finds neither old nor new, and nothing is taken
    /// for done, or for brought back, by a guess. A host that says so is still a host that answers.
    const NOT_KNOWN: &str = "/nix/store/00000000000000000000000000000000-not-known";

    /// Returns the boot default of a host on which it is not known.
    ///
    /// # Panics
    /// Never: the text has the form of a store path.
    #[must_use]
    pub fn not_known() -> StorePath {
        StorePath::new(Self::NOT_KNOWN).expect("it has the form of a store path")
    }

    /// Returns the system that a reboot brings; `None`: that is not known.
    #[must_use]
    pub fn known_boot_default(&self) -> Option<&StorePath> {
        Some(&self.boot_default).filter(|system| system.as_str() != Self::NOT_KNOWN)
    }

    /// Names the boot default for people.
    #[must_use]
    pub fn boot_default_text(&self) -> String {
        self.known_boot_default().map_or_else(|| "not known".to_owned(), ToString::to_string)
    }

    /// Makes the three places one system.
    #[must_use]
    pub fn all(system: &StorePath) -> Self {
        Self { current: system.clone(), profile: system.clone(), boot_default: system.clone() }
    }

    /// Returns whether a reboot would bring back what runs.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.current == self.boot_default && self.profile == self.boot_default
    }

    /// Returns whether every place says `system`.
    #[must_use]
    pub fn all_are(&self, system: &StorePath) -> bool {
        self.agree() && self.current == *system
    }
}

/// The boot loader that a default was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootLoader {
    SystemdBoot,
    Grub,
    Extlinux,
    /// No loader at all: a link such as `/sbin/init` leads into the system, as in a container; activation itself moves
    /// it.
    Init,
    /// A loader with files that were not recognised: the boot default is inferred if booted, current and profile are
    /// one.
    Unknown,
}

impl BootLoader {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SystemdBoot => "systemd-boot",
            Self::Grub => "GRUB",
            Self::Extlinux => "extlinux",
            Self::Init => "init",
            Self::Unknown => "unknown",
        }
    }
}

/// The entry that the next reboot brings, once, instead of the boot default: the loader's one-shot entry, GRUB's
/// `next_entry`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NextBoot {
    /// The loader's name for it: `nixos-generation-5.conf`, `1>0`.
    pub entry: String,
    /// The system that this entry starts; `None`: it is not known, or is no NixOS system.
    pub system: Option<StorePath>,
}

/// Whether kernel and initrd of the boot default are where the loader reads them, and whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum BootFiles {
    /// They equal the system's own, byte for byte.
    Whole,
    /// They cannot be compared: signed, with secrets in them, or not copied from the store. That is no fault of theirs.
    Unproven { why: String },
    /// One is missing, cannot be read, or is shorter than the system's own.
    Bad { why: String },
}

/// The systems that a run keeps on a host, across reboots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// The systems that the host ran and booted when it was armed, with the number of its generation; `None`: it never
    /// was armed.
    pub old: Option<(Systems, u64)>,
    /// `None`: it was never prepared.
    pub new: Option<StorePath>,
}
