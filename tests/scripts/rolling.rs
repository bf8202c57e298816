//! The lease of a rolling reboot: who may reboot a host, until when, and what a restart of the host leaves of it.

use pretty_assertions::assert_eq;

use super::guard::LOADER;
use super::{A, BOOT_ID, Host};

const LEASE: &str = "nix/var/nix/gcroots/fleetdeploy/reboot.lease";
const OTHER: &str = "00000000-0000-4000-8000-000000000000";

/// Where nothing of a run is, and no standing is printed beside what is asked for.
async fn at_rest() -> Host {
    let host = Host::with(None).await;
    host.write("boot-default", A);
    host.program(
        "systemctl",
        "case $* in reboot*) echo reboot >>\"$FLEETDEPLOY_ROOT/log\" ;; *) echo ActiveState=inactive ;; esac",
    );
    host.program("sync", "echo \"sync ${*##*/}\" >>\"$FLEETDEPLOY_ROOT/log\"");
    host
}

/// In the first shell alone: what is asked for changes the host.
async fn ask(host: &Host, script: &str, words: &str) -> String {
    let quiet = "print_standing() { read_systems; }\nlook_at_boot_files() { boot_files=whole; }";
    let finished = host.run("sh", &["lib.sh", script], &format!("{LOADER}\n{quiet}\n(main {words})")).await;
    assert_eq!(finished.stderr_text(), "", "{words}");
    finished.stdout_text()
}

async fn hold(host: &Host, run: &str, boot_id: &str, latest: &str) -> String {
    ask(host, "hold.sh", &format!("{run} ada@laptop {boot_id} {latest} 600")).await
}

async fn reboot(host: &Host, run: &str, boot_id: &str) -> String {
    let said = ask(host, "reboot.sh", &format!("{run} {boot_id} {A} {A} {A}")).await;
    let rebooted = host.text("log").lines().any(|line| line == "reboot");
    host.remove("log");
    format!("{}{}", if rebooted { "REBOOT " } else { "" }, said.lines().next().unwrap())
}

fn uptime(host: &Host, seconds: u32) {
    host.write("proc/uptime", format!("{seconds}.42 3000.00\n"));
}

/// The host has restarted so many seconds ago.
fn restart(host: &Host, seconds: u32) {
    host.write("proc/sys/kernel/random/boot_id", format!("{OTHER}\n"));
    uptime(host, seconds);
}

#[tokio::test]
async fn a_host_is_rebooted_only_by_the_rolling_reboot_that_holds_it() {
    let host = at_rest().await;
    assert_eq!(reboot(&host, "r-1", BOOT_ID).await, "refused ended");
    assert_eq!(hold(&host, "r-1", BOOT_ID, "1020").await, "end\n");
    assert_eq!(host.text("log"), "sync reboot.lease.new\nsync fleetdeploy\n", "it is on the disk first");
    host.remove("log");
    assert_eq!(host.text(LEASE), format!("r-1 {BOOT_ID} 1600 600 ada@laptop\n"));
    assert_eq!(reboot(&host, "r-2", BOOT_ID).await, "refused foreign_lease");
    assert_eq!(reboot(&host, "r-1", OTHER).await, "refused other_boot");
    assert_eq!(reboot(&host, "r-1", BOOT_ID).await, "REBOOT end");
    uptime(&host, 1600);
    assert_eq!(reboot(&host, "r-1", BOOT_ID).await, "refused ended", "its time is over");
}

#[tokio::test]
async fn of_two_rolling_reboots_one_holds_the_host_until_it_lets_go_or_its_time_is_over() {
    let host = at_rest().await;
    assert_eq!(hold(&host, "r-1", BOOT_ID, "1020").await, "end\n");
    let refused = hold(&host, "r-2", BOOT_ID, "1020").await;
    assert_eq!(refused, "refused foreign_lease\ntext run r-1 of ada@laptop holds this host\nend\n");
    assert_eq!(hold(&host, "r-1", BOOT_ID, "1020").await, "end\n", "asked again after a lost reply");
    assert_eq!(ask(&host, "let_go.sh", "r-2").await, "end\n");
    assert!(host.path(LEASE).exists(), "another's word takes nothing away");
    assert_eq!(ask(&host, "let_go.sh", "r-1").await, "end\n");
    assert!(!host.path(LEASE).exists());
    // Whoever ended it is not overruled by a command that was on its way.
    let renewed = hold(&host, "r-1", BOOT_ID, "-").await;
    assert!(renewed.starts_with("refused ended\n"), "{renewed}");
    uptime(&host, 1021);
    assert!(hold(&host, "r-1", BOOT_ID, "1020").await.starts_with("refused too_late\n"));

    assert_eq!(hold(&host, "r-1", BOOT_ID, "1100").await, "end\n");
    uptime(&host, 1621);
    assert!(hold(&host, "r-1", BOOT_ID, "-").await.starts_with("refused ended\n"), "who slept goes on no more");
    assert_eq!(hold(&host, "r-2", BOOT_ID, "1700").await, "end\n");
    assert!(host.text(LEASE).starts_with("r-2 "));
}

