//! The JSON form of events: each is read as it was written, and as the published schema says.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which `allow-unwrap-in-tests` does not see")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use fleetdeploy::event::forecast::{
    Comparison, CopiesForecast, CopyForecast, Forecast, GuardGap, HostForecast, NotRun, PhaseForecast,
};
use fleetdeploy::event::line::{self, Line};
use fleetdeploy::event::reason::any::AnyReason;
use fleetdeploy::event::reason::cause::Cause;
use fleetdeploy::event::reason::claim::Claim;
use fleetdeploy::event::reason::forecast::NotKnown;
use fleetdeploy::event::reason::recover::RecoverReason;
use fleetdeploy::event::reason::refusal::Refusal;
use fleetdeploy::event::reason::rollback::{LinkEnds, LinksCause, RollbackReason};
use fleetdeploy::event::reason::trial::TrialOutlook;
use fleetdeploy::event::waiting::{AfterWait, HeldBack, WaitedFor};
use fleetdeploy::event::{Bytes, Cell, Event, HostOutcome, HostPlanned, LinkCount, Outcome, Phase, VERSION, WayBack};
use fleetdeploy::facts::links::LinkAnswer;
use fleetdeploy::facts::package_change::PackageChange;
use fleetdeploy::facts::provenance::Provenance;
use fleetdeploy::facts::sending::SendingWay;
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::facts::trial::TrialMeans;
use fleetdeploy::facts::unit_changes::UnitChanges;
use fleetdeploy::inventory::model::{GuardAction, HostName, Place};
use fleetdeploy::ui::json;
use pretty_assertions::assert_eq;
use serde_json::Value;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events.schema.json");

fn cell(from: Place, answer: LinkAnswer, was_up: Option<bool>) -> Cell {
    Cell {
        check: "vpn mesh".into(),
        from,
        to: "10.100.0.2".into(),
        kind: "ping".into(),
        required: false,
        answer,
        was_up,
        left_out: was_up.is_none(),
    }
}

fn way_back() -> WayBack {
    WayBack { action: GuardAction::Reboot, back_ms: 1_230_000 }
}

/// One by each way.
fn copies() -> CopiesForecast {
    let name = |host: &str| HostName::new(host).unwrap();
    let copy = |host, way, bytes, about_ms| CopyForecast { host, way, bytes, about_ms };
    let each = vec![
        copy(None, SendingWay::Sent, Some(7), Some(1)),
        copy(Some(name("vps")), SendingWay::Between { from: name("10") }, None, None),
        copy(Some(name("vps")), SendingWay::Fetched, Some(7), None),
        copy(Some(name("vps")), SendingWay::SentOrFetched, Some(u64::MAX), Some(u64::MAX)),
    ];
    CopiesForecast { each, about_ms: Some(2) }
}

