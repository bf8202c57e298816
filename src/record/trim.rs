//! Removes old records.

use std::time::{Duration, SystemTime};

use crate::record::RecordError;
use crate::record::folder::{RunFolder, StateFolder};
use crate::record::journal;

/// Runs that are kept however old they are.
const KEEP_RUNS: usize = 200;

/// How long a run is kept, however many came after it.
const KEEP_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

impl StateFolder {
    /// Removes the records of runs that are not among the last 200, are older than 30 days and are over. A run that is
    /// not finished, or ended split, stays until `recover` has ended it. Returns how many were removed.
    ///
    /// # Errors
    /// If the runs cannot be listed. A record that cannot be removed is left.
    pub fn trim(&self, now: SystemTime) -> Result<usize, RecordError> {
        self.trim_to(now, KEEP_RUNS, KEEP_FOR)
    }

    fn trim_to(&self, now: SystemTime, keep_runs: usize, keep_for: Duration) -> Result<usize, RecordError> {
        let ids = self.list()?;
        let old = ids.len().saturating_sub(keep_runs);
        let mut removed = 0;
        for id in &ids[..old] {
            let Some(run) = self.open_run(id) else { continue };
            if is_over(&run) && age(&run, now) > keep_for && std::fs::remove_dir_all(run.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Returns whether no command will need the record to end the run. Without any entry nothing was ever touched.
fn is_over(run: &RunFolder) -> bool {
    match run.read_journal() {
        Ok(entries) => journal::is_over(&entries),
        // A removal that was interrupted after the journal; anything else is left for a person.
        Err(RecordError::Read { source, .. }) => source.kind() == std::io::ErrorKind::NotFound,
        Err(_) => false,
    }
}

/// Returns how long nothing was written to the run's folder; nothing if that cannot be known.
fn age(run: &RunFolder, now: SystemTime) -> Duration {
    let changed = std::fs::metadata(run.path()).and_then(|metadata| metadata.modified());
    changed.ok().and_then(|changed| now.duration_since(changed).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Outcome;
    use crate::record::journal::JournalEntry;

    #[test]
    fn only_old_runs_that_are_over_go() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let ends = [
            Some(JournalEntry::Finished { outcome: Outcome::Committed }),
            Some(JournalEntry::Finished { outcome: Outcome::Split }),
            Some(JournalEntry::Testing),
            None,
            Some(JournalEntry::Finished { outcome: Outcome::Committed }),
        ];
        let mut ids = Vec::new();
        for (seconds, end) in (0..).zip(ends) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let (run, mut journal) = state.create_run("homelab", at).unwrap();
            if let Some(entry) = end {
                journal.append(&entry).unwrap();
            }
            ids.push(run.id().clone());
        }
        let now = SystemTime::now();
        assert_eq!(state.trim_to(now, 1, KEEP_FOR).unwrap(), 0, "all are young");
        let later = now + KEEP_FOR * 2;
        assert_eq!(state.trim_to(later, 5, KEEP_FOR).unwrap(), 0, "all are among the last");
        assert_eq!(state.trim_to(later, 1, KEEP_FOR).unwrap(), 2);
        assert_eq!(state.list().unwrap(), [ids[1].clone(), ids[2].clone(), ids[4].clone()]);
    }
}
