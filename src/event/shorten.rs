//! Bounds a text in bytes.

/// Cuts a text at a border of characters, and shows that it was cut.
pub(crate) fn shorten(text: &mut String, longest: usize) {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}
