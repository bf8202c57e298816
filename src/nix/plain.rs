//! Text of nix, of builders and of ssh without what only a terminal understands.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\u{1b}';
const BELL: char = '\u{7}';

/// `text` without escape sequences and control characters; newlines stay, a tab becomes a space.
///
/// A builder prints what it likes; a cursor movement in its log must not reach the screen.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            ESCAPE => skip_escape(&mut rest),
            '\n' => out.push('\n'),
            '\t' => out.push(' '),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

/// Skips what follows an ESC. Source: ECMA-48, control sequences (5.4) and control strings (5.6).
fn skip_escape(rest: &mut Peekable<Chars<'_>>) {
    match rest.next() {
        Some('[') => {
            // A line that was cut in the middle of a sequence must not swallow the lines after it.
            while let Some(character) = rest.next_if(|&character| character != '\n') {
                if ('\u{40}'..='\u{7e}').contains(&character) {
                    break;
                }
            }
        }
        Some(']' | 'P' | '^' | '_') => {
            while let Some(character) = rest.next_if(|&character| character != '\n') {
                if character == BELL {
                    break;
                }
                if character == ESCAPE {
                    rest.next_if_eq(&'\\');
                    break;
                }
            }
        }
        Some('(' | ')') => {
            rest.next();
        }
        _ => {}
    }
}

/// `text` with the login gone from every address in it: `https://TOKEN@host/`, `ssh://user:password@host`.
///
/// Nix names its caches and a flake's inputs as they were configured, and what it says stands in the record, which
/// people send to each other. A user alone stays where it is no secret: `ssh-ng://root@host`.
#[must_use]
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    const BEFORE_HOST: &str = "://";
    let Some(mut start) = text.find(BEFORE_HOST) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (before, after) = rest.split_at(start + BEFORE_HOST.len());
        out.push_str(before);
        let ends = |character: char| character.is_whitespace() || "/?#'\"`<>".contains(character);
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
        let host = match authority.rfind('@') {
            Some(at) if is_web(before) || authority[..at].contains(':') => at + 1,
            _ => 0,
        };
        rest = &after[host..];
        match rest.find(BEFORE_HOST) {
            Some(next) => start = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether an address that begins so is fetched as from a web server: then a user alone may be a token.
fn is_web(before: &str) -> bool {
    ["http://", "https://", "ftp://"].iter().any(|scheme| before.ends_with(scheme))
}

/// `text`, cut to about `limit` bytes at a character's border.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0);
    &text[..end]
}

/// The last `count` lines of `text` that are not empty.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_bells_are_gone_and_text_stays() {
        assert_eq!(plain("\u{1b}[31;1merror:\u{1b}[0m no\tgo\r\n\u{1b}]0;title\u{7}ä\u{8}"), "error: no go\nä");
        assert_eq!(plain("\u{1b}]8;;x\u{1b}\\link\u{1b}(B"), "link");
    }

    #[test]
    fn a_sequence_without_an_end_does_not_swallow_the_next_line() {
        assert_eq!(plain("a\u{1b}[31\nb\u{1b}]0;\nc\u{1b}"), "a\nb\nc");
    }

    #[test]
    fn a_login_is_gone_from_addresses_and_the_rest_stays() {
        for (text, without) in [
            (
                "copying from 'https://me:pass@cache.example.org:8080/x@y'",
                "copying from 'https://cache.example.org:8080/x@y'",
            ),
            ("git+https://ghp_TOKEN@github.com/a/b and http://u@h", "git+https://github.com/a/b and http://h"),
            ("ssh://u:p@h/x to 'ssh-ng://root@vps'", "ssh://h/x to 'ssh-ng://root@vps'"),
            ("https://", "https://"),
            ("mail me@example.org", "mail me@example.org"),
        ] {
            assert_eq!(without_credentials(text), without);
        }
    }

    #[test]
    fn a_cut_is_at_a_border_of_characters() {
        assert_eq!((cut("aää", 2), cut("aää", 9)), ("a", "aää"));
    }
}
