//! Links and the matrix: which probes there are, and what their answers mean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decide::fact::WireguardInterface;
use crate::inventory::model::{Check, CheckKind, Command, Fleet, Host, HostName, Place, Target, VpnShape};

/// A link's number: its place in the plan's list of links, the same for the whole push.
pub type LinkId = usize;

/// From one place to one address, by one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The check it comes from, as the inventory names it.
    pub check: String,
    pub from: Place,
    /// For people: a host's name, or the address.
    pub to: String,
    /// The host of the fleet at the far end, if it is one.
    pub to_host: Option<HostName>,
    pub probe: Probe,
    /// What verify uses where the push itself changes the far end's address or port.
    pub probe_after: Probe,
    pub required: bool,
    pub timeout: Duration,
}

/// What is asked. The words are those of `remote/scripts/probe.sh`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Probe {
    Ping {
        address: String,
    },
    /// A TCP connection that reads sshd's greeting; at most one in two seconds to one address, held by the script.
    Ssh {
        address: String,
        port: u16,
    },
    Tcp {
        address: String,
        port: u16,
    },
    Http {
        url: String,
        status: Option<u16>,
        body: Option<String>,
    },
    Dns {
        query: String,
        server: Option<String>,
    },
    Wireguard {
        address: String,
        handshake: Duration,
    },
    Argv(Vec<String>),
    Shell(String),
}

impl Probe {
    /// The kind, for the column of a matrix.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ping { .. } => "ping",
            Self::Ssh { .. } => "ssh",
            Self::Tcp { .. } => "tcp",
            Self::Http { .. } => "http",
            Self::Dns { .. } => "dns",
            Self::Wireguard { .. } => "wireguard",
            Self::Argv(_) | Self::Shell(_) => "command",
        }
    }

    /// The address a tunnel could be behind, for the proof by handshake.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Ping { address }
            | Self::Ssh { address, .. }
            | Self::Tcp { address, .. }
            | Self::Wireguard { address, .. } => Some(address),
            Self::Http { .. } | Self::Dns { .. } | Self::Argv(_) | Self::Shell(_) => None,
        }
    }
}

/// What one probe said in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkAnswer {
    Up {
        /// Round trip in microseconds, where the probe has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        round_trip_us: Option<u64>,
    },
    Down {
        why: String,
    },
    /// The place it runs from did not answer.
    Unknown,
}

impl LinkAnswer {
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// One round of the whole matrix: every link's answer, and what the hosts said of themselves meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Round {
    /// By link; a link without an entry is [`LinkAnswer::Unknown`].
    pub answers: BTreeMap<LinkId, LinkAnswer>,
    /// By host, for those that answered.
    pub hosts: BTreeMap<HostName, HostRound>,
}

/// What a host says of itself with each round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRound {
    pub boot_id: String,
    /// `/run/current-system`, as text: compared, never used.
    pub current: String,
    pub failed_units: BTreeSet<String>,
    pub restarts: BTreeMap<String, u64>,
    pub wireguard: Vec<WireguardInterface>,
}

impl Round {
    #[must_use]
    pub fn answer(&self, link: LinkId) -> &LinkAnswer {
        self.answers.get(&link).unwrap_or(&LinkAnswer::Unknown)
    }

    /// The links of `links` that are not up.
    #[must_use]
    pub fn down(&self, links: &[Link]) -> BTreeSet<LinkId> {
        (0..links.len()).filter(|link| !self.answer(*link).is_up()).collect()
    }

    /// Links whose probe answers and whose tunnel is nevertheless not proven are turned into broken ones.
    ///
    /// `before` is what the hosts said in the baseline and `since` how many seconds ago each activation ended. An old
    /// session can outlive settings that were changed in place: then the link counts with a handshake newer than the
    /// activation. An interface that was made anew has no old session to hide behind, at either end.
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
                if matches!(doubt, Doubt::OldHandshake) {
                    waiting.insert(id);
                }
                self.answers.insert(id, LinkAnswer::Down { why: doubt.text().to_owned() });
            }
        }
        waiting
    }

    fn tunnel_doubt(&self, link: &Link, before: &Round, since: &BTreeMap<HostName, u64>) -> Option<Doubt> {
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
                return Some(Doubt::NoKeepalive);
            }
            // Only an end with a keepalive has a configured endpoint that must stay; the other end learns it.
            let roamed = old_peer.keepalive.is_some() && old_peer.endpoint != peer.endpoint;
            if roamed && same_interface && earlier.is_some_and(|old| old.settings == interface.settings) {
                return Some(Doubt::Roamed);
            }
        }
        let ends = [Some(from), link.to_host.as_ref()].into_iter().flatten();
        let newest = ends.filter(|end| self.changed_in_place(end, before)).map(|end| since.get(end).copied()).min()?;
        let proven = peer.handshake_age.zip(newest).is_some_and(|(age, newest)| age < newest);
        (!proven).then_some(Doubt::OldHandshake)
    }

    /// Whether a host has an interface whose settings are others than in `before`, and that is still the same one.
    fn changed_in_place(&self, host: &HostName, before: &Round) -> bool {
        let interfaces =
            |round: &'_ Round| round.hosts.get(host).map(|host| host.wireguard.clone()).unwrap_or_default();
        let now = interfaces(self);
        interfaces(before).iter().any(|old| {
            now.iter().any(|new| new.name == old.name && new.index == old.index && new.settings != old.settings)
        })
    }
}

/// Why a tunnel that carries packets is not proven.
enum Doubt {
    OldHandshake,
    Roamed,
    NoKeepalive,
}

impl Doubt {
    fn text(&self) -> &'static str {
        match self {
            Self::OldHandshake => "waiting for a WireGuard handshake newer than the change",
            Self::Roamed => "the WireGuard endpoint is not the configured one; it would not come up again from cold",
            Self::NoKeepalive => "the WireGuard keepalive is gone; behind NAT the tunnel would fall asleep",
        }
    }
}

