//! Reads what a run has left behind, for people who look back: `runs`, `show`, `logs`, `replay`.
//!
//! No decision needs this, and a record is often one of a run that went wrong: it was cut off in the middle of a line,
//! or another version wrote it. So everything that can be read is read, and the rest is counted.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::event::line::Line;
use crate::event::{Event, Outcome};
use crate::inventory::model::HostName;
use crate::record::folder::RunFolder;
use crate::record::journal::{self, JournalEntry, Written};
use crate::record::{RecordError, open_to_read, read_error, read_whole};

/// How much of the end of `events.jsonl` is looked through for the end of the run. The last event names every host,
/// and so do the warnings behind it that a large fleet may have.
const TAIL: u64 = 1 << 20;

/// A line of `events.jsonl` that is longer is no event of ours: the longest is a matrix of some hundred hosts.
const LONGEST_LINE: u64 = 64 << 20;

/// The lines of `events.jsonl` that are no event of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassedOver {
    /// Events that this fleetdeploy does not know: a newer one wrote them.
    pub unknown: usize,
    /// Lines that are no event at all, such as one that was cut off by a full disk.
    pub damaged: usize,
    /// The last line has no end: its writer died, or writes just now.
    pub torn: bool,
}

/// The events of a run that were read.
#[derive(Debug, Clone, Default)]
pub struct ReadEvents {
    pub lines: Vec<Line>,
    pub passed_over: PassedOver,
}

/// The fields that a line of every version has.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read to see that they are there")]
struct AnyLine {
    version: u32,
    seq: u64,
    event: String,
}

/// All events of a file, in the order in which they were written.
///
/// # Errors
/// If the file cannot be read. A file that is not there is one: every run has it from its first moment on.
pub fn events(path: &Path) -> Result<ReadEvents, RecordError> {
    let mut lines = Vec::new();
    let passed_over = each_event(path, |line| lines.push(line))?;
    Ok(ReadEvents { lines, passed_over })
}

/// Hands one event after the other to `hear`, so that a file of any size needs no more memory than its longest line.
///
/// # Errors
/// If the file cannot be read.
pub fn each_event(path: &Path, mut hear: impl FnMut(Line)) -> Result<PassedOver, RecordError> {
    let mut reader = BufReader::new(open_to_read(path).map_err(read_error(path))?);
    let mut passed_over = PassedOver::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut line = (&mut reader).take(LONGEST_LINE);
        if line.read_until(b'\n', &mut bytes).map_err(read_error(path))? == 0 {
            return Ok(passed_over);
        }
        let Some(whole) = bytes.strip_suffix(b"\n") else {
            // The reader is at the end of the file, or in the middle of something that cannot be a line of ours.
            let at_end = reader.fill_buf().map_err(read_error(path))?.is_empty();
            passed_over.torn |= at_end;
            passed_over.damaged += usize::from(!at_end);
            continue;
        };
        match serde_json::from_slice::<Line>(whole) {
            Ok(line) => hear(line),
            Err(_) if whole.is_empty() => {}
            Err(_) if serde_json::from_slice::<AnyLine>(whole).is_ok() => passed_over.unknown += 1,
            Err(_) => passed_over.damaged += 1,
        }
    }
}

/// The state of a run, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    Ended(Outcome),
    /// It was interrupted, and a recovery has ended it.
    Recovered(Outcome),
    /// A guard was armed by hand, and this workstation has not seen it disarmed or fired yet.
    ByHand,
    /// It did not come to its end, or a process still works on it:
    /// [`StateFolder::running`](super::folder::StateFolder::running).
    Unfinished,
}

/// The purpose of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    Push,
    Rollback,
    /// Armed by hand.
    Guard,
    Reboot,
}

impl RunKind {
    /// As the command is called.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Rollback => "rollback",
            Self::Guard => "guard",
            Self::Reboot => "reboot",
        }
    }
}

impl Summary {
    /// Returns whether it is a run that a person looks for after things went wrong. That is also a push that was
    /// committed and then lost a host in its reboots.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.end.is_failed()
            || (self.end == RunEnd::Ended(Outcome::Committed) && self.exit.is_some_and(|exit| exit != 0))
    }
}

impl RunEnd {
    /// Returns whether it did not come to a good end.
    #[must_use]
    pub fn is_failed(self) -> bool {
        matches!(
            self,
            Self::Ended(
                Outcome::RolledBack | Outcome::Refused | Outcome::Split | Outcome::Left | Outcome::PartlyRebooted
            ) | Self::Recovered(Outcome::RolledBack | Outcome::Refused | Outcome::Split)
        )
    }
}

