use std::fmt;
use std::time::{Duration, SystemTime};

use super::Worded;
use crate::event::reason::rollback_target::{RollbackAim, RollbackDoubt};

/// The most generations that a hint names: about one line of a terminal.
const GENERATIONS_NAMED: usize = 12;

/// The end of a sentence: `back to ...`.
impl fmt::Display for RollbackAim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeRun { run } => write!(formatter, "what ran before run {run}"),
            Self::AfterRun { run } => write!(formatter, "what run {run} left"),
            Self::At { time } => write!(formatter, "what ran at {time}"),
            Self::Generation { number } => write!(formatter, "generation {number}"),
        }
    }
}

impl fmt::Display for RollbackDoubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNotInRun { run, .. } => {
                write!(formatter, "was not in the fleet when run {run} was made: what it ran then is not known")
            }
            Self::SystemOfRunGone { system, .. } => {
                write!(formatter, "what it is to go back to, {system}, is not in its store any more")
            }
            Self::NoGenerationThen { time, oldest, .. } => {
                write!(formatter, "none of the generations that it still has is as old as {time}: ")?;
                match oldest {
                    None => formatter.write_str("it has none"),
                    Some(oldest) => write!(
                        formatter,
                        "the oldest is generation {}, made at {}",
                        oldest.number,
                        written(oldest.made)
                    ),
                }
            }
            Self::SystemThenGone { time, generation, system, .. } => write!(
                formatter,
                "generation {generation}, which ran at {time}, {system}, is not in its store any more"
            ),
            Self::SystemOfGenerationGone { generation, system, .. } => {
                write!(formatter, "generation {generation}, {system}, is not in its store any more")
            }
            Self::NoSuchGeneration { generation, .. } => write!(formatter, "has no generation {generation}"),
            Self::ChangedSinceRun { run, current, left } => write!(
                formatter,
                "runs {current}, and run {run} left {left} on it: somebody has changed it since, and that goes, too"
            ),
        }
    }
}

impl Worded for RollbackDoubt {
    fn mend(&self) -> Option<String> {
        let (mend, host) = match self {
            Self::HostNotInRun { host, .. } => ("name another run, or a time: --to @2026-11-20".to_owned(), host),
            Self::SystemOfRunGone { generations, host, .. }
            | Self::SystemThenGone { generations, host, .. }
            | Self::SystemOfGenerationGone { generations, host, .. } => {
                let still = named(generations, "the generations that it still has");
                (format!("a push of the configuration that it was built from brings it back; {still}"), host)
            }
            Self::NoGenerationThen { generations, host, .. } | Self::NoSuchGeneration { generations, host, .. } => {
                (named(generations, "its generations"), host)
            }
            Self::ChangedSinceRun { .. } => return None,
        };
        Some(format!("{mend}; or leave it out with --except {host}"))
    }
}

fn named(generations: &[u64], what: &str) -> String {
    let numbers: Vec<String> = generations.iter().map(u64::to_string).collect();
    match numbers.len().checked_sub(GENERATIONS_NAMED) {
        _ if numbers.is_empty() => format!("{what}: none"),
        None | Some(0) => format!("{what}: {}", numbers.join(", ")),
        Some(more) => format!("{what}: {more} older ones, {}", numbers[more..].join(", ")),
    }
}

fn written(seconds: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    // A host may give a number that is no time that can be written.
    let at = at.filter(|_| seconds < 253_402_300_800);
    at.map_or_else(|| "no time".to_owned(), |at| humantime::format_rfc3339_seconds(at).to_string())
}
