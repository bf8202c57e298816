use std::fmt;

use super::leftover::forget;
use super::{Worded, names, words};
use crate::event::reason::command_end::{CommandEnd, NotAgreed, OpenRun};
use crate::event::reason::fate::Fate;
use crate::inventory::model::HostName;

impl fmt::Display for CommandEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlanShown => formatter.write_str("this is what it would do; nothing was touched"),
            Self::InterruptedUntouched { signal } => {
                write!(formatter, "interrupted by {signal} before anything was touched")
            }
            Self::LeftAtOnce { guarded, others_committed } => {
                formatter.write_str("left at once, as asked")?;
                // What becomes of each host stands in its own line.
                let back = guarded.iter().filter_map(|host| match &host.cause {
                    Fate::LeftToItsGuard { back_within, .. } => Some(*back_within),
                    _ => None,
                });
                if let Some(back) = back.max() {
                    let back = words::span(back);
                    write!(formatter, "; every guard has fired, and its host is back, in {back} at the latest")?;
                }
                formatter.write_str(if *others_committed {
                    "; hosts are committed already: to take the others along, recover before their guards fire"
                } else {
                    ""
                })
            }
            Self::ProgramFailedUntouched => {
                formatter.write_str("fleetdeploy itself has failed, before anything was touched")
            }
            Self::ProgramFailed => {
                formatter.write_str("fleetdeploy itself has failed; every armed guard brings its host back by itself")
            }
            Self::ProgramFailedMidway => formatter.write_str("fleetdeploy failed in the middle"),
            Self::NothingUnfinished => formatter.write_str("nothing is unfinished: no host holds anything of a run"),
            Self::NothingHeldWhereAnswered => {
                formatter.write_str("no host that answers holds anything of a run; of the others nothing is known")
            }
            Self::InterruptedUnanswered { signal } => write!(
                formatter,
                "interrupted by {signal} before the hosts had answered; no run is known to be unfinished"
            ),
            Self::InterruptedBeforeTakeOver { signal } => {
                write!(formatter, "interrupted by {signal} before any host was taken over")
            }
        }
    }
}

impl Worded for CommandEnd {}

impl fmt::Display for NotAgreed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not begun: ")?;
        match self {
            Self::AnswerWasNo => formatter.write_str("the answer was no"),
            Self::TerminalStuck => formatter.write_str("the terminal takes nothing, so nothing could be asked"),
            Self::QuestionNotAsked { said } => write!(formatter, "nothing could be asked: {said}"),
            Self::ReplyNotRead => formatter.write_str("the answer could not be read"),
            Self::NobodyReplied { waited } => {
                write!(formatter, "nobody has answered for {}", humantime::format_duration(*waited))
            }
        }
    }
}

impl Worded for NotAgreed {}

impl fmt::Display for OpenRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandGuardOpen { run, .. } => {
                write!(formatter, "this fleet is under a guard that was armed by hand: run {run}")
            }
            Self::RollingRebootOpen { run, .. } => {
                write!(formatter, "the rolling reboot {run} of this fleet did not come to its end")
            }
            Self::PushOpen { run, .. } => write!(formatter, "run {run} of this fleet did not come to its end"),
        }
    }
}

impl Worded for OpenRun {
    fn mend(&self) -> Option<String> {
        let mend = format!("type `{}`, then try again", self.command());
        Some(match self {
            Self::HandGuardOpen { .. } | Self::RollingRebootOpen { .. } => mend,
            Self::PushOpen { run, fleet } => format!("{mend}; {}", forget(fleet, run)),
        })
    }
}

impl OpenRun {
    /// Returns the command that ends it.
    #[must_use]
    pub fn command(&self) -> String {
        match self {
            Self::HandGuardOpen { fleet, .. } => format!("fleetdeploy guard disarm {fleet}"),
            Self::RollingRebootOpen { fleet, .. } | Self::PushOpen { fleet, .. } => {
                format!("fleetdeploy recover {fleet}")
            }
        }
    }
}

/// What follows the last sentence of a run without these hosts; empty without one.
#[must_use]
pub fn left_out(hosts: &[HostName]) -> String {
    match hosts {
        [] => String::new(),
        [host] => format!("; left out, and its links not proven: {host}"),
        hosts => format!("; left out, and their links not proven: {}", names(hosts)),
    }
}

/// What follows the last sentence of a run that must be ended now.
#[must_use]
pub fn next(fleet: &str) -> String {
    format!("\nnext: fleetdeploy recover {fleet}")
}

/// What follows the last sentence of a recovery in which these hosts did not answer, and others could go on.
#[must_use]
pub fn if_gone_for_good(fleet: &str, gone: &[HostName]) -> String {
    let they_do = if gone.len() == 1 { "it does" } else { "they do" };
    let gone: Vec<&str> = gone.iter().map(HostName::as_str).collect();
    format!("\nif {they_do} not come back: fleetdeploy recover {fleet} --without {}", gone.join(","))
}

/// Says when that helps and where it goes, for hosts that were left to their guards before any other was committed.
/// `goes_back`: the run is known to go back.
pub(crate) fn for_the_left(goes_back: bool) -> &'static str {
    if goes_back {
        ", now or after that: it ends this with every host on what it ran before this run"
    } else {
        ", now or after that: it brings all to one side, the old or the new"
    }
}

/// Says when that helps, and what else there is for hosts that do not answer. `committed`: others are on their new
/// systems for good.
pub(crate) fn for_the_lost(fleet: &str, lost: &[&str], committed: bool) -> String {
    let (is, answers) = match lost {
        [] => return String::new(),
        [_] => ("is", "answers"),
        _ => ("are", "answer"),
    };
    let side = if committed { "one side" } else { "what they ran before this run" };
    format!(
        ", when {} {answers} again (if not by itself: switch off and on); it brings all that answer to {side}. If {} \
         {is} gone for good, this ends the run without: fleetdeploy recover {fleet} --without {}",
        lost.join(" and "),
        lost.join(" and "),
        lost.join(",")
    )
}
