//! An inventory as a picture: how its hosts are reached, and the links of its checks.

mod drawing;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::facts::links;
use crate::inventory::Inventory;
use crate::inventory::model::{Check, CheckKind, Fleet, Host, HostName, Jump, Place, Target, VpnShape};

pub use drawing::{Format, text};

/// The kind of a node. A host may be called `workstation`, and the kind tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum GraphNodeKind {
    Workstation,
    Host,
    /// A machine on the way that is no host of the inventory.
    Jump,
    /// A target of a check that is no host of its fleet.
    Target,
}

impl GraphNodeKind {
    fn word(self) -> &'static str {
        match self {
            Self::Workstation => "workstation",
            Self::Host => "host",
            Self::Jump => "jump",
            Self::Target => "target",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct GraphNode {
    kind: GraphNodeKind,
    name: String,
    /// Beside the name, where it says something else.
    address: Option<String>,
}

/// All links of one kind of duty between two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: usize,
    to: usize,
    kinds: Vec<&'static str>,
    required: bool,
    both_ways: bool,
}

/// Hosts that all look at each other: one thing, since as links there would be as many as the square of the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FullMesh {
    /// In ascending order.
    hosts: Vec<usize>,
    kinds: Vec<&'static str>,
    required: bool,
}

impl FullMesh {
    fn has(&self, edge: &Edge, kind: &str) -> bool {
        let has = |host: &usize| self.hosts.binary_search(host).is_ok();
        edge.from != edge.to
            && self.required == edge.required
            && self.kinds.contains(&kind)
            && has(&edge.from)
            && has(&edge.to)
    }
}

/// Fewer hosts are as clear when each link is drawn.
const SMALLEST_MESH: usize = 3;

/// Nodes, the ways between them, and the links; a node's number is its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<GraphNode>,
    ways: Vec<(usize, usize)>,
    meshes: Vec<FullMesh>,
    /// Those that are in no mesh.
    links: Vec<Edge>,
}

impl Graph {
    /// Draws one fleet: its hosts, the hosts on the way to them, and the targets of its checks.
    #[must_use]
    pub fn of_fleet(inventory: &Inventory, fleet: &Fleet) -> Self {
        let mut draft = GraphDraft::new();
        draft.add(inventory, fleet);
        draft.finish()
    }

    /// All fleets in one, and the hosts that are in none.
    #[must_use]
    pub fn of_inventory(inventory: &Inventory) -> Self {
        let mut draft = GraphDraft::new();
        for fleet in inventory.fleets.values() {
            draft.add(inventory, fleet);
        }
        draft.add_ways(&without_fleet(inventory));
        draft.finish()
    }

    /// Only the ways to these hosts.
    fn of_ways(hosts: &[&Host]) -> Self {
        let mut draft = GraphDraft::new();
        draft.add_ways(hosts);
        draft.finish()
    }
}

/// A graph that is being drawn, with what finds its parts again: each is looked for once a link.
struct GraphDraft {
    graph: Graph,
    nodes: HashMap<GraphNodeKind, HashMap<String, usize>>,
    ways: HashSet<(usize, usize)>,
    meshes: HashMap<(Vec<usize>, bool), usize>,
    links: HashMap<(usize, usize, bool), usize>,
}

impl GraphDraft {
    fn new() -> Self {
        let workstation = GraphNode { kind: GraphNodeKind::Workstation, name: "workstation".to_owned(), address: None };
        Self {
            graph: Graph { nodes: vec![workstation], ways: Vec::new(), meshes: Vec::new(), links: Vec::new() },
            nodes: HashMap::new(),
            ways: HashSet::new(),
            meshes: HashMap::new(),
            links: HashMap::new(),
        }
    }

