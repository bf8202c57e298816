//! The timeline as a picture: a bar for the fleet and for each host, with a stretch for each phase.

use std::time::Duration;

use maud::{Markup, html};

use super::class_of;
use crate::event::Phase;
use crate::event::wording::words;
use crate::inventory::model::HostName;
use crate::ui::paint::Tone;
use crate::ui::timeline::{Timeline, TimelineSpan, Took};

/// How many units a bar is wide, and the least that a stretch takes: what took no time is still there.
const WIDTH: u128 = 1000;
const LEAST: u128 = 3;

pub(super) fn section(timeline: &Timeline) -> Markup {
    let fleet = timeline.spans.iter().filter(|span| span.host.is_none()).collect();
    let bars: Vec<(&str, Vec<&TimelineSpan>)> = std::iter::once(("the fleet", fleet))
        .chain(timeline.hosts.iter().map(|(host, _)| row(timeline, host)))
        .collect();
    html! {
        @if !timeline.phases.is_empty() {
            section {
                h2 { "Where the time went" }
                figure {
                    div.bars {
                        @for (name, spans) in &bars {
                            div.name { (name) }
                            (bar(name, spans, timeline.worked))
                        }
                        div.name {}
                        div.axis {
                            @for time in [Duration::ZERO, timeline.worked / 2, timeline.worked] {
                                span { (words::span(time)) }
                            }
                        }
                    }
                    figcaption {
                        @for phase in &timeline.phases {
                            span.key { span class={ "swatch " (colour_of(*phase)) } {} (phase.word()) } " "
                        }
                    }
                }
                (table(timeline))
            }
        }
    }
}

fn row<'a>(timeline: &'a Timeline, host: &'a HostName) -> (&'a str, Vec<&'a TimelineSpan>) {
    (host.as_str(), timeline.spans.iter().filter(|span| span.host.as_ref() == Some(host)).collect())
}

fn bar(name: &str, spans: &[&TimelineSpan], worked: Duration) -> Markup {
    let units = |time: Duration| (time.as_micros() * WIDTH).checked_div(worked.as_micros()).unwrap_or(0).min(WIDTH);
    let said =
        |span: &TimelineSpan| format!("{} {}", span.phase.word(), words::span(span.to.saturating_sub(span.from)));
    let all: Vec<String> = spans.iter().map(|span| said(span)).collect();
    let label =
        if all.is_empty() { format!("{name}: no part of its own") } else { format!("{name}: {}", all.join(", ")) };
    html! {
        svg.bar role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " 20" } preserveAspectRatio="none" {
            @for span in spans {
                @let from = units(span.from).min(WIDTH - LEAST);
                @let width = (units(span.to).saturating_sub(from)).max(LEAST);
                @let (top, height) = rows_of(span.phase);
                rect class=(colour_of(span.phase)) x=(from) y=(top) width=(width) height=(height) {
                    title { (said(span)) }
                }
            }
        }
    }
}

/// Where a stretch begins, and how high it is: build and survey go on side by side.
fn rows_of(phase: Phase) -> (u8, u8) {
    match phase {
        Phase::Build => (1, 9),
        Phase::Survey => (10, 9),
        _ => (1, 18),
    }
}

/// The same in figures.
fn table(timeline: &Timeline) -> Markup {
    let fleet: Vec<Took> = timeline.fleet.iter().copied().map(Took::Passed).collect();
    let rows =
        std::iter::once(("the fleet", &fleet)).chain(timeline.hosts.iter().map(|(host, took)| (host.as_str(), took)));
    html! {
        details {
            summary { "In figures" }
            div.wide tabindex="0" role="region" aria-label="How long each phase took" {
                table {
                    thead {
                        tr {
                            th scope="col" { "host" }
                            @for phase in &timeline.phases { th scope="col" { (phase.word()) } }
                        }
                    }
                    tbody {
                        @for (name, took) in rows {
                            tr {
                                th scope="row" { (name) }
                                @for took in took {
                                    @match took {
                                        Took::Nothing => td.faint { "no part of its own" },
                                        Took::Passed(time) => td { (words::span(*time)) },
                                        Took::Stuck => td class=(class_of(Some(Tone::Bad))) { "did not get through" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The phase's name in the style sheet.
fn colour_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Build => "build",
        Phase::Survey | Phase::Ask => "survey",
        Phase::Copy => "copy",
        Phase::Baseline => "baseline",
        Phase::Arm | Phase::TakeOver => "arm",
        Phase::Test => "test",
        Phase::Verify => "verify",
        Phase::Decide => "decide",
        Phase::Switch => "switch",
        Phase::Disarm => "disarm",
        Phase::RollBack => "roll-back",
        Phase::Reboot => "reboot",
    }
}
