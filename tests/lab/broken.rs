//! Links that were down before the push.

use fleetdeploy::event::Outcome;

use crate::fleet::Fleet;
use crate::inventory::Inventory;

const WITH_A_CLOSED_PORT: &str = "- vpn: mesh\n- name: the database\n  tcp: 5432\n  to: vps\n  from: homeserver\n";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_link_that_was_down_before_rolls_back_and_the_push_says_that_it_was() {
    let fleet = Fleet::up("was-down");
    fleet.write_inventory(&Inventory { checks: WITH_A_CLOSED_PORT, ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["homeserver -> vps (tcp", "was down before", "--allow-broken"]);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_link_that_was_down_before_may_stay_down_with_allow_broken() {
    let fleet = Fleet::up("allow-broken");
    fleet.write_inventory(&Inventory { checks: WITH_A_CLOSED_PORT, ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    let planned = fleet.plain(&["plan", "homelab", "--allow-broken"]).stdout;
    let accepted = "accepted as they are, down (--allow-broken)\n  - homeserver -> vps (tcp)\n";
    assert!(planned.contains(accepted), "{planned}");
    let pushed = fleet.push(&["homelab", "--allow-broken"]);
    pushed.assert_ended(0, Outcome::Committed);
    let said =
        "every host runs what it was to run; 4 of 5 required links are up; accepted as down: homeserver -> vps (tcp)";
    assert_eq!(pushed.finished().1, said);
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn allow_broken_accepts_no_link_that_was_up_before() {
    let fleet = Fleet::up("newly-broken");
    fleet.write_inventory(&Inventory {
        checks: "- vpn: mesh\n- tcp: 5432\n  to: vps\n  from: homeserver\n- tcp: 8080\n  to: vps\n  from: homeserver\n",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    fleet.set("vps", "app", "false");
    fleet.push(&["homelab", "--allow-broken"]).assert_ended(1, Outcome::RolledBack);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_mends_a_link_is_committed() {
    let fleet = Fleet::made(
        "mends",
        &crate::fleet::Setup { params: r#"{"vps": {"app": false}}"#, ..crate::fleet::Setup::default() },
    );
    fleet.write_inventory(&Inventory {
        checks: "- vpn: mesh\n- tcp: 8080\n  to: vps\n  from: homeserver\n",
        ..Inventory::default()
    });
    fleet.set("vps", "app", "true");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_optional_check_that_is_down_only_reports() {
    let fleet = Fleet::up("not-required");
    fleet.write_inventory(&Inventory {
        checks: "- vpn: mesh\n- tcp: 5432\n  to: vps\n  from: homeserver\n  required: false\n",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}
