use std::fmt;

use super::Worded;
use crate::event::reason::reboot::{FoundRolling, RebootActivity, RebootsEnded, Regression, RollingEnd, RollingReason};
use crate::inventory::model::HostName;

/// What is named of all that is not as it was: a mesh has more links than a line has room for.
const WRONG_NAMED: usize = 8;

impl fmt::Display for RollingReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnMachineReboots { fleet } => write!(
                formatter,
                "is this workstation: it is rebooted last, and this program ends with it; when it is back, \
                 `fleetdeploy recover {fleet}` says how it came up, and ends the rolling reboot"
            ),
            Self::NoFurtherReboot { signal } => {
                write!(formatter, "{signal}: no further host is rebooted; waiting for what is under way")
            }
            Self::RebootNotAllowed => formatter.write_str("a host must not be rebooted now"),
            Self::NobodyToReboot => formatter.write_str("no host that was to be rebooted answers"),
            Self::HostNotHeld { cause } => write!(formatter, "cannot be held for this rolling reboot: {cause}"),
            Self::HostsNotHeld { hosts } => write!(
                formatter,
                "every host that answers must be held before the first is rebooted, and {} could not be",
                named(hosts)
            ),
            Self::HostsNotHeldLonger { hosts } => {
                write!(formatter, "{} could not be held any longer, and then no further host is begun", named(hosts))
            }
            Self::RebootNotRecorded { error } => write!(formatter, "its record cannot be written: {error}"),
            Self::MayStillBeHeld { cause } => {
                write!(formatter, "may still be held for this rolling reboot, until that is over by itself: {cause}")
            }
            Self::MayStillBeHeldFor { run, cause } => {
                write!(formatter, "may still be held for rolling reboot {run}, until that is over by itself: {cause}")
            }
            Self::HostNotRebooted { cause } => write!(formatter, "was not rebooted: {cause}"),
            Self::RebootNotDelivered { cause } => write!(formatter, "could not be told to: {cause}"),
            Self::StillOnOldBoot => formatter.write_str("it still answers on the boot that it was on"),
            Self::RebootOverdue { waited, cause } => {
                write!(formatter, "has not come back from its reboot within {} s: {cause}", waited.as_secs())
            }
            Self::NoLoginAfterReboot { cause } => {
                write!(formatter, "has rebooted, and takes no new login: {cause}")
            }
            Self::BootNotEnded => formatter.write_str("its boot has not ended: some of its units are still starting"),
            Self::RebootDidNotHappen => formatter.write_str("did not reboot: it is on the boot that it was on"),
            Self::BackUnderGuard { run } => write!(formatter, "came back, and is under a guard of run {run}"),
            Self::BootedSomethingElse { wanted, booted, current, profile, boot_default } => {
                write!(
                    formatter,
                    "came up on something else than it was to boot ({wanted}): it booted {booted}, and is on "
                )?;
                match boot_default {
                    Some(boot_default) if current == boot_default && profile == boot_default => {
                        write!(formatter, "{current}")
                    }
                    Some(boot_default) => {
                        write!(formatter, "current {current}, profile {profile}, boot default {boot_default}")
                    }
                    None => write!(formatter, "current {current}, profile {profile}, boot default not known"),
                }
            }
            Self::LinksNotProven => formatter.write_str("is back, and its links were not proven"),
            Self::NotAllAsBefore { wrong } => {
                let named: Vec<String> = wrong.iter().take(WRONG_NAMED).map(ToString::to_string).collect();
                write!(formatter, "is back, but not all is as it was: {}", named.join("; "))?;
                match wrong.len() - named.len() {
                    0 => Ok(()),
                    more => write!(formatter, "; and {more} more"),
                }
            }
        }
    }
}

impl Worded for RollingReason {
    fn mend(&self) -> Option<String> {
        match self {
            Self::HostNotHeld { .. } => Some(
                "wait for what else is under way there; what has died is ended by `fleetdeploy recover`".to_owned(),
            ),
            Self::HostNotRebooted { cause } => cause.mend(),
            Self::OwnMachineReboots { .. }
            | Self::NoFurtherReboot { .. }
            | Self::RebootNotAllowed
            | Self::NobodyToReboot
            | Self::HostsNotHeld { .. }
            | Self::HostsNotHeldLonger { .. }
            | Self::RebootNotRecorded { .. }
            | Self::MayStillBeHeld { .. }
            | Self::MayStillBeHeldFor { .. }
            | Self::RebootNotDelivered { .. }
            | Self::StillOnOldBoot
            | Self::RebootOverdue { .. }
            | Self::NoLoginAfterReboot { .. }
            | Self::BootNotEnded
            | Self::RebootDidNotHappen
            | Self::BackUnderGuard { .. }
            | Self::BootedSomethingElse { .. }
            | Self::LinksNotProven
            | Self::NotAllAsBefore { .. } => None,
        }
    }
}

