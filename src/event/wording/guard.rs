use std::fmt;

use super::Worded;
use crate::event::reason::command_end::OpenRun;
use crate::event::reason::guard::HandGuard;

impl fmt::Display for HandGuard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuardStays { current, profile, boot_default } => {
                let boot_default = boot_default.as_ref().map_or_else(|| "not known".to_owned(), ToString::to_string);
                write!(
                    formatter,
                    "a reboot would not bring what runs, so the guard stays:\n  current      {current}\n  profile      \
                     {profile}\n  boot default {boot_default}"
                )
            }
            Self::GuardArmedBefore { run, fleet } => {
                OpenRun::HandGuardOpen { run: run.clone(), fleet: fleet.clone() }.fmt(formatter)
            }
            Self::GuardNotRecorded { error } => write!(formatter, "the run's record cannot be written: {error}"),
            Self::GuardRecordNotMade { error } => write!(formatter, "nothing is armed without its record: {error}"),
            Self::GuardEndNotRecorded { error } => {
                write!(formatter, "that this guard has ended could not be written down: {error}")
            }
            Self::GuardsTakenBack => {
                formatter.write_str("not every host could be armed: the others are disarmed again")
            }
            Self::GuardNotArmed { cause } => write!(formatter, "its guard could not be armed: {cause}"),
            Self::GuardNotThere => formatter.write_str("it is not armed afterwards"),
            Self::GuardNotExtended { cause } => write!(formatter, "its guard could not be extended: {cause}"),
            Self::GuardNotDisarmed { cause } => write!(formatter, "its guard was not disarmed: {cause}"),
            Self::GuardNotCleanedUp { cause } => write!(formatter, "something of this guard is left on it: {cause}"),
            Self::NoGuardArmed => formatter.write_str("no guard is armed on it"),
            Self::GuardOfAnother { owner, run } | Self::GuardOfAnotherToDisarm { owner, run } => {
                let owner = owner.as_deref().unwrap_or("somebody else");
                let run = run.as_deref().unwrap_or("not known");
                write!(formatter, "what is on it belongs to {owner} (run {run}), and is not touched")
            }
            Self::GuardFired => formatter.write_str("its guard has fired"),
            Self::GuardDead => formatter.write_str("its guard is dead: the unit that should act on it is gone"),
            Self::GuardAtWork => formatter.write_str("its guard has fired and is bringing it back"),
            Self::GuardBroughtBack => {
                formatter.write_str("its guard has fired: the host was brought back to what it ran before")
            }
        }
    }
}

impl Worded for HandGuard {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::GuardStays { .. } => {
                "make what runs permanent there with `nixos-rebuild switch`, then disarm again; or let the guard fire, \
                 which takes it all back"
            }
            Self::GuardArmedBefore { fleet, .. } => {
                return Some(format!(
                    "`fleetdeploy guard status {fleet}` shows it; `guard extend` gives it more time, `guard disarm` \
                     ends it"
                ));
            }
            Self::GuardOfAnotherToDisarm { .. } => {
                "only who armed it may disarm it; what a push has left is ended by `fleetdeploy recover`"
            }
            Self::GuardNotCleanedUp { .. } => "mend what it names, then disarm again: until then no push begins there",
            Self::GuardAtWork => "wait until the host is back, then disarm again to clean up",
            Self::GuardNotRecorded { .. }
            | Self::GuardRecordNotMade { .. }
            | Self::GuardEndNotRecorded { .. }
            | Self::GuardsTakenBack
            | Self::GuardNotArmed { .. }
            | Self::GuardNotThere
            | Self::GuardNotExtended { .. }
            | Self::GuardNotDisarmed { .. }
            | Self::NoGuardArmed
            | Self::GuardOfAnother { .. }
            | Self::GuardFired
            | Self::GuardDead
            | Self::GuardBroughtBack => return None,
        };
        Some(mend.to_owned())
    }
}
