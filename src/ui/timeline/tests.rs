use pretty_assertions::assert_eq;

use super::*;
use crate::event::reason::any::AnyReason;
use crate::event::{HostPlanned, Outcome, VERSION};
use crate::facts::store_path::StorePath;
use crate::ui::matrix::WIDTH;
use crate::ui::sanitise;

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn begin(phase: Phase) -> Event {
    Event::PhaseStarted { phase }
}

fn done(name: &str, phase: Phase) -> Event {
    Event::HostDone { host: host(name), phase }
}

fn push(hosts: &[&str]) -> Event {
    Event::PushStarted {
        fleet: "homelab".into(),
        hosts: hosts.iter().map(|name| host(name)).collect(),
        selected: Vec::new(),
        inventory: "inventory.yaml".into(),
        guard_ms: 900_000,
        record: None,
        dry_run: false,
        rollback_to: None,
    }
}

fn planned(changing: &[&str]) -> Event {
    let system = StorePath::new(format!("/nix/store/{}-nixos-system", "a".repeat(32))).unwrap();
    let plan = |name: &&str| HostPlanned {
        host: host(name),
        old: system.clone(),
        new: system.clone(),
        changes: true,
        selected: true,
        generation: 1,
    };
    Event::Planned { hosts: changing.iter().map(plan).collect() }
}

fn finished() -> Event {
    let hosts = BTreeMap::new();
    Event::Finished { outcome: Outcome::Committed, text: AnyReason::without_code(""), hosts, exit: 0, took_ms: 0 }
}

fn timeline(events: Vec<(u64, Event)>) -> Timeline {
    let line = |(seq, (after, event)): (u64, (u64, Event))| Line {
        version: VERSION,
        run: None,
        seq,
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_364_100_000 + after),
        event,
    };
    let lines: Vec<Line> = (1..).zip(events).map(line).collect();
    Timeline::of(&lines)
}

fn good() -> Timeline {
    timeline(vec![
        (0, push(&["vps", "nas"])),
        (0, begin(Phase::Build)),
        (10, begin(Phase::Survey)),
        (2010, done("vps", Phase::Survey)),
        (3010, done("nas", Phase::Survey)),
        (60_000, done("vps", Phase::Build)),
        (60_000, done("nas", Phase::Build)),
        (60_100, planned(&["vps"])),
        (60_100, begin(Phase::Copy)),
        (71_100, done("vps", Phase::Copy)),
        (71_200, begin(Phase::Baseline)),
        (75_000, begin(Phase::Arm)),
        (75_300, done("vps", Phase::Arm)),
        (75_400, begin(Phase::Test)),
        (85_400, done("vps", Phase::Test)),
        (85_500, begin(Phase::Verify)),
        (90_500, begin(Phase::Disarm)),
        (91_500, Event::GuardDisarmed { host: host("vps") }),
        (92_000, finished()),
    ])
}

#[test]
fn each_host_has_its_time_in_each_phase_and_the_fleet_its_own() {
    let lines = [
        "         build    survey  copy  baseline  arm  test  verify  disarm",
        "(fleet)  1m 00s*  3s      11s   3s        0s   10s   5s      1s",
        "vps      1m 00s*  2s      11s   .         0s   10s   .       1s",
        "nas      1m 00s*  3s      .     .         .    .     .       .",
        "* took longest   . no part of its own",
    ];
    assert_eq!(good().render(WIDTH, false), lines.join("\n") + "\n");
}

#[test]
fn the_ten_phases_of_a_push_fit_into_a_terminal() {
    let phases = [Phase::Build, Phase::Survey, Phase::Copy, Phase::Baseline, Phase::Arm, Phase::Test, Phase::Verify];
    let phases = phases.into_iter().chain([Phase::Decide, Phase::Switch, Phase::Disarm]);
    let mut events = vec![(0, push(&["vps", "nas"]))];
    events.extend((0..).zip(phases).map(|(number, phase)| (number * 20_000, begin(phase))));
    let table = timeline(events).render(WIDTH, false);
    assert!(table.starts_with("        build survey copy "), "{table}");
    assert!(table.lines().all(|line| line.len() <= WIDTH), "{table}");
}

#[test]
fn too_wide_a_table_becomes_a_list() {
    let list = good().render(40, false);
    assert!(list.lines().all(|line| line.len() <= 40), "{list}");
    assert_eq!(
        list,
        "\
(fleet): build 1m 00s*, survey 3s,
    copy 11s, baseline 3s, arm 0s,
    test 10s, verify 5s, disarm 1s
vps: build 1m 00s*, survey 2s, copy 11s,
    arm 0s, test 10s, disarm 1s
nas: build 1m 00s*, survey 3s
* took longest   . no part of its own
"
    );
}

#[test]
fn a_host_that_did_not_get_through_is_told_apart_from_one_without_a_part() {
    let bad = timeline(vec![
        (0, push(&["vps", "nas"])),
        (0, planned(&["vps"])),
        (0, begin(Phase::Test)),
        (9000, begin(Phase::RollBack)),
        (12_000, Event::CameBack { host: host("vps"), text: AnyReason::without_code("it is back") }),
        (12_000, finished()),
    ]);
    let (stuck, nothing) = (Took::Stuck, Took::Nothing);
    let passed = |seconds| Took::Passed(Duration::from_secs(seconds));
    assert_eq!(bad.hosts, [(host("vps"), vec![stuck, passed(3)]), (host("nas"), vec![nothing, nothing])]);
    assert!(bad.render(WIDTH, false).contains("x did not get through"));
    let vps = &bad.json()[0]["hosts_ms"];
    assert_eq!(*vps, serde_json::json!({ "vps": null }));
}

#[test]
fn a_recovery_adds_its_own_time_and_not_the_time_between() {
    let recovered = timeline(vec![
        (0, push(&["vps"])),
        (0, begin(Phase::Verify)),
        (2000, Event::Decided),
        (9_000_000, Event::RecoverStarted { fleet: "lab".into(), hosts: vec![host("vps")], inventory: "i".into() }),
        (9_000_000, begin(Phase::Verify)),
        (9_003_000, finished()),
    ]);
    assert_eq!((recovered.phases, recovered.fleet), (vec![Phase::Verify], vec![Duration::from_secs(5)]));
}

#[test]
fn a_run_that_came_to_nothing_has_no_table() {
    assert_eq!(timeline(Vec::new()).render(WIDTH, false), "");
    assert_eq!(timeline(vec![(0, push(&["vps"]))]).render(WIDTH, false), "");
}

#[test]
fn colour_changes_no_letter() {
    for width in [40, WIDTH] {
        let coloured = good().render(width, true);
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(sanitise::text(&coloured), good().render(width, false));
    }
}
