//! Keeps the journal, which steers `recover`. Each entry is on the disk before the act that it announces.

mod entry;
mod state;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};

use crate::event::line::to_millis;
use crate::local::private;
use crate::record::{
    RecordError, is_at, open_to_append, open_to_read, read_error, read_whole, sync_folder, write_error,
};
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

/// The least room that a journal has beyond its end, in bytes: a disk that gets full while a run goes on does not keep
/// it from its entries, which are some 100 bytes each.
const ROOM: u64 = 64 * 1024;

/// A journal that is open to append to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Up to here every line is whole and on the disk.
    length: u64,
    /// Up to here the file system has been asked to keep room for the file.
    reserved: u64,
    /// Whether a part of a line may stand behind `length`, left by an append that failed.
    torn: bool,
    /// All lines, for the case that somebody deletes the file.
    lines: Vec<u8>,
    /// The other files that a recovery reads, open: what somebody deletes can be read from here, and takes no memory.
    beside: BTreeMap<PathBuf, File>,
    made_anew: bool,
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
        Ok(Self::of(path, file, Vec::new()))
    }

    /// Opens a journal to go on with it. A torn last line is cut off first.
    ///
    /// # Errors
    /// If it is not there, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let mut text = read_whole(path).map_err(read_error(path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let file = open_to_append(path).map_err(write_error(path))?;
        if whole < text.len() {
            let length = u64::try_from(whole).unwrap_or(u64::MAX);
            file.set_len(length).and_then(|()| file.sync_all()).map_err(write_error(path))?;
            text.truncate(whole);
        }
        Ok(Self::of(path, file, text))
    }

    fn of(path: &Path, file: File, lines: Vec<u8>) -> Self {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let (path, beside) = (path.to_owned(), BTreeMap::new());
        let mut journal = Self { path, file, length, reserved: length, torn: false, lines, beside, made_anew: false };
        journal.reserve();
        journal
    }

    /// Writes an entry; when this returns it is on the disk.
    ///
    /// # Errors
    /// After an error it is unknown whether the entry will be read again; what it announces must not be done.
    pub fn append(&mut self, entry: &JournalEntry) -> Result<(), RecordError> {
        let written = Written { at: to_millis(SystemTime::now()), entry: entry.clone() };
        self.mend()?;
        self.write_line(&written).map_err(write_error(&self.path))
    }

    /// Keeps what this file of the run has now, so that it is made anew together with the journal. What cannot be read
    /// is not kept.
    pub fn keep(&mut self, path: PathBuf) {
        if let Ok(file) = open_to_read(&path) {
            self.beside.insert(path, file);
        }
    }

    /// Makes the journal anew, with its folder and the files that were kept, if somebody has deleted it: without its
    /// name on the disk no recovery would find it.
    ///
    /// # Errors
    /// If that cannot be done, or if another file stands in its place.
    pub fn mend(&mut self) -> Result<(), RecordError> {
        if is_at(&self.file, &self.path) {
            return Ok(());
        }
        if std::fs::symlink_metadata(&self.path).is_ok() {
            let taken = io::Error::new(io::ErrorKind::AlreadyExists, "another file stands in its place");
            return Err(write_error(&self.path)(taken));
        }
        self.make_anew().map_err(write_error(&self.path))?;
        self.made_anew = true;
        self.reserve();
        Ok(())
    }

    /// Returns whether the journal was made anew since this was last asked.
    pub fn was_made_anew(&mut self) -> bool {
        std::mem::take(&mut self.made_anew)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn make_anew(&mut self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        private::make_folders(folder)?;
        // Nix makes it for its roots if it is there first, and lets others in.
        std::fs::set_permissions(folder, private::folder_permissions())?;
        // Each gets its name only when it is whole: half a journal would say that less was done than was.
        let draft = self.path.with_extension("jsonl.new");
        let write = |from: &mut dyn io::Read| {
            let mut file = private::open(File::options().append(true).create(true), &draft)?;
            file.set_len(0)?;
            io::copy(from, &mut file)?;
            file.sync_all().map(|()| file)
        };
        for (path, mut file) in self.beside.iter().filter(|(path, _)| !path.exists()) {
            file.rewind()?;
            write(&mut file)?;
            std::fs::rename(&draft, path)?;
        }
        let file = write(&mut &self.lines[..])?;
        // A link, and no rename: that would replace the journal of somebody who was faster.
        std::fs::hard_link(&draft, &self.path)?;
        std::fs::remove_file(&draft)?;
        // The folders above it may be new as well.
        for folder in folder.ancestors().take(3) {
            sync_folder(folder)?;
        }
        (self.file, self.torn, self.reserved) = (file, false, self.length);
        Ok(())
    }

    fn write_line(&mut self, written: &Written) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Stamped::of(written))?;
        line.push(b'\n');
        if self.file.metadata()?.len() != self.length {
            if !self.torn {
                return Err(io::Error::other("another process writes into it"));
            }
            // The rest of an append that failed is cut off, so that this line does not become the end of that one.
            self.file.set_len(self.length)?;
            self.reserved = self.length;
        }
        self.torn = true;
        self.file.write_all(&line)?;
        self.file.sync_all()?;
        // It counts only once it is on the disk: if the sync has failed, the next append cuts this line off.
        self.torn = false;
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.lines.extend_from_slice(&line);
        self.reserve();
        Ok(())
    }

    /// Asks the file system to keep room for what is still to come: the more, the more hosts the run has. One that
    /// cannot do it, or has none, is no reason not to go on: an entry that cannot be written is judged when it comes.
    fn reserve(&mut self) {
        if self.reserved.saturating_sub(self.length) >= ROOM / 2 {
            return;
        }
        let more = ROOM + self.length;
        if let (Ok(from), Ok(more)) = (i64::try_from(self.length), i64::try_from(more)) {
            // The size stays: a reader sees lines and nothing behind them.
            if fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, from, more).is_ok() {
                self.reserved = self.length.saturating_add(more.unsigned_abs());
            }
        }
    }
}

impl Drop for Journal {
    /// Gives back the room that was not needed. The journal of a run that was killed keeps it until it is removed.
    fn drop(&mut self) {
        let is_ours = !self.torn && self.file.metadata().is_ok_and(|file| file.len() == self.length);
        if is_ours && self.reserved > self.length {
            let _ = self.file.set_len(self.length);
        }
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
