//! One time that a phase was gone through, and who was to get through it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::TimelineSpan;
use crate::event::reason::any::AnyReason;
use crate::event::{Event, HostOutcome, Phase};
use crate::inventory::model::HostName;

/// The code of what a recovery tells of a host that did not answer.
const SILENT: &str = "found-silent";

/// One time that a phase was gone through: a recovery goes through some of them again. All times are of the run's own
/// clock.
pub(super) struct Passage {
    pub(super) phase: Phase,
    began: Duration,
    /// When something else began.
    ended: Option<Duration>,
    pub(super) done: BTreeMap<HostName, Duration>,
    /// Who is to get through it. Links are the fleet's, and so are the phases that look at them.
    to_pass: BTreeSet<HostName>,
    /// It is another way to an end, so that a host's end tells as well whether it was to go that way.
    is_by_its_end: bool,
}

impl Passage {
    fn end(&self) -> Duration {
        let last_done = self.done.values().max().copied();
        let end = match self.phase {
            // They go on side by side, so that what begins next ends neither.
            Phase::Build | Phase::Survey => last_done.or(self.ended),
            _ => self.ended.or(last_done),
        };
        end.unwrap_or(self.began)
    }

    pub(super) fn took(&self) -> Duration {
        self.end().saturating_sub(self.began)
    }

    /// How long the host took; `None`: it did not get through, or had no part in it.
    pub(super) fn passed(&self, host: &HostName) -> Option<Duration> {
        self.done.get(host).map(|done| done.saturating_sub(self.began))
    }

    /// `None`: it had no part in it.
    pub(super) fn is_through(&self, host: &HostName) -> Option<bool> {
        let is_done = self.done.contains_key(host);
        (is_done || self.to_pass.contains(host)).then_some(is_done)
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = TimelineSpan> {
        let span = move |host: Option<HostName>, to: Duration, is_through: bool| TimelineSpan {
            host,
            phase: self.phase,
            from: self.began,
            to,
            is_through,
        };
        let done = self.done.iter().map(move |(host, done)| span(Some(host.clone()), *done, true));
        let stuck = self.to_pass.iter().filter(|host| !self.done.contains_key(*host));
        // Others may have been through long before it was given up.
        let given_up = self.ended.map_or(self.end(), |ended| ended.max(self.end()));
        let stuck = stuck.map(move |host| span(Some(host.clone()), given_up, false));
        std::iter::once(span(None, self.end(), true)).chain(done).chain(stuck)
    }
}

/// What the events of a run have said of its phases so far.
#[derive(Default)]
pub(super) struct Hearing {
    pub(super) passages: Vec<Passage>,
    /// In the inventory's order.
    pub(super) order: Vec<HostName>,
    /// Those that are built for, or rebooted.
    selected: BTreeSet<HostName>,
    left_out: BTreeSet<HostName>,
    changing: BTreeSet<HostName>,
    /// Those of the present wave; `None`: all at once.
    wave: Option<BTreeSet<HostName>>,
    /// Those that have begun what a roll back ends.
    armed: BTreeSet<HostName>,
    is_recovery: bool,
}

impl Hearing {
    pub(super) fn end_all(&mut self, at: Duration) {
        for passage in &mut self.passages {
            passage.ended = passage.ended.or(Some(at));
        }
    }

