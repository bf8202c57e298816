//! The inventory: hosts, fleets and checks, read from YAML and validated before anything is touched.
//!
//! Text becomes a tree ([`yaml`]), the tree the file's shape ([`mod@file`]), the shape a validated
//! [`Inventory`] ([`resolve`]). No stage stops at a mistake: all of them are shown at once, each with its place.
//! Nothing here asks the network, a host or Nix.

use std::path::{Path, PathBuf};

mod boot_loader;
mod checks;
mod defaults;
mod evaluation;
mod excerpt;
mod fields;
mod file;
pub mod find;
mod hook;
mod host_name;
mod jump;
mod layers;
pub mod model;
mod nix;
pub(crate) mod places;
pub(crate) mod problem;
mod resolve;
pub(crate) mod scalar;
mod schema;
mod select;
mod shapes;
mod units;
mod wave;
mod without;
mod wording;
pub(crate) mod words;
mod wrong;
pub(crate) mod yaml;

pub use model::{Inventory, Overrides};
pub use problem::{Mistakes, Problem};
pub use schema::schema;
pub use select::{FAILED, SelectError, asks_for_failed, select, select_of_run, union};
pub use without::{left_out, words_without};
pub(crate) use words::nearest;
pub use wrong::Wrong;
pub use yaml::Position;

use excerpt::Excerpts;
use fields::Heap;
use places::Places;
use problem::Mistake;
use wrong::YamlSlip;
use yaml::YamlFault;

/// An inventory, and what is worth a word about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub inventory: Inventory,
    /// In the file's order.
    pub warnings: Vec<Problem>,
}

/// Why an inventory could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the inventory {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

impl LoadError {
    /// Returns every mistake for a program, or `None` if the file could not be read at all.
    #[must_use]
    pub fn answer(&self) -> Option<serde_json::Value> {
        let Self::Mistakes(Mistakes { file, problems }) = self else { return None };
        let mistakes: Vec<_> = problems.iter().map(Problem::answer).collect();
        Some(serde_json::json!({ "inventory": file, "mistakes": mistakes }))
    }
}

impl Inventory {
    /// Reads and validates an inventory file.
    ///
    /// # Errors
    /// [`LoadError::Mistakes`] holds everything that is wrong with the file, not only the first thing.
    pub fn load(path: &Path) -> Result<Loaded, LoadError> {
        let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let folder = std::path::absolute(path).map_err(unreadable)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| not_text(path, error.as_bytes(), error.utf8_error().valid_up_to()))?;
        Ok(Self::parse(path, folder.parent().unwrap_or(Path::new("/")), &text)?)
    }

    /// Validates the text of an inventory. `path` is for messages, `folder` is where relative paths begin.
    ///
    /// # Errors
    /// [`Mistakes`], all at once.
    pub fn parse(path: &Path, folder: &Path, text: &str) -> Result<Loaded, Mistakes> {
        // An editor's byte order mark is no part of the file, and would shift the columns of its first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = yaml::parse(text).map_err(|error| not_yaml(path, text, error))?;
        let heap = Heap::default();
        let file = file::decode::file(&root, &heap);
        let inventory = resolve::inventory(&file, path, folder, &heap);
        let locate = |mistakes: Vec<Mistake>| -> Vec<Problem> {
            // A shell that completes a word reads the inventory, too: the text is looked through again only for words.
            if mistakes.is_empty() {
                return Vec::new();
            }
            let (excerpts, places) = (Excerpts::of(text), Places::of(text, &root));
            let located = mistakes.into_iter().map(|mistake| mistake.locate(path, &excerpts, &places));
            let mut problems: Vec<_> = located.collect();
            problems.sort_by_key(|problem| problem.at);
            problems
        };
        let (mistakes, warnings) = heap.into_mistakes_and_warnings();
        let problems = locate(mistakes);
        if problems.is_empty() {
            Ok(Loaded { inventory, warnings: locate(warnings) })
        } else {
            Err(Mistakes { file: path.to_owned(), problems })
        }
    }
}

/// A time as the inventory takes it, for the command line: one rule for both.
///
/// # Errors
/// What is wrong with it and how to mend it, on one line.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    scalar::duration(text).map_err(|wrong| in_words(&wrong))
}

/// The same, where `0s` is none.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn duration_or_none(text: &str) -> Result<std::time::Duration, String> {
    scalar::duration_or_none(text).map_err(|wrong| in_words(&wrong))
}

/// Reads `INPUT FLAKE` of a command line; a relative flake is relative to `folder`.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn override_input(input: &str, flake: &str, folder: &Path) -> Result<(String, String), String> {
    let read = || Ok((scalar::input(input)?, resolve::absolute_flake(&scalar::flake(flake)?, folder)));
    read().map_err(|wrong| in_words(&wrong))
}

/// Reads `NAME VALUE` of a command line: a setting of Nix.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn nix_option(name: &str, value: &str) -> Result<(String, String), String> {
    let read = || Ok((scalar::nix_setting(name)?, scalar::nix_value(value)?));
    read().map_err(|wrong| in_words(&wrong))
}

fn in_words(wrong: &Wrong) -> String {
    match wrong.mend() {
        Some(mend) => format!("{}; {mend}", wrong.what()),
        None => wrong.what(),
    }
}

/// A YAML mistake, with a word on those that our own patterns invite.
fn not_yaml(path: &Path, text: &str, error: yaml::SyntaxError) -> Mistakes {
    let excerpts = Excerpts::of(text);
    let line = error.at.map_or("", |at| excerpts.line(at.line));
    let rest = error.at.map_or("", |at| excerpts.behind(at));
    let indent = &line[..line.len() - line.trim_start().len()];
    let slip = match rest.chars().next() {
        _ if indent.contains('\t') => Some(YamlSlip::Tab),
        Some('@') => Some(YamlSlip::Tag),
        Some('*') => Some(YamlSlip::Glob),
        Some('%' | '`') => Some(YamlSlip::Text),
        _ => None,
    };
    let wrong = match error.fault {
        YamlFault::Syntax(message) => Wrong::NotYaml { message, slip },
        YamlFault::TooDeep { most } => Wrong::NestedTooDeep { most },
        YamlFault::TooManyAliases { most } => Wrong::TooManyAliases { most },
        YamlFault::SecondDocument => Wrong::SecondDocument,
    };
    let at = match wrong {
        Wrong::TooManyAliases { .. } => error.at.or_else(|| places::first_alias(text)),
        _ => error.at,
    };
    let problem = Problem::new(path, &excerpts, at, wrong);
    Mistakes { file: path.to_owned(), problems: vec![problem] }
}

fn not_text(path: &Path, bytes: &[u8], good: usize) -> Mistakes {
    let before = String::from_utf8_lossy(&bytes[..good]);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    let text = String::from_utf8_lossy(bytes);
    let at = Some(Position { line, column });
    let problem = Problem::new(path, &Excerpts::of(&text), at, Wrong::NotUtf8);
    Mistakes { file: path.to_owned(), problems: vec![problem] }
}
