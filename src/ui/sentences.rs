//! Each event as a sentence: what the plain lines and the lines above the live rows say.

use std::time::{Duration, SystemTime};

use crate::event::reason::rollback::LinksCause;
use crate::event::waiting::WaitedFor;
use crate::event::wording::{build, host, sending, waiting, words};
use crate::event::{Cell, Event, GUARD_TRACE, HostPlanned, Phase};
use crate::inventory::model::HostName;
use crate::ui::host_view::GuardView;
use crate::ui::paint::Tone;
use crate::ui::view::{FleetView, What};
use crate::ui::{matrix, sanitise};

/// Lines of a log that are shown; the whole of it is in the record. `-v` shows what came.
const LOG_TAIL: usize = 20;

/// Links that verify waits for which are named, so that the line stays one.
const LINKS_NAMED: usize = 2;

/// Hosts of a wave that are named.
const HOSTS_NAMED: usize = 6;

/// Packages that are named when a host's new system is compared.
const PACKAGES_NAMED: usize = 6;

/// One thing to say. Its text may have several lines, and is clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// None: it concerns the whole fleet.
    pub(crate) hosts: Vec<HostName>,
    pub(crate) tone: Option<Tone>,
    pub(crate) text: String,
    /// Since the command began.
    pub(crate) after: Duration,
    /// It is laid out already, and has no time in front.
    pub(crate) is_table: bool,
}

fn of_fleet(tone: Option<Tone>, text: impl Into<String>) -> Sentence {
    Sentence { hosts: Vec::new(), tone, text: text.into(), after: Duration::ZERO, is_table: false }
}

fn of_host(host: &HostName, tone: Option<Tone>, text: impl Into<String>) -> Sentence {
    Sentence { hosts: vec![host.clone()], ..of_fleet(tone, text) }
}

fn of_any(host: Option<&HostName>, tone: Option<Tone>, text: impl Into<String>) -> Sentence {
    Sentence { hosts: host.into_iter().cloned().collect(), ..of_fleet(tone, text) }
}

/// Lines that are laid out already.
pub(crate) fn table(text: String) -> Sentence {
    Sentence { is_table: true, ..of_fleet(None, text) }
}

/// Puts what is said of several hosts in the same words into one: of a large fleet most is said of all.
pub(crate) fn merge(said: Vec<Sentence>) -> Vec<Sentence> {
    let mut merged: Vec<Sentence> = Vec::new();
    for one in said {
        let same = |known: &&mut Sentence| {
            known.text == one.text && known.tone == one.tone && !known.hosts.is_empty() && !one.hosts.is_empty()
        };
        match merged.iter_mut().find(same) {
            Some(known) => {
                let others = one.hosts.into_iter().filter(|host| !known.hosts.contains(host));
                known.hosts = known.hosts.iter().cloned().chain(others).collect();
            }
            None => merged.push(one),
        }
    }
    merged
}

/// Versions and whole logs: they are in the record, and on the screen for `-v`.
pub(crate) fn is_for_who_looks_closer(event: &Event) -> bool {
    matches!(
        event,
        Event::WorkstationSeen { .. } | Event::SourceKnown { .. } | Event::HostSurveyed { .. } | Event::Printed { .. }
    )
}

/// The programs of the workstation.
fn workstation(fleetdeploy: &str, others: [&Option<String>; 2]) -> Sentence {
    let others = others.into_iter().flatten().map(|version| sanitise::line(version));
    let all: Vec<String> = std::iter::once(format!("fleetdeploy {fleetdeploy}")).chain(others).collect();
    of_fleet(Some(Tone::Faint), format!("this workstation: {}", all.join(", ")))
}

