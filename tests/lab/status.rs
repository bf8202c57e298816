//! How every host is.

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::exec::answer;
use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

/// The short words of a host's troubles.
fn troubles(host: &Value) -> Vec<&str> {
    let troubles = host["troubles"].as_array().unwrap_or_else(|| panic!("{host}"));
    troubles.iter().map(|trouble| trouble["short"].as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_fleet_that_is_well_is_a_table_of_ok() {
    let fleet = Fleet::made("status", &Setup { hosts: &["vps", "homeserver", "web"], ..Setup::default() });
    fleet.write_inventory(&Inventory { defaults: "user: deploy", ..Inventory::default() });
    let before = fleet.logins("vps");
    let shown = fleet.plain(&["status"]);
    assert_eq!(shown.status, Some(0), "{}", shown.stderr);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", shown.stdout);
    assert!(lines[1..].iter().all(|line| line.ends_with("  ok")), "{}", shown.stdout);
    assert!(lines.iter().all(|line| line.len() <= 80), "{}", shown.stdout);
    // One login and one command; the jump's login carries the home server's, too.
    let after = fleet.logins("vps");
    assert_eq!((after.connections - before.connections, after.commands - before.commands), (1, 1));

    let built = fleet.query(&["status", "homelab", "--build"]);
    assert_eq!(built.status, Some(0));
    let hosts = answer(&built.lines)["hosts"].as_array().unwrap();
    let system = fleet.system("web");
    let web = &hosts[2];
    let standing = &web["condition"]["facts"]["standing"];
    assert_eq!((&web["flake"], &web["answered"]), (&"current".into(), &true.into()));
    assert_eq!(standing["systems"]["current"], system);
    assert_eq!(standing["booted"], system);
    assert!(web["condition"]["generation_made"].as_u64().is_some(), "{web}");
    fleet.change(&["web"]);
    let built = fleet.query(&["status", "homelab", "--build", "--except", "vps"]);
    let hosts = answer(&built.lines)["hosts"].as_array().unwrap();
    let flake: Vec<_> = hosts.iter().map(|host| (host["host"].as_str().unwrap(), &host["flake"])).collect();
    assert_eq!(flake, [("homeserver", &"current".into()), ("web", &"differs".into())]);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_is_not_as_it_should_be_has_its_word_and_its_mend() {
    let mut fleet = Fleet::up("status-bad");
    // By hand: a new kernel is active and is what a reboot brings; on the other host only active.
    fleet.set("vps", "kernel", "\"6.12.9\"");
    fleet.rebuild_by_hand("vps", "switch");
    fleet.set("homeserver", "version", "\"2\"");
    fleet.rebuild_by_hand("homeserver", "test");
    fleet.host("homeserver", "systemd-run -q --unit=broken false; until systemctl -q is-failed broken; do :; done");
    let asked = fleet.query(&["status", "homelab"]);
    assert_eq!(asked.status, Some(0), "drift is no failure");
    let hosts = answer(&asked.lines)["hosts"].as_array().unwrap();
    assert_eq!(troubles(&hosts[0]), ["reboot"], "{}", hosts[0]);
    assert_eq!(troubles(&hosts[1]), ["drift", "1 failed"], "{}", hosts[1]);
    let drift = hosts[1]["drift"].as_str().unwrap();
    assert!(drift.starts_with("a reboot brings homeserver-25.11.1"), "{drift}");

    fleet.power("homeserver", "off");
    let shown = fleet.plain(&["status", "homelab"]);
    assert_eq!(shown.status, Some(1));
    assert!(shown.stdout.contains("homeserver  ") && shown.stdout.contains("no answer"), "{}", shown.stdout);
    assert!(shown.stdout.contains("kernel"), "{}", shown.stdout);
    fleet.power("homeserver", "on");
    fleet.assert_reachable();
    fleet.restarted("homeserver");
}
