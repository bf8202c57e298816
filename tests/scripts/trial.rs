//! The steps of a trial boot, its guard in both boots, and what kills them in the middle: in a tree, with programs of
//! our own.

use pretty_assertions::assert_eq;

use super::guard::run_killed;
use super::{A, B, BOOT_ID, C, Host, shells};

pub(super) const FOLDER: &str = "nix/var/nix/gcroots/fleetdeploy/.trial/r-1";
const HOLD: &str = "nix/var/nix/gcroots/fleetdeploy/reboot.lease";
const ENTRIES: &str = "boot/loader/entries";
const OURS: &str = "boot/loader/entries/fleetdeploy-trial.conf";
const WATCHDOG_STATE: &str = "sys/class/watchdog/watchdog0/state";
const OTHER_BOOT: &str = "00000000-0000-4000-8000-000000000000";
pub(super) const ARM: &str = "r-1 ada@laptop BOOT 1020 A B 300 900 - LIB GUARD BEGIN";

const STEPS: [&str; 5] = ["lib.sh", "boot.sh", "boot_once.sh", "witness.sh", "trials.sh"];
const GUARD: [&str; 8] =
    ["lib.sh", "boot.sh", "boot_once.sh", "witness.sh", "trials.sh", "restore.sh", "guard.sh", "guard_trial.sh"];
const JOB: [&str; 8] =
    ["lib.sh", "boot.sh", "boot_once.sh", "witness.sh", "trials.sh", "restore.sh", "job.sh", "job_trial.sh"];

/// systemd-boot, as far as it is not its entries: what its files and variables say is in files of the test's own.
const LOADER: &str = r#"
    read_boot_default() {
        loader=$(cat "$root/loader" 2>/dev/null || echo systemd-boot)
        boot_note='' boot_place=/boot boot_esp=/boot boot_extra='' boot_image=''
        boot_default=$(cat "$root/boot-default") next_boot=$(cat "$root/next-boot" 2>/dev/null) next_boot_system=''
        [ "$next_boot" != fleetdeploy-trial.conf ] || next_boot_system=$(sed -n 's/.*init=\(.*\)\/init.*/\1/p' \
            "$root/boot/loader/entries/fleetdeploy-trial.conf" 2>/dev/null)
    }
    empty_next_boot() { delete_efi_variable LoaderEntryOneShot "$systemd_boot_vendor"; }
    delete_efi_variable() { [ ! -e "$root/stuck" ] && rm -f "$root/next-boot" "$root$efi_variables/$1-$2"; }
    look_at_boot_files() { boot_files=$(cat "$root/boot-files-${1##*.}" 2>/dev/null || echo whole); }
    look_for_boot_place() { boot_missing=$(cat "$root/boot-missing" 2>/dev/null); }
"#;

/// What is otherwise on a host.
pub(super) type Change = fn(&Host);

pub(super) const FIRE: &str = r#"
    tries=2
    nap() { :; }
    reboot_this_host() { echo REBOOT >>"$root/log"; exit 0; }
    trap 'rm -f "$place/nap"' EXIT
    main
"#;

