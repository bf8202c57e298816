//! Finds where a rollback goes: what the hosts of a fleet ran before a run, and after it.
//!
//! It reads the journal, because that is on the disk before the first host is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::event::Outcome;
use crate::event::reason::record_fault::NoOneSide;
use crate::event::reason::record_fault::RunFault;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::record::RecordError;
use crate::record::folder::{RunFolder, StateFolder, same_file};
use crate::record::journal::{self, JournalEntry, RunStarted};
use crate::record::read::RunEnd;

/// The systems of a fleet's hosts around one run, by what they ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    pub run: String,
    pub before: BTreeMap<HostName, StorePath>,
    pub after: BTreeMap<HostName, StorePath>,
    /// Hosts of the fleet that took no part in it, and those that it was ended without and that have not been dealt
    /// with since.
    pub without: BTreeSet<HostName>,
}

/// The systems that the hosts of a fleet ran when a run had ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftSystems {
    pub systems: BTreeMap<HostName, StorePath>,
    /// See [`Around::without`].
    pub without: BTreeSet<HostName>,
}

/// The reason why there is nothing to go back to.
#[derive(Debug, thiserror::Error)]
pub enum LeftError {
    #[error("{0}")]
    Run(RunFault),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<RunFault> for LeftError {
    fn from(fault: RunFault) -> Self {
        Self::Run(fault)
    }
}

impl StateFolder {
    /// Finds the newest committed run of the fleet. A rollback is a run as well.
    ///
    /// # Errors
    /// [`LeftError`]. A run that was committed and cannot be read is one: an older one in its place would be a
    /// surprise.
    pub fn last_committed(&self, fleet: &str, inventory: &Path) -> Result<Around, LeftError> {
        for run in self.open_all()?.rev() {
            if run.fleet_is_not(fleet)
                || !matches!(
                    run.summary().end,
                    RunEnd::Ended(Outcome::Committed) | RunEnd::Recovered(Outcome::Committed)
                )
            {
                continue;
            }
            let (started, missing) = run.started()?;
            if run.is_by_hand() {
                // A recovery may have ended a guard by hand in these words; it brought no system.
                continue;
            }
            if started.fleet == fleet && same_file(&started.inventory, inventory) {
                return Ok(around(&run, &started, &missing));
            }
        }
        Err(RunFault::NoRunCommitted { fleet: fleet.to_owned() }.into())
    }
}

impl RunFolder {
    /// Finds what each host of the fleet ran when this run had ended.
    ///
    /// # Errors
    /// [`LeftError`], if it did not end well for the whole fleet, or is of another fleet.
    pub fn left(&self, fleet: &str, inventory: &Path) -> Result<LeftSystems, LeftError> {
        let run = self.id().to_string();
        let end = self.summary().end;
        let (started, missing) = match end {
            RunEnd::Ended(
                Outcome::Refused | Outcome::Unchanged | Outcome::Planned | Outcome::Rebooted | Outcome::PartlyRebooted,
            ) => {
                return Err(RunFault::RunChangedNothing { run }.into());
            }
            // It brought no system, however it ended.
            _ if self.is_by_hand() => return Err(RunFault::RunChangedNothing { run }.into()),
            _ => self.started()?,
        };
        if started.fleet != fleet || !same_file(&started.inventory, inventory) {
            let inventory = started.inventory.display().to_string();
            return Err(RunFault::RunOfOtherFleet { run, fleet: started.fleet, path: inventory }.into());
        }
        let around = around(self, &started, &missing);
        let no_side = |ended| Err(RunFault::RunOnNoOneSide { run: run.clone(), ended }.into());
        match end {
            RunEnd::Ended(outcome) | RunEnd::Recovered(outcome) => match outcome {
                Outcome::Committed => Ok(LeftSystems { systems: around.after, without: around.without }),
                Outcome::RolledBack => Ok(LeftSystems { systems: around.before, without: around.without }),
                Outcome::Split => no_side(NoOneSide::Split),
                Outcome::Left => no_side(NoOneSide::Left),
                Outcome::Superseded => no_side(NoOneSide::Superseded),
                Outcome::Refused
                | Outcome::Unchanged
                | Outcome::Planned
                | Outcome::Rebooted
                | Outcome::PartlyRebooted => Err(RunFault::RunChangedNothing { run }.into()),
            },
            RunEnd::Unfinished | RunEnd::ByHand => no_side(NoOneSide::Unfinished),
        }
    }

