//! Reads how a step of a run went: done, refused or failed.

use super::standing::{job_kind, standing};
use super::{AnswerError, Lines, one, texts};
use crate::facts::host::{JobKind, JobState};
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};

/// Reads the answer of `arm`, `take_over`, `extend`, `step`, `await`, `standing`, `disarm` and `clean`.
///
/// # Errors
/// See [`AnswerError`]; a refusal is not an error.
pub fn step_answer(lines: &Lines) -> Result<StepAnswer, AnswerError> {
    let standing = standing(lines)?;
    let outcome = if let Some(reason) = one(lines, "refused") {
        StepOutcome::Refused { reason: refusal(reason), text: one(lines, "text").unwrap_or(reason).to_owned() }
    } else if let Some(text) = one(lines, "failed") {
        StepOutcome::Failed { text: text.to_owned() }
    } else if let Some(kind) = one(lines, "asked").and_then(job_kind) {
        job_outcome(kind, standing.jobs.get(&kind).copied().unwrap_or(JobState::None))
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

/// Says what the status of a detached step means. 4 says that some unit of the host is failed, perhaps since long. The
/// standing names the units, and the decider compares them with those of before. Source:
/// docs/facts.md, "Exit statuses of switch-to-configuration"; job.sh.
fn job_outcome(kind: JobKind, state: JobState) -> StepOutcome {
    let word = kind.word();
    let failed = |text: String| StepOutcome::Failed { text };
    let status = match state {
        JobState::Exited { status: 0 | 4 } => return StepOutcome::Done,
        JobState::Exited { status } => status,
        JobState::Running => return failed(format!("`{word}` has not ended within its limit")),
        JobState::Lost => return failed(format!("`{word}` was killed before its end")),
        JobState::None => return failed(format!("`{word}` did not begin")),
    };
    failed(match status {
        2 => format!("`{word}`: the activation script failed (status 2)"),
        11 => format!("`{word}`: another switch holds the lock (status 11)"),
        91 => "the old system could not be activated again".to_owned(),
        92 => "the boot default could not be put back".to_owned(),
        93 => "the profile could not be put back".to_owned(),
        94 => "the boot default did not move to the new system".to_owned(),
        95 => "the generation to be added could not be written down".to_owned(),
        96 => "the plan on the host is damaged".to_owned(),
        97 => "a reboot would not come up: kernel or initrd of the new system is not whole".to_owned(),
        98 => "what a reboot brings could not be put back after the activation".to_owned(),
        99 => "nothing was installed: there is no place for a boot loader".to_owned(),
        100 => format!("`{word}`: the new system needs a reboot to be activated (status 100)"),
        101 => format!("switch-to-configuration crashed in `{word}` (status 101)"),
        status => format!("`{word}` ended with status {status}"),
    })
}
