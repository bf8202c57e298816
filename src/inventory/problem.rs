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
}
