use std::fmt;

use super::{Worded, names};
use crate::event::reason::leftover::Left;
use crate::facts::traces::EndSide;

/// Returns the command that ends the traces of a run if `recover` cannot.
#[must_use]
pub fn forget(fleet: &str, run: &str) -> String {
    format!("where that cannot end it, `fleetdeploy recover {fleet} --forget {run}` removes what is left of the run")
}

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |side: &EndSide| match side {
            EndSide::Old => "their old systems",
            EndSide::New => "their new systems",
        };
        match self {
            Self::UnfinishedAtRest { fleet, run } => write!(
                formatter,
                "run {run} did not come to its end here; the host is at rest, and only its garbage collection roots \
                 are left: `fleetdeploy recover {fleet}`"
            ),
            Self::UnfinishedBetween { run, .. } => {
                write!(formatter, "run {run} did not come to its end here, and the host is between two systems")
            }
            Self::UnfinishedOver { fleet, run } => write!(
                formatter,
                "run {run} did not come to its end here, and a later run has committed since: only its garbage \
                 collection roots are left: {}",
                removes_it(fleet, run)
            ),
            Self::BackOnTheirSide { fleet, run, side } => {
                write!(
                    formatter,
                    "was missing when run {run} ended on the others, on {}, and is on its own {side} system, at rest: \
                     only its garbage collection roots are left: ",
                    on(side)
                )?;
                match side {
                    EndSide::Old => write!(
                        formatter,
                        "a push of the fleet, or `fleetdeploy recover {fleet} --run {run}`, removes them"
                    ),
                    EndSide::New => formatter.write_str(&removes_it(fleet, run)),
                }
            }
            Self::BackOnOtherSide { fleet, host, run, ended } => {
                let stands = if *ended == EndSide::Old { EndSide::New } else { EndSide::Old };
                write!(
                    formatter,
                    "was missing when run {run} ended on the others, on {}, and has come back on its {stands} system: \
                     `fleetdeploy push {fleet} --on {host}` or `fleetdeploy rollback {fleet} --on {host}`, whichever \
                     is right",
                    on(ended)
                )
            }
            Self::BackElsewhere { fleet, run, ended } => write!(
                formatter,
                "was missing when run {run} ended on the others, on {}, and has moved on since: only garbage \
                 collection roots of that run are left: {}",
                on(ended),
                removes_it(fleet, run)
            ),
            Self::MachineReplaced { fleet, run } => write!(
                formatter,
                "is not the machine of this name that was missing when run {run} ended on the others: `fleetdeploy \
                 recover {fleet} --forget {run}` removes what they keep of it"
            ),
            Self::TrialAtRest { fleet, run } => write!(
                formatter,
                "a trial of run {run} has left something here, at rest: its boot entry, or the roots of its systems: \
                 a push cleans it where the host stands on one system, and `fleetdeploy recover {fleet}` everywhere"
            ),
            Self::RunEndedTwice { run, old, new, .. } => write!(
                formatter,
                "run {run} was ended twice, each time without some of its hosts: on the old systems on {}, on the new \
                 ones on {}",
                names(old),
                names(new)
            ),
        }
    }
}

fn removes_it(fleet: &str, run: &str) -> String {
    format!("`fleetdeploy recover {fleet} --run {run}` removes it")
}

impl Worded for Left {
    /// Warnings say it in their own sentence: only a refusal has a line for it.
    fn mend(&self) -> Option<String> {
        match self {
            Self::UnfinishedBetween { fleet, run } => Some(format!(
                "type `fleetdeploy recover {fleet}`: it brings the host to one side; {}",
                forget(fleet, run)
            )),
            Self::RunEndedTwice { fleet, run, .. } => Some(format!(
                "bring them to one side with `fleetdeploy push {fleet}` or `fleetdeploy rollback {fleet}`, then type \
                 `fleetdeploy recover {fleet} --forget {run}`"
            )),
            Self::UnfinishedAtRest { .. }
            | Self::UnfinishedOver { .. }
            | Self::BackOnTheirSide { .. }
            | Self::BackOnOtherSide { .. }
            | Self::BackElsewhere { .. }
            | Self::MachineReplaced { .. }
            | Self::TrialAtRest { .. } => None,
        }
    }
}
