//! Keeps the journal, which steers `recover`. Each entry is on the disk before the act that it announces.

mod entry;
mod state;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::event::line::to_millis;
use crate::local::private;
use crate::record::{RecordError, open_to_append, read_error, read_whole, sync_folder, write_error};
use entry::ENTRIES;

pub use entry::{HostStarted, JournalEntry, Recovering, RollingStarted, RunStarted, Written};
pub use state::{ended_without, guards, is_by_hand, is_over, pushed_before_rolling, recorded, rolling};

/// The format of the records that this version writes: raised when an older version must not go on with them, since it
/// would read them wrongly. 1 (journals that name none): up to cd0162e; 2: a boot id is `UUID.START`.
pub const FORMAT: u32 = 2;

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
        // It counts only once it is on the disk: if the sync has failed, the next append cuts this line off.
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
mod tests;
