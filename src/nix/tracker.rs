//! Folds nix's lines into its progress, and into the derivations to blame when it fails. It has no process and no
//! clock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::log::{ActivityKind, Counts, NixLine, parse};
use super::plain::cut;
use super::progress::{Amount, Count, NixProgress, RunningBuild};
use crate::facts::store_path::StorePath;

/// Lines of each build's log that are kept.
const LOG_LINES: usize = 25;

/// Builds that have stopped, and whose last lines are kept: nix tells only at its end why the last of them failed.
const STOPPED_BUILDS: usize = 512;

/// Builds that are followed, those that have stopped included: nix starts as many as it has builders.
const MOST_BUILDS: usize = 1024;

/// A line of a build's log.
const LONGEST_LOG_LINE: usize = 1000;

/// Errors, and lines of others (ssh, git), that are kept.
const KEPT_MESSAGES: usize = 100;

/// Activities that are followed at once. Nix has some hundreds; a host that is copied to can write lines like nix's
/// own, of activities without an end.
const MOST_LIVE: usize = 4096;

/// Kinds that are counted, for the same reason; nix has a dozen.
const MOST_KINDS: usize = 64;

/// Derivations that failed, each with the end of its log.
const MOST_FAILURES: usize = 1000;

/// The subject of an activity: a store path, an address.
const LONGEST_SUBJECT: usize = 1024;

/// The level of the lines that a person reads without asking for more: errors, warnings, notices, and what nix is about
/// to do. Source: Nix `libutil/error.hh`, `lvlInfo`; without a terminal nix says no more by itself.
const READ_BY_PEOPLE: u64 = 3;

/// By so much the last count of a path that came whole may be short: nix passes a path on before it counts, and what
/// takes it asks for nothing after its last byte. Seen with Nix 2.26.3: always less than one of its buffers.
const UNCOUNTED: u64 = 64 * 1024;

/// The longest name of a download that is no store path.
const LONGEST_NAME: usize = 60;

/// A derivation that failed in its own build, as nix told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildFailure {
    pub(super) reason: String,
    pub(super) log: Vec<String>,
}

/// The state of a nix, from its lines so far.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// In the order they were started: nix counts them on.
    live: BTreeMap<u64, Activity>,
    /// The work that activities had done when they stopped, by kind.
    stopped: HashMap<ActivityKind, Counts>,
    /// Builds by activity: a derivation can be started twice, on another machine.
    builds: BTreeMap<u64, Build>,
    stopped_builds: VecDeque<u64>,
    /// The derivations that nix was asked to build.
    asked_for: BTreeSet<String>,
    /// Those of them that have stopped building.
    stopped_systems: BTreeSet<String>,
    /// How many builds have stopped, of all.
    stopped_count: u64,
    planned: Planned,
    failures: BTreeMap<StorePath, BuildFailure>,
    errors: VecDeque<String>,
    others: VecDeque<String>,
    /// How much others have said in all.
    others_bytes: u64,
    /// The most bytes of store paths that activities have announced together.
    most_announced: u64,
}

/// Builds that have ended although their activity goes on.
#[derive(Debug, Default)]
struct EndedBuilds {
    builds: BTreeSet<u64>,
    /// Whether it can be none but these.
    certain: bool,
}

/// What nix says before it begins: "these 2 derivations will be built:", and one line for each.
#[derive(Debug, Default)]
struct Planned {
    builds: u64,
    listing: bool,
}

#[derive(Debug)]
struct Activity {
    kind: ActivityKind,
    subject: String,
    counts: Counts,
    announced: HashMap<ActivityKind, u64>,
}

#[derive(Debug)]
struct Build {
    derivation: String,
    name: String,
    machine: String,
    phase: Option<String>,
    log: VecDeque<String>,
    running: bool,
    /// How many builds had ended when it last gave a sign of life.
    alive_at: u64,
}

impl Tracker {
    /// A nix that is to build these derivations.
    pub(super) fn asking_for(asked_for: BTreeSet<String>) -> Self {
        Self { asked_for, ..Self::default() }
    }

