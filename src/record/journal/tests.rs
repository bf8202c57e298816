use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use pretty_assertions::assert_eq;

use super::entry::LONGEST_REASON;
use super::*;
use crate::decide::transaction::recover::Reached;
use crate::decide::vocabulary;
use crate::event::Outcome;
use crate::event::reason::Worded;
use crate::event::reason::any::AnyReason;
use crate::event::reason::disowned::Disowned;
use crate::event::reason::record_fault::RecordFault;
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::inventory::model::HostName;
use crate::record::{RecordError, open_to_append};

fn entries() -> Vec<JournalEntry> {
    let system = StorePath::new("/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-25.05").unwrap();
    vec![
        JournalEntry::Started(RunStarted {
            fleet: "homelab".into(),
            inventory: "/etc/fleet/inventory.yaml".into(),
            epoch: 1,
            owner: "ada@laptop".into(),
            hosts: vec![HostStarted {
                host: HostName::new("vps").unwrap(),
                machine_id: "0123".into(),
                boot_id: "4567".into(),
                old: Systems::all(&system),
                generation: 41,
                new: system,
                changes: true,
                guarded_for: Some(920),
            }],
            without: BTreeSet::from([HostName::new("nas").unwrap()]),
            provenance: None,
        }),
        JournalEntry::Guarded { host: HostName::new("vps").unwrap(), seconds: 300 },
        JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@desktop".into(), alone: true }),
        JournalEntry::ByHand,
        JournalEntry::Arming,
        JournalEntry::Testing,
        JournalEntry::Decided,
        JournalEntry::Disarming,
        JournalEntry::RollingBack { reason: AnyReason::without_code("a link\nis down") },
        JournalEntry::HostLost {
            host: HostName::new("vps").unwrap(),
            says: Disowned::SupersededByAnother { said: "ada@desktop has taken this run over".into() }.into(),
        },
        JournalEntry::Rolling(RollingStarted {
            fleet: "homelab".into(),
            inventory: "/etc/fleet/inventory.yaml".into(),
            owner: "ada@laptop".into(),
            hosts: vec![(HostName::new("vps").unwrap(), "4567".into())],
        }),
        JournalEntry::Rebooting { hosts: vec![HostName::new("vps").unwrap()] },
        JournalEntry::Trying { host: HostName::new("vps").unwrap() },
        JournalEntry::Finished { outcome: Outcome::RolledBack },
    ]
}

fn written(path: &Path) -> Vec<JournalEntry> {
    read(path).unwrap().into_iter().map(|written| written.entry).collect()
}

#[test]
fn a_reason_that_names_every_unit_of_a_host_is_cut() {
    let reason = AnyReason::without_code(&("these units fail: ".to_owned() + &"a.service, ".repeat(20_000)));
    let entry = JournalEntry::from(vocabulary::Entry::RollingBack { reason });
    let JournalEntry::RollingBack { reason } = &entry else { panic!("{entry:?}") };
    let reason = reason.to_string();
    assert!(reason.len() <= LONGEST_REASON + '…'.len_utf8() && reason.ends_with('…'), "{}", reason.len());
}

#[test]
fn every_entry_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    for entry in entries() {
        journal.append(&entry).unwrap();
    }
    assert_eq!(written(&path), entries());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Journal::create(&path).is_err(), "a journal is never begun twice");
}

#[test]
fn a_recovery_from_the_hosts_alone_knows_only_its_own_part() {
    let journal = |alone| {
        let recovering = JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@desktop".into(), alone });
        let entries = [JournalEntry::Arming, JournalEntry::Testing, recovering, JournalEntry::Decided];
        entries.map(|entry| Written { at: SystemTime::UNIX_EPOCH, entry })
    };
    assert_eq!(recorded(&journal(false)).reached, Reached::Decided);
    assert_eq!(recorded(&journal(true)).reached, Reached::Unknown);
    assert!(!is_over(&journal(true)) && is_over(&[]));
}

