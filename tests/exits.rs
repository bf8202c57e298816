//! The exits of every command where no host is reached: docs/design.md, "Outcomes and exit statuses", row by row; and
//! what is refused before any host is asked, in words. What only hosts that answer can show is in `tests/lab/exits.rs`.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use clap::CommandFactory as _;
use fleetdeploy::event::Outcome;
use fleetdeploy::local::process::{Finished, Invocation};
use pretty_assertions::assert_eq;

#[path = "support/codes.rs"]
#[expect(dead_code, reason = "a program says its end itself")]
mod codes;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/workstation.rs"]
mod workstation;

use self::workstation::Workstation;

/// A right command line of every command, all but those that only read what they are given.
const ON_A_FLEET: [&str; 15] = [
    "push homelab",
    "plan homelab",
    "diff homelab",
    "rollback homelab --to @2026-11-20",
    "recover homelab",
    "build homelab",
    "check homelab",
    "status homelab",
    "exec homelab -- true",
    "doctor homelab",
    "guard arm homelab",
    "guard status homelab",
    "guard extend homelab",
    "guard disarm homelab",
    "reboot homelab",
];
const ON_AN_INVENTORY: [&str; 3] = ["inventory check", "inventory list", "inventory graph homelab"];
const ON_A_RUN: [&str; 3] = ["show last", "logs last", "replay last"];
const ON_NOTHING: [&str; 5] =
    ["runs", "inventory schema", "inventory import --from ssh-config config", "completions bash", "man"];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

const INVENTORY: &str =
    "hosts: {vps: , nas: }\nfleets: {homelab: {hosts: all, flake: .}, office: {hosts: nas, flake: .}}\n";

/// It has an inventory, and a record of its runs.
impl Workstation {
    fn new() -> Self {
        let workstation = Self::empty();
        std::fs::write(workstation.home.path().join("inventory.yaml"), INVENTORY).unwrap();
        workstation
    }

    fn run_of(&self, fleet: &str, outcome: Option<Outcome>) -> String {
        recorded::run_of(self.home.path(), fleet, outcome)
    }

    /// ssh is there; nix and the hosts are not.
    async fn run_alone(&self, words: &[&str]) -> Finished {
        self.run_with(words, |program| program.env("PATH", ssh_alone(self.home.path()))).await
    }

    /// Exits with 2 and says this; no record of it is left, since nothing was begun.
    async fn refuses(&self, words: &[&str], wanted: &[&str]) {
        let runs = || std::fs::read_dir(self.home.path().join("state/fleetdeploy/runs")).map_or(0, Iterator::count);
        let before = runs();
        let finished = self.run(words).await;
        let said = finished.stderr_text();
        assert_eq!(finished.status, Some(2), "{words:?}: {said}");
        for text in wanted {
            assert!(said.contains(text), "{words:?} does not say {text:?}:\n{said}");
        }
        assert_eq!((finished.stdout_text(), runs()), (String::new(), before), "{words:?}");
    }
}

#[tokio::test]
async fn there_is_nothing_to_go_back_to_without_a_run_that_ended_well() {
    let workstation = Workstation::new();
    let none = ["no record of a committed run of fleet homelab", "--to @2026-11-20"];
    workstation.refuses(&["rollback", "homelab"], &none).await;
    workstation.refuses(&["rollback", "homelab", "--to", "last"], &["no record of any run"]).await;
    let split = workstation.run_of("homelab", Some(Outcome::Split));
    workstation.refuses(&["rollback", "homelab"], &none).await;
    workstation.refuses(&["rollback", "homelab", "--to", &split], &["ended as split", "fleetdeploy show"]).await;
    let other = workstation.run_of("office", Some(Outcome::Committed));
    workstation.refuses(&["rollback", "homelab", "--to", &other], &["not one of this fleet, but of office"]).await;
    let refused = workstation.run_of("homelab", Some(Outcome::Refused));
    workstation.refuses(&["rollback", "homelab", "--to", &refused], &["changed nothing", "fleetdeploy runs"]).await;
    workstation.refuses(&["rollback", "homelab", "--to", "20010101"], &["no run `20010101`"]).await;
}

#[tokio::test]
async fn a_time_or_a_generation_that_is_none_is_a_mistake_of_usage() {
    let workstation = Workstation::new();
    for (to, wanted) in [
        ("@yesterday", "write it like 2026-11-20"),
        ("@2999-01-01", "2999-01-01 00:00 UTC has not been yet"),
        ("41", "choose one with --on HOST"),
    ] {
        workstation.refuses(&["rollback", "homelab", "--to", to], &[wanted]).await;
    }
    workstation.refuses(&["rollback", "homelab", "--to", "41", "--on", "web"], &["no host matches `web`"]).await;
}

