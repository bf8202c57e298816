//! Rolling reboots: each host proven back before the next, and none after one that is lost.

use fleetdeploy::event::{Event, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;

const BOTH: [&str; 2] = ["vps", "homeserver"];

/// A host that is lost is waited for as long as its units may take to stop, and this.
fn impatient() -> Inventory<'static> {
    Inventory { boot_time: "5s", ..Inventory::default() }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn every_host_is_rebooted_and_proven_back_and_the_jump_comes_last() {
    let fleet = Fleet::up("rolling");
    let rebooted = fleet.plain(&["reboot", "homelab", "--waves", "1,100%"]);
    assert_eq!(rebooted.status, Some(0), "{}{}", rebooted.stdout, rebooted.stderr);
    let done = |host: &str| {
        let line = |line: &&str| line.contains(&format!(" {host} ")) && line.ends_with("reboot done");
        rebooted.stderr.lines().position(|one| line(&one)).unwrap_or_else(|| panic!("{host}: {}", rebooted.stderr))
    };
    assert!(done("homeserver") < done("vps"), "{}", rebooted.stderr);
    assert_eq!(rebooted.stderr.matches("rebooted in ").count(), 2, "{}", rebooted.stderr);
    fleet.assert_on_old(&BOTH);
    // Whoever was not watching finds it, and nothing is left to recover.
    let shown = fleet.plain(&["show", "last"]).stdout;
    for says in ["homelab: REBOOTED after ", "vps         rebooted", "links before anything changed (baseline): "] {
        assert!(shown.contains(says), "{says}: {shown}");
    }
    let runs = fleet.plain(&["runs"]).stdout;
    assert!(runs.lines().nth(1).unwrap().contains("reboot  REBOOTED  2  "), "{runs}");
    assert_eq!(fleet.plain(&["recover"]).status, Some(2));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_does_not_come_back_stops_the_rolling_there() {
    let fleet = Fleet::up("rollinglost");
    fleet.write_inventory(&impatient());
    fleet.set("homeserver", "boot", "\"dark\"");
    assert!(fleet.rebuild_by_hand("homeserver", "test").status.success());
    let refused = fleet.plain(&["reboot", "homelab"]);
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("come up on something else than it runs"), "{}", refused.stderr);
    assert_eq!(BOTH.map(|host| fleet.boots(host)), [1, 1]);
    assert!(fleet.rebuild_by_hand("homeserver", "switch").status.success());
    let lost = fleet.plain(&["reboot", "homelab"]);
    assert_eq!(lost.status, Some(3), "{}{}", lost.stdout, lost.stderr);
    for says in ["LOOK NOW: homeserver has not come back", "not rebooted: vps"] {
        assert!(lost.stderr.contains(says), "{says}: {}", lost.stderr);
    }
    assert_eq!(fleet.boots("vps"), 1);
    let again = fleet.plain(&["reboot", "homelab", "--on", "@failed"]);
    assert_eq!(again.status, Some(1), "{}", again.stderr);
    assert!(again.stderr.contains("homelab: REFUSED"), "{}", again.stderr);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn after_the_commit_only_the_host_that_needs_it_is_rebooted() {
    let fleet = Fleet::up("pushreboot");
    fleet.change(&BOTH);
    fleet.set("vps", "kernel", "\"6.12.9\"");
    let pushed = fleet.push(&["homelab", "--reboot"]);
    pushed.assert_ended(0, Outcome::Committed);
    pushed.assert_says(None, &["rebooted and proven back: vps"]);
    assert_eq!(BOTH.map(|host| fleet.boots(host)), [2, 1]);
    assert_eq!(fleet.standing("vps").current, fleet.system("vps"));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_stays_committed_when_a_host_is_lost_in_the_reboot_after_it() {
    let fleet = Fleet::up("pushlost");
    fleet.write_inventory(&impatient());
    fleet.set("homeserver", "kernel", "\"6.12.9\"");
    fleet.set("homeserver", "boot", "\"dark\"");
    let pushed = fleet.push(&["homelab", "--reboot"]);
    pushed.assert_ended(3, Outcome::Committed);
    pushed.assert_says(None, &["LOOK NOW: homeserver has not come back"]);
    assert!(!pushed.has(|event| matches!(event, Event::RollBackStarted { .. })));
    assert_eq!(fleet.boots("vps"), 1);
}
