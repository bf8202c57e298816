//! A fleet's checks: hosts and addresses known, VPN addresses there, each with a name of its own.

use std::time::Duration;

use super::fields::{At, Heap};
use super::file::{CheckEntry, FleetEntry, VpnEntry};
use super::layers::Laid;
use super::model::{Check, CheckKind, Host, HostName, Place, Target, VpnShape, url_without_login};
use super::problem::{Wrong, listed, nearest, no_such_host, shown};
use super::scalar;
use super::select::{SelectError, is_pattern, no_match, select};
use super::yaml::NodeWay;

/// Long enough for a lost packet and its repetition.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A command of the person's own may do real work.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// WireGuard drops a session without a new handshake after 180 s (`REJECT_AFTER_TIME`, wireguard.com/protocol).
const HANDSHAKE: Duration = Duration::from_secs(180);

/// The checks of a fleet; without `checks`, the mesh of the hosts with a VPN address, if there are two.
pub(super) fn checks(entry: &FleetEntry, hosts: &[Laid], inventory: &[Laid], heap: &Heap) -> Vec<Check> {
    let resolver = CheckResolver { hosts, inventory, heap };
    let Some(entries) = &entry.checks else { return resolver.default_mesh().into_iter().collect() };
    let mut checks: Vec<Check> = Vec::new();
    let mut names: Vec<&At<String>> = Vec::new();
    for At { value: entry, way } in entries {
        let Some(mut check) = resolver.check(entry, way) else { continue };
        match &entry.name {
            Some(name) => {
                if let Some(first) = names.iter().find(|first| first.value == name.value) {
                    let wrong = Wrong::new(format!("the check `{}` is here twice", shown(&name.value)));
                    heap.twice(&name.way, &first.way, wrong.mend("give one of them another name"));
                }
                names.push(name);
            }
            None => check.name = free_name(check.name, &checks),
        }
        checks.push(check);
    }
    checks
}

/// A name of our own making, told from those before it by a number.
fn free_name(name: String, checks: &[Check]) -> String {
    let is_free = |name: &String| checks.iter().all(|check| check.name != *name);
    if is_free(&name) {
        return name;
    }
    (2..=checks.len() + 1).map(|number| format!("{name} ({number})")).find(is_free).unwrap_or(name)
}

