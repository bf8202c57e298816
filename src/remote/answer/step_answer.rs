//! Reads how a step of a run went: done, refused or failed.

use super::standing::{job_kind, standing};
use super::{AnswerError, Lines, one, texts};
use crate::facts::host::JobState;
use crate::facts::step_answer::{JobEnd, RefusalReason, StepAnswer, StepFailure, StepOutcome};
use crate::facts::trial::TrialJob;

/// Reads the answer of `arm`, `take_over`, `extend`, `step`, `await`, `standing`, `disarm` and `clean`.
///
/// # Errors
/// See [`AnswerError`]; a refusal is not an error.
pub fn step_answer(lines: &Lines) -> Result<StepAnswer, AnswerError> {
    let standing = standing(lines)?;
    let outcome = if let Some(reason) = one(lines, "refused") {
        StepOutcome::Refused { reason: refusal(reason), text: one(lines, "text").unwrap_or(reason).to_owned() }
    } else if let (Some(text), true) = (one(lines, "failed"), one(lines, "unwritable").is_some()) {
        StepOutcome::Failed { failure: StepFailure::Unwritable(text.to_owned()) }
    } else if let Some(text) = one(lines, "failed") {
        StepOutcome::said_to_have_failed(text)
    } else if let Some(kind) = one(lines, "asked").and_then(job_kind) {
        let end = job_end(standing.jobs.get(&kind).copied(), &[0, 4]);
        end.map_or(StepOutcome::Done, |end| StepOutcome::Failed { failure: StepFailure::Job(kind, end) })
    } else if let Some(job) = one(lines, "asked").and_then(TrialJob::from_word) {
        let end = job_end(standing.trial.jobs.get(&job).copied(), &[0]);
        end.map_or(StepOutcome::Done, |end| StepOutcome::Failed { failure: StepFailure::Trial(job, end) })
    } else {
        StepOutcome::Done
    };
    Ok(StepAnswer { outcome, standing, log: texts(lines, "log") })
}

fn refusal(word: &str) -> RefusalReason {
    match word {
        "foreign_lease" => RefusalReason::ForeignLease,
        "foreign_guard" => RefusalReason::ForeignGuard,
        "superseded" => RefusalReason::Superseded,
        "ended" => RefusalReason::Ended,
        "other_boot" => RefusalReason::OtherBoot,
        "moved" => RefusalReason::Moved,
        "no_guard" => RefusalReason::NoGuard,
        "too_late" => RefusalReason::TooLate,
        "fired" => RefusalReason::Fired,
        "busy" => RefusalReason::Busy,
        "bad_argument" => RefusalReason::BadArgument,
        _ => RefusalReason::Other,
    }
}

/// Reads the end of a detached step; `None`: it has a status that is `done`. 4 says that some unit of the host is
/// failed, perhaps since long. The standing names the units, and the decider compares them with those of before. What
/// the others mean says `JobFailure`.
fn job_end(state: Option<JobState>, done: &[i32]) -> Option<JobEnd> {
    Some(match state.unwrap_or(JobState::None) {
        JobState::Exited { status } if done.contains(&status) => return None,
        JobState::Exited { status } => JobEnd::Status(status),
        JobState::Running => JobEnd::Unfinished,
        JobState::Lost => JobEnd::Killed,
        JobState::None => JobEnd::NotBegun,
    })
}
