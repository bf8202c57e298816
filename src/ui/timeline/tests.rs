use std::collections::BTreeMap;

use pretty_assertions::assert_eq;

use super::*;
use crate::event::reason::any::AnyReason;
use crate::event::{HostOutcome, HostPlanned, Outcome, VERSION};
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

/// With a run that changes `vps` and `nas`, of the fleet `vps`, `nas` and `web`, and what comes after its survey.
fn after_survey(rest: Vec<(u64, Event)>) -> Timeline {
    let hosts = ["vps", "nas", "web"];
    let mut events = vec![(0, push(&hosts)), (0, begin(Phase::Build)), (0, begin(Phase::Survey))];
    events.extend(hosts.map(|name| (2000, done(name, Phase::Survey))));
    events.extend(hosts.map(|name| (9000, done(name, Phase::Build))));
    events.push((9000, planned(&["vps", "nas"])));
    events.extend(rest);
    timeline(events)
}

fn took(timeline: &Timeline, name: &str, phase: Phase) -> Took {
    let column = timeline.phases.iter().position(|known| *known == phase).unwrap();
    timeline.hosts.iter().find(|(known, _)| *known == host(name)).unwrap().1[column]
}

fn failed(name: &str) -> Event {
    Event::Failed { host: Some(host(name)), text: AnyReason::without_code("no"), hint: None }
}

fn ended(ends: &[(&str, HostOutcome)]) -> Event {
    let hosts = ends.iter().map(|(name, end)| (host(name), end.clone())).collect();
    Event::Finished { outcome: Outcome::RolledBack, text: AnyReason::without_code(""), hosts, exit: 1, took_ms: 0 }
}

fn passed(seconds: u64) -> Took {
    Took::Passed(Duration::from_secs(seconds))
}

#[test]
fn a_host_did_not_get_through_whatever_it_was_to_get_through() {
    let copy = after_survey(vec![
        (9000, begin(Phase::Copy)),
        (11_000, done("nas", Phase::Copy)),
        (12_000, failed("vps")),
        (13_000, ended(&[])),
    ]);
    let of_copy = ["vps", "nas", "web"].map(|name| took(&copy, name, Phase::Copy));
    assert_eq!(of_copy, [Took::Stuck, passed(2), Took::Nothing]);
    // The stretch of the host to blame goes to the end of the phase.
    let stuck = copy.spans.iter().find(|span| !span.is_through).unwrap();
    let second = Duration::from_secs;
    assert_eq!((&stuck.host, stuck.from, stuck.to), (&Some(host("vps")), second(9), second(13)));

    let cut = timeline(vec![
        (0, push(&["vps", "nas"])),
        (0, begin(Phase::Build)),
        (0, begin(Phase::Survey)),
        (2000, done("vps", Phase::Survey)),
        (5000, Event::Decided),
    ]);
    assert_eq!(took(&cut, "vps", Phase::Survey), passed(2));
    let others = [("vps", Phase::Build), ("nas", Phase::Build), ("nas", Phase::Survey)];
    assert_eq!(others.map(|(name, phase)| took(&cut, name, phase)), [Took::Stuck; 3]);
}

#[test]
fn a_host_that_was_left_out_or_whose_wave_did_not_come_had_no_part() {
    let left_out = timeline(vec![
        (0, push(&["vps", "nas"])),
        (0, begin(Phase::Survey)),
        (1000, done("vps", Phase::Survey)),
        (2000, Event::HostLeftOut { host: host("nas") }),
        (3000, ended(&[])),
    ]);
    assert_eq!(took(&left_out, "nas", Phase::Survey), Took::Nothing);
    let first = Event::WaveStarted { wave: 1, of: 2, hosts: vec![host("nas")] };
    let waves = after_survey(vec![
        (9000, begin(Phase::Arm)),
        (9500, done("vps", Phase::Arm)),
        (9500, done("nas", Phase::Arm)),
        (9500, first),
        (10_000, begin(Phase::Test)),
        (12_000, failed("nas")),
        (12_000, begin(Phase::RollBack)),
        (13_000, done("nas", Phase::RollBack)),
        (14_000, ended(&[("vps", HostOutcome::RolledBack { by_guard: false })])),
    ]);
    assert_eq!(["vps", "nas"].map(|name| took(&waves, name, Phase::Test)), [Took::Nothing, Took::Stuck]);
    assert_eq!(["vps", "nas"].map(|name| took(&waves, name, Phase::RollBack)), [Took::Nothing, passed(1)]);
}

#[test]
fn a_recovery_takes_over_who_answers_and_brings_back_who_does_not_hang() {
    let found = |name: &str, text: AnyReason| Event::HostFound { host: host(name), text };
    let silent = serde_json::json!({ "text": "no answer", "code": "found-silent" });
    let why = AnyReason::without_code("no answer");
    let recovered = after_survey(vec![
        (9000, begin(Phase::Arm)),
        (9500, done("vps", Phase::Arm)),
        (9500, done("nas", Phase::Arm)),
        (100_000, Event::RecoverStarted { fleet: "lab".into(), hosts: vec![host("vps")], inventory: "i".into() }),
        (100_000, begin(Phase::Survey)),
        (101_000, done("vps", Phase::Survey)),
        (102_000, Event::warned(Some(&host("nas")), why.clone())),
        (103_000, begin(Phase::TakeOver)),
        (105_000, found("vps", AnyReason::without_code("it is guarded"))),
        (105_000, found("nas", serde_json::from_value(silent).unwrap())),
        (106_000, begin(Phase::RollBack)),
        (108_000, done("vps", Phase::RollBack)),
        (110_000, ended(&[("nas", HostOutcome::Lost { why })])),
    ]);
    for phase in [Phase::TakeOver, Phase::RollBack] {
        assert_eq!(
            ["vps", "nas", "web"].map(|name| took(&recovered, name, phase)),
            [passed(2), Took::Stuck, Took::Nothing]
        );
    }
    assert_eq!(["nas", "web"].map(|name| took(&recovered, name, Phase::Survey)), [Took::Stuck, passed(2)]);
}

#[test]
fn the_clock_of_a_run_does_not_go_back_with_that_of_the_workstation() {
    let hour = 3_600_000;
    let set_back = timeline(vec![
        (hour, push(&["vps"])),
        (hour, begin(Phase::Verify)),
        (hour + 5000, Event::Decided),
        (0, Event::RecoverStarted { fleet: "lab".into(), hosts: vec![host("vps")], inventory: "i".into() }),
        (0, begin(Phase::RollBack)),
        (3000, done("vps", Phase::RollBack)),
        (4000, finished()),
    ]);
    let spans = set_back.spans.iter().map(|span| (span.phase, span.from.as_secs(), span.to.as_secs()));
    let expected = [(Phase::Verify, 0, 5), (Phase::RollBack, 5, 9), (Phase::RollBack, 5, 8)];
    assert_eq!((spans.collect::<Vec<_>>(), set_back.worked.as_secs()), (expected.to_vec(), 9));
}
