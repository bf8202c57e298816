//! Takes a line apart into words as a shell does: white space, quotes, backslashes. Nothing is expanded.

/// A word and where it begins in the line, in characters from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShellWord {
    pub(super) text: String,
    pub(super) column: usize,
}

/// A quote that is not closed; its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenQuote(pub(super) usize);

/// Whether `#` begins a comment: in an inventory it does, even within a word (Python's `shlex` with `comments=True`,
/// which Ansible reads host lines with); in arguments of ssh it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comments {
    Cut,
    None,
}

/// The words of a line. Source: Python's `shlex`, POSIX mode.
pub(super) fn split(line: &str, comments: Comments) -> Result<Vec<ShellWord>, OpenQuote> {
    let mut words = Vec::new();
    let mut word: Option<ShellWord> = None;
    let mut rest = line.chars().zip(1..).peekable();
    while let Some((letter, column)) = rest.next() {
        if letter.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        if letter == '#' && comments == Comments::Cut {
            break;
        }
        let word = word.get_or_insert_with(|| ShellWord { text: String::new(), column });
        match letter {
            '\'' => loop {
                match rest.next() {
                    Some(('\'', _)) => break,
                    Some((letter, _)) => word.text.push(letter),
                    None => return Err(OpenQuote(column)),
                }
            },
            '"' => loop {
                match rest.next() {
                    Some(('"', _)) => break,
                    // Within double quotes a backslash means something before `"` and itself only.
                    Some(('\\', _)) if rest.peek().is_some_and(|(next, _)| matches!(next, '"' | '\\')) => {
                        word.text.extend(rest.next().map(|(letter, _)| letter));
                    }
                    Some((letter, _)) => word.text.push(letter),
                    None => return Err(OpenQuote(column)),
                }
            },
            '\\' => word.text.extend(rest.next().map(|(letter, _)| letter)),
            letter => word.text.push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn texts(line: &str, comments: Comments) -> Vec<String> {
        split(line, comments).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_taken_apart_as_a_shell_does() {
        for (line, words) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            ("x='a b' y=\"c 'd'\"", vec!["x=a b", "y=c 'd'"]),
            (r#"x="a \"b\" \c" 'd\e'"#, vec![r#"x=a "b" \c"#, r"d\e"]),
            (r"a\ b c\#d", vec!["a b", "c#d"]),
            ("''", vec![""]),
            ("a # b", vec!["a"]),
            ("a#b c", vec!["a"]),
            ("", vec![]),
        ] {
            assert_eq!(texts(line, Comments::Cut), words, "{line}");
        }
        assert_eq!(texts("a #b", Comments::None), ["a", "#b"]);
    }

    #[test]
    fn an_open_quote_has_its_place() {
        assert_eq!(split("ab 'c", Comments::Cut), Err(OpenQuote(4)));
        assert_eq!(split("x=\"c", Comments::Cut), Err(OpenQuote(3)));
    }

    #[test]
    fn a_word_knows_where_it_begins() {
        let columns: Vec<_> = split("ä  'b' c", Comments::Cut).unwrap().iter().map(|word| word.column).collect();
        assert_eq!(columns, [1, 4, 8]);
    }
}