/// The peer that WireGuard sends packets for `address` to: the longest of the allowed networks that hold it.
fn peer_for<'a>(
    interfaces: &'a [WireguardInterface],
    address: &str,
) -> Option<(&'a WireguardInterface, &'a crate::decide::fact::WireguardPeer)> {
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

/// The prefix length of `network` (`10.0.0.0/8`) if `address` lies in it.
fn prefix_length(network: &str, address: std::net::IpAddr) -> Option<u32> {
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

/// Every link of a fleet, in the order of its checks and hosts.
///
/// `ssh_ports` are the ports the hosts' own sshds reported. Hosts without a VPN address are left out of a mesh; the
/// inventory has refused that already unless they were left out on purpose.
#[must_use]
pub fn resolve(fleet: &Fleet, ssh_ports: &BTreeMap<HostName, u16>) -> Vec<Link> {
    fleet.checks.iter().flat_map(|check| resolve_check(check, fleet, ssh_ports)).collect()
}

fn resolve_check(check: &Check, fleet: &Fleet, ssh_ports: &BTreeMap<HostName, u16>) -> Vec<Link> {
    let hosts = &fleet.hosts;
    let places: Vec<Place> = if check.from.is_empty() {
        hosts.iter().map(|host| Place::Host(host.name.clone())).collect()
    } else {
        check.from.clone()
    };
    let link = |from: &Place, to: String, to_host: Option<&Host>, probe: Probe, probe_after: Probe| Link {
        check: check.name.clone(),
        from: from.clone(),
        to,
        to_host: to_host.map(|host| host.name.clone()),
        probe,
        probe_after,
        required: check.required,
        timeout: check.timeout,
    };
    let to_targets = |targets: &[Target], probe: &dyn Fn(String) -> Probe| {
        let mut links = Vec::new();
        for from in &places {
            for target in targets {
                let end = target_end(target, hosts);
                if end.host.is_some_and(|host| Place::Host(host.name.clone()) == *from) {
                    continue;
                }
                links.push(link(from, end.name, end.host, probe(end.address), probe(end.address_after)));
            }
        }
        links
    };
    let once = |to: String, probe: Probe| {
        places.iter().map(|from| link(from, to.clone(), None, probe.clone(), probe.clone())).collect()
    };
    match &check.kind {
        CheckKind::Vpn(shape) => {
            let mut links = Vec::new();
            for (from, to) in vpn_pairs(shape, hosts, &places) {
                let (Some(address), from) = (to.vpn.clone(), Place::Host(from.name.clone())) else { continue };
                let after = to.after.vpn.clone().unwrap_or_else(|| address.clone());
                let port = ssh_ports.get(&to.name).copied().or(to.port).unwrap_or(22);
                let port_after = to.after.port.unwrap_or(port);
                let ping = |address: &String| Probe::Ping { address: address.clone() };
                let ssh = |address: &String, port| Probe::Ssh { address: address.clone(), port };
                links.push(link(&from, to.name.to_string(), Some(to), ping(&address), ping(&after)));
                links.push(link(&from, to.name.to_string(), Some(to), ssh(&address, port), ssh(&after, port_after)));
            }
            links
        }
        CheckKind::Ping { to } => to_targets(to, &|address| Probe::Ping { address }),
        CheckKind::Tcp { to, port } => to_targets(to, &|address| Probe::Tcp { address, port: *port }),
        CheckKind::Wireguard { to, handshake } => {
            to_targets(to, &|address| Probe::Wireguard { address, handshake: *handshake })
        }
        CheckKind::Http { url, status, body } => {
            once(url.clone(), Probe::Http { url: url.clone(), status: *status, body: body.clone() })
        }
        CheckKind::Dns { query, server } => {
            once(query.clone(), Probe::Dns { query: query.clone(), server: server.clone() })
        }
        CheckKind::Command(Command::Argv(words)) => once(check.name.clone(), Probe::Argv(words.clone())),
        CheckKind::Command(Command::Shell(text)) => once(check.name.clone(), Probe::Shell(text.clone())),
    }
}

struct End<'a> {
    name: String,
    host: Option<&'a Host>,
    address: String,
    address_after: String,
}

/// An inventory host's name means its VPN address, else its address.
fn target_end<'a>(target: &Target, hosts: &'a [Host]) -> End<'a> {
    match target {
        Target::Host(name) => {
            let host = hosts.iter().find(|host| host.name == *name);
            let address =
                host.map_or_else(|| name.to_string(), |host| host.vpn.clone().unwrap_or_else(|| host.address.clone()));
            let after = host.and_then(|host| host.after.vpn.clone().or_else(|| host.after.address.clone()));
            End { name: name.to_string(), host, address_after: after.unwrap_or_else(|| address.clone()), address }
        }
        Target::Address(address) => {
            End { name: address.clone(), host: None, address: address.clone(), address_after: address.clone() }
        }
    }
}

/// `places` are the hosts that take part, at both ends.
fn vpn_pairs<'a>(shape: &VpnShape, hosts: &'a [Host], places: &[Place]) -> Vec<(&'a Host, &'a Host)> {
    let takes_part = |host: &Host| host.vpn.is_some() && places.contains(&Place::Host(host.name.clone()));
    let mut pairs = Vec::new();
    for from in hosts {
        for to in hosts {
            let wanted = match shape {
                VpnShape::Mesh => true,
                VpnShape::Hub(hub) => from.name == *hub || to.name == *hub,
            };
            if from.name != to.name && wanted && takes_part(from) && takes_part(to) {
                pairs.push((from, to));
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fact::WireguardPeer;

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