    fn add(&mut self, inventory: &Inventory, fleet: &Fleet) {
        let hosts: Vec<&Host> = inventory.jumps_of(fleet).into_iter().rev().chain(&fleet.hosts).collect();
        self.add_ways(&hosts);
        for check in &fleet.checks {
            let (mesh, rest) = part(check, fleet);
            if let Some((hosts, kinds)) = mesh {
                self.add_mesh(&hosts, kinds, check.required);
            }
            for link in rest.iter().flat_map(|check| links::of_check(check, fleet, &BTreeMap::new())) {
                let from = match &link.from {
                    Place::Workstation => 0,
                    Place::Host(name) => self.node(GraphNodeKind::Host, name.as_str()),
                };
                let to = match &link.to_host {
                    Some(name) => self.node(GraphNodeKind::Host, name.as_str()),
                    None => self.node(GraphNodeKind::Target, &link.to),
                };
                self.add_link(from, to, link.probe.kind(), link.required);
            }
        }
    }

    fn add_ways(&mut self, hosts: &[&Host]) {
        for host in hosts {
            let at = self.node(GraphNodeKind::Host, host.name.as_str());
            let addresses: Vec<&str> =
                std::iter::once(&host.address).chain(&host.other_addresses).map(String::as_str).collect();
            self.graph.nodes[at].address = (addresses != [host.name.as_str()]).then(|| addresses.join(", "));
        }
        for host in hosts {
            let via = match &host.jump {
                None => 0,
                Some(Jump::Host(name)) => self.node(GraphNodeKind::Host, name.as_str()),
                Some(jump @ Jump::Destination { .. }) => {
                    let via = self.node(GraphNodeKind::Jump, &jump.to_string());
                    self.add_way(0, via);
                    via
                }
            };
            let at = self.node(GraphNodeKind::Host, host.name.as_str());
            self.add_way(via, at);
        }
    }

    fn add_way(&mut self, from: usize, to: usize) {
        if self.ways.insert((from, to)) {
            self.graph.ways.push((from, to));
        }
    }

    fn add_mesh(&mut self, hosts: &[HostName], kinds: &[&'static str], required: bool) {
        let mut hosts: Vec<usize> = hosts.iter().map(|name| self.node(GraphNodeKind::Host, name.as_str())).collect();
        hosts.sort_unstable();
        let meshes = &mut self.graph.meshes;
        let at = *self.meshes.entry((hosts, required)).or_insert_with_key(|(hosts, required)| {
            meshes.push(FullMesh { hosts: hosts.clone(), kinds: Vec::new(), required: *required });
            meshes.len() - 1
        });
        let known = &mut meshes[at].kinds;
        known.extend(kinds.iter().filter(|kind| !known.contains(kind)).collect::<Vec<_>>());
    }

    fn add_link(&mut self, from: usize, to: usize, kind: &'static str, required: bool) {
        let links = &mut self.graph.links;
        let at = *self.links.entry((from, to, required)).or_insert_with(|| {
            links.push(Edge { from, to, kinds: Vec::new(), required, both_ways: false });
            links.len() - 1
        });
        if !links[at].kinds.contains(&kind) {
            links[at].kinds.push(kind);
        }
    }

    fn node(&mut self, kind: GraphNodeKind, name: &str) -> usize {
        let of_kind = self.nodes.entry(kind).or_default();
        if let Some(known) = of_kind.get(name) {
            return *known;
        }
        self.graph.nodes.push(GraphNode { kind, name: name.to_owned(), address: None });
        let number = self.graph.nodes.len() - 1;
        of_kind.insert(name.to_owned(), number);
        number
    }

    fn finish(self) -> Graph {
        let Graph { nodes, ways, meshes, links } = self.graph;
        let mut edges: Vec<Edge> = Vec::new();
        let mut drawn: HashMap<(usize, usize, bool), usize> = HashMap::new();
        for mut edge in links {
            edge.kinds =
                edge.kinds.iter().filter(|kind| !meshes.iter().any(|mesh| mesh.has(&edge, kind))).copied().collect();
            if edge.kinds.is_empty() {
                continue;
            }
            // There and back is one edge.
            match drawn.get(&(edge.to, edge.from, edge.required)) {
                Some(back) if edge.from != edge.to && edges[*back].kinds == edge.kinds => edges[*back].both_ways = true,
                _ => {
                    drawn.insert((edge.from, edge.to, edge.required), edges.len());
                    edges.push(edge);
                }
            }
        }
        Graph { nodes, ways, meshes, links: edges }
    }
}

/// The hosts of a mesh, and the kinds of its links.
type MeshOfCheck = (Vec<HostName>, &'static [&'static str]);

