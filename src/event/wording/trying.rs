use std::fmt;

use super::Worded;
use crate::event::reason::trying::TryingReason;

impl fmt::Display for TryingReason {
    #[expect(clippy::too_many_lines, reason = "a table with a row for each reason")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RebootedUntried { cause } => write!(
                formatter,
                "is rebooted into its new system at once, because that cannot be tried here first: {cause}"
            ),
            Self::HostsRebootedUntried { hosts, cause } => write!(
                formatter,
                "{} are rebooted into their new systems at once, because these cannot be tried there first: {cause}",
                super::names(hosts)
            ),
            Self::TrialDemanded { cause } => write!(
                formatter,
                "its new system cannot be tried here first, and with --trial nothing is rebooted into untried: {cause}"
            ),
            Self::MayNotBeTried { cause } => write!(
                formatter,
                "what runs now would keep its new system from being tried here first; that is judged again once the \
                 new system runs, and with --trial it is rebooted into only if it can be tried: {cause}"
            ),
            Self::TriedOneByOne { hosts, waves, untried } => write!(
                formatter,
                "{} new systems are tried, each host by itself: {waves} waves in the place of {untried}; --no-trial \
                 reboots several at a time, untried",
                hosts.len()
            ),
            Self::NobodyJudges => {
                formatter.write_str("fleetdeploy runs on it, and nobody else would say that it is well")
            }
            Self::TrialOfDrift => {
                formatter.write_str("what runs there, its profile and its boot default are not one system")
            }
            Self::BootsOlder { tried, booted } => {
                write!(formatter, "has tried {tried} before, which is not known to boot: a reboot would bring {booted}")
            }
            Self::BootsOlderUntried { tried, booted, cause } => write!(
                formatter,
                "has tried {tried} before, which is not known to boot: a reboot would bring {booted}, and it cannot be \
                 tried again: {cause}"
            ),
            Self::CannotTry { cause } => {
                write!(formatter, "cannot try its new system, and stands where it stood: {cause}")
            }
            Self::DidNotGo { said: None } => {
                formatter.write_str("did not go into its trial: it is on the boot that it was on")
            }
            Self::DidNotGo { said: Some(said) } => {
                write!(formatter, "did not go into its trial, and is on the boot that it was on: {said}")
            }
            Self::NotPutBack => formatter.write_str(
                "did not go into its trial, and its guard could not put the boot default back to what it was",
            ),
            Self::NotKept { cause } => write!(formatter, "did not become the boot default: {cause}"),
            Self::CameUpUnguarded => formatter.write_str("came up in its trial without a guard"),
            Self::NotLeft { cause } => {
                write!(formatter, "is in its trial without a guard, and cannot be rebooted out of it: {cause}")
            }
            Self::MovedInTrial { current, profile, boot_default } => {
                write!(formatter, "was moved in its trial, and not by it: current {current}, profile {profile}, ")?;
                match boot_default {
                    Some(boot_default) => write!(formatter, "boot default {boot_default}"),
                    None => formatter.write_str("boot default not known"),
                }
            }
            Self::NextBootStays => {
                formatter.write_str("its firmware has not forgotten the next boot, and would bring the trial again")
            }
            Self::GuardStayed => formatter.write_str(
                "is in its trial, and its guard stays there: the files of what a reboot would bring are damaged",
            ),
            Self::BootedNeither { booted, line: Some(run) } => {
                write!(formatter, "came up on something else than it was to try: {booted}, in a trial of run {run}")
            }
            Self::BootedNeither { booted, line: None } => {
                write!(formatter, "came up on something else than it was to try: {booted}, and in no trial")
            }
            Self::BootedBesideTrial { tried } => write!(
                formatter,
                "has come up on {tried}, and not in its trial: by an entry of its own, which nothing guards or proves"
            ),
            Self::RestartedUntried { tried } => write!(
                formatter,
                "has restarted before it went into its trial, and runs what it booted before: {tried} was not tried"
            ),
            Self::BackBySignal { tried } => {
                write!(formatter, "runs what it booted before, and {tried} was not tried to the end")
            }
            Self::BackFor { tried, cause } => {
                write!(formatter, "has tried {tried}, and runs again what it booted before: {cause}")
            }
            Self::BackByItsGuard { tried, trace } => {
                write!(formatter, "has tried {tried}, and its guard brought it back to what it booted before: {trace}")
            }
            Self::BackWithoutATrace { tried } => write!(
                formatter,
                "was to try {tried}, and runs what it booted before without a word of its guard: the new system \
                 crashed or was reset, or the firmware has not taken the next boot, or the way to it leads through \
                 this host"
            ),
            Self::TrialOverdue { waited_s, was_kept, cause } => {
                let comes = match was_kept {
                    Some(false) => "what it booted before",
                    Some(true) => "what it tried, which was proven",
                    None => "what it booted before, or what it tried",
                };
                write!(
                    formatter,
                    "has not come back from its trial within {waited_s} s: {cause}; switch it off and on: it boots \
                     {comes}"
                )
            }
            Self::TrialStandsStill { waited_s } => write!(
                formatter,
                "answers, and its trial has not ended within {waited_s} s: do not switch it off, because its boot \
                 default may just be written; `fleetdeploy recover` waits for the end of it"
            ),
            Self::WaitsForTrial { run, wait_s } => write!(
                formatter,
                "a trial of run {run} is not over: its host ends it by its own clock, and is waited for, {wait_s} \
                 s at most"
            ),
            Self::WaitsForRebooted { run, hosts, wait_s } => write!(
                formatter,
                "rolling reboot {run} holds the others: {} may be on its way, perhaps in a trial, and is waited for, \
                 {wait_s} s at most; --without leaves it out",
                super::names(hosts)
            ),
            Self::StillInTrial { run, fires_in_s, in_trial: true } => {
                write!(formatter, "is in a trial of run {run}, back on what it booted before in {fires_in_s} s")
            }
            Self::StillInTrial { run, fires_in_s, in_trial: false } => {
                write!(formatter, "is under the guard of a trial of run {run}, which ends by itself in {fires_in_s} s")
            }
            Self::NotSeenSince => formatter.write_str("it does not answer"),
            Self::TrialCleaned { run, cause } => {
                write!(formatter, "what a trial of run {run} had left here is cleaned away")?;
                match cause {
                    Some(cause) => write!(formatter, ": it {cause}"),
                    None => Ok(()),
                }
            }
            Self::TrialRemains { cause } => {
                write!(formatter, "may still have something of its trial, which `fleetdeploy recover` cleans: {cause}")
            }
        }
    }
}

