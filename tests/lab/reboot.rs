//! Rolling reboots: each host proven back before the next, and none after one that is lost.

use fleetdeploy::event::{Event, HostOutcome, Outcome};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::fleet::{Fleet, Setup};
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
    // One that boots and is not through with it, and one that comes to nothing when its boot is looked at: they are
    // judged while the one that stays away is still waited for.
    let late = "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nEnvironment=PATH=/usr/bin:/bin\n\
                ExecStart=/bin/sh -c '[ ! -e /root/at-boot ] || . /root/at-boot'\n";
    let late = json!({ "raw_units": { "late.service": late } });
    let params = json!({ "web": late, "mail": late }).to_string();
    let setup = Setup { hosts: &["web", "mail", "homeserver", "vps"], params: &params, ..Setup::default() };
    let fleet = Fleet::made("rollinglost", &setup);
    fleet.write_inventory(&impatient());
    fleet.set("homeserver", "boot", "\"dark\"");
    assert!(fleet.rebuild_by_hand("homeserver", "test").status.success());
    let refused = fleet.plain(&["reboot", "homelab"]);
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("come up on something else than it runs"), "{}", refused.stderr);
    assert_eq!(BOTH.map(|host| fleet.boots(host)), [1, 1]);
    assert!(fleet.rebuild_by_hand("homeserver", "switch").status.success());
    fleet.host("web", "echo sleep 600 >/root/at-boot");
    let mute = "printf '#!/bin/sh\\nsleep 600\\n' >/root/mute && chmod +x /root/mute && \
                echo 'mount --bind /root/mute $(readlink -f /run/current-system/sw/bin/uname)' >/root/at-boot";
    fleet.host("mail", mute);
    let lost = fleet.run_json(&["reboot", "homelab", "--no-trial", "--waves", "3"]);
    lost.assert_ended(3, Outcome::Split);
    let why = |host: &str| match lost.host(host) {
        HostOutcome::Lost { why } => why.code().unwrap_or_default().to_owned(),
        other => panic!("{host}: {other:?}"),
    };
    let whys = ["homeserver", "mail", "web"].map(why);
    assert_eq!(whys, ["reboot-overdue", "no-login-after-reboot", "links-not-proven"]);
    lost.assert_says(Some("web"), &["its boot has not ended"]);
    assert_eq!((lost.host("vps"), fleet.boots("vps")), (&HostOutcome::Untouched, 1));
    let shown = fleet.plain(&["show", "last"]).stdout;
    for says in ["LOOK NOW: ", "homeserver has not come back", "not rebooted: vps"] {
        assert!(shown.contains(says), "{says}: {shown}");
    }
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
    // It takes the order, and nothing comes of it.
    fleet.host(
        "homeserver",
        "its=$(readlink -f /run/current-system/sw/bin/systemctl) && cp \"$its\" /root/systemctl && \
         printf '#!/bin/sh\\n[ \"$1\" = reboot ] || exec /root/systemctl \"$@\"\\n' >/root/stays && \
         chmod +x /root/stays && mount --bind /root/stays \"$its\"",
    );
    let pushed = fleet.push(&["homelab", "--reboot", "--no-trial"]);
    pushed.assert_ended(3, Outcome::Committed);
    pushed.assert_says(None, &["LOOK NOW: homeserver has not come back", "still answers on the boot that it was on"]);
    assert!(!pushed.has(|event| matches!(event, Event::RollBackStarted { .. })));
    assert_eq!(BOTH.map(|host| fleet.boots(host)), [1, 1]);
}
