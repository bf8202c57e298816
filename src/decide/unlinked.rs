//! Handles a fleet without any link: says what its pushes do not prove, and what is missing for it.

use crate::event::reason::unlinked::Unlinked;
use crate::facts::links;
use crate::inventory::model::Fleet;

impl Unlinked {
    /// Returns why a fleet has no link; `None`: it has one.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Option<Self> {
        if links::is_any(fleet) {
            return None;
        }
        let name = || fleet.name.clone();
        let mut with_vpn = fleet.hosts.iter().filter(|host| host.vpn.is_some()).map(|host| host.name.clone());
        Some(match (fleet.hosts.as_slice(), with_vpn.next(), with_vpn.next()) {
            ([host], ..) => Self::SingleHostUnlinked { fleet: name(), only: host.name.clone() },
            (_, Some(_), Some(_)) => Self::ChecksEmpty { fleet: name() },
            (_, only, _) => Self::VpnAddressesMissing { fleet: name(), only },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::Worded;
    use crate::inventory::Inventory;

    fn mend(hosts: &str, checks: &str) -> Option<String> {
        let text = format!("hosts: {hosts}\nfleets: {{lab: {{flake: ., hosts: all{checks}}}}}\n");
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text);
        let inventory = loaded.unwrap_or_else(|error| panic!("{error}")).inventory;
        Unlinked::of(&inventory.fleets["lab"]).and_then(|unlinked| unlinked.mend())
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
