//! The logs of a run: that of nix, and those of its hosts.

use std::io::Read;
use std::path::PathBuf;

use crate::record::folder::RunFolder;
use crate::record::{RecordError, open_to_read, read_error, read_whole};

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

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    pub text: String,
    /// Lines that end before it.
    pub lines_before: usize,
}

/// How much of a log is looked at at a time.
const PART: usize = 64 << 10;

impl RunLog {
    /// As much of its end as `most` bytes hold, from the beginning of a line where there is one in it. No more than
    /// twice that is held in memory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_end(&self, most: usize) -> Result<LogEnd, RecordError> {
        let mut file = open_to_read(&self.path).map_err(read_error(&self.path))?;
        let (mut end, mut lines_before) = (Vec::new(), 0);
        let mut part = vec![0; PART.min(most.max(1))];
        let mut is_cut = false;
        loop {
            let read = file.read(&mut part).map_err(read_error(&self.path))?;
            if read == 0 {
                break;
            }
            end.extend(part.iter().take(read));
            if let Some(over) = end.len().checked_sub(most).filter(|over| *over > 0) {
                is_cut = end.get(over - 1) != Some(&b'\n');
                lines_before += end.drain(..over).filter(|byte| *byte == b'\n').count();
            }
        }
        // What is left of a line that was cut is no line, unless it is all that there is.
        let whole = end.iter().position(|byte| *byte == b'\n').filter(|at| is_cut && at + 1 < end.len());
        if let Some(at) = whole {
            end.drain(..=at);
            lines_before += 1;
        }
        Ok(LogEnd { text: String::from_utf8_lossy(&end).into_owned(), lines_before })
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
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_end_of_a_log_begins_with_a_line_and_is_no_longer_than_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nas.log");
        let log = RunLog { name: "nas".into(), path: path.clone() };
        let end = |text: &str, most| {
            std::fs::write(&path, text).unwrap();
            let LogEnd { text, lines_before } = log.read_end(most).unwrap();
            (text, lines_before)
        };
        assert_eq!(end("one\ntwo\nthree\n", 100), ("one\ntwo\nthree\n".to_owned(), 0));
        assert_eq!(end("one\ntwo\nthree\n", 10), ("two\nthree\n".to_owned(), 1));
        assert_eq!(end("one\ntwo\nthree\n", 9), ("three\n".to_owned(), 2));
        // One line without an end of its own.
        assert_eq!(end(&"x".repeat(1000), 5), ("xxxxx".to_owned(), 0));
        assert_eq!(end("", 5), (String::new(), 0));
    }
}
