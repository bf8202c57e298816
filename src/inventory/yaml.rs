//! YAML as a tree that forgets nothing: duplicate keys stay, and a node is named by the way to it.
//!
//! The only user of `serde_yaml`. It knows nothing about inventories: what the tree means is read in
//! [`decode`](super::file::decode).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub(crate) fault: YamlFault,
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum YamlFault {
    /// The words of the parser.
    #[error("this is not YAML: {0}")]
    Syntax(String),
    #[error("lists and maps stand more than {most} deep in each other")]
    TooDeep { most: usize },
    #[error("the aliases repeat more than {most} values, or each other too often")]
    TooManyAliases { most: usize },
    #[error("a second YAML document begins here")]
    SecondDocument,
}

/// At more levels `serde_yaml` gives up. No inventory has ten.
const DEEPEST: usize = 128;

/// Above this the parser is not asked at all: its time grows with the square of the depth of `[` and `{`.
const HOPELESS: usize = 1000;

/// How many nodes the aliases of a file may repeat, all together. Nine lists of ten aliases, each of the list before,
/// would be a billion.
const MOST_REPEATED: usize = 100_000;

/// The words of `serde_yaml` for too many aliases. It counts them in its own way, and does not tell the place.
const REPEATED: &str = "repetition limit exceeded";

/// Reads a text as one YAML document; an empty text is [`Node::Null`].
///
/// # Errors
/// [`SyntaxError`] with the first mistake: YAML cannot be read on behind it.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    if let Some(at) = hopelessly_deep(text) {
        return Err(too_deep(Some(at)));
    }
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else { return Ok(Node::Null) };
    // Without aliases no text has more nodes than characters.
    let left = Cell::new(text.len() + MOST_REPEATED);
    let root = NodeReader { left: &left }.deserialize(first).map_err(|error| syntax_error(&error))?;
    match documents.next() {
        None => Ok(root),
        Some(_) => Err(SyntaxError { at: second_document(text), fault: YamlFault::SecondDocument }),
    }
}

/// Returns where lists and maps in brackets get too deep, in a text that nobody has written by hand.
fn hopelessly_deep(text: &str) -> Option<Position> {
    let (mut depth, mut too_deep) = (0_usize, None);
    for (number, line) in text.lines().enumerate() {
        for (column, letter) in line.chars().enumerate() {
            match letter {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => continue,
            }
            if depth == DEEPEST + 1 && letter != ']' && letter != '}' {
                too_deep = Some(Position { line: number + 1, column: column + 1 });
            }
            if depth > HOPELESS {
                return too_deep;
            }
        }
    }
    None
}

fn too_deep(at: Option<Position>) -> SyntaxError {
    SyntaxError { at, fault: YamlFault::TooDeep { most: DEEPEST } }
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position { line: location.line(), column: location.column() })
}

/// The libyaml message without the place, which is printed in front of it, and with the place of its context kept.
fn syntax_error(error: &serde_yaml::Error) -> SyntaxError {
    let at = position(error);
    let mut what = error.to_string();
    if what.contains("recursion limit exceeded") {
        return too_deep(at);
    }
    if what.contains(REPEATED) {
        let fault = YamlFault::TooManyAliases { most: MOST_REPEATED };
        return SyntaxError { at, fault };
    }
    if let Some(at) = at {
        what = what.replacen(&format!(" at line {} column {}", at.line, at.column), "", 1);
    }
    SyntaxError { at, fault: YamlFault::Syntax(what) }
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

/// Reads nodes until there are too many.
#[derive(Debug, Clone, Copy)]
struct NodeReader<'a> {
    /// How many nodes there may still be.
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for NodeReader<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.left.set(self.left.get().checked_sub(1).ok_or_else(|| D::Error::custom(REPEATED))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeReader<'_> {
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
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry_seed(self, self)? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (tag, content) = tagged.variant::<String>()?;
        Ok(Node::Tagged(tag, Box::new(content.newtype_variant_seed(self)?)))
    }
}

#[cfg(test)]
mod tests;
