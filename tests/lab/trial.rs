//! A rolling reboot that tries a new system once, before that is what a reboot brings.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushing;
use crate::wait::{seconds, until};

const BACK: HostOutcome = HostOutcome::WentBack;
const BOOTED: &str = "readlink /run/booted-system";
/// All that a trial leaves beside the roots and on the menu.
const LEFT: &str = "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null; ls /boot/loader/entries | grep -v nixos; true";

/// A link whose other end the test takes away and gives back: `homeserver` is not rebooted.
const HELD: &str = "- vpn: mesh\n- tcp: 8080\n  to: homeserver\n  from: vps\n";

/// `vps` runs a new system that it has not booted, and that a reboot would bring.
fn switched(test: &str) -> Fleet {
    let params = r#"{"homeserver": {"app": true}}"#;
    let fleet = Fleet::made(test, &Setup { params, ..Setup::default() });
    fleet.change(&["vps"]);
    assert!(fleet.rebuild_by_hand("vps", "switch").status.success());
    fleet
}

fn old(fleet: &Fleet) -> String {
    fleet.before("vps").current.clone()
}

/// What it has booted, what runs, what the profile says, and what a reboot would bring.
fn stands(fleet: &Fleet) -> [String; 4] {
    let standing = fleet.standing("vps");
    let booted = fleet.host("vps", BOOTED).trim().to_owned();
    [booted, standing.current, standing.profile, standing.boot_default]
}

fn tries(fleet: &Fleet, workstation: &str) -> Pushing {
    fleet.start_any(workstation, &["reboot", "homelab", "--on", "vps"])
}

fn wait_for_doing(run: &Pushing, words: &str) {
    run.wait_for(words, |event| matches!(event, Event::HostMoved { doing, .. } if doing == words).then_some(()));
}

/// The same; it is in its trial, and not proven before [`let_it_be_proven`].
fn tries_and_is_held(fleet: &Fleet) -> Pushing {
    fleet.write_inventory(&Inventory { checks: HELD, ..Inventory::default() });
    // Long enough for all that a busy machine does meanwhile.
    let run = fleet.start_any("laptop", &["reboot", "homelab", "--on", "vps", "--settle", "240s"]);
    // The links were seen before that, and are not looked at again before the proof.
    wait_for_doing(&run, "arming a guard for its trial");
    fleet.host("homeserver", "systemctl stop app.service");
    wait_for_doing(&run, "proving its links");
    run
}

