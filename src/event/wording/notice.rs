use std::fmt;

use super::{Worded, names};
use crate::event::reason::notice::Notice;

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignalInDoubt { signal } => write!(
                formatter,
                "{signal}: it is asked what has become of each guard; `fleetdeploy recover` may be quicker"
            ),
            Self::SignalTooLate { signal } => {
                write!(formatter, "{signal}: the decision to commit was made; finishing first")
            }
            Self::SignalWhileGoingBack { signal } => write!(
                formatter,
                "{signal}: it is going back already, and goes on; one more leaves what is not back to its guard"
            ),
            Self::AllOutOfReach => formatter.write_str(
                "every host is out of reach at once: it is more likely this workstation's own link; the guards wait",
            ),
            Self::TracesKept { cause } => write!(
                formatter,
                "what this run keeps there could not be cleaned away ({cause}); `fleetdeploy recover` does it"
            ),
            Self::TakeOverContested { cause } => write!(
                formatter,
                "says that {cause}: no host is taken over before the others were asked whether that is so"
            ),
            Self::HostLost { cause } => write!(formatter, "lost to this run: it says that {cause}"),
            Self::DeadGuardDisarmed => {
                formatter.write_str("its guard is armed, and the unit that acts on it is gone: it is disarmed")
            }
            Self::DeadGuardStarted => formatter.write_str(
                "its guard is armed, and the unit that acts on it is gone: it is started again, and may fire at once",
            ),
            Self::TracesRemoved { removed_on } => write!(
                formatter,
                "of this run its claim, its guard's token and plan, its marks and its garbage collection roots are \
                 removed on {}",
                names(removed_on)
            ),
            Self::UnitsUnsettled { said } if said.is_empty() => formatter.write_str(
                "some units are failed or restarting (status 4), and were so before or may come up: verify looks again",
            ),
            Self::UnitsUnsettled { said } => write!(
                formatter,
                "activated, but not all went well (status 4): {}; verify looks at the units again, and a reload that \
                 failed leaves its unit up",
                said.join("; ")
            ),
            Self::RollbackLeftToGuard { cause } => {
                write!(formatter, "could not be switched back from here ({cause}); its guard will bring it back")
            }
            Self::NotAllUpAgain => formatter.write_str(
                "the old systems run again, and not everything that was up before is up: look at the matrix",
            ),
            Self::NotAllMeasured => formatter.write_str(
                "the old systems run again and take logins, and not every link could be measured: the hosts were too \
                 slow",
            ),
            Self::LinksStayUnmeasured => formatter
                .write_str("runs its old system again, and its links could not be measured: its guard will reboot it"),
            Self::LinksStayDown => {
                formatter.write_str("runs its old system again, and its links stay down: its guard will reboot it")
            }
            Self::LoginRefusedAfterRollback { cause } => {
                write!(formatter, "no new login is made to its old system: {cause}")
            }
            Self::LoginStaysDown => formatter.write_str(
                "runs its old system again, and no new login was seen there, as one was before: its guard will reboot \
                 it",
            ),
            Self::WaitingForGuards => formatter.write_str(
                "without the run's record nothing is done before every host was asked: waiting until the guards of \
                 those that do not answer must have brought them back",
            ),
            Self::WaitingForHandshake => formatter.write_str(
                "the links carry packets over an old WireGuard session; waiting for a new handshake, up to 3 minutes",
            ),
            Self::WitnessRestarted => formatter.write_str("this witness has restarted since the survey"),
            Self::WitnessSwitched { onto } => {
                write!(formatter, "this witness has switched to {onto} since the survey")
            }
            Self::RecordFailed { said } => write!(formatter, "the record failed: {said}"),
            Self::RecordMadeAnew { path } => write!(
                formatter,
                "the record of this run was deleted while it went on: what `recover` needs is made anew in {path}; \
                 logs and events until now are lost"
            ),
            Self::SteadyShortened { to, default } => write!(
                formatter,
                "the guards leave time for a `steady` of {}, not of {}: that long must what this push starts have been \
                 up. A longer `guard` gives it more, and `steady` says what is wanted",
                humantime::format_duration(*to),
                humantime::format_duration(*default)
            ),
        }
    }
}

impl Worded for Notice {}
