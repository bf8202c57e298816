//! Activations that go wrong, or only look so.

use fleetdeploy::event::{HostOutcome, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::wait::seconds;

const SWITCHED_BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };

fn is_rolled_back(test: &str, key: &str, fault: &str, said: &str) {
    let fleet = Fleet::up(test);
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", key, fault);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    pushed.assert_says(None, &["homeserver", said]);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_unit_that_fails_rolls_back_every_host() {
    is_rolled_back("unit-fails", "unit_fails", "true", "fails.service");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_unit_that_crashes_again_and_again_rolls_back_every_host() {
    is_rolled_back("crash-loop", "unit_crash_loops", "true", "crashloop.service");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_activation_that_fails_rolls_back_every_host() {
    is_rolled_back("activation-fails", "activate", "\"fails\"", "activation script snippet 'lab' failed");
}

/// switch-to-configuration falls over such a mount, in the push and on the way back, and leaves it in its list.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_mount_that_is_changed_and_not_mounted_is_no_reason_to_wait_for_the_guard() {
    let mount = |size: u8| serde_json::json!(format!("tmpfs /mnt/scratch tmpfs noauto,size={size}m 0 0\n"));
    let params = serde_json::json!({ "homeserver": { "fstab": mount(1) } }).to_string();
    let fleet = Fleet::made("fstab", &Setup { params: &params, ..Setup::default() });
    fleet.write_inventory(&Inventory::default());
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "fstab", &mount(2).to_string());
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    pushed.assert_says(None, &["homeserver", "(status 1): Failed to get unit mnt-scratch.mount"]);
    assert_eq!(fleet.host("homeserver", "ls /run/nixos"), "switch-to-configuration.lock\n");
    fleet.assert_on_old(&[]);
    // Where it is mounted, it is mounted anew.
    fleet.host("homeserver", "mkdir -p /mnt/scratch; systemctl start mnt-scratch.mount");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    assert!(fleet.host("homeserver", "findmnt -no OPTIONS /mnt/scratch").contains("size=2048k"));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_activation_that_kills_its_own_ssh_session_is_committed() {
    let fleet = Fleet::up("kills-ssh");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("vps", "activate", "\"kills-ssh\"");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_activation_that_takes_longer_than_keepalives_last_is_committed() {
    let fleet = Fleet::up("slow");
    fleet.write_inventory(&Inventory {
        guard: "120s",
        limits: "{connect: 10s, step: 10s, test: 45s, switch: 15s, rollback: 20s}",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "activate", "\"slow:25\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(pushed.took > seconds(25));
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_activation_that_takes_longer_than_its_limit_is_ended_and_rolled_back() {
    let fleet = Fleet::up("too-slow");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "activate", "\"slow:300\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(pushed.host("vps"), &SWITCHED_BACK);
    let HostOutcome::RolledBack { by_guard } = *pushed.host("homeserver") else {
        panic!("{:?}", pushed.host("homeserver"))
    };
    fleet.assert_on_old(if by_guard { &["homeserver"] } else { &[] });
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_activation_that_crashes_the_machine_rolls_back_the_other_host() {
    let fleet = Fleet::up("crash");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "activate", "\"crash\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(pushed.host("vps"), &SWITCHED_BACK);
    fleet.assert_on_old(&["homeserver"]);
}