    pub(super) fn take(&mut self, event: &Event, at: Duration) {
        match event {
            Event::PushStarted { hosts, selected, .. } | Event::RebootStarted { hosts, selected, .. } => {
                self.order.clone_from(hosts);
                // Records of earlier versions do not say it.
                let selected = if selected.is_empty() { hosts } else { selected };
                self.selected = selected.iter().cloned().collect();
            }
            Event::RecoverStarted { hosts, .. } => {
                self.end_all(at);
                self.order.extend(hosts.iter().filter(|host| !self.order.contains(host)).cloned().collect::<Vec<_>>());
                (self.is_recovery, self.wave) = (true, None);
            }
            Event::RunChosen { changes, .. } if !changes.is_empty() => {
                self.changing = changes.iter().cloned().collect();
            }
            Event::Planned { hosts } => {
                self.changing = hosts.iter().filter(|plan| plan.changes).map(|plan| plan.host.clone()).collect();
            }
            Event::WaveStarted { hosts, .. } => self.wave = Some(hosts.iter().cloned().collect()),
            Event::HostLeftOut { host } => {
                self.left_out.insert(host.clone());
                for passage in &mut self.passages {
                    passage.to_pass.remove(host);
                }
            }
            Event::PhaseStarted { phase } => self.begin(*phase, at),
            Event::HostDone { host, phase } => {
                if *phase == Phase::Arm {
                    self.armed.insert(host.clone());
                }
                self.done(host, &[*phase], at);
            }
            Event::GuardArmed { host, .. } | Event::GuardSeen { host, .. } => {
                self.armed.insert(host.clone());
            }
            Event::GuardDisarmed { host } => self.done(host, &[Phase::Disarm, Phase::RollBack], at),
            Event::CameBack { host, .. } => self.done(host, &[Phase::RollBack], at),
            Event::HostFound { host, text } => self.found(host, text, at),
            Event::Failed { host: Some(host), .. } | Event::Warned { host: Some(host), .. } => self.blame(host),
            Event::Finished { hosts, .. } => {
                self.end_all(at);
                self.ended_so(hosts);
            }
            _ => {}
        }
    }

    fn begin(&mut self, phase: Phase, at: Duration) {
        // The survey runs beside the build.
        if phase != Phase::Survey {
            self.end_all(at);
        }
        let all = || self.order.iter().cloned().collect();
        let of_the_wave = |hosts: &BTreeSet<HostName>| {
            self.wave.as_ref().map_or_else(|| hosts.clone(), |wave| wave.intersection(hosts).cloned().collect())
        };
        let mut to_pass: BTreeSet<HostName> = match phase {
            // A recovery asks those that it needs.
            Phase::Survey if self.is_recovery => BTreeSet::new(),
            Phase::Survey | Phase::Ask => all(),
            Phase::Build => self.selected.clone(),
            Phase::Copy | Phase::Arm | Phase::Switch | Phase::Disarm | Phase::TakeOver => self.changing.clone(),
            Phase::Test => of_the_wave(&self.changing),
            Phase::Reboot => self.wave.clone().unwrap_or_default(),
            Phase::RollBack => self.armed.clone(),
            Phase::Baseline | Phase::Verify | Phase::Decide => BTreeSet::new(),
        };
        to_pass.retain(|host| !self.left_out.contains(host));
        let is_by_its_end = self.is_recovery || phase == Phase::RollBack;
        self.passages.push(Passage { phase, began: at, ended: None, done: BTreeMap::new(), to_pass, is_by_its_end });
    }

    fn done(&mut self, host: &HostName, phases: &[Phase], at: Duration) {
        let passage = self.passages.iter_mut().rev().find(|passage| phases.contains(&passage.phase));
        if let Some(passage) = passage {
            passage.done.insert(host.clone(), at);
        }
    }

    /// A host that is asked again may be silent then: what it has said stands.
    fn found(&mut self, host: &HostName, text: &AnyReason, at: Duration) {
        if text.code() != Some(SILENT) {
            self.done(host, &[Phase::TakeOver], at);
        }
    }

    /// A host of which a recovery's survey tells only that was asked, and has not answered so far.
    fn blame(&mut self, host: &HostName) {
        let survey = self.passages.last_mut().filter(|passage| passage.phase == Phase::Survey);
        if let Some(survey) = survey {
            survey.to_pass.insert(host.clone());
        }
    }

    /// A host of which the end is known, and is none that hangs, was to go no other way than it has gone.
    fn ended_so(&mut self, ends: &BTreeMap<HostName, HostOutcome>) {
        let hangs = |host: &HostName| {
            ends.get(host).is_none_or(|end| matches!(end, HostOutcome::Lost { .. } | HostOutcome::Left { .. }))
        };
        for passage in
            self.passages.iter_mut().filter(|passage| passage.is_by_its_end && passage.phase != Phase::Survey)
        {
            passage.to_pass.retain(hangs);
        }
    }
}