struct CheckResolver<'a> {
    /// The fleet's.
    hosts: &'a [Laid],
    /// All.
    inventory: &'a [Laid],
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
            required: true,
            timeout: PROBE_TIMEOUT,
        })
    }

    fn check(&self, entry: &CheckEntry, way: &NodeWay) -> Option<Check> {
        let mut from = self.places(entry);
        let (name, kind) = self.kind(entry, way, &mut from)?;
        let is_command = matches!(kind, CheckKind::Command(_));
        let is_named = |host: &HostName| entry.from.iter().flatten().any(|word| word.value == host.as_str());
        let check = Check {
            name: entry.name.as_ref().map_or(name, |name| name.value.clone()),
            kind,
            from,
            to_themselves: self.members().map(|host| host.name.clone()).filter(is_named).collect(),
            required: entry.required.as_ref().is_none_or(|required| required.value),
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
            (CheckKind::Wireguard { .. }, _) => Wrong::new("no link is left to look at: no host is its own peer")
                .mend("name a peer, or other hosts as `from`"),
            (_, [Target::Host(only), ..]) => {
                Wrong::new(format!("no link is left to look at: `{only}` would look at itself alone"))
                    .mend(format!("write `from: {only}` if that is what you want, or name another host"))
            }
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
            let (words, to) = self.targets(&wireguard.value.peers, entry, "wireguard", &wireguard.way)?;
            let handshake = wireguard.value.handshake.as_ref().map_or(HANDSHAKE, |time| time.value);
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

    fn ensure_no_targets(&self, entry: &CheckEntry, kind: &str) {
        if let Some(to) = entry.to.as_ref().and_then(|to| to.first()) {
            let wrong = Wrong::new(format!("`to` means nothing beside `{kind}`"));
            self.heap.wrong(&to.way, wrong.mend("take it out: only `ping`, `tcp` and `wireguard` look at `to`"));
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
                if self.names().any(|name| name == "workstation") {
                    let wrong = Wrong::new("`workstation` is this machine here, but also a host of the fleet");
                    self.heap
                        .wrong(&word.way, wrong.mend("write `workstatio[n]` for the host, or give it another name"));
                }
                places.push(Place::Workstation);
            } else {
                places.extend(self.chosen(word).into_iter().map(Place::Host));
            }
        }
        places.sort_by_key(|place| self.names().position(|name| *place == place_named(name)));
        places.dedup();
        places
    }

    /// The hosts of the fleet that a word names.
    fn chosen(&self, word: &At<String>) -> Vec<HostName> {
        match select(self.members(), std::slice::from_ref(&word.value), &[]) {
            Ok(hosts) => hosts.into_iter().map(|host| host.name.clone()).collect(),
            Err(_) if self.hosts.is_empty() => Vec::new(),
            Err(error) => {
                let wrong = match &error {
                    SelectError::NothingMatches { pattern, .. } if self.elsewhere(pattern).is_some() => {
                        Wrong::new(format!("the host `{pattern}` is not in this fleet"))
                            .mend("add it to the fleet's `hosts`: a check runs only on hosts of its fleet")
                    }
                    SelectError::NothingMatches { pattern, .. } if !is_pattern(pattern) => {
                        no_such_host(pattern, self.names().chain(["workstation"]), &error.hint().unwrap_or_default())
                    }
                    _ => no_match(&error),
                };
                self.heap.wrong(&word.way, wrong);
                Vec::new()
            }
        }
    }

    /// The host of that name, in whatever fleet.
    fn elsewhere(&self, name: &str) -> Option<&'a Host> {
        self.inventory.iter().map(|laid| &laid.host).find(|host| host.name.as_str() == name)
    }

    /// The targets of `to`, or those right behind the kind, and both in words.
    fn targets(
        &self,
        here: &[At<String>],
        entry: &CheckEntry,
        kind: &str,
        way: &NodeWay,
    ) -> Option<(String, Vec<Target>)> {
        let there = entry.to.as_deref().unwrap_or_default();
        let words = match (here, there) {
            ([], []) => {
                let wrong = Wrong::new(format!("this check does not say what `{kind}` looks at"));
                self.heap.wrong(way, wrong.mend("add `to: HOST`, an address, or a list of them"));
                return None;
            }
            ([], words) | (words, []) => words,
            (_, [to, ..]) => {
                let wrong = Wrong::new(format!("`to` names targets, and `{kind}` does it too"));
                self.heap.wrong(&to.way, wrong.mend("keep one of the two"));
                return None;
            }
        };
        let mut targets: Vec<Target> = Vec::new();
        for target in words.iter().flat_map(|word| self.target(word)) {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        let names: Vec<_> = words.iter().map(|word| word.value.as_str()).collect();
        Some((shown(&names.join(",")), targets))
    }

    /// A host of the fleet, a pattern of them, a host of another fleet by its address, or an address of its own.
    fn target(&self, word: &At<String>) -> Vec<Target> {
        let text = word.value.as_str();
        if is_pattern(text) || self.names().any(|name| name == text) {
            return self.chosen(word).into_iter().map(Target::Host).collect();
        }
        if let Some(host) = self.elsewhere(text) {
            return vec![Target::Address(host.probe_address().to_owned())];
        }
        // A word with a dot or colon is an address; a single one that is nearly a host's name was meant to be it.
        let near = nearest(text, self.inventory.iter().map(|laid| laid.host.name.as_str()));
        if let (Some(near), false) = (near, text.contains(['.', ':'])) {
            let wrong = Wrong::new(format!("there is no host `{}`", shown(text)));
            self.heap.wrong(
                &word.way,
                wrong.mend(format!("did you mean `{near}`? (An address of that name is written `{}.`)", shown(text))),
            );
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
            let wrong = Wrong::new("the workstation has no place in a `vpn` check, which is between hosts");
            self.heap.wrong(way, wrong.mend("write a `ping` check `from: workstation`"));
        }
        let (name, shape) = match &vpn.value {
            VpnEntry::Mesh => ("vpn mesh".to_owned(), VpnShape::Mesh),
            VpnEntry::Hub(hub) => {
                let hub_place = Place::Host(self.chosen_one(hub)?);
                if !from.contains(&hub_place) {
                    from.insert(0, hub_place);
                }
                (format!("vpn hub {}", hub.value), VpnShape::Hub(hub.value.clone()))
            }
        };
        let taking_part: Vec<&Host> =
            self.members().filter(|host| from.contains(&Place::Host(host.name.clone()))).collect();
        let without: Vec<_> = taking_part
            .iter()
            .filter(|host| host.vpn.is_none() && !self.is_half_read(host))
            .map(|host| host.name.as_str())
            .collect();
        if !without.is_empty() {
            let have = if without.len() == 1 { "has" } else { "have" };
            let wrong = Wrong::new(format!("{} {have} no `vpn` address", listed(without)));
            self.heap
                .wrong(&vpn.way, wrong.mend("add `vpn: ADDRESS` to the host, or name those that take part as `from`"));
        } else if taking_part.len() < 2 && !self.hosts.is_empty() {
            let wrong = Wrong::new("a VPN needs two hosts at least");
            self.heap.wrong(&vpn.way, wrong.mend("take the check out, or add hosts"));
        }
        self.ensure_vpn_addresses_differ(&taking_part);
        Some((name, CheckKind::Vpn(shape)))
    }

    /// Whether something about the host could not be read: its VPN address may be that.
    fn is_half_read(&self, host: &Host) -> bool {
        self.hosts.iter().any(|laid| laid.host.name == host.name && self.heap.is_wrong_below(&laid.entry_at))
    }

    fn chosen_one(&self, name: &At<HostName>) -> Option<HostName> {
        let word = At { value: name.value.to_string(), way: name.way.clone() };
        self.chosen(&word).into_iter().next()
    }

    /// Two hosts with one VPN address would prove each other's links by pinging themselves.
    fn ensure_vpn_addresses_differ(&self, hosts: &[&Host]) {
        let at = |host: &Host| self.hosts.iter().find(|laid| laid.host.name == host.name)?.vpn_at.clone();
        for (index, host) in hosts.iter().enumerate() {
            let twin = hosts[..index].iter().find(|other| host.vpn.is_some() && other.vpn == host.vpn);
            if let Some((twin, (Some(way), Some(first)))) = twin.map(|twin| (twin, (at(host), at(twin)))) {
                let wrong = Wrong::new(format!("`{}` and `{}` have the same `vpn` address", twin.name, host.name));
                self.heap.twice(&way, &first, wrong.mend("give each host its own"));
            }
        }
    }
}

fn place_named(name: &str) -> Place {
    HostName::new(name).map_or(Place::Workstation, Place::Host)
}
