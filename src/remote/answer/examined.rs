//! Reads the answer of `doctor`.

use super::{AnswerError, Lines, all, condition, one, texts};
use crate::decide::doctor::Examined;

/// # Errors
/// See [`AnswerError`].
pub fn examined(lines: &Lines) -> Result<Examined, AnswerError> {
    let setting = |text: &str| {
        let (key, value) = text.split_once(' ').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    Ok(Examined {
        condition: condition(lines)?,
        login: one(lines, "login").unwrap_or("root").to_owned(),
        addresses: texts(lines, "address"),
        programs: texts(lines, "program").into_iter().collect(),
        sshd: all(lines, "sshd").map(setting).collect(),
        now: one(lines, "now").and_then(|now| now.parse().ok()),
        clock_ahead: None,
        trusted_keys: texts(lines, "trusted_key"),
        silent_caches: texts(lines, "cache_silent"),
    })
}
