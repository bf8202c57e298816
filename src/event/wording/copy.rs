use std::fmt;

use super::Worded;
use crate::event::reason::copy::CopyFault;

impl fmt::Display for CopyFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoomTooLittle { needed_bytes, free_bytes } => write!(
                formatter,
                "not enough room: its new system brings up to {} MB, and {} MB are free",
                needed_bytes.div_ceil(1_000_000),
                free_bytes / 1_000_000
            ),
            Self::CopyNoRoom { machine, system, said } => {
                write!(formatter, "no room on {machine} for {system}: {said}")
            }
            Self::CopyUntrusted { machine, system, said, .. } => {
                write!(formatter, "{machine} does not take {system} from this login: {said}")
            }
            Self::CopyNoNix { machine, said } => {
                write!(formatter, "{machine} has no nix that this login can start: {said}")
            }
            Self::CopyInterrupted { machine, said } => {
                write!(formatter, "lost the connection to {machine} while copying: {said}")
            }
            Self::CopyTimedOut { machine, limit } => {
                write!(formatter, "the copy to {machine} did not end within {} s", limit.as_secs())
            }
            Self::CopyTooTalkative { machine, bytes } => {
                write!(formatter, "{machine} said more than any copy has, and was cut off after {bytes} bytes")
            }
            Self::CopyNotStarted { machine, said } if said.is_empty() => {
                write!(formatter, "cannot start the copy to {machine}")
            }
            Self::CopyNotStarted { machine, said } => write!(formatter, "cannot start the copy to {machine}: {said}"),
            Self::CopyFailed { machine, system, said } => {
                write!(formatter, "cannot copy {system} to {machine}: {said}")
            }
        }
    }
}

impl Worded for CopyFault {
    fn mend(&self) -> Option<String> {
        match self {
            Self::RoomTooLittle { .. } => Some("run `nix-collect-garbage -d` there, or make room".to_owned()),
            Self::CopyUntrusted { user, .. } => Some(format!(
                "in the host's NixOS configuration: nix.settings.trusted-users = [ \"root\" \"{}\" ];",
                user.as_deref().unwrap_or("the user that logs in")
            )),
            Self::CopyNoRoom { .. }
            | Self::CopyNoNix { .. }
            | Self::CopyInterrupted { .. }
            | Self::CopyTimedOut { .. }
            | Self::CopyTooTalkative { .. }
            | Self::CopyNotStarted { .. }
            | Self::CopyFailed { .. } => None,
        }
    }
}
