//! A push that runs or has run: its events as they come, its words, how it ended.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use fleetdeploy::event::line::Line;
use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use fleetdeploy::inventory::model::HostName;

use crate::wait::{seconds, until};

/// Longer than any push here may take: with a guard of minutes, a reboot, and a machine that does other things. There
/// an emulated processor boots for five minutes.
fn longest() -> Duration {
    let emulated = std::thread::current().name().is_some_and(|test| test.starts_with("vm::"));
    seconds(if emulated { 900 } else { 280 })
}

/// What is heard of a run, shared between the readers of its pipes, the test, and the fleet that shows it on failure.
#[derive(Debug, Default)]
pub(crate) struct Log {
    heard: Mutex<Heard>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Heard {
    words: String,
    /// Whether stdout is events.
    json: bool,
    lines: Vec<Line>,
    /// How much of stdout has been read as events.
    read: usize,
    stdout: String,
    stderr: String,
    open_pipes: u8,
    status: Option<String>,
}

/// A run of the binary that may still be under way.
#[derive(Debug)]
pub(crate) struct Pushing {
    child: Child,
    log: Arc<Log>,
    started: Instant,
}

/// A run of the binary that has ended.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Absent when a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) lines: Vec<Line>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Pushing {
    /// `child` has pipes for stdout and stderr; `json`: its stdout is events.
    pub(crate) fn follow(mut child: Child, words: String, json: bool) -> (Self, Arc<Log>) {
        let heard = Heard { words, json, open_pipes: 2, ..Heard::default() };
        let log = Arc::new(Log { heard: Mutex::new(heard), news: Condvar::new() });
        log.read(child.stdout.take().unwrap(), Heard::take_stdout);
        log.read(child.stderr.take().unwrap(), |heard, text| heard.stderr.push_str(text));
        (Self { child, log: Arc::clone(&log), started: Instant::now() }, log)
    }

    /// Waits for an event that `wanted` makes something of, and answers with that. Also one that came before.
    pub(crate) fn wait_for<T>(&self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + longest();
        let mut heard = self.log.heard.lock().unwrap();
        loop {
            if let Some(found) = heard.lines.iter().find_map(|line| wanted(&line.event)) {
                return found;
            }
            assert!(heard.open_pipes > 0, "the run ended without this event: {what}");
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no such event within {} s: {what}", longest().as_secs());
            heard = self.log.news.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// Waits until this holds for the lines that have come; `false` when it ended without.
    pub(crate) fn until_lines(&self, holds: impl Fn(&[Line]) -> bool) -> bool {
        let deadline = Instant::now() + longest();
        let mut heard = self.log.heard.lock().unwrap();
        while !holds(&heard.lines) {
            if heard.open_pipes == 0 {
                return false;
            }
            assert!(Instant::now() < deadline, "what was waited for did not come within {} s", longest().as_secs());
            heard = self.log.news.wait_timeout(heard, seconds(1)).unwrap().0;
        }
        true
    }

    /// The events that have come so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.log.heard.lock().unwrap().lines.clone()
    }

    pub(crate) fn wait_for_phase(&self, wanted: Phase) {
        self.wait_for(wanted.word(), |event| {
            matches!(event, Event::PhaseStarted { phase } if *phase == wanted).then_some(())
        });
    }

    /// Waits until stdout or stderr has this text; for runs on a terminal.
    pub(crate) fn wait_for_text(&self, text: &str) {
        until(seconds(60), text, || {
            let heard = self.log.heard.lock().unwrap();
            (heard.stdout.contains(text) || heard.stderr.contains(text)).then_some(())
        });
    }

    /// Sends a signal by its name to the program itself, not to a group.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The program's own, as this machine counts.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it is gone, killed by the test itself. What it has left running (ssh, its masters) may live on.
    pub(crate) fn died(mut self) {
        until(longest(), "the death of the run", || self.child.try_wait().unwrap());
    }

    pub(crate) fn stdin(&mut self) -> &mut std::process::ChildStdin {
        self.child.stdin.as_mut().unwrap()
    }

    /// Waits for the end, within bounds.
    pub(crate) fn ended(mut self) -> Pushed {
        let status = until(longest(), "the end of the run", || self.child.try_wait().unwrap());
        let took = self.started.elapsed();
        let mut heard = self.log.heard.lock().unwrap();
        heard.status = Some(format!("{status} after {took:.1?}"));
        // A pipe can outlive the program in a child that it left: an ssh master keeps none (ControlPersist).
        let deadline = Instant::now() + seconds(5);
        while heard.open_pipes > 0 {
            assert!(Instant::now() < deadline, "the program has ended, and something still holds its stdout or stderr");
            heard = self.log.news.wait_timeout(heard, seconds(1)).unwrap().0;
        }
        Pushed {
            status: status.code(),
            lines: heard.lines.clone(),
            stdout: heard.stdout.clone(),
            stderr: heard.stderr.clone(),
            took,
        }
    }
}

impl Drop for Pushing {
    fn drop(&mut self) {
        // Already gone, where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The published schema of events.
fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let text = include_str!("../../events.schema.json");
        jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
    })
}

