//! A mistake in the inventory, as a person wants to see it: where, the text there, what is wrong, how to mend it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::excerpt::Excerpts;
use super::places::Places;
use super::wrong::Wrong;
use super::yaml::{NodeWay, Position};

/// One mistake in one file, or one thing that is worth a warning.
///
/// `Display` is several lines: place and mistake, the text with a caret below it, the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// `None`: the file as a whole.
    pub at: Option<Position>,
    /// The text of the line, safe to print.
    pub text: String,
    /// Where in `text` the caret belongs, from 0.
    pub caret: usize,
    pub wrong: Wrong,
    /// For a thing that is there twice: the line of the first one.
    pub first_line: Option<usize>,
}

/// How many mistakes a person is shown: to mend more of them at once is no work by hand.
const MOST_SHOWN: usize = 50;

/// All mistakes of a file at once, in the file's order; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    pub file: PathBuf,
    pub problems: Vec<Problem>,
}

/// Something wrong at the end of a way through the tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Mistake {
    pub(crate) way: NodeWay,
    pub(crate) wrong: Wrong,
    /// For a thing that is there twice: the first one.
    pub(crate) earlier: Option<NodeWay>,
}

impl Mistake {
    /// Finds the place in the text.
    pub(super) fn locate(self, file: &Path, excerpts: &Excerpts<'_>, places: &Places) -> Problem {
        let first_line = self.earlier.and_then(|way| places.find(&way)).map(|earlier| earlier.line);
        Problem { first_line, ..Problem::new(file, excerpts, places.find(&self.way), self.wrong) }
    }
}

impl Problem {
    pub(super) fn new(file: &Path, excerpts: &Excerpts<'_>, at: Option<Position>, wrong: Wrong) -> Self {
        let (text, caret) = at.map_or_else(Default::default, |at| excerpts.around(at));
        Self { file: file.to_owned(), at, text, caret, wrong, first_line: None }
    }

    /// Returns what is wrong, in a line.
    #[must_use]
    pub fn what(&self) -> String {
        let what = self.wrong.what();
        self.first_line.map_or_else(|| what.clone(), |line| format!("{what} (the first is on line {line})"))
    }

    /// Returns the mistake for a program.
    #[must_use]
    pub fn answer(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.file,
            "line": self.at.map(|at| at.line),
            "column": self.at.map(|at| at.column),
            "code": self.wrong.code(),
            "message": self.what(),
            "mend": self.wrong.mend(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        let Some(Position { line, column }) = self.at else {
            write!(formatter, ": {}", self.what())?;
            return self.wrong.mend().iter().try_for_each(|mend| write!(formatter, "\n  {mend}"));
        };
        writeln!(formatter, ":{line}:{column}: {}", self.what())?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(self.caret);
        write!(formatter, "  {number} | {}\n  {margin} | {indent}^", self.text)?;
        self.wrong.mend().iter().try_for_each(|mend| write!(formatter, "\n  {margin}   {mend}"))
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(formatter, "a mistake in the inventory {}", self.file.display())?,
            count => write!(formatter, "{count} mistakes in the inventory {}", self.file.display())?,
        }
        self.problems.iter().take(MOST_SHOWN).try_for_each(|problem| write!(formatter, "\n\n{problem}"))?;
        match self.problems.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(formatter, "\n\nand {more} more; `inventory check --json` tells all of them"),
        }
    }
}

/// The candidate that was probably meant: at most every third letter wrong, a swap counting once.
#[must_use]
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let allowed = (length / 3).clamp(1, 3).min(length / 2);
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        // One that is longer or shorter by more than that has as many letters wrong.
        .filter(|candidate| *candidate != word && candidate.chars().count().abs_diff(length) <= allowed)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A text of the file as it may stand in a message: control characters escaped, and not longer than a line bears.
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == LONGEST {
            shown.push('…');
            break;
        }
        if disturbs(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters, and the invisible ones that turn the direction of text or hide in it.
pub(crate) fn disturbs(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `a`, `a and b`, `a, b and c`; each in backquotes, and not more than a message bears.
#[must_use]
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 30;
    let mut quoted: Vec<String> = names.into_iter().map(|name| format!("`{}`", shown(name))).collect();
    if quoted.len() > MOST {
        let more = quoted.split_off(MOST - 1).len();
        quoted.push(format!("{more} more"));
    }
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::wrong::HostMend;
    use super::*;

    #[test]
    fn the_caret_stands_below_the_mistake() {
        let problem = Problem::new(
            Path::new("inventory.yaml"),
            &Excerpts::of("hosts:\n  vps:\n    jump: hoem\n"),
            Some(Position { line: 3, column: 11 }),
            Wrong::NoSuchHost { name: "hoem".into(), mend: HostMend::Near("home".into()) },
        );
        assert_eq!(
            problem.to_string(),
            "inventory.yaml:3:11: there is no host `hoem`\n  \
               3 |     jump: hoem\n    \
                 |           ^\n      \
                 did you mean `home`?"
        );
    }

    #[test]
    fn nothing_of_the_file_reaches_the_terminal_as_a_command() {
        assert_eq!(shown("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
    }

    #[test]
    fn only_a_near_word_is_offered() {
        assert_eq!(nearest("hoemserver", ["vps", "homeserver"]), Some("homeserver"));
        assert_eq!(nearest("Vps", ["vps"]), Some("vps"));
        assert_eq!(nearest("nas", ["vps", "homeserver"]), None);
        assert_eq!(nearest("x", ["a", "b"]), None);
    }

    #[test]
    fn names_are_listed_as_a_sentence_wants_them() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert!(listed(["a"; 500]).ends_with(", `a` and 471 more"));
    }
}
