//! Collects what stands below an error, for reasons that have its words in a field of their own.

use std::error::Error;

/// Returns the causes of an error on one line, without the error itself; empty without a cause.
#[must_use]
pub fn below(error: &dyn Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(one) = cause {
        said.push(one.to_string());
        cause = one.source();
    }
    said.join(": ")
}
