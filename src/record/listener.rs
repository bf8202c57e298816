//! Writes down the published events: into `events.jsonl`, a log for each host, and a log of nix.
//!
//! It works in a thread of its own, behind the push: no decision needs these files, so a slow disk must not hold up a
//! push while guards count down.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::event::line::Line;
use crate::event::stream::Events;
use crate::event::{Cell, Event, HostOutcome, Phase};
use crate::facts::links::LinkAnswer;
use crate::inventory::model::{HostName, Place};
use crate::record::folder::RunFolder;
use crate::record::losses::{Losses, Recording};
use crate::record::{RecordError, open_to_append, open_to_read, write_error};

/// Lines that a program printed which are remembered for each host: more than the end of any log that is told again.
const REMEMBERED: usize = 500;

/// Packages that are named in a host's log: a new nixpkgs changes a thousand.
const PACKAGES_NAMED: usize = 5;

/// Starts to write everything that is published from now on.
///
/// # Errors
/// If `events.jsonl` cannot be written, or the thread not be started: then the push does not start.
pub fn start(events: &Events, run: &RunFolder) -> Result<Recording, RecordError> {
    let path = run.events();
    let file = open_after_a_whole_line(&path).map_err(write_error(&path))?;
    let losses = Losses::default();
    let mut writer =
        Writer { events: file, logs: OpenLogs::new(run), printed: BTreeMap::new(), losses: losses.clone() };
    let hear = move |line: &Line| {
        writer.take(line);
        Ok(())
    };
    let listener = events.listen("record", hear).map_err(write_error(&path))?;
    Ok(Recording { listener, losses })
}