#[tokio::test]
async fn the_lease_outlives_the_reboot_of_its_host_for_as_long_as_it_was_taken_for() {
    let host = at_rest().await;
    assert_eq!(hold(&host, "r-1", BOOT_ID, "1020").await, "end\n");
    let says = "read_lease && echo \"$lease_kind $lease_run $lease_left\"";
    let held = async || host.says(&["lib.sh"], &format!("{says} || echo free")).await;
    for (seconds, says) in [(5, "reboot r-1 595\n"), (599, "reboot r-1 1\n"), (600, "free\n"), (9000, "free\n")] {
        restart(&host, seconds);
        assert_eq!(held().await, says, "{seconds}");
    }
    restart(&host, 30);
    assert!(hold(&host, "r-2", OTHER, "1020").await.starts_with("refused foreign_lease\n"));
    assert_eq!(hold(&host, "r-1", OTHER, "-").await, "end\n");
    assert_eq!(host.text(LEASE), format!("r-1 {OTHER} 630 600 ada@laptop\n"));
}

/// It sees the uptime of its machine, but for one whose uptime is made for it.
#[tokio::test]
async fn in_a_container_a_boot_is_as_old_as_its_first_process() {
    let host = at_rest().await;
    host.write(LEASE, format!("r-1 {OTHER}.77 99 600 ada@laptop\n"));
    let started = |ticks: u64| format!("1 (systemd) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 1 1\n");
    let own = "40 39 0:5 / /proc/uptime rw - fuse.lxcfs lxcfs rw\n";
    let rest = "39 38 0:5 / /proc rw - proc proc rw\n";
    let says = "read_lease && echo \"$lease_left\" || echo free";
    for (ticks, mounts, left) in [
        (90_000, rest.to_owned(), "500\n"),
        (1_000, rest.to_owned(), "free\n"),
        (90_000, format!("{rest}{own}"), "free\n"),
        // Made for it, and by nobody who says so.
        (900_000, rest.to_owned(), "free\n"),
    ] {
        host.write("proc/1/stat", started(ticks));
        host.write("proc/self/mountinfo", &mounts);
        assert_eq!(host.says(&["lib.sh"], says).await, left, "{ticks} {mounts}");
    }
}

#[tokio::test]
async fn a_host_in_a_rolling_reboot_lets_no_push_arm_and_says_who_holds_it() {
    let host = at_rest().await;
    assert_eq!(hold(&host, "r-1", BOOT_ID, "1020").await, "end\n");
    host.link("nix/var/nix/gcroots/fleetdeploy/r-9/new", A);
    let arm = format!("r-9 1 bob@desktop {BOOT_ID} {A} {A} {A} 2000 500 reboot - LIB GUARD JOB vps");
    let said = ask(&host, "arm.sh", &arm).await;
    assert_eq!(said, "refused foreign_lease\ntext run r-1 of ada@laptop holds this host\nend\n");
    let standing = "read_units() { units=; }\nprint_standing";
    let said = host.says(&["lib.sh"], &format!("{LOADER}\n{standing}")).await;
    assert!(said.contains(&format!("\nrolling r-1 600 {BOOT_ID} ada@laptop\n")), "{said}");
    assert!(!said.contains("\nlease "), "{said}");
    // One that is over hinders nobody, and is not left to count again after the host's next boot.
    uptime(&host, 1700);
    host.program("systemd-run", "exit 1");
    host.write("proc/sys/kernel/panic", "0\n");
    let said = ask(&host, "arm.sh", &arm).await;
    assert!(said.contains("failed the guard could not be started"), "{said}");
    assert!(!host.path(LEASE).exists());
}

#[tokio::test]
async fn a_lease_of_this_boot_wins_over_one_of_an_earlier_boot() {
    let host = at_rest().await;
    host.write(LEASE, format!("r-1 {OTHER} 99999 99999 ada@laptop\n"));
    host.write("run/fleetdeploy/lease", "r-2 7 bob@desktop\n");
    let says = "read_lease && echo \"$lease_kind $lease_run $lease_epoch $lease_owner\"";
    assert_eq!(host.says(&["lib.sh"], says).await, "run r-2 7 bob@desktop\n");
    assert!(hold(&host, "r-1", BOOT_ID, "-").await.starts_with("refused foreign_lease\n"));
}
