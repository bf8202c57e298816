//! Makes a step's script: which files are sent, with which arguments.

use std::sync::{Mutex, PoisonError};

use super::arguments::{action_word, encode_word, machine_word, pace_argument, probe_arguments, seconds_up};
use super::needed::needed;
use super::{Afresh, AskUnits, AskedCache, RemoteStep};
use crate::facts::provenance::Brought;
use crate::facts::traces::EndSide;
use crate::inventory::model::HostName;
use crate::remote::Script;

pub(super) const LIB: &str = include_str!("../scripts/lib.sh");
const TRACES: &str = include_str!("../scripts/traces.sh");
/// Reads what a reboot would bring: one text of several files, because they need each other.
pub(super) const BOOT: &str = concat!(
    include_str!("../scripts/boot.sh"),
    include_str!("../scripts/boot_systemd.sh"),
    include_str!("../scripts/boot_grub.sh"),
    include_str!("../scripts/boot_others.sh"),
    include_str!("../scripts/boot_files.sh"),
);
const TRIAL: &str = include_str!("../scripts/boot_trial.sh");
pub(super) const ONCE: &str = concat!(
    include_str!("../scripts/boot_once.sh"),
    include_str!("../scripts/witness.sh"),
    include_str!("../scripts/boot_once_grub.sh")
);
pub(super) const TRIALS: &str = include_str!("../scripts/trials.sh");
pub(super) const RESTORE: &str = include_str!("../scripts/restore.sh");
const SURVEY: &str = include_str!("../scripts/survey.sh");
const STATUS: &str = include_str!("../scripts/status.sh");
const WAITING: &str = include_str!("../scripts/waiting.sh");
const COMPARING: &str = include_str!("../scripts/comparing.sh");
const WIREGUARD: &str = include_str!("../scripts/wireguard.sh");
const CACHES: &str = include_str!("../scripts/caches.sh");
const PROBES: &str = include_str!("../scripts/probes.sh");

/// The last line of every text: it calls `main` once the script and its shared files are whole.
pub(super) const CALL: &str = "main \"$@\"\n";
/// The last line of a script that is told of its host; see [`Script::is_told`].
pub(super) const CALL_TOLD: &str = "told_loader=$1 known_units=$2; shift 2; main \"$@\"\n";

