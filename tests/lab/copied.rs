//! Copies that break off before anything was touched.

use fleetdeploy::event::{Event, Outcome};

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

/// What is killed in the middle of a copy, where, and by which script.
const KILLED: [(&str, &str); 2] = [
    ("its Nix", "pkill -KILL -f '[n]ix-daemon' || true"),
    // Both ends of the master's connection: the workstation has it from sshd.
    ("its sshd", "pkill -KILL -f '^sshd-session: ' || true"),
];

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_copy_that_breaks_off_is_begun_once_more_and_the_push_goes_on() {
    let mut fleet = Fleet::made("copied", &Setup { hosts: &["vps"], disk: "2g", ..Setup::default() });
    fleet.write_inventory(&Inventory { checks: "[]", ..Inventory::default() });
    for (number, (what, kill)) in KILLED.into_iter().enumerate() {
        fleet.set("vps", "version", &format!("\"{}\"", number + 2));
        fleet.set("vps", "size", "300");
        let push = fleet.start(&["homelab"]);
        // Of a path that is under way nix tells nothing until it is through: some seconds here.
        push.wait_for("what is to be copied", |event| match event {
            Event::CopyMoved { expected_bytes, .. } => (*expected_bytes > 100_000_000).then_some(()),
            _ => None,
        });
        fleet.host("vps", kill);
        let pushed = push.ended();
        pushed.assert_ended(0, Outcome::Committed);
        let again = |event: &Event| matches!(event, Event::Warned { text, .. } if text.code() == Some("copied-again"));
        assert!(pushed.has(again), "{what}: {}", pushed.words(None));
        fleet.assert_on_new(&["vps"]);
        fleet.look();
    }
}
