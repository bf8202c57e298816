//! The timeline as a picture: a bar for the fleet and for each host, with a stretch for each phase.

use std::time::Duration;

use maud::{Markup, html};

use super::class_of;
use crate::event::Phase;
use crate::event::wording::words;
use crate::inventory::model::HostName;
use crate::ui::paint::Tone;
use crate::ui::timeline::{Timeline, TimelineSpan, Took};

/// How many units a bar is wide, the least that a stretch takes, since what took no time is still there, and what is
/// left free behind a wider one: phases are not told apart by colour alone.
const WIDTH: u128 = 1000;
const LEAST: u128 = 4;
const GAP: u128 = 4;

/// How wide a stretch is that has room for the sign of its phase on a phone, too.
const SIGNED: u128 = 90;

/// The class of a stretch that a host did not get through, its sign, and what that means.
const STUCK: (&str, &str, &str) = ("stuck", "x", "did not get through");

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
                            (key(colour_of(*phase), sign_of(*phase), phase.word()))
                        }
                        @if timeline.spans.iter().any(|span| !span.is_through) { (key(STUCK.0, STUCK.1, STUCK.2)) }
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

/// A sign of the picture, and what it means.
fn key(class: &str, sign: &str, meaning: &str) -> Markup {
    html! { span.key { span class={ "swatch " (class) } aria-hidden="true" { (sign) } (meaning) } " " }
}

fn bar(name: &str, spans: &[&TimelineSpan], worked: Duration) -> Markup {
    let units = |time: Duration| (time.as_micros() * WIDTH).checked_div(worked.as_micros()).unwrap_or(0).min(WIDTH);
    let said = |span: &TimelineSpan| {
        let word = span.phase.word();
        if span.is_through {
            format!("{word} {}", words::span(span.to.saturating_sub(span.from)))
        } else {
            format!("{word}: {}", STUCK.2)
        }
    };
    let all: Vec<String> = spans.iter().map(|span| said(span)).collect();
    let label =
        if all.is_empty() { format!("{name}: no part of its own") } else { format!("{name}: {}", all.join(", ")) };
    html! {
        svg.bar role="img" aria-label=(label) {
            @for span in spans {
                @let from = units(span.from).min(WIDTH - LEAST);
                @let width = units(span.to).saturating_sub(from);
                @let width = if width > LEAST + GAP { width - GAP } else { LEAST };
                @let (top, height) = rows_of(span.phase);
                @let passed = (colour_of(span.phase), sign_of(span.phase));
                @let (class, sign) = if span.is_through { passed } else { (STUCK.0, STUCK.1) };
                rect class=(class) x=(percent(from)) y=(top) width=(percent(width)) height=(height) {
                    title { (said(span)) }
                }
                @if width >= SIGNED {
                    text x=(percent(from + width / 2)) y=(top + height / 2) text-anchor="middle"
                        dominant-baseline="central" { (sign) }
                }
            }
        }
    }
}

fn percent(units: u128) -> String {
    format!("{}.{}%", units / 10, units % 10)
}

/// The top of a stretch, and how high it is: build and survey go on side by side.
fn rows_of(phase: Phase) -> (u8, u8) {
    match phase {
        Phase::Build => (1, 12),
        Phase::Survey => (15, 12),
        _ => (1, 26),
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
                                        Took::Stuck => td class=(class_of(Some(Tone::Bad))) { (STUCK.2) },
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
pub(super) fn colour_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Build => "build",
        Phase::Survey => "survey",
        Phase::Copy => "copy",
        Phase::Baseline => "baseline",
        Phase::Arm => "arm",
        Phase::Test => "test",
        Phase::Verify => "verify",
        Phase::Decide => "decide",
        Phase::Switch => "switch",
        Phase::Disarm => "disarm",
        Phase::RollBack => "roll-back",
        Phase::TakeOver => "take-over",
        Phase::Reboot => "reboot",
        Phase::Ask => "ask",
    }
}

/// What stands in a stretch: the first two letters of the phase, which no two have in common.
pub(super) fn sign_of(phase: Phase) -> &'static str {
    phase.word().get(..2).unwrap_or_default()
}
