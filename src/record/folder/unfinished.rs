//! Finds the runs that are not through: without an end, or ended without a host.

use std::path::{Path, PathBuf};

use super::{RunFolder, StateFolder, same_file};
use crate::event::reason::command_end::OpenRun;
use crate::record::RecordError;
use crate::record::journal::{self, Written};
use crate::record::run_id::RunId;

impl StateFolder {
    /// Finds the newest run of this fleet that did not come to its end; without a fleet, of any.
    ///
    /// Runs with a record that cannot be read are passed over: a recovery could not go on from them.
    ///
    /// # Errors
    /// If the folder of runs cannot be read, or the run is of a newer version: it is that one that must end it.
    pub fn unfinished(&self, of: Option<(&str, &Path)>) -> Result<Option<UnfinishedRun>, RecordError> {
        let is_it =
            |fleet: &str, inventory: &Path| of.is_none_or(|(name, path)| fleet == name && same_file(inventory, path));
        for run in self.open_all()?.rev() {
            let unfinished = match unfinished(run) {
                Err(RecordError::Newer { path, fleetdeploy }) => {
                    if !journal::glimpse(&path).is_some_and(|seen| is_it(&seen.fleet, &seen.inventory)) {
                        continue;
                    }
                    return Err(RecordError::Newer { path, fleetdeploy });
                }
                other => other?,
            };
            if let Some(unfinished) = unfinished.filter(|one| is_it(&one.fleet, &one.inventory)) {
                return Ok(Some(unfinished));
            }
        }
        Ok(None)
    }

    /// Lists the runs of a fleet that were ended while a host was missing that has not been dealt with since.
    ///
    /// # Errors
    /// If the folder of runs cannot be read. A run that cannot be read is passed over: its hosts tell.
    pub fn ended_without(&self, fleet: &str, inventory: &Path) -> Result<Vec<UnfinishedRun>, RecordError> {
        let mut ended = Vec::new();
        for run in self.open_all()? {
            let Ok(journal) = run.read_journal() else { continue };
            let Some(Written { entry: journal::JournalEntry::Started(started), .. }) = journal.first() else {
                continue;
            };
            if started.fleet != fleet || !same_file(&started.inventory, inventory) || !journal::is_over(&journal) {
                continue;
            }
            if journal::ended_without(&journal).is_some() {
                let (fleet, inventory) = (started.fleet.clone(), started.inventory.clone());
                ended.push(UnfinishedRun { run, journal, fleet, inventory });
            }
        }
        Ok(ended)
    }

    /// Finds this run, if its record is here and can be read, and it did not come to its end.
    ///
    /// # Errors
    /// If it is of a newer version: it is that one that must end it.
    pub fn unfinished_run(&self, id: &RunId) -> Result<Option<UnfinishedRun>, RecordError> {
        self.open_run(id).map_or(Ok(None), unfinished)
    }
}

fn unfinished(run: RunFolder) -> Result<Option<UnfinishedRun>, RecordError> {
    let journal = match run.read_journal() {
        Ok(journal) => journal,
        Err(RecordError::Newer { path, fleetdeploy }) if journal::glimpse(&path).is_some_and(|seen| !seen.is_over) => {
            return Err(RecordError::Newer { path, fleetdeploy });
        }
        Err(_) => return Ok(None),
    };
    let (fleet, inventory) = match journal.first().map(|first| &first.entry) {
        Some(journal::JournalEntry::Started(started)) => (started.fleet.clone(), started.inventory.clone()),
        Some(journal::JournalEntry::Rolling(rolling)) => (rolling.fleet.clone(), rolling.inventory.clone()),
        _ => return Ok(None),
    };
    Ok((!journal::is_over(&journal)).then_some(UnfinishedRun { run, journal, fleet, inventory }))
}

/// A run that did not come to its end.
#[derive(Debug, Clone)]
pub struct UnfinishedRun {
    pub run: RunFolder,
    pub journal: Vec<Written>,
    pub fleet: String,
    /// The inventory's file.
    pub inventory: PathBuf,
}

impl UnfinishedRun {
    /// Returns whether it is a guard that a person has armed to work by hand, and has not disarmed yet.
    #[must_use]
    pub fn is_by_hand(&self) -> bool {
        journal::is_by_hand(&self.journal)
    }

    /// Returns whether it has moved systems, or was to: it is no guard by hand and no rolling reboot.
    #[must_use]
    pub fn is_a_push(&self) -> bool {
        !self.is_by_hand() && journal::rolling(&self.journal).is_none()
    }

    /// Says why nothing else can begin on its fleet.
    #[must_use]
    pub fn reason(&self) -> OpenRun {
        let (run, fleet) = (self.run.id().to_string(), self.fleet.clone());
        if self.is_by_hand() {
            OpenRun::HandGuardOpen { run, fleet }
        } else if journal::rolling(&self.journal).is_some() {
            OpenRun::RollingRebootOpen { run, fleet }
        } else {
            OpenRun::PushOpen { run, fleet }
        }
    }
}
