//! What a look at a host means to its trial.

use crate::event::reason::any::AnyReason;
use crate::event::reason::trial::TrialRefusal;
use crate::event::reason::trying::TryingReason;
use crate::facts::host::{Facts, GuardState, Standing, same_boot};
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName};

/// What is to be tried on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialPlan {
    pub run: String,
    /// The boot on which it begins.
    pub boot_id: String,
    /// The system that booted last.
    pub booted: StorePath,
    pub tried: StorePath,
    /// The boot default when it begins: what is tried, or what booted last where it is tried once more.
    pub before: StorePath,
}

/// Which new systems are tried before they are what a reboot brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrialWish {
    /// Those of hosts that can do it; the others are rebooted at once, with a warning.
    WherePossible,
    /// No host is rebooted into a new system that it cannot try.
    Demanded,
    /// None.
    Never,
}

/// What a rolling reboot does about a host's new system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToTry {
    /// What a reboot brings was booted last, or it is not known what it is, or nobody wants it tried.
    Nothing,
    /// It cannot be tried, for this reason.
    Not(TryingReason),
    /// The same, and it is not to be rebooted untried.
    Refused(TryingReason),
    /// A reboot would bring what booted last, although the profile was tried here before and is not known to boot; and
    /// it is not to be tried again.
    NotAgain(TryingReason),
    Plan(TrialPlan),
}

impl ToTry {
    /// `is_own`: fleetdeploy runs on this machine.
    #[must_use]
    pub fn of(run: &str, host: &Host, facts: &Facts, is_own: bool, wish: TrialWish) -> Self {
        let (standing, systems) = (&facts.standing, &facts.standing.systems);
        let (booted, tried) = (&standing.booted, &systems.profile);
        let Some(before) = systems.known_boot_default() else { return Self::Nothing };
        let is_again = standing.trial.remembered(tried, booted).is_some() && systems.current == *booted;
        let brings_older = is_again && before == booted;
        let is_at_one = systems.all_are(tried) || brings_older;
        if before == booted && !brings_older {
            return Self::Nothing;
        }
        if wish == TrialWish::Never {
            let older = || TryingReason::BootsOlder { tried: tried.clone(), booted: booted.clone() };
            return if brings_older { Self::NotAgain(older()) } else { Self::Nothing };
        }
        let cause: AnyReason = if !is_at_one && !is_own {
            TryingReason::TrialOfDrift.into()
        } else if let Some(hindrance) = hindrance(host, facts, is_own) {
            hindrance
        } else {
            return Self::Plan(TrialPlan {
                run: run.to_owned(),
                boot_id: standing.boot_id.clone(),
                booted: booted.clone(),
                tried: tried.clone(),
                before: before.clone(),
            });
        };
        if brings_older {
            return Self::NotAgain(TryingReason::BootsOlderUntried {
                tried: tried.clone(),
                booted: booted.clone(),
                cause,
            });
        }
        match wish {
            TrialWish::Demanded => Self::Refused(TryingReason::TrialDemanded { cause }),
            TrialWish::WherePossible | TrialWish::Never => Self::Not(TryingReason::RebootedUntried { cause }),
        }
    }
}

/// Finds what is in the way of a trial there of what a push brings, and whether that stays so under the new system.
#[must_use]
pub fn hindrance_before(host: &Host, facts: &Facts, is_own: bool) -> Option<(AnyReason, bool)> {
    let stays = TrialRefusal::all(host, facts).into_iter().find(TrialRefusal::is_of_machine).map(AnyReason::from);
    match stays.filter(|_| !is_own) {
        Some(stays) => Some((stays, true)),
        None => hindrance(host, facts, is_own).map(|cause| (cause, is_own)),
    }
}

/// Finds what is in the way of any trial there. `is_own`: fleetdeploy runs on this machine.
fn hindrance(host: &Host, facts: &Facts, is_own: bool) -> Option<AnyReason> {
    if is_own {
        return Some(TryingReason::NobodyJudges.into());
    }
    TrialRefusal::all(host, facts).into_iter().next().map(AnyReason::from)
}

/// Makes one line of all hosts that are rebooted untried for the same reason; what is said of one host alone stays.
#[must_use]
pub fn said_once(told: Vec<(HostName, TryingReason)>) -> Vec<(Option<HostName>, TryingReason)> {
    let mut lines: Vec<(Vec<HostName>, TryingReason)> = Vec::new();
    for (host, reason) in told {
        let is_like = |(_, said): &&mut (Vec<HostName>, TryingReason)| {
            matches!(reason, TryingReason::RebootedUntried { .. }) && *said == reason
        };
        match lines.iter_mut().find(is_like) {
            Some((hosts, _)) => hosts.push(host),
            None => lines.push((vec![host], reason)),
        }
    }
    let line = |(mut hosts, reason): (Vec<HostName>, TryingReason)| match reason {
        TryingReason::RebootedUntried { cause } if hosts.len() > 1 => {
            (None, TryingReason::HostsRebootedUntried { hosts, cause })
        }
        reason => (hosts.pop(), reason),
    };
    lines.into_iter().map(line).collect()
}