/// Returns the words about an event, after `view` has taken it in. A matrix and the end are tables, and not said here.
pub(crate) fn say(event: &Event, view: &FleetView, verbose: bool) -> Vec<Sentence> {
    let now = view.heard.unwrap_or(SystemTime::UNIX_EPOCH);
    match event {
        Event::PushStarted { .. }
        | Event::RecoverStarted { .. }
        | Event::RebootStarted { .. }
        | Event::RunChosen { .. } => beginning(event, view),
        Event::Planned { hosts } => hosts.iter().map(planned).collect(),
        Event::PhaseStarted { phase } => vec![phase_line(*phase, view, now)],
        // A single one is all of them at once: the phase says that.
        Event::WavesPlanned { waves } if waves.len() > 1 => {
            let waves: Vec<String> = waves.iter().map(|hosts| some_names(hosts)).collect();
            vec![of_fleet(None, format!("{} waves: {}", waves.len(), waves.join(" | ")))]
        }
        Event::WaveStarted { wave, of: of @ 2.., hosts } => {
            vec![of_fleet(Some(Tone::Strong), format!("wave {wave} of {of}: {}", some_names(hosts)))]
        }
        Event::Decided => {
            vec![of_fleet(Some(Tone::Good), "decided: every host and every link holds, commit")]
        }
        Event::RollBackStarted { host, reason, .. } => {
            let though =
                if view.decided { ", though it was decided to commit (no guard was disarmed yet)" } else { "" };
            let text = format!("ROLLING BACK{though}: {}", sanitise::text(&reason.to_string()));
            vec![of_any(host.as_ref(), Some(Tone::Bad), text)]
        }
        Event::Warned { host, text } => {
            let text = format!("warning: {}", sanitise::text(&text.to_string()));
            vec![of_any(host.as_ref(), Some(Tone::Doubtful), text)]
        }
        Event::EventsLost { events, why } => {
            let what = if *events == 1 { "1 event is".to_owned() } else { format!("{events} events are") };
            let text = format!("warning: {what} not in the record of this run: {}", sanitise::line(why));
            vec![of_fleet(Some(Tone::Doubtful), text)]
        }
        Event::Failed { host, text, hint } => {
            let mut said =
                vec![of_any(host.as_ref(), Some(Tone::Bad), format!("FAILED: {}", sanitise::text(&text.to_string())))];
            said.extend(
                hint.as_ref().map(|hint| of_any(host.as_ref(), None, format!("hint: {}", sanitise::text(hint)))),
            );
            said
        }
        Event::Printed { host, by, lines } => {
            let by = sanitise::line(by);
            let text: Vec<String> = lines.iter().map(|line| format!("{by}| {}", sanitise::line(line))).collect();
            vec![of_any(host.as_ref(), Some(Tone::Faint), text.join("\n"))]
        }
        Event::WorkstationSeen { fleetdeploy, nix, ssh } => vec![workstation(fleetdeploy, [nix, ssh])],
        Event::SourceKnown { provenance } => {
            let text = sanitise::line(&words::source(provenance));
            vec![of_fleet(Some(Tone::Faint), format!("source: {text}"))]
        }
        Event::BuildMoved { done, expected, doing, .. } => {
            // Before nix knows what there is to build it only evaluates.
            let front = if *expected > 0 { format!("built {done} of {expected}: ") } else { String::new() };
            vec![of_fleet(None, front + &sanitise::line(doing))]
        }
        Event::Evaluated { anew, kept } => vec![of_fleet(Some(Tone::Faint), build::evaluated(*anew, *kept))],
        Event::CopiesForeseen { copies } => vec![of_fleet(None, sending::coming(copies))],
        Event::CopyMeasured { host: None, from, bytes, took_ms } => vec![to_cache(from.as_ref(), *bytes, *took_ms)],
        Event::HookStarted { hook, limit_ms } => {
            vec![of_fleet(None, format!("hook {}: up to {}", sanitise::line(hook), words::span_ms(*limit_ms)))]
        }
        Event::LinksMoved { up, of, rounds, waiting_for, cause, .. } => {
            let links = links(*up, *of, *rounds, waiting_for, cause.as_ref());
            vec![of_fleet(None, links + &links_end(view, now) + &guards_left(view, now))]
        }
        Event::WaitStarted { wait, within_ms, then } if !matches!(wait, WaitedFor::Links | WaitedFor::OldLinks) => {
            let left = words::span_ms(*within_ms);
            // It ends a longer wait that was told when their contact was lost.
            let text = if *wait == WaitedFor::SilentHosts {
                format!("all others are through: waits for {wait} no longer than {left}, else {then}")
            } else {
                format!("waits for {wait}: {left} more, {} {then}", waiting::then(*wait))
            };
            vec![of_fleet(None, text)]
        }
        Event::MayLeave { may: true, back_within_ms } => {
            let back = back_within_ms.map_or_else(String::new, |within| {
                format!("; the others come back by their guards within {}", words::span_ms(within))
            });
            let text = "every host that answers is back: a second signal leaves, and nothing is lost by that";
            vec![of_fleet(None, format!("{text}{back}"))]
        }
        // Tables, and what a query's command prints on stdout by itself.
        Event::MatrixSeen { .. }
        // The links that are waited for say until when.
        | Event::WaitStarted { .. }
        | Event::WaitEnded { .. }
        | Event::MayLeave { .. }
        | Event::Foreseen { .. }
        | Event::Asked { .. }
        | Event::Replied { .. }
        | Event::Finished { .. }
        | Event::QueryStarted { .. }
        | Event::Answer { .. }
        | Event::Ended { .. } => Vec::new(),
        // Armed by hand: there is no push that could end well.
        Event::GuardArmed { host, left_ms, way_back } if view.what == What::Query => {
            let (left, way) = (words::span_ms(*left_ms), waiting::way_back(way_back.as_ref()));
            let text =
                format!("guard armed: its system and boot default go back in {left}{way}, unless it is disarmed");
            vec![of_host(host, None, text)]
        }
        _ => of_one_host(event, verbose).into_iter().collect(),
    }
}

