//! Gives every exit status of the program, in one match.

use crate::decide::vocabulary::Signal;
use crate::event::Outcome;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// A transaction, or a rolling reboot, has come to its end; `interrupted` by the first signal, if there was one.
    Pushed { outcome: Outcome, interrupted: Option<Signal> },
    /// A query was answered: `yes` unless a required link is down, a build failed, a command failed or a blocker was
    /// found.
    Answered { yes: bool },
    /// A query that a signal ended; it touches nothing.
    QueryInterrupted(Signal),
    /// Usage, inventory, no such run, no terminal for a password that is needed.
    NotUnderstood,
    /// A push that could not begin, for a reason of this workstation: a record that cannot be written, a lock that
    /// another push holds.
    NotBegun,
    /// A host is in doubt: it does not answer, and may be under a guard; or it did not come back from a reboot; or a
    /// recovery could not begin, and has seen none.
    InDoubt,
    /// A second signal came, and the program left at once.
    Left { first: Signal, guards_armed: bool },
    /// A mistake of fleetdeploy itself was caught.
    Bug { guards_armed: bool },
}

/// The exit status of the program.
///
/// | status | means |
/// |---|---|
/// | 0 | committed, nothing to do, or a query answered well |
/// | 1 | the answer is no, and every touched host was seen on old and unguarded; not every host was rebooted |
/// | 2 | usage, inventory, no such run, no terminal for a needed password |
/// | 3 | split, left, superseded, a host that did not come back from a reboot or may be under a guard: look now |
/// | 130, 143, 129 | SIGINT, SIGTERM, SIGHUP: rolled back and seen so, or nothing was touched |
///
/// 3 also means that guards are left to themselves, or that a recovery could not begin: its hosts were not seen on old.
/// A rolling reboot that a signal has stopped reboots no further host.
///
/// A push that a signal reached too late to stop (phase 9 and later) finishes, and its status is that of its outcome.
#[must_use]
pub fn status(ending: Ending) -> u8 {
    match ending {
        Ending::Pushed {
            outcome: Outcome::Committed | Outcome::Unchanged | Outcome::Planned | Outcome::Rebooted,
            interrupted: _,
        }
        | Ending::Answered { yes: true } => 0,
        Ending::Pushed {
            outcome: Outcome::RolledBack | Outcome::Refused | Outcome::PartlyRebooted,
            interrupted: None,
        }
        | Ending::Answered { yes: false }
        | Ending::NotBegun
        | Ending::Bug { guards_armed: false } => 1,
        Ending::NotUnderstood => 2,
        Ending::Pushed { outcome: Outcome::Split | Outcome::Left | Outcome::Superseded, interrupted: _ }
        | Ending::InDoubt
        | Ending::Left { first: _, guards_armed: true }
        | Ending::Bug { guards_armed: true } => 3,
        Ending::Pushed {
            outcome: Outcome::RolledBack | Outcome::Refused | Outcome::PartlyRebooted,
            interrupted: Some(signal),
        }
        | Ending::QueryInterrupted(signal)
        | Ending::Left { first: signal, guards_armed: false } => by_signal(signal),
    }
}

/// Returns 128 and the signal's number, as shells count.
fn by_signal(signal: Signal) -> u8 {
    match signal {
        Signal::Sigint => 130,
        Signal::Sigterm => 143,
        Signal::Sighup => 129,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_table_of_the_design_holds() {
        use Outcome::{Committed, Left, PartlyRebooted, Rebooted, Refused, RolledBack, Split, Superseded, Unchanged};
        use Signal::{Sighup, Sigint, Sigterm};
        let pushed = |outcome, interrupted| Ending::Pushed { outcome, interrupted };
        let table = [
            (pushed(Committed, None), 0),
            (pushed(Committed, Some(Sigint)), 0),
            (pushed(Unchanged, None), 0),
            (pushed(Unchanged, Some(Sigterm)), 0),
            (pushed(RolledBack, None), 1),
            (pushed(RolledBack, Some(Sigint)), 130),
            (pushed(RolledBack, Some(Sigterm)), 143),
            (pushed(RolledBack, Some(Sighup)), 129),
            (pushed(Refused, None), 1),
            (pushed(Refused, Some(Sigint)), 130),
            (pushed(Refused, Some(Sigterm)), 143),
            (pushed(Refused, Some(Sighup)), 129),
            (pushed(Split, None), 3),
            (pushed(Split, Some(Sigint)), 3),
            (pushed(Split, Some(Sigterm)), 3),
            (pushed(Split, Some(Sighup)), 3),
            (pushed(Superseded, None), 3),
            (pushed(Left, Some(Sigint)), 3),
            (pushed(Rebooted, None), 0),
            // The signal came when the last host was under way.
            (pushed(Rebooted, Some(Sigint)), 0),
            (pushed(PartlyRebooted, None), 1),
            (pushed(PartlyRebooted, Some(Sigint)), 130),
            (pushed(PartlyRebooted, Some(Sighup)), 129),
            (Ending::Answered { yes: true }, 0),
            (Ending::Answered { yes: false }, 1),
            (Ending::QueryInterrupted(Sigint), 130),
            (Ending::QueryInterrupted(Sigterm), 143),
            (Ending::QueryInterrupted(Sighup), 129),
            (Ending::NotUnderstood, 2),
            (Ending::NotBegun, 1),
            (Ending::InDoubt, 3),
            (Ending::Left { first: Sigint, guards_armed: true }, 3),
            (Ending::Left { first: Sighup, guards_armed: true }, 3),
            (Ending::Left { first: Sigint, guards_armed: false }, 130),
            (Ending::Left { first: Sigterm, guards_armed: false }, 143),
            (Ending::Bug { guards_armed: true }, 3),
            (Ending::Bug { guards_armed: false }, 1),
        ];
        assert_eq!(table.map(|(ending, _)| (ending, status(ending))), table);
    }
}