impl Heard {
    fn take_stdout(&mut self, text: &str) {
        self.stdout.push_str(text);
        while let Some(end) = self.stdout[self.read..].find('\n').filter(|_| self.json) {
            let line = &self.stdout[self.read..self.read + end];
            let json: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("no event: {error}: {line}"));
            if let Err(error) = schema().validate(&json) {
                panic!("not as events.schema.json says: {error}: {line}");
            }
            self.lines.push(serde_json::from_value(json).unwrap_or_else(|error| panic!("no event: {error}: {line}")));
            self.read += end + 1;
        }
    }
}

impl Log {
    /// Hands on what comes, as it comes: a prompt has no line end.
    fn read(self: &Arc<Self>, mut pipe: impl Read + Send + 'static, take: impl Fn(&mut Heard, &str) + Send + 'static) {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            loop {
                let more = pipe.read(&mut bytes);
                let mut heard = log.heard.lock().unwrap();
                match more {
                    Ok(count) if count > 0 => take(&mut heard, &String::from_utf8_lossy(&bytes[..count])),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    _ => {
                        heard.open_pipes -= 1;
                        log.news.notify_all();
                        return;
                    }
                }
                log.news.notify_all();
            }
        });
    }

    /// What was heard on stdout.
    pub(crate) fn stdout(&self) -> String {
        self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).stdout.clone()
    }

    /// Everything that was heard, for a failing test.
    pub(crate) fn words(&self) -> String {
        // A reader that panicked over a bad line has poisoned it; what it heard before still counts.
        let heard = self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut words = format!("--- {} ({})", heard.words, heard.status.as_deref().unwrap_or("still running"));
        for (name, text) in [("stdout", &heard.stdout), ("stderr", &heard.stderr)] {
            text.lines().for_each(|line| words.extend(["\n", name, ": ", line]));
        }
        words
    }
}

impl Pushed {
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.lines.iter().map(|line| &line.event)
    }

    /// The last event, taken apart: outcome, its sentence, every host's outcome.
    pub(crate) fn finished(&self) -> (Outcome, String, &BTreeMap<HostName, HostOutcome>) {
        match self.events().last() {
            Some(Event::Finished { outcome, text, hosts, exit, .. }) => {
                assert_eq!(Some(*exit), self.status, "the last event names another exit status");
                (*outcome, text.to_string(), hosts)
            }
            other => panic!("the last event is not `finished`: {other:?}"),
        }
    }

    /// Fails unless it ended so.
    pub(crate) fn assert_ended(&self, status: i32, outcome: Outcome) {
        assert_eq!((self.status, self.finished().0), (Some(status), outcome), "{}", self.finished().1);
    }

    /// What the push took beyond build, copy and activation themselves, as its events tell.
    pub(crate) fn overhead(&self) -> Duration {
        let done = |wanted: Phase| {
            let is_it = |line: &&Line| matches!(line.event, Event::HostDone { phase, .. } if phase == wanted);
            self.lines.iter().rfind(is_it).map(|line| line.at)
        };
        let start = |wanted: Phase| {
            let is_it = |line: &&Line| matches!(line.event, Event::PhaseStarted { phase } if phase == wanted);
            self.lines.iter().find(is_it).map(|line| line.at)
        };
        let work =
            [Phase::Build, Phase::Copy, Phase::Test, Phase::Switch].map(|phase| match (start(phase), done(phase)) {
                (Some(start), Some(done)) => done.duration_since(start).unwrap(),
                _ => Duration::ZERO,
            });
        self.took.saturating_sub(work.iter().sum())
    }

    /// Every host's outcome, by name.
    pub(crate) fn host(&self, name: &str) -> &HostOutcome {
        let hosts = self.finished().2;
        hosts.iter().find(|(host, _)| host.as_str() == name).unwrap_or_else(|| panic!("no outcome for {name}")).1
    }

    pub(crate) fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events().any(wanted)
    }

    pub(crate) fn guard_was_armed(&self, name: &str) -> bool {
        self.has(|event| matches!(event, Event::GuardArmed { host, .. } if host.as_str() == name))
    }

    /// What was said to be wrong, of this host or of any: texts, hints, warnings, reasons, log lines, the last
    /// sentence.
    pub(crate) fn words(&self, about: Option<&str>) -> String {
        let concerns = |host: Option<&HostName>| about.is_none() || host.map(HostName::as_str) == about;
        let mut words = Vec::new();
        for event in self.events() {
            match event {
                Event::Failed { host, text, hint } if concerns(host.as_ref()) => {
                    words.push(text.to_string());
                    words.extend(hint.clone());
                }
                Event::Warned { host, text } if concerns(host.as_ref()) => words.push(text.to_string()),
                Event::Logged { host, lines, .. } if concerns(Some(host)) => words.extend(lines.clone()),
                Event::CameBack { host, text } if concerns(Some(host)) => words.push(text.to_string()),
                Event::RollBackStarted { reason, .. } if about.is_none() => words.push(reason.to_string()),
                Event::Finished { text, .. } if about.is_none() => words.push(text.to_string()),
                _ => {}
            }
        }
        words.join("\n")
    }

    /// Fails unless all of these were said (upper and lower case are one).
    pub(crate) fn assert_says(&self, about: Option<&str>, wanted: &[&str]) {
        let words = self.words(about);
        let lower = words.to_lowercase();
        for text in wanted {
            assert!(lower.contains(&text.to_lowercase()), "nothing was said of {text:?}, but:\n{words}");
        }
    }
}

/// Pipes for a run of the binary.
pub(crate) fn piped(command: &mut std::process::Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}