/// Takes a check apart: the hosts in it that all look at each other, if there are enough, and checks for the rest.
fn part(check: &Check, fleet: &Fleet) -> (Option<MeshOfCheck>, Vec<Check>) {
    let (to, kinds): (_, &[_]) = match &check.kind {
        CheckKind::Vpn(VpnShape::Mesh | VpnShape::FullMesh) => (None, &["ping", "ssh"]),
        CheckKind::Ping { to } => (Some(to), &["ping"]),
        CheckKind::Tcp { to, .. } => (Some(to), &["tcp"]),
        CheckKind::Wireguard { to, .. } => (Some(to), &["wireguard"]),
        CheckKind::Vpn(VpnShape::Hub(_)) | CheckKind::Http { .. } | CheckKind::Dns { .. } | CheckKind::Command(_) => {
            return (None, vec![check.clone()]);
        }
    };
    let from: HashSet<&Place> = check.from.iter().collect();
    let targets: HashSet<&Target> = to.into_iter().flatten().collect();
    let is_in_mesh = |host: &&Host| {
        let is_target = to.map_or(host.vpn.is_some(), |_| targets.contains(&Target::Host(host.name.clone())));
        is_target && from.contains(&Place::Host(host.name.clone()))
    };
    let mesh: Vec<HostName> = fleet.hosts.iter().filter(is_in_mesh).map(|host| host.name.clone()).collect();
    if mesh.len() < SMALLEST_MESH {
        return (None, vec![check.clone()]);
    }
    let in_mesh: HashSet<&HostName> = mesh.iter().collect();
    let mut rest = Vec::new();
    if let Some(to) = to {
        let is_outside = |place: &Place| !matches!(place, Place::Host(name) if in_mesh.contains(name));
        let outside: Vec<Place> = check.from.iter().filter(|place| is_outside(place)).cloned().collect();
        let beside = |target: &&Target| !matches!(target, Target::Host(name) if in_mesh.contains(name));
        let others: Vec<Target> = to.iter().filter(beside).cloned().collect();
        let inside = || mesh.iter().cloned().map(Place::Host).collect();
        rest.extend((!outside.is_empty()).then(|| between(check, outside, to.clone())));
        rest.extend((!others.is_empty()).then(|| between(check, inside(), others)));
        // A host that is named looks at itself, too.
        let themselves = check.to_themselves.iter().filter(|name| in_mesh.contains(name));
        rest.extend(
            themselves.map(|name| between(check, vec![Place::Host(name.clone())], vec![Target::Host(name.clone())])),
        );
    }
    (Some((mesh, kinds)), rest)
}

/// The same check between these.
fn between(check: &Check, from: Vec<Place>, targets: Vec<Target>) -> Check {
    let mut check = Check { from, ..check.clone() };
    if let CheckKind::Ping { to } | CheckKind::Tcp { to, .. } | CheckKind::Wireguard { to, .. } = &mut check.kind {
        *to = targets;
    }
    check
}

/// Draws hosts that no fleet has, and that are no jump of a host in a fleet.
fn without_fleet(inventory: &Inventory) -> Vec<&Host> {
    let on_the_way = |fleet| inventory.jumps_of(fleet).into_iter().chain(&fleet.hosts).map(|host| &host.name);
    let drawn: HashSet<&HostName> = inventory.fleets.values().flat_map(on_the_way).collect();
    inventory.hosts.iter().filter(|host| !drawn.contains(&host.name)).collect()
}

#[cfg(test)]
mod tests;
