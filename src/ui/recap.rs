//! The end of a push: each host's outcome and systems, what changed, one closing sentence, and where to look.

use std::collections::BTreeMap;

use crate::event::wording::{packages, words};
use crate::event::{HostOutcome, Outcome};
use crate::facts::package_change::PackageChange;
use crate::inventory::model::HostName;
use crate::ui::host_view::Changes;
use crate::ui::host_view::HostView;
use crate::ui::line::wrap;
use crate::ui::paint::{Tone, paint};
use crate::ui::sanitise;
use crate::ui::table::{self, TableCell};
use crate::ui::view::{FinishedView, FleetView};

/// Packages that are named for one group of hosts; `show` has them all.
const PACKAGES_NAMED: usize = 12;

/// How a recap is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecapStyle {
    pub colour: bool,
    /// Tables are not wider than this.
    pub columns: usize,
    /// Sentences are put on lines of that width, too.
    pub wrapped: bool,
    /// Every package that changed.
    pub whole: bool,
}

/// The recap of a run that has ended; nothing for one that has not.
#[must_use]
pub fn render(view: &FleetView, style: RecapStyle) -> String {
    let Some(finished) = &view.finished else { return String::new() };
    let mut out = String::from("\n");
    if let Some(fleet) = &view.fleet {
        out += &format!("{}: ", sanitise::line(fleet));
    }
    let (word, tone) = word_of(finished.outcome);
    out += &format!("{} after {}\n", paint(style.colour, tone, word), words::span(finished.took));
    out += &hosts(view, finished, style);
    out += &what_changed(view, finished, style);
    let over = no_guard_is_left(finished).then_some(match finished.outcome {
        Outcome::Committed => "no guard of this run is armed any more",
        _ => "no guard of this run is armed any more: nothing is left to do on the hosts",
    });
    let mend = view.mend.as_ref().filter(|_| finished.exit != 0).map(|mend| format!("hint: {}", sanitise::line(mend)));
    let text = sanitise::text(&finished.text);
    let said = text.trim_end().lines().chain(mend.as_deref());
    for line in said.chain(reboots(view, finished).lines()).chain(over) {
        out += &(if style.wrapped { wrap(line, style.columns).join("\n") } else { line.to_owned() } + "\n");
    }
    out += &where_to_look(view, finished);
    out
}

/// Whether a run has armed guards, and each host has ended so that its own was taken away or has fired.
fn no_guard_is_left(finished: &FinishedView) -> bool {
    matches!(finished.outcome, Outcome::RolledBack | Outcome::Committed)
        && finished.hosts.values().all(|end| {
            matches!(
                end,
                HostOutcome::RolledBack { .. }
                    | HostOutcome::WentBack
                    | HostOutcome::Committed
                    | HostOutcome::Unchanged
                    | HostOutcome::Untouched
                    | HostOutcome::Witness
                    | HostOutcome::Skipped
            )
        })
}

/// A run's outcome in capitals, as the recap and the list of runs have it.
pub(crate) fn word_of(outcome: Outcome) -> (&'static str, Tone) {
    match outcome {
        Outcome::Committed => ("COMMITTED", Tone::Good),
        Outcome::Unchanged => ("UNCHANGED", Tone::Good),
        Outcome::Planned => ("PLANNED", Tone::Good),
        Outcome::RolledBack => ("ROLLED BACK", Tone::Bad),
        Outcome::Refused => ("REFUSED", Tone::Bad),
        Outcome::Split => ("SPLIT", Tone::Bad),
        Outcome::Left => ("LEFT", Tone::Doubtful),
        Outcome::Superseded => ("SUPERSEDED", Tone::Bad),
        Outcome::Rebooted => ("REBOOTED", Tone::Good),
        Outcome::PartlyRebooted => ("PARTLY REBOOTED", Tone::Bad),
    }
}

/// As a table, or where that is too wide as two lines for each host.
fn hosts(view: &FleetView, finished: &FinishedView, style: RecapStyle) -> String {
    let ends = ends(view, finished);
    let rows: Vec<Vec<TableCell>> = ends.iter().map(|(host, outcome)| row(host, outcome, view)).collect();
    let heading = ["host", "outcome", "generation", "system", "reboot", "at work"];
    let mut out = table::render(&heading, &rows, style.columns, style.colour).unwrap_or_else(|| {
        let names = ends.iter().map(|(host, _)| host.as_str().len()).max().unwrap_or(0);
        ends.iter().map(|(host, outcome)| two_lines(host, outcome, view, names, style)).collect()
    });
    for (host, outcome) in &ends {
        if let HostOutcome::Lost { why } | HostOutcome::Left { why, .. } = outcome {
            let line = format!("{host}: {}", sanitise::line(&why.to_string()));
            let lines = if style.wrapped { wrap(&line, style.columns.saturating_sub(4).max(20)) } else { vec![line] };
            for (number, line) in lines.iter().enumerate() {
                out += &format!("{}{line}\n", if number == 0 { "  " } else { "    " });
            }
        }
    }
    out
}

