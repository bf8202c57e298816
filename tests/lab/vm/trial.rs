//! A new system is booted once under a real firmware before it is the boot default.
//!
//! Each waits for boots of an emulated processor: the first two are in every run of `scripts/test.sh`, the others in
//! one with `--boot`.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use fleetdeploy::event::{Event, HostOutcome, Outcome};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{PATIENT, WITH_A_VM, selected, with_a_vm};
use crate::fleet::{Fleet, Setup, text};
use crate::next_boot::SET_NEXT;
use crate::pushed::{Pushed, Pushing};
use crate::wait::{seconds, until};

const BACK: HostOutcome = HostOutcome::WentBack;
const TRIAL_ENTRY: &str = "fleetdeploy-trial.conf";
/// All that a trial leaves beside the roots and on the menu.
const LEFT: &str = "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null; ls /boot/loader/entries | grep -v nixos; true";
/// What a trial sets of them.
const VARIABLES: &str = "ls /sys/firmware/efi/efivars | grep -e OneShot -e Fleetdeploy; true";
/// It takes the network down where it is started by a boot, and not by a switch: see [`WARM`].
const DARK_FROM_COLD: &str = "[Unit]\nAfter=network-addresses-eth0.service\nBefore=sshd.service\n\
                              ConditionPathExists=!/run/warm\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                              Environment=PATH=/usr/bin:/bin:/usr/sbin:/sbin\n\
                              ExecStart=/bin/sh -c 'ip link set eth0 down'\n";
const WARM: &str = "touch /run/warm";
/// The order to reboot waits for it, so that what is done in a shutdown is done in time on a busy machine, too.
const STOPS_SLOWLY: &str = "systemd-run --quiet --unit=stops-slowly -p TimeoutStopSec=90 \
                            sh -c 'trap \"\" TERM; while :; do sleep 1; done'";

/// `web` runs another system than it has booted, as a person's switch leaves it; what it ran before, and what it runs.
fn switch(fleet: &Fleet, version: &str, kernel: &str) -> (String, String) {
    let old = fleet.standing("web").current;
    fleet.set("web", "version", &format!("\"{version}\""));
    fleet.set("web", "kernel", &format!("\"{kernel}\""));
    let rebuilt = fleet.rebuild_by_hand("web", "switch");
    assert!(rebuilt.status.success(), "{}", text(&rebuilt.stderr));
    (old, fleet.system("web"))
}

fn tries(fleet: &Fleet) -> Pushing {
    fleet.start_any("laptop", &["reboot", "homelab", "--on", "web"])
}

fn wait_for_doing(run: &Pushing, words: &str) {
    run.wait_for(words, |event| matches!(event, Event::HostMoved { doing, .. } if doing == words).then_some(()));
}

/// Boots of an emulated processor beside eight other fleets.
fn wait_for_boot(fleet: &Fleet, boots: u32) {
    until(seconds(400), &format!("boot {boots} of web begins"), || (fleet.boots("web") == boots).then_some(()));
}

/// The system that it has booted, the one that runs, the profile's, and the one that a reset would bring.
fn stands(fleet: &Fleet) -> [String; 4] {
    let standing = fleet.standing("web");
    let booted = fleet.host("web", "readlink /run/booted-system").trim().to_owned();
    [booted, standing.current, standing.profile, standing.boot_default]
}

fn assert_kept(fleet: &Fleet, new: &String) {
    assert_eq!(stands(fleet), [new; 4].map(String::clone));
    assert_eq!(fleet.host("web", LEFT), "");
    assert_eq!(fleet.host("web", VARIABLES), "");
}

/// Old, by the loader's own entry for it; the host remembers what was tried, and nothing of it can be booted by chance.
fn assert_went_back(fleet: &Fleet, ended: &Pushed, old: &String, new: &String) {
    ended.assert_ended(1, Outcome::PartlyRebooted);
    assert_eq!(ended.host("web"), &BACK);
    assert_eq!(stands(fleet), [old, old, new, old].map(String::clone));
    assert!(selected(fleet).starts_with("nixos-generation-"), "{}", selected(fleet));
    assert_eq!(fleet.host("web", LEFT), ".trial\n");
    assert_eq!(fleet.host("web", VARIABLES), "");
}

