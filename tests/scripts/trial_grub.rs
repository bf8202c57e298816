//! The steps of a trial and its guard where GRUB boots: its menu, our file beside it, and its environment block.

use pretty_assertions::assert_eq;

use super::guard::run_killed;
use super::trial::{ARM, Change, FIRE, FOLDER, exists, fire, held, reboot, with_systems};
use super::{A, B, Host, shells};

const MENU: &str = "boot/grub/grub.cfg";
const ENVIRONMENT: &str = "boot/grub/grubenv";
const OURS: &str = "boot/grub/fleetdeploy.cfg";
const HOOK: &str = "if [ -s $prefix/fleetdeploy.cfg ]; then source $prefix/fleetdeploy.cfg; fi";

const STEPS: [&str; 8] =
    ["lib.sh", "boot.sh", "boot_once.sh", "witness.sh", "boot_once_grub.sh", "trials.sh", "restore.sh", "waiting.sh"];
const GUARD: [&str; 9] = [
    "lib.sh",
    "boot.sh",
    "boot_once.sh",
    "witness.sh",
    "boot_once_grub.sh",
    "trials.sh",
    "restore.sh",
    "guard.sh",
    "guard_trial.sh",
];
const JOB: [&str; 9] = [
    "lib.sh",
    "boot.sh",
    "boot_once.sh",
    "witness.sh",
    "boot_once_grub.sh",
    "trials.sh",
    "restore.sh",
    "job.sh",
    "job_trial.sh",
];
/// The files of the systems are not there; all else is as it is on a host.
const WHOLE: &str = "look_at_boot_files() { boot_files=whole; }";

/// What install-grub.pl writes, with this system as its default.
fn menu(system: &str) -> String {
    let entry = |title: &str, number: u8, system: &str| {
        format!(
            "menuentry \"{title}\" --class nixos {{\n  linux (hd0)/k{number} init={system}/init q\n  initrd \
             (hd0)/i{number}\n}}\n"
        )
    };
    let first = entry("NixOS", if system == A { 1 } else { 2 }, system);
    format!(
        "if [ -s $prefix/grubenv ]; then\n  load_env\nfi\nif [ \"${{next_entry}}\" ]; then\n  set \
         default=\"${{next_entry}}\"\n  set next_entry=\n  save_env next_entry\nelse\n  set \
         default=0\nfi\n{first}\n{HOOK}\nsubmenu \"All\" {{\n{}{}}}\n",
        entry("2", 2, B),
        entry("1", 1, A)
    )
}

fn environment(lines: &str) -> String {
    let begun = format!("# GRUB Environment Block\n{lines}");
    format!("{begun}{}", "#".repeat(1024 - begun.len()))
}

/// A rolling reboot r-1 holds the host, which has booted A and runs B; GRUB boots B.
async fn with_grub() -> Host {
    let host = held().await;
    std::fs::remove_dir_all(host.path("boot")).unwrap();
    host.write(MENU, menu(B));
    host.write(ENVIRONMENT, environment("saved_entry=kept\n"));
    for (number, system) in [(1, A), (2, B)] {
        host.write(&format!("menu-{number}"), menu(system));
        host.executable(
            &format!("{}/bin/switch-to-configuration", &system[1..]),
            &format!(
                "# /nix/store/00000000000000000000000000000000-install-grub.sh\n\
                 echo \"$1 {number}\" >>\"$FLEETDEPLOY_ROOT/log\"\n\
                 cat \"$FLEETDEPLOY_ROOT/menu-{number}\" >\"$FLEETDEPLOY_ROOT/{MENU}\""
            ),
        );
    }
    host
}

/// What a step was refused for; empty: it was not.
async fn refusal(host: &Host, script: &str, words: &str) -> String {
    let files: Vec<&str> = STEPS.into_iter().chain([script]).collect();
    let words = with_systems(words);
    let finished = host.run("sh", &files, &format!("{WHOLE}\nprint_standing() {{ :; }}\n(main {words})")).await;
    assert_eq!(finished.stderr_text(), "", "{script} {words}");
    let said = finished.stdout_text();
    let line = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    line("refused ").or_else(|| line("failed ").map(|text| format!("failed {text}"))).unwrap_or_default()
}

async fn armed() -> Host {
    let host = with_grub().await;
    assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "");
    host.remove("log");
    host
}

async fn register(host: &Host) -> String {
    host.run("bash", &JOB, &format!("{WHOLE}\n(main r-1 99999999999999 register {B})")).await;
    host.text("run/fleetdeploy/jobs/register.status").trim().to_owned()
}

async fn going() -> Host {
    let host = armed().await;
    assert_eq!(register(&host).await, "0", "{}", host.text("run/fleetdeploy/jobs/register.log"));
    host.remove("log");
    assert_eq!(refusal(&host, "go.sh", "r-1 BOOT").await, "");
    host
}

/// Runs the guard until it ends, or its naps are over.
async fn guard(host: &Host, shell: &str) {
    let words = FIRE.replace("nap() { :; }", "naps=0; nap() { naps=$((naps + 1)); [ $naps -lt 3 ] || exit 0; }");
    let finished = host.run(shell, &GUARD, &format!("{WHOLE}\n{words}")).await;
    assert_eq!(finished.stderr_text(), "");
}

