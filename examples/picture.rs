//! Draws one moment of a recorded push as an SVG: the README's pictures. `scripts/pictures.sh` runs it.
//!
//! The events go through the real live screen, and its bytes through a terminal emulator.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use avt::{Color, Pen};
use fleetdeploy::event::line::Line;
use fleetdeploy::event::{Event, Phase};
use fleetdeploy::ui::mode::Mode;
use fleetdeploy::ui::tui::Tui;

const USAGE: &str = "usage: picture EVENTS.jsonl COMMAND MOMENT SVG
  COMMAND   what was typed, for the picture's first line
  MOMENT    `end`, or a phase and how far into it, from 0 to 1: `test 0.5`";

const COLUMNS: u16 = 100;
const ROWS: u16 = 30;

/// A cell's size in pixels, for the font's size below.
const CELL: (f64, f64) = (8.4, 18.0);
const FONT_SIZE: f64 = 14.0;
const MARGIN: f64 = 14.0;

const FRAME: Duration = Duration::from_millis(100);

const BACKGROUND: &str = "#1b1f27";
const FOREGROUND: &str = "#d6dae3";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [events, command, moment, svg] = &words[..] else { return Err(USAGE.into()) };
    let text = std::fs::read_to_string(events)?;
    let lines: Vec<Line> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let moment = moment_of(&lines, moment)?;
    let mut terminal = avt::Terminal::new(COLUMNS.into(), ROWS.into())?;
    terminal.feed([format!("$ {command}\r\n").as_str()]);
    terminal.feed([screen(&lines, moment)?.as_str()]);
    std::fs::write(svg, draw(&terminal))?;
    Ok(())
}

/// The time that is meant.
fn moment_of(lines: &[Line], text: &str) -> Result<SystemTime, Box<dyn Error>> {
    let last = lines.last().ok_or("there is no event")?.at;
    let Some((phase, part)) = text.split_once(' ') else {
        return if text == "end" { Ok(last) } else { Err(USAGE.into()) };
    };
    let (phase, part): (Phase, f64) = (serde_json::from_str(&format!("\"{phase}\""))?, part.parse()?);
    let is_it = |line: &&Line| matches!(line.event, Event::PhaseStarted { phase: begun } if begun == phase);
    let begun = lines.iter().find(is_it).ok_or("this phase never began")?.at;
    let ends =
        |line: &&Line| line.at > begun && matches!(line.event, Event::PhaseStarted { .. } | Event::Finished { .. });
    let ended = lines.iter().find(ends).map_or(last, |line| line.at);
    Ok(begun + ended.duration_since(begun)?.mul_f64(part.clamp(0.0, 0.999)))
}

/// What the live screen has written up to this moment.
fn screen(lines: &[Line], moment: SystemTime) -> Result<String, Box<dyn Error>> {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let mode = Mode::Live { colour: true, verbose: false, unicode: true };
    let mut tui = Tui::new(mode, kept.clone(), Box::new(|| (COLUMNS, ROWS)), Box::new(move || moment));
    let mut drawn = lines.first().map_or(moment, |first| first.at);
    for line in lines.iter().filter(|line| line.at <= moment) {
        // As on a terminal: what comes within a tenth of a second is one frame.
        if line.at.duration_since(drawn).is_ok_and(|since| since >= FRAME) {
            tui.draw()?;
            drawn = line.at;
        }
        tui.take(line);
    }
    tui.draw()?;
    let written = std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(String::from_utf8(written)?)
}

fn draw(terminal: &avt::Terminal) -> String {
    let screen = terminal.screen();
    let rows: Vec<&avt::Line> = screen.visible_lines().collect();
    let used = rows.iter().rposition(|row| !row.text().trim().is_empty()).map_or(1, |last| last + 1);
    #[expect(clippy::cast_precision_loss, reason = "rows of a terminal")]
    let (width, height) = (f64::from(COLUMNS) * CELL.0 + 2.0 * MARGIN, used as f64 * CELL.1 + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
         font-size=\"{FONT_SIZE}\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (number, row) in rows.iter().take(used).enumerate() {
        for (column, text, pen) in runs(row) {
            if text.trim().is_empty() {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "columns and rows of a terminal")]
            let (x, y, length) = (
                MARGIN + column as f64 * CELL.0,
                MARGIN + (number as f64 + 0.75) * CELL.1,
                text.chars().count() as f64 * CELL.0,
            );
            let (fill, weight, opacity) = look(&pen);
            // Writing to a String cannot fail.
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
                 xml:space=\"preserve\" fill=\"{fill}\"{weight}{opacity}>{}</text>",
                escaped(&text)
            );
        }
    }
    svg + "</svg>\n"
}

/// Pieces of a row that look alike, with the column that they begin in.
fn runs(row: &avt::Line) -> Vec<(usize, String, Pen)> {
    let mut runs: Vec<(usize, String, Pen)> = Vec::new();
    for (column, cell) in row.cells().iter().enumerate() {
        match runs.last_mut() {
            Some((_, text, pen)) if pen == cell.pen() => text.push(cell.char()),
            _ => runs.push((column, cell.char().to_string(), *cell.pen())),
        }
    }
    for (_, text, _) in &mut runs {
        text.truncate(text.trim_end().len());
    }
    runs
}

fn look(pen: &Pen) -> (&'static str, &'static str, &'static str) {
    let palette = BTreeMap::from([(1_u8, "#ff6b6b"), (2, "#7ee29a"), (3, "#ffcf66")]);
    let fill = match pen.foreground() {
        Some(Color::Indexed(number)) => palette.get(&number).copied().unwrap_or(FOREGROUND),
        _ => FOREGROUND,
    };
    let weight = if pen.is_bold() { " font-weight=\"bold\"" } else { "" };
    (fill, weight, if pen.is_faint() { " opacity=\"0.6\"" } else { "" })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
