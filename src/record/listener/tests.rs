use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pretty_assertions::assert_eq;

use super::*;
use crate::event::Outcome;
use crate::event::line::Line;
use crate::event::reason::any::AnyReason;
use crate::event::stream::{Events, ListenerEnd};
use crate::event::{Cell, Event, HostOutcome, Phase};
use crate::facts::links::LinkAnswer;
use crate::inventory::model::{HostName, Place};
use crate::record::folder::{RunFolder, StateFolder};
use crate::record::losses::{Losses, Recording};
use crate::record::open_to_append;

/// A run in which these events were published, and its events as they were written.
fn recorded(published: &[Event]) -> (tempfile::TempDir, RunFolder, Vec<Line>) {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let (run, _journal) = state.create_run("homelab", SystemTime::now()).unwrap();
    let events = Events::new(Some(run.id().to_string()));
    let listener = start(&events, &run).unwrap();
    published.iter().cloned().for_each(|event| events.publish(event));
    assert!(matches!(listener.finish(Duration::from_secs(30)), ListenerEnd::Complete));
    let lines = crate::record::read::events(&run.events()).unwrap().lines;
    assert_eq!(lines.iter().map(|line| &line.event).collect::<Vec<_>>(), published.iter().collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line.run.as_deref() == Some(run.id().as_str())));
    (home, run, lines)
}

/// A log without the times, each of which must be there.
fn read(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let untimed = |line: &str| {
        let (time, rest) = line.split_once(' ').unwrap();
        humantime::parse_rfc3339(time).unwrap();
        rest.to_owned()
    };
    text.lines().map(untimed).collect()
}

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn texts(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn the_record_holds_every_event_and_each_host_its_own() {
    let (_home, run, lines) = recorded(&[
        Event::PhaseStarted { phase: Phase::Test },
        Event::HostDone { host: host("vps"), phase: Phase::Test },
        Event::Logged { host: host("vps"), what: "test".into(), lines: texts(&["\u{1b}[1mstarting", "done"]) },
        Event::Printed { host: None, by: "nix build".into(), lines: texts(&["building etc"]) },
    ]);
    let path = run.hosts().join("vps.log");
    let time = |line: &Line| humantime::format_rfc3339_millis(line.at);
    let (done, logged) = (time(&lines[1]), time(&lines[2]));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!("{done} test done\n{logged} log of test:\n{logged} test| \\u{{1b}}[1mstarting\n{logged} test| done\n")
    );
    assert_eq!(read(&run.build_log()), ["nix build| building etc"]);
    for file in [run.events(), path, run.build_log()] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_was_printed_does_not_stand_in_the_log_again() {
    let vps = host("vps");
    let print = |lines: &[&str]| Event::Printed { host: Some(vps.clone()), by: "test".into(), lines: texts(lines) };
    let log = |lines: &[&str]| Event::Logged { host: vps.clone(), what: "test".into(), lines: texts(lines) };
    let (_home, run, _) = recorded(&[
        print(&["stopping", "starting"]),
        print(&["failed"]),
        log(&["starting", "failed"]),
        print(&["again"]),
        log(&["again", "a line that was lost on the way"]),
        log(&["starting"]),
    ]);
    assert_eq!(
        read(&run.hosts().join("vps.log")),
        [
            "test| stopping",
            "test| starting",
            "test| failed",
            "the log of test stands above",
            "test| again",
            "log of test:",
            "test| a line that was lost on the way",
            "log of test:",
            "test| starting",
        ]
    );
}

#[test]
fn what_concerns_a_host_leaves_a_trace_in_its_log() {
    let cell = |from: &str, to: &str, answer| Cell {
        check: "mesh".into(),
        from: Place::Host(host(from)),
        to: to.into(),
        kind: "ping".into(),
        required: true,
        answer,
        was_up: None,
        left_out: false,
    };
    let (up, down) = (LinkAnswer::Up { round_trip_us: None }, LinkAnswer::Down { why: "no answer".into() });
    let hosts = || vec![host("vps"), host("nas")];
    let (_home, run, _) = recorded(&[
        Event::PushStarted {
            fleet: "homelab".into(),
            hosts: hosts(),
            selected: vec![host("vps")],
            inventory: "inventory.yaml".into(),
            guard_ms: 1,
            record: None,
            dry_run: false,
            rollback_to: None,
        },
        Event::HostSurveyed {
            host: host("vps"),
            nixos: None,
            nix: "2.28.4".into(),
            systemd: "257.6".into(),
            kernel: "6.12.8".into(),
            boot_files_unproven: None,
        },
        Event::Compared { host: host("vps"), packages: Some(Vec::new()), reboot_for: vec!["kernel".into()] },
        Event::MatrixSeen {
            phase: Phase::Baseline,
            cells: vec![cell("vps", "nas", down), cell("nas", "vps", up.clone()), cell("vps", "10.0.0.9", up)],
        },
        Event::HostFound { host: host("vps"), text: AnyReason::without_code("guarded") },
        Event::LeftToGuard { host: host("vps"), fires_in_ms: 60_000, boot_ms: 300_000, action: None },
        Event::Failed { host: Some(host("vps")), text: AnyReason::without_code("no"), hint: Some("look".into()) },
        Event::Finished {
            outcome: Outcome::RolledBack,
            text: AnyReason::without_code("done"),
            hosts: BTreeMap::from([
                (host("vps"), HostOutcome::RolledBack { by_guard: true }),
                (host("nas"), HostOutcome::Witness),
            ]),
            exit: 1,
            took_ms: 1,
        },
    ]);
    assert_eq!(
        read(&run.hosts().join("vps.log")),
        [
            "a push begins",
            "Nix 2.28.4, systemd 257.6, kernel 6.12.8",
            "no package changes; a reboot will be needed for: kernel",
            "baseline: 2 of 3 links up",
            "vps -> nas ping: no answer",
            "found: guarded",
            "left to its guard: fires within 1m 00s, then up to 5m 00s to go back and boot",
            "failed: no",
            "hint: look",
            "ended: rolled back by its guard",
        ]
    );
    assert_eq!(
        read(&run.hosts().join("nas.log")),
        ["a push begins: a witness", "baseline: 1 of 2 links up", "vps -> nas ping: no answer", "ended: a witness"]
    );
}

#[test]
fn a_record_says_what_a_full_disk_has_kept_out_of_it() {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let (run, _journal) = state.create_run("homelab", SystemTime::now()).unwrap();
    let full = || File::options().append(true).open("/dev/full").unwrap();
    let losses = Losses::default();
    let mut writer = Writer {
        path: "/dev/full".into(),
        events: full(),
        told: None,
        logs: OpenLogs::new(&run),
        printed: BTreeMap::new(),
        losses: losses.clone(),
    };
    let line = |seq: u64| Line {
        version: crate::event::VERSION,
        run: None,
        seq,
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(seq),
        event: Event::Decided,
    };
    (1..=3).for_each(|seq| writer.take(&line(seq)));
    // There is room again, and then none for what belongs to a host's log.
    (writer.events, writer.path) = (open_to_append(&run.events()).unwrap(), run.events());
    writer.take(&line(4));
    writer.logs.files.insert(run.host_log(&host("vps")), full());
    writer.take(&Line { event: Event::ContactMade { host: host("vps") }, ..line(5) });
    writer.take(&line(6));
    let events = Events::new(None);
    let (told, heard) = std::sync::mpsc::channel();
    let screen = events.listen("screen", move |line| told.send(line.event.clone()).map_err(io::Error::other));
    let recording = Recording { listener: events.listen("record", |_| Ok(())).unwrap(), losses };
    recording.warn_of_losses(&events);
    let _ = (screen.unwrap().finish(Duration::from_secs(30)), recording.finish(Duration::from_secs(30)));
    let lines = crate::record::read::events(&run.events()).unwrap().lines;
    let gap = |events| Event::EventsLost { events, why: "No space left on device (os error 28)".into() };
    let told: Vec<(u64, Event)> = lines.into_iter().map(|line| (line.seq, line.event)).collect();
    let made = Event::ContactMade { host: host("vps") };
    let expected = [(1, gap(3)), (4, Event::Decided), (5, made), (5, gap(1)), (6, Event::Decided)];
    assert_eq!(told, expected);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [gap(4)]);
}

