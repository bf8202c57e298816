//! Changes that break the tunnel or the way to a host: everything goes back, and nothing restarts that can still be
//! reached.

use fleetdeploy::event::{Event, HostOutcome, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

const SWITCHED_BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };
const BY_GUARD: HostOutcome = HostOutcome::RolledBack { by_guard: true };

/// Both hosts change, `host` with this fault. Nobody is cut off by its own change, so nobody may restart.
fn is_rolled_back_without_a_reboot(fleet: &Fleet, host: &str, key: &str, fault: &str) {
    fleet.change(&["vps", "homeserver"]);
    fleet.set(host, key, fault);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    fleet.assert_on_old(&[]);
}

/// Only `host` changes, and is out of reach by it until its guard brings it back.
fn is_brought_back_by_its_guard(fleet: &Fleet, host: &str) {
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(pushed.host(host), &BY_GUARD);
    assert!(pushed.has(|event| matches!(event, Event::LeftToGuard { host: left, .. } if left.as_str() == host)));
    assert!(pushed.has(|event| matches!(event, Event::CameBack { host: back, .. } if back.as_str() == host)));
    fleet.assert_on_old(&[host]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_wrong_wireguard_key_on_the_vps_is_rolled_back_without_a_reboot() {
    is_rolled_back_without_a_reboot(&Fleet::up("key-vps"), "vps", "wg_key", "\"wrong\"");
}

/// Every second ping to the home server is lost, whoever sends it.
const LOSES_PINGS: &str = "nft 'table inet lossy { chain in { type filter hook input priority -10; \
                           iifname != \"lo\" icmp type echo-request numgen inc mod 2 0 drop; }; }'";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_line_that_loses_every_second_packet_is_not_down() {
    let fleet = Fleet::up("lossy");
    fleet.host("homeserver", LOSES_PINGS);
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    let was_down = |event: &Event| matches!(event, Event::LinksMoved { waiting_for, .. } if !waiting_for.is_empty());
    assert!(!pushed.has(was_down));
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_wrong_wireguard_key_on_the_home_server_is_undone_by_its_guard() {
    let fleet = Fleet::up("key-home");
    fleet.set("homeserver", "wg_key", "\"wrong\"");
    is_brought_back_by_its_guard(&fleet, "homeserver");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_home_server_cut_off_by_its_own_change_takes_the_vps_back_with_it() {
    let fleet = Fleet::up("cut-off");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "wg_key", "\"wrong\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &BY_GUARD));
    assert!(pushed.has(|event| matches!(event, Event::CameBack { host, .. } if host.as_str() == "homeserver")));
    fleet.assert_on_old(&["homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_home_server_cut_off_in_the_middle_of_its_test_by_the_vps_is_not_awaited_for_the_tests_whole_limit() {
    let fleet = Fleet::up("cut-in-test");
    // A limit that the guard of this inventory can just hold, and that nobody should have to wait for.
    fleet.write_inventory(&Inventory {
        guard: "10m",
        limits: "{connect: 10s, step: 10s, test: 6m, switch: 15s, rollback: 60s}",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "activate", "\"slow:25\"");
    fleet.set("vps", "wg_key", "\"wrong\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["test failed on homeserver: it is out of reach, and all others are through"]);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_firewall_on_the_vps_that_drops_new_vpn_connections_is_rolled_back_without_a_reboot() {
    is_rolled_back_without_a_reboot(&Fleet::up("fw-vpn-vps"), "vps", "fw", "\"drop-new-vpn\"");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_firewall_on_the_home_server_that_drops_new_vpn_connections_is_rolled_back_without_a_reboot() {
    is_rolled_back_without_a_reboot(&Fleet::up("fw-vpn-home"), "homeserver", "fw", "\"drop-new-vpn\"");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_missing_peer_on_the_vps_is_rolled_back_without_a_reboot() {
    is_rolled_back_without_a_reboot(&Fleet::up("no-peer"), "vps", "wg_no_peer", "[\"homeserver\"]");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_wrong_vpn_address_of_the_vps_is_rolled_back_without_a_reboot() {
    is_rolled_back_without_a_reboot(&Fleet::up("vpn-address"), "vps", "vpn_address", "\"10.100.0.99\"");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_wrong_address_of_the_vps_is_undone_by_its_guard() {
    let fleet = Fleet::up("address");
    fleet.set("vps", "address", "\"198.51.100.99\"");
    is_brought_back_by_its_guard(&fleet, "vps");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_new_wireguard_key_on_both_ends_at_once_is_committed() {
    let fleet = Fleet::up("new-key");
    fleet.set("vps", "wg_key", "2");
    fleet.set("homeserver", "wg_peer_keys", "{\"vps\": 2}");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_new_wireguard_key_on_one_end_only_is_rolled_back() {
    let fleet = Fleet::up("half-key");
    fleet.set("vps", "wg_key", "2");
    fleet.set("homeserver", "wg_peer_keys", "{\"vps\": 2}");
    let pushed = fleet.push(&["homelab", "--on", "vps"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &HostOutcome::Witness));
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_preshared_key_changed_in_place_is_rolled_back_though_the_old_session_hides_it_for_minutes() {
    let setup = Setup {
        params: r#"{"vps": {"psk": 1, "wg_apply": "in-place"}, "homeserver": {"psk": 1, "wg_apply": "in-place"}}"#,
        ..Setup::default()
    };
    let fleet = Fleet::made("psk", &setup);
    fleet.write_inventory(&Inventory { guard: "330s", ..Inventory::default() });
    fleet.set("vps", "psk", "2");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(pushed.host("vps"), &SWITCHED_BACK);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_witness_that_loses_the_tunnel_rolls_back_the_host_that_changed() {
    let fleet = Fleet::up("on-vps");
    fleet.set("vps", "wg_key", "\"wrong\"");
    let pushed = fleet.push(&["homelab", "--on", "vps"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &HostOutcome::Witness));
    assert!(!pushed.guard_was_armed("homeserver"));
    fleet.assert_on_old(&[]);
}