/// With everything that may be absent.
fn forecast() -> Forecast {
    let name = |host: &str| HostName::new(host).unwrap();
    let system = StorePath::new(format!("/nix/store/{}-nixos-system-vps-25.05", "a".repeat(32))).unwrap();
    Forecast {
        fleet: "homelab".into(),
        rollback_to: Some("generation 41".into()),
        refused: Some("a host must not be touched now".into()),
        refusal: Some(Refusal::HostNotTouchable.into()),
        hosts: vec![HostForecast {
            host: name("vps"),
            selected: true,
            changes: true,
            old: system.clone(),
            boots: Some(system.clone()),
            new: system,
            generation: 41,
            behind: Some(name("10")),
            guard_ms: 900_000,
            needed_ms: 745_000,
            boot_ms: 300_000,
            comparison: Comparison { packages: Some(Vec::new()), reboot_for: Some(vec!["kernel".into()]) },
            trial: Some(
                TrialOutlook::TrialPossible { means: TrialMeans::NextEntry, watchdog: false, back_within_s: 2600 }
                    .into(),
            ),
            units: Some(UnitChanges { restart_systemd: true, ..UnitChanges::default() }),
        }],
        armed_first: Some(name("vps")),
        order: vec![vec![name("vps")]],
        waves: vec![vec![name("vps")]],
        phases: vec![PhaseForecast { phase: Phase::Test, at_most_ms: Some(240_000), took_ms: Some(7_000) }],
        links: vec![cell(Place::Workstation, LinkAnswer::Unknown, None)],
        accepted: vec!["vps -> 10 (ping)".into()],
        left_out: vec![name("10")],
        not_run: vec![
            NotRun { check: "backup is fresh".into(), from: Some(HostName::new("vps").unwrap()), required: true },
            NotRun { check: "it answers from here".into(), from: None, required: false },
        ],
        not_known: vec!["which units are stopped and started".into()],
        unknowns: vec![NotKnown::UnitsNotAsked { command: "plan --units".into() }.into()],
        copies: Some(copies()),
        gaps: vec![
            GuardGap::ActivationMovesBoot { host: name("vps") },
            GuardGap::BootFilesNotCompared { host: name("vps"), why: "it is signed".into() },
        ],
    }
}

/// Each way in which a run, and a host in it, can end.
fn ends() -> Vec<Event> {
    let outcomes = [
        HostOutcome::Committed,
        HostOutcome::Unchanged,
        HostOutcome::Witness,
        HostOutcome::RolledBack { by_guard: true },
        HostOutcome::Untouched,
        HostOutcome::WentBack,
        HostOutcome::Lost { why: AnyReason::without_code("no answer") },
        HostOutcome::Left { why: AnyReason::without_code("its guard brings it back"), back_within_ms: Some(90_000) },
        HostOutcome::Left { why: AnyReason::without_code("as it was found"), back_within_ms: None },
        HostOutcome::Skipped,
        HostOutcome::Rebooted,
    ];
    let hosts: BTreeMap<HostName, HostOutcome> =
        (10..).map(|number: u32| HostName::new(number.to_string()).unwrap()).zip(outcomes).collect();
    [
        Outcome::Committed,
        Outcome::Unchanged,
        Outcome::Planned,
        Outcome::RolledBack,
        Outcome::Refused,
        Outcome::Split,
        Outcome::Left,
        Outcome::Superseded,
        Outcome::Rebooted,
        Outcome::PartlyRebooted,
    ]
    .map(|outcome| Event::Finished {
        outcome,
        text: AnyReason::without_code("done"),
        hosts: hosts.clone(),
        exit: 3,
        took_ms: 1,
    })
    .to_vec()
}