#[tokio::test]
async fn a_guard_by_hand_that_would_fire_at_once_is_a_slip() {
    let workstation = Workstation::new();
    for guard in ["1s", "19s"] {
        workstation.refuses(&["guard", "arm", "homelab", "--guard", guard], &["too soon", "--guard 15m"]).await;
    }
    // The next it would find is that no host is there.
    let tried = workstation.run_alone(&["guard", "arm", "homelab", "--guard", "20s"]).await;
    assert_eq!(tried.status, Some(1), "{}", tried.stderr_text());
}

#[tokio::test]
async fn without_a_terminal_nobody_is_asked() {
    let workstation = Workstation::new();
    workstation.run_of("homelab", Some(Outcome::Committed));
    for command in ["push", "rollback"] {
        workstation.refuses(&[command, "homelab", "--ask"], &["--ask needs a terminal", "--dry-run"]).await;
    }
}

#[tokio::test]
async fn a_plan_and_a_difference_without_their_systems_exit_with_1() {
    let workstation = Workstation::new();
    for words in [["plan", "homelab"], ["diff", "homelab"]] {
        let finished = workstation.run_alone(&words).await;
        assert_eq!(finished.status, Some(1), "{words:?}: {}", finished.stderr_text());
        let page = finished.stdout_text();
        assert!(page.is_empty() || page.starts_with("homelab: would be refused"), "{words:?}: {page}");
    }
    assert!(!workstation.home.path().join("state/fleetdeploy/runs").exists(), "a plan leaves no record");
}

/// A folder with an ssh that answers what is asked of its config, and logs in nowhere.
fn ssh_alone(home: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = home.join("programs");
    std::fs::create_dir_all(&folder).unwrap();
    let ssh = folder.join("ssh");
    let text =
        "#!/bin/sh\nfor word; do [ \"$word\" != -G ] || { echo 'hostname nowhere.invalid'; exit 0; }; done\nexit 255\n";
    std::fs::write(&ssh, text).unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder.display().to_string()
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_and_the_hard_one_is_named() {
    let workstation = Workstation::new();
    let program = env!("CARGO_BIN_EXE_fleetdeploy");
    let folder = ssh_alone(workstation.home.path());
    let seen = workstation.home.path().join("limits");
    let ssh = Path::new(&folder).join("ssh");
    let text = std::fs::read_to_string(&ssh).unwrap();
    let asks = format!("#!/bin/sh\nulimit -Sn >>{}\n", seen.display());
    std::fs::write(&ssh, text.replace("#!/bin/sh\n", &asks)).unwrap();
    let under = |limit: &str| {
        Invocation::new("/bin/sh", Duration::from_secs(60))
            .args(["-c", &format!("ulimit {limit}; PATH=$1; shift; exec \"$@\""), "sh", &folder, program])
            .args(["check", "homelab"])
            .env("XDG_STATE_HOME", workstation.home.path().join("state"))
            .folder(workstation.home.path())
            .run()
    };
    under("-Sn 40").await.unwrap();
    let limits = std::fs::read_to_string(&seen).unwrap();
    assert!(!limits.is_empty() && limits.lines().all(|limit| limit != "40"), "{limits}");
    // Where not even the hard one is enough, it is called by its name.
    for limit in ["-n 11", "-n 14", "-n 17"] {
        let finished = under(limit).await.unwrap();
        let said = finished.stderr_text();
        assert_eq!(finished.status, Some(1), "{limit}: {said}");
        assert!(said.contains("ulimit -n") && !said.contains("install OpenSSH"), "{limit}: {said}");
    }
}

/// One that is added is not forgotten in the tables.
#[test]
fn the_tables_have_every_command() {
    fn of(above: &str, command: &clap::Command, into: &mut BTreeSet<String>) {
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let name = format!("{above}{}", inner.get_name());
            if inner.has_subcommands() {
                of(&format!("{name} "), inner, into);
            } else {
                into.insert(name);
            }
        }
    }
    let mut known = BTreeSet::new();
    of("", &fleetdeploy::commands::Cli::command(), &mut known);
    for line in ON_A_FLEET.iter().chain(&ON_AN_INVENTORY).chain(&ON_A_RUN).chain(&ON_NOTHING) {
        let taken: Vec<String> = known.iter().filter(|name| line.starts_with(name.as_str())).cloned().collect();
        assert_eq!(taken.len(), 1, "{line}: {taken:?}");
        known.remove(&taken[0]);
    }
    assert_eq!(known, BTreeSet::new(), "these are in no table");
}

#[tokio::test]
async fn what_was_typed_wrong_exits_with_2_whatever_the_command() {
    let workstation = Workstation::new();
    for line in ON_A_FLEET.iter().chain(&ON_AN_INVENTORY).chain(&ON_A_RUN).chain(&ON_NOTHING) {
        // Before the words of a command of the person's own.
        let (front, rest) = line.split_once(" -- ").map_or((*line, ""), |(front, rest)| (front, rest));
        let mistyped =
            format!("{front} --teleport {}", if rest.is_empty() { String::new() } else { format!("-- {rest}") });
        workstation.refuses(&words(&mistyped), &["--teleport"]).await;
    }
}

