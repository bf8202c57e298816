//! Rare reasons of the program where no host is reached: each is brought about, and told with its code.
//!
//! What the program runs is what a test has put into its folder of programs; an ssh or a nix there says what a real one
//! says when it fails so.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fleetdeploy::event::Outcome;
use fleetdeploy::inventory::model::HostName;
use fleetdeploy::local::process::{Finished, Invocation};
use fleetdeploy::record::folder::StateFolder;
use fleetdeploy::record::journal::{JournalEntry, RollingStarted};
use fleetdeploy::record::lock::FleetLock;
use serde_json::Value;

#[path = "support/codes.rs"]
#[expect(dead_code, reason = "a program says its end itself")]
mod codes;
#[path = "support/recorded.rs"]
mod recorded;

const INVENTORY: &str =
    "hosts: {vps: , nas: }\nfleets: {homelab: {hosts: all, flake: .}, office: {hosts: nas, flake: .}}\n";

const LONG: Duration = Duration::from_secs(60);

/// Knows every host by its config, and reaches none.
const SSH: &str = "for word; do [ \"$word\" != -G ] || { echo 'hostname nowhere.invalid'; exit 0; }; done
[ \"$1\" != -V ] || { echo 'OpenSSH_10.0p2, OpenSSL 3.5.1' >&2; exit; }
echo 'ssh: connect to host nowhere.invalid port 22: Connection refused' >&2
exit 255";

/// Is there, and evaluates nothing.
const NIX: &str = "case $* in
*--version*) echo 'nix (Nix) 2.31.2' ;;
*'store ping'* | *'store info'*) echo '{\"url\":\"daemon\",\"version\":\"2.31.2\",\"trusted\":1}' ;;
*) echo 'error: attribute missing' >&2; exit 1 ;;
esac";

/// A person's folder with an inventory, and all that the program finds of the workstation.
struct Desk {
    home: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { home: tempfile::tempdir().unwrap() };
        desk.inventory(INVENTORY);
        desk.program("ssh", SSH);
        desk.program("nix", NIX);
        for tool in ["sh", "sleep", "cat"] {
            let found = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(tool));
            symlink(found.iter().find(|path| path.exists()).unwrap(), desk.path(&format!("programs/{tool}"))).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn inventory(&self, text: &str) {
        self.write("inventory.yaml", text);
    }

    /// What the program finds under this name.
    fn program(&self, name: &str, text: &str) {
        let file = format!("programs/{name}");
        self.write(&file, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(self.path(&file), Permissions::from_mode(0o755)).unwrap();
    }

    fn without_program(&self, name: &str) {
        std::fs::remove_file(self.path("programs").join(name)).unwrap();
    }

    fn invocation(&self, words: &[&str]) -> Invocation {
        Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), LONG)
            .arg("--json")
            .args(words)
            .env("XDG_STATE_HOME", self.path("state"))
            .env("HOME", self.home.path())
            .env("PATH", self.path("programs"))
            .env("TZ", "UTC")
            .folder(self.home.path())
    }

    /// Runs the program, which tells these codes among others.
    async fn tells(&self, words: &[&str], wanted: &[&str]) -> Finished {
        self.tells_in(self.invocation(words), wanted).await
    }

    /// The same in a world that was made for it.
    async fn tells_in(&self, program: Invocation, wanted: &[&str]) -> Finished {
        let finished = program.run().await.unwrap();
        let said = finished.stdout_text();
        codes::keep_lines(&said);
        let mut told = BTreeSet::new();
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|event: Value| {
            codes::of(&event, &mut told);
        });
        let untold: Vec<_> = wanted.iter().filter(|code| !told.contains(**code)).collect();
        assert!(untold.is_empty(), "{untold:?} is not among {told:?}\n{said}\n{}", finished.stderr_text());
        finished
    }

    /// A rolling reboot of `vps` that has not come to its end.
    fn rolling_reboot(&self) -> String {
        let state = StateFolder::at(self.path("state/fleetdeploy"));
        let (run, mut journal) = state.create_run("homelab", SystemTime::now()).unwrap();
        let rolling = RollingStarted {
            fleet: "homelab".to_owned(),
            inventory: self.path("inventory.yaml"),
            owner: "ada@laptop".to_owned(),
            hosts: vec![(HostName::new("vps").unwrap(), "b".to_owned())],
        };
        journal.append(&JournalEntry::Rolling(rolling)).unwrap();
        run.id().to_string()
    }

    fn run_of(&self, fleet: &str, outcome: Option<Outcome>) -> String {
        recorded::run_of(self.home.path(), fleet, outcome)
    }
}

