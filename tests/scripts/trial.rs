//! What stands on the kernel's line of a trial: it arms the ordinary guard in that boot, or ends it.

use pretty_assertions::assert_eq;

use super::guard::LOADER;
use super::{A, B, BOOT_ID, Host};

const FOLDER: &str = "nix/var/nix/gcroots/fleetdeploy/.trial/r-1";
const LINE: &str = "systemd\0loglevel=4\0fleetdeploy.trial=r-1.0a1b2c3d\0panic=30\0";

/// A host in the boot of a trial from A to B, before anything of that boot has begun.
async fn in_a_trial() -> Host {
    let host = Host::with(None).await;
    host.write("boot-default", A);
    host.write("proc/1/cmdline", LINE);
    host.write("proc/cmdline", "quiet\n");
    host.write(&format!("{FOLDER}/guard.sh"), "the guard\n");
    host.write(
        &format!("{FOLDER}/plan"),
        format!(
            "run r-1\ntag 0a1b2c3d\nowner ada@laptop\nold_current {A}\nold_boot {A}\nold_profile {B}\n\
             old_generation 2\naction reboot\nboot_loader -\npath /bin\nshell /bin/sh\nseconds 300\n"
        ),
    );
    host.program(
        "systemctl",
        "[ -e \"$FLEETDEPLOY_ROOT/lives\" ] && echo ActiveState=active || echo ActiveState=inactive",
    );
    host.program("systemd-run", "echo \"${*##*/bin/sh }\" >>\"$FLEETDEPLOY_ROOT/log\"; : >\"$FLEETDEPLOY_ROOT/lives\"");
    host
}

/// Once, under one shell: it changes the host.
async fn begin(host: &Host) -> bool {
    let words = format!("{LOADER}\nunset_trial_once() {{ empty_next_boot; }}\n(main \"$root/{FOLDER}\")");
    let files = ["lib.sh", "boot.sh", "boot_once.sh", "trial_begin.sh"];
    let finished = host.run("sh", &files, &words).await;
    assert_eq!(finished.stderr_text(), "");
    finished.succeeded()
}

fn text(host: &Host, path: &str) -> String {
    std::fs::read_to_string(host.path(path)).unwrap_or_default()
}

fn token(host: &Host) -> Vec<String> {
    let files = std::fs::read_dir(host.path("run/fleetdeploy/token")).into_iter().flatten();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn the_boot_of_a_trial_arms_the_ordinary_guard_from_what_the_run_has_left() {
    let host = in_a_trial().await;
    assert!(begin(&host).await);
    assert_eq!(token(&host), ["armed-300"]);
    // Above that epoch there is no room: nobody takes a trial over.
    assert_eq!(text(&host, "run/fleetdeploy/lease"), "r-1 99999999999999 ada@laptop\n");
    let plan = text(&host, "run/fleetdeploy/plan");
    assert!(plan.starts_with("run r-1\n") && plan.contains(&format!("\nboot_id {BOOT_ID}")), "{plan}");
    assert_eq!(text(&host, "run/fleetdeploy/guard.sh"), "the guard\n");
    assert!(text(&host, "log").ends_with("guard.sh\n"), "{}", text(&host, "log"));

    // A target that is started again pulls it in again; a guard that has died is started, and no deadline moves.
    std::fs::remove_file(host.path("log")).unwrap();
    assert!(begin(&host).await);
    assert_eq!(text(&host, "log"), "", "one lives");
    std::fs::remove_file(host.path("lives")).unwrap();
    assert_eq!((begin(&host).await, token(&host)), (true, vec!["armed-300".to_owned()]));
    assert_ne!(text(&host, "log"), "");
}

#[tokio::test]
async fn a_boot_that_is_not_the_trial_or_has_lost_what_guards_it_is_ended() {
    for (file, content) in [
        ("proc/1/cmdline", "systemd\0fleetdeploy.trial=r-1.ffffffff\0"),
        (&format!("{FOLDER}/plan") as &str, "run r-1\ntag 0a1b2c3d\nowner ada@laptop\n"),
        (&format!("{FOLDER}/plan"), ""),
    ] {
        let host = in_a_trial().await;
        host.write(file, content);
        assert!(!begin(&host).await, "{file}: {content}");
        assert!(token(&host).is_empty() && text(&host, "log").is_empty(), "{file}: nothing looks armed");
    }
    let host = in_a_trial().await;
    host.program("systemd-run", "exit 1");
    assert!(!begin(&host).await, "a guard that does not start is none");
    let host = in_a_trial().await;
    // What is not there cannot be copied; said on no screen.
    host.program("cp", "exit 1");
    assert!(!begin(&host).await, "its program is gone");
}

#[tokio::test]
async fn a_trial_that_is_over_is_not_begun_again() {
    let host = in_a_trial().await;
    host.write("run/fleetdeploy-trial-over", "");
    assert_eq!((begin(&host).await, token(&host)), (true, vec![]));
    // The token comes first: a crash between the two is over as well.
    let host = in_a_trial().await;
    host.write("run/fleetdeploy/token/disarmed-300", "");
    assert!(begin(&host).await);
    assert_eq!((token(&host), text(&host, "log")), (vec!["disarmed-300".to_owned()], String::new()));
}

#[tokio::test]
async fn a_next_boot_that_was_kept_is_emptied_at_once_and_said() {
    let host = in_a_trial().await;
    host.write("next-boot", "fleetdeploy-trial.conf");
    assert!(begin(&host).await);
    assert!(!host.path("next-boot").exists() && host.path(&format!("{FOLDER}/kept")).exists());
    assert_eq!(token(&host), ["armed-300"]);
}