impl RemoteStep {
    /// Returns the script that is sent.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table with a row for each step")]
    pub fn script(&self) -> Script {
        let (name, files, arguments): (&'static str, &'static [&'static str], Vec<String>) = match self {
            Self::Survey => ("survey", &[LIB, TRACES, BOOT, ONCE, TRIAL, WIREGUARD, SURVEY], Vec::new()),
            Self::Status => {
                const FILES: &[&str] = &[LIB, TRACES, BOOT, ONCE, TRIAL, WIREGUARD, COMPARING, SURVEY, STATUS];
                ("status", FILES, Vec::new())
            }
            Self::Doctor { cache } => {
                const FILES: &[&str] = &[
                    LIB,
                    TRACES,
                    BOOT,
                    ONCE,
                    TRIAL,
                    WIREGUARD,
                    COMPARING,
                    SURVEY,
                    STATUS,
                    CACHES,
                    include_str!("../scripts/doctor.sh"),
                ];
                let (cache, key) = match cache {
                    AskedCache::Nowhere => ("-", None),
                    AskedCache::Own => ("own", None),
                    AskedCache::Store { from, public_key } => (from.as_str(), public_key.as_deref()),
                };
                ("doctor", FILES, vec![cache.to_owned(), key.unwrap_or("-").to_owned()])
            }
            Self::Standing { run, units } => {
                let run = run.clone().unwrap_or_else(|| "-".to_owned());
                let units = if *units == AskUnits::Yes { "yes" } else { "no" };
                let arguments = vec![run, units.to_owned()];
                ("standing", &[LIB, TRACES, BOOT, include_str!("../scripts/standing.sh")], arguments)
            }
            Self::Ask { run } => ("ask", &[LIB, TRACES, BOOT, include_str!("../scripts/ask.sh")], vec![run.clone()]),
            Self::Generations { system } => {
                let system = system.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                ("generations", &[LIB, COMPARING, include_str!("../scripts/generations.sh")], vec![system])
            }
            Self::Compare { old, new } => {
                let arguments = vec![old.to_string(), new.to_string()];
                ("compare", &[LIB, BOOT, COMPARING, include_str!("../scripts/compare.sh")], arguments)
            }
            Self::DryActivate { new, limit } => {
                let arguments = vec![new.to_string(), limit.as_secs().to_string()];
                ("dry_activate", &[LIB, include_str!("../scripts/dry_activate.sh")], arguments)
            }
            Self::Caches => ("caches", &[LIB, CACHES, include_str!("../scripts/own_caches.sh")], Vec::new()),
            Self::Fetch { new, from, public_key, limit, longest_still, afresh } => {
                let key = public_key.clone().unwrap_or_else(|| "-".to_owned());
                let mut arguments = vec![new.to_string(), from.clone(), key];
                arguments.extend([*limit, *longest_still].map(seconds_up));
                // The setting of Nix, in seconds; `-` is its own.
                arguments.push(if *afresh == Afresh::Everything { "0" } else { "-" }.to_owned());
                ("fetch", &[LIB, include_str!("../scripts/fetch.sh")], arguments)
            }
            Self::Prepare { run, old_current, old_boot, new, check, brought, hosts } => {
                let mut arguments = vec![run.clone(), old_current.to_string(), old_boot.to_string(), new.to_string()];
                arguments.push(seconds_up(*check));
                arguments.push(brought.as_ref().map_or_else(|| "-".to_owned(), Brought::word));
                arguments.extend(hosts.iter().map(HostName::to_string));
                ("prepare", &[LIB, BOOT, COMPARING, include_str!("../scripts/prepare.sh")], arguments)
            }
            Self::Root { run, old_current, old_boot, hosts } => {
                let mut arguments = vec![run.clone(), old_current.to_string(), old_boot.to_string()];
                arguments.extend(["-", "0", "-"].map(str::to_owned));
                arguments.extend(hosts.iter().map(HostName::to_string));
                ("prepare", &[LIB, BOOT, include_str!("../scripts/prepare.sh")], arguments)
            }
            Self::Arm { speaker, owner, boot_id, expected, latest, guard, action, pace, hosts } => {
                let mut arguments = speaker.arguments();
                arguments.extend([owner.clone(), boot_id.clone()]);
                arguments.extend(expected.arguments());
                arguments.extend([latest.to_string(), seconds_up(*guard), action_word(*action).to_owned()]);
                arguments.push(pace_argument(pace));
                arguments.extend([lib_text(), guard_text(), job_text()]);
                arguments.extend(hosts.iter().map(HostName::to_string));
                ("arm", &[LIB, TRACES, BOOT, include_str!("../scripts/arm.sh")], arguments)
            }
            Self::TakeOver { speaker, owner } => {
                let mut arguments = speaker.arguments();
                arguments.push(owner.clone());
                ("take_over", &[LIB, TRACES, BOOT, include_str!("../scripts/take_over.sh")], arguments)
            }
            Self::Extend { speaker, boot_id, guard } => {
                let mut arguments = speaker.arguments();
                arguments.extend([boot_id.clone(), seconds_up(*guard)]);
                ("extend", &[LIB, TRACES, BOOT, include_str!("../scripts/extend.sh")], arguments)
            }
            Self::Job { speaker, boot_id, kind, needs, expected, new, limit } => {
                let mut arguments = speaker.arguments();
                arguments.extend([boot_id.clone(), kind.word().to_owned(), seconds_up(*needs)]);
                arguments.extend(expected.arguments());
                arguments.extend([new.to_string(), limit.as_secs().to_string()]);
                (kind.word(), &[LIB, TRACES, BOOT, WAITING, include_str!("../scripts/step.sh")], arguments)
            }
            Self::Await { run, kind, limit } => {
                let arguments = vec![run.clone(), kind.word().to_owned(), limit.as_secs().to_string()];
                ("await", &[LIB, TRACES, BOOT, WAITING, include_str!("../scripts/await.sh")], arguments)
            }
            Self::Disarm { speaker, boot_id, expected } => {
                let mut arguments = speaker.arguments();
                arguments.push(boot_id.clone());
                arguments.extend(expected.arguments());
                ("disarm", &[LIB, TRACES, BOOT, include_str!("../scripts/disarm.sh")], arguments)
            }
            Self::ArmTrial { run, owner, boot_id, latest, booted, tried, guard, seconds, pace } => {
                const FILES: &[&str] = &[LIB, TRACES, BOOT, ONCE, TRIALS, include_str!("../scripts/arm_trial.sh")];
                let mut arguments = vec![run.clone(), owner.clone(), boot_id.clone(), latest.to_string()];
                arguments.extend([booted.to_string(), tried.to_string(), seconds_up(*guard), seconds_up(*seconds)]);
                arguments.extend([pace_argument(pace), trial_lib_text(), trial_guard_text(), begin_text()]);
                ("arm_trial", FILES, arguments)
            }
            Self::TrialJob { run, boot_id, kind, needs, limit } => {
                const FILES: &[&str] = &[LIB, TRACES, BOOT, TRIALS, WAITING, include_str!("../scripts/trial_step.sh")];
                let mut arguments = vec![run.clone(), boot_id.clone(), kind.word().to_owned(), seconds_up(*needs)];
                arguments.extend([limit.as_secs().to_string(), trial_lib_text(), trial_job_text()]);
                (kind.word(), FILES, arguments)
            }
            Self::AwaitTrial { run, kind, limit } => {
                let arguments = vec![run.clone(), kind.word().to_owned(), limit.as_secs().to_string()];
                ("await", &[LIB, TRACES, BOOT, WAITING, include_str!("../scripts/await.sh")], arguments)
            }
            Self::Go { run, boot_id } => {
                const FILES: &[&str] = &[LIB, BOOT, TRIALS, include_str!("../scripts/go.sh")];
                ("go", FILES, vec![run.clone(), boot_id.clone()])
            }
            Self::Fire { run, boot_id } => {
                const FILES: &[&str] = &[LIB, BOOT, TRIALS, include_str!("../scripts/fire.sh")];
                ("fire", FILES, vec![run.clone(), boot_id.clone()])
            }
            Self::Tend { run, boot_id } => {
                const FILES: &[&str] = &[LIB, BOOT, TRIALS, include_str!("../scripts/tend.sh")];
                ("tend", FILES, vec![run.clone(), boot_id.clone()])
            }
            Self::EndTrial { run, boot_id } => {
                const FILES: &[&str] = &[LIB, BOOT, TRIALS, include_str!("../scripts/end_trial.sh")];
                ("end_trial", FILES, vec![run.clone(), boot_id.clone()])
            }
            Self::CleanTrial { run, why } => {
                const FILES: &[&str] = &[LIB, BOOT, ONCE, TRIALS, RESTORE, include_str!("../scripts/clean_trial.sh")];
                ("clean_trial", FILES, vec![run.clone(), why.clone()])
            }
            Self::Journal { units } => ("journal", &[LIB, include_str!("../scripts/journal.sh")], units.clone()),
            Self::Remember { speaker, units } => {
                let arguments = speaker.arguments().into_iter().chain(units.clone()).collect();
                ("remember", &[LIB, include_str!("../scripts/remember.sh")], arguments)
            }
            Self::Reboot { run, boot_id, expected } => {
                let arguments = [run.clone(), boot_id.clone()].into_iter().chain(expected.arguments()).collect();
                ("reboot", &[LIB, BOOT, ONCE, include_str!("../scripts/reboot.sh")], arguments)
            }
            Self::Hold { run, owner, boot_id, latest, lasts } => {
                let latest = latest.map_or_else(|| "-".to_owned(), |latest| latest.to_string());
                let arguments = vec![run.clone(), owner.clone(), boot_id.clone(), latest, seconds_up(*lasts)];
                ("hold", &[LIB, BOOT, include_str!("../scripts/hold.sh")], arguments)
            }
            Self::LetGo { run } => ("let_go", &[LIB, BOOT, include_str!("../scripts/let_go.sh")], vec![run.clone()]),
            Self::Booted { limit } => {
                ("booted", &[LIB, BOOT, include_str!("../scripts/booted.sh")], vec![limit.as_secs().to_string()])
            }
            Self::Release { speaker } => {
                ("release", &[LIB, TRACES, BOOT, include_str!("../scripts/release.sh")], speaker.arguments())
            }
            Self::Clean { speaker, mark } => {
                let mut arguments = speaker.arguments();
                arguments.push(mark.side.map_or("-", EndSide::word).to_owned());
                let missing = mark.missing.iter();
                arguments.extend(missing.map(|(host, machine)| format!("{host}:{}", machine_word(machine.as_deref()))));
                ("clean", &[LIB, TRACES, BOOT, include_str!("../scripts/clean.sh")], arguments)
            }
            Self::Unmark { speaker, host } => {
                let mut arguments = speaker.arguments();
                arguments.push(host.as_ref().map_or_else(|| "-".to_owned(), HostName::to_string));
                ("unmark", &[LIB, TRACES, BOOT, include_str!("../scripts/unmark.sh")], arguments)
            }
            Self::Exec { mark, as_root, limit, words } => {
                let who = if *as_root { "root" } else { "login" };
                let mut arguments = vec![mark.clone(), who.to_owned(), seconds_up(*limit)];
                arguments.extend(words.iter().map(encode_word));
                ("exec", &[include_str!("../scripts/exec.sh")], arguments)
            }
            Self::Probe { life, probes } => {
                let mut arguments = vec![life.as_secs().to_string()];
                arguments.extend(probes.iter().flat_map(probe_arguments));
                ("probe", &[LIB, WIREGUARD, PROBES, include_str!("../scripts/probe.sh")], arguments)
            }
        };
        let is_told = files.contains(&BOOT) || files.contains(&PROBES);
        let call = if is_told { CALL_TOLD } else { CALL };
        Script { name, text: text_of(files, call), arguments, is_told }
    }
}

/// The texts that were sent, by the files that they were made of.
pub(super) static MADE: Mutex<Vec<(&[&str], String)>> = Mutex::new(Vec::new());

/// Returns the text of these files, which ends by `call`. It is made once for all hosts.
fn text_of(files: &'static [&'static str], call: &'static str) -> String {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, text)) = made.iter().find(|(of, _)| *of == files) {
        return text.clone();
    }
    let text = flush_left(&needed(&text(files, call), &[]));
    made.push((files, text.clone()));
    text
}

