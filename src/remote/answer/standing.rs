//! Reads how a host stands: the short facts that nearly every script prints.

use super::traces;
use super::trial::trial_standing;
use super::{AnswerError, Lines, all, needed, number, one, system};
use crate::facts::host::{GuardState, JobKind, JobState, Lease, RollingLease, Standing};
use crate::facts::store_path::StorePath;
use crate::facts::systems::{BootLoader, NextBoot, Systems};
use crate::facts::units::{UnitNow, UnitState};

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
        trial: trial_standing(lines),
    })
}

/// `SYSTEM-or-dash ENTRY`; an entry's name may have blanks in it.
fn next_boot(text: &str) -> Option<NextBoot> {
    let (system, entry) = text.split_once(' ')?;
    let entry = entry.trim();
    (!entry.is_empty()).then(|| NextBoot { entry: entry.to_owned(), system: StorePath::new(system).ok() })
}

pub(super) fn guard(text: &str) -> Option<GuardState> {
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

pub(super) fn lease(text: &str) -> Option<Lease> {
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
    Some((job_kind(kind)?, job_state(state)?))
}

pub(super) fn job_state(state: &str) -> Option<JobState> {
    Some(match state.split_once(' ') {
        Some(("exited", status)) => JobState::Exited { status: status.parse().ok()? },
        None if state == "running" => JobState::Running,
        None if state == "lost" => JobState::Lost,
        _ => return None,
    })
}

pub(super) fn job_kind(word: &str) -> Option<JobKind> {
    [JobKind::Test, JobKind::Switch, JobKind::Reactivate, JobKind::Rollback]
        .into_iter()
        .find(|kind| kind.word() == word)
}

pub(super) fn restarts(text: &str) -> Option<(String, u64)> {
    let (unit, count) = text.rsplit_once(' ')?;
    Some((unit.to_owned(), count.parse().ok()?))
}

/// `UNIT INVOCATION active|moving|failed =MARKS`; see `read_units` of lib.sh.
pub(in crate::remote) fn unit_now(text: &str) -> Option<(String, UnitNow)> {
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
