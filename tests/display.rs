//! Recorded events and the texts they become: whole screens, to be read as a person would.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use fleetdeploy::decide::links::LinkAnswer;
use fleetdeploy::event::line::Line;
use fleetdeploy::event::{Bytes, Cell, Event, HostOutcome, HostPlanned, Outcome, Phase, VERSION};
use fleetdeploy::inventory::model::{HostName, Place};
use fleetdeploy::store_path::StorePath;
use fleetdeploy::ui::mode::Mode;
use fleetdeploy::ui::plain::Plain;
use fleetdeploy::ui::sanitise;
use pretty_assertions::assert_eq;

const NORMAL: Mode = Mode::Plain { colour: false, verbose: false };

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn system(host: &str, hash: char, version: &str) -> StorePath {
    StorePath::new(format!("/nix/store/{}-nixos-system-{host}-{version}", hash.to_string().repeat(32))).unwrap()
}

fn planned(name: &str, new: &str) -> HostPlanned {
    let old = system(name, 'a', "25.05.812");
    let changes = new != "25.05.812";
    let new = if changes { system(name, 'b', new) } else { old.clone() };
    HostPlanned { host: host(name), old, new, changes, selected: true, generation: 41 }
}

fn started() -> Event {
    Event::PushStarted {
        fleet: "homelab".into(),
        hosts: vec![host("vps"), host("homeserver")],
        selected: vec![host("vps"), host("homeserver")],
        inventory: "inventory.yaml".into(),
        guard_ms: 900_000,
        dry_run: false,
        record: Some("~/.local/state/fleetdeploy/runs/20261122-161500-homelab-3f9c".into()),
    }
}

fn building(done: u64, expected: u64, doing: &str) -> Event {
    let (running, download, downloading) = (1, Bytes::default(), None);
    Event::BuildMoved { done, expected, doing: doing.into(), running, download, downloading }
}

fn phase(phase: Phase) -> Event {
    Event::PhaseStarted { phase }
}

fn done(name: &str, phase: Phase) -> Event {
    Event::HostDone { host: host(name), phase }
}

fn moved(name: &str, doing: &str) -> Event {
    Event::HostMoved { host: host(name), doing: doing.into() }
}

fn armed(name: &str) -> Event {
    Event::GuardArmed { host: host(name), left_ms: 900_000 }
}

fn cell(from: &str, to: &str, kind: &str, answer: LinkAnswer, was_up: Option<bool>) -> Cell {
    let from = Place::Host(host(from));
    Cell { check: "vpn mesh".into(), from, to: to.into(), kind: kind.into(), required: true, answer, was_up }
}

fn matrix(phase: Phase, was_up: Option<bool>) -> Event {
    let ping = LinkAnswer::Up { round_trip_us: Some(12_340) };
    let ssh = LinkAnswer::Up { round_trip_us: None };
    let cells = [("vps", "homeserver"), ("homeserver", "vps")]
        .iter()
        .flat_map(|(from, to)| {
            [cell(from, to, "ping", ping.clone(), was_up), cell(from, to, "ssh", ssh.clone(), was_up)]
        })
        .collect();
    Event::MatrixSeen { phase, cells }
}

