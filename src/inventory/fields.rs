//! Reading a tree without stopping at the first mistake: values that know their place, and one heap of mistakes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::model::Size;
use super::problem::Mistake;
use super::scalar;
use super::words::nearest;
use super::wrong::{FoundType, KeyMend, TypeMend, Wrong};
use super::yaml::{Node, NodeStep, NodeWay};

/// A value of the file with its place, for a mistake that is only seen later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) way: NodeWay,
}

/// Where mistakes and warnings are collected.
#[derive(Debug, Default)]
pub(super) struct Heap {
    mistakes: RefCell<Vec<Mistake>>,
    known: RefCell<HashSet<Mistake>>,
    /// The ways to all mistakes, in their order: those below a place follow it.
    ways: RefCell<BTreeSet<NodeWay>>,
    warnings: RefCell<Vec<Mistake>>,
    /// How many names have been compared to find one that was meant.
    compared: Cell<usize>,
}

/// How many names are compared, all together, to find what was meant: every slip looks at every name, and a file with
/// thousands of both would keep a person waiting for a word on the last of them.
const MOST_COMPARED: usize = 100_000;

impl Heap {
    /// Adds a mistake; the same one at the same place counts once.
    pub(super) fn wrong(&self, way: &NodeWay, wrong: Wrong) {
        self.add(Mistake { way: way.clone(), wrong, earlier: None });
    }

    pub(super) fn twice(&self, way: &NodeWay, earlier: &NodeWay, wrong: Wrong) {
        self.add(Mistake { way: way.clone(), wrong, earlier: Some(earlier.clone()) });
    }

    pub(super) fn warn(&self, way: &NodeWay, wrong: Wrong) {
        self.warnings.borrow_mut().push(Mistake { way: way.clone(), wrong, earlier: None });
    }

    /// Counts that a slip looks at this many names, and returns whether there is still time for it.
    pub(super) fn has_time_for(&self, names: usize) -> bool {
        let compared = self.compared.get() + names;
        self.compared.set(compared);
        compared <= MOST_COMPARED
    }

    /// Returns the name that was probably meant.
    pub(super) fn nearest<'b>(&self, word: &str, names: impl Iterator<Item = &'b str> + Clone) -> Option<&'b str> {
        if self.has_time_for(names.clone().count()) { nearest(word, names) } else { None }
    }

    /// Whether something at or below this place could not be read, so that nothing can be said of what is missing
    /// there.
    pub(super) fn is_wrong_below(&self, way: &NodeWay) -> bool {
        self.ways.borrow().range(way.clone()..).next().is_some_and(|mistake| mistake.starts_with(way))
    }

    pub(super) fn into_mistakes_and_warnings(self) -> (Vec<Mistake>, Vec<Mistake>) {
        (self.mistakes.into_inner(), self.warnings.into_inner())
    }

    fn add(&self, mistake: Mistake) {
        if self.known.borrow_mut().insert(mistake.clone()) {
            self.ways.borrow_mut().insert(mistake.way.clone());
            self.mistakes.borrow_mut().push(mistake);
        }
    }
}

/// A node, the way to it, and the heap for what is wrong with it.
#[derive(Debug, Clone)]
pub(super) struct FieldValue<'a> {
    node: &'a Node,
    way: NodeWay,
    heap: &'a Heap,
}

impl<'a> FieldValue<'a> {
    pub(super) fn root(node: &'a Node, heap: &'a Heap) -> Self {
        Self { node, way: NodeWay::new(), heap }
    }

    pub(super) fn at<T>(&self, value: T) -> At<T> {
        At { value, way: self.way.clone() }
    }

    pub(super) fn wrong(&self, wrong: Wrong) {
        self.heap.wrong(&self.way, wrong);
    }

    pub(super) fn wrong_at(&self, way: &NodeWay, wrong: Wrong) {
        self.heap.wrong(way, wrong);
    }

