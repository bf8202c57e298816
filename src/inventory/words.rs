//! Words of the file in a message, and what was probably meant by one.

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
    const MOST: usize = 40;
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

    use super::*;

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
        assert!(listed(["a"; 500]).ends_with(", `a` and 461 more"));
    }
}
