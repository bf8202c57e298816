//! Rare reasons that only a real Nix, a real host or a full disk bring about: each is told with its code.

use std::collections::BTreeSet;

use crate::codes;
use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;

/// Hosts whose systems are wrong, each in its own way.
const FLAKE: &str = r#"{
  outputs = { self }: let
    make = name: script: derivation {
      inherit name; system = "@SYSTEM@"; builder = "/bin/sh"; args = [ "-c" script ];
    };
    slow = make "slow" "while :; do :; done";
    top = system: { config.system.build.toplevel = system; };
  in {
    deploy = 3;
    nixosConfigurations = {
      good = top (make "nixos-system-good-1" "echo fine > $out");
      text = top "hello";
      slow = top slow;
      waits = top (builtins.readFile slow);
      old = builtins.trace "warning: an option of old has a new name" (top (make "nixos-system-old-1" "echo > $out"));
      foreign = top (derivation { name = "nixos-system-foreign-1"; system = "riscv64-linux"; builder = "/bin/sh"; });
      floating = top (derivation {
        name = "nixos-system-floating-1"; system = "@SYSTEM@"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ];
        __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
      });
    };
  };
}
"#;

/// Fails unless these codes were told.
pub(crate) fn assert_tells(pushed: &Pushed, wanted: &[&str]) {
    let mut told = BTreeSet::new();
    pushed.events().for_each(|event| codes::of(&serde_json::to_value(event).unwrap(), &mut told));
    let untold: Vec<_> = wanted.iter().filter(|code| !told.contains(**code)).collect();
    assert!(untold.is_empty(), "{untold:?} is not among {told:?}\n{}", pushed.stdout);
}

/// An inventory of this one host with a system of the flake.
fn write_sick(fleet: &Fleet, host: &str, of_fleet: &str) {
    let text = format!("hosts:\n  {host}\nfleets: {{lab: {{hosts: all, {of_fleet}}}}}\n");
    fleet.write("sick/inventory.yaml", &text);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn why_there_is_no_system_has_a_code() {
    let fleet = Fleet::made("no-system", &Setup { hosts: &["vps"], ..Setup::default() });
    let system = format!("{}-linux", std::env::consts::ARCH);
    fleet.ws("mkdir -p sick");
    fleet.write("sick/flake.nix", &FLAKE.replace("@SYSTEM@", &system));
    let tells = |host: &str, of_fleet: &str, env: &[&str], wanted: &[&str]| {
        write_sick(&fleet, host, of_fleet);
        assert_tells(&fleet.query_in(env, &["--inventory", "sick/inventory.yaml", "build", "lab"]), wanted);
    };
    tells("ghost:", "flake: .", &[], &["attribute-missing"]);
    tells("text:", "flake: .", &[], &["attribute-no-derivation"]);
    tells("good:", "flake: ./nowhere", &[], &["evaluation-failed"]);
    tells("old:", "flake: .", &[], &["evaluation-warning"]);
    tells("foreign:", "flake: .", &[], &["builder-missing"]);
    tells("slow:", "flake: ., build_limit: 3s", &[], &["build-failed"]);
    tells("waits:", "flake: ., build_limit: 3s", &[], &["evaluation-not-ended"]);
    tells(
        "floating:",
        "flake: .",
        &["NIX_CONFIG=extra-experimental-features = ca-derivations"],
        &["system-path-unknown"],
    );
    let import = |tool: &str| fleet.query(&["inventory", "import", "--from", tool, "path:/root/fleet/sick"]);
    assert_tells(&import("deploy-rs"), &["output-strange"]);
    assert_tells(&import("colmena"), &["output-missing"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn why_a_guard_by_hand_is_not_touched_has_a_code() {
    let fleet = Fleet::up("guard-codes");
    let guard = |word: &str| fleet.query(&["guard", word, "homelab"]);
    // The same person's machine under another name is another one's.
    let by_another = |word: &str| {
        let script = format!("hostname another && exec fleetdeploy --json guard {word} homelab");
        fleet.query_by(&["unshare", "--uts", "sh", "-c", &script])
    };
    assert_tells(&guard("extend"), &["no-guard-armed"]);
    assert_eq!(guard("arm").status, Some(0));
    assert_tells(&guard("arm"), &["guard-armed-before"]);
    assert_tells(&fleet.query(&["doctor", "homelab"]), &["hand-guard-open", "guard-armed-by-hand"]);
    assert_tells(&by_another("extend"), &["guard-of-another"]);
    assert_tells(&by_another("disarm"), &["guard-of-another-to-disarm"]);
    // Its process is gone, and nothing of it will ever act.
    fleet.host("vps", "systemctl stop fleetdeploy-guard || ! systemctl --quiet is-active fleetdeploy-guard");
    assert_tells(&guard("extend"), &["guard-dead"]);
    assert_eq!(guard("disarm").status, Some(0));
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_a_full_or_a_read_only_disk_of_the_workstation_keeps_from_a_command_has_a_code() {
    let fleet = Fleet::made("full-codes", &Setup { hosts: &["vps"], ..Setup::default() });
    fleet.write_inventory(&Inventory { checks: "[]", ..Inventory::default() });
    let inside = |mounts: &str, words: &str| {
        let script = format!("{mounts} && exec fleetdeploy --json {words}");
        fleet.query_by(&["unshare", "--mount", "sh", "-c", &script])
    };
    assert_tells(&inside("mount -t tmpfs -o ro none /tmp", "check homelab"), &["sockets-have-no-place"]);
    let read_only = "mkdir -p /tmp/state && mount -t tmpfs -o ro none /tmp/state && export XDG_STATE_HOME=/tmp/state";
    assert_tells(&inside(read_only, "doctor homelab"), &["records-unwritable", "not-writable"]);
    // Of a report that is larger than what is left only the beginning is there.
    fleet.push(&["homelab"]).assert_ended(0, fleetdeploy::event::Outcome::Unchanged);
    let full =
        "mkdir -p /tmp/full && mount -t tmpfs -o size=4k none /tmp/full && ! head -c 9000 /dev/zero >/tmp/full/all";
    assert_tells(&inside(full, "show last --report --output /tmp/full/report"), &["report-cut-short"]);
}
