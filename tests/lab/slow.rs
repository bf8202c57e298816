//! A host that has no time for its own probes: what it has not heard says nothing.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use fleetdeploy::facts::links::LinkAnswer;
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::pushed::Pushed;

/// No answer to a ping comes to the host any more, and none of its own to itself: as if each came too late.
const HEARS_NOTHING: &str = "nft 'table inet late { chain in { type filter hook input priority -10; \
                             icmp type echo-reply drop; }; }'";
const HEARS_AGAIN: &str = "nft delete table inet late";

fn assert_nothing_was_down(pushed: &Pushed) {
    let down: Vec<String> = pushed
        .events()
        .flat_map(|event| match event {
            Event::LinksMoved { waiting_for, .. } => waiting_for.clone(),
            Event::MatrixSeen { cells, .. } => {
                let is_down = |answer: &LinkAnswer| matches!(answer, LinkAnswer::Down { .. });
                cells.iter().filter(|cell| is_down(&cell.answer)).map(|cell| format!("{cell:?}")).collect()
            }
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(down, Vec::<String>::new());
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_cannot_measure_its_links_takes_the_push_back_and_commits_late_when_it_can_again() {
    let fleet = Fleet::up("slow");
    let checks = "- vpn: mesh\n  timeout: 1s\n";
    fleet.write_inventory(&Inventory { settle: "4s", checks, ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    // The first one is not measured to its end, the second one for one round.
    let pushing = fleet.start(&["homelab"]);
    pushing.wait_for_phase(Phase::Arm);
    fleet.host("homeserver", HEARS_NOTHING);
    let reason = pushing.wait_for("the roll back", |event| match event {
        Event::RollBackStarted { reason, .. } => Some((reason.code().map(str::to_owned), reason.to_string())),
        _ => None,
    });
    fleet.host("homeserver", HEARS_AGAIN);
    let pushed = pushing.ended();
    assert_eq!(reason.0.as_deref(), Some("links-not-measured"), "{}", reason.1);
    assert!(reason.1.contains("homeserver"), "{}", reason.1);
    pushed.assert_ended(1, Outcome::RolledBack);
    let switched_back = HostOutcome::RolledBack { by_guard: false };
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&switched_back, &switched_back));
    assert_nothing_was_down(&pushed);
    fleet.assert_on_old(&[]);

    let pushing = fleet.start(&["homelab"]);
    pushing.wait_for_phase(Phase::Arm);
    fleet.host("homeserver", HEARS_NOTHING);
    pushing.wait_for("a round", |event| matches!(event, Event::LinksMoved { up, of, .. } if up < of).then_some(()));
    fleet.host("homeserver", HEARS_AGAIN);
    let pushed = pushing.ended();
    pushed.assert_ended(0, Outcome::Committed);
    assert_nothing_was_down(&pushed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}
