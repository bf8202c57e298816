use std::fmt;

use super::Worded;
use crate::event::reason::fit::{PreSwitchRefusal, Unfit};

impl fmt::Display for PreSwitchRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PreSwitchCheckFailed => formatter.write_str("the new system's own pre-switch check says no"),
            Self::PreSwitchCheckCutOff { limit } => write!(
                formatter,
                "the new system's own pre-switch check had not ended within {}, and was cut off",
                humantime::format_duration(*limit)
            ),
        }
    }
}

impl Worded for PreSwitchRefusal {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::PreSwitchCheckFailed => {
                "what it says is above; such a change wants `nixos-rebuild boot` and a reboot"
            }
            Self::PreSwitchCheckCutOff { .. } => "give it longer in the inventory: `limits: {check: 15m}`",
        };
        Some(mend.to_owned())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemUnfit { said, .. } => formatter.write_str(said),
            Self::BootLoaderChanges { change } => {
                write!(formatter, "the new system changes the kind of boot loader, {change}")
            }
        }
    }
}

impl Worded for Unfit {
    fn mend(&self) -> Option<String> {
        match self {
            Self::SystemUnfit { .. } => None,
            Self::BootLoaderChanges { .. } => {
                Some("install the new loader by hand once (`nixos-rebuild boot --install-bootloader`)".to_owned())
            }
        }
    }
}