/// In the inventory's order; hosts that no event named before come last.
pub(super) fn ends<'a>(view: &FleetView, finished: &'a FinishedView) -> Vec<(&'a HostName, &'a HostOutcome)> {
    let place = |host: &HostName| view.hosts.iter().position(|known| known.name == *host).unwrap_or(usize::MAX);
    let mut ends: Vec<_> = finished.hosts.iter().collect();
    ends.sort_by_key(|(host, _)| place(host));
    ends
}

pub(super) fn row(host: &HostName, outcome: &HostOutcome, view: &FleetView) -> Vec<TableCell> {
    let (word, tone) = word_of_host(outcome);
    let known = view.host(host);
    let took = known.map(HostView::time_at_work).filter(|took| took.as_secs() > 0).map(words::span);
    vec![
        host.as_str().into(),
        TableCell::new(tone, word),
        known.map(|known| generation(known, outcome)).unwrap_or_default().into(),
        known.map(|known| systems(known, outcome)).unwrap_or_default().into(),
        known.map(|known| reboot(known, outcome)).unwrap_or_default(),
        took.unwrap_or_default().into(),
    ]
}

fn two_lines(host: &HostName, outcome: &HostOutcome, view: &FleetView, names: usize, style: RecapStyle) -> String {
    let (word, tone) = word_of_host(outcome);
    let word = tone.map_or_else(|| word.to_owned(), |tone| paint(style.colour, tone, word));
    let mut out = format!("  {host:<names$}  {word}\n");
    let Some(known) = view.host(host) else { return out };
    let mut details = Vec::new();
    let number = generation(known, outcome);
    if !number.is_empty() {
        details.push(format!("generation {number}"));
    }
    details.extend([systems(known, outcome)].into_iter().filter(|systems| !systems.is_empty()));
    if let Some(changes) = known.changes.as_ref().filter(|_| *outcome == HostOutcome::Committed) {
        let what = if known.is_rebooted() { "rebooted for" } else { "reboot for" };
        details.extend(
            Some(format!("{what} {}", changes.reboot_for.join(", "))).filter(|_| !changes.reboot_for.is_empty()),
        );
    }
    if !details.is_empty() {
        for line in wrap(&details.join(", "), style.columns.saturating_sub(4 + names).max(20)) {
            out += &format!("  {:names$}  {line}\n", "");
        }
    }
    out
}

/// `41 -> 42`; the old one alone where that is what it has.
fn generation(host: &HostView, outcome: &HostOutcome) -> String {
    let Some(plan) = host.plan.as_ref().filter(|plan| plan.generation > 0) else { return String::new() };
    match (outcome, host.new_generation) {
        (HostOutcome::Committed, Some(new)) if new != plan.generation => format!("{} -> {new}", plan.generation),
        (
            HostOutcome::Lost { .. }
            | HostOutcome::Left { .. }
            | HostOutcome::WentBack
            | HostOutcome::Missing
            | HostOutcome::MovedOn { .. },
            _,
        ) => String::new(),
        _ => plan.generation.to_string(),
    }
}

fn systems(host: &HostView, outcome: &HostOutcome) -> String {
    let Some(plan) = &host.plan else { return String::new() };
    let (name, old) = (&host.name, words::system(&host.name, &plan.old));
    match outcome {
        HostOutcome::Committed => words::systems(name, &plan.old, &plan.new),
        HostOutcome::RolledBack { .. } => format!("runs {old} again"),
        HostOutcome::WentBack => "runs again what it booted before".to_owned(),
        // A plan that was not carried out is worth seeing: a dry run, a refusal.
        HostOutcome::Untouched if plan.changes => {
            format!("runs {old}, not changed to {}", words::system(name, &plan.new))
        }
        HostOutcome::Unchanged | HostOutcome::Witness | HostOutcome::Untouched | HostOutcome::Rebooted => {
            format!("runs {old}")
        }
        HostOutcome::Missing => "nothing is known of it".to_owned(),
        HostOutcome::MovedOn { on } => format!("runs {}", words::system(name, on)),
        HostOutcome::Lost { .. } | HostOutcome::Left { .. } => {
            format!("was to go {}", words::systems(name, &plan.old, &plan.new))
        }
        HostOutcome::Skipped => String::new(),
    }
}

