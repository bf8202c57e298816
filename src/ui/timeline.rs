//! How long each host took in each phase of a run: where the time went.

mod drawn;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

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
    pub to: Duration,
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

/// One time that a phase was gone through: a recovery goes through some of them again.
struct Passage {
    phase: Phase,
    began: SystemTime,
    /// Before it no program worked for so long.
    idle: Duration,
    /// When something else began.
    ended: Option<SystemTime>,
    done: BTreeMap<HostName, SystemTime>,
}

impl Passage {
    fn end(&self) -> SystemTime {
        let last_done = self.done.values().max().copied();
        let end = match self.phase {
            // They go on side by side, so that what begins next ends neither.
            Phase::Build | Phase::Survey => last_done.or(self.ended),
            _ => self.ended.or(last_done),
        };
        end.unwrap_or(self.began)
    }

    fn took(&self) -> Duration {
        since(self.began, self.end())
    }

    fn spans(&self, run_began: SystemTime) -> impl Iterator<Item = TimelineSpan> {
        let at = move |time: SystemTime| since(run_began, time).saturating_sub(self.idle);
        let span = move |host: Option<HostName>, end: SystemTime| TimelineSpan {
            host,
            phase: self.phase,
            from: at(self.began),
            to: at(end).max(at(self.began)),
        };
        let hosts = self.done.iter().map(move |(host, done)| span(Some(host.clone()), *done));
        std::iter::once(span(None, self.end())).chain(hosts)
    }
}

fn end_all(passages: &mut [Passage], at: SystemTime) {
    for passage in passages {
        passage.ended = passage.ended.or(Some(at));
    }
}

/// A workstation's clock can be set back.
fn since(began: SystemTime, ended: SystemTime) -> Duration {
    ended.duration_since(began).unwrap_or_default()
}

impl Timeline {
    /// Folds the events of a run.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut passages: Vec<Passage> = Vec::new();
        let mut order: Vec<HostName> = Vec::new();
        let mut changing: Vec<HostName> = Vec::new();
        let (mut first, mut last, mut idle) = (None, None, Duration::ZERO);
        for line in lines {
            first = first.or(Some(line.at));
            let mut done = |host: &HostName, phases: &[Phase]| {
                let passage = passages.iter_mut().rev().find(|passage| phases.contains(&passage.phase));
                if let Some(passage) = passage {
                    passage.done.insert(host.clone(), line.at);
                }
            };
            match &line.event {
                Event::PushStarted { hosts, .. } | Event::RebootStarted { hosts, .. } => order.clone_from(hosts),
                Event::RecoverStarted { hosts, .. } => {
                    // Between the end of the push and the recovery no program worked.
                    end_all(&mut passages, last.unwrap_or(line.at));
                    idle += since(last.unwrap_or(line.at), line.at);
                    order.extend(hosts.iter().filter(|host| !order.contains(host)).cloned().collect::<Vec<_>>());
                }
                Event::Planned { hosts } => {
                    changing = hosts.iter().filter(|plan| plan.changes).map(|plan| plan.host.clone()).collect();
                }
                Event::PhaseStarted { phase } => {
                    // The survey runs beside the build.
                    if *phase != Phase::Survey {
                        end_all(&mut passages, line.at);
                    }
                    passages.push(Passage { phase: *phase, began: line.at, idle, ended: None, done: BTreeMap::new() });
                }
                Event::HostDone { host, phase } => done(host, &[*phase]),
                Event::GuardDisarmed { host } => done(host, &[Phase::Disarm, Phase::RollBack]),
                Event::CameBack { host, .. } => done(host, &[Phase::RollBack]),
                Event::Finished { .. } => end_all(&mut passages, line.at),
                _ => {}
            }
            last = Some(line.at);
        }
        if let Some(at) = last {
            end_all(&mut passages, at);
        }
        let spans = first.map(|began| passages.iter().flat_map(|passage| passage.spans(began)).collect());
        let worked = first.zip(last).map(|(first, last)| since(first, last).saturating_sub(idle));
        Self {
            spans: spans.unwrap_or_default(),
            worked: worked.unwrap_or_default(),
            ..Self::summed(&passages, order, &changing)
        }
    }

    fn summed(passages: &[Passage], mut order: Vec<HostName>, changing: &[HostName]) -> Self {
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
            let passed: Vec<Duration> = of(phase)
                .filter_map(|passage| passage.done.get(host).map(|done| since(passage.began, *done)))
                .collect();
            let was_to = matches!(phase, Phase::Arm | Phase::Test | Phase::Switch | Phase::Disarm);
            match passed.as_slice() {
                [] if was_to && changing.contains(host) => Took::Stuck,
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
