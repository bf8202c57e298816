//! A fleet's checks: hosts and addresses known, VPN addresses there, each with a name of its own.

use std::collections::{HashMap, HashSet};

use super::fields::{At, Heap};
use super::file::table::Keys as _;
use super::file::{COMMAND_TIMEOUT, CheckEntry, FleetEntry, PROBE_TIMEOUT, VpnEntry, WireguardEntry, WireguardValue};
use super::layers::Laid;
use super::model::{Check, CheckKind, Host, HostName, Place, Target, VpnShape, is_name, url_without_login};
use super::scalar;
use super::select::{SelectError, is_pattern, select};
use super::words::{nearest, shown};
use super::wrong::{HostMend, Wrong};
use super::yaml::NodeWay;

/// The checks of a fleet; without `checks`, the mesh of the hosts with a VPN address, if there are two.
pub(super) fn checks<'a>(entry: &FleetEntry, hosts: &'a [Laid], inventory: &'a [Laid], heap: &'a Heap) -> Vec<Check> {
    let index =
        |laid: &'a [Laid]| laid.iter().enumerate().map(|(place, laid)| (laid.host.name.as_str(), place)).collect();
    let resolver = CheckResolver { hosts, places: index(hosts), inventory, all_places: index(inventory), heap };
    let Some(entries) = &entry.checks else { return resolver.default_mesh().into_iter().collect() };
    let mut checks: Vec<Check> = Vec::new();
    let mut names: HashMap<&str, &NodeWay> = HashMap::new();
    let mut free = FreeNames::default();
    for At { value: entry, way } in entries {
        let Some(mut check) = resolver.check(entry, way) else { continue };
        match &entry.name {
            Some(name) => match names.get(name.value.as_str()) {
                Some(first) => {
                    heap.twice(&name.way, first, Wrong::DuplicateCheckName { name: name.value.clone() });
                }
                None => {
                    names.insert(&name.value, &name.way);
                }
            },
            None => check.name = free.like(check.name),
        }
        free.taken.insert(check.name.clone());
        checks.push(check);
    }
    checks
}

/// Names of our own making, each told from those before it by a number.
#[derive(Debug, Default)]
struct FreeNames {
    taken: HashSet<String>,
    /// By name, the number that is tried next.
    next: HashMap<String, usize>,
}

impl FreeNames {
    fn like(&mut self, name: String) -> String {
        if !self.taken.contains(&name) {
            return name;
        }
        let next = self.next.entry(name.clone()).or_insert(2);
        loop {
            let numbered = format!("{name} ({next})");
            *next += 1;
            if !self.taken.contains(&numbered) {
                return numbered;
            }
        }
    }
}

struct CheckResolver<'a> {
    /// The fleet's.
    hosts: &'a [Laid],
    /// Where each of them stands, by name.
    places: HashMap<&'a str, usize>,
    /// All.
    inventory: &'a [Laid],
    all_places: HashMap<&'a str, usize>,
    heap: &'a Heap,
}

