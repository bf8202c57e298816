//! Keeps the record of a push: what it was to do, what it did, and what `recover` needs to end it.
//!
//! Only `journal.jsonl` steers anything, so only it is written before the act and fsynced. The rest is for people, and
//! is written beside the push.

pub mod failed;
pub mod folder;
pub mod hosts;
pub mod journal;
pub mod listener;
pub mod lock;
pub mod losses;
pub mod name;
pub mod read;
pub mod rollback_target;
pub mod run_id;
mod trim;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::event::reason::record_fault::RecordFault;
use crate::local::causes::below;
use crate::local::private;

/// Why a record cannot be written or read. Its words are those of the reason; its cause is below it.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    NoHome,
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    Entry {
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    Newer {
        path: PathBuf,
        /// The version that has written it, if it says so.
        fleetdeploy: Option<String>,
    },
}

impl RecordError {
    /// Returns its words with those of its cause, for where both stand in one sentence.
    #[must_use]
    pub fn whole(&self) -> String {
        RecordFault::from(self).to_string()
    }

    /// Returns the reason, with these words of the cause.
    fn reason(&self, said: String) -> RecordFault {
        match self {
            Self::NoHome => RecordFault::RecordPlaceUnknown,
            Self::Write { path, .. } => RecordFault::RecordWriteFailed { path: path.display().to_string(), said },
            Self::Read { path, .. } => RecordFault::RecordReadFailed { path: path.display().to_string(), said },
            Self::Entry { path, line, .. } => {
                RecordFault::JournalEntryUnknown { path: path.display().to_string(), line: *line, said }
            }
            Self::Newer { path, fleetdeploy } => {
                RecordFault::RecordOfNewerVersion { path: path.display().to_string(), version: fleetdeploy.clone() }
            }
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason(String::new()).fmt(formatter)
    }
}

impl From<RecordError> for io::Error {
    fn from(error: RecordError) -> Self {
        Self::other(error.whole())
    }
}

impl From<&RecordError> for RecordFault {
    fn from(error: &RecordError) -> Self {
        error.reason(below(error))
    }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> RecordError + '_ {
    |source| RecordError::Write { path: path.to_owned(), source }
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> RecordError + '_ {
    |source| RecordError::Read { path: path.to_owned(), source }
}

/// Opens a file of the record to read it. A file that is not regular is an error: a FIFO would block for ever, and a
/// device need not have an end.
fn open_to_read(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).custom_flags(NO_WAIT).open(path)?)
}

/// The whole of a file of the record.
pub(crate) fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns whether this open file still has this name. A file that was deleted can be written all the same, and nobody
/// would ever read it.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Opens a file of the record to append to, made for its owner alone if it is not there: logs may hold what only root
/// could read on a host.
fn open_to_append(path: &Path) -> io::Result<File> {
    regular(private::open(OpenOptions::new().append(true).create(true).custom_flags(NO_WAIT), path)?)
}

/// The open of a FIFO returns at once with it; for a regular file it means nothing. Source: open(2), `O_NONBLOCK`.
const NO_WAIT: i32 = ::nix::fcntl::OFlag::O_NONBLOCK.bits();

/// The file is looked at once it is open, because its name may lead to another file before.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Makes the names in a folder durable. An fsync of a file alone does not. Source: fsync(2).
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
