//! YAML as a tree that forgets nothing: duplicate keys stay, and the place of every node can be found again.
//!
//! The only user of `serde_yaml`. It knows nothing about inventories: what the tree means is read in
//! [`decode`](super::decode).

use std::fmt;

use serde::Deserialize;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// One node of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the file's order, duplicate keys included.
    Map(Vec<(Node, Node)>),
    /// A node with a tag of its own (`!something`), which no inventory of ours needs: the tag, and what it is on.
    Tagged(String, Box<Node>),
}

/// One step from a node to one of its children, by number: a key that is there twice has two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeStep {
    /// The key of the map's entry with this number.
    Key(usize),
    /// The value of the map's entry with this number.
    Value(usize),
    /// The list's item with this number.
    Item(usize),
}

/// The way from the file's root to a node.
pub(crate) type NodeWay = Vec<NodeStep>;

/// A text that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Option<Position>,
    pub(crate) what: String,
}

/// Reads a text as one YAML document; an empty text is [`Node::Null`].
///
/// # Errors
/// [`SyntaxError`] with the first mistake: YAML cannot be read on behind it.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else { return Ok(Node::Null) };
    let root = Node::deserialize(first).map_err(|error| syntax_error(&error))?;
    match documents.next() {
        None => Ok(root),
        Some(second) => {
            let at = Node::deserialize(second).map_or_else(|error| position(&error), |_| second_document(text));
            Err(SyntaxError { at, what: "a second YAML document begins here; an inventory is one".into() })
        }
    }
}

/// Where the node at the end of the way begins, or `None` if there is no such node.
///
/// `serde_yaml` shows a place only in an error, so this reads the text again and fails on purpose at the node that is
/// asked for (docs/facts.md, "Reading YAML"). An alias is found where its anchor stands.
pub(crate) fn locate(text: &str, way: &[NodeStep]) -> Option<Position> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    Walk { way }.deserialize(document).err().as_ref().and_then(position)
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position { line: location.line(), column: location.column() })
}

/// The libyaml message without the place, which is printed in front of it, and with the place of its context kept.
fn syntax_error(error: &serde_yaml::Error) -> SyntaxError {
    let at = position(error);
    let mut what = error.to_string();
    if let Some(at) = at {
        what = what.replacen(&format!(" at line {} column {}", at.line, at.column), "", 1);
    }
    SyntaxError { at, what: format!("this is not YAML: {what}") }
}

/// The second line that is `---`, or the first one if something stands before it.
fn second_document(text: &str) -> Option<Position> {
    let is_content = |line: &str| !line.trim().is_empty() && !line.starts_with(['#', '%']);
    let begun = text.lines().position(is_content)?;
    text.lines()
        .enumerate()
        .skip(begun + 1)
        .find(|(_, line)| line.starts_with("---"))
        .map(|(index, _)| Position { line: index + 1, column: 1 })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    /// A number this large is wrong wherever it stands: that it is cut does not matter.
    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (tag, content) = tagged.variant::<String>()?;
        Ok(Node::Tagged(tag, Box::new(content.newtype_variant()?)))
    }
}

/// Walks to a node and fails there.
#[derive(Clone, Copy)]
struct Walk<'a> {
    way: &'a [NodeStep],
}

/// The error that says "here": only its place is looked at.
fn found<E: de::Error>() -> E {
    E::custom("found")
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Scalars are always the end of the way; a way that leads on through one does not exist and names the scalar.
impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a node on the way")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(found())
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Err(found())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Err(found())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Err(found())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Err(found())
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        Err(found())
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        Err(found())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Err(found())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(found())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let [NodeStep::Item(wanted), rest @ ..] = self.way else { return Err(found()) };
        for _ in 0..*wanted {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Walk { way: rest })?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (wanted, rest) = match self.way {
            [NodeStep::Key(wanted) | NodeStep::Value(wanted), rest @ ..] => (*wanted, rest),
            _ => return Err(found()),
        };
        for _ in 0..wanted {
            entries.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if matches!(self.way[0], NodeStep::Key(_)) {
            entries.next_key_seed(Walk { way: &[] })?;
        } else if entries.next_key::<IgnoredAny>()?.is_some() {
            entries.next_value_seed(Walk { way: rest })?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(found())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn duplicate_keys_stay_in_the_tree() {
        let one = Node::Map(vec![
            (Node::Text("a".into()), Node::Integer(1)),
            (Node::Text("a".into()), Node::List(vec![Node::Null, Node::Boolean(true), Node::Float(1.5)])),
        ]);
        assert_eq!(parse("a: 1\na: [~, true, 1.5]\n"), Ok(one));
    }

    #[test]
    fn every_node_has_a_place_keys_and_duplicates_included() {
        let text = "a: 1\nb:\n  - x\n  - {c: y, c: z}\n";
        assert_eq!(locate(text, &[]), Some(at(1, 1)));
        assert_eq!(locate(text, &[NodeStep::Key(0)]), Some(at(1, 1)));
        assert_eq!(locate(text, &[NodeStep::Value(0)]), Some(at(1, 4)));
        assert_eq!(locate(text, &[NodeStep::Key(1)]), Some(at(2, 1)));
        assert_eq!(locate(text, &[NodeStep::Value(1), NodeStep::Item(0)]), Some(at(3, 5)));
        assert_eq!(locate(text, &[NodeStep::Value(1), NodeStep::Item(1), NodeStep::Key(1)]), Some(at(4, 12)));
        assert_eq!(locate(text, &[NodeStep::Value(1), NodeStep::Item(1), NodeStep::Value(1)]), Some(at(4, 15)));
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        assert_eq!(locate("{ä: ö, ü: 1}", &[NodeStep::Value(1)]), Some(at(1, 11)));
    }

    #[test]
    fn a_way_that_leads_nowhere_has_no_place() {
        assert_eq!(locate("a: [1]\n", &[NodeStep::Value(0), NodeStep::Item(1)]), None);
        assert_eq!(locate("a: 1\n", &[NodeStep::Key(1)]), None);
    }

    #[test]
    fn a_value_behind_an_anchor_is_found_at_the_anchor() {
        let text = "a: &here {x: 1}\nb: *here\n";
        assert_eq!(locate(text, &[NodeStep::Value(1), NodeStep::Value(0)]), Some(at(1, 14)));
    }

    #[test]
    fn an_empty_text_is_null() {
        assert_eq!(parse(""), Ok(Node::Null));
        assert_eq!(parse("# nothing\n"), Ok(Node::Null));
    }

    #[test]
    fn a_tag_is_kept_as_one() {
        assert_eq!(parse("!secret x"), Ok(Node::Tagged("secret".into(), Box::new(Node::Text("x".into())))));
        assert_eq!(parse("!!str 5"), Ok(Node::Text("5".into())));
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let error = parse("a: 1\nb: [1,\n").unwrap_err();
        assert_eq!(error.at, Some(at(3, 1)));
        assert_eq!(error.what, "this is not YAML: did not find expected node content, while parsing a flow node");
    }

    #[test]
    fn a_second_document_is_refused_where_it_begins() {
        assert_eq!(parse("# c\n---\na: 1\n---\nb: 1\n").unwrap_err().at, Some(at(4, 1)));
        assert_eq!(parse("a: 1\n---\nb: 1\n").unwrap_err().at, Some(at(2, 1)));
    }
}
