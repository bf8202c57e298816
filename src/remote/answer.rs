//! Reads the answers of the scripts. It is pure, and any output of a host becomes facts or an error.

mod caches;
mod condition;
mod examined;
mod fit;
pub mod kept;
mod rounds;
mod standing;
mod step_answer;
mod survey;
mod traces;
mod trial;
pub mod units;
mod wireguard;

use std::fmt;

use crate::event::reason::cause::Cause;
use crate::facts::host::JobKind;
use crate::facts::store_path::StorePath;
use standing::job_kind;

pub use caches::{OwnCaches, fetched, own_caches, short_fetch};
pub use condition::condition;
pub use examined::examined;
pub use fit::fit;
pub use rounds::{ProbeRound, RoundReader};
pub use standing::standing;
pub(super) use standing::unit_now;
pub use step_answer::step_answer;
pub use survey::facts;

/// Keys and decoded values, in the order they came.
pub type Lines = [(String, String)];

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    NotNixos,
    Missing(&'static str),
}

/// Its words are those of the reason.
impl fmt::Display for AnswerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cause::from(self).fmt(formatter)
    }
}

/// Reads the value of a `printed` line: the job, and a line of its log.
#[must_use]
pub fn printed(value: &str) -> Option<(JobKind, &str)> {
    let (kind, line) = value.split_once(' ').unwrap_or((value, ""));
    Some((job_kind(kind)?, line))
}

/// Reads the answer of `journal`: each unit with the last lines of its journal, if there are any.
#[must_use]
pub fn journals(lines: &Lines) -> Vec<(String, Vec<String>)> {
    let mut journals: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in lines {
        match (key.as_str(), journals.last_mut()) {
            ("unit", _) => journals.push((value.clone(), Vec::new())),
            ("log", Some((_, journal))) => journal.push(value.clone()),
            _ => {}
        }
    }
    journals.retain(|(_, journal)| !journal.is_empty());
    journals
}

/// Returns the first value of a key.
fn one<'a>(lines: &'a Lines, key: &str) -> Option<&'a str> {
    all(lines, key).next()
}

fn all<'a>(lines: &'a Lines, key: &str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
}

fn texts(lines: &Lines, key: &str) -> Vec<String> {
    all(lines, key).map(str::to_owned).collect()
}

fn needed<'a>(lines: &'a Lines, key: &'static str) -> Result<&'a str, AnswerError> {
    one(lines, key).filter(|value| !value.is_empty()).ok_or(AnswerError::Missing(key))
}

fn number(lines: &Lines, key: &str) -> Option<u64> {
    one(lines, key)?.parse().ok()
}

fn system(lines: &Lines, key: &'static str) -> Result<StorePath, AnswerError> {
    one(lines, key).and_then(|text| StorePath::new(text).ok()).ok_or(AnswerError::Missing(key))
}

#[cfg(test)]
mod tests;