fn good_push() -> Vec<(f64, Event)> {
    let waiting = |up, waiting: &[&str]| Event::LinksMoved {
        up,
        of: 4,
        rounds: 0,
        waiting_for: waiting.iter().map(|link| (*link).to_owned()).collect(),
        hosts: BTreeMap::new(),
    };
    vec![
        (0.0, started()),
        (0.0, phase(Phase::Build)),
        (0.1, building(0, 0, "evaluating")),
        (4.0, building(9, 212, "linux-6.12")),
        (12.3, building(200, 212, "etc")),
        (13.0, phase(Phase::Survey)),
        (13.2, done("vps", Phase::Survey)),
        (13.9, done("homeserver", Phase::Survey)),
        (14.0, Event::Planned { hosts: vec![planned("vps", "25.11.3"), planned("homeserver", "25.05.813")] }),
        (14.0, phase(Phase::Copy)),
        (14.1, Event::CopyMoved { host: host("vps"), done_bytes: 0, expected_bytes: 734_003_200 }),
        (15.1, Event::CopyMoved { host: host("vps"), done_bytes: 104_857_600, expected_bytes: 734_003_200 }),
        (24.1, Event::CopyMoved { host: host("vps"), done_bytes: 524_288_000, expected_bytes: 734_003_200 }),
        (30.0, done("vps", Phase::Copy)),
        (
            31.0,
            Event::Warned { host: Some(host("homeserver")), text: "what runs was never booted\u{1b}[2J here".into() },
        ),
        (31.5, done("homeserver", Phase::Copy)),
        (31.6, phase(Phase::Baseline)),
        (33.0, matrix(Phase::Baseline, None)),
        (33.1, phase(Phase::Arm)),
        (33.5, armed("vps")),
        (33.9, armed("homeserver")),
        (34.0, phase(Phase::Test)),
        (34.1, moved("vps", "activating")),
        (34.2, moved("homeserver", "activating")),
        (35.0, moved("vps", "restarting nginx.service")),
        (45.0, moved("vps", "restarting sshd.service")),
        (46.0, done("vps", Phase::Test)),
        (48.0, Event::ContactLost { host: host("homeserver"), why: "connection timed out".into() }),
        (51.0, Event::ContactMade { host: host("homeserver") }),
        (51.2, done("homeserver", Phase::Test)),
        (51.3, phase(Phase::Verify)),
        (52.0, waiting(2, &["vps -> homeserver ping", "vps -> homeserver ssh"])),
        (53.0, waiting(4, &[])),
        (57.0, matrix(Phase::Verify, Some(true))),
        (57.1, phase(Phase::Decide)),
        (57.1, Event::GuardExtended { host: host("vps"), left_ms: 600_000 }),
        (57.2, Event::Decided),
        (57.2, phase(Phase::Switch)),
        (60.0, done("vps", Phase::Switch)),
        (60.4, done("homeserver", Phase::Switch)),
        (62.0, phase(Phase::Disarm)),
        (62.3, Event::GuardDisarmed { host: host("vps") }),
        (62.4, Event::GuardDisarmed { host: host("homeserver") }),
        (
            63.0,
            Event::Finished {
                outcome: Outcome::Committed,
                text: "every host runs its new system, and all links are up".into(),
                hosts: BTreeMap::from([
                    (host("homeserver"), HostOutcome::Committed),
                    (host("vps"), HostOutcome::Committed),
                ]),
                exit: 0,
                took_ms: 63_000,
            },
        ),
    ]
}

fn bad_push() -> Vec<(f64, Event)> {
    let ping_down = LinkAnswer::Down { why: "no answer within 2 s".into() };
    let ssh_down = LinkAnswer::Down { why: "no route to host".into() };
    let ping_up = LinkAnswer::Up { round_trip_us: Some(12_340) };
    vec![
        (0.0, started()),
        (10.0, Event::Planned { hosts: vec![planned("vps", "25.05.812"), planned("homeserver", "25.11.3")] }),
        (12.0, phase(Phase::Arm)),
        (12.5, armed("homeserver")),
        (13.0, phase(Phase::Test)),
        (20.0, done("homeserver", Phase::Test)),
        (20.1, phase(Phase::Verify)),
        (
            80.0,
            Event::MatrixSeen {
                phase: Phase::Verify,
                cells: vec![
                    cell("vps", "homeserver", "ping", ping_down, Some(true)),
                    cell("vps", "homeserver", "ssh", ssh_down, Some(false)),
                    cell("homeserver", "vps", "ping", ping_up, Some(true)),
                    cell("homeserver", "vps", "ssh", LinkAnswer::Unknown, Some(true)),
                ],
            },
        ),
        (
            80.1,
            Event::Logged {
                host: host("homeserver"),
                what: "test".into(),
                lines: (1..=22).map(|number| format!("\u{1b}[32mline {number}\u{1b}[0m\r")).collect(),
            },
        ),
        (
            80.2,
            Event::Failed {
                host: Some(host("homeserver")),
                text: "links do not come up:\nvps -> homeserver ping".into(),
                hint: Some("look at `systemctl status wireguard-wg0` on homeserver".into()),
            },
        ),
        (80.3, Event::RollBackStarted { reason: "links are down: vps -> homeserver ping".into() }),
        (80.3, phase(Phase::RollBack)),
        (85.0, Event::LeftToGuard { host: host("homeserver"), fires_in_ms: 823_000, boot_ms: 180_000 }),
        (
            1000.0,
            Event::CameBack { host: host("homeserver"), text: "rebooted by its guard, runs the old system".into() },
        ),
        (
            1001.0,
            Event::Finished {
                outcome: Outcome::RolledBack,
                text: "every touched host is back on its old system: links were down".into(),
                hosts: BTreeMap::from([
                    (host("homeserver"), HostOutcome::RolledBack { by_guard: true }),
                    (host("vps"), HostOutcome::Witness),
                ]),
                exit: 1,
                took_ms: 1_001_000,
            },
        ),
    ]
}