#[tokio::test]
async fn failed_hosts_of_no_run_are_a_mistake() {
    let desk = Desk::new();
    desk.tells(&["push", "homelab", "--on", "@failed"], &["failed-not-recorded"]).await;
    desk.tells(&["inventory", "list", "--on", "@failed"], &["failed-of-no-run"]).await;
    desk.tells(&["show", "last-failed"], &["no-run-recorded"]).await;
    let committed = desk.run_of("homelab", Some(Outcome::Committed));
    desk.tells(&["rollback", "homelab"], &["connection-refused"]).await;
    std::fs::remove_dir_all(desk.path("state/fleetdeploy/runs").join(committed)).unwrap();
    desk.inventory("hosts: {web: }\nfleets: {homelab: {hosts: all, flake: .}}\n");
    desk.tells(&["push", "homelab", "--on", "@failed"], &["failed-hosts-gone"]).await;
    desk.inventory(INVENTORY);
    // As far as the record goes of a push that died in the middle.
    let runs = desk.path("state/fleetdeploy/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap().path().join("events.jsonl");
    let events = std::fs::read_to_string(&run).unwrap();
    std::fs::write(&run, events.lines().next().unwrap().to_owned() + "\n").unwrap();
    desk.tells(&["push", "homelab", "--on", "@failed"], &["failed-not-known"]).await;
    let good = events.replace("\"outcome\":\"refused\"", "\"outcome\":\"unchanged\"");
    let good = good.replace("\"outcome\":\"untouched\"", "\"outcome\":\"unchanged\"");
    std::fs::write(&run, good).unwrap();
    desk.tells(&["push", "homelab", "--on", "@failed"], &["nobody-failed"]).await;
    desk.tells(&["show", "last-failed"], &["no-run-failed"]).await;
}

#[tokio::test]
async fn an_inventory_that_cannot_be_read_is_named() {
    let desk = Desk::new();
    desk.tells(&["--inventory", "nowhere.yaml", "check", "homelab"], &["inventory-missing"]).await;
    // Nothing is at its beginning, which cannot be read.
    desk.tells(&["--inventory", "/proc/self/mem", "check", "homelab"], &["inventory-unreadable"]).await;
    desk.tells(&["check", "homelab", "--on", "["], &["pattern-mistaken"]).await;
    // Root alone can give a file to somebody else.
    if nix::unistd::geteuid().is_root() {
        chown(desk.path("inventory.yaml"), Some(4242), None).unwrap();
        std::fs::create_dir(desk.path("below")).unwrap();
        let below = desk.invocation(&["check", "homelab"]).folder(desk.path("below"));
        desk.tells_in(below, &["inventory-not-ours"]).await;
    }
}

#[tokio::test]
async fn what_cannot_be_imported_says_why() {
    let desk = Desk::new();
    let import = |tool: &'static str, rest: &[&'static str]| -> Vec<&'static str> {
        [&["inventory", "import", "--from", tool][..], rest].concat()
    };
    desk.tells(&import("ansible", &[]), &["ansible-file-not-named"]).await;
    desk.tells(&import("ansible", &["nowhere.ini"]), &["source-unreadable"]).await;
    desk.write("broken.yaml", "all: [\n");
    desk.tells(&import("ansible", &["broken.yaml"]), &["source-not-understood"]).await;
    desk.write("empty.ini", "[web]\n");
    desk.tells(&import("ansible", &["empty.ini"]), &["source-has-no-hosts"]).await;
    desk.write("good.ini", "vps\n");
    desk.tells(&import("ansible", &["good.ini", "--output", "inventory.yaml"]), &["file-there"]).await;
    desk.tells(&import("ansible", &["good.ini", "--output", "no/folder.yaml"]), &["file-unwritable"]).await;
    desk.tells(&import("deploy-rs", &[".#deploy"]), &["flake-with-output"]).await;
    desk.tells(&import("deploy-rs", &["."]), &["source-not-evaluated"]).await;
    let homeless = desk.invocation(&import("ssh-config", &[])).env("HOME", "");
    desk.tells_in(homeless, &["home-unknown"]).await;
}

