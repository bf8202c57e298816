//! Handles a fleet without any link: says what its pushes do not prove, and what is missing for it.

use std::collections::BTreeMap;
use std::fmt;

use crate::facts::links::resolve;
use crate::inventory::model::{Fleet, HostName};

/// The reason why a fleet has no link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlinked {
    /// One host alone has no other to look at it.
    OneHost { fleet: String, host: HostName },
    /// A mesh needs two hosts with a VPN address.
    NoVpn { fleet: String, only: Option<HostName> },
    /// Hosts have VPN addresses, and the fleet says `checks: []`.
    NoChecks { fleet: String },
}

impl Unlinked {
    /// Returns why a fleet has no link; `None`: it has one.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Option<Self> {
        if !resolve(fleet, &BTreeMap::new()).is_empty() {
            return None;
        }
        let name = || fleet.name.clone();
        let mut with_vpn = fleet.hosts.iter().filter(|host| host.vpn.is_some()).map(|host| host.name.clone());
        Some(match (fleet.hosts.as_slice(), with_vpn.next(), with_vpn.next()) {
            ([host], ..) => Self::OneHost { fleet: name(), host: host.name.clone() },
            (_, Some(_), Some(_)) => Self::NoChecks { fleet: name() },
            (_, only, _) => Self::NoVpn { fleet: name(), only },
        })
    }

    /// Says what to write into the inventory.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::OneHost { host, .. } => {
                format!(
                    "the workstation can look at it, with a check of the fleet: `{{tcp: 22, from: workstation, to: \
                     {host}}}`"
                )
            }
            Self::NoVpn { only: Some(host), .. } => {
                format!("only {host} has a `vpn` address: give the others theirs, or the fleet `checks`")
            }
            Self::NoVpn { only: None, .. } => {
                "give its hosts `vpn: ADDRESS`, by which they reach each other, or the fleet `checks`".to_owned()
            }
            Self::NoChecks { .. } => {
                "take out its empty `checks`: then each host with a `vpn` address is looked at from each other"
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for Unlinked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneHost { fleet, host } => {
                write!(formatter, "fleet {fleet} has no link: a push proves a new login to {host}, and nothing else")
            }
            Self::NoVpn { fleet, .. } | Self::NoChecks { fleet } => write!(
                formatter,
                "fleet {fleet} has no link: a push proves a new login to each host, and nothing between them"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::Inventory;

    fn mend(hosts: &str, checks: &str) -> Option<String> {
        let text = format!("hosts: {hosts}\nfleets: {{lab: {{flake: ., hosts: all{checks}}}}}\n");
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text);
        let inventory = loaded.unwrap_or_else(|error| panic!("{error}")).inventory;
        Unlinked::of(&inventory.fleets["lab"]).map(|unlinked| unlinked.mend())
    }

    #[test]
    fn a_fleet_without_a_link_is_told_what_is_missing() {
        let says = |hosts: &str, checks: &str, word: &str| {
            let mend = mend(hosts, checks).unwrap_or_default();
            assert!(mend.contains(word), "{hosts}{checks}: {mend}");
        };
        says("{a: {}, b: {}}", "", "give its hosts `vpn: ADDRESS`");
        says("{a: {vpn: 10.0.0.1}, b: {}}", "", "only a has a `vpn` address");
        says("{a: {vpn: 10.0.0.1}, b: {vpn: 10.0.0.2}}", ", checks: []", "take out its empty `checks`");
        says("{a: {}}", "", "{tcp: 22, from: workstation, to: a}");
    }

    #[test]
    fn one_link_is_one_and_the_mend_of_one_host_makes_it() {
        assert_eq!(mend("{a: {vpn: 10.0.0.1}, b: {vpn: 10.0.0.2}}", ""), None);
        assert_eq!(mend("{a: {}, b: {}}", ", checks: [{ping: b, from: a}]"), None);
        assert_eq!(mend("{a: {}}", ", checks: [{tcp: 22, from: workstation, to: a}]"), None);
    }
}