fn let_it_be_proven(fleet: &Fleet) {
    fleet.host("homeserver", "systemctl start app.service");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_good_system_is_the_boot_default_again_once_it_was_booted_and_proven() {
    let fleet = switched("trialgood");
    let (old, new) = (old(&fleet), fleet.system("vps"));
    assert_eq!(stands(&fleet), [&old, &new, &new, &new].map(String::clone));
    let run = tries_and_is_held(&fleet);
    let in_trial = stands(&fleet);
    assert_eq!(in_trial, [&new, &new, &new, &old].map(String::clone), "a reset would bring the old one");
    let refused = fleet.start_any("laptop2", &["push", "homelab", "--on", "vps", "--without", "homeserver"]).ended();
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(Some("vps"), &["is in a trial of run"]);
    let_it_be_proven(&fleet);
    run.ended().assert_ended(0, Outcome::Rebooted);
    assert_eq!(stands(&fleet), [&new; 4].map(String::clone));
    assert_eq!((fleet.boots("vps"), fleet.host("vps", LEFT)), (2, String::new()));
    // It is at rest: what pulls in the unit of its line again does not end it.
    fleet.host("vps", "systemctl daemon-reload && systemctl start default.target");
    fleet.power("vps", "cut");
    until(seconds(60), "vps boots again", || (fleet.boots("vps") == 3).then_some(()));
    assert_eq!(stands(&fleet), [&new; 4].map(String::clone));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn ctrl_c_in_a_trial_waits_for_the_host_and_sends_it_back_and_it_may_be_tried_again() {
    let fleet = switched("trialint");
    let (old, new) = (old(&fleet), fleet.system("vps"));
    let run = tries(&fleet, "laptop");
    wait_for_doing(&run, "going down and booting");
    run.signal("INT");
    let ended = run.ended();
    ended.assert_ended(130, Outcome::PartlyRebooted);
    assert_eq!(ended.host("vps"), &BACK);
    // The profile is never moved, and the host remembers what was tried in vain.
    assert_eq!(stands(&fleet), [&old, &old, &new, &old].map(String::clone));
    assert!(fleet.host("vps", LEFT).starts_with(".trial"), "{}", fleet.host("vps", LEFT));
    assert_eq!(fleet.boots("vps"), 3);
    // A reboot would bring what booted last, and nobody would learn that.
    let untried = fleet.start_any("laptop", &["reboot", "homelab", "--no-trial", "--on", "vps"]).ended();
    untried.assert_ended(1, Outcome::Refused);
    untried.assert_says(Some("vps"), &["is not known to boot"]);
    assert_eq!(fleet.boots("vps"), 3);
    tries(&fleet, "laptop").ended().assert_ended(0, Outcome::Rebooted);
    assert_eq!(stands(&fleet), [&new; 4].map(String::clone));
    assert_eq!(fleet.host("vps", LEFT), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_firmware_that_forgets_the_next_boot_brings_the_old_system_and_that_is_said() {
    let fleet = switched("trialforgets");
    let (old, new) = (old(&fleet), fleet.system("vps"));
    fleet.host("vps", "echo forgets >/usr/lib/lab/firmware.d/one-shot");
    let ended = tries(&fleet, "laptop").ended();
    ended.assert_ended(1, Outcome::PartlyRebooted);
    assert_eq!(ended.host("vps"), &BACK);
    ended.assert_says(Some("vps"), &["without a word of its guard"]);
    assert_eq!(stands(&fleet), [&old, &old, &new, &old].map(String::clone));

    // The tunnel through it comes up a little later, so that the other one could not be let go.
    fleet.assert_reachable();
    fleet.recover("laptop", &["homelab"]);
    // It has shown what it is, and is not asked again and again.
    let again = tries(&fleet, "laptop").ended();
    again.assert_ended(1, Outcome::Refused);
    again.assert_says(Some("vps"), &["seems to forget EFI variables", "push --accept-drift"]);
    // Who wants nothing untried learns it before the commit.
    fleet.set("vps", "kernel", "\"6.12.9\"");
    let push = ["homelab", "--on", "vps", "--accept-drift", "--reboot"];
    let demanded = fleet.push(&[&push[..], &["--trial"]].concat());
    demanded.assert_ended(1, Outcome::Refused);
    demanded
        .assert_says(Some("vps"), &["with --trial nothing is rebooted into untried", "seems to forget EFI variables"]);
    assert!(!demanded.guard_was_armed("vps"));
    assert!(!demanded.has(|event| matches!(event, Event::PhaseStarted { phase: Phase::Copy })), "nothing was copied");
    assert_eq!((fleet.boots("vps"), fleet.standing("vps").current), (2, old));
    let pushed = fleet.push(&push);
    pushed.assert_ended(0, Outcome::Committed);
    pushed.assert_says(Some("vps"), &["at once, because that cannot be tried here first: its firmware seems to"]);
    assert_eq!(stands(&fleet), [&fleet.system("vps"); 4].map(String::clone));
    assert_eq!((fleet.boots("vps"), fleet.host("vps", LEFT).trim()), (3, ".trial"), "it is kept in mind");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_trial_whose_workstation_died_and_whose_power_was_cut_is_on_the_old_system_and_any_other_ends_it() {
    let fleet = switched("trialdied");
    let (old, new) = (old(&fleet), fleet.system("vps"));
    let run = tries_and_is_held(&fleet);
    run.signal("KILL");
    run.died();
    let seen = fleet.start_any("laptop2", &["push", "homelab", "--on", "vps", "--without", "homeserver"]).ended();
    seen.assert_says(Some("vps"), &["is in a trial of run"]);
    fleet.power("vps", "cut");
    until(seconds(60), "vps boots again", || (fleet.boots("vps") == 3).then_some(()));
    assert_eq!(stands(&fleet), [&old, &old, &new, &old].map(String::clone));
    // The tunnel through it comes up a little later.
    fleet.assert_reachable();
    let recovered = fleet.recover("laptop2", &["homelab"]);
    recovered.assert_ended(1, Outcome::PartlyRebooted);
    recovered.assert_says(None, &["went back: vps"]);
    assert_eq!(fleet.host("vps", LEFT).trim(), ".trial");
    assert_eq!(fleet.host("homeserver", LEFT), "");
}