#[tokio::test]
async fn a_record_that_cannot_be_written_or_read_says_why() {
    let desk = Desk::new();
    let elsewhere = |words: &[&str], state: &str| desk.invocation(words).env("XDG_STATE_HOME", state);
    let in_a_file = desk.path("inventory.yaml/state");
    let wanted = ["nothing-without-record", "record-write-failed"];
    desk.tells_in(elsewhere(&["push", "homelab"], in_a_file.to_str().unwrap()), &wanted).await;
    let wanted = ["records-unwritable", "not-a-folder"];
    desk.tells_in(elsewhere(&["doctor", "homelab"], in_a_file.to_str().unwrap()), &wanted).await;
    desk.tells_in(elsewhere(&["runs"], "").env("HOME", ""), &["record-place-unknown"]).await;
    desk.tells_in(elsewhere(&["doctor", "homelab"], "").env("HOME", ""), &["place-unknown"]).await;

    let held =
        FleetLock::take(&StateFolder::at(desk.path("state/fleetdeploy")), "homelab", &desk.path("inventory.yaml"));
    desk.tells(&["push", "homelab"], &["fleet-in-use"]).await;
    drop(held);

    let run = desk.run_of("homelab", Some(Outcome::Committed));
    let journal = desk.path(&format!("state/fleetdeploy/runs/{run}/journal.jsonl"));
    let lines = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, format!("no entry\n{lines}")).unwrap();
    desk.tells(&["rollback", "homelab", "--to", &run], &["journal-entry-unknown"]).await;
    std::fs::write(&journal, lines.replace("\"format\":", "\"format\":99")).unwrap();
    desk.tells(&["rollback", "homelab", "--to", &run], &["record-of-newer-version"]).await;
    std::fs::remove_dir_all(desk.path("state/fleetdeploy/runs")).unwrap();
    desk.write("state/fleetdeploy/runs", "");
    desk.tells(&["runs"], &["record-read-failed"]).await;
}

#[tokio::test]
async fn what_a_command_needs_of_this_workstation_is_named_when_it_is_missing() {
    let desk = Desk::new();
    desk.tells(&["man", "--all", "inventory.yaml/pages"], &["pages-unwritable"]).await;
    desk.tells(&["recover"], &["no-run-unfinished"]).await;
    desk.write("empty.jsonl", "");
    desk.tells(&["replay", "empty.jsonl"], &["nothing-to-replay"]).await;
    let gone = "mkdir gone && cd gone && rmdir ../gone && exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_fleetdeploy");
    let shell = Invocation::new("/bin/sh", LONG).args(["-c", gone, "sh", program, "--json", "check", "homelab"]);
    desk.tells_in(shell.folder(desk.home.path()), &["folder-unknown"]).await;
    let shell = Invocation::new("/bin/sh", LONG)
        .args(["-c", "ulimit -n 8; exec \"$@\"", "sh", program, "--json", "check", "homelab"])
        .env("XDG_STATE_HOME", desk.path("state"));
    desk.tells_in(shell.folder(desk.home.path()), &["program-not-served"]).await;

    desk.program("nix", "echo 'nix (Nix) 2.3.16'");
    desk.tells(&["doctor", "homelab"], &["nix-too-old"]).await;
    desk.tells(&["build", "homelab"], &["workstation-nix-old"]).await;
    desk.program("nix", "case $* in *--version*) echo 'nix (Nix) 2.31.2' ;; *) exit 1 ;; esac");
    desk.tells(&["doctor", "homelab"], &["nix-store-silent"]).await;
    desk.inventory(&INVENTORY.replace("vps: ", "vps: {user: ada, become: sudo-password}"));
    desk.tells(&["check", "homelab"], &["password-needs-terminal"]).await;
}

