//! The entries of a journal: what is about to happen, and what it began with.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::decide::reboot;
use crate::decide::vocabulary::{self, Stood};
use crate::event::Outcome;
use crate::event::line::rfc3339;
use crate::event::reason::any::{AnyReason, as_reason};
use crate::facts::provenance::Provenance;
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::traces::EndMark;
use crate::inventory::model::HostName;

/// The words of every [`JournalEntry`]; another one is of a newer version.
pub(super) const ENTRIES: [&str; 16] = [
    "started",
    "recovering",
    "by_hand",
    "arming",
    "guarded",
    "testing",
    "decided",
    "disarming",
    "rolling_back",
    "host_lost",
    "rolling",
    "rebooting",
    "trying",
    "ended_without",
    "forgotten",
    "finished",
];

/// The most bytes of a roll back's reason that are kept.
pub(super) const LONGEST_REASON: usize = 16 * 1024;

/// An entry: what is about to happen, or how it ended. The decider records most of them; the first says what it began
/// with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum JournalEntry {
    /// The first entry, before anything is touched.
    Started(RunStarted),
    /// A recovery goes on from here.
    Recovering(Recovering),
    /// A person works by hand, and no program of ours runs meanwhile: a run that has not ended may well be under way.
    ByHand,
    Arming,
    /// A guard is about to be armed anew, or extended: it holds no longer than this from now on.
    Guarded {
        host: HostName,
        seconds: u64,
    },
    Testing,
    /// The point of no return: from here on `recover` goes forward.
    Decided,
    Disarming,
    RollingBack {
        #[serde(flatten, with = "as_reason")]
        reason: AnyReason,
    },
    /// A host says that it is not this run's any more: another coordinator may go on from here, and write elsewhere.
    HostLost {
        host: HostName,
        says: AnyReason,
    },
    /// A rolling reboot begins, of itself or after a push: before the first host is held for it.
    Rolling(RollingStarted),
    /// These hosts are told to reboot.
    Rebooting {
        hosts: Vec<HostName>,
    },
    /// This host is told to reboot into its trial.
    Trying {
        host: HostName,
    },
    /// A recovery ends the run without hosts that were not seen.
    EndedWithout {
        #[serde(flatten)]
        mark: EndMark,
    },
    /// The traces of the run are removed, as its hosts stand.
    Forgotten {
        stood: Vec<Stood>,
    },
    /// The last entry.
    Finished {
        outcome: Outcome,
    },
}

/// The facts that `recover` must know of a rolling reboot if nothing else is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollingStarted {
    pub fleet: String,
    /// The inventory's file, absolute.
    pub inventory: PathBuf,
    /// `person@workstation`, as in the leases.
    pub owner: String,
    /// The hosts that are to be rebooted, with the boot that each was on.
    pub hosts: Vec<(HostName, String)>,
}

/// Who recovers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovering {
    pub epoch: u64,
    pub owner: String,
    /// Whether it recovers from the hosts alone: what happened before stands in no record of this workstation.
    pub alone: bool,
}

impl JournalEntry {
    /// Returns the part for the decider; the other entries are for the driver and for people.
    pub(super) fn told(&self) -> Option<vocabulary::Entry> {
        Some(match self {
            Self::Started(_)
            | Self::Recovering(_)
            | Self::ByHand
            | Self::Guarded { .. }
            | Self::Rolling(_)
            | Self::Rebooting { .. }
            | Self::Trying { .. } => {
                return None;
            }
            Self::Arming => vocabulary::Entry::Arming,
            Self::Testing => vocabulary::Entry::Testing,
            Self::Decided => vocabulary::Entry::Decided,
            Self::Disarming => vocabulary::Entry::Disarming,
            Self::RollingBack { reason } => vocabulary::Entry::RollingBack { reason: reason.clone() },
            Self::HostLost { host, says } => vocabulary::Entry::HostLost { host: host.clone(), says: says.clone() },
            Self::EndedWithout { mark } => vocabulary::Entry::EndedWithout { mark: mark.clone() },
            Self::Forgotten { stood } => vocabulary::Entry::Forgotten { stood: stood.clone() },
            Self::Finished { outcome } => vocabulary::Entry::Finished { outcome: *outcome },
        })
    }
}

impl JournalEntry {
    #[must_use]
    pub fn guarded(host: &HostName, holds: Duration) -> Self {
        Self::Guarded { host: host.clone(), seconds: holds.as_secs() + u64::from(holds.subsec_nanos() > 0) }
    }
}

impl From<reboot::RebootEntry> for JournalEntry {
    fn from(entry: reboot::RebootEntry) -> Self {
        match entry {
            reboot::RebootEntry::Rebooting { hosts } => Self::Rebooting { hosts },
            reboot::RebootEntry::Trying { host } => Self::Trying { host },
        }
    }
}

impl From<vocabulary::Entry> for JournalEntry {
    fn from(entry: vocabulary::Entry) -> Self {
        match entry {
            vocabulary::Entry::Arming => Self::Arming,
            vocabulary::Entry::Testing => Self::Testing,
            vocabulary::Entry::Decided => Self::Decided,
            vocabulary::Entry::Disarming => Self::Disarming,
            vocabulary::Entry::RollingBack { mut reason } => {
                // It may name every unit of a host.
                reason.shorten(LONGEST_REASON);
                Self::RollingBack { reason }
            }
            vocabulary::Entry::HostLost { host, says } => Self::HostLost { host, says },
            vocabulary::Entry::EndedWithout { mark } => Self::EndedWithout { mark },
            vocabulary::Entry::Forgotten { stood } => Self::Forgotten { stood },
            vocabulary::Entry::Finished { outcome } => Self::Finished { outcome },
        }
    }
}

/// The facts that `recover` must know if nothing else is left of the push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    pub fleet: String,
    /// The inventory's file, absolute.
    pub inventory: PathBuf,
    pub epoch: u64,
    /// `person@workstation`, as in the leases.
    pub owner: String,
    pub hosts: Vec<HostStarted>,
    /// Hosts of the fleet that took no part.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<HostName>,
    /// Where the new systems come from; absent: they were on the hosts, or a record of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// One host as the survey found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStarted {
    pub host: HostName,
    pub machine_id: String,
    pub boot_id: String,
    pub old: Systems,
    /// The number of the old profile's generation.
    pub generation: u64,
    pub new: StorePath,
    /// `false`: a witness.
    pub changes: bool,
    /// How many seconds its guard holds at most, from the entry `arming` on, if it is not armed anew or extended;
    /// absent if that is not known: a guard by hand, a record of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded_for: Option<u64>,
}

/// An entry and when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    #[serde(flatten)]
    pub entry: JournalEntry,
}
