//! `recover`: a push dies, or sleeps, at each of its phases, and the next command brings all hosts to one side.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::{Inventory, KILLED_IN_VERIFY};
use crate::pushed::Pushing;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

/// With time enough for a recovery under the guards of the push that died.
const OPEN_VERIFY: Inventory = Inventory {
    guard: "150s",
    settle: "40s",
    limits: "{connect: 10s, step: 10s, test: 20s, switch: 15s, rollback: 20s}",
    ..KILLED_IN_VERIFY
};

/// A fleet whose next systems are version 2, with time enough for a push that dies and a recovery under one guard.
fn fleet(test: &str) -> Fleet {
    let fleet = Fleet::up(test);
    fleet.write_inventory(&Inventory { guard: "150s", settle: "20s", ..Inventory::default() });
    fleet.change(&BOTH);
    fleet
}

/// Kills the push that is followed, as nothing but a power cut would.
fn kill(push: Pushing) {
    push.signal("KILL");
    push.died();
}

/// A push that was killed while it waited for a link that never comes up: all hosts run their new systems.
fn killed_in_verify(fleet: &Fleet, inventory: &Inventory) {
    fleet.write_inventory(inventory);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    kill(push);
}

/// A push that was killed after its decision, when both boot defaults had moved: all is done but to disarm.
fn killed_in_switch(fleet: &Fleet) {
    for host in BOTH {
        fleet.set(host, "loader", "\"slow:3\"");
    }
    let push = fleet.start(&["homelab"]);
    for host in BOTH {
        has_file(fleet, host, "jobs/switch.started");
    }
    kill(push);
    for host in BOTH {
        has_file(fleet, host, "jobs/switch.status");
    }
}

fn has_file(fleet: &Fleet, host: &str, file: &str) {
    // Looked for on the host itself: from here each look would be ten processes.
    let look = format!("until [ -e /run/fleetdeploy/{file} ]; do sleep 0.05; done");
    fleet.host(host, &format!("timeout 60 sh -c '{look}'"));
}

