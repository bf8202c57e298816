//! Proves tunnels: an old WireGuard session can outlive a wrong key by minutes, and roaming hides a wrong port.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::reason::tunnel::TunnelDoubt;
use crate::facts::host::{WireguardInterface, WireguardPeer};
use crate::facts::links::{Link, LinkAnswer, LinkId, Round};
use crate::inventory::model::{HostName, Place};

impl Round {
    /// Breaks links that answer their probe but have a tunnel that is not proven.
    ///
    /// `before` has the words of the hosts in the baseline, and `since` how many seconds ago each activation ended. An
    /// old session can outlive settings that were changed in place: then the link counts with a handshake newer than
    /// the activation. An interface that was made anew has no old session to hide behind, at either end.
    pub fn require_handshakes(
        &mut self,
        links: &[Link],
        before: &Round,
        since: &BTreeMap<HostName, u64>,
    ) -> BTreeSet<LinkId> {
        let mut waiting = BTreeSet::new();
        for (id, link) in links.iter().enumerate() {
            if !link.required || !self.answer(id).is_up() {
                continue;
            }
            if let Some(doubt) = self.tunnel_doubt(link, before, since) {
                if matches!(doubt, TunnelDoubt::HandshakeTooOld) {
                    waiting.insert(id);
                }
                self.answers.insert(id, LinkAnswer::Down { why: doubt.to_string() });
            }
        }
        waiting
    }

    fn tunnel_doubt(&self, link: &Link, before: &Round, since: &BTreeMap<HostName, u64>) -> Option<TunnelDoubt> {
        let Place::Host(from) = &link.from else { return None };
        let address = link.probe_after.address()?;
        let here = self.hosts.get(from)?;
        let (interface, peer) = peer_for(&here.wireguard, address)?;
        let earlier =
            before.hosts.get(from).and_then(|host| host.wireguard.iter().find(|old| old.name == interface.name));
        let old_peer = earlier.and_then(|old| old.peers.iter().find(|old| old.public_key == peer.public_key));
        let same_interface = earlier.is_some_and(|old| old.index == interface.index);
        if let Some(old_peer) = old_peer {
            if old_peer.keepalive.is_some() && peer.keepalive.is_none() {
                return Some(TunnelDoubt::KeepaliveGone);
            }
            // Only an end with a keepalive has a configured endpoint that must stay; the other end learns it.
            let roamed = old_peer.keepalive.is_some() && old_peer.endpoint != peer.endpoint;
            if roamed && same_interface && earlier.is_some_and(|old| old.settings == interface.settings) {
                return Some(TunnelDoubt::EndpointRoamed);
            }
        }
        let ends = [Some(from), link.to_host.as_ref()].into_iter().flatten();
        let newest = ends.filter(|end| self.changed_in_place(end, before)).map(|end| since.get(end).copied()).min()?;
        let proven = peer.handshake_age.zip(newest).is_some_and(|(age, newest)| age < newest);
        (!proven).then_some(TunnelDoubt::HandshakeTooOld)
    }

    /// Returns whether a host has an interface with other settings than in `before`, and the interface is still the
    /// same one.
    fn changed_in_place(&self, host: &HostName, before: &Round) -> bool {
        let interfaces =
            |round: &'_ Round| round.hosts.get(host).map(|host| host.wireguard.clone()).unwrap_or_default();
        let now = interfaces(self);
        interfaces(before).iter().any(|old| {
            now.iter().any(|new| new.name == old.name && new.index == old.index && new.settings != old.settings)
        })
    }
}

/// Returns the peer to which WireGuard sends packets for `address`: the one with the longest of the allowed networks
/// that hold it.
fn peer_for<'a>(
    interfaces: &'a [WireguardInterface],
    address: &str,
) -> Option<(&'a WireguardInterface, &'a WireguardPeer)> {
    let address: std::net::IpAddr = address.parse().ok()?;
    interfaces
        .iter()
        .flat_map(|interface| interface.peers.iter().map(move |peer| (interface, peer)))
        .filter_map(|(interface, peer)| {
            let longest = peer.allowed.iter().filter_map(|network| prefix_length(network, address)).max()?;
            Some((longest, interface, peer))
        })
        .max_by_key(|(longest, ..)| *longest)
        .map(|(_, interface, peer)| (interface, peer))
}