/// Each kind of event, and each kind of what they hold.
fn samples() -> Vec<Event> {
    // A name of digits: the hardest key that a map of hosts can have.
    let (vps, digits) = (HostName::new("vps").unwrap(), HostName::new("10").unwrap());
    let system = |hash: &str| StorePath::new(format!("/nix/store/{}-nixos-system-vps-25.05", hash.repeat(32))).unwrap();
    let mut events = vec![
        Event::PushStarted {
            fleet: "homelab".into(),
            hosts: vec![vps.clone(), digits.clone()],
            selected: vec![vps.clone()],
            inventory: "inventory.yaml".into(),
            guard_ms: 900_000,
            record: None,
            dry_run: true,
            rollback_to: Some("generation 41".into()),
        },
        Event::AddressChosen { host: vps.clone(), address: "vps.example.org".into() },
        Event::RebootStarted {
            fleet: "homelab".into(),
            hosts: vec![vps.clone()],
            selected: vec![vps.clone()],
            inventory: "inventory.yaml".into(),
            record: "/state/runs/r-1".into(),
        },
        Event::RecoverStarted { fleet: "homelab".into(), hosts: vec![vps.clone()], inventory: "inventory.yaml".into() },
        Event::Foreseen { forecast: Box::new(forecast()), whole: true },
        Event::Asked { question: "push homelab now? [y/N]".into() },
        Event::Replied { yes: true },
        Event::RunChosen { epoch: 2, alone: true, record: "/state/runs/r-1".into(), changes: vec![vps.clone()] },
        Event::Planned {
            hosts: vec![HostPlanned {
                host: vps.clone(),
                old: system("a"),
                new: system("b"),
                changes: true,
                selected: true,
                generation: u64::MAX,
            }],
        },
        Event::EventsLost { events: 3, why: "No space left on device".into() },
        Event::HookStarted { hook: "tell the others".into(), limit_ms: 300_000 },
        Event::WavesPlanned { waves: vec![vec![vps.clone()], vec![digits.clone()]] },
        Event::WaveStarted { wave: 1, of: 2, hosts: vec![vps.clone()] },
        Event::HostLeftOut { host: digits.clone() },
        Event::moved(&digits, "copying \u{1b}[1m"),
        Event::CopyMoved { host: vps.clone(), done_bytes: 1, expected_bytes: 2 },
        Event::CopiesForeseen { copies: copies() },
        Event::CopyMeasured { host: Some(vps.clone()), from: Some(digits.clone()), bytes: 7, took_ms: 1 },
        Event::CopyMeasured { host: None, from: None, bytes: 7, took_ms: 1 },
        Event::HostDone { host: vps.clone(), phase: Phase::RollBack },
        Event::GuardArmed { host: vps.clone(), left_ms: 900_000, way_back: Some(way_back()) },
        Event::GuardSeen { host: vps.clone(), left_ms: 1, way_back: Some(way_back()) },
        Event::GuardExtended { host: vps.clone(), left_ms: 900_000, way_back: Some(way_back()) },
        Event::GuardDisarmed { host: vps.clone() },
        Event::ContactLost {
            host: vps.clone(),
            within_ms: Some(1),
            then: Some(AfterWait::ItsGuard),
            why: AnyReason::without_code("gone"),
        },
        Event::ContactMade { host: vps.clone() },
        Event::Warned { host: None, text: AnyReason::without_code("old nix") },
        Event::Warned { host: Some(vps.clone()), text: AnyReason::without_code("old nix") },
        Event::Failed { host: None, text: AnyReason::without_code("no"), hint: None },
        Event::Failed { host: Some(vps.clone()), text: AnyReason::without_code("no"), hint: Some("yes".into()) },
        Event::Logged { host: vps.clone(), what: "test".into(), lines: vec!["one".into(), String::new()] },
        Event::MatrixSeen {
            phase: Phase::Baseline,
            cells: vec![
                cell(Place::Workstation, LinkAnswer::Up { round_trip_us: None }, None),
                cell(Place::Host(vps.clone()), LinkAnswer::Up { round_trip_us: Some(12_345) }, Some(true)),
                cell(Place::Host(digits), LinkAnswer::Down { why: "no route".into() }, Some(false)),
                cell(Place::Workstation, LinkAnswer::Unknown, Some(true)),
            ],
        },
        Event::Decided,
        Event::RollBackStarted {
            host: Some(vps.clone()),
            reason: AnyReason::without_code("a link is down"),
            hint: None,
        },
        Event::HostFound { host: vps.clone(), text: AnyReason::without_code("is guarded") },
        Event::LeftToGuard { host: vps.clone(), fires_in_ms: 1, boot_ms: 2, action: Some(GuardAction::SwitchBack) },
        Event::CameBack { host: vps, text: AnyReason::without_code("on its old system") },
        Event::Ended { exit: 1 },
        Event::Answer { answer: serde_json::json!({"links": [1, null, {"up": true}]}) },
    ];
    events.extend(
        Phase::OF_A_PUSH
            .into_iter()
            .chain([Phase::RollBack, Phase::TakeOver, Phase::Reboot, Phase::Ask])
            .map(|phase| Event::PhaseStarted { phase }),
    );
    events.extend(facts());
    events.extend(ends());
    events
}