#[test]
fn guards_are_counted_from_when_they_were_armed_and_not_from_what_was_written_last() {
    let JournalEntry::Started(started) = &entries()[0] else { unreachable!() };
    let vps = HostName::new("vps").unwrap();
    let guard = |guarded_for: Option<u64>, entries: &[(u64, JournalEntry)], now: u64| {
        let mut started = started.clone();
        started.hosts[0].guarded_for = guarded_for;
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let written = |(seconds, entry): &(u64, JournalEntry)| Written { at: at(*seconds), entry: entry.clone() };
        let first = Written { at: at(100), entry: JournalEntry::Started(started) };
        let journal: Vec<Written> = std::iter::once(first).chain(entries.iter().map(written)).collect();
        guards(&journal, at(now)).map(|guards| (guards[&vps].left().as_secs(), guards[&vps].overdue().as_secs()))
    };
    let recovering = |alone| JournalEntry::Recovering(Recovering { epoch: 2, owner: "ada@desktop".into(), alone });
    let back = JournalEntry::RollingBack { reason: AnyReason::without_code("") };
    let armed = (105, JournalEntry::Arming);
    assert_eq!(guard(Some(90), std::slice::from_ref(&armed), 145), Some((50, 0)));
    let recovered = [armed.clone(), (110, back), (450, recovering(false))];
    assert_eq!(guard(Some(90), &recovered, 460), Some((0, 265)), "a recovery that was tried arms nothing");
    let again = JournalEntry::Guarded { host: vps.clone(), seconds: 60 };
    assert_eq!(guard(Some(90), &[armed.clone(), (450, recovering(false)), (451, again)], 460), Some((51, 0)));
    assert_eq!(guard(Some(400), &[(450, recovering(true)), (700, recovering(true))], 750), Some((100, 0)));
    assert_eq!(guard(Some(90), std::slice::from_ref(&armed), 50), Some((90, 0)), "the clock was set back");
    assert_eq!(guard(None, &[armed], 140), None, "an older version has written it");
}

#[test]
fn a_torn_last_line_is_not_read_and_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    Journal::create(&path).unwrap().append(&JournalEntry::Arming).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        let torn = [whole.as_slice(), &whole[..cut]].concat();
        std::fs::write(&path, torn).unwrap();
        assert_eq!(written(&path), [JournalEntry::Arming], "cut after {cut} bytes");
        Journal::open(&path).unwrap().append(&JournalEntry::Testing).unwrap();
        assert_eq!(written(&path), [JournalEntry::Arming, JournalEntry::Testing], "cut after {cut} bytes");
    }
}

#[test]
fn an_append_that_failed_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    journal.append(&JournalEntry::Arming).unwrap();
    open_to_append(&path).unwrap().write_all(b"{\"at\":\"2026-11").unwrap();
    let error = io::Error::from(journal.append(&JournalEntry::Testing).unwrap_err()).to_string();
    assert!(error.ends_with("another process writes into it"), "{error}");
    journal.torn = true;
    journal.append(&JournalEntry::RollingBack { reason: AnyReason::without_code("disk full") }).unwrap();
    assert_eq!(
        written(&path),
        [JournalEntry::Arming, JournalEntry::RollingBack { reason: AnyReason::without_code("disk full") }]
    );
}

#[test]
fn damage_in_the_middle_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    std::fs::write(
        &path,
        "{\"at\":\"2026-11-22T16:15:00.000Z\",\"entry\":\"arming\"}\n\
         {\"at\":\"2026-11-22T16:15:00.000Z\",\"entry\":\"finished\"}\n",
    )
    .unwrap();
    assert!(matches!(read(&path), Err(RecordError::Entry { line: 2, .. })));
}

