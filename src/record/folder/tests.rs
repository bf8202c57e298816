use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use pretty_assertions::assert_eq;

use super::*;
use crate::event::Outcome;
use crate::record::RecordError;
use crate::record::journal;
use crate::record::run_id::RunId;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_state_folder_follows_the_xdg_rules() {
    let locate = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        StateFolder::locate(move |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.into())).ok()
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
    assert_eq!(state.open_run(late.id()).as_ref(), Some(&late));
    let other = RunId::parse("20261122-161500-homelab-3f9c").unwrap();
    assert_eq!(state.open_run(&other), None);
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
            provenance: None,
        };
        journal.append(&journal::JournalEntry::Started(started)).unwrap();
        for entry in entries {
            journal.append(entry).unwrap();
        }
        run.id().clone()
    };
    let finished = |outcome| journal::JournalEntry::Finished { outcome };
    let found = |of: Option<(&str, &Path)>| state.unfinished(of).unwrap().map(|unfinished| unfinished.run.id().clone());
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
        provenance: None,
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
