//! A run as one page of HTML: to look at in a browser, to send to others, to keep. It has no script, and fetches
//! nothing.
//!
//! All text is escaped by the template, and is sanitised before, so that a host's word is never a tag.

mod links;
mod picture;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::event::line::Line;
use crate::event::wording::words;
use crate::event::{Event, HostOutcome};
use crate::ui::paint::Tone;
use crate::ui::show::{self, Heading};
use crate::ui::timeline::Timeline;
use crate::ui::view::{FinishedView, FleetView};
use crate::ui::{bounded, recap, sanitise};

const STYLE: &str = include_str!("html/style.css");

/// What a browser may do with the page: nothing but draw it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// How wide what is laid out in columns may be: it scrolls sideways.
const COLUMNS: usize = 120;

/// What one program said, from its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HtmlLog {
    pub name: String,
    pub text: String,
    /// Lines before these, which the record has.
    pub left_out: usize,
}

/// Makes the page of a run from its events; `remark` stands at its end.
#[must_use]
pub fn render(heading: &Heading, lines: &[Line], logs: &[HtmlLog], remark: &str) -> String {
    let view = FleetView::of(lines);
    let finished = view.finished.as_ref().filter(|_| has_ended(lines));
    let title = finished.map_or_else(|| show::title(heading), |finished| ended_title(heading, finished));
    let timeline = Timeline::of(lines);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "fleetdeploy, " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 {
                        @if let Some(finished) = finished { (outcome(heading, finished)) } @else { (title) }
                    }
                    // It stands before every figure that may be false for it.
                    @for note in &heading.notes {
                        p.next.doubtful { "Not all of the record is here: " (bounded::said(&sanitise::line(note))) }
                    }
                    @if let Some(finished) = finished { (end(&view, finished, &after(lines, finished, &timeline))) }
                    @if let Some(next) = &heading.next { p.next { (sanitise::text(next)) } }
                    (section("What went wrong", &told(lines)))
                    (picture::section(&timeline))
                    (links::sections(lines))
                    (section("What was sent", &show::sent(lines)))
                    @if let Some(finished) = finished { (packages(&view, finished)) }
                    section {
                        h2 { "When, where and with what" }
                        dl {
                            @for (name, text) in show::facts(heading, lines) {
                                dt { (name) } dd { (bounded::said(&text)) }
                            }
                        }
                    }
                    (folded_logs(logs))
                }
                footer { p { (sanitise::line(remark)) } }
            }
        }
    };
    page.into_string()
}

/// Whether the last end is the run's: a recovery may have gone on from an end of the push.
fn has_ended(lines: &[Line]) -> bool {
    let last = lines.iter().rev().find_map(|line| match &line.event {
        Event::Finished { .. } => Some(true),
        Event::RecoverStarted { .. } => Some(false),
        _ => None,
    });
    last == Some(true)
}

fn outcome(heading: &Heading, finished: &FinishedView) -> Markup {
    let (word, tone) = recap::word_of(finished.outcome);
    html! { (sanitise::line(&heading.fleet)) ": " span class=(class_of(Some(tone))) { (word) } }
}

fn ended_title(heading: &Heading, finished: &FinishedView) -> String {
    let (word, _) = recap::word_of(finished.outcome);
    format!("{}: {word}", sanitise::line(&heading.fleet))
}

/// How long it took. An end that a recovery tells has the time of the recovery alone.
fn after(lines: &[Line], finished: &FinishedView, timeline: &Timeline) -> String {
    let took = words::span(finished.took);
    if lines.iter().any(|line| matches!(line.event, Event::RecoverStarted { .. })) {
        return format!("After {}, of which the recovery took {took}: ", words::span(timeline.worked));
    }
    format!("After {took}: ")
}

