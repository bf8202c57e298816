//! Hosts with a real firmware, boot loader, kernel and initrd, beside containers: what a container has only the files
//! of.
//!
//! Each boot takes some 20 seconds of a processor, and minutes where eight others want it: `scripts/test.sh --boot`
//! runs them, and any run two of their trials.

use fleetdeploy::event::Outcome;
use fleetdeploy::remote::step::RemoteStep;
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::next_boot::SET_NEXT;
use crate::wait::{seconds, until};

mod trial;

const WITH_A_VM: [&str; 2] = ["vps", "web"];

/// For a processor that is emulated, on a machine that has eight tests to run.
const PATIENT: Inventory = Inventory {
    defaults: "user: root",
    guard: "10m",
    settle: "60s",
    steady: "0s",
    boot_time: "4m",
    limits: "{connect: 30s, step: 120s, test: 90s, switch: 90s, rollback: 90s}",
    hosts: &[],
    checks: "- vpn: mesh",
    source: "flake: .",
};

fn with_a_vm(test: &str, vm: &'static str) -> Fleet {
    let fleet = Fleet::made(test, &Setup { hosts: &WITH_A_VM, vms: &[vm], ..Setup::default() });
    fleet.write_inventory(&PATIENT);
    fleet
}

/// What the loader says it has started: without a file of its own there is no such variable.
fn selected(fleet: &Fleet) -> String {
    let script = "cat /sys/firmware/efi/efivars/LoaderEntrySelected-* | tail -c +5 | tr -d '\\000'";
    fleet.host("web", script)
}

/// A line of the survey, by its key.
fn surveyed(fleet: &Fleet, keys: &[&str]) -> Vec<String> {
    let said = fleet.step("web", &RemoteStep::Survey);
    let of_key =
        |key: &&str| said.iter().find(|(word, _)| word == key).map_or(String::new(), |(_, value)| value.clone());
    keys.iter().map(of_key).collect()
}

