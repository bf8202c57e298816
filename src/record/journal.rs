//! Keeps the journal, which steers `recover`. Each entry is on the disk before the act that it announces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::decide::reboot;
use crate::decide::time::RecordedGuard;
use crate::decide::transaction::recover::{Reached, Recorded};
use crate::decide::vocabulary::{self, Stood};
use crate::event::Outcome;
use crate::event::line::{rfc3339, to_millis};
use crate::event::told::{Told, as_reason};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::traces::EndMark;
use crate::inventory::model::HostName;
use crate::local::private;
use crate::record::{RecordError, open_to_append, read_error, read_whole, sync_folder, write_error};

/// The format of the records that this version writes: raised when an older version must not go on with them, since it
/// would read them wrongly. 1 (journals that name none): up to cd0162e; 2: a boot id is `UUID.START`.
pub const FORMAT: u32 = 2;

/// The words of every [`RebootEntry`]; another one is of a newer version.
const ENTRIES: [&str; 15] = [
    "started",
    "recovering",
    "by_hand",
    "arming",
    "guarded",
    "testing",
    "decided",
    "disarming",
    "rolling_back",
    "host_lost",
    "rolling",
    "rebooting",
    "ended_without",
    "forgotten",
    "finished",
];

/// The most bytes of a roll back's reason that are kept.
const LONGEST_REASON: usize = 16 * 1024;

/// An entry: what is about to happen, or how it ended. The decider records most of them; the first says what it began
/// with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum JournalEntry {
    /// The first entry, before anything is touched.
    Started(RunStarted),
    /// A recovery goes on from here.
    Recovering(Recovering),
    /// A person works by hand, and no program of ours runs meanwhile: a run that has not ended may well be under way.
    ByHand,
    Arming,
    /// A guard is about to be armed anew, or extended: it holds no longer than this from now on.
    Guarded {
        host: HostName,
        seconds: u64,
    },
    Testing,
    /// The point of no return: from here on `recover` goes forward.
    Decided,
    Disarming,
    RollingBack {
        #[serde(flatten, with = "as_reason")]
        reason: Told,
    },
    /// A host says that it is not this run's any more: another coordinator may go on from here, and write elsewhere.
    HostLost {
        host: HostName,
        says: Told,
    },
    /// A rolling reboot begins, of itself or after a push: before the first host is held for it.
    Rolling(RollingStarted),
    /// These hosts are told to reboot.
    Rebooting {
        hosts: Vec<HostName>,
    },
    /// A recovery ends the run without hosts that were not seen.
    EndedWithout {
        #[serde(flatten)]
        mark: EndMark,
    },
    /// The traces of the run are removed, as its hosts stand.
    Forgotten {
        stood: Vec<Stood>,
    },
    /// The last entry.
    Finished {
        outcome: Outcome,
    },
}

/// The facts that `recover` must know of a rolling reboot if nothing else is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollingStarted {
    pub fleet: String,
    /// The inventory's file, absolute.
    pub inventory: PathBuf,
    /// `person@workstation`, as in the leases.
    pub owner: String,
    /// The hosts that are to be rebooted, with the boot that each was on.
    pub hosts: Vec<(HostName, String)>,
}

/// Who recovers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovering {
    pub epoch: u64,
    pub owner: String,
    /// Whether it recovers from the hosts alone: what happened before stands in no record of this workstation.
    pub alone: bool,
}

impl JournalEntry {
    /// Returns the part for the decider; the other entries are for the driver and for people.
    fn told(&self) -> Option<vocabulary::Entry> {
        Some(match self {
            Self::Started(_)
            | Self::Recovering(_)
            | Self::ByHand
            | Self::Guarded { .. }
            | Self::Rolling(_)
            | Self::Rebooting { .. } => {
                return None;
            }
            Self::Arming => vocabulary::Entry::Arming,
            Self::Testing => vocabulary::Entry::Testing,
            Self::Decided => vocabulary::Entry::Decided,
            Self::Disarming => vocabulary::Entry::Disarming,
            Self::RollingBack { reason } => vocabulary::Entry::RollingBack { reason: reason.clone() },
            Self::HostLost { host, says } => vocabulary::Entry::HostLost { host: host.clone(), says: says.clone() },
            Self::EndedWithout { mark } => vocabulary::Entry::EndedWithout { mark: mark.clone() },
            Self::Forgotten { stood } => vocabulary::Entry::Forgotten { stood: stood.clone() },
            Self::Finished { outcome } => vocabulary::Entry::Finished { outcome: *outcome },
        })
    }
}