impl Worded for TryingReason {
    fn mend(&self) -> Option<String> {
        match self {
            Self::RebootedUntried { cause }
            | Self::HostsRebootedUntried { cause, .. }
            | Self::MayNotBeTried { cause } => cause.mend(),
            Self::TrialDemanded { .. } => Some("leave out --trial to have it rebooted at once".to_owned()),
            Self::BootsOlder { .. } => Some(
                "leave out --no-trial to try it again; where its firmware forgets the next boot, `push \
                 --accept-drift` and then `reboot --no-trial`; or give --accept-drift to reboot into what booted last"
                    .to_owned(),
            ),
            Self::BootsOlderUntried { .. } => Some(
                "`push --accept-drift` makes its new system what a reboot brings; or give --accept-drift here to \
                 reboot into what booted last, or leave this host out: no other is rebooted beside it"
                    .to_owned(),
            ),
            Self::CannotTry { .. } => Some(
                "`reboot --no-trial` reboots it at once; where that would bring what booted last, `push \
                 --accept-drift` first"
                    .to_owned(),
            ),
            Self::BackWithoutATrace { .. } => Some(
                "a firmware that forgets the next boot can try nothing: `push --accept-drift` and then `reboot \
                 --no-trial` bring the new system there"
                    .to_owned(),
            ),
            Self::NotLeft { .. } => Some(
                "mend that there and reboot it by hand, into what it booted before; then `fleetdeploy recover` cleans \
                 up after it"
                    .to_owned(),
            ),
            Self::NobodyJudges
            | Self::TrialOfDrift
            | Self::TriedOneByOne { .. }
            | Self::DidNotGo { .. }
            | Self::BootedBesideTrial { .. }
            | Self::RestartedUntried { .. }
            | Self::TrialStandsStill { .. }
            | Self::NotPutBack
            | Self::NotKept { .. }
            | Self::CameUpUnguarded
            | Self::MovedInTrial { .. }
            | Self::NextBootStays
            | Self::GuardStayed
            | Self::BootedNeither { .. }
            | Self::BackBySignal { .. }
            | Self::BackFor { .. }
            | Self::BackByItsGuard { .. }
            | Self::TrialOverdue { .. }
            | Self::WaitsForTrial { .. }
            | Self::WaitsForRebooted { .. }
            | Self::StillInTrial { .. }
            | Self::NotSeenSince
            | Self::TrialCleaned { .. }
            | Self::TrialRemains { .. } => None,
        }
    }
}