#[test]
fn a_record_that_is_deleted_while_it_is_written_goes_on_in_a_new_one_that_says_what_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let (run, _journal) = state.create_run("homelab", SystemTime::now()).unwrap();
    let events = Events::new(None);
    let recording = start(&events, &run).unwrap();
    let heard = || assert!(recording.listener.follower().has_heard_all(Duration::from_secs(30)));
    let printed = |text: &str| Event::Printed { host: Some(host("vps")), by: "test".into(), lines: texts(&[text]) };
    events.publish(Event::Decided);
    events.publish(printed("before"));
    heard();
    std::fs::remove_dir_all(state.folder()).unwrap();
    events.publish(printed("after"));
    heard();
    let (told, screen) = std::sync::mpsc::channel();
    let listener = events.listen("screen", move |line| told.send(line.event.clone()).map_err(io::Error::other));
    recording.warn_of_losses(&events);
    let _ = (listener.unwrap().finish(Duration::from_secs(30)), recording.finish(Duration::from_secs(30)));
    let gap = Event::EventsLost { events: 2, why: "the record was deleted while the run went on".into() };
    let lines = crate::record::read::events(&run.events()).unwrap().lines;
    let lines: Vec<(u64, Event)> = lines.into_iter().map(|line| (line.seq, line.event)).collect();
    let first = lines[0].0;
    assert_eq!(lines, [(first, gap.clone()), (first + 2, printed("after"))]);
    assert_eq!(read(&run.hosts().join("vps.log")), ["test| after"]);
    assert_eq!(screen.try_iter().collect::<Vec<_>>(), [gap]);
}

#[test]
fn a_recovery_does_not_write_on_in_a_line_that_was_cut_off() {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let (run, _journal) = state.create_run("homelab", SystemTime::now()).unwrap();
    std::fs::write(run.events(), "{\"version\":1,\"ru").unwrap();
    let events = Events::new(None);
    let listener = start(&events, &run).unwrap();
    events.publish(Event::Decided);
    assert!(matches!(listener.finish(Duration::from_secs(30)), ListenerEnd::Complete));
    assert_eq!(crate::record::read::events(&run.events()).unwrap().lines.len(), 1);
}
