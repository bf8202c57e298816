//! Links and the matrix: which probes there are, and what their answers mean.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::host::{Uptime, WireguardInterface};
use crate::facts::units::Units;
use crate::inventory::model::{
    Check, CheckKind, Fleet, HookCommand, Host, HostName, Place, Target, VpnShape, url_without_login,
};

/// The largest mesh of which a round asks every link; in a larger one they grow with the square of the hosts. Source:
/// docs/design.md, "Links and checks".
const WHOLE_MESH: usize = 10;

/// A link's number: its place in the plan's list of links, the same for the whole push.
pub type LinkId = usize;

/// A link: from one place to one address, by one probe.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// The check it comes from, as the inventory names it.
    pub check: String,
    pub from: Place,
    /// For people: a host's name, or the address.
    pub to: String,
    /// The host of the fleet at the far end, if it is one.
    pub to_host: Option<HostName>,
    pub probe: Probe,
    /// The probe of verify, if the push itself changes the far end's address or port.
    pub probe_after: Probe,
    pub required: bool,
    pub timeout: Duration,
    /// The absent host at its end: the link is looked at and does not count, even if it is required.
    #[serde(default)]
    pub left_out: Option<HostName>,
    /// Whether it is one of so many that a round asks only some of them.
    #[serde(default)]
    pub shared: bool,
}

impl Link {
    /// Returns the hosts at its ends.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        let from = match &self.from {
            Place::Host(name) => Some(name),
            Place::Workstation => None,
        };
        from.into_iter().chain(&self.to_host)
    }

    /// Returns whether one of these hosts is at one of its ends.
    #[must_use]
    pub fn has_an_end_at(&self, hosts: &BTreeSet<&HostName>) -> bool {
        self.hosts().any(|host| hosts.contains(host))
    }

    /// Returns whether one of these hosts is at one of its ends, or no host at all.
    #[must_use]
    pub fn is_of(&self, hosts: &BTreeSet<HostName>) -> bool {
        match (&self.from, &self.to_host) {
            (Place::Host(from), to) => hosts.contains(from) || to.as_ref().is_some_and(|to| hosts.contains(to)),
            (Place::Workstation, Some(to)) => hosts.contains(to),
            (Place::Workstation, None) => true,
        }
    }
}

/// The kind of a probe. The words are those of `remote/scripts/probe.sh`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    Ping {
        address: String,
    },
    /// A TCP connection that reads sshd's greeting; at most one in a second to one machine, held by the script.
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
    /// Returns the kind, for the column of a matrix.
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

    /// Returns whether it runs a program that the inventory names, instead of only looking.
    #[must_use]
    pub fn is_command(&self) -> bool {
        match self {
            Self::Argv(_) | Self::Shell(_) => true,
            Self::Ping { .. }
            | Self::Ssh { .. }
            | Self::Tcp { .. }
            | Self::Http { .. }
            | Self::Dns { .. }
            | Self::Wireguard { .. } => false,
        }
    }

    /// Returns whether nothing but the network and the kernel is asked: no file of the system, and nothing of the
    /// environment that a login shell has set.
    #[must_use]
    pub fn is_of_the_network(&self) -> bool {
        match self {
            Self::Ping { .. } | Self::Ssh { .. } | Self::Tcp { .. } | Self::Wireguard { .. } => true,
            Self::Http { .. } | Self::Dns { .. } | Self::Argv(_) | Self::Shell(_) => false,
        }
    }

    /// Returns the address that a tunnel could be behind, for the proof by handshake.
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

/// The answer of one probe in one round.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// The place it runs from did not answer, or it could not be asked.
    Unknown,
}

impl LinkAnswer {
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// One round of the whole matrix: every link's answer, and what the hosts said of themselves meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Round {
    /// By link; a link without an entry is [`LinkAnswer::Unknown`].
    pub answers: BTreeMap<LinkId, LinkAnswer>,
    /// By host, for those that answered.
    pub hosts: BTreeMap<HostName, HostRound>,
    /// Links without an answer because a host at one of their ends could not keep up with the round: that says nothing
    /// about them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unmeasured: BTreeSet<LinkId>,
    /// Links without an answer because their turn comes in a later round, and those whose sshd lets nobody in just now.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unasked: BTreeSet<LinkId>,
    /// Links of those that share the rounds that were down when they were asked last, and not the time before: one lost
    /// packet of thousands decides nothing, and they are asked again in the next round.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missed: BTreeSet<LinkId>,
}

