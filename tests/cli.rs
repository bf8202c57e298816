//! The program itself, where it needs no host and no Nix: what it prints, and its exit.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fleetdeploy::local::process::{Finished, Invocation};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pretty_assertions::assert_eq;
use serde_json::Value;

#[path = "support/codes.rs"]
#[expect(dead_code, reason = "a program says its end itself")]
mod codes;
#[path = "support/workstation.rs"]
mod workstation;

use self::workstation::Workstation;

const GOOD: &str = "hosts: {nas: }\nfleets: {lab: {hosts: all, flake: .}}\n";

async fn run(inventory: &str, words: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inventory.yaml"), inventory).unwrap();
    let program = || {
        let program = Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60));
        program.arg("--inventory").arg(folder.path().join("inventory.yaml")).args(words)
    };
    if codes::folder().is_some() && !words.contains(&"--json") {
        codes::keep_lines(&program().arg("--json").run().await.unwrap().stdout_text());
    }
    let finished = program().run().await.unwrap();
    codes::keep_lines(&finished.stdout_text());
    finished
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
    let [(_, unlinked), (answer, value), ended] = json.as_slice() else { panic!("{json:?}") };
    let unlinked = unlinked.as_str().unwrap();
    assert!(
        unlinked.starts_with("fleet lab has no link: a push proves a new login to nas, and nothing else"),
        "{unlinked}"
    );
    assert!(plain.stdout_text().starts_with(unlinked), "{}", plain.stdout_text());
    assert_eq!((answer.as_str(), &value["hosts"], &value["fleets"]), ("answer", &1.into(), &1.into()));
    assert_eq!(*ended, ("ended".to_owned(), 0.into()));
}

#[tokio::test]
async fn what_could_not_begin_has_its_events_too() {
    for (inventory, words) in [
        (GOOD, &["push", "lob"][..]),
        (GOOD, &["check", "lob"]),
        ("hosts: 3\n", &["inventory", "check"]),
        ("hosts: 3\n", &["push", "lab"]),
    ] {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let finished = run(inventory, &words).await;
        let told = events(&finished);
        let [mistakes @ .., (failed, text), ended] = told.as_slice() else { panic!("{words:?}: {told:?}") };
        assert_eq!(failed, "failed", "{words:?}");
        assert!(finished.stderr_text().contains(text.as_str().unwrap().lines().next().unwrap()), "{words:?}");
        assert_eq!(*ended, ("ended".to_owned(), 2.into()), "{words:?}");
        // Whatever command it was, a bad inventory is told in parts, too.
        let codes: Vec<Vec<&str>> = mistakes
            .iter()
            .map(|(_, answer)| {
                let mistakes = answer["mistakes"].as_array().unwrap().iter();
                mistakes.map(|mistake| mistake["code"].as_str().unwrap()).collect()
            })
            .collect();
        let wanted = if inventory == GOOD { vec![] } else { vec![vec!["section-missing", "wrong-type"]] };
        assert_eq!(codes, wanted, "{words:?}");
    }
}