/// Events for a reader who looks closer.
fn facts() -> Vec<Event> {
    let vps = HostName::new("vps").unwrap();
    vec![
        Event::QueryStarted {
            command: "check".into(),
            fleet: "homelab".into(),
            hosts: vec![vps.clone()],
            inventory: "inventory.yaml".into(),
        },
        Event::WorkstationSeen { fleetdeploy: "0.1.0".into(), nix: Some("nix 2.26.3".into()), ssh: None },
        Event::SourceKnown {
            provenance: Provenance {
                source: Some("git+file:///etc/nixos".into()),
                revision: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".into()),
                dirty: true,
                nar_hash: Some("sha256-Zm9v".into()),
                last_modified: Some(1_795_364_100),
                by: "ada@laptop".into(),
                nix: Some("Nix 2.26.3".into()),
                fleetdeploy: "0.1.0".into(),
            },
        },
        Event::HostSurveyed {
            host: vps.clone(),
            nixos: Some("26.05.1".into()),
            nix: "2.26.3".into(),
            systemd: "257".into(),
            kernel: "6.12.8".into(),
            boot_files_unproven: Some("it is signed".into()),
        },
        Event::BuildMoved {
            done: 1,
            expected: 2,
            doing: "etc".into(),
            running: 1,
            download: Bytes { done_bytes: 1, expected_bytes: 2 },
            downloading: Some("linux-6.12.8".into()),
        },
        Event::Evaluated { anew: 1, kept: 2 },
        Event::Compared {
            host: vps.clone(),
            packages: Some(vec![PackageChange {
                package: "linux".into(),
                before: vec!["6.12.7".into()],
                after: vec!["6.12.8".into(), String::new()],
                size_delta: Some(-1),
            }]),
            reboot_for: vec!["kernel".into()],
        },
        Event::LinksMoved {
            up: 1,
            of: 2,
            rounds: 3,
            waiting_for: vec!["vps -> home ping".into()],
            cause: Some(LinksCause {
                checks: vec!["vpn".into()],
                at: Some(vps.clone()),
                ends: LinkEnds::Both,
                links: 2,
            }),
            hosts: BTreeMap::from([(vps.clone(), LinkCount { up: 1, of: 2 })]),
        },
        Event::WaitStarted { wait: WaitedFor::Links, within_ms: 60_000, then: AfterWait::AllGoBack },
        Event::WaitEnded { wait: WaitedFor::OldLinks },
        Event::HostWaits { host: vps.clone(), waits_for: vec![vps.clone()], more: 3, why: Some(HeldBack::WayOfOthers) },
        Event::HostWaits { host: vps.clone(), waits_for: Vec::new(), more: 0, why: None },
        Event::MayLeave { may: true, back_within_ms: Some(3) },
        Event::BootDefaultMoved { host: vps.clone(), generation: 42 },
        Event::HostRebooted {
            host: vps.clone(),
            took_ms: 42_000,
            old_kernel: "6.12.8".into(),
            new_kernel: "6.12.9".into(),
        },
        Event::Printed { host: Some(vps), by: "test".into(), lines: vec!["activating".into()] },
    ]
}

/// Reasons in types, in each place where an event has one.
fn with_reasons() -> Vec<Event> {
    let vps = HostName::new("vps").unwrap();
    let cause = || Cause::ScriptFailed { machine: "vps".into(), script: "arm".into(), status: 1, said: "no".into() };
    let claim =
        Claim::GuardArmedElsewhere { fleet: "lab".into(), run: "r-2".into(), fires_in: Duration::from_millis(1500) };
    let blamed = RollbackReason::StepFailed { host: vps.clone(), phase: Phase::Test, cause: cause(), boots: None };
    let hosts = [
        (vps.clone(), HostOutcome::Lost { why: cause().into() }),
        (HostName::new("nas").unwrap(), HostOutcome::Left { why: cause().into(), back_within_ms: Some(90_000) }),
    ];
    vec![
        Event::failed(Some(&vps), claim),
        Event::warned(None, RecoverReason::StillMissing { run: "r-3".into(), fleet: "lab".into() }),
        Event::ContactLost { host: vps.clone(), within_ms: None, then: None, why: cause().into() },
        Event::RollBackStarted { host: Some(vps), reason: blamed.clone().into(), hint: None },
        Event::Finished { outcome: Outcome::Split, text: blamed.into(), hosts: hosts.into(), exit: 3, took_ms: 1 },
    ]
}

