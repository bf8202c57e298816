//! Recorded events and the texts they become: whole screens, to be read as a person would.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/pushes.rs"]
mod pushes;

use std::time::Duration;

use fleetdeploy::event::reason::any::AnyReason;
use fleetdeploy::event::{Event, GUARD_TRACE, Phase};
use fleetdeploy::inventory::model::GuardAction;
use fleetdeploy::ui::host_view::{GuardView, Role};
use fleetdeploy::ui::mode::Mode;
use fleetdeploy::ui::plain::Plain;
use fleetdeploy::ui::safety::{ArmedGuards, Leaving, Safety};
use fleetdeploy::ui::sanitise;
use fleetdeploy::ui::view::FleetView;
use pretty_assertions::assert_eq;

use self::pushes::{bad_push, good_push, host, lines, phase, push_by_waves};

const NORMAL: Mode = Mode::Plain { colour: false, verbose: false };

fn screen(mode: Mode, events: Vec<(f64, Event)>) -> String {
    let mut plain = Plain::new(mode);
    lines(events).iter().map(|line| plain.render(line)).collect()
}

/// Compares with `tests/snapshots/display__NAME.snap`.
///
/// `INSTA_UPDATE=always cargo test --test display` writes it anew.
fn assert_screen(name: &str, text: &str) {
    // insta passes over line breaks at the end of a text, and over the kind of each.
    assert_eq!(text, format!("{}\n", text.trim_end()).replace('\r', ""));
    insta::assert_snapshot!(name, text);
}

#[test]
fn a_good_push_reads_well() {
    assert_screen("good", &screen(NORMAL, good_push()));
}

#[test]
fn a_bad_push_says_what_broke_and_what_becomes_of_every_host() {
    assert_screen("bad", &screen(NORMAL, bad_push()));
}

#[test]
fn a_push_by_waves_says_which_wave_it_is() {
    assert_screen("waves", &screen(NORMAL, push_by_waves()));
}

#[test]
fn a_host_that_was_rebooted_after_the_commit_needs_no_reboot_any_more() {
    let mut push = good_push();
    let end = push.pop().unwrap();
    let rebooted = Event::HostDone { host: host("vps"), phase: Phase::Reboot };
    push.extend([(end.0, Event::PhaseStarted { phase: Phase::Reboot }), (end.0, rebooted), end]);
    let recap = screen(NORMAL, push).split("homelab: COMMITTED").nth(1).unwrap().to_owned();
    assert!(!recap.contains("a reboot of vps is needed"), "{recap}");
    let row = recap.lines().find(|line| line.trim_start().starts_with("vps")).unwrap();
    assert!(row.contains(" done "), "{recap}");
}

#[test]
fn in_a_rolling_reboot_each_host_is_at_work_in_its_own_wave_alone() {
    let done = |name: &str| Event::HostDone { host: host(name), phase: Phase::Reboot };
    let wave = |wave, name: &str| Event::WaveStarted { wave, of: 2, hosts: vec![host(name)] };
    let begins = Event::PhaseStarted { phase: Phase::Reboot };
    let (all, inventory) = (vec![host("vps"), host("homeserver"), host("web")], "inventory.yaml".to_owned());
    let selected = all[..2].to_vec();
    let started = Event::RebootStarted { fleet: "homelab".into(), hosts: all, selected, inventory, record: "r".into() };
    let events = vec![
        (0.0, started),
        (1.0, wave(1, "homeserver")),
        (1.0, begins.clone()),
        (5.0, done("homeserver")),
        (5.0, wave(2, "vps")),
        (5.0, begins),
        (20.0, done("vps")),
    ];
    let view = FleetView::of(&lines(events.clone()));
    let took = |name: &str| view.host(&host(name)).unwrap().times.get(&Phase::Reboot).map(Duration::as_secs);
    assert_eq!(["homeserver", "vps", "web"].map(took), [Some(4), Some(15), None]);
    let said = screen(NORMAL, events);
    assert!(said.contains("reboot homelab (vps, homeserver)") && said.contains("wave 2 of 2: vps"), "{said}");
}

#[test]
fn a_host_that_stood_by_has_worked_no_longer_than_it_did() {
    let view = FleetView::of(&lines(push_by_waves()));
    assert_eq!(view.host(&host("vps")).unwrap().times.get(&Phase::Test), None, "its test has only begun");
    let canary = view.host(&host("homeserver")).unwrap();
    assert_eq!(canary.times[&Phase::Test], Duration::from_millis(7300));
    assert!(canary.through.is_some());
}

#[test]
fn a_quiet_good_push_says_only_its_warnings() {
    let quiet = Mode::Quiet { colour: false };
    assert_eq!(screen(quiet, good_push()), "[  31.0s] homeserver  warning: what runs was never booted here\n");
}

