//! `replay`: plays a recorded run on the screen as it was, for a person who works on the screen.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use clap::Args;
use tokio::time::Instant;

use super::shared::history::{named, state, unreadable};
use super::{CommandResult, FAREWELL, Trouble};
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::line::Line;
use crate::event::reason::command_fault::Misuse;
use crate::event::stream::Events;
use crate::exit::Ending;
use crate::record::read;
use crate::ui::Screen;
use crate::ui::mode::Mode;
use crate::ui::tui::Now;

/// Play a recorded run on the screen as it was
#[derive(Debug, Clone, PartialEq, Args)]
#[command(hide = true)]
#[command(after_help = "\
Examples:
  fleetdeploy replay last --speed 10
  fleetdeploy replay events.jsonl --until 60")]
pub struct ReplayArgs {
    /// A file of events, or a run as `fleetdeploy show` takes it
    #[arg(value_name = "FILE")]
    pub file: String,
    /// How many times faster than it was
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed)]
    pub speed: f64,
    /// Stop there, in seconds of the run
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub until: Option<Duration>,
}

// A speed is never NaN.
impl Eq for ReplayArgs {}

/// Reads a number above zero that is not so small that a pause becomes endless.
fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.001..=1e6).contains(speed));
    speed.ok_or_else(|| "a speed is a number from 0.001 to 1000000, such as 10".to_owned())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "write a number of seconds, such as 60 or 12.5".to_owned())
}

/// The longest pause that is shown. Between the end of an interrupted push and its recovery nothing happened.
const LONGEST_PAUSE_BEFORE_A_RECOVERY: Duration = Duration::from_secs(3);

pub(super) async fn run(mode: Mode, arguments: &ReplayArgs) -> CommandResult {
    let path = file(&arguments.file)?;
    let lines = read::events(&path).map_err(unreadable)?.lines;
    if lines.is_empty() {
        return Err(Trouble::not_understood(Misuse::NothingToReplay { path: path.display().to_string() }));
    }
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let events = Events::new(None);
    let clock = ReplayClock::default();
    let screen =
        Screen::start_with_clock(mode, &events, clock.clone().read_by(arguments.speed)).map_err(Trouble::not_served)?;
    let began = Instant::now();
    let mut ending = Ending::Answered { yes: true };
    for (after, line) in schedule(lines) {
        if arguments.until.is_some_and(|until| after > until) {
            break;
        }
        tokio::select! {
            // A signal may also have come while nothing was waited for.
            biased;
            signal = shutdown.requested() => {
                ending = Ending::QueryInterrupted(signal);
                break;
            }
            () = tokio::time::sleep_until(began + after.div_f64(arguments.speed)) => {
                clock.set(line.at);
                events.relay(line);
            }
        }
    }
    let _ = screen.finish(FAREWELL);
    Ok(ending)
}

/// The time that it was on the screen that is played again: the last event's, and from then on as the replay goes.
#[derive(Debug, Clone, Default)]
struct ReplayClock {
    last: Arc<Mutex<Option<(Instant, SystemTime)>>>,
}

impl ReplayClock {
    fn set(&self, at: SystemTime) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), at));
    }

    fn read_by(self, speed: f64) -> Now {
        Box::new(move || match *self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((shown, at)) => at + shown.elapsed().mul_f64(speed),
            None => SystemTime::now(),
        })
    }
}

/// When each line is to be shown, from the first one on: as the times in it say, but never back.
fn schedule(lines: Vec<Line>) -> impl Iterator<Item = (Duration, Line)> {
    let mut last = lines.first().map(|line| line.at);
    let mut after = Duration::ZERO;
    lines.into_iter().map(move |line| {
        let pause = last.map(|last| line.since(last)).unwrap_or_default();
        let is_recovery = matches!(line.event, Event::RecoverStarted { .. });
        after += if is_recovery { pause.min(LONGEST_PAUSE_BEFORE_A_RECOVERY) } else { pause };
        last = last.max(Some(line.at));
        (after, line)
    })
}

/// A file, or the events of a run.
fn file(name: &str) -> Result<PathBuf, Trouble> {
    let path = Path::new(name);
    if path.is_file() { Ok(path.to_owned()) } else { Ok(named(&state()?, name)?.events()) }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::VERSION;

    #[test]
    fn pauses_are_as_they_were_and_a_clock_that_was_set_back_turns_nothing_back() {
        let line = |seconds, event| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            Line { version: VERSION, run: None, seq: 1, at, event }
        };
        let recovery = Event::RecoverStarted { fleet: "lab".into(), hosts: Vec::new(), inventory: "i".into() };
        let lines = vec![
            line(100, Event::Decided),
            line(104, Event::Decided),
            line(50, Event::Decided),
            line(105, Event::Decided),
            line(9000, recovery),
            line(9001, Event::Decided),
        ];
        let seconds: Vec<u64> = schedule(lines).map(|(after, _)| after.as_secs()).collect();
        assert_eq!(seconds, [0, 4, 4, 5, 8, 9]);
    }
}