/// How far the run has come, as its whole journal tells.
#[must_use]
pub fn recorded(journal: &[Written]) -> Recorded {
    let told: Vec<vocabulary::Entry> = journal.iter().filter_map(|written| written.entry.told()).collect();
    let recorded = Recorded::of(&told);
    let alone = journal.iter().any(|written| matches!(&written.entry, JournalEntry::Recovering(how) if how.alone));
    Recorded { reached: if alone { Reached::Unknown } else { recorded.reached }, ..recorded }
}

/// Returns whether the run has come to an end that leaves nothing to a recovery. Without any entry nothing was ever
/// touched.
#[must_use]
pub fn is_over(journal: &[Written]) -> bool {
    match journal.last().map(|written| &written.entry) {
        None => true,
        // What was forgotten as it stood, or has a host missing or apart, stays split; nothing of it claims a host any
        // more.
        Some(JournalEntry::Finished { outcome }) => {
            let stays = |entry: &JournalEntry| {
                matches!(entry, JournalEntry::Forgotten { .. } | JournalEntry::EndedWithout { .. })
            };
            // A rolling reboot cannot be brought to one side either: its end is final.
            !matches!(outcome, Outcome::Split | Outcome::Left)
                || last_part(journal).any(stays)
                || rolling(journal).is_some()
        }
        Some(_) => false,
    }
}

/// The rolling reboot of the run, and the hosts that it has told to reboot; `None`: it has come to none. Then the push
/// before it, if there was one, is through, and what is unfinished is the rolling reboot.
#[must_use]
pub fn rolling(journal: &[Written]) -> Option<(&RollingStarted, BTreeSet<&HostName>)> {
    let begun = journal.iter().position(|written| matches!(written.entry, JournalEntry::Rolling(_)))?;
    let JournalEntry::Rolling(started) = &journal[begun].entry else { return None };
    let told = journal[begun..].iter().filter_map(|written| match &written.entry {
        JournalEntry::Rebooting { hosts } => Some(hosts),
        _ => None,
    });
    Some((started, told.flatten().collect()))
}

/// Returns how the push before a rolling reboot ended: it stays so, whatever the reboots bring. `None`: there was none.
#[must_use]
pub fn pushed_before_rolling(journal: &[Written]) -> Option<Outcome> {
    journal.iter().take_while(|written| !matches!(written.entry, JournalEntry::Rolling(_))).find_map(|written| {
        match &written.entry {
            JournalEntry::Finished { outcome } => Some(*outcome),
            _ => None,
        }
    })
}

/// Returns the entries of the last coordinator, the latest first.
fn last_part(journal: &[Written]) -> impl Iterator<Item = &JournalEntry> {
    let entries = journal.iter().rev().map(|written| &written.entry);
    entries.take_while(|entry| !matches!(entry, JournalEntry::Recovering(_)))
}

/// Returns the hosts that were missing when the run was ended, and the side on which it was ended; nothing once they
/// were dealt with, or forgotten.
#[must_use]
pub fn ended_without(journal: &[Written]) -> Option<&EndMark> {
    let mut finished = false;
    for written in journal.iter().rev() {
        match &written.entry {
            JournalEntry::EndedWithout { mark } => return Some(mark),
            JournalEntry::Finished { .. } => finished = true,
            // The recovery that ended it last would have written which hosts are still missing.
            JournalEntry::Recovering(_) if finished => return None,
            _ => {}
        }
    }
    None
}