/// A run on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub run: String,
    pub kind: RunKind,
    pub fleet: String,
    pub began: SystemTime,
    pub end: RunEnd,
    /// `None` if no event of the record says it.
    pub hosts: Option<usize>,
    /// How long the push took, or the recovery that has ended it.
    pub took: Option<Duration>,
    pub exit: Option<i32>,
    /// Hosts that were missing when it was ended, and that have not been dealt with since.
    pub missing: Vec<HostName>,
}

impl RunFolder {
    /// Reads the run on one line, from its journal and the first and the last of its events: the middle of a large file
    /// is not read. Parts that cannot be read are left out; a record that cannot be read at all is an unfinished run.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let journal = self.read_journal().unwrap_or_default();
        let first = first_event(&self.events());
        let finish = last_finish(&self.events());
        let kind = match first.as_ref().map(|line| &line.event) {
            _ if journal.iter().any(|written| written.entry == JournalEntry::ByHand) => RunKind::Guard,
            Some(Event::RebootStarted { .. }) => RunKind::Reboot,
            Some(Event::PushStarted { rollback_to: Some(_), .. }) => RunKind::Rollback,
            _ => RunKind::Push,
        };
        let (fleet, hosts) = match (first.as_ref().map(|line| &line.event), journal.first().map(|first| &first.entry)) {
            (
                Some(
                    Event::PushStarted { fleet, hosts, .. }
                    | Event::RecoverStarted { fleet, hosts, .. }
                    | Event::RebootStarted { fleet, hosts, .. },
                ),
                _,
            ) => (fleet.clone(), Some(hosts.len())),
            (_, Some(JournalEntry::Started(started))) => (started.fleet.clone(), Some(started.hosts.len())),
            (_, Some(JournalEntry::Rolling(rolling))) => (rolling.fleet.clone(), None),
            _ => (self.id().fleet().to_owned(), None),
        };
        let began = first.as_ref().map(|line| line.at).or_else(|| journal.first().map(|first| first.at));
        let end = end(&journal, finish.as_ref().map(|finish| finish.outcome));
        // The events of a push that was interrupted end with no end; a recovery writes on in the same file.
        let finish = finish.filter(|_| matches!(end, RunEnd::Ended(_) | RunEnd::Recovered(_)));
        Summary {
            run: self.id().to_string(),
            kind,
            fleet,
            began: began.unwrap_or_else(|| self.id().began()),
            end,
            hosts,
            took: finish.as_ref().map(|finish| finish.took),
            exit: finish.map(|finish| finish.exit),
            missing: journal::ended_without(&journal)
                .into_iter()
                .flat_map(|mark| mark.missing.keys().cloned())
                .collect(),
        }
    }
}

/// The journal steers, so it is believed where it says anything: a run that was refused before it began has none.
fn end(journal: &[Written], finished: Option<Outcome>) -> RunEnd {
    let recovered = journal.iter().any(|written| matches!(written.entry, JournalEntry::Recovering(_)));
    let outcome = match journal.last().map(|written| &written.entry) {
        Some(JournalEntry::Finished { outcome }) => Some(*outcome),
        Some(_) => None,
        None => finished,
    };
    match outcome {
        Some(outcome) if recovered => RunEnd::Recovered(outcome),
        Some(outcome) => RunEnd::Ended(outcome),
        None if journal::is_by_hand(journal) => RunEnd::ByHand,
        None => RunEnd::Unfinished,
    }
}

struct Finish {
    outcome: Outcome,
    took: Duration,
    exit: i32,
}

