//! Colour, or none. Nothing is said by colour alone.

use owo_colors::{OwoColorize, Style};

/// The meaning of a piece of text for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Doubtful,
    Bad,
    /// A heading.
    Strong,
    /// Beside the point.
    Faint,
}

/// `text` in its tone, or as it is.
pub(crate) fn paint(colour: bool, tone: Tone, text: &str) -> String {
    if !colour || text.is_empty() {
        return text.to_owned();
    }
    let style = match tone {
        Tone::Good => Style::new().green(),
        Tone::Doubtful => Style::new().yellow(),
        Tone::Bad => Style::new().red().bold(),
        Tone::Strong => Style::new().bold(),
        Tone::Faint => Style::new().dimmed(),
    };
    text.style(style).to_string()
}
