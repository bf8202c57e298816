//! Pushes that end well.

use fleetdeploy::event::{HostOutcome, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::wait::seconds;

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_good_change_of_both_hosts_is_committed_and_leaves_nothing_behind() {
    let fleet = Fleet::up("good");
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&HostOutcome::Committed, &HostOutcome::Committed));
    fleet.assert_on_new(&["vps", "homeserver"]);
    let overhead = pushed.overhead();
    eprintln!("took {:.1?}, beyond build, copy and activation {overhead:.1?}", pushed.took);
    // Not a benchmark (that is scripts/bench.sh): the machine does other things meanwhile.
    assert!(overhead < seconds(60), "{overhead:.1?} beyond build, copy and activation");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_logs_in_once_to_each_host_once_beside_the_baseline_and_once_to_verify() {
    let fleet = Fleet::up("logins");
    fleet.change(&["vps", "homeserver"]);
    let before = (fleet.logins("vps"), fleet.logins("homeserver"));
    let path = count_programs(&fleet);
    let push = || fleet.query_in(&[&path], &["push", "homelab"]);
    push().assert_ended(0, Outcome::Committed);
    // Each question is asked once for the fleet, but for the ways to its hosts.
    let started = |what: &str| fleet.ws(&format!("grep -c -e '{what}' /root/started || :")).trim().to_owned();
    assert_eq!(started("^nix .*path-info"), "1", "{}", fleet.ws("cat /root/started"));
    let after = (fleet.logins("vps"), fleet.logins("homeserver"));
    let logins = (after.0.connections - before.0.connections, after.1.connections - before.1.connections);
    // And once more into the jump, to verify that it still forwards.
    assert_eq!(logins, (4, 3), "ssh connections to vps and homeserver");
    // The ten commands (docs/design.md, "Remote commands"), and the session of `nix copy` beside them.
    let commands = (after.0.commands - before.0.commands, after.1.commands - before.1.commands);
    assert_eq!(commands, (11, 11), "remote commands on vps and homeserver");
    // Where nothing changes: the survey, and the prober.
    let before = after;
    fleet.ws("rm /root/started");
    push().assert_ended(0, Outcome::Unchanged);
    // What the user's config says of each host, and what ssh does without one; its version; a master for each host.
    let count = ["^ssh .*-G ", "^ssh ", "^ssh-keygen ", "^nix .*--version", "^nix .*path-info"].map(started);
    assert_eq!(count, ["3", "6", "2", "1", "0"], "{}", fleet.ws("cat /root/started"));
    let after = (fleet.logins("vps"), fleet.logins("homeserver"));
    let commands = (after.0.commands - before.0.commands, after.1.commands - before.1.commands);
    assert_eq!(commands, (2, 2), "remote commands on vps and homeserver where nothing changes");
}

/// Lets each program that fleetdeploy starts be written down, with its first words. Returns the path to do so.
fn count_programs(fleet: &Fleet) -> String {
    fleet.ws("mkdir /root/counting");
    for program in ["nix", "nix-store", "ssh", "ssh-keygen"] {
        let own = fleet.ws(&format!("command -v {program}"));
        let own = own.trim();
        let counting = format!("/root/counting/{program}");
        let text = format!("#!/bin/sh\necho \"{program} $1 $2 $3 $4 $5\" >>/root/started\nexec {own} \"$@\"\n");
        fleet.write(&counting, &text);
        fleet.ws(&format!("chmod 755 {counting}"));
    }
    format!("PATH=/root/counting:{}", fleet.ws("printf %s \"$PATH\""))
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn nothing_to_change_is_unchanged_and_arms_no_guard() {
    let fleet = Fleet::up("unchanged");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Unchanged);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&HostOutcome::Unchanged, &HostOutcome::Unchanged));
    assert!(!pushed.guard_was_armed("vps") && !pushed.guard_was_armed("homeserver"));
    fleet.assert_untouched();
    assert_eq!(fleet.host("vps", "journalctl -q -o cat -u fleetdeploy-guard -u fleetdeploy-job"), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_does_not_change_is_a_witness() {
    let fleet = Fleet::up("witness");
    fleet.change(&["homeserver"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(pushed.host("homeserver"), &HostOutcome::Committed);
    assert!(matches!(pushed.host("vps"), HostOutcome::Unchanged | HostOutcome::Witness));
    assert!(!pushed.guard_was_armed("vps") && pushed.guard_was_armed("homeserver"));
    fleet.assert_on_new(&["homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_dry_run_says_what_would_happen_and_touches_nothing() {
    let fleet = Fleet::up("dry-run");
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.plain(&["push", "homelab", "--dry-run"]);
    assert_eq!(pushed.status, Some(0));
    let said = format!("{}{}", pushed.stdout, pushed.stderr);
    assert!(said.contains("25.11.1") && said.contains("25.11.2"), "{said}");
    fleet.assert_untouched();
    let new = fleet.system("vps");
    assert_eq!(fleet.host("vps", &format!("[ -e {new} ] || echo absent")), "absent\n");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn hosts_with_different_boot_loaders_are_committed_together() {
    let setup = crate::fleet::Setup { hosts: &["vps", "homeserver", "web"], ..Default::default() };
    let fleet = Fleet::made("loaders", &setup);
    fleet.change(&["vps", "homeserver", "web"]);
    let pushed = fleet.plain(&["push", "homelab"]);
    assert_eq!(pushed.status, Some(0));
    assert!(pushed.stdout.contains("COMMITTED") || pushed.stderr.contains("COMMITTED"));
    fleet.assert_on_new(&["vps", "homeserver", "web"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn every_kind_of_check_holds_on_real_hosts() {
    let fleet = Fleet::up("checks");
    fleet.write_inventory(&Inventory {
        checks: "- vpn: {hub: vps}\n\
                 - ping: vps\n  from: homeserver\n\
                 - tcp: 8080\n  to: vps\n  from: homeserver\n\
                 - name: the site answers\n  from: homeserver\n  http: {url: \"http://vps:8080/health\", status: 200, \
                 body: ok}\n- dns: vps\n  from: homeserver\n\
                 - wireguard: vps\n  from: homeserver\n\
                 - command: [systemctl, is-active, sshd]\n\
                 - command: test -e /etc/NIXOS && true\n  from: vps\n",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    let checked = fleet.plain(&["check", "homelab"]);
    assert_eq!(checked.status, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains(" links up\n") && checked.stdout.contains("from \\ to"), "{}", checked.stdout);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}
