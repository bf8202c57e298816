use std::fmt;

use super::Worded;
use crate::event::reason::absent::AbsentHub;
use crate::event::reason::baseline::{BaselineLink, BaselineLogin, LinkName};
use crate::inventory::model::Place;

impl fmt::Display for BaselineLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |cause: Option<&AbsentHub>| cause.map(|cause| format!(", {cause}")).unwrap_or_default();
        let before = |probed: bool| {
            if probed {
                "is already down, before anything was changed"
            } else {
                "could not be looked at, before anything was changed"
            }
        };
        match self {
            Self::LinkDown { link, cause } => write!(formatter, "{link} is down{}", because(cause.as_ref())),
            Self::LinkNotProbed { link, cause } => {
                write!(formatter, "{link} cannot be looked at{}", because(cause.as_ref()))
            }
            Self::LinkDownAccepted { link, probed, cause } => {
                let (down, because) = (before(*probed), because(cause.as_ref()));
                write!(formatter, "{link} {down}{because}: accepted, as asked (--allow-broken)")
            }
            Self::LinkDownMendable { link, probed: true } => write!(
                formatter,
                "{link} {}: unless this push mends it, it will be rolled back (--allow-broken accepts it as it is)",
                before(true)
            ),
            Self::LinkDownMendable { link, probed: false } => {
                write!(formatter, "{link} {}: unless it is up after this push, that will be rolled back", before(false))
            }
            Self::LinkDownHopeless { link, probed } => {
                write!(formatter, "{link} {}, and no host that this push changes can mend it", before(*probed))
            }
            Self::LinkNotTried { link } => {
                write!(formatter, "{link} was not looked at: it runs a program of the inventory")
            }
            Self::LinkDownAbsentHub { link, probed, cause } => write!(formatter, "{link} {}, {cause}", before(*probed)),
            Self::MoreLinks { more, .. } => {
                write!(formatter, "the same is so of {more} more links: the matrix has them")
            }
        }
    }
}

impl Worded for BaselineLink {
    fn stake(&self) -> Option<&'static str> {
        match self {
            Self::LinkDownHopeless { .. } | Self::LinkDownAbsentHub { .. } => {
                Some("a push is refused that could never prove this link")
            }
            Self::LinkDownMendable { .. } => Some("a push goes on, since what it brings may mend it"),
            Self::LinkNotTried { .. } => {
                Some("a push runs it, and is refused if it fails and no host that the push changes can mend it")
            }
            Self::LinkDown { .. }
            | Self::LinkNotProbed { .. }
            | Self::LinkDownAccepted { .. }
            | Self::MoreLinks { .. } => None,
        }
    }

    fn mend(&self) -> Option<String> {
        match self {
            Self::LinkDownHopeless { .. } | Self::LinkDownAbsentHub { .. } => {
                Some("mend it first, or accept it with --allow-broken".to_owned())
            }
            Self::LinkNotTried { .. } => Some("`fleetdeploy check` runs it".to_owned()),
            Self::LinkDown { .. }
            | Self::LinkNotProbed { .. }
            | Self::LinkDownAccepted { .. }
            | Self::LinkDownMendable { .. }
            | Self::MoreLinks { .. } => None,
        }
    }
}

impl fmt::Display for BaselineLogin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewLoginMissing { cause } => {
                write!(formatter, "it takes no new login beside the one that is there: {cause}")
            }
            Self::MovedAlready => formatter.write_str(
                "it takes a new login only as `after` has it: a roll back will not ask for one as it was before",
            ),
        }
    }
}

impl Worded for BaselineLogin {
    fn stake(&self) -> Option<&'static str> {
        match self {
            Self::NewLoginMissing { .. } => Some("a push is refused that could not prove its hosts by new logins"),
            Self::MovedAlready => None,
        }
    }

    fn mend(&self) -> Option<String> {
        match self {
            Self::NewLoginMissing { cause } => Some(cause.mend().unwrap_or_else(|| {
                "a push proves each host by a new login: let a second one in beside the first (`maxlogins`, \
                 MaxStartups and PerSourcePenalties of sshd, a firewall that counts), or leave \
                 the host out with --without"
                    .to_owned()
            })),
            Self::MovedAlready => {
                Some("write what `after` says into the host itself, and take `after` away".to_owned())
            }
        }
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match &self.from {
            Place::Workstation => "the workstation",
            Place::Host(name) => name.as_str(),
        };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        write!(formatter, "the link {from} -> {} ({}{why})", self.to, self.kind)
    }
}
