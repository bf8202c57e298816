//! Pushes as events, for the tests of every screen: a good one and one that rolls back.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use fleetdeploy::event::forecast::{CopiesForecast, CopyForecast};
use fleetdeploy::event::line::Line;
use fleetdeploy::event::reason::any::AnyReason;
use fleetdeploy::event::waiting::AfterWait;
use fleetdeploy::event::{Bytes, Cell, Event, HostOutcome, HostPlanned, LinkCount, Outcome, Phase, VERSION, WayBack};
use fleetdeploy::facts::links::LinkAnswer;
use fleetdeploy::facts::package_change::PackageChange;
use fleetdeploy::facts::sending::SendingWay;
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::inventory::model::{GuardAction, HostName, Place};

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub(crate) fn system(host: &str, hash: char, version: &str) -> StorePath {
    StorePath::new(format!("/nix/store/{}-nixos-system-{host}-{version}", hash.to_string().repeat(32))).unwrap()
}

pub(crate) fn planned(name: &str, new: &str) -> HostPlanned {
    let old = system(name, 'a', "25.05.812");
    let changes = new != "25.05.812";
    let new = if changes { system(name, 'b', new) } else { old.clone() };
    HostPlanned { host: host(name), old, new, changes, selected: true, generation: 41 }
}

pub(crate) fn started() -> Event {
    Event::PushStarted {
        fleet: "homelab".into(),
        hosts: vec![host("vps"), host("homeserver")],
        selected: vec![host("vps"), host("homeserver")],
        inventory: "inventory.yaml".into(),
        guard_ms: 900_000,
        dry_run: false,
        rollback_to: None,
        record: Some("~/.local/state/fleetdeploy/runs/20261122-161500-homelab-3f9c".into()),
    }
}

pub(crate) fn building(done: u64, expected: u64, doing: &str) -> Event {
    let (running, download, downloading) = (1, Bytes::default(), None);
    Event::BuildMoved { done, expected, doing: doing.into(), running, download, downloading }
}

pub(crate) fn phase(phase: Phase) -> Event {
    Event::PhaseStarted { phase }
}

pub(crate) fn done(name: &str, phase: Phase) -> Event {
    Event::HostDone { host: host(name), phase }
}

pub(crate) fn moved(name: &str, doing: &str) -> Event {
    Event::moved(&host(name), doing)
}

/// What a host does, with its deadline of so many seconds from then on.
pub(crate) fn moved_within(name: &str, doing: &str, seconds: u64) -> Event {
    Event::moved_within(&host(name), doing, Duration::from_secs(seconds))
}

fn surveyed(name: &str) -> Event {
    Event::HostSurveyed {
        host: host(name),
        nixos: Some("25.05.812".into()),
        nix: "2.24.14".into(),
        systemd: "257.6".into(),
        kernel: "6.12.30".into(),
        boot_files_unproven: None,
    }
}

fn compared(name: &str, reboot_for: &[&str]) -> Event {
    let change = |package: &str, before: &[&str], after: &[&str], size_delta| {
        let own = |versions: &[&str]| versions.iter().map(|version| (*version).to_owned()).collect();
        PackageChange { package: package.into(), before: own(before), after: own(after), size_delta }
    };
    let packages = vec![
        change("etc", &[], &[], Some(12_902)),
        change("linux", &["6.12.30"], &["6.12.31"], Some(262_144)),
        change("nginx", &["1.28.0"], &["1.28.1"], None),
    ];
    let reboot_for = reboot_for.iter().map(|what| (*what).to_owned()).collect();
    Event::Compared { host: host(name), packages: Some(packages), reboot_for }
}

/// As hosts of the defaults have it: 150 s until they reboot, and 180 s to boot.
fn way_back(left_ms: u64) -> WayBack {
    WayBack { action: GuardAction::Reboot, back_ms: left_ms + 330_000 }
}

fn extended(name: &str, left_ms: u64) -> Event {
    Event::GuardExtended { host: host(name), left_ms, way_back: Some(way_back(left_ms)) }
}

