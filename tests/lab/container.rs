//! Hosts without a boot loader, as LXC and Incus start them: there an activation itself moves what a reboot brings.

use fleetdeploy::event::{HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::standing::Standing;
use crate::wait::{seconds, until};

const HOSTS: [&str; 3] = ["vps", "box", "incus"];

fn up(test: &str, params: &str) -> Fleet {
    Fleet::made(test, &Setup { hosts: &HOSTS, params, ..Setup::default() })
}

/// What runs, what the profile says and what a reboot brings.
fn systems(standing: &Standing) -> [&String; 3] {
    [&standing.current, &standing.profile, &standing.boot_default]
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_container_that_its_own_wrong_key_cuts_off_comes_back_on_old() {
    let fleet = up("cutoff", "{}");
    fleet.change(&HOSTS);
    fleet.set("incus", "wg_key", "\"wrong\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(pushed.host("incus"), &HostOutcome::RolledBack { by_guard: true });
    assert_eq!(pushed.host("box"), &HostOutcome::RolledBack { by_guard: false });
    fleet.assert_on_old(&["incus"]);
}

/// One of them has an installer of its own, as NixOS has given them; of the other only activation knows.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_container_whose_workstation_dies_in_its_test_comes_back_on_old_and_a_good_push_stays() {
    let fleet = up("container", r#"{"box": {"loader": "none"}}"#);
    fleet.change(&HOSTS);
    for host in ["box", "incus"] {
        fleet.set(host, "activate", "\"slow:6\"");
    }
    // Before the push: on a busy machine that takes as long as an activation.
    let new = ["box", "incus"].map(|host| fleet.system(host));
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Test);
    for (host, new) in ["box", "incus"].into_iter().zip(&new) {
        // Here nothing but the step itself is left to put it back.
        let moved = || fleet.host(host, "readlink /sbin/init").contains(new).then_some(());
        until(seconds(60), &format!("the activation of {host} moves what a reboot brings"), moved);
    }
    push.signal("KILL");
    push.died();
    for (host, new) in ["box", "incus"].into_iter().zip(&new) {
        let old = &fleet.before(host).boot_default;
        let put_back =
            || (&fleet.standing(host).current == new && &fleet.standing(host).boot_default == old).then_some(());
        until(seconds(60), &format!("the step on {host} puts back what a reboot brings"), put_back);
    }
    for host in HOSTS {
        until(seconds(150), &format!("{host} is brought back by its guard"), || (fleet.boots(host) == 2).then_some(()));
        let (now, before) = (fleet.standing(host), fleet.before(host));
        assert_eq!(systems(&now), systems(before), "{host}");
        assert_eq!(now.generations, before.generations, "{host}");
    }
    fleet.recover("laptop", &["homelab"]).assert_ended(1, Outcome::RolledBack);
    fleet.assert_on_old(&HOSTS);

    for host in ["box", "incus"] {
        fleet.set(host, "activate", "null");
    }
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    for host in ["box", "incus"] {
        let new = fleet.system(host);
        fleet.power(host, "cut");
        until(seconds(60), &format!("{host} boots again"), || (fleet.boots(host) == 3).then_some(()));
        let now = fleet.standing(host);
        assert_eq!(systems(&now), [&new; 3], "{host}");
        assert_eq!(now.generations.keys().copied().collect::<Vec<_>>(), [1, 2], "{host}");
    }
}

/// The one window that is left: seconds of an activation. It comes up on the new system, and is taken back from there.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_container_whose_power_fails_in_its_activation_is_taken_back_with_the_generation_that_its_boot_has_made() {
    let fleet = up("incuscut", "{}");
    fleet.change(&["box", "incus"]);
    fleet.set("box", "activate", "\"slow:6\"");
    let new = fleet.system("box");
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Test);
    until(seconds(60), "the activation moves what a reboot brings", || {
        fleet.host("box", "readlink /sbin/init").contains(&new).then_some(())
    });
    fleet.power("box", "cut");
    push.ended().assert_ended(1, Outcome::RolledBack);
    fleet.assert_on_old(&["box"]);
}

/// Where init-script-builder writes what starts the host, nothing moves before the switch.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_a_script_starts_is_moved_by_its_installer_and_put_back_by_the_old_one() {
    let params = r#"{"box": {"loader_kind": "init-script"}}"#;
    let mut fleet = Fleet::made("initscript", &Setup { hosts: &["vps", "box"], params, ..Setup::default() });
    fleet.change(&["vps", "box"]);
    fleet.set("vps", "loader", "\"fails\"");
    fleet.push(&["homelab"]).assert_ended(1, Outcome::RolledBack);
    fleet.assert_on_old(&[]);
    fleet.set("vps", "loader", "null");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "box"]);
    let script = fleet.host("box", "cat /sbin/init");
    assert!(script.contains("init-script-builder") && script.contains(&fleet.system("box")), "{script}");
    fleet.look();
    fleet.power("box", "cut");
    until(seconds(60), "box boots again", || (fleet.boots("box") == 2).then_some(()));
    assert_eq!(systems(&fleet.standing("box")), systems(fleet.before("box")));
}
