//! Hosts that are off: what the refusal says to add, and how it goes on without them.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;
use crate::wait::seconds;

const BOTH: [&str; 2] = ["vps", "homeserver"];
const THREE: &[&str] = &["vps", "homeserver", "web"];

fn made(name: &str) -> Fleet {
    Fleet::made(name, &Setup { hosts: THREE, ..Setup::default() })
}

/// Without a guard anywhere, on hosts that stand as they did; `web` is off.
fn assert_refused(fleet: &Fleet, pushed: &Pushed, of_web: &[&str]) {
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("web"), of_web);
    for host in BOTH {
        assert!(!pushed.guard_was_armed(host), "{host}");
        assert_eq!(&fleet.standing(host), fleet.before(host), "{host}");
    }
}

fn warnings(pushed: &Pushed, about: &str) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Warned { text, .. } => Some(text.to_string()),
        _ => None,
    };
    pushed.events().filter_map(text).filter(|text| text.contains(about)).collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_is_off_is_left_out_by_the_words_of_the_refusal_and_a_rollback_passes_over_it() {
    let mut fleet = made("absent");
    fleet.change(THREE);
    fleet.power("web", "off");
    assert_refused(&fleet, &fleet.push(&["homelab"]), &["no ssh login on", "add `--without web` to go on without it"]);
    // As a witness it is needed: nobody waits for its links in vain.
    let excepted = fleet.push(&["homelab", "--except", "web"]);
    assert_refused(&fleet, &excepted, &["is needed as a witness", "add `--without web`"]);

    let planned = fleet.run_json(&["plan", "homelab", "--without", "web"]);
    planned.assert_ended(0, Outcome::Planned);
    let forecast = planned.events().find_map(|event| match event {
        Event::Answer { answer } => Some(answer.clone()),
        _ => None,
    });
    assert_eq!(forecast.unwrap()["left_out"], serde_json::json!(["web"]));

    let pushed = fleet.push(&["homelab", "--without", "web"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(
        pushed.finished().1,
        "every host runs what it was to run; all 4 required links are up; left out, and its links not proven: web"
    );
    assert_eq!(pushed.host("web"), &HostOutcome::Skipped);
    assert_eq!(warnings(&pushed, "web"), ["left out, as asked, with every link from and to it: web"]);
    let shown = pushed.events().filter_map(|event| match event {
        Event::MatrixSeen { cells, .. } => Some(cells),
        _ => None,
    });
    for cells in shown {
        let (left_out, counted): (Vec<_>, Vec<_>) = cells.iter().partition(|cell| cell.left_out);
        assert_eq!((left_out.len(), counted.len()), (4, 4), "ping and ssh, from each to web and to the other");
        assert!(left_out.iter().all(|cell| cell.to == "web" && !cell.required && !cell.answer.is_up()));
    }

    fleet.power("web", "on");
    fleet.assert_reachable();
    fleet.restarted("web");
    fleet.assert_on_new(&BOTH);
    let old = BOTH.map(|host| fleet.before(host).current.clone());
    fleet.look();
    let back = fleet.run_json(&["rollback", "homelab"]);
    back.assert_ended(0, Outcome::Committed);
    assert_eq!(warnings(&back, "passed over").len(), 1, "{}", back.words(None));
    assert_eq!(back.host("web"), &HostOutcome::Witness);
    for (host, system) in BOTH.iter().zip(old) {
        assert_eq!(fleet.standing(host), fleet.before(host).moved_to(&system));
    }
    assert_eq!(&fleet.standing("web"), fleet.before("web"));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_optional_host_that_is_off_is_left_out_by_itself() {
    let fleet = made("optional");
    fleet.write_inventory(&Inventory { hosts: &[("web", "optional: true")], ..Inventory::default() });
    fleet.change(THREE);
    fleet.power("web", "off");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(pushed.host("web"), &HostOutcome::Skipped);
    let left_out = "is left out with its links, since it is `optional` and does not answer";
    assert_eq!(warnings(&pushed, left_out).len(), 1, "{}", pushed.words(None));
    pushed.assert_says(None, &["all 4 required links are up; left out, and its links not proven: web"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_was_left_out_and_comes_back_in_the_middle_stays_out_of_the_run() {
    let mut fleet = made("comes-back");
    let limits = "{connect: 10s, step: 10s, test: 60s, switch: 15s, rollback: 20s}";
    fleet.write_inventory(&Inventory { guard: "150s", limits, ..Inventory::default() });
    fleet.change(THREE);
    fleet.set("homeserver", "activate", "\"slow:25\"");
    fleet.power("web", "off");
    let pushing = fleet.start(&["homelab", "--without", "web"]);
    pushing.wait_for_phase(Phase::Test);
    fleet.power("web", "on");
    fleet.wait_until_up("web");
    let pushed = pushing.ended();
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(pushed.host("web"), &HostOutcome::Skipped);
    let answers = "was left out and answers now: it stays left out of this run";
    assert_eq!(warnings(&pushed, answers).len(), 1, "{}", pushed.words(None));
    assert!(!pushed.guard_was_armed("web"));
    fleet.restarted("web");
    fleet.assert_on_new(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn the_hub_that_is_left_out_is_named_as_the_cause_of_links_between_others() {
    let hosts: &[&str] = &["vps", "web", "mail"];
    let fleet = Fleet::made("hub-off", &Setup { hosts, ..Setup::default() });
    fleet
        .write_inventory(&Inventory { checks: "- vpn: {hub: vps}\n- ping: mail\n  from: web", ..Inventory::default() });
    fleet.change(hosts);
    fleet.power("vps", "off");
    let refused = fleet.push(&["homelab", "--without", "vps"]);
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(
        None,
        &["web -> mail (ping", "likely because vps is left out: it is the hub of", "--allow-broken"],
    );
    for host in ["web", "mail"] {
        assert!(!refused.guard_was_armed(host), "{host}");
    }
    let pushed = fleet.push(&["homelab", "--without", "vps", "--allow-broken"]);
    pushed.assert_ended(0, Outcome::Committed);
    pushed.assert_says(None, &["0 of 1 required links are up; accepted as down: web -> mail (ping)"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_is_asked_of_a_fleet_goes_on_without_a_host_that_is_off() {
    let fleet = made("asks-without");
    fleet.power("web", "off");
    for (words, status) in [
        (&["check", "homelab"][..], 1),
        (&["check", "homelab", "--without", "web"], 0),
        (&["exec", "homelab", "--without", "web", "--", "true"], 0),
        (&["status", "homelab", "--without", "web"], 0),
        (&["doctor", "homelab", "--without", "web"], 0),
        (&["diff", "homelab", "--without", "web"], 0),
        (&["guard", "arm", "homelab", "--guard", "2m"], 1),
        (&["guard", "arm", "homelab", "--guard", "2m", "--without", "web"], 0),
        (&["guard", "status", "homelab", "--without", "web"], 0),
        (&["guard", "disarm", "homelab", "--without", "web"], 0),
    ] {
        let asked = fleet.plain(words);
        assert_eq!(asked.status, Some(status), "{words:?}\n{}\n{}", asked.stdout, asked.stderr);
        if words[..2] == ["guard", "arm"] && status == 1 {
            assert!(asked.stderr.contains("--without web"), "{}", asked.stderr);
            assert!(asked.stdout.ends_with("refused: no guard was armed, on any host\n"), "{}", asked.stdout);
        }
    }
    let rebooted = fleet.run_json(&["reboot", "homelab", "--on", "homeserver", "--without", "web"]);
    rebooted.assert_ended(0, Outcome::Rebooted);
    assert_eq!(rebooted.host("web"), &HostOutcome::Skipped);
    assert!(rebooted.took < seconds(120), "{:.1?}", rebooted.took);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn of_two_workstations_that_go_on_without_different_hosts_at_most_one_commits_where_they_meet() {
    let fleet = made("two-without");
    fleet.change(THREE);
    fleet.make_workstation("laptop2");
    // Each is without a host that answers the other; they meet at vps.
    let pushes = [
        (fleet.start(&["homelab", "--without", "web"]), BOTH),
        (fleet.start_as("laptop2", &["homelab", "--without", "homeserver"]), ["vps", "web"]),
    ];
    let ended = pushes.map(|(push, hosts)| (push.ended(), hosts));
    let committed: Vec<_> = ended.iter().filter(|(push, _)| push.finished().0 == Outcome::Committed).collect();
    let ends: Vec<Outcome> = ended.iter().map(|(push, _)| push.finished().0).collect();
    let is_quiet = |end: &Outcome| matches!(end, Outcome::Committed | Outcome::Refused | Outcome::RolledBack);
    assert!(ends.iter().all(is_quiet), "{ends:?}");
    let mut on_new: Vec<&str> = committed.iter().flat_map(|(_, hosts)| hosts.iter().copied()).collect();
    on_new.sort_unstable();
    // One after the other is no meeting: the second then finds vps on its new system, and changes only its own.
    let both_in_turn =
        committed.len() == 2 && committed.iter().any(|(push, _)| push.host("vps") == &HostOutcome::Unchanged);
    assert!(committed.len() < 2 || both_in_turn, "{ends:?}");
    on_new.dedup();
    fleet.assert_on_new(&on_new);
}
