//! Carries the output of jobs from their hosts to the driver: lines that come together in one note, and each line once.
//!
//! A script that is sent again after a lost connection prints its job's log from the first line, because the host does
//! not know which lines have arrived here.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::hosts::{StepNote, StepNotes};
use super::mutex::lock;
use crate::event::reason::cut::Cut;
use crate::event::shorten::shorten;
use crate::facts::host::JobKind;
use crate::inventory::model::HostName;

/// How long a line waits for others, to be told together with them.
pub(super) const TOGETHER: Duration = Duration::from_millis(50);

/// The most lines of one note.
const MOST_TOGETHER: usize = 500;

/// The most lines of one log that are told. No activation prints so many, and the output of a host that runs wild must
/// not fill our memory.
const MOST_LINES: usize = 50_000;

/// The most bytes of these lines.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// The most bytes of one line: our scripts cut lines to 500.
const LONGEST_LINE: usize = 1000;

/// Counts the lines of each log that were told.
///
/// A coordinator's job of one kind begins only once on one boot of its host (step.sh). So host, boot and kind name one
/// log.
#[derive(Debug, Default)]
pub(super) struct Printing {
    told: Mutex<BTreeMap<(HostName, String, JobKind), usize>>,
}

impl Printing {
    /// Reads one script's answer. What it prints begins with the first line of each log.
    pub(super) fn read<'a>(&'a self, host: &'a HostName, boot_id: &'a str, notes: &'a StepNotes) -> PrintedLog<'a> {
        PrintedLog {
            printing: self,
            host,
            boot_id,
            notes,
            seen: BTreeMap::new(),
            kind: JobKind::Test,
            lines: Vec::new(),
        }
    }
}

/// How much of a log has come.
#[derive(Debug, Clone, Copy, Default)]
struct LogSize {
    lines: usize,
    bytes: usize,
}

impl LogSize {
    fn is_too_much(self) -> bool {
        self.lines > MOST_LINES || self.bytes > MOST_BYTES
    }
}

/// The part of one script's answer that jobs have printed.
pub(super) struct PrintedLog<'a> {
    printing: &'a Printing,
    host: &'a HostName,
    boot_id: &'a str,
    notes: &'a StepNotes,
    /// How much of each log has come, told or not.
    seen: BTreeMap<JobKind, LogSize>,
    /// The kind of job of the lines that are still to be told.
    kind: JobKind,
    lines: Vec<String>,
}

