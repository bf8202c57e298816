//! Rollbacks: pushes to systems that the hosts have already.

use fleetdeploy::event::{Event, HostOutcome, Outcome};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::exec::answer;
use crate::fleet::{Fleet, Setup};

const BOTH: [&str; 2] = ["vps", "homeserver"];

/// Commits a version on both hosts.
fn commit(fleet: &Fleet, version: &str) {
    for host in BOTH {
        fleet.set(host, "version", &format!("\"{version}\""));
    }
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
}

/// What another workstation knows by the hosts alone: which revision it is that they run.
fn revisions(fleet: &Fleet) -> Vec<Value> {
    let told = fleet.start_any("laptop2", &["status", "homelab"]).ended();
    let hosts = answer(&told.lines)["hosts"].as_array().unwrap().clone();
    hosts.iter().map(|host| host["origin"]["revision"].clone()).collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_rollback_brings_back_what_ran_before_and_a_second_one_what_ran_after_it() {
    let mut fleet = Fleet::up("back");
    let old = BOTH.map(|host| fleet.before(host).current.clone());
    let revision = fleet.commit_flake();
    let clean = fleet.push(&["homelab", "--clean"]);
    clean.assert_ended(0, Outcome::Unchanged);
    // The hosts were not installed by a push.
    assert_eq!(revisions(&fleet), [Value::Null, Value::Null]);
    fleet.set("vps", "version", "\"2\"");
    let refused = fleet.push(&["homelab", "--clean"]);
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(None, &["has changes that are not in its commit", &revision]);
    commit(&fleet, "2");
    let new = BOTH.map(|host| fleet.standing(host).current);
    let pushed = [revision.clone(), revision.clone()].map(Value::from);
    assert_eq!(revisions(&fleet), pushed);
    let page = fleet.plain(&["status", "homelab"]).stdout;
    assert_eq!(page.matches(&format!("{}-dirty", &revision[..7])).count(), 2, "{page}");
    // Whatever the workstation could build or compare with is of no use for it.
    fleet.ws("mv \"$(command -v nix)\" /root/nix.away");
    let canary = ["--canary", "homeserver", "--diff"];
    for (systems, options, waves) in [(&old, &canary[..], 2), (&new, &[][..], 0)] {
        fleet.look();
        let rolled = fleet.run_json(&[&["rollback", "homelab"], options].concat());
        rolled.assert_ended(0, Outcome::Committed);
        let planned = rolled.events().find_map(|event| match event {
            Event::WavesPlanned { waves } => Some(waves.len()),
            _ => None,
        });
        assert_eq!(planned.unwrap_or(0), waves);
        assert_eq!(rolled.has(|event| matches!(event, Event::Foreseen { .. })), !options.is_empty());
        assert!(BOTH.iter().all(|host| rolled.guard_was_armed(host)));
        let before = "what ran before run ";
        let is_rollback =
            |event: &Event| matches!(event, Event::PushStarted { rollback_to: Some(to), .. } if to.starts_with(before));
        assert!(rolled.has(is_rollback));
        for (host, system) in BOTH.iter().zip(systems) {
            assert_eq!(fleet.standing(host), fleet.before(host).moved_to(system));
        }
        // It is that of the system that runs, and comes back with it.
        assert_eq!(revisions(&fleet), if systems == &new { pushed.clone() } else { [Value::Null, Value::Null] });
    }
    fleet.look();
    let nothing = fleet.run_json(&["rollback", "homelab", "--on", "vps", "--to", "4"]);
    nothing.assert_ended(0, Outcome::Unchanged);
    let planned = fleet.run_json(&["rollback", "homelab", "--on", "vps", "--to", "3", "--dry-run", "--units"]);
    planned.assert_ended(0, Outcome::Planned);
    let units = planned.events().find_map(|event| match event {
        Event::Answer { answer } => Some(answer["hosts"][0]["units"].clone()),
        _ => None,
    });
    assert_eq!(units.unwrap()["stop"], serde_json::json!(["app.service"]));
    fleet.assert_untouched();
    let one = fleet.run_json(&["rollback", "homelab", "--on", "vps", "--to", "3"]);
    one.assert_ended(0, Outcome::Committed);
    assert_eq!(one.host("homeserver"), &HostOutcome::Witness);
    assert_eq!(fleet.standing("vps"), fleet.before("vps").moved_to(&old[0]));
    let recorded = fleet.ws("cat ~/.local/state/fleetdeploy/runs/*/plan.json");
    assert_eq!(recorded.matches("\"rollback_to\": \"what ran before run ").count(), 2, "{recorded}");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_system_that_was_collected_refuses_the_rollback_and_a_time_finds_another() {
    let mut fleet = Fleet::up("collected");
    let began = fleet.ws("date -u +%Y-%m-%dT%H:%M:%SZ").trim().to_owned();
    let first = fleet.before("vps").current.clone();
    commit(&fleet, "2");
    commit(&fleet, "3");
    fleet.host("homeserver", "nix-env -p /nix/var/nix/profiles/system --delete-generations 2 && nix-store --gc 2>&1");
    fleet.look();
    let refused = fleet.run_json(&["rollback", "homelab"]);
    refused.assert_ended(1, Outcome::Refused);
    refused
        .assert_says(Some("homeserver"), &["is not in its store any more", "still has: 1, 3", "--except homeserver"]);
    assert_eq!(refused.words(Some("vps")), "");
    fleet.assert_untouched();
    // Once more with what both of them have.
    let rolled = fleet.run_json(&["rollback", "homelab", "--to", &format!("@{began}")]);
    rolled.assert_ended(0, Outcome::Committed);
    assert_eq!(fleet.standing("vps"), fleet.before("vps").moved_to(&first));
    let none = fleet.run_json(&["rollback", "homelab", "--to", "@2001-01-01"]);
    none.assert_ended(1, Outcome::Refused);
    none.assert_says(Some("vps"), &["none of the generations", "the oldest is generation 1"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_rollback_that_breaks_a_host_brings_every_host_to_where_it_was() {
    let params = r#"{"homeserver": {"activate": "fails"}}"#;
    let mut fleet = Fleet::made("back-breaks", &Setup { params, ..Setup::default() });
    fleet.set("homeserver", "activate", "\"ok\"");
    commit(&fleet, "2");
    fleet.look();
    let rolled = fleet.run_json(&["rollback", "homelab"]);
    rolled.assert_ended(1, Outcome::RolledBack);
    rolled.assert_says(None, &["the activation script failed"]);
    fleet.assert_on_old(&[]);
    // What a run left that was rolled back is what ran before it.
    let same = fleet.run_json(&["rollback", "homelab", "--to", "last"]);
    same.assert_ended(0, Outcome::Unchanged);
    // The fleet's last committed run is still the push.
    let again = fleet.run_json(&["rollback", "homelab", "--except", "homeserver"]);
    again.assert_ended(0, Outcome::Committed);
}
