//! Keeps the records: one folder for each run.

mod run;
mod unfinished;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::decide::vocabulary::Entry;
use crate::event::Outcome;
use crate::local::private;
use crate::record::journal::{self, Journal};
use crate::record::run_id::RunId;
use crate::record::{RecordError, read_error, sync_folder, write_error};

pub use run::{RunFolder, SavedPlan};
pub use unfinished::UnfinishedRun;

/// The most names that are tried for a new run: each has a random part, so even a second try is rare.
const NAMES_TRIED: usize = 16;

/// Everything that fleetdeploy keeps on this workstation: `$XDG_STATE_HOME/fleetdeploy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    folder: PathBuf,
}

impl StateFolder {
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// `$XDG_STATE_HOME/fleetdeploy`, or `$HOME/.local/state/fleetdeploy`, read through `variable`.
    ///
    /// # Errors
    /// [`RecordError::NoHome`]. A relative path counts as not set. Source: XDG Base Directory Specification.
    pub fn locate(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Self, RecordError> {
        let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| Self::at(state.join("fleetdeploy")))
            .ok_or(RecordError::NoHome)
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.folder.join("runs")
    }

    pub(super) fn make(path: &Path) -> Result<(), RecordError> {
        private::make_folders(path).map_err(write_error(path))
    }

    /// Makes the folder of a new run, with an empty journal, durable.
    ///
    /// # Errors
    /// If it cannot be written: then the push does not start.
    pub fn create_run(&self, fleet: &str, now: SystemTime) -> Result<(RunFolder, Journal), RecordError> {
        let runs = self.runs();
        Self::make(&runs)?;
        let mut tries = 0;
        let run = loop {
            tries += 1;
            let id = RunId::new(fleet, now);
            let path = runs.join(id.as_str());
            // It is made and not looked for: of two pushes that draw the same name only one gets the folder.
            match private::make_folder(&path) {
                Ok(()) => break RunFolder { id, path },
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && tries < NAMES_TRIED => {}
                Err(source) => return Err(RecordError::Write { path, source }),
            }
        };
        Self::make(&run.hosts())?;
        let journal = Journal::create(&run.journal())?;
        // The journal is durable only once the folders above it name it: after a power cut `recover` must find it.
        for folder in [&runs, &self.folder] {
            sync_folder(folder).map_err(write_error(folder))?;
        }
        Ok((run, journal))
    }

    /// Lists the runs that have a record, oldest first. None if there never was one.
    ///
    /// # Errors
    /// If the folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<RunId>, RecordError> {
        let runs = self.runs();
        let entries = match std::fs::read_dir(&runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(RecordError::Read { path: runs, source }),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(read_error(&runs))?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let (true, Ok(name)) = (is_folder, entry.file_name().into_string()) {
                ids.extend(RunId::parse(name));
            }
        }
        // An id tells the second; the folders tell which of two in one second was first.
        let made = |id: &RunId| std::fs::metadata(runs.join(id.as_str())).and_then(|folder| folder.created()).ok();
        ids.sort_by_cached_key(|id| (id.began(), made(id), id.clone()));
        Ok(ids)
    }

    /// Opens the folder of a run that began on another workstation, with its journal: a new one, or the one that an
    /// earlier recovery here has made.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn adopt_run(&self, id: RunId) -> Result<(RunFolder, Journal), RecordError> {
        let runs = self.runs();
        let run = RunFolder { path: runs.join(id.as_str()), id };
        Self::make(&run.hosts())?;
        // Should another recovery make it in between, `create` refuses: it never opens a journal that is there.
        let journal =
            if run.journal().exists() { Journal::open(&run.journal())? } else { Journal::create(&run.journal())? };
        for folder in [&runs, &self.folder] {
            sync_folder(folder).map_err(write_error(folder))?;
        }
        Ok((run, journal))
    }

    /// Writes down that a recovery has ended the rolling reboot of a run, if its record is here. A push before it stays
    /// as it had ended.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn close_rolling(&self, run: &str, owner: &str, outcome: Outcome) -> Result<(), RecordError> {
        let Ok(id) = RunId::parse(run.to_owned()) else { return Ok(()) };
        let Some(folder) = self.open_run(&id) else { return Ok(()) };
        let written = folder.read_journal()?;
        let outcome = journal::pushed_before_rolling(&written).unwrap_or(outcome);
        let mut journal = Journal::open(&folder.journal())?;
        let recovering = journal::Recovering { epoch: 1, owner: owner.to_owned(), alone: false };
        journal.append(&journal::JournalEntry::Recovering(recovering))?;
        journal.append(&journal::JournalEntry::Finished { outcome })
    }

    /// Writes down what has become of hosts that a run was ended without, if its record is here.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end_again(&self, run: &str, epoch: u64, owner: &str, entries: &[Entry]) -> Result<(), RecordError> {
        let Ok(id) = RunId::parse(run.to_owned()) else { return Ok(()) };
        let Some(folder) = self.open_run(&id) else { return Ok(()) };
        let mut journal = Journal::open(&folder.journal())?;
        let recovering = journal::Recovering { epoch, owner: owner.to_owned(), alone: false };
        journal.append(&journal::JournalEntry::Recovering(recovering))?;
        entries.iter().try_for_each(|entry| journal.append(&entry.clone().into()))
    }

    /// Returns the folder of a run, if its record is here.
    #[must_use]
    pub fn open_run(&self, id: &RunId) -> Option<RunFolder> {
        let path = self.runs().join(id.as_str());
        path.is_dir().then(|| RunFolder { id: id.clone(), path })
    }

    /// Opens the runs of [`Self::list`]. A run that another fleetdeploy has trimmed since is passed over.
    ///
    /// # Errors
    /// If the folder of runs is there and cannot be read.
    pub(super) fn open_all(&self) -> Result<impl DoubleEndedIterator<Item = RunFolder>, RecordError> {
        Ok(self.list()?.into_iter().filter_map(|id| self.open_run(&id)))
    }
}

pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    resolved(one) == resolved(other)
}

#[cfg(test)]
mod tests;