/// A push that was killed may have left half a line: the first event of its recovery must not become the end of that.
fn open_after_a_whole_line(path: &Path) -> io::Result<File> {
    let mut file = open_to_append(path)?;
    let mut last = [0];
    if file.metadata()?.len() > 0 {
        let mut reader = open_to_read(path)?;
        reader.seek(SeekFrom::End(-1))?;
        reader.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

struct Writer {
    events: File,
    logs: OpenLogs,
    /// What each host's programs printed last.
    printed: BTreeMap<HostName, VecDeque<String>>,
    losses: Losses,
}

impl Writer {
    /// Writes it, or counts it as lost: a disk that is full now may have room again for what comes.
    fn take(&mut self, line: &Line) {
        if matches!(line.event, Event::EventsLost { .. }) {
            // This event is for the screen; in the file it stands where the gap is.
            return;
        }
        let written =
            self.tell_of_a_gap(line).and_then(|()| self.write_event(line)).and_then(|()| self.write_log(line));
        if let Err(error) = written {
            self.losses.add(line, &error);
        }
    }

    fn tell_of_a_gap(&mut self, next: &Line) -> io::Result<()> {
        if let Some(line) = self.losses.untold(next) {
            self.write_event(&line)?;
            self.losses.told();
        }
        Ok(())
    }

    /// The whole line or nothing of it.
    fn write_event(&mut self, line: &Line) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        let length = self.events.metadata()?.len();
        self.events.write_all(&json).inspect_err(|_| {
            // Half a line would spoil the next one as well. If it cannot be cut off, a reader passes over it.
            let _ = self.events.set_len(length);
        })
    }

    fn write_log(&mut self, line: &Line) -> io::Result<()> {
        match &line.event {
            Event::Printed { host: Some(host), by, lines } => {
                let remembered = self.printed.entry(host.clone()).or_default();
                remembered.extend(lines.iter().cloned());
                remembered.drain(..remembered.len().saturating_sub(REMEMBERED));
                self.logs.append(LogTarget::Host(host), line.at, &printed(by, lines))
            }
            Event::Printed { host: None, by, lines } => {
                self.logs.append(LogTarget::Build, line.at, &printed(by, lines))
            }
            Event::Logged { host, what, lines } => {
                // The end of a log is told with the failure that it explains; where the whole log was printed before,
                // it would stand here twice.
                let above = self.printed.remove(host).unwrap_or_default();
                let fresh: Vec<String> = lines.iter().filter(|line| !above.contains(line)).cloned().collect();
                if fresh.is_empty() && !lines.is_empty() {
                    return self.logs.append(
                        LogTarget::Host(host),
                        line.at,
                        &format!("the log of {what} stands above"),
                    );
                }
                self.logs.append(LogTarget::Host(host), line.at, &format!("log of {what}:"))?;
                self.logs.append(LogTarget::Host(host), line.at, &printed(what, &fresh))
            }
            event => {
                for (host, text) in host_texts(event) {
                    self.logs.append(LogTarget::Host(host), line.at, &text)?;
                }
                Ok(())
            }
        }
    }
}

fn printed(by: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{by}| {line}")).collect();
    lines.join("\n")
}

/// Returns what an event adds to the logs of hosts. Copied bytes and counted links on the way are left out: the end of
/// the phase has their result.
fn host_texts(event: &Event) -> Vec<(&HostName, String)> {
    let one = match event {
        Event::PushStarted { hosts, selected, .. } => {
            let text = |host| if selected.contains(host) { "a push begins" } else { "a push begins: a witness" };
            return hosts.iter().map(|host| (host, text(host).to_owned())).collect();
        }
        Event::RebootStarted { hosts, selected, .. } => {
            let text = |host| {
                if selected.contains(host) { "a rolling reboot begins" } else { "a rolling reboot begins: a witness" }
            };
            return hosts.iter().map(|host| (host, text(host).to_owned())).collect();
        }
        Event::RecoverStarted { hosts, .. } => {
            return hosts.iter().map(|host| (host, "a recovery begins".to_owned())).collect();
        }
        Event::Planned { hosts } => {
            let text = |changes| if changes { "is to run" } else { "stays on" };
            return hosts.iter().map(|plan| (&plan.host, format!("{} {}", text(plan.changes), plan.new))).collect();
        }
        Event::MatrixSeen { phase, cells } => return links_of_each_host(*phase, cells),
        Event::Finished { hosts, .. } => {
            return hosts.iter().map(|(host, outcome)| (host, format!("ended: {}", outcome_words(outcome)))).collect();
        }
        Event::HostSurveyed { host, nixos, nix, systemd, kernel, .. } => {
            let nixos = nixos.as_deref().unwrap_or("unknown");
            (host, format!("answers: NixOS {nixos}, nix {nix}, systemd {systemd}, kernel {kernel}"))
        }
        Event::Compared { host, packages, reboot_for } => {
            let text = match packages {
                None => "what changes could not be found out".to_owned(),
                Some(packages) if packages.is_empty() => "no package changes".to_owned(),
                Some(packages) => {
                    let names: Vec<&str> =
                        packages.iter().take(PACKAGES_NAMED).map(|change| change.package.as_str()).collect();
                    let more = if packages.len() > names.len() { " and more" } else { "" };
                    format!("packages that change: {} ({}{more})", packages.len(), names.join(", "))
                }
            };
            let reboot = match reboot_for.as_slice() {
                [] => String::new(),
                parts => format!("; only a reboot brings: {}", parts.join(", ")),
            };
            (host, text + &reboot)
        }
        Event::RollBackStarted { host: Some(host), reason } => (host, format!("the push turns back: {reason}")),
        Event::HostFound { host, text } => (host, format!("found: {text}")),
        Event::BootDefaultMoved { host, generation } => (host, format!("a reboot brings generation {generation} now")),
        Event::HostMoved { host, doing } => (host, doing.clone()),
        Event::HostDone { host, phase } => (host, format!("{} done", phase.word())),
        Event::GuardArmed { host, left_ms } => (host, format!("guard armed, {} s left", left_ms / 1000)),
        Event::GuardSeen { host, left_ms } => (host, format!("guard found armed, {} s left", left_ms / 1000)),
        Event::GuardExtended { host, left_ms } => (host, format!("guard extended, {} s left", left_ms / 1000)),
        Event::GuardDisarmed { host } => (host, "guard disarmed".to_owned()),
        Event::ContactLost { host, why } => (host, format!("contact lost: {why}")),
        Event::ContactMade { host } => (host, "contact made".to_owned()),
        Event::Warned { host: Some(host), text } => (host, format!("warning: {text}")),
        Event::Failed { host: Some(host), text, hint } => {
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            (host, format!("failed: {text}{hint}"))
        }
        Event::LeftToGuard { host, fires_in_ms, boot_ms } => {
            let (fires, boot) = (fires_in_ms / 1000, boot_ms / 1000);
            let text = match (fires, boot) {
                (0, 0) => "left to its guard, which must have fired: it should be back by now".to_owned(),
                (0, _) => format!("left to its guard, which must have fired; up to {boot} s to go back and boot"),
                _ => format!("left to its guard, which fires in {fires} s; then up to {boot} s to go back and boot"),
            };
            (host, text)
        }
        Event::AddressChosen { host, address } => (host, format!("is reached at {address}")),
        Event::HostRebooted { host, took_ms, old_kernel, new_kernel } => {
            (host, format!("rebooted in {} s, kernel {old_kernel} before, {new_kernel} now", took_ms / 1000))
        }
        Event::CameBack { host, text } => (host, format!("came back: {text}")),
        _ => return Vec::new(),
    };
    vec![one]
}

/// Returns each host at an end of a link, with those of its links that are down.
fn links_of_each_host(phase: Phase, cells: &[Cell]) -> Vec<(&HostName, String)> {
    let mut hosts: Vec<&HostName> = cells
        .iter()
        .filter_map(|cell| match &cell.from {
            Place::Host(host) => Some(host),
            Place::Workstation => None,
        })
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    let text = |host: &HostName| {
        let is_of = |cell: &&Cell| cell.to == host.as_str() || matches!(&cell.from, Place::Host(from) if from == host);
        let links: Vec<&Cell> = cells.iter().filter(is_of).collect();
        let down: Vec<String> = links.iter().filter(|cell| !cell.answer.is_up()).map(|cell| describe(cell)).collect();
        let count = format!("{}: {} of {} links up", phase.word(), links.len() - down.len(), links.len());
        if down.is_empty() { count } else { format!("{count}\n{}", down.join("\n")) }
    };
    hosts.into_iter().map(|host| (host, text(host))).collect()
}

fn describe(cell: &Cell) -> String {
    let from = match &cell.from {
        Place::Workstation => "workstation",
        Place::Host(host) => host.as_str(),
    };
    let why = match &cell.answer {
        LinkAnswer::Down { why } => why.as_str(),
        LinkAnswer::Up { .. } | LinkAnswer::Unknown => "unknown",
    };
    format!("{from} -> {} {}: {why}", cell.to, cell.kind)
}

fn outcome_words(outcome: &HostOutcome) -> String {
    match outcome {
        HostOutcome::Committed => "committed".to_owned(),
        HostOutcome::Unchanged => "unchanged".to_owned(),
        HostOutcome::Witness => "a witness".to_owned(),
        HostOutcome::RolledBack { by_guard: false } => "rolled back".to_owned(),
        HostOutcome::RolledBack { by_guard: true } => "rolled back by its guard".to_owned(),
        HostOutcome::Untouched => "not touched".to_owned(),
        HostOutcome::Lost { why } => format!("lost: {why}"),
        HostOutcome::Left { why, .. } => format!("left: {why}"),
        HostOutcome::Skipped => "skipped".to_owned(),
        HostOutcome::Rebooted => "rebooted, and proven back".to_owned(),
        HostOutcome::Missing => "missing: the run was ended without it".to_owned(),
        HostOutcome::MovedOn { .. } => "moved on: the run was over for it".to_owned(),
    }
}

#[derive(Debug, Clone, Copy)]
enum LogTarget<'a> {
    Build,
    Host(&'a HostName),
}

/// `build.log` and `hosts/NAME.log`, opened when there is something to say.
#[derive(Debug)]
struct OpenLogs {
    build: PathBuf,
    hosts: PathBuf,
    files: BTreeMap<PathBuf, File>,
}

impl OpenLogs {
    fn new(run: &RunFolder) -> Self {
        Self { build: run.build_log(), hosts: run.hosts(), files: BTreeMap::new() }
    }

    /// Adds one entry, with its time in front of every line, in one write: several writers of one log do not mix their
    /// lines. Control characters other than line ends are written out (`\u{1b}`), so that the log can be looked at on
    /// a terminal and nothing is lost.
    fn append(&mut self, log: LogTarget<'_>, at: SystemTime, text: &str) -> io::Result<()> {
        let path = match log {
            LogTarget::Build => self.build.clone(),
            LogTarget::Host(host) => self.hosts.join(format!("{host}.log")),
        };
        let file = match self.files.entry(path) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let file = open_to_append(new.key())?;
                new.insert(file)
            }
        };
        let time = humantime::format_rfc3339_millis(at).to_string();
        let mut clean = String::with_capacity(text.len() + time.len() + 2);
        for line in text.trim_end().lines() {
            clean.push_str(&time);
            clean.push(' ');
            for character in line.chars() {
                if character.is_control() && character != '\t' {
                    clean.extend(character.escape_default());
                } else {
                    clean.push(character);
                }
            }
            clean.push('\n');
        }
        file.write_all(clean.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Outcome;
    use crate::event::stream::ListenerEnd;
    use crate::record::folder::StateFolder;

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
            format!(
                "{done} test done\n{logged} log of test:\n{logged} test| \\u{{1b}}[1mstarting\n{logged} test| done\n"
            )
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
            Event::HostFound { host: host("vps"), text: "guarded".into() },
            Event::LeftToGuard { host: host("vps"), fires_in_ms: 60_000, boot_ms: 300_000 },
            Event::Failed { host: Some(host("vps")), text: "no".into(), hint: Some("look".into()) },
            Event::Finished {
                outcome: Outcome::RolledBack,
                text: "done".into(),
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
                "answers: NixOS unknown, nix 2.28.4, systemd 257.6, kernel 6.12.8",
                "no package changes; only a reboot brings: kernel",
                "baseline: 2 of 3 links up",
                "vps -> nas ping: no answer",
                "found: guarded",
                "left to its guard, which fires in 60 s; then up to 300 s to go back and boot",
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
        let mut writer =
            Writer { events: full(), logs: OpenLogs::new(&run), printed: BTreeMap::new(), losses: losses.clone() };
        let line = |seq: u64| Line {
            version: crate::event::VERSION,
            run: None,
            seq,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(seq),
            event: Event::Decided,
        };
        (1..=3).for_each(|seq| writer.take(&line(seq)));
        // There is room again, and then none for what belongs to a host's log.
        writer.events = open_to_append(&run.events()).unwrap();
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
}
