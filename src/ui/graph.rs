//! An inventory as a picture: how its hosts are reached, and the links of its checks.

use crate::facts::links;
use crate::inventory::Inventory;
use crate::inventory::model::{Fleet, Host, Jump, Place};

/// The languages of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For a person at a terminal
    #[default]
    Text,
    /// For Graphviz
    Dot,
    /// For Markdown, where it is drawn by Mermaid
    Mermaid,
}

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

/// As text: fleet by fleet, since each may have ways of its own.
#[must_use]
pub fn text(inventory: &Inventory, only: Option<&Fleet>) -> String {
    let fleets: Vec<&Fleet> = only.map_or_else(|| inventory.fleets.values().collect(), |fleet| vec![fleet]);
    let mut parts: Vec<String> =
        fleets.iter().map(|fleet| format!("{}\n{}", fleet.name, Graph::of_fleet(inventory, fleet).text())).collect();
    let rest = without_fleet(inventory);
    if only.is_none() && !rest.is_empty() {
        let mut graph = Graph::empty();
        graph.add_ways(&rest);
        parts.push(format!("in no fleet\n{}", graph.text()));
    }
    parts.join("\n")
}

impl Graph {
    /// The tree of ways, and the links below it.
    fn text(&self) -> String {
        let mut lines: Vec<(String, &str)> = Vec::new();
        self.grow(0, 1, &mut lines);
        let widest = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        let mut out = String::new();
        for (line, address) in &lines {
            out += format!("{line:<widest$}  {address}").trim_end();
            out.push('\n');
        }
        if self.links.is_empty() {
            return out + "  no links\n";
        }
        out += "  links\n";
        for edge in &self.links {
            let Edge { kinds, required, .. } = edge;
            let arrow = if edge.both_ways { "<->" } else { "->" };
            let (from, to) = (&self.nodes[edge.from].name, &self.nodes[edge.to].name);
            let note = if *required { "" } else { " (only reports)" };
            out += &format!("    {from} {arrow} {to}: {}{note}\n", kinds.join(", "));
        }
        out
    }

    fn grow<'a>(&'a self, at: usize, depth: usize, lines: &mut Vec<(String, &'a str)>) {
        let node = &self.nodes[at];
        lines.push((format!("{}{}", "  ".repeat(depth), node.name), node.address.as_deref().unwrap_or_default()));
        // The inventory has refused a loop; the bound keeps a mistake there from becoming a hang here.
        if depth > self.nodes.len() {
            return;
        }
        for (_, to) in self.ways.iter().filter(|(from, _)| *from == at) {
            self.grow(*to, depth + 1, lines);
        }
    }

    /// In the language of Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = "digraph fleetdeploy {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (number, node) in self.nodes.iter().enumerate() {
            let shape = match node.kind {
                GraphNodeKind::Host => "",
                GraphNodeKind::Workstation => ", shape=ellipse",
                GraphNodeKind::Jump => ", style=dashed",
                GraphNodeKind::Target => ", shape=plaintext",
            };
            out += &format!("  n{number} [label={}{shape}];\n", in_dot(&node.name));
        }
        for (from, to) in &self.ways {
            out += &format!("  n{from} -> n{to} [style=bold];\n");
        }
        for Edge { from, to, kinds, required, both_ways } in &self.links {
            let both = if *both_ways { ", dir=both" } else { "" };
            let dashed = if *required { "" } else { ", style=dashed" };
            let label = in_dot(&kinds.join(", "));
            // The tree of ways alone says where a host stands: a mesh would pull it apart.
            out += &format!("  n{from} -> n{to} [label={label}, color=gray50, constraint=false{both}{dashed}];\n");
        }
        out + "}\n"
    }

    /// In the language of Mermaid.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut out = "flowchart LR\n".to_owned();
        for (number, node) in self.nodes.iter().enumerate() {
            let label = in_mermaid(&node.name);
            let (open, close) = match node.kind {
                GraphNodeKind::Host => ("[", "]"),
                GraphNodeKind::Workstation => ("([", "])"),
                GraphNodeKind::Jump => ("[[", "]]"),
                GraphNodeKind::Target => (">", "]"),
            };
            out += &format!("  n{number}{open}{label}{close}\n");
        }
        for (from, to) in &self.ways {
            out += &format!("  n{from} ==> n{to}\n");
        }
        for Edge { from, to, kinds, required, both_ways } in &self.links {
            let arrow = match (required, both_ways) {
                (true, true) => "<-->",
                (true, false) => "-->",
                (false, true) => "<-.->",
                (false, false) => "-.->",
            };
            out += &format!("  n{from} {arrow}|{}| n{to}\n", in_mermaid(&kinds.join(", ")));
        }
        out
    }

    /// For programs.
    #[must_use]
    pub fn answer(&self) -> serde_json::Value {
        let id = |number: &usize| format!("n{number}");
        let node = |(number, node): (usize, &GraphNode)| {
            serde_json::json!({
                "id": id(&number), "kind": node.kind.word(), "name": node.name, "address": node.address,
            })
        };
        let way = |(from, to): &(usize, usize)| serde_json::json!({ "from": id(from), "to": id(to) });
        let link = |edge: &Edge| {
            serde_json::json!({
                "from": id(&edge.from), "to": id(&edge.to), "kinds": edge.kinds, "required": edge.required,
                "both_ways": edge.both_ways,
            })
        };
        serde_json::json!({
            "nodes": self.nodes.iter().enumerate().map(node).collect::<Vec<_>>(),
            "ways": self.ways.iter().map(way).collect::<Vec<_>>(),
            "links": self.links.iter().map(link).collect::<Vec<_>>(),
        })
    }
}