/// How a host shows itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialSight {
    /// The old boot; its guard sets the next boot, or reboots already. A dead one has to be started again.
    Leaving { is_alive: bool },
    /// The old boot under its guard, which was not asked to go, or could not.
    OldArmed {
        is_alive: bool,
        /// Why it could not, in the words of the host.
        said: Option<String>,
    },
    /// The old boot; its guard is putting back.
    OldFiring,
    /// The old boot without a guard of this trial that waits or works.
    OldAtRest {
        /// The boot default is what it was.
        restored: bool,
    },
    /// The trial's own boot, under its guard.
    InTrial {
        is_alive: bool,
        /// Why it is not to be kept, whatever else it shows.
        lacks: Option<AnyReason>,
    },
    /// The trial's own boot; its guard is going back.
    Firing,
    /// The trial's own boot, and no guard was armed in it.
    Unguarded,
    /// What was tried is the boot default, and was proven.
    Kept {
        /// No guard waits any more.
        ended: bool,
    },
    /// Another boot, into what booted last.
    BackOnOld {
        /// What the guard that fired there has left.
        trace: Option<String>,
    },
    /// Any other boot.
    Other { why: AnyReason },
}

/// The guard of this trial, as the host reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnGuard {
    Armed { is_alive: bool },
    Firing,
    Fired,
    Disarmed,
    None,
}

impl TrialSight {
    #[must_use]
    pub fn of(plan: &TrialPlan, standing: &Standing) -> Self {
        let trial = &standing.trial;
        let survivor = trial.of(&plan.run);
        let is_proven = survivor.is_some_and(|survivor| survivor.proven);
        let guard = OwnGuard::of(&plan.run, &standing.guard);
        if same_boot(&standing.boot_id, &plan.boot_id) {
            let own_go = trial.go.as_ref().filter(|going| going.run == plan.run);
            let is_leaving = own_go.is_some_and(|going| going.failed.is_none());
            return match guard {
                // Once the guard is through nobody follows the order any more.
                OwnGuard::Armed { is_alive } if is_leaving => Self::Leaving { is_alive },
                OwnGuard::Armed { is_alive } => {
                    Self::OldArmed { is_alive, said: own_go.and_then(|going| going.failed.clone()) }
                }
                OwnGuard::Firing => Self::OldFiring,
                OwnGuard::Fired | OwnGuard::Disarmed | OwnGuard::None => {
                    Self::OldAtRest { restored: standing.systems.known_boot_default() == Some(&plan.before) }
                }
            };
        }
        let is_in_trial = trial.line.as_ref() == Some(&plan.run) && standing.booted == plan.tried;
        match guard {
            _ if standing.booted == plan.booted => {
                Self::BackOnOld { trace: survivor.and_then(|survivor| survivor.trace.clone()) }
            }
            OwnGuard::Armed { .. } | OwnGuard::Firing if is_in_trial && is_proven => Self::Kept { ended: false },
            OwnGuard::Armed { is_alive } if is_in_trial => {
                Self::InTrial { is_alive, lacks: lacks(plan, standing).map(AnyReason::from) }
            }
            OwnGuard::Firing if is_in_trial => Self::Firing,
            // Also where it has rebooted since, by its own entry.
            _ if standing.booted == plan.tried && is_proven && standing.systems.all_are(&plan.tried) => {
                Self::Kept { ended: true }
            }
            // Somebody else has moved it since.
            _ if standing.booted == plan.tried && is_proven => Self::Other { why: moved(standing).into() },
            OwnGuard::Fired if is_in_trial => Self::Other { why: TryingReason::GuardStayed.into() },
            // Another workstation has ended it well and cleaned it up, while this one was asleep.
            OwnGuard::None if is_in_trial && survivor.is_none() && standing.systems.all_are(&plan.tried) => {
                Self::Kept { ended: true }
            }
            // The same, and somebody has moved it on since: it is not to be rebooted into what it booted before.
            OwnGuard::None if is_in_trial && survivor.is_none() && trial.over_here => {
                Self::Other { why: moved(standing).into() }
            }
            OwnGuard::None if is_in_trial => Self::Unguarded,
            _ if standing.booted == plan.tried => {
                Self::Other { why: TryingReason::BootedBesideTrial { tried: plan.tried.clone() }.into() }
            }
            _ => Self::Other {
                why: TryingReason::BootedNeither { booted: standing.booted.clone(), line: trial.line.clone() }.into(),
            },
        }
    }
}

fn moved(standing: &Standing) -> TryingReason {
    let systems = &standing.systems;
    TryingReason::MovedInTrial {
        current: systems.current.clone(),
        profile: systems.profile.clone(),
        boot_default: systems.known_boot_default().cloned(),
    }
}

/// What speaks against keeping it, beside units and links.
fn lacks(plan: &TrialPlan, standing: &Standing) -> Option<TryingReason> {
    let systems = &standing.systems;
    if systems.current != plan.tried
        || systems.profile != plan.tried
        || systems.known_boot_default() != Some(&plan.booted)
    {
        return Some(moved(standing));
    }
    let kept = standing.trial.of(&plan.run).is_some_and(|survivor| survivor.kept_by_firmware);
    if kept || standing.next_boot.is_some() {
        return Some(TryingReason::NextBootStays);
    }
    None
}

impl OwnGuard {
    fn of(run: &str, guard: &GuardState) -> Self {
        match guard {
            GuardState::Armed { run: of, .. } if of == run => Self::Armed { is_alive: true },
            GuardState::Dead { run: of, .. } if of == run => Self::Armed { is_alive: false },
            GuardState::Firing { run: of } if of == run => Self::Firing,
            GuardState::Fired { run: of } if of == run => Self::Fired,
            GuardState::Disarmed { run: of } if of == run => Self::Disarmed,
            _ => Self::None,
        }
    }
}
