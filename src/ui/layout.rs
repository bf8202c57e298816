//! The live screen as lines: the fleet above, a row for each host, what is waited for below. Pure: a view, a size and
//! a time in, text out.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::event::Phase;
use crate::event::waiting::WaitedFor;
use crate::event::wording::{waiting, words};
use crate::ui::host_view::HostView;
use crate::ui::line::{Strip, cut_between_words, fitting, wrap};
use crate::ui::paint::Tone;
use crate::ui::row::{Health, name_width, row};
use crate::ui::safety::{Safety, Sides};
use crate::ui::sanitise;
use crate::ui::screen_style::ScreenStyle;
use crate::ui::view::{FleetView, WaitView, What};

/// Links that are waited for and named.
const LINKS_NAMED: usize = 2;

/// ` 1h 02m 03s`, at the end of the title.
const TIME_OF_ALL: usize = 12;

/// Draws the view as it is at `now`: no more than `style.lines` lines, none wider than `style.columns`. Nothing before
/// the first event and after the last.
#[must_use]
pub fn layout(view: &FleetView, style: &ScreenStyle, now: SystemTime) -> Vec<String> {
    if view.began.is_none() || view.finished.is_some() || view.ended {
        return Vec::new();
    }
    let mut above = heading(view, style, now);
    let mut below = waited_for(view, style, now);
    // At least one host and the line for the others; what is above counts more than what is below.
    let few = usize::from(!view.hosts.is_empty()) * 2;
    below.truncate(style.lines.saturating_sub(above.len() + few));
    above.truncate(style.lines.saturating_sub(few).max(1));
    let room = style.lines.saturating_sub(above.len() + below.len());
    let rows = rows(view, room, style, now);
    // A line between the fleet and its hosts, where there is room for it.
    let gap = (rows.len() < room).then(Strip::default);
    let strips = above.into_iter().chain(gap).chain(rows).chain(below);
    strips.map(|strip| strip.paint(style.colour, style.columns)).collect()
}

fn heading(view: &FleetView, style: &ScreenStyle, now: SystemTime) -> Vec<Strip> {
    let mut strips = vec![title(view, style, now)];
    if matches!(view.what, What::Push | What::DryRun) {
        strips.push(phases(view, style));
    }
    let fleet = sanitise::line(view.fleet.as_deref().unwrap_or_default());
    if let Some((tone, text)) = Safety::of(view).map(|safety| safety.words(&style.text(&fleet), Sides::of(view), now)) {
        strips.extend(wrap(&text, style.columns).into_iter().map(|line| strip(Some(tone), &line)));
    }
    strips
}

fn title(view: &FleetView, style: &ScreenStyle, now: SystemTime) -> Strip {
    let what = match view.what {
        What::Push if view.rollback_to.is_some() => "rollback of ",
        What::Push => "push ",
        What::DryRun if view.rollback_to.is_some() => "plan of a rollback of ",
        What::DryRun => "plan of ",
        What::Recovery => "recover ",
        What::Reboot => "reboot ",
        What::Query => "",
    };
    let line = if style.unicode { "━" } else { "=" };
    let mut title = strip(Some(Tone::Faint), &line.repeat(2));
    let fleet = sanitise::line(view.fleet.as_deref().unwrap_or_default());
    title.push(None, " ").push(Some(Tone::Strong), style.text(&format!("{what}{fleet}")));
    if !matches!(view.what, What::Push | What::DryRun)
        && let Some(phase) = view.phase()
    {
        // The whole of it where there is room: a title that is cut says nothing.
        let mut wave = Strip::default();
        push_wave(view, &mut wave);
        let room = style.columns.saturating_sub(title.width() + wave.width() + 2 + TIME_OF_ALL);
        let ways = [format!(": {}", view.about(phase)), format!(": {}", phase.word())];
        title.push(None, fitting(&ways, room));
        push_wave(view, &mut title);
    }
    let elapsed = words::span(view.elapsed(now));
    let room = style.columns.saturating_sub(title.width() + elapsed.len() + 2);
    title.push(None, " ").push(Some(Tone::Faint), line.repeat(room)).push(None, " ").push(None, elapsed);
    title
}