impl<'a> CheckResolver<'a> {
    fn members(&self) -> impl Iterator<Item = &'a Host> + Clone {
        self.hosts.iter().map(|laid| &laid.host)
    }

    fn names(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.members().map(|host| host.name.as_str())
    }

    fn default_mesh(&self) -> Option<Check> {
        let with_vpn: Vec<_> = self.members().filter(|host| host.vpn.is_some()).collect();
        if with_vpn.len() < 2 {
            return None;
        }
        self.ensure_vpn_addresses_differ(&with_vpn);
        Some(Check {
            name: "vpn mesh".into(),
            kind: CheckKind::Vpn(VpnShape::Mesh),
            from: with_vpn.into_iter().map(|host| Place::Host(host.name.clone())).collect(),
            to_themselves: Vec::new(),
            required: CheckEntry::ABSENT.required(),
            timeout: PROBE_TIMEOUT,
        })
    }

    fn check(&self, entry: &CheckEntry, way: &NodeWay) -> Option<Check> {
        let mut from = self.places(entry);
        let (name, kind) = self.kind(entry, way, &mut from)?;
        let is_command = matches!(kind, CheckKind::Command(_));
        let named: HashSet<&str> = entry.from.iter().flatten().map(|word| word.value.as_str()).collect();
        let is_named = |host: &HostName| named.contains(host.as_str());
        let check = Check {
            name: entry.name.as_ref().map_or(name, |name| name.value.clone()),
            kind,
            from,
            to_themselves: self.members().map(|host| host.name.clone()).filter(is_named).collect(),
            required: entry.required(),
            timeout: match &entry.timeout {
                Some(timeout) => timeout.value,
                None if is_command => COMMAND_TIMEOUT,
                None => PROBE_TIMEOUT,
            },
        };
        self.ensure_something_is_looked_at(&check, entry, way);
        Some(check)
    }

    /// A host does not look at itself unless it is named: a check of which nothing is left would hold without a probe.
    fn ensure_something_is_looked_at(&self, check: &Check, entry: &CheckEntry, way: &NodeWay) {
        let (CheckKind::Ping { to } | CheckKind::Tcp { to, .. } | CheckKind::Wireguard { to, .. }) = &check.kind else {
            return;
        };
        let looks = |from: &Place, target: &Target| match target {
            Target::Host(to) => check.looks_from(from, to),
            Target::Address(_) => true,
        };
        let is_empty = check.from.is_empty() || to.is_empty();
        if is_empty || check.from.iter().any(|from| to.iter().any(|target| looks(from, target))) {
            return;
        }
        let at = entry.to.iter().flatten().next().map_or(way, |word| &word.way);
        let wrong = match (&check.kind, to.as_slice()) {
            (CheckKind::Wireguard { .. }, _) => Wrong::NoPeerLeft,
            (_, [Target::Host(only), ..]) => Wrong::HostLooksAtItself { host: only.to_string() },
            _ => return,
        };
        self.heap.wrong(at, wrong);
    }

    /// The kind, with the name for a check that has none.
    fn kind(&self, entry: &CheckEntry, way: &NodeWay, from: &mut Vec<Place>) -> Option<(String, CheckKind)> {
        if let Some(vpn) = &entry.vpn {
            self.ensure_no_targets(entry, "vpn");
            return self.vpn(vpn, entry, from);
        }
        if let Some(ping) = &entry.ping {
            let (words, to) = self.targets(&ping.value, entry, "ping", &ping.way)?;
            return Some((format!("ping {words}"), CheckKind::Ping { to }));
        }
        if let Some(port) = &entry.tcp {
            let (words, to) = self.targets(&[], entry, "tcp", way)?;
            return Some((format!("tcp {words} {}", port.value), CheckKind::Tcp { to, port: port.value }));
        }
        if let Some(wireguard) = &entry.wireguard {
            let (peers, handshake) = match &wireguard.value {
                WireguardValue::Peers(peers) => (peers.as_slice(), WireguardEntry::ABSENT.handshake()),
                WireguardValue::Map(map) => (&[][..], map.handshake()),
            };
            let (words, to) = self.targets(peers, entry, "wireguard", &wireguard.way)?;
            return Some((format!("wireguard {words}"), CheckKind::Wireguard { to, handshake }));
        }
        if let Some(http) = &entry.http {
            self.ensure_no_targets(entry, "http");
            let url = http.value.url.as_ref()?.value.clone();
            let status = http.value.status.as_ref().map(|status| status.value);
            let body = http.value.body.as_ref().map(|body| body.value.clone());
            return Some((format!("http {}", shown(&url_without_login(&url))), CheckKind::Http { url, status, body }));
        }
        if let Some(dns) = &entry.dns {
            self.ensure_no_targets(entry, "dns");
            let query = dns.value.query.as_ref()?.value.clone();
            let server = dns.value.server.as_ref().map(|server| server.value.clone());
            return Some((format!("dns {query}"), CheckKind::Dns { query, server }));
        }
        let command = entry.command.as_ref()?;
        self.ensure_no_targets(entry, "command");
        Some((format!("command {}", shown(&command.value.words())), CheckKind::Command(command.value.clone())))
    }

    fn ensure_no_targets(&self, entry: &CheckEntry, kind: &'static str) {
        if let Some(to) = entry.to.as_ref().and_then(|to| to.first()) {
            self.heap.wrong(&to.way, Wrong::ToWithoutMeaning { kind });
        }
    }

    /// Where the check runs; every host of the fleet if it does not say.
    fn places(&self, entry: &CheckEntry) -> Vec<Place> {
        let Some(words) = &entry.from else {
            return self.members().map(|host| Place::Host(host.name.clone())).collect();
        };
        let mut places = Vec::new();
        for word in words {
            if word.value == "workstation" {
                if self.places.contains_key("workstation") {
                    self.heap.wrong(&word.way, Wrong::WorkstationIsAHost);
                }
                places.push(Place::Workstation);
            } else {
                places.extend(self.chosen(word).into_iter().map(Place::Host));
            }
        }
        places.sort_by_key(|place| match place {
            Place::Host(name) => self.places.get(name.as_str()).copied(),
            Place::Workstation => None,
        });
        places.dedup();
        places
    }

    /// The hosts of the fleet that a word names.
    fn chosen(&self, word: &At<String>) -> Vec<HostName> {
        let text = word.value.as_str();
        let is_name = is_name(text) && !is_pattern(text);
        if let (Some(place), true) = (self.places.get(text), is_name) {
            return vec![self.hosts[*place].host.name.clone()];
        }
        if self.hosts.is_empty() {
            return Vec::new();
        }
        let wrong = if is_name && self.elsewhere(text).is_some() {
            Wrong::HostOfAnotherFleet { host: text.to_owned() }
        } else if is_name && !self.heap.has_time_for(self.hosts.len()) {
            Wrong::NoSuchHost { name: text.to_owned(), mend: HostMend::Known(None) }
        } else {
            match select(self.members(), std::slice::from_ref(&word.value), &[]) {
                Ok(hosts) => return hosts.into_iter().map(|host| host.name.clone()).collect(),
                Err(error @ SelectError::NothingMatches { .. }) if is_name => {
                    let near = nearest(text, self.names().chain(["workstation"]));
                    let mend =
                        near.map_or_else(|| HostMend::Known(error.hint()), |near| HostMend::Near(near.to_owned()));
                    Wrong::NoSuchHost { name: text.to_owned(), mend }
                }
                Err(error) => Wrong::no_match(error.clone()),
            }
        };
        self.heap.wrong(&word.way, wrong);
        Vec::new()
    }

    /// The host of that name, in whatever fleet.
    fn elsewhere(&self, name: &str) -> Option<&'a Host> {
        self.all_places.get(name).map(|place| &self.inventory[*place].host)
    }

    /// The targets of `to`, or those right behind the kind, and both in words.
    fn targets(
        &self,
        here: &[At<String>],
        entry: &CheckEntry,
        kind: &'static str,
        way: &NodeWay,
    ) -> Option<(String, Vec<Target>)> {
        let there = entry.to.as_deref().unwrap_or_default();
        let words = match (here, there) {
            ([], []) => {
                self.heap.wrong(way, Wrong::CheckWithoutTarget { kind });
                return None;
            }
            ([], words) | (words, []) => words,
            (_, [to, ..]) => {
                self.heap.wrong(&to.way, Wrong::TargetsInTwoPlaces { kind });
                return None;
            }
        };
        let mut seen = HashSet::new();
        let targets = words.iter().flat_map(|word| self.target(word));
        let targets = targets.filter(|target| seen.insert(target.clone())).collect();
        let names: Vec<_> = words.iter().map(|word| word.value.as_str()).collect();
        Some((shown(&names.join(",")), targets))
    }

    /// A host of the fleet, a pattern of them, a host of another fleet by its address, or an address of its own.
    fn target(&self, word: &At<String>) -> Vec<Target> {
        let text = word.value.as_str();
        if is_pattern(text) || self.places.contains_key(text) {
            return self.chosen(word).into_iter().map(Target::Host).collect();
        }
        if let Some(host) = self.elsewhere(text) {
            return vec![Target::Address(host.probe_address().to_owned())];
        }
        // A word with a dot or colon is an address; a single one that is nearly a host's name was meant to be it.
        let near = self.heap.nearest(text, self.inventory.iter().map(|laid| laid.host.name.as_str()));
        if let (Some(near), false) = (near, text.contains(['.', ':'])) {
            let mend = HostMend::NearOrAddress(near.to_owned());
            self.heap.wrong(&word.way, Wrong::NoSuchHost { name: text.to_owned(), mend });
            return Vec::new();
        }
        match scalar::address(text) {
            Ok(address) => vec![Target::Address(address)],
            Err(wrong) => {
                self.heap.wrong(&word.way, wrong);
                Vec::new()
            }
        }
    }

    fn vpn(&self, vpn: &At<VpnEntry>, entry: &CheckEntry, from: &mut Vec<Place>) -> Option<(String, CheckKind)> {
        if from.contains(&Place::Workstation) {
            let way =
                entry.from.iter().flatten().find(|word| word.value == "workstation").map_or(&vpn.way, |word| &word.way);
            self.heap.wrong(way, Wrong::WorkstationInVpn);
        }
        let (name, shape) = match &vpn.value {
            VpnEntry::Mesh => ("vpn mesh".to_owned(), VpnShape::Mesh),
            VpnEntry::FullMesh => ("vpn full-mesh".to_owned(), VpnShape::FullMesh),
            VpnEntry::Hub(hub) => {
                let hub_place = Place::Host(self.chosen_one(hub)?);
                if !from.contains(&hub_place) {
                    from.insert(0, hub_place);
                }
                (format!("vpn hub {}", hub.value), VpnShape::Hub(hub.value.clone()))
            }
        };
        let part: HashSet<&Place> = from.iter().collect();
        let taking_part: Vec<&Host> =
            self.members().filter(|host| part.contains(&Place::Host(host.name.clone()))).collect();
        let without: Vec<_> = taking_part
            .iter()
            .filter(|host| host.vpn.is_none() && !self.is_half_read(host))
            .map(|host| host.name.to_string())
            .collect();
        if !without.is_empty() {
            self.heap.wrong(&vpn.way, Wrong::VpnAddressMissing { hosts: without });
        } else if taking_part.len() < 2 && !self.hosts.is_empty() {
            self.heap.wrong(&vpn.way, Wrong::VpnOfOneHost);
        }
        self.ensure_vpn_addresses_differ(&taking_part);
        Some((name, CheckKind::Vpn(shape)))
    }

    /// Whether something about the host could not be read: its VPN address may be that.
    fn is_half_read(&self, host: &Host) -> bool {
        self.laid(host).is_some_and(|laid| self.heap.is_wrong_below(&laid.entry_at))
    }

    fn laid(&self, host: &Host) -> Option<&'a Laid> {
        self.places.get(host.name.as_str()).map(|place| &self.hosts[*place])
    }

    fn chosen_one(&self, name: &At<HostName>) -> Option<HostName> {
        let word = At { value: name.value.to_string(), way: name.way.clone() };
        self.chosen(&word).into_iter().next()
    }

    /// Two hosts with one VPN address would prove each other's links by pinging themselves.
    fn ensure_vpn_addresses_differ(&self, hosts: &[&Host]) {
        let mut firsts: HashMap<&str, &Host> = HashMap::new();
        for host in hosts {
            let Some(vpn) = host.vpn.as_deref() else { continue };
            let Some(twin) = firsts.get(vpn) else {
                firsts.insert(vpn, host);
                continue;
            };
            let at = |host: &Host| self.laid(host)?.vpn_at.as_ref();
            if let (Some(way), Some(first)) = (at(host), at(twin)) {
                let (first_name, second) = (twin.name.to_string(), host.name.to_string());
                self.heap.twice(way, first, Wrong::DuplicateVpnAddress { first: first_name, second });
            }
        }
    }
}
