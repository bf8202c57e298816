//! What is waited for, and what comes then.

use std::fmt;

use crate::event::WayBack;
use crate::event::waiting::{AfterWait, HeldBack, WaitedFor};
use crate::event::wording::words;
use crate::inventory::model::{GuardAction, HostName};

impl fmt::Display for WaitedFor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Links => "every link",
            Self::SilentHosts => "hosts out of reach",
            Self::SteadyUnits => "units to stay up",
            Self::Handshakes => "WireGuard's next handshakes",
            Self::OldLinks => "the links as they were before the push",
            Self::Guards => "the guards of hosts that do not answer",
            Self::OtherRecovery => "another recovery of this run",
        })
    }
}

impl fmt::Display for AfterWait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AllGoBack => "all go back",
            Self::ItsGuard => "its guard brings it back",
            Self::LeftToGuards => "guards bring back the hosts at links still down",
            Self::EndsAsItIs => "the roll back ends, and says what is still down",
            Self::AskedAgain => "silent hosts are asked once more",
            Self::GoesOnWithout => "the run is ended without them",
            Self::NoFurtherReboot => "no further host is rebooted",
        })
    }
}

/// What stands between the end of a wait and what comes: only some come if it was in vain.
pub(crate) fn then(wait: WaitedFor) -> &'static str {
    match wait {
        WaitedFor::Links
        | WaitedFor::SilentHosts
        | WaitedFor::SteadyUnits
        | WaitedFor::Handshakes
        | WaitedFor::OldLinks => "else",
        WaitedFor::Guards | WaitedFor::OtherRecovery => "then",
    }
}

/// `, by a reboot, back at the latest in 17m 53s`
pub(crate) fn way_back(way: Option<&WayBack>) -> String {
    way.map_or_else(String::new, |way| {
        format!(" {}, back at the latest in {}", by(way.action), words::span_ms(way.back_ms))
    })
}

/// How a guard takes its host back.
pub(crate) fn by(action: GuardAction) -> &'static str {
    match action {
        GuardAction::Reboot => "by a reboot",
        GuardAction::SwitchBack => "without a reboot",
    }
}

pub(crate) fn held_back(why: HeldBack, others: &[HostName], more: usize) -> String {
    let is = if others.len() + more == 1 { "is" } else { "are" };
    let others = words::names_and_more(others, more);
    match why {
        HeldBack::FirstAlone => format!("begins after {others}, which comes first alone"),
        HeldBack::WayOfOthers => format!("begins once {others} has begun: the way there leads through it"),
        HeldBack::OthersAway => format!("on its old system; its guard is kept until {others} {is} back"),
    }
}
