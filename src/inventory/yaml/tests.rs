//! The tree and the places of what one parser reads are those of the other.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde::de::{self, IgnoredAny};

use super::super::places::Places;
use super::*;

#[test]
fn duplicate_keys_stay_in_the_tree() {
    let one = Node::Map(vec![
        (Node::Text("a".into()), Node::Integer(1)),
        (Node::Text("a".into()), Node::List(vec![Node::Null, Node::Boolean(true), Node::Float(1.5)])),
    ]);
    assert_eq!(parse("a: 1\na: [~, true, 1.5]\n"), Ok(one));
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
    assert_eq!(error.at, Some(Position { line: 3, column: 1 }));
    assert_eq!(
        error.fault.to_string(),
        "this is not YAML: did not find expected node content, while parsing a flow node"
    );
}

#[test]
fn a_second_document_is_refused_where_it_begins() {
    assert_eq!(parse("# c\n---\na: 1\n---\nb: 1\n").unwrap_err().at, Some(Position { line: 4, column: 1 }));
    assert_eq!(parse("a: 1\n---\nb: 1\n").unwrap_err().at, Some(Position { line: 2, column: 1 }));
}

#[test]
fn a_text_that_is_nested_deeply_is_refused_where_it_gets_too_deep() {
    let refused = |text: &str| parse(text).map_err(|error| (error.at.unwrap(), error.fault.to_string())).unwrap_err();
    let at =
        |line, column| (Position { line, column }, "lists and maps stand more than 128 deep in each other".to_owned());
    assert!(parse(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
    assert_eq!(refused(&format!("{}{}", "[".repeat(129), "]".repeat(129))), at(1, 129));
    assert_eq!(refused(&"[".repeat(100_000)), at(1, 129));
    assert_eq!(refused(&format!("hosts:\n  {}", "{a: ".repeat(25_000))), at(2, 2 + 4 * 128 + 1));
    let block = (0..300).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>();
    assert_eq!(refused(&block), at(129, 129));
    assert_eq!(refused("a: &a [*a]\n").1, at(1, 1).1);
}

#[test]
fn aliases_do_not_blow_a_text_up() {
    let refused = |text: &str| {
        let error = parse(text).unwrap_err();
        assert_eq!(error.fault, YamlFault::TooManyAliases { most: 100_000 });
        error.at
    };
    let levels: Vec<String> = (1..10)
        .map(|level| format!("x{level}: &x{level} [{}]\n", vec![format!("*x{}", level - 1); 10].join(", ")))
        .collect();
    let laughs = levels.concat();
    // `serde_yaml` itself refuses it, and tells no place.
    assert_eq!(refused(&format!("x0: &x0 ha\n{laughs}")), None);
    // One long list that many aliases repeat needs no levels.
    let wide = format!("a: &a [{}]\nb: [{}]\n", vec!["x"; 1000].join(","), vec!["*a"; 1000].join(","));
    assert!(refused(&wide).is_some());
    assert!(parse("a: &a {b: 1}\nb: *a\nc: [*a, *a]\n").is_ok());
}

/// The ways to all nodes of the tree. What is in a tag is no node of its own to us.
fn ways(node: &Node, way: &NodeWay, found: &mut Vec<NodeWay>) {
    found.push(way.clone());
    let below = |step| [way.as_slice(), &[step]].concat();
    match node {
        Node::List(items) => {
            for (number, item) in items.iter().enumerate() {
                ways(item, &below(NodeStep::Item(number)), found);
            }
        }
        Node::Map(entries) => {
            for (number, (_, value)) in entries.iter().enumerate() {
                // A key that is a map has no keys of ours in it.
                found.push(below(NodeStep::Key(number)));
                ways(value, &below(NodeStep::Value(number)), found);
            }
        }
        _ => {}
    }
}

/// The ways of the tree, each with its place.
fn places(text: &str) -> Vec<(NodeWay, Option<Position>)> {
    let Ok(root) = parse(text) else { return Vec::new() };
    let places = Places::of(text, &root);
    let mut all = Vec::new();
    ways(&root, &NodeWay::new(), &mut all);
    all.into_iter().map(|way| (way.clone(), places.find(&way))).collect()
}

#[test]
fn the_places_are_those_at_which_the_reader_fails() {
    for text in [
        include_str!("../../../inventory.example.yaml"),
        "a: &here\n  - x\nb: *here\n? {c: d}\n: &e text\n",
        "a: 1\r\nb:\r\n- !!str x\r\n- \"\u{e4}\" \r\n- !x {y: z}\n",
        "- - - a\n  -\n-\n- {a, b: c, d}\n- [d: e, f]\n- 'g\n  h'\n- i\n  j\n",
    ] {
        for (way, place) in places(text) {
            assert_eq!(place, failed_at(text, &way), "{way:?} in {text:?}");
        }
    }
}

proptest! {
    /// The two parsers do not take each other for granted.
    #[test]
    fn no_text_makes_the_search_for_places_panic_or_leave_the_text(
        text in any::<String>(),
        yamlish in "([a-z]{1,2}|- |: |, |\\[|\\]|\\{|\\}|\n|\n  |\n    |&a |\\*a |'|\"|#|\\||>|!x |\r\n|\u{e4}){0,40}",
    ) {
        for text in [text, yamlish] {
            for (way, place) in places(&text) {
                let breaks = text.chars().filter(|one| "\r\n".contains(*one)).count();
                let fits = place.is_none_or(|at| at.line <= breaks + 2);
                prop_assert!(fits, "{way:?} in {text:?} at {place:?}");
            }
        }
    }
}

/// Where the reader fails if it is made to fail at the node: the one way in which `serde_yaml` tells a place. The text
/// is read from its beginning for each.
fn failed_at(text: &str, way: &[NodeStep]) -> Option<Position> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    Walk { way }.deserialize(document).err().as_ref().and_then(position)
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