fn lines() -> Vec<Line> {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_364_100_042);
    let run = |seq: u64| seq.is_multiple_of(2).then(|| "20261122-161500-homelab-3f9c".to_owned());
    (1..)
        .zip(with_reasons().into_iter().chain(samples()))
        .map(|(seq, event)| Line { version: VERSION, run: run(seq), seq, at, event })
        .collect()
}

/// The names of all events, out of the schema.
fn names_in(schema: &Value) -> BTreeSet<String> {
    let kinds = schema["oneOf"].as_array().expect("the schema has one case for each event");
    kinds.iter().map(|kind| kind["properties"]["event"]["const"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_published_schema_is_what_the_types_say() {
    let schema = serde_json::to_string_pretty(&line::schema()).unwrap() + "\n";
    if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
        std::fs::write(SCHEMA, &schema).unwrap();
    }
    let published = std::fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(
        published == schema,
        "events.schema.json is out of date; write it with FLEETDEPLOY_BLESS=1 cargo test --test events"
    );
}

#[test]
fn every_event_fits_the_schema_and_the_samples_have_them_all() {
    let schema = serde_json::to_value(line::schema()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut seen = BTreeSet::new();
    for line in lines() {
        let json: Value = serde_json::from_str(&json::render(&line)).unwrap();
        let problems: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{json}\n{problems:#?}");
        seen.insert(json["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, names_in(&schema));
    assert!(!validator.is_valid(&serde_json::json!({"version": 1, "seq": 1, "at": "now", "event": "teleported"})));
    // Words alone, as in a record from before there were codes; a reason; one without its field; one that nobody knows.
    let warned = |reason: Value| {
        let mut line = serde_json::json!({"version": 1, "seq": 1, "at": "2026-11-22T16:15:00.042Z", "event": "warned"});
        line.as_object_mut().unwrap().extend(reason.as_object().unwrap().clone());
        validator.is_valid(&line)
    };
    assert!(warned(serde_json::json!({"text": "a"})));
    assert!(warned(serde_json::json!({"text": "a", "code": "one-shot-set", "entry": "rescue.conf"})));
    assert!(!warned(serde_json::json!({"text": "a", "code": "one-shot-set"})));
    assert!(!warned(serde_json::json!({"text": "a", "code": "never-heard-of"})));
}

#[test]
fn every_event_is_read_as_it_was_written() {
    for line in lines() {
        let json = json::render(&line);
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        let read = serde_json::from_str::<Line>(&json).unwrap();
        assert_eq!(read, line);
        assert_eq!(json::render(&read), json, "with every field of a reason");
    }
}

#[test]
fn a_line_looks_as_the_design_says() {
    let line = &lines()[1];
    let finished = lines().into_iter().last().unwrap();
    assert_eq!(
        json::render(&Line { event: Event::Decided, ..line.clone() }),
        "{\"version\":1,\"run\":\"20261122-161500-homelab-3f9c\",\"seq\":2,\"at\":\"2026-11-22T16:15:00.042Z\",\
         \"event\":\"decided\"}\n"
    );
    let json: Value = serde_json::from_str(&json::render(&finished)).unwrap();
    assert_eq!(json["hosts"]["13"], serde_json::json!({"outcome": "rolled_back", "by_guard": true}));
}
