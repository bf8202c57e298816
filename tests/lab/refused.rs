//! What refuses a push before anything is touched.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;
use crate::wait::seconds;

/// Refused, with these words, and no host was touched.
fn assert_refused(fleet: &Fleet, pushed: &Pushed, said: &[&str]) {
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(None, said);
    assert!(!pushed.has(|event| matches!(event, Event::PhaseStarted { phase: Phase::Test })));
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_build_that_fails_names_its_host_and_shows_the_end_of_its_log() {
    let fleet = Fleet::up("build-fails");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "build", "\"fails\"");
    let pushed = fleet.push(&["homelab"]);
    assert_refused(&fleet, &pushed, &[]);
    pushed.assert_says(Some("homeserver"), &["part 30 of", "building part 29"]);
    assert_eq!(pushed.words(Some("vps")), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_evaluation_that_fails_names_its_host() {
    let fleet = Fleet::up("eval-fails");
    fleet.change(&["vps"]);
    fleet.set("homeserver", "eval", "\"throws\"");
    let pushed = fleet.push(&["homelab"]);
    assert_refused(&fleet, &pushed, &[]);
    pushed.assert_says(Some("homeserver"), &["homeserver does not evaluate"]);
    assert_eq!(pushed.words(Some("vps")), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_is_off_refuses_the_push_within_its_time() {
    let mut fleet = Fleet::up("off");
    fleet.change(&["vps", "homeserver"]);
    fleet.power("homeserver", "off");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("homeserver"), &["no ssh login"]);
    assert!(pushed.took < seconds(60), "it took {:.1?}", pushed.took);
    fleet.power("homeserver", "on");
    fleet.assert_reachable();
    fleet.restarted("homeserver");
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_accepts_tcp_and_never_answers_refuses_the_push_within_its_time() {
    let fleet = Fleet::up("frozen");
    fleet.change(&["vps", "homeserver"]);
    // Frozen, the jump takes the host behind it along.
    for (frozen, silent) in [("homeserver", &["homeserver"][..]), ("vps", &["vps", "homeserver"])] {
        fleet.freeze(frozen, "on");
        let pushed = fleet.push(&["homelab"]);
        fleet.freeze(frozen, "off");
        for host in silent {
            pushed.assert_says(Some(host), &["no ssh login on", "no answer within"]);
        }
        assert!(pushed.took < seconds(80), "{frozen}: it took {:.1?}", pushed.took);
        assert_refused(&fleet, &pushed, &[]);
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_optional_host_that_is_off_is_skipped() {
    let mut fleet = Fleet::up("optional");
    fleet.write_inventory(&Inventory { hosts: &[("homeserver", "optional: true")], ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    fleet.power("homeserver", "off");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&HostOutcome::Committed, &HostOutcome::Skipped));
    pushed.assert_says(Some("homeserver"), &["is left out with its links, since it is `optional` and does not answer"]);
    let warned = pushed
        .events()
        .filter(|event| matches!(event, Event::Warned { text, .. } if text.to_string().contains("left out")));
    assert_eq!(warned.count(), 1);
    fleet.power("homeserver", "on");
    fleet.assert_reachable();
    fleet.restarted("homeserver");
    fleet.assert_on_new(&["vps"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_without_room_for_the_new_system_refuses_the_push() {
    let fleet = Fleet::made("room", &Setup { disk: "64m", ..Setup::default() });
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "size", "100");
    let pushed = fleet.push(&["homelab"]);
    assert_refused(&fleet, &pushed, &[]);
    pushed.assert_says(Some("homeserver"), &["room"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_system_of_another_host_refuses_the_push() {
    let fleet = Fleet::up("other-host");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "host_name", "\"nas\"");
    let pushed = fleet.push(&["homelab"]);
    assert_refused(&fleet, &pushed, &[]);
    pushed.assert_says(Some("homeserver"), &["nas", "--rename homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_gets_another_name_only_if_the_person_says_so_and_its_old_one_back_in_a_roll_back() {
    let fleet = Fleet::up("rename");
    let name = || fleet.host("homeserver", "cat /proc/sys/kernel/hostname").trim().to_owned();
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "host_name", "\"nas\"");
    // A look ahead says the same before a copy.
    let planned = fleet.run_json(&["plan", "homelab"]);
    assert_refused(&fleet, &planned, &[]);
    planned.assert_says(Some("homeserver"), &["calls itself nas", "this host is homeserver", "--rename homeserver"]);
    fleet.run_json(&["plan", "homelab", "--rename", "homeserver"]).assert_ended(0, Outcome::Planned);
    // The check is off for that host alone.
    let other = fleet.push(&["homelab", "--rename", "vps"]);
    assert_refused(&fleet, &other, &[]);
    other.assert_says(Some("vps"), &["is not renamed"]);
    other.assert_says(Some("homeserver"), &["--rename homeserver"]);

    fleet.set("homeserver", "unit_fails", "true");
    let back = fleet.push(&["homelab", "--rename", "homeserver"]);
    back.assert_ended(1, Outcome::RolledBack);
    back.assert_says(Some("homeserver"), &["it calls itself homeserver, and its new system nas"]);
    fleet.assert_on_old(&[]);
    assert_eq!(name(), "homeserver");

    fleet.set("homeserver", "unit_fails", "null");
    fleet.push(&["homelab", "--rename", "homeserver"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
    assert_eq!(name(), "nas");
    // What is typed once more finds nothing to do, with the option and without it.
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Unchanged);
    let again = fleet.push(&["homelab", "--rename", "homeserver"]);
    again.assert_ended(0, Outcome::Unchanged);
    again.assert_says(Some("homeserver"), &["it is nas, and stays so"]);
    // The way back changes the name as well, and says what it wants.
    let refused = fleet.run_json(&["rollback", "homelab"]);
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(Some("homeserver"), &["--rename homeserver"]);
    fleet.run_json(&["rollback", "homelab", "--rename", "homeserver"]).assert_ended(0, Outcome::Committed);
    assert_eq!(name(), "homeserver");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_system_of_another_architecture_refuses_the_push() {
    let fleet = Fleet::up("other-arch");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "arch", "\"aarch64-linux\"");
    let pushed = fleet.push(&["homelab"]);
    assert_refused(&fleet, &pushed, &[]);
    pushed.assert_says(Some("homeserver"), &["aarch64"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_pre_switch_check_that_says_no_refuses_the_push() {
    let fleet = Fleet::up("pre-switch");
    fleet.change(&["vps", "homeserver"]);
    fleet.set("homeserver", "pre_switch", "\"fails\"");
    let pushed = fleet.push(&["homelab"]);
    assert_refused(&fleet, &pushed, &[]);
    pushed.assert_says(Some("homeserver"), &["must not be switched to"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_does_not_run_its_boot_default_refuses_the_push_until_drift_is_accepted() {
    let mut fleet = Fleet::up("drift");
    fleet.change(&["vps"]);
    assert!(fleet.rebuild_by_hand("vps", "test").status.success());
    fleet.look();
    assert_ne!(fleet.before("vps").current, fleet.before("vps").boot_default);
    fleet.set("vps", "version", "\"3\"");
    let refused = fleet.push(&["homelab"]);
    assert_refused(&fleet, &refused, &["boot default", "--accept-drift"]);

    // Accepted, and rolled back: each to what it was.
    fleet.set("vps", "unit_fails", "true");
    let rolled_back = fleet.push(&["homelab", "--accept-drift"]);
    rolled_back.assert_ended(1, Outcome::RolledBack);
    fleet.assert_on_old(&[]);

    fleet.set("vps", "unit_fails", "null");
    fleet.push(&["homelab", "--accept-drift"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_disk_that_may_want_a_passphrase_refuses_the_push_until_the_inventory_says_how_to_guard_it() {
    let fleet = Fleet::up("crypto");
    // What the kernel would say of a root on LUKS: the device of / is an overlay's, which has no folder in /sys.
    fleet.host(
        "homeserver",
        "set -e; number=$(mountpoint -d /); mount -t tmpfs none /sys/dev/block; \
         mkdir -p /sys/dev/block/$number/dm /sys/dev/block/$number/slaves; \
         echo CRYPT-LUKS2-0123456789abcdef-luks-root >/sys/dev/block/$number/dm/uuid; echo root \
         >/sys/dev/block/$number/dm/name",
    );
    fleet.change(&["vps", "homeserver"]);
    let refused = fleet.push(&["homelab"]);
    assert_refused(&fleet, &refused, &["encrypted (root (CRYPT-LUKS2))", "guard_action"]);

    fleet.write_inventory(&Inventory { hosts: &[("homeserver", "guard_action: switch-back")], ..Inventory::default() });
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_switch_that_is_under_way_refuses_the_push() {
    let fleet = Fleet::up("switching");
    fleet.change(&["vps", "homeserver"]);
    fleet.host(
        "homeserver",
        "mkdir -p /run/nixos; systemd-run --quiet --collect --setenv=PATH=\"$PATH\" --unit=somebody flock \
         /run/nixos/switch-to-configuration.lock sleep infinity; while flock -n \
         /run/nixos/switch-to-configuration.lock true; do :; done",
    );
    let pushed = fleet.push(&["homelab"]);
    fleet.host("homeserver", "systemctl stop somebody.service");
    assert_refused(&fleet, &pushed, &[]);
    pushed.assert_says(Some("homeserver"), &["switch is under way"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn the_guard_of_another_run_refuses_the_push_and_is_left_alone() {
    let fleet = Fleet::up("foreign");
    // The settle time goes on while the first push sleeps.
    fleet.write_inventory(&Inventory { guard: "160s", settle: "60s", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    let first = fleet.start(&["homelab"]);
    first.wait_for_phase(Phase::Verify);
    first.signal("STOP");
    let guard = |host: &str| {
        fleet.host(host, "cat /run/fleetdeploy/lease; ls /run/fleetdeploy/token; systemctl is-active fleetdeploy-guard")
    };
    let before = (guard("vps"), guard("homeserver"));
    let second = fleet.start_as("laptop2", &["homelab"]).ended();
    assert_eq!((guard("vps"), guard("homeserver")), before);
    second.assert_ended(1, Outcome::Refused);
    second.assert_says(None, &["guard of run"]);
    first.signal("CONT");
    first.ended().assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_second_push_of_the_fleet_on_one_workstation_is_refused() {
    let fleet = Fleet::up("second");
    fleet.change(&["vps", "homeserver"]);
    let first = fleet.start(&["homelab"]);
    first.wait_for_phase(Phase::Arm);
    let second = fleet.plain(&["push", "homelab"]);
    assert_eq!(second.status, Some(1));
    assert!(second.stderr.contains("another fleetdeploy works on fleet `homelab`"), "{}", second.stderr);
    first.ended().assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_guard_that_cannot_hold_a_push_and_its_roll_back_refuses_it() {
    let fleet = Fleet::up("short");
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.push(&["homelab", "--guard", "30s"]);
    assert_refused(&fleet, &pushed, &["guard of 30s is shorter"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_whose_next_reboot_nobody_can_promise_is_refused_by_push_guard_and_reboot() {
    let fleet = Fleet::made("boot-facts", &Setup { hosts: &["vps", "homeserver", "web"], ..Setup::default() });
    fleet.change(&["vps", "web"]);
    let cases = [
        // web has GRUB, vps systemd-boot.
        (
            "web",
            "printf '# GRUB Environment Block\\nnext_entry=1>0\\n' >/boot/grub/grubenv; \
             while [ $(stat -c %s /boot/grub/grubenv) -lt 1024 ]; do printf '#' >>/boot/grub/grubenv; done",
            "printf '%-1023s\\n' '# GRUB Environment Block' | tr ' ' '#' >/boot/grub/grubenv",
            [
                "somebody has set its next boot, for once",
                "nix-shell -p grub2 --run 'grub-editenv /boot/grub/grubenv unset next_entry'",
            ],
        ),
        // What an unmounted partition leaves: the empty folder below it.
        ("vps", "mount -t tmpfs none /boot", "umount /boot", ["none of its files is there", "mount it there"]),
        (
            "vps",
            "cp -a /boot/EFI /run/whole; for kernel in /boot/EFI/nixos/*; do truncate -s 1 \"$kernel\"; done",
            "cp -a /run/whole/. /boot/EFI/",
            ["a reboot would not start what it boots:", "switch-to-configuration boot"],
        ),
    ];
    for (host, breaks, mends, said) in cases {
        fleet.host(host, breaks);
        for words in
            [&["push", "homelab"][..], &["guard", "arm", "homelab", "--on", host], &["reboot", "homelab", "--on", host]]
        {
            let refused = fleet.plain(words);
            let text = format!("{}{}", refused.stdout, refused.stderr);
            assert_eq!(refused.status, Some(1), "{words:?}: {text}");
            for part in said {
                assert!(text.contains(part), "{words:?}: no {part:?} in\n{text}");
            }
            eprintln!("{words:?}\n{text}");
        }
        let status = fleet.plain(&["status", "homelab"]);
        eprintln!("{}", status.stdout);
        fleet.host(host, mends);
        fleet.assert_untouched();
    }
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "web"]);
}

/// After the survey and the copy: nothing that must not be forgotten can be written down there.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_cannot_write_down_its_guard_is_named_and_nothing_is_activated() {
    let fleet = Fleet::up("unwritable-host");
    fleet.change(&["vps", "homeserver"]);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Baseline);
    let roots = "/nix/var/nix/gcroots/fleetdeploy";
    fleet.host("homeserver", &format!("mount --bind {roots} {roots} && mount -o remount,bind,ro {roots}"));
    let pushed = push.ended();
    fleet.host("homeserver", &format!("umount {roots}"));
    assert_eq!(pushed.status, Some(1), "{}", pushed.words(None));
    let says = "cannot write to /run/fleetdeploy or /nix/var/nix/gcroots/fleetdeploy (is the disk full?)";
    pushed.assert_says(None, &[says]);
    // What can be taken away there as little is said, with the command that does it later.
    pushed.assert_says(
        Some("homeserver"),
        &["cannot remove /nix/var/nix/gcroots/fleetdeploy/", "`fleetdeploy recover` does it"],
    );
    assert!(!pushed.has(|event| matches!(event, Event::PhaseStarted { phase: Phase::Test })));
    // Once it can be written, nothing that is left there keeps the next push from going on.
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.recover("laptop", &["homelab"]);
    assert_eq!(fleet.host("homeserver", &format!("ls -A {roots} 2>/dev/null || true")), "");
}
