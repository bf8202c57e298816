//! A whole run on one page: what ran where, what went wrong as it was told, where the time went, the links before and
//! at the end, and how it ended. For `show` and for the report.

use std::collections::BTreeMap;

use crate::event::line::Line;
use crate::event::wording::{sending, words};
use crate::event::{Cell, Event, Phase};
use crate::inventory::model::HostName;
use crate::ui::mode::Mode;
use crate::ui::paint::{Tone, paint};
use crate::ui::plain::Plain;
use crate::ui::timeline::Timeline;
use crate::ui::view::FleetView;
use crate::ui::{matrix, recap, sanitise};

/// The facts of a run's record beside its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub run: String,
    pub fleet: String,
    /// `2026-11-25 14:03, 3 hours ago`.
    pub began: String,
    /// Why there is no end, or where to look now.
    pub next: Option<String>,
    /// The parts that could not be read.
    pub notes: Vec<String>,
}

/// Draws the page within `width` columns.
#[must_use]
pub fn render(heading: &Heading, lines: &[Line], width: usize, colour: bool) -> String {
    let mut out = head(heading, lines, colour);
    let mut section = |title: &str, text: &str| {
        if !text.trim().is_empty() {
            out += &format!("\n{}\n", paint(colour, Tone::Strong, title));
            out += text;
        }
    };
    section("warnings and failures", &told(lines, colour));
    section("how long it took", &Timeline::of(lines).render(width, colour));
    section("what was sent", &sent(lines));
    let (baseline, last) = matrices(lines);
    for (title, matrix) in [("before anything changed", baseline), ("at the last look", last)] {
        if let Some((phase, cells)) = matrix {
            let title = format!("links {title} ({}): {}", phase.word(), matrix::count(cells));
            section(&title, &matrix::render(cells, width, colour));
        }
    }
    out += &recap(lines, width, colour);
    if let Some(text) = &heading.next {
        out += &format!("\n{}\n", paint(colour, Tone::Doubtful, &sanitise::text(text)));
    }
    out
}

const SOURCE: &str = "source";
const PUSHED_BY: &str = "by";
const WORKSTATION: &str = "workstation";

/// Run, fleet, time and the versions of everything.
fn head(heading: &Heading, lines: &[Line], colour: bool) -> String {
    let mut facts = facts(heading, lines);
    facts.extend(heading.notes.iter().map(|note| ("note".to_owned(), sanitise::line(note))));
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut out = paint(colour, Tone::Strong, &title(heading)) + "\n";
    for (name, text) in facts {
        out += &format!("{name:<width$}  {text}\n");
    }
    out
}

pub(super) fn title(heading: &Heading) -> String {
    format!("run {} of fleet {}", sanitise::line(&heading.run), sanitise::line(&heading.fleet))
}

/// Each with its name, sanitised: when and with what it was, and the versions of everything.
pub(super) fn facts(heading: &Heading, lines: &[Line]) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = vec![("began".to_owned(), heading.began.clone())];
    // Apart from the facts: a host may be called as one of them.
    let mut hosts: Vec<(&HostName, String)> = Vec::new();
    for line in lines {
        match &line.event {
            Event::PushStarted { inventory, record, .. } => {
                facts.push(("inventory".to_owned(), inventory.clone()));
                facts.extend(record.iter().map(|record| ("record".to_owned(), record.clone())));
            }
            Event::RebootStarted { inventory, record, .. } => {
                facts.push(("inventory".to_owned(), inventory.clone()));
                facts.push(("record".to_owned(), record.clone()));
            }
            Event::RecoverStarted { inventory, .. } => {
                facts.push(("recovered with".to_owned(), inventory.clone()));
            }
            Event::WorkstationSeen { fleetdeploy, nix, ssh } => {
                let others = [nix, ssh].into_iter().flatten().map(|version| format!(", {version}"));
                let text = format!("fleetdeploy {fleetdeploy}{}", others.collect::<String>());
                match facts.iter_mut().find(|(name, _)| name == WORKSTATION) {
                    Some((_, old)) => *old = text,
                    None => facts.push((WORKSTATION.to_owned(), text)),
                }
            }
            Event::SourceKnown { provenance } => {
                // A hook may have changed it: what was told last was evaluated.
                facts.retain(|(name, _)| name != SOURCE && name != PUSHED_BY);
                facts.push((SOURCE.to_owned(), words::source(provenance)));
                facts.push((PUSHED_BY.to_owned(), provenance.by.clone()));
            }
            Event::HostSurveyed { host, nixos, nix, systemd, kernel, .. } => {
                let nixos = nixos.as_ref().map_or_else(String::new, |nixos| format!("NixOS {nixos}, "));
                let (nix, systemd) = (words::program("Nix", nix), words::program("systemd", systemd));
                let text = format!("{nixos}{nix}, {systemd}, kernel {kernel}");
                // A recovery surveys again: the newest answer stands, where the first one stood.
                match hosts.iter_mut().find(|(known, _)| *known == host) {
                    Some((_, old)) => *old = text,
                    None => hosts.push((host, text)),
                }
            }
            _ => {}
        }
    }
    for line in lines {
        if let Event::AddressChosen { host, address } = &line.event
            && let Some((_, text)) = hosts.iter_mut().find(|(known, _)| *known == host)
        {
            *text += &format!(", reached at {address}");
        }
    }
    facts.extend(hosts.into_iter().map(|(host, text)| (host.to_string(), text)));
    facts.into_iter().map(|(name, text)| (name, sanitise::line(&text))).collect()
}

