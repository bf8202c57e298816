//! One line for each event, on stderr: for pipes, CI logs and whoever likes to scroll.
//!
//! A line is the time since the push began, the host it is about, and what happened: `[  12.3s] vps  copied`. What
//! concerns the whole fleet has no host in front. A [`Plain`] only folds events to text; it does not print.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::event::line::Line;
use crate::event::{Event, HostPlanned, Phase};
use crate::inventory::model::HostName;
use crate::ui::mode::Mode;
use crate::ui::paint::{Tone, paint};
use crate::ui::recap::Recap;
use crate::ui::{matrix, sanitise, words};

/// The shortest time between two lossy lines of one kind about one host, so that a log of a push of many minutes stays
/// readable. A new phase lets each speak at once.
const TALK_PAUSE: Duration = Duration::from_secs(10);

/// Lines of a log that are shown; the whole of it is in the record. `-v` shows what came.
const LOG_TAIL: usize = 20;

/// Links that verify waits for which are named, so that the line stays one.
const LINKS_NAMED: usize = 2;

/// The longest host name that the others are aligned to.
const NAME_WIDTH_LIMIT: usize = 20;

/// Folds events to lines of text.
#[derive(Debug)]
pub struct Plain {
    colour: bool,
    amount: Amount,
    fleet: Option<String>,
    record: Option<String>,
    start: Option<SystemTime>,
    /// Never goes back, also when the workstation's clock does.
    elapsed: Duration,
    name_width: usize,
    /// Not a push: its phases are not the ten.
    recovers: bool,
    plan: Vec<HostPlanned>,
    /// When each armed guard fires.
    guards: BTreeMap<HostName, SystemTime>,
    spoke: BTreeMap<(Talk, Option<HostName>), SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// Warnings, failures and an end that is not a good one.
    Quiet,
    Normal,
    Verbose,
}

/// The kinds of lossy events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Talk {
    Host,
    Build,
    Copy,
    Links,
}