/// Returns until when the guard of each host may hold, as this record knows: counted from when the guards were armed,
/// however much has been written since. `None`: it does not know.
#[must_use]
pub fn guards(journal: &[Written], now: SystemTime) -> Option<BTreeMap<HostName, RecordedGuard>> {
    let JournalEntry::Started(started) = &journal.first()?.entry else { return None };
    let guard = |at: SystemTime, seconds: u64| RecordedGuard {
        // A clock that was set back tells nothing: then it may hold for as long as any.
        ago: now.duration_since(at).unwrap_or_default(),
        holds: Duration::from_secs(seconds),
    };
    let begins = |entry: &JournalEntry| match entry {
        JournalEntry::Arming => true,
        // The recovery began from the hosts alone, and the guards were armed before that.
        JournalEntry::Recovering(how) => how.alone,
        _ => false,
    };
    let armed = journal.iter().find(|written| begins(&written.entry)).map_or(started_at(journal), |written| written.at);
    let mut guards = BTreeMap::new();
    for host in started.hosts.iter().filter(|host| host.changes) {
        guards.insert(host.host.clone(), guard(armed, host.guarded_for?));
    }
    for written in journal {
        if let JournalEntry::Guarded { host, seconds } = &written.entry
            && let Some(known) = guards.get_mut(host)
        {
            *known = known.later(guard(written.at, *seconds));
        }
    }
    Some(guards)
}

fn started_at(journal: &[Written]) -> SystemTime {
    journal.first().map_or(SystemTime::UNIX_EPOCH, |written| written.at)
}

/// Returns whether it is a guard that a person has armed to work by hand: `fleetdeploy guard` ends it. Once a recovery
/// has taken it over it is like any other run.
#[must_use]
pub fn is_by_hand(journal: &[Written]) -> bool {
    let has = |wanted: &dyn Fn(&JournalEntry) -> bool| journal.iter().any(|written| wanted(&written.entry));
    has(&|entry| *entry == JournalEntry::ByHand) && !has(&|entry| matches!(entry, JournalEntry::Recovering(_)))
}

impl JournalEntry {
    #[must_use]
    pub fn guarded(host: &HostName, holds: Duration) -> Self {
        Self::Guarded { host: host.clone(), seconds: holds.as_secs() + u64::from(holds.subsec_nanos() > 0) }
    }
}

impl From<reboot::RebootEntry> for JournalEntry {
    fn from(entry: reboot::RebootEntry) -> Self {
        match entry {
            reboot::RebootEntry::Rebooting { hosts } => Self::Rebooting { hosts },
        }
    }
}

impl From<vocabulary::Entry> for JournalEntry {
    fn from(entry: vocabulary::Entry) -> Self {
        match entry {
            vocabulary::Entry::Arming => Self::Arming,
            vocabulary::Entry::Testing => Self::Testing,
            vocabulary::Entry::Decided => Self::Decided,
            vocabulary::Entry::Disarming => Self::Disarming,
            vocabulary::Entry::RollingBack { mut reason } => {
                // It may name every unit of a host.
                reason.shorten(LONGEST_REASON);
                Self::RollingBack { reason }
            }
            vocabulary::Entry::HostLost { host, says } => Self::HostLost { host, says },
            vocabulary::Entry::EndedWithout { mark } => Self::EndedWithout { mark },
            vocabulary::Entry::Forgotten { stood } => Self::Forgotten { stood },
            vocabulary::Entry::Finished { outcome } => Self::Finished { outcome },
        }
    }
}

/// The facts that `recover` must know if nothing else is left of the push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    pub fleet: String,
    /// The inventory's file, absolute.
    pub inventory: PathBuf,
    pub epoch: u64,
    /// `person@workstation`, as in the leases.
    pub owner: String,
    pub hosts: Vec<HostStarted>,
    /// Hosts of the fleet that took no part.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<HostName>,
}

/// One host as the survey found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStarted {
    pub host: HostName,
    pub machine_id: String,
    pub boot_id: String,
    pub old: Systems,
    /// The number of the old profile's generation.
    pub generation: u64,
    pub new: StorePath,
    /// `false`: a witness.
    pub changes: bool,
    /// How many seconds its guard holds at most, from the entry `arming` on, if it is not armed anew or extended;
    /// absent if that is not known: a guard by hand, a record of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded_for: Option<u64>,
}

/// An entry and when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    #[serde(flatten)]
    pub entry: JournalEntry,
}

/// An entry with the owner who begins or goes on with the run here. The owner stands beside the entry, where every
/// version passes over it.
#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    written: &'a Written,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleetdeploy: Option<&'static str>,
}

