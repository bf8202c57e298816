//! What commands that look ahead or go back refuse by themselves, before any host is asked: words and exits.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use fleetdeploy::decide::fact::Systems;
use fleetdeploy::event::Outcome;
use fleetdeploy::inventory::model::HostName;
use fleetdeploy::local::process::{Finished, Invocation};
use fleetdeploy::record::folder::State;
use fleetdeploy::record::journal::{Entry, HostStarted, Started};
use fleetdeploy::store_path::StorePath;
use pretty_assertions::assert_eq;

const INVENTORY: &str =
    "hosts: {vps: , nas: }\nfleets: {homelab: {hosts: all, flake: .}, office: {hosts: nas, flake: .}}\n";

/// A workstation that has pushed: an inventory, and a record of its runs.
struct Workstation {
    home: tempfile::TempDir,
}

impl Workstation {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("inventory.yaml"), INVENTORY).unwrap();
        Self { home }
    }

    /// A run of this fleet that ended so, and its id.
    fn run_of(&self, fleet: &str, outcome: Option<Outcome>) -> String {
        let state = State::at(self.home.path().join("state/fleetdeploy"));
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
        };
        let inventory = self.home.path().join("inventory.yaml");
        let started =
            Started { fleet: fleet.into(), inventory, epoch: 1, owner: "ada@laptop".into(), hosts: vec![host] };
        journal.append(&Entry::Started(started)).unwrap();
        if let Some(outcome) = outcome {
            journal.append(&Entry::Finished { outcome }).unwrap();
        }
        run.id().to_string()
    }

    async fn run(&self, words: &[&str]) -> Finished {
        Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60))
            .args(words)
            .env("XDG_STATE_HOME", self.home.path().join("state"))
            .env("TZ", "UTC")
            .folder(self.home.path())
            .run()
            .await
            .unwrap()
    }

    /// Exits with 2 and says this; no record of it is left, since nothing was begun.
    async fn refuses(&self, words: &[&str], wanted: &[&str]) {
        let runs = || std::fs::read_dir(self.home.path().join("state/fleetdeploy/runs")).map_or(0, Iterator::count);
        let before = runs();
        let finished = self.run(words).await;
        let said = finished.stderr_text();
        assert_eq!(finished.status, Some(2), "{words:?}: {said}");
        for text in wanted {
            assert!(said.contains(text), "{words:?} does not say {text:?}:\n{said}");
        }
        assert_eq!((finished.stdout_text(), runs()), (String::new(), before), "{words:?}");
    }
}

#[tokio::test]
async fn there_is_nothing_to_go_back_to_without_a_run_that_ended_well() {
    let workstation = Workstation::new();
    let none = ["no record of a committed run of fleet homelab", "--to @2026-11-20"];
    workstation.refuses(&["rollback", "homelab"], &none).await;
    workstation.refuses(&["rollback", "homelab", "--to", "last"], &["no record of any run"]).await;
    let split = workstation.run_of("homelab", Some(Outcome::Split));
    workstation.refuses(&["rollback", "homelab"], &none).await;
    workstation.refuses(&["rollback", "homelab", "--to", &split], &["ended as split", "fleetdeploy show"]).await;
    let other = workstation.run_of("office", Some(Outcome::Committed));
    workstation.refuses(&["rollback", "homelab", "--to", &other], &["not one of this fleet, but of office"]).await;
    let refused = workstation.run_of("homelab", Some(Outcome::Refused));
    workstation.refuses(&["rollback", "homelab", "--to", &refused], &["changed nothing", "fleetdeploy runs"]).await;
    workstation.refuses(&["rollback", "homelab", "--to", "20010101"], &["no run `20010101`"]).await;
}

#[tokio::test]
async fn a_time_or_a_generation_that_is_none_is_a_mistake_of_usage() {
    let workstation = Workstation::new();
    for (to, wanted) in [
        ("@yesterday", "write it like 2026-11-20"),
        ("@2999-01-01", "2999-01-01 00:00 UTC has not been yet"),
        ("41", "choose one with --on HOST"),
    ] {
        workstation.refuses(&["rollback", "homelab", "--to", to], &[wanted]).await;
    }
    workstation.refuses(&["rollback", "homelab", "--to", "41", "--on", "web"], &["no host matches `web`"]).await;
}

#[tokio::test]
async fn without_a_terminal_nobody_is_asked() {
    let workstation = Workstation::new();
    workstation.run_of("homelab", Some(Outcome::Committed));
    for command in ["push", "rollback"] {
        workstation.refuses(&[command, "homelab", "--ask"], &["--ask needs a terminal", "--dry-run"]).await;
    }
}

#[tokio::test]
async fn a_plan_and_a_difference_without_their_systems_exit_with_1() {
    let workstation = Workstation::new();
    for words in [["plan", "homelab"], ["diff", "homelab"]] {
        let finished = Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60))
            .args(words)
            .env("XDG_STATE_HOME", workstation.home.path().join("state"))
            // Neither nix nor a host is there; ssh is.
            .env("PATH", ssh_alone(workstation.home.path()))
            .folder(workstation.home.path())
            .run()
            .await
            .unwrap();
        assert_eq!(finished.status, Some(1), "{words:?}: {}", finished.stderr_text());
        let page = finished.stdout_text();
        assert!(page.is_empty() || page.starts_with("homelab: would be refused"), "{words:?}: {page}");
    }
    assert!(!workstation.home.path().join("state/fleetdeploy/runs").exists(), "a plan leaves no record");
}

/// A folder with an ssh that answers what is asked of its config, and logs in nowhere.
fn ssh_alone(home: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = home.join("programs");
    std::fs::create_dir_all(&folder).unwrap();
    let ssh = folder.join("ssh");
    let text =
        "#!/bin/sh\nfor word; do [ \"$word\" != -G ] || { echo 'hostname nowhere.invalid'; exit 0; }; done\nexit 255\n";
    std::fs::write(&ssh, text).unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder.display().to_string()
}
