//! Errors on one line, each with its causes.

use crate::remote::StepError;

/// Returns an error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Returns an error with its causes, and what the host said, on one line.
pub(super) fn reason(error: &StepError) -> String {
    // Without a login the reason for that says it all; the script that was to run does not matter then.
    let told: &dyn std::error::Error = match error {
        StepError::NoLogin { source, .. } => source.as_ref(),
        other => other,
    };
    let text = chain(told);
    match error.stderr_tail().and_then(|tail| tail.lines().last()) {
        // Some programs leave their name out before the colon.
        Some(last) => format!("{text}: {}", last.trim_start_matches([':', ' '])),
        None => text,
    }
}
