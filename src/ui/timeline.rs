//! How long each host took in each phase of a run: where the time went.

mod drawn;
mod passage;

use std::time::{Duration, SystemTime};

use passage::{Hearing, Passage};

use crate::event::line::Line;
use crate::event::{Event, Phase};
use crate::inventory::model::HostName;

/// The part of a host in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// It had no part in it, or none of its own: links are the fleet's.
    Nothing,
    Passed(Duration),
    /// It was to pass it and did not.
    Stuck,
}

/// A stretch of a phase, on the run's own clock: from its first event, without the time between the death of a program
/// and the recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineSpan {
    /// `None`: the fleet's.
    pub host: Option<HostName>,
    pub phase: Phase,
    pub from: Duration,
    /// Of a host that did not get through: the end of the phase.
    pub to: Duration,
    pub is_through: bool,
}

/// A table of hosts and phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Those that the run came to, in the order in which they began.
    pub phases: Vec<Phase>,
    /// How long each of them took until the fleet was through.
    pub fleet: Vec<Duration>,
    /// In the inventory's order, with one answer for each phase.
    pub hosts: Vec<(HostName, Vec<Took>)>,
    /// In the order in which the phases began, each phase's own before those of its hosts.
    pub spans: Vec<TimelineSpan>,
    /// How long the run worked.
    pub worked: Duration,
}

/// A workstation's clock can be set back.
fn since(began: SystemTime, ended: SystemTime) -> Duration {
    ended.duration_since(began).unwrap_or_default()
}

impl Timeline {
    /// Folds the events of a run.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut hearing = Hearing::default();
        // The run's own clock goes from line to line: not back, and not on while no program works.
        let (mut clock, mut last) = (Duration::ZERO, None);
        for line in lines {
            let idle = matches!(line.event, Event::RecoverStarted { .. });
            clock += last.filter(|_| !idle).map_or(Duration::ZERO, |last| since(last, line.at));
            last = Some(line.at);
            hearing.take(&line.event, clock);
        }
        hearing.end_all(clock);
        let Hearing { passages, order, .. } = hearing;
        let spans = passages.iter().flat_map(Passage::spans).collect();
        Self { spans, worked: clock, ..Self::summed(&passages, order) }
    }

    fn summed(passages: &[Passage], mut order: Vec<HostName>) -> Self {
        let mut phases: Vec<Phase> = Vec::new();
        for passage in passages {
            if !phases.contains(&passage.phase) {
                phases.push(passage.phase);
            }
            let unknown: Vec<HostName> = passage.done.keys().filter(|host| !order.contains(host)).cloned().collect();
            order.extend(unknown);
        }
        let of = |phase: Phase| passages.iter().filter(move |passage| passage.phase == phase);
        let fleet = phases.iter().map(|phase| of(*phase).map(Passage::took).sum()).collect();
        let took = |host: &HostName, phase: Phase| {
            let passed: Vec<Duration> = of(phase).filter_map(|passage| passage.passed(host)).collect();
            // It may have got through once, and not when a recovery came.
            let is_stuck = of(phase).filter_map(|passage| passage.is_through(host)).next_back() == Some(false);
            match passed.as_slice() {
                _ if is_stuck => Took::Stuck,
                [] => Took::Nothing,
                passed => Took::Passed(passed.iter().sum()),
            }
        };
        let row = |host: HostName| {
            let took = phases.iter().map(|phase| took(&host, *phase)).collect();
            (host, took)
        };
        let hosts = order.into_iter().map(row).collect();
        Self { phases, fleet, hosts, spans: Vec::new(), worked: Duration::ZERO }
    }

    /// For programs: milliseconds by phase, of the fleet and of each host; what a host had no part in is left out.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let millis = |took: &Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let phases = self.phases.iter().enumerate().map(|(number, phase)| {
            let hosts: serde_json::Map<String, serde_json::Value> = self
                .hosts
                .iter()
                .filter_map(|(host, took)| match &took[number] {
                    Took::Passed(took) => Some((host.to_string(), millis(took).into())),
                    Took::Stuck => Some((host.to_string(), serde_json::Value::Null)),
                    Took::Nothing => None,
                })
                .collect();
            serde_json::json!({ "phase": phase, "fleet_ms": millis(&self.fleet[number]), "hosts_ms": hosts })
        });
        phases.collect()
    }
}

#[cfg(test)]
mod tests;
