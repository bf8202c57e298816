//! Reads what a run has left behind, for people who look back: `runs`, `show`, `logs`, `replay`.
//!
//! No decision needs this, and a record is often one of a run that went wrong: it was cut off in the middle of a line,
//! or another version wrote it. So everything that can be read is read, and the rest is counted.

mod logs;
mod summary;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use crate::event::line::Line;
use crate::record::{RecordError, open_to_read, read_error};

pub use logs::{LogEnd, RunLog, logs};
pub use summary::{RunEnd, RunKind, Summary};

/// A line of `events.jsonl` that is longer is no event of ours: the longest is a matrix of some hundred hosts.
const LONGEST_LINE: u64 = 64 << 20;

/// Within so many bytes from its beginning a line has the name of its event: before it stand the version, the run, a
/// number and a time.
const NAME_WITHIN: usize = 512;

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
pub fn each_event(path: &Path, hear: impl FnMut(Line)) -> Result<PassedOver, RecordError> {
    each_line(path, u64::MAX, |_| true, hear)
}

/// Hands on only the events of this name, as it stands in the first `within` bytes of the file. Most lines are looked
/// at only as far as their name.
///
/// # Errors
/// If the file cannot be read.
pub fn each_event_named(path: &Path, event: &str, within: u64, hear: impl FnMut(Line)) -> Result<(), RecordError> {
    let name = format!("\"event\":\"{event}\"");
    let is_named = |line: &[u8]| {
        let front = &line[..line.len().min(NAME_WITHIN)];
        front.windows(name.len()).any(|part| part == name.as_bytes())
    };
    each_line(path, within, is_named, hear).map(|_| ())
}

fn each_line(
    path: &Path,
    within: u64,
    is_wanted: impl Fn(&[u8]) -> bool,
    mut hear: impl FnMut(Line),
) -> Result<PassedOver, RecordError> {
    let mut reader = BufReader::new(open_to_read(path).map_err(read_error(path))?.take(within));
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
        if !is_wanted(whole) {
            continue;
        }
        match serde_json::from_slice::<Line>(whole) {
            Ok(line) => hear(line),
            Err(_) if whole.is_empty() => {}
            Err(_) if serde_json::from_slice::<AnyLine>(whole).is_ok() => passed_over.unknown += 1,
            Err(_) => passed_over.damaged += 1,
        }
    }
}

#[cfg(test)]
mod tests;
