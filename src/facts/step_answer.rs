//! The answer of a host to a step that changes it.

use serde::{Deserialize, Serialize};

use crate::facts::host::{JobKind, Standing};
use crate::facts::trial::TrialJob;

/// How a step that changes a host ended, as the host says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum StepOutcome {
    Done,
    /// The fence said no; nothing was changed by this command.
    Refused {
        reason: RefusalReason,
        /// In words, from the host.
        text: String,
    },
    /// It ran and did not do what it should.
    Failed {
        failure: StepFailure,
    },
}

impl StepOutcome {
    /// A step of which the host itself says so that it failed.
    #[must_use]
    pub fn said_to_have_failed(text: impl Into<String>) -> Self {
        Self::Failed { failure: StepFailure::Said(text.into()) }
    }
}

/// How a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFailure {
    /// In words, from the host.
    Said(String),
    /// The host cannot write what it must not forget: its disk is full, or read-only. In words, from the host.
    Unwritable(String),
    /// A detached step has not ended as it should.
    Job(JobKind, JobEnd),
    /// A detached step of a trial has not ended as it should.
    Trial(TrialJob, JobEnd),
}

/// The end of a detached step that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// It still runs, and its time is over.
    Unfinished,
    Killed,
    NotBegun,
    Status(i32),
}

/// The reason why a host's fence refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    ForeignLease,
    ForeignGuard,
    /// A coordinator with a higher epoch has taken over this run.
    Superseded,
    /// The run has been ended and cleaned away here.
    Ended,
    /// The host has restarted since.
    OtherBoot,
    /// Current system, profile or boot default are not what was expected.
    Moved,
    /// No armed guard of this run, or its unit is gone.
    NoGuard,
    /// The guard fires too soon for this step.
    TooLate,
    /// The guard has fired.
    Fired,
    /// A switch, a reboot or an upgrade is under way.
    Busy,
    /// The command has no form that its scripts take: nothing ran.
    BadArgument,
    Other,
}

/// The answer of a host to a step that changes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StepAnswer {
    pub outcome: StepOutcome,
    pub standing: Standing,
    /// The end of the step's log, line by line.
    pub log: Vec<String>,
}
