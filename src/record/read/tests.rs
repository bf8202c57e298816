use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pretty_assertions::assert_eq;

use super::*;
use crate::event::line::Line;
use crate::event::reason::any::AnyReason;
use crate::event::{Event, Outcome, VERSION};
use crate::inventory::model::HostName;
use crate::record::folder::{RunFolder, StateFolder};
use crate::record::journal::{Journal, JournalEntry, Recovering, RunStarted};
use crate::record::{RecordError, open_to_append};

const BEGAN: SystemTime = SystemTime::UNIX_EPOCH;

fn line(seq: u64, event: Event) -> Line {
    Line { version: VERSION, run: None, seq, at: BEGAN + Duration::from_secs(seq), event }
}

fn json(line: &Line) -> String {
    serde_json::to_string(line).unwrap() + "\n"
}

fn push_started() -> Event {
    Event::PushStarted {
        fleet: "homelab".into(),
        hosts: vec![HostName::new("vps").unwrap(), HostName::new("nas").unwrap()],
        selected: Vec::new(),
        inventory: "inventory.yaml".into(),
        guard_ms: 1,
        record: None,
        dry_run: false,
        rollback_to: None,
    }
}

fn finished(outcome: Outcome, exit: i32) -> Event {
    let hosts = std::collections::BTreeMap::new();
    Event::Finished { outcome, text: AnyReason::without_code("done"), hosts, exit, took_ms: 63_000 }
}

