//! A host's row on the live screen: how it is, what it does, for how long, and what is left of its guard.

use std::time::{Duration, SystemTime};

use crate::event::Phase;
use crate::event::wording::words;
use crate::ui::host_view::{GuardView, HostView, Role};
use crate::ui::line::{Strip, cut, width};
use crate::ui::paint::Tone;
use crate::ui::safety::alarm;
use crate::ui::sanitise;
use crate::ui::screen_style::ScreenStyle;
use crate::ui::view::FleetView;

/// The longest name that the others are aligned to.
const NAME_LIMIT: usize = 20;

/// From this width on a row also has the phase's name; below, the heading has it.
const WITH_PHASE: usize = 76;

/// `1h 02m 03s`, `15m 00s`.
const TIME: usize = 7;

/// `guard 14m 59s`.
const GUARD: usize = 13;

/// How a host is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Takes no part just now.
    Aside,
    /// Through, and waits for the others.
    Through,
    /// Its turn has not come.
    Waiting,
    AtWork,
    /// Out of reach just now, or left to its guard.
    Away,
    Failed,
    /// Its guard should have brought it back.
    Overdue,
}

impl Health {
    pub(crate) fn of(host: &HostView, view: &FleetView, now: SystemTime) -> Self {
        match host.guard {
            GuardView::Awaited { back, .. } if now >= back => return Self::Overdue,
            GuardView::Awaited { .. } => return Self::Away,
            _ => {}
        }
        if host.failed && view.rolling_back.is_none() {
            Self::Failed
        } else if !host.reachable {
            Self::Away
        } else if !view.phase().is_some_and(|phase| host.takes_part(phase)) {
            Self::Aside
        } else if host.through.is_some() {
            Self::Through
        } else if host.doing.is_empty() && waits_silently(host) {
            Self::Waiting
        } else {
            Self::AtWork
        }
    }

    fn sign(self, unicode: bool) -> &'static str {
        match (self, unicode) {
            (Self::Aside, true) => "·",
            (Self::Aside, false) => ".",
            (Self::Through, true) => "✓",
            (Self::Through, false) => "+",
            (Self::Waiting, _) => " ",
            (Self::AtWork, true) => "▸",
            (Self::AtWork, false) => ">",
            (Self::Away | Self::Overdue, _) => "?",
            (Self::Failed, true) => "✗",
            (Self::Failed, false) => "x",
        }
    }

    pub(crate) fn tone(self) -> Option<Tone> {
        match self {
            Self::Aside => Some(Tone::Faint),
            Self::Through => Some(Tone::Good),
            Self::Waiting | Self::AtWork => None,
            Self::Away => Some(Tone::Doubtful),
            Self::Failed | Self::Overdue => Some(Tone::Bad),
        }
    }

    /// For the hosts that have no row of their own.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Aside => "witnesses",
            Self::Through => "through",
            Self::Waiting => "waiting",
            Self::AtWork => "at work",
            Self::Away => "out of reach",
            Self::Failed => "failed",
            Self::Overdue => "overdue",
        }
    }
}

/// The phases in which a host without an event waits for its turn: in the others all hosts are at work at once.
fn waits_silently(host: &HostView) -> bool {
    matches!(
        host.phase,
        Some(Phase::Build | Phase::Arm | Phase::Test | Phase::Switch | Phase::Disarm | Phase::RollBack | Phase::Reboot)
    )
}

/// Draws one row; `names` is how wide the names are.
pub(crate) fn row(host: &HostView, view: &FleetView, names: usize, style: &ScreenStyle, now: SystemTime) -> Strip {
    let health = Health::of(host, view, now);
    let tone = health.tone();
    let mut strip = Strip::default();
    strip.push(tone, health.sign(style.unicode)).push(None, " ");
    strip.push(tone.filter(|tone| *tone != Tone::Good), cut(host.name.as_str(), names));
    strip.pad_to(2 + names + 1);
    if style.columns >= WITH_PHASE {
        let phase = match host.role {
            Role::Witness => "witness",
            Role::LeftOut => "left out",
            Role::Current => "current",
            // Its last phase is over.
            _ if health == Health::Aside => "",
            _ => host.phase.map_or("", Phase::word),
        };
        strip.push(Some(Tone::Faint), phase).pad_to(2 + names + 1 + 10);
    }
    let time = words::span(host.time(now));
    let guard = guard(host, now);
    let guard_columns = if view.has_begun(Phase::Arm) || guard.is_some() { GUARD + 1 } else { 0 };
    let room = style.columns.saturating_sub(strip.width() + 1 + TIME + guard_columns);
    strip.push(tone.filter(|_| health >= Health::Away), style.text(&cut(&doing(host, health, now), room)));
    if health != Health::Aside {
        strip.pad_to(style.columns.saturating_sub(guard_columns + width(&time)));
        strip.push(Some(Tone::Faint), time);
    }
    if let Some((tone, text)) = guard {
        strip.pad_to(style.columns.saturating_sub(width(&text)));
        strip.push(Some(tone), text);
    }
    strip
}

