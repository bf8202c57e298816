//! Reads the answers of the scripts. It is pure, and any output of a host becomes facts or an error.

mod condition;
mod examined;
pub mod kept;
mod traces;
pub mod units;

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::fit::{Fit, Misfit, PreSwitchCheck};
use crate::facts::host::{
    Facts, GuardState, JobKind, JobState, Lease, RollingLease, Standing, WireguardInterface, WireguardPeer,
};
use crate::facts::links::{HostRound, LinkAnswer, LinkId};
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use crate::facts::store_path::StorePath;
use crate::facts::systems::{BootFiles, BootLoader, NextBoot, Roots, Systems};
use crate::facts::units::{UnitNow, UnitState};

pub use condition::condition;
pub use examined::examined;

/// Keys and decoded values, in the order they came.
pub type Lines = [(String, String)];

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the host is not a NixOS")]
    NotNixos,
    #[error("the answer has no usable `{0}`")]
    Missing(&'static str),
}

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
        boot_note,
        notes,
        current_was_booted: one(lines, "current_was_booted") == Some("yes"),
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

/// Reads the short facts that every script but `prepare` and `probe` prints.
///
/// # Errors
/// See [`AnswerError`].
pub fn standing(lines: &Lines) -> Result<Standing, AnswerError> {
    // A host that does not know it says so. A host that leaves it out, or gives no path, has not answered.
    let boot_default = match one(lines, "boot_default") {
        Some("") => Systems::not_known(),
        _ => system(lines, "boot_default")?,
    };
    Ok(Standing {
        boot_id: needed(lines, "boot_id")?.to_owned(),
        uptime: number(lines, "uptime").ok_or(AnswerError::Missing("uptime"))?,
        systems: Systems { current: system(lines, "current")?, profile: system(lines, "profile")?, boot_default },
        booted: system(lines, "booted")?,
        generation: number(lines, "generation").ok_or(AnswerError::Missing("generation"))?,
        loader: match needed(lines, "loader")? {
            "systemd-boot" => BootLoader::SystemdBoot,
            "grub" => BootLoader::Grub,
            "extlinux" => BootLoader::Extlinux,
            "init" => BootLoader::Init,
            _ => BootLoader::Unknown,
        },
        next_boot: match one(lines, "next_boot") {
            Some(text) => Some(next_boot(text).ok_or(AnswerError::Missing("next_boot"))?),
            None => None,
        },
        guard: guard(needed(lines, "guard")?).ok_or(AnswerError::Missing("guard"))?,
        lease: match one(lines, "lease") {
            Some(text) => Some(lease(text).ok_or(AnswerError::Missing("lease"))?),
            None => None,
        },
        rolling: match one(lines, "rolling") {
            Some(text) => Some(rolling_lease(text).ok_or(AnswerError::Missing("rolling"))?),
            None => None,
        },
        jobs: all(lines, "job").filter_map(job).collect(),
        failed_units: all(lines, "failed_unit").map(str::to_owned).collect(),
        restarts: all(lines, "restarts").filter_map(restarts).collect(),
        units: all(lines, "unit_now").filter_map(unit_now).collect(),
        run_traces: one(lines, "ran").map(|text| traces::run_traces(text, one(lines, "volatile").is_some())),
        fence: one(lines, "fence").and_then(lease),
    })
}

/// `SYSTEM-or-dash ENTRY`; an entry's name may have blanks in it.
fn next_boot(text: &str) -> Option<NextBoot> {
    let (system, entry) = text.split_once(' ')?;
    let entry = entry.trim();
    (!entry.is_empty()).then(|| NextBoot { entry: entry.to_owned(), system: StorePath::new(system).ok() })
}

fn guard(text: &str) -> Option<GuardState> {
    let mut words = text.split(' ');
    let state = words.next()?;
    let run = words.next().unwrap_or_default().to_owned();
    let mut deadline = || words.next()?.parse().ok();
    Some(match state {
        "none" => GuardState::None,
        "armed" => GuardState::Armed { run, deadline: deadline()? },
        "dead" => GuardState::Dead { run, deadline: deadline()? },
        "firing" => GuardState::Firing { run },
        "fired" => GuardState::Fired { run },
        "disarmed" => GuardState::Disarmed { run },
        _ => return None,
    })
}

fn lease(text: &str) -> Option<Lease> {
    let mut words = text.splitn(3, ' ');
    Some(Lease {
        run: words.next().filter(|run| !run.is_empty())?.to_owned(),
        epoch: words.next()?.parse().ok()?,
        owner: words.next().unwrap_or_default().to_owned(),
    })
}

/// `RUN SECONDS_LEFT BOOT_ID OWNER`.
fn rolling_lease(text: &str) -> Option<RollingLease> {
    let mut words = text.splitn(4, ' ');
    Some(RollingLease {
        run: words.next().filter(|run| !run.is_empty())?.to_owned(),
        left: words.next()?.parse().ok()?,
        boot_id: words.next()?.to_owned(),
        owner: words.next().unwrap_or_default().to_owned(),
    })
}

fn job(text: &str) -> Option<(JobKind, JobState)> {
    let (kind, state) = text.split_once(' ')?;
    let state = match state.split_once(' ') {
        Some(("exited", status)) => JobState::Exited { status: status.parse().ok()? },
        None if state == "running" => JobState::Running,
        None if state == "lost" => JobState::Lost,
        _ => return None,
    };
    Some((job_kind(kind)?, state))
}

fn job_kind(word: &str) -> Option<JobKind> {
    [JobKind::Test, JobKind::Switch, JobKind::Reactivate, JobKind::Rollback]
        .into_iter()
        .find(|kind| kind.word() == word)
}

