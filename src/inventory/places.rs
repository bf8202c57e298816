//! Where every node of a YAML text stands: one pass finds all places.
//!
//! The only user of `saphyr_parser`, which tells the place of each node; `serde_yaml` tells only that of an error
//! (docs/facts.md, "Reading YAML"). What the text says is never taken from here.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::excerpt::Excerpts;
use super::yaml::{Node, NodeStep, Position};

/// The places of a tree's nodes.
#[derive(Debug, Default)]
pub(crate) struct Places {
    nodes: Vec<PlacedNode>,
}

#[derive(Debug)]
struct PlacedNode {
    at: Position,
    kind: Kind,
    /// A list's items, or a map's keys and values in turns. An alias is the node of its anchor.
    children: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    List,
    Map,
}

impl Places {
    /// Looks through the text from which the tree was read. Where the two parsers see different trees, the nodes below
    /// have no places.
    pub(crate) fn of(text: &str, root: &Node) -> Self {
        let lines = Excerpts::of(text);
        let mut places = Self::default();
        let mut open: Vec<usize> = Vec::new();
        let mut anchors: HashMap<usize, usize> = HashMap::new();
        for read in Parser::new_from_str(text) {
            let Ok((event, span)) = read else { break };
            let (kind, anchor) = match event {
                Event::Scalar(_, _, anchor, _) => (Kind::Scalar, anchor),
                Event::SequenceStart(anchor, _) => (Kind::List, anchor),
                Event::MappingStart(anchor, _) => (Kind::Map, anchor),
                Event::Alias(anchor) => {
                    if let (Some(parent), Some(node)) = (open.last(), anchors.get(&anchor)) {
                        places.nodes[*parent].children.push(*node);
                    }
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentEnd => break,
                // A text with nothing in it has one place: its end.
                Event::StreamEnd if places.nodes.is_empty() => (Kind::Scalar, 0),
                Event::StreamEnd | Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => continue,
            };
            let node = places.nodes.len();
            let is_in_map = open.last().is_some_and(|parent| places.nodes[*parent].kind == Kind::Map);
            let at = begin(&event, span, is_in_map, &lines);
            places.nodes.push(PlacedNode { at, kind, children: Vec::new() });
            // Anchors count from 1.
            anchors.insert(anchor, node);
            if let Some(parent) = open.last() {
                places.nodes[*parent].children.push(node);
            }
            if kind != Kind::Scalar {
                open.push(node);
            }
        }
        if !places.nodes.is_empty() {
            places.keep_what_agrees(0, root);
        }
        places
    }

    /// Returns where the node at the end of the way begins, or else the last node on the way that has a place. An alias
    /// is found where its anchor stands.
    pub(crate) fn find(&self, way: &[NodeStep]) -> Option<Position> {
        let mut node = self.nodes.first()?;
        for step in way {
            let number = match *step {
                NodeStep::Key(number) => 2 * number,
                NodeStep::Value(number) => 2 * number + 1,
                NodeStep::Item(number) => number,
            };
            let Some(child) = node.children.get(number) else { break };
            node = &self.nodes[*child];
        }
        Some(node.at)
    }

    fn keep_what_agrees(&mut self, placed: usize, node: &Node) {
        let PlacedNode { kind, children, .. } = &self.nodes[placed];
        let (is_same, below): (bool, Vec<&Node>) = match node {
            Node::List(items) => (*kind == Kind::List, items.iter().collect()),
            Node::Map(entries) => (*kind == Kind::Map, entries.iter().flat_map(|(key, value)| [key, value]).collect()),
            // What is in a tag is no node of its own to us.
            _ => (*kind == Kind::Scalar, Vec::new()),
        };
        if !is_same || children.len() != below.len() {
            self.nodes[placed].children.clear();
            return;
        }
        for (index, node) in below.into_iter().enumerate() {
            if let Some(child) = self.nodes[placed].children.get(index) {
                self.keep_what_agrees(*child, node);
            }
        }
    }
}

/// Returns where the text's first alias stands.
pub(super) fn first_alias(text: &str) -> Option<Position> {
    let events = Parser::new_from_str(text).map_while(Result::ok);
    events.into_iter().find(|(event, _)| matches!(event, Event::Alias(_))).map(|(_, span)| position(span))
}

fn position(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

/// The place as `serde_yaml` has it: that of nothing is behind the colon and not at it, and that of a list is its first
/// dash also where the dash stands below the first letter of the key.
fn begin(event: &Event<'_>, span: Span, is_in_map: bool, lines: &Excerpts<'_>) -> Position {
    let at = position(span);
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty() && lines.behind(at).starts_with(':') => {
            Position { column: at.column + 1, ..at }
        }
        Event::SequenceStart(..) if is_in_map => {
            let before: String = lines.line(at.line).chars().take(at.column - 1).collect();
            let before = before.trim_end();
            if before.ends_with('-') { Position { column: before.chars().count(), ..at } } else { at }
        }
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::yaml;
    use super::*;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    fn find(text: &str, way: &[NodeStep]) -> Option<Position> {
        Places::of(text, &yaml::parse(text).unwrap()).find(way)
    }

    #[test]
    fn every_node_has_a_place_keys_and_duplicates_included() {
        let text = "a: 1\nb:\n  - x\n  - {c: y, c: z}\n";
        for (way, place) in [
            (&[][..], at(1, 1)),
            (&[NodeStep::Key(0)], at(1, 1)),
            (&[NodeStep::Value(0)], at(1, 4)),
            (&[NodeStep::Key(1)], at(2, 1)),
            (&[NodeStep::Value(1), NodeStep::Item(0)], at(3, 5)),
            (&[NodeStep::Value(1), NodeStep::Item(1), NodeStep::Key(1)], at(4, 12)),
            (&[NodeStep::Value(1), NodeStep::Item(1), NodeStep::Value(1)], at(4, 15)),
        ] {
            assert_eq!(find(text, way), Some(place), "{way:?}");
        }
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        assert_eq!(find("{ä: ö, ü: 1}", &[NodeStep::Value(1)]), Some(at(1, 11)));
    }

    #[test]
    fn nothing_stands_behind_its_colon() {
        assert_eq!(find("a:\nb: 1\n", &[NodeStep::Value(0)]), Some(at(1, 3)));
        assert_eq!(find("{a, b: 1}\n", &[NodeStep::Value(0)]), Some(at(1, 3)));
    }

    #[test]
    fn a_way_that_leads_nowhere_ends_at_the_last_node_that_is_there() {
        assert_eq!(find("a: [1]\n", &[NodeStep::Value(0), NodeStep::Item(1)]), Some(at(1, 4)));
        assert_eq!(find("a: 1\n", &[NodeStep::Key(1)]), Some(at(1, 1)));
    }

    #[test]
    fn a_value_behind_an_anchor_is_found_at_the_anchor() {
        let text = "a: &here {x: 1}\nb: *here\nc: *here\n";
        assert_eq!(find(text, &[NodeStep::Value(1), NodeStep::Value(0)]), Some(at(1, 14)));
        assert_eq!(find(text, &[NodeStep::Value(2)]), Some(at(1, 4)));
    }

    #[test]
    fn another_tree_has_no_places_below_where_it_differs() {
        let other = yaml::parse("a: [1, 2]\nb: {c: d}\n").unwrap();
        let places = Places::of("a: [1]\nb: {c: d}\n", &other);
        assert_eq!(places.find(&[NodeStep::Value(0), NodeStep::Item(0)]), Some(at(1, 4)));
        assert_eq!(places.find(&[NodeStep::Value(1), NodeStep::Value(0)]), Some(at(2, 8)));
    }
}
