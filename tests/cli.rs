//! The program itself, where it needs no host and no Nix: what it prints, and its exit.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use fleetdeploy::local::process::{Finished, Invocation};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pretty_assertions::assert_eq;
use serde_json::Value;

const GOOD: &str = "hosts: {nas: }\nfleets: {lab: {hosts: all, flake: .}}\n";

async fn run(inventory: &str, words: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inventory.yaml"), inventory).unwrap();
    Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60))
        .arg("--inventory")
        .arg(folder.path().join("inventory.yaml"))
        .args(words)
        .run()
        .await
        .unwrap()
}

/// What the events are, each by name and by what a reader asks it for.
fn events(finished: &Finished) -> Vec<(String, Value)> {
    let event = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let wanted = ["exit", "answer", "text"].into_iter().find_map(|key| line.get(key)).cloned();
        (line["event"].as_str().unwrap().to_owned(), wanted.unwrap_or_default())
    };
    finished.stdout_text().lines().map(event).collect()
}

#[tokio::test]
async fn a_right_inventory_is_an_answer_for_people_and_for_programs() {
    let plain = run(GOOD, &["inventory", "check"]).await;
    assert!(plain.stdout_text().ends_with("inventory.yaml is right: 1 host, 1 fleet\n"), "{}", plain.stdout_text());
    let json = events(&run(GOOD, &["inventory", "check", "--json"]).await);
    let [(answer, value), ended] = json.as_slice() else { panic!("{json:?}") };
    assert_eq!((answer.as_str(), &value["hosts"], &value["fleets"]), ("answer", &1.into(), &1.into()));
    assert_eq!(*ended, ("ended".to_owned(), 0.into()));
}

#[tokio::test]
async fn what_could_not_begin_has_its_events_too() {
    for (inventory, words) in
        [(GOOD, &["push", "lob"][..]), (GOOD, &["check", "lob"]), ("hosts: 3\n", &["inventory", "check"])]
    {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let finished = run(inventory, &words).await;
        let told = events(&finished);
        let [(failed, text), ended] = told.as_slice() else { panic!("{words:?}: {told:?}") };
        assert_eq!(failed, "failed", "{words:?}");
        assert!(finished.stderr_text().contains(text.as_str().unwrap().lines().next().unwrap()), "{words:?}");
        assert_eq!(*ended, ("ended".to_owned(), 2.into()), "{words:?}");
    }
}

/// On a terminal of its own: `script` makes one, and tells afterwards how the terminal was left.
#[test]
#[expect(clippy::disallowed_methods, reason = "whoever sits at the terminal is part of the test's world")]
fn a_signal_at_the_question_for_the_password_ends_it_and_leaves_the_terminal_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = folder.path().join("inventory.yaml");
    std::fs::write(&inventory, GOOD.replace("nas: ", "nas: {user: admin, become: sudo-password}")).unwrap();
    let commands = folder.path().join("commands");
    let program = env!("CARGO_BIN_EXE_fleetdeploy");
    let text = format!("sh -c 'echo pid=$$; exec {program} push lab'\necho status=$?\nstty -a\n");
    std::fs::write(&commands, text).unwrap();
    let mut terminal = Command::new("script")
        .args(["--quiet", "--command"])
        .arg(format!("sh {}", commands.display()))
        .arg("/dev/null")
        .env("FLEETDEPLOY_INVENTORY", &inventory)
        .env("XDG_STATE_HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = terminal.stdout.take().unwrap();
    let mut seen = String::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut piece) {
        let had_asked = seen.contains("password for nas");
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        if seen.contains("password for nas") && !had_asked {
            let pid = seen.split("pid=").nth(1).unwrap().lines().next().unwrap().trim().parse().unwrap();
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        }
    }
    assert!(terminal.wait().unwrap().success());
    assert!(seen.contains("interrupted by SIGTERM"), "{seen}");
    assert!(seen.contains("status=143"), "{seen}");
    let settings: Vec<&str> = seen.rsplit("status=").next().unwrap().split([' ', '\r', '\n']).collect();
    assert!(settings.contains(&"echo") && settings.contains(&"icanon"), "{seen}");
}

#[tokio::test]
async fn a_nix_that_is_too_old_is_named_and_nothing_is_built_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let nix = folder.path().join("nix");
    std::fs::write(&nix, "#!/bin/sh\ncase \"$*\" in *--version) echo 'nix (Nix) 2.11.0' ;; *) exit 1 ;; esac\n")
        .unwrap();
    std::fs::set_permissions(&nix, Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("inventory.yaml"), GOOD).unwrap();
    let finished = Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60))
        .args(["build", "lab", "--inventory"])
        .arg(folder.path().join("inventory.yaml"))
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .run()
        .await
        .unwrap();
    assert_eq!(finished.status, Some(1));
    let said = finished.stderr_text();
    assert!(said.contains("Nix 2.11.0, which is too old") && said.contains("install Nix 2.18 or newer"), "{said}");
}
