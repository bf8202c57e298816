//! One run, read from its record, for the page of `show` and for a report.

use super::history::{passed_over, standing, unreadable};
use crate::commands::Trouble;
use crate::event::line::Line;
use crate::event::{Event, Outcome};
use crate::inventory::model::HostName;
use crate::record::folder::RunFolder;
use crate::record::read::{RunKind, Summary, each_event};
use crate::ui::runs::RunStanding;
use crate::ui::show::Heading;
use crate::ui::when;

/// A run, as far as its record can be read.
pub(crate) struct Read {
    pub(crate) folder: RunFolder,
    pub(crate) summary: Summary,
    pub(crate) standing: RunStanding,
    /// Without what only moves a screen or repeats a log.
    pub(crate) lines: Vec<Line>,
    /// Events that are not among the lines.
    pub(crate) left_out: usize,
    pub(crate) notes: Vec<String>,
}

impl Read {
    pub(crate) fn of(folder: RunFolder, running: &[String]) -> Result<Self, Trouble> {
        let (mut lines, mut left_out) = (Vec::new(), 0);
        // A run can be without events: the recovery that made its record may have died before the first one.
        let passed = if folder.events().exists() {
            each_event(&folder.events(), |line| {
                if line.event.is_lossy() || matches!(line.event, Event::Printed { .. }) {
                    left_out += 1;
                } else {
                    lines.push(line);
                }
            })
            .map_err(unreadable)?
        } else {
            crate::record::read::PassedOver::default()
        };
        let summary = folder.summary();
        let standing = standing(&summary, running);
        Ok(Self { folder, summary, standing, lines, left_out, notes: passed_over(passed) })
    }

    pub(crate) fn heading(&self, clock: &when::LocalClock) -> Heading {
        let Summary { run, fleet, began, .. } = &self.summary;
        let next = match self.standing {
            // It has armed no guard that a recovery could look after.
            RunStanding::Unfinished if self.summary.kind == RunKind::Reboot => {
                Some(format!("the reboot did not come to its end\nnext: fleetdeploy status {fleet}"))
            }
            RunStanding::Unfinished => {
                Some(format!("the run did not come to its end\nnext: fleetdeploy recover {fleet}"))
            }
            RunStanding::ByHand => Some(format!(
                "a guard was armed by hand, and was not disarmed from here\nnext: fleetdeploy guard status {fleet}"
            )),
            RunStanding::Running => Some("a process of this workstation works on it just now".to_owned()),
            RunStanding::Ended(Outcome::Unchanged) if self.summary.kind == RunKind::Guard => {
                Some("the guard was disarmed: what ran by then stayed".to_owned())
            }
            RunStanding::Ended(Outcome::RolledBack) if self.summary.kind == RunKind::Guard => {
                Some("the guard has fired: what ran before came back".to_owned())
            }
            RunStanding::Ended(_) | RunStanding::Recovered(_) if !self.summary.missing.is_empty() => {
                let missing: Vec<&str> = self.summary.missing.iter().map(HostName::as_str).collect();
                Some(format!(
                    "the run was ended without {}\nnext, when it is back: fleetdeploy recover {fleet}",
                    missing.join(", ")
                ))
            }
            RunStanding::Ended(_) | RunStanding::Recovered(_) => None,
        };
        Heading {
            run: run.clone(),
            fleet: fleet.clone(),
            began: format!("{}, {}", clock.time(*began), clock.ago(*began)),
            next,
            notes: self.notes.clone(),
        }
    }
}