#[tokio::test]
async fn our_entry_lies_beside_a_menu_that_boots_the_old_system() {
    let host = armed().await;
    assert_eq!(register(&host).await, "0", "{}", host.text("run/fleetdeploy/jobs/register.log"));
    assert_eq!((host.text("log").as_str(), host.text(MENU)), ("boot 1\n", menu(A)));
    assert_eq!(host.text(ENVIRONMENT), environment("saved_entry=kept\n"), "nothing is chosen yet");
    let ours = host.text(OURS);
    let lines: Vec<&str> = ours.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "if [ \"${default}\" = \"fleetdeploy-trial\" ]; then",
            "set next_entry=unread",
            "load_env next_entry",
            "if [ -z \"${next_entry}\" ]; then",
            "menuentry \"fleetdeploy trial\" --id fleetdeploy-trial --unrestricted {",
        ]
    );
    assert!(lines[5].starts_with(&format!("linux (hd0)/k2 init={B}/init q systemd.set_credential_binary=")), "{ours}");
    assert!(lines[5].contains(" fleetdeploy.trial=r-1 ") && !ours.contains(A), "{ours}");
    assert_eq!(lines[6..], ["initrd (hd0)/i2", "}", "fi", "fi"]);
    assert_eq!(host.text(&format!("{FOLDER}/entry")), ours);
}

#[tokio::test]
async fn a_menu_that_would_not_start_our_entry_as_it_stands_refuses() {
    let arming: [Change; 2] = [
        |host| host.write(MENU, menu(B).replace(HOOK, "")),
        // The same system, and not as the first entry: that is what GRUB takes where ours is not there.
        |host| host.write(MENU, menu(B).replace("default=0", "default=1")),
    ];
    for change in arming {
        let host = with_grub().await;
        change(&host);
        assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "other");
        assert!(!exists(&host, FOLDER));
    }
    let registering: [(&str, bool, Change); 3] = [
        ("102", false, |host| host.write(MENU, menu(B).replace(" q\n", " dyndbg=\"file a +p\"\n"))),
        ("102", false, |host| host.write(MENU, menu(B).replace("init q\n  initrd (hd0)/i2", "init q crashkernel=1M"))),
        // The old system's installer writes a menu that reads nothing of ours.
        ("103", true, |host| host.write("menu-1", menu(A).replace(HOOK, ""))),
    ];
    for (status, moves, change) in registering {
        let host = armed().await;
        change(&host);
        assert_eq!(register(&host).await, status, "{}", host.text("run/fleetdeploy/jobs/register.log"));
        assert_eq!(host.text("log"), if moves { "boot 1\n" } else { "" });
        assert!(!exists(&host, OURS), "{status}");
        assert_eq!(refusal(&host, "go.sh", "r-1 BOOT").await, "other");
        host.remove("log");
        fire(&host);
        guard(&host, "bash").await;
        assert_eq!(host.text("log"), if moves { "boot 2\n" } else { "" }, "what was moved is put back");
    }
}

#[tokio::test]
async fn the_next_boot_is_one_line_of_a_block_that_keeps_its_size_and_its_other_lines() {
    let chosen = environment("next_entry=fleetdeploy-trial\nsaved_entry=kept\n");
    for shell in shells() {
        let host = going().await;
        for _ in 0..2 {
            guard(&host, shell).await;
            assert_eq!((host.text("log").as_str(), host.text(ENVIRONMENT)), ("REBOOT\n", chosen.clone()));
            host.remove("log");
        }
        // GRUB could not take it back, and has booted its default: it is emptied, and our file goes after it.
        reboot(&host, A, "");
        assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
        let emptied = host.text(ENVIRONMENT);
        assert!(emptied.len() == 1024 && emptied.contains("\nsaved_entry=kept\n"), "{emptied}");
        assert!(!emptied.contains("fleetdeploy") && !exists(&host, OURS), "{emptied}");
        assert_eq!(host.text(&format!("{FOLDER}/failed")), "why\n");
    }
}

#[tokio::test]
async fn a_block_that_is_not_grub_s_or_somebody_else_s_choice_keeps_the_guard_from_going() {
    let rows: [(&str, String); 4] = [
        ("the next boot cannot be set", format!("# another file\n{}", "#".repeat(1009))),
        ("the next boot cannot be set", environment("").replacen('#', "", 1)),
        // Ours would not lie in its first sector.
        ("the next boot cannot be set", environment(&format!("saved_entry={}\n", "x".repeat(480)))),
        ("the next boot is 1>0, and not of our making", environment("next_entry=1>0\n")),
    ];
    for (lack, block) in rows {
        let host = going().await;
        host.write(ENVIRONMENT, &block);
        guard(&host, "bash").await;
        let failed = host.text("run/fleetdeploy/go-failed");
        assert!(failed.starts_with(lack), "{failed}");
        assert_eq!((host.text("log").as_str(), host.text(ENVIRONMENT)), ("", block), "{lack}");
    }
}

/// The power is cut at each program of a guard that goes.
#[tokio::test]
async fn a_guard_that_is_killed_anywhere_has_chosen_our_entry_or_nothing() {
    let untouched = environment("saved_entry=kept\n");
    let chosen = environment("next_entry=fleetdeploy-trial\nsaved_entry=kept\n");
    let words = format!("{WHOLE}\n{FIRE}");
    let mut at = 1;
    let mut seen = [false; 2];
    loop {
        let host = going().await;
        let ours = host.text(OURS);
        let killed = run_killed(&host, "bash", &GUARD, &words, at).await;
        let block = host.text(ENVIRONMENT);
        assert!([&untouched, &chosen].contains(&&block), "killed at {at}: {block}");
        seen[usize::from(block == chosen)] = true;
        assert_eq!((host.text(OURS), host.text(MENU)), (ours, menu(A)), "killed at {at}");
        if !killed {
            break;
        }
        host.remove("log");
        guard(&host, "bash").await;
        assert_eq!((host.text("log").as_str(), host.text(ENVIRONMENT)), ("REBOOT\n", chosen.clone()), "killed at {at}");
        at += 1;
    }
    assert_eq!(seen, [true; 2]);
}
