use std::fmt;

use super::Worded;
use super::doctor::SIGN_HERE;
use crate::event::reason::copy::{CopyAgain, CopyFault};

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
            Self::CopyGarbled { machine, said } => {
                write!(formatter, "the login shell of {machine} prints before its nix can speak: {said}")
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

impl fmt::Display for CopyAgain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CopiedAgain { said } => write!(formatter, "the copy broke off, and is begun once more: {said}"),
            Self::CollectedAfterCopy => {
                formatter.write_str("a garbage collection took away what was copied: it is copied once more")
            }
        }
    }
}

impl Worded for CopyAgain {
    fn mend(&self) -> Option<String> {
        None
    }
}

impl Worded for CopyFault {
    fn mend(&self) -> Option<String> {
        match self {
            Self::RoomTooLittle { .. } => Some("run `nix-collect-garbage -d` there, or make room".to_owned()),
            Self::CopyUntrusted { user, .. } => Some(format!(
                "sign what is built here: {SIGN_HERE} and in the host's configuration \
                 nix.settings.trusted-public-keys = [ \"its public key\" ]; or build it there: `build_on: target`; or, \
                 which makes it as good as root: \
                 nix.settings.trusted-users = [ \"root\" \"{}\" ];",
                user.as_deref().unwrap_or("the user that logs in")
            )),
            Self::CopyGarbled { .. } => Some(
                "let its shell print only where there is a terminal: `[ -t 1 ] || return` above what greets, as \
                 .bashrc, .zshenv, config.fish or .cshrc write it"
                    .to_owned(),
            ),
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
