//! Defines the traces that a run writes beside its roots on a host: they tell of it after a restart, and after its end.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::model::HostName;

/// Returns whether the guard of this run has left the trace: `remote/scripts/guard.sh` begins it so.
#[must_use]
pub fn is_of_guard(trace: &str, run: &str) -> bool {
    trace.starts_with(&format!("the guard of run {run} ("))
}

/// The side on which a run was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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

/// Hosts of a run that were not seen at its end, each with its machine id if that is known.
///
/// The name alone would not tell a machine that was installed anew from the missing one.
pub type Missing = BTreeMap<HostName, Option<String>>;

/// How a run ended for a host, and which hosts were missing then.
///
/// A clean-up while a host is missing leaves this mark on the other hosts. A host without any trace of a run says that
/// all hosts of the run were through, and that would be wrong here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct EndMark {
    /// The side on which this very host stood; `None`: on neither.
    pub side: Option<EndSide>,
    pub missing: Missing,
}

impl EndMark {
    /// Makes the mark of a run that has seen all its hosts: it stays nowhere.
    #[must_use]
    pub fn of_all(side: Option<EndSide>) -> Self {
        Self { side, missing: Missing::new() }
    }
}

/// A mark as the host shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ended {
    /// The epoch of the coordinator that ended the run.
    pub epoch: u64,
    #[serde(flatten)]
    pub mark: EndMark,
}

/// A mark that the survey has found, with its run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunMark {
    pub run: String,
    #[serde(flatten)]
    pub ended: Ended,
}

/// The traces of one run that a host still has, whatever became of its lease and its guard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a file that is there or not, independent of the others")]
pub struct RunTraces {
    /// A missing trace says something only if the run was armed here by a fleetdeploy that leaves traces.
    pub traced: bool,
    /// The run has begun to move here what a reboot brings, and that has not been put back.
    pub switching: bool,
    /// The run's guard was disarmed here to keep the new system, and all three systems are that one.
    pub committed: bool,
    /// A run that was armed here later has committed here.
    pub over: bool,
    /// The run was ended while one of its hosts was not seen.
    pub ended: Option<Ended>,
    /// A trace found no room here: a restart of this host forgets the fence, or that it has committed.
    pub volatile: bool,
}
