//! A host's row on the live screen: how it is, what it does, for how long, and what is left of its guard.

use std::time::{Duration, SystemTime};

use crate::event::Phase;
use crate::event::waiting::{AfterWait, HeldBack};
use crate::event::wording::activity::in_a_rollback;
use crate::event::wording::{waiting, words};
use crate::inventory::model::{GuardAction, HostName};
use crate::ui::host_view::{GuardView, HostView, Role, Turn};
use crate::ui::line::{Strip, cut, fitting, width};
use crate::ui::paint::Tone;
use crate::ui::safety::alarm;
use crate::ui::sanitise;
use crate::ui::screen_style::ScreenStyle;
use crate::ui::view::{FleetView, What};

/// The longest name that the others are aligned to.
const NAME_LIMIT: usize = 20;

/// From this width on a row also has the phase's name; below, the heading has it.
const WITH_PHASE: usize = 76;

/// `59s`: what is kept free for a time at the least, so that a row does not change its words each second.
const TIME: usize = 3;

/// `fires 14m 59s`.
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
        } else if host.stands_by.is_some() || (host.doing.is_empty() && waits_silently(host)) {
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
    let guard = guard(host, now);
    let guard_columns = if view.has_begun(Phase::Arm) || guard.is_some() { GUARD + 1 } else { 0 };
    let doing: Vec<String> = doing(host, view, health, now).iter().map(|text| style.text(text)).collect();
    let room = |time: &str| style.columns.saturating_sub(strip.width() + 1 + TIME.max(width(time)) + guard_columns);
    // The longest of its times beside which the whole of what it does can be said.
    let times = times(host, health, now);
    let longest = doing.first().map_or(0, |text| width(text));
    let time = times.iter().find(|time| longest <= room(time)).or(times.last()).cloned().unwrap_or_default();
    let room = room(&time);
    strip.push(tone.filter(|_| health >= Health::Away), fitting(&doing, room));
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

/// How long it has been in its phase, and where that has an end of its own at most, in several ways, the longest first.
fn times(host: &HostView, health: Health, now: SystemTime) -> Vec<String> {
    let so_far = host.time(now);
    let plain = words::span(so_far);
    // Where it is tried until its guard fires, the guard's time is that end.
    let is_own = |then: Option<AfterWait>| then != Some(AfterWait::ItsGuard);
    let ends = host.ends.filter(|(until, then)| health == Health::AtWork && *until > now && is_own(*then));
    let Some((until, _)) = ends else { return vec![plain] };
    // Rounded: a limit comes as milliseconds, of which a few are gone already.
    let whole = so_far + until.duration_since(now).unwrap_or_default();
    let whole = words::span(whole + Duration::from_millis(500));
    vec![format!("{plain} of at most {whole}"), format!("{plain} of {whole}"), plain]
}

/// How wide the names' column is.
pub(crate) fn name_width(view: &FleetView) -> usize {
    view.hosts.iter().map(|host| width(host.name.as_str())).max().unwrap_or(0).min(NAME_LIMIT)
}

/// What is left of the host's guard. A host that is back, and whose guard only waits for the others, shows no
/// countdown.
fn guard(host: &HostView, now: SystemTime) -> Option<(Tone, String)> {
    let left = |until: SystemTime| until.duration_since(now).unwrap_or_default();
    let is_back = host.phase == Some(Phase::RollBack) && host.times.contains_key(&Phase::RollBack);
    Some(match host.guard {
        GuardView::Armed { .. } if is_back => (Tone::Faint, "guard kept".to_owned()),
        GuardView::Armed { fires, .. } if fires <= now => (Tone::Doubtful, "guard is due".to_owned()),
        GuardView::Armed { fires, length, .. } => {
            (alarm(left(fires), length), format!("fires {}", words::span(left(fires))))
        }
        GuardView::Awaited { fires, .. } if now < fires => {
            (Tone::Doubtful, format!("fires {}", words::span(left(fires))))
        }
        GuardView::Awaited { back, .. } if now < back => (Tone::Doubtful, format!("back {}", words::span(left(back)))),
        GuardView::Awaited { .. } => (Tone::Bad, "OVERDUE".to_owned()),
        GuardView::Disarmed => (Tone::Faint, "disarmed".to_owned()),
        GuardView::Fired => (Tone::Faint, "guard fired".to_owned()),
        GuardView::None => return None,
    })
}

/// What it does, in several ways, the longest first.
fn doing(host: &HostView, view: &FleetView, health: Health, now: SystemTime) -> Vec<String> {
    let ways = |ways: &[&str]| ways.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    if let GuardView::Awaited { fires, back, action } = host.guard {
        return if now < fires {
            vec![
                format!("out of reach: its guard brings it back {}", waiting::by(action)),
                format!("its guard brings it back {}", waiting::by(action)),
                "its guard brings it back".to_owned(),
            ]
        } else if now < back && action == GuardAction::SwitchBack {
            ways(&["its guard's time is over: it puts its old system back", "its guard's time is over"])
        } else if now < back {
            ways(&[
                "its guard's time is over: it reboots into its old system",
                "reboots into its old system",
                "its guard's time is over",
            ])
        } else {
            let late = words::span(now.duration_since(back).unwrap_or_default());
            vec![format!("should have been back {late} ago"), format!("late by {late}")]
        };
    }
    match health {
        Health::Failed => return ways(&["failed, see above", "failed"]),
        Health::Away => return away(host, view, now),
        _ => {}
    }
    if let Some((why, others, more)) = &host.stands_by {
        return stands_by(*why, others, *more);
    }
    let told = sanitise::line(&host.doing);
    let told = if view.rollback_to.is_some() { in_a_rollback(&told).map_or(told, str::to_owned) } else { told };
    let links = host.links.map(|links| {
        let its = format!("{} of its {} links up", links.up, links.of);
        // Before any answer there is nothing to be told of it.
        if links.up < links.of && host.phase == Some(Phase::Verify) { format!("{its} so far") } else { its }
    });
    if health == Health::Aside {
        let standing = match host.role {
            Role::Current => "has its new system already",
            Role::Changes if view.what == What::Recovery => "needs nothing more",
            Role::Changes => "needs no reboot",
            Role::LeftOut => "takes no part",
            _ => "stays as it is",
        };
        let both = links.as_ref().map(|links| format!("{standing}, {links}"));
        let short = links.filter(|_| host.role != Role::LeftOut);
        return both.into_iter().chain(short).chain([standing.to_owned()]).collect();
    }
    match (host.phase, host.through.is_some()) {
        (Some(Phase::Copy), false) if host.copy.bytes.expected_bytes > 0 && !is_after_copy(host) => copying(host),
        (Some(Phase::Verify | Phase::Baseline), _) => match links {
            Some(links) if told.is_empty() || host.phase == Some(Phase::Baseline) => vec![links],
            Some(links) => vec![format!("{links}, {told}"), links],
            None if told.is_empty() => ways(&["probing its links"]),
            None => vec![told],
        },
        (Some(phase), true) => ways(&[through(phase, view)]),
        (_, false) if !told.is_empty() => vec![told],
        (Some(Phase::Build), false) if view.rollback_to.is_some() => ways(&["waits for the others"]),
        (Some(Phase::Build), false) => ways(&["waiting for the build"]),
        (Some(Phase::Survey), false) => ways(&["connecting"]),
        (Some(Phase::Copy), false) if view.rollback_to.is_some() => ways(&["looking whether it still has its system"]),
        (Some(Phase::Copy), false) => ways(&["copying"]),
        (Some(_), false) if health == Health::Waiting => match &view.wave {
            Some(wave) if host.turn == Turn::AnotherWaves => {
                let names = wave.hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
                let (first, count) = (format!("begins after {names}"), wave.hosts.len());
                vec![
                    format!("{first}: each wave is proven before the next"),
                    first,
                    format!("begins after {count} others"),
                ]
            }
            _ => ways(&["waits for its turn"]),
        },
        _ => Vec::new(),
    }
}

/// Its connection is lost: until when it is tried, and what comes then.
fn away(host: &HostView, view: &FleetView, now: SystemTime) -> Vec<String> {
    let Some((until, then)) = view.tried_until(host).filter(|(until, _)| *until > now) else {
        return vec!["out of reach, connecting again".to_owned()];
    };
    if then == Some(AfterWait::ItsGuard) {
        return vec![
            "out of reach: tried until its guard fires, which brings it back".to_owned(),
            "out of reach: tried until its guard fires".to_owned(),
            "out of reach: tried till it fires".to_owned(),
            "out of reach".to_owned(),
        ];
    }
    let left = words::span(until.duration_since(now).unwrap_or_default());
    let then = then.map(|then| format!("out of reach: {left} more, else {then}"));
    then.into_iter().chain([format!("out of reach: {left} more"), "out of reach".to_owned()]).collect()
}

fn stands_by(why: HeldBack, others: &[HostName], more: usize) -> Vec<String> {
    let all = others.len() + more;
    let names = words::names_and_more(others, more);
    let count = format!("{all} others");
    let is = if all == 1 { "is" } else { "are" };
    match why {
        HeldBack::FirstAlone => {
            vec![format!("begins after {names}, which comes first alone"), format!("begins after {names}")]
        }
        HeldBack::WayOfOthers => vec![
            format!("begins once {names} has begun: the way there leads through it"),
            format!("begins once {names} has begun"),
            format!("begins after {names}"),
            format!("begins after {count}"),
        ],
        HeldBack::OthersAway => vec![
            format!("on its old system; guard kept until {names} {is} back"),
            format!("on old; kept until {names} {is} back"),
            format!("kept until {names} {is} back"),
            format!("kept until {count} are back"),
        ],
    }
}

/// What it does after the bytes are over is told in words.
fn is_after_copy(host: &HostView) -> bool {
    host.copy.bytes.done_bytes >= host.copy.bytes.expected_bytes && !host.doing.is_empty()
}

fn copying(host: &HostView) -> Vec<String> {
    let bytes = host.copy.bytes;
    let amount = format!("{} of {}", words::size(bytes.done_bytes), words::size(bytes.expected_bytes));
    let Some(speed) = host.copy.speed else { return vec![amount] };
    let with_speed = format!("{amount}, {}/s", words::size(speed));
    let left = bytes.expected_bytes.saturating_sub(bytes.done_bytes);
    let left = left.checked_div(speed).filter(|seconds| *seconds > 0).map(Duration::from_secs).map(words::span);
    let all = left.as_ref().map(|left| format!("{with_speed}, {left} left"));
    let short = left.map(|left| format!("{amount}, {left} left"));
    all.into_iter().chain(short).chain([with_speed, amount]).collect()
}

fn through(phase: Phase, view: &FleetView) -> &'static str {
    let rolls_back = view.rollback_to.is_some();
    match phase {
        Phase::Build if rolls_back => "has nothing to build",
        Phase::Copy if rolls_back => "still has that system",
        Phase::Test if rolls_back => "runs that system, for now",
        Phase::Switch if rolls_back => "a reboot brings that system",
        Phase::Disarm if rolls_back => "done: that system stays",
        Phase::RollBack if rolls_back => "runs what it ran before",
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
