//! The lines of a text, to show parts of them: each is found without reading those before it again.

use super::words::disturbs;
use super::yaml::Position;

/// The longest part of a line that is shown, in characters: a line of a terminal with the line number in front.
const LONGEST: usize = 100;

/// How many characters lie between two that are found at once. A file may be one line, and every mistake on it.
const STRIDE: usize = 64;

/// A text with the ways to its lines.
#[derive(Debug)]
pub(crate) struct Excerpts<'a> {
    lines: Vec<ExcerptLine<'a>>,
}

#[derive(Debug)]
struct ExcerptLine<'a> {
    text: &'a str,
    /// The first byte of every [`STRIDE`]th character, and how many characters there are.
    strides: Vec<usize>,
    length: usize,
}

impl<'a> ExcerptLine<'a> {
    fn of(text: &'a str) -> Self {
        let strides = text.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect();
        Self { text, strides, length: text.chars().count() }
    }

    /// Returns the text from this character on.
    fn behind(&self, character: usize) -> &'a str {
        let Some(byte) = self.strides.get(character / STRIDE) else { return "" };
        let near = &self.text[*byte..];
        near.char_indices().nth(character % STRIDE).map_or("", |(byte, _)| &near[byte..])
    }
}

impl<'a> Excerpts<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { lines: text.lines().map(ExcerptLine::of).collect() }
    }

    /// Returns the line with this number, from 1.
    pub(super) fn line(&self, number: usize) -> &'a str {
        self.lines.get(number - 1).map_or("", |line| line.text)
    }

    /// Returns the rest of the line from this place on.
    pub(super) fn behind(&self, at: Position) -> &'a str {
        self.lines.get(at.line - 1).map_or("", |line| line.behind(at.column - 1))
    }

    /// Cuts a long line around the caret and replaces what would disturb a terminal.
    ///
    /// Returns the text, and where in it the caret belongs.
    pub(super) fn around(&self, at: Position) -> (String, usize) {
        let Some(line) = self.lines.get(at.line - 1) else { return Default::default() };
        let caret = (at.column - 1).min(line.length);
        let safe = |text: &str| -> String {
            text.chars().take(LONGEST).map(|shown| if disturbs(shown) { ' ' } else { shown }).collect()
        };
        if line.length <= LONGEST {
            return (safe(line.text).trim_end().to_owned(), caret);
        }
        let from = caret.saturating_sub(LONGEST / 2).min(line.length - LONGEST);
        let before = if from > 0 { "…" } else { "" };
        let after = if from + LONGEST < line.length { "…" } else { "" };
        let part = safe(line.behind(from));
        (format!("{before}{part}{after}"), caret - from + before.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn around(text: &str, line: usize, column: usize) -> (String, usize) {
        Excerpts::of(text).around(Position { line, column })
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        for (before, behind) in [("a", "b"), ("ä", "ö")] {
            let line = format!("x\n{}X{}", before.repeat(200), behind.repeat(200));
            let (text, caret) = around(&line, 2, 201);
            assert_eq!(text, format!("…{}X{}…", before.repeat(50), behind.repeat(49)));
            assert_eq!(text.chars().nth(caret), Some('X'));
            assert_eq!(around(&line, 2, 1), (format!("{}…", before.repeat(100)), 0));
            assert_eq!(around(&line, 2, 402), (format!("…{}", behind.repeat(100)), 101));
        }
    }

    #[test]
    fn nothing_of_the_file_reaches_the_terminal_as_a_command() {
        assert_eq!(around("a\u{1b}[2J", 1, 2), ("a [2J".into(), 1));
    }

    #[test]
    fn a_place_that_is_not_there_shows_nothing() {
        assert_eq!(around("a\n", 7, 3), (String::new(), 0));
        assert_eq!(around("a\n", 1, 9), ("a".into(), 1));
    }
}
