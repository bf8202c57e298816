//! How much of what others have said a page has; the record has the rest.

/// How many reasons and warnings are shown, so that a fleet of hundreds stays a page.
pub(super) const REASONS: usize = 50;

/// How long what one has said may be, in letters.
pub(super) const SAID: usize = 2000;

/// How large what is laid out already may be, in bytes.
pub(super) const LAID_OUT: usize = 200 << 10;

/// As many whole lines as fit into so many bytes, and how many there are more.
pub(super) fn lines(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |line: &&str| {
        taken += line.len();
        taken <= most
    };
    let kept: Vec<&str> = text.split_inclusive('\n').take_while(fits).collect();
    let more = text.lines().count() - kept.len();
    let lines = if more == 1 { "line" } else { "lines" };
    format!("{}\nand {more} more {lines}, which the record has\n", kept.concat())
}

/// As much of a text as one may say. Where it was cut there is a sign of that.
#[must_use]
pub fn said(text: &str) -> String {
    match text.char_indices().nth(SAID) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A text of which each line is as long as one may say, and all of it as large as what is laid out may be.
pub(super) fn text(text: &str) -> String {
    let each: Vec<String> = text.lines().map(said).collect();
    lines(&each.join("\n"), LAID_OUT)
}
