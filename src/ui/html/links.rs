//! The links before and at the last look, as tables.

use maud::{Markup, html};

use super::class_of;
use crate::event::line::Line;
use crate::ui::matrix::{self, ShownLink, ShownMatrix};
use crate::ui::show;

/// A larger table is no help to a reader, and makes a page that a phone does not open.
const MOST_LINKS: usize = 5_000;

pub(super) fn sections(lines: &[Line]) -> Markup {
    let (baseline, last) = show::matrices(lines);
    html! {
        @for (when, matrix) in [("before anything changed", baseline), ("at the last look", last)] {
            @if let Some((phase, cells)) = matrix {
                section {
                    h2 { "Links " (when) }
                    p { "In the phase " (phase.word()) ": " (matrix::count(cells)) "." }
                    @let shown = matrix::shown(cells);
                    @if cells.len() <= MOST_LINKS { (table(when, &shown)) }
                    @for (from, what, link) in &shown.others {
                        p { strong { (from) } ": " (what) " " (one(link)) }
                    }
                    @if !shown.reasons.is_empty() { pre tabindex="0" { (shown.reasons.trim_end()) } }
                }
            }
        }
    }
}

fn table(when: &str, shown: &ShownMatrix) -> Markup {
    html! {
        @if !shown.rows.is_empty() {
            div.wide tabindex="0" role="region" aria-label={ "Links " (when) } {
                table.links {
                    thead {
                        tr {
                            th scope="col" { "from \\ to" }
                            @for column in &shown.columns { th scope="col" { (column) } }
                        }
                    }
                    tbody {
                        @for (from, row) in &shown.rows {
                            tr {
                                th scope="row" { (from) }
                                @for links in row { td { @for link in links { (one(link)) " " } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn one(link: &ShownLink) -> Markup {
    html! { span class=(class_of(link.tone)) title=(link.meaning) { (link.text) } }
}