pub(crate) fn armed(name: &str) -> Event {
    Event::GuardArmed { host: host(name), left_ms: 900_000, way_back: Some(way_back(900_000)) }
}

pub(crate) fn cell(from: &str, to: &str, kind: &str, answer: LinkAnswer, was_up: Option<bool>) -> Cell {
    let from = Place::Host(host(from));
    Cell {
        check: "vpn mesh".into(),
        from,
        to: to.into(),
        kind: kind.into(),
        required: true,
        answer,
        was_up,
        left_out: false,
    }
}

pub(crate) fn matrix(phase: Phase, was_up: Option<bool>) -> Event {
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

fn workstation_seen() -> Event {
    let (nix, ssh) = (Some("nix 2.26.3".into()), Some("OpenSSH_10.0".into()));
    Event::WorkstationSeen { fleetdeploy: "0.1.0".into(), nix, ssh }
}

fn copies_foreseen() -> Event {
    let copy = |name, bytes, about_ms| CopyForecast { host: Some(host(name)), way: SendingWay::Sent, bytes, about_ms };
    let each = vec![copy("vps", Some(734_003_200), Some(17_000)), copy("homeserver", None, None)];
    Event::CopiesForeseen { copies: CopiesForecast { each, about_ms: None } }
}

pub(crate) fn good_push() -> Vec<(f64, Event)> {
    let waiting = |up, waiting: &[&str]| Event::LinksMoved {
        up,
        of: 4,
        rounds: 0,
        waiting_for: waiting.iter().map(|link| (*link).to_owned()).collect(),
        cause: None,
        hosts: BTreeMap::from([
            (host("vps"), LinkCount { up: up - 2, of: 2 }),
            (host("homeserver"), LinkCount { up: 2, of: 2 }),
        ]),
    };
    vec![
        (0.0, started()),
        (0.0, phase(Phase::Build)),
        (0.0, phase(Phase::Survey)),
        (0.0, moved_within("vps", "connecting", 20)),
        (0.0, moved_within("homeserver", "connecting", 20)),
        (0.1, building(0, 0, "evaluating")),
        (4.0, building(9, 212, "linux-6.12")),
        (4.1, workstation_seen()),
        (5.2, surveyed("vps")),
        (5.2, done("vps", Phase::Survey)),
        (5.9, surveyed("homeserver")),
        (5.9, done("homeserver", Phase::Survey)),
        (12.3, building(200, 212, "etc")),
        (13.5, done("vps", Phase::Build)),
        (13.5, done("homeserver", Phase::Build)),
        (14.0, Event::Planned { hosts: vec![planned("vps", "25.11.3"), planned("homeserver", "25.05.813")] }),
        (14.0, phase(Phase::Copy)),
        (14.1, copies_foreseen()),
        (14.1, Event::CopyMoved { host: host("vps"), done_bytes: 0, expected_bytes: 734_003_200 }),
        (15.1, Event::CopyMoved { host: host("vps"), done_bytes: 104_857_600, expected_bytes: 734_003_200 }),
        (24.1, Event::CopyMoved { host: host("vps"), done_bytes: 524_288_000, expected_bytes: 734_003_200 }),
        (29.8, Event::CopyMeasured { host: Some(host("vps")), from: None, bytes: 734_003_200, took_ms: 15_600 }),
        (29.9, compared("vps", &["kernel"])),
        (30.0, done("vps", Phase::Copy)),
        (
            31.0,
            Event::Warned {
                host: Some(host("homeserver")),
                text: AnyReason::without_code("what runs was never booted\u{1b}[2J here"),
            },
        ),
        (31.4, compared("homeserver", &[])),
        (31.5, done("homeserver", Phase::Copy)),
        (31.6, phase(Phase::Baseline)),
        (33.0, matrix(Phase::Baseline, None)),
        (33.1, phase(Phase::Arm)),
        (33.5, armed("vps")),
        (33.9, armed("homeserver")),
        (34.0, phase(Phase::Test)),
        (34.1, moved_within("vps", "activating", 320)),
        (34.2, moved_within("homeserver", "activating", 320)),
        (35.0, moved_within("vps", "restarting nginx.service", 319)),
        (45.0, moved_within("vps", "restarting sshd.service", 309)),
        (46.0, done("vps", Phase::Test)),
        (
            48.0,
            Event::ContactLost {
                host: host("homeserver"),
                within_ms: Some(60_000),
                then: Some(AfterWait::AllGoBack),
                why: AnyReason::without_code("connection timed out"),
            },
        ),
        (51.0, Event::ContactMade { host: host("homeserver") }),
        (51.2, done("homeserver", Phase::Test)),
        (51.3, phase(Phase::Verify)),
        (52.0, waiting(2, &["vps -> homeserver ping", "vps -> homeserver ssh"])),
        (53.0, waiting(4, &[])),
        (57.0, matrix(Phase::Verify, Some(true))),
        (57.1, phase(Phase::Decide)),
        (57.1, extended("vps", 600_000)),
        (57.2, Event::Decided),
        (57.2, phase(Phase::Switch)),
        (60.0, Event::BootDefaultMoved { host: host("vps"), generation: 42 }),
        (60.0, done("vps", Phase::Switch)),
        (60.4, Event::BootDefaultMoved { host: host("homeserver"), generation: 42 }),
        (60.4, done("homeserver", Phase::Switch)),
        (62.0, phase(Phase::Disarm)),
        (62.3, Event::GuardDisarmed { host: host("vps") }),
        (62.4, Event::GuardDisarmed { host: host("homeserver") }),
        (
            63.0,
            Event::Finished {
                outcome: Outcome::Committed,
                text: AnyReason::without_code("every host runs its new system, and all links are up"),
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

pub(crate) fn bad_push() -> Vec<(f64, Event)> {
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
                text: AnyReason::without_code("links do not come up:\nvps -> homeserver ping"),
                hint: Some("look at `systemctl status wireguard-wg0` on homeserver".into()),
            },
        ),
        (
            80.3,
            Event::RollBackStarted {
                host: None,
                reason: AnyReason::without_code("links are down: vps -> homeserver ping"),
                hint: None,
            },
        ),
        (80.3, phase(Phase::RollBack)),
        (
            85.0,
            Event::LeftToGuard {
                host: host("homeserver"),
                fires_in_ms: 823_000,
                boot_ms: 180_000,
                action: Some(GuardAction::Reboot),
            },
        ),
        (
            1000.0,
            Event::CameBack {
                host: host("homeserver"),
                text: AnyReason::without_code("rebooted by its guard, runs the old system"),
            },
        ),
        (
            1001.0,
            Event::Finished {
                outcome: Outcome::RolledBack,
                text: AnyReason::without_code("every touched host is back on its old system: links were down"),
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

/// A push by two waves that stands in the middle of the second test.
pub(crate) fn push_by_waves() -> Vec<(f64, Event)> {
    let wave = |wave, name: &str| Event::WaveStarted { wave, of: 2, hosts: vec![host(name)] };
    vec![
        (0.0, started()),
        (10.0, Event::Planned { hosts: vec![planned("vps", "25.11.3"), planned("homeserver", "25.11.3")] }),
        (10.0, Event::WavesPlanned { waves: vec![vec![host("homeserver")], vec![host("vps")]] }),
        (12.0, phase(Phase::Arm)),
        (12.5, armed("vps")),
        (12.6, armed("homeserver")),
        (12.7, wave(1, "homeserver")),
        (12.7, phase(Phase::Test)),
        (12.8, moved("homeserver", "activating")),
        (20.0, done("homeserver", Phase::Test)),
        (20.1, phase(Phase::Verify)),
        (25.0, matrix(Phase::Verify, Some(true))),
        (25.4, extended("vps", 900_000)),
        (25.5, extended("homeserver", 900_000)),
        (25.6, wave(2, "vps")),
        (25.6, phase(Phase::Test)),
        (25.7, moved("vps", "activating")),
    ]
}

/// The lines as they come out of the stream.
pub(crate) fn lines(events: Vec<(f64, Event)>) -> Vec<Line> {
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
