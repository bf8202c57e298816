//! The record of a push: what it was to do, what it did, and what `recover` needs to end it.
//!
//! Only `journal.jsonl` steers anything, so only it is written before the act and fsynced. The rest is for people and
//! is written behind the push's back.

pub mod failed;
pub mod folder;
pub mod hosts;
pub mod journal;
pub mod left;
pub mod listener;
pub mod lock;
pub mod name;
pub mod read;
pub mod run_id;
mod trim;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::local::private;

/// Why a record cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("no place for records: neither XDG_STATE_HOME nor HOME is an absolute path")]
    NoHome,
    #[error("cannot write the record at {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read the record at {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("line {line} of {} is not a journal entry that this fleetdeploy knows", path.display())]
    Entry {
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("no run `{run}`")]
    NoSuchRun { run: String },
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> RecordError + '_ {
    |source| RecordError::Write { path: path.to_owned(), source }
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> RecordError + '_ {
    |source| RecordError::Read { path: path.to_owned(), source }
}

/// Opens a file of the record to append to, made for its owner alone if it is not there: logs may hold what only root could
/// read on a host.
fn open_to_append(path: &Path) -> io::Result<File> {
    private::open(OpenOptions::new().append(true).create(true), path)
}

/// Makes the names in a folder durable. An fsync of a file alone does not. Source: fsync(2).
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