pub(super) fn with_systems(words: &str) -> String {
    words
        .split(' ')
        .map(|word| match word {
            "A" => A,
            "B" => B,
            "BOOT" => BOOT_ID,
            other => other,
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// A rolling reboot r-1 holds the host, which has booted A and runs B.
pub(super) async fn held() -> Host {
    let host = Host::with(None).await;
    for link in ["run/current-system", "nix/var/nix/profiles/system"] {
        host.remove(link);
    }
    host.link("run/current-system", B);
    host.link("nix/var/nix/profiles/system", "system-2-link");
    host.link("nix/var/nix/profiles/system-2-link", B);
    host.write("boot-default", B);
    host.write("proc/sys/kernel/panic", "0\n");
    host.write("dev/watchdog0", "");
    host.write(WATCHDOG_STATE, "inactive\n");
    host.write("sys/class/watchdog/watchdog0/nowayout", "0\n");
    host.write("proc/cmdline", "quiet\n");
    host.write(HOLD, format!("r-1 {BOOT_ID} 9000 8000 ada@laptop\n"));
    for (number, system) in [(1, A), (2, B)] {
        host.write(
            &format!("{ENTRIES}/nixos-generation-{number}.conf"),
            format!("title NixOS\nsort-key nixos\nlinux /k{number}\ninitrd /i{number}\noptions init={system}/init q\n"),
        );
        host.executable(
            &format!("{}/bin/switch-to-configuration", &system[1..]),
            &format!(
                "echo \"$1 {number}\" >>\"$FLEETDEPLOY_ROOT/log\"
                [ ! -e \"$FLEETDEPLOY_ROOT/fails-{number}\" ] || exit 1
                [ -e \"$FLEETDEPLOY_ROOT/stays\" ] || echo {system} >\"$FLEETDEPLOY_ROOT/boot-default\"
                [ ! -e \"$FLEETDEPLOY_ROOT/other-{number}\" ] || cd \"$FLEETDEPLOY_ROOT/{ENTRIES}\" &&
                    [ ! -e \"$FLEETDEPLOY_ROOT/other-{number}\" ] || sed -i s/q$/other/ nixos-generation-{number}.conf"
            ),
        );
    }
    host.program(
        "systemctl",
        "case $* in
        *ActiveState*guard.service*) [ -e \"$FLEETDEPLOY_ROOT/lives\" ] && echo ActiveState=active && exit ;;
        *ActiveState*job.service*) [ -e \"$FLEETDEPLOY_ROOT/works\" ] && echo ActiveState=active && exit ;;
        stop*guard*) rm -f \"$FLEETDEPLOY_ROOT/lives\" ;;
        esac
        case $* in *ActiveState*) echo ActiveState=inactive ;; esac",
    );
    host.program(
        "systemd-run",
        "case $* in *guard.sh*)
            [ ! -e \"$FLEETDEPLOY_ROOT/no-guard\" ] || exit 1
            : >\"$FLEETDEPLOY_ROOT/lives\" ;;
        esac
        all=\"$*\"
        case $all in
        *guard.sh*) echo guard ;;
        *job.sh*) echo \"job ${all##*job.sh }\" ;;
        esac >>\"$FLEETDEPLOY_ROOT/log\"",
    );
    host.program(
        "bootctl",
        "[ ! -e \"$FLEETDEPLOY_ROOT/forgets\" ] || exit 0; echo \"$2\" >\"$FLEETDEPLOY_ROOT/next-boot\"",
    );
    host.program(
        "busctl",
        "[ \"$1\" != get-property ] || exec echo 't 60000000'
        echo \"watchdog ${*##* }\" >>\"$FLEETDEPLOY_ROOT/log\"",
    );
    host.program("uname", "echo x86_64");
    host.program("nix-env", "echo nix-env >>\"$FLEETDEPLOY_ROOT/log\"");
    for idle in ["sync", "sleep"] {
        host.program(idle, "exit 0");
    }
    host
}

/// In one shell alone: what is asked for changes the host.
async fn ask(host: &Host, script: &str, words: &str) -> String {
    let quiet = "print_standing() { read_systems; }";
    let files: Vec<&str> = STEPS.into_iter().chain(["restore.sh", "waiting.sh", script]).collect();
    let words = with_systems(words);
    let finished = host.run("sh", &files, &format!("{LOADER}\n{quiet}\n(main {words})")).await;
    assert_eq!(finished.stderr_text(), "", "{script} {words}");
    finished.stdout_text()
}

/// What a step was refused for; empty: it was not. `failed` where it has failed.
async fn refusal(host: &Host, script: &str, words: &str) -> String {
    let said = ask(host, script, words).await;
    let line = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    line("refused ").or_else(|| line("failed ").map(|text| format!("failed {text}"))).unwrap_or_default()
}

/// How the host stands, of a trial.
async fn standing(host: &Host) -> String {
    let words = format!("{LOADER}\nstanding_units=no\nprint_standing");
    let said = host.says(&["lib.sh", "boot.sh"], &words).await;
    let of_trial = |line: &&str| ["trial_", "guard ", "job ", "lease "].iter().any(|key| line.starts_with(key));
    said.lines().filter(of_trial).flat_map(|line| [line, "\n"]).collect()
}

async fn armed() -> Host {
    let host = held().await;
    assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "");
    host.remove("log");
    host
}

/// The status of a detached step, which the host runs as systemd would.
async fn job(host: &Host, kind: &str) -> String {
    let words = format!("{LOADER}\n(main r-1 99999999999999 {kind} {B})");
    host.run("bash", &JOB, &words).await;
    host.text(&format!("run/fleetdeploy/jobs/{kind}.status")).trim().to_owned()
}

async fn registered() -> Host {
    let host = armed().await;
    assert_eq!(job(&host, "register").await, "0", "{}", host.text("run/fleetdeploy/jobs/register.log"));
    host.remove("log");
    host
}

async fn going() -> Host {
    let host = registered().await;
    assert_eq!(refusal(&host, "go.sh", "r-1 BOOT").await, "");
    host
}

/// Another boot: /run is empty, and so is what was to be booted once.
pub(super) fn reboot(host: &Host, system: &str, line: &str) {
    std::fs::remove_dir_all(host.path("run")).unwrap();
    host.link("run/current-system", system);
    host.link("run/booted-system", system);
    for file in ["next-boot", "lives", "log"] {
        host.remove(file);
    }
    host.write("proc/sys/kernel/random/boot_id", format!("{OTHER_BOOT}\n"));
    host.write("proc/uptime", "30.42 3000.00\n");
    host.write("proc/cmdline", format!("quiet {line}\n"));
    host.write("proc/sys/kernel/panic", "30\n");
}

async fn begin(host: &Host) -> bool {
    let words = format!("(main \"$root/{FOLDER}\")");
    let files = ["lib.sh", "boot.sh", "boot_once.sh", "witness.sh", "trials.sh", "begin.sh"];
    let finished = host.run("sh", &files, &words).await;
    assert_eq!(finished.stderr_text(), "");
    finished.succeeded()
}

/// In the boot of the trial, its guard armed.
async fn in_trial() -> Host {
    let host = registered().await;
    reboot(&host, B, "fleetdeploy.trial=r-1 panic=30");
    assert!(begin(&host).await);
    host.remove("log");
    host
}

async fn proven() -> Host {
    let host = in_trial().await;
    assert_eq!(job(&host, "keep").await, "0", "{}", host.text("run/fleetdeploy/jobs/keep.log"));
    host.remove("log");
    host
}

/// Runs the guard until it ends, or its nap comes.
async fn guard(host: &Host, shell: &str, words: &str) {
    let words = format!("{LOADER}\n{words}");
    let finished = host.run(shell, &GUARD, &words).await;
    assert_eq!(finished.stderr_text(), "");
}

fn token(host: &Host) -> String {
    let files = std::fs::read_dir(host.path("run/fleetdeploy/token")).into_iter().flatten();
    let names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.join(" ")
}

pub(super) fn fire(host: &Host) {
    let name = token(host);
    let fired = name.replace("armed", "fired");
    std::fs::rename(
        host.path(&format!("run/fleetdeploy/token/{name}")),
        host.path(&format!("run/fleetdeploy/token/{fired}")),
    )
    .unwrap();
}

pub(super) fn exists(host: &Host, path: &str) -> bool {
    host.path(path).symlink_metadata().is_ok()
}

fn variable(name: &str) -> String {
    format!("sys/firmware/efi/efivars/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
}

fn utf16(text: &str) -> Vec<u8> {
    [7, 0, 0, 0].into_iter().chain(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes)).collect()
}

#[tokio::test]
async fn arming_lays_down_all_that_guards_the_trial_and_moves_nothing_of_the_loader() {
    let host = held().await;
    for _ in 0..2 {
        assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "");
        assert_eq!(token(&host), "armed-1300");
        assert_eq!(host.text("run/fleetdeploy/lease"), "r-1 99999999999999 ada@laptop\n");
        assert_eq!(host.text(&format!("{FOLDER}/guard.sh")), "LIB\nGUARD\n");
        assert_eq!(host.text(&format!("{FOLDER}/begin.sh")), "LIB\nBEGIN\n");
        assert_eq!(host.leads_to(&format!("{FOLDER}/old")).as_deref(), Some(A));
        assert_eq!(host.leads_to(&format!("{FOLDER}/new")).as_deref(), Some(B));
        let plan = host.text(&format!("{FOLDER}/plan"));
        for line in [
            "run r-1",
            "owner ada@laptop",
            "action trial",
            "roots .trial",
            &format!("booted {A}"),
            "booted_generation 1",
            &format!("tried {B}"),
            &format!("old_boot {B}"),
            "old_generation 2",
            "seconds 900",
            "panic 0",
            "watchdog 60000000",
        ] {
            assert!(plan.lines().any(|found| found == line), "{line}: {plan}");
        }
        assert_eq!(host.text("run/fleetdeploy/plan"), format!("{plan}boot_id {BOOT_ID}\n"));
        assert!(exists(&host, HOLD), "the hold stays");
        assert_eq!(host.text("proc/sys/kernel/panic"), "30\n");
        assert_eq!(host.text("log"), "guard\n", "asked again it starts none");
    }
    assert_eq!((host.text("boot-default"), exists(&host, OURS)), (B.to_owned(), false));
    let left = format!("trial_left r-1 {A} {B} {B} 900 - ada@laptop\n");
    let said = standing(&host).await;
    assert_eq!(said, format!("lease r-1 99999999999999 ada@laptop\nguard armed r-1 1300\n{left}"));
    // A guard that is gone is started again, with the deadline that it had.
    host.remove("lives");
    assert_eq!((refusal(&host, "arm_trial.sh", ARM).await.as_str(), token(&host).as_str()), ("", "armed-1300"));
    assert!(exists(&host, "lives"));
}

#[tokio::test]
async fn arming_is_refused_where_anything_is_not_as_it_must_be_and_leaves_nothing() {
    let rows: [(&str, &str, Change); 14] = [
        ("other_boot", &ARM.replace("BOOT", OTHER_BOOT), |_| {}),
        ("too_late", &ARM.replace("1020", "999"), |_| {}),
        ("ended", ARM, |host| host.remove(HOLD)),
        ("foreign_lease", ARM, |host| host.write(HOLD, format!("r-2 {BOOT_ID} 9000 8000 bob@desk\n"))),
        ("foreign_lease", ARM, |host| host.write("run/fleetdeploy/lease", "r-2 1 bob@desk\n")),
        ("foreign_guard", ARM, |host| host.write("run/fleetdeploy/token/armed-2000", "")),
        ("foreign_guard", ARM, |host| host.write("lives", "")),
        ("busy", ARM, |host| host.write("works", "")),
        ("moved", &ARM.replace(" A B ", &format!(" {C} B ")), |_| {}),
        ("moved", ARM, |host| host.write("boot-default", C)),
        ("moved", ARM, |host| host.write("next-boot", "windows.conf")),
        ("other", ARM, |host| host.remove("nix/var/nix/profiles/system-1-link")),
        ("other", ARM, |host| host.write("loader", "grub")),
        ("bad_argument", &ARM.replace("r-1", "../r"), |_| {}),
    ];
    for (reason, words, change) in rows {
        let host = held().await;
        change(&host);
        assert_eq!(refusal(&host, "arm_trial.sh", words).await, reason, "{words}");
        assert!(!exists(&host, FOLDER) && !host.text("log").contains("guard"), "{reason} {words}");
    }
    // What cannot be started, or written, looks armed to nobody.
    let host = held().await;
    host.write("no-guard", "");
    assert!(refusal(&host, "arm_trial.sh", ARM).await.starts_with("failed the guard could not be started"));
    assert_eq!((token(&host).as_str(), exists(&host, "run/fleetdeploy/lease")), ("", false));
    assert_eq!(host.text("proc/sys/kernel/panic"), "0\n");
    let host = held().await;
    host.write("nix/var/nix/gcroots/fleetdeploy/.trial", "no folder");
    assert!(refusal(&host, "arm_trial.sh", ARM).await.starts_with("failed cannot write"));
    assert_eq!(token(&host), "");
}

#[tokio::test]
async fn a_trial_that_went_back_is_tried_again_and_what_it_left_is_cleaned() {
    let host = held().await;
    host.remove("run/current-system");
    host.link("run/current-system", A);
    host.write("boot-default", A);
    assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "moved", "a drift that no trial has made");
    let older = "nix/var/nix/gcroots/fleetdeploy/.trial/r-0";
    host.write(&format!("{older}/plan"), format!("run r-0\naction trial\nbooted {A}\ntried {C}\nold_boot {C}\n"));
    assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "moved", "it was a trial of another system");
    host.write(&format!("{older}/plan"), format!("run r-0\naction trial\nbooted {A}\ntried {B}\nold_boot {B}\n"));
    host.write(&format!("{older}/failed"), "no login for 45 s\n");
    host.write(OURS, "options init=/x/init fleetdeploy.trial=r-0\n");
    let said = standing(&host).await;
    assert!(said.contains(&format!("trial_left r-0 {A} {B} {B} - failed -\ntrial_failed r-0 no login for 45 s\n")));
    assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "");
    assert!(!exists(&host, older) && !exists(&host, OURS));
    assert!(host.text(&format!("{FOLDER}/plan")).contains(&format!("\nold_boot {A}\n")), "before is what it was");
}

