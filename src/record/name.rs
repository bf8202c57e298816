//! Finds the run that is meant: `last`, `last-failed`, a whole id or as much of its beginning as no other run has.

use crate::event::reason::record_fault::RunFault;
use crate::inventory::nearest;
use crate::record::RecordError;
use crate::record::folder::{RunFolder, StateFolder};

/// The newest run.
pub const LAST: &str = "last";

/// The newest run that was rolled back, refused or split.
pub const LAST_FAILED: &str = "last-failed";

/// Why a name is not the name of one run.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    #[error("{0}")]
    Run(RunFault),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<RunFault> for NameError {
    fn from(fault: RunFault) -> Self {
        Self::Run(fault)
    }
}

impl StateFolder {
    /// Finds the run that a person has named.
    ///
    /// # Errors
    /// [`NameError`] says what was wrong with the name, or why the runs cannot be listed.
    pub fn named(&self, name: &str) -> Result<RunFolder, NameError> {
        // Newest first: what is listed to a person begins with what is most probably meant.
        let runs: Vec<RunFolder> = self.open_all()?.rev().collect();
        let Some(newest) = runs.first() else { return Err(RunFault::NoRunRecorded.into()) };
        match name {
            LAST => return Ok(newest.clone()),
            LAST_FAILED => {
                let failed = runs.into_iter().find(|run| run.summary().is_failed());
                return failed.ok_or_else(|| RunFault::NoRunFailed.into());
            }
            _ => {}
        }
        if let Some(run) = runs.iter().find(|run| run.id().as_str() == name) {
            return Ok(run.clone());
        }
        let mut candidates: Vec<&RunFolder> =
            runs.iter().filter(|run| !name.is_empty() && run.id().as_str().starts_with(name)).collect();
        match candidates.pop() {
            Some(only) if candidates.is_empty() => Ok(only.clone()),
            Some(oldest) => {
                candidates.push(oldest);
                let candidates = candidates.iter().map(|run| run.id().to_string()).collect();
                Err(RunFault::RunNameAmbiguous { name: name.to_owned(), candidates }.into())
            }
            None => {
                let known = [LAST, LAST_FAILED].into_iter().chain(runs.iter().map(|run| run.id().as_str()));
                let near = nearest(name, known).map(str::to_owned);
                Err(RunFault::RunNameUnknown { name: name.to_owned(), near }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Outcome;
    use crate::event::reason::Worded;
    use crate::record::journal::JournalEntry;
    use crate::record::run_id::RunId;

    /// Runs of one fleet, a day between each, with these ends; the oldest first.
    fn runs(state: &StateFolder, ends: &[Option<Outcome>]) -> Vec<RunId> {
        let begin = |(day, end): (u64, &Option<Outcome>)| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let (run, mut journal) = state.create_run("homelab", at).unwrap();
            journal.append(&JournalEntry::Arming).unwrap();
            if let Some(outcome) = end {
                journal.append(&JournalEntry::Finished { outcome: *outcome }).unwrap();
            }
            run.id().clone()
        };
        (0..).zip(ends).map(begin).collect()
    }

    #[test]
    fn a_run_has_several_names() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let ids = runs(&state, &[Some(Outcome::Refused), Some(Outcome::Split), Some(Outcome::Committed), None]);
        let named = |name: &str| state.named(name).map(|run| run.id().clone()).map_err(|error| error.to_string());
        assert_eq!(named(LAST), Ok(ids[3].clone()));
        assert_eq!(named(LAST_FAILED), Ok(ids[1].clone()));
        assert_eq!(named(ids[2].as_str()), Ok(ids[2].clone()));
        assert_eq!(named("19700101"), Ok(ids[0].clone()));
        let all = ids.iter().rev().map(|id| format!("`{id}`")).collect::<Vec<_>>();
        assert_eq!(named("1970"), Err(format!("`1970` can be any of 4: {} and {}", all[..3].join(", "), all[3])));
    }

    #[test]
    fn a_name_of_no_run_is_an_error_with_a_way_on() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        assert!(matches!(state.named(LAST), Err(NameError::Run(RunFault::NoRunRecorded))));
        let ids = runs(&state, &[Some(Outcome::Committed)]);
        assert!(matches!(state.named(LAST_FAILED), Err(NameError::Run(RunFault::NoRunFailed))));
        for name in ["", "..", "nothing", "2026", "19700101-000000-homelab/../x"] {
            let error = state.named(name).unwrap_err();
            let NameError::Run(fault) = error else { panic!("{name}: {error}") };
            assert!(matches!(fault, RunFault::RunNameUnknown { near: None, .. }), "{name}: {fault}");
            assert!(fault.mend().unwrap().contains("fleetdeploy runs"), "{name}");
        }
        let typo = ids[0].as_str().replace("homelab", "hmelab");
        let error = state.named(&typo).unwrap_err();
        let NameError::Run(RunFault::RunNameUnknown { near, .. }) = error else { panic!("{error}") };
        assert_eq!(near.as_deref(), Some(ids[0].as_str()));
    }
}
