//! Folds nix's lines into how far it is, and into who is to blame when it fails. No process, no clock.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::log::{Counts, Kind, Line, parse};
use crate::store_path::StorePath;

/// Lines of each build's log that are kept.
const LOG_LINES: usize = 25;

/// Builds that have stopped, and whose last lines are kept: nix tells only at its end why the last of them failed.
const STOPPED_BUILDS: usize = 512;

/// Errors, and lines of others (ssh, git), that are kept.
const KEPT_MESSAGES: usize = 100;

/// How far a running nix is: what the screen shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Derivations.
    pub builds: Count,
    /// Store paths that are copied or substituted.
    pub paths: Count,
    /// Bytes as they come over the network.
    pub downloaded: Amount,
    /// Bytes of store paths, uncompressed: substituted ones in a build, sent ones in a copy.
    pub copied: Amount,
    /// In the order they were started.
    pub running: Vec<RunningBuild>,
}

/// How many of how many things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    pub done: u64,
    /// All, done and failed ones included; it grows while nix finds out.
    pub expected: u64,
    pub running: u64,
    pub failed: u64,
}

/// How many of how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    pub done: u64,
    pub expected: u64,
}

/// A build that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningBuild {
    /// `linux-6.12.8`.
    pub name: String,
    /// `buildPhase`; `None` before the first.
    pub phase: Option<String>,
    /// Where it runs; `None` for this machine.
    pub machine: Option<String>,
    pub last_line: Option<String>,
}

/// A derivation whose own build failed, as nix told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) log: Vec<String>,
}

/// What is known of a nix from its lines so far.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    live: HashMap<u64, Activity>,
    /// What activities had done when they stopped, by kind.
    stopped: HashMap<Kind, Counts>,
    /// Builds by activity: a derivation can be started twice, on another machine.
    builds: BTreeMap<u64, Build>,
    stopped_builds: VecDeque<u64>,
    failures: BTreeMap<StorePath, Failure>,
    errors: VecDeque<String>,
    others: VecDeque<String>,
}

#[derive(Debug)]
struct Activity {
    kind: Kind,
    counts: Counts,
    announced: HashMap<Kind, u64>,
}

#[derive(Debug)]
struct Build {
    derivation: String,
    machine: String,
    phase: Option<String>,
    log: VecDeque<String>,
    running: bool,
}

impl Tracker {
    pub(super) fn take(&mut self, line: &str) {
        match parse(line) {
            Line::Started { id, kind, subject, machine } => {
                if kind == Kind::Build {
                    let log = VecDeque::new();
                    self.builds.insert(id, Build { derivation: subject, machine, phase: None, log, running: true });
                }
                self.live.insert(id, Activity { kind, counts: Counts::default(), announced: HashMap::new() });
            }
            Line::Stopped { id } => self.stop(id),
            Line::Progressed { id, counts } => {
                if let Some(activity) = self.live.get_mut(&id) {
                    activity.counts = counts;
                }
            }
            Line::Expected { id, kind, expected } => {
                if let Some(activity) = self.live.get_mut(&id) {
                    activity.announced.insert(kind, expected);
                }
            }
            Line::Logged { id, line } => {
                if let Some(build) = self.builds.get_mut(&id) {
                    keep(&mut build.log, line, LOG_LINES);
                }
            }
            Line::Phase { id, phase } => {
                if let Some(build) = self.builds.get_mut(&id) {
                    build.phase = Some(phase);
                }
            }
            Line::Said { level: 0, text } => self.error(text),
            Line::Other(text) if !text.is_empty() => keep(&mut self.others, text, KEPT_MESSAGES),
            Line::Said { .. } | Line::Other(_) | Line::Nothing => {}
        }
    }

    fn stop(&mut self, id: u64) {
        if let Some(activity) = self.live.remove(&id) {
            let total = self.stopped.entry(activity.kind).or_default();
            total.done += activity.counts.done;
            total.failed += activity.counts.failed;
        }
        if let Some(build) = self.builds.get_mut(&id) {
            build.running = false;
            self.stopped_builds.push_back(id);
        }
        if self.stopped_builds.len() > STOPPED_BUILDS
            && let Some(oldest) = self.stopped_builds.pop_front()
        {
            self.builds.remove(&oldest);
        }
    }

    /// An error names the derivation that failed, or one that could not even begin for that. Only the first is blamed.
    fn error(&mut self, text: String) {
        if !is_about_a_dependent(&text)
            && let Some(derivation) = first_derivation(&text)
        {
            let log = || self.builds.values().rev().find(|build| build.derivation == derivation.as_str());
            let log = log().map(|build| build.log.iter().cloned().collect()).unwrap_or_default();
            self.failures.entry(derivation).or_insert_with(|| Failure { reason: reason_in(&text), log });
        }
        keep(&mut self.errors, text, KEPT_MESSAGES);
    }