    fn is_by_hand(&self) -> bool {
        self.read_journal().is_ok_and(|journal| journal.iter().any(|written| written.entry == JournalEntry::ByHand))
    }

    /// Returns whether the id says already that it is of another fleet: most runs of other fleets need not be read.
    fn fleet_is_not(&self, fleet: &str) -> bool {
        super::run_id::cleaned(fleet) != self.id().fleet()
    }

    /// Returns what it began with, and the hosts that it was ended without.
    fn started(&self) -> Result<(RunStarted, BTreeSet<HostName>), LeftError> {
        let journal = self.read_journal()?;
        let missing = journal::ended_without(&journal).map(|mark| mark.missing.keys().cloned().collect());
        let started = journal.into_iter().find_map(|written| match written.entry {
            JournalEntry::Started(started) => Some(started),
            _ => None,
        });
        let started = started.ok_or_else(|| RunFault::RunChangedNothing { run: self.id().to_string() })?;
        Ok((started, missing.unwrap_or_default()))
    }
}

fn around(run: &RunFolder, started: &RunStarted, missing: &BTreeSet<HostName>) -> Around {
    let hosts = || started.hosts.iter();
    Around {
        run: run.id().to_string(),
        before: hosts().map(|host| (host.host.clone(), host.old.current.clone())).collect(),
        // A witness is recorded with what it runs.
        after: hosts().map(|host| (host.host.clone(), host.new.clone())).collect(),
        without: started.without.union(missing).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::vocabulary;
    use crate::event::reason::Worded;
    use crate::facts::systems::Systems;
    use crate::facts::traces::{EndMark, EndSide};
    use crate::record::journal::HostStarted;

    fn system(version: u32) -> StorePath {
        StorePath::new(format!("/nix/store/{}-nixos-system-vps-{version}", "a".repeat(32))).unwrap()
    }

    fn vps() -> HostName {
        HostName::new("vps").unwrap()
    }

    /// Runs a minute apart: each goes from version `from` to the next and ends like this.
    fn runs(state: &StateFolder, runs: &[(&str, u32, Option<Outcome>)]) -> Vec<RunFolder> {
        let begin = |(minute, (fleet, from, end)): (u64, &(&str, u32, Option<Outcome>))| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(minute * 60);
            let (run, mut journal) = state.create_run(fleet, at).unwrap();
            let host = HostStarted {
                host: vps(),
                machine_id: "m".into(),
                boot_id: "b".into(),
                old: Systems::all(&system(*from)),
                generation: 1,
                new: system(from + 1),
                changes: true,
                guarded_for: None,
            };
            let without = BTreeSet::from([HostName::new("nas").unwrap()]);
            let (inventory, owner) = ("/nowhere/inventory.yaml".into(), "ada@laptop".into());
            let started = RunStarted {
                fleet: (*fleet).to_owned(),
                inventory,
                epoch: 1,
                owner,
                hosts: vec![host],
                without,
                provenance: None,
            };
            journal.append(&JournalEntry::Started(started)).unwrap();
            if let Some(outcome) = end {
                journal.append(&JournalEntry::Finished { outcome: *outcome }).unwrap();
            }
            run
        };
        (0..).zip(runs).map(begin).collect()
    }

    #[test]
    fn the_default_is_what_ran_before_the_newest_committed_run_of_the_fleet() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let inventory = Path::new("/nowhere/inventory.yaml");
        let last = |fleet: &str| state.last_committed(fleet, inventory);
        assert!(matches!(last("homelab"), Err(LeftError::Run(RunFault::NoRunCommitted { .. }))));
        let made = runs(
            &state,
            &[
                ("homelab", 1, Some(Outcome::Committed)),
                ("homelab", 2, Some(Outcome::Committed)),
                ("homelab", 3, Some(Outcome::RolledBack)),
                ("office", 7, Some(Outcome::Committed)),
                ("homelab", 3, None),
            ],
        );
        let found = last("homelab").unwrap();
        assert_eq!(found.run, made[1].id().as_str());
        assert_eq!((&found.before[&vps()], &found.after[&vps()]), (&system(2), &system(3)));
        assert_eq!(found.without, BTreeSet::from([HostName::new("nas").unwrap()]));
        assert!(state.last_committed("homelab", Path::new("/elsewhere/inventory.yaml")).is_err());
    }