/// All ten phases, or where there is no room the one that runs and its number.
fn phases(view: &FleetView, style: &ScreenStyle) -> Strip {
    let shown = match view.what {
        // With `--units` it copies.
        What::DryRun if view.has_begun(Phase::Copy) => &Phase::OF_A_PUSH[..4],
        What::DryRun => &[Phase::Build, Phase::Survey, Phase::Baseline][..],
        _ => &Phase::OF_A_PUSH,
    };
    let mut strip = Strip::default();
    for phase in shown {
        if strip.width() > 0 {
            strip.push(None, " ");
        }
        let (sign, tone) = standing(view, *phase, style.unicode);
        strip.push(Some(tone), format!("{sign}{}", phase.word()));
    }
    push_wave(view, &mut strip);
    if view.rolling_back.is_some() {
        strip.push(None, " ").push(Some(Tone::Bad), if style.unicode { "◂ROLL BACK" } else { "<ROLL BACK" });
    }
    if strip.width() <= style.columns { strip } else { short_phases(view, style) }
}

fn short_phases(view: &FleetView, style: &ScreenStyle) -> Strip {
    let mut strip = Strip::default();
    for phase in Phase::OF_A_PUSH {
        let (sign, tone) = standing(view, phase, style.unicode);
        strip.push(Some(tone), sign);
    }
    match view.phase() {
        Some(Phase::RollBack) => strip.push(Some(Tone::Bad), "  ROLL BACK"),
        Some(phase) => {
            let number = words::number(phase).map(|number| format!("{number} of 10: ")).unwrap_or_default();
            strip.push(Some(Tone::Strong), format!("  {number}{}", phase.word()))
        }
        None => &mut strip,
    };
    push_wave(view, &mut strip);
    strip
}

fn push_wave(view: &FleetView, strip: &mut Strip) {
    if let Some(wave) = view.wave.as_ref().filter(|wave| wave.of > 1) {
        strip.push(None, "  ").push(Some(Tone::Strong), format!("wave {} of {}", wave.number, wave.of));
    }
}

fn standing(view: &FleetView, phase: Phase, unicode: bool) -> (&'static str, Tone) {
    let begun = view.phases.iter().find(|begun| begun.phase == phase);
    let broke = view.rolling_back.is_some() && last_before_roll_back(view) == Some(phase);
    match (begun, unicode) {
        (Some(_), true) if broke => ("✗", Tone::Bad),
        (Some(_), false) if broke => ("x", Tone::Bad),
        (Some(begun), true) if begun.ended.is_some() => ("✓", Tone::Good),
        (Some(begun), false) if begun.ended.is_some() => ("+", Tone::Good),
        (Some(_), true) => ("▸", Tone::Strong),
        (Some(_), false) => (">", Tone::Strong),
        (None, true) => ("·", Tone::Faint),
        (None, false) => (".", Tone::Faint),
    }
}

fn last_before_roll_back(view: &FleetView) -> Option<Phase> {
    view.phases.iter().rev().map(|begun| begun.phase).find(|phase| *phase != Phase::RollBack)
}

