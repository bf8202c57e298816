//! The screen: the only place that prints. It listens to events and never speaks to the engine.
//!
//! stdout carries the answer, stderr the talk. What a host, nix or the inventory said goes through [`sanitise`] first.

#![expect(clippy::format_push_string, reason = "text for people, a line at a time: `+=` reads better than `write!`")]

pub mod annotations;
pub mod bounded;
pub mod doctor;
mod echo;
pub mod errors;
pub mod exec;
pub mod forecast;
mod frame;
pub mod graph;
pub mod guards;
pub mod host_view;
pub mod html;
pub mod inventory;
pub mod json;
pub mod layout;
mod line;
pub mod log;
pub mod matrix;
pub mod metrics;
pub mod mode;
mod paint;
pub mod plain;
pub mod printer;
pub mod recap;
pub mod redact;
mod row;
pub mod runs;
pub mod safety;
pub mod sanitise;
pub mod screen_style;
mod sentences;
pub mod show;
pub mod status;
pub mod summary;
mod table;
pub mod timeline;
pub mod tui;
pub mod view;
pub mod when;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::event::steady;
use crate::event::stream::{Events, Follower, Listener, ListenerEnd};
use crate::ui::echo::Echo;
use crate::ui::mode::Mode;
use crate::ui::plain::Plain;
use crate::ui::tui::{Measure, Now, Tui};

/// How long to wait before a terminal or pipe that takes nothing just now is tried again.
const WRITE_PAUSE: Duration = Duration::from_millis(20);

/// The size of a terminal that does not tell its own.
const UNKNOWN_SIZE: (u16, u16) = (80, 24);

/// Draws the events of one command.
#[derive(Debug)]
#[must_use = "without `finish` the program may end before the last lines are on the screen"]
pub struct Screen {
    listener: Listener,
    /// Of the terminal that the live rows are drawn on.
    echo: Option<Echo>,
}

/// How the screen ended.
#[derive(Debug)]
pub enum ScreenEnd {
    /// Everything is on the screen, or the reader did not want the rest (a closed pipe is no error).
    Complete,
    Failed(io::Error),
    /// The terminal or pipe takes nothing, for example after Ctrl-S.
    Stuck,
}

impl Screen {
    /// Draws everything that is published from now on: JSON lines on stdout, all else on stderr.
    ///
    /// # Errors
    /// When stdout or stderr cannot be used, or the screen's thread not be started.
    pub fn start(mode: Mode, events: &Events) -> io::Result<Self> {
        Self::start_with_clock(mode, events, Box::new(steady::now))
    }

    /// The same for events of another time: what counts down on the screen is counted by this clock.
    ///
    /// # Errors
    /// When stdout or stderr cannot be used, or the screen's thread not be started.
    pub fn start_with_clock(mode: Mode, events: &Events, now: Now) -> io::Result<Self> {
        // It has a descriptor of its own: std's handles have a lock, and a thread that holds it while the terminal is
        // paused would hold up a panic message of the engine too.
        let descriptor = match mode {
            Mode::Json => io::stdout().as_fd().try_clone_to_owned()?,
            Mode::Live { .. } | Mode::Plain { .. } | Mode::Quiet { .. } => io::stderr().as_fd().try_clone_to_owned()?,
        };
        let measure =
            || console::Term::stderr().size_checked().map_or(UNKNOWN_SIZE, |(lines, columns)| (columns, lines));
        let echo = matches!(mode, Mode::Live { .. }).then(|| Echo::of(&descriptor)).flatten();
        Self::start_with_echo(mode, events, File::from(descriptor), Box::new(measure), now, echo)
    }

    /// The same, drawn on `output`, a terminal of this size.
    ///
    /// # Errors
    /// When the screen's thread cannot be started.
    pub fn start_on(
        mode: Mode,
        events: &Events,
        output: impl Write + Send + 'static,
        measure: Measure,
        now: Now,
    ) -> io::Result<Self> {
        Self::start_with_echo(mode, events, output, measure, now, None)
    }

    fn start_with_echo(
        mode: Mode,
        events: &Events,
        mut output: impl Write + Send + 'static,
        measure: Measure,
        now: Now,
        echo: Option<Echo>,
    ) -> io::Result<Self> {
        let is_read = annotations::are_read();
        let listener = match mode {
            Mode::Json => events.listen("screen", move |line| {
                let json = json::render(line);
                let json = if is_read { annotations::disarmed_json(&json) } else { json };
                write_patiently(&mut output, json.as_bytes())
            }),
            Mode::Plain { .. } | Mode::Quiet { .. } => {
                let mut plain = Plain::new(mode);
                events.listen("screen", move |line| {
                    let text = plain.render(line);
                    write_patiently(&mut output, for_log(is_read, &text).as_bytes())
                })
            }
            Mode::Live { .. } => {
                let mut tui = Tui::new(mode, output, measure, now).with_echo(echo.clone());
                events.listen_in_time("screen", move |line| tui.hear(line))
            }
        };
        Ok(Self { listener: listener?, echo })
    }