#[test]
fn a_quiet_bad_push_says_what_failed_and_the_end() {
    assert_screen("bad-quiet", &screen(Mode::Quiet { colour: false }, bad_push()));
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

/// What the screen says of the fleet's safety at this moment.
fn safety(push: Vec<(f64, Event)>, seconds: f64) -> Option<Safety> {
    let push = lines(push);
    let end = push[0].at + Duration::from_secs_f64(seconds);
    Safety::of(&FleetView::of(push.iter().filter(|line| line.at <= end)))
}

#[test]
fn at_every_moment_the_screen_says_what_protects_the_fleet() {
    let start = lines(good_push())[0].at;
    let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let guards = |first: f64, last: f64| ArmedGuards {
        first: after(first),
        last: after(last),
        back: Some(after(last + 330.0)),
        action: Some(GuardAction::Reboot),
    };
    for (seconds, expected) in [
        (0.0, Safety::Untouched),
        (33.0, Safety::Untouched),
        (33.6, Safety::Arming { armed: 1, of: 2, guards: Some(guards(933.5, 933.5)) }),
        (40.0, Safety::Guarded { guards: guards(933.5, 933.9) }),
        (57.1, Safety::Guarded { guards: guards(657.1, 933.9) }),
        (60.1, Safety::MakingPermanent { guards: guards(657.1, 933.9) }),
        (62.3, Safety::Disarming { disarmed: 1, of: 2, guards: Some(guards(933.9, 933.9)) }),
    ] {
        assert_eq!(safety(good_push(), seconds), Some(expected), "after {seconds} s");
    }
    let (leaving, one) = (Leaving::ToGuards { once: false }, || Some(guards(912.5, 912.5)));
    let (fires, back, action) = (after(908.0), after(1088.0), GuardAction::Reboot);
    for (seconds, expected) in [
        (12.2, Safety::Arming { armed: 0, of: 1, guards: None }),
        (80.2, Safety::Guarded { guards: guards(912.5, 912.5) }),
        (80.3, Safety::GoingBack { back: 0, of: 1, guards: one(), leaving }),
        (90.0, Safety::Awaiting { host: host("homeserver"), others: 0, fires, back, action, leaving }),
        (1000.0, Safety::GoingBack { back: 1, of: 1, guards: None, leaving }),
    ] {
        assert_eq!(safety(bad_push(), seconds), Some(expected), "after {seconds} s");
    }
}

#[test]
fn a_query_says_nothing_of_safety_and_a_dry_run_touches_nothing() {
    let Event::PushStarted { fleet, hosts, selected, inventory, guard_ms, record, rollback_to, .. } =
        good_push().remove(0).1
    else {
        panic!("the first event of a push")
    };
    let query = Event::QueryStarted {
        command: "check".into(),
        fleet: fleet.clone(),
        hosts: hosts.clone(),
        inventory: inventory.clone(),
    };
    assert_eq!(safety(vec![(0.0, query), (1.0, phase(Phase::Survey))], 2.0), None);
    let dry_run =
        Event::PushStarted { fleet, hosts, selected, inventory, guard_ms, record, dry_run: true, rollback_to };
    assert_eq!(safety(vec![(0.0, dry_run), (1.0, phase(Phase::Survey))], 2.0), Some(Safety::Untouched));
}

#[test]
fn the_view_knows_each_hosts_part_speed_changes_and_times() {
    let push = lines(good_push());
    let at = |seconds: f64| {
        FleetView::of(push.iter().filter(|line| line.at <= push[0].at + Duration::from_secs_f64(seconds)))
    };
    let copying = at(24.1);
    let vps = copying.host(&host("vps")).unwrap();
    assert_eq!((vps.phase, vps.role), (Some(Phase::Copy), Role::Changes));
    // 524,288,000 bytes in the 10 s since the copy's first event.
    assert_eq!(vps.copy.speed, Some(46_603_377));
    let end = at(100.0);
    let vps = end.host(&host("vps")).unwrap();
    assert_eq!(vps.new_generation, Some(42));
    assert_eq!(vps.changes.as_ref().unwrap().reboot_for, ["kernel"]);
    assert_eq!(vps.guard, GuardView::Disarmed);
    let seconds = |phase| vps.times.get(&phase).map(Duration::as_secs_f64);
    assert_eq!([Phase::Survey, Phase::Copy, Phase::Test].map(seconds), [Some(5.2), Some(16.0), Some(12.0)]);
    assert_eq!(end.phases.iter().filter(|phase| phase.ended.is_none()).count(), 0);
}

/// `doctor` has the host again in its answer, as a blocker with its mend; `check` has nothing else of it.
#[test]
fn a_silent_host_is_told_once() {
    let said = |command: &str| {
        let query = Event::QueryStarted {
            command: command.into(),
            fleet: "homelab".into(),
            hosts: vec![host("vps"), host("web")],
            inventory: "/fleet/inventory.yaml".into(),
        };
        let text = AnyReason::without_code("no ssh login on web: no answer within 5 s");
        let failed = Event::Failed { host: Some(host("web")), text, hint: None };
        screen(NORMAL, vec![(0.0, query), (0.0, phase(Phase::Ask)), (5.0, failed)])
    };
    for (command, times) in [("doctor", 0), ("status", 0), ("exec", 0), ("check", 1), ("guard arm", 1)] {
        assert_eq!(said(command).matches("no answer within 5 s").count(), times, "{command}");
    }
}

/// Of the run before only one line comes between what goes on now.
#[test]
fn what_a_guard_has_left_is_one_line_and_says_that_it_was_before() {
    let lines = ["the guard of run x fired", "test.log: activating the configuration..."].map(str::to_owned).to_vec();
    let trace = Event::Logged { host: host("vps"), what: GUARD_TRACE.to_owned(), lines };
    let said = screen(NORMAL, vec![(0.0, phase(Phase::Survey)), (1.0, trace)]);
    assert!(said.contains("before this command: the guard of run x fired (the rest of "), "{said}");
    assert!(!said.contains("activating"), "{said}");
}

#[test]
fn a_run_that_turned_back_ends_with_what_to_do_about_it() {
    let mut push = bad_push();
    for (_, event) in &mut push {
        if let Event::RollBackStarted { hint, .. } = event {
            *hint = Some("look whether /boot is full".to_owned());
        }
    }
    let said = screen(NORMAL, push);
    let recap = said.split("homelab: ROLLED BACK").nth(1).unwrap_or_else(|| panic!("{said}"));
    assert!(recap.contains("\nhint: look whether /boot is full\n"), "{recap}");
}