/// How wide the names' column is.
pub(crate) fn name_width(view: &FleetView) -> usize {
    view.hosts.iter().map(|host| width(host.name.as_str())).max().unwrap_or(0).min(NAME_LIMIT)
}

fn guard(host: &HostView, now: SystemTime) -> Option<(Tone, String)> {
    let left = |until: SystemTime| until.duration_since(now).unwrap_or_default();
    Some(match host.guard {
        GuardView::Armed { fires, length } => {
            (alarm(left(fires), length), format!("guard {}", words::span(left(fires))))
        }
        GuardView::Awaited { fires, .. } if now < fires => {
            (Tone::Doubtful, format!("guard {}", words::span(left(fires))))
        }
        GuardView::Awaited { back, .. } if now < back => (Tone::Doubtful, format!("boots {}", words::span(left(back)))),
        GuardView::Awaited { .. } => (Tone::Bad, "OVERDUE".to_owned()),
        GuardView::Disarmed => (Tone::Faint, "disarmed".to_owned()),
        GuardView::Fired => (Tone::Faint, "guard fired".to_owned()),
        GuardView::None => return None,
    })
}

fn doing(host: &HostView, health: Health, now: SystemTime) -> String {
    match host.guard {
        GuardView::Awaited { fires, .. } if now < fires => {
            return "out of reach: its guard will bring it back".to_owned();
        }
        GuardView::Awaited { back, .. } if now < back => {
            return "must have fired: it reboots into its old system".to_owned();
        }
        GuardView::Awaited { back, .. } => {
            let late = now.duration_since(back).unwrap_or_default();
            return format!("should have been back {} ago", words::span(late));
        }
        _ => {}
    }
    match health {
        Health::Failed => return "failed, see above".to_owned(),
        Health::Away => return "connection lost, connecting again".to_owned(),
        _ => {}
    }
    let links = host.links.map(|links| format!("{} of {} links up", links.up, links.of));
    let told = sanitise::line(&host.doing);
    if health == Health::Aside {
        let standing = match host.role {
            Role::Current => "has its new system already",
            Role::Changes => "needs no reboot",
            Role::LeftOut => "takes no part",
            _ => "stays as it is",
        };
        return links.map_or_else(|| standing.to_owned(), |links| format!("{standing}, {links}"));
    }
    match (host.phase, host.through.is_some()) {
        (Some(Phase::Copy), false) if host.copy.bytes.expected_bytes > 0 && !is_after_copy(host) => copying(host),
        (Some(Phase::Verify | Phase::Baseline), _) => match links {
            Some(links) if told.is_empty() || host.phase == Some(Phase::Baseline) => links,
            Some(links) => format!("{links}, {told}"),
            None if told.is_empty() => "probing its links".to_owned(),
            None => told,
        },
        (Some(phase), true) => through(phase).to_owned(),
        (_, false) if !told.is_empty() => told,
        (Some(Phase::Build), false) => "waiting for the build".to_owned(),
        (Some(Phase::Survey), false) => "connecting".to_owned(),
        (Some(Phase::Copy), false) => "copying".to_owned(),
        (Some(_), false) if health == Health::Waiting => "waits for its turn".to_owned(),
        _ => String::new(),
    }
}

/// What it does after the bytes are over is told in words.
fn is_after_copy(host: &HostView) -> bool {
    host.copy.bytes.done_bytes >= host.copy.bytes.expected_bytes && !host.doing.is_empty()
}

fn copying(host: &HostView) -> String {
    let bytes = host.copy.bytes;
    let mut text = format!("{} of {}", words::size(bytes.done_bytes), words::size(bytes.expected_bytes));
    if let Some(speed) = host.copy.speed {
        text += &format!(", {}/s", words::size(speed));
        let left = bytes.expected_bytes.saturating_sub(bytes.done_bytes);
        if let Some(seconds) = left.checked_div(speed).filter(|seconds| *seconds > 0) {
            text += &format!(", {} left", words::span(Duration::from_secs(seconds)));
        }
    }
    text
}

fn through(phase: Phase) -> &'static str {
    match phase {
        Phase::Build => "built",
        Phase::Survey => "answers",
        Phase::Copy => "its new system is there",
        Phase::Baseline | Phase::Verify => "",
        Phase::Arm => "guarded",
        Phase::Test => "runs its new system, for now",
        Phase::Decide => "holds",
        Phase::Switch => "a reboot brings its new system",
        Phase::Disarm => "done: its new system stays",
        Phase::RollBack => "runs its old system again",
        Phase::TakeOver => "taken over",
        Phase::Reboot => "rebooted, and proven back",
        Phase::Ask => "has answered",
    }
}