/// The entry that the loader has started is this generation's, and the host runs its system, on that boot.
fn assert_booted(fleet: &Fleet, generation: u32, boots: u32) {
    let (now, new) = (fleet.standing("web"), fleet.system("web"));
    assert_eq!((selected(fleet), now.boots), (format!("nixos-generation-{generation}.conf"), boots));
    assert_eq!([&now.current, &now.boot_default], [&new, &new]);
    let booted = fleet.host("web", "grep -o 'init=[^ ]*' /proc/cmdline; readlink /run/booted-system");
    assert_eq!(booted, format!("init={new}/init\n{new}\n"));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_host_with_a_firmware_is_pushed_to_and_rebooted_without_a_trial_into_its_new_kernel() {
    let fleet = with_a_vm("vmpush", "web:systemd-boot");
    assert_eq!(selected(&fleet), "nixos-generation-1.conf");
    fleet.change(&["web"]);
    fleet.set("web", "kernel", "\"6.12.9\"");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["web"]);
    let rebooted = fleet.plain(&["reboot", "homelab", "--no-trial", "--on", "web"]);
    assert_eq!(rebooted.status, Some(0), "{}{}", rebooted.stdout, rebooted.stderr);
    assert_booted(&fleet, 2, 2);
    let kernel = fleet.host("web", "cat /boot/loader/entries/nixos-generation-2.conf");
    assert!(kernel.contains("-linux-6.12.9-bzImage.efi\n"), "{kernel}");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn efi_variables_of_a_real_firmware_are_seen_and_refuse_a_push() {
    let fleet = with_a_vm("efivars", "web:systemd-boot");
    let old = fleet.before("web").boot_default.clone();
    // A second generation that is not the default: to have something to choose.
    fleet.change(&["web"]);
    let rebuilt = fleet.rebuild_by_hand("web", "boot");
    assert!(rebuilt.status.success(), "{}", crate::fleet::text(&rebuilt.stderr));
    let new = fleet.system("web");
    let looked = ["boot_default", "next_boot", "boot_note"];
    assert_eq!(surveyed(&fleet, &looked), [new.as_str(), "", ""]);

    fleet.host("web", "bootctl set-default nixos-generation-1.conf");
    let note = "an EFI variable chooses the entry nixos-generation-1.conf";
    assert_eq!(surveyed(&fleet, &looked), [old.as_str(), "", note]);
    fleet.host("web", "bootctl set-default ''; bootctl set-oneshot nixos-generation-1.conf");
    assert_eq!(surveyed(&fleet, &looked), [new.as_str(), &format!("{old} nixos-generation-1.conf"), ""]);

    fleet.set("web", "version", "\"3\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("web"), &["somebody has set its next boot, for once", "nixos-generation-1.conf"]);
    assert!(!pushed.guard_was_armed("web"));

    // And so it comes: once, and with nothing left.
    fleet.host("web", "systemctl reboot");
    until(seconds(120), "web reboots", || (fleet.boots("web") == 2).then_some(()));
    assert_eq!(fleet.standing("web").current, old);
    assert_eq!(selected(&fleet), "nixos-generation-1.conf");
    assert_eq!(surveyed(&fleet, &looked), [new.as_str(), "", ""]);
}

/// What a trial stands on: an entry of its own, chosen once, and the old system as the boot default.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_panic_in_the_initrd_of_an_entry_chosen_once_ends_on_the_boot_default_by_itself() {
    let fleet = with_a_vm("initrd", "web:systemd-boot");
    let old = fleet.before("web").boot_default.clone();
    fleet.set("web", "boot", "\"initrd-panics\"");
    let rebuilt = fleet.rebuild_by_hand("web", "boot");
    assert!(rebuilt.status.success(), "{}", crate::fleet::text(&rebuilt.stderr));
    // The generation stays, and the boot default goes back.
    fleet.host("web", &format!("{old}/bin/switch-to-configuration boot"));
    assert_eq!(surveyed(&fleet, &["boot_default", "next_boot"]), [old.as_str(), ""]);
    fleet.host(
        "web",
        "cd /boot/loader/entries && sed '/^options/s/$/ panic=5/' nixos-generation-2.conf >fleetdeploy-trial.conf && \
         sync && bootctl set-oneshot fleetdeploy-trial.conf && systemctl reboot",
    );
    until(seconds(300), "the one-shot's boot panics and the next one begins", || {
        (fleet.boots("web") == 3).then_some(())
    });
    assert_eq!(fleet.standing("web").current, old);
    assert_eq!((selected(&fleet).as_str(), fleet.boots("web")), ("nixos-generation-1.conf", 3));
    assert_eq!(surveyed(&fleet, &["boot_default", "next_boot"]), [old.as_str(), ""]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn grub_takes_its_next_entry_once_and_a_watchdog_resets_a_host_that_has_lost_pid_1() {
    let fleet = with_a_vm("vmgrub", "web:grub");
    let old = fleet.before("web").boot_default.clone();
    fleet.change(&["web"]);
    let rebuilt = fleet.rebuild_by_hand("web", "boot");
    assert!(rebuilt.status.success(), "{}", crate::fleet::text(&rebuilt.stderr));
    let new = fleet.system("web");
    // The second of the menu's generations is the old one.
    fleet.host("web", &SET_NEXT.replace("1>0", "1>1"));
    let looked = ["boot_default", "next_boot"];
    assert_eq!(surveyed(&fleet, &looked), [new.as_str(), &format!("{old} 1>1")]);
    fleet.host("web", "sync; systemctl reboot");
    until(seconds(120), "web reboots", || (fleet.boots("web") == 2).then_some(()));
    assert_eq!(fleet.standing("web").current, old);
    // GRUB itself has emptied it.
    assert_eq!(surveyed(&fleet, &looked), [new.as_str(), ""]);

    fleet.host(
        "web",
        "busctl set-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
         org.freedesktop.systemd1.Manager RuntimeWatchdogUSec t 30000000 && kill -SEGV 1",
    );
    until(seconds(240), "the watchdog resets web", || (fleet.boots("web") == 3).then_some(()));
    assert_eq!(fleet.standing("web").current, new);
}