    /// For who must know whether all is on the screen, while it goes on.
    #[must_use]
    pub fn follower(&self) -> Follower {
        self.listener.follower()
    }

    /// Waits until everything published so far is on the screen, but no longer than `deadline`.
    #[must_use]
    pub fn finish(self, deadline: Duration) -> ScreenEnd {
        let end = self.listener.finish(deadline);
        // Also if the screen hangs.
        self.echo.iter().for_each(Echo::restore);
        match end {
            ListenerEnd::Failed(error) if error.kind() != io::ErrorKind::BrokenPipe => ScreenEnd::Failed(error),
            ListenerEnd::Complete | ListenerEnd::Failed(_) => ScreenEnd::Complete,
            ListenerEnd::Stuck => ScreenEnd::Stuck,
        }
    }
}

/// Prints a query's answer on stdout, for commands that publish no events. A closed pipe is no error.
///
/// # Errors
/// When stdout cannot be written, for example to a full disk.
pub fn print_answer(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = for_log(annotations::are_read(), text);
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// How wide stdout is, as far as that can be known: a pipe or a file takes any line.
#[must_use]
pub fn columns_of_stdout() -> usize {
    console::Term::stdout().size_checked().map_or(usize::MAX, |(_, columns)| usize::from(columns))
}

/// Puts a question on stderr, where the answer is then typed behind it.
///
/// # Errors
/// When stderr cannot be written.
pub fn print_question(text: &str) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    let columns = console::Term::stderr().size_checked().map_or(usize::MAX, |(_, columns)| usize::from(columns));
    // A blank and the first letter of the answer have room behind it.
    let lines = line::wrap(&sanitise::line(text), columns.saturating_sub(2).max(20));
    stderr.write_all(lines.join("\n").as_bytes())?;
    stderr.write_all(b" ")?;
    stderr.flush()
}

/// Says something on stderr after the screen has ended. There is nowhere to report that this failed.
pub fn print_note(text: &str) {
    print_to_runner(&for_log(annotations::are_read(), text));
}

/// What others have said is no command for the runner of a job.
fn for_log(is_read: bool, text: &str) -> Cow<'_, str> {
    if is_read { annotations::disarmed(text) } else { Cow::Borrowed(text) }
}

/// The same for commands to the runner of a CI job, such as those of [`annotations`].
pub fn print_to_runner(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// `write_all` that also outlasts a descriptor that another program has set not to block.
fn write_patiently(output: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::park_timeout(WRITE_PAUSE),
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use std::time::SystemTime;

    use crate::event::Event;

    /// A terminal after Ctrl-S: takes nothing for as long as the other end lives.
    pub(crate) struct Paused(pub(crate) Receiver<()>);

    impl Write for Paused {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes three bytes at a time, and every other time none.
    struct Reluctant {
        taken: std::sync::mpsc::Sender<Vec<u8>>,
        willing: bool,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.willing = !self.willing;
            if !self.willing {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = &bytes[..bytes.len().min(3)];
            self.taken.send(taken.to_vec()).map_err(io::Error::other)?;
            Ok(taken.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(events: &Events, output: impl Write + Send + 'static) -> Screen {
        let (measure, now) = (Box::new(|| UNKNOWN_SIZE), Box::new(SystemTime::now));
        Screen::start_on(Mode::Json, events, output, measure, now).unwrap()
    }

    #[test]
    fn a_paused_terminal_holds_up_neither_the_engine_nor_the_end() {
        let (_resume, paused) = channel();
        let events = Events::new(None);
        let screen = start(&events, Paused(paused));
        (0..10_000).for_each(|_| events.publish(Event::Decided));
        assert!(matches!(screen.finish(Duration::from_millis(20)), ScreenEnd::Stuck));
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let events = Events::new(None);
        let screen = start(&events, writer);
        (0..10).for_each(|_| events.publish(Event::Decided));
        assert!(matches!(screen.finish(Duration::from_secs(30)), ScreenEnd::Complete));
    }

    #[test]
    fn a_pipe_that_does_not_block_loses_no_byte() {
        let (taken, bytes) = channel();
        let mut output = Reluctant { taken, willing: false };
        write_patiently(&mut output, b"seventeen letters").unwrap();
        drop(output);
        assert_eq!(bytes.iter().flatten().collect::<Vec<u8>>(), b"seventeen letters");
    }
}
