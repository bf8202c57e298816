//! Reads whether a new system fits its host.

use super::{AnswerError, Lines, all, one, texts};
use crate::facts::fit::{Fit, Misfit, PreSwitchCheck, Renaming};

/// Reads the answer of `prepare`.
///
/// # Errors
/// [`AnswerError::Missing`] if it says neither that the roots could not be made nor what the check said.
pub fn fit(lines: &Lines) -> Result<Fit, AnswerError> {
    let mut misfits: Vec<Misfit> = all(lines, "misfit")
        .map(|text| {
            let (kind, text) = text.split_once(' ').unwrap_or((text, text));
            Misfit { kind: kind.to_owned(), text: text.to_owned() }
        })
        .collect();
    if let Some(text) = one(lines, "failed").or_else(|| one(lines, "text")) {
        misfits.push(Misfit { kind: "not_prepared".to_owned(), text: text.to_owned() });
    }
    let check = match one(lines, "check") {
        Some("ok") => PreSwitchCheck::Passed,
        Some("failed") => PreSwitchCheck::Failed,
        Some("cut_off") => PreSwitchCheck::CutOff,
        None if misfits.is_empty() => return Err(AnswerError::Missing("check")),
        Some(_) | None => PreSwitchCheck::NotKnown,
    };
    let loader_change = one(lines, "loader_change")
        .and_then(|text| text.split_once(' ').map(|(old, new)| format!("from {old} to {new}")));
    let (changes, reboot_for, brings) = (compared_lines(lines), parts(lines, "reboot_for"), parts(lines, "brings"));
    let renaming = one(lines, "named_new")
        .map(|new| Renaming { here: one(lines, "named_here").unwrap_or_default().to_owned(), new: new.to_owned() });
    Ok(Fit { misfits, renaming, check, loader_change, log: texts(lines, "log"), changes, reboot_for, brings })
}

/// Reads Nix's comparison of the two systems; `None`: it could not make one.
pub(super) fn compared_lines(lines: &Lines) -> Option<Vec<String>> {
    one(lines, "compared").map(|_| texts(lines, "change"))
}

/// Reads the parts that only a reboot brings, in words.
pub(super) fn parts(lines: &Lines, key: &str) -> Vec<String> {
    all(lines, key).filter_map(reboot_word).map(str::to_owned).collect()
}

/// Returns the name of a file of a system, in words.
fn reboot_word(file: &str) -> Option<&'static str> {
    match file {
        "kernel" => Some("kernel"),
        "initrd" => Some("initrd"),
        "kernel-modules" => Some("kernel modules"),
        "kernel-params" => Some("kernel parameters"),
        _ => None,
    }
}