/// The rows in the inventory's order. Where there is no room for all, the troubled and the busy ones have one, and the
/// rest is one line.
fn rows(view: &FleetView, room: usize, style: &ScreenStyle, now: SystemTime) -> Vec<Strip> {
    let names = name_width(view);
    let draw = |host: &HostView| row(host, view, names, style, now);
    if view.hosts.len() <= room {
        return view.hosts.iter().map(draw).collect();
    }
    let Some(room) = room.checked_sub(1) else { return Vec::new() };
    let health: Vec<Health> = view.hosts.iter().map(|host| Health::of(host, view, now)).collect();
    let mut places: Vec<usize> = (0..view.hosts.len()).collect();
    // Stable: among equals those that come first in the inventory.
    places.sort_by_key(|place| std::cmp::Reverse(health[*place]));
    let (shown, hidden) = places.split_at(room.min(places.len()));
    let mut shown = shown.to_vec();
    shown.sort_unstable();
    let mut strips: Vec<Strip> = shown.into_iter().map(|place| draw(&view.hosts[place])).collect();
    let mut counts: BTreeMap<Health, usize> = BTreeMap::new();
    for place in hidden {
        *counts.entry(health[*place]).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().rev().map(|(health, count)| format!("{count} {}", health.word())).collect();
    let mut rest = strip(None, "  ");
    rest.push(Some(Tone::Faint), format!("and {} more: {}", hidden.len(), counts.join(", ")));
    strips.push(rest);
    strips
}

/// Says what the whole fleet waits for.
fn waited_for(view: &FleetView, style: &ScreenStyle, now: SystemTime) -> Vec<Strip> {
    let mut strips = Vec::new();
    let builds = view.phases.iter().any(|begun| begun.phase == Phase::Build && begun.ended.is_none());
    if builds && view.rolling_back.is_none() {
        strips.extend(
            wrap(&style.text(&building(view, now)), style.columns).iter().map(|line| strip(Some(Tone::Faint), line)),
        );
    }
    for (tone, text) in waits(view, now) {
        strips.extend(wrap(&style.text(&text), style.columns).iter().map(|line| strip(Some(tone), line)));
    }
    if let Some(reason) = &view.rolling_back {
        let front = if view.decided { "going back after the decision: " } else { "going back because: " };
        // The whole of it stands above the rows.
        let reason = sanitise::line(reason);
        let begins = reason.split("; ").next().unwrap_or_default();
        let text = cut_between_words(&style.text(&format!("{front}{begins}")), style.columns);
        strips.push(strip(Some(Tone::Bad), &text));
    }
    strips
}

/// What the run waits for, for how long at most, and what comes then: `4 of 13 links up, waits for all 8 links of vpn
/// from and to vps: 12s more, else all go back`.
fn waits(view: &FleetView, now: SystemTime) -> Vec<(Tone, String)> {
    let mut said = Vec::new();
    let looks = matches!(view.phase(), Some(Phase::Verify | Phase::Switch | Phase::RollBack | Phase::Reboot));
    let end = |wait: &WaitView| match view.end_of(wait).duration_since(now) {
        Ok(left) if !left.is_zero() => {
            format!("{} more, {} {}", words::span(left), waiting::then(wait.wait), wait.then)
        }
        _ => "until the look under way is over".to_owned(),
    };
    let is_of_links = |wait: &&WaitView| matches!(wait.wait, WaitedFor::Links | WaitedFor::OldLinks);
    let of_links = view.waits.iter().find(is_of_links);
    if let Some(links) = view.links.as_ref().filter(|_| looks) {
        let mut text = format!("{} of all {} links up", links.up, links.of);
        let waits = !links.waiting_for.is_empty();
        match &links.cause {
            Some(cause) => text += &format!(", waits for {cause}"),
            None if waits => {
                let named: Vec<&str> = links.waiting_for.iter().take(LINKS_NAMED).map(String::as_str).collect();
                text += &format!(", waits for {}", sanitise::line(&named.join("; ")));
                if named.len() < links.waiting_for.len() {
                    text += &format!(" and {} more", links.waiting_for.len() - named.len());
                }
            }
            None if links.rounds > 0 => text += &format!(", {} in a row", rounds(links.rounds)),
            None => {}
        }
        if let Some(wait) = of_links {
            // As long as nothing is down it is not the going back that is waited for.
            let left = wait.until.duration_since(now).ok().filter(|left| !left.is_zero() && !waits);
            let end = left.map_or_else(
                || end(wait),
                |left| format!("proven in at most {}, else {}", words::span(left), wait.then),
            );
            text += &format!(": {end}");
        }
        said.push((if waits { Tone::Doubtful } else { Tone::Faint }, text));
    } else if let Some(wait) = of_links {
        said.push((Tone::Faint, format!("waits for {}: {}", wait.wait, end(wait))));
    }
    for wait in view.waits.iter().filter(|wait| !is_of_links(wait)) {
        said.push((Tone::Doubtful, format!("waits for {}: {}", wait.wait, end(wait))));
    }
    said
}

fn rounds(rounds: u32) -> String {
    if rounds == 1 { "1 good look".to_owned() } else { format!("{rounds} good looks") }
}

/// `build: 9 of 212 derivations, linux-6.12.8 and 2 more; 120 MiB of 700 MiB from caches; 42s so far, without a limit`.
fn building(view: &FleetView, now: SystemTime) -> String {
    let build = &view.build;
    let mut text = "build: ".to_owned();
    if build.expected > 0 {
        text += &format!("{} of {} derivations", build.done, build.expected);
    }
    let doing = sanitise::line(&build.doing);
    if build.expected == 0 && doing.is_empty() {
        text += "looking what there is to do";
    }
    if !doing.is_empty() {
        text += &format!("{}{doing}", if build.expected > 0 { ", " } else { "" });
    }
    if build.running > 1 {
        text += &format!(" and {} more", build.running - 1);
    }
    if build.download.expected_bytes > 0 {
        let bytes = build.download;
        text += &format!("; {} of {} from caches", words::size(bytes.done_bytes), words::size(bytes.expected_bytes));
        if let Some(name) = &build.downloading {
            text += &format!(" ({})", sanitise::line(name));
        }
    }
    // Nothing but nix ends it, or a person.
    let began = view.phases.iter().find(|begun| begun.phase == Phase::Build).map_or(now, |begun| begun.began);
    let so_far = words::span(now.duration_since(began).unwrap_or_default());
    format!("{text}; {so_far} so far, without a limit")
}

fn strip(tone: Option<Tone>, text: &str) -> Strip {
    let mut strip = Strip::default();
    strip.push(tone, text);
    strip
}
