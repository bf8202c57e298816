//! Reads the answer of the survey.

use super::standing::{lease, standing};
use super::traces;
use super::trial::trial;
use super::wireguard::wireguard;
use super::{AnswerError, Lines, all, needed, number, one, texts};
use crate::facts::host::{Facts, Standing};
use crate::facts::provenance::SystemOrigin;
use crate::facts::store_path::StorePath;
use crate::facts::systems::{BootFiles, BootLoader, Roots, Systems};

/// The time in seconds within which an upgrade that is due would meet a push: a guard is rarely longer.
const SOON: u64 = 3600;

/// Reads the answer of `survey`.
///
/// # Errors
/// See [`AnswerError`].
pub fn facts(lines: &Lines) -> Result<Facts, AnswerError> {
    if one(lines, "nixos") == Some("no") {
        return Err(AnswerError::NotNixos);
    }
    let mut busy = texts(lines, "busy");
    if let Some(seconds) = number(lines, "upgrade_in").filter(|seconds| *seconds < SOON) {
        busy.push(format!("nixos-upgrade is due in {} min", seconds / 60));
    }
    // A survey tells of every run, and its standing of none.
    let standing = Standing { fence: None, ..standing(lines)? };
    let boot_note = one(lines, "boot_note").map(str::to_owned);
    // If loader and default are known, this note stops nothing; else it is the reason of a refusal.
    let is_known = standing.loader != BootLoader::Unknown && standing.systems.known_boot_default().is_some();
    let mut notes: Vec<String> = boot_note.iter().filter(|_| is_known).cloned().collect();
    notes.extend(texts(lines, "inhibitor").into_iter().map(|who| format!("it is kept from shutting down by {who}")));
    Ok(Facts {
        standing,
        host_name: needed(lines, "host_name")?.to_owned(),
        machine_id: needed(lines, "machine_id")?.to_owned(),
        system_type: needed(lines, "system_type")?.to_owned(),
        free_root: number(lines, "free_root").ok_or(AnswerError::Missing("free_root"))?,
        free_store: number(lines, "free_store").ok_or(AnswerError::Missing("free_store"))?,
        free_boot: number(lines, "free_boot"),
        nix_version: one(lines, "nix_version").unwrap_or_default().to_owned(),
        systemd_version: one(lines, "systemd_version").unwrap_or_default().to_owned(),
        kernel: one(lines, "kernel").unwrap_or_default().to_owned(),
        nixos_version: one(lines, "nixos_version").filter(|version| !version.is_empty()).map(str::to_owned),
        ssh_port: one(lines, "ssh_port").and_then(|port| port.parse().ok()),
        crypto_devices: texts(lines, "crypto"),
        survivors: texts(lines, "survivor"),
        survivor_hosts: all(lines, "survivor_hosts").filter_map(run_and_hosts).collect(),
        survivor_roots: all(lines, "survivor_roots").filter_map(run_and_roots).collect(),
        remembered: all(lines, "remembered").filter_map(remembered).collect(),
        fences: all(lines, "fence").filter_map(lease).map(|fence| (fence.run.clone(), fence)).collect(),
        marks: all(lines, "mark").filter_map(traces::run_mark).collect(),
        over: all(lines, "over").map(str::to_owned).collect(),
        switching: all(lines, "switching").map(str::to_owned).collect(),
        rolling_over: one(lines, "rolling_over").map(str::to_owned),
        traces: texts(lines, "trace"),
        busy,
        boot_missing: one(lines, "boot_missing").filter(|text| !text.is_empty()).map(str::to_owned),
        boot_files: one(lines, "boot_files").and_then(boot_files),
        trial: trial(lines),
        boot_note,
        notes,
        current_was_booted: one(lines, "current_was_booted") == Some("yes"),
        lacks_bash: one(lines, "no_bash") == Some("yes"),
        origins: all(lines, "origin").filter_map(SystemOrigin::read).collect(),
        wireguard: wireguard(lines, "wireguard"),
    })
}

/// `whole`, `unproven WHY`, `bad WHY`. Another word is one of a later version: nothing is known then.
fn boot_files(text: &str) -> Option<BootFiles> {
    let (word, why) = text.split_once(' ').unwrap_or((text, ""));
    let why = why.trim().to_owned();
    match word {
        "whole" => Some(BootFiles::Whole),
        "unproven" => Some(BootFiles::Unproven { why }),
        "bad" => Some(BootFiles::Bad { why }),
        _ => None,
    }
}

fn run_and_hosts(text: &str) -> Option<(String, Vec<String>)> {
    let mut words = text.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.collect()))
}

/// `RUN OLD_CURRENT OLD_PROFILE OLD_BOOT OLD_GENERATION NEW`, each but the first may be `-`.
fn run_and_roots(text: &str) -> Option<(String, Roots)> {
    let words: Vec<&str> = text.split(' ').collect();
    let [run, current, profile, boot_default, generation, new] = words[..] else { return None };
    let path = |word: &str| StorePath::new(word).ok();
    let old = || {
        let systems = Systems { current: path(current)?, profile: path(profile)?, boot_default: path(boot_default)? };
        Some((systems, generation.parse().ok()?))
    };
    Some((run.to_owned(), Roots { old: old(), new: path(new) }))
}

/// `UNIT RUN`.
fn remembered(text: &str) -> Option<(String, String)> {
    let (unit, run) = text.split_once(' ')?;
    Some((unit.to_owned(), run.to_owned()))
}
