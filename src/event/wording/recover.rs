use std::fmt;
use std::time::Duration;

use humantime::format_duration;

use super::Worded;
use super::absent::in_brackets;
use crate::event::reason::recover::{ClaimDoubt, CleaningUp, RecoverReason};
use crate::inventory::model::HostName;

impl fmt::Display for RecoverReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SilentHostsNotNamed { hosts, .. } => write!(
                formatter,
                "{} {} not answer either, and a run is not ended without a host that was not named",
                named(hosts, ", "),
                if hosts.len() == 1 { "does" } else { "do" }
            ),
            Self::WaitsForGuards { run, hosts, wait } => write!(
                formatter,
                "this workstation has no record of run {run}, and {} cannot be asked: nothing is done for up to {}, \
                 until every guard must have fired",
                named(hosts, ", "),
                format_duration(whole(*wait))
            ),
            Self::NothingOfRun { run, silent } => {
                write!(formatter, "no host that answers holds anything of run {run}")?;
                if silent.is_empty() {
                    Ok(())
                } else {
                    write!(formatter, ", and {} did not answer", named(silent, ", "))
                }
            }
            Self::AnotherRunUnfinished { run, hosts, fleet } => write!(
                formatter,
                "run {run} did not come to its end either, says {}: after this, `fleetdeploy recover {fleet} --run \
                 {run}`",
                named(hosts, ", ")
            ),
            Self::HostsNotInFleet { run, hosts, fleet } => {
                write!(formatter, "run {run} changed hosts that are not in fleet {fleet}: {}", named(hosts, ", "))
            }
            Self::HostLeftFleet { run, name, fleet } => {
                write!(formatter, "run {run} changed {name}, which is not in fleet {fleet}")
            }
            Self::StillMissing { run, fleet } => write!(
                formatter,
                "was missing when run {run} was ended, and it does not answer: when it does, this command ends what is \
                 left of the run there; {}",
                forgotten(fleet, run)
            ),
            Self::ReplacedWhileMissing { run, fleet } => write!(
                formatter,
                "was missing when run {run} was ended, and another machine answers under its name now; {}",
                forgotten(fleet, run)
            ),
            Self::RollingSaidByOne { run, fleet } => write!(
                formatter,
                "says that rolling reboot {run} holds it, and no other host does: it is left as it is; {}",
                end_of_rolling(fleet, run)
            ),
            Self::HeldByRolling { run, hosts, .. } => {
                write!(formatter, "rolling reboot {run} holds {}", named(hosts, ", "))
            }
            Self::HostSetAside { doubt } => write!(formatter, "{doubt}: it is left as it is"),
            Self::RecoveryNotRecorded { error } => {
                write!(formatter, "the recovery's record cannot be written: {error}")
            }
            Self::EndNotRecorded { error } => write!(formatter, "that could not be written down: {error}"),
            Self::RunEndedElsewhere { run } => {
                write!(formatter, "run {run} was ended from elsewhere: no host holds anything of it")
            }
            Self::HandGuardStillArmed { run, .. } => write!(
                formatter,
                "run {run} is a guard that was armed by hand, and it is still armed: nothing was touched"
            ),
            Self::AsRunLeftIt => formatter.write_str("as the run has left it"),
            Self::NothingKnownOfHost => formatter.write_str("it does not answer"),
            Self::EndsWithoutHosts { hosts, wait } => write!(
                formatter,
                "the run is ended without {}: nothing is decided for up to {}, until no guard can be armed there any \
                 more; then the others go to one side and are free",
                named(hosts, ", "),
                format_duration(whole(*wait))
            ),
            Self::SilentInRecovery { cause } => {
                write!(formatter, "does not answer: {cause}{}", in_brackets(cause))
            }
            Self::LeftoverRemoved { run } => write!(formatter, "what run {run} had left here is removed"),
            Self::LeftoverStays { run, cause, fleet } => write!(
                formatter,
                "what run {run} has left here stays: {cause}; `fleetdeploy recover {fleet} --run {run}` looks at it"
            ),
            Self::CleanUpNotRecorded { run, error } => {
                write!(formatter, "the end of run {run} could not be written down: {error}")
            }
        }
    }
}

impl Worded for RecoverReason {
    fn mend(&self) -> Option<String> {
        match self {
            Self::SilentHostsNotNamed { hosts, all, fleet } => Some(format!(
                "if {} not come back: `fleetdeploy recover {fleet} --without {}`",
                if hosts.len() == 1 { "it does" } else { "they do" },
                named(all, ",")
            )),
            Self::NothingOfRun { .. } => {
                Some("`fleetdeploy recover` without --run says which runs there are".to_owned())
            }
            Self::HostsNotInFleet { .. } => {
                Some("name the fleet that it pushed, with an inventory that has all of its hosts".to_owned())
            }
            Self::HostLeftFleet { .. } => {
                Some("put it back into the inventory, as it was when the run began".to_owned())
            }
            Self::HeldByRolling { run, fleet, .. } => Some(format!(
                "wait for it to end; if whoever began it is gone, {}: after that, try again",
                end_of_rolling(fleet, run)
            )),
            Self::HandGuardStillArmed { fleet, .. } => Some(format!(
                "`fleetdeploy guard disarm {fleet}` keeps what runs now; to take it back, let the guard fire: \
                 `fleetdeploy guard status {fleet}` says when"
            )),
            Self::WaitsForGuards { .. }
            | Self::EndNotRecorded { .. }
            | Self::RunEndedElsewhere { .. }
            | Self::AsRunLeftIt
            | Self::NothingKnownOfHost
            | Self::AnotherRunUnfinished { .. }
            | Self::StillMissing { .. }
            | Self::ReplacedWhileMissing { .. }
            | Self::RollingSaidByOne { .. }
            | Self::HostSetAside { .. }
            | Self::RecoveryNotRecorded { .. }
            | Self::EndsWithoutHosts { .. }
            | Self::SilentInRecovery { .. }
            | Self::LeftoverRemoved { .. }
            | Self::LeftoverStays { .. }
            | Self::CleanUpNotRecorded { .. } => None,
        }
    }
}

impl fmt::Display for ClaimDoubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHigherEpoch { epoch } => {
                write!(formatter, "its lease has the epoch {epoch}, and there is none above it")
            }
            Self::ByHandSaidByOne => {
                formatter.write_str("it says that its guard was armed by hand, and the other hosts of the run do not")
            }
            Self::RollingLeaseSaidByOne { run } => {
                write!(formatter, "it says that rolling reboot {run} holds it, and no other host that answers does")
            }
        }
    }
}

impl Worded for ClaimDoubt {}

impl fmt::Display for CleaningUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, limit } = self;
        write!(formatter, "cleaning up what run {run} has left, {} at most", format_duration(whole(*limit)))
    }
}

fn forgotten(fleet: &str, run: &str) -> String {
    format!("`fleetdeploy recover {fleet} --forget {run}` ends the waiting for it")
}

fn end_of_rolling(fleet: &str, run: &str) -> String {
    format!("`fleetdeploy recover {fleet} --run {run}` ends it")
}

/// In whole seconds, as a person reads it.
fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

fn named(hosts: &[HostName], between: &str) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(between)
}
