//! A log of the record on a terminal.

use crate::ui::paint::{Tone, paint};
use crate::ui::sanitise;

/// What stands above the log of one host among others.
#[must_use]
pub fn heading(name: &str, colour: bool) -> String {
    paint(colour, Tone::Strong, &format!("== {}", sanitise::line(name))) + "\n"
}

/// The log as text for a terminal. The record has control characters written out (`\u{1b}[1m`), so that nothing of them
/// is lost; here they are what they were, and go.
#[must_use]
pub fn render(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    for line in log.lines() {
        out += &sanitise::line(&read_back(line));
        out += "\n";
    }
    out
}

/// Undoes [`char::escape_default`] of a control character.
#[must_use]
pub fn read_back(line: &str) -> String {
    const OPEN: &str = "\\u{";
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once(OPEN) {
        out += before;
        let control = behind.split_once('}').and_then(|(digits, behind)| {
            let character = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
            character.is_control().then_some((character, behind))
        });
        if let Some((character, behind)) = control {
            out.push(character);
            rest = behind;
        } else {
            out += OPEN;
            rest = behind;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_of_a_host_are_gone_and_its_words_stay() {
        assert_eq!(render("at test| \\u{1b}[31merror:\\u{1b}[0m no\nnext\n"), "at test| error: no\nnext\n");
        assert_eq!(render("\\u{41} \\u{} \\u{1b \\u{110000}"), "\\u{41} \\u{} \\u{1b \\u{110000}\n");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_comes_out(log in "(?s)(\\\\u\\{[0-9a-f]{1,3}\\}|\\[|.){0,40}") {
            prop_assert!(!render(&log).chars().any(|character| character.is_control() && character != '\n'));
        }
    }
}
