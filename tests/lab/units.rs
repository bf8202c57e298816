//! Units that fail, and units that do not stay up: whose doing it is, and for how long they are waited for.

use fleetdeploy::event::{Event, Outcome};
use serde_json::{Value, json};

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;
use crate::wait::seconds;

/// With time for a `steady` of 20 s.
const STEADY: Inventory = Inventory {
    defaults: "user: root",
    guard: "120s",
    settle: "8s",
    steady: "10s",
    boot_time: "40s",
    limits: "{connect: 10s, step: 10s, test: 20s, switch: 15s, rollback: 20s}",
    hosts: &[],
    checks: "- vpn: mesh",
    source: "flake: .",
};

/// A service that runs this.
fn service(command: &str, more: &str) -> Value {
    json!(format!("[Service]\nEnvironment=PATH=/usr/bin:/bin\nExecStart=/bin/sh -c '{command}'\n{more}"))
}

/// A fleet whose homeserver is to be given these units, and is to change.
fn fleet(test: &str, inventory: &Inventory, units: &Value, unwanted: &Value) -> Fleet {
    let fleet = Fleet::up(test);
    prepare(&fleet, inventory, units, unwanted);
    fleet
}

fn prepare(fleet: &Fleet, inventory: &Inventory, units: &Value, unwanted: &Value) {
    fleet.write_inventory(inventory);
    fleet.set("homeserver", "raw_units", &units.to_string());
    fleet.set("homeserver", "raw_unwanted", &unwanted.to_string());
}

/// What is said of units while the push goes on, and whether it is said once.
fn warnings(pushed: &Pushed, of: &str) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Warned { text, .. } if text.to_string().contains(of) => Some(text.to_string()),
        _ => None,
    };
    pushed.events().filter_map(text).collect()
}

