//! Signals, a killed workstation, cut cables, machines that restart: at the worst moments.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::{Inventory, KILLED_IN_VERIFY};
use crate::wait::{seconds, until};

const SWITCHED_BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };

/// A link that never comes up holds verify open for its whole settle time.
const OPEN_VERIFY: Inventory = Inventory {
    defaults: "user: root",
    guard: "120s",
    settle: "40s",
    steady: "0s",
    boot_time: "40s",
    limits: "{connect: 10s, step: 10s, test: 20s, switch: 15s, rollback: 20s}",
    hosts: &[],
    checks: "- vpn: mesh\n- tcp: 5432\n  to: vps\n  from: homeserver\n",
    source: "flake: .",
};

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_signal_in_verify_rolls_back_and_ends_with_the_signals_status() {
    let fleet = Fleet::up("signals");
    fleet.write_inventory(&OPEN_VERIFY);
    fleet.change(&["vps", "homeserver"]);
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let push = fleet.start(&["homelab"]);
        push.wait_for_phase(Phase::Verify);
        push.signal(signal);
        push.ended().assert_ended(status, Outcome::RolledBack);
        fleet.assert_on_old(&[]);
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_killed_workstation_leaves_the_fleet_to_its_guards() {
    let fleet = Fleet::up("killed");
    fleet.write_inventory(&KILLED_IN_VERIFY);
    fleet.change(&["vps", "homeserver"]);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    push.signal("KILL");
    for host in ["vps", "homeserver"] {
        until(seconds(180), &format!("{host} is brought back by its guard"), || (fleet.boots(host) == 2).then_some(()));
    }
    fleet.assert_reachable();
    for host in ["vps", "homeserver"] {
        let (now, before) = (fleet.standing(host), fleet.before(host).clone());
        assert_eq!(
            (&now.current, &now.profile, &now.boot_default),
            (&before.current, &before.profile, &before.boot_default)
        );
        assert_eq!((&now.generations, &now.entries), (&before.generations, &before.entries));
        // The trace of the guard, for `recover` and the next survey.
        assert!(now.leftovers.iter().any(|file| file.ends_with("/trace")), "{:?}", now.leftovers);
        assert!(
            !now.leftovers.iter().any(|file| file.starts_with("/run") || file.starts_with("unit")),
            "{:?}",
            now.leftovers
        );
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_cable_cut_in_verify_and_mended_soon_is_rolled_back_without_a_reboot() {
    let fleet = Fleet::up("cable");
    fleet.write_inventory(&OPEN_VERIFY);
    fleet.change(&["vps", "homeserver"]);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    fleet.cable("vps", "down");
    push.wait_for("roll back", |event| matches!(event, Event::RollBackStarted { .. }).then_some(()));
    fleet.cable("vps", "up");
    let pushed = push.ended();
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_power_cut_of_a_host_in_verify_rolls_back_the_other() {
    let fleet = Fleet::up("power");
    fleet.write_inventory(&OPEN_VERIFY);
    fleet.change(&["vps", "homeserver"]);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    fleet.power("homeserver", "cut");
    let pushed = push.ended();
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(pushed.host("vps"), &SWITCHED_BACK);
    fleet.assert_on_old(&["homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_workstation_that_loses_its_link_in_test_and_gets_it_back_commits() {
    let fleet = Fleet::up("laptop");
    // Time enough to notice that the link is gone (15 s), and to come back after it is there again.
    fleet.write_inventory(&Inventory {
        guard: "150s",
        settle: "25s",
        limits: "{connect: 10s, step: 10s, test: 50s, switch: 15s, rollback: 20s}",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "activate", "\"slow:10\"");
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Test);
    fleet.cable("laptop", "down");
    push.wait_for("contact lost", |event| matches!(event, Event::ContactLost { .. }).then_some(()));
    fleet.cable("laptop", "up");
    push.ended().assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}
