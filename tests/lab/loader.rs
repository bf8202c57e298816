//! Boot loaders that cannot be installed, in phase 9, when one host may already be permanent.

use fleetdeploy::event::{HostOutcome, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::wait::seconds;

const SWITCHED_BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };

/// Both hosts go back, profile, generations and menu too, and a normal rebuild works afterwards.
fn both_are_back_and_can_be_rebuilt(fleet: &mut Fleet, said: &str) {
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    pushed.assert_says(None, &["homeserver", said]);
    fleet.assert_on_old(&[]);

    fleet.set("homeserver", "loader", "null");
    for host in ["vps", "homeserver"] {
        let rebuilt = fleet.rebuild_by_hand(host, "switch");
        assert!(rebuilt.status.success(), "a rebuild of {host}: {}", crate::fleet::text(&rebuilt.stderr));
    }
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_boot_loader_that_cannot_be_installed_on_one_host_brings_both_back() {
    let mut fleet = Fleet::up("loader-fails");
    fleet.set("homeserver", "loader", "\"fails\"");
    both_are_back_and_can_be_rebuilt(&mut fleet, "the boot loader cannot be installed");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_full_boot_partition_brings_both_back_and_is_not_left_full() {
    let mut fleet = Fleet::up("boot-full");
    fleet.set("homeserver", "loader", "\"full\"");
    both_are_back_and_can_be_rebuilt(&mut fleet, "No space left");
    assert_eq!(fleet.host("homeserver", "ls /boot/EFI/nixos | grep -c tmp || true").trim(), "0");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn the_leftover_of_a_killed_loader_install_does_not_stop_a_push() {
    let fleet = Fleet::up("loader-tmp");
    fleet.change(&["vps", "homeserver"]);
    fleet.host("vps", "echo half >/boot/loader/loader.tmp");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(pushed.took < seconds(120));
    fleet.assert_on_new(&["vps", "homeserver"]);
}