fn reboots(fleet: &Fleet, host: &str) {
    until(seconds(200), &format!("the guard of {host} has rebooted it"), || (fleet.boots(host) == 2).then_some(()));
    fleet.standing(host);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_is_killed_before_its_decision_is_undone_in_every_phase() {
    let fleet = fleet("rec-back");
    for host in BOTH {
        fleet.set(host, "activate", "\"slow:4\"");
    }
    for phase in [Phase::Arm, Phase::Test, Phase::Verify] {
        let push = fleet.start(&["homelab"]);
        push.wait_for_phase(phase);
        if phase == Phase::Arm {
            push.wait_for("a guard", |event| matches!(event, Event::GuardArmed { .. }).then_some(()));
        }
        kill(push);
        // A new push would build on what nobody knows.
        let refused = fleet.plain(&["push", "homelab"]);
        assert_eq!(refused.status, Some(1), "{}", refused.stderr);
        for mend in ["type `fleetdeploy recover homelab`", "`fleetdeploy recover homelab --forget "] {
            assert!(refused.stderr.contains(mend), "{}", refused.stderr);
        }
        let recovered = fleet.recover("laptop", &[]);
        assert_eq!(recovered.status, Some(1), "{phase:?}: {}", recovered.finished().1);
        assert!(matches!(recovered.finished().0, Outcome::RolledBack | Outcome::Refused), "{phase:?}");
        fleet.assert_on_old(&[]);
    }
    // Nothing is left to recover, with or without a record.
    fleet.recover("laptop", &["homelab"]).assert_ended(0, Outcome::Unchanged);
    let none = fleet.plain(&["recover"]);
    assert_eq!(none.status, Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("the fleets are homelab"), "{}", none.stderr);
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_is_killed_after_its_decision_is_finished() {
    let fleet = fleet("rec-forward");
    let source = "flake: .\nhooks:\n  after_commit:\n    - env | grep ^FLEETDEPLOY_ >/root/after-commit\n  \
                  after_abort:\n    - touch /root/after-abort";
    fleet.write_inventory(&Inventory { guard: "150s", settle: "20s", source, ..Inventory::default() });
    for host in BOTH {
        fleet.set(host, "loader", "\"slow:3\"");
    }
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Switch);
    kill(push);
    let recovered = fleet.recover("laptop", &[]);
    recovered.assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&BOTH);
    // The push died before its hooks; a second recovery has nothing to end.
    let run = recovered.lines.iter().find_map(|line| line.run.clone()).unwrap();
    let told = fleet.ws("cat /root/after-commit; rm /root/after-commit");
    for wanted in [
        &format!("FLEETDEPLOY_RUN={run}"),
        "FLEETDEPLOY_HOSTS=vps homeserver",
        "FLEETDEPLOY_PHASE=after_commit",
        "FLEETDEPLOY_OUTCOME=committed",
        "FLEETDEPLOY_EXIT=0",
    ] {
        assert!(told.lines().any(|line| line == wanted), "{wanted}: {told}");
    }
    fleet.recover("laptop", &["homelab"]).assert_ended(0, Outcome::Unchanged);
    assert_eq!(fleet.ws("ls /root/after-* 2>/dev/null || true"), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_is_killed_while_it_disarms_ends_on_one_side() {
    let fleet = fleet("rec-disarm");
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Disarm);
    kill(push);
    fleet.recover("laptop", &["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn another_workstation_undoes_a_push_from_the_hosts_alone() {
    let fleet = fleet("rec-alone");
    killed_in_verify(&fleet, &OPEN_VERIFY);
    let recovered = fleet.recover("laptop2", &["homelab"]);
    recovered.assert_ended(1, Outcome::RolledBack);
    assert!(recovered.has(|event| matches!(event, Event::RunChosen { alone: true, epoch: 2.., .. })));
    fleet.assert_on_old(&[]);
    // The first workstation learns that it is over.
    let learned = fleet.recover("laptop", &[]);
    learned.assert_ended(0, Outcome::Unchanged);
    learned.assert_says(None, &["was ended from elsewhere"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn from_the_hosts_alone_a_silent_host_is_waited_for_and_nothing_is_done_meanwhile() {
    let fleet = fleet("rec-silent");
    killed_in_verify(&fleet, &OPEN_VERIFY);
    fleet.cable("homeserver", "down");
    let held = |host| fleet.host(host, "cat /run/fleetdeploy/lease; readlink /run/current-system");
    let before = held("vps");
    let recovering = fleet.start_recover("laptop2", &["homelab"]);
    recovering.wait_for("it waits", |event| match event {
        Event::Warned { host: None, text } => {
            text.to_string().contains("homeserver cannot be asked: nothing is done").then_some(())
        }
        _ => None,
    });
    assert_eq!(held("vps"), before);
    fleet.cable("homeserver", "up");
    recovering.ended().assert_ended(1, Outcome::RolledBack);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_sleeps_is_superseded_and_changes_nothing_when_it_wakes() {
    let fleet = fleet("rec-asleep");
    for host in BOTH {
        fleet.set(host, "loader", "\"slow:3\"");
    }
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Switch);
    push.signal("STOP");
    // On its own workstation it holds the fleet, asleep or not.
    let held = fleet.plain(&["recover", "homelab"]);
    assert_eq!(held.status, Some(3), "{}", held.stderr);
    assert!(held.stderr.contains("another fleetdeploy works on fleet `homelab`: process "), "{}", held.stderr);
    fleet.recover("laptop2", &["homelab"]).assert_ended(1, Outcome::RolledBack);
    push.signal("CONT");
    let pushed = push.ended();
    assert_eq!(pushed.status, Some(3), "{}", pushed.finished().1);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_is_taken_over_while_it_verifies_ends_as_superseded() {
    let fleet = fleet("rec-live");
    fleet.write_inventory(&OPEN_VERIFY);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    // Begun now, so that it meets the push where it turns back.
    let recovering = fleet.start_recover("laptop2", &["homelab"]);
    recovering.wait_for("it is taken over", |event| matches!(event, Event::HostFound { .. }).then_some(()));
    push.signal("INT");
    let pushed = push.ended();
    pushed.assert_ended(3, Outcome::Superseded);
    pushed.assert_says(None, &["has taken this run over", "fleetdeploy recover homelab"]);
    recovering.ended().assert_ended(1, Outcome::RolledBack);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn of_two_recoveries_at_once_exactly_one_goes_on() {
    let fleet = fleet("rec-race");
    killed_in_verify(&fleet, &OPEN_VERIFY);
    // The second workstation is made when it is first asked for.
    fleet.make_workstation("laptop2");
    let both = ["laptop", "laptop2"].map(|workstation| fleet.start_recover(workstation, &["homelab"]));
    let ends = both.map(|recovering| recovering.ended().finished().0);
    assert!(ends.contains(&Outcome::RolledBack), "{ends:?}");
    // The slower one may also come when all is done.
    let quiet = |end: &&Outcome| matches!(end, Outcome::Superseded | Outcome::Unchanged);
    assert_eq!(ends.iter().filter(quiet).count(), 1, "{ends:?}");
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn after_the_guards_have_rebooted_every_host_a_recovery_only_cleans_up() {
    let fleet = fleet("rec-fired");
    killed_in_verify(&fleet, &KILLED_IN_VERIFY);
    for host in BOTH {
        reboots(&fleet, host);
    }
    fleet.assert_reachable();
    let recovered = fleet.recover("laptop2", &["homelab"]);
    recovered.assert_ended(1, Outcome::RolledBack);
    for host in BOTH {
        assert!(matches!(recovered.host(host), HostOutcome::RolledBack { .. }), "{recovered:?}");
    }
    recovered.assert_says(Some("vps"), &["rebooting"]);
    fleet.assert_on_old(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_lease_that_a_guard_without_a_reboot_has_left_is_taken_away() {
    let fleet = fleet("rec-lease");
    fleet.write_inventory(&Inventory::default());
    let push = fleet.start(&["homelab"]);
    let armed = push.wait_for("a guard", |event| match event {
        Event::GuardArmed { host, .. } => Some(host.clone()),
        _ => None,
    });
    kill(push);
    let (armed, mut state) = (armed.as_str(), String::new());
    until(seconds(150), "its guard has fired", || {
        state = fleet.host(
            armed,
            "ls /run/fleetdeploy/token /run/fleetdeploy/jobs; systemctl is-active fleetdeploy-guard || true",
        );
        (state.contains("fired-") && state.contains("inactive")).then_some(())
    });
    assert!(!state.contains(".started"), "a step had begun: {state}");
    fleet.recover("laptop", &[]).assert_ended(1, Outcome::Refused);
    fleet.assert_on_old(&[]);
}

/// Does what a disarm does. The guard may see that its token is gone, and end by itself, before it is stopped.
fn disarm_by_hand(fleet: &Fleet, host: &str) {
    fleet.host(
        host,
        "cd /run/fleetdeploy/token && mv armed-* \"disarmed-$(ls | cut -d- -f2)\" && {
            systemctl stop fleetdeploy-guard || ! systemctl --quiet is-active fleetdeploy-guard
        }",
    );
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_was_disarmed_takes_the_other_one_forward_without_a_record() {
    let fleet = fleet("rec-half");
    killed_in_switch(&fleet);
    // The second disarm was never sent.
    disarm_by_hand(&fleet, "vps");
    let recovered = fleet.recover("laptop2", &["homelab"]);
    recovered.assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_was_disarmed_is_armed_again_and_taken_back_to_the_one_that_rebooted() {
    let fleet = fleet("rec-split");
    // A guard is waited for.
    fleet.write_inventory(&Inventory::default());
    killed_in_switch(&fleet);
    disarm_by_hand(&fleet, "vps");
    reboots(&fleet, "homeserver");
    fleet.assert_reachable();
    let recovered = fleet.recover("laptop", &["homelab"]);
    recovered.assert_ended(1, Outcome::RolledBack);
    assert_eq!(recovered.host("vps"), &HostOutcome::RolledBack { by_guard: false });
    assert_eq!(recovered.host("homeserver"), &HostOutcome::RolledBack { by_guard: true });
    assert!(recovered.guard_was_armed("vps"));
    fleet.assert_on_old(&["homeserver"]);
}