/// The words of a host about itself, with each round.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct HostRound {
    pub boot_id: String,
    /// `/run/current-system`, as text: compared, never used.
    pub current: String,
    pub failed_units: BTreeSet<String>,
    pub restarts: BTreeMap<String, u64>,
    #[serde(default)]
    pub units: Units,
    /// When that was, on the host's own clock.
    #[serde(default)]
    pub uptime: Uptime,
    pub wireguard: Vec<WireguardInterface>,
}

/// What one place has said of the links that it was asked for in one round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeardLinks {
    pub answers: BTreeMap<LinkId, LinkAnswer>,
    /// Links of these that are down because nothing was heard, and not because something was.
    pub silent: BTreeSet<LinkId>,
    /// Links that it did not come to.
    pub later: BTreeSet<LinkId>,
    /// Links of these whose sshd has let nobody in from there just then: they are down, and may be up in a moment.
    pub busy: BTreeSet<LinkId>,
    /// Links with an answer that gives no reason, or contradicts itself.
    pub odd: BTreeSet<LinkId>,
    /// Absent from a place that tells none.
    pub control: Option<Control>,
}

/// How long a place needed for itself while it looked at its links. `None`: it was waited for no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// For a process, and for a connection to itself where it made one.
    pub took: Option<Duration>,
    /// Until a ping to itself was back as well; never, where it lets none come to itself.
    pub pinged: Option<Duration>,
    /// The longest time that one of the links had.
    pub longest: Duration,
}

impl Round {
    #[must_use]
    pub fn answer(&self, link: LinkId) -> &LinkAnswer {
        self.answers.get(&link).unwrap_or(&LinkAnswer::Unknown)
    }

    /// Returns of each of so many links whether it is up: to ask for one after the other costs more than to go through
    /// all.
    #[must_use]
    pub fn are_up(&self, links: usize) -> Vec<bool> {
        let mut up = vec![false; links];
        for (link, answer) in self.answers.range(..links) {
            up[*link] = answer.is_up();
        }
        up
    }

    /// Returns whether nothing can be said about a link, though the place that it runs from has answered.
    #[must_use]
    pub fn is_open(&self, link: LinkId) -> bool {
        let is_in = |links: &BTreeSet<LinkId>| links.contains(&link);
        !self.answer(link).is_up() && [&self.unmeasured, &self.unasked, &self.missed].into_iter().any(is_in)
    }

    /// Returns the links of `links` that are not up.
    #[must_use]
    pub fn down(&self, links: &[Link]) -> BTreeSet<LinkId> {
        let up = self.are_up(links.len());
        (0..links.len()).filter(|link| !up[*link]).collect()
    }
}

/// Returns every link of a fleet, in the order of its checks and hosts.
///
/// `ssh_ports` are the ports the hosts' own sshds reported. Hosts without a VPN address are left out of a mesh; the
/// inventory has refused that already unless they were left out on purpose.
#[must_use]
pub fn resolve(fleet: &Fleet, ssh_ports: &BTreeMap<HostName, u16>) -> Vec<Link> {
    fleet.checks.iter().flat_map(|check| of_check(check, fleet, ssh_ports)).collect()
}

/// Returns whether the fleet has a link at all, without making all of them.
#[must_use]
pub fn is_any(fleet: &Fleet) -> bool {
    fleet.checks.iter().any(|check| {
        let places = places(check, fleet);
        let looks = |from: &Place, target: &Target| match target {
            Target::Host(to) => check.looks_from(from, to),
            Target::Address(_) => true,
        };
        match &check.kind {
            CheckKind::Vpn(shape) => vpn_pairs(shape, &fleet.hosts, &places).next().is_some(),
            CheckKind::Ping { to } | CheckKind::Tcp { to, .. } | CheckKind::Wireguard { to, .. } => {
                places.iter().any(|from| to.iter().any(|target| looks(from, target)))
            }
            CheckKind::Http { .. } | CheckKind::Dns { .. } | CheckKind::Command(_) => !places.is_empty(),
        }
    })
}

/// Returns where a check runs.
fn places(check: &Check, fleet: &Fleet) -> Vec<Place> {
    if check.from.is_empty() {
        fleet.hosts.iter().map(|host| Place::Host(host.name.clone())).collect()
    } else {
        check.from.clone()
    }
}

