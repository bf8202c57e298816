//! Commands that a person types, on every host of a fleet.

use fleetdeploy::event::Event;
use fleetdeploy::event::line::Line;
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::wait::{seconds, until};

/// The answer of a query that has ended.
pub(crate) fn answer(lines: &[Line]) -> &Value {
    let answers = lines.iter().filter_map(|line| match &line.event {
        Event::Answer { answer } => Some(answer),
        _ => None,
    });
    let answers: Vec<&Value> = answers.collect();
    assert_eq!(answers.len(), 1, "a query has one answer");
    answers[0]
}

/// How many processes of a host have this text in their command line.
fn count(fleet: &Fleet, host: &str, text: &str) -> usize {
    let pattern = format!("[{}]{}", &text[..1], &text[1..]);
    fleet.host(host, &format!("pgrep -fc '{pattern}' || true")).trim().parse().unwrap()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_command_runs_as_the_login_or_as_root_with_its_words_as_typed() {
    let fleet = Fleet::up("exec");
    fleet.write_inventory(&Inventory { defaults: "user: deploy", ..Inventory::default() });
    let words = ["a  b", "$HOME", "'", "\"", "-n", "", "x\ny"];
    let typed: Vec<&str> =
        ["exec", "homelab", "--", "sh", "-c", "id -un; printf '<%s>' \"$@\"; echo no >&2; exit 3", "sh"]
            .into_iter()
            .chain(words)
            .collect();
    let ran = fleet.query(&typed);
    assert_eq!(ran.status, Some(1));
    let expected: String =
        std::iter::once("deploy\n".to_owned()).chain(words.map(|word| format!("<{word}>"))).collect();
    for host in answer(&ran.lines)["hosts"].as_array().unwrap() {
        assert_eq!((host["stdout"].as_str(), host["stderr"].as_str()), (Some(expected.as_str()), Some("no\n")));
        assert_eq!(host["status"], 3);
    }

    // Both hosts say the same, and nothing of it steers a terminal.
    let folded =
        fleet.plain(&["exec", "homelab", "--sudo", "--fold", "--", "sh", "-c", "id -u; printf '\\033[31mred'"]);
    assert_eq!((folded.status, folded.stdout.as_str()), (Some(0), "vps, homeserver: exit 0\n  | 0\n  | red\n"));
    assert!(folded.stderr.ends_with("2 hosts: 2 exit 0\n"), "{}", folded.stderr);

    let one = fleet.plain(&["exec", "homelab", "--on", "homeserver", "--stream", "--", "seq", "2"]);
    assert_eq!((one.status, one.stdout.as_str()), (Some(0), "homeserver | 1\nhomeserver | 2\n"));
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn ctrl_c_and_the_end_of_its_time_end_a_command_on_every_host() {
    let fleet = Fleet::up("exec-ends");
    fleet.write_inventory(&Inventory { defaults: "user: deploy", ..Inventory::default() });
    let runs_on = |text: &str| ["vps", "homeserver"].map(|host| count(&fleet, host, text) > 0);
    let begun = |text: &str| until(seconds(60), text, || (runs_on(text) == [true; 2]).then_some(()));

    let exec = fleet.start_query(&["exec", "homelab", "--sudo", "--", "sleep", "1001"]);
    begun("sleep 1001");
    exec.signal("INT");
    let ended = exec.ended();
    assert_eq!(ended.status, Some(130), "{}", ended.stdout);
    for host in answer(&ended.lines)["hosts"].as_array().unwrap() {
        assert_eq!(host["end"], "stopped");
    }
    assert_eq!(runs_on("sleep 1001"), [false; 2]);

    let ended = fleet.query(&["exec", "homelab", "--timeout", "2s", "--", "sleep", "1002"]);
    assert_eq!(ended.status, Some(1));
    for host in answer(&ended.lines)["hosts"].as_array().unwrap() {
        assert_eq!(host["end"], "timed_out");
    }
    assert_eq!(runs_on("sleep 1002"), [false; 2]);

    // Whoever began it is killed: nobody can be told, and still nothing is left.
    let exec = fleet.start_query(&["exec", "homelab", "--", "sleep", "1003"]);
    begun("sleep 1003");
    exec.signal("KILL");
    exec.died();
    until(seconds(60), "the end of what was left", || (runs_on("sleep 1003") == [false; 2]).then_some(()));
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_does_not_answer_is_an_answer() {
    let mut fleet = Fleet::up("exec-off");
    fleet.power("homeserver", "off");
    let ran = fleet.query(&["exec", "homelab", "--", "true"]);
    assert_eq!(ran.status, Some(1));
    let hosts = &answer(&ran.lines)["hosts"];
    assert_eq!((&hosts[0]["host"], &hosts[0]["status"]), (&"vps".into(), &0.into()));
    assert_eq!((&hosts[1]["host"], &hosts[1]["status"]), (&"homeserver".into(), &Value::Null));
    assert!(hosts[1]["why"].as_str().unwrap().starts_with("no ssh login on homeserver"), "{hosts}");
    assert!(ran.took < seconds(60), "{:?}", ran.took);
    fleet.power("homeserver", "on");
    fleet.assert_reachable();
    fleet.restarted("homeserver");
}
