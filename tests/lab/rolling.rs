//! Rolling reboots that meet another, die in the middle, or take the machine along that they run on.

use fleetdeploy::event::{Event, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::pushed::Pushing;

const BOTH: [&str; 2] = ["vps", "homeserver"];
const HELD: &str = "cat /nix/var/nix/gcroots/fleetdeploy/reboot.lease 2>/dev/null || echo free";

/// A rolling reboot whose workstation dies while `homeserver`, behind the jump and so the first, is going down.
fn died(test: &str) -> Fleet {
    let fleet = Fleet::up(test);
    let rolling = fleet.start_any("laptop", &["reboot", "homelab"]);
    rolling.wait_for("the reboot of homeserver", |event| {
        matches!(event, Event::HostMoved { doing, .. } if doing == "going down and booting").then_some(())
    });
    rolling.signal("KILL");
    rolling.died();
    fleet.wait_until_up("homeserver");
    fleet.assert_reachable();
    assert_eq!(BOTH.map(|host| fleet.boots(host)), [1, 2]);
    fleet
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn of_two_workstations_that_reboot_other_hosts_of_one_fleet_at_once_one_does() {
    let fleet = Fleet::up("rolltwo");
    fleet.make_workstation("laptop2");
    let both = [("laptop", "homeserver"), ("laptop2", "vps")]
        .map(|(workstation, host)| fleet.start_any(workstation, &["reboot", "homelab", "--on", host]));
    let ends = both.map(Pushing::ended);
    let mut outcomes = ends.each_ref().map(|end| end.finished().0);
    outcomes.sort_by_key(|outcome| *outcome != Outcome::Rebooted);
    assert_eq!(outcomes, [Outcome::Rebooted, Outcome::Refused]);
    let refused = ends.iter().find(|end| end.status == Some(1)).unwrap();
    refused.assert_says(None, &["held"]);
    let mut boots = BOTH.map(|host| fleet.boots(host));
    boots.sort_unstable();
    assert_eq!(boots, [1, 2]);
    assert_eq!(BOTH.map(|host| fleet.host(host, HELD)), ["free\n", "free\n"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_rolling_reboot_that_died_is_unfinished_until_recover_has_said_who_was_rebooted() {
    let fleet = died("rolldied");
    let runs = fleet.plain(&["runs"]).stdout;
    assert!(runs.lines().nth(1).unwrap().contains("reboot  UNFINISHED  2  "), "{runs}");
    let refused = fleet.plain(&["push", "homelab"]);
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("fleetdeploy recover homelab"), "{}", refused.stderr);
    // Over the boot of one of them, too.
    for host in BOTH {
        assert!(fleet.host(host, HELD).contains(" root@"), "{host}");
    }
    let recovered = fleet.plain(&["recover", "homelab"]);
    assert_eq!(recovered.status, Some(0), "{}{}", recovered.stdout, recovered.stderr);
    for says in ["rebooted: homeserver", "not rebooted: vps", "nothing was done to any host"] {
        assert!(recovered.stderr.contains(says), "{says}: {}", recovered.stderr);
    }
    assert_eq!(BOTH.map(|host| fleet.host(host, HELD)), ["free\n", "free\n"]);
    fleet.assert_on_old(&["homeserver"]);
    let runs = fleet.plain(&["runs"]).stdout;
    assert!(runs.lines().nth(1).unwrap().contains("PARTLY REBOOTED (recovered)"), "{runs}");
    assert_eq!(fleet.plain(&["reboot", "homelab", "--on", "vps"]).status, Some(0));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn another_workstation_is_refused_by_a_rolling_reboot_that_died_and_may_end_it() {
    let fleet = died("rollelse");
    fleet.change(&["vps"]);
    for words in [&["push", "homelab", "--on", "vps"][..], &["reboot", "homelab", "--on", "vps"]] {
        let refused = fleet.start_any("laptop2", words).ended();
        refused.assert_ended(1, Outcome::Refused);
        refused.assert_says(Some("vps"), &["is held by rolling reboot", "fleetdeploy recover homelab --run"]);
        refused.assert_says(Some("homeserver"), &["is held by rolling reboot"]);
    }
    let recovered = fleet.recover("laptop2", &["homelab"]);
    recovered.assert_ended(0, Outcome::PartlyRebooted);
    recovered.assert_says(None, &["rebooted: homeserver", "not rebooted: vps"]);
    assert_eq!(BOTH.map(|host| fleet.host(host, HELD)), ["free\n", "free\n"]);
    // One that nobody could end, and that is over: it would hold the host again after its next boot.
    let over = "mkdir -p /nix/var/nix/gcroots/fleetdeploy && \
                echo 20260101-000000-homelab-0001 another-boot 1 1 root@gone \
                >/nix/var/nix/gcroots/fleetdeploy/reboot.lease";
    fleet.host("homeserver", over);
    assert!(fleet.host("homeserver", HELD).contains("root@gone"));
    let pushed = fleet.start_as("laptop2", &["homelab", "--on", "vps"]).ended();
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(fleet.host("homeserver", HELD), "free\n");
}

/// `homeserver` is the workstation. It stands first in the inventory, and there is no jump.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn the_workstation_that_is_a_host_of_the_fleet_goes_last_and_recover_ends_it_when_it_is_back() {
    let fleet = Fleet::up("rollown");
    let inventory = "
defaults: {user: root, boot_time: 40s, limits: {connect: 10s, step: 10s}}
hosts:
  homeserver: {address: 10.100.0.2, vpn: 10.100.0.2}
  vps: {address: 10.100.0.1, vpn: 10.100.0.1}
fleets: {homelab: {hosts: [homeserver, vps], settle: 8s, flake: ., checks: [{vpn: mesh}]}}
";
    fleet.become_workstation("homeserver", inventory);
    let run = |words: &str| {
        fleet.begin("homeserver", &format!("cd /root/fleet && HOME=/root exec ../fleetdeploy {words}"), &[])
    };
    // The machine ends the program, and with it the pipe: so it stands in the middle of a line, or behind the last.
    let said = run("reboot homelab --json").wait_with_output().unwrap();
    let said = crate::fleet::text(&said.stdout);
    crate::codes::keep_lines(&said);
    let place = |what: &[&str]| {
        let has = |line: &&str| what.iter().all(|what| line.contains(what));
        said.lines().position(|line| has(&line)).unwrap_or_else(|| panic!("{what:?}: {said}"))
    };
    let warned = place(&["\"host\":\"homeserver\"", "\"code\":\"own-machine-reboots\""]);
    let vps = place(&["\"event\":\"host_done\"", "\"host\":\"vps\"", "\"phase\":\"reboot\""]);
    let last = place(&["\"event\":\"wave_started\"", "\"wave\":2"]);
    assert!(warned < vps && vps < last, "{said}");
    fleet.wait_until_up("homeserver");
    fleet.assert_reachable();
    assert_eq!(BOTH.map(|host| fleet.boots(host)), [2, 2], "{said}");
    let recovered = run("recover").wait_with_output().unwrap();
    let said = crate::fleet::text(&recovered.stderr);
    assert_eq!(recovered.status.code(), Some(0), "{said}");
    assert!(said.contains("rebooted: homeserver, vps"), "{said}");
    assert_eq!(BOTH.map(|host| fleet.host(host, HELD)), ["free\n", "free\n"]);
}
