//! Serves the commands that look back: finds the place of the records and the run that is meant, and chooses the colour
//! of stdout.

use std::io::IsTerminal;
use std::time::SystemTime;

use crate::commands::Trouble;
use crate::commands::shared::global::GlobalArgs;
use crate::event::reason::record_fault::RecordFault;
use crate::record::folder::{RunFolder, StateFolder};
use crate::record::name::NameError;
use crate::record::read::{RunEnd, Summary};
use crate::record::{RecordError, read};
use crate::ui::mode::{Terminal, choose_colour};
use crate::ui::runs::RunStanding;
use crate::ui::when::LocalClock;
use crate::ui::{matrix, print_answer};

pub(crate) fn state() -> Result<StateFolder, Trouble> {
    StateFolder::locate(|name| std::env::var_os(name)).map_err(unreadable)
}

/// A record that cannot be read; nothing was to be begun.
pub(crate) fn unreadable(error: RecordError) -> Trouble {
    Trouble::not_begun(RecordFault::from(&error)).shown_as(error)
}

/// Finds the run that a person has named.
pub(crate) fn named(state: &StateFolder, name: &str) -> Result<RunFolder, Trouble> {
    state.named(name).map_err(|error| match error {
        NameError::Record(error) => unreadable(error),
        NameError::Run(fault) => Trouble::not_understood(fault),
    })
}

pub(crate) fn clock() -> LocalClock {
    LocalClock::of_the_workstation(SystemTime::now())
}

/// Answers go to stdout, so stdout decides about colour.
pub(crate) fn colour(global: &GlobalArgs) -> bool {
    let terminal = Terminal::look(std::io::stdout().is_terminal(), |name| std::env::var(name).ok());
    choose_colour(global.color, terminal)
}

/// Returns how wide an answer may be: as wide as the terminal, and else as wide as any terminal.
pub(crate) fn columns() -> usize {
    let wide = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    wide.map_or(matrix::WIDTH, |columns| columns.max(40))
}

pub(crate) fn print(text: &str) -> Result<(), Trouble> {
    print_answer(text).map_err(|error| Trouble::no_stdout(&error))
}

/// `running` are the runs that a living process works on just now.
pub(crate) fn standing(summary: &Summary, running: &[String]) -> RunStanding {
    match summary.end {
        RunEnd::Ended(outcome) => RunStanding::Ended(outcome),
        RunEnd::Recovered(outcome) => RunStanding::Recovered(outcome),
        RunEnd::ByHand | RunEnd::Unfinished if running.contains(&summary.run) => RunStanding::Running,
        RunEnd::ByHand => RunStanding::ByHand,
        RunEnd::Unfinished => RunStanding::Unfinished,
    }
}

/// Says which events a reader does not see.
pub(crate) fn passed_over(passed_over: read::PassedOver) -> Vec<String> {
    let mut notes = Vec::new();
    let events = |number| if number == 1 { "1 event".to_owned() } else { format!("{number} events") };
    if passed_over.unknown > 0 {
        notes.push(format!("{} of a newer fleetdeploy left out", events(passed_over.unknown)));
    }
    if passed_over.damaged > 0 {
        notes.push(format!("{} that cannot be read left out", events(passed_over.damaged)));
    }
    if passed_over.torn {
        notes.push("the last event was cut off".to_owned());
    }
    notes
}
