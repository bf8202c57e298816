//! An inventory as a picture: how its hosts are reached, and the links of its checks.

mod drawing;

use crate::facts::links;
use crate::inventory::Inventory;
use crate::inventory::model::{Fleet, Host, Jump, Place};

pub use drawing::{Format, text};

/// The kind of a node. A host may be called `workstation`, and the kind tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Nodes, the ways between them, and the links; a node's number is its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<GraphNode>,
    ways: Vec<(usize, usize)>,
    links: Vec<Edge>,
}

impl Graph {
    /// Draws one fleet: its hosts, the hosts on the way to them, and the targets of its checks.
    #[must_use]
    pub fn of_fleet(inventory: &Inventory, fleet: &Fleet) -> Self {
        let mut graph = Self::empty();
        graph.add(inventory, fleet);
        graph.finish()
    }

    /// All fleets in one, and the hosts that are in none.
    #[must_use]
    pub fn of_inventory(inventory: &Inventory) -> Self {
        let mut graph = Self::empty();
        for fleet in inventory.fleets.values() {
            graph.add(inventory, fleet);
        }
        graph.add_ways(&without_fleet(inventory));
        graph.finish()
    }

    fn empty() -> Self {
        let workstation = GraphNode { kind: GraphNodeKind::Workstation, name: "workstation".to_owned(), address: None };
        Self { nodes: vec![workstation], ways: Vec::new(), links: Vec::new() }
    }

    fn add(&mut self, inventory: &Inventory, fleet: &Fleet) {
        let hosts: Vec<&Host> = inventory.jumps_of(fleet).into_iter().rev().chain(&fleet.hosts).collect();
        self.add_ways(&hosts);
        for link in links::resolve(fleet, &std::collections::BTreeMap::new()) {
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

    fn add_ways(&mut self, hosts: &[&Host]) {
        for host in hosts {
            let at = self.node(GraphNodeKind::Host, host.name.as_str());
            let addresses: Vec<&str> =
                std::iter::once(&host.address).chain(&host.other_addresses).map(String::as_str).collect();
            self.nodes[at].address = (addresses != [host.name.as_str()]).then(|| addresses.join(", "));
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
        if !self.ways.contains(&(from, to)) {
            self.ways.push((from, to));
        }
    }

    fn add_link(&mut self, from: usize, to: usize, kind: &'static str, required: bool) {
        let known = self.links.iter_mut().find(|edge| edge.from == from && edge.to == to && edge.required == required);
        match known {
            Some(edge) if edge.kinds.contains(&kind) => {}
            Some(edge) => edge.kinds.push(kind),
            None => self.links.push(Edge { from, to, kinds: vec![kind], required, both_ways: false }),
        }
    }

    fn node(&mut self, kind: GraphNodeKind, name: &str) -> usize {
        let known = self.nodes.iter().position(|node| node.kind == kind && node.name == name);
        known.unwrap_or_else(|| {
            self.nodes.push(GraphNode { kind, name: name.to_owned(), address: None });
            self.nodes.len() - 1
        })
    }

    /// There and back is one edge: a mesh has half as many then.
    fn finish(mut self) -> Self {
        let mut edges: Vec<Edge> = Vec::new();
        for edge in self.links {
            let back = edges.iter_mut().find(|other| {
                (other.from, other.to, other.required) == (edge.to, edge.from, edge.required)
                    && edge.from != edge.to
                    && other.kinds == edge.kinds
            });
            match back {
                Some(other) => other.both_ways = true,
                None => edges.push(edge),
            }
        }
        self.links = edges;
        self
    }
}

/// Draws hosts that no fleet has, and that are no jump of a host in a fleet.
fn without_fleet(inventory: &Inventory) -> Vec<&Host> {
    let on_the_way = |fleet: &Fleet, host: &Host| {
        fleet.hosts.iter().chain(inventory.jumps_of(fleet)).any(|member| member.name == host.name)
    };
    inventory.hosts.iter().filter(|host| inventory.fleets.values().all(|fleet| !on_the_way(fleet, host))).collect()
}

#[cfg(test)]
mod tests;
