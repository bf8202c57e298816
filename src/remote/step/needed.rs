//! Leaves the functions out of a script's text that it never calls: a host reads and parses what it is sent for each
//! step anew, and that is half of what a small step costs there.
//!
//! It knows no shell but two rules, which a test holds for all our files: a function begins with a line `NAME() {`, and
//! ends with the next line that is `}` alone. A function stays if its name stands anywhere as a word in what stays: so
//! one is never missed, whether it is called, given to another one as a word, or a word of a text.

use std::collections::{BTreeMap, BTreeSet};

/// Returns `text` without the functions that neither it nor `callers`, which are texts that use it, ever name.
pub(super) fn needed(text: &str, callers: &[&str]) -> String {
    let blocks = blocks(text);
    let mut bodies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for block in &blocks {
        if let Some(name) = block.function {
            bodies.entry(name).or_default().push(block.text);
        }
    }
    let mut kept = BTreeSet::new();
    let outside = blocks.iter().filter(|block| block.function.is_none()).map(|block| block.text);
    let mut open: Vec<&str> = outside.chain(callers.iter().copied()).collect();
    while let Some(text) = open.pop() {
        for word in words(text) {
            if let Some(bodies) = bodies.get(word)
                && kept.insert(word)
            {
                open.extend(bodies);
            }
        }
    }
    let stays = |block: &&Block<'_>| block.function.is_none_or(|name| kept.contains(name));
    blocks.iter().filter(stays).map(|block| block.text).collect()
}

struct Block<'text> {
    /// The name of the function that it is; `None` for the lines between two.
    function: Option<&'text str>,
    text: &'text str,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let (mut function, mut from, mut at) = (None, 0, 0);
    for line in text.split_inclusive('\n') {
        if function.is_none() && begins(line).is_some() {
            blocks.push(Block { function, text: &text[from..at] });
            (function, from) = (begins(line), at);
        }
        at += line.len();
        if function.is_some() && line == "}\n" {
            blocks.push(Block { function: function.take(), text: &text[from..at] });
            from = at;
        }
    }
    // A function without an end would be a mistake of this file: then all of it stays.
    blocks.push(Block { function: None, text: &text[from..] });
    blocks
}

/// Returns the name of the function that begins with this line.
fn begins(line: &str) -> Option<&str> {
    line.strip_suffix("() {\n").filter(|name| !name.is_empty() && words(name).eq([*name]))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one() {\n    two \"$1\"\n}\nbetween=1\ntwo() {\n    echo three_not\n}\n\
                        three() {\n    one\n}\nfour() {\n    five\n}\nfive() {\n    four\n}\n\
                        main() {\n    demand one\n}\n";

    #[test]
    fn a_function_stays_if_its_name_stands_in_what_stays() {
        let kept = needed(TEXT, &["main \"$@\"\n"]);
        assert_eq!(
            kept,
            "one() {\n    two \"$1\"\n}\nbetween=1\ntwo() {\n    echo three_not\n}\nmain() {\n    demand one\n}\n"
        );
        assert_eq!(needed(TEXT, &["a \"$(four)\""]), "between=1\nfour() {\n    five\n}\nfive() {\n    four\n}\n");
    }

    #[test]
    fn a_function_without_an_end_leaves_nothing_out() {
        let text = "one() {\n    two\n}\nthree() {\n    echo\n";
        assert_eq!(needed(text, &["main"]), "three() {\n    echo\n");
        assert_eq!(needed("x=1\n", &["main"]), "x=1\n");
    }
}
