//! Turns the reports of tasks into inputs of the decider, and tells what only the driver knows: times.

use std::sync::Arc;
use std::time::Duration;

use super::deadlines::{is_awaited, millis};
use super::{Driver, LAST_JOURNALS, Out};
use crate::decide::vocabulary::{Answer, Input, Step};
use crate::engine::activity::by_line;
use crate::engine::clock::within;
use crate::engine::hosts::{Hosts, StepNote, UnitJournal};
use crate::engine::reports::Report;
use crate::engine::surroundings::Surroundings;
use crate::event::Event;
use crate::event::activity::Awaiting;
use crate::facts::host::{GuardState, JobKind};
use crate::facts::plan::HostId;
use crate::facts::step_answer::StepOutcome;

impl<H: Hosts> Driver<H> {
    /// Turns a report into an input, after telling the screen what only the driver knows: times.
    pub(super) fn take(&mut self, report: Report, surroundings: &mut impl Surroundings) -> Option<Input> {
        match report {
            Report::Round(round, waiting) => Some(Input::RoundSeen { round, waiting }),
            Report::Journals { host, journals } => {
                // A task that brings nothing reports here, too, so that the end does not wait for it in vain.
                self.journals = self.journals.saturating_sub(1);
                for UnitJournal { unit, lines } in journals {
                    let host = self.plan.host(host).name.clone();
                    surroundings.tell(Event::Logged { host, what: format!("journal of {unit}"), lines });
                }
                None
            }
            Report::Note { host, sent, note } => {
                let name = self.plan.host(host).name.clone();
                // Notes of a step that was replaced may still be in the inbox. They are shown, because all of it did
                // happen, and they move nothing.
                let current = self.out[host.0].as_ref().is_some_and(|out| out.sent == sent);
                match note {
                    StepNote::Started => current.then_some(Input::Started { host }),
                    StepNote::Printed { kind, lines } => {
                        // A roll back also brings the rest of an earlier job's log: that job is over, so its lines must
                        // not stand in the row as what the host does now.
                        let step = self.out[host.0].as_ref().filter(|_| current).map(|out| &out.step);
                        let is_over = match step {
                            Some(Step::Job { kind: its, .. }) => *its != kind,
                            other => other.is_none(),
                        };
                        let doing = lines.iter().rev().find_map(|line| by_line(line)).filter(|_| !is_over);
                        let by = kind.word().to_owned();
                        surroundings.tell(Event::Printed { host: Some(name.clone()), by, lines });
                        if let Some(doing) = doing {
                            surroundings.tell(self.still_doing(host, doing));
                        }
                        None
                    }
                    StepNote::Cut(cut) => {
                        surroundings.tell(Event::warned(Some(&name), cut));
                        None
                    }
                    StepNote::Lost { why } => {
                        let out = self.out[host.0].as_ref().filter(|_| current);
                        let within = out.map(|out| out.until.saturating_sub(self.clock.now()));
                        let then = self.transaction.if_it_stays_away(host).filter(|_| current);
                        let within_ms = within.map(millis);
                        surroundings.tell(Event::ContactLost { host: name, within_ms, then, why: why.clone().into() });
                        current.then_some(Input::ContactLost { host, why })
                    }
                    StepNote::Made => {
                        surroundings.tell(Event::ContactMade { host: name });
                        None
                    }
                    StepNote::StillAway { answers } => {
                        let doing = self.countdown(host, answers);
                        surroundings.tell(self.still_doing(host, doing));
                        None
                    }
                }
            }
            Report::Answer { host, sent, answer } => {
                // The answer of a step that was replaced is dropped here: its successor asks the host anew.
                let out = self.out[host.0].take_if(|out| out.sent == sent)?;
                // The deadline is learned before the decider hears of the answer, because it may send the next step at
                // once, and that step is weighed against the deadline.
                self.learn_deadline(host, &out, &answer, surroundings);
                self.tell_boot_default(host, &out.step, &answer, surroundings);
                Some(Input::Answered { host, step: out.step, answer })
            }
        }
    }

    /// Returns what a host does in this step until then. A new login has no end of its own: the links and the logins
    /// are waited for together, and that wait is told. Of a host that its guard brings back, its guard is told.
    pub(super) fn doing(&self, host: HostId, step: &Step, until: Duration, doing: impl ToString) -> Event {
        let has_end = !is_awaited(step) && !matches!(step, Step::Login { .. });
        let left = until.saturating_sub(self.clock.now());
        let then = self.transaction.if_it_stays_away(host).filter(|_| has_end);
        Event::moved_until(&self.plan.host(host).name, doing, has_end.then_some(left), then)
    }

