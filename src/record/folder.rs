//! Keeps the records: one folder for each run.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::decide::vocabulary::Entry;
use crate::event::Outcome;
use crate::facts::plan::Plan;
use crate::inventory::model::HostName;
use crate::local::private;
use crate::record::journal::{self, Journal, Written};
use crate::record::run_id::RunId;
use crate::record::{RecordError, read_error, read_whole, sync_folder, write_error};

/// The most names that are tried for a new run: each has a random part, so even a second try is rare.
const NAMES_TRIED: usize = 16;

/// `plan.json`: with the journal, all that a recovery needs to know of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    pub fleet: String,
    /// The inventory's file, absolute.
    pub inventory: PathBuf,
    /// `person@workstation`.
    pub owner: String,
    /// Where a rollback goes, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<String>,
    /// Hosts of the fleet that took no part: they were left out, or did not answer and were not needed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<HostName>,
    pub plan: Plan,
}

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
            match private::make_folder(&path) {
                Ok(()) => break RunFolder { id, path },
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && tries < NAMES_TRIED => {}
                Err(source) => return Err(RecordError::Write { path, source }),
            }
        };
        Self::make(&run.hosts())?;
        let journal = Journal::create(&run.journal())?;
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

    /// Finds the newest run of this fleet that did not come to its end; without a fleet, of any.
    ///
    /// Runs with a record that cannot be read are passed over: a recovery could not go on from them.
    ///
    /// # Errors
    /// If the folder of runs cannot be read, or the run is of a newer version: it is that one that must end it.
    pub fn unfinished(&self, of: Option<(&str, &Path)>) -> Result<Option<UnfinishedRun>, RecordError> {
        let is_it =
            |fleet: &str, inventory: &Path| of.is_none_or(|(name, path)| fleet == name && same_file(inventory, path));
        for id in self.list()?.into_iter().rev() {
            let unfinished = match self.unfinished_run(&id) {
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
        for id in self.list()? {
            let run = self.open_run(&id)?;
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
    /// If there is no such run here, or it is of a newer version: it is that one that must end it.
    pub fn unfinished_run(&self, id: &RunId) -> Result<Option<UnfinishedRun>, RecordError> {
        let run = self.open_run(id)?;
        let journal = match run.read_journal() {
            Ok(journal) => journal,
            Err(RecordError::Newer { path, fleetdeploy })
                if journal::glimpse(&path).is_some_and(|seen| !seen.is_over) =>
            {
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

    /// Opens the folder of a run that began on another workstation, with its journal: a new one, or the one that an
    /// earlier recovery here has made.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn adopt_run(&self, id: RunId) -> Result<(RunFolder, Journal), RecordError> {
        let runs = self.runs();
        let run = RunFolder { path: runs.join(id.as_str()), id };
        Self::make(&run.hosts())?;
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
        let Ok(folder) = self.open_run(&id) else { return Ok(()) };
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
        let Ok(folder) = self.open_run(&id) else { return Ok(()) };
        let mut journal = Journal::open(&folder.journal())?;
        let recovering = journal::Recovering { epoch, owner: owner.to_owned(), alone: false };
        journal.append(&journal::JournalEntry::Recovering(recovering))?;
        entries.iter().try_for_each(|entry| journal.append(&entry.clone().into()))
    }

    /// # Errors
    /// [`RecordError::NoSuchRun`].
    pub fn open_run(&self, id: &RunId) -> Result<RunFolder, RecordError> {
        let path = self.runs().join(id.as_str());
        if path.is_dir() {
            Ok(RunFolder { id: id.clone(), path })
        } else {
            Err(RecordError::NoSuchRun { run: id.to_string() })
        }
    }
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

    /// Why nothing else can begin on its fleet.
    #[must_use]
    pub fn text(&self) -> String {
        let run = self.run.id();
        if self.is_by_hand() {
            format!("this fleet is under a guard that was armed by hand: run {run}")
        } else if journal::rolling(&self.journal).is_some() {
            format!("the rolling reboot {run} of this fleet did not come to its end")
        } else {
            format!("run {run} of this fleet did not come to its end")
        }
    }

    /// The command that ends it.
    #[must_use]
    pub fn mend(&self) -> String {
        let command = if self.is_by_hand() { "guard disarm" } else { "recover" };
        format!("fleetdeploy {command} {}", self.fleet)
    }
}

pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    resolved(one) == resolved(other)
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    id: RunId,
    path: PathBuf,
}

impl RunFolder {
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `journal.jsonl`.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// `events.jsonl`.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// `plan.json`.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// `hosts/`, with a log for each host.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.path.join("hosts")
    }

    /// `hosts/NAME.log`.
    #[must_use]
    pub fn host_log(&self, host: &HostName) -> PathBuf {
        self.hosts().join(format!("{host}.log"))
    }

    /// `build.log`: what nix printed.
    #[must_use]
    pub fn build_log(&self) -> PathBuf {
        self.path.join("build.log")
    }

    /// # Errors
    /// Those of [`journal::read`].
    pub fn read_journal(&self) -> Result<Vec<Written>, RecordError> {
        journal::read(&self.journal())
    }

    /// Reads what [`write_plan`](Self::write_plan) has written; `None` if it cannot be read, for any reason: the hosts
    /// themselves tell the rest.
    #[must_use]
    pub fn read_plan(&self) -> Option<SavedPlan> {
        serde_json::from_slice(&read_whole(&self.plan()).ok()?).ok()
    }

    /// Writes `plan.json`, whole or not at all, and durable: a recovery reads it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_plan(&self, plan: &impl Serialize) -> Result<(), RecordError> {
        self.write_whole(&self.plan(), plan).map_err(write_error(&self.plan()))
    }

    /// Writes a JSON file of the run whole or not at all, and durable.
    pub(super) fn write_whole(&self, path: &Path, value: &impl Serialize) -> std::io::Result<()> {
        let fresh = path.with_extension("json.new");
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        let mut file = private::open(std::fs::File::options().write(true).create(true).truncate(true), &fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        sync_folder(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Outcome;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_state_folder_follows_the_xdg_rules() {
        let locate = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            StateFolder::locate(move |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.into()))
                .ok()
        };
        let at = |path: &str| Some(StateFolder::at(path.into()));
        assert_eq!(locate(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), at("/s/fleetdeploy"));
        assert_eq!(locate(&[("XDG_STATE_HOME", "s"), ("HOME", "/h")]), at("/h/.local/state/fleetdeploy"));
        assert_eq!(locate(&[("XDG_STATE_HOME", "")]), None);
    }

    #[test]
    fn a_record_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("deep/state"));
        let (run, _journal) = state.create_run("homelab", SystemTime::now()).unwrap();
        run.write_plan(&["plan"]).unwrap();
        run.write_plan(&["another plan"]).unwrap();
        assert_eq!(std::fs::read_to_string(run.plan()).unwrap(), "[\n  \"another plan\"\n]\n");
        for folder in [run.path(), &run.hosts(), &state.runs(), state.folder()] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        for file in [run.journal(), run.plan()] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn runs_are_listed_oldest_first_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        assert_eq!(state.list().unwrap(), []);
        let begin = |seconds| {
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            state.create_run("homelab", at).unwrap().0
        };
        let (late, early) = (begin(200), begin(100));
        std::fs::create_dir(state.runs().join("lost+found")).unwrap();
        assert_eq!(state.list().unwrap(), [early.id().clone(), late.id().clone()]);
        assert_eq!(state.open_run(late.id()).unwrap(), late);
        let other = RunId::parse("20261122-161500-homelab-3f9c").unwrap();
        assert!(matches!(state.open_run(&other), Err(RecordError::NoSuchRun { .. })));
    }

    #[test]
    fn of_two_runs_in_one_second_the_later_one_is_the_newer() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(100);
        let made = |id: &RunId| std::fs::metadata(state.runs().join(id.as_str())).unwrap().created().unwrap();
        let mut begun: Vec<RunId> = Vec::new();
        while begun.len() < 6 {
            let id = state.create_run("homelab", at).unwrap().0.id().clone();
            if begun.last().is_some_and(|last| made(last) == made(&id)) {
                // The clock of the file system is no finer than its ticks.
                std::fs::remove_dir_all(state.runs().join(id.as_str())).unwrap();
            } else {
                begun.push(id);
            }
        }
        assert_eq!(state.list().unwrap(), begun);
    }

    #[test]
    fn the_newest_run_without_an_end_is_the_unfinished_one() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let inventory = home.path().join("inventory.yaml");
        let begin = |seconds, fleet: &str, entries: &[journal::JournalEntry]| {
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let (run, mut journal) = state.create_run(fleet, at).unwrap();
            let started = journal::RunStarted {
                fleet: fleet.to_owned(),
                inventory: inventory.clone(),
                epoch: 1,
                owner: "ada@laptop".to_owned(),
                hosts: Vec::new(),
                without: BTreeSet::new(),
            };
            journal.append(&journal::JournalEntry::Started(started)).unwrap();
            for entry in entries {
                journal.append(entry).unwrap();
            }
            run.id().clone()
        };
        let finished = |outcome| journal::JournalEntry::Finished { outcome };
        let found =
            |of: Option<(&str, &Path)>| state.unfinished(of).unwrap().map(|unfinished| unfinished.run.id().clone());
        begin(100, "homelab", &[journal::JournalEntry::Arming]);
        let split = begin(200, "homelab", &[finished(Outcome::Split)]);
        let office = begin(300, "office", &[]);
        begin(400, "homelab", &[finished(Outcome::Committed)]);
        begin(500, "homelab", &[finished(Outcome::Superseded)]);
        assert_eq!(found(None), Some(office));
        assert_eq!(found(Some(("homelab", &inventory))), Some(split));
        assert_eq!(found(Some(("homelab", &home.path().join("other.yaml")))), None);
    }

    #[test]
    fn a_run_of_a_newer_version_that_has_not_ended_is_not_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let inventory = home.path().join("inventory.yaml");
        let (run, mut journal) = state.create_run("homelab", SystemTime::now()).unwrap();
        let started = journal::RunStarted {
            fleet: "homelab".to_owned(),
            inventory: inventory.clone(),
            epoch: 1,
            owner: "ada@laptop".to_owned(),
            hosts: Vec::new(),
            without: BTreeSet::new(),
        };
        journal.append(&journal::JournalEntry::Started(started)).unwrap();
        journal.append(&journal::JournalEntry::Arming).unwrap();
        let text = std::fs::read_to_string(run.journal()).unwrap().replace("arming", "teleporting");
        std::fs::write(run.journal(), &text).unwrap();
        let found = |fleet| state.unfinished(Some((fleet, inventory.as_path())));
        assert!(matches!(found("homelab"), Err(RecordError::Newer { .. })));
        assert!(matches!(state.unfinished(None), Err(RecordError::Newer { .. })));
        assert!(found("office").unwrap().is_none(), "another fleet has nothing to do with it");
        let end = "{\"at\":\"2026-11-22T16:15:00.000Z\",\"entry\":\"finished\",\"outcome\":\"committed\"}\n";
        std::fs::write(run.journal(), text + end).unwrap();
        assert!(found("homelab").unwrap().is_none(), "it has ended");
    }

    #[test]
    fn where_no_folder_can_be_made_no_push_starts() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("state");
        std::fs::write(&file, "a file, where the folder should be").unwrap();
        let error = StateFolder::at(file.clone()).create_run("homelab", SystemTime::now()).unwrap_err();
        assert!(matches!(error, RecordError::Write { .. }), "{error:?}");
        assert!(StateFolder::at("/proc/fleetdeploy".into()).create_run("homelab", SystemTime::now()).is_err());
    }
}