/// Returns the prefix length of `network` (`10.0.0.0/8`) if `address` lies in it.
pub(super) fn prefix_length(network: &str, address: std::net::IpAddr) -> Option<u32> {
    let (base, length) = network.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let (base, address, width) = match (base.parse().ok()?, address) {
        (std::net::IpAddr::V4(base), std::net::IpAddr::V4(address)) => {
            (u128::from(u32::from(base)), u128::from(u32::from(address)), 32)
        }
        (std::net::IpAddr::V6(base), std::net::IpAddr::V6(address)) => (u128::from(base), u128::from(address), 128),
        _ => return None,
    };
    let rest = u32::checked_sub(width, length)?;
    // A shift by the whole width is no shift at all in Rust: `/0` holds every address.
    let same = base.checked_shr(rest).unwrap_or(0) == address.checked_shr(rest).unwrap_or(0);
    (same || length == 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::facts::links::{HostRound, Probe};

    fn name(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    fn link() -> Link {
        let probe = Probe::Ping { address: "10.0.0.2".to_owned() };
        Link {
            check: "vpn".to_owned(),
            from: Place::Host(name("leaf")),
            to: "hub".to_owned(),
            to_host: Some(name("hub")),
            probe: probe.clone(),
            probe_after: probe,
            required: true,
            timeout: Duration::from_secs(1),
            left_out: None,
            shared: false,
        }
    }

    /// A round in which the link answers, with what both ends say of their tunnel.
    fn round(leaf: (u64, &str), hub: (u64, &str), age: u64, endpoint: &str, keepalive: Option<u64>) -> Round {
        let interface = |(index, settings): (u64, &str)| WireguardInterface {
            name: "wg0".to_owned(),
            index,
            settings: settings.to_owned(),
            port: 51820,
            peers: vec![WireguardPeer {
                public_key: "key".to_owned(),
                endpoint: Some(endpoint.to_owned()),
                handshake_age: Some(age),
                keepalive,
                allowed: vec!["10.0.0.0/24".to_owned()],
            }],
        };
        let host = |tunnel| HostRound { wireguard: vec![interface(tunnel)], ..HostRound::default() };
        Round {
            answers: BTreeMap::from([(0, LinkAnswer::Up { round_trip_us: Some(500) })]),
            hosts: BTreeMap::from([(name("leaf"), host(leaf)), (name("hub"), host(hub))]),
            ..Round::default()
        }
    }

    fn down_after(before: &Round, now: Round) -> (bool, bool) {
        let since = BTreeMap::from([(name("leaf"), 10), (name("hub"), 10)]);
        let mut now = now;
        let waiting = now.require_handshakes(&[link()], before, &since);
        (!now.answer(0).is_up(), waiting.contains(&0))
    }

    #[test]
    fn settings_changed_in_place_want_a_handshake_newer_than_the_activation() {
        let before = round((3, "a"), (3, "a"), 50, "1.2.3.4:1", Some(5));
        let now = |hub, age| round((3, "a"), hub, age, "1.2.3.4:1", Some(5));
        assert_eq!(down_after(&before, now((3, "a"), 60)), (false, false), "nothing changed");
        assert_eq!(down_after(&before, now((3, "b"), 60)), (true, true), "changed in place, old session");
        assert_eq!(down_after(&before, now((3, "b"), 4)), (false, false), "changed in place, new handshake");
        assert_eq!(down_after(&before, now((4, "b"), 60)), (false, false), "made anew: it answers, so it is new");
    }

    #[test]
    fn an_endpoint_that_only_roaming_knows_fails_the_link() {
        let before = round((3, "a"), (3, "a"), 5, "1.2.3.4:1", Some(5));
        assert_eq!(down_after(&before, round((3, "a"), (4, "b"), 1, "1.2.3.4:2", Some(5))), (true, false));
        assert_eq!(down_after(&before, round((4, "b"), (4, "b"), 1, "1.2.3.4:2", Some(5))), (false, false));
    }

    #[test]
    fn a_keepalive_that_is_gone_fails_the_link() {
        let before = round((3, "a"), (3, "a"), 5, "1.2.3.4:1", Some(5));
        assert_eq!(down_after(&before, round((4, "b"), (3, "a"), 1, "1.2.3.4:1", None)), (true, false));
    }

    #[test]
    fn an_address_belongs_to_the_longest_network() {
        let address = "10.100.0.2".parse().unwrap();
        assert_eq!(prefix_length("10.100.0.2/32", address), Some(32));
        assert_eq!(prefix_length("10.100.0.0/24", address), Some(24));
        assert_eq!(prefix_length("0.0.0.0/0", address), Some(0));
        assert_eq!(prefix_length("10.100.1.0/24", address), None);
        assert_eq!(prefix_length("fd00::/8", address), None);
        assert_eq!(prefix_length("::/0", "fd00::1".parse().unwrap()), Some(0));
        assert_eq!(prefix_length("10.0.0.0/40", address), None);
    }
}
