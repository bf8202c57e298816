//! How far a running nix is.

use std::collections::BTreeSet;

/// How far a running nix is: what the screen shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NixProgress {
    /// Derivations.
    pub builds: Count,
    /// Store paths that are copied or substituted.
    pub paths: Count,
    /// Bytes as they come over the network.
    pub downloaded: Amount,
    /// Bytes of store paths, uncompressed: substituted ones in a build, sent ones in a copy.
    pub copied: Amount,
    /// In the order they were started.
    pub running: Vec<RunningBuild>,
    /// The path that has been downloaded or copied for the longest time: `linux-6.12.8`, or the last part of an
    /// address.
    pub transferring: Option<String>,
    /// Binary caches are being asked what they have.
    pub looking: bool,
    /// The number of derivations, of those that were asked for, that were built well.
    pub systems: BTreeSet<String>,
}

impl NixProgress {
    /// What comes from binary caches: as it comes over the network; uncompressed, where nix does not count that, since
    /// the cache is a folder or another store.
    #[must_use]
    pub fn fetched(&self) -> Amount {
        if self.downloaded.done == 0 && self.copied.done > 0 { self.copied } else { self.downloaded }
    }
}

/// How many of how many things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    pub done: u64,
    /// All, done and failed ones included; it grows while nix finds out.
    pub expected: u64,
    pub running: u64,
    pub failed: u64,
}

/// How many of how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    pub done: u64,
    pub expected: u64,
}

/// A build that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningBuild {
    /// Its store path.
    pub derivation: String,
    /// `linux-6.12.8`.
    pub name: String,
    /// `buildPhase`; `None` before the first.
    pub phase: Option<String>,
    /// The machine on which it runs; `None` for this one.
    pub machine: Option<String>,
    pub last_line: Option<String>,
}
