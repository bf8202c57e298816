//! Writes errors on one line, each with its causes.

use crate::event::reason::cause::Cause;
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
    Cause::from(error).to_string()
}