/// Failures first of all: so many warnings as a page may have, and then how many more there are.
fn told(lines: &[Line]) -> String {
    let (mut failures, mut warnings) = (0, 0);
    let mut is_shown = |line: &&Line| {
        let count = match &line.event {
            Event::Failed { .. } => &mut failures,
            Event::Warned { .. } => &mut warnings,
            _ => return true,
        };
        *count += 1;
        *count <= bounded::REASONS
    };
    let shown: Vec<Line> = lines.iter().filter(|line| is_shown(line)).cloned().collect();
    let mut text = bounded::text(&show::told(&shown, false));
    for (count, what) in [(failures, "failures"), (warnings, "warnings")] {
        if count > bounded::REASONS {
            text += &format!("\nand {} more {what}, which the record has", count - bounded::REASONS);
        }
    }
    text
}

fn end(view: &FleetView, finished: &FinishedView, after: &str) -> Markup {
    let ends = recap::ends(view, finished);
    let columns = ["host", "outcome", "generation", "system", "reboot", "at work"];
    let rows: Vec<_> = ends.iter().map(|(host, outcome)| recap::row(host, outcome, view)).collect();
    let used = |column: &usize| rows.iter().any(|row| row.get(*column).is_some_and(|cell| !cell.text().is_empty()));
    let kept: Vec<usize> = (0..columns.len()).filter(used).collect();
    html! {
        p.said { (after) (bounded::text(&sanitise::text(finished.text.trim_end()))) }
        @if let Some(mend) = view.mend.as_ref().filter(|_| finished.exit != 0) {
            p.next { "To mend it: " (sanitise::line(mend)) }
        }
        @if !rows.is_empty() {
            section {
                h2 { "Hosts" }
                div.wide tabindex="0" role="region" aria-label="Hosts" {
                    table {
                        thead { tr { @for column in &kept { th scope="col" { (columns[*column]) } } } }
                        tbody {
                            @for row in &rows {
                                tr {
                                    @for column in &kept {
                                        @let cell = row.get(*column).cloned().unwrap_or_default();
                                        @if *column == 0 {
                                            th scope="row" { (cell.text()) }
                                        } @else {
                                            td class=(class_of(cell.tone())) { (cell.text()) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                @for (host, outcome) in &ends {
                    @if let HostOutcome::Lost { why } | HostOutcome::Left { why, .. } = outcome {
                        p { strong { (host) } ": " (bounded::said(&sanitise::line(&why.to_string()))) }
                    }
                }
            }
        }
    }
}

fn packages(view: &FleetView, finished: &FinishedView) -> Markup {
    let style = recap::RecapStyle { colour: false, columns: COLUMNS, wrapped: true, whole: true };
    let (title, text) = ("What changed", recap::what_changed(view, finished, style));
    html! {
        @if !text.trim().is_empty() {
            section {
                h2 { (title) }
                // In columns, which break where a line is wrapped.
                pre.laid-out tabindex="0" role="region" aria-label=(title) { (bounded::text(text.trim_matches('\n'))) }
            }
        }
    }
}

/// A text of lines; nothing for none.
fn section(title: &str, text: &str) -> Markup {
    html! {
        @if !text.trim().is_empty() {
            section {
                h2 { (title) }
                (text_of(text))
            }
        }
    }
}

/// A text of lines, which are wrapped so that nothing scrolls.
fn text_of(text: &str) -> Markup {
    html! { pre { (bounded::text(text.trim_matches('\n'))) } }
}

fn folded_logs(logs: &[HtmlLog]) -> Markup {
    html! {
        @if !logs.is_empty() {
            section {
                h2 { "Logs" }
                @for log in logs {
                    details {
                        summary { (sanitise::line(&log.name)) ", " (counted(log.text.lines().count())) }
                        @if log.left_out > 0 { p { "The record has " (counted(log.left_out)) " before these." } }
                        pre { (sanitise::text(&log.text)) }
                    }
                }
            }
        }
    }
}

fn counted(lines: usize) -> String {
    format!("{lines} {}", if lines == 1 { "line" } else { "lines" })
}

/// The tone's name in the style sheet. Nothing is said by colour alone: each has a word or a sign beside it.
fn class_of(tone: Option<Tone>) -> &'static str {
    match tone {
        Some(Tone::Good) => "good",
        Some(Tone::Doubtful) => "doubtful",
        Some(Tone::Bad) => "bad",
        Some(Tone::Faint) => "faint",
        Some(Tone::Strong) | None => "",
    }
}

#[cfg(test)]
mod tests;
