//! The logs of a run: that of nix, and those of its hosts.

use std::path::PathBuf;

use crate::record::folder::RunFolder;
use crate::record::{RecordError, read_error, read_whole};

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