impl PrintedLog<'_> {
    /// Returns whether lines wait for others, to be told with them.
    pub(super) fn waits(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(super) fn take(&mut self, kind: JobKind, line: &str) {
        if kind != self.kind || self.lines.len() >= MOST_TOGETHER {
            self.tell();
        }
        self.kind = kind;
        let mut line = line.to_owned();
        shorten(&mut line, LONGEST_LINE);
        let seen = self.seen.entry(kind).or_default();
        let was_over = seen.is_too_much();
        seen.lines += 1;
        seen.bytes += line.len();
        let (is_over, lines) = (seen.is_too_much(), seen.lines);
        // An earlier try has told the first lines of this log already; this try brings them again.
        let told = lock(&self.printing.told).get(&self.log(kind)).copied().unwrap_or(0);
        if was_over || lines <= told {
            return;
        }
        // The line that passes the bound is replaced by a word about the cut, and later lines are counted only.
        if is_over {
            let cut = Cut::JobOutputCut { kind: kind.word(), most_bytes: MOST_BYTES };
            self.lines.push(format!("({cut})"));
            self.tell();
            let _ = self.notes.send(StepNote::Cut(cut));
        } else {
            self.lines.push(line);
        }
    }

    /// A line counts as told only when it was handed on: a try that is given up may take lines with it, and the next
    /// try must tell them.
    pub(super) fn tell(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let (kind, lines) = (self.kind, std::mem::take(&mut self.lines));
        let mut told = lock(&self.printing.told);
        let told = told.entry(self.log(kind)).or_default();
        *told = (*told).max(self.seen.get(&kind).map_or(0, |seen| seen.lines));
        // The receiver is gone only when the push is over.
        let _ = self.notes.send(StepNote::Printed { kind, lines });
    }

    fn log(&self, kind: JobKind) -> (HostName, String, JobKind) {
        (self.host.clone(), self.boot_id.to_owned(), kind)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    /// What `tries` tell, one after the other, each with the lines that it gets of the log of its boot.
    fn told(tries: &[(&str, JobKind, &[&str])]) -> Vec<(JobKind, Vec<String>)> {
        let (notes, mut inbox) = unbounded_channel();
        let (printing, host) = (Printing::default(), HostName::new("vps").unwrap());
        for (boot, kind, lines) in tries {
            let mut reading = printing.read(&host, boot, &notes);
            lines.iter().for_each(|line| reading.take(*kind, line));
            reading.tell();
        }
        let mut told = Vec::new();
        while let Ok(StepNote::Printed { kind, lines }) = inbox.try_recv() {
            told.push((kind, lines));
        }
        told
    }

    fn note(kind: JobKind, lines: &[&str]) -> (JobKind, Vec<String>) {
        (kind, lines.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_log_that_is_read_again_goes_on_where_it_was_cut() {
        use JobKind::Test;
        let seen = told(&[("one", Test, &["a", "a"]), ("one", Test, &["a"]), ("one", Test, &["a", "a", "b", ""])]);
        assert_eq!(seen, [note(Test, &["a", "a"]), note(Test, &["b", ""])]);
    }

    #[test]
    fn another_job_and_another_boot_have_logs_of_their_own() {
        use JobKind::{Rollback, Test};
        let seen = told(&[("one", Test, &["a"]), ("one", Rollback, &["a"]), ("two", Rollback, &["a"])]);
        assert_eq!(seen, [note(Test, &["a"]), note(Rollback, &["a"]), note(Rollback, &["a"])]);
    }

    #[test]
    fn lines_that_were_never_handed_on_are_told_by_the_next_try() {
        let (notes, mut inbox) = unbounded_channel();
        let (printing, host) = (Printing::default(), HostName::new("vps").unwrap());
        printing.read(&host, "one", &notes).take(JobKind::Test, "lost with its try");
        let mut reading = printing.read(&host, "one", &notes);
        reading.take(JobKind::Test, "lost with its try");
        reading.tell();
        assert_eq!(
            inbox.try_recv(),
            Ok(StepNote::Printed { kind: JobKind::Test, lines: vec!["lost with its try".to_owned()] })
        );
    }

    #[test]
    fn a_log_without_an_end_has_one_here_in_lines_and_in_bytes_and_that_is_said_once() {
        let cut = "(`test` prints more than 2 MB: the rest is left out)";
        let long = "x".repeat(1_000_000);
        for (line, count, longest) in [("x", MOST_LINES + 10, 1), (long.as_str(), 5000, LONGEST_LINE + '…'.len_utf8())]
        {
            let (notes, mut inbox) = unbounded_channel();
            let (printing, host) = (Printing::default(), HostName::new("vps").unwrap());
            // The second try of the same log says no more.
            for _ in 0..2 {
                let mut reading = printing.read(&host, "one", &notes);
                (0..count).for_each(|_| reading.take(JobKind::Test, line));
                reading.tell();
            }
            let (mut all, mut cuts) = (Vec::new(), 0);
            while let Ok(note) = inbox.try_recv() {
                match note {
                    StepNote::Printed { lines, .. } => {
                        assert!(lines.len() <= MOST_TOGETHER);
                        all.extend(lines);
                    }
                    StepNote::Cut(Cut::JobOutputCut { kind: "test", most_bytes: MOST_BYTES }) => cuts += 1,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((all.pop().as_deref(), cuts), (Some(cut), 1), "{}", line.len());
            assert!(all.len() <= MOST_LINES && all.iter().map(String::len).sum::<usize>() <= MOST_BYTES);
            assert!(all.iter().all(|line| line.len() <= longest));
        }
    }
}
