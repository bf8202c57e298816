use std::fmt;

use super::Worded;
use crate::event::reason::unlinked::{Unlinked, UnlinkedFleet};

impl fmt::Display for Unlinked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SingleHostUnlinked { fleet, only } => {
                write!(formatter, "fleet {fleet} has no link: a push proves a new login to {only}, and nothing else")
            }
            Self::VpnAddressesMissing { fleet, .. } | Self::ChecksEmpty { fleet } => write!(
                formatter,
                "fleet {fleet} has no link: a push proves a new login to each host, and nothing between them"
            ),
        }
    }
}

impl Worded for Unlinked {
    /// Says what to write into the inventory.
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::SingleHostUnlinked { only, .. } => {
                format!(
                    "the workstation can look at it, with a check of the fleet: `{{tcp: 22, from: workstation, to: \
                     {only}}}`"
                )
            }
            Self::VpnAddressesMissing { only: Some(host), .. } => {
                format!("only {host} has a `vpn` address: give the others theirs, or the fleet `checks`")
            }
            Self::VpnAddressesMissing { only: None, .. } => {
                "give its hosts `vpn: ADDRESS`, by which they reach each other, or the fleet `checks`".to_owned()
            }
            Self::ChecksEmpty { .. } => {
                "take out its empty `checks`: then each host with a `vpn` address is looked at from each other"
                    .to_owned()
            }
        })
    }
}

impl fmt::Display for UnlinkedFleet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::FleetUnlinked { cause } = self;
        write!(formatter, "{cause}; {}", cause.mend().unwrap_or_default())
    }
}

impl Worded for UnlinkedFleet {}