/// The lines as they come out of the stream.
fn lines(events: Vec<(f64, Event)>) -> Vec<Line> {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_364_100);
    let run = Some("20261122-161500-homelab-3f9c".to_owned());
    (1..)
        .zip(events)
        .map(|(seq, (after, event))| Line {
            version: VERSION,
            run: run.clone(),
            seq,
            at: start + Duration::from_secs_f64(after),
            event,
        })
        .collect()
}

fn screen(mode: Mode, events: Vec<(f64, Event)>) -> String {
    let mut plain = Plain::new(mode);
    lines(events).iter().map(|line| plain.render(line)).collect()
}

/// Compares with `tests/display/NAME`, which `FLEETDEPLOY_BLESS=1 cargo test --test display` writes anew.
fn assert_screen(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/display").join(name);
    if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
}

#[test]
fn a_good_push_reads_well() {
    assert_screen("good.txt", &screen(NORMAL, good_push()));
}

#[test]
fn a_bad_push_says_what_broke_and_what_becomes_of_every_host() {
    assert_screen("bad.txt", &screen(NORMAL, bad_push()));
}

#[test]
fn a_quiet_good_push_says_only_its_warnings() {
    let quiet = Mode::Quiet { colour: false };
    assert_eq!(screen(quiet, good_push()), "[  31.0s] homeserver  warning: what runs was never booted here\n");
}

#[test]
fn a_quiet_bad_push_says_what_failed_and_the_end() {
    assert_screen("bad-quiet.txt", &screen(Mode::Quiet { colour: false }, bad_push()));
}

#[test]
fn verbose_holds_nothing_back() {
    let verbose = screen(Mode::Plain { colour: false, verbose: true }, good_push());
    for doing in [
        "restarting nginx.service",
        "built 9 of 212",
        "copied 100.0 MiB of 700.0 MiB",
        "4 of 4 links up, good rounds in a row: 0",
    ] {
        assert!(verbose.contains(doing), "{doing}:\n{verbose}");
    }
    let verbose = screen(Mode::Plain { colour: false, verbose: true }, bad_push());
    assert!(verbose.contains("| line 1\n"), "{verbose}");
}

#[test]
fn colour_changes_no_letter() {
    for events in [good_push(), bad_push()] {
        let coloured = screen(Mode::Plain { colour: true, verbose: false }, events.clone());
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(sanitise::text(&coloured), screen(NORMAL, events));
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_turn_the_screen_back() {
    let text = screen(NORMAL, vec![(5.0, phase(Phase::Build)), (9.0, Event::Decided), (1.0, Event::Decided)]);
    let fronts: Vec<&str> = text.lines().map(|line| &line[..10]).collect();
    assert_eq!(fronts, ["[   0.0s] ", "[   4.0s] ", "[   4.0s] "]);
}
