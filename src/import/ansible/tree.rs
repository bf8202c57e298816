//! YAML of Ansible's: maps whose later keys win, merges (`<<`), variables.

use super::super::note::{ImportNotes, SourcePlace};
use super::model::{AnsibleValue, Variable, Variables};
use crate::inventory::words::shown;
use crate::inventory::yaml::{self, Node, NodeStep, NodeWay};

/// A node of a file, with the way to it.
#[derive(Debug, Clone)]
pub(super) struct Branch<'a> {
    node: &'a Node,
    file: usize,
    way: NodeWay,
}

impl<'a> Branch<'a> {
    pub(super) fn root(node: &'a Node, file: usize) -> Self {
        Self { node, file, way: NodeWay::new() }
    }

    pub(super) fn place(&self) -> SourcePlace {
        SourcePlace::Node { file: self.file, way: self.way.clone() }
    }

    /// Where the key stands that this is the value of.
    pub(super) fn key_place(&self) -> SourcePlace {
        let mut way = self.way.clone();
        if let Some(NodeStep::Value(number)) = way.last().copied() {
            way.pop();
            way.push(NodeStep::Key(number));
        }
        SourcePlace::Node { file: self.file, way }
    }

    fn child(&self, node: &'a Node, step: NodeStep) -> Self {
        let mut way = self.way.clone();
        way.push(step);
        Self { node, file: self.file, way }
    }

    /// The entries of a map, in the file's order, each key once; nothing at all is an empty map, `None` what is no map.
    pub(super) fn entries(&self, notes: &mut ImportNotes) -> Option<Vec<(String, Self)>> {
        let pairs = match self.node {
            Node::Map(pairs) => pairs,
            Node::Null => return Some(Vec::new()),
            _ => return None,
        };
        let mut entries: Vec<(String, Self)> = Vec::new();
        let mut merged = Vec::new();
        for (number, (key, value)) in pairs.iter().enumerate() {
            let value = self.child(value, NodeStep::Value(number));
            if *key == Node::Text("<<".into()) {
                merged.extend(value.merged(notes));
                continue;
            }
            let Some(key) = scalar(key) else {
                notes.note(&value.key_place(), "this key is no name", "write the entry by hand");
                continue;
            };
            if let Some(earlier) = entries.iter_mut().find(|(known, _)| *known == key) {
                let what = format!("`{}` is here twice", shown(&key));
                notes.note(&earlier.1.key_place(), what, "Ansible takes the last one, and so does this inventory");
                *earlier = (key, value);
            } else {
                entries.push((key, value));
            }
        }
        // What is merged in is below what stands here itself.
        for (key, value) in merged {
            if entries.iter().all(|(known, _)| *known != key) {
                entries.push((key, value));
            }
        }
        Some(entries)
    }

    /// What `<<` brings along: a map, or a list of them, of which the first wins.
    fn merged(&self, notes: &mut ImportNotes) -> Vec<(String, Self)> {
        match self.node {
            Node::List(items) => (items.iter().enumerate())
                .flat_map(|(number, item)| self.child(item, NodeStep::Item(number)).entries(notes).unwrap_or_default())
                .collect(),
            _ => self.entries(notes).unwrap_or_default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self.node == Node::Null
    }

    pub(super) fn text(&self) -> Option<String> {
        scalar(self.node)
    }

    /// The same place with nothing there: an item of a list that names a host or group says nothing of it.
    pub(super) fn without_content(&self) -> Self {
        Self { node: &Node::Null, ..self.clone() }
    }

    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let Node::List(items) = self.node else { return None };
        Some(items.iter().enumerate().map(|(number, item)| self.child(item, NodeStep::Item(number))).collect())
    }

    /// The variables of a map; whatever is none is listed.
    pub(super) fn variables(&self, notes: &mut ImportNotes) -> Variables {
        let Some(entries) = self.entries(notes) else {
            notes.note(&self.place(), "variables are a map here", "Ansible refuses this, too: write `name: value`");
            return Variables::new();
        };
        let variable =
            |(key, branch): (String, Self)| (key, Variable { value: branch.value(), place: branch.key_place() });
        entries.into_iter().map(variable).collect()
    }

    fn value(&self) -> AnsibleValue {
        match self.node {
            Node::Tagged(tag, _) if tag == "vault" => AnsibleValue::Vault,
            // Only says that braces in it are no template.
            Node::Tagged(tag, content) if tag == "unsafe" => match scalar(content) {
                Some(text) if text.contains("{{") || text.contains("{%") => {
                    AnsibleValue::Other("a text with braces in it")
                }
                Some(text) => AnsibleValue::Text(text),
                None => AnsibleValue::Other("no text"),
            },
            Node::Text(text) if text.starts_with("$ANSIBLE_VAULT") => AnsibleValue::Vault,
            Node::Tagged(..) => AnsibleValue::Other("a value with a YAML tag"),
            Node::List(_) => AnsibleValue::Other("a list"),
            Node::Map(_) => AnsibleValue::Other("a map"),
            Node::Null => AnsibleValue::Other("empty"),
            node => scalar(node).map_or(AnsibleValue::Other("no text"), AnsibleValue::Text),
        }
    }
}

/// A text, or a number or boolean as it would be written.
fn scalar(node: &Node) -> Option<String> {
    match node {
        Node::Text(text) => Some(text.clone()),
        Node::Integer(number) => Some(number.to_string()),
        Node::Float(number) => Some(number.to_string()),
        Node::Boolean(value) => Some(value.to_string()),
        Node::Null | Node::List(_) | Node::Map(_) | Node::Tagged(..) => None,
    }
}

/// Parses the file with this number; a text that is not YAML is a mistake.
pub(super) fn parse(file: usize, notes: &mut ImportNotes) -> Option<Node> {
    match yaml::parse(notes.text(file)) {
        Ok(node) => Some(node),
        Err(error) => {
            let place = error.at.map_or(SourcePlace::File(file), |at| SourcePlace::Line { file, at });
            let mend = "a text that begins with `{{`, `@`, `%` or `*`, or has `: ` in it, stands in quotes";
            notes.mistake(&place, error.fault.to_string(), mend);
            None
        }
    }
}
