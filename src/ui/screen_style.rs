//! What the terminal of the live screen can show.

/// How the screen is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenStyle {
    pub colour: bool,
    pub unicode: bool,
    /// Columns and lines that may be used.
    pub columns: usize,
    pub lines: usize,
}

impl ScreenStyle {
    /// How the terminal can show a text.
    pub(crate) fn text(&self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        text.chars().map(|character| if character.is_ascii() { character } else { '?' }).collect()
    }
}
