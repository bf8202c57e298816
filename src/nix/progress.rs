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
    /// The most bytes of store paths that were announced at once: `copied` may have lost them again before anybody
    /// looks.
    pub announced: u64,
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
    /// Returns the sum of what several at work have done: they know nothing of each other.
    #[must_use]
    pub fn of_all<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.builds.add(one.builds);
            sum.paths.add(one.paths);
            sum.downloaded.add(one.downloaded);
            sum.copied.add(one.copied);
            sum.announced = sum.announced.saturating_add(one.announced);
            sum.running.extend(one.running.iter().cloned());
            sum.transferring = sum.transferring.or_else(|| one.transferring.clone());
            sum.looking |= one.looking;
            sum.systems.extend(one.systems.iter().cloned());
        }
        sum
    }

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

impl Count {
    fn add(&mut self, other: Self) {
        self.done = self.done.saturating_add(other.done);
        self.expected = self.expected.saturating_add(other.expected);
        self.running = self.running.saturating_add(other.running);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// How many of how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    pub done: u64,
    pub expected: u64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.done = self.done.saturating_add(other.done);
        self.expected = self.expected.saturating_add(other.expected);
    }
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
