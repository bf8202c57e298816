//! Finds the run that is meant: `last`, `last-failed`, a whole id or as much of its beginning as no other run has.

use crate::inventory::{listed, nearest};
use crate::record::RecordError;
use crate::record::folder::{RunFolder, StateFolder};
use crate::record::run_id::RunId;

/// The newest run.
pub const LAST: &str = "last";

/// The newest run that was rolled back, refused or split.
pub const LAST_FAILED: &str = "last-failed";

/// Why a name is not the name of one run.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    #[error("this workstation has no record of any run")]
    NoRuns,
    #[error("no run of this workstation was rolled back, refused or split")]
    NoneFailed,
    #[error("no run `{}`", .name.escape_debug())]
    Unknown {
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    #[error("`{name}` can be any of {}: {}", .candidates.len(), listed(.candidates.iter().map(RunId::as_str)))]
    Ambiguous {
        name: String,
        /// Newest first.
        candidates: Vec<RunId>,
    },
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl NameError {
    /// What to type instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRuns => Some("records are kept below XDG_STATE_HOME on the workstation that has pushed".to_owned()),
            Self::NoneFailed | Self::Unknown { near: None, .. } => Some("fleetdeploy runs lists them".to_owned()),
            Self::Unknown { near: Some(near), .. } => {
                Some(format!("did you mean `{near}`? fleetdeploy runs lists them"))
            }
            Self::Ambiguous { .. } => Some("write more of it, or the whole id".to_owned()),
            Self::Record(_) => None,
        }
    }
}

impl StateFolder {
    /// Finds the run that a person has named.
    ///
    /// # Errors
    /// [`NameError`] says what was wrong with the name, or why the runs cannot be listed.
    pub fn named(&self, name: &str) -> Result<RunFolder, NameError> {
        let mut runs = self.list()?;
        // Newest first: what is listed to a person begins with what is most probably meant.
        runs.reverse();
        let Some(newest) = runs.first() else { return Err(NameError::NoRuns) };
        match name {
            LAST => return Ok(self.open_run(newest)?),
            LAST_FAILED => {
                for run in &runs {
                    let folder = self.open_run(run)?;
                    if folder.summary().is_failed() {
                        return Ok(folder);
                    }
                }
                return Err(NameError::NoneFailed);
            }
            _ => {}
        }
        if let Some(run) = runs.iter().find(|run| run.as_str() == name) {
            return Ok(self.open_run(run)?);
        }
        let mut candidates: Vec<RunId> =
            runs.iter().filter(|run| !name.is_empty() && run.as_str().starts_with(name)).cloned().collect();
        match candidates.pop() {
            Some(only) if candidates.is_empty() => Ok(self.open_run(&only)?),
            Some(oldest) => {
                candidates.push(oldest);
                Err(NameError::Ambiguous { name: name.to_owned(), candidates })
            }
            None => {
                let known = [LAST, LAST_FAILED].into_iter().chain(runs.iter().map(RunId::as_str));
                let near = nearest(name, known).map(str::to_owned);
                Err(NameError::Unknown { name: name.to_owned(), near })
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
    use crate::record::journal::JournalEntry;

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
        assert!(matches!(state.named(LAST), Err(NameError::NoRuns)));
        let ids = runs(&state, &[Some(Outcome::Committed)]);
        assert!(matches!(state.named(LAST_FAILED), Err(NameError::NoneFailed)));
        for name in ["", "..", "nothing", "2026", "19700101-000000-homelab/../x"] {
            let error = state.named(name).unwrap_err();
            assert!(matches!(error, NameError::Unknown { near: None, .. }), "{name}: {error}");
            assert!(error.hint().unwrap().contains("fleetdeploy runs"), "{name}");
        }
        let typo = ids[0].as_str().replace("homelab", "hmelab");
        let error = state.named(&typo).unwrap_err();
        assert!(matches!(&error, NameError::Unknown { near: Some(near), .. } if near == ids[0].as_str()), "{error}");
    }
}
