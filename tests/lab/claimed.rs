//! Pushes that meet somebody else: another push, an upgrade, a reboot that is due; and systems that a host must not
//! get.

use fleetdeploy::event::{Event, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};

fn fleet(test: &str) -> Fleet {
    let fleet = Fleet::up(test);
    fleet.change(&["vps", "homeserver"]);
    fleet
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn of_two_pushes_that_begin_together_exactly_one_goes_on_and_the_other_leaves_nothing() {
    let fleet = fleet("race");
    let pushes = [fleet.start(&["homelab"]), fleet.start_as("laptop2", &["homelab"])];
    let ends = pushes.map(|push| push.ended().finished().0);
    // The slower one may also find everything done.
    let quiet = ends.iter().all(|end| matches!(end, Outcome::Committed | Outcome::Refused | Outcome::Unchanged));
    assert!(quiet && ends.iter().filter(|end| **end == Outcome::Committed).count() == 1, "{ends:?}");
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_upgrade_that_runs_and_a_reboot_that_is_due_refuse_the_push() {
    let fleet = fleet("due");
    fleet.host("homeserver", "systemd-run -q --collect --unit=nixos-upgrade sleep infinity");
    fleet.host("vps", "shutdown -r +60 2>/dev/null");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("homeserver"), &["nixos-upgrade is running"]);
    pushed.assert_says(Some("vps"), &["a reboot is scheduled"]);
    // Neither was put off.
    assert_eq!(fleet.host("homeserver", "systemctl is-active nixos-upgrade"), "active\n");
    fleet.host("vps", "test -e /run/systemd/shutdown/scheduled && shutdown -c 2>/dev/null");
    fleet.host("homeserver", "systemctl stop nixos-upgrade");
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_upgrade_that_begins_while_the_push_builds_refuses_it_where_it_would_be_armed() {
    let fleet = fleet("late");
    fleet.set("vps", "build", "\"slow:5\"");
    let push = fleet.start(&["homelab"]);
    push.wait_for("the survey of vps", |event| {
        matches!(event, Event::HostDone { host, phase: fleetdeploy::event::Phase::Survey } if host.as_str() == "vps")
            .then_some(())
    });
    fleet.host("vps", "shutdown -r +60 2>/dev/null");
    let pushed = push.ended();
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(None, &["a reboot is scheduled"]);
    fleet.host("vps", "shutdown -c 2>/dev/null");
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_change_of_the_kind_of_boot_loader_refuses_the_push() {
    let fleet = fleet("loader-kind");
    fleet.set("vps", "loader_kind", "\"grub\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("vps"), &["changes the kind of boot loader", "--install-bootloader"]);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn one_machine_under_two_names_refuses_the_push() {
    let fleet = Fleet::made("twins", &Setup { hosts: &["vps"], ..Setup::default() });
    fleet.change(&["vps"]);
    let host = "address: 198.51.100.10\n    user: root";
    let system = fleet.system("vps");
    fleet.write(
        "inventory.yaml",
        &format!(
            "hosts:\n  vps:\n    {host}\n  other:\n    {host}\nfleets:\n  homelab:\n    hosts: all\n    system:\n      \
             vps: {system}\n      other: {system}\n"
        ),
    );
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("other"), &["same machine as vps", "one name"]);
    fleet.assert_untouched();
}
