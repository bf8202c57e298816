//! Carries what comes back from the tasks that work for the driver: exactly one answer for each order, and notes on the
//! way.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use super::hosts::{StepNote, StepNotes, UnitJournal};
use crate::decide::vocabulary::Answer;
use crate::event::reason::cause::Cause;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;

/// A report of a task. `sent` is the number of the order: reports of an order that was replaced carry another number.
pub(super) enum Report {
    Note {
        host: HostId,
        sent: u64,
        note: StepNote,
    },
    Answer {
        host: HostId,
        sent: u64,
        answer: Answer,
    },
    Round(Round, BTreeSet<LinkId>),
    /// The journals of a host's failed units.
    Journals {
        host: HostId,
        journals: Vec<UnitJournal>,
    },
}

/// Sends a host task's answer when it is dropped, whatever ended the task.
pub(super) struct ReportOnce {
    host: HostId,
    sent: u64,
    reports: mpsc::UnboundedSender<Report>,
    notes: mpsc::UnboundedReceiver<StepNote>,
    noting: StepNotes,
    answer: Option<Answer>,
}

impl ReportOnce {
    pub(super) fn new(host: HostId, sent: u64, reports: mpsc::UnboundedSender<Report>) -> Self {
        let (noting, notes) = mpsc::unbounded_channel();
        Self { host, sent, reports, notes, noting, answer: None }
    }

    /// Does the work, and passes on its notes as they come.
    pub(super) async fn hear<Work: Future<Output = Answer>>(&mut self, work: impl FnOnce(StepNotes) -> Work) {
        let mut work = std::pin::pin!(work(self.noting.clone()));
        let answer = loop {
            tokio::select! {
                // Notes first: the work sends them before it answers, so they must be told before the answer.
                biased;
                Some(note) = self.notes.recv() => self.pass_on(note),
                answer = &mut work => break answer,
            }
        };
        self.answer(answer);
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    fn pass_on(&self, note: StepNote) {
        let _ = self.reports.send(Report::Note { host: self.host, sent: self.sent, note });
    }
}

impl Drop for ReportOnce {
    fn drop(&mut self) {
        // The notes go before the answer, because what a job has printed belongs before its end. They also go when the
        // task was given up: the sender counts a note as told once it is in the channel.
        while let Ok(note) = self.notes.try_recv() {
            self.pass_on(note);
        }
        // No answer yet: the task was aborted or has panicked. The command may have run, so the host is unknown.
        let answer = self.answer.take().unwrap_or(Answer::Unknown { why: Cause::StepGivenUp });
        // The driver is gone only when the push is over.
        let _ = self.reports.send(Report::Answer { host: self.host, sent: self.sent, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(inbox: &mut mpsc::UnboundedReceiver<Report>) -> Vec<&'static str> {
        let mut heard = Vec::new();
        while let Ok(report) = inbox.try_recv() {
            heard.push(match report {
                Report::Note { .. } => "note",
                Report::Answer { answer: Answer::NotSent, .. } => "answer",
                Report::Answer { .. } => "given up",
                _ => "other",
            });
        }
        heard
    }

    #[tokio::test]
    async fn every_note_comes_before_the_answer_also_when_the_work_is_given_up() {
        let (reports, mut inbox) = mpsc::unbounded_channel();
        let mut report = ReportOnce::new(HostId(0), 1, reports.clone());
        report
            .hear(|notes| async move {
                let _ = notes.send(StepNote::Started);
                tokio::task::yield_now().await;
                let _ = notes.send(StepNote::Made);
                Answer::NotSent
            })
            .await;
        drop(report);
        assert_eq!(heard(&mut inbox), ["note", "note", "answer"]);

        let mut report = ReportOnce::new(HostId(0), 2, reports);
        {
            let hearing = report.hear(|notes| async move {
                let _ = notes.send(StepNote::Started);
                std::future::pending().await
            });
            let mut hearing = std::pin::pin!(hearing);
            assert!(futures::poll!(&mut hearing).is_pending());
        }
        drop(report);
        assert_eq!(heard(&mut inbox), ["note", "given up"]);
    }
}