    /// Takes one line, and gives what of it a person may read: a line or more, or nothing.
    pub(super) fn take(&mut self, line: &str) -> Option<String> {
        match parse(line) {
            NixLine::Started { id, kind, subject, machine, level, text } if self.live.len() < MOST_LIVE => {
                let [subject, machine] = [subject, machine].map(|text| cut(&text, LONGEST_SUBJECT).to_owned());
                if kind == ActivityKind::Build && self.builds.len() < MOST_BUILDS {
                    let (derivation, name) = (subject.clone(), name_of(&subject));
                    let (log, alive_at) = (VecDeque::new(), self.counted());
                    let build = Build { derivation, name, machine, phase: None, log, running: true, alive_at };
                    self.builds.insert(id, build);
                }
                let (counts, announced) = (Counts::default(), HashMap::new());
                self.live.insert(id, Activity { kind, subject, counts, announced });
                Some(text).filter(|text| level <= READ_BY_PEOPLE && !text.is_empty())
            }
            NixLine::Started { level, text, .. } => {
                Some(text).filter(|text| level <= READ_BY_PEOPLE && !text.is_empty())
            }
            NixLine::Stopped { id } => {
                self.stop(id);
                None
            }
            NixLine::Progressed { id, counts } => {
                if let Some(activity) = self.live.get_mut(&id) {
                    activity.counts = counts;
                }
                None
            }
            NixLine::Expected { id, kind, expected } => {
                if let Some(activity) = self.live.get_mut(&id).filter(|known| known.announced.len() < MOST_KINDS) {
                    activity.announced.insert(kind, expected);
                }
                if kind == ActivityKind::CopyPath {
                    self.most_announced = self.most_announced.max(self.announced(kind));
                }
                None
            }
            NixLine::Logged { id, line } => Some(match self.sign_of_life(id) {
                Some(build) => {
                    let printed = format!("{}> {line}", build.name);
                    keep(&mut build.log, cut(&line, LONGEST_LOG_LINE).to_owned(), LOG_LINES);
                    printed
                }
                None => format!("post-build hook> {line}"),
            }),
            NixLine::Phase { id, phase } => {
                if let Some(build) = self.sign_of_life(id) {
                    build.phase = Some(phase);
                }
                None
            }
            NixLine::Said { level, text } => {
                if level == 0 {
                    self.error(text.clone());
                } else {
                    text.lines().for_each(|line| self.planned.hear(line));
                }
                Some(text).filter(|_| level <= READ_BY_PEOPLE)
            }
            NixLine::Other(text) if !text.is_empty() => {
                self.others_bytes = self.others_bytes.saturating_add(text.len() as u64);
                keep(&mut self.others, text.clone(), KEPT_MESSAGES);
                Some(text)
            }
            NixLine::Other(_) | NixLine::Nothing => None,
        }
    }

    fn sign_of_life(&mut self, id: u64) -> Option<&mut Build> {
        let counted = self.counted();
        let build = self.builds.get_mut(&id)?;
        build.alive_at = counted;
        Some(build)
    }

    fn stop(&mut self, id: u64) {
        if let Some(activity) = self.live.remove(&id) {
            let Counts { mut done, expected, failed, .. } = activity.counts;
            if activity.kind == ActivityKind::CopyPath && expected.saturating_sub(done) <= UNCOUNTED {
                done = done.max(expected);
            }
            if self.stopped.len() >= MOST_KINDS && !self.stopped.contains_key(&activity.kind) {
                return;
            }
            let total = self.stopped.entry(activity.kind).or_default();
            total.done = total.done.saturating_add(done);
            total.failed = total.failed.saturating_add(failed);
        }
        if let Some(build) = self.builds.get_mut(&id).filter(|build| build.running) {
            build.running = false;
            self.stopped_builds.push_back(id);
            self.stopped_count += 1;
            if self.asked_for.contains(&build.derivation) {
                self.stopped_systems.insert(build.derivation.clone());
            }
        }
        if self.stopped_builds.len() > STOPPED_BUILDS
            && let Some(oldest) = self.stopped_builds.pop_front()
        {
            self.builds.remove(&oldest);
        }
    }

    /// Nix keeps what it was asked for until its own end, and counts it as done when it is; which it is that it counts
    /// it does not say. One that gave a sign of life after the last was counted is none of them; of the others the
    /// first to begin is likely the first to end. Recorded from Nix 2.26.3: samples/systems.log.
    fn ended(&self) -> EndedBuilds {
        let running = self.total(ActivityKind::Builds).running;
        let live = self.builds.values().filter(|build| build.running).count() as u64;
        let counted = self.counted();
        let ended = counted.saturating_sub(self.stopped_count).min(live.saturating_sub(running));
        let may_have_ended =
            |build: &Build| build.running && build.alive_at < counted && self.asked_for.contains(&build.derivation);
        let mut candidates = self.builds.iter().filter(|(_, build)| may_have_ended(build)).map(|(&id, _)| id);
        let builds = candidates.by_ref().take(usize::try_from(ended).unwrap_or(usize::MAX)).collect();
        EndedBuilds { builds, certain: candidates.next().is_none() }
    }

    /// Builds that nix counts as ended, well or not.
    fn counted(&self) -> u64 {
        let Counts { done, failed, .. } = self.total(ActivityKind::Builds);
        done.saturating_add(failed)
    }

    /// What was asked for and is built. Of a failure of what it was asked for nix tells only at its end: nothing is
    /// called built as long as more has failed than was explained.
    fn systems(&self, ended: &EndedBuilds) -> BTreeSet<String> {
        if self.total(ActivityKind::Builds).failed > self.failures.len() as u64 {
            return BTreeSet::new();
        }
        let ended = ended.builds.iter().filter(|_| ended.certain).filter_map(|id| self.builds.get(id));
        let ended = ended.map(|build| &build.derivation);
        let has_failed =
            |derivation: &&String| self.failures.keys().any(|failed| failed.as_str() == derivation.as_str());
        self.stopped_systems.iter().chain(ended).filter(|derivation| !has_failed(derivation)).cloned().collect()
    }

