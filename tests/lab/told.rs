//! What a push tells on its way, and what its record keeps of it.

use std::collections::BTreeSet;

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

/// What was printed on a host by its jobs of a kind, in the order that it was told.
fn printed(pushed: &Pushed, host: &str, job: &str) -> Vec<String> {
    let of_job = pushed.events().filter_map(|event| match event {
        Event::Printed { host: Some(name), by, lines } if name.as_str() == host && by == job => Some(lines.clone()),
        _ => None,
    });
    of_job.flatten().collect()
}

fn talk(count: usize) -> Vec<String> {
    (1..=count).map(|line| format!("talk {line}")).collect()
}

/// The lines of the activation among all others.
fn of_talk(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    lines.into_iter().filter(|line| line.starts_with("talk ")).collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn the_record_holds_the_whole_activation_log() {
    let fleet = Fleet::up("whole-log");
    // Time enough to notice that the link is gone (15 s), and to come back after it is there again.
    fleet.write_inventory(&Inventory {
        guard: "150s",
        settle: "25s",
        limits: "{connect: 10s, step: 10s, test: 50s, switch: 15s, rollback: 20s}",
        ..Inventory::default()
    });
    fleet.change(&BOTH);
    fleet.set("homeserver", "activate", "\"talks:500\"");
    let push = fleet.start(&["homelab"]);
    let has_heard = |line: &str| {
        push.wait_for(line, |event| match event {
            Event::Printed { lines, .. } => lines.iter().any(|one| one == line).then_some(()),
            _ => None,
        });
    };
    has_heard("talk 40");
    let lines = push.lines();
    assert!(
        !lines.iter().any(
            |line| matches!(&line.event, Event::HostDone { phase: Phase::Test, host } if host.as_str() == "homeserver")
        ),
        "told only after its end"
    );
    fleet.cable("laptop", "down");
    push.wait_for("contact lost", |event| matches!(event, Event::ContactLost { .. }).then_some(()));
    fleet.cable("laptop", "up");
    let pushed = push.ended();
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(of_talk(printed(&pushed, "homeserver", "test")), talk(500));
    let log = fleet.ws("cat ~/.local/state/fleetdeploy/runs/*/hosts/homeserver.log");
    let of_test = log.lines().filter_map(|line| line.split_once("test| ")).map(|(_, line)| line.to_owned());
    assert_eq!(of_talk(of_test), talk(500));
    assert!(log.contains("test| activating the configuration..."), "{log}");
    assert!(pushed.has(|event| {
        let Event::HostMoved { host, doing, .. } = event else { return false };
        host.as_str() == "homeserver" && doing == "activating the configuration"
    }));
    // Nobody goes on listening on the host.
    let listening = "ps -eo args | grep -c '[f]lock -s -w 1' || true";
    until(seconds(60), "the end of what listened", || {
        (fleet.host("homeserver", listening).trim() == "0").then_some(())
    });
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_activation_that_is_undone_is_told_to_its_end() {
    let fleet = Fleet::up("undone-log");
    fleet.change(&BOTH);
    fleet.set("vps", "activate", "\"fails\"");
    fleet.set("homeserver", "activate", "\"talks:100\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(of_talk(printed(&pushed, "homeserver", "test")), talk(100));
    for host in BOTH {
        let back = printed(&pushed, host, "rollback");
        assert!(back.iter().any(|line| line.starts_with("current system: it is ")), "{host}: {back:?}");
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_unit_that_fails_only_after_the_activation_has_its_journal_told() {
    let fleet = Fleet::up("late-unit");
    // A link that never comes up holds verify open.
    let checks = "- vpn: mesh\n- tcp: 5432\n  to: vps\n  from: homeserver\n";
    fleet.write_inventory(&Inventory { checks, guard: "100s", settle: "15s", ..Inventory::default() });
    fleet.change(&BOTH);
    let late = "[Service]\nExecStart=/bin/sh -c '/bin/sleep 3; echo too late; exit 7'\n";
    fleet.set("homeserver", "raw_units", &serde_json::json!({ "late.service": late }).to_string());
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["units fail on homeserver: late.service"]);
    let journals: Vec<_> = pushed
        .events()
        .filter_map(|event| match event {
            Event::Logged { host, what, lines } if what.starts_with("journal of ") => {
                Some((host.as_str(), what, lines))
            }
            _ => None,
        })
        .collect();
    let [("homeserver", what, lines)] = journals[..] else { panic!("{journals:?}") };
    assert_eq!(what, "journal of late.service");
    assert!(lines.iter().any(|line| line == "too late") && lines.len() <= 20, "{lines:?}");
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_runs_and_what_will_change_is_told_before_anything_is_touched() {
    let fleet = Fleet::up("compared");
    fleet.change(&BOTH);
    fleet.set("vps", "kernel", "\"6.12.2\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    let before: Vec<&Event> = pushed.events().take_while(|event| !matches!(event, Event::GuardArmed { .. })).collect();
    for host in BOTH {
        let find = |wanted: fn(&Event) -> Option<&fleetdeploy::inventory::model::HostName>| {
            before.iter().filter(|event| wanted(event).is_some_and(|name| name.as_str() == host)).count()
        };
        let surveyed = find(|event| match event {
            Event::HostSurveyed { host, nixos: Some(nixos), kernel, nix, systemd, .. }
                if nixos == "25.11.1" && ![kernel, nix, systemd].iter().any(|text| text.is_empty()) =>
            {
                Some(host)
            }
            _ => None,
        });
        assert_eq!(surveyed, 1, "{host}");
    }
    let compared = before.iter().filter_map(|event| match event {
        Event::Compared { host, packages, reboot_for } => Some((host.as_str(), packages, reboot_for)),
        _ => None,
    });
    let mut hosts = BTreeSet::new();
    for (host, packages, reboot_for) in compared {
        let packages = packages.as_ref().expect("the host has a nix that compares");
        let names: Vec<&str> = packages.iter().map(|change| change.package.as_str()).collect();
        assert!(names.iter().any(|name| name.starts_with("nixos-system-")), "{host}: {names:?}");
        let wanted: &[&str] = if host == "vps" { &["kernel", "initrd", "kernel modules"] } else { &[] };
        assert_eq!(reboot_for, wanted, "{host}");
        hosts.insert(host);
    }
    assert_eq!(hosts, BTreeSet::from(BOTH));
    assert!(before.iter().any(|event| matches!(
        event,
        Event::WorkstationSeen { nix: Some(nix), ssh: Some(ssh), .. }
            if nix.starts_with("Nix ") && ssh.starts_with("OpenSSH_")
    )));
    for host in BOTH {
        let moved = pushed.has(
            |event| matches!(event, Event::BootDefaultMoved { host: name, generation: 2 } if name.as_str() == host),
        );
        assert!(moved && *pushed.host(host) == HostOutcome::Committed, "{host}");
    }
}

fn warned(pushed: &Pushed, of: &str) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Warned { text, .. } => Some(text.to_string()),
        _ => None,
    };
    pushed.events().filter_map(text).filter(|text| text.contains(of)).collect()
}

/// Seen in an earlier version: a warning at every push, for ever, once a host had been pushed to.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn that_what_runs_was_never_booted_is_in_the_status_and_told_once_where_the_push_is_about_what_boots() {
    let fleet = Fleet::made("never-booted", &Setup { hosts: &["vps"], ..Setup::default() });
    fleet.write_inventory(&Inventory { checks: "[]", ..Inventory::default() });
    let booted = || fleet.plain(&["status", "homelab", "-v"]).stdout.contains("(what runs now was not booted yet)");
    assert!(!booted());
    for (key, value, tells) in [
        ("version", "\"2\"", 0),
        ("version", "\"3\"", 0),
        ("kernel", "\"6.12.2\"", 1),
        // The new kernel is still to be booted, and this push does not bring it.
        ("version", "\"4\"", 0),
    ] {
        fleet.set("vps", key, value);
        let pushed = fleet.push(&["homelab"]);
        pushed.assert_ended(0, Outcome::Committed);
        let told = warned(&pushed, "never booted");
        assert_eq!(told.len(), tells, "{key} {value}: {told:?}");
        assert!(told.iter().all(|text| text.contains("this push brings another kernel")), "{told:?}");
        assert_eq!(warned(&pushed, "booted").len(), tells, "{}", pushed.words(None));
        assert!(booted());
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn of_a_fleet_without_a_link_nothing_says_that_links_are_up() {
    let fleet = Fleet::up("unlinked");
    fleet.write_inventory(&Inventory { checks: "[]", ..Inventory::default() });
    fleet.change(&BOTH);
    let says = "fleet homelab has no link: a push proves a new login to each host, and nothing between them";
    for command in [&["inventory", "check"][..], &["doctor", "homelab"]] {
        let asked = fleet.plain(command);
        assert!(format!("{}{}", asked.stdout, asked.stderr).contains(says), "{}{}", asked.stdout, asked.stderr);
    }
    let planned = fleet.run_json(&["plan", "homelab"]);
    assert_eq!(warned(&planned, says).len(), 1, "{}", planned.words(None));
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(warned(&pushed, says).len(), 1, "{}", pushed.words(None));
    assert_eq!(pushed.finished().1, "every host runs what it was to run; there is no link that could be looked at");
}
