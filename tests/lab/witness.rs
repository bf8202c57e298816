//! Witnesses: hosts that a push does not change, and that still tell what it does to them.

use fleetdeploy::event::{HostOutcome, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

const BOTH: [&str; 2] = ["vps", "homeserver"];

fn assert_never_armed(fleet: &Fleet, host: &str) {
    assert_eq!(fleet.host(host, "journalctl -q -o cat -u fleetdeploy-guard -u fleetdeploy-job"), "", "{host}");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_was_left_out_is_not_changed_and_still_a_witness() {
    let fleet = Fleet::up("left-out");
    fleet.change(&BOTH);
    // Not even evaluated.
    fleet.set("homeserver", "eval", "\"throws\"");
    let pushed = fleet.push(&["homelab", "--on", "vps"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&HostOutcome::Committed, &HostOutcome::Witness));
    fleet.assert_on_new(&["vps"]);
    assert_never_armed(&fleet, "homeserver");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_link_that_no_changed_host_can_mend_refuses_the_push() {
    let fleet = Fleet::up("hopeless");
    // Nobody has that address, and the host that looks for it is a witness.
    let checks = "- vpn: mesh\n- ping: 198.51.100.77\n  from: vps";
    fleet.write_inventory(&Inventory { checks, ..Inventory::default() });
    fleet.change(&BOTH);
    let pushed = fleet.push(&["homelab", "--on", "homeserver"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(None, &["vps -> 198.51.100.77", "no host that this push changes can mend it", "--allow-broken"]);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_witness_that_is_off_refuses_before_anything_is_touched_unless_its_links_are_accepted() {
    let fleet = Fleet::made("witness-off", &Setup { hosts: &["vps", "homeserver", "web"], ..Setup::default() });
    fleet.change(&["vps", "homeserver"]);
    fleet.power("web", "off");
    // vps could be why web is not seen, and it is not: nobody is to wait for that, and be rolled back.
    let pushed = fleet.push(&["homelab", "--on", "vps,homeserver"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("web"), &["this witness does not answer", "is needed as a witness", "--without web"]);
    assert!(BOTH.iter().all(|host| !pushed.guard_was_armed(host)));
    let pushed = fleet.push(&["homelab", "--on", "vps,homeserver", "--allow-broken"]);
    pushed.assert_ended(0, Outcome::Committed);
    pushed.assert_says(None, &["4 of 12 required links are up", "accepted as down: vps -> web (ping), "]);
    for host in BOTH {
        assert_eq!(fleet.standing(host), fleet.before(host).moved_to(&fleet.system(host)));
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_witness_that_is_off_refuses_a_reboot_before_the_first_host_goes_down_and_its_words_lead_on() {
    let fleet = Fleet::made("witness-boot", &Setup { hosts: &["vps", "homeserver", "web"], ..Setup::default() });
    fleet.power("web", "off");
    let words = ["reboot", "homelab", "--on", "homeserver"];
    let refused = fleet.start_any("laptop", &words).ended();
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(Some("web"), &["this witness does not answer", "is needed as a witness", "--without web"]);
    assert_eq!(fleet.boots("homeserver"), 1);
    let without = [&words[..], &["--without", "web"]].concat();
    fleet.start_any("laptop", &without).ended().assert_ended(0, Outcome::Rebooted);
    assert_eq!(BOTH.map(|host| fleet.boots(host)), [1, 2]);
}
