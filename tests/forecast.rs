//! The page of `plan`, as a person reads it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fleetdeploy::event::forecast::{
    Comparison, CopiesForecast, CopyForecast, Forecast, GuardGap, HostForecast, NotRun, PhaseForecast,
};
use fleetdeploy::event::reason::trial::{TrialOutlook, TrialRefusal};
use fleetdeploy::event::{Cell, Phase};
use fleetdeploy::facts::links::LinkAnswer;
use fleetdeploy::facts::package_change::PackageChange;
use fleetdeploy::facts::sending::SendingWay;
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::facts::trial::TrialMeans;
use fleetdeploy::facts::unit_changes::UnitChanges;
use fleetdeploy::inventory::model::{HostName, Place};
use fleetdeploy::ui::forecast::{ForecastStyle, render};
use fleetdeploy::ui::sanitise;
use pretty_assertions::assert_eq;

const NARROW: ForecastStyle = ForecastStyle { colour: false, columns: 80 };

fn name(host: &str) -> HostName {
    HostName::new(host).unwrap()
}

fn system(host: &str, version: &str) -> StorePath {
    StorePath::new(format!("/nix/store/{}-nixos-system-{host}-{version}", "a".repeat(32))).unwrap()
}

fn host(host: &str, versions: (&str, &str), behind: Option<&str>) -> HostForecast {
    HostForecast {
        host: name(host),
        selected: versions.0 != versions.1,
        changes: versions.0 != versions.1,
        old: system(host, versions.0),
        boots: None,
        new: system(host, versions.1),
        generation: 41,
        behind: behind.map(name),
        guard_ms: 900_000,
        needed_ms: 745_000,
        boot_ms: 300_000,
        comparison: Comparison::default(),
        trial: None,
        units: None,
    }
}

fn package(package: &str, before: &[&str], after: &[&str]) -> PackageChange {
    let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    PackageChange { package: package.into(), before: own(before), after: own(after), size_delta: None }
}

/// Two hosts that change alike, one of which nothing is known, a witness.
fn forecast() -> Forecast {
    let alike = Comparison {
        packages: Some(vec![package("linux", &["6.12.1"], &["6.12.2"]), package("nginx", &[], &["1.27"])]),
        reboot_for: Some(vec!["kernel".into(), "kernel modules".into()]),
    };
    let own = |units: &[&str]| units.iter().map(ToString::to_string).collect();
    let units = UnitChanges {
        stop: own(&["nginx.service"]),
        start: own(&["nginx.service"]),
        restart: own(&["sshd.service"]),
        leave: own(&["dbus.service"]),
        restart_systemd: true,
        said: own(&["would remove user ada\u{1b}[31m"]),
        ..UnitChanges::default()
    };
    let mut hosts = vec![
        host("vps", ("25.11.1", "25.11.2"), None),
        host("homeserver", ("25.11.1", "25.11.2"), Some("vps")),
        host("web", ("25.11.1", "25.11.2"), None),
        host("nas", ("25.11.1", "25.11.1"), Some("vps")),
    ];
    for host in &mut hosts {
        host.trial = Some(TrialOutlook::TrialNotPossible { cause: TrialRefusal::TrialGrubSaves }.into());
    }
    for host in &mut hosts[..2] {
        host.comparison = alike.clone();
        host.trial = Some(
            TrialOutlook::TrialPossible { means: TrialMeans::EfiVariable, watchdog: false, back_within_s: 2600 }.into(),
        );
        host.units = Some(units.clone());
    }
    hosts[0].boots = Some(system("vps", "25.11.0"));
    let phase = |(phase, seconds): (Phase, Option<u64>)| PhaseForecast {
        phase,
        at_most_ms: seconds.map(|at| at * 1000),
        took_ms: (phase == Phase::Test).then_some(12_000),
    };
    let cell = |from: &str, to: &str, answer: LinkAnswer| Cell {
        check: "vpn mesh".into(),
        from: Place::Host(name(from)),
        to: to.into(),
        kind: "ping".into(),
        required: true,
        answer,
        was_up: None,
        left_out: false,
    };
    let copy = |host, way, bytes, about_ms| CopyForecast { host: Some(name(host)), way, bytes, about_ms };
    Forecast {
        fleet: "homelab".into(),
        hosts,
        armed_first: Some(name("web")),
        order: vec![vec![name("homeserver"), name("web")], vec![name("vps")]],
        waves: vec![vec![name("homeserver")], vec![name("web"), name("vps")]],
        phases: [(Phase::Build, None), (Phase::Test, Some(240)), (Phase::RollBack, Some(360))].map(phase).to_vec(),
        links: vec![
            cell("vps", "homeserver", LinkAnswer::Up { round_trip_us: Some(400) }),
            cell("homeserver", "vps", LinkAnswer::Down { why: "no answer".into() }),
        ],
        not_run: [("backup is fresh", Some("vps")), ("backup is fresh", Some("nas")), ("it answers from here", None)]
            .map(|(check, from)| NotRun { check: check.into(), from: from.map(name), required: from.is_some() })
            .to_vec(),
        copies: Some(CopiesForecast {
            each: vec![
                copy("vps", SendingWay::Sent, Some(43_500_000), Some(18_000)),
                copy("homeserver", SendingWay::SentOrFetched, Some(2_000_000), Some(300)),
                copy("web", SendingWay::Between { from: name("vps") }, None, None),
            ],
            about_ms: None,
        }),
        not_known: vec!["which packages change on web".into()],
        gaps: vec![
            GuardGap::ActivationMovesBoot { host: name("web") },
            GuardGap::BootFilesNotCompared { host: name("vps"), why: "a unified image cannot be compared".into() },
        ],
        ..Forecast::default()
    }
}