fn reboot(host: &HostView, outcome: &HostOutcome) -> TableCell {
    match (&host.changes, outcome) {
        (_, HostOutcome::Committed) if host.is_rebooted() => TableCell::new(Some(Tone::Good), "done"),
        (Some(changes), HostOutcome::Committed) if changes.reboot_for.is_empty() => "not needed".into(),
        (Some(changes), HostOutcome::Committed) => {
            TableCell::new(Some(Tone::Doubtful), format!("for {}", changes.reboot_for.join(", ")))
        }
        _ => TableCell::default(),
    }
}

/// Hosts with the same changes are one group: a large fleet changes alike.
pub(super) fn what_changed(view: &FleetView, finished: &FinishedView, style: RecapStyle) -> String {
    if finished.outcome != Outcome::Committed {
        return String::new();
    }
    let mut groups: Vec<(&[PackageChange], Vec<&str>)> = Vec::new();
    for host in view.hosts.iter().filter(|host| finished.hosts.get(&host.name) == Some(&HostOutcome::Committed)) {
        let Some(packages) = host.changes.as_ref().and_then(|changes| changes.packages.as_deref()) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == packages) {
            Some((_, hosts)) => hosts.push(host.name.as_str()),
            None => groups.push((packages, vec![host.name.as_str()])),
        }
    }
    let most = if style.whole { usize::MAX } else { PACKAGES_NAMED };
    let mut out = String::new();
    for (packages, hosts) in groups {
        let hosts = if hosts.len() > 4 { format!("{} hosts", hosts.len()) } else { hosts.join(", ") };
        let text = format!("{hosts}: {}", sanitise::line(&packages::sentence(packages, most)));
        for (number, line) in wrap(&text, style.columns.saturating_sub(4).max(20)).iter().enumerate() {
            out += if number == 0 { "  " } else { "    " };
            out += &format!("{line}\n");
        }
    }
    if out.is_empty() { out } else { format!("{}\n{out}", paint(style.colour, Tone::Faint, "what changed")) }
}

fn reboots(view: &FleetView, finished: &FinishedView) -> String {
    let fleet = sanitise::line(view.fleet.as_deref().unwrap_or_default());
    let mut wanted: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for host in view.hosts.iter().filter(|host| finished.hosts.get(&host.name) == Some(&HostOutcome::Committed)) {
        let wants = |changes: &&Changes| !changes.reboot_for.is_empty() && !host.is_rebooted();
        if let Some(changes) = host.changes.as_ref().filter(wants) {
            wanted.entry(&changes.reboot_for).or_default().push(host.name.as_str());
        }
    }
    let say = |(what, hosts): (&[String], Vec<&str>)| {
        format!(
            "a reboot of {} is needed for its new {} (the new system is proven running, not yet booting), at any time: \
             fleetdeploy reboot {fleet} --on {}\n",
            hosts.join(", "),
            sanitise::line(&what.join(", ")),
            hosts.join(",")
        )
    };
    wanted.into_iter().map(say).collect()
}

fn where_to_look(view: &FleetView, finished: &FinishedView) -> String {
    let mut out = String::new();
    if let (Some(run), Some(_)) = (&view.run, &view.record) {
        let run = sanitise::line(run);
        out += &format!("look closer: fleetdeploy show {run}\n");
        let named = view.hosts.iter().find(|host| host.failed || host.logged).map(|host| &host.name);
        if let Some(host) = view.blamed.as_ref().or(named).filter(|_| finished.exit != 0) {
            out += &format!("the log of {host}: fleetdeploy logs {run} {host}\n");
        }
    }
    if finished.exit != 0 {
        out += &format!("exit status: {}\n", finished.exit);
    }
    out
}

fn word_of_host(outcome: &HostOutcome) -> (&'static str, Option<Tone>) {
    match outcome {
        HostOutcome::Committed => ("committed", Some(Tone::Good)),
        HostOutcome::Unchanged => ("unchanged", None),
        HostOutcome::Witness => ("witness", None),
        HostOutcome::RolledBack { by_guard: false } => ("rolled back", Some(Tone::Doubtful)),
        HostOutcome::RolledBack { by_guard: true } => ("rolled back by its guard", Some(Tone::Doubtful)),
        HostOutcome::WentBack => ("went back from its trial", Some(Tone::Doubtful)),
        HostOutcome::Untouched => ("not touched", None),
        HostOutcome::Lost { .. } => ("LOST", Some(Tone::Bad)),
        HostOutcome::Skipped => ("left out", Some(Tone::Doubtful)),
        HostOutcome::Left { back_within_ms: Some(_), .. } => ("left to its guard", Some(Tone::Doubtful)),
        HostOutcome::Left { back_within_ms: None, .. } => ("left", Some(Tone::Doubtful)),
        HostOutcome::Rebooted => ("rebooted", Some(Tone::Good)),
        HostOutcome::Missing => ("missing: ended without it", Some(Tone::Doubtful)),
        HostOutcome::MovedOn { .. } => ("moved on: over for it", Some(Tone::Doubtful)),
    }
}
