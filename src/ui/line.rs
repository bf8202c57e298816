//! One line of the live screen: pieces of text with their tones, cut to a width.

use unicode_width::UnicodeWidthChar;

use crate::ui::paint::{Tone, paint};

/// Pieces of one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Strip {
    pieces: Vec<(Option<Tone>, String)>,
    width: usize,
}

impl Strip {
    pub(crate) fn push(&mut self, tone: Option<Tone>, text: impl Into<String>) -> &mut Self {
        let text = text.into();
        self.width += width(&text);
        self.pieces.push((tone, text));
        self
    }

    /// Columns on a terminal.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Blanks up to this column; at least one, if there is anything before it.
    pub(crate) fn pad_to(&mut self, column: usize) -> &mut Self {
        let blanks = column.saturating_sub(self.width).max(usize::from(self.width > 0));
        self.push(None, " ".repeat(blanks))
    }

    /// With colour or without; what is beyond `columns` is left out, and marked by `~`.
    pub(crate) fn paint(&self, colour: bool, columns: usize) -> String {
        let mut out = String::new();
        let mut left = columns;
        for (tone, text) in &self.pieces {
            let fits = width(text) <= left;
            let cut = if fits { text.clone() } else { cut(text, left) };
            left = left.saturating_sub(width(&cut));
            out += &tone.map_or_else(|| cut.clone(), |tone| paint(colour, tone, &cut));
            if !fits {
                break;
            }
        }
        out
    }
}

/// `text` with at most this many columns; `~` as the last one if anything was cut.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let mut out = String::new();
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        out.push(character);
    }
    if columns > 0 {
        out.push('~');
    }
    out
}

/// `text` with at most this many columns, cut between two words where there are several, and marked by `~`.
pub(crate) fn cut_between_words(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let fits = |end: &usize| width(&text[..*end]) < columns;
    match text.match_indices(' ').map(|(at, _)| at).rfind(fits) {
        Some(end) if end > 0 => format!("{}~", text[..end].trim_end_matches([',', ';', ':', ' '])),
        _ => cut(text, columns),
    }
}

/// The longest of several ways to say it that fits; if none does, the shortest, cut.
pub(crate) fn fitting(ways: &[String], columns: usize) -> String {
    let fits = ways.iter().find(|text| width(text) <= columns);
    fits.cloned().unwrap_or_else(|| ways.last().map_or_else(String::new, |text| cut_between_words(text, columns)))
}

/// Columns on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// Words put on lines of at most this many columns; a word that is longer stands alone, and is cut.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, columns)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_by_columns_not_by_letters() {
        assert_eq!(cut("homeserver", 10), "homeserver");
        assert_eq!(cut("homeserver", 5), "home~");
        assert_eq!(cut("東京都", 4), "東~");
        assert_eq!(cut("東京都", 5), "東京~");
        assert_eq!(cut("vps", 0), "");
    }

    #[test]
    fn a_cut_line_keeps_its_tones_and_ends_there() {
        let mut strip = Strip::default();
        strip.push(Some(Tone::Good), "vps").pad_to(6).push(None, "activating").push(None, "more");
        assert_eq!(strip.width(), 20);
        assert_eq!(strip.paint(false, 80), "vps   activatingmore");
        assert_eq!(strip.paint(false, 10), "vps   act~");
        assert_eq!(strip.paint(true, 10), "\u{1b}[32mvps\u{1b}[0m   act~");
    }

    #[test]
    fn what_is_said_is_said_as_well_as_there_is_room_for_and_no_word_is_broken() {
        let ways = ["its guard brings it back by a reboot".to_owned(), "its guard brings it back".to_owned()];
        assert_eq!(
            [40, 30, 20, 4, 0].map(|room| fitting(&ways, room)),
            ["its guard brings it back by a reboot", "its guard brings it back", "its guard brings it~", "its~", "",]
        );
        assert_eq!(cut_between_words("homeserver", 5), "home~");
        assert_eq!(cut_between_words("waits for vps, web", 16), "waits for vps~");
        assert_eq!(fitting(&[], 5), "");
    }

    #[test]
    fn words_are_wrapped_and_none_is_lost() {
        assert_eq!(wrap("every host goes back", 10), ["every host", "goes back"]);
        assert_eq!(wrap("a homeserver", 5), ["a", "home~"]);
        assert_eq!(wrap("", 5), Vec::<String>::new());
    }
}