#[test]
fn a_journal_of_a_newer_version_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    Journal::create(&path).unwrap().append(&entries()[0]).unwrap();
    let first = std::fs::read_to_string(&path).unwrap();
    assert!(first.contains(&format!("\"format\":{FORMAT}")), "{first}");
    let newer_format = first.replace(&format!("\"format\":{FORMAT}"), &format!("\"format\":{}", FORMAT + 1));
    let newer_entry = format!("{first}{{\"at\":\"2026-11-22T16:15:00.000Z\",\"entry\":\"teleporting\"}}\n");
    for text in [newer_format, newer_entry] {
        let text = text.replace(env!("CARGO_PKG_VERSION"), "7.1.0");
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(&error, RecordError::Newer { fleetdeploy: Some(version), .. } if version == "7.1.0"));
        assert!(RecordFault::from(&error).mend().unwrap().contains("fleetdeploy 7.1.0"), "{error}");
        let seen = glimpse(&path).unwrap();
        assert_eq!((seen.fleet.as_str(), seen.is_over), ("homelab", false));
    }
    // A journal without a format is older, and known.
    std::fs::write(&path, first.replace(&format!("\"format\":{FORMAT},"), "")).unwrap();
    assert_eq!(written(&path), entries()[..1]);
}

#[test]
fn a_full_disk_is_an_error_and_not_an_entry() {
    let full = Path::new("/dev/full");
    let mut journal = Journal::of(full, File::options().append(true).open(full).unwrap(), Vec::new());
    let error = journal.append(&JournalEntry::Decided).unwrap_err();
    assert_eq!(error.whole(), "cannot write the record at /dev/full: No space left on device (os error 28)");
}

/// The whole folder of the records, in the middle of a run.
#[test]
fn a_journal_that_is_deleted_is_made_anew_whole_before_its_next_entry() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let folder = state.join("runs/run");
    private::make_folders(&folder).unwrap();
    let (path, plan) = (folder.join("journal.jsonl"), folder.join("plan.json"));
    let mut journal = Journal::create(&path).unwrap();
    std::fs::write(&plan, "the plan").unwrap();
    journal.keep(plan.clone());
    let all = entries();
    for (count, entry) in all.iter().enumerate() {
        std::fs::remove_dir_all(&state).unwrap();
        journal.append(entry).unwrap();
        assert_eq!(written(&path), all[..=count]);
        assert_eq!(std::fs::read_to_string(&plan).unwrap(), "the plan");
        assert!(journal.was_made_anew() && !journal.was_made_anew());
    }
    std::fs::remove_file(&path).unwrap();
    // So it is for one that was opened to go on with, and it keeps what a journal has.
    Journal::create(&path).unwrap().append(&all[0]).unwrap();
    let mut opened = Journal::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    opened.append(&all[1]).unwrap();
    assert_eq!(written(&path), all[..2]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "no draft is left");
}

#[test]
fn what_stands_in_the_place_of_a_deleted_journal_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("run");
    private::make_folders(&folder).unwrap();
    let path = folder.join("journal.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    Journal::create(&path).unwrap().append(&JournalEntry::Arming).unwrap();
    let error = journal.append(&JournalEntry::Decided).unwrap_err().whole();
    assert!(error.ends_with("another file stands in its place"), "{error}");
    assert_eq!(written(&path), [JournalEntry::Arming]);
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "a file").unwrap();
    let error = journal.append(&JournalEntry::Decided).unwrap_err().whole();
    assert!(error.starts_with(&format!("cannot write the record at {}: ", path.display())), "{error}");
}

/// Room that the file system keeps is there when the disk is full: tried on a full one by `tests/lab/workstation.rs`.
#[test]
fn a_journal_has_room_for_what_is_to_come_and_gives_it_back() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("journal.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    if journal.reserved == 0 {
        // This file system keeps no room.
        return;
    }
    for entry in entries().iter().cycle().take(300) {
        journal.append(entry).unwrap();
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!(file.len(), journal.length);
        assert!(file.blocks() * 512 >= journal.length + ROOM / 2, "{} of {}", file.blocks(), journal.length);
    }
    drop(journal);
    let file = std::fs::metadata(&path).unwrap();
    assert!(file.blocks() * 512 < file.len() + ROOM / 2);
}