    /// Returns what a host does in the step that is out on it.
    fn still_doing(&self, host: HostId, doing: String) -> Event {
        match &self.out[host.0] {
            Some(out) => self.doing(host, &out.step, out.until, doing),
            None => Event::moved(&self.plan.host(host).name, doing),
        }
    }

    /// Says what protects a host that the push waits for.
    fn countdown(&self, host: HostId, answers: bool) -> String {
        let fires_in = self.deadlines[host.0].map(|deadline| deadline.saturating_sub(self.clock.now()));
        Awaiting::UnderGuard { answers, fires_in }.to_string()
    }

    fn learn_deadline(&mut self, host: HostId, out: &Out, answer: &Answer, surroundings: &mut impl Surroundings) {
        let done = matches!(answer, Answer::Said(said) if said.outcome == StepOutcome::Done);
        let name = self.plan.host(host).name.clone();
        let deadline = out.at + out.guard;
        match &out.step {
            // Without an answer the guard may be armed all the same, and then since the order at the earliest.
            Step::Arm { .. } => {
                self.deadlines[host.0] = Some(deadline);
                if done {
                    let (left_ms, way_back) = (self.left_ms(deadline), Some(self.way_back(host, deadline)));
                    surroundings.tell(Event::GuardArmed { host: name, left_ms, way_back });
                }
            }
            // An extension without an answer may have been made all the same. The old deadline stays then: it is never
            // later than the truth.
            Step::Extend { .. } if done => {
                self.deadlines[host.0] = Some(deadline);
                let (left_ms, way_back) = (self.left_ms(deadline), Some(self.way_back(host, deadline)));
                surroundings.tell(Event::GuardExtended { host: name, left_ms, way_back });
            }
            Step::TakeOver { .. } => self.learn_found(host, out, answer, surroundings),
            _ => {}
        }
    }

    /// Tells that the boot default has moved. The switch itself has read it back from the loader, so *done* means
    /// moved.
    fn tell_boot_default(&self, host: HostId, step: &Step, answer: &Answer, surroundings: &mut impl Surroundings) {
        if let (Step::Job { kind: JobKind::Switch | JobKind::Reactivate, .. }, Answer::Said(said)) = (step, answer)
            && said.outcome == StepOutcome::Done
        {
            let (host, generation) = (self.plan.host(host).name.clone(), said.standing.generation);
            surroundings.tell(Event::BootDefaultMoved { host, generation });
        }
    }

    /// Tells the journals that are still to come, if they come soon. Other reports are dropped, because the verdict
    /// stands already.
    pub(super) async fn hear_last_journals(&mut self, surroundings: &mut impl Surroundings) {
        let clock = Arc::clone(&self.clock);
        let until = clock.now() + LAST_JOURNALS;
        while self.journals > 0 {
            let left = until.saturating_sub(clock.now());
            let Some(Some(report)) = within(clock.as_ref(), left, self.inbox.recv()).await else { return };
            if matches!(report, Report::Journals { .. }) {
                self.take(report, surroundings);
            }
        }
    }

    /// Turns the guard of a host that was taken over, which counts on the host's clock, into a deadline on ours. It is
    /// counted from before the question went out, so it is never later than the truth.
    fn learn_found(&mut self, host: HostId, out: &Out, answer: &Answer, surroundings: &mut impl Surroundings) {
        let Answer::Said(said) = answer else { return };
        let standing = &said.standing;
        self.deadlines[host.0] = match &standing.guard {
            GuardState::Armed { deadline, .. } | GuardState::Dead { deadline, .. } => {
                // Other hosts wait for this deadline, so a host that lies must not put it off for ever: it is never
                // later than a guard can hold.
                let left = Duration::from_secs(deadline.saturating_sub(standing.uptime));
                let deadline = out.at + left.min(self.longest_guard);
                let (left_ms, way_back) = (self.left_ms(deadline), Some(self.way_back(host, deadline)));
                let host = self.plan.host(host).name.clone();
                surroundings.tell(Event::GuardSeen { host, left_ms, way_back });
                Some(deadline)
            }
            // Its time is over, so no step that needs time begins; the way back is counted from before the question.
            GuardState::Firing { .. } => Some(out.at),
            GuardState::None | GuardState::Fired { .. } | GuardState::Disarmed { .. } => None,
        };
        if matches!(standing.guard, GuardState::None | GuardState::Firing { .. } | GuardState::Fired { .. }) {
            self.seen_fired.insert(host);
        }
    }
}