#[tokio::test]
async fn without_a_right_inventory_it_is_2_with_the_place_of_the_mistake() {
    let workstation = Workstation::new();
    let inventory = workstation.home.path().join("inventory.yaml");
    let of_inventory = || ON_A_FLEET.iter().chain(&ON_AN_INVENTORY);
    std::fs::write(&inventory, "hosts: {vps: {prot: 22}}\nfleets: {homelab: {hosts: all, flake: .}}\n").unwrap();
    for line in of_inventory() {
        workstation.refuses(&words(line), &["inventory.yaml:1:", "`prot`", "did you mean `port`?"]).await;
    }
    std::fs::remove_file(&inventory).unwrap();
    for line in of_inventory() {
        workstation.refuses(&words(line), &["inventory.yaml"]).await;
    }
}

#[tokio::test]
async fn a_fleet_or_a_host_that_is_not_there_is_2_with_what_was_meant() {
    let workstation = Workstation::new();
    for line in ON_A_FLEET.iter().chain(&["inventory graph homelab", "status homelab"]) {
        let unknown = line.replace("homelab", "homelob");
        workstation.refuses(&words(&unknown), &["homelob", "did you mean `homelab`?"]).await;
        if !line.starts_with("recover") && !line.starts_with("inventory") {
            let unknown = line.replace("homelab", "homelab --on vpss");
            workstation.refuses(&words(&unknown), &["no host matches `vpss`", "did you mean `vps`?"]).await;
            let nobody = line.replace("homelab", "homelab --on vps --except all");
            workstation.refuses(&words(&nobody), &[]).await;
        }
    }
    for line in ON_A_RUN {
        workstation.refuses(&words(line), &["no record of any run"]).await;
    }
    workstation.refuses(&["runs", "homelob"], &["homelob", "did you mean `homelab`?"]).await;
    let none = workstation.run(&["runs", "homelab"]).await;
    assert_eq!(none.status, Some(0), "{}", none.stderr_text());
    assert!(none.stdout_text().contains("no record of a run of fleet homelab"), "{}", none.stdout_text());
}

/// A push that is not to begin, a question that is not answered: 1. What may be under a guard: 3.
#[tokio::test]
async fn a_fleet_of_which_no_host_answers_is_no_and_in_doubt_where_guards_are() {
    let workstation = Workstation::new();
    let in_doubt = ["recover", "guard extend", "guard disarm"];
    for line in ON_A_FLEET {
        let finished = workstation.run_alone(&words(line)).await;
        let expected = if in_doubt.iter().any(|command| line.starts_with(command)) { 3 } else { 1 };
        let said = finished.stderr_text();
        assert_eq!(finished.status, Some(expected), "{line}: {}{said}", finished.stdout_text());
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
}

/// A recovery that cannot begin has seen no host on its old system.
#[tokio::test]
async fn without_a_place_for_records_a_push_is_no_and_a_recovery_in_doubt() {
    let workstation = Workstation::new();
    std::fs::write(workstation.home.path().join("state"), "in the way").unwrap();
    for (command, expected) in [("push", 1), ("recover", 3)] {
        let finished = workstation.run_alone(&[command, "homelab"]).await;
        let said = finished.stderr_text();
        assert_eq!(finished.status, Some(expected), "{command}: {said}");
        assert!(said.contains("nothing is begun without its record"), "{command}: {said}");
    }
}

#[tokio::test]
async fn what_asks_no_host_is_answered_with_0() {
    let workstation = Workstation::new();
    std::fs::write(workstation.home.path().join("config"), "Host vps\n  HostName 198.51.100.10\n").unwrap();
    for line in ON_AN_INVENTORY.iter().chain(&ON_NOTHING) {
        let finished = workstation.run_alone(&words(line)).await;
        assert_eq!(finished.status, Some(0), "{line}: {}", finished.stderr_text());
        assert_ne!(finished.stdout_text(), "", "{line}");
    }
    workstation.run_of("homelab", Some(Outcome::Committed));
    let finished = workstation.run_alone(&["show", "last"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.stderr_text());
}

/// An answer that did not arrive is none.
#[tokio::test]
async fn an_answer_that_cannot_be_written_is_no_0() {
    let workstation = Workstation::new();
    std::fs::write(workstation.home.path().join("config"), "Host vps\n  HostName 198.51.100.10\n").unwrap();
    for line in ON_AN_INVENTORY.iter().chain(&ON_NOTHING) {
        let finished = Invocation::new("sh", Duration::from_secs(60))
            .args(["-c", r#"exec "$0" "$@" >/dev/full"#, env!("CARGO_BIN_EXE_fleetdeploy")])
            .args(words(line))
            .env("XDG_STATE_HOME", workstation.home.path().join("state"))
            .folder(workstation.home.path())
            .run()
            .await
            .unwrap();
        let said = finished.stderr_text();
        assert_eq!(finished.status, Some(1), "{line}: {said}");
        assert!(said.contains("cannot write to stdout"), "{line}: {said}");
    }
}
