//! Puts an event into words for the logs of the hosts that it is about.

use crate::event::{Cell, Event, HostOutcome, Phase};
use crate::facts::links::LinkAnswer;
use crate::inventory::model::{HostName, Place};

/// Packages that are named in a host's log: a new nixpkgs changes a thousand.
const PACKAGES_NAMED: usize = 5;

/// Returns what an event adds to the logs of hosts. Copied bytes and counted links on the way are left out: the end of
/// the phase has their result.
pub(super) fn host_texts(event: &Event) -> Vec<(&HostName, String)> {
    let one = match event {
        Event::PushStarted { hosts, selected, .. } => {
            let text = |host| if selected.contains(host) { "a push begins" } else { "a push begins: a witness" };
            return hosts.iter().map(|host| (host, text(host).to_owned())).collect();
        }
        Event::RebootStarted { hosts, selected, .. } => {
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
        Event::HostSurveyed { host, nixos, nix, systemd, kernel, .. } => {
            let nixos = nixos.as_deref().unwrap_or("unknown");
            (host, format!("answers: NixOS {nixos}, nix {nix}, systemd {systemd}, kernel {kernel}"))
        }
        Event::Compared { host, packages, reboot_for } => {
            let text = match packages {
                None => "what changes could not be found out".to_owned(),
                Some(packages) if packages.is_empty() => "no package changes".to_owned(),
                Some(packages) => {
                    let names: Vec<&str> =
                        packages.iter().take(PACKAGES_NAMED).map(|change| change.package.as_str()).collect();
                    let more = if packages.len() > names.len() { " and more" } else { "" };
                    format!("packages that change: {} ({}{more})", packages.len(), names.join(", "))
                }
            };
            let reboot = match reboot_for.as_slice() {
                [] => String::new(),
                parts => format!("; only a reboot brings: {}", parts.join(", ")),
            };
            (host, text + &reboot)
        }
        Event::RollBackStarted { host: Some(host), reason } => (host, format!("the push turns back: {reason}")),
        Event::HostFound { host, text } => (host, format!("found: {text}")),
        Event::BootDefaultMoved { host, generation } => (host, format!("a reboot brings generation {generation} now")),
        Event::HostMoved { host, doing } => (host, doing.clone()),
        Event::HostDone { host, phase } => (host, format!("{} done", phase.word())),
        Event::GuardArmed { host, left_ms } => (host, format!("guard armed, {} s left", left_ms / 1000)),
        Event::GuardSeen { host, left_ms } => (host, format!("guard found armed, {} s left", left_ms / 1000)),
        Event::GuardExtended { host, left_ms } => (host, format!("guard extended, {} s left", left_ms / 1000)),
        Event::GuardDisarmed { host } => (host, "guard disarmed".to_owned()),
        Event::ContactLost { host, why } => (host, format!("contact lost: {why}")),
        Event::ContactMade { host } => (host, "contact made".to_owned()),
        Event::Warned { host: Some(host), text } => (host, format!("warning: {text}")),
        Event::Failed { host: Some(host), text, hint } => {
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            (host, format!("failed: {text}{hint}"))
        }
        Event::LeftToGuard { host, fires_in_ms, boot_ms } => {
            let (fires, boot) = (fires_in_ms / 1000, boot_ms / 1000);
            let text = match (fires, boot) {
                (0, 0) => "left to its guard, which must have fired: it should be back by now".to_owned(),
                (0, _) => format!("left to its guard, which must have fired; up to {boot} s to go back and boot"),
                _ => format!("left to its guard, which fires in {fires} s; then up to {boot} s to go back and boot"),
            };
            (host, text)
        }
        Event::AddressChosen { host, address } => (host, format!("is reached at {address}")),
        Event::HostRebooted { host, took_ms, old_kernel, new_kernel } => {
            (host, format!("rebooted in {} s, kernel {old_kernel} before, {new_kernel} now", took_ms / 1000))
        }
        Event::CameBack { host, text } => (host, format!("came back: {text}")),
        _ => return Vec::new(),
    };
    vec![one]
}

/// Returns each host at an end of a link, with those of its links that are down.
fn links_of_each_host(phase: Phase, cells: &[Cell]) -> Vec<(&HostName, String)> {
    let mut hosts: Vec<&HostName> = cells
        .iter()
        .filter_map(|cell| match &cell.from {
            Place::Host(host) => Some(host),
            Place::Workstation => None,
        })
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    let text = |host: &HostName| {
        let is_of = |cell: &&Cell| cell.to == host.as_str() || matches!(&cell.from, Place::Host(from) if from == host);
        let links: Vec<&Cell> = cells.iter().filter(is_of).collect();
        let down: Vec<String> = links.iter().filter(|cell| !cell.answer.is_up()).map(|cell| describe(cell)).collect();
        let count = format!("{}: {} of {} links up", phase.word(), links.len() - down.len(), links.len());
        if down.is_empty() { count } else { format!("{count}\n{}", down.join("\n")) }
    };
    hosts.into_iter().map(|host| (host, text(host))).collect()
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
        HostOutcome::Untouched => "not touched".to_owned(),
        HostOutcome::Lost { why } => format!("lost: {why}"),
        HostOutcome::Left { why, .. } => format!("left: {why}"),
        HostOutcome::Skipped => "skipped".to_owned(),
        HostOutcome::Rebooted => "rebooted, and proven back".to_owned(),
        HostOutcome::Missing => "missing: the run was ended without it".to_owned(),
        HostOutcome::MovedOn { .. } => "moved on: the run was over for it".to_owned(),
    }
}