/// Keeps the workstation's program still while something is done to the host.
fn while_it_waits(run: &Pushing, act: impl FnOnce()) {
    run.signal("STOP");
    act();
    run.signal("CONT");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_good_kernel_is_booted_by_an_entry_of_its_own_and_kept() {
    let fleet = with_a_vm("vmgood", "web:systemd-boot");
    let (old, new) = switch(&fleet, "2", "6.12.9");
    let run = tries(&fleet);
    wait_for_doing(&run, "is up; logging in anew");
    while_it_waits(&run, || {
        assert_eq!(stands(&fleet), [&new, &new, &new, &old].map(String::clone), "a reset would bring the old one");
        assert_eq!(selected(&fleet), TRIAL_ENTRY);
        let guarded = "grep -c fleetdeploy.trial= /proc/cmdline; systemctl is-active fleetdeploy-guard.service; \
                       ls /sys/firmware/efi/efivars | grep -o -e OneShot -e FleetdeployWitness; true";
        assert_eq!(
            fleet.host("web", guarded),
            "1\nactive\nFleetdeployWitness\n",
            "its guard lives, and the next boot is not ours any more; the firmware has kept what no loader takes"
        );
    });
    run.ended().assert_ended(0, Outcome::Rebooted);
    assert_kept(&fleet, &new);
    assert_eq!(fleet.boots("web"), 2);
    let kernel = fleet.host("web", "cat /boot/loader/entries/nixos-generation-2.conf");
    assert!(kernel.contains("-linux-6.12.9-bzImage.efi\n"), "{kernel}");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_panic_in_the_initrd_ends_on_the_old_system_by_itself() {
    let fleet = with_a_vm("vmpanic", "web:systemd-boot");
    fleet.set("web", "boot", "\"initrd-panics\"");
    let (old, new) = switch(&fleet, "2", "6.12.9");
    let run = tries(&fleet);
    wait_for_doing(&run, "told to reboot");
    wait_for_boot(&fleet, 3);
    let ended = run.ended();
    ended.assert_says(Some("web"), &["without a word of its guard", "crashed or was reset"]);
    assert_went_back(&fleet, &ended, &old, &new);
    assert_eq!(fleet.boots("web"), 3);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_foreign_next_boot_and_a_kernel_that_is_cut_short_refuse_before_anything_is_tried() {
    let fleet = with_a_vm("vmrefuses", "web:systemd-boot");
    switch(&fleet, "2", "6.12.9");
    fleet.host("web", "bootctl set-oneshot nixos-generation-1.conf");
    let ended = tries(&fleet).ended();
    ended.assert_ended(1, Outcome::Refused);
    ended.assert_says(Some("web"), &["next boot", "nixos-generation-1.conf"]);
    let stays = fleet.host("web", "ls /sys/firmware/efi/efivars | grep -c OneShot; bootctl set-oneshot ''");
    assert_eq!(stays, "1\n", "it is left to who has set it");

    // systemd-boot hangs on half a kernel, where nothing of ours runs.
    fleet.host(
        "web",
        "cd /boot && kernel=$(sed -n 's/^linux *//p' loader/entries/nixos-generation-2.conf) && \
         truncate -s 1000000 \".$kernel\" && sync",
    );
    let ended = tries(&fleet).ended();
    ended.assert_ended(1, Outcome::Refused);
    ended.assert_says(Some("web"), &["kernel"]);
    assert_eq!((fleet.boots("web"), fleet.host("web", LEFT)), (1, String::new()));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn no_network_from_cold_is_left_by_the_guard_and_a_power_cut_in_a_trial_brings_the_old_system() {
    let fleet = with_a_vm("vmdark", "web:systemd-boot");
    fleet.set("web", "raw_units", &json!({ "cold.service": DARK_FROM_COLD }).to_string());
    fleet.host("web", WARM);
    let (old, new) = switch(&fleet, "2", "6.12.9");
    let run = tries(&fleet);
    wait_for_doing(&run, "told to reboot");
    wait_for_boot(&fleet, 2);
    // Nobody waits for a quarter of an hour: its deadline is moved near.
    let hurry = "cd /run/fleetdeploy/token && set -- armed-* && \
                 mv \"$1\" \"armed-$(($(cut -d. -f1 /proc/uptime) + 10))\"";
    until(seconds(300), "the guard of the trial is armed", || {
        fleet.host("web", &format!("test -e /run/fleetdeploy/token || exit 0; {hurry}; echo moved")).pop()
    });
    wait_for_boot(&fleet, 3);
    let ended = run.ended();
    ended.assert_says(Some("web"), &["its guard brought it back to what it booted before"]);
    assert_went_back(&fleet, &ended, &old, &new);

    fleet.set("web", "raw_units", "{}");
    let (old, new) = switch(&fleet, "3", "6.12.9");
    let run = tries(&fleet);
    wait_for_doing(&run, "is up; logging in anew");
    while_it_waits(&run, || {
        fleet.power("web", "cut");
        wait_for_boot(&fleet, 5);
    });
    let ended = run.ended();
    ended.assert_says(Some("web"), &["what it booted before"]);
    assert_went_back(&fleet, &ended, &old, &new);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_power_cut_between_next_boot_and_reboot_goes_on_and_a_dead_pid_1_goes_back() {
    let fleet = with_a_vm("vmcut", "web:systemd-boot");
    let (_, new) = switch(&fleet, "2", "6.12.9");
    fleet.host("web", STOPS_SLOWLY);
    let run = tries(&fleet);
    wait_for_doing(&run, "told to reboot");
    wait_for_stored_next_boot(&fleet);
    assert_eq!(fleet.boots("web"), 1);
    fleet.power("web", "cut");
    run.ended().assert_ended(0, Outcome::Rebooted);
    assert_kept(&fleet, &new);
    assert_eq!((selected(&fleet).as_str(), fleet.boots("web")), (TRIAL_ENTRY, 2));

    let (old, new) = switch(&fleet, "3", "6.12.10");
    let run = tries(&fleet);
    wait_for_doing(&run, "is up; logging in anew");
    while_it_waits(&run, || {
        fleet.host("web", "systemd-run --quiet --on-active=1 kill -s SEGV 1");
        wait_for_boot(&fleet, 4);
    });
    let ended = run.ended();
    ended.assert_says(Some("web"), &["what it booted before"]);
    assert_went_back(&fleet, &ended, &old, &new);
}

/// PID 1 stands still in its control group: it is no crash, and no program of the host can do anything about it.
const STANDS_STILL: &str = "echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze";
/// Whether the trial has taken the watchdog, by the line of its kernel and by the device.
const WATCHED: &str = "grep -c systemd.watchdog_sec=2min /proc/cmdline; cat /sys/class/watchdog/watchdog0/state";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_pid_1_that_stands_still_in_a_trial_is_reset_by_the_watchdog_of_the_line_and_the_old_system_comes() {
    let fleet = with_a_vm("vmwatchdog", "web:systemd-boot");
    let (old, new) = switch(&fleet, "2", "6.12.9");
    let run = tries(&fleet);
    wait_for_doing(&run, "is up; logging in anew");
    while_it_waits(&run, || {
        assert_eq!(fleet.host("web", WATCHED), "1\nactive\n");
        fleet.host("web", STANDS_STILL);
        wait_for_boot(&fleet, 3);
    });
    let console = std::fs::read(fleet.place().join("hosts/web/console.log")).unwrap();
    assert!(text(&console).contains("=== reset by its watchdog ==="), "{}", text(&console));
    let ended = run.ended();
    ended.assert_says(Some("web"), &["what it booted before"]);
    assert_went_back(&fleet, &ended, &old, &new);
    assert_eq!(fleet.boots("web"), 3);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_limit_of_the_menu_that_pushes_the_old_system_out_is_put_back_or_found_before_and_the_new_one_not_tried() {
    let params = r#"{"web": {"menu_limit": 1}}"#;
    let setup = Setup { hosts: &WITH_A_VM, vms: &["web:systemd-boot"], params, ..Setup::default() };
    let fleet = Fleet::made("vmlimit", &setup);
    fleet.write_inventory(&PATIENT);
    // The menu has both, until the old system's own installer is to make that the boot default.
    fleet.set("web", "menu_limit", "20");
    let (_, new) = switch(&fleet, "2", "6.12.9");
    let ended = tries(&fleet).ended();
    ended.assert_ended(0, Outcome::Rebooted);
    ended.assert_says(Some("web"), &["at once, because that cannot be tried here first"]);
    assert_kept(&fleet, &new);
    assert_eq!((selected(&fleet).as_str(), fleet.boots("web")), ("nixos-generation-2.conf", 2));
    let menu = fleet.host("web", "ls /boot/loader/entries");
    assert_eq!(menu, "nixos-generation-1.conf\nnixos-generation-2.conf\n", "as the new system's installer leaves it");

    // The new system's own has pushed it out already, and that is known before anything is moved.
    fleet.set("web", "menu_limit", "1");
    let (_, new) = switch(&fleet, "3", "6.12.10");
    let demanded = fleet.start_any("laptop", &["reboot", "homelab", "--on", "web", "--trial"]).ended();
    demanded.assert_ended(1, Outcome::Refused);
    demanded.assert_says(Some("web"), &["no generation any more, or not on the boot menu"]);
    assert_eq!(fleet.boots("web"), 2);
    let ended = tries(&fleet).ended();
    ended.assert_ended(0, Outcome::Rebooted);
    ended.assert_says(Some("web"), &["no generation any more, or not on the boot menu"]);
    assert_kept(&fleet, &new);
    assert_eq!((selected(&fleet).as_str(), fleet.boots("web")), ("nixos-generation-3.conf", 3));
}

/// What the firmware has in its flash: nothing is asked of the host, which shuts down.
fn wait_for_stored_next_boot(fleet: &Fleet) {
    let stored = fleet.place().join("hosts/web/variables.fd");
    let name: Vec<u8> = TRIAL_ENTRY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    until(seconds(240), "the next boot is stored", || {
        std::fs::read(&stored).unwrap().windows(name.len()).any(|found| found == name).then_some(())
    });
}

// ---- GRUB ----

/// All that a trial leaves beside the roots and GRUB's menu.
const LEFT_OF_GRUB: &str = "ls -A /nix/var/nix/gcroots/fleetdeploy 2>/dev/null; ls /boot/grub | grep fleetdeploy; true";
const NEXT_ENTRY: &str = "sed -n 's/^next_entry=//p' /boot/grub/grubenv";
/// Whether it is the boot of a trial, by the line of its kernel.
const IN_TRIAL: &str = "grep -c fleetdeploy.trial= /proc/cmdline; true";

/// Its menu reads our file, as its configuration says.
fn with_grub(test: &str) -> Fleet {
    let params = r#"{"web": {"grub_reads_ours": true}}"#;
    let fleet = Fleet::made(test, &Setup { hosts: &WITH_A_VM, vms: &["web:grub"], params, ..Setup::default() });
    fleet.write_inventory(&PATIENT);
    fleet
}

/// The same as [`wait_for_stored_next_boot`], where that is a file on the boot partition.
fn wait_for_stored_next_entry(fleet: &Fleet) {
    let (begin, end) = (609 << 20, 705 << 20);
    until(seconds(240), "the next boot is stored", || {
        let mut disk = File::open(fleet.place().join("hosts/web/disk.img")).unwrap();
        disk.seek(SeekFrom::Start(begin)).unwrap();
        let mut bytes = Vec::new();
        disk.take(end - begin).read_to_end(&mut bytes).unwrap();
        let stored = b"# GRUB Environment Block\nnext_entry=fleetdeploy-trial\n";
        // A hundred megabytes a look.
        std::thread::sleep(seconds(1));
        bytes.windows(stored.len()).any(|found| found == stored).then_some(())
    });
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn grub_starts_our_entry_once_also_after_a_power_cut_and_never_one_that_it_cannot_take_back() {
    let fleet = with_grub("vmgrubgood");
    let (_, new) = switch(&fleet, "2", "6.12.9");
    fleet.host("web", STOPS_SLOWLY);
    let run = tries(&fleet);
    wait_for_doing(&run, "told to reboot");
    wait_for_stored_next_entry(&fleet);
    assert_eq!(fleet.boots("web"), 1);
    fleet.power("web", "cut");
    wait_for_doing(&run, "is up; logging in anew");
    while_it_waits(&run, || {
        assert_eq!(fleet.host("web", IN_TRIAL), "1\n");
        assert_eq!(fleet.host("web", NEXT_ENTRY).trim(), "", "GRUB has taken it back");
        fleet.host("web", "cp /boot/grub/fleetdeploy.cfg /root/entry");
    });
    run.ended().assert_ended(0, Outcome::Rebooted);
    assert_eq!(stands(&fleet), [&new; 4].map(String::clone));
    assert_eq!((fleet.boots("web"), fleet.host("web", LEFT_OF_GRUB)), (2, String::new()));

    // As on a disk that GRUB cannot write: what is chosen once stays chosen.
    let sticks = "cp /root/entry /boot/grub/fleetdeploy.cfg; sed -i '/save_env next_entry/d' /boot/grub/grub.cfg";
    fleet.host("web", &format!("{sticks}; {}; sync; systemctl reboot", SET_NEXT.replace("1>0", "fleetdeploy-trial")));
    wait_for_boot(&fleet, 3);
    assert_eq!(stands(&fleet), [&new; 4].map(String::clone));
    let stays = (fleet.host("web", NEXT_ENTRY), fleet.host("web", IN_TRIAL));
    assert_eq!(stays, ("fleetdeploy-trial\n".to_owned(), "0\n".to_owned()), "the boot default, not our entry again");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_panic_after_grub_ends_on_the_old_system_by_itself() {
    let fleet = with_grub("vmgrubpanic");
    fleet.set("web", "boot", "\"initrd-panics\"");
    let (old, new) = switch(&fleet, "2", "6.12.9");
    let run = tries(&fleet);
    wait_for_doing(&run, "told to reboot");
    wait_for_boot(&fleet, 3);
    let ended = run.ended();
    ended.assert_says(Some("web"), &["without a word of its guard", "crashed or was reset"]);
    ended.assert_ended(1, Outcome::PartlyRebooted);
    assert_eq!(ended.host("web"), &BACK);
    assert_eq!(stands(&fleet), [&old, &old, &new, &old].map(String::clone));
    assert_eq!((fleet.host("web", LEFT_OF_GRUB), fleet.boots("web")), (".trial\n".to_owned(), 3));
    assert_eq!(fleet.host("web", NEXT_ENTRY).trim(), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh --boot runs it"]
fn a_menu_of_grub_that_does_not_read_our_file_is_no_way_to_try_a_system_and_the_host_is_rebooted_at_once() {
    let fleet = with_a_vm("vmgrubtrial", "web:grub");
    let (_, new) = switch(&fleet, "2", "6.12.9");
    let ended = tries(&fleet).ended();
    ended.assert_ended(0, Outcome::Rebooted);
    ended.assert_says(Some("web"), &["cannot be tried here first: the menu of its GRUB does not read"]);
    assert_eq!(stands(&fleet), [&new; 4].map(String::clone));
    assert_eq!(fleet.boots("web"), 2);
}