    /// It is not known what the run left there: a rollback passes over such a host, whichever way it was left out.
    #[test]
    fn whom_a_run_was_ended_without_took_no_part_in_it_until_they_are_dealt_with() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let inventory = Path::new("/nowhere/inventory.yaml");
        let made = runs(&state, &[("homelab", 1, None)]);
        let recovers = |entries: &[JournalEntry]| {
            let (_, mut journal) = state.adopt_run(made[0].id().clone()).unwrap();
            let how = journal::Recovering { epoch: 2, owner: "ada@laptop".into(), alone: false };
            journal.append(&JournalEntry::Recovering(how)).unwrap();
            for entry in entries {
                journal.append(entry).unwrap();
            }
        };
        let finished = JournalEntry::Finished { outcome: Outcome::Committed };
        let mark = EndMark { side: Some(EndSide::New), missing: [(vps(), None)].into() };
        recovers(&[JournalEntry::EndedWithout { mark }, finished]);
        let without = |hosts: &[&str]| hosts.iter().map(|host| HostName::new(*host).unwrap()).collect::<BTreeSet<_>>();
        assert_eq!(state.last_committed("homelab", inventory).unwrap().without, without(&["nas", "vps"]));
        assert_eq!(made[0].left("homelab", inventory).unwrap().without, without(&["nas", "vps"]));
        // As a push finds it back, which has the run's entries from its own recovery of it.
        let again = |run: &str| {
            let entries = [vocabulary::Entry::Finished { outcome: Outcome::Committed }];
            state.end_again(run, 3, "ada@laptop", &entries).unwrap();
        };
        again(made[0].id().as_str());
        assert_eq!(state.last_committed("homelab", inventory).unwrap().without, without(&["nas"]));
        assert_eq!(state.ended_without("homelab", inventory).unwrap().len(), 0);
        // A run without a record here gets none.
        again("20261128-200000-homelab-3f9c");
        assert_eq!(state.list().unwrap().len(), 1);
    }

    #[test]
    fn a_guard_by_hand_is_no_run_to_go_back_behind() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let committed = Some(Outcome::Committed);
        let made = runs(&state, &[("homelab", 1, committed), ("homelab", 2, None)]);
        let (_, mut journal) = state.adopt_run(made[1].id().clone()).unwrap();
        journal.append(&JournalEntry::ByHand).unwrap();
        journal.append(&JournalEntry::Finished { outcome: Outcome::Committed }).unwrap();
        let found = state.last_committed("homelab", Path::new("/nowhere/inventory.yaml")).unwrap();
        assert_eq!(found.run, made[0].id().as_str());
        let error = made[1].left("homelab", Path::new("/nowhere/inventory.yaml")).unwrap_err();
        assert!(matches!(error, LeftError::Run(RunFault::RunChangedNothing { .. })), "{error}");
    }

    #[test]
    fn a_run_left_its_new_systems_or_if_it_was_rolled_back_its_old_ones() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let inventory = Path::new("/nowhere/inventory.yaml");
        let ends = [
            Some(Outcome::Committed),
            Some(Outcome::RolledBack),
            Some(Outcome::Split),
            Some(Outcome::Superseded),
            None,
        ];
        let made = runs(&state, &ends.map(|end| ("homelab", 4, end)));
        let left: Vec<_> = made.iter().map(|run| run.left("homelab", inventory)).collect();
        assert_eq!(left[0].as_ref().unwrap().systems[&vps()], system(5));
        assert_eq!(left[1].as_ref().unwrap().systems[&vps()], system(4));
        for (none, how) in left[2..].iter().zip(["split", "taken over", "its end"]) {
            let Err(LeftError::Run(fault)) = none else { panic!("{none:?}") };
            assert!(fault.to_string().contains(how) && fault.mend().is_some(), "{fault}");
        }
        assert!(matches!(made[0].left("office", inventory), Err(LeftError::Run(RunFault::RunOfOtherFleet { .. }))));
    }

    #[test]
    fn a_run_that_was_refused_before_it_began_has_nothing_to_go_back_to() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let (run, _journal) = state.create_run("homelab", SystemTime::now()).unwrap();
        let error = run.left("homelab", Path::new("/nowhere/inventory.yaml")).unwrap_err();
        assert!(matches!(error, LeftError::Run(RunFault::RunChangedNothing { .. })), "{error}");
    }
}
