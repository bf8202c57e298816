//! The systems that a simulated host can be on, and the three places that say which.

use std::sync::LazyLock;

use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::facts::systems::Systems;

/// A system, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sys {
    Old,
    New,
    /// What a person's own `nixos-rebuild switch` brings in the middle of a push.
    Other,
}

impl Sys {
    fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Other => "other",
        }
    }

    pub(crate) fn path(self) -> StorePath {
        static PATHS: LazyLock<[StorePath; 3]> = LazyLock::new(|| {
            [Sys::Old, Sys::New, Sys::Other].map(|system| {
                let text = format!("/nix/store/{}-{}", "0".repeat(32), system.name());
                StorePath::new(text).expect("a store path")
            })
        });
        PATHS[self as usize].clone()
    }

    pub(crate) fn is(self, expected: Option<&StorePath>) -> bool {
        expected.is_none_or(|expected| expected.as_str().rsplit('-').next() == Some(self.name()))
    }
}

/// The three places that say which system a host is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) current: Sys,
    pub(crate) profile: Sys,
    pub(crate) boot: Sys,
}

impl Stand {
    pub(crate) fn all(system: Sys) -> Self {
        Self { current: system, profile: system, boot: system }
    }

    pub(crate) fn systems(self) -> Systems {
        Systems { current: self.current.path(), profile: self.profile.path(), boot_default: self.boot.path() }
    }
}