    /// An error names the derivation that failed, or one that could not even begin for that. Only the first is blamed.
    fn error(&mut self, text: String) {
        if !is_about_a_dependent(&text)
            && self.failures.len() < MOST_FAILURES
            && let Some(derivation) = first_derivation(&text)
        {
            let log = || self.builds.values().rev().find(|build| build.derivation == derivation.as_str());
            let log = log().map(|build| build.log.iter().cloned().collect()).unwrap_or_default();
            self.failures.entry(derivation).or_insert_with(|| BuildFailure { reason: reason_in(&text), log });
        }
        keep(&mut self.errors, text, KEPT_MESSAGES);
    }

    /// The arithmetic of nix's own progress bar (docs/facts.md, "What nix tells of its work"): what live activities
    /// count, on top of what stopped ones had done; and what some activities announce of a kind, if that is more.
    fn total(&self, kind: ActivityKind) -> Counts {
        let stopped = self.stopped.get(&kind).copied().unwrap_or_default();
        let mut total = Counts { expected: stopped.done, ..stopped };
        for activity in self.live.values() {
            if activity.kind == kind {
                total.done = total.done.saturating_add(activity.counts.done);
                total.expected = total.expected.saturating_add(activity.counts.expected);
                total.running = total.running.saturating_add(activity.counts.running);
                total.failed = total.failed.saturating_add(activity.counts.failed);
            }
        }
        total.expected = total.expected.max(self.announced(kind));
        total
    }

    /// What live activities announce of a kind, all together.
    fn announced(&self, kind: ActivityKind) -> u64 {
        let of_kind = self.live.values().filter_map(|activity| activity.announced.get(&kind));
        of_kind.fold(0, |sum, expected| sum.saturating_add(*expected))
    }

    pub(super) fn progress(&self) -> NixProgress {
        let count = |kind| {
            let Counts { done, expected, running, failed } = self.total(kind);
            // A failed derivation leaves nix's own `expected`: 1 done of 6 would become 1 of 1.
            Count { done, expected: expected.saturating_add(failed), running, failed }
        };
        let mut builds = count(ActivityKind::Builds);
        // Nix's own count begins at 1, has derivations in it for a while that turn out to be fetched, and loses those
        // that a failure leaves unbuilt. What it said it would build stays.
        if self.planned.builds > 0 {
            let begun = builds.done.saturating_add(builds.failed).saturating_add(builds.running);
            builds.expected = self.planned.builds.max(begun);
        }
        let amount = |kind| {
            let Counts { done, expected, .. } = self.total(kind);
            Amount { done, expected }
        };
        let ended = self.ended();
        let running = self.builds.iter().filter(|(id, build)| build.running && !ended.builds.contains(id));
        NixProgress {
            builds,
            paths: count(ActivityKind::CopyPaths),
            downloaded: amount(ActivityKind::FileTransfer),
            copied: amount(ActivityKind::CopyPath),
            announced: self.most_announced,
            running: running.map(|(_, build)| build.show()).collect(),
            transferring: self.transferring(),
            looking: self.live.values().any(|activity| activity.kind == ActivityKind::Lookup),
            systems: self.systems(&ended),
        }
    }

    /// A path has a better name than the address that it comes from, which is a hash.
    fn transferring(&self) -> Option<String> {
        let first = |kinds: &[ActivityKind]| self.live.values().find(|activity| kinds.contains(&activity.kind));
        if let Some(path) = first(&[ActivityKind::Substitute, ActivityKind::CopyPath]) {
            return Some(name_of(&path.subject)).filter(|name| !name.is_empty());
        }
        first(&[ActivityKind::FileTransfer]).and_then(|download| file_of(&download.subject))
    }

    pub(super) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    pub(super) fn into_failures(self) -> BTreeMap<StorePath, BuildFailure> {
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

    /// The errors of nix, of this one and, as it tells them, of the one at the other end.
    pub(super) fn errors(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(String::as_str)
    }

    /// The lines that are not nix's own: those of ssh, of the host's shell and whatever that prints.
    pub(super) fn others(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.others.iter().map(String::as_str)
    }

    /// How many bytes ssh and others have said.
    pub(super) fn said_by_others(&self) -> u64 {
        self.others_bytes
    }

    /// Returns the last words of ssh and others.
    pub(super) fn last_of_others(&self) -> Option<&str> {
        self.others.back().map(String::as_str)
    }
}

impl Planned {
    fn hear(&mut self, line: &str) {
        if self.listing && StorePath::new(line.trim()).is_ok_and(|path| path.is_derivation()) {
            self.builds += 1;
        } else {
            self.listing = line.ends_with("will be built:");
        }
    }
}

impl Build {
    fn show(&self) -> RunningBuild {
        RunningBuild {
            derivation: self.derivation.clone(),
            name: self.name.clone(),
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

/// The last part of an address, without what may be a key to it.
fn file_of(address: &str) -> Option<String> {
    let address = address.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let (_, file) = address.rsplit_once('/')?;
    let file = file.rsplit_once('@').map_or(file, |(_, host)| host);
    Some(cut(file, LONGEST_NAME).to_owned()).filter(|file| !file.is_empty())
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
