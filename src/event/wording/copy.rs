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
            Self::CopyNoRoom { said }
            | Self::CopyUntrusted { said, .. }
            | Self::CopyNoNix { said }
            | Self::CopyInterrupted { said }
            | Self::CopyTimedOut { said }
            | Self::CopyTooTalkative { said }
            | Self::CopyNotStarted { said }
            | Self::CopyFailed { said } => formatter.write_str(said),
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
                 nix.settings.trusted-public-keys = [ \"its public key\" ]; or, which makes it as good as root: \
                 nix.settings.trusted-users = [ \"root\" \"{}\" ];",
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
