//! Judges a trial that nobody drives any more, as a recovery finds it: it is never taken over. What ends it is a clock
//! on its host; then it is cleaned.

use crate::facts::host::{GuardState, Standing, Uptime};
use crate::facts::store_path::StorePath;

/// How the trial of a run is found on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialLeft {
    /// Its guard waits for its deadline.
    Armed { is_alive: bool, deadline: Uptime, in_trial: bool },
    /// Its guard sets the next boot, or reboots already.
    Leaving { is_alive: bool },
    /// Its guard has fired and is at work.
    Firing,
    /// What was tried is proven, and stays.
    Kept,
    /// The host has booted what it booted last before, that is its boot default, and its profile is what was tried.
    WentBack { trace: Option<String> },
    /// Nothing has become of it, or somebody has switched the host to something else since: nothing is to be put back.
    NotBegun,
    /// It runs what was tried, which was not proven.
    Unproven {
        /// Absent: not known.
        boot_default: Option<StorePath>,
    },
    /// It runs neither.
    Elsewhere { booted: StorePath },
}

/// What a recovery does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrialRemedy {
    /// Its end comes by itself.
    Wait,
    /// Its guard is dead, and is started again first.
    Tend,
    Clean,
}

impl TrialLeft {
    /// Reads it; `None`: nothing of a trial of this run is there.
    #[must_use]
    pub fn of(run: &str, standing: &Standing) -> Option<Self> {
        let trial = &standing.trial;
        let survivor = trial.of(run);
        let in_trial = trial.line.as_deref() == Some(run);
        // Once its guard is through nobody follows the order any more, whatever could be written down of that.
        if trial.go.as_ref().is_some_and(|going| going.run == run && going.failed.is_none()) {
            match &standing.guard {
                GuardState::Armed { run: of, .. } if of == run => return Some(Self::Leaving { is_alive: true }),
                GuardState::Dead { run: of, .. } if of == run => return Some(Self::Leaving { is_alive: false }),
                _ => {}
            }
        }
        let is_proven = survivor.is_some_and(|survivor| survivor.proven);
        if survivor.is_some() || in_trial {
            match &standing.guard {
                GuardState::Armed { run: of, deadline } if of == run => {
                    return Some(Self::Armed { is_alive: true, deadline: *deadline, in_trial });
                }
                GuardState::Dead { run: of, deadline } if of == run => {
                    return Some(Self::Armed { is_alive: false, deadline: *deadline, in_trial });
                }
                GuardState::Firing { run: of } if of == run => return Some(Self::Firing),
                _ => {}
            }
        }
        let survivor = survivor?;
        // What has ended, and was not proven, stays remembered there, and there is nothing more to end.
        if survivor.failed.is_some() {
            return None;
        }
        let Some(systems) = &survivor.systems else {
            return Some(Self::Elsewhere { booted: standing.booted.clone() });
        };
        let boot_default = standing.systems.known_boot_default().cloned();
        let is_at_one = boot_default.is_some() && standing.systems.agree();
        Some(if standing.booted == systems.tried && is_proven && is_at_one {
            Self::Kept
        } else if !in_trial && is_at_one && standing.booted != systems.booted && standing.booted != systems.tried {
            // Somebody has made something else what it boots since.
            Self::NotBegun
        } else if standing.booted == systems.tried {
            Self::Unproven { boot_default }
        } else if standing.booted != systems.booted {
            Self::Elsewhere { booted: standing.booted.clone() }
        } else if boot_default.as_ref() == Some(&systems.booted) && standing.systems.profile == systems.tried {
            Self::WentBack { trace: survivor.trace.clone() }
        } else {
            // Its guard has put back what was there, or a person has switched it to something else since.
            Self::NotBegun
        })
    }

    #[must_use]
    pub fn remedy(&self) -> TrialRemedy {
        match self {
            Self::Armed { is_alive: false, .. } | Self::Leaving { is_alive: false } => TrialRemedy::Tend,
            Self::Armed { .. } | Self::Leaving { .. } | Self::Firing => TrialRemedy::Wait,
            Self::Kept | Self::WentBack { .. } | Self::NotBegun | Self::Unproven { .. } | Self::Elsewhere { .. } => {
                TrialRemedy::Clean
            }
        }
    }
}