/// Shows what went wrong, in the words of the screen, with the time.
pub(super) fn told(lines: &[Line], colour: bool) -> String {
    let mut plain = Plain::new(Mode::Quiet { colour });
    // The page of `--ask` and `--diff` is no warning.
    let is_page = |event: &Event| matches!(event, Event::Finished { .. } | Event::Foreseen { .. });
    let rendered = lines.iter().filter(|line| !is_page(&line.event));
    rendered.map(|line| plain.render(line)).collect()
}

/// Each copy with its time, and how long it was to take.
pub(super) fn sent(lines: &[Line]) -> String {
    let mut foreseen: BTreeMap<Option<&HostName>, Option<u64>> = BTreeMap::new();
    let mut out = String::new();
    for line in lines {
        match &line.event {
            Event::CopiesForeseen { copies } => {
                foreseen = copies.each.iter().map(|copy| (copy.host.as_ref(), copy.about_ms)).collect();
            }
            Event::CopyMeasured { host, from, bytes, took_ms } => {
                let who = host.as_ref().map_or("the cache", HostName::as_str);
                let about = sending::about(foreseen.remove(&host.as_ref()).flatten());
                let about = about.map(|about| format!(" (foreseen: {about})")).unwrap_or_default();
                let text = sending::measured(from.as_ref(), *bytes, *took_ms);
                out += &format!("{}: {text}{about}\n", sanitise::line(who));
            }
            _ => {}
        }
    }
    out
}

pub(super) type Matrix<'a> = (Phase, &'a [Cell]);

/// The baseline, and the last matrix if it is another one.
pub(super) fn matrices(lines: &[Line]) -> (Option<Matrix<'_>>, Option<Matrix<'_>>) {
    let all: Vec<Matrix<'_>> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::MatrixSeen { phase, cells } => Some((*phase, cells.as_slice())),
            _ => None,
        })
        .collect();
    let baseline = all.iter().find(|(phase, _)| *phase == Phase::Baseline).copied();
    let last = all.last().filter(|(phase, _)| *phase != Phase::Baseline).copied();
    (baseline, last)
}

/// The end as the screen drew it, with every package that changed; nothing if there was none: an end of the push that a
/// recovery has gone on from is not the run's.
fn recap(lines: &[Line], width: usize, colour: bool) -> String {
    let ends = lines.iter().rev().find_map(|line| match &line.event {
        Event::Finished { .. } => Some(true),
        Event::RecoverStarted { .. } => Some(false),
        _ => None,
    });
    if ends != Some(true) {
        return String::new();
    }
    // The page itself is what the recap would send a reader to.
    let mut view = FleetView::of(lines);
    view.record = None;
    recap::render(&view, recap::RecapStyle { colour, columns: width, wrapped: true, whole: true })
}

/// The hosts that the run is about, in the inventory's order.
#[must_use]
pub fn hosts(lines: &[Line]) -> Vec<HostName> {
    let hosts = lines.iter().find_map(|line| match &line.event {
        Event::PushStarted { hosts, .. }
        | Event::RecoverStarted { hosts, .. }
        | Event::RebootStarted { hosts, .. }
        | Event::QueryStarted { hosts, .. } => Some(hosts.clone()),
        _ => None,
    });
    hosts.unwrap_or_default()
}
