//! Writes down the published events: into `events.jsonl`, a log for each host, and a log of nix.
//!
//! It works in a thread of its own, behind the push: no decision needs these files, so a slow disk must not hold up a
//! push while guards count down.

mod logs;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::event::Event;
use crate::event::line::Line;
use crate::event::stream::Events;
use crate::event::wording::host_log::{host_texts, told_above};
use crate::inventory::model::HostName;
use crate::record::folder::RunFolder;
use crate::record::losses::{Losses, Recording};
use crate::record::{RecordError, is_at, open_to_append, open_to_read, write_error};
use logs::{LogTarget, OpenLogs};

/// Lines that a program printed which are remembered for each host: more than the end of any log that is told again.
const REMEMBERED: usize = 500;

/// Starts to write everything that is published from now on.
///
/// # Errors
/// If `events.jsonl` cannot be written, or the thread not be started: then the push does not start.
pub fn start(events: &Events, run: &RunFolder) -> Result<Recording, RecordError> {
    let path = run.events();
    // It is opened here and not in the thread: where nothing can be written, the push must not begin.
    let file = open_after_a_whole_line(&path).map_err(write_error(&path))?;
    let losses = Losses::default();
    let mut writer = Writer {
        path: path.clone(),
        events: file,
        told: None,
        logs: OpenLogs::new(run),
        printed: BTreeMap::new(),
        losses: losses.clone(),
    };
    let hear = move |line: &Line| {
        // A line that is lost is no failure: a listener that has failed hears nothing more, and the disk may have room
        // again later.
        writer.take(line);
        Ok(())
    };
    let listener = events.listen("record", hear).map_err(write_error(&path))?;
    Ok(Recording { listener, losses })
}

/// A push that was killed may have left half a line: the first event of its recovery must not become the end of that.
fn open_after_a_whole_line(path: &Path) -> io::Result<File> {
    let mut file = open_to_append(path)?;
    let mut last = [0];
    if file.metadata()?.len() > 0 {
        let mut reader = open_to_read(path)?;
        reader.seek(SeekFrom::End(-1))?;
        reader.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

struct Writer {
    path: PathBuf,
    events: File,
    /// The events that `events` has of this writer: the number and the time of the first, and how many.
    told: Option<(u64, SystemTime, u64)>,
    logs: OpenLogs,
    /// What each host's programs printed last.
    printed: BTreeMap<HostName, VecDeque<String>>,
    losses: Losses,
}

impl Writer {
    /// Writes it, or counts it as lost: a disk that is full now may have room again for what comes.
    fn take(&mut self, line: &Line) {
        if matches!(line.event, Event::EventsLost { .. }) {
            // This event is for the screen; in the file it stands where the gap is.
            return;
        }
        // The gap comes first, where the lost events would stand. The host's log comes last: if it cannot
        // be written, `events.jsonl` has the event all the same.
        let written = self
            .mend()
            .and_then(|()| self.tell_of_a_gap(line))
            .and_then(|()| self.write_event(line))
            .and_then(|()| self.write_log(line));
        if let Err(error) = written {
            self.losses.add(line, &error);
        }
    }

    /// Goes on in a new file if somebody has deleted this one, and counts what was in it as lost.
    fn mend(&mut self) -> io::Result<()> {
        if is_at(&self.events, &self.path) {
            return Ok(());
        }
        self.logs.begin_anew()?;
        self.events = open_after_a_whole_line(&self.path)?;
        if let Some((first, at, events)) = self.told.take() {
            self.losses.add_all((first, at), events, "the record was deleted while the run went on");
        }
        Ok(())
    }

    fn tell_of_a_gap(&mut self, next: &Line) -> io::Result<()> {
        if let Some(line) = self.losses.untold(next) {
            self.write_event(&line)?;
            // Only now: if this line could not be written either, the next one tells of both.
            self.losses.told();
        }
        Ok(())
    }

    /// The whole line or nothing of it.
    fn write_event(&mut self, line: &Line) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        // The length is asked for before the line is written, since a full disk may take a part of it.
        let length = self.events.metadata()?.len();
        self.events.write_all(&json).inspect_err(|_| {
            // Half a line would spoil the next one as well. If it cannot be cut off, a reader passes over it.
            let _ = self.events.set_len(length);
        })?;
        self.told.get_or_insert((line.seq, line.at, 0)).2 += 1;
        Ok(())
    }

    fn write_log(&mut self, line: &Line) -> io::Result<()> {
        match &line.event {
            Event::Printed { host: Some(host), by, lines } => {
                let remembered = self.printed.entry(host.clone()).or_default();
                remembered.extend(lines.iter().cloned());
                remembered.drain(..remembered.len().saturating_sub(REMEMBERED));
                self.logs.append(LogTarget::Host(host), line.at, &printed(by, lines))
            }
            Event::Printed { host: None, by, lines } => {
                self.logs.append(LogTarget::Build, line.at, &printed(by, lines))
            }
            Event::Logged { host, what, lines } => {
                // The end of a log is told with the failure that it explains; where the whole log was printed before,
                // it would stand here twice.
                let above = self.printed.remove(host).unwrap_or_default();
                let fresh: Vec<String> = lines.iter().filter(|line| !above.contains(line)).cloned().collect();
                if fresh.is_empty() && !lines.is_empty() {
                    return self.logs.append(LogTarget::Host(host), line.at, &told_above(what));
                }
                self.logs.append(LogTarget::Host(host), line.at, &format!("log of {what}:"))?;
                self.logs.append(LogTarget::Host(host), line.at, &printed(what, &fresh))
            }
            event => {
                for (host, text) in host_texts(event) {
                    self.logs.append(LogTarget::Host(host), line.at, &text)?;
                }
                Ok(())
            }
        }
    }
}

fn printed(by: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{by}| {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
