//! Ways out: a host that is gone for good, one that was switched by hand after a run had died, and a run that is
//! forgotten.

use std::io::Write as _;

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::{Inventory, KILLED_IN_VERIFY};
use crate::pushed::Pushing;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

/// A push that verifies, and its run: its hosts run their new systems, and their guards will take them back.
fn in_verify(test: &str, changes: &[&str]) -> (Fleet, Pushing, String) {
    let fleet = Fleet::up(test);
    fleet.write_inventory(&KILLED_IN_VERIFY);
    fleet.change(changes);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    let run = push.lines().iter().find_map(|line| line.run.clone()).unwrap();
    (fleet, push, run)
}

/// The same, killed there.
fn killed_in_verify(test: &str, changes: &[&str]) -> (Fleet, String) {
    let (fleet, push, run) = in_verify(test, changes);
    push.signal("KILL");
    push.died();
    (fleet, run)
}

/// A restart brings it back at once to what its guard would: `/run`, and with it the guard, is gone.
fn restart(fleet: &Fleet, host: &str) {
    let boots = fleet.boots(host);
    fleet.power(host, "cut");
    until(seconds(60), &format!("{host} boots again"), || (fleet.boots(host) > boots).then_some(()));
    fleet.wait_until_up(host);
}

fn has_rebooted(fleet: &Fleet, host: &str) {
    until(seconds(140), &format!("the guard of {host} has rebooted it"), || (fleet.boots(host) == 2).then_some(()));
    fleet.standing(host);
}

/// Reproduced in an earlier version: a push said "recover", and recover said SPLIT and claimed the host, for ever.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_was_switched_by_hand_after_a_dead_run_is_cleaned_and_pushed_again() {
    let (fleet, _) = killed_in_verify("wayout-hand", &["vps"]);
    has_rebooted(&fleet, "vps");
    fleet.assert_reachable();
    fleet.set("vps", "version", "\"3\"");
    let system = fleet.ws("system=$(fleetdeploy build homelab --on vps 2>/dev/null | awk '{ print $2 }')
         nix --extra-experimental-features nix-command copy --no-check-sigs \\
             --to ssh-ng://root@198.51.100.10 \"$system\" 2>/dev/null
         echo \"$system\"");
    let system = system.trim();
    fleet.host(
        "vps",
        &format!(
            "export PATH=/run/current-system/sw/bin:/usr/bin:/bin
             nix-env -p /nix/var/nix/profiles/system --set {system} &&
                 {system}/bin/switch-to-configuration switch >/dev/null 2>&1"
        ),
    );
    let recovered = fleet.recover("laptop", &["homelab"]);
    recovered.assert_ended(0, Outcome::Unchanged);
    assert!(matches!(recovered.host("vps"), HostOutcome::MovedOn { on } if on.as_str() == system), "{recovered:?}");
    recovered.assert_says(Some("vps"), &["has moved on by other hands"]);
    assert_eq!(fleet.host("vps", "readlink /run/current-system").trim(), system, "nothing of it is undone");
    assert_eq!(fleet.host("vps", "ls -A /nix/var/nix/gcroots/fleetdeploy /run/fleetdeploy 2>/dev/null || true"), "");
    fleet.write_inventory(&Inventory::default());
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Unchanged);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_run_ends_without_a_host_that_is_dead_and_with_it_when_it_is_back_minutes_later() {
    let (fleet, run) = killed_in_verify("wayout-dead", &BOTH);
    fleet.power("homeserver", "off");
    // Before it waits for it, it asks whether to.
    let mut recover = fleet.on_terminal("recover homelab");
    recover.wait_for_text("end the run without it, as by --without homeserver (that waits for up to ");
    recover.wait_for_text("until no guard can be armed on it)? [y/N, within 60 s] ");
    recover.stdin().write_all(b"y\n").unwrap();
    let recovered = recover.ended();
    assert_eq!(recovered.status, Some(1), "{}", recovered.stdout);
    assert!(recovered.stdout.contains("missing: homeserver"), "{}", recovered.stdout);
    let kept = "ls -A /nix/var/nix/gcroots/fleetdeploy; cat /nix/var/nix/gcroots/fleetdeploy/.ended/*";
    let kept = fleet.host("vps", kept);
    assert!(kept.starts_with(".ended\nold ") && kept.contains("homeserver"), "{kept}");
    let runs = fleet.plain(&["runs"]);
    assert!(runs.stdout.contains("without homeserver"), "{}", runs.stdout);
    // Nothing is to be done before it is back, and that is no failure.
    let waits = fleet.recover("laptop2", &["homelab"]);
    waits.assert_ended(0, Outcome::Unchanged);
    waits.assert_says(Some("homeserver"), &[&format!("was missing when run {run} was ended")]);
    fleet.power("homeserver", "on");
    fleet.assert_reachable();
    let returned = fleet.recover("laptop2", &["homelab"]);
    returned.assert_ended(1, Outcome::RolledBack);
    assert!(matches!(returned.host("homeserver"), HostOutcome::RolledBack { .. }), "{returned:?}");
    for host in BOTH {
        assert_eq!(fleet.host(host, "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null || true"), "", "{host}");
    }
    fleet.write_inventory(&Inventory::default());
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_run_is_forgotten_only_when_no_guard_of_it_is_armed_any_more() {
    let (fleet, run) = killed_in_verify("wayout-forget", &["vps"]);
    let forgets = ["homelab", "--forget", &run];
    let guarded = fleet.recover("laptop2", &forgets);
    guarded.assert_ended(3, Outcome::Split);
    assert!(guarded.finished().1.starts_with("nothing was removed: a guard of the run is armed"), "{guarded:?}");
    has_rebooted(&fleet, "vps");
    fleet.assert_reachable();
    let forgotten = fleet.recover("laptop2", &forgets);
    forgotten.assert_ended(1, Outcome::RolledBack);
    forgotten.assert_says(None, &["garbage collection roots are removed on vps"]);
    fleet.assert_on_old(&["vps"]);
}

/// Measured in an earlier version: six minutes after every guard must have fired, `recover` counted a whole guard down,
/// and the next one once more.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_guard_that_must_have_fired_minutes_ago_is_not_counted_down_and_its_host_not_waited_for() {
    let (fleet, run) = killed_in_verify("wayout-count", &BOTH);
    fleet.power("homeserver", "off");
    restart(&fleet, "vps");
    fleet.assert_reached("vps");
    // Of when the guards were armed this workstation knows what its record says.
    fleet.age_record(&run, seconds(480));
    let limits = "{connect: 5s, step: 5s, test: 15s, switch: 5s, rollback: 10s}";
    fleet.write_inventory(&Inventory { settle: "4s", limits, ..Inventory::default() });
    let told = |event: &Event| match event {
        Event::LeftToGuard { host, fires_in_ms, boot_ms, .. } => Some((host.to_string(), *fires_in_ms, *boot_ms)),
        _ => None,
    };
    let nothing_left = ("homeserver".to_owned(), 0, 0);
    let recovered = fleet.recover("laptop", &["homelab"]);
    recovered.assert_ended(3, Outcome::Split);
    recovered.assert_says(None, &["if it does not come back: fleetdeploy recover homelab --without homeserver"]);
    let counted: Vec<_> = recovered.events().filter_map(told).collect();
    assert!(!counted.is_empty() && counted.iter().all(|told| *told == nothing_left), "{counted:?}");
    // It could not end the run, and holds nobody for that.
    assert_eq!(fleet.host("vps", "ls /run/fleetdeploy/lease 2>/dev/null || true"), "");
    // What that one has written down is new, and arms no guard.
    let again = fleet.start_recover("laptop", &["homelab"]);
    assert_eq!(again.wait_for("it is left to its guard", told), nothing_left);
}