/// A trial without all of its guard is none.
#[tokio::test]
async fn an_arming_that_is_killed_anywhere_leaves_nothing_armed_but_what_is_whole() {
    let words = with_systems(&format!("{LOADER}\n(main {ARM})"));
    let files: Vec<&str> = STEPS.into_iter().chain(["arm_trial.sh"]).collect();
    let mut at = 1;
    loop {
        let host = held().await;
        let killed = run_killed(&host, "bash", &files, &words, at).await;
        if !token(&host).is_empty() {
            for file in ["plan", "guard.sh", "begin.sh", "old", "new"] {
                assert!(exists(&host, &format!("{FOLDER}/{file}")), "killed at {at}: {file}");
            }
            assert!(exists(&host, "run/fleetdeploy/plan") && exists(&host, "run/fleetdeploy/guard.sh"), "{at}");
        }
        assert_eq!((host.text("boot-default").trim(), exists(&host, "next-boot")), (B, false));
        if !killed {
            break;
        }
        // Nobody need know of it: it is armed anew, or goes on, and what was before is as it was.
        std::fs::remove_dir_all(host.path("counting")).unwrap();
        assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "", "killed at {at}");
        assert!(host.text(&format!("{FOLDER}/plan")).contains("\npanic 0\n"), "killed at {at}");
        at += 1;
    }
    assert!(at > 5, "nothing was killed");
}

#[tokio::test]
async fn to_register_makes_what_was_booted_the_default_and_then_writes_our_entry() {
    let host = armed().await;
    let register = "r-1 BOOT register 100 5 LIB JOB";
    assert_eq!(refusal(&host, "trial_step.sh", register).await, "");
    assert_eq!(host.text("log"), format!("job r-1 99999999999999 register {B}\n"));
    host.remove("log");
    assert_eq!(job(&host, "register").await, "0", "{}", host.text("run/fleetdeploy/jobs/register.log"));
    assert_eq!((host.text("log").as_str(), host.text("boot-default").trim()), ("boot 1\n", A));
    let entry = host.text(OURS);
    let lines: Vec<&str> = entry.lines().collect();
    assert_eq!(lines[..4], ["title fleetdeploy trial", "linux /k2", "initrd /i2", &format!("options init={B}/init q")]);
    assert!(
        lines[4].starts_with("options systemd.set_credential_binary=") && lines[4].contains(" fleetdeploy.trial=r-1 ")
    );
    assert_eq!(host.text(&format!("{FOLDER}/entry")), entry);
    assert_eq!(host.leads_to("nix/var/nix/profiles/system").as_deref(), Some("system-2-link"));
    // Asked again, it is waited for, and not begun anew.
    host.remove("log");
    assert_eq!(refusal(&host, "trial_step.sh", register).await, "");
    assert_eq!(host.text("log"), "");
    assert!(standing(&host).await.contains("job register exited 0\n"));
}

#[tokio::test]
async fn registering_fails_where_anything_is_not_known_to_be_right() {
    let rows: [(&str, bool, Change); 10] = [
        ("102", false, |host| host.remove("boot/loader/entries/nixos-generation-2.conf")),
        ("102", false, |host| {
            let own = "boot/loader/entries/nixos-generation-2.conf";
            host.write(own, host.text(own).replace(" q", " systemd.import_credentials=no"));
        }),
        ("99", false, |host| host.write("boot-missing", "/boot is not mounted")),
        ("1", true, |host| host.write("fails-1", "")),
        ("94", true, |host| host.write("stays", "")),
        ("94", true, |host| host.write("next-boot", "windows.conf")),
        ("102", false, |host| host.write("boot-files-1", "bad the initrd is missing")),
        ("102", false, |host| host.write("boot-files-2", "unproven the initrd is longer than the store's")),
        ("102", false, |host| host.remove("boot/loader/entries/nixos-generation-1.conf")),
        ("103", true, |host| {
            host.program("mv", "case $* in *fleetdeploy-trial.conf) exit 1 ;; esac; exec /bin/mv \"$@\"");
        }),
    ];
    for (status, moves, change) in rows {
        let host = armed().await;
        change(&host);
        assert_eq!(job(&host, "register").await, status, "{}", host.text("run/fleetdeploy/jobs/register.log"));
        assert_eq!(host.text("log"), if moves { "boot 1\n" } else { "" }, "{status}");
        assert!(!exists(&host, &format!("{FOLDER}/entry")), "{status}: nothing goes by it");
        assert!(refusal(&host, "go.sh", "r-1 BOOT").await.starts_with("other"), "{status}");
        // What could not be tried has moved nothing, and nothing is put back.
        host.remove("log");
        host.remove("fails-1");
        host.remove("boot-missing");
        fire(&host);
        guard(&host, "bash", FIRE).await;
        let moves_back = !["102", "99"].contains(&status);
        assert_eq!(host.text("log").contains("boot 2\n"), moves_back, "{status}");
    }
}