#[tokio::test]
async fn an_ssh_that_does_not_say_its_config_is_named() {
    let desk = Desk::new();
    desk.program("ssh", "echo '/root/.ssh/config: line 3: Bad configuration option: hots' >&2; exit 255");
    desk.tells(&["check", "homelab"], &["ssh-config-unreadable"]).await;
    let circle = "for word; do last=$word; done
        case $last in *vps*) echo 'proxyjump nas.invalid' ;; *) echo 'proxyjump vps.invalid' ;; esac; echo hostname x";
    desk.program("ssh", circle);
    desk.inventory(
        &INVENTORY.replace("vps: ", "vps: {address: vps.invalid}").replace("nas: ", "nas: {address: nas.invalid}"),
    );
    desk.tells(&["check", "homelab"], &["jumps-in-circle"]).await;
    desk.program("ssh", "exec sleep 600");
    desk.tells(&["check", "homelab"], &["ssh-config-slow"]).await;
    desk.without_program("ssh");
    desk.tells(&["check", "homelab"], &["ssh-config-not-asked"]).await;
    let asked = desk.tells(&["doctor", "homelab"], &["ssh-missing"]).await;
    assert_eq!(asked.status, Some(1), "{}", asked.stderr_text());
}

#[tokio::test]
async fn a_login_that_fails_has_a_cause() {
    let desk = Desk::new();
    let config = SSH.lines().next().unwrap();
    let said = |line: &str| format!("{config}\necho '{line}' >&2\nexit 255");
    desk.program("ssh", &said("ssh: Could not resolve hostname nowhere.invalid: Name or service not known"));
    desk.tells(&["check", "homelab"], &["name-unknown"]).await;
    desk.program("ssh", &format!("{config}\nwhile :; do echo it is far too long; done >&2"));
    desk.tells(&["check", "homelab", "--on", "vps"], &["login-too-long"]).await;
    // It tells its config twice, and is gone afterwards.
    desk.program("ssh", "echo 'hostname nowhere.invalid'; mv $0.again $0 || mv $0 $0.gone");
    desk.program("ssh.again", "echo 'hostname nowhere.invalid'; mv $0 $0.gone");
    let mv = ["/bin/mv", "/usr/bin/mv"].into_iter().find(|path| Path::new(path).exists()).unwrap();
    symlink(mv, desk.path("programs/mv")).unwrap();
    desk.inventory("hosts: {vps: }\nfleets: {homelab: {hosts: all, flake: .}}\n");
    desk.tells(&["check", "homelab"], &["ssh-not-started"]).await;
}

#[tokio::test]
async fn a_hook_that_does_not_end_well_is_told() {
    let desk = Desk::new();
    let with = |hooks: &str| {
        desk.inventory(&format!("hosts: {{vps: }}\nfleets: {{homelab: {{hosts: all, flake: ., hooks: {hooks}}}}}\n"));
    };
    with("{before: [kill -9 $$]}");
    desk.tells(&["push", "homelab"], &["hook-killed"]).await;
    with("{before: [{command: sleep 60, timeout: 1s}]}");
    desk.tells(&["push", "homelab"], &["hook-timed-out"]).await;
    with("{before: ['kill -INT $PPID; sleep 60']}");
    desk.tells(&["push", "homelab"], &["interrupted-in-hook"]).await;
    with("{after_abort: [exit 3]}");
    desk.tells(&["push", "homelab"], &["after-hook-failed"]).await;
    with("{after_abort: ['kill -INT $PPID; sleep 60', 'true']}");
    desk.tells(&["push", "homelab"], &["hooks-interrupted"]).await;
    desk.without_program("sh");
    with("{before: [exit 0]}");
    desk.tells(&["push", "homelab"], &["hook-not-run"]).await;
}

#[tokio::test]
async fn a_signal_before_any_host_has_answered_a_recovery_is_its_end() {
    let desk = Desk::new();
    let config = SSH.lines().next().unwrap();
    desk.program("ssh", &format!("{config}\nkill -INT $PPID; exec sleep 60"));
    desk.tells(&["recover", "homelab"], &["interrupted-unanswered"]).await;
    desk.run_of("homelab", None);
    desk.tells(&["recover", "homelab"], &["interrupted-before-take-over"]).await;
}

