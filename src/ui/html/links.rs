//! The links before and at the last look, as tables.

use maud::{Markup, html};

use super::{class_of, text_of};
use crate::event::line::Line;
use crate::ui::matrix::{self, ShownLink, ShownMatrix};
use crate::ui::{bounded, show};

/// A larger table is no help to a reader, and makes a page that a phone does not open.
const MOST_LINKS: usize = 5_000;

/// How many links stand below it, one by one.
const MOST_OTHERS: usize = 500;

pub(super) fn sections(lines: &[Line]) -> Markup {
    let (baseline, last) = show::matrices(lines);
    html! {
        @for (when, matrix) in [("before anything changed", baseline), ("at the last look", last)] {
            @if let Some((phase, cells)) = matrix {
                section {
                    h2 { "Links " (when) }
                    p { "In the phase " (phase.word()) ": " (matrix::count(cells)) "." }
                    @let shown = matrix::shown(cells);
                    @if cells.len() <= MOST_LINKS {
                        (table(when, &shown))
                    } @else {
                        p { "Too many for a table: the record has each of the " (cells.len()) "." }
                    }
                    @for (from, what, link) in shown.others.iter().take(MOST_OTHERS) {
                        p { strong { (from) } ": " (bounded::said(what)) " " (one(link)) }
                    }
                    @if shown.others.len() > MOST_OTHERS {
                        p { "and " (shown.others.len() - MOST_OTHERS) " more, which the record has" }
                    }
                    @if cells.len() <= MOST_LINKS { (legend(&shown)) }
                    @if !shown.reasons.is_empty() { (text_of(&shown.reasons)) }
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

/// What the signs mean that are there: a touch screen shows no title.
fn legend(shown: &ShownMatrix) -> Markup {
    let all = shown.rows.iter().flat_map(|(_, row)| row.iter().flatten());
    let all: Vec<&ShownLink> = all.chain(shown.others.iter().map(|(_, _, link)| link)).collect();
    let mut signs: Vec<&ShownLink> = Vec::new();
    for link in all.iter().filter(|link| !link.sign.is_empty()) {
        if !signs.iter().any(|known| known.sign == link.sign) {
            signs.push(link);
        }
    }
    html! {
        p.faint {
            @if all.iter().any(|link| link.sign.is_empty()) { "no sign: up; of a ping its round trip" }
            @for link in signs {
                " " span.key { span class=(class_of(link.tone)) { (link.sign) } (link.meaning) }
            }
        }
    }
}

fn one(link: &ShownLink) -> Markup {
    html! { span class=(class_of(link.tone)) title=(link.meaning) { (link.text) } }
}