#[tokio::test]
async fn a_step_of_a_trial_begins_in_its_own_boot_alone_and_beside_nothing_else() {
    let old: [(&str, &str, Change); 9] = [
        ("other_boot", "r-1 OTHER register 100 5 LIB JOB", |_| {}),
        ("no_guard", "r-2 BOOT register 100 5 LIB JOB", |_| {}),
        ("other", "r-1 BOOT keep 100 5 LIB JOB", |_| {}),
        ("too_late", "r-1 BOOT register 301 5 LIB JOB", |_| {}),
        ("no_guard", "r-1 BOOT register 100 5 LIB JOB", |host| host.remove("lives")),
        ("busy", "r-1 BOOT register 100 5 LIB JOB", |host| host.write("works", "")),
        ("ended", "r-1 BOOT register 100 5 LIB JOB", |host| host.remove(HOLD)),
        ("moved", "r-1 BOOT register 100 5 LIB JOB", |host| host.write("boot-default", A)),
        ("moved", "r-1 BOOT register 100 5 LIB JOB", |host| host.write("next-boot", "windows.conf")),
    ];
    for (reason, words, change) in old {
        let host = armed().await;
        change(&host);
        let words = words.replace("OTHER", OTHER_BOOT);
        assert_eq!(refusal(&host, "trial_step.sh", &words).await, reason, "{words}");
        assert_eq!(host.text("log"), "", "{words}");
    }
    let trial: [(&str, &str, Change); 7] = [
        ("", "keep", |_| {}),
        ("other", "register", |_| {}),
        ("other", "keep", |host| host.write("proc/cmdline", "quiet fleetdeploy.trial=r-2\n")),
        ("other", "keep", |host| host.write("proc/cmdline", "quiet\n")),
        ("other", "keep", |host| host.write(&format!("{FOLDER}/kept-by-firmware"), "")),
        ("moved", "keep", |host| host.write("boot-default", B)),
        ("fired", "keep", fire),
    ];
    for (reason, kind, change) in trial {
        let host = in_trial().await;
        change(&host);
        let words = format!("r-1 {OTHER_BOOT} {kind} 100 5 LIB JOB");
        assert_eq!(refusal(&host, "trial_step.sh", &words).await, reason, "{kind}");
        assert_eq!(host.text("log").contains("job r-1 "), reason.is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn go_is_an_order_under_a_guard_that_has_time_and_is_given_once() {
    let rows: [(&str, &str, Change); 9] = [
        ("other_boot", OTHER_BOOT, |_| {}),
        ("no_guard", BOOT_ID, |host| host.remove("lives")),
        ("too_late", BOOT_ID, |host| host.write("proc/uptime", "1241.00 1.00\n")),
        ("fired", BOOT_ID, fire),
        ("ended", BOOT_ID, |host| host.remove(HOLD)),
        ("foreign_lease", BOOT_ID, |host| host.write(HOLD, format!("r-2 {BOOT_ID} 9000 8000 bob@desk\n"))),
        ("busy", BOOT_ID, |host| host.write("works", "")),
        ("other", BOOT_ID, |host| host.write("run/fleetdeploy/jobs/register.status", "94\n")),
        ("other", BOOT_ID, |host| host.write("proc/cmdline", "fleetdeploy.trial=r-1\n")),
    ];
    for (reason, boot, change) in rows {
        let host = registered().await;
        change(&host);
        assert_eq!(refusal(&host, "go.sh", &format!("r-1 {boot}")).await, reason);
        assert!(!exists(&host, "run/fleetdeploy/go"), "{reason}");
    }
    let host = going().await;
    assert_eq!(host.text("run/fleetdeploy/go"), format!("r-1 {BOOT_ID}\n"));
    assert_eq!(refusal(&host, "go.sh", "r-1 BOOT").await, "", "asked again after a lost reply");
    assert!(standing(&host).await.contains("trial_go r-1\n"));
    // Meanwhile nothing else is done to it.
    for (script, words) in [
        ("fire.sh", "r-1 BOOT"),
        ("clean_trial.sh", "r-1 why"),
        ("let_go.sh", "r-1"),
        ("trial_step.sh", "r-1 BOOT keep 1 5 LIB JOB"),
    ] {
        let refused = refusal(&host, script, words).await;
        assert!(["busy", "other"].contains(&refused.as_str()), "{script}: {refused}");
    }
    host.write("run/fleetdeploy/go-failed", "no room\n");
    assert_eq!(refusal(&host, "go.sh", "r-1 BOOT").await, "other");
    assert!(standing(&host).await.contains("trial_go r-1\ntrial_go_failed no room\n"));
    assert_eq!((refusal(&host, "fire.sh", "r-1 BOOT").await.as_str(), token(&host).as_str()), ("", "fired-1300"));
}

#[tokio::test]
async fn a_guard_that_is_to_go_sets_the_next_boot_and_reboots_as_often_as_it_is_started() {
    for shell in shells() {
        let host = going().await;
        for _ in 0..2 {
            guard(&host, shell, FIRE).await;
            assert_eq!(
                (host.text("next-boot").as_str(), host.text("log").as_str()),
                ("fleetdeploy-trial.conf\n", "REBOOT\n")
            );
            assert_eq!(token(&host), "armed-1300");
            host.remove("log");
        }
        // Its deadline does not matter any more.
        host.write("proc/uptime", "2000.00 1.00\n");
        guard(&host, shell, FIRE).await;
        assert_eq!(host.text("log"), "REBOOT\n");
    }
}

const WITNESS: &str = "sys/firmware/efi/efivars/FleetdeployWitness-5c0f4b6e-9d0a-4a52-8f0e-2b7f6f0c3d41";
const FORGETS: &str = "nix/var/nix/gcroots/fleetdeploy/.trial/forgets";

/// What stands in the firmware's variables, and the clock.
fn has_firmware(host: &Host) {
    host.write(&variable("LoaderInfo"), utf16("systemd-boot 257.13"));
    host.write(&variable("LoaderFirmwareInfo"), utf16("Some BIOS 1.0"));
    host.program("date", "exec cat \"$FLEETDEPLOY_ROOT/now\"");
    host.write("now", "1000000\n");
}

/// The next boot is gone in each of these boots, and only two of them tell why.
#[tokio::test]
async fn a_firmware_that_forgets_is_known_by_a_variable_that_no_loader_takes() {
    let boots: [(bool, Change); 10] = [
        (true, |host| host.remove(WITNESS)),
        // Another version of the loader is the same firmware.
        (true, |host| {
            host.remove(WITNESS);
            host.write(&variable("LoaderInfo"), utf16("systemd-boot 258"));
        }),
        // The trial was booted, and crashed.
        (false, |_| {}),
        // It hung in what it had booted, and lost its variables with its power.
        (false, |host| {
            host.remove(WITNESS);
            host.write(&format!("{FOLDER}/started"), "");
        }),
        // It hung before that could be said, until somebody came.
        (false, |host| {
            host.remove(WITNESS);
            host.write("now", "1000900\n");
        }),
        // Nobody knows when that was.
        (false, |host| {
            host.remove(WITNESS);
            host.write("now", "20\n");
        }),
        // What was asked is not the firmware that answers.
        (false, |host| {
            host.remove(WITNESS);
            host.write(&variable("LoaderFirmwareInfo"), utf16("Some BIOS 1.1"));
        }),
        // No variable can be read: they are not mounted, or another loader has started it.
        (false, |host| {
            host.remove(WITNESS);
            host.remove(&variable("LoaderFirmwareInfo"));
        }),
        // It was set, and the power was cut before that was written down.
        (false, |host| host.remove(&format!("{FOLDER}/witness"))),
        (false, |host| {
            host.remove(WITNESS);
            host.remove(&format!("{FOLDER}/witness"));
        }),
    ];
    for (at, (forgets, change)) in boots.into_iter().enumerate() {
        let host = going().await;
        has_firmware(&host);
        for _ in 0..2 {
            guard(&host, "bash", FIRE).await;
            assert_eq!(host.text("log").lines().last(), Some("REBOOT"));
            let variable = std::fs::read(host.path(WITNESS)).unwrap();
            assert_eq!(variable, format!("\u{7}\0\0\0{BOOT_ID}").as_bytes());
            let asked = format!("Some_BIOS_1.0 1000000 {BOOT_ID}\n");
            assert_eq!(host.text(&format!("{FOLDER}/witness")), asked, "named before the reboot");
        }
        reboot(&host, A, "");
        host.write("now", "1000100\n");
        change(&host);
        for _ in 0..2 {
            assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
            assert_eq!(host.text(FORGETS), if forgets { "Some_BIOS_1.0\n" } else { "" }, "{at}");
            assert!(!exists(&host, WITNESS) && !exists(&host, &format!("{FOLDER}/witness")), "{at}");
            assert!(!exists(&host, &format!("{FOLDER}/started")), "{at}");
        }
    }
    // The next trial looks, too, where nobody has cleaned; and one that is kept has shown that it takes them.
    let host = held().await;
    has_firmware(&host);
    let older = "nix/var/nix/gcroots/fleetdeploy/.trial/r-0";
    host.write(&format!("{older}/plan"), format!("run r-0\naction trial\nbooted {A}\ntried {B}\nold_boot {B}\n"));
    host.write(&format!("{older}/witness"), format!("Some_BIOS_1.0 998900 {OTHER_BOOT}\n"));
    assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "");
    assert_eq!((exists(&host, older), host.text(FORGETS).as_str()), (false, "Some_BIOS_1.0\n"));
    let host = proven().await;
    host.write(FORGETS, "Some_BIOS_1.0\n");
    assert_eq!(refusal(&host, "end_trial.sh", &format!("r-1 {OTHER_BOOT}")).await, "");
    assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
    assert!(!exists(&host, FORGETS));
}

/// What was held against it goes by itself, also where it came of a hang and a power cut.
#[tokio::test]
async fn a_firmware_that_was_called_forgetful_shows_in_a_plain_reboot_whether_it_is() {
    let forgets = async |host: &Host| {
        let finished = host.run("sh", &STEPS, "if is_forgetful; then echo yes; else echo no; fi").await;
        assert_eq!(finished.stderr_text(), "");
        finished.stdout_text()
    };
    for (is_kept, said) in [(true, "no\n"), (false, "yes\n")] {
        let host = held().await;
        has_firmware(&host);
        host.remove("run/booted-system");
        host.link("run/booted-system", B);
        host.write(FORGETS, "Some_BIOS_1.0\n");
        assert_eq!(forgets(&host).await, "yes\n");
        assert_eq!(refusal(&host, "reboot.sh", &format!("r-1 {BOOT_ID} B B B")).await, "");
        assert!(exists(&host, WITNESS));
        assert_eq!(forgets(&host).await, "yes\n", "before the reboot");
        reboot(&host, B, "");
        if !is_kept {
            host.remove(WITNESS);
        }
        assert_eq!(forgets(&host).await, said);
        assert_eq!(exists(&host, FORGETS), !is_kept);
    }
    // Of any other firmware nothing is asked.
    let host = held().await;
    has_firmware(&host);
    host.remove("run/booted-system");
    host.link("run/booted-system", B);
    assert_eq!(refusal(&host, "reboot.sh", &format!("r-1 {BOOT_ID} B B B")).await, "");
    assert!(!exists(&host, WITNESS));
}

/// The room of a firmware is small, and the next boot comes first.
#[tokio::test]
async fn a_witness_that_takes_the_room_of_the_next_boot_goes() {
    let host = going().await;
    has_firmware(&host);
    let full =
        format!("[ ! -e \"$FLEETDEPLOY_ROOT/{WITNESS}\" ] || exit 1; echo \"$2\" >\"$FLEETDEPLOY_ROOT/next-boot\"");
    host.program("bootctl", &full);
    guard(&host, "bash", FIRE).await;
    assert_eq!((host.text("log").as_str(), host.text("next-boot").trim()), ("REBOOT\n", "fleetdeploy-trial.conf"));
    assert!(!exists(&host, WITNESS) && !exists(&host, &format!("{FOLDER}/witness")));
}

/// A variable that cannot be written costs no trial.
#[tokio::test]
async fn a_guard_goes_without_the_witness_that_it_cannot_call() {
    let host = going().await;
    has_firmware(&host);
    host.write(&format!("{WITNESS}/full"), "a folder, which nobody writes into");
    guard(&host, "bash", FIRE).await;
    assert_eq!((host.text("log").as_str(), host.text("next-boot").trim()), ("REBOOT\n", "fleetdeploy-trial.conf"));
    assert!(!exists(&host, &format!("{FOLDER}/witness")));
}

#[tokio::test]
async fn what_cannot_go_says_why_and_waits_for_its_deadline_with_the_default_that_it_had() {
    let rows: [(&str, Option<&str>, Change); 6] = [
        ("the next boot cannot be set, or is not read back as it was set", None, |host| host.write("forgets", "")),
        ("the boot default is ", None, |host| host.write("boot-default", B)),
        ("our boot entry is gone", None, |host| host.remove(OURS)),
        ("our boot entry is not as it was written", None, |host| host.write(OURS, "options init=/x/init\n")),
        ("the firmware's own next boot is set", None, |host| {
            host.write("sys/firmware/efi/efivars/BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c", "x");
        }),
        ("the next boot is windows.conf, and not of our making", Some("windows.conf"), |host| {
            host.write("next-boot", "windows.conf");
        }),
    ];
    for (lack, next_boot, change) in rows {
        let host = going().await;
        change(&host);
        // A second look finds it failed, and waits.
        let words = FIRE.replace("nap() { :; }", "naps=0; nap() { naps=$((naps + 1)); [ $naps -lt 3 ] || exit 0; }");
        guard(&host, "bash", &words).await;
        assert!(host.text("run/fleetdeploy/go-failed").starts_with(lack), "{}", host.text("run/fleetdeploy/go-failed"));
        assert_eq!((host.text("log"), token(&host)), (String::new(), "armed-1300".to_owned()), "{lack}");
        assert_eq!(host.text("next-boot"), next_boot.unwrap_or_default(), "{lack}");
    }
}

/// A script of ours that is long: the order stands, and the deadline that has passed meanwhile does not count.
#[tokio::test]
async fn a_guard_that_is_to_go_and_gets_no_lock_goes_later_and_does_not_fire() {
    for shell in shells() {
        let host = going().await;
        host.write("proc/uptime", "2000.00 1.00\n");
        let flock = ["/usr/bin/flock", "/bin/flock"].into_iter().find(|path| std::path::Path::new(path).exists());
        host.program(
            "flock",
            &format!(
                "echo >>\"$FLEETDEPLOY_ROOT/asked\"; [ \"$(wc -l <\"$FLEETDEPLOY_ROOT/asked\")\" -gt 2 ] || exit 1
                exec {} \"$@\"",
                flock.unwrap()
            ),
        );
        guard(&host, shell, FIRE).await;
        assert_eq!((token(&host).as_str(), exists(&host, "run/fleetdeploy/go-failed")), ("armed-1300", false));
        assert_eq!((host.text("log").as_str(), host.text("boot-default").trim()), ("REBOOT\n", A), "{shell}");
    }
}

/// At every program that it starts: what follows is always the trial under its guard, or the boot default.
#[tokio::test]
async fn a_guard_that_is_killed_while_it_goes_goes_all_the_same() {
    let words = format!("{LOADER}\n{FIRE}");
    let mut at = 1;
    loop {
        let host = going().await;
        let killed = run_killed(&host, "bash", &GUARD, &words, at).await;
        if exists(&host, "next-boot") {
            assert_eq!((host.text("boot-default").trim(), exists(&host, &format!("{FOLDER}/plan"))), (A, true));
            assert!(exists(&host, OURS), "killed at {at}");
        }
        assert!(!exists(&host, "run/fleetdeploy/go-failed"), "killed at {at}");
        std::fs::remove_dir_all(host.path("counting")).unwrap();
        host.remove("log");
        guard(&host, "bash", FIRE).await;
        assert_eq!(
            (host.text("log").as_str(), host.text("next-boot").as_str()),
            ("REBOOT\n", "fleetdeploy-trial.conf\n")
        );
        if !killed {
            break;
        }
        at += 1;
    }
    assert!(at > 2, "nothing was killed");
}

#[tokio::test]
async fn the_boot_of_a_trial_arms_the_guard_from_what_outlived_the_reboot() {
    let host = registered().await;
    reboot(&host, B, "fleetdeploy.trial=r-1 panic=30");
    assert!(begin(&host).await);
    assert!(exists(&host, &format!("{FOLDER}/started")), "its next boot was not forgotten");
    assert_eq!(token(&host), "armed-900", "counted from the start of the boot, and not from now");
    assert_eq!(host.text("run/fleetdeploy/lease"), "r-1 99999999999999 ada@laptop\n");
    let plan = host.text("run/fleetdeploy/plan");
    assert!(plan.starts_with("run r-1\n") && plan.ends_with(&format!("\nboot_id {OTHER_BOOT}\n")), "{plan}");
    assert_eq!(
        (host.text("run/fleetdeploy/guard.sh").as_str(), host.text("log").as_str()),
        ("LIB\nGUARD\n", "guard\n")
    );
    let said = standing(&host).await;
    assert!(said.contains("guard armed r-1 900\ntrial_run r-1\n"), "{said}");

    // A soft-reboot runs it again; a guard that has died is started, and no deadline moves.
    host.write("proc/uptime", "700.00 1.00\n");
    assert!(begin(&host).await);
    assert_eq!(host.text("log"), "guard\n", "one lives");
    host.remove("lives");
    assert_eq!((begin(&host).await, token(&host).as_str()), (true, "armed-900"));
    assert_eq!(host.text("log"), "guard\nguard\n");
    host.remove("lives");
    fire(&host);
    assert_eq!((begin(&host).await, token(&host).as_str()), (true, "fired-900"));
    assert!(exists(&host, "lives"), "one that was at work goes on");
}

#[tokio::test]
async fn in_a_container_the_line_is_that_of_its_first_process_and_its_clock_began_with_that() {
    let host = registered().await;
    reboot(&host, B, "fleetdeploy.trial=r-9");
    host.write("run/systemd/container", "systemd-nspawn\n");
    host.write("proc/1/cmdline", "/sbin/init\0fleetdeploy.trial=r-1\0panic=30\0");
    host.write("proc/1/stat", "1 (systemd) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100000 1 1\n");
    host.write("proc/self/mountinfo", "39 38 0:5 / /proc rw - proc proc rw\n");
    host.write("proc/uptime", "1030.00 1.00\n");
    assert_eq!((begin(&host).await, token(&host).as_str()), (true, "armed-1900"));
}

/// A process for each look at a host that has no trial would be one of its most.
#[tokio::test]
async fn in_a_container_the_line_is_read_only_where_there_is_a_trial() {
    let host = held().await;
    host.write("run/systemd/container", "systemd-nspawn\n");
    host.write("proc/1/cmdline", "/sbin/init\0fleetdeploy.trial=r-1\0");
    let path = std::env::var_os("PATH").unwrap();
    let tr = std::env::split_paths(&path).map(|folder| folder.join("tr")).find(|file| file.exists()).unwrap();
    host.program("tr", &format!("echo tr >>\"$FLEETDEPLOY_ROOT/log\"; exec {} \"$@\"", tr.display()));
    host.write("run/fleetdeploy/plan", "run r-9\naction reboot\n");
    assert_eq!((standing(&host).await.as_str(), exists(&host, "log")), ("guard none\n", false));
    let rows: [Change; 3] = [
        |host| host.write(&format!("{FOLDER}/plan"), ""),
        |host| host.write("run/fleetdeploy-trial-over", ""),
        |host| host.write("run/fleetdeploy/plan", "run r-1\naction trial\n"),
    ];
    for change in rows {
        change(&host);
        assert!(standing(&host).await.contains("trial_run r-1\n"));
        for file in [format!("{FOLDER}/plan"), "run/fleetdeploy-trial-over".to_owned()] {
            host.remove(&file);
        }
        let _ = std::fs::remove_dir_all(host.path("nix/var/nix/gcroots/fleetdeploy/.trial"));
    }
}

#[tokio::test]
async fn a_boot_that_is_not_the_trial_or_has_lost_what_guards_it_is_ended_and_one_that_is_over_is_not() {
    let rows: [(bool, &str, Change); 9] = [
        (false, "", |host| host.write("proc/cmdline", "fleetdeploy.trial=r-2\n")),
        (false, "", |host| host.write("proc/cmdline", "quiet\n")),
        (false, "", |host| host.write(&format!("{FOLDER}/plan"), "")),
        (false, "", |host| host.remove(&format!("{FOLDER}/guard.sh"))),
        (false, "armed-900", |host| host.write("no-guard", "")),
        (true, "", |host| host.write(&format!("{FOLDER}/proven"), "")),
        (true, "", |host| host.write(&format!("{FOLDER}/over"), "")),
        (true, "", |host| host.write("run/fleetdeploy-trial-over", "")),
        (true, "disarmed-900", |host| host.write("run/fleetdeploy/token/disarmed-900", "")),
    ];
    for (at, (goes_on, left, change)) in rows.into_iter().enumerate() {
        let host = registered().await;
        reboot(&host, B, "fleetdeploy.trial=r-1");
        host.write(&variable("LoaderEntryOneShot"), utf16("fleetdeploy-trial.conf"));
        // What is not there cannot be copied; said on no screen.
        host.program("cp", "exec /bin/cp \"$@\" 2>/dev/null");
        change(&host);
        assert_eq!((begin(&host).await, token(&host).as_str()), (goes_on, left), "{at}");
        assert!(!exists(&host, "lives"), "{at}");
        assert_eq!(exists(&host, &variable("LoaderEntryOneShot")), goes_on, "{at}: it would be booted again and again");
        if exists(&host, &format!("{FOLDER}/proven")) || exists(&host, &format!("{FOLDER}/over")) {
            assert!(exists(&host, "run/fleetdeploy-trial-over"), "{at}");
        }
    }
}

#[tokio::test]
async fn a_guard_in_the_trial_empties_a_next_boot_that_was_kept_and_sees_to_it_that_a_panic_reboots() {
    let words = FIRE.replace("nap() { :; }", "naps=0; nap() { naps=$((naps + 1)); [ $naps -lt 3 ] || exit 0; }");
    for (entry, kept) in [("fleetdeploy-trial.conf", true), ("windows.conf", false)] {
        let host = in_trial().await;
        host.write(&variable("LoaderInfo"), utf16("systemd-boot 257"));
        host.write(&variable("LoaderEntryOneShot"), utf16(entry));
        host.write("proc/sys/kernel/panic", "0\n");
        guard(&host, "bash", &words).await;
        assert_eq!(exists(&host, &variable("LoaderEntryOneShot")), !kept, "{entry}");
        assert_eq!(exists(&host, &format!("{FOLDER}/kept-by-firmware")), kept, "{entry}");
        assert_eq!(host.text("proc/sys/kernel/panic"), "30\n");
    }
}

#[tokio::test]
async fn keeping_makes_what_was_tried_the_default_and_writes_last_that_it_is_proven() {
    let host = in_trial().await;
    assert_eq!(job(&host, "keep").await, "0", "{}", host.text("run/fleetdeploy/jobs/keep.log"));
    assert_eq!((host.text("log").as_str(), host.text("boot-default").trim()), ("boot 2\n", B));
    assert!(exists(&host, &format!("{FOLDER}/proven")) && !exists(&host, &format!("{FOLDER}/proven.new")));
    assert!(standing(&host).await.contains(&format!("trial_left r-1 {A} {B} {B} 900 proven ada@laptop\n")));
    let rows: [(&str, Change); 6] = [
        ("1", |host| host.write("fails-2", "")),
        ("94", |host| host.write("stays", "")),
        ("94", |host| host.write("next-boot", "windows.conf")),
        ("97", |host| host.write("boot-files-2", "bad the kernel is cut short")),
        ("104", |host| host.write("other-2", "")),
        ("95", |host| host.program("mv", "case $* in *proven) exit 1 ;; esac; exec /bin/mv \"$@\"")),
    ];
    for (status, change) in rows {
        let host = in_trial().await;
        change(&host);
        assert_eq!(job(&host, "keep").await, status, "{}", host.text("run/fleetdeploy/jobs/keep.log"));
        assert!(!exists(&host, &format!("{FOLDER}/proven")), "{status}");
    }
}

/// Whoever has the watchdog would find it taken, and one that cannot be stopped would reset a host that was kept.
#[tokio::test]
async fn a_watchdog_that_could_not_be_given_back_is_not_taken() {
    let rows: [(&str, Change); 6] = [
        ("somebody feeds it", |host| host.write(WATCHDOG_STATE, "active\n")),
        ("it cannot be stopped", |host| host.write("sys/class/watchdog/watchdog0/nowayout", "1\n")),
        ("nothing is known of it", |host| host.remove(WATCHDOG_STATE)),
        ("there is none", |host| host.remove("dev/watchdog0")),
        ("what is tried feeds it", |host| host.write(&format!("{}/etc/systemd/system/watchdogd.service", &B[1..]), "")),
        ("what it was is not known", |host| host.program("busctl", "exit 1")),
    ];
    for (why, change) in rows {
        let host = held().await;
        change(&host);
        assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "", "{why}");
        assert!(host.text(&format!("{FOLDER}/plan")).contains("\nwatchdog -\n"), "{why}");
        assert_eq!(job(&host, "register").await, "0", "{why}");
        let entry = host.text(OURS);
        assert!(entry.ends_with("systemd.crash_action=reboot\n") && !entry.contains("watchdog"), "{why}: {entry}");
    }
    // In the trial PID 1 has it, or what is tried has: neither changes what is looked for in the entry, or given back.
    for (taken, given_back) in [(false, ""), (true, "watchdog 60000000\n")] {
        let host = held().await;
        host.write(WATCHDOG_STATE, if taken { "inactive\n" } else { "active\n" });
        assert_eq!(refusal(&host, "arm_trial.sh", ARM).await, "");
        assert_eq!(job(&host, "register").await, "0");
        assert_eq!(host.text(OURS).ends_with(" systemd.watchdog_sec=2min\n"), taken);
        reboot(&host, B, "fleetdeploy.trial=r-1 panic=30");
        host.write(WATCHDOG_STATE, if taken { "active\n" } else { "inactive\n" });
        assert!(begin(&host).await);
        assert_eq!(job(&host, "keep").await, "0", "{}", host.text("run/fleetdeploy/jobs/keep.log"));
        host.write("log", "");
        assert_eq!(refusal(&host, "end_trial.sh", &format!("r-1 {OTHER_BOOT}")).await, "");
        assert_eq!(host.text("log"), given_back);
    }
}

#[tokio::test]
async fn a_trial_that_is_proven_ends_without_a_reboot_and_is_answered_from_the_token_when_asked_again() {
    let host = proven().await;
    for _ in 0..2 {
        assert_eq!(refusal(&host, "end_trial.sh", &format!("r-1 {OTHER_BOOT}")).await, "");
        assert_eq!(token(&host), "disarmed-900");
        assert!(exists(&host, "run/fleetdeploy-trial-over") && exists(&host, &format!("{FOLDER}/over")));
        assert!(!exists(&host, "run/fleetdeploy/lease") && exists(&host, HOLD));
        assert_eq!(host.text("proc/sys/kernel/panic"), "0\n");
    }
    assert!(host.text("log").contains("watchdog 60000000\n"));
    let said = standing(&host).await;
    assert!(
        said.contains("guard disarmed r-1\njob keep exited 0\ntrial_run r-1\ntrial_over yes\n")
            && said.contains(" proven,over "),
        "{said}"
    );

    let rows: [(&str, &str, Change); 6] = [
        ("other_boot", BOOT_ID, |_| {}),
        ("other", OTHER_BOOT, |host| host.remove(&format!("{FOLDER}/proven"))),
        ("other", OTHER_BOOT, |host| host.write("proc/cmdline", "quiet\n")),
        ("moved", OTHER_BOOT, |host| host.write("boot-default", A)),
        ("busy", OTHER_BOOT, |host| host.write("works", "")),
        ("no_guard", OTHER_BOOT, |host| std::fs::remove_dir_all(host.path("run/fleetdeploy/token")).unwrap()),
    ];
    for (reason, boot, change) in rows {
        let host = proven().await;
        change(&host);
        let armed = token(&host);
        assert_eq!(refusal(&host, "end_trial.sh", &format!("r-1 {boot}")).await, reason);
        assert_eq!((token(&host), exists(&host, "run/fleetdeploy-trial-over")), (armed, false), "{reason}");
    }
    // Its guard was quicker, and does the same.
    let host = proven().await;
    fire(&host);
    assert_eq!(refusal(&host, "end_trial.sh", &format!("r-1 {OTHER_BOOT}")).await, "");
    assert!(exists(&host, "run/fleetdeploy-trial-over") && !exists(&host, "run/fleetdeploy/lease"));
    host.remove(&format!("{FOLDER}/proven"));
    assert_eq!(refusal(&host, "end_trial.sh", &format!("r-1 {OTHER_BOOT}")).await, "fired");
}

#[tokio::test]
async fn a_guard_that_fires_in_the_old_boot_puts_the_loader_back_and_lets_this_boot_be() {
    for shell in shells() {
        let host = registered().await;
        host.write("next-boot", "fleetdeploy-trial.conf");
        fire(&host);
        guard(&host, shell, FIRE).await;
        assert_eq!((host.text("log").as_str(), host.text("boot-default").trim()), ("boot 2\n", B));
        assert!(!exists(&host, OURS) && !exists(&host, "next-boot") && !exists(&host, "run/fleetdeploy/lease"));
        assert_eq!((token(&host).as_str(), host.text("proc/sys/kernel/panic").as_str()), ("fired-1300", "0\n"));
        let trace = host.text(&format!("{FOLDER}/trace"));
        assert!(trace.starts_with("the guard of run r-1 (ada@laptop, ") && trace.contains("no reboot"), "{trace}");
        assert_eq!(host.leads_to("run/current-system").as_deref(), Some(B));
        assert!(standing(&host).await.contains("\ntrial_trace r-1 the guard of run r-1 ("));
    }
    // Nothing was registered: there is nothing to put back.
    let host = armed().await;
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!((host.text("log").as_str(), host.text("boot-default").trim()), ("", B));
    // The default reads as it should, and the installer was at work all the same.
    let host = registered().await;
    host.write("boot-default", B);
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!(host.text("log"), "boot 2\n");
    // What cannot be put back is said, and is no reason to reboot.
    let host = registered().await;
    host.write("fails-2", "");
    fire(&host);
    guard(&host, "bash", FIRE).await;
    let trace = host.text(&format!("{FOLDER}/trace"));
    assert!(
        trace.contains("NOT all could be put back (try 2 of 2)") && !host.text("log").contains("REBOOT"),
        "{trace}"
    );
    assert!(!exists(&host, "run/fleetdeploy/lease") && !exists(&host, OURS));
    // A next boot of ours that cannot be emptied keeps its entry.
    let host = registered().await;
    host.write("next-boot", "fleetdeploy-trial.conf");
    host.write("stuck", "");
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert!(exists(&host, OURS) && exists(&host, &format!("{FOLDER}/plan")));
    // A person has switched since: that overrules all that was registered.
    let host = registered().await;
    host.remove("nix/var/nix/profiles/system");
    host.link("nix/var/nix/profiles/system-3-link", C);
    host.link("nix/var/nix/profiles/system", "system-3-link");
    host.write("boot-default", C);
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!((host.text("log").as_str(), host.text("boot-default").trim()), ("", C));
    let trace = host.text(&format!("{FOLDER}/trace"));
    assert!(trace.contains(&format!("somebody has moved this host to {C}, and that stays")), "{trace}");
    // Its plan is lost: what outlives it says the same.
    let host = registered().await;
    host.write("run/fleetdeploy/plan", "r\n");
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!((host.text("log").as_str(), exists(&host, "run/fleetdeploy/lease")), ("boot 2\n", false));
    // An order that came with the deadline is not followed any more.
    let host = going().await;
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!(
        (host.text("run/fleetdeploy/go-failed").as_str(), host.text("log").as_str()),
        ("the deadline came first\n", "boot 2\n")
    );
}

#[tokio::test]
async fn a_guard_that_fires_in_the_trial_reboots_whatever_else_fails_and_activates_nothing() {
    let rows: [(&str, Change); 6] = [
        ("REBOOT\n", |_| {}),
        // A step that failed half-way, or a person.
        ("boot 1\nREBOOT\n", |host| host.write("boot-default", B)),
        ("boot 1\nREBOOT\n", |host| {
            host.write("boot-default", B);
            host.write("fails-1", "");
        }),
        ("REBOOT\n", |host| host.write("boot-default", "")),
        ("REBOOT\n", |host| {
            host.write("next-boot", "fleetdeploy-trial.conf");
            host.write("stuck", "");
        }),
        ("REBOOT\n", |host| host.write("boot-files-1", "unproven it was not read within 10 s")),
    ];
    for (at, (log, change)) in rows.into_iter().enumerate() {
        for shell in shells() {
            let host = in_trial().await;
            change(&host);
            fire(&host);
            guard(&host, shell, FIRE).await;
            assert_eq!(host.text("log"), log, "{at} {shell}: {}", host.text("run/fleetdeploy/jobs/guard.log"));
            assert_eq!(host.leads_to("nix/var/nix/profiles/system").as_deref(), Some("system-2-link"));
            assert!(host.text(&format!("{FOLDER}/trace")).contains("reboots"), "{at}");
        }
    }
    let host = in_trial().await;
    host.write("boot-files-1", "bad the initrd is missing");
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!(host.text("log").lines().collect::<Vec<_>>(), ["watchdog 60000000"], "a reboot would be worse");
    assert!(
        host.text(&format!("{FOLDER}/trace")).contains("NOT rebooting"),
        "{}",
        host.text(&format!("{FOLDER}/trace"))
    );
    assert!(!exists(&host, "run/fleetdeploy/lease") && exists(&host, "run/fleetdeploy-trial-over"));

    let host = proven().await;
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!(host.text("log"), "watchdog 60000000\n", "what is proven stays");
    assert!(exists(&host, "run/fleetdeploy-trial-over") && exists(&host, &format!("{FOLDER}/over")));
    assert_eq!(host.text("boot-default").trim(), B);
}

/// The line alone says that this is a trial.
#[tokio::test]
async fn in_a_trial_whose_plan_is_lost_the_guard_reboots_all_the_same_unless_it_is_proven() {
    for shell in shells() {
        let host = in_trial().await;
        host.write("run/fleetdeploy/plan", "r\n");
        fire(&host);
        guard(&host, shell, FIRE).await;
        assert_eq!(host.text("log"), "REBOOT\n", "{shell}");
    }
    let host = proven().await;
    host.write("run/fleetdeploy/plan", "r\n");
    fire(&host);
    guard(&host, "bash", FIRE).await;
    assert_eq!((host.text("log").as_str(), exists(&host, "run/fleetdeploy-trial-over")), ("", true));
}

/// Nothing of it would let go of the host otherwise but the power.
#[tokio::test]
async fn a_trial_without_a_guard_is_left_by_a_reboot_of_its_own_run() {
    host_reboots(true, |host| host.remove("lives")).await;
    host_reboots(true, |host| {
        host.remove("lives");
        host.write("next-boot", "fleetdeploy-trial.conf");
    })
    .await;
    // It came up without one, and the hold is over.
    host_reboots(true, |host| {
        host.remove("lives");
        std::fs::remove_dir_all(host.path("run/fleetdeploy")).unwrap();
        host.remove(HOLD);
    })
    .await;
    host_reboots(false, |_| {}).await;
    host_reboots(false, |host| {
        host.remove("lives");
        host.write("next-boot", "windows.conf");
    })
    .await;
    host_reboots(false, |host| {
        host.remove("lives");
        host.write("next-boot", "fleetdeploy-trial.conf");
        host.write("stuck", "");
    })
    .await;
    host_reboots(false, |host| {
        host.remove("lives");
        host.write("run/fleetdeploy/lease", "r-2 1 bob@desk\n");
    })
    .await;
    // One that was kept is rebooted as any other host.
    host_reboots(false, |host| {
        host.remove("lives");
        host.write("run/fleetdeploy-trial-over", "");
    })
    .await;
}

async fn host_reboots(expected: bool, change: Change) {
    let host = in_trial().await;
    change(&host);
    let systemctl = std::fs::read_to_string(host.path("fake/systemctl")).unwrap();
    let reboots = "case $1 in reboot) echo reboot >>\"$FLEETDEPLOY_ROOT/log\" ;; esac";
    host.program("systemctl", &format!("{reboots}\n{systemctl}"));
    let refused = refusal(&host, "reboot.sh", &format!("r-1 {OTHER_BOOT} B B A")).await;
    assert_eq!(refused.is_empty(), expected, "{refused}");
    assert_eq!(host.text("log").contains("reboot"), expected, "{refused}");
    assert!(!expected || !exists(&host, "next-boot"));
}

#[tokio::test]
async fn a_guard_that_is_killed_while_it_fires_does_all_of_it_when_it_is_started_again() {
    let words = format!("{LOADER}\n{FIRE}");
    for trial in [false, true] {
        let mut at = 1;
        loop {
            let host = if trial { in_trial().await } else { registered().await };
            if trial {
                host.write("boot-default", B);
            } else {
                host.write("next-boot", "fleetdeploy-trial.conf");
            }
            fire(&host);
            let killed = run_killed(&host, "bash", &GUARD, &words, at).await;
            std::fs::remove_dir_all(host.path("counting")).unwrap();
            guard(&host, "bash", FIRE).await;
            let log = host.text("log");
            if trial {
                assert!(log.ends_with("REBOOT\n") && host.text("boot-default").trim() == A, "killed at {at}: {log}");
            } else {
                assert!(!log.contains("REBOOT") && host.text("boot-default").trim() == B, "killed at {at}: {log}");
                assert!(!exists(&host, OURS) && !exists(&host, "next-boot"), "killed at {at}");
                assert!(!exists(&host, "run/fleetdeploy/lease"), "killed at {at}");
            }
            assert_eq!(host.leads_to("run/current-system").as_deref(), Some(B), "nothing is activated");
            if !killed {
                break;
            }
            at += 1;
        }
        assert!(at > 3, "nothing was killed");
    }
}

#[tokio::test]
async fn firing_and_tending_change_the_token_and_the_unit_alone() {
    let host = armed().await;
    assert_eq!(refusal(&host, "fire.sh", &format!("r-1 {OTHER_BOOT}")).await, "other_boot");
    assert_eq!(refusal(&host, "fire.sh", "r-2 BOOT").await, "no_guard");
    assert_eq!(refusal(&host, "tend.sh", "r-2 BOOT").await, "no_guard");
    assert_eq!((refusal(&host, "tend.sh", "r-1 BOOT").await.as_str(), host.text("log").as_str()), ("", ""), "it lives");
    host.remove("lives");
    assert!(standing(&host).await.contains("guard dead r-1 1300\n"));
    assert_eq!((refusal(&host, "tend.sh", "r-1 BOOT").await.as_str(), token(&host).as_str()), ("", "armed-1300"));
    assert_eq!(host.text("log"), "guard\n");
    for _ in 0..2 {
        assert_eq!((refusal(&host, "fire.sh", "r-1 BOOT").await.as_str(), token(&host).as_str()), ("", "fired-1300"));
    }
    host.remove("lives");
    assert_eq!((refusal(&host, "tend.sh", "r-1 BOOT").await.as_str(), exists(&host, "lives")), ("", true));
    std::fs::remove_dir_all(host.path("run/fleetdeploy/token")).unwrap();
    assert_eq!(refusal(&host, "tend.sh", "r-1 BOOT").await, "no_guard");
    assert_eq!(refusal(&host, "fire.sh", "r-1 BOOT").await, "no_guard");
}

#[tokio::test]
async fn cleaning_takes_all_of_a_trial_that_is_over_and_remembers_one_that_went_back() {
    // It gave up in the old boot.
    let host = registered().await;
    fire(&host);
    guard(&host, "bash", FIRE).await;
    host.remove("lives");
    for _ in 0..2 {
        assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
        assert!(!exists(&host, "nix/var/nix/gcroots/fleetdeploy/.trial") && !exists(&host, "run/fleetdeploy/plan"));
        assert!(exists(&host, HOLD) && standing(&host).await == "guard none\n");
    }
    // It was kept.
    let host = proven().await;
    assert_eq!(refusal(&host, "end_trial.sh", &format!("r-1 {OTHER_BOOT}")).await, "");
    assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
    assert!(!exists(&host, FOLDER) && !exists(&host, OURS) && exists(&host, "run/fleetdeploy-trial-over"));
    // The unit of this boot's line finds its program gone, and does nothing.
    assert_eq!(standing(&host).await, "guard none\ntrial_run r-1\ntrial_over yes\n");
    // It went back.
    let host = registered().await;
    host.write(&format!("{FOLDER}/trace"), "the guard of run r-1 (ada@laptop, epoch 1) fired\n");
    reboot(&host, A, "");
    for why in ["'no login for 45 s'", "'other words'"] {
        assert_eq!(refusal(&host, "clean_trial.sh", &format!("r-1 {why}")).await, "");
        assert_eq!(host.text(&format!("{FOLDER}/failed")), "no login for 45 s\n", "the first word stays");
        let left = ["plan", "old", "new", "guard.sh", "begin.sh", "entry"];
        let left: Vec<&str> = left.into_iter().filter(|file| exists(&host, &format!("{FOLDER}/{file}"))).collect();
        assert_eq!((left, exists(&host, OURS)), (vec!["plan", "old"], false));
    }
    // What it says is over once the profile is another system, or the new one was booted.
    host.remove("nix/var/nix/profiles/system");
    host.link("nix/var/nix/profiles/system", "system-1-link");
    assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
    assert!(!exists(&host, FOLDER));
}

/// The guard gave up in the old boot, and a person has switched since: what is cleaned is the trial, and no more.
#[tokio::test]
async fn a_late_clean_up_leaves_a_person_s_own_switch() {
    for is_theirs in [true, false] {
        let host = registered().await;
        host.write("fails-2", "");
        fire(&host);
        guard(&host, "bash", FIRE).await;
        for file in ["lives", "fails-2", "log"] {
            host.remove(file);
        }
        assert_eq!(host.text("boot-default").trim(), A, "it could not be put back");
        if is_theirs {
            host.remove("nix/var/nix/profiles/system");
            host.link("nix/var/nix/profiles/system-3-link", C);
            host.link("nix/var/nix/profiles/system", "system-3-link");
            host.write("boot-default", C);
        }
        assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
        let (default, log) = if is_theirs { (C, "") } else { (B, "boot 2\n") };
        assert_eq!((host.text("boot-default").trim(), host.text("log").as_str()), (default, log));
        assert!(!exists(&host, FOLDER));
    }
}

#[tokio::test]
async fn nothing_is_cleaned_under_a_guard_or_from_under_another_run_s_trial() {
    let host = armed().await;
    assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "other");
    assert_eq!(refusal(&host, "clean_trial.sh", "r-0 why").await, "other", "a guard of any run");
    fire(&host);
    assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "other", "it is at work");
    assert!(exists(&host, FOLDER));
    // A next boot of ours that cannot be emptied keeps all that guards it.
    let host = registered().await;
    reboot(&host, A, "");
    host.write("next-boot", "fleetdeploy-trial.conf");
    host.write("stuck", "");
    assert!(refusal(&host, "clean_trial.sh", "r-1 why").await.starts_with("failed the next boot cannot be emptied"));
    assert!(exists(&host, OURS) && exists(&host, &format!("{FOLDER}/guard.sh")));
    // Another's entry and next boot stay, its survivor is there.
    host.write("nix/var/nix/gcroots/fleetdeploy/.trial/r-2/plan", "run r-2\n");
    host.write(OURS, host.text(OURS).replace("fleetdeploy.trial=r-1 ", "fleetdeploy.trial=r-2 "));
    assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
    assert!(exists(&host, OURS) && exists(&host, "next-boot"));
    // In the boot of a trial its unit is quiet first, or nothing is done.
    let host = registered().await;
    reboot(&host, B, "fleetdeploy.trial=r-1");
    std::fs::create_dir(host.path("run/fleetdeploy-trial-over")).unwrap();
    assert!(refusal(&host, "clean_trial.sh", "r-1 why").await.starts_with("failed cannot write"));
    assert!(exists(&host, FOLDER));
    // What came up without its guard is not proven, and the next reboot brings the old system.
    std::fs::remove_dir(host.path("run/fleetdeploy-trial-over")).unwrap();
    assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
    assert_eq!(host.text(&format!("{FOLDER}/failed")), "why\n");
}