#[tokio::test]
async fn an_answer_of_nix_that_cannot_be_is_told_as_that() {
    let desk = Desk::new();
    let [derivation, output] = ["a", "b"].map(|hash| format!("/nix/store/{}-nixos-system-nas-1", hash.repeat(32)));
    let nix = |eval: &str, build: &str| {
        desk.program(
            "nix",
            &format!("case $* in *--version*) echo 'nix (Nix) 2.31.2' ;; *' build '*) {build} ;; *) {eval} ;; esac"),
        );
    };
    let office = ["build", "office"];
    nix("echo 42", "true");
    desk.tells(&office, &["evaluation-senseless"]).await;
    desk.tells(&["inventory", "import", "--from", "deploy-rs", "."], &["import-answer-senseless"]).await;
    let found = format!("echo '[{{\"found\":{{\"derivation\":\"{derivation}.drv\",\"output\":\"{output}\"}}}}]'");
    nix(&found, "echo 'error: it is tired' >&2; exit 1");
    // All is valid, then nothing is, then nobody knows.
    desk.program("nix-store", "true");
    desk.tells(&office, &["nix-failed-after-build"]).await;
    desk.program("nix-store", &format!("echo {output}"));
    desk.tells(&office, &["system-not-built"]).await;
    desk.program("nix-store", "exit 1");
    desk.tells(&office, &["build-not-seen"]).await;
    let nowhere = desk.invocation(&office).env("TMPDIR", desk.path("nowhere"));
    desk.tells_in(nowhere, &["no-temporary-folder"]).await;
    // It leaves no folder for the roots when it evaluates.
    desk.write("tmp/there", "");
    nix(&format!("rm -r {0}; echo >{0}; {found}", desk.path("tmp").display()), "true");
    let removed = desk.invocation(&office).env("TMPDIR", desk.path("tmp"));
    symlink(
        ["/bin/rm", "/usr/bin/rm"].into_iter().find(|path| Path::new(path).exists()).unwrap(),
        desk.path("programs/rm"),
    )
    .unwrap();
    desk.tells_in(removed, &["roots-folder-missing"]).await;
}

#[tokio::test]
async fn what_an_earlier_run_left_open_or_was_without_keeps_a_command_from_it() {
    let desk = Desk::new();
    let committed = desk.run_of("homelab", Some(Outcome::Committed));
    let journal = desk.path(&format!("state/fleetdeploy/runs/{committed}/journal.jsonl"));
    let lines = std::fs::read_to_string(&journal).unwrap();
    let (first, rest) = lines.split_once('\n').unwrap();
    let mut first: Value = serde_json::from_str(first).unwrap();
    first["without"] = serde_json::json!(["nas"]);
    std::fs::write(&journal, format!("{first}\n{rest}")).unwrap();
    let passed = desk.tells(&["rollback", "homelab", "--on", "nas"], &["all-passed-over"]).await;
    assert_eq!(passed.status, Some(2), "{}", passed.stdout_text());

    desk.rolling_reboot();
    let open = desk.tells(&["guard", "arm", "homelab"], &["rolling-reboot-open"]).await;
    assert_eq!(open.status, Some(1), "{}", open.stdout_text());
    // The record of each is on this workstation: no host is asked.
    let asks = |finished: &Finished| finished.stdout_text().contains("connection-refused");
    assert!(!asks(&passed) && !asks(&open));
}

#[tokio::test]
async fn the_end_of_a_rolling_reboot_that_cannot_be_written_down_is_told_and_its_hosts_named_all_the_same() {
    let desk = Desk::new();
    let rolling = desk.rolling_reboot();
    let journal = desk.path(&format!("state/fleetdeploy/runs/{rolling}/journal.jsonl"));
    for tool in ["mv", "mkdir"] {
        let found = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(tool));
        symlink(found.iter().find(|path| path.exists()).unwrap(), desk.path(&format!("programs/{tool}"))).unwrap();
    }
    // It is there until the hosts have been asked.
    let config = SSH.lines().next().unwrap();
    let spoils = format!("mv {0} {0}.old && mkdir {0}; exit 255", journal.display());
    desk.program("ssh", &format!("{config}\n{spoils}"));
    let ended = desk.tells(&["recover", "homelab"], &["end-not-recorded", "away-from-reboot"]).await;
    assert_eq!(ended.status, Some(3), "{}", ended.stdout_text());
}