/// What the cache was sent, where that is none of the hosts.
fn to_cache(from: Option<&HostName>, bytes: u64, took_ms: u64) -> Sentence {
    of_fleet(None, format!("the cache was sent {}", sending::measured(from, bytes, took_ms)))
}

/// The line above a matrix.
pub(crate) fn matrix(phase: Phase, cells: &[Cell]) -> Sentence {
    let tone = cells.iter().any(|cell| cell.required && !cell.answer.is_up()).then_some(Tone::Doubtful);
    of_fleet(tone, format!("{}: {}", phase.word(), matrix::count(cells)))
}

fn beginning(event: &Event, view: &FleetView) -> Vec<Sentence> {
    let names = |hosts: &[HostName]| hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
    let inventory = |path: &str| of_fleet(None, format!("inventory: {}", sanitise::line(path)));
    let record = |path: &str| of_fleet(None, format!("record: {}", sanitise::line(path)));
    match event {
        Event::PushStarted { fleet, hosts, inventory: path, guard_ms, record: folder, .. } => {
            let (plan, fleet) = (view.what == What::DryRun, sanitise::line(fleet));
            let mut text = match &view.rollback_to {
                Some(_) if plan => format!("plan of a rollback of {fleet} ({})", names(hosts)),
                None if plan => format!("plan of {fleet} ({})", names(hosts)),
                Some(_) => format!("roll back {fleet} ({})", names(hosts)),
                None => format!("push {fleet} ({})", names(hosts)),
            };
            if let Some(to) = &view.rollback_to {
                text += &format!(" to {}", sanitise::line(to));
            }
            if *guard_ms > 0 {
                text += &format!(", guards of {}", words::span_ms(*guard_ms));
            }
            let mut said = vec![of_fleet(Some(Tone::Strong), text), inventory(path)];
            said.extend(folder.as_deref().map(record));
            said
        }
        Event::RebootStarted { fleet, selected, inventory: path, record: folder, .. } => {
            let text = format!("reboot {} ({})", sanitise::line(fleet), names(selected));
            vec![of_fleet(Some(Tone::Strong), text), inventory(path), record(folder)]
        }
        Event::RecoverStarted { fleet, hosts, inventory: path } => {
            let text = format!("recover {} ({})", sanitise::line(fleet), names(hosts));
            vec![of_fleet(Some(Tone::Strong), text), inventory(path)]
        }
        Event::RunChosen { alone, record: folder, .. } => {
            let run = sanitise::line(view.run.as_deref().unwrap_or_default());
            let how = if *alone { "from the hosts alone, without its record" } else { "from its record" };
            let text = format!("run {run} did not come to its end: taking it over {how}");
            vec![of_fleet(Some(Tone::Strong), text), record(folder)]
        }
        _ => Vec::new(),
    }
}

