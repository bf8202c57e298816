//! `reboot`: host after host, each proven back before the next.

use std::sync::Arc;

use super::build::FAREWELL;
use super::ground::Ground;
use super::past::print;
use super::recover::take;
use super::{Ended, Trouble};
use crate::cli::{Global, Reboot};
use crate::decide::rolling::HostEnd;
use crate::decide::survey::Allowed;
use crate::engine::push::Request;
use crate::engine::reboot::{How, Rolled, reboot};
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::record::folder::State;
use crate::ui::Screen;
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Reboot) -> Ended {
    let overrides = Overrides { guard: None, settle: arguments.settle };
    let ground = Ground::prepare(global, &arguments.fleet, &overrides)?;
    let mut shutdown = Shutdown::listen().map_err(|error| Trouble::not_begun(error, None))?;
    // A push of the same fleet from here would have its hosts rebooted under it.
    let state = State::locate(|name| std::env::var_os(name)).map_err(Trouble::no_record)?;
    let _lock = take(&state, &ground)?;
    let workspace = ground.workspace(&mut shutdown).await?;
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(|error| Trouble::not_begun(error, None))?;
    ground.begin_query("reboot", &events);
    let allowed = Allowed { drift: arguments.accept_drift, broken: false };
    let request = Request { allowed, ..ground.question("reboot", std::path::PathBuf::new()) };
    let rolled = reboot(&request, arguments.waves, Arc::clone(&workspace), &events, &mut shutdown).await;
    let (ending, text) = ending(&rolled);
    events.publish(Event::Answer { answer: json(&rolled, &text) });
    events.publish(Event::Ended { exit: i32::from(status(ending)) });
    let _ = screen.finish(FAREWELL);
    if mode != Mode::Json {
        print(&format!("{}: {text}\n", request.fleet.name))?;
    }
    Ok(ending)
}

/// How it ends the program, and in one sentence: which hosts were rebooted, which were not, which are lost.
pub(super) fn ending(rolled: &Rolled) -> (Ending, String) {
    let named = |wanted: &dyn Fn(&HostEnd) -> bool| {
        let names = rolled.hosts.iter().filter(|(_, end)| wanted(end)).map(|(host, _)| host.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let away = match &rolled.how {
        How::Left { away, .. } => away.as_slice(),
        _ => &[],
    };
    let is_wrong = |end: &HostEnd| matches!(end, HostEnd::Wrong { .. });
    let any = |wanted: &dyn Fn(&HostEnd) -> bool| rolled.hosts.values().any(wanted);
    let mut parts: Vec<String> = Vec::new();
    let mut say = |front: &str, names: String| {
        if !names.is_empty() {
            parts.push(format!("{front}: {names}"));
        }
    };
    say("rebooted and proven back", named(&|end| *end == HostEnd::Rebooted));
    for (host, end) in &rolled.hosts {
        match end {
            HostEnd::Wrong { why } => say("LOOK NOW", format!("{host} {why}")),
            HostEnd::Refused { why } => say("said no", format!("{host} ({why})")),
            HostEnd::Rebooted | HostEnd::NotBegun => {}
        }
    }
    say("left while they reboot", away.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let not_begun: Vec<&str> = rolled
        .hosts
        .iter()
        .filter(|(host, end)| **end == HostEnd::NotBegun && !away.contains(host))
        .map(|(host, _)| host.as_str())
        .collect();
    say("not rebooted", not_begun.join(", "));
    let ending = match &rolled.how {
        How::Left { away, .. } if !away.is_empty() => Ending::InDoubt,
        _ if any(&is_wrong) => Ending::InDoubt,
        How::Interrupted(signal) | How::Left { signal, .. } => Ending::QueryInterrupted(*signal),
        How::Refused { text } => {
            parts.push(format!("no host was rebooted: {text}"));
            Ending::Answered { yes: false }
        }
        How::Through => Ending::Answered { yes: rolled.hosts.values().all(|end| *end == HostEnd::Rebooted) },
    };
    if parts.is_empty() {
        parts.push("no host was rebooted".to_owned());
    }
    (ending, parts.join("; "))
}

fn json(rolled: &Rolled, text: &str) -> serde_json::Value {
    let end = |end: &HostEnd| match end {
        HostEnd::Rebooted => serde_json::json!({ "end": "rebooted" }),
        HostEnd::Wrong { why } => serde_json::json!({ "end": "wrong", "why": why }),
        HostEnd::Refused { why } => serde_json::json!({ "end": "refused", "why": why }),
        HostEnd::NotBegun => serde_json::json!({ "end": "not_begun" }),
    };
    let hosts: serde_json::Map<String, serde_json::Value> =
        rolled.hosts.iter().map(|(host, one)| (host.to_string(), end(one))).collect();
    serde_json::json!({ "hosts": hosts, "text": text })
}
