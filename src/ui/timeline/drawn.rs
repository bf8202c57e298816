//! The timeline as a table of a terminal, or as a list where a table would be too wide.

use super::{Timeline, Took};
use crate::event::Phase;
use crate::event::wording::words;
use crate::ui::paint::{Tone, paint};

/// The row of what all hosts pass together. No host can have this name.
const FLEET: &str = "(fleet)";

impl Timeline {
    /// Draws it within `width` columns; every line ends in a line end. Nothing for a run that came to no phase.
    #[must_use]
    pub fn render(&self, width: usize, colour: bool) -> String {
        if self.phases.is_empty() {
            return String::new();
        }
        let fleet: Vec<Took> = self.fleet.iter().copied().map(Took::Passed).collect();
        let rows: Vec<TimelineRow> = std::iter::once((FLEET, &fleet))
            .chain(self.hosts.iter().map(|(host, took)| (host.as_str(), took)))
            .map(|(name, took)| TimelineRow::new(name, took))
            .collect();
        let table = self.table(&rows, width, 2, colour).or_else(|| self.table(&rows, width, 1, colour));
        let mut out = table.unwrap_or_else(|| self.list(&rows, width, colour));
        out += &legend(&rows);
        out
    }

    /// `None` if it is wider than `width`. All ten phases of a push fit into 80 columns only with narrow gaps.
    fn table(&self, rows: &[TimelineRow<'_>], width: usize, between: usize, colour: bool) -> Option<String> {
        let first = rows.iter().map(|row| row.name.len()).max()?;
        let column = |number: usize| {
            let cells = rows.iter().map(|row| row.cells[number].text.len());
            cells.chain([self.phases[number].word().len()]).max().unwrap_or(1)
        };
        let widths: Vec<usize> = (0..self.phases.len()).map(column).collect();
        if first + widths.iter().map(|width| width + between).sum::<usize>() > width {
            return None;
        }
        let mut heading = " ".repeat(first);
        for (phase, width) in self.phases.iter().zip(&widths) {
            heading += &format!("{:between$}{:<width$}", "", phase.word());
        }
        let mut out = paint(colour, Tone::Strong, heading.trim_end()) + "\n";
        for row in rows {
            let mut line = format!("{:<first$}", row.name);
            let mut gap = between;
            for (cell, width) in row.cells.iter().zip(&widths) {
                line += &format!("{:gap$}{}", "", cell.painted(colour));
                gap = width - cell.text.len() + between;
            }
            out += line.trim_end();
            out += "\n";
        }
        Some(out)
    }

    /// One paragraph for each row: `vps: build 12s*, copy 3s`.
    fn list(&self, rows: &[TimelineRow<'_>], width: usize, colour: bool) -> String {
        let mut out = String::new();
        for row in rows {
            let parts: Vec<(&Phase, &TimelineCell)> =
                self.phases.iter().zip(&row.cells).filter(|(_, cell)| cell.tone != Some(Tone::Faint)).collect();
            out += &format!("{}:", row.name);
            let mut at = row.name.len() + 1;
            if parts.is_empty() {
                out += " .";
            }
            for (number, (phase, cell)) in parts.iter().enumerate() {
                let comma = if number + 1 < parts.len() { "," } else { "" };
                let length = phase.word().len() + 1 + cell.text.len() + comma.len();
                if at + 1 + length > width {
                    out += "\n   ";
                    at = 3;
                }
                out += &format!(" {} {}{comma}", phase.word(), cell.painted(colour));
                at += 1 + length;
            }
            out += "\n";
        }
        out
    }
}

struct TimelineRow<'a> {
    name: &'a str,
    cells: Vec<TimelineCell>,
}

struct TimelineCell {
    text: String,
    tone: Option<Tone>,
}

impl TimelineCell {
    fn painted(&self, colour: bool) -> String {
        self.tone.map_or_else(|| self.text.clone(), |tone| paint(colour, tone, &self.text))
    }
}

impl<'a> TimelineRow<'a> {
    fn new(name: &'a str, took: &[Took]) -> Self {
        let passed = |took: &Took| match took {
            // A time that is shown as `0s` is not worth a look.
            Took::Passed(took) if took.as_secs() > 0 => Some(*took),
            _ => None,
        };
        let longest = took.iter().filter_map(passed).max();
        let cell = |took: &Took| match took {
            Took::Nothing => TimelineCell { text: ".".to_owned(), tone: Some(Tone::Faint) },
            Took::Stuck => TimelineCell { text: "x".to_owned(), tone: Some(Tone::Bad) },
            Took::Passed(duration) if Some(*duration) == longest => {
                TimelineCell { text: format!("{}*", words::span(*duration)), tone: Some(Tone::Strong) }
            }
            Took::Passed(duration) => TimelineCell { text: words::span(*duration), tone: None },
        };
        Self { name, cells: took.iter().map(cell).collect() }
    }
}

/// Says what the signs mean that are there.
fn legend(rows: &[TimelineRow<'_>]) -> String {
    let has = |sign: &str| rows.iter().any(|row| row.cells.iter().any(|cell| cell.text.ends_with(sign)));
    let signs = [("*", "took longest"), ("x", "did not get through"), (".", "no part of its own")];
    let meanings: Vec<String> =
        signs.iter().filter(|(sign, _)| has(sign)).map(|(sign, meaning)| format!("{sign} {meaning}")).collect();
    if meanings.is_empty() { String::new() } else { format!("{}\n", meanings.join("   ")) }
}