impl<'a> Stamped<'a> {
    fn of(written: &'a Written) -> Self {
        let begins =
            matches!(written.entry, JournalEntry::Started(_) | JournalEntry::Recovering(_) | JournalEntry::Rolling(_));
        Self { written, format: begins.then_some(FORMAT), fleetdeploy: begins.then_some(env!("CARGO_PKG_VERSION")) }
    }
}

/// The fields that a line of any version may have.
#[derive(Deserialize)]
struct Stamp {
    entry: String,
    format: Option<u32>,
    fleetdeploy: Option<String>,
}

/// The facts that can be read of a journal of a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glimpse {
    pub(super) fleet: String,
    pub(super) inventory: PathBuf,
    pub(super) is_over: bool,
}

/// Reads no more of a journal than its beginning and its end, whatever stands between. `None`: not even these can be
/// read.
pub(super) fn glimpse(path: &Path) -> Option<Glimpse> {
    #[derive(Deserialize)]
    struct First {
        fleet: String,
        inventory: PathBuf,
    }
    #[derive(Deserialize)]
    struct Last {
        entry: String,
        outcome: Option<String>,
    }
    let text = read_whole(path).ok()?;
    let whole = &text[..text.iter().rposition(|byte| *byte == b'\n')?];
    let First { fleet, inventory } = serde_json::from_slice(whole.split(|byte| *byte == b'\n').next()?).ok()?;
    let last: Option<Last> = serde_json::from_slice(whole.rsplit(|byte| *byte == b'\n').next()?).ok();
    let is_over = last.is_some_and(|last| {
        last.entry == "finished" && last.outcome.is_some_and(|how| how != "split" && how != "left")
    });
    Some(Glimpse { fleet, inventory, is_over })
}

/// A journal that is open to append to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Up to here every line is whole and on the disk.
    length: u64,
}