/// Returns the links of one check of the fleet, in the order of its hosts.
#[must_use]
pub fn of_check(check: &Check, fleet: &Fleet, ssh_ports: &BTreeMap<HostName, u16>) -> Vec<Link> {
    let hosts = &fleet.hosts;
    let places = places(check, fleet);
    let link = |from: &Place, to: String, to_host: Option<&Host>, probe: Probe, probe_after: Probe| Link {
        check: check.name.clone(),
        from: from.clone(),
        to,
        to_host: to_host.map(|host| host.name.clone()),
        probe,
        probe_after,
        required: check.required,
        timeout: check.timeout,
        left_out: None,
        shared: false,
    };
    let to_targets = |targets: &[Target], probe: &dyn Fn(String) -> Probe| {
        let hosts: HashMap<&HostName, &Host> = hosts.iter().map(|host| (&host.name, host)).collect();
        let mut links = Vec::new();
        for from in &places {
            for target in targets {
                let end = target_end(target, &hosts);
                if end.host.is_some_and(|host| !check.looks_from(from, &host.name)) {
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
            let ends: BTreeSet<&Place> = links.iter().map(|link| &link.from).collect();
            if *shape == VpnShape::Mesh && ends.len() > WHOLE_MESH {
                for link in &mut links {
                    link.shared = true;
                }
            }
            links
        }
        CheckKind::Ping { to } => to_targets(to, &|address| Probe::Ping { address }),
        CheckKind::Tcp { to, port } => to_targets(to, &|address| Probe::Tcp { address, port: *port }),
        CheckKind::Wireguard { to, handshake } => {
            to_targets(to, &|address| Probe::Wireguard { address, handshake: *handshake })
        }
        CheckKind::Http { url, status, body } => {
            once(url_without_login(url), Probe::Http { url: url.clone(), status: *status, body: body.clone() })
        }
        CheckKind::Dns { query, server } => {
            once(query.clone(), Probe::Dns { query: query.clone(), server: server.clone() })
        }
        CheckKind::Command(HookCommand::Argv(words)) => once(check.name.clone(), Probe::Argv(words.clone())),
        CheckKind::Command(HookCommand::Shell(text)) => once(check.name.clone(), Probe::Shell(text.clone())),
    }
}

struct LinkEnd<'a> {
    name: String,
    host: Option<&'a Host>,
    address: String,
    address_after: String,
}

/// Returns the address that an inventory host's name means: its VPN address, else its address.
fn target_end<'a>(target: &Target, hosts: &HashMap<&HostName, &'a Host>) -> LinkEnd<'a> {
    match target {
        Target::Host(name) => {
            let host = hosts.get(name).copied();
            let address =
                host.map_or_else(|| name.to_string(), |host| host.vpn.clone().unwrap_or_else(|| host.address.clone()));
            let after = host.and_then(|host| host.after.vpn.clone().or_else(|| host.after.address.clone()));
            LinkEnd { name: name.to_string(), host, address_after: after.unwrap_or_else(|| address.clone()), address }
        }
        Target::Address(address) => {
            LinkEnd { name: address.clone(), host: None, address: address.clone(), address_after: address.clone() }
        }
    }
}

/// `places` are the hosts that take part, at both ends. The pairs are made one by one: a mesh has many.
fn vpn_pairs<'a>(
    shape: &VpnShape,
    hosts: &'a [Host],
    places: &[Place],
) -> impl Iterator<Item = (&'a Host, &'a Host)> + use<'a> {
    let places: HashSet<&Place> = places.iter().collect();
    let takes_part = |host: &&Host| host.vpn.is_some() && places.contains(&Place::Host(host.name.clone()));
    let taking_part: Vec<&Host> = hosts.iter().filter(takes_part).collect();
    let (hub, is_mesh) = match shape {
        VpnShape::Mesh | VpnShape::FullMesh => (None, true),
        VpnShape::Hub(hub) => (taking_part.iter().copied().find(|host| host.name == *hub), false),
    };
    taking_part.clone().into_iter().flat_map(move |from| {
        let reaches_all = is_mesh || hub.is_some_and(|hub| hub.name == from.name);
        let to = if reaches_all { taking_part.clone() } else { hub.into_iter().collect() };
        to.into_iter().filter(|to| to.name != from.name).map(move |to| (from, to))
    })
}
