//! Ctrl-C: before the switch everything goes back, after it the push finishes, and twice means at once. The other
//! signals, and verify, are in `interrupted.rs`.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::pushed::{Pushed, Pushing};
use crate::wait::{look_again, seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

fn fleet(test: &str) -> Fleet {
    let fleet = Fleet::up(test);
    fleet.change(&BOTH);
    fleet
}

/// Both hosts are activating, and go on doing so for some seconds.
fn in_test(fleet: &Fleet) -> Pushing {
    for host in BOTH {
        fleet.set(host, "activate", "\"slow:6\"");
    }
    let push = fleet.start(&["homelab"]);
    for host in BOTH {
        push.wait_for(host, |event| {
            matches!(event, Event::GuardArmed { host: of, .. } if of.as_str() == host).then_some(())
        });
        until(seconds(60), "its activation has begun", || {
            fleet
                .host(host, "pgrep -f 'switch-to-configuratio[n] test' || true")
                .contains(char::is_numeric)
                .then_some(())
        });
    }
    push
}

fn nothing_runs_on_the_workstation(fleet: &Fleet) {
    let start = std::time::Instant::now();
    loop {
        let left = fleet.on_workstation();
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < seconds(30), "still running on the workstation: {left:#?}");
        look_again();
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn sigint_while_hosts_activate_rolls_back_and_exits_with_130() {
    let fleet = fleet("int-test");
    let push = in_test(&fleet);
    push.signal("INT");
    push.ended().assert_ended(130, Outcome::RolledBack);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn sigint_during_the_build_ends_it_and_touches_nothing() {
    let fleet = fleet("int-build");
    fleet.set("vps", "build", "\"slow:100\"");
    let push = fleet.start(&["homelab"]);
    let surveyed = |host: &str| {
        push.wait_for("survey", |event| {
            matches!(event, Event::HostDone { host: of, phase: Phase::Survey } if of.as_str() == host).then_some(())
        });
    };
    for host in BOTH {
        surveyed(host);
    }
    until(seconds(60), "the builder runs", || {
        fleet.on_workstation().iter().any(|words| words == "sleep 100").then_some(())
    });
    push.signal("INT");
    let pushed = push.ended();
    pushed.assert_ended(130, Outcome::Refused);
    // Neither nix nor its builder nor an ssh master lives on.
    nothing_runs_on_the_workstation(&fleet);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn sigint_after_the_decision_comes_too_late_and_the_push_finishes() {
    let fleet = fleet("int-late");
    fleet.set("homeserver", "loader", "\"slow:3\"");
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Switch);
    push.signal("INT");
    push.ended().assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_second_sigint_leaves_at_once_and_the_guards_bring_every_host_back() {
    let fleet = fleet("int-twice");
    let limits = "{connect: 5s, step: 5s, test: 15s, switch: 5s, rollback: 10s}";
    fleet.write_inventory(&Inventory { guard: "50s", settle: "4s", limits, ..Inventory::default() });
    let push = in_test(&fleet);
    push.signal("INT");
    push.wait_for("roll back", |event| matches!(event, Event::RollBackStarted { .. }).then_some(()));
    push.signal("INT");
    let pushed = push.ended();
    pushed.assert_ended(3, Outcome::Left);
    for host in BOTH {
        assert!(fate(&pushed, host).starts_with(BROUGHT_BACK), "{pushed:?}");
    }
    nothing_runs_on_the_workstation(&fleet);
    for host in BOTH {
        until(seconds(120), "its guard has rebooted it", || (fleet.boots(host) == 2).then_some(()));
        let (now, before) = (fleet.standing(host), fleet.before(host));
        let of = |one: &crate::standing::Standing| [one.current.clone(), one.profile.clone(), one.boot_default.clone()];
        assert_eq!(of(&now), of(before));
        assert_eq!(now.generations, before.generations);
    }
}

const BROUGHT_BACK: &str = "its guard brings it back to its old system; back at the latest in ";

/// What is said of a host that was left.
fn fate(pushed: &Pushed, host: &str) -> String {
    match pushed.host(host) {
        HostOutcome::Left { why, .. } => why.to_string(),
        other => panic!("{host}: {other:?}"),
    }
}

/// Seen in an earlier version: SPLIT, and every host LOST "unless it was disarmed", though nobody had disarmed any.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_second_sigint_keeps_that_a_host_was_seen_on_old_while_another_was_waited_for() {
    let fleet = fleet("int-seen");
    let push = in_test(&fleet);
    push.signal("INT");
    fleet.power("homeserver", "off");
    push.wait_for("vps is back on old", |event| {
        matches!(event, Event::HostDone { host, phase: Phase::RollBack } if host.as_str() == "vps").then_some(())
    });
    push.signal("INT");
    let pushed = push.ended();
    pushed.assert_ended(3, Outcome::Left);
    pushed.assert_says(
        None,
        &[
            "left at once, as asked; every guard has fired, and its host is back, in ",
            "next: fleetdeploy recover homelab",
        ],
    );
    for host in BOTH {
        assert!(matches!(pushed.host(host), HostOutcome::Left { back_within_ms: Some(1..), .. }), "{pushed:?}");
    }
    let seen =
        "was seen on its old system with its guard armed, which restarts it into that once more; back at the latest";
    assert!(fate(&pushed, "vps").starts_with(seen), "{pushed:?}");
    assert!(fate(&pushed, "homeserver").starts_with(BROUGHT_BACK), "{pushed:?}");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn ctrl_c_on_a_terminal_reaches_only_fleetdeploy_and_not_its_children() {
    let fleet = fleet("ctrl-c");
    for host in BOTH {
        fleet.set(host, "activate", "\"slow:6\"");
    }
    let mut push = fleet.on_terminal("push homelab");
    push.wait_for_text("activating the new system");
    std::io::Write::write_all(push.stdin(), b"\x03").unwrap();
    let pushed = push.ended();
    // An ssh master that died of it would cost the contact to its host.
    for lost in ["contact lost", "lost the", "connecting again"] {
        assert!(!pushed.stdout.to_lowercase().contains(lost), "{}", pushed.stdout);
    }
    assert_eq!(pushed.status, Some(130), "{}", pushed.stdout);
    fleet.assert_on_old(&[]);
}
