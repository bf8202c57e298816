//! Aligned columns, two blanks between them.

use crate::ui::line::{cut_between_words, width};
use crate::ui::paint::{Tone, paint};

/// One cell: a text and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TableCell {
    tone: Option<Tone>,
    text: String,
}

impl TableCell {
    pub(crate) fn new(tone: Option<Tone>, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn tone(&self) -> Option<Tone> {
        self.tone
    }

    /// With at most this many columns.
    pub(crate) fn cut(&self, columns: usize) -> Self {
        Self { tone: self.tone, text: cut_between_words(&self.text, columns) }
    }
}

impl From<&str> for TableCell {
    fn from(text: &str) -> Self {
        Self::new(None, text)
    }
}

impl From<String> for TableCell {
    fn from(text: String) -> Self {
        Self::new(None, text)
    }
}

/// The rows below a heading, indented by two; `None` if that is wider than `columns`. Columns in which every row is
/// empty are left out.
pub(crate) fn render(heading: &[&str], rows: &[Vec<TableCell>], columns: usize, colour: bool) -> Option<String> {
    let used = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.text.is_empty()));
    let kept: Vec<usize> = (0..heading.len()).filter(|column| used(*column)).collect();
    let widest = |column: &usize| {
        let cells = rows.iter().filter_map(|row| row.get(*column)).map(|cell| width(&cell.text));
        cells.chain([width(heading[*column])]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = kept.iter().map(widest).collect();
    if widths.iter().map(|width| width + 2).sum::<usize>() > columns {
        return None;
    }
    let head = kept.iter().map(|column| TableCell::new(Some(Tone::Faint), heading[*column])).collect();
    let body = rows.iter().map(|row| kept.iter().map(|column| row.get(*column).cloned().unwrap_or_default()).collect());
    Some(std::iter::once(head).chain(body).map(|row: Vec<TableCell>| line(&row, &widths, colour)).collect())
}

fn line(row: &[TableCell], widths: &[usize], colour: bool) -> String {
    let mut out = String::new();
    let mut gap = 0;
    for (cell, wide) in row.iter().zip(widths) {
        if cell.text.is_empty() {
            gap += wide + 2;
            continue;
        }
        out += &" ".repeat(gap + 2);
        out += &cell.tone.map_or_else(|| cell.text.clone(), |tone| paint(colour, tone, &cell.text));
        gap = wide - width(&cell.text);
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let row = |cells: [&str; 3]| cells.map(TableCell::from).to_vec();
        let rows = [row(["vps", "", "12s"]), row(["homeserver", "", ""])];
        let table = render(&["host", "reboot", "took"], &rows, 80, false).unwrap();
        assert_eq!(table, "  host        took\n  vps         12s\n  homeserver\n");
        assert_eq!(render(&["host", "reboot", "took"], &rows, 17, false), None);
    }
}