fn write(path: &Path, events: &[Line]) {
    let text: String = events.iter().map(json).collect();
    open_to_append(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_is_torn_damaged_or_of_a_newer_version_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let good = json(&line(1, Event::Decided));
    let newer = good.replace("decided", "teleported");
    for cut in 1..good.len() - 1 {
        std::fs::write(&path, format!("{good}{newer}\0\0\n\n{good}{}", &good[..cut])).unwrap();
        let read = events(&path).unwrap();
        assert_eq!(read.lines, [line(1, Event::Decided), line(1, Event::Decided)]);
        assert_eq!(read.passed_over, PassedOver { unknown: 1, damaged: 1, torn: true }, "cut after {cut} bytes");
    }
    assert!(matches!(events(&folder.path().join("other")), Err(RecordError::Read { .. })));
}

#[test]
fn what_is_no_regular_file_is_not_waited_on() {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let (run, _journal) = state.create_run("homelab", BEGAN).unwrap();
    std::fs::remove_file(run.journal()).unwrap();
    let log = run.hosts().join("vps.log");
    for path in [run.events(), run.journal(), run.plan(), run.addresses(), run.build_log(), log] {
        ::nix::unistd::mkfifo(&path, ::nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let refused = [
            events(&run.events()).is_err(),
            run.read_journal().is_err(),
            run.read_plan().is_none(),
            run.read_addresses().is_empty(),
            Journal::open(&run.journal()).is_err(),
            crate::record::listener::start(&crate::event::stream::Events::new(None), &run).is_err(),
            logs(&run).unwrap().iter().all(|log| log.read().is_err()),
            run.summary().end == RunEnd::Unfinished,
        ];
        told.send((refused, logs(&run).unwrap().len())).unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(20)).expect("somebody waits for a writer");
    assert_eq!(ended, ([true; 8], 2));
}

fn run(state: &StateFolder, entries: &[JournalEntry], events: &[Line]) -> RunFolder {
    let (run, mut journal): (_, Journal) = state.create_run("homelab", BEGAN).unwrap();
    for entry in entries {
        journal.append(entry).unwrap();
    }
    write(&run.events(), events);
    run
}

#[test]
fn a_run_is_told_on_one_line_however_it_ended() {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let started = JournalEntry::Started(RunStarted {
        fleet: "homelab".into(),
        inventory: "/inventory.yaml".into(),
        epoch: 1,
        owner: "ada@laptop".into(),
        hosts: Vec::new(),
        without: BTreeSet::new(),
        provenance: None,
    });
    let recovering = JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@laptop".into(), alone: false });
    let end = |outcome| JournalEntry::Finished { outcome };
    let told = |entries: &[JournalEntry], events: &[Line]| {
        let summary = run(&state, entries, events).summary();
        assert_eq!(summary.fleet, "homelab");
        (summary.end, summary.hosts, summary.took.map(|took| took.as_secs()), summary.exit)
    };
    let (first, last) = (line(1, push_started()), line(9, finished(Outcome::RolledBack, 1)));
    assert_eq!(
        told(&[], &[first.clone(), line(2, finished(Outcome::Refused, 1))]),
        (RunEnd::Ended(Outcome::Refused), Some(2), Some(63), Some(1)),
        "refused before it had a plan"
    );
    assert_eq!(
        told(&[started.clone(), end(Outcome::RolledBack)], &[first.clone(), last.clone()]),
        (RunEnd::Ended(Outcome::RolledBack), Some(2), Some(63), Some(1))
    );
    assert_eq!(
        told(&[started.clone(), JournalEntry::Arming], std::slice::from_ref(&first)),
        (RunEnd::Unfinished, Some(2), None, None)
    );
    assert_eq!(
        told(&[started.clone(), JournalEntry::Arming, recovering.clone()], &[first.clone(), last.clone()]),
        (RunEnd::Unfinished, Some(2), None, None),
        "an earlier end in the events is not the run's"
    );
    assert_eq!(
        told(&[started, recovering, end(Outcome::Committed)], &[first, last.clone()]),
        (RunEnd::Recovered(Outcome::Committed), Some(2), Some(63), Some(1))
    );
    assert_eq!(told(&[], &[]), (RunEnd::Unfinished, None, None, None), "an empty record");
}

#[test]
fn a_guard_by_hand_and_a_reboot_are_no_pushes_that_were_interrupted() {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let told = |entries: &[JournalEntry], events: &[Line]| {
        let summary = run(&state, entries, events).summary();
        (summary.kind, summary.end, summary.exit)
    };
    let recovering = JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@laptop".into(), alone: false });
    assert_eq!(told(&[JournalEntry::ByHand, JournalEntry::Arming], &[]), (RunKind::Guard, RunEnd::ByHand, None));
    assert_eq!(
        told(&[JournalEntry::ByHand, JournalEntry::Arming, recovering], &[]),
        (RunKind::Guard, RunEnd::Unfinished, None)
    );
    let over = JournalEntry::Finished { outcome: Outcome::Unchanged };
    assert_eq!(told(&[JournalEntry::ByHand, over], &[]), (RunKind::Guard, RunEnd::Ended(Outcome::Unchanged), None));
    let rebooting = Event::RebootStarted {
        fleet: "homelab".into(),
        hosts: Vec::new(),
        selected: Vec::new(),
        inventory: "inventory.yaml".into(),
        record: "record".into(),
    };
    let end = line(2, finished(Outcome::PartlyRebooted, 1));
    let ended = RunEnd::Ended(Outcome::PartlyRebooted);
    assert_eq!(told(&[], &[line(1, rebooting.clone()), end]), (RunKind::Reboot, ended, Some(1)));
    assert!(ended.is_failed());
    assert_eq!(told(&[], &[line(1, rebooting)]), (RunKind::Reboot, RunEnd::Unfinished, None));
    assert!(state.unfinished(None).unwrap().is_none(), "a recovery has nothing to do with it");
}

#[test]
fn the_middle_of_a_large_file_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::at(home.path().join("state"));
    let run = run(&state, &[], &[line(1, push_started())]);
    // A reader that took all of this into memory would fail: it is larger than the memory of any machine.
    let file = std::fs::OpenOptions::new().write(true).open(run.events()).unwrap();
    file.set_len(1 << 43).unwrap();
    write(&run.events(), &[line(2, Event::Decided), line(3, finished(Outcome::Committed, 0))]);
    let torn = json(&line(4, Event::Decided));
    open_to_append(&run.events()).unwrap().write_all(&torn.as_bytes()[..20]).unwrap();
    let summary = run.summary();
    assert_eq!((summary.end, summary.hosts, summary.exit), (RunEnd::Ended(Outcome::Committed), Some(2), Some(0)));
}
