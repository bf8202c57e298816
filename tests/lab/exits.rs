//! The exits of every command on hosts that are there: docs/design.md, "Outcomes and exit statuses", row by row.
//! `tests/exits.rs` has what needs none.

use std::collections::BTreeMap;

use fleetdeploy::event::{Event, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

/// A command line, blanks between its words, and the exit that it must have.
type Row<'a> = (&'a str, i32);

/// One after the other; all that went wrong is shown together.
fn assert_exits(fleet: &Fleet, state: &str, rows: &[Row<'_>]) {
    let (mut wrong, mut said) = (BTreeMap::new(), Vec::new());
    for (line, expected) in rows {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = fleet.plain(&words);
        if ran.status != Some(*expected) {
            wrong.insert(*line, (ran.status, *expected));
            said.push(format!("--- {line}\n{}{}", ran.stdout, ran.stderr));
        }
        assert!(!ran.stderr.contains("panicked"), "{line}: {}", ran.stderr);
    }
    assert_eq!(wrong, BTreeMap::new(), "{state}: these are not as they should be\n{}", said.concat());
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_fleet_that_is_well_says_yes_and_what_is_wrong_says_no() {
    let fleet = Fleet::up("exits");
    assert_exits(
        &fleet,
        "all is well",
        &[
            ("plan homelab", 0),
            ("build homelab", 0),
            ("check homelab", 0),
            ("status homelab --build", 0),
            ("diff homelab", 0),
            ("doctor homelab", 0),
            ("exec homelab -- true", 0),
            ("exec homelab -- false", 1),
            ("exec homelab -- no-such-program", 1),
            ("exec homelab --timeout 1s -- sleep 60", 1),
            ("recover homelab", 0),
            ("recover", 2),
            ("guard status homelab", 0),
            ("guard extend homelab", 1),
            ("guard disarm homelab", 0),
            // There is nothing to do, and so nothing to go back behind.
            ("push homelab", 0),
            ("rollback homelab", 2),
        ],
    );
    fleet.change(&BOTH);
    assert_exits(
        &fleet,
        "a new version",
        &[
            ("push homelab --dry-run", 0),
            ("push homelab --on vps --canary homeserver", 2),
            ("push homelab", 0),
            ("rollback homelab --dry-run --units", 0),
            ("rollback homelab --to 77 --on vps", 1),
            ("rollback homelab", 0),
            ("push homelab --waves 1", 0),
            ("show last", 0),
            ("logs last vps", 0),
            ("logs last nobody", 2),
            ("runs homelab", 0),
        ],
    );
    assert_exits(
        &fleet,
        "under a guard by hand",
        &[
            ("guard arm homelab", 0),
            ("guard arm homelab", 1),
            ("guard status homelab", 0),
            ("guard extend homelab", 0),
            ("push homelab", 1),
            ("rollback homelab", 1),
            ("reboot homelab", 1),
            ("doctor homelab", 1),
            ("guard disarm homelab", 0),
        ],
    );
    let checks = "- vpn: mesh\n- tcp: 5432\n  to: vps\n  from: homeserver\n";
    fleet.write_inventory(&Inventory { checks, ..Inventory::default() });
    assert_exits(&fleet, "a required link is down", &[("check homelab", 1), ("status homelab", 0)]);
    fleet.write_inventory(&Inventory { checks: &format!("{checks}  required: false"), ..Inventory::default() });
    assert_exits(&fleet, "a link that need not be up is down", &[("check homelab", 0)]);
    fleet.set("homeserver", "build", "\"fails\"");
    assert_exits(
        &fleet,
        "a system does not build",
        &[
            ("build homelab", 1),
            ("plan homelab", 1),
            ("diff homelab", 1),
            ("status homelab --build", 1),
            ("push homelab", 1),
        ],
    );
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_does_not_answer_is_no_and_in_doubt_where_it_may_be_under_a_guard() {
    let fleet = Fleet::up("exits-away");
    fleet.change(&BOTH);
    fleet.cable("homeserver", "down");
    // Side by side: each waits for the host on its own, and none of them holds the fleet.
    let asked = [
        "plan homelab",
        "diff homelab",
        "check homelab",
        "status homelab",
        "doctor homelab",
        "exec homelab -- true",
        "guard status homelab",
    ]
    .map(|line| (line, fleet.start_query(&line.split(' ').collect::<Vec<_>>())));
    for (line, asked) in asked {
        let answered = asked.ended();
        assert_eq!(answered.status, Some(1), "{line}: {}", answered.stderr);
    }
    assert_exits(
        &fleet,
        "the home server is away",
        &[
            ("exec homelab --on vps -- true", 0),
            ("push homelab", 1),
            ("guard arm homelab", 1),
            ("guard extend homelab", 3),
            ("guard disarm homelab", 3),
            ("reboot homelab", 1),
            ("recover homelab", 3),
        ],
    );
    fleet.cable("homeserver", "up");
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_signal_has_its_own_exit_whatever_it_ends() {
    let fleet = Fleet::up("exits-signals");
    let slow = "- name: slow\n  command: [sleep, \"20\"]\n  from: vps\n";
    fleet.write_inventory(&Inventory { checks: slow, ..Inventory::default() });
    let baseline = |event: &Event| matches!(event, Event::PhaseStarted { phase: Phase::Baseline }).then_some(());
    for (command, signal, status) in
        [("check", "INT", 130), ("plan", "TERM", 143), ("push", "HUP", 129), ("reboot", "INT", 130)]
    {
        fleet.change(&BOTH);
        let began = fleet.start_query(&[command, "homelab"]);
        began.wait_for("the baseline", baseline);
        began.signal(signal);
        let ended = began.ended();
        assert_eq!(ended.status, Some(status), "{command}: {}", ended.stderr);
    }
    fleet.assert_untouched();
    // Between two hosts, and while one is on its way, which is waited for.
    fleet.write_inventory(&Inventory::default());
    let rebooting = fleet.start_query(&["reboot", "homelab"]);
    until(seconds(60), "the home server has gone down", || (fleet.boots("homeserver") == 2).then_some(()));
    rebooting.signal("TERM");
    let ended = rebooting.ended();
    assert_eq!((ended.status, fleet.boots("vps")), (Some(143), 1), "{}", ended.stderr);
}
