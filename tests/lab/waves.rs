//! A push by waves: one host breaks before the others are touched, or all of them are committed together.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use fleetdeploy::inventory::model::HostName;
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;

const HOSTS: [&str; 3] = ["vps", "homeserver", "web"];

fn fleet(test: &str) -> Fleet {
    let fleet = Fleet::made(test, &Setup { hosts: &HOSTS, ..Setup::default() });
    fleet.change(&HOSTS);
    fleet
}

/// Hosts in the order in which their tests ended, and what began between: `wave 1`, `verify`.
fn order(pushed: &Pushed) -> Vec<String> {
    let said = pushed.events().filter_map(|event| match event {
        Event::WaveStarted { wave, of, .. } => Some(format!("wave {wave} of {of}")),
        Event::HostDone { host, phase: Phase::Test } => Some(host.to_string()),
        Event::PhaseStarted { phase: phase @ (Phase::Verify | Phase::Switch | Phase::RollBack) } => {
            Some(phase.word().to_owned())
        }
        _ => None,
    });
    said.collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_canary_that_breaks_the_vpn_goes_back_and_no_other_host_is_touched() {
    let fleet = fleet("canary");
    fleet.set("web", "wg_key", "\"wrong\"");
    let pushed = fleet.push(&["homelab", "--canary", "web"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["links from and to web are down"]);
    assert_eq!(order(&pushed), ["wave 1 of 2", "web", "verify", "roll back"]);
    assert_eq!(pushed.host("web"), &HostOutcome::RolledBack { by_guard: false });
    let jobs = |host: &str| fleet.host(host, "journalctl -q -o cat -u fleetdeploy-job").lines().count();
    assert!(jobs("web") > 0, "its journal has no activation");
    for host in ["vps", "homeserver"] {
        assert!(pushed.guard_was_armed(host));
        assert_eq!(pushed.host(host), &HostOutcome::Untouched);
        assert_eq!(jobs(host), 0, "{host} was activated");
    }
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_good_change_goes_wave_by_wave_and_is_committed_everywhere() {
    let fleet = fleet("waves");
    // As the inventory has it; the command line could say otherwise, and does so for this plan.
    let source = "flake: .\ncanary: web\nwaves: \"1\"";
    fleet.write_inventory(&Inventory { source, ..Inventory::default() });
    let planned = fleet.run_json(&["plan", "homelab", "--canary", "none", "--waves", "100%"]);
    assert!(!planned.has(|event| matches!(event, Event::WavesPlanned { .. })));
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    let waves = [&["wave 1 of 3", "web", "verify"][..], &["wave 2 of 3", "vps", "verify"]].concat();
    let end = ["wave 3 of 3", "homeserver", "verify", "switch"];
    assert_eq!(order(&pushed), [waves, end.to_vec()].concat());
    let extended = |name: &HostName| {
        pushed.events().filter(|event| matches!(event, Event::GuardExtended { host, .. } if host == name)).count()
    };
    for host in HOSTS.map(|host| HostName::new(host).unwrap()) {
        assert!(extended(&host) >= 2, "the guard of {host} was not extended before each further wave");
    }
    fleet.assert_on_new(&HOSTS);
}

/// With three hosts, one of which is the jump of the others.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn with_a_window_of_one_hosts_are_logged_in_to_and_copied_to_one_after_the_other() {
    let fleet = fleet("window");
    let pushed = fleet.push(&["homelab", "--parallel", "1"]);
    pushed.assert_ended(0, Outcome::Committed);
    let doing: Vec<&str> = pushed
        .events()
        .filter_map(|event| match event {
            Event::HostMoved { doing, .. } => Some(doing.as_str()),
            _ => None,
        })
        .collect();
    let told = |wanted: &str| -> Vec<usize> {
        doing.iter().enumerate().filter(|(_, doing)| **doing == wanted).map(|(place, _)| place).collect()
    };
    // Two wait in the survey, and two in the baseline, which takes a new login of each host. Once guards count down no
    // row says it: a login does not wait for long then.
    assert_eq!(told("waiting for its turn to connect: 1 at once").len(), 4, "{doing:?}");
    // One is behind vps and waits for the copy there, and may then find the turn taken by the other.
    assert_eq!(told("waiting for the copy to vps, which it is behind").len(), 1, "{doing:?}");
    assert!((1..=2).contains(&told("waiting for its turn to be copied to: 1 at once").len()), "{doing:?}");
    // The first copies at once, the others when one before them has ended.
    let (begun, ended) = (told("copying"), told("looking whether it fits"));
    assert_eq!((begun.len(), ended.len()), (3, 3), "{doing:?}");
    assert!(ended[0] < begun[1] && ended[1] < begun[2], "{doing:?}");
}