fn lives(test: &str, life: u32, steady: &str, outcome: Outcome) {
    let units = json!({ "mortal.service": service(&format!("sleep {life}; exit 1"), "") });
    let fleet = fleet(test, &Inventory { steady, ..STEADY }, &units, &json!([]));
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(i32::from(outcome != Outcome::Committed), outcome);
    if outcome == Outcome::Committed {
        fleet.assert_on_new(&["homeserver"]);
    } else {
        pushed.assert_says(None, &["homeserver: mortal.service (not running before this push)"]);
        fleet.assert_on_old(&[]);
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_service_that_lives_three_seconds_rolls_back() {
    lives("lives-3", 3, "10s", Outcome::RolledBack);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_service_that_lives_eight_seconds_rolls_back() {
    lives("lives-8", 8, "10s", Outcome::RolledBack);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_service_that_lives_fifteen_seconds_rolls_back_where_twenty_are_wanted() {
    lives("lives-15", 15, "20s", Outcome::RolledBack);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_service_that_dies_after_the_decision_is_committed_where_nothing_is_waited_for() {
    lives("lives-on", 40, "0s", Outcome::Committed);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_service_that_systemd_starts_again_every_few_seconds_rolls_back() {
    let more = "Restart=always\nRestartSec=500ms\n[Unit]\nStartLimitIntervalSec=0\n";
    // It ends well, so that no count of failures tells.
    let units = json!({ "flaps.service": service("sleep 4", more) });
    let fleet = fleet("flaps", &STEADY, &units, &json!([]));
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["on homeserver: flaps.service"]);
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_oneshot_that_fails_once_and_then_not_is_committed() {
    let command = "[ -e /run/tried ] || { touch /run/tried; exit 1; }";
    let units = json!({ "twice.service": service(command, "Type=oneshot\nRestart=on-failure\nRestartSec=4\n") });
    let fleet = fleet("fails-once", &STEADY, &units, &json!([]));
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_backup_that_a_timer_starts_and_that_fails_only_warns() {
    let units = json!({
        "backup.service": service("exit 1", "Type=oneshot\n"),
        "backup.timer": "[Timer]\nOnActiveSec=1\nAccuracySec=100ms\n",
    });
    let fleet = fleet("timer", &STEADY, &units, &json!(["backup.service"]));
    // So that there is a look after it has failed.
    fleet.set("homeserver", "version", "\"2\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    let said = warnings(&pushed, "backup.service has failed: this push did not start it");
    assert_eq!(said.len(), 1, "{}", pushed.words(None));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_users_manager_is_not_the_systems_health() {
    let start = "systemctl start user@4242.service";
    let units = json!({ "starts.service": service(start, "SuccessExitStatus=0 1\nType=oneshot\n") });
    let fleet = fleet("user", &STEADY, &units, &json!([]));
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    assert!(fleet.host("homeserver", "systemctl list-units --failed --plain").contains("@4242.service"));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_unit_that_a_person_ignores_may_fail() {
    let units = json!({ "restic-nas.service": service("exit 1", "Type=oneshot\n") });
    let hosts = [("homeserver", "units: {ignore: [restic-*]}")];
    let fleet = fleet("ignored", &Inventory { hosts: &hosts, ..STEADY }, &units, &json!([]));
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    assert!(fleet.host("homeserver", "systemctl list-units --failed --plain").contains("restic-nas.service"));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_unit_that_failed_before_may_fail_after() {
    let broken = json!({ "broken.service": service("exit 1", "Type=oneshot\n") });
    let params = json!({ "homeserver": { "raw_units": broken } }).to_string();
    let fleet = Fleet::made("failed-before", &Setup { params: &params, ..Setup::default() });
    fleet.write_inventory(&STEADY);
    fleet.set("homeserver", "version", "\"2\"");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    // It does not hide what the activation says: switch-to-configuration has one status for both.
    fleet.set("homeserver", "activate", "\"fails\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["homeserver", "activation script snippet 'lab' failed"]);
}

/// `db.service` was started by hand and dies once `/run/die` is there, which the new system makes.
fn dies_of_another(test: &str, needed: bool) -> (Fleet, Pushed) {
    let db = service("while [ ! -e /run/die ]; do sleep 0.2; done; exit 1", "");
    let params = json!({ "homeserver": { "raw_units": { "db.service": db }, "raw_unwanted": ["db.service"] } });
    let params = params.to_string();
    let fleet = Fleet::made(test, &Setup { params: &params, ..Setup::default() });
    fleet.host("homeserver", "systemctl start db.service");
    let kills = service("sleep 1; touch /run/die; exec sleep infinity", "");
    let needs = if needed { "[Unit]\nRequires=db.service\nAfter=db.service\n" } else { "" };
    let kills = json!(format!("{needs}{}", kills.as_str().unwrap_or_default()));
    prepare(&fleet, &STEADY, &json!({ "db.service": db, "kills.service": kills }), &json!(["db.service"]));
    let pushed = fleet.push(&["homelab"]);
    (fleet, pushed)
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_unit_that_a_new_unit_needs_rolls_back_when_it_fails() {
    let (fleet, pushed) = dies_of_another("needed", true);
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["db.service (running before this push)"]);
    // The roll back does not start again what a person had started, and says so.
    pushed.assert_says(None, &["running before this push, and not now: db.service"]);
    drop(fleet);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_unit_that_nothing_needs_only_warns_when_it_fails() {
    let (_fleet, pushed) = dies_of_another("not-needed", false);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(warnings(&pushed, "db.service has failed").len(), 1, "{}", pushed.words(None));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_service_that_is_still_starting_when_the_links_are_up_is_waited_for() {
    let command = "[ -e /run/first ] || { touch /run/first; exit 1; }; exec sleep infinity";
    let more = "ExecStartPre=/bin/sh -c '[ ! -e /run/first ] || sleep 4'\nRestart=on-failure\nRestartSec=1\n";
    let units = json!({ "slow.service": service(command, more) });
    let fleet = fleet("starting", &STEADY, &units, &json!([]));
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    let waits = |event: &Event| {
        matches!(event, Event::LinksMoved { waiting_for, .. }
        if waiting_for.iter().any(|text| text.starts_with("slow.service on homeserver (")))
    };
    assert!(pushed.events().any(waits), "{}", pushed.words(None));
    fleet.assert_on_new(&["homeserver"]);
}

/// The new system's unit breaks what the old system's needs as well: after the roll back it stays failed.
fn breaks_its_state(test: &str) -> Fleet {
    let runs = |version: u32, breaks: &str| {
        let command = format!("[ ! -e /run/broken ] || exit 1; {breaks} exec sleep infinity");
        json!({ "state.service": service(&command, &format!("Environment=VERSION={version}\n")) })
    };
    let params = json!({ "homeserver": { "raw_units": runs(1, "") } }).to_string();
    let fleet = Fleet::made(test, &Setup { params: &params, ..Setup::default() });
    prepare(&fleet, &STEADY, &runs(2, "touch /run/broken; exit 1;"), &json!([]));
    fleet
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_is_typed_twice_does_not_commit_what_was_rolled_back_once() {
    let fleet = breaks_its_state("twice");
    let first = fleet.push(&["homelab"]);
    first.assert_ended(1, Outcome::RolledBack);
    first.assert_says(None, &["failed now, and not before this push: state.service"]);
    let second = fleet.push(&["homelab"]);
    second.assert_ended(1, Outcome::RolledBack);
    second.assert_says(None, &["state.service made run", "--accept-failed state.service"]);
    // From any workstation.
    fleet.make_workstation("laptop2");
    fleet.start_as("laptop2", &["homelab"]).ended().assert_ended(1, Outcome::RolledBack);
    fleet.push(&["homelab", "--accept-failed", "state.service"]).assert_ended(0, Outcome::Committed);
    assert_eq!(fleet.host("homeserver", "ls /nix/var/nix/gcroots/fleetdeploy 2>/dev/null || true"), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_a_person_has_mended_is_forgotten() {
    let fleet = breaks_its_state("mended");
    fleet.push(&["homelab"]).assert_ended(1, Outcome::RolledBack);
    let kept = "cat /nix/var/nix/gcroots/fleetdeploy/failed_units 2>/dev/null || true";
    assert!(fleet.host("homeserver", kept).starts_with("state.service "));
    fleet.host("homeserver", "rm /run/broken; systemctl restart state.service");
    let plan = fleet.query(&["plan", "homelab"]);
    assert!(warnings(&plan, "state.service").is_empty(), "{}", plan.words(None));
    assert_eq!(fleet.host("homeserver", kept), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_is_waited_for_costs_only_a_push_that_restarts_something() {
    let fleet = Fleet::up("costs");
    let push = |steady: &'static str, version: &str, key: &str| {
        fleet.write_inventory(&Inventory { steady, ..STEADY });
        fleet.set("homeserver", key, version);
        let pushed = fleet.push(&["homelab"]);
        pushed.assert_ended(0, Outcome::Committed);
        pushed.overhead()
    };
    // Another `nixos-version`, and no unit of it.
    let nothing = push("20s", "1", "size");
    let unit = |number: u32| {
        let numbered = format!("Environment=NUMBER={number}\n");
        json!({ "app.service": service("exec sleep infinity", &numbered) })
    };
    let without = push("0s", &unit(1).to_string(), "raw_units");
    let with = push("20s", &unit(2).to_string(), "raw_units");
    eprintln!(
        "beyond build, copy and activation: nothing restarted {nothing:.1?}, a restart without steady {without:.1?}, \
         with 20 s {with:.1?}"
    );
    assert!(nothing < seconds(18), "nothing was restarted, and {nothing:.1?} passed");
    assert!(with >= seconds(18), "it was restarted, and only {with:.1?} passed");
}
