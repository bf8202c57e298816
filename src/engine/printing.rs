//! What jobs print on their hosts, on its way to the driver: what comes together in one note, each line once.
//!
//! A script that is sent again after a lost connection prints its job's log from the first line: the host does not know
//! what has arrived here.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::hosts::{Note, Notes};
use super::push::lock;
use crate::decide::fact::JobKind;
use crate::inventory::model::HostName;

/// How long a line waits for others that come with it.
pub(super) const TOGETHER: Duration = Duration::from_millis(50);

/// Lines of one note.
const MOST_TOGETHER: usize = 500;

/// Lines of one log that are told. No activation says so much, and what a host that runs wild prints must not fill our
/// memory; the host itself cuts by bytes.
const MOST_LINES: usize = 50_000;

/// How many lines of which log were told.
///
/// On one boot of its host a coordinator's job of a kind begins once (step.sh): with these three alike it is one log.
#[derive(Debug, Default)]
pub(super) struct Printing {
    told: Mutex<BTreeMap<(HostName, String, JobKind), usize>>,
}

impl Printing {
    /// What is printed from now on begins with the first line of each log.
    pub(super) fn read<'a>(&'a self, host: &'a HostName, boot_id: &'a str, notes: &'a Notes) -> Reading<'a> {
        Reading { printing: self, host, boot_id, notes, seen: BTreeMap::new(), kind: JobKind::Test, lines: Vec::new() }
    }
}

/// One script's answer, as far as it is what jobs have printed.
pub(super) struct Reading<'a> {
    printing: &'a Printing,
    host: &'a HostName,
    boot_id: &'a str,
    notes: &'a Notes,
    /// Lines of each log that came, told or not.
    seen: BTreeMap<JobKind, usize>,
    /// Of this kind are the lines that are still to be told.
    kind: JobKind,
    lines: Vec<String>,
}

impl Reading<'_> {
    /// Whether lines wait for others to be told with them.
    pub(super) fn waits(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(super) fn take(&mut self, kind: JobKind, line: &str) {
        if kind != self.kind || self.lines.len() >= MOST_TOGETHER {
            self.tell();
        }
        self.kind = kind;
        let seen = self.seen.entry(kind).or_default();
        *seen += 1;
        let told = lock(&self.printing.told).get(&self.log(kind)).copied().unwrap_or(0);
        match self.seen[&kind] {
            seen if seen <= told || seen > MOST_LINES => {}
            MOST_LINES => self.lines.push("...and more, which is told no more".to_owned()),
            _ => self.lines.push(line.to_owned()),
        }
    }

    /// Only what was handed on counts as told: a try that is given up may take lines with it.
    pub(super) fn tell(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let (kind, lines) = (self.kind, std::mem::take(&mut self.lines));
        let mut told = lock(&self.printing.told);
        let told = told.entry(self.log(kind)).or_default();
        *told = (*told).max(self.seen.get(&kind).copied().unwrap_or(0));
        // Whoever listened is gone only when the push is over.
        let _ = self.notes.send(Note::Printed { kind, lines });
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
        while let Ok(Note::Printed { kind, lines }) = inbox.try_recv() {
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
            Ok(Note::Printed { kind: JobKind::Test, lines: vec!["lost with its try".to_owned()] })
        );
    }

    #[test]
    fn a_log_without_an_end_has_one_here() {
        let lines = vec!["x"; MOST_LINES + 10];
        let told = told(&[("one", JobKind::Test, &lines)]);
        let all: Vec<&String> = told.iter().flat_map(|(_, lines)| lines).collect();
        assert_eq!((all.len(), all[MOST_LINES - 1].as_str()), (MOST_LINES, "...and more, which is told no more"));
        assert!(told.iter().all(|(_, lines)| lines.len() <= MOST_TOGETHER));
    }
}
