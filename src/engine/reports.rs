//! What comes back from the tasks that work for the driver: exactly one answer per order, and notes on the way.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use super::hosts::{Journal, Note};
use crate::decide::links::{LinkId, Round};
use crate::decide::plan::HostId;
use crate::decide::vocabulary::Answer;

/// `sent` is the number of the order: reports of a replaced one carry another.
pub(super) enum Report {
    Note {
        host: HostId,
        sent: u64,
        note: Note,
    },
    Answer {
        host: HostId,
        sent: u64,
        answer: Answer,
    },
    Round(Round, BTreeSet<LinkId>),
    /// Of a host's units that failed.
    Journals {
        host: HostId,
        journals: Vec<Journal>,
    },
}

/// Sends a host task's answer when it is dropped, whatever ended the task.
pub(super) struct ReportOnce {
    pub(super) host: HostId,
    pub(super) sent: u64,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) answer: Option<Answer>,
}

impl ReportOnce {
    pub(super) fn notes(&self) -> mpsc::UnboundedSender<Note> {
        let (notes, mut inbox) = mpsc::unbounded_channel();
        let (host, sent, reports) = (self.host, self.sent, self.reports.clone());
        tokio::spawn(async move {
            while let Some(note) = inbox.recv().await {
                let _ = reports.send(Report::Note { host, sent, note });
            }
        });
        notes
    }
}

impl Drop for ReportOnce {
    fn drop(&mut self) {
        let answer = self.answer.take().unwrap_or_else(|| Answer::Unknown { why: "the step was given up".to_owned() });
        let _ = self.reports.send(Report::Answer { host: self.host, sent: self.sent, answer });
    }
}