fn restarts(text: &str) -> Option<(String, u64)> {
    let (unit, count) = text.rsplit_once(' ')?;
    Some((unit.to_owned(), count.parse().ok()?))
}

/// `UNIT INVOCATION active|moving|failed =MARKS`; see `read_units` of lib.sh.
fn unit_now(text: &str) -> Option<(String, UnitNow)> {
    let words: Vec<&str> = text.split(' ').collect();
    let [unit, invocation, state, marks] = words[..] else { return None };
    let marks = marks.strip_prefix('=')?;
    let state = match state {
        "active" => UnitState::Active,
        "moving" => UnitState::Moving,
        "failed" => UnitState::Failed,
        _ => return None,
    };
    let now = UnitNow {
        invocation: if invocation == "-" { String::new() } else { invocation.to_owned() },
        state,
        needed: marks.contains('n'),
        triggered: marks.contains('t'),
        transient: marks.contains('x'),
        gone: marks.contains('g'),
    };
    Some((unit.to_owned(), now))
}

/// `UNIT RUN`.
fn remembered(text: &str) -> Option<(String, String)> {
    let (unit, run) = text.split_once(' ')?;
    Some((unit.to_owned(), run.to_owned()))
}

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
    Ok(Fit { misfits, check, loader_change, log: texts(lines, "log"), changes, reboot_for, brings })
}

/// Reads Nix's comparison of the two systems; `None`: it could not make one.
fn compared_lines(lines: &Lines) -> Option<Vec<String>> {
    one(lines, "compared").map(|_| texts(lines, "change"))
}

/// Reads the parts that only a reboot brings, in words.
fn parts(lines: &Lines, key: &str) -> Vec<String> {
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

/// One complete round of a host's probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeRound {
    pub number: u64,
    pub answers: BTreeMap<LinkId, LinkAnswer>,
    /// Links that show the answer of an earlier round, because their sshd may not be asked so often.
    pub cached: BTreeSet<LinkId>,
    pub host: HostRound,
}

/// Folds the lines of `probe` to rounds.
#[derive(Debug, Default)]
pub struct RoundReader {
    lines: Vec<(String, String)>,
}

impl RoundReader {
    /// Takes one line; `done` completes a round.
    pub fn take(&mut self, key: &str, value: &str) -> Option<ProbeRound> {
        if key != "done" {
            self.lines.push((key.to_owned(), value.to_owned()));
            return None;
        }
        let lines = std::mem::take(&mut self.lines);
        Some(probe_round(&lines, value.parse().ok()?))
    }
}

fn probe_round(lines: &Lines, number: u64) -> ProbeRound {
    let mut round = ProbeRound { number, ..ProbeRound::default() };
    for text in all(lines, "probe") {
        if let Some((id, answer, cached)) = probe_line(text, number) {
            if cached {
                round.cached.insert(id);
            }
            round.answers.insert(id, answer);
        }
    }
    let prefix = format!("{number} ");
    for text in all(lines, "host").filter_map(|text| text.strip_prefix(&prefix)) {
        let (key, value) = text.split_once(' ').unwrap_or((text, ""));
        match key {
            "boot_id" => value.clone_into(&mut round.host.boot_id),
            "current" => value.clone_into(&mut round.host.current),
            "failed_unit" => {
                round.host.failed_units.insert(value.to_owned());
            }
            "restarts" => round.host.restarts.extend(restarts(value)),
            "unit_now" => round.host.units.extend(unit_now(value)),
            "uptime" => round.host.uptime = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    round.host.wireguard = wireguard(lines, "wg");
    round
}

/// `ROUND ID up|down MICROSECONDS|- DETAIL`; lines of another round are late and count for nothing.
fn probe_line(text: &str, number: u64) -> Option<(LinkId, LinkAnswer, bool)> {
    let mut words = text.splitn(5, ' ');
    if words.next()?.parse() != Ok(number) {
        return None;
    }
    let id = words.next()?.parse().ok()?;
    let state = words.next()?;
    let time = words.next().and_then(|time| time.parse().ok());
    let detail = words.next().unwrap_or_default().trim();
    let (cached, detail) = match detail.strip_prefix("cached") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, detail),
    };
    let answer = match state {
        "up" => LinkAnswer::Up { round_trip_us: time },
        "down" => LinkAnswer::Down { why: if detail.is_empty() { "no answer".to_owned() } else { detail.to_owned() } },
        _ => return None,
    };
    Some((id, answer, cached))
}

/// `PREFIX_interface` and `PREFIX_peer` lines; see wireguard.sh.
fn wireguard(lines: &Lines, prefix: &str) -> Vec<WireguardInterface> {
    let mut interfaces: Vec<WireguardInterface> =
        all(lines, &format!("{prefix}_interface")).filter_map(wireguard_interface).collect();
    for text in all(lines, &format!("{prefix}_peer")) {
        let words: Vec<&str> = text.split(' ').collect();
        let [name, public_key, endpoint, age, keepalive, allowed] = words[..] else { continue };
        let given = |word: &str| (word != "-").then(|| word.to_owned());
        if let Some(interface) = interfaces.iter_mut().find(|interface| interface.name == name) {
            interface.peers.push(WireguardPeer {
                public_key: public_key.to_owned(),
                endpoint: given(endpoint),
                handshake_age: age.parse().ok(),
                keepalive: keepalive.parse().ok(),
                allowed: given(allowed).map(|all| all.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            });
        }
    }
    interfaces
}

fn wireguard_interface(text: &str) -> Option<WireguardInterface> {
    let words: Vec<&str> = text.split(' ').collect();
    let [name, index, settings, port] = words[..] else { return None };
    Some(WireguardInterface {
        name: name.to_owned(),
        index: index.parse().ok()?,
        settings: settings.to_owned(),
        port: port.parse().ok()?,
        peers: Vec::new(),
    })
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