    /// The arithmetic of nix's own progress bar (CONTRACTS.md 3.1): what live activities count, on top of what stopped
    /// ones had done; and what some activities announce of a kind, if that is more.
    fn total(&self, kind: Kind) -> Counts {
        let stopped = self.stopped.get(&kind).copied().unwrap_or_default();
        let mut total = Counts { expected: stopped.done, ..stopped };
        let mut announced: u64 = 0;
        for activity in self.live.values() {
            if activity.kind == kind {
                total.done = total.done.saturating_add(activity.counts.done);
                total.expected = total.expected.saturating_add(activity.counts.expected);
                total.running = total.running.saturating_add(activity.counts.running);
                total.failed = total.failed.saturating_add(activity.counts.failed);
            }
            announced = announced.saturating_add(activity.announced.get(&kind).copied().unwrap_or(0));
        }
        total.expected = total.expected.max(announced);
        total
    }

    pub(super) fn progress(&self) -> Progress {
        let count = |kind| {
            let Counts { done, expected, running, failed } = self.total(kind);
            // A failed derivation leaves nix's own `expected`: 1 done of 6 would become 1 of 1.
            Count { done, expected: expected.saturating_add(failed), running, failed }
        };
        let amount = |kind| {
            let Counts { done, expected, .. } = self.total(kind);
            Amount { done, expected }
        };
        let running = self.builds.values().filter(|build| build.running);
        Progress {
            builds: count(Kind::Builds),
            paths: count(Kind::CopyPaths),
            downloaded: amount(Kind::FileTransfer),
            copied: amount(Kind::CopyPath),
            running: running.map(Build::show).collect(),
        }
    }

    pub(super) fn into_failures(self) -> BTreeMap<StorePath, Failure> {
        self.failures
    }

    /// The last error of nix, without its `error:`; else what others said last.
    pub(super) fn message(&self) -> String {
        match self.errors.back() {
            Some(error) => without_error(error).to_owned(),
            None if self.others.is_empty() => "nix gave no reason".to_owned(),
            None => self.others.iter().rev().take(5).rev().cloned().collect::<Vec<_>>().join("\n"),
        }
    }

    /// All errors, and all lines that are not nix's own, one under the other: for who looks for words in them.
    pub(super) fn everything_said(&self) -> String {
        self.others.iter().chain(&self.errors).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// What ssh and others said last.
    pub(super) fn last_of_others(&self) -> Option<&str> {
        self.others.back().map(String::as_str)
    }
}

impl Build {
    fn show(&self) -> RunningBuild {
        RunningBuild {
            name: name_of(&self.derivation),
            phase: self.phase.clone(),
            machine: Some(self.machine.clone()).filter(|machine| !machine.is_empty()),
            last_line: self.log.back().cloned(),
        }
    }
}

fn keep(lines: &mut VecDeque<String>, line: String, limit: usize) {
    if lines.len() == limit {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// The name of a derivation for people: without folder, hash and `.drv`.
pub(super) fn name_of(derivation: &str) -> String {
    match StorePath::new(derivation) {
        Ok(path) => path.name().trim_end_matches(".drv").to_owned(),
        Err(_) => derivation.to_owned(),
    }
}

/// Nix up to 2.30 and Lix: "1 dependencies of derivation 'X' failed to build"; later: "Cannot build 'X'. Reason: 1
/// dependency failed."
fn is_about_a_dependent(error: &str) -> bool {
    ["dependencies of derivation", "dependency failed", "dependencies failed"].iter().any(|words| error.contains(words))
}

/// The first derivation in quotes. Outputs of derivations (`X.drv^out`) are not meant: such lists are summaries.
fn first_derivation(error: &str) -> Option<StorePath> {
    error.split('\'').filter_map(|word| StorePath::new(word).ok()).find(StorePath::is_derivation)
}

fn without_error(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(rest) = text.strip_prefix("error:") {
        text = rest.trim_start();
    }
    text
}

/// Why a build failed, without the parts that say again what is shown beside it: the log, the outputs, where to look.
fn reason_in(error: &str) -> String {
    let is_epilogue = |line: &str| {
        let line = line.trim_start().to_ascii_lowercase();
        line.starts_with("output paths:") || line.starts_with("for full logs") || line.ends_with("log lines:")
    };
    let lines = without_error(error).lines().map(str::trim).take_while(|line| !is_epilogue(line));
    let reason = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    reason.trim_end_matches([';', ':']).to_owned()
}

#[cfg(test)]
mod tests;
