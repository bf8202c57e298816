use std::time::{Duration, SystemTime};

use pretty_assertions::assert_eq;

use super::*;
use crate::event::reason::any::AnyReason;
use crate::event::{Cell, Phase, VERSION};
use crate::facts::links::LinkAnswer;
use crate::inventory::model::{HostName, Place};

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

/// Events with the second at which each was told.
fn lines(events: Vec<(u64, Event)>) -> Vec<Line> {
    let line = |(seq, (second, event))| Line {
        version: VERSION,
        run: Some("20261130-120000-homelab-0001".into()),
        seq,
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        event,
    };
    (1..).zip(events).map(line).collect()
}

fn heading() -> Heading {
    Heading {
        run: "20261130-120000-homelab-0001".into(),
        fleet: "homelab".into(),
        began: "2026-11-30 12:00".into(),
        next: None,
        notes: Vec::new(),
    }
}

fn started(hosts: &[&str]) -> Event {
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

fn failed(text: &str) -> Event {
    Event::Failed { host: Some(host("vps")), text: AnyReason::without_code(text), hint: None }
}

#[test]
fn no_word_of_a_host_is_a_tag_and_nothing_is_fetched() {
    let evil = "<script>alert(1)</script>\u{1b}[2J\" onload=\"x";
    let log = HtmlLog { name: evil.to_owned(), text: evil.to_owned(), left_out: 3 };
    let lines = lines(vec![(0, started(&["vps"])), (1, failed(evil))]);
    let page = render(&Heading { next: Some(evil.to_owned()), ..heading() }, &lines, &[log], evil);
    assert!(!page.contains("<script") && !page.contains('\u{1b}') && !page.contains("\" onload"), "{page}");
    assert!(page.matches("&lt;script&gt;").count() >= 5, "{page}");
    for fetched in ["http:", "https:", "src=", "href=", "url("] {
        assert!(!page.contains(fetched), "{fetched}: {page}");
    }
}

#[test]
fn the_picture_has_each_stretch_where_it_was_without_the_time_before_a_recovery() {
    let done = |name: &str, phase| Event::HostDone { host: host(name), phase };
    let recovered =
        Event::RecoverStarted { fleet: "homelab".into(), hosts: vec![host("vps")], inventory: "inventory.yaml".into() };
    let timeline = Timeline::of(&lines(vec![
        (0, started(&["vps", "nas"])),
        (0, Event::PhaseStarted { phase: Phase::Arm }),
        (2, done("vps", Phase::Arm)),
        (4, done("nas", Phase::Arm)),
        (4, Event::PhaseStarted { phase: Phase::Test }),
        (8, done("vps", Phase::Test)),
        (100_000, recovered),
        (100_000, Event::PhaseStarted { phase: Phase::RollBack }),
        (100_002, done("vps", Phase::RollBack)),
    ]));
    let seconds = |name: Option<&str>, phase: Phase| {
        let span = timeline.spans.iter().find(|span| span.host == name.map(host) && span.phase == phase);
        span.map(|span| (span.from.as_secs(), span.to.as_secs()))
    };
    assert_eq!(timeline.worked, Duration::from_secs(10));
    assert_eq!(seconds(None, Phase::Arm), Some((0, 4)));
    assert_eq!(seconds(Some("vps"), Phase::Arm), Some((0, 2)));
    assert_eq!(seconds(Some("vps"), Phase::Test), Some((4, 8)));
    assert_eq!(seconds(Some("vps"), Phase::RollBack), Some((8, 10)));
    assert_eq!(seconds(Some("nas"), Phase::Test), None);
    let drawn = picture::section(&timeline).into_string();
    assert!(drawn.contains(r#"<rect class="test" x="40.0%" y="1" width="39.6%""#), "{drawn}");
    assert!(drawn.contains(r#"aria-label="nas: arm 4s, roll back: did not get through""#), "{drawn}");
    assert!(drawn.contains(r#"<rect class="stuck" x="80.0%""#), "{drawn}");
    assert!(drawn.contains(r#"aria-hidden="true">x</span>did not get through"#), "{drawn}");
}

#[test]
fn each_link_stands_in_its_cell_with_what_its_sign_means() {
    let cell = |from: &str, to: &str, answer: LinkAnswer, was_up| Cell {
        from: Place::Host(host(from)),
        to: to.to_owned(),
        check: "vpn".to_owned(),
        kind: "ping".to_owned(),
        required: true,
        answer,
        was_up: Some(was_up),
        left_out: false,
    };
    let up = LinkAnswer::Up { round_trip_us: Some(12_000) };
    let seen = Event::MatrixSeen {
        phase: Phase::RollBack,
        cells: vec![
            cell("vps", "nas", up, true),
            cell("nas", "vps", LinkAnswer::Down { why: "no <answer>".to_owned() }, true),
        ],
    };
    let page = render(&heading(), &lines(vec![(0, started(&["vps", "nas"])), (1, seen)]), &[], "");
    assert!(page.contains(r#"<span class="" title="up">12ms</span>"#), "{page}");
    assert!(page.contains(r#"<span class="bad" title="newly down">!ping</span>"#), "{page}");
    assert!(page.contains("nas -&gt; vps ping: no &lt;answer&gt;"), "{page}");
    assert!(page.contains("1 of 2 links up"), "{page}");
    assert!(page.contains(r#"<span class="key"><span class="bad">!</span>newly down</span>"#), "{page}");
}

#[test]
fn a_run_without_an_end_says_what_comes_next_and_has_no_outcome() {
    let next = Some("the run did not come to its end\nnext: fleetdeploy recover homelab".to_owned());
    let page = render(&Heading { next, ..heading() }, &lines(vec![(0, started(&["vps"]))]), &[], "");
    assert!(page.contains("fleetdeploy recover homelab"), "{page}");
    assert!(page.contains("<h1>run 20261130-120000-homelab-0001 of fleet homelab</h1>"), "{page}");
    assert!(!page.contains("COMMITTED"), "{page}");
}

#[test]
fn no_two_phases_have_a_colour_or_a_sign_in_common() {
    let others = [Phase::RollBack, Phase::TakeOver, Phase::Reboot, Phase::Ask];
    let phases: Vec<Phase> = Phase::OF_A_PUSH.into_iter().chain(others).collect();
    for of in [picture::colour_of, picture::sign_of] {
        let all: std::collections::BTreeSet<&str> = phases.iter().map(|phase| of(*phase)).collect();
        assert_eq!(all.len(), phases.len(), "{all:?}");
    }
}

#[test]
fn an_end_that_a_recovery_tells_has_the_time_of_the_whole_run_beside_its_own() {
    let hosts = std::collections::BTreeMap::new();
    let text = AnyReason::without_code("all are back");
    let outcome = crate::event::Outcome::RolledBack;
    let events = vec![
        (0, started(&["vps"])),
        (600, failed("no")),
        (9000, Event::RecoverStarted { fleet: "homelab".into(), hosts: vec![host("vps")], inventory: "i".into() }),
        (9003, Event::Finished { outcome, text, hosts, exit: 1, took_ms: 3000 }),
    ];
    let page = render(&heading(), &lines(events), &[], "");
    assert!(page.contains("After 10m 03s, of which the recovery took 3s: all are back"), "{page}");
}

#[test]
fn a_host_takes_no_fact_away_by_its_name_and_what_is_missing_stands_first() {
    let seen = Event::WorkstationSeen { fleetdeploy: "0.1.0".into(), nix: None, ssh: None };
    let surveyed = serde_json::json!({
        "event": "host_surveyed", "host": "workstation", "nixos": "25.05", "nix": "2.28", "systemd": "257",
        "kernel": "6.12",
    });
    let surveyed: Event = serde_json::from_value(surveyed).unwrap();
    let lines = lines(vec![(0, started(&["workstation"])), (1, seen), (2, surveyed)]);
    let noted = Heading { notes: vec!["2 events left out".into()], ..heading() };
    let page = render(&noted, &lines, &[], "");
    assert!(page.contains("<dd>fleetdeploy 0.1.0</dd>") && page.contains("<dd>NixOS 25.05"), "{page}");
    let at = |text: &str| page.find(text).unwrap();
    assert!(at("2 events left out") < at("<h2>"), "{page}");
}

#[test]
fn a_page_is_no_larger_than_a_phone_opens_however_much_was_said() {
    let long = "x".repeat(1 << 20);
    let mut events = vec![(0, started(&["vps"]))];
    events.extend((0..20_000).map(|number| (1, Event::warned(None, AnyReason::without_code(&number.to_string())))));
    events.push((2, failed(&long)));
    let cells = (0..6000).map(|number| Cell {
        from: Place::Host(host("vps")),
        to: format!("nas{number}"),
        check: "web".to_owned(),
        kind: if number % 2 == 0 { "http" } else { "ping" }.to_owned(),
        required: true,
        answer: LinkAnswer::Down { why: format!("{number}{}", "y".repeat(3000)) },
        was_up: Some(true),
        left_out: false,
    });
    events.push((3, Event::MatrixSeen { phase: Phase::Verify, cells: cells.collect() }));
    let page = render(&heading(), &lines(events), &[], "");
    assert!(page.len() < 1 << 20, "{}", page.len());
    for said in ["FAILED: xxx", "and 19950 more warnings, which the record has", "and 2500 more, which the record has"]
    {
        assert!(page.contains(said), "{said}");
    }
    assert!(page.contains("Too many for a table: the record has each of the 6000."));
    assert!(page.contains(" more lines, which the record has"));
}