fn first_event(path: &Path) -> Option<Line> {
    let mut bytes = Vec::new();
    BufReader::new(open_to_read(path).ok()?).take(TAIL).read_until(b'\n', &mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The last `finished` among the last [`TAIL`] bytes.
fn last_finish(path: &Path) -> Option<Finish> {
    let mut file = open_to_read(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    bytes.rsplit(|byte| *byte == b'\n').find_map(|line| match serde_json::from_slice::<Line>(line).ok()?.event {
        Event::Finished { outcome, took_ms, exit, .. } => {
            Some(Finish { outcome, took: Duration::from_millis(took_ms), exit })
        }
        _ => None,
    })
}

/// A log of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLog {
    /// The host, or `nix`.
    pub name: String,
    path: PathBuf,
}

impl RunLog {
    /// The name of nix's log for all hosts. A host of this name has its log behind it.
    pub const NIX: &'static str = "nix";

    /// The whole of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self) -> Result<String, RecordError> {
        let bytes = read_whole(&self.path).map_err(read_error(&self.path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The logs that a run has: first that of nix, then those of the hosts by their names.
///
/// # Errors
/// If the folder cannot be read.
pub fn logs(run: &RunFolder) -> Result<Vec<RunLog>, RecordError> {
    let mut logs = Vec::new();
    let folder = run.hosts();
    match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(RecordError::Read { path: folder, source }),
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(read_error(&folder))?.path();
                let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".log"));
                if let Some(name) = name {
                    logs.push(RunLog { name: name.to_owned(), path });
                }
            }
        }
    }
    logs.sort_by(|one, other| one.name.cmp(&other.name));
    if run.build_log().exists() {
        logs.insert(0, RunLog { name: RunLog::NIX.to_owned(), path: run.build_log() });
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::VERSION;
    use crate::inventory::model::HostName;
    use crate::record::folder::StateFolder;
    use crate::record::journal::{Journal, Recovering, RunStarted};
    use crate::record::open_to_append;

    const BEGAN: SystemTime = SystemTime::UNIX_EPOCH;

    fn line(seq: u64, event: Event) -> Line {
        Line { version: VERSION, run: None, seq, at: BEGAN + Duration::from_secs(seq), event }
    }

    fn json(line: &Line) -> String {
        serde_json::to_string(line).unwrap() + "\n"
    }

    fn push_started() -> Event {
        Event::PushStarted {
            fleet: "homelab".into(),
            hosts: vec![HostName::new("vps").unwrap(), HostName::new("nas").unwrap()],
            selected: Vec::new(),
            inventory: "inventory.yaml".into(),
            guard_ms: 1,
            record: None,
            dry_run: false,
            rollback_to: None,
        }
    }

    fn finished(outcome: Outcome, exit: i32) -> Event {
        let hosts = std::collections::BTreeMap::new();
        Event::Finished { outcome, text: "done".into(), hosts, exit, took_ms: 63_000 }
    }

    fn write(path: &Path, events: &[Line]) {
        let text: String = events.iter().map(json).collect();
        open_to_append(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_is_torn_damaged_or_of_a_newer_version_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let good = json(&line(1, Event::Decided));
        let newer = good.replace("decided", "teleported");
        for cut in 1..good.len() - 1 {
            std::fs::write(&path, format!("{good}{newer}\0\0\n\n{good}{}", &good[..cut])).unwrap();
            let read = events(&path).unwrap();
            assert_eq!(read.lines, [line(1, Event::Decided), line(1, Event::Decided)]);
            assert_eq!(read.passed_over, PassedOver { unknown: 1, damaged: 1, torn: true }, "cut after {cut} bytes");
        }
        assert!(matches!(events(&folder.path().join("other")), Err(RecordError::Read { .. })));
    }

    #[test]
    fn what_is_no_regular_file_is_not_waited_on() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let (run, _journal) = state.create_run("homelab", BEGAN).unwrap();
        std::fs::remove_file(run.journal()).unwrap();
        let log = run.hosts().join("vps.log");
        for path in [run.events(), run.journal(), run.plan(), run.addresses(), run.build_log(), log] {
            ::nix::unistd::mkfifo(&path, ::nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let (told, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let refused = [
                events(&run.events()).is_err(),
                run.read_journal().is_err(),
                run.read_plan().is_none(),
                run.read_addresses().is_empty(),
                Journal::open(&run.journal()).is_err(),
                crate::record::listener::start(&crate::event::stream::Events::new(None), &run).is_err(),
                logs(&run).unwrap().iter().all(|log| log.read().is_err()),
                run.summary().end == RunEnd::Unfinished,
            ];
            told.send((refused, logs(&run).unwrap().len())).unwrap();
        });
        let ended = ended.recv_timeout(Duration::from_secs(20)).expect("somebody waits for a writer");
        assert_eq!(ended, ([true; 8], 2));
    }

    fn run(state: &StateFolder, entries: &[JournalEntry], events: &[Line]) -> RunFolder {
        let (run, mut journal): (_, Journal) = state.create_run("homelab", BEGAN).unwrap();
        for entry in entries {
            journal.append(entry).unwrap();
        }
        write(&run.events(), events);
        run
    }

    #[test]
    fn a_run_is_told_on_one_line_however_it_ended() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let started = JournalEntry::Started(RunStarted {
            fleet: "homelab".into(),
            inventory: "/inventory.yaml".into(),
            epoch: 1,
            owner: "ada@laptop".into(),
            hosts: Vec::new(),
            without: BTreeSet::new(),
        });
        let recovering = JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@laptop".into(), alone: false });
        let end = |outcome| JournalEntry::Finished { outcome };
        let told = |entries: &[JournalEntry], events: &[Line]| {
            let summary = run(&state, entries, events).summary();
            assert_eq!(summary.fleet, "homelab");
            (summary.end, summary.hosts, summary.took.map(|took| took.as_secs()), summary.exit)
        };
        let (first, last) = (line(1, push_started()), line(9, finished(Outcome::RolledBack, 1)));
        assert_eq!(
            told(&[], &[first.clone(), line(2, finished(Outcome::Refused, 1))]),
            (RunEnd::Ended(Outcome::Refused), Some(2), Some(63), Some(1)),
            "refused before it had a plan"
        );
        assert_eq!(
            told(&[started.clone(), end(Outcome::RolledBack)], &[first.clone(), last.clone()]),
            (RunEnd::Ended(Outcome::RolledBack), Some(2), Some(63), Some(1))
        );
        assert_eq!(
            told(&[started.clone(), JournalEntry::Arming], std::slice::from_ref(&first)),
            (RunEnd::Unfinished, Some(2), None, None)
        );
        assert_eq!(
            told(&[started.clone(), JournalEntry::Arming, recovering.clone()], &[first.clone(), last.clone()]),
            (RunEnd::Unfinished, Some(2), None, None),
            "an earlier end in the events is not the run's"
        );
        assert_eq!(
            told(&[started, recovering, end(Outcome::Committed)], &[first, last.clone()]),
            (RunEnd::Recovered(Outcome::Committed), Some(2), Some(63), Some(1))
        );
        assert_eq!(told(&[], &[]), (RunEnd::Unfinished, None, None, None), "an empty record");
    }

    #[test]
    fn a_guard_by_hand_and_a_reboot_are_no_pushes_that_were_interrupted() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let told = |entries: &[JournalEntry], events: &[Line]| {
            let summary = run(&state, entries, events).summary();
            (summary.kind, summary.end, summary.exit)
        };
        let recovering = JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@laptop".into(), alone: false });
        assert_eq!(told(&[JournalEntry::ByHand, JournalEntry::Arming], &[]), (RunKind::Guard, RunEnd::ByHand, None));
        assert_eq!(
            told(&[JournalEntry::ByHand, JournalEntry::Arming, recovering], &[]),
            (RunKind::Guard, RunEnd::Unfinished, None)
        );
        let over = JournalEntry::Finished { outcome: Outcome::Unchanged };
        assert_eq!(told(&[JournalEntry::ByHand, over], &[]), (RunKind::Guard, RunEnd::Ended(Outcome::Unchanged), None));
        let rebooting = Event::RebootStarted {
            fleet: "homelab".into(),
            hosts: Vec::new(),
            selected: Vec::new(),
            inventory: "inventory.yaml".into(),
            record: "record".into(),
        };
        let end = line(2, finished(Outcome::PartlyRebooted, 1));
        let ended = RunEnd::Ended(Outcome::PartlyRebooted);
        assert_eq!(told(&[], &[line(1, rebooting.clone()), end]), (RunKind::Reboot, ended, Some(1)));
        assert!(ended.is_failed());
        assert_eq!(told(&[], &[line(1, rebooting)]), (RunKind::Reboot, RunEnd::Unfinished, None));
        assert!(state.unfinished(None).unwrap().is_none(), "a recovery has nothing to do with it");
    }

    #[test]
    fn the_middle_of_a_large_file_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let run = run(&state, &[], &[line(1, push_started())]);
        // A reader that took all of this into memory would fail: it is larger than the memory of any machine.
        let file = std::fs::OpenOptions::new().write(true).open(run.events()).unwrap();
        file.set_len(1 << 43).unwrap();
        write(&run.events(), &[line(2, Event::Decided), line(3, finished(Outcome::Committed, 0))]);
        let torn = json(&line(4, Event::Decided));
        open_to_append(&run.events()).unwrap().write_all(&torn.as_bytes()[..20]).unwrap();
        let summary = run.summary();
        assert_eq!((summary.end, summary.hosts, summary.exit), (RunEnd::Ended(Outcome::Committed), Some(2), Some(0)));
    }
}
