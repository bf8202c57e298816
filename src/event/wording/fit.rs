use std::fmt;

use super::Worded;
use crate::event::reason::fit::{NameNote, PreSwitchRefusal, Unfit};

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
            Self::HostNameDiffers { here, new, .. } => {
                write!(formatter, "the new system calls itself {new}, this host is {here}")
            }
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
            Self::HostNameDiffers { of, .. } => Some(format!(
                "if the host is to be renamed, say so with `--rename {of}`; if not, look which configuration the \
                 inventory names for {of}"
            )),
            Self::BootLoaderChanges { .. } => {
                Some("install the new loader by hand once (`nixos-rebuild boot --install-bootloader`)".to_owned())
            }
        }
    }
}

impl fmt::Display for NameNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostRenamed { here, new } => {
                write!(
                    formatter,
                    "is renamed: it calls itself {here}, and its new system {new}; only the check of that name is off"
                )
            }
            Self::NothingToRename { here } => {
                write!(formatter, "is not renamed, whatever --rename says: it is {here}, and stays so")
            }
        }
    }
}

impl Worded for NameNote {}
