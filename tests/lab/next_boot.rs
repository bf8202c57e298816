//! What a reboot would bring, and whether it would come up at all: a next boot that somebody has set, kernels that are
//! cut short, a /boot that is not there.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::wait::{seconds, until};

/// The menu's second generation, by GRUB's `grub-reboot`: the lab's hosts have no EFI variables.
pub(crate) const SET_NEXT: &str = "printf '# GRUB Environment Block\\nnext_entry=1>0\\n' >/boot/grub/grubenv; \
                        while [ $(stat -c %s /boot/grub/grubenv) -lt 1024 ]; do printf '#' >>/boot/grub/grubenv; done";

const WITH_GRUB: [&str; 2] = ["vps", "web"];

fn with_grub(test: &str) -> Fleet {
    Fleet::made(test, &Setup { hosts: &WITH_GRUB, ..Setup::default() })
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_whose_next_boot_is_another_one_is_refused_and_untouched() {
    let fleet = with_grub("nextboot");
    fleet.change(&WITH_GRUB);
    fleet.host("web", SET_NEXT);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("web"), &["somebody has set its next boot, for once", "1>0"]);
    assert!(!pushed.guard_was_armed("web"));
    fleet.assert_untouched();
    assert!(fleet.host("web", "cat /boot/grub/grubenv").contains("next_entry=1>0"), "it is left to who has set it");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_next_boot_that_is_set_in_a_push_is_emptied_by_the_guard_that_fires() {
    let fleet = with_grub("nextset");
    // A second entry of the menu, so that the next boot would bring something.
    fleet.set("web", "version", "\"0\"");
    assert!(fleet.rebuild_by_hand("web", "switch").status.success());
    let mut fleet = fleet;
    fleet.look();
    fleet.write_inventory(&Inventory {
        guard: "70s",
        settle: "20s",
        limits: "{connect: 6s, step: 6s, test: 8s, switch: 6s, rollback: 10s}",
        checks: "- vpn: mesh\n- tcp: 5432\n  to: vps\n  from: web\n",
        ..Inventory::default()
    });
    fleet.change(&WITH_GRUB);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Verify);
    fleet.host("web", &SET_NEXT.replace("1>0", "1>1"));
    push.signal("KILL");
    push.died();
    for host in WITH_GRUB {
        until(seconds(220), &format!("{host} is brought back by its guard"), || (fleet.boots(host) == 2).then_some(()));
    }
    let (now, before) = (fleet.standing("web"), fleet.before("web"));
    assert_eq!(
        [&now.current, &now.profile, &now.boot_default],
        [&before.current, &before.profile, &before.boot_default]
    );
    let trace = fleet.host("web", "cat /nix/var/nix/gcroots/fleetdeploy/*/trace");
    assert!(trace.contains("the next boot was 1>1") && trace.contains(": emptied"), "{trace}");
    assert_eq!(fleet.host("web", "stat -c %s /boot/grub/grubenv").trim(), "1024");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_kernel_that_was_cut_short_is_rolled_back_before_anything_reboots() {
    let fleet = with_grub("cutshort");
    for host in WITH_GRUB {
        fleet.change(&[host]);
        fleet.set(host, "kernel", "\"6.12.9\"");
        fleet.set(host, "loader", "\"truncates\"");
        let pushed = fleet.push(&["homelab", "--reboot"]);
        pushed.assert_ended(1, Outcome::RolledBack);
        assert_eq!(pushed.host(host), &HostOutcome::RolledBack { by_guard: false });
        pushed.assert_says(None, &[host, "is not whole"]);
        fleet.assert_on_old(&[]);
        for key in ["version", "kernel", "loader"] {
            fleet.set(host, key, "null");
        }
    }
}

/// The same, found by the one who is to reboot it; and a person who has mended it can.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_whose_kernel_is_cut_short_is_not_rebooted_in_a_rolling_reboot() {
    let mut fleet = Fleet::up("torn");
    let kernel = fleet.host("homeserver", "ls /boot/EFI/nixos/*bzImage.efi");
    let kernel = kernel.trim();
    fleet.host("homeserver", &format!("cp {kernel} /root/kernel; truncate -s 20 {kernel}"));
    let rebooted = fleet.plain(&["reboot", "homelab"]);
    assert_eq!(rebooted.status, Some(1), "{}{}", rebooted.stdout, rebooted.stderr);
    assert!(rebooted.stderr.contains("cut short"), "{}", rebooted.stderr);
    assert_eq!(["vps", "homeserver"].map(|host| fleet.boots(host)), [1, 1]);
    fleet.host("homeserver", &format!("cp /root/kernel {kernel}"));
    assert_eq!(fleet.plain(&["reboot", "homelab"]).status, Some(0));
    fleet.assert_on_old(&["vps", "homeserver"]);
    fleet.look();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_boot_partition_that_is_not_mounted_refuses_and_leaves_everything_untouched() {
    for (test, host) in [("unmounted", "vps"), ("unmountedgrub", "web")] {
        let fleet = with_grub(test);
        fleet.change(&WITH_GRUB);
        fleet.host(host, "umount /boot");
        let pushed = fleet.push(&["homelab"]);
        pushed.assert_ended(1, Outcome::Refused);
        pushed.assert_says(Some(host), &["/boot"]);
        assert!(!pushed.has(|event| matches!(event, Event::GuardArmed { .. })));
        fleet.host(host, "mount -t tmpfs none /mnt && umount /mnt; ls -A /boot | grep -q . && exit 1; true");
        fleet.power(host, "cut");
        until(seconds(60), &format!("{host} boots again"), || (fleet.boots(host) == 2).then_some(()));
        fleet.assert_on_old(&[host]);
    }
}