    pub(super) fn as_text(&self) -> Option<&'a str> {
        if let Node::Text(text) = self.node { Some(text) } else { None }
    }

    pub(super) fn is_null(&self) -> bool {
        *self.node == Node::Null
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node, Node::List(_))
    }

    fn child(&self, node: &'a Node, step: NodeStep) -> Self {
        let mut way = self.way.clone();
        way.push(step);
        Self { node, way, heap: self.heap }
    }

    /// Says that something else was wanted here. An empty value has no text to point at: its key is pointed at.
    fn wanted(&self, wanted: &'static str, mend: TypeMend) {
        let found = match self.node {
            Node::Null => FoundType::Nothing,
            Node::Boolean(_) => FoundType::Boolean,
            Node::Integer(_) => FoundType::Number,
            Node::Float(_) => FoundType::Fraction,
            Node::Text(_) => FoundType::Text,
            Node::List(_) => FoundType::List,
            Node::Map(_) => FoundType::Map,
            Node::Tagged(tag, _) => FoundType::Tagged(tag.clone()),
        };
        let mut way = self.way.clone();
        if let (Node::Null, Some(NodeStep::Value(number))) = (self.node, way.last().copied()) {
            way.pop();
            way.push(NodeStep::Key(number));
        }
        self.heap.wrong(&way, Wrong::WrongType { found, wanted, mend });
    }

    /// A text as it stands.
    pub(super) fn text(&self) -> Option<&'a str> {
        let mend = match self.node {
            Node::Text(text) => return Some(text),
            Node::Integer(number) => TypeMend::InQuotes(Some(number.to_string())),
            Node::Boolean(_) | Node::Float(_) => TypeMend::InQuotes(None),
            Node::Map(_) => TypeMend::TextLikeAMap,
            Node::Null | Node::List(_) | Node::Tagged(..) => TypeMend::None,
        };
        self.wanted("a text", mend);
        None
    }

    /// A text that follows a rule of [`scalar`].
    pub(super) fn parse<T>(&self, rule: impl Fn(&str) -> Result<T, Wrong>) -> Option<At<T>> {
        let text = self.text()?;
        rule(text).map_err(|wrong| self.wrong(wrong)).ok().map(|value| self.at(value))
    }

    /// A whole number that follows a rule of [`scalar`].
    pub(super) fn number<T>(&self, rule: impl Fn(i128) -> Result<T, Wrong>) -> Option<At<T>> {
        let mend = match self.node {
            Node::Integer(number) => {
                return rule(*number).map_err(|wrong| self.wrong(wrong)).ok().map(|value| self.at(value));
            }
            // As a number is written: YAML takes `0022` for a text.
            Node::Text(text) => {
                text.parse::<u32>().map_or(TypeMend::None, |number| TypeMend::WithoutQuotes(number.to_string()))
            }
            _ => TypeMend::None,
        };
        self.wanted("a whole number", mend);
        None
    }

    /// The size of a wave, or, where no list stands around it, several with commas between.
    pub(super) fn sizes(&self) -> Option<Vec<Size>> {
        let sizes = match self.node {
            Node::Integer(number) => scalar::waves(&number.to_string()),
            Node::Text(text) => scalar::waves(text),
            _ => {
                self.wanted("the size of a wave", TypeMend::WaveSize);
                return None;
            }
        };
        sizes.map_err(|wrong| self.wrong(wrong)).ok()
    }

    pub(super) fn boolean(&self) -> Option<At<bool>> {
        match self.node {
            Node::Boolean(value) => Some(self.at(*value)),
            Node::Text(text) => {
                let meant = match text.to_lowercase().as_str() {
                    "yes" | "on" | "y" => TypeMend::Word("true"),
                    "no" | "off" | "n" => TypeMend::Word("false"),
                    _ => TypeMend::None,
                };
                self.wanted("`true` or `false`", meant);
                None
            }
            _ => {
                self.wanted("`true` or `false`", TypeMend::None);
                None
            }
        }
    }

    pub(super) fn duration(&self) -> Option<At<Duration>> {
        self.time(scalar::duration)
    }

    /// A time that may be zero, for none.
    pub(super) fn duration_or_none(&self) -> Option<At<Duration>> {
        self.time(scalar::duration_or_none)
    }

    fn time(&self, rule: fn(&str) -> Result<Duration, Wrong>) -> Option<At<Duration>> {
        match self.node {
            Node::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.wrong(Wrong::DurationWithoutUnit { number: text.clone() });
                None
            }
            Node::Text(_) => self.parse(rule),
            Node::Integer(number) if *number >= 0 => {
                self.wrong(Wrong::DurationWithoutUnit { number: number.to_string() });
                None
            }
            _ => {
                self.wanted("a time", TypeMend::Duration);
                None
            }
        }
    }

    pub(super) fn list(&self) -> Option<Vec<FieldValue<'a>>> {
        if let Node::List(items) = self.node {
            return Some(
                items.iter().enumerate().map(|(number, item)| self.child(item, NodeStep::Item(number))).collect(),
            );
        }
        let mend = match self.node {
            Node::Text(text) => TypeMend::InBrackets(text.clone()),
            _ => TypeMend::None,
        };
        self.wanted("a list", mend);
        None
    }

    /// A list, or a single value for a list of one.
    pub(super) fn one_or_many(&self) -> Option<Vec<FieldValue<'a>>> {
        match self.node {
            Node::List(_) => self.list(),
            Node::Text(_) => Some(vec![self.clone()]),
            _ => {
                self.wanted("a text or a list of texts", TypeMend::None);
                None
            }
        }
    }

    /// The entries of a map, each key once; `thing` says what a key names.
    pub(super) fn entries(&self, thing: &str) -> Option<Vec<(At<&'a str>, FieldValue<'a>)>> {
        let Node::Map(pairs) = self.node else {
            self.wanted("a map (lines of `key: value`)", TypeMend::None);
            return None;
        };
        let mut entries: Vec<(At<&str>, FieldValue<'_>)> = Vec::new();
        let mut firsts: HashMap<&str, NodeWay> = HashMap::new();
        for (number, (key, value)) in pairs.iter().enumerate() {
            let key = self.child(key, NodeStep::Key(number));
            let Some(text) = key.text() else { continue };
            if let Some(first) = firsts.get(text) {
                let wrong = Wrong::DuplicateKey { thing: thing.to_owned(), key: text.to_owned() };
                self.heap.twice(&key.way, first, wrong);
                continue;
            }
            firsts.insert(text, key.way.clone());
            entries.push((key.at(text), self.child(value, NodeStep::Value(number))));
        }
        Some(entries)
    }

    /// The entries of a map whose keys are ours. Ends with [`Fields::finish`].
    pub(super) fn fields(&self) -> Option<Fields<'a>> {
        let entries = self.entries("key")?;
        Some(Fields { way: self.way.clone(), heap: self.heap, entries, asked: Vec::new() })
    }
}

