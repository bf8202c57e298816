//! A host that comes back after its run was ended without it, and what stays on hosts over their reboots.

use fleetdeploy::event::{Event, Outcome, Phase};
use fleetdeploy::facts::host::Lease;
use fleetdeploy::facts::step_answer::{RefusalReason, StepOutcome};
use fleetdeploy::facts::traces::{EndMark, EndSide, Ended};
use fleetdeploy::inventory::model::{GuardAction, HostName};
use fleetdeploy::remote::answer::step_answer;
use fleetdeploy::remote::step::{Expected, RemoteStep, Speaker};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::{Inventory, KILLED_IN_VERIFY};
use crate::pushed::Pushed;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];
const EPOCH: u64 = 70_000;

fn speaker(run: &str, epoch: u64) -> Speaker {
    Speaker { run: run.to_owned(), epoch }
}

fn arming(fleet: &Fleet, host: &str, run: &str, owner: &str, guard: u64) -> RemoteStep {
    RemoteStep::Arm {
        speaker: speaker(run, 1),
        owner: owner.to_owned(),
        boot_id: fleet.standing(host).boot_id,
        expected: Expected::default(),
        latest: 99_999_999_999,
        guard: seconds(guard),
        action: GuardAction::Reboot,
        pace: vec![("reboot_patience", 3), ("force_patience", 3)],
        hosts: BOTH.map(|host| HostName::new(host).unwrap()).to_vec(),
    }
}

fn does(fleet: &Fleet, host: &str, step: &RemoteStep) -> fleetdeploy::facts::host::Standing {
    let answer = step_answer(&fleet.step(host, step)).unwrap();
    assert_eq!(answer.outcome, StepOutcome::Done, "{host}");
    answer.standing
}

fn refuses(fleet: &Fleet, host: &str, step: &RemoteStep) -> RefusalReason {
    match step_answer(&fleet.step(host, step)).unwrap().outcome {
        StepOutcome::Refused { reason, .. } => reason,
        other => panic!("{host}: {other:?}"),
    }
}

/// What the push said of this host.
fn warned(push: &Pushed, about: &str) -> Vec<String> {
    let warning = |event: &Event| match event {
        Event::Warned { host: Some(host), text } if host.as_str() == about => Some(text.to_string()),
        _ => None,
    };
    push.events().filter_map(warning).collect()
}

