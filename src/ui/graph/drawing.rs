//! The picture in its languages.

use std::collections::HashMap;

use super::{Edge, FullMesh, Graph, GraphNode, GraphNodeKind, without_fleet};
use crate::inventory::Inventory;
use crate::inventory::model::Fleet;

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

/// A line of text names no more hosts of a mesh.
const MOST_NAMES: usize = 8;

/// As text: fleet by fleet, since each may have ways of its own.
#[must_use]
pub fn text(inventory: &Inventory, only: Option<&Fleet>) -> String {
    let fleets: Vec<&Fleet> = only.map_or_else(|| inventory.fleets.values().collect(), |fleet| vec![fleet]);
    let mut parts: Vec<String> =
        fleets.iter().map(|fleet| format!("{}\n{}", fleet.name, Graph::of_fleet(inventory, fleet).text())).collect();
    let rest = without_fleet(inventory);
    if only.is_none() && !rest.is_empty() {
        parts.push(format!("in no fleet\n{}", Graph::of_ways(&rest).text()));
    }
    parts.join("\n")
}

impl Graph {
    /// The tree of ways, and the links below it.
    fn text(&self) -> String {
        let mut lines: Vec<(String, &str)> = Vec::new();
        let mut behind: HashMap<usize, Vec<usize>> = HashMap::new();
        for (from, to) in &self.ways {
            behind.entry(*from).or_default().push(*to);
        }
        self.grow(0, 1, &behind, &mut lines);
        let widest = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        let mut out = String::new();
        for (line, address) in &lines {
            out += format!("{line:<widest$}  {address}").trim_end();
            out.push('\n');
        }
        if self.links.is_empty() && self.meshes.is_empty() {
            return out + "  no links\n";
        }
        out += "  links\n";
        for FullMesh { hosts, kinds, required } in &self.meshes {
            out += &format!("    mesh of {}: {}{}\n", self.some_names(hosts), kinds.join(", "), note(*required));
        }
        for edge in &self.links {
            let Edge { kinds, required, .. } = edge;
            let arrow = if edge.both_ways { "<->" } else { "->" };
            let (from, to) = (&self.nodes[edge.from].name, &self.nodes[edge.to].name);
            out += &format!("    {from} {arrow} {to}: {}{}\n", kinds.join(", "), note(*required));
        }
        out
    }

    /// The names of the first few, and how many more there are.
    fn some_names(&self, nodes: &[usize]) -> String {
        let (shown, more) = nodes.split_at(if nodes.len() > MOST_NAMES { MOST_NAMES - 1 } else { nodes.len() });
        let names: Vec<&str> = shown.iter().map(|node| self.nodes[*node].name.as_str()).collect();
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        names.join(", ") + &more
    }

    fn grow<'a>(
        &'a self,
        at: usize,
        depth: usize,
        behind: &HashMap<usize, Vec<usize>>,
        lines: &mut Vec<(String, &'a str)>,
    ) {
        let node = &self.nodes[at];
        lines.push((format!("{}{}", "  ".repeat(depth), node.name), node.address.as_deref().unwrap_or_default()));
        // The inventory has refused a loop; the bound keeps a mistake there from becoming a hang here.
        if depth > self.nodes.len() {
            return;
        }
        for to in behind.get(&at).into_iter().flatten() {
            self.grow(*to, depth + 1, behind, lines);
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
        for (number, FullMesh { hosts, kinds, required }) in self.meshes.iter().enumerate() {
            let dashed = if *required { "" } else { ", style=dashed" };
            let label = in_dot(&format!("mesh: {}", kinds.join(", ")));
            out += &format!("  m{number} [label={label}, shape=diamond, color=gray50{dashed}];\n");
            for host in hosts {
                out += &format!("  n{host} -> m{number} [color=gray50, constraint=false, dir=both{dashed}];\n");
            }
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
        for (number, FullMesh { hosts, kinds, required }) in self.meshes.iter().enumerate() {
            out += &format!("  m{number}{{{{{}}}}}\n", in_mermaid(&format!("mesh: {}", kinds.join(", "))));
            let arrow = if *required { "<-->" } else { "<-.->" };
            for host in hosts {
                out += &format!("  n{host} {arrow} m{number}\n");
            }
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
        let mesh = |mesh: &FullMesh| {
            let hosts: Vec<String> = mesh.hosts.iter().map(id).collect();
            serde_json::json!({ "hosts": hosts, "kinds": mesh.kinds, "required": mesh.required })
        };
        serde_json::json!({
            "nodes": self.nodes.iter().enumerate().map(node).collect::<Vec<_>>(),
            "ways": self.ways.iter().map(way).collect::<Vec<_>>(),
            "meshes": self.meshes.iter().map(mesh).collect::<Vec<_>>(),
            "links": self.links.iter().map(link).collect::<Vec<_>>(),
        })
    }
}

fn note(required: bool) -> &'static str {
    if required { "" } else { " (only reports)" }
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
