//! Writes errors on one line, each with its causes.

use crate::local::causes::below;

/// Returns an error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = below(error);
    if causes.is_empty() { error.to_string() } else { format!("{error}: {causes}") }
}