impl Plain {
    /// [`Mode::Json`] is not plain text and is drawn like plain text without colour.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        let (colour, amount) = match mode {
            Mode::Quiet { colour } => (colour, Amount::Quiet),
            Mode::Plain { colour, verbose: true } => (colour, Amount::Verbose),
            Mode::Plain { colour, verbose: false } => (colour, Amount::Normal),
            Mode::Json => (false, Amount::Normal),
        };
        Self {
            colour,
            amount,
            fleet: None,
            record: None,
            start: None,
            elapsed: Duration::ZERO,
            name_width: 0,
            recovers: false,
            plan: Vec::new(),
            guards: BTreeMap::new(),
            spoke: BTreeMap::new(),
        }
    }

    /// What this event adds to the screen: nothing, or whole lines.
    #[must_use]
    pub fn render(&mut self, line: &Line) -> String {
        let start = *self.start.get_or_insert(line.at);
        self.elapsed = self.elapsed.max(line.since(start));
        self.remember(line);
        if self.amount == Amount::Quiet && !is_for_quiet(&line.event) {
            return String::new();
        }
        self.state_event(line)
    }

    /// What later lines need to know.
    fn remember(&mut self, line: &Line) {
        match &line.event {
            Event::PushStarted { fleet, hosts, record, .. } => {
                self.fleet = Some(fleet.clone());
                self.record.clone_from(record);
                let longest = hosts.iter().map(|host| host.as_str().len()).max().unwrap_or(0);
                self.name_width = longest.min(NAME_WIDTH_LIMIT);
            }
            Event::RecoverStarted { fleet, hosts, .. } => {
                self.fleet = Some(fleet.clone());
                self.recovers = true;
                let longest = hosts.iter().map(|host| host.as_str().len()).max().unwrap_or(0);
                self.name_width = longest.min(NAME_WIDTH_LIMIT);
            }
            Event::RunChosen { record, .. } => self.record = Some(record.clone()),
            Event::Planned { hosts } => self.plan.clone_from(hosts),
            Event::PhaseStarted { .. } | Event::RollBackStarted { .. } => self.spoke.clear(),
            Event::GuardArmed { host, left_ms }
            | Event::GuardSeen { host, left_ms }
            | Event::GuardExtended { host, left_ms } => {
                self.guards.insert(host.clone(), line.at + Duration::from_millis(*left_ms));
            }
            Event::GuardDisarmed { host } | Event::CameBack { host, .. } => {
                self.guards.remove(host);
            }
            _ => {}
        }
    }

    fn state_event(&mut self, line: &Line) -> String {
        match &line.event {
            Event::PushStarted { fleet, hosts, inventory, guard_ms, record, .. } => {
                let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
                let mut text = format!("push {} ({})", sanitise::line(fleet), names.join(", "));
                if *guard_ms > 0 {
                    text += &format!(", guards of {}", words::span_ms(*guard_ms));
                }
                let mut out = self.fleet_line(Some(Tone::Strong), &text);
                out += &self.fleet_line(None, &format!("inventory: {inventory}"));
                if let Some(record) = record {
                    out += &self.fleet_line(None, &format!("record: {record}"));
                }
                out
            }
            Event::RecoverStarted { fleet, hosts, inventory } => {
                let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
                let text = format!("recover {} ({})", sanitise::line(fleet), names.join(", "));
                self.fleet_line(Some(Tone::Strong), &text) + &self.fleet_line(None, &format!("inventory: {inventory}"))
            }
            Event::RunChosen { alone, record, .. } => {
                let run = sanitise::line(line.run.as_deref().unwrap_or_default());
                let how = if *alone { "from the hosts alone, without its record" } else { "from its record" };
                let text = format!("run {run} did not come to its end: taking it over {how}");
                self.fleet_line(Some(Tone::Strong), &text) + &self.fleet_line(None, &format!("record: {record}"))
            }
            Event::Planned { hosts } => hosts.iter().map(|planned| self.planned(planned)).collect(),
            Event::PhaseStarted { phase } => self.phase_line(line.at, *phase),
            Event::HostDone { host, phase } => self.host_line(host, None, &format!("{} done", phase.word())),
            Event::GuardArmed { host, left_ms } => {
                let left = words::span_ms(*left_ms);
                let text = format!("guard armed: goes back to the old system in {left} unless the push ends well");
                self.host_line(host, None, &text)
            }
            Event::GuardSeen { host, left_ms } => {
                self.host_line(host, None, &format!("its guard fires in {}", words::span_ms(*left_ms)))
            }
            Event::GuardExtended { host, left_ms } => {
                self.host_line(host, None, &format!("guard extended: {} left", words::span_ms(*left_ms)))
            }
            Event::GuardDisarmed { host } => self.host_line(host, None, "guard disarmed"),
            Event::ContactLost { host, why } => {
                let text = format!("contact lost, connecting again: {}", sanitise::line(why));
                self.host_line(host, Some(Tone::Doubtful), &text)
            }
            Event::ContactMade { host } => self.host_line(host, None, "contact made"),
            Event::Warned { host, text } => {
                self.any_line(host.as_ref(), Some(Tone::Doubtful), &format!("warning: {}", sanitise::text(text)))
            }
            Event::Failed { host, text, hint } => {
                let text = format!("FAILED: {}", sanitise::text(text));
                let mut out = self.any_line(host.as_ref(), Some(Tone::Bad), &text);
                if let Some(hint) = hint {
                    out += &self.any_line(host.as_ref(), None, &format!("hint: {}", sanitise::text(hint)));
                }
                out
            }
            Event::Logged { host, what, lines } => self.log(host, what, lines),
            Event::MatrixSeen { phase, cells } => {
                let text = format!("{}: {}", phase.word(), matrix::count(cells));
                let tone = cells.iter().any(|cell| cell.required && !cell.answer.is_up()).then_some(Tone::Doubtful);
                let mut out = self.fleet_line(tone, &text);
                for row in matrix::render(cells, matrix::WIDTH - 2, self.colour).lines() {
                    out += &format!("  {row}\n");
                }
                out
            }
            Event::Decided => self.fleet_line(Some(Tone::Good), "decided: every host and every link holds, commit"),
            Event::RollBackStarted { reason } => {
                let text = format!("ROLLING BACK: {}", sanitise::text(reason));
                self.fleet_line(Some(Tone::Bad), &text)
            }
            Event::HostFound { host, text } => self.host_line(host, None, &format!("found: {}", sanitise::text(text))),
            Event::LeftToGuard { host, fires_in_ms, boot_ms } => {
                let (left, boot) = (words::span_ms(*fires_in_ms), words::span_ms(*boot_ms));
                let text = format!("left to its guard: fires within {left}, then up to {boot} to boot");
                self.host_line(host, Some(Tone::Doubtful), &text)
            }
            Event::CameBack { host, text } => {
                self.host_line(host, None, &format!("came back: {}", sanitise::text(text)))
            }
            // A query's command prints its own answer on stdout; versions and logs are for the record.
            Event::Answer { .. }
            | Event::Ended { .. }
            | Event::WorkstationSeen { .. }
            | Event::HostSurveyed { .. }
            | Event::Compared { .. }
            | Event::BootDefaultMoved { .. }
            | Event::Printed { .. } => String::new(),
            Event::Finished { outcome, text, hosts, exit, took_ms } => Recap {
                fleet: self.fleet.as_deref(),
                outcome: *outcome,
                text,
                hosts,
                exit: *exit,
                took_ms: *took_ms,
                plan: &self.plan,
                record: self.record.as_deref(),
            }
            .render(self.colour),
            Event::HostMoved { .. } | Event::BuildMoved { .. } | Event::CopyMoved { .. } | Event::LinksMoved { .. } => {
                self.lossy_event(line)
            }
        }
    }

    fn lossy_event(&mut self, line: &Line) -> String {
        match &line.event {
            Event::HostMoved { host, doing } if self.may_speak(Talk::Host, Some(host), line.at) => {
                self.host_line(host, None, &sanitise::line(doing))
            }
            Event::BuildMoved { done, expected, doing, .. } if self.may_speak(Talk::Build, None, line.at) => {
                // Before nix knows what there is to build it only evaluates.
                let front = if *expected > 0 { format!("built {done} of {expected}: ") } else { String::new() };
                self.fleet_line(None, &(front + &sanitise::line(doing)))
            }
            Event::CopyMoved { host, done_bytes, expected_bytes }
                if *expected_bytes > 0 && self.may_speak(Talk::Copy, Some(host), line.at) =>
            {
                let text = format!("copied {} of {}", words::size(*done_bytes), words::size(*expected_bytes));
                self.host_line(host, None, &text)
            }
            Event::LinksMoved { up, of, rounds, waiting_for, .. } if self.may_speak(Talk::Links, None, line.at) => {
                let mut text = format!("{up} of {of} links up, good rounds in a row: {rounds}");
                if !waiting_for.is_empty() {
                    let named = &waiting_for[..waiting_for.len().min(LINKS_NAMED)];
                    text += &format!(", waiting for {}", sanitise::line(&named.join(", ")));
                    if named.len() < waiting_for.len() {
                        text += &format!(" and {} more", waiting_for.len() - named.len());
                    }
                }
                text += &self.guards_left(line.at);
                self.fleet_line(None, &text)
            }
            _ => String::new(),
        }
    }

    fn may_speak(&mut self, talk: Talk, host: Option<&HostName>, now: SystemTime) -> bool {
        let key = (talk, host.cloned());
        let quiet_for = self.spoke.get(&key).map(|last| now.duration_since(*last).unwrap_or_default());
        let may = self.amount == Amount::Verbose || quiet_for.is_none_or(|quiet| quiet >= TALK_PAUSE);
        if may {
            self.spoke.insert(key, now);
        }
        may
    }

    fn planned(&self, planned: &HostPlanned) -> String {
        let systems = words::systems(&planned.host, &planned.old, &planned.new);
        let old = words::system(&planned.host, &planned.old);
        let text = match (planned.selected, planned.changes) {
            (_, true) => format!("will change: {systems}"),
            (true, false) => format!("has its new system already: {old}"),
            (false, false) => format!("was not selected, stays on {old}"),
        };
        self.host_line(&planned.host, None, &text)
    }

    fn phase_line(&self, now: SystemTime, phase: Phase) -> String {
        // Only a push has a fleet, and passes all ten.
        let of_a_push = self.fleet.is_some() && !self.recovers;
        let number = words::number(phase).filter(|_| of_a_push);
        let number = number.map(|number| format!(" ({number} of 10)")).unwrap_or_default();
        let about = if of_a_push || phase != Phase::Baseline { words::about(phase) } else { "probe every link" };
        let text = format!("== {}{number}: {about}{}", phase.word(), self.guards_left(now));
        self.fleet_line(Some(Tone::Strong), &text)
    }

    /// ` [guards: 14m 12s left]`, for the one that fires first; nothing if none is armed.
    fn guards_left(&self, now: SystemTime) -> String {
        self.guards.values().min().map_or_else(String::new, |first| {
            format!(" [guards: {} left]", words::span(first.duration_since(now).unwrap_or_default()))
        })
    }

    fn log(&self, host: &HostName, what: &str, lines: &[String]) -> String {
        let shown = if self.amount == Amount::Verbose { lines.len() } else { lines.len().min(LOG_TAIL) };
        let left_out = lines.len() - shown;
        let mut text = format!("log of {}:", sanitise::line(what));
        if left_out > 0 {
            text += &format!(" ({left_out} earlier lines are in the record)");
        }
        for line in &lines[left_out..] {
            text += &format!("\n| {}", sanitise::line(line));
        }
        self.host_line(host, None, &text)
    }

    fn any_line(&self, host: Option<&HostName>, tone: Option<Tone>, text: &str) -> String {
        match host {
            Some(host) => self.host_line(host, tone, text),
            None => self.fleet_line(tone, text),
        }
    }

    fn host_line(&self, host: &HostName, tone: Option<Tone>, text: &str) -> String {
        let front = format!("{} {host:<width$}  ", words::elapsed(self.elapsed), width = self.name_width);
        self.lines(&front, tone, text)
    }

    fn fleet_line(&self, tone: Option<Tone>, text: &str) -> String {
        self.lines(&format!("{} ", words::elapsed(self.elapsed)), tone, text)
    }

    /// `front` before the first line, the others below its end.
    fn lines(&self, front: &str, tone: Option<Tone>, text: &str) -> String {
        let indent = " ".repeat(front.chars().count());
        let mut out = String::new();
        for (number, line) in text.trim_end().lines().enumerate() {
            let line = tone.map_or_else(|| line.to_owned(), |tone| paint(self.colour, tone, line));
            let front = if number == 0 { front } else { &indent };
            out += format!("{front}{line}").trim_end();
            out += "\n";
        }
        out
    }
}

fn is_for_quiet(event: &Event) -> bool {
    match event {
        Event::Warned { .. } | Event::Failed { .. } | Event::RollBackStarted { .. } | Event::LeftToGuard { .. } => true,
        Event::Finished { exit, .. } => *exit != 0,
        _ => false,
    }
}
