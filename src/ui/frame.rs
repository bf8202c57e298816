//! The terminal as indicatif draws on it: one write a frame, lines that end where their text ends, and a size that may
//! change between two frames.
//!
//! indicatif fills every line with blanks up to the margin and lets the terminal wrap. Text that is copied would bring
//! the blanks along, and a window made narrower would fold each line in two; so here a line ends with a line end.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::strip_ansi_codes;
use indicatif::TermLike;

use crate::ui::line::width;
use crate::ui::write_patiently;

/// How large the terminal is: columns and lines.
pub(crate) type TerminalSize = (u16, u16);

/// What indicatif draws on; clones draw on the same.
#[derive(Clone)]
pub(crate) struct Frame {
    state: Arc<Mutex<FrameState>>,
}

struct FrameState {
    output: Box<dyn Write + Send>,
    size: TerminalSize,
    /// What this frame has written so far.
    written: String,
    /// indicatif writes each line and then its blanks, in two calls.
    line_is_open: bool,
    /// The cursor stands behind a line that ends when the next one begins.
    line_end_is_due: bool,
    /// How wide the lines of this frame are, in the order in which they were written.
    widths: Vec<usize>,
    /// The same of the frame before, and the columns it was drawn in.
    last: (Vec<usize>, u16),
    /// Nothing of this frame is written yet.
    fresh: bool,
}

impl Frame {
    pub(crate) fn new(output: impl Write + Send + 'static, size: TerminalSize) -> Self {
        let state = FrameState {
            output: Box::new(output),
            size,
            written: String::new(),
            line_is_open: false,
            line_end_is_due: false,
            widths: Vec::new(),
            last: (Vec::new(), size.0),
            fresh: true,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, FrameState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn resize(&self, size: TerminalSize) {
        self.state().size = size;
    }

    /// Writes what was drawn, in one piece.
    pub(crate) fn commit(&self) -> io::Result<()> {
        let mut state = self.state();
        let written = std::mem::take(&mut state.written);
        write_patiently(&mut state.output, written.as_bytes())
    }

    /// Puts the cursor at the beginning of the last row: what the terminal echoes there, such as `^C`, cannot run over
    /// the margin and push the rows up, and the next frame wipes it away.
    pub(crate) fn park(&self) {
        self.state().written.push('\r');
    }

    /// Ends the last line that was drawn, so that whatever writes next begins a new one.
    pub(crate) fn end_line(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.line_end_is_due) {
            state.written.push_str("\r\n");
        }
    }
}

impl FrameState {
    /// Lines that a narrower terminal has folded, beyond those that indicatif knows of, among the last `count`. Not the
    /// very last one: the cursor stands where it begins.
    fn folded(&self, count: usize) -> usize {
        let (widths, columns) = &self.last;
        let now = usize::from(self.size.0.max(1));
        if now >= usize::from(*columns) {
            return 0;
        }
        let of_rows = &widths[widths.len().saturating_sub(count)..widths.len().saturating_sub(1)];
        of_rows.iter().map(|width| width.div_ceil(now).max(1) - 1).sum()
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Frame").field("size", &self.state().size).finish_non_exhaustive()
    }
}

/// Called by indicatif in this order: up to the first of its lines, each of them cleared, up again; then for each line
/// its text and its blanks; `flush`.
impl TermLike for Frame {
    fn width(&self) -> u16 {
        self.state().size.0
    }

    fn height(&self) -> u16 {
        self.state().size.1
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        let mut state = self.state();
        let folded = if state.fresh { state.folded(count + 1) } else { 0 };
        state.fresh = false;
        if count + folded > 0 {
            state.written.push_str(&format!("\u{1b}[{}A", count + folded));
        }
        if folded > 0 {
            state.written.push_str("\r\u{1b}[J");
        }
        Ok(())
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.state().written.push_str(&format!("\u{1b}[{count}B"));
        Ok(())
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.state().written.push_str(&format!("\u{1b}[{count}C"));
        Ok(())
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.state().written.push_str(&format!("\u{1b}[{count}D"));
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut state = self.state();
        state.line_is_open = !state.line_is_open;
        if !state.line_is_open {
            state.line_end_is_due = true;
            return Ok(());
        }
        if std::mem::take(&mut state.line_end_is_due) {
            state.written.push_str("\r\n");
        }
        state.written.push_str(text);
        state.widths.push(width(&strip_ansi_codes(text)));
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut state = self.state();
        state.written.push_str("\r\u{1b}[2K");
        state.line_end_is_due = false;
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        let columns = state.size.0;
        state.last = (std::mem::take(&mut state.widths), columns);
        (state.line_is_open, state.fresh) = (false, true);
        Ok(())
    }
}