#[tokio::test]
async fn a_command_that_is_interrupted_before_it_was_sent_says_so_of_each_host() {
    let desk = Desk::new();
    let config = SSH.lines().next().unwrap();
    desk.program("ssh", &format!("{config}\nkill -INT $PPID; exec sleep 60"));
    desk.inventory("hosts: {vps: }\nfleets: {homelab: {hosts: all, flake: .}}\n");
    let ended = desk.tells(&["exec", "homelab", "--", "true"], &["interrupted-unasked"]).await;
    assert_eq!(ended.status, Some(130), "{}", ended.stdout_text());
}

#[tokio::test]
async fn a_command_that_only_looks_says_once_that_it_was_interrupted_and_that_nothing_was_touched() {
    let desk = Desk::new();
    let config = SSH.lines().next().unwrap();
    desk.program("ssh", &format!("{config}\nkill -INT $PPID; exec sleep 60"));
    let version = NIX.lines().nth(1).unwrap();
    desk.program("nix", &format!("case $* in {version} *) kill -INT $PPID; exec sleep 60 ;; esac"));
    for command in ["build", "check", "diff", "doctor", "status"] {
        let ended = desk.tells(&[command, "homelab"], &["interrupted-untouched"]).await;
        assert_eq!(ended.status, Some(130), "{command}: {}", ended.stdout_text());
        let said = ended.stdout_text().matches("\"code\":\"interrupted-untouched\"").count();
        assert_eq!(said, 1, "{command}: {}", ended.stdout_text());
    }
    let looked = desk.tells(&["guard", "status", "homelab"], &["interrupted-untouched"]).await;
    assert_eq!(looked.status, Some(130), "{}", looked.stdout_text());
}

/// Who builds elsewhere needs a login there, and who signs a key.
#[tokio::test]
async fn a_builder_that_is_not_reached_and_a_key_that_does_not_sign_are_named() {
    let desk = Desk::new();
    let [derivation, output] = ["a", "b"].map(|hash| format!("/nix/store/{}-nixos-system-nas-1", hash.repeat(32)));
    let nix = |sign: &str| {
        desk.program(
            "nix",
            &format!(
                "case $* in
                *--version*) echo 'nix (Nix) 2.31.2' ;;
                *' build '*) ;;
                *' key convert-secret-to-public') read -r key; case $key in *:*) echo \"$key\" ;; *) exit 1 ;; esac ;;
                *' store sign '*) {sign} ;;
                *) echo '[{{\"found\":{{\"derivation\":\"{derivation}.drv\",\"output\":\"{output}\"}}}}]' ;;
                esac"
            ),
        );
    };
    nix("true");
    desk.program("nix-store", "true");
    let office = ["build", "office"];
    assert_eq!(desk.tells(&office, &[]).await.status, Some(0));
    for elsewhere in ["target", "vps"] {
        let built = desk.tells(&["build", "office", "--build-on", elsewhere], &["builder-not-reached"]).await;
        assert_eq!(built.status, Some(1), "{elsewhere}");
    }
    let typed = desk.tells(&["build", "office", "--build-on", "vsp"], &["no-host-matches"]).await;
    assert_eq!(typed.status, Some(2));

    desk.inventory(&INVENTORY.replace("hosts: nas, flake: .", "hosts: nas, flake: ., nix: {sign_key: ~/key}"));
    for (key, is_one) in [(None, false), (Some("no key"), false), (Some("fleet-1:secret"), true)] {
        if let Some(key) = key {
            desk.write("key", key);
        }
        let wanted: &[&str] = if is_one { &[] } else { &["sign-key-unusable"] };
        assert_eq!(desk.tells(&office, wanted).await.status, Some(i32::from(!is_one)), "{key:?}");
    }
    nix("echo 'error: it is tired' >&2; exit 1");
    let ended = desk.tells(&office, &["system-not-signed"]).await.stdout_text();
    // How long it may take is said while it does.
    let lines = ended.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let signing: Vec<Value> = lines.filter(|event| event["doing"] == "signing").collect();
    let [row] = signing.as_slice() else { panic!("{ended}") };
    assert_eq!((row["host"].as_str(), row["within_ms"].as_u64()), (Some("nas"), Some(600_000)));
}