/// The lease of its own trial is not another's; and what holds the host is renewed beside its guard.
#[tokio::test]
async fn a_rolling_reboot_renews_its_hold_beside_its_own_trial_and_lets_go_after_it() {
    let host = armed().await;
    let hold = |run: &str, latest: &str| format!("{run} ada@laptop BOOT {latest} 9999");
    assert_eq!(refusal(&host, "hold.sh", &hold("r-1", "-")).await, "");
    assert!(host.text(HOLD).contains(" 10999 9999 "));
    assert_eq!(refusal(&host, "hold.sh", &hold("r-2", "1020")).await, "foreign_lease");
    assert_eq!((refusal(&host, "let_go.sh", "r-1").await.as_str(), exists(&host, HOLD)), ("other", true));
    host.remove(HOLD);
    assert_eq!(refusal(&host, "hold.sh", &hold("r-1", "-")).await, "ended");
    host.write(HOLD, format!("r-2 {BOOT_ID} 9000 8000 bob@desk\n"));
    assert_eq!(refusal(&host, "hold.sh", &hold("r-1", "-")).await, "foreign_lease");
    host.write(HOLD, format!("r-1 {BOOT_ID} 9000 8000 ada@laptop\n"));
    fire(&host);
    assert_eq!((refusal(&host, "let_go.sh", "r-1").await.as_str(), exists(&host, HOLD)), ("", false));
    // A push of that name is none of its trials.
    let host = armed().await;
    host.write("run/fleetdeploy/plan", host.text("run/fleetdeploy/plan").replace("action trial", "action reboot"));
    assert_eq!(refusal(&host, "hold.sh", &hold("r-1", "-")).await, "foreign_lease");
}