impl fmt::Display for RollingEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RebootsEnded(ended) => ended.fmt(formatter),
            Self::RollingEndedByRecovery {
                run,
                rebooted,
                went_back,
                unproven,
                cleaned,
                told_only,
                not_rebooted,
                away,
            } => {
                write!(formatter, "rolling reboot {run} is ended, and ")?;
                if cleaned.is_empty() {
                    formatter.write_str("nothing was done to any host")?;
                } else {
                    write!(formatter, "what was left of its trial is cleaned away ({})", named(cleaned))?;
                }
                let parts = [
                    ("rebooted", rebooted),
                    ("went back", went_back),
                    ("LOOK NOW, not proven", unproven),
                    ("told to reboot, and did not", told_only),
                    ("not rebooted", not_rebooted),
                    ("LOOK NOW, no answer", away),
                ];
                let mut parts = parts.into_iter().filter(|(_, hosts)| !hosts.is_empty());
                parts.try_for_each(|(front, hosts)| write!(formatter, "; {front}: {}", named(hosts)))
            }
            Self::LeftWhileRebooting => formatter.write_str("left while it reboots"),
        }
    }
}

impl Worded for RollingEnd {}

impl fmt::Display for RebootsEnded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rebooted, wrong, went_back, refused, left, not_rebooted, none_begun, stopped, interrupted } = self;
        let front = |front: &str, hosts: &[HostName]| (!hosts.is_empty()).then(|| format!("{front}: {}", named(hosts)));
        let parts = front("rebooted and proven back", rebooted).into_iter();
        let parts = parts.chain(wrong.iter().map(|host| format!("LOOK NOW: {} {}", host.name, host.cause)));
        let parts = parts.chain(went_back.iter().map(|host| format!("went back: {} {}", host.name, host.cause)));
        let parts = parts.chain(refused.iter().map(|host| format!("said no: {} ({})", host.name, host.cause)));
        let parts = parts.chain(front("left while they reboot", left));
        let parts = parts.chain(front("not rebooted", not_rebooted));
        let parts = parts.chain(none_begun.as_ref().map(|why| format!("no host was rebooted: {why}")));
        let parts = parts.chain(stopped.as_ref().map(ToString::to_string));
        let parts = parts.chain(interrupted.map(|signal| format!("interrupted by {signal}")));
        let parts: Vec<String> = parts.collect();
        formatter.write_str(if parts.is_empty() { "no host was rebooted" } else { "" })?;
        formatter.write_str(&parts.join("; "))
    }
}

impl fmt::Display for Regression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkDownAfterReboot { link } => formatter.write_str(link),
            Self::LinkNotMeasuredAfterReboot { link } => write!(formatter, "{link} could not be measured"),
            Self::HostSilentAfterReboot { name } => write!(formatter, "{name} does not answer"),
            Self::RestartedOnceMore { name } => write!(formatter, "{name} has restarted once more"),
            Self::UnitFailsAfterReboot { unit, name } => write!(formatter, "{unit} fails on {name}"),
        }
    }
}

impl fmt::Display for FoundRolling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RebootDone => "was rebooted",
            Self::RebootNotBegun => "was not rebooted: its turn had not come",
            Self::RebootToldOnly => {
                "was told to reboot, and is on the boot that it was on: it will not reboot any more"
            }
            Self::TrialWentBack => "has tried its new system, and runs again what it booted before",
            Self::TrialUnproven => "is on a boot that its trial has not proven",
            Self::AwayFromReboot { told: Some(true) } => "was told to reboot, and does not answer",
            Self::AwayFromReboot { told: Some(false) } => "was not rebooted, and does not answer",
            Self::AwayFromReboot { told: None } => "does not answer",
        })
    }
}

impl Worded for FoundRolling {}

impl fmt::Display for RebootActivity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Told => "told to reboot",
            Self::GoingDown => "going down and booting",
            Self::LoggingIn => "is up; logging in anew",
            Self::ProvingLinks => "proving its links",
            Self::ArmingTrial => "arming a guard for its trial",
            Self::RegisteringTrial => "making its new system an entry of its own",
            Self::MayHang => "silent; it may hang, or goes back by itself",
            Self::StandsStill => "answers, and its trial is not over; waiting for its guard",
            Self::PuttingBack => "waiting for its guard to put its boot default back",
            Self::KeepingTrial => "keeping its new system",
            Self::TendingGuard => "starting its guard again",
            Self::GoingBack => "waiting for its guard to bring it back",
            Self::CleaningTrial => "cleaning up after its trial",
        })
    }
}

fn named(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}