/// Together they do not evaluate, and nobody is left the time to find the host to blame.
#[tokio::test]
async fn an_evaluation_that_nobody_has_time_to_blame_says_what_nix_said() {
    let desk = Desk::new();
    desk.inventory(
        "hosts: {pi: , vps: , nas: }\nfleets: {homelab: {hosts: all, flake: ., build_limit: 3s, evaluate: {workers: 1, \
         memory: 8GiB}}}\n",
    );
    let found = "{\"found\":{\"derivation\":\"/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-pi.drv\",\"output\":\
                 \"/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-pi\"}}";
    desk.program(
        "nix",
        &format!(
            "case $* in
        *--version*) echo 'nix (Nix) 2.31.2' ;;
        *'\"pi\"'*) echo '[{found}]' ;;
        *'\"vps\" \"nas\"'*) echo 'error: a module of nas is wrong' >&2; exit 1 ;;
        *'\"vps\"'* | *'\"nas\"'*) exec sleep 600 ;;
        *) echo '[]' ;;
        esac"
        ),
    );
    let built = desk.tells(&["build", "homelab"], &["evaluation-failed"]).await;
    assert_eq!(built.status, Some(1));
    assert!(built.stdout_text().contains("a module of nas is wrong"), "{}", built.stdout_text());
}

/// A flake in a folder with a name that Nix takes apart.
#[tokio::test]
async fn a_folder_that_cannot_stand_in_a_flake_reference_is_named() {
    let desk = Desk::new();
    desk.write("c#/inventory.yaml", INVENTORY);
    let below = desk.invocation(&["build", "office"]).folder(desk.path("c#"));
    let built = desk.tells_in(below, &["flake-mistaken"]).await;
    assert_eq!(built.status, Some(1));
    assert!(built.stdout_text().contains("/c#` cannot be a flake reference"), "{}", built.stdout_text());
}

/// The inventory is to stand elsewhere, and would have to name the flake by its folder.
#[tokio::test]
async fn a_flake_that_an_inventory_cannot_name_is_not_imported() {
    let desk = Desk::new();
    let nodes = r#"{"settings":{},"nodes":[{"name":"vps","settings":{"hostname":"vps.example.org"},
        "profiles":[{"name":"system","settings":{}}]}]}"#;
    desk.program("nix", &format!("case $* in *' builtins.attrNames '*) echo null ;; *) echo '{nodes}' ;; esac"));
    desk.write("c#/flake.nix", "");
    let words = ["inventory", "import", "--from", "deploy-rs", "--output", "../new.yaml", "."];
    let import = |folder: &str| desk.invocation(&words).folder(desk.path(folder));
    let imported = desk.tells_in(import("c#"), &["source-not-evaluated"]).await;
    assert_eq!(imported.status, Some(2));
    assert!(imported.stdout_text().contains("/c#` cannot be a flake reference"), "{}", imported.stdout_text());
    assert!(!desk.path("new.yaml").exists());
    desk.write("c/flake.nix", "");
    assert_eq!(import("c").run().await.unwrap().status, Some(0));
}

/// Runs the program on a terminal, at which these keys are typed once it has asked for a password: what is typed
/// before, the terminal may lose. The question stands before the first event.
async fn typed(desk: &Desk, words: &[&str], keys: &str, wanted: &str) {
    let line = [&[env!("CARGO_BIN_EXE_fleetdeploy"), "--json"], words].concat().join(" ");
    let shell = "rm -f said; { until grep -q password said; do sleep 0.05; done 2>/dev/null; printf \"$1\"; } |
        script --quiet --return --flush --echo never --command \"$2\" said";
    let terminal = Invocation::new("sh", LONG)
        .args(["-c", shell, "sh", keys, &line])
        .env("XDG_STATE_HOME", desk.path("state"))
        .folder(desk.home.path());
    let said = terminal.run().await.unwrap().stdout_text();
    let told = said.find('{').map_or("", |at| &said[at..]);
    codes::keep_lines(told);
    assert!(told.contains(&format!("\"code\":\"{wanted}\"")), "{said}");
}