/// It is on the host until a push has committed there, and holds up none.
#[tokio::test]
async fn a_push_that_commits_forgets_a_trial_that_went_back_and_one_that_goes_back_does_not() {
    for (side, is_remembered) in [("old", true), ("-", true), ("new", false)] {
        let host = registered().await;
        reboot(&host, A, "");
        assert_eq!(refusal(&host, "clean_trial.sh", "r-1 why").await, "");
        host.remove(HOLD);
        host.link("nix/var/nix/gcroots/fleetdeploy/r-9/new", C);
        let arm = format!("r-9 1 bob@desk {OTHER_BOOT} {A} {B} {A} 2000 500 reboot - LIB GUARD JOB vps");
        assert_eq!(refusal(&host, "arm.sh", &arm).await, "");
        assert!(exists(&host, FOLDER) && token(&host) == "armed-530");
        let token = |state: &str| host.path(&format!("run/fleetdeploy/token/{state}-530"));
        std::fs::rename(token("armed"), token("disarmed")).unwrap();
        host.remove("lives");
        assert_eq!(refusal(&host, "clean.sh", &format!("r-9 1 {side}")).await, "");
        assert_eq!(exists(&host, FOLDER), is_remembered, "{side}");
        assert_eq!(exists(&host, "nix/var/nix/gcroots/fleetdeploy"), is_remembered, "{side}");
    }
}