#[tokio::test]
async fn a_doubtful_inventory_is_right_and_its_warnings_have_codes() {
    let inventory = "hosts: {nas: , vps: }\nfleets: {lab: {hosts: nas, flake: .}}\n";
    let told = events(&run(inventory, &["inventory", "check", "--json"]).await);
    let answer = told.iter().find(|(event, _)| event == "answer").map(|(_, answer)| answer).unwrap();
    assert_eq!(answer["mistakes"], serde_json::json!([]));
    let [warning] = answer["warnings"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!((&warning["code"], &warning["line"]), (&"host-without-fleet".into(), &1.into()));
}

#[tokio::test]
async fn a_canary_that_is_none_of_the_selected_hosts_is_a_mistake_with_a_suggestion() {
    let inventory = "hosts: {nas: , vps: }\nfleets: {lab: {hosts: all, flake: .}}\n";
    for (words, said) in [
        (&["push", "lab", "--canary", "vpss"][..], "did you mean `vps`?"),
        (&["push", "lab", "--on", "nas", "--canary", "vps"], "the hosts are `nas`"),
        (&["push", "lab", "--rename", "vpss"], "did you mean `vps`?"),
        (&["plan", "lab", "--on", "nas", "--rename", "vps"], "the hosts are `nas`"),
        (&["push", "lab", "--rename", "v*"], "v*"),
        (&["push", "lab", "--waves", "0"], "a wave has at least one host"),
    ] {
        let finished = run(inventory, words).await;
        assert_eq!(finished.status, Some(2), "{words:?}");
        assert!(finished.stderr_text().contains(said), "{words:?}: {}", finished.stderr_text());
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

const GOOD_RUN: &str = "20261122-161500-homelab-3f9c";
const BAD_RUN: &str = "20261124-090000-homelab-91be";
const UNFINISHED_RUN: &str = "20261124-100000-office-0c2d";

impl Workstation {
    /// With the runs of `tests/fixtures/runs`.
    fn new() -> Self {
        let workstation = Self::empty();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs");
        copy(&fixtures, &workstation.home.path().join("state/fleetdeploy/runs"));
        workstation
    }

    /// What it prints on stdout, if it ends well.
    async fn text(&self, words: &[&str]) -> String {
        let finished = self.run(words).await;
        assert_eq!(finished.status, Some(0), "{words:?}: {}", finished.stderr_text());
        finished.stdout_text()
    }

    /// Its answer, as `--json` gives it.
    async fn answer(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let told = events(&self.run(&words).await);
        let [(answer, value), ended] = told.as_slice() else { panic!("{words:?}: {told:?}") };
        assert_eq!((answer.as_str(), ended), ("answer", &("ended".to_owned(), 0.into())));
        value.clone()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn the_runs_of_a_workstation_are_listed_newest_first() {
    let workstation = Workstation::new();
    let text = workstation.text(&["runs"]).await;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let runs: Vec<&str> = lines.iter().skip(1).map(|words| words[0]).collect();
    assert_eq!(runs, [UNFINISHED_RUN, BAD_RUN, GOOD_RUN], "{text}");
    assert_eq!(lines[2][1..5], ["homelab", "2026-11-24", "09:00", "UTC"], "{text}");
    let ends = ["UNFINISHED", "ROLLED BACK  2      32s", "COMMITTED    2      1m 26s"];
    assert!(text.lines().skip(1).zip(ends).all(|(line, end)| line.contains(end)), "{text}");
    let limited = workstation.text(&["runs", "homelab", "--limit", "1"]).await;
    assert!(limited.contains(BAD_RUN) && !limited.contains(GOOD_RUN), "{limited}");
    assert!(limited.ends_with("and 1 older: --limit 2\n"), "{limited}");

    let answer = workstation.answer(&["runs"]).await;
    assert_eq!(answer["runs"][0]["outcome"], Value::Null);
    let bad = &answer["runs"][1];
    let told = [&bad["run"], &bad["began"], &bad["outcome"], &bad["exit"], &bad["took_ms"]];
    assert_eq!(
        told,
        [&Value::from(BAD_RUN), &"2026-11-24T09:00:00.000Z".into(), &"rolled_back".into(), &1.into(), &32_000.into()]
    );
}

#[tokio::test]
async fn a_workstation_without_runs_says_so() {
    let workstation = Workstation::empty();
    assert_eq!(workstation.text(&["runs"]).await, "this workstation has no record of any run\n");
    assert_eq!(workstation.answer(&["runs"]).await["runs"], serde_json::json!([]));
    let finished = workstation.run(&["show"]).await;
    assert_eq!(finished.status, Some(2));
    assert!(finished.stderr_text().contains("no record of any run"), "{}", finished.stderr_text());
}

#[tokio::test]
async fn a_run_is_shown_on_one_page() {
    let workstation = Workstation::new();
    let text = workstation.text(&["show", "last-failed"]).await;
    // This line has a relative word, which changes with the day of the test.
    let fixed: Vec<&str> = text.lines().filter(|line| !line.starts_with("began")).collect();
    insta::assert_snapshot!("bad-run", fixed.join("\n"));
    let unfinished = workstation.text(&["show"]).await;
    assert!(unfinished.ends_with("next: fleetdeploy recover office\n"), "{unfinished}");
    assert!(unfinished.contains("the last event was cut off"), "{unfinished}");
    let answer = workstation.answer(&["show", GOOD_RUN]).await;
    assert_eq!((&answer["outcome"], &answer["timeline"][0]["phase"]), (&"committed".into(), &"build".into()));
    assert_eq!(answer["timeline"][0]["hosts_ms"], serde_json::json!({"vps": 39_900, "nas": 39_900}));
}

#[tokio::test]
async fn what_hosts_said_is_printed_and_steers_no_terminal() {
    let workstation = Workstation::new();
    let vps = workstation.text(&["logs", BAD_RUN, "vps"]).await;
    assert!(vps.contains(" test| peer ") && !vps.contains('\u{1b}') && !vps.contains("u{1b}"), "{vps}");
    let all = workstation.text(&["logs", "last-failed"]).await;
    let headings: Vec<&str> = all.lines().filter(|line| line.starts_with("==")).collect();
    assert_eq!(headings, ["== nix", "== nas", "== vps"]);
    assert!(workstation.text(&["logs", "last"]).await.contains("no logs"));
    let answer = workstation.answer(&["logs", GOOD_RUN, "nix"]).await;
    assert!(answer["logs"]["nix"].as_str().unwrap().contains("nix build| building"), "{answer}");
}

#[tokio::test]
async fn a_name_of_nothing_is_a_mistake_of_usage_with_a_way_on() {
    let workstation = Workstation::new();
    for (words, hint) in [
        (&["show", "2026112"][..], "write more of it"),
        (&["show", "nothing"], "fleetdeploy runs"),
        (&["show", "lsat"], "did you mean"),
        (&["logs", BAD_RUN, "vsp"], "did you mean `vps`? There are logs of `nix`, `nas` and `vps`"),
        (&["logs", BAD_RUN, "../../../state"], "there are logs of"),
        (&["replay", "nothing"], "fleetdeploy runs"),
    ] {
        let finished = workstation.run(words).await;
        assert_eq!((finished.status, finished.stdout_text()), (Some(2), String::new()), "{words:?}");
        assert!(finished.stderr_text().contains(hint), "{words:?}: {}", finished.stderr_text());
    }
}

/// What nobody but its owner may see of that run.
const PRIVATE: [&str; 18] = [
    "example",
    "10.100.0",
    "198.51.100",
    "fd42",
    "deploy@",
    "ada",
    "laptop",
    "builder",
    "hunter2",
    "s3cr3t",
    "2222",
    "yAnz5TF",
    "BEGIN OPENSSH",
    "c2hvcnQ",
    "0f0f",
    "vps",
    "nas",
    "\u{1b}",
];

#[tokio::test]
async fn a_report_has_known_fields_and_with_logs_all_but_what_is_private() {
    let workstation = Workstation::new();
    let with_logs = ["show", "last-failed", "--report", "--with-logs", "--output", "all.txt"];
    for words in [&with_logs[..3], &with_logs] {
        let finished = workstation.run(words).await;
        assert_eq!(finished.status, Some(0), "{}", finished.stderr_text());
        assert!(finished.stdout_text().contains("before you send it"));
    }
    let path = workstation.home.path().join(format!("fleetdeploy-report-{BAD_RUN}.txt"));
    let [report, all] = [&path, &workstation.home.path().join("all.txt")].map(|path| {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(path).unwrap()
    });
    for private in PRIVATE {
        assert!(!report.contains(private), "{private}: {report}");
        assert!(!all.contains(private), "{private}: {all}");
    }
    for needed in [
        "left in it: read it before you send it",
        "NAME-1 is how HOST-1 was reached",
        "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-nixos-system-HOST-1-25.11.3",
        "\"entry\":\"rolling_back\"",
        "\"event\":\"phase_started\",\"phase\":\"roll_back\"",
        "ROLLED BACK after 32s",
    ] {
        assert!(report.contains(needed), "{needed}: {report}");
    }
    for text in ["no answer", "log of", "test| ", "units failed"] {
        assert!(!report.contains(text), "{text}: {report}");
    }
    for needed in [
        "HOST-1 -> HOST-2 ping: no answer from ADDRESS-2 within 2 s",
        "units failed: wireguard-wg0.service on HOST-2 (USER-2@NAME-2)",
        "[ADDRESS-3]:PORT-1",
        "ssh://USER-3:SECRET-2@NAME-5/nix/store/",
        "log of HOST-2, the last 300 of 311 lines",
        "test| step 304",
    ] {
        assert!(all.contains(needed), "{needed}: {all}");
    }
    assert!(!all.contains("test| step 1\n"), "{all}");

    let again = workstation.run(&["show", "last-failed", "--report"]).await;
    assert_eq!(again.status, Some(1));
    assert!(again.stderr_text().contains("name another file"), "{}", again.stderr_text());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), report, "nothing is overwritten");
    let printed = workstation.text(&["show", "last-failed", "--report", "--output", "-"]).await;
    let untimed =
        |text: &str| text.lines().filter(|line| !line.starts_with("began")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(untimed(&printed), untimed(&report));
}

#[tokio::test]
async fn a_page_of_html_has_all_of_the_run_and_redacted_nothing_that_is_private() {
    let workstation = Workstation::new();
    let page = workstation.text(&["show", "last-failed", "--html", "-"]).await;
    for needed in ["<!DOCTYPE html>", "nas", "10.100.0.2", "test| step 304"] {
        assert!(page.contains(needed), "{needed}: {page}");
    }
    let redacted = workstation.text(&["show", "last-failed", "--html", "-", "--redacted"]).await;
    let all = workstation.text(&["show", "last-failed", "--html", "-", "--redacted", "--with-logs"]).await;
    for private in PRIVATE {
        assert!(!redacted.contains(private), "{private}: {redacted}");
        assert!(!all.contains(private), "{private}: {all}");
    }
    assert!(redacted.contains("HOST-1") && redacted.contains("read it before you send it"), "{redacted}");
    assert!(!redacted.contains("test| step 304") && all.contains("test| step 304"), "{redacted}");

    let path = workstation.home.path().join("run.html");
    let words = ["show", "last-failed", "--html", "run.html"];
    assert_eq!(workstation.text(&words).await, "run.html\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(workstation.run(&words).await.status, Some(1), "nothing is overwritten");
    assert_eq!(workstation.run(&["show", "--report", "--html", "a"]).await.status, Some(2));
    assert_eq!(workstation.run(&["show", "--html", "a", "--with-logs"]).await.status, Some(2));
}

#[tokio::test]
async fn a_run_is_played_again_as_it_was() {
    let workstation = Workstation::new();
    let file = workstation.home.path().join(format!("state/fleetdeploy/runs/{BAD_RUN}/events.jsonl"));
    let words = ["replay", file.to_str().unwrap(), "--speed", "1000", "--json"];
    let played = workstation.text(&words).await;
    // Without the event that only a newer fleetdeploy knows.
    let recorded = std::fs::read_to_string(&file).unwrap();
    let values = |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let known: Vec<Value> = values(&recorded).into_iter().filter(|line| line["event"] != "teleported").collect();
    assert_eq!(values(&played), known);
    let part = workstation.run(&["replay", "last-failed", "--speed", "1000", "--until", "13.1"]).await;
    let screen = part.stderr_text();
    assert!(screen.contains("was never booted here") && !screen.contains("baseline: 3 of 3"), "{screen}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever presses Ctrl-C is part of the test's world")]
fn a_signal_ends_a_replay_at_once() {
    let workstation = Workstation::new();
    let mut replay = Command::new(env!("CARGO_BIN_EXE_fleetdeploy"))
        .args(["replay", GOOD_RUN, "--speed", "0.001"])
        .env("XDG_STATE_HOME", workstation.home.path().join("state"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line is on the screen, so it waits for the second one: a hundred seconds.
    let mut first = [0; 8];
    replay.stderr.take().unwrap().read_exact(&mut first).unwrap();
    kill(Pid::from_raw(replay.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(replay.wait().unwrap().code(), Some(130));
}

#[tokio::test]
async fn hosts_are_listed_and_drawn_for_people_and_for_programs() {
    let inventory = "hosts: {vps: {tags: [edge]}, nas: {jump: vps}}\nfleets: {lab: {hosts: all, flake: .}}\n";
    let list = run(inventory, &["inventory", "list", "--on", "@edge"]).await;
    assert_eq!(
        list.stdout_text(),
        "  host  address  tags  fleets  guard\n  vps   vps      edge  lab     15m\n",
        "a pipe takes any width"
    );
    let json = events(&run(inventory, &["inventory", "list", "--json"]).await);
    let [(answer, value), ended] = json.as_slice() else { panic!("{json:?}") };
    assert_eq!((answer.as_str(), &value["hosts"][1]["jump"]), ("answer", &"vps".into()));
    assert_eq!(*ended, ("ended".to_owned(), 0.into()));

    let graph = run(inventory, &["inventory", "graph", "lab"]).await;
    assert_eq!(graph.stdout_text(), "lab\n  workstation\n    vps\n      nas\n  no links\n");
    let mermaid = run(inventory, &["inventory", "graph", "--format", "mermaid"]).await.stdout_text();
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");

    for (words, said) in [
        (&["inventory", "list", "--on", "nsa"][..], "no host matches `nsa`"),
        (&["inventory", "graph", "lob"], "there is no fleet `lob`"),
    ] {
        let finished = run(inventory, words).await;
        assert_eq!(finished.status, Some(2), "{words:?}");
        assert!(finished.stderr_text().contains(said), "{}", finished.stderr_text());
        assert!(finished.stderr_text().contains("did you mean"), "{}", finished.stderr_text());
    }
}

/// The script is read by a real bash at a terminal, and TAB is pressed.
#[test]
#[expect(clippy::disallowed_methods, reason = "whoever sits at the terminal is part of the test's world")]
fn a_real_bash_completes_fleets_hosts_and_tags() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = "hosts: {vps: {tags: [edge]}, nas: }\nfleets: {homelab: {hosts: all, flake: .}}\n";
    std::fs::write(folder.path().join("inventory.yaml"), inventory).unwrap();
    let program = env!("CARGO_BIN_EXE_fleetdeploy");
    // The command itself is told apart from what completes it, so that nothing is pushed here.
    let set_up = format!("PS1=; source <('{program}' completions bash); fleetdeploy() {{ echo \"called[$*]\"; }}\n");
    let lines = [
        ("push home\t", "push homelab"),
        ("push \t", "push homelab"),
        ("push homelab --dry\t", "push homelab --dry-run"),
        ("rollback homelab --canary v\t", "rollback homelab --canary vps"),
        ("rollback homelab --rename v\t", "rollback homelab --rename vps"),
        ("push homelab --on @e\t", "push homelab --on @edge"),
        ("push homelab --except=vps,n\t", "push homelab --except=vps,nas"),
        ("inventory gr\t", "inventory graph"),
        ("-i nowhere.yaml push h\t", "-i nowhere.yaml push h"),
    ];
    let mut terminal = Command::new("script")
        .args(["--quiet", "--command", "bash --norc --noprofile -i", "/dev/null"])
        .current_dir(folder.path())
        .envs([("TERM", "dumb"), ("INPUTRC", "/dev/null"), ("HISTFILE", "/dev/null")])
        .env_remove("FLEETDEPLOY_INVENTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut output = terminal.stdout.take().unwrap();
    let (mut seen, mut piece) = (String::new(), [0; 4096]);
    // Each line only when the one before was carried out: what is typed ahead of bash is not completed.
    let mut wait_for = |wanted: &str| {
        while !seen.contains(wanted) {
            let count = output.read(&mut piece).unwrap();
            assert!(count > 0, "{wanted} is missing in:\n{seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    };
    keys.write_all(set_up.as_bytes()).unwrap();
    keys.write_all(b"echo re''ady\n").unwrap();
    wait_for("ready");
    for (typed, completed) in lines {
        keys.write_all(format!("fleetdeploy {typed}\n").as_bytes()).unwrap();
        wait_for(&format!("called[{completed}]"));
    }
    keys.write_all(b"exit\n").unwrap();
    assert!(terminal.wait().unwrap().success());
    assert!(!seen.contains("no file"), "{seen}");
}

#[tokio::test]
async fn pages_are_printed_and_written() {
    let page = run(GOOD, &["man", "inventory", "list"]).await.stdout_text();
    assert!(page.contains(".TH fleetdeploy-inventory-list 1"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let written = run(GOOD, &["man", "--all", folder.path().to_str().unwrap()]).await;
    assert_eq!(written.status, Some(0));
    assert!(written.stdout_text().lines().all(|path| std::fs::exists(path).unwrap()));
    let unknown = run(GOOD, &["man", "pull"]).await;
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.stderr_text().contains("`fleetdeploy` has no command `pull`"), "{}", unknown.stderr_text());
}

const REVISION: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";

/// What Nix 2.26.3 says of a git tree with changes.
const DIRTY: &str = r#"{"dirtyRevision":"a1b2c3d4e5f60718293a4b5c6d7e8f9012345678-dirty","lastModified":1795364100,
    "locked":{"narHash":"sha256-Zm9v"},"locks":{},"originalUrl":"git+file:///fleet","url":"git+file:///fleet"}"#;

/// A push of the fleet `lab` in a world of its own, with a nix that evaluates nothing: what does not fail before that
/// fails at the build. What nix is asked is in the file `asked`.
async fn push(folder: &Path, inventory: &str, words: &[&str]) -> (Option<i32>, Vec<Value>) {
    let finished = push_with(folder, inventory, &[&["--json"][..], words].concat(), &[]).await;
    codes::keep_lines(&finished.stdout_text());
    let told = finished.stdout_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (finished.status, told)
}

async fn push_with(folder: &Path, inventory: &str, words: &[&str], environment: &[(&str, &str)]) -> Finished {
    let programs = folder.join("programs");
    std::fs::create_dir_all(&programs).unwrap();
    std::fs::write(folder.join("inventory.yaml"), inventory).unwrap();
    let nix = programs.join("nix");
    let metadata = folder.join("metadata");
    if !metadata.exists() {
        std::fs::write(&metadata, DIRTY).unwrap();
    }
    let (metadata, asked) = (metadata.display(), folder.join("asked"));
    let asked = asked.display();
    let script =
        format!("echo \"$*\" >>{asked}\ncase $* in *' flake metadata '*) cat {metadata} ;; *) exit 1 ;; esac\n");
    std::fs::write(&nix, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&nix, Permissions::from_mode(0o755)).unwrap();
    let mut program = Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60))
        .args(["push", "lab"])
        .args(words)
        .env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()))
        .env("XDG_STATE_HOME", folder.join("state"))
        .folder(folder);
    for (name, value) in environment {
        program = program.env(name, value);
    }
    program.run().await.unwrap()
}

/// A push that ends so early, too, leaves what others read of it.
#[tokio::test]
async fn a_push_leaves_metrics_and_a_page_also_where_a_hook_has_refused_it() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, page) = (folder.path().join("push.prom"), folder.path().join("page.md"));
    let words = ["--metrics", metrics.to_str().unwrap(), "--summary", page.to_str().unwrap()];
    let (status, _) = push(folder.path(), &with_hooks("'echo \"a | <b>\"; exit 3'"), &words).await;
    assert_eq!(status, Some(1));
    let metrics = std::fs::read_to_string(metrics).unwrap();
    for line in [
        "fleetdeploy_push_outcome{fleet=\"lab\",outcome=\"refused\"} 1",
        "fleetdeploy_push_outcome{fleet=\"lab\",outcome=\"committed\"} 0",
        "fleetdeploy_push_exit_status{fleet=\"lab\"} 1",
        "fleetdeploy_push_hosts{fleet=\"lab\",outcome=\"untouched\"} 3",
        "# TYPE fleetdeploy_push_end_timestamp_seconds gauge",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} is not in:\n{metrics}");
    }
    // Nothing was ever committed.
    assert!(!metrics.contains("last_commit"), "{metrics}");
    let page = std::fs::read_to_string(page).unwrap();
    for text in [
        "## fleetdeploy lab: REFUSED\n",
        "| host | outcome |",
        "| vps | not touched |",
        "\n### Why\n",
        "a \\| &lt;b&gt;",
    ] {
        assert!(page.contains(text), "{text} is not in:\n{page}");
    }
    // A file that cannot be written changes nothing of the end.
    let (status, _) = push(folder.path(), &with_hooks("exit 3"), &["--metrics", "/nowhere/push.prom"]).await;
    assert_eq!(status, Some(1));
}

/// A job's runner reads its log for commands: what begins with `::`, and what stands behind `##[`.
#[tokio::test]
async fn a_job_has_a_page_and_annotations_and_no_command_from_what_others_say() {
    let folder = tempfile::tempdir().unwrap();
    let step = folder.path().join("step.md");
    let environment =
        [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", step.to_str().unwrap()), ("GITHUB_WORKSPACE", "/")];
    let inventory = with_hooks("'echo \"##[add-mask]e\"; exit 3'");
    let commands = |text: &str| {
        let lines = text.lines().filter(|line| line.trim_start().starts_with("::") || line.contains("##["));
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    for words in [&["--json"][..], &["--verbose"], &["--quiet"]] {
        let finished = push_with(folder.path(), &inventory, words, &environment).await;
        let said = finished.stdout_text() + &finished.stderr_text();
        assert_eq!(finished.status, Some(1), "{said}");
        assert!(said.contains("[add-mask]e") && commands(&said).is_empty(), "{said}");
        if words == ["--json"] {
            let told = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
            let [failed] = of_name(&told, "failed")[..] else { panic!("{told:?}") };
            assert!(failed["text"].as_str().unwrap().ends_with("\n  | ##[add-mask]e"), "{failed}");
        }
    }
    // What stands there stays.
    let pages = std::fs::read_to_string(&step).unwrap();
    assert_eq!(pages.matches("## fleetdeploy lab: REFUSED\n").count(), 3, "{pages}");
    let mistaken = GOOD.replace("{nas: }", "{nas: {adress: x}}");
    let finished = push_with(folder.path(), &mistaken, &[], &environment).await;
    let [annotation] = &commands(&finished.stderr_text())[..] else { panic!("{}", finished.stderr_text()) };
    assert!(annotation.starts_with("::error file=") && annotation.contains("adress"), "{annotation}");
}

fn of_name<'a>(told: &'a [Value], name: &str) -> Vec<&'a Value> {
    told.iter().filter(|event| event["event"] == name).collect()
}

const SEEN: &str = "env | grep ^FLEETDEPLOY_ | grep -v _COMPLETE | sort >>seen";

fn with_hooks(before: &str) -> String {
    format!(
        "hosts: {{vps: , nas: , idle: }}
fleets:
  lab:
    hosts: all
    flake: .
    hooks:
      before: ['{SEEN}', {before}]
      after_commit: [touch committed]
      after_abort: ['echo so long; {SEEN}; exit 9', touch last]
"
    )
}

#[tokio::test]
async fn a_hook_that_fails_refuses_the_push_and_those_after_an_abort_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = with_hooks("'echo not today; exit 3', touch never");
    let (status, told) = push(folder.path(), &inventory, &["--except", "idle"]).await;
    assert_eq!(status, Some(1));
    let [failed] = of_name(&told, "failed")[..] else { panic!("{told:?}") };
    assert_eq!(failed["text"], "the hook `echo not today; exit 3` exited with status 3\n  | not today");
    let [unlinked, warned] = of_name(&told, "warned")[..] else { panic!("{told:?}") };
    assert!(unlinked["text"].as_str().unwrap().starts_with("fleet lab has no link"), "{unlinked}");
    let text = warned["text"].as_str().unwrap();
    assert!(text.contains("exited with status 9\n  | so long\nthe push has ended all the same"), "{text}");
    assert_eq!(of_name(&told, "printed")[0]["by"], "hook echo not today; exit 3");
    let finished = told.last().unwrap();
    assert_eq!(
        (&finished["event"], &finished["outcome"], &finished["exit"]),
        (&"finished".into(), &"refused".into(), &1.into())
    );
    assert_eq!(of_name(&told, "phase_started").len(), 0, "nothing was begun");

    let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    let run = finished["run"].as_str().unwrap();
    let known = |more: &str, end: &str| {
        let path = folder.path().join("inventory.yaml");
        let path = path.display();
        format!(
            "FLEETDEPLOY_DIRTY=yes\n{end}FLEETDEPLOY_FLEET=lab\nFLEETDEPLOY_HOSTS=vps \
             nas\nFLEETDEPLOY_INVENTORY={path}\n{more}FLEETDEPLOY_REVISION={REVISION}\nFLEETDEPLOY_RUN={run}\n\
             FLEETDEPLOY_SOURCE=git+file:///fleet\n"
        )
    };
    let record = folder.path().join("state/fleetdeploy/runs").join(run);
    let recap = record.join("recap.txt");
    let of_record = format!("FLEETDEPLOY_RECORD={}\n", record.display());
    let before = known(&format!("FLEETDEPLOY_PHASE=before\n{of_record}"), "");
    let of_end = "FLEETDEPLOY_OUTCOME=refused\nFLEETDEPLOY_PHASE=after_abort\n";
    let of_end = format!("{of_end}FLEETDEPLOY_RECAP={}\n{of_record}", recap.display());
    let after = known(&of_end, "FLEETDEPLOY_EXIT=1\n");
    let recap = std::fs::read_to_string(recap).unwrap();
    assert!(recap.starts_with("lab: REFUSED after ") && recap.ends_with("exit status: 1\n"), "{recap}");
    assert!(recap.contains(&format!("look closer: fleetdeploy show {run}\n")), "{recap}");
    assert_eq!(seen, before + &after);
    let there = |name: &str| folder.path().join(name).exists();
    assert_eq!(["never", "committed", "last"].map(there), [false, false, true]);
}

#[tokio::test]
async fn a_push_goes_on_after_its_hooks_and_a_dry_run_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = with_hooks("{name: quick, command: [sh, -c, 'sleep 60'], timeout: 200ms}");
    let (status, told) = push(folder.path(), &inventory, &[]).await;
    assert_eq!(status, Some(1));
    assert_eq!(of_name(&told, "failed")[0]["text"], "the hook `quick` did not end within 200ms");

    let inventory = with_hooks("[touch, 'a name']");
    let (_, told) = push(folder.path(), &inventory, &[]).await;
    assert!(!of_name(&told, "phase_started").is_empty(), "{told:?}");
    assert!(folder.path().join("a name").exists());

    let elsewhere = tempfile::tempdir().unwrap();
    push(elsewhere.path(), &inventory, &["--dry-run"]).await;
    assert!(!elsewhere.path().join("seen").exists() && !elsewhere.path().join("a name").exists());
}

/// Nothing is begun then, not even a hook, and the record says what it was.
#[tokio::test]
async fn clean_refuses_a_tree_with_changes_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = with_hooks("touch never");
    let (status, told) = push(folder.path(), &inventory, &["--clean"]).await;
    assert_eq!(status, Some(1));
    let [failed] = of_name(&told, "failed")[..] else { panic!("{told:?}") };
    assert_eq!(failed["text"], format!("git+file:///fleet has changes that are not in its commit {REVISION}"));
    assert_eq!((&failed["code"], &failed["hint"]), (&"tree-dirty".into(), &"commit them, or leave out --clean".into()));
    let [known] = of_name(&told, "source_known")[..] else { panic!("{told:?}") };
    assert_eq!((&known["revision"], &known["dirty"]), (&REVISION.into(), &true.into()));
    assert_eq!((&known["source"], &known["nar_hash"]), (&"git+file:///fleet".into(), &"sha256-Zm9v".into()));
    assert_eq!(told.last().unwrap()["code"], "source-not-clean");
    assert!(of_name(&told, "phase_started").is_empty() && !folder.path().join("never").exists(), "{told:?}");
    assert!(
        of_name(&told, "hook_started").iter().all(|hook| hook["hook"] != SEEN || folder.path().join("last").exists())
    );

    // The run is known by it afterwards.
    let workstation = |words: &[&str]| {
        let program = Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(60)).args(words);
        program.env("XDG_STATE_HOME", folder.path().join("state")).env("TZ", "UTC").folder(folder.path())
    };
    let page = workstation(&["show", "last"]).run().await.unwrap().stdout_text();
    let line = format!("git+file:///fleet, revision {REVISION}, with changes that are in no commit\n");
    assert!(page.contains(&line), "{page}");
    let runs = workstation(&["runs"]).run().await.unwrap().stdout_text();
    assert!(runs.contains("revision\n") && runs.ends_with("a1b2c3d-dirty\n"), "{runs}");
    let answer = workstation(&["runs", "--json"]).run().await.unwrap().stdout_text();
    let answer: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
    assert_eq!(answer["answer"]["runs"][0]["provenance"]["revision"], REVISION);

    // Of systems that are named by their paths no revision is known.
    let named = "hosts: {vps: }
fleets: {lab: {hosts: all, system: {vps: /nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-1}}}\n";
    let (status, told) = push(folder.path(), named, &["--clean", "--dry-run"]).await;
    assert_eq!((status, &of_name(&told, "failed")[0]["code"]), (Some(1), &"revision-unknown".into()), "{told:?}");
}

/// A hook may change it, so after one it is asked again.
#[tokio::test]
async fn a_flake_is_asked_what_it_is_once_and_again_behind_a_hook() {
    let asked = async |inventory: &str, words: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let clean = DIRTY.replace("dirtyRevision", "revision").replace("-dirty", "");
        std::fs::write(folder.path().join("metadata"), clean).unwrap();
        // A host that fails in the survey may end the push before it evaluates.
        let (programs, asked) = (folder.path().join("programs"), folder.path().join("asked"));
        std::fs::create_dir(&programs).unwrap();
        let waits = format!("until grep -qs ' eval ' {}; do sleep 0.02; done; exit 255", asked.display());
        let ssh = format!("#!/bin/sh\ncase $* in *' -M '*) {waits} ;; esac\nPATH=${{PATH#*:}} exec ssh \"$@\"\n");
        std::fs::write(programs.join("ssh"), ssh).unwrap();
        std::fs::set_permissions(programs.join("ssh"), Permissions::from_mode(0o755)).unwrap();
        let (_, told) = push(folder.path(), inventory, words).await;
        assert_eq!(of_name(&told, "source_known").len(), 1, "{told:?}");
        let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
        assert!(asked.contains(" eval "), "{asked}");
        asked.lines().filter(|line| line.contains(" flake metadata ")).count()
    };
    let without = "hosts: {vps: }\nfleets: {lab: {hosts: all, flake: .}}\n";
    assert_eq!((asked(without, &[]).await, asked(without, &["--clean"]).await), (1, 1));
    assert_eq!(asked(&with_hooks("'true'"), &["--clean"]).await, 2);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever signals is part of the test's world")]
fn a_signal_ends_a_hook_and_the_push_before_it_began() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inventory.yaml"), with_hooks("'echo ready; sleep 60'")).unwrap();
    let mut pushing = Command::new(env!("CARGO_BIN_EXE_fleetdeploy"))
        .args(["push", "lab", "--json"])
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = pushing.stdout.take().unwrap();
    let (mut seen, mut piece) = (String::new(), [0; 4096]);
    while !seen.contains(r#"["ready"]"#) {
        let count = output.read(&mut piece).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    kill(Pid::from_raw(pushing.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    output.read_to_string(&mut seen).unwrap();
    assert_eq!(pushing.wait().unwrap().code(), Some(143));
    assert!(seen.contains("interrupted by SIGTERM before anything was touched"), "{seen}");
    assert!(std::fs::read_to_string(folder.path().join("seen")).unwrap().contains("FLEETDEPLOY_EXIT=143\n"));
}

#[tokio::test]
async fn who_failed_in_the_last_run_is_known_by_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let said = |told: &[Value]| of_name(told, "failed")[0]["text"].as_str().unwrap().to_owned();
    let inventory = "hosts: {vps: , nas: }\nfleets: {lab: {hosts: all, flake: ., hooks: {before: ['exit 1']}}}\n";
    let (status, told) = push(folder.path(), inventory, &["--on", "@failed"]).await;
    assert_eq!(status, Some(2));
    assert!(said(&told).ends_with("and this workstation has no record of one"), "{}", said(&told));

    // A run that a hook has refused: no host of it has failed.
    let (_, told) = push(folder.path(), inventory, &[]).await;
    let run = told[0]["run"].as_str().unwrap().to_owned();
    let (status, told) = push(folder.path(), inventory, &["--on", "@failed"]).await;
    assert_eq!(status, Some(2));
    assert!(said(&told).ends_with(&format!("and in {run} there was none")), "{}", said(&told));

    let events = folder.path().join("state/fleetdeploy/runs").join(&run).join("events.jsonl");
    let text = std::fs::read_to_string(&events).unwrap();
    let lost = r#""nas":{"outcome":"lost","why":"gone"}"#;
    std::fs::write(&events, text.replace(r#""nas":{"outcome":"untouched"}"#, lost)).unwrap();
    let (status, told) = push(folder.path(), inventory, &["--on", "@failed"]).await;
    assert_eq!(status, Some(1));
    assert_eq!(told[0]["selected"], serde_json::json!(["nas"]));
}

/// A port on which no server listens: a host that is away looks like that.
const AWAY: &str = "
hosts:
  nas: {address: 127.0.0.1, port: 1, limits: {connect: 5s}}
fleets:
  lab: {hosts: all, flake: .}
";

#[tokio::test]
async fn a_query_of_a_host_that_is_away_is_answered_with_no() {
    for words in [&["exec", "lab", "--", "true"][..], &["status"], &["status", "lab"], &["doctor", "lab"]] {
        let words: Vec<&str> = ["--json"].iter().chain(words).copied().collect();
        let finished = run(AWAY, &words).await;
        assert_eq!(finished.status, Some(1), "{words:?}: {}", finished.stderr_text());
        let told = events(&finished);
        assert_eq!(told[0].0, "query_started", "{words:?}");
        assert_eq!(told.last(), Some(&("ended".to_owned(), 1.into())), "{words:?}");
        let answers: Vec<_> = told.iter().filter(|(event, _)| event == "answer").collect();
        assert_eq!((answers.len(), &answers[0].1["hosts"][0]["host"]), (1, &"nas".into()), "{words:?}: {told:?}");
    }
    let shown = run(AWAY, &["status", "--quiet"]).await;
    assert!(shown.stdout_text().contains("no answer (127.0.0.1 port 1)"), "{}", shown.stdout_text());
    assert!(shown.stdout_text().contains("no ssh login on nas"), "{}", shown.stdout_text());
    // One line for one thing.
    assert!(!shown.stderr_text().contains("no ssh login on nas"), "{}", shown.stderr_text());
    let shown = run(AWAY, &["doctor", "lab"]).await;
    assert!(shown.stdout_text().contains("BLOCKER  no ssh login on nas"), "{}", shown.stdout_text());
    let shown = run(AWAY, &["exec", "lab", "--", "true"]).await;
    assert!(shown.stdout_text().starts_with("nas: does not answer\n"), "{}", shown.stdout_text());
    assert!(shown.stderr_text().ends_with("1 host: 1 does not answer (nas)\n"), "{}", shown.stderr_text());
}

#[tokio::test]
async fn what_was_asked_wrong_of_hosts_is_a_mistake_of_usage() {
    for words in [
        &["exec", "lob", "--", "true"][..],
        &["exec", "lab", "--on", "vps", "--", "true"],
        &["exec", "lab"],
        &["status", "--on", "vps"],
        &["status", "--build"],
        &["doctor", "lab", "--except", "all"],
    ] {
        assert_eq!(run(AWAY, words).await.status, Some(2), "{words:?}");
    }
}

#[tokio::test]
async fn a_host_behind_one_that_is_left_out_is_named_before_anything_is_asked() {
    let inventory = "hosts: {gate: , db: {jump: gate}, web: }\nfleets: {lab: {flake: ., hosts: all}}\n";
    for command in ["push", "plan", "diff", "check", "rollback", "reboot", "doctor", "status"] {
        let refused = run(inventory, &[command, "lab", "--without", "gate"]).await;
        let said = refused.stderr_text();
        assert_eq!(refused.status, Some(2), "{command}: {said}");
        assert!(said.contains("the way to `db` leads over a host that is left out (`gate`)"), "{command}: {said}");
        assert!(said.contains("write `--without gate,db`"), "{command}: {said}");
    }
    for (words, mend) in [
        (&["check", "lab", "--without", "wbe"][..], "did you mean `web`?"),
        (&["check", "lab", "--without", "gate,db,web"], "leaves out every host of the fleet"),
        (&["check", "lab", "--on", "web", "--without", "web"], "leaves out every host that was chosen"),
    ] {
        let refused = run(inventory, words).await;
        assert_eq!(refused.status, Some(2), "{words:?}");
        assert!(refused.stderr_text().contains(mend), "{}", refused.stderr_text());
    }
}

#[tokio::test]
async fn of_several_fleets_one_is_to_be_named() {
    let two = "hosts: {nas: }\nfleets: {lab: {hosts: all, flake: .}, home: {hosts: all, flake: .}}\n";
    let finished = run(two, &["check"]).await;
    assert_eq!(finished.status, Some(2));
    let said = finished.stderr_text();
    assert!(said.contains("no fleet was named, and the inventory has 2"), "{said}");
    assert!(said.contains("the fleets are `home` and `lab`"), "{said}");
}
