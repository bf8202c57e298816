//! What could not be carried over: each with its place, a word why, and what to do by hand.
//!
//! A note shows no line of the source, as a mistake in an inventory of our own does: the lines of a foreign one hold
//! passwords.

use std::cell::OnceCell;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::inventory::places::Places;
use crate::inventory::yaml::Position;
use crate::inventory::yaml::{self, NodeWay};

/// The places that a note names before it only counts the others.
const NAMED_PLACES: usize = 8;

/// Something of the source that the inventory does not say, or says in another way.
///
/// `Display` is two lines: the places and what it is, then what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportNote {
    /// `hosts.ini:12:5` in a file, `deploy.nodes.web.sshOpts` in a flake. Never empty.
    pub places: Vec<String>,
    pub what: String,
    pub mend: String,
}

impl fmt::Display for ImportNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.places.len().min(NAMED_PLACES);
        write!(formatter, "{}", self.places[..named].join(", "))?;
        if self.places.len() > named {
            write!(formatter, " and {} more (-v names them)", self.places.len() - named)?;
        }
        write!(formatter, ": {}\n  {}", self.what, self.mend)
    }
}

impl ImportNote {
    /// With every place, however many there are.
    #[must_use]
    pub fn whole(&self) -> String {
        format!("{}: {}\n  {}", self.places.join(", "), self.what, self.mend)
    }
}

/// A place in the source, before it is turned into line and column.
///
/// Ordered as in the source, within one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SourcePlace {
    /// A file as a whole, by its number among the [`ImportNotes`]' files.
    File(usize),
    Line {
        file: usize,
        at: Position,
    },
    /// A node of a YAML file: its line is looked for only if there is something to say about it.
    Node {
        file: usize,
        way: NodeWay,
    },
    /// A path of attributes in a flake or hive.
    Attribute(String),
}

#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    text: String,
    /// Looked for once, and only if there is something to say about a node.
    places: OnceCell<Places>,
}

impl SourceFile {
    fn find(&self, way: &NodeWay) -> Option<Position> {
        let places = || yaml::parse(&self.text).map(|root| Places::of(&self.text, &root)).unwrap_or_default();
        self.places.get_or_init(places).find(way)
    }
}

/// Collects notes, and mistakes that make the whole source unreadable; knows the files they are about.
#[derive(Debug, Default)]
pub(super) struct ImportNotes {
    files: Vec<SourceFile>,
    listed: Vec<ImportNote>,
    mistakes: Vec<ImportNote>,
}

impl ImportNotes {
    /// Adds a file, and gives its number.
    pub(super) fn file(&mut self, path: &Path, text: String) -> usize {
        self.files.push(SourceFile { path: path.to_owned(), text, places: OnceCell::new() });
        self.files.len() - 1
    }

    pub(super) fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |file| &file.text)
    }

    /// Lists something; the same thing at another place goes to the note that is there already.
    pub(super) fn note(&mut self, place: &SourcePlace, what: impl Into<String>, mend: impl Into<String>) {
        let (what, mend, place) = (what.into(), mend.into(), self.name(place));
        match self.listed.iter_mut().find(|note| note.what == what && note.mend == mend) {
            Some(note) if note.places.contains(&place) => {}
            Some(note) => note.places.push(place),
            None => self.listed.push(ImportNote { places: vec![place], what, mend }),
        }
    }

    /// Something without which the source cannot be read.
    pub(super) fn mistake(&mut self, place: &SourcePlace, what: impl Into<String>, mend: impl Into<String>) {
        let note = ImportNote { places: vec![self.name(place)], what: what.into(), mend: mend.into() };
        if !self.mistakes.contains(&note) {
            self.mistakes.push(note);
        }
    }

    /// Takes out the mistakes that were found so far.
    pub(super) fn take_mistakes(&mut self) -> Vec<ImportNote> {
        std::mem::take(&mut self.mistakes)
    }

    pub(super) fn into_notes(self) -> Vec<ImportNote> {
        self.listed
    }

    fn name(&self, place: &SourcePlace) -> String {
        let (file, at) = match place {
            SourcePlace::Attribute(path) => return path.clone(),
            SourcePlace::File(file) => (*file, None),
            SourcePlace::Line { file, at } => (*file, Some(*at)),
            SourcePlace::Node { file, way } => (*file, self.files.get(*file).and_then(|file| file.find(way))),
        };
        let path = self.files.get(file).map(|file| file.path.display().to_string()).unwrap_or_default();
        at.map_or_else(|| path.clone(), |at| format!("{path}:{}:{}", at.line, at.column))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_same_thing_at_many_places_is_one_note() {
        let mut notes = ImportNotes::default();
        let file = notes.file(Path::new("hosts"), String::new());
        for line in 1..=10 {
            let place = SourcePlace::Line { file, at: Position { line, column: 1 } };
            notes.note(&place, "what", "mend");
            notes.note(&place, "what", "mend");
        }
        let notes = notes.into_notes();
        assert_eq!(notes.len(), 1);
        let places = "hosts:1:1, hosts:2:1, hosts:3:1, hosts:4:1, hosts:5:1, hosts:6:1, hosts:7:1, hosts:8:1";
        assert_eq!(notes[0].to_string(), format!("{places} and 2 more (-v names them): what\n  mend"));
        assert_eq!(notes[0].whole(), format!("{places}, hosts:9:1, hosts:10:1: what\n  mend"));
    }

    #[test]
    fn a_node_of_yaml_is_shown_by_its_line() {
        let mut notes = ImportNotes::default();
        let file = notes.file(Path::new("hosts.yml"), "all:\n  hosts: {a: }\n".into());
        notes.note(
            &SourcePlace::Node { file, way: vec![yaml::NodeStep::Value(0), yaml::NodeStep::Value(0)] },
            "what",
            "mend",
        );
        assert_eq!(notes.into_notes()[0].places, ["hosts.yml:2:10"]);
    }
}
