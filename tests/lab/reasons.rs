//! Rare reasons that only a real Nix, a real host or a full disk bring about: each is told with its code.

use std::collections::BTreeSet;
use std::io::Write as _;

use fleetdeploy::event::Outcome;
use pretty_assertions::{assert_eq, assert_ne};

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
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Unchanged);
    let full =
        "mkdir -p /tmp/full && mount -t tmpfs -o size=4k none /tmp/full && ! head -c 9000 /dev/zero >/tmp/full/all";
    assert_tells(&inside(full, "show last --report --output /tmp/full/report"), &["report-cut-short"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_a_plan_cannot_find_out_or_bring_and_what_a_refused_push_leaves_has_a_code() {
    let fleet = Fleet::made("plan-codes", &Setup { hosts: &["vps", "web"], disk: "64m", ..Setup::default() });
    let inventory = Inventory { checks: "[]", hosts: &[("web", "optional: true")], ..Inventory::default() };
    let text = inventory.text(&["vps", "web"]).replace("checks:\n      []", "checks: []");
    fleet.write("inventory.yaml", &text);
    let plan = |words: &[&str]| fleet.run_json(&[&["plan", "homelab", "--on", "vps"], words].concat());

    // A system of another interface can be activated only by a reboot.
    fleet.set("vps", "init_interface", "3");
    let planned = plan(&["--units"]);
    assert_eq!(planned.status, Some(0), "{}", planned.stdout);
    assert_tells(&planned, &["units-not-known", "only-by-reboot"]);
    fleet.set("vps", "init_interface", "null");

    // What was booted is on the host alone, and that loses the shell that is to compare.
    fleet.change(&["vps"]);
    fleet.copy_by_hand("vps");
    let old = &fleet.before("vps").current;
    fleet.ws(&format!("! [ -e {old} ] || nix-store --delete --ignore-liveness {old}"));
    fleet.host(
        "vps",
        "cp \"$(readlink -f /run/current-system/sw/bin/nix-store)\" /root/nix-store && \
         printf '#!/bin/sh\\ncase $* in *--version) echo nix 2.26 && exit ;; esac\\n%s\\n' \
             'kill -9 $(ps -o ppid= -p $PPID)' >/root/kills && chmod +x /root/kills && \
         mount --bind /root/kills \"$(readlink -f /run/current-system/sw/bin/nix-store)\"",
    );
    let planned = plan(&[]);
    assert_eq!(planned.status, Some(0), "{}", planned.stdout);
    assert_tells(&planned, &["differences-not-known", "packages-not-known", "reboot-not-known"]);
    fleet.host("vps", "umount \"$(readlink -f /run/current-system/sw/bin/nix-store)\"");

    // At the first address another machine answers.
    let known = fleet.ws("cat ~/.ssh/known_hosts");
    let line = |address: &str| known.lines().find(|line| line.starts_with(address)).unwrap();
    let strange = line("198.51.100.30").split(' ').next().unwrap();
    let key = line("198.51.100.10").split_once(' ').unwrap().1;
    fleet.write("/root/.ssh/known_hosts", &known.replace(line("198.51.100.30"), &format!("{strange} {key}")));
    fleet.write("inventory.yaml", &text.replace("address: 198.51.100.10", "addresses: [198.51.100.30, 198.51.100.10]"));
    let planned = plan(&[]);
    assert_eq!(planned.status, Some(0), "{}", planned.stdout);
    assert_tells(&planned, &["address-passed-over"]);
    fleet.write("/root/.ssh/known_hosts", &known);
    fleet.write("inventory.yaml", &text);

    fleet.set("vps", "size", "100");
    let planned = plan(&[]);
    assert_eq!(planned.status, Some(1), "{}", planned.stdout);
    assert_tells(&planned, &["systems-not-bringable"]);
    fleet.set("vps", "size", "0");

    // Nobody who was to be rebooted is there.
    fleet.cable("web", "down");
    let none = fleet.run_json(&["reboot", "homelab", "--on", "web"]);
    assert_tells(&none, &["nobody-to-reboot"]);
    none.assert_ended(1, Outcome::Refused);

    fleet.cable("web", "up");
    fleet.assert_reachable();

    // The host is gone when it is to be told to reboot: between that and its lease it waits for the slower one's.
    let sync = |host: &str, at: u32, does: &str| {
        let script = format!(
            "echo >>/root/syncs\n[ \"$(wc -l </root/syncs)\" != {at} ] || {{ {does}\n}}\nexec /root/sync \"$@\""
        );
        fleet.host(
            host,
            &format!(
                "its=$(readlink -f /run/current-system/sw/bin/sync) && cp \"$its\" /root/sync && \
                 {{ echo '#!/bin/sh'; echo '{script}'; }} >/root/syncs-and && chmod +x /root/syncs-and && \
                 mount --bind /root/syncs-and \"$its\""
            ),
        );
    };
    // Each lease is written to the disk in two steps, and written again before the wave.
    sync("vps", 4, "setsid sh -c \"sleep 1; systemctl stop sshd; pkill -KILL sshd\" >/dev/null 2>&1 </dev/null &");
    sync("web", 4, "sleep 5");
    let gone = fleet.run_json(&["reboot", "homelab", "--on", "vps"]);
    assert_tells(&gone, &["host-not-rebooted", "reboot-not-delivered"]);
    gone.assert_ended(1, Outcome::Refused);
    // Nor could it be let go.
    fleet.host("vps", "systemctl start sshd");
    fleet.assert_reachable();
    fleet.recover("laptop", &["homelab"]).assert_ended(0, Outcome::PartlyRebooted);

    // While a person reads the record goes, or the host, whose roots are to be removed after a no.
    let asked = |meanwhile: &dyn Fn(), typed: &[u8], says: &str| {
        let mut asked = fleet.on_terminal("push homelab --on vps --ask");
        asked.wait_for_text("push homelab now? [y/N] ");
        meanwhile();
        asked.stdin().write_all(typed).unwrap();
        let asked = asked.ended();
        assert_eq!(asked.status, Some(1), "{}", asked.stdout);
        assert!(asked.stdout.contains(says), "{says}: {}", asked.stdout);
    };
    let spoils = "cd ~/.local/state/fleetdeploy/runs && cd \"$(ls -t | head -n 1)\" && \
                  mkdir other && mv --exchange -T other journal.jsonl";
    asked(&|| _ = fleet.ws(spoils), b"y\n", "the run's record cannot be written: ");
    let roots = "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null || true";
    assert_eq!(fleet.host("vps", roots), "");
    asked(&|| fleet.cable("vps", "down"), b"n\n", "roots of this run are left on it");
    fleet.cable("vps", "up");
    assert_ne!(fleet.host("vps", roots), "");
    assert_eq!(fleet.boots("vps"), 1);
}