/// Compares with `tests/snapshots/forecast__NAME.snap`.
///
/// `INSTA_UPDATE=always cargo test --test forecast` writes it anew.
fn assert_page(name: &str, text: &str) {
    // insta passes over line breaks at the end of a text, and over the kind of each.
    assert_eq!(text, format!("{}\n", text.trim_end()).replace('\r', ""));
    insta::assert_snapshot!(name, text);
}

#[test]
fn a_plan_tells_all_that_is_known_and_what_is_not() {
    let page = render(&forecast(), NARROW);
    assert_page("plan", &page);
    assert!(page.lines().all(|line| line.len() < 80), "{page}");
    let wide = ForecastStyle { colour: true, columns: 200 };
    assert!(render(&forecast(), wide).contains('\u{1b}'));
    let plain = ForecastStyle { colour: false, ..wide };
    assert_eq!(sanitise::text(&render(&forecast(), wide)), render(&forecast(), plain));
}

#[test]
fn a_plan_that_would_be_refused_promises_no_order_and_no_time() {
    let mut refused = Forecast { refused: Some("a host must not be touched now".into()), ..forecast() };
    refused.not_known.clear();
    let page = render(&refused, NARROW);
    assert!(page.starts_with("homelab: would be refused: a host must not be touched now\n"), "{page}");
    assert!(!page.contains("\norder\n") && !page.contains("at most") && !page.contains("not known"), "{page}");
    let nothing = Forecast { fleet: "homelab".into(), refused: Some("no".into()), ..Forecast::default() };
    assert_eq!(render(&nothing, NARROW), "homelab: would be refused: no\n");
}

#[test]
fn where_nothing_changes_the_plan_is_short() {
    let hosts = vec![host("nas", ("25.11.1", "25.11.1"), None)];
    let page = render(&Forecast { fleet: "homelab".into(), hosts, ..Forecast::default() }, NARROW);
    assert_eq!(
        page,
        "homelab: nothing to do: every host already runs its system\n\nhosts\n  host  would         system   \
         generation\n  nas   be a witness  25.11.1  41\n"
    );
}

#[test]
fn a_rollback_says_where_it_goes_and_that_nothing_is_built_or_copied() {
    let mut back = Forecast { rollback_to: Some("what ran at 2026-11-20 18:00 CET".into()), ..forecast() };
    back.phases.push(PhaseForecast { phase: Phase::Copy, at_most_ms: None, took_ms: None });
    let page = render(&back, NARROW);
    assert!(
        page.starts_with("homelab back to what ran at 2026-11-20 18:00 CET: 3 of 4 hosts would change\n"),
        "{page}"
    );
    assert!(page.contains("nothing to build") && page.contains("nothing to copy"), "{page}");
}

#[test]
fn programs_get_all_of_it() {
    let json = serde_json::to_value(forecast()).unwrap();
    assert_eq!(json["hosts"][0]["reboot_for"], serde_json::json!(["kernel", "kernel modules"]));
    assert_eq!(json["hosts"][0]["units"]["restart"], serde_json::json!(["sshd.service"]));
    assert_eq!(json["hosts"][2].get("packages"), None);
    assert_eq!(json["order"], serde_json::json!([["homeserver", "web"], ["vps"]]));
    assert_eq!(json["phases"][1], serde_json::json!({"phase": "test", "at_most_ms": 240_000, "took_ms": 12_000}));
}
