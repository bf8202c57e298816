use std::fmt;

use super::names;
use crate::event::activity::{Awaiting, CopyBehind, Doing, Standstill, UnsteadyUnit};

impl fmt::Display for Doing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TakenOver => "being taken over",
            Self::AskedForHolder => "being asked who holds it",
            Self::Arming => "arming its guard",
            Self::Extending => "extending its guard",
            Self::Activating => "activating the new system",
            Self::MadePermanent => "making it what a reboot brings",
            Self::Reactivating => "activating it once more, and making it what a reboot brings",
            Self::GoingBack => "going back to its old system",
            Self::LoggingIn | Self::ProbingAndLoggingIn { links: 0 } => "logging in anew",
            Self::WaitingForGuard => "waiting for its guard",
            Self::Disarming => "disarming its guard",
            Self::Releasing => "giving its claim back",
            Self::NotingReturn => "noting who is back",
            Self::CleaningUp => "cleaning up",
            Self::LookingAtUnits => "looking at its units",
            Self::Probing { links } => return write!(formatter, "probing {}", links_of(*links)),
            Self::ProbingAndLoggingIn { links } => {
                return write!(formatter, "probing {}, logging in anew", links_of(*links));
            }
            Self::LookingWhetherFits => "looking whether it fits",
            Self::CopyingAgain => "copying once more",
            Self::AskedForUnits => "asking what it would do to its units",
            Self::Evaluating => "evaluating",
            Self::EvaluatingHosts { done, of } => {
                return write!(formatter, "evaluating: {done} of {of} hosts");
            }
            Self::Built => "its system is built",
            Self::WaitingForBuild => "waiting for the build",
            Self::Connecting => "connecting",
            Self::Answering => "logged in, waits for its answer",
            Self::WaitingToLogIn { at_once } => {
                return write!(formatter, "waiting for its turn to connect: {at_once} at once");
            }
            Self::Signing => "signing",
            Self::Copying => "copying",
            Self::FillingCache => "filling the cache",
            Self::FetchingFromCache => "fetching from the cache",
            Self::SigningInCache => "signing what the cache has",
            Self::WaitingForCopy { at_once } => {
                return write!(formatter, "waiting for its turn to be copied to: {at_once} at once");
            }
            Self::WaitingToBuild { at_once } => {
                return write!(formatter, "waiting for the turn of its build: {at_once} at once");
            }
            Self::AskedForItsNix => "asking its nix",
            Self::AskingCaches => "asking the binary caches",
            Self::InstallingLoader => "installing the boot loader",
            Self::WaitingForStep => "waiting for the step under way",
            Self::PuttingProfileBack => "putting its profile back",
            Self::PuttingBootDefaultBack => "putting its boot default back",
            Self::ActivatingOld => "activating its old system",
        })
    }
}

/// Says the same of a run that goes back to earlier systems: there the new systems are the older ones. `None`: it says
/// nothing of new and old.
pub(crate) fn in_a_rollback(doing: &str) -> Option<&'static str> {
    let said = [
        (Doing::Activating, "activating the earlier system"),
        (Doing::GoingBack, "going back to what it ran until now"),
        (Doing::ActivatingOld, "activating what it ran until now"),
    ];
    said.into_iter().find(|(known, _)| known.to_string() == doing).map(|(_, instead)| instead)
}

fn links_of(links: usize) -> String {
    if links == 1 { "1 link".to_owned() } else { format!("{links} links") }
}

impl fmt::Display for CopyBehind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "waiting for the copy to {}, which it is behind", self.jump)
    }
}

impl fmt::Display for Standstill {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "nothing has moved for {} s", self.silent.as_secs())?;
        match &self.last {
            Some(last) => write!(formatter, ": {last}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Awaiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingHosts { missing } => {
                write!(formatter, "waiting until no guard can be armed on {}", names(missing))
            }
            Self::UnderGuard { answers, fires_in } => {
                formatter.write_str(if *answers { "it answers" } else { "out of reach, trying again" })?;
                match fires_in.map(|left| left.as_secs()) {
                    None => Ok(()),
                    Some(0) => formatter.write_str("; its guard must have fired: waiting for it to come back"),
                    Some(left) => write!(formatter, "; its guard fires in {}m {:02}s", left / 60, left % 60),
                }
            }
        }
    }
}

impl fmt::Display for UnsteadyUnit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, host, up, steady } = self;
        match up {
            Some(up) => write!(formatter, "{unit} on {host} (up {}s of {}s)", up.as_secs(), steady.as_secs()),
            None => write!(formatter, "{unit} on {host} (not up yet)"),
        }
    }
}