/// A quoted string; a backslash begins an escape in a label. Source: graphviz.org/doc/info/lang.html and
/// /docs/attr-types/escString.
fn in_dot(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A quoted string, in which characters are written by number (`#35;`): every one that could end it or mean something
/// in Mermaid, Markdown or HTML. Source: mermaid.js.org/syntax/flowchart.html, "Entity codes to escape characters".
fn in_mermaid(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        if character.is_alphanumeric() || " -_.,:/@".contains(character) {
            out.push(character);
        } else {
            out += &format!("#{};", u32::from(character));
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;

    const TEXT: &str = r#"
hosts:
  vps: {address: vps.example.org, vpn: 10.100.0.1}
  homeserver: {address: 10.100.0.2, vpn: 10.100.0.2, jump: vps}
  git: {jump: homeserver}
  workstation: {jump: "ssh:me@gate:22"}
  idle:
fleets:
  homelab:
    flake: .
    hosts: [homeserver, git]
    checks:
      - {name: 'a "check" \ #1', from: git, command: [id]}
      - {ping: [homeserver, git, 192.0.2.1], from: ['[gh]*', workstation]}
      - {tcp: 22, to: git, from: homeserver, required: false}
  outside: {flake: ., hosts: workstation, checks: []}
"#;

    fn inventory() -> Inventory {
        Inventory::parse(Path::new("inventory.yaml"), Path::new("/lab"), TEXT)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
            .inventory
    }

    #[test]
    fn the_text_is_a_tree_of_ways_and_the_links_below_it() {
        let inventory = inventory();
        assert_eq!(
            text(&inventory, None),
            r#"homelab
  workstation
    vps           vps.example.org
      homeserver  10.100.0.2
        git
  links
    git -> a "check" \ #1: command
    workstation -> homeserver: ping
    workstation -> git: ping
    workstation -> 192.0.2.1: ping
    homeserver <-> git: ping
    homeserver -> 192.0.2.1: ping
    git -> 192.0.2.1: ping
    homeserver -> git: tcp (only reports)

outside
  workstation
    ssh:me@gate:22
      workstation
  no links

in no fleet
  workstation
    idle
  no links
"#
        );
        assert_eq!(text(&inventory, Some(&inventory.fleets["outside"])).lines().count(), 5);
    }

    #[test]
    fn names_are_quoted_for_graphviz() {
        let inventory = inventory();
        assert_eq!(
            Graph::of_fleet(&inventory, &inventory.fleets["homelab"]).dot(),
            r#"digraph fleetdeploy {
  rankdir=LR;
  node [shape=box];
  n0 [label="workstation", shape=ellipse];
  n1 [label="vps"];
  n2 [label="homeserver"];
  n3 [label="git"];
  n4 [label="a \"check\" \\ #1", shape=plaintext];
  n5 [label="192.0.2.1", shape=plaintext];
  n0 -> n1 [style=bold];
  n1 -> n2 [style=bold];
  n2 -> n3 [style=bold];
  n3 -> n4 [label="command", color=gray50, constraint=false];
  n0 -> n2 [label="ping", color=gray50, constraint=false];
  n0 -> n3 [label="ping", color=gray50, constraint=false];
  n0 -> n5 [label="ping", color=gray50, constraint=false];
  n2 -> n3 [label="ping", color=gray50, constraint=false, dir=both];
  n2 -> n5 [label="ping", color=gray50, constraint=false];
  n3 -> n5 [label="ping", color=gray50, constraint=false];
  n2 -> n3 [label="tcp", color=gray50, constraint=false, style=dashed];
}
"#
        );
    }

    #[test]
    fn names_are_quoted_for_mermaid() {
        let inventory = inventory();
        assert_eq!(
            Graph::of_inventory(&inventory).mermaid(),
            r#"flowchart LR
  n0(["workstation"])
  n1["vps"]
  n2["homeserver"]
  n3["git"]
  n4>"a #34;check#34; #92; #35;1"]
  n5>"192.0.2.1"]
  n6["workstation"]
  n7[["ssh:me@gate:22"]]
  n8["idle"]
  n0 ==> n1
  n1 ==> n2
  n2 ==> n3
  n0 ==> n7
  n7 ==> n6
  n0 ==> n8
  n3 -->|"command"| n4
  n0 -->|"ping"| n2
  n0 -->|"ping"| n3
  n0 -->|"ping"| n5
  n2 <-->|"ping"| n3
  n2 -->|"ping"| n5
  n3 -->|"ping"| n5
  n2 -.->|"tcp"| n3
"#
        );
    }

    #[test]
    fn a_program_gets_nodes_ways_and_links() {
        let inventory = inventory();
        let answer = Graph::of_fleet(&inventory, &inventory.fleets["outside"]).answer();
        assert_eq!(
            answer,
            serde_json::json!({
                "nodes": [
                    { "id": "n0", "kind": "workstation", "name": "workstation", "address": null },
                    { "id": "n1", "kind": "host", "name": "workstation", "address": null },
                    { "id": "n2", "kind": "jump", "name": "ssh:me@gate:22", "address": null },
                ],
                "ways": [{ "from": "n0", "to": "n2" }, { "from": "n2", "to": "n1" }],
                "links": [],
            })
        );
    }
}
