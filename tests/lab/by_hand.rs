//! The guard of a person who works by hand.

use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_guard_by_hand_that_fires_takes_back_what_was_tested_by_hand() {
    let fleet = Fleet::up("byhand");
    let armed = fleet.plain(&["guard", "arm", "homelab", "--guard", "25s"]);
    assert_eq!(armed.status, Some(0), "{}{}", armed.stdout, armed.stderr);
    assert!(armed.stdout.contains("fires in ") && armed.stdout.contains("guard disarm homelab"), "{}", armed.stdout);
    fleet.change(&["vps"]);
    let tested = fleet.rebuild_by_hand("vps", "test");
    assert!(tested.status.success());
    assert_ne!(fleet.standing("vps").current, fleet.before("vps").current, "nothing was tested");
    // What only runs, and is no way to come up again, is not left without its guard.
    let disarmed = fleet.plain(&["guard", "disarm", "homelab"]);
    assert_eq!(disarmed.status, Some(1), "{}", disarmed.stderr);
    assert!(disarmed.stderr.contains("nixos-rebuild switch"), "{}", disarmed.stderr);
    // A firewall that was changed by hand shows in no system: the home server goes back as well.
    for host in BOTH {
        until(seconds(90), &format!("the guard of {host}"), || (fleet.boots(host) == 2).then_some(()));
        fleet.wait_until_up(host);
    }
    fleet.assert_reachable();
    let status = fleet.plain(&["guard", "status", "homelab"]);
    assert_eq!((status.status, status.stdout.matches("has fired").count()), (Some(0), 2), "{}", status.stdout);
    // Until the guard is put away its fleet takes no push.
    let pushed = fleet.plain(&["push", "homelab"]);
    assert_eq!(pushed.status, Some(1), "{}", pushed.stderr);
    assert!(pushed.stderr.contains("fleetdeploy guard disarm homelab"), "{}", pushed.stderr);
    let disarmed = fleet.plain(&["guard", "disarm", "homelab"]);
    assert_eq!(disarmed.status, Some(1), "{}", disarmed.stderr);
    assert!(disarmed.stderr.contains("its guard has fired"), "{}", disarmed.stderr);
    fleet.assert_on_old(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_was_switched_by_hand_stays_once_the_guards_are_disarmed() {
    let fleet = Fleet::up("byhandkept");
    assert_eq!(fleet.plain(&["guard", "arm", "homelab"]).status, Some(0));
    let again = fleet.plain(&["guard", "arm", "homelab"]);
    assert_eq!(again.status, Some(1), "{}", again.stderr);
    let pushed = fleet.plain(&["push", "homelab"]);
    assert_eq!(pushed.status, Some(1), "{}", pushed.stderr);
    assert!(pushed.stderr.contains("fleetdeploy guard disarm homelab"), "{}", pushed.stderr);
    let extended = fleet.plain(&["guard", "extend", "homelab", "--guard", "2370s"]);
    assert_eq!((extended.status, extended.stdout.matches("fires in 39m").count()), (Some(0), 2), "{}", extended.stdout);
    let shorter = fleet.plain(&["guard", "extend", "homelab", "--guard", "1m"]);
    assert_eq!((shorter.status, shorter.stdout.matches("fires in 39m").count()), (Some(0), 2), "{}", shorter.stdout);
    fleet.change(&BOTH);
    for host in BOTH {
        assert!(fleet.rebuild_by_hand(host, "switch").status.success());
    }
    let disarmed = fleet.plain(&["guard", "disarm", "homelab"]);
    assert_eq!(disarmed.status, Some(0), "{}", disarmed.stderr);
    fleet.assert_on_new(&BOTH);
    assert_eq!(fleet.plain(&["push", "homelab"]).status, Some(0));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn where_one_host_cannot_be_armed_none_stays_armed() {
    let fleet = Fleet::up("byhandnone");
    // It reads as armable, and its guard does not start.
    fleet.host("homeserver", "mkdir -p /run/systemd/system; systemctl mask --runtime fleetdeploy-guard.service");
    let armed = fleet.plain(&["guard", "arm", "homelab"]);
    assert_eq!(armed.status, Some(1), "{}", armed.stderr);
    assert!(armed.stderr.contains("the others are disarmed again"), "{}", armed.stderr);
    assert_eq!(armed.stdout.matches(" none ").count(), 2, "{}", armed.stdout);
    fleet.host("homeserver", "systemctl unmask --runtime fleetdeploy-guard.service");
    fleet.assert_untouched();
    // Nothing is left that would keep a second try from it.
    assert_eq!(fleet.plain(&["guard", "arm", "homelab"]).status, Some(0));
    // That one is the person's own: what they have changed beside the systems, no roll back would bring back.
    let recovered = fleet.plain(&["recover", "homelab"]);
    assert_eq!(recovered.status, Some(1), "{}", recovered.stderr);
    assert!(recovered.stderr.contains("fleetdeploy guard disarm homelab"), "{}", recovered.stderr);
    let status = fleet.plain(&["guard", "status", "homelab"]);
    assert_eq!(status.stdout.matches("fires in ").count(), 2, "{}", status.stdout);
    assert_eq!(fleet.plain(&["guard", "disarm", "homelab"]).status, Some(0));
    fleet.assert_untouched();
}
