//! What a run writes beside its roots on a host: what is still known of it after a restart, and after its end.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::inventory::model::HostName;

/// Which side a run was ended on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndSide {
    Old,
    New,
}

impl EndSide {
    /// The word that the scripts use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Old, Self::New].into_iter().find(|side| side.word() == word)
    }
}

impl fmt::Display for EndSide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Hosts of a run that were not seen at its end, each with its machine id as far as that is known.
///
/// By the name alone a machine that was installed anew could not be told from the one that is missing.
pub type Missing = BTreeMap<HostName, Option<String>>;

/// How a run ended for a host, and who was missing then.
///
/// A clean-up with someone missing leaves this on the host instead of nothing: that nothing is left of a run says that
/// all its hosts were through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct EndMark {
    /// Where this very host stood; `None`: on neither side.
    pub side: Option<EndSide>,
    pub missing: Missing,
}

impl EndMark {
    /// That of a run whose hosts were all seen: it stays nowhere.
    #[must_use]
    pub fn of_all(side: Option<EndSide>) -> Self {
        Self { side, missing: Missing::new() }
    }
}

/// Such a mark as the host shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ended {
    /// Of the coordinator that ended the run.
    pub epoch: u64,
    #[serde(flatten)]
    pub mark: EndMark,
}

/// A mark that the survey has found, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunMark {
    pub run: String,
    #[serde(flatten)]
    pub ended: Ended,
}

/// What a host still knows of one run, whatever became of its lease and its guard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a file that is there or not, independent of the others")]
pub struct RunTraces {
    /// That a trace is not there says something: the run was armed by a fleetdeploy that leaves them, or never here.
    pub traced: bool,
    /// The run has begun to move here what a reboot brings, and nobody has put it back.
    pub switching: bool,
    /// The run's guard was disarmed here to keep the new system, and all three systems are that one.
    pub committed: bool,
    /// A run that was armed here later has committed here.
    pub over: bool,
    /// The run was ended while a host of it was not seen.
    pub ended: Option<Ended>,
    /// What was to be written here found no room: a restart of this host forgets the fence, or that it has committed.
    pub volatile: bool,
}
