//! Takes the power out of text that a host, nix or the inventory printed: no control sequence of theirs reaches the
//! terminal, where it could hide lines, change the title or answer questions.

/// Several lines: `\n` stays, every other way to end a line becomes one, control sequences go, tabs are one space.
///
/// Characters that change the direction of the text behind them are gone as well (Unicode TR 9), which can show a text
/// as another one. The result holds no control character but `\n`, and sanitising it again changes nothing.
#[must_use]
pub fn text(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    let mut rest = raw.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' => clean.push('\n'),
            '\t' => clean.push(' '),
            '\r' => {
                if rest.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\u{1b}' => match rest.next_if(|next| ('\u{20}'..='\u{7e}').contains(next)) {
                Some('[') => skip_control_sequence(&mut rest),
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut rest),
                // nF escapes, such as the choice of a character set: intermediates, then one final character.
                Some('\u{20}'..='\u{2f}') => {
                    while rest.next_if(|next| ('\u{20}'..='\u{2f}').contains(next)).is_some() {}
                    rest.next_if(|next| ('\u{30}'..='\u{7e}').contains(next));
                }
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            _ if steers_a_terminal(character) => {}
            _ => clean.push(character),
        }
    }
    clean
}

/// One line: what [`text`] leaves, its lines joined by a space.
#[must_use]
pub fn line(raw: &str) -> String {
    let clean = text(raw);
    if clean.contains('\n') {
        clean.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    } else {
        clean
    }
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// After `ESC [`: parameters and intermediates up to the final character. Source: ECMA-48, 5.4.
fn skip_control_sequence(rest: &mut Rest<'_>) {
    while rest.next_if(|next| ('\u{20}'..='\u{3f}').contains(next)).is_some() {}
    rest.next_if(|next| ('\u{40}'..='\u{7e}').contains(next));
}

/// After `ESC ]` and its like: up to BEL or ST, at most to the end of the line, so that one that never ends hides one
/// line and no more.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(character) = rest.next_if(|next| !matches!(next, '\n' | '\r')) {
        match character {
            '\u{07}' | '\u{9c}' => return,
            '\u{1b}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// A control character, of C1 too, or one that turns the direction of what follows.
pub(crate) fn steers_a_terminal(character: char) -> bool {
    character.is_control() || turns_direction(character)
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_sequences_go_and_the_words_stay() {
        for (raw, clean) in [
            ("plain äöü ✓", "plain äöü ✓"),
            ("\u{1b}[31;1merror:\u{1b}[0m no", "error: no"),
            ("\u{1b}]0;title\u{07}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9b}2Jgone", "gone"),
            ("\u{1b}(Bset", "set"),
            ("\u{1b}cfull reset", "full reset"),
            ("10%\r20%\r\ndone", "10%\n20%\ndone"),
            ("a\tb\u{8}\u{0}\u{7f}c", "a bc"),
            ("\u{1b}]0;never ends\nnext line", "\nnext line"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("\u{1b}[\u{1b}[31mred", "red"),
            ("\u{202e}txt.exe", "txt.exe"),
        ] {
            assert_eq!(text(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(line("first\r\n\n  second\u{1b}[K\n"), "first second");
        assert_eq!(line("  indented stays"), "  indented stays");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_is_left(raw in "(?s)([\u{1b}\u{9b}\u{9d}\\[\\];m0-9\r\n\t\u{7}]|.){0,60}") {
            let clean = text(&raw);
            let steers = |one: char| (one.is_control() && one != '\n') || turns_direction(one);
            prop_assert!(!clean.chars().any(steers));
            prop_assert_eq!(text(&clean), clean.clone());
            prop_assert!(!line(&raw).contains('\n'));
        }

        #[test]
        fn harmless_text_is_left_as_it_is(raw in "[ -~äöü✓\n]{0,60}") {
            prop_assert_eq!(text(&raw), raw);
        }

        #[test]
        fn colour_around_words_leaves_the_words(words in "[a-z ]{0,20}", code in 0u8..108) {
            prop_assert_eq!(text(&format!("\u{1b}[{code}m{words}\u{1b}[0m")), words);
        }
    }
}