impl Journal {
    /// Makes an empty journal, durable with its name.
    ///
    /// # Errors
    /// If it cannot be made, or if there is one already: two pushes never share a journal.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let file = private::open(File::options().append(true).create_new(true), path).map_err(write_error(path))?;
        file.sync_all().map_err(write_error(path))?;
        if let Some(folder) = path.parent() {
            sync_folder(folder).map_err(write_error(folder))?;
        }
        Ok(Self { path: path.to_owned(), file, length: 0 })
    }

    /// Opens a journal to go on with it. A torn last line is cut off first.
    ///
    /// # Errors
    /// If it is not there, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let text = read_whole(path).map_err(read_error(path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let file = open_to_append(path).map_err(write_error(path))?;
        let length = u64::try_from(whole).unwrap_or(u64::MAX);
        if whole < text.len() {
            file.set_len(length).and_then(|()| file.sync_all()).map_err(write_error(path))?;
        }
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// Writes an entry; when this returns it is on the disk.
    ///
    /// # Errors
    /// After an error it is unknown whether the entry will be read again; what it announces must not be done.
    pub fn append(&mut self, entry: &JournalEntry) -> Result<(), RecordError> {
        let written = Written { at: to_millis(SystemTime::now()), entry: entry.clone() };
        self.write_line(&written).map_err(write_error(&self.path))
    }

    fn write_line(&mut self, written: &Written) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Stamped::of(written))?;
        line.push(b'\n');
        // The rest of an append that failed is cut off, so that this line does not become the end of that one.
        if self.file.metadata()?.len() != self.length {
            self.file.set_len(self.length)?;
        }
        self.file.write_all(&line)?;
        self.file.sync_all()?;
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// Reads a journal. A last line without its end is no error: its writer died before it could act on that entry.
///
/// # Errors
/// If the file cannot be read, if it is of a newer fleetdeploy, or if another line is no entry.
pub fn read(path: &Path) -> Result<Vec<Written>, RecordError> {
    let text = read_whole(path).map_err(read_error(path))?;
    let mut entries = Vec::new();
    let mut writer = None;
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let stamp: Option<Stamp> = serde_json::from_slice(line).ok();
        let is_newer = stamp.as_ref().is_some_and(|stamp| {
            stamp.format.is_some_and(|format| format > FORMAT) || !ENTRIES.contains(&stamp.entry.as_str())
        });
        writer = stamp.and_then(|stamp| stamp.fleetdeploy).or(writer);
        if is_newer {
            return Err(RecordError::Newer { path: path.to_owned(), fleetdeploy: writer });
        }
        let entry = serde_json::from_slice(line).map_err(|source| RecordError::Entry {
            path: path.to_owned(),
            line: number + 1,
            source,
        })?;
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::disowned::Disowned;

    fn entries() -> Vec<JournalEntry> {
        let system = StorePath::new("/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-25.05").unwrap();
        vec![
            JournalEntry::Started(RunStarted {
                fleet: "homelab".into(),
                inventory: "/etc/fleet/inventory.yaml".into(),
                epoch: 1,
                owner: "ada@laptop".into(),
                hosts: vec![HostStarted {
                    host: HostName::new("vps").unwrap(),
                    machine_id: "0123".into(),
                    boot_id: "4567".into(),
                    old: Systems::all(&system),
                    generation: 41,
                    new: system,
                    changes: true,
                    guarded_for: Some(920),
                }],
                without: BTreeSet::from([HostName::new("nas").unwrap()]),
            }),
            JournalEntry::Guarded { host: HostName::new("vps").unwrap(), seconds: 300 },
            JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@desktop".into(), alone: true }),
            JournalEntry::ByHand,
            JournalEntry::Arming,
            JournalEntry::Testing,
            JournalEntry::Decided,
            JournalEntry::Disarming,
            JournalEntry::RollingBack { reason: "a link\nis down".into() },
            JournalEntry::HostLost {
                host: HostName::new("vps").unwrap(),
                says: Disowned::SupersededByAnother { said: "ada@desktop has taken this run over".into() }.into(),
            },
            JournalEntry::Rolling(RollingStarted {
                fleet: "homelab".into(),
                inventory: "/etc/fleet/inventory.yaml".into(),
                owner: "ada@laptop".into(),
                hosts: vec![(HostName::new("vps").unwrap(), "4567".into())],
            }),
            JournalEntry::Rebooting { hosts: vec![HostName::new("vps").unwrap()] },
            JournalEntry::Finished { outcome: Outcome::RolledBack },
        ]
    }

    fn written(path: &Path) -> Vec<JournalEntry> {
        read(path).unwrap().into_iter().map(|written| written.entry).collect()
    }

    #[test]
    fn a_reason_that_names_every_unit_of_a_host_is_cut() {
        let reason = ("these units fail: ".to_owned() + &"a.service, ".repeat(20_000)).into();
        let entry = JournalEntry::from(vocabulary::Entry::RollingBack { reason });
        let JournalEntry::RollingBack { reason } = &entry else { panic!("{entry:?}") };
        let reason = reason.to_string();
        assert!(reason.len() <= LONGEST_REASON + '…'.len_utf8() && reason.ends_with('…'), "{}", reason.len());
    }

    #[test]
    fn every_entry_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        for entry in entries() {
            journal.append(&entry).unwrap();
        }
        assert_eq!(written(&path), entries());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Journal::create(&path).is_err(), "a journal is never begun twice");
    }

    #[test]
    fn a_recovery_from_the_hosts_alone_knows_only_its_own_part() {
        let journal = |alone| {
            let recovering = JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@desktop".into(), alone });
            let entries = [JournalEntry::Arming, JournalEntry::Testing, recovering, JournalEntry::Decided];
            entries.map(|entry| Written { at: SystemTime::UNIX_EPOCH, entry })
        };
        assert_eq!(recorded(&journal(false)).reached, Reached::Decided);
        assert_eq!(recorded(&journal(true)).reached, Reached::Unknown);
        assert!(!is_over(&journal(true)) && is_over(&[]));
    }

    #[test]
    fn guards_are_counted_from_when_they_were_armed_and_not_from_what_was_written_last() {
        let JournalEntry::Started(started) = &entries()[0] else { unreachable!() };
        let vps = HostName::new("vps").unwrap();
        let guard = |guarded_for: Option<u64>, entries: &[(u64, JournalEntry)], now: u64| {
            let mut started = started.clone();
            started.hosts[0].guarded_for = guarded_for;
            let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let written = |(seconds, entry): &(u64, JournalEntry)| Written { at: at(*seconds), entry: entry.clone() };
            let first = Written { at: at(100), entry: JournalEntry::Started(started) };
            let journal: Vec<Written> = std::iter::once(first).chain(entries.iter().map(written)).collect();
            guards(&journal, at(now)).map(|guards| (guards[&vps].left().as_secs(), guards[&vps].overdue().as_secs()))
        };
        let recovering = |alone| JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@desktop".into(), alone });
        let back = JournalEntry::RollingBack { reason: "".into() };
        let armed = (105, JournalEntry::Arming);
        assert_eq!(guard(Some(90), std::slice::from_ref(&armed), 145), Some((50, 0)));
        let recovered = [armed.clone(), (110, back), (450, recovering(false))];
        assert_eq!(guard(Some(90), &recovered, 460), Some((0, 265)), "a recovery that was tried arms nothing");
        let again = JournalEntry::Guarded { host: vps.clone(), seconds: 60 };
        assert_eq!(guard(Some(90), &[armed.clone(), (450, recovering(false)), (451, again)], 460), Some((51, 0)));
        assert_eq!(guard(Some(400), &[(450, recovering(true)), (700, recovering(true))], 750), Some((100, 0)));
        assert_eq!(guard(Some(90), std::slice::from_ref(&armed), 50), Some((90, 0)), "the clock was set back");
        assert_eq!(guard(None, &[armed], 140), None, "an older version has written it");
    }

    #[test]
    fn a_torn_last_line_is_not_read_and_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        Journal::create(&path).unwrap().append(&JournalEntry::Arming).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            let torn = [whole.as_slice(), &whole[..cut]].concat();
            std::fs::write(&path, torn).unwrap();
            assert_eq!(written(&path), [JournalEntry::Arming], "cut after {cut} bytes");
            Journal::open(&path).unwrap().append(&JournalEntry::Testing).unwrap();
            assert_eq!(written(&path), [JournalEntry::Arming, JournalEntry::Testing], "cut after {cut} bytes");
        }
    }

    #[test]
    fn an_append_that_failed_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(&JournalEntry::Arming).unwrap();
        open_to_append(&path).unwrap().write_all(b"{\"at\":\"2026-11").unwrap();
        journal.append(&JournalEntry::RollingBack { reason: "disk full".into() }).unwrap();
        assert_eq!(written(&path), [JournalEntry::Arming, JournalEntry::RollingBack { reason: "disk full".into() }]);
    }

    #[test]
    fn damage_in_the_middle_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        std::fs::write(
            &path,
            "{\"at\":\"2026-11-22T16:15:00.000Z\",\"entry\":\"arming\"}\n\
             {\"at\":\"2026-11-22T16:15:00.000Z\",\"entry\":\"finished\"}\n",
        )
        .unwrap();
        assert!(matches!(read(&path), Err(RecordError::Entry { line: 2, .. })));
    }

    #[test]
    fn a_journal_of_a_newer_version_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        Journal::create(&path).unwrap().append(&entries()[0]).unwrap();
        let first = std::fs::read_to_string(&path).unwrap();
        assert!(first.contains(&format!("\"format\":{FORMAT}")), "{first}");
        let newer_format = first.replace(&format!("\"format\":{FORMAT}"), &format!("\"format\":{}", FORMAT + 1));
        let newer_entry = format!("{first}{{\"at\":\"2026-11-22T16:15:00.000Z\",\"entry\":\"teleporting\"}}\n");
        for text in [newer_format, newer_entry] {
            let text = text.replace(env!("CARGO_PKG_VERSION"), "7.1.0");
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(&error, RecordError::Newer { fleetdeploy: Some(version), .. } if version == "7.1.0"));
            assert!(error.hint().unwrap().contains("fleetdeploy 7.1.0"), "{error}");
            let seen = glimpse(&path).unwrap();
            assert_eq!((seen.fleet.as_str(), seen.is_over), ("homelab", false));
        }
        // A journal without a format is older, and known.
        std::fs::write(&path, first.replace(&format!("\"format\":{FORMAT},"), "")).unwrap();
        assert_eq!(written(&path), entries()[..1]);
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_an_entry() {
        let full = Path::new("/dev/full");
        let mut journal =
            Journal { path: full.to_owned(), file: File::options().append(true).open(full).unwrap(), length: 0 };
        assert!(matches!(journal.append(&JournalEntry::Decided), Err(RecordError::Write { .. })));
    }
}
