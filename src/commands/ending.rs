//! How a push or a recovery is concluded: its exit, its last sentence, every host's end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::decide::left::LeftToGuard;
use crate::decide::vocabulary::{Signal, Verdict};
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::{Ending, status};
use crate::inventory::model::{Fleet, HostName};

/// What the last event says, and the exit.
pub(super) struct Conclusion {
    pub(super) ending: Ending,
    pub(super) outcome: Outcome,
    pub(super) text: String,
    pub(super) hosts: BTreeMap<HostName, HostOutcome>,
}

impl Conclusion {
    /// The same end for every host of the fleet.
    pub(super) fn of_all(fleet: &Fleet, end: &HostOutcome, ending: Ending, outcome: Outcome, text: String) -> Self {
        let hosts = fleet.hosts.iter().map(|host| (host.name.clone(), end.clone())).collect();
        Self { ending, outcome, text, hosts }
    }

    pub(super) fn of_verdict(fleet: &Fleet, verdict: Verdict) -> Self {
        let Verdict { outcome, hosts, text, interrupted } = verdict;
        let hosts = hosts.into_iter().collect();
        let text = with_skipped(text, &hosts);
        let text = match outcome {
            Outcome::Split | Outcome::Left | Outcome::Superseded => with_next(&text, fleet),
            _ => text,
        };
        Self { ending: Ending::Pushed { outcome, interrupted }, outcome, text, hosts }
    }

    /// A second signal: left at once.
    pub(super) fn left(
        fleet: &Fleet,
        guarded: &[LeftToGuard],
        first: Signal,
        others: &HostOutcome,
        through: Vec<(HostName, HostOutcome)>,
    ) -> Self {
        let mut hosts: BTreeMap<HostName, HostOutcome> =
            fleet.hosts.iter().map(|host| (host.name.clone(), others.clone())).collect();
        hosts.extend(through);
        let mut text = "left at once, as asked".to_owned();
        for left in guarded {
            // Writing to a String cannot fail.
            let _ = write!(text, "; {}: {left}", left.host);
            hosts.insert(left.host.clone(), left.outcome());
        }
        let any = |wanted: &dyn Fn(&HostOutcome) -> bool| hosts.values().any(wanted);
        let guards_armed = any(&|end| matches!(end, HostOutcome::Left { .. } | HostOutcome::Lost { .. }));
        let outcome = if any(&|end| matches!(end, HostOutcome::Lost { .. }))
            // Where one is on its new system for good and a guard takes back another, somebody must choose before it fires.
            || (guards_armed && any(&|end| *end == HostOutcome::Committed))
        {
            Outcome::Split
        } else if guards_armed {
            Outcome::Left
        } else {
            Outcome::Refused
        };
        if guards_armed {
            text = with_next(&text, fleet);
        }
        Self { ending: Ending::Left { first, guards_armed }, outcome, text, hosts }
    }

    /// The last event of what took this long.
    pub(super) fn event(self, took: Duration) -> Event {
        Event::Finished {
            outcome: self.outcome,
            text: self.text,
            hosts: self.hosts,
            exit: i32::from(status(self.ending)),
            took_ms: millis(took),
        }
    }

    /// A mistake of ours.
    pub(super) fn bug(fleet: &Fleet, guards_armed: bool) -> Self {
        let text = "fleetdeploy itself has failed; every armed guard brings its host back by itself";
        let end = HostOutcome::Lost { why: "fleetdeploy failed in the middle".to_owned() };
        Self::of_all(fleet, &end, Ending::Bug { guards_armed }, Outcome::Split, with_next(text, fleet))
    }
}

/// The sentence, and of which hosts nothing is known since they were not there.
pub(super) fn with_skipped(text: String, hosts: &BTreeMap<HostName, HostOutcome>) -> String {
    let skipped = hosts.iter().filter(|(_, end)| **end == HostOutcome::Skipped);
    let skipped: Vec<&str> = skipped.map(|(host, _)| host.as_str()).collect();
    if skipped.is_empty() { text } else { format!("{text}; skipped, and its links not proven: {}", skipped.join(", ")) }
}

/// The sentence, and the command to type now.
pub(super) fn with_next(text: &str, fleet: &Fleet) -> String {
    format!("{text}\nnext: fleetdeploy recover {}", fleet.name)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