/// A push that was overtaken in verify: its hosts have restarted, and another workstation has committed there since.
fn overtaken(test: &str) -> (Fleet, Pushing) {
    let (mut fleet, older, _) = in_verify(test, &BOTH);
    older.signal("STOP");
    for host in BOTH {
        restart(&fleet, host);
        fleet.restarted(host);
    }
    fleet.assert_reachable();
    fleet.write_inventory(&Inventory::default());
    // To the very systems that the older run was to bring: it could take them for its own.
    fleet.start_as("laptop2", &["homelab"]).ended().assert_ended(0, Outcome::Committed);
    (fleet, older)
}

const IS_OVER: &str = "a later run has committed here: this one is over for it";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_older_push_that_slept_through_a_later_commit_leaves_that_when_it_wakes() {
    let (fleet, sleeper) = overtaken("wayout-wakes");
    sleeper.signal("CONT");
    let woken = sleeper.ended();
    assert_eq!(woken.status, Some(1), "{woken:?}");
    for host in BOTH {
        assert!(matches!(woken.host(host), HostOutcome::MovedOn { .. }), "{woken:?}");
        woken.assert_says(Some(host), &[IS_OVER]);
    }
    // Nothing of it is left there, either.
    fleet.assert_on_new(&BOTH);
}

/// Seen in an earlier version: `recover` of an older run undid what a later one had committed.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn the_record_of_an_older_run_undoes_nothing_that_a_later_one_has_committed() {
    let (fleet, dead) = overtaken("wayout-later");
    dead.signal("KILL");
    dead.died();
    let recovered = fleet.recover("laptop", &["homelab"]);
    recovered.assert_ended(0, Outcome::Unchanged);
    let is_over = |event: &Event| matches!(event, Event::HostFound { text, .. } if text.to_string() == IS_OVER);
    assert_eq!(recovered.events().filter(|event| is_over(event)).count(), 2, "{}", recovered.words(None));
    for host in BOTH {
        assert!(!recovered.guard_was_armed(host), "{host}");
    }
    fleet.assert_on_new(&BOTH);
}