#[tokio::test]
async fn neither_the_end_of_the_input_nor_ctrl_c_is_a_password() {
    let desk = Desk::new();
    desk.inventory(&INVENTORY.replace("vps: ", "vps: {user: ada, become: sudo-password}"));
    typed(&desk, &["check", "homelab"], r"\004", "password-not-asked").await;
    typed(&desk, &["check", "homelab"], r"\003", "interrupted-at-password").await;
}

#[tokio::test]
async fn a_file_that_git_does_not_know_is_named() {
    let desk = Desk::new();
    // As Nix 2.31 says it.
    let said = "error: path '/nix/store/0000000000000000000000000000000a-source/new.nix' does not exist\n";
    desk.write("said", said);
    desk.write(".git/HEAD", "ref: refs/heads/main\n");
    desk.write("new.nix", "{ }\n");
    let folder = desk.home.path().display();
    desk.program(
        "nix",
        &format!("case $* in *--version*) echo 'nix (Nix) 2.31.2' ;; *) cat {folder}/said >&2; exit 1 ;; esac"),
    );
    desk.tells(&["build", "office"], &["file-untracked"]).await;
}

/// Gives each of two hosts a system, which then cannot be built, and says of the flake what `metadata` prints.
fn evaluating_nix(metadata: &str, evaluation: &str) -> String {
    let found = "{\"found\":{\"derivation\":\"/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-x.drv\",\"output\":\
                 \"/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-x\"}}";
    format!(
        "case $* in
        *--version*) echo 'nix (Nix) 2.31.2' ;;
        *' metadata '*) {metadata} ;;
        *' eval '*) {evaluation}; echo '[{found}]' ;;
        *) echo 'error: nothing is built here' >&2; exit 1 ;;
        esac"
    )
}

#[tokio::test]
async fn a_flake_that_never_stands_still_is_refused_and_what_an_evaluation_traces_is_said_once() {
    let desk = Desk::new();
    let metadata =
        "echo \"{\\\"originalUrl\\\":\\\"x\\\",\\\"url\\\":\\\"x\\\",\\\"locked\\\":{\\\"narHash\\\":\\\"$$\\\"}}\"";
    desk.program("nix", &evaluating_nix(metadata, "true"));
    let built = desk.tells(&["build", "homelab"], &["flake-changing"]).await;
    assert_eq!(built.status, Some(1));

    let trace = "echo 'trace: first' >&2; echo 'trace: second' >&2";
    desk.program("nix", &evaluating_nix("exit 1", trace));
    let built = desk.tells(&["build", "office"], &["evaluation-traced"]).await;
    let said = built.stdout_text();
    assert!(said.contains(r#""count":2,"first":"first""#), "{said}");
    assert!(said.contains(r#""event":"evaluated","anew":1,"kept":0"#), "{said}");
}

#[tokio::test]
async fn an_option_of_the_evaluation_that_cannot_be_one_is_named() {
    let desk = Desk::new();
    for (options, said) in [
        (["--option", "Cores", "4"], "`Cores` cannot be the name of a setting of Nix"),
        (["--option", "--impure", "x"], "`--impure` cannot be the name of a setting of Nix"),
        (["--override-input", "nixpkgs/", "."], "`nixpkgs/` cannot be the name of an input"),
        (["--override-input", "nixpkgs", "--impure"], "--impure"),
    ] {
        let words = [["build", "office"].as_slice(), &options].concat();
        let ended = desk.tells(&words, &["option-not-understood"]).await;
        assert_eq!(ended.status, Some(2));
        assert!(ended.stdout_text().contains(said), "{}", ended.stdout_text());
    }
}
