//! Writes down what was published: `events.jsonl`, and a log for each host.
//!
//! In a thread of its own, behind the push: nothing is decided from these files, so a slow disk must not hold up a
//! push while guards count down.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::event::Event;
use crate::event::line::Line;
use crate::event::stream::{Events, Listener};
use crate::inventory::model::HostName;
use crate::record::folder::RunFolder;
use crate::record::{RecordError, open_to_append, write_error};

/// Starts to write everything that is published from now on.
///
/// # Errors
/// If `events.jsonl` cannot be written, or the thread not be started: then the push does not start.
pub fn start(events: &Events, run: &RunFolder) -> Result<Listener, RecordError> {
    let path = run.events();
    let file = open_to_append(&path).map_err(write_error(&path))?;
    let mut writer = Writer { events: file, hosts: HostLogs::new(run) };
    events.listen("record", move |line| writer.write(line)).map_err(write_error(&path))
}

struct Writer {
    events: File,
    hosts: HostLogs,
}

impl Writer {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        self.events.write_all(&json)?;
        if let Some((host, text)) = host_text(&line.event) {
            self.hosts.append(host, &format!("{} {text}", humantime::format_rfc3339_millis(line.at)))?;
        }
        Ok(())
    }
}

/// What an event adds to the log of one host.
fn host_text(event: &Event) -> Option<(&HostName, String)> {
    match event {
        Event::Logged { host, what, lines } => {
            let lines = lines.iter().map(|line| format!("\n| {line}"));
            Some((host, std::iter::once(format!("log of {what}:")).chain(lines).collect()))
        }
        Event::Printed { host: Some(host), by, lines } => {
            let lines: Vec<String> = lines.iter().map(|line| format!("{by}| {line}")).collect();
            Some((host, lines.join("\n")))
        }
        Event::BootDefaultMoved { host, generation } => {
            Some((host, format!("a reboot brings generation {generation} now")))
        }
        Event::HostMoved { host, doing } => Some((host, doing.clone())),
        Event::HostDone { host, phase } => Some((host, format!("{} done", phase.word()))),
        Event::GuardArmed { host, left_ms } => Some((host, format!("guard armed, {} s left", left_ms / 1000))),
        Event::GuardExtended { host, left_ms } => Some((host, format!("guard extended, {} s left", left_ms / 1000))),
        Event::GuardDisarmed { host } => Some((host, "guard disarmed".to_owned())),
        Event::ContactLost { host, why } => Some((host, format!("contact lost: {why}"))),
        Event::ContactMade { host } => Some((host, "contact made".to_owned())),
        Event::Warned { host: Some(host), text } => Some((host, format!("warning: {text}"))),
        Event::Failed { host: Some(host), text, .. } => Some((host, format!("failed: {text}"))),
        Event::LeftToGuard { host, fires_in_ms, .. } => {
            Some((host, format!("left to its guard, which fires in {} s", fires_in_ms / 1000)))
        }
        Event::CameBack { host, text } => Some((host, format!("came back: {text}"))),
        _ => None,
    }
}

/// The logs `hosts/NAME.log`, opened when a host has something to say.
#[derive(Debug)]
pub struct HostLogs {
    folder: PathBuf,
    files: BTreeMap<HostName, File>,
}

impl HostLogs {
    #[must_use]
    pub fn new(run: &RunFolder) -> Self {
        Self { folder: run.hosts(), files: BTreeMap::new() }
    }

    /// Adds one entry, in one write: several writers of one log do not mix their lines. Control characters other than
    /// line ends are written out (`\u{1b}`), so that the log can be looked at on a terminal and nothing is lost.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(&mut self, host: &HostName, text: &str) -> io::Result<()> {
        if !self.files.contains_key(host) {
            let file = open_to_append(&self.folder.join(format!("{host}.log")))?;
            self.files.insert(host.clone(), file);
        }
        let Some(file) = self.files.get_mut(host) else { return Ok(()) };
        let mut clean = String::with_capacity(text.len() + 1);
        for character in text.trim_end().chars() {
            if character.is_control() && !matches!(character, '\n' | '\t') {
                clean.extend(character.escape_default());
            } else {
                clean.push(character);
            }
        }
        clean.push('\n');
        file.write_all(clean.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Phase;
    use crate::event::stream::ListenerEnd;
    use crate::record::folder::State;

    #[test]
    fn the_record_holds_every_event_and_each_host_its_own() {
        let home = tempfile::tempdir().unwrap();
        let state = State::at(home.path().join("state"));
        let (run, _journal) = state.create_run("homelab", SystemTime::now()).unwrap();
        let events = Events::new(Some(run.id().to_string()));
        let listener = start(&events, &run).unwrap();
        let vps = HostName::new("vps").unwrap();
        let published = [
            Event::PhaseStarted { phase: Phase::Test },
            Event::HostDone { host: vps.clone(), phase: Phase::Test },
            Event::Logged { host: vps, what: "test".into(), lines: vec!["\u{1b}[1mstarting".into(), "done".into()] },
        ];
        published.clone().into_iter().for_each(|event| events.publish(event));
        assert!(matches!(listener.finish(Duration::from_secs(30)), ListenerEnd::Complete));

        let text = std::fs::read_to_string(run.events()).unwrap();
        let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.iter().map(|line| line.event.clone()).collect::<Vec<_>>(), published);
        assert!(lines.iter().all(|line| line.run.as_deref() == Some(run.id().as_str())));

        let path = run.hosts().join("vps.log");
        let time = |line: &Line| humantime::format_rfc3339_millis(line.at);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!(
                "{} test done\n{} log of test:\n| \\u{{1b}}[1mstarting\n| done\n",
                time(&lines[1]),
                time(&lines[2])
            )
        );
        for file in [run.events(), path] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