/// A map whose keys are ours. What was not asked for is unknown, so the keys are written down only once: where they are
/// read.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) way: NodeWay,
    heap: &'a Heap,
    entries: Vec<(At<&'a str>, FieldValue<'a>)>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<FieldValue<'a>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entries.iter().find(|(known, _)| known.value == key).map(|(_, value)| value.clone())
    }

    /// Reads the value of a key, if it is there. The name may be one that Rust keeps for itself: `r#become`.
    pub(super) fn read<T>(&mut self, key: &'static str, read: impl FnOnce(&FieldValue<'a>) -> Option<T>) -> Option<T> {
        self.take(key.trim_start_matches("r#")).and_then(|value| read(&value))
    }

    /// Says that something is wrong with the map as a whole.
    pub(super) fn wrong(&self, wrong: Wrong) {
        self.heap.wrong(&self.way, wrong);
    }

    /// Refuses every key that was not asked for; `elsewhere` knows keys that belong to other maps.
    pub(super) fn finish(self, elsewhere: impl Fn(&str) -> Option<&'static str>) {
        for (key, _) in &self.entries {
            if self.asked.contains(&key.value) {
                continue;
            }
            let mend = if key.value == "<<" {
                KeyMend::Merge
            } else if let Some(place) = elsewhere(key.value) {
                KeyMend::Elsewhere(place)
            } else if let Some(near) = nearest(key.value, self.asked.iter().copied()) {
                KeyMend::Near(near.to_owned())
            } else {
                KeyMend::Known(self.asked.clone())
            };
            self.heap.wrong(&key.way, Wrong::UnknownKey { key: key.value.to_owned(), mend });
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::yaml;
    use super::*;

    /// Reads `x` out of the text and returns what was said about it.
    fn said<T>(text: &str, read: impl Fn(&FieldValue<'_>) -> Option<T>) -> Vec<(String, Option<String>)> {
        let (node, heap) = (yaml::parse(text).unwrap(), Heap::default());
        assert!(read(&FieldValue::root(&node, &heap)).is_none(), "{text:?} was read");
        heap.into_mistakes_and_warnings()
            .0
            .into_iter()
            .map(|mistake| (mistake.wrong.what(), mistake.wrong.mend()))
            .collect()
    }

    #[test]
    fn a_wrong_type_says_what_is_there_and_what_is_wanted() {
        let one = |what: &str, mend: Option<&str>| vec![(what.to_owned(), mend.map(Into::into))];
        assert_eq!(
            said("5", |value| value.text().map(drop)),
            one("this is a number, but a text is wanted", Some("write it in quotes: `\"5\"`"))
        );
        assert_eq!(
            said("'22'", |value| value.number(scalar::port)),
            one("this is a text, but a whole number is wanted", Some("write it without quotes: `22`"))
        );
        assert_eq!(
            said("0022", |value| value.number(scalar::port)),
            one("this is a text, but a whole number is wanted", Some("write it without quotes: `22`"))
        );
        assert_eq!(
            said("yes", |value| value.boolean().map(drop)),
            one("this is a text, but `true` or `false` is wanted", Some("write `true`"))
        );
        assert_eq!(
            said("15", |value| value.duration().map(drop)),
            one("the time `15` has no unit", Some("write `15m` for minutes or `15s` for seconds"))
        );
        assert_eq!(
            said("edge", |value| value.list().map(drop)),
            one("this is a text, but a list is wanted", Some("write it in brackets: `[edge]`"))
        );
        assert_eq!(
            said("22.5", |value| value.number(scalar::port)),
            one("this is a number with a fraction, but a whole number is wanted", None)
        );
        assert_eq!(
            said("!x a", |value| value.text().map(drop)),
            one("this has the YAML tag `!x`, but a text is wanted", None)
        );
    }

    #[test]
    fn an_empty_value_is_shown_at_its_key() {
        let (node, heap) = (yaml::parse("a:\n\n\nb: 1\n").unwrap(), Heap::default());
        let entries = FieldValue::root(&node, &heap).entries("key").unwrap();
        assert!(entries[0].1.text().is_none());
        assert_eq!(heap.into_mistakes_and_warnings().0[0].way, [NodeStep::Key(0)]);
    }

    #[test]
    fn unknown_keys_are_refused_and_the_meant_one_offered() {
        let (node, heap) = (yaml::parse("usr: x\nuser: y\nguard: z\n").unwrap(), Heap::default());
        let mut fields = FieldValue::root(&node, &heap).fields().unwrap();
        assert!(fields.take("user").is_some());
        assert!(fields.take("port").is_none());
        fields.finish(|_| None);
        let said: Vec<_> = heap.into_mistakes_and_warnings().0.into_iter().map(|mistake| mistake.wrong).collect();
        assert_eq!(
            said,
            [
                Wrong::UnknownKey { key: "usr".into(), mend: KeyMend::Near("user".into()) },
                Wrong::UnknownKey { key: "guard".into(), mend: KeyMend::Known(vec!["user", "port"]) },
            ]
        );
    }
}