fn machine_id(fleet: &Fleet, host: &str) -> String {
    fleet.host(host, "cat /etc/machine-id").trim().to_owned()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_fence_outlives_the_reboot_of_its_host_and_a_claim_that_was_given_back() {
    let fleet = Fleet::made("fence", &Setup { hosts: &["vps"], ..Setup::default() });
    let run = "20261122-120000-fence-0001";
    let folder = format!("/nix/var/nix/gcroots/fleetdeploy/{run}");
    fleet.host("vps", &format!("mkdir -p {folder}"));
    does(&fleet, "vps", &arming(&fleet, "vps", run, "ada@laptop", 12));
    // As a step that had begun: else its guard would have nothing to put back, and would not reboot.
    fleet.host("vps", &format!("echo {run} 1 >/run/fleetdeploy/jobs/test.started"));
    let taking = |epoch: u64| RemoteStep::TakeOver { speaker: speaker(run, epoch), owner: "bob@desktop".to_owned() };
    does(&fleet, "vps", &taking(EPOCH));
    until(seconds(120), "the guard has rebooted it", || (fleet.boots("vps") == 2).then_some(()));
    fleet.wait_until_up("vps");
    assert_eq!(fleet.host("vps", "ls /run/fleetdeploy 2>/dev/null || true"), "", "/run knows nothing of it");

    // The push's coordinator wakes up.
    assert_eq!(refuses(&fleet, "vps", &arming(&fleet, "vps", run, "ada@laptop", 600)), RefusalReason::Superseded);
    assert_eq!(refuses(&fleet, "vps", &taking(EPOCH - 1)), RefusalReason::Superseded);
    let asked = does(&fleet, "vps", &RemoteStep::Ask { run: run.to_owned() });
    let fence = |owner: &str| Some(Lease { run: run.to_owned(), epoch: EPOCH, owner: owner.to_owned() });
    assert_eq!((asked.fence, asked.lease), (fence("bob@desktop"), None));
    assert!(asked.run_traces.is_some_and(|traces| traces.traced && !traces.switching));

    does(&fleet, "vps", &taking(EPOCH));
    let released = does(&fleet, "vps", &RemoteStep::Release { speaker: speaker(run, EPOCH) });
    assert_eq!((released.fence, released.lease), (fence("-"), None));
    assert_eq!(refuses(&fleet, "vps", &taking(EPOCH)), RefusalReason::Superseded);
    fleet.host("vps", "sync");
    fleet.power("vps", "cut");
    until(seconds(60), "it boots again", || (fleet.boots("vps") == 3).then_some(()));
    fleet.wait_until_up("vps");
    assert_eq!(refuses(&fleet, "vps", &taking(EPOCH)), RefusalReason::Superseded);
    does(&fleet, "vps", &taking(EPOCH + 1));
    let mark = EndMark::of_all(Some(EndSide::Old));
    does(&fleet, "vps", &RemoteStep::Clean { speaker: speaker(run, EPOCH + 1), mark });
    assert_eq!(fleet.host("vps", "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null || true"), "");
}

/// A push dies, the guards bring both hosts back, and the run is ended without the one that is not seen.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_comes_back_minutes_later_is_named_by_the_others_marks_and_a_push_cleans_it_up() {
    let fleet = Fleet::up("returned");
    fleet.write_inventory(&KILLED_IN_VERIFY);
    fleet.change(&BOTH);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    push.signal("KILL");
    push.died();
    for host in BOTH {
        until(seconds(140), "the guard has rebooted it", || (fleet.boots(host) == 2).then_some(()));
        fleet.wait_until_up(host);
    }
    let run = fleet.host("vps", "ls /nix/var/nix/gcroots/fleetdeploy").trim().to_owned();
    let missing: fleetdeploy::facts::traces::Missing =
        [(HostName::new("homeserver").unwrap(), Some(machine_id(&fleet, "homeserver")))].into();
    let mark = EndMark { side: Some(EndSide::Old), missing };
    let taking = RemoteStep::TakeOver { speaker: speaker(&run, EPOCH), owner: "bob@desktop".to_owned() };
    does(&fleet, "vps", &taking);
    let cleaned = does(&fleet, "vps", &RemoteStep::Clean { speaker: speaker(&run, EPOCH), mark: mark.clone() });
    assert_eq!(cleaned.run_traces.unwrap().ended, Some(Ended { epoch: EPOCH, mark: mark.clone() }));

    // The record is of another workstation: only the hosts tell.
    fleet.ws("rm -rf ~/.local/state/fleetdeploy/runs");
    fleet.write_inventory(&Inventory { guard: "150s", settle: "20s", ..Inventory::default() });
    let roots = "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null || true";
    // What only looks leaves it, and says what removes it.
    let planned = fleet.run_json(&["plan", "homelab"]);
    planned.assert_ended(0, Outcome::Planned);
    let says =
        format!("was missing when run {run} ended on the others, on their old systems, and is on its own old system");
    planned.assert_says(Some("homeserver"), &[&says, "a push of the fleet, or `fleetdeploy recover homelab --run"]);
    assert!(fleet.host("homeserver", roots).contains(&run));

    let committed = fleet.push(&["homelab"]);
    committed.assert_ended(0, Outcome::Committed);
    let removed = format!("what run {run} had left here is removed");
    committed.assert_says(Some("homeserver"), &[&says, &removed]);
    assert!(!warned(&committed, "vps").join("\n").contains(&run), "a mark is nothing to be said");
    assert_eq!(BOTH.map(|host| fleet.host(host, roots)), ["", ""], "the mark of who was missing goes, too");
    // The run's own coordinator wakes up.
    let wakes = |host: &str| refuses(&fleet, host, &arming(&fleet, host, &run, "root@laptop", 600));
    assert_eq!(BOTH.map(wakes), [RefusalReason::Other, RefusalReason::Other], "it has no roots there any more");

    // Another run was ended without it.
    let run = "20261122-120000-returned-0001";
    fleet.host("vps", &format!("mkdir -p /nix/var/nix/gcroots/fleetdeploy/{run}"));
    does(&fleet, "vps", &RemoteStep::TakeOver { speaker: speaker(run, EPOCH), owner: "bob@desktop".to_owned() });
    does(&fleet, "vps", &RemoteStep::Clean { speaker: speaker(run, EPOCH), mark });
    // The machine is made anew: nothing of any run on it, and another id.
    fleet.host(
        "homeserver",
        "rm -rf /nix/var/nix/gcroots/fleetdeploy; echo 00112233445566778899aabbccddeeff >/etc/machine-id",
    );
    for host in BOTH {
        fleet.set(host, "version", "\"3\"");
    }
    let committed = fleet.push(&["homelab"]);
    committed.assert_ended(0, Outcome::Committed);
    let replaced = warned(&committed, "homeserver").join("\n");
    assert!(
        replaced.contains(&format!("is not the machine of this name that was missing when run {run} ended")),
        "{replaced}"
    );

    does(&fleet, "vps", &RemoteStep::Unmark { speaker: speaker(run, EPOCH), host: None });
    assert_eq!(fleet.host("vps", "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null || true"), "");
}
