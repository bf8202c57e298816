//! The live screen: rows at the lower end of the terminal that are drawn anew, and above them the lines that stay.
//!
//! The only user of indicatif. All rows are one bar with a message of several lines: a frame is then one draw, where a
//! bar for each row would draw the whole screen once for every row that changes.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::Event;
use crate::event::line::Line;
use crate::ui::echo::Echo;
use crate::ui::frame::{Frame, TerminalSize};
use crate::ui::layout::layout;
use crate::ui::mode::Mode;
use crate::ui::plain::Plain;
use crate::ui::screen_style::ScreenStyle;
use crate::ui::sentences::{self, Sentence};

/// At most ten frames a second.
const FRAME: Duration = Duration::from_millis(100);

/// The longest time without a frame: what is counted in seconds counts.
const TICK: Duration = Duration::from_secs(1);

/// Below this nothing could be read.
const SMALLEST: TerminalSize = (20, 3);

/// The source of the time: the clock, or a recorded push that is played again.
pub type Now = Box<dyn Fn() -> SystemTime + Send>;

/// How large the terminal is just now.
pub type Measure = Box<dyn Fn() -> (u16, u16) + Send>;

/// Draws events on a terminal.
pub struct Tui {
    kept: Plain,
    bar: ProgressBar,
    frame: Frame,
    colour: bool,
    unicode: bool,
    measure: Measure,
    now: Now,
    /// Lines that stay, and are not yet on the screen.
    above: Vec<Sentence>,
    rows: Vec<String>,
    drawn: Option<Instant>,
    asking: Asking,
    echo: Option<Echo>,
}

/// Whether a person is being asked something: then the terminal is theirs, and nothing is drawn on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    No,
    /// The rows are to be taken away.
    Begins,
    Waits,
}

impl Tui {
    /// `measure` tells how large the terminal behind `output` is, `now` what time it is.
    #[must_use]
    pub fn new(mode: Mode, output: impl Write + Send + 'static, measure: Measure, now: Now) -> Self {
        let (colour, unicode) = match mode {
            Mode::Live { colour, unicode, .. } => (colour, unicode),
            Mode::Plain { colour, .. } | Mode::Quiet { colour } => (colour, false),
            Mode::Json => (false, false),
        };
        let frame = Frame::new(output, measure());
        Self {
            kept: Plain::new(mode),
            bar: bar(&frame),
            frame,
            colour,
            unicode,
            measure,
            now,
            above: Vec::new(),
            rows: Vec::new(),
            drawn: None,
            asking: Asking::No,
            echo: None,
        }
    }

    /// What is typed is not to be seen between the rows of this terminal, but for the answer to a question.
    pub(crate) fn with_echo(mut self, echo: Option<Echo>) -> Self {
        echo.iter().for_each(Echo::off);
        self.echo = echo;
        self
    }

    /// Takes an event in, or notices that time has passed; draws if it is time to. Answers how long to wait for the
    /// next event at most.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn hear(&mut self, line: Option<&Line>) -> io::Result<Duration> {
        if let Some(line) = line {
            self.take(line);
        }
        let waited = self.drawn.map_or(FRAME, |drawn| drawn.elapsed());
        // The last ones, and those that hand the terminal over or take it back.
        let at_once = |event: &Event| {
            matches!(event, Event::Finished { .. } | Event::Ended { .. } | Event::Asked { .. } | Event::Replied { .. })
        };
        if waited >= FRAME || line.is_some_and(|line| at_once(&line.event)) {
            self.draw()?;
            return Ok(TICK);
        }
        Ok(FRAME.saturating_sub(waited))
    }

    /// Takes an event in, and draws nothing.
    pub fn take(&mut self, line: &Line) {
        match line.event {
            Event::Asked { .. } => self.asking = Asking::Begins,
            // A question that a signal has ended has no reply.
            Event::Replied { .. } | Event::Finished { .. } | Event::Ended { .. } => self.asking = Asking::No,
            _ => {}
        }
        self.kept.widen_to(usize::from(self.size().0));
        let said = self.kept.say(line);
        self.above.extend(said);
    }

    /// Draws a frame, if there is anything new on it.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self) -> io::Result<()> {
        if self.asking == Asking::Waits {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        let size = self.size();
        self.frame.resize(size);
        let style = ScreenStyle {
            colour: self.colour,
            unicode: self.unicode,
            columns: usize::from(size.0) - 1,
            // The last line is left free for the cursor.
            lines: usize::from(size.1) - 1,
        };
        if self.bar.is_finished() {
            // Below what was asked and answered.
            self.bar = bar(&self.frame);
            self.echo.iter().for_each(Echo::off);
        }
        let rows = match self.asking {
            Asking::No => layout(self.kept.view(), &style, (self.now)()),
            Asking::Begins | Asking::Waits => Vec::new(),
        };
        let above = self.kept.write(&sentences::merge(std::mem::take(&mut self.above)));
        if above.is_empty() && rows == self.rows && self.asking == Asking::No {
            return Ok(());
        }
        if rows.is_empty() && !self.rows.is_empty() {
            // They go first: else what is printed above them scrolls away for rows that are about to go.
            self.bar.set_message("");
            self.rows.clear();
        }
        if !above.is_empty() {
            let text = if self.unicode { above } else { above.replace(|letter: char| !letter.is_ascii(), "?") };
            self.bar.println(text.trim_end_matches('\n'));
        }
        if rows != self.rows {
            self.bar.set_message(rows.join("\n"));
            self.rows = rows;
        }
        if self.asking == Asking::Begins {
            self.asking = Asking::Waits;
            self.bar.finish_and_clear();
            self.echo.iter().for_each(Echo::restore);
        }
        if self.rows.is_empty() {
            self.frame.end_line();
        } else {
            self.frame.park();
        }
        self.frame.commit()
    }

    fn size(&self) -> TerminalSize {
        let (columns, lines) = (self.measure)();
        (columns.max(SMALLEST.0), lines.max(SMALLEST.1))
    }
}

fn bar(frame: &Frame) -> ProgressBar {
    // Without a rate of its own: this module keeps the pace, and no frame may be lost.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like(Box::new(frame.clone())));
    bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Takes away the rows when a command ends in the middle: they are not drawn any more.
impl Drop for Tui {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.frame.end_line();
        self.echo.iter().for_each(Echo::restore);
        // No screen is left to tell an error.
        let _ = self.frame.commit();
    }
}
