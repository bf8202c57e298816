//! Puts an event into words for the logs of the hosts that it is about, which a record keeps.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::wording::host;
use crate::event::{Cell, Event, HostOutcome, Phase};
use crate::facts::links::LinkAnswer;
use crate::inventory::model::{HostName, Place};

/// Packages that are named in a host's log: a new nixpkgs changes a thousand.
const PACKAGES_NAMED: usize = 5;

/// Returns what an event adds to the logs of hosts. Copied bytes and counted links on the way are left out: the end of
/// the phase has their result.
pub(crate) fn host_texts(event: &Event) -> Vec<(&HostName, String)> {
    let one = match event {
        Event::PushStarted { hosts, selected, .. } => {
            let selected: BTreeSet<&HostName> = selected.iter().collect();
            let text = |host| if selected.contains(host) { "a push begins" } else { "a push begins: a witness" };
            return hosts.iter().map(|host| (host, text(host).to_owned())).collect();
        }
        Event::RebootStarted { hosts, selected, .. } => {
            let selected: BTreeSet<&HostName> = selected.iter().collect();
            let text = |host| {
                if selected.contains(host) { "a rolling reboot begins" } else { "a rolling reboot begins: a witness" }
            };
            return hosts.iter().map(|host| (host, text(host).to_owned())).collect();
        }
        Event::RecoverStarted { hosts, .. } => {
            return hosts.iter().map(|host| (host, "a recovery begins".to_owned())).collect();
        }
        Event::Planned { hosts } => {
            let text = |changes| if changes { "is to run" } else { "stays on" };
            return hosts.iter().map(|plan| (&plan.host, format!("{} {}", text(plan.changes), plan.new))).collect();
        }
        Event::MatrixSeen { phase, cells } => return links_of_each_host(*phase, cells),
        Event::Finished { hosts, .. } => {
            return hosts.iter().map(|(host, outcome)| (host, format!("ended: {}", outcome_words(outcome)))).collect();
        }
        Event::RollBackStarted { host: Some(host), reason, .. } => (host, format!("the push turns back: {reason}")),
        Event::Warned { host: Some(host), text } => (host, format!("warning: {text}")),
        Event::Failed { host: Some(host), text, hint } => {
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            (host, format!("failed: {text}{hint}"))
        }
        // Too many, and the end of the copy has their sum.
        Event::CopyMoved { .. } => return Vec::new(),
        event => return host::sentence(event, PACKAGES_NAMED).into_iter().collect(),
    };
    vec![one]
}

/// Returns what stands in a host's log where a log that it had already is told again.
pub(crate) fn told_above(what: &str) -> String {
    format!("the log of {what} stands above")
}

/// Returns each host at an end of a link, with those of its links that are down.
fn links_of_each_host(phase: Phase, cells: &[Cell]) -> Vec<(&HostName, String)> {
    let begins = cells.iter().filter_map(|cell| match &cell.from {
        Place::Host(host) => Some(host),
        Place::Workstation => None,
    });
    let mut hosts: BTreeMap<&str, (&HostName, usize, Vec<String>)> =
        begins.map(|host| (host.as_str(), (host, 0, Vec::new()))).collect();
    for cell in cells {
        let from = match &cell.from {
            Place::Host(host) => Some(host.as_str()),
            Place::Workstation => None,
        };
        let to = Some(cell.to.as_str()).filter(|to| from != Some(to));
        for end in [from, to].into_iter().flatten() {
            let Some((_, links, down)) = hosts.get_mut(end) else { continue };
            *links += 1;
            if !cell.answer.is_up() {
                down.push(describe(cell));
            }
        }
    }
    let text = |links: usize, down: &[String]| {
        let count = format!("{}: {} of {links} links up", phase.word(), links - down.len());
        if down.is_empty() { count } else { format!("{count}\n{}", down.join("\n")) }
    };
    hosts.into_values().map(|(host, links, down)| (host, text(links, &down))).collect()
}

fn describe(cell: &Cell) -> String {
    let from = match &cell.from {
        Place::Workstation => "workstation",
        Place::Host(host) => host.as_str(),
    };
    let why = match &cell.answer {
        LinkAnswer::Down { why } => why.as_str(),
        LinkAnswer::Up { .. } | LinkAnswer::Unknown => "unknown",
    };
    format!("{from} -> {} {}: {why}", cell.to, cell.kind)
}

fn outcome_words(outcome: &HostOutcome) -> String {
    match outcome {
        HostOutcome::Committed => "committed".to_owned(),
        HostOutcome::Unchanged => "unchanged".to_owned(),
        HostOutcome::Witness => "a witness".to_owned(),
        HostOutcome::RolledBack { by_guard: false } => "rolled back".to_owned(),
        HostOutcome::RolledBack { by_guard: true } => "rolled back by its guard".to_owned(),
        HostOutcome::WentBack => "went back from its trial, to what it booted before".to_owned(),
        HostOutcome::Untouched => "not touched".to_owned(),
        HostOutcome::Lost { why } => format!("lost: {why}"),
        HostOutcome::Left { why, .. } => format!("left: {why}"),
        HostOutcome::Skipped => "skipped".to_owned(),
        HostOutcome::Rebooted => "rebooted, and proven back".to_owned(),
        HostOutcome::Missing => "missing: the run was ended without it".to_owned(),
        HostOutcome::MovedOn { .. } => "moved on: the run was over for it".to_owned(),
    }
}
