//! Puts a run on one line: what kind it was, and how it ended.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::event::line::Line;
use crate::event::{Event, Outcome};
use crate::facts::provenance::Provenance;
use crate::inventory::model::HostName;
use crate::record::folder::RunFolder;
use crate::record::journal::{self, JournalEntry, RunStarted, Written};
use crate::record::open_to_read;

/// How much of the end of `events.jsonl` is looked through for the end of the run. The last event names every host,
/// and so do the warnings behind it that a large fleet may have.
const TAIL: u64 = 1 << 20;

/// How much of the begin of `events.jsonl` is looked through for where the systems come from.
const HEAD: u64 = 64 << 10;

/// The state of a run, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    Ended(Outcome),
    /// It was interrupted, and a recovery has ended it.
    Recovered(Outcome),
    /// A guard was armed by hand, and this workstation has not seen it disarmed or fired yet.
    ByHand,
    /// It did not come to its end, or a process still works on it:
    /// [`StateFolder::running`](crate::record::folder::StateFolder::running).
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
    /// Where its systems come from; absent: they were on the hosts, or the record does not say it.
    pub provenance: Option<Provenance>,
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
        let provenance = match journal.first().map(|first| &first.entry) {
            Some(JournalEntry::Started(RunStarted { provenance: Some(provenance), .. })) => Some(provenance.clone()),
            // It was refused before it began, or has not begun yet.
            _ => early_source(&self.events()),
        };
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
            provenance,
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

/// The last `source_known` among the first [`HEAD`] bytes.
fn early_source(path: &Path) -> Option<Provenance> {
    let mut bytes = Vec::new();
    open_to_read(path).ok()?.take(HEAD).read_to_end(&mut bytes).ok()?;
    bytes.rsplit(|byte| *byte == b'\n').find_map(|line| match serde_json::from_slice::<Line>(line).ok()?.event {
        Event::SourceKnown { provenance } => Some(provenance),
        _ => None,
    })
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
