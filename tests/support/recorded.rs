//! Runs that a workstation has a record of.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use fleetdeploy::event::Outcome;
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::facts::systems::Systems;
use fleetdeploy::inventory::model::HostName;
use fleetdeploy::record::folder::StateFolder;
use fleetdeploy::record::journal::{HostStarted, JournalEntry, RunStarted};

/// A run of this fleet that ended so, and its id; `home` has the inventory and the record.
pub(crate) fn run_of(home: &Path, fleet: &str, outcome: Option<Outcome>) -> String {
    let state = StateFolder::at(home.join("state/fleetdeploy"));
    let (run, mut journal) = state.create_run(fleet, SystemTime::now()).unwrap();
    let system =
        |version: u32| StorePath::new(format!("/nix/store/{}-nixos-system-vps-{version}", "a".repeat(32))).unwrap();
    let host = HostStarted {
        host: HostName::new("vps").unwrap(),
        machine_id: "m".into(),
        boot_id: "b".into(),
        old: Systems::all(&system(1)),
        generation: 1,
        new: system(2),
        changes: true,
        guarded_for: None,
    };
    let inventory = home.join("inventory.yaml");
    let started = RunStarted {
        fleet: fleet.into(),
        inventory,
        epoch: 1,
        owner: "ada@laptop".into(),
        hosts: vec![host],
        without: BTreeSet::new(),
        provenance: None,
    };
    journal.append(&JournalEntry::Started(started)).unwrap();
    if let Some(outcome) = outcome {
        journal.append(&JournalEntry::Finished { outcome }).unwrap();
    }
    run.id().to_string()
}