/// Joins the files, without the lines that are only comments: comments are for readers of the files, and a host reads
/// its input byte by byte.
pub(super) fn text(files: &[&str], call: &str) -> String {
    let mut text: String = files
        .iter()
        .flat_map(|file| file.lines())
        .filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    text.push_str(call);
    text
}

/// What the guard and a job take in: functions, of which they call some.
pub(super) fn lib_text() -> String {
    flush_left(&needed(&text(&[LIB, BOOT, RESTORE], ""), &[&guard_text(), &job_text()]))
}

/// What the guard, the steps and the first program of a trial take in.
pub(super) fn trial_lib_text() -> String {
    let callers = [trial_guard_text(), trial_job_text(), begin_text()];
    let callers: Vec<&str> = callers.iter().map(String::as_str).collect();
    flush_left(&needed(&text(&[LIB, BOOT, ONCE, TRIALS, RESTORE], ""), &callers))
}

/// The guard that every run has, and what it does in a trial.
pub(super) fn trial_guard_text() -> String {
    text(&[include_str!("../scripts/guard.sh"), include_str!("../scripts/guard_trial.sh")], CALL)
}

pub(super) fn trial_job_text() -> String {
    text(&[include_str!("../scripts/job.sh"), include_str!("../scripts/job_trial.sh")], CALL)
}

pub(super) fn begin_text() -> String {
    text(&[include_str!("../scripts/begin.sh")], CALL)
}

/// Takes the indentation off: it is a sixth of what a host would read. What is quoted over several lines loses it too,
/// which awk does not mind; a test knows all functions that have such a text.
fn flush_left(text: &str) -> String {
    text.split_inclusive('\n').map(|line| line.trim_start_matches(' ')).collect()
}

pub(super) fn guard_text() -> String {
    text(&[include_str!("../scripts/guard.sh")], CALL)
}

pub(super) fn job_text() -> String {
    text(&[include_str!("../scripts/job.sh")], CALL)
}