fn some_names(hosts: &[HostName]) -> String {
    let named: Vec<&str> = hosts.iter().take(HOSTS_NAMED).map(HostName::as_str).collect();
    match hosts.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn planned(planned: &HostPlanned) -> Sentence {
    let systems = words::systems(&planned.host, &planned.old, &planned.new);
    let old = words::system(&planned.host, &planned.old);
    let text = match (planned.selected, planned.changes) {
        (_, true) => format!("will change: {systems}"),
        (true, false) => format!("has its new system already: {old}"),
        (false, false) => format!("was not selected, stays on {old}"),
    };
    of_host(&planned.host, None, text)
}

fn phase_line(phase: Phase, view: &FleetView, now: SystemTime) -> Sentence {
    // Only a push passes all ten.
    let of_a_push = matches!(view.what, What::Push | What::DryRun);
    let number = words::number(phase).filter(|_| of_a_push);
    let number = number.map(|number| format!(" ({number} of 10)")).unwrap_or_default();
    let text = format!("== {}{number}: {}{}", phase.word(), view.about(phase), guards_left(view, now));
    of_fleet(Some(Tone::Strong), text)
}

/// ` [guards: 14m 12s left]`, for the one that fires first; nothing if none is armed.
fn guards_left(view: &FleetView, now: SystemTime) -> String {
    let fires = view.hosts.iter().filter_map(|host| match host.guard {
        GuardView::Armed { fires, .. } | GuardView::Awaited { fires, .. } => Some(fires),
        GuardView::None | GuardView::Disarmed | GuardView::Fired => None,
    });
    fires.min().map_or_else(String::new, |first| {
        format!(" [guards: {} left]", words::span(first.duration_since(now).unwrap_or_default()))
    })
}

/// `; 12s more, else all go back`: until when links are waited for.
fn links_end(view: &FleetView, now: SystemTime) -> String {
    let wait = view.waits.iter().find(|wait| matches!(wait.wait, WaitedFor::Links | WaitedFor::OldLinks));
    let left = wait.and_then(|wait| Some((wait.until.duration_since(now).ok()?, wait.then)));
    left.map_or_else(String::new, |(left, then)| format!("; {} more, else {then}", words::span(left)))
}

fn links(up: u64, of: u64, rounds: u32, waiting_for: &[String], cause: Option<&LinksCause>) -> String {
    let mut text = format!("{up} of {of} links up, good rounds in a row: {rounds}");
    if let Some(cause) = cause {
        text += &format!(", waiting for {cause}");
    } else if !waiting_for.is_empty() {
        let named = &waiting_for[..waiting_for.len().min(LINKS_NAMED)];
        text += &format!(", waiting for {}", sanitise::line(&named.join(", ")));
        if named.len() < waiting_for.len() {
            text += &format!(" and {} more", waiting_for.len() - named.len());
        }
    }
    text
}

fn of_one_host(event: &Event, verbose: bool) -> Option<Sentence> {
    if let Event::Logged { host, what, lines } = event {
        return Some(of_host(host, None, log(what, lines, verbose)));
    }
    let most = if verbose { usize::MAX } else { PACKAGES_NAMED };
    let (host, text) = host::sentence(event, most)?;
    let (tone, text) = match event {
        // Both may have several lines: what is wrong there, one below the other.
        Event::HostFound { .. } | Event::CameBack { .. } => (None, sanitise::text(&text)),
        Event::ContactLost { .. } | Event::LeftToGuard { .. } => (Some(Tone::Doubtful), sanitise::line(&text)),
        Event::HostSurveyed { .. } => (Some(Tone::Faint), sanitise::line(&text)),
        _ => (None, sanitise::line(&text)),
    };
    Some(of_host(host, tone, text))
}

fn log(what: &str, lines: &[String], verbose: bool) -> String {
    // It is of the run that the guard belonged to, and looks like what goes on now.
    if let (GUARD_TRACE, [first, more @ ..], false) = (what, lines, verbose) {
        let more = if more.is_empty() { "" } else { " (the rest of what it left there is in the record)" };
        return format!("before this command: {}{more}", sanitise::line(first));
    }
    let shown = if verbose { lines.len() } else { lines.len().min(LOG_TAIL) };
    let left_out = lines.len() - shown;
    let mut text = format!("log of {}:", sanitise::line(what));
    if left_out > 0 {
        text += &format!(" ({left_out} earlier lines are in the record)");
    }
    for line in &lines[left_out..] {
        text += &format!("\n| {}", sanitise::line(line));
    }
    text
}
