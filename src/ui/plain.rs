//! Prints one line for each event on stderr, for pipes, CI logs and people who like to scroll.
//!
//! A line is the time since the push began, the host it is about, and what happened: `[  12.3s] vps  copied`. What
//! concerns the whole fleet has no host in front. A [`Plain`] only folds events to text; it does not print.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::event::line::Line;
use crate::event::wording::words;
use crate::event::{Cell, Event, Outcome, Phase};
use crate::inventory::model::HostName;
use crate::ui::line::wrap;
use crate::ui::mode::Mode;
use crate::ui::paint::paint;
use crate::ui::sentences::{self, Sentence};
use crate::ui::view::{FleetView, What};
use crate::ui::{forecast, matrix, recap};

/// The shortest time between two lossy lines of one kind about one host, so that a log of a push of many minutes stays
/// readable. A new phase lets each speak at once.
const TALK_PAUSE: Duration = Duration::from_secs(10);

/// The longest host name that the others are aligned to.
const NAME_WIDTH_LIMIT: usize = 20;

/// Folds events to lines of text.
#[derive(Debug)]
pub struct Plain {
    colour: bool,
    amount: PlainAmount,
    /// Tables are not wider than this.
    columns: usize,
    view: FleetView,
    spoke: BTreeMap<(Talk, Option<HostName>), SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PlainAmount {
    /// Warnings, failures and an end that is not a good one.
    Quiet,
    /// The lines that stay above the live rows; the rows tell the rest.
    Kept,
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
            Mode::Quiet { colour } => (colour, PlainAmount::Quiet),
            Mode::Live { colour, verbose: false, .. } => (colour, PlainAmount::Kept),
            Mode::Live { colour, verbose: true, .. } | Mode::Plain { colour, verbose: true } => {
                (colour, PlainAmount::Verbose)
            }
            Mode::Plain { colour, verbose: false } => (colour, PlainAmount::Normal),
            Mode::Json => (false, PlainAmount::Normal),
        };
        Self { colour, amount, columns: matrix::WIDTH, view: FleetView::default(), spoke: BTreeMap::new() }
    }

    /// From now on tables may be as wide as this.
    pub(crate) fn widen_to(&mut self, columns: usize) {
        self.columns = columns;
    }

    /// The events that were heard so far.
    #[must_use]
    pub fn view(&self) -> &FleetView {
        &self.view
    }

    /// The lines of one event, each with its line end; nothing if it is not worth a line.
    pub fn render(&mut self, line: &Line) -> String {
        let said = self.say(line);
        self.write(&said)
    }

    /// Returns the words about an event, for [`write`](Self::write).
    pub(crate) fn say(&mut self, line: &Line) -> Vec<Sentence> {
        self.view.take(line);
        if matches!(line.event, Event::PhaseStarted { .. } | Event::RollBackStarted { .. }) {
            self.spoke.clear();
        }
        if !self.is_wanted(&line.event) || !self.may_speak(line) {
            return Vec::new();
        }
        let after = self.view.elapsed(self.view.heard.unwrap_or(line.at));
        let mut said = match &line.event {
            Event::MatrixSeen { phase, cells } => {
                let rows = matrix::render(cells, self.columns - 2, self.colour);
                let rows: Vec<String> = rows.lines().map(|row| format!("  {row}\n")).collect();
                vec![sentences::matrix(*phase, cells), sentences::table(rows.concat())]
            }
            Event::Foreseen { forecast: known, whole } => {
                let style = forecast::ForecastStyle { colour: self.colour, columns: self.columns };
                let page = if *whole { forecast::render(known, style) } else { forecast::packages(known, style) };
                vec![sentences::table(format!("\n{page}\n"))]
            }
            // A dry run's answer is on stdout.
            Event::Finished { outcome: Outcome::Planned | Outcome::Unchanged, .. }
                if self.view.what == What::DryRun =>
            {
                Vec::new()
            }
            Event::Finished { .. } => {
                let (whole, wrapped) = (self.amount == PlainAmount::Verbose, self.amount == PlainAmount::Kept);
                let style = recap::RecapStyle { colour: self.colour, columns: self.columns, wrapped, whole };
                vec![sentences::table(recap::render(&self.view, style))]
            }
            event => sentences::say(event, &self.view, self.amount == PlainAmount::Verbose),
        };
        for one in &mut said {
            one.after = after;
        }
        said
    }

    /// The lines of all that was said.
    pub(crate) fn write(&self, said: &[Sentence]) -> String {
        said.iter().map(|one| if one.is_table { one.text.clone() } else { self.write_one(one) }).collect()
    }

    fn is_wanted(&self, event: &Event) -> bool {
        // `check` has its answer on stdout.
        if self.view.what == What::Query && matches!(event, Event::MatrixSeen { phase: Phase::Baseline, .. }) {
            return false;
        }
        // One line for one thing: the answer has the host with its cause and its mend.
        if self.view.answer_says_silence() && matches!(event, Event::Failed { host: Some(_), .. }) {
            return false;
        }
        match self.amount {
            PlainAmount::Quiet => match event {
                Event::Warned { .. }
                | Event::EventsLost { .. }
                | Event::Failed { .. }
                | Event::RollBackStarted { .. }
                | Event::LeftToGuard { .. }
                | Event::Foreseen { .. } => true,
                Event::Finished { exit, .. } => *exit != 0,
                _ => false,
            },
            PlainAmount::Kept => self.is_kept(event),
            PlainAmount::Normal => !sentences::is_for_who_looks_closer(event),
            PlainAmount::Verbose => true,
        }
    }

    /// Keeps lines that must not go away with the rows.
    fn is_kept(&self, event: &Event) -> bool {
        match event {
            // A dry run has its answer on stdout.
            Event::Compared { .. } | Event::MatrixSeen { .. } if self.view.what == What::DryRun => false,
            Event::RunChosen { .. }
            | Event::CopiesForeseen { .. }
            | Event::Foreseen { .. }
            | Event::Compared { .. }
            | Event::Warned { .. }
            | Event::EventsLost { .. }
            | Event::Failed { .. }
            | Event::Logged { .. }
            | Event::RollBackStarted { .. }
            | Event::HostFound { .. }
            | Event::LeftToGuard { .. }
            | Event::CameBack { .. }
            | Event::HostRebooted { .. }
            | Event::Finished { .. } => true,
            // After each wave of a rolling reboot; else only what is not as it should be.
            Event::MatrixSeen { phase, cells } => {
                let is_fine = |cell: &Cell| cell.answer.is_up() && cell.was_up != Some(false);
                let is_proof = self.view.what == What::Reboot && *phase == Phase::Reboot;
                is_proof || !cells.iter().all(is_fine)
            }
            _ => false,
        }
    }

    /// Lossy events speak now and then; all others always.
    fn may_speak(&mut self, line: &Line) -> bool {
        let key = match &line.event {
            Event::HostMoved { host, .. } => (Talk::Host, Some(host.clone())),
            Event::BuildMoved { .. } => (Talk::Build, None),
            Event::CopyMoved { host, .. } => (Talk::Copy, Some(host.clone())),
            Event::LinksMoved { .. } => (Talk::Links, None),
            _ => return true,
        };
        let quiet_for = self.spoke.get(&key).map(|last| line.at.duration_since(*last).unwrap_or_default());
        let may = self.amount == PlainAmount::Verbose || quiet_for.is_none_or(|quiet| quiet >= TALK_PAUSE);
        if may {
            self.spoke.insert(key, line.at);
        }
        may
    }

    /// The time and the host before the first line, the others below its end.
    fn write_one(&self, said: &Sentence) -> String {
        let elapsed = words::elapsed(said.after);
        let front = match &said.hosts[..] {
            [] => format!("{elapsed} "),
            [host] => format!("{elapsed} {host:<width$}  ", width = self.name_width()),
            [first, second, rest @ ..] if rest.len() > 2 => {
                format!("{elapsed} {first}, {second} and {} more  ", rest.len())
            }
            hosts => format!("{elapsed} {}  ", hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")),
        };
        let indent = " ".repeat(front.chars().count());
        let mut out = String::new();
        for (number, line) in self.lines(said, indent.len()).iter().enumerate() {
            let line = said.tone.map_or_else(|| line.clone(), |tone| paint(self.colour, tone, line));
            let front = if number == 0 { &front } else { &indent };
            out += format!("{front}{line}").trim_end();
            out += "\n";
        }
        out
    }

    /// Above live rows long sentences go on below their beginning; a log that is searched has them on one line. What
    /// programs printed stays as they had it.
    fn lines(&self, said: &Sentence, indent: usize) -> Vec<String> {
        let lines = said.text.trim_end().lines();
        if self.amount != PlainAmount::Kept {
            return lines.map(str::to_owned).collect();
        }
        let room = self.columns.saturating_sub(indent + 1).max(20);
        lines.flat_map(|line| if line.starts_with('|') { vec![line.to_owned()] } else { wrap(line, room) }).collect()
    }

    fn name_width(&self) -> usize {
        let longest = self.view.hosts.iter().map(|host| host.name.as_str().len()).max().unwrap_or(0);
        longest.min(NAME_WIDTH_LIMIT)
    }
}
