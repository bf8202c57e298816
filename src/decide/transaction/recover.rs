//! Decides the way out of an interrupted run: every host is taken over first, then all go forward together or back
//! together.
//!
//! The record tells how far the run may have got; but the state in which each host is found decides. The rules are
//! those of docs/design.md, "Forward or back": forward only after a decision, only if every host can, and after a new
//! proof; else back, and no host is touched without a guard. If one host says that another coordinator has taken over,
//! the take-over has failed for that host alone: `contest.rs` says how the others are asked.
//!
//! A host is believed about itself only. One that says that nothing of the run is left on it tells which side it is on,
//! and no more: the others are judged without it. There is one exception: hosts on new beside a host that was cleaned
//! on new are not taken back, because only a run that has ended forward leaves them so.

use std::sync::Arc;

use crate::decide::transaction::contest::Contest;
use crate::decide::transaction::inspection::{Found, GuardedState, Side};
use crate::decide::transaction::marks::EndMarks;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Back, Progress, Transaction};
use crate::decide::transaction::without::not_ended_without;
use crate::decide::vocabulary::{Answer, Effect, Entry, RollbackReason, Signal, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::reason::fate::Fate;
use crate::event::reason::inspection::Elsewhere;
use crate::event::reason::recover::ClaimDoubt;
use crate::event::{Event, HostOutcome, Outcome, Phase};
use crate::facts::plan::{HostId, Plan};
use crate::facts::step_answer::{RefusalReason, StepOutcome};
use crate::facts::systems::Systems;
use crate::facts::traces::EndMark;

/// The knowledge about a run that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recorded {
    pub reached: Reached,
    /// A roll back was begun.
    pub turned_back: bool,
    pub finished: Option<Outcome>,
    /// It was ended without hosts that were not seen: its outcome does not hold for these.
    pub ended_without: bool,
}

/// The aim of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Aim {
    #[default]
    Recover,
    /// To end the run without missing hosts, if that is right wherever they are.
    Without,
    /// To remove what is left of the run, and move no host. `as_they_stand`: even if they are not on one side.
    Forget { as_they_stand: bool },
    /// To clean up hosts that are back on old after the run was ended on old without them, and do nothing else.
    Returned,
}

/// The latest act that the run has announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reached {
    Nothing,
    Arming,
    Testing,
    Decided,
    Disarming,
    /// The record is not here, or not all of it: everything may have happened.
    Unknown,
}

impl Recorded {
    /// Makes the knowledge of a workstation without a record.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { reached: Reached::Unknown, turned_back: false, finished: None, ended_without: false }
    }

    /// Reads the entries of a journal, those of its first coordinator and of every recovery since.
    #[must_use]
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut names_the_missing = false;
        let mut recorded = Self { reached: Reached::Nothing, turned_back: false, finished: None, ended_without: false };
        for entry in entries {
            let reached = match entry {
                Entry::Arming => Reached::Arming,
                Entry::Testing => Reached::Testing,
                Entry::Decided => Reached::Decided,
                Entry::Disarming => Reached::Disarming,
                Entry::RollingBack { .. } => {
                    recorded.turned_back = true;
                    continue;
                }
                // The coordinator that took over may have gone on without writing here.
                Entry::HostLost { .. } | Entry::Finished { outcome: Outcome::Superseded } => Reached::Unknown,
                Entry::EndedWithout { .. } => {
                    (recorded.ended_without, names_the_missing) = (true, true);
                    continue;
                }
                // Forget removed only what no coordinator needed any more.
                Entry::Forgotten { .. } => continue,
                Entry::Finished { outcome } => {
                    recorded.finished = Some(*outcome);
                    // Else the missing host has been dealt with.
                    recorded.ended_without &= std::mem::take(&mut names_the_missing);
                    continue;
                }
            };
            recorded.reached = recorded.reached.max(reached);
        }
        recorded
    }

    pub(super) fn decided(self) -> bool {
        matches!(self.reached, Reached::Decided | Reached::Disarming)
    }

    pub(super) fn ended_well(self) -> Option<Outcome> {
        let ends = |outcome: &Outcome| !matches!(outcome, Outcome::Split | Outcome::Left | Outcome::Superseded);
        self.finished.filter(|outcome| !self.ended_without && ends(outcome))
    }
}

/// A recovery under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    pub(super) recorded: Recorded,
    /// Whether hosts that did not answer were given the time until their guards must have brought them back.
    pub(super) waited: bool,
    /// Whether hosts were asked again that were not through, or did not answer, before another one held nothing of the
    /// run any more.
    pub(super) asked_again: bool,
    /// Set if a host has refused to be taken over: another coordinator may recover this run.
    pub(super) contest: Option<Contest>,
    pub(super) aim: Aim,
    /// Whether the guards of missing hosts were given the time until none can be armed any more.
    pub(super) waited_for_the_missing: bool,
    /// The end without hosts, as the record has it.
    pub(super) mark: Option<EndMark>,
    /// The end without hosts, as the marks have it.
    pub(super) ending: Option<EndMarks>,
}

impl Transaction {
    /// Makes the recovery of a run that another coordinator began, which may still be alive. `plan` is that run's, or
    /// is made of what the hosts tell of it.
    #[must_use]
    pub fn recover(plan: Arc<Plan>, recorded: Recorded) -> Self {
        let mut transaction = Self::new(plan);
        for host in &mut transaction.hosts {
            host.armed = recorded.reached >= Reached::Arming;
            host.activated = recorded.reached >= Reached::Testing;
            host.moved = recorded.reached >= Reached::Decided;
        }
        let witnesses: Vec<HostId> = transaction.plan.ids().filter(|id| !transaction.plan.host(*id).changes).collect();
        for host in witnesses {
            let now = &mut transaction.hosts[host.0];
            (now.armed, now.activated, now.moved) = (false, false, false);
        }
        // The way forward is open only if every host runs its new system.
        transaction.wave = transaction.plan.waves().keys().next_back().copied().unwrap_or(0);
        transaction.stage = Stage::TakeOver;
        transaction.recovery = Some(Recovery {
            recorded,
            waited: false,
            asked_again: false,
            contest: None,
            aim: Aim::Recover,
            waited_for_the_missing: false,
            mark: None,
            ending: None,
        });
        transaction
    }

    /// Says what the recovery is to do. It is called before the start.
    pub fn aim_at(&mut self, aim: Aim) {
        if let Some(recovery) = &mut self.recovery {
            recovery.aim = aim;
        }
    }

    /// Gives the fleet's name, as a person types it. It is called before the start.
    pub fn is_of(&mut self, fleet: &str) {
        fleet.clone_into(&mut self.told.fleet);
    }

    /// Leaves a host as it is, because the recovery cannot build on its words. It is called before the start.
    pub fn set_aside(&mut self, host: HostId, why: ClaimDoubt) {
        let now = &mut self.hosts[host.0];
        (now.progress, now.armed, now.set_aside) = (Progress::Done, false, true);
        now.found = Some(Found::Elsewhere { why: Elsewhere::Doubt(why) });
    }

    /// Says that hosts that do not answer were given their time already. It is called before the start.
    pub fn has_waited(&mut self) {
        if let Some(recovery) = &mut self.recovery {
            recovery.waited = true;
        }
    }

    pub(super) fn is_set_aside(&self, host: HostId) -> bool {
        self.hosts[host.0].set_aside
    }

    pub(super) fn start_take_over(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::Tell(Event::PhaseStarted { phase: Phase::TakeOver })];
        self.take_over_more(&mut effects);
        if self.plan.changing().next().is_none() {
            self.enter_clean(&mut effects);
        } else if self.all_changing(Progress::Done) {
            self.all_are_found(&mut effects);
        }
        effects
    }

    /// Takes hosts over. The first by machine id that answers is taken alone, so that of two recoveries at once exactly
    /// one goes on; then come all the others.
    pub(super) fn take_over_more(&mut self, effects: &mut Vec<Effect>) {
        let mut waiting: Vec<HostId> =
            self.plan.changing().filter(|host| self.hosts[host.0].progress == Progress::Waiting).collect();
        waiting.retain(|host| !self.is_kept_for_last(*host));
        waiting.sort_by_key(|host| self.plan.host(*host).machine_id.clone());
        let held = self.hosts.iter().any(|host| host.found.as_ref().is_some_and(|found| !found.is_away()));
        let under_way = self.hosts.iter().any(|host| host.step.is_some());
        if !held {
            waiting.truncate(usize::from(!under_way));
        }
        for host in waiting {
            self.hosts[host.0].progress = Progress::Sent;
            self.run(host, Step::TakeOver { by_guard: false }, effects);
        }
    }

    pub(super) fn after_take_over(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        match step {
            Step::Ask => return self.after_ask(host, &answer, effects),
            // This only helps a host that may go forward: without it its guard fires, and that is seen.
            Step::Extend { .. } => return,
            _ => {}
        }
        if let Answer::Said(said) = &answer
            && self.ends_a_dead_guard(host, said, effects)
        {
            return;
        }
        if let Answer::Said(said) = &answer
            && let StepOutcome::Refused { reason: RefusalReason::Superseded, text } = &said.outcome
        {
            self.contested(host, said, text.clone(), effects);
            return;
        }
        self.hosts[host.0].progress = Progress::Done;
        self.find(host, answer, effects);
        self.take_over_more(effects);
        if self.all_changing(Progress::Done) {
            self.all_are_found(effects);
        }
    }

    /// Learns how a host stands.
    fn find(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let plan = plan.host(host);
        let at_work = matches!(&answer, Answer::Said(said) if self.is_at_work(&said.standing));
        let now = &mut self.hosts[host.0];
        // A host that is asked once more because another was cleaned may be silent just then: its earlier answer
        // stands. It is under this coordinator's guard, and the next order to it shows whether that still holds.
        let asked_again = self.recovery.as_ref().is_some_and(|recovery| recovery.asked_again);
        let is_silent = matches!(answer, Answer::Unknown { .. } | Answer::Denied { .. } | Answer::NotSent);
        if asked_again && is_silent && now.held && matches!(now.found, Some(Found::Guarded(_))) {
            return;
        }
        // A host that answers the take-over has written this coordinator's lease, on this very boot.
        now.held = matches!(&answer, Answer::Said(said) if said.outcome == StepOutcome::Done);
        let found = match answer {
            Answer::Unknown { why } | Answer::Denied { why } => Found::Silent { why },
            Answer::NotSent => Found::Silent { why: Cause::NoTimeToAsk },
            Answer::Said(said) => {
                now.boot_id.clone_from(&said.standing.boot_id);
                now.on.clone_from(&said.standing.systems.current);
                match said.outcome {
                    StepOutcome::Failed { failure } => Found::Silent { why: Cause::failed(failure) },
                    StepOutcome::Refused { reason: RefusalReason::Ended, .. } => {
                        let stands = Side::of(plan, &said.standing.systems);
                        match said.standing.run_traces.and_then(|traces| traces.ended) {
                            Some(ended) => Found::Ended { mark: ended.mark, stands },
                            None => Found::Cleaned(stands),
                        }
                    }
                    // The run that holds it now has committed here.
                    StepOutcome::Refused {
                        reason: RefusalReason::ForeignLease | RefusalReason::ForeignGuard, ..
                    } if said.standing.run_traces.as_ref().is_some_and(|traces| traces.over) => Found::Over,
                    StepOutcome::Refused { reason, text } => {
                        Found::Elsewhere { why: Cause::refused(reason, text).into() }
                    }
                    StepOutcome::Done if at_work => Found::Guarded(GuardedState::Between),
                    StepOutcome::Done => Found::of(plan, &said.standing),
                }
            }
        };
        match found {
            // It may be under a guard still.
            Found::Silent { .. } => {}
            Found::Old { .. } | Found::Cleaned(_) | Found::Elsewhere { .. } => now.armed = false,
            // The system that it is on is not this run's.
            Found::Ended { .. } | Found::MovedOn { .. } | Found::Over => {
                (now.armed, now.activated, now.moved) = (false, false, false);
            }
            Found::New { .. } | Found::Loose(_) => (now.armed, now.activated, now.moved) = (false, true, true),
            Found::Guarded(GuardedState::Old) => (now.armed, now.activated, now.moved) = (true, false, false),
            Found::Guarded(_) | Found::Firing => (now.armed, now.activated, now.moved) = (true, true, true),
        }
        effects.push(Effect::Tell(Event::HostFound { host: plan.name.clone(), text: found.told().into() }));
        self.hosts[host.0].found = Some(found);
        self.tell_who_has_left(host, effects);
    }

    /// Goes on when the known guards are over: every host is asked once more, also one that has restarted meanwhile.
    pub(super) fn guards_are_over(&mut self, effects: &mut Vec<Effect>) {
        for host in self.hosts.iter_mut().filter(|host| !host.disowned && !host.missing && !host.set_aside) {
            host.progress = Progress::Waiting;
        }
        self.take_over_more(effects);
        // If no host is left to be asked, no answer would come that goes on.
        if self.all_changing(Progress::Done) {
            self.all_are_found(effects);
        }
    }

    /// Handles a signal. While hosts are being taken over the recovery then goes back. While it waits for guards it
    /// just ends: nothing was done, and the guards hold.
    pub(super) fn cancel_take_over(&mut self, signal: Signal, effects: &mut Vec<Effect>) {
        self.interrupted = Some(signal);
        let waiting = self.hosts.iter().all(|host| host.step.is_none());
        if waiting {
            self.leave_as_found(signal, effects);
        }
    }

    /// Ends without having done anything: every host is as it was found, and its guard holds, if it has one.
    pub(super) fn leave_as_found(&mut self, signal: Signal, effects: &mut Vec<Effect>) {
        effects.extend([Timer::GuardsOver, Timer::AskAgain].map(Effect::Forget));
        self.told.reason = Some(RollbackReason::Interrupted { signal });
        let left = if self.is_contested() { self.plan.changing().collect() } else { Vec::new() };
        for host in left {
            let why = Fate::LeftInContest.into();
            self.hosts[host.0].end.get_or_insert(HostOutcome::Left { why, back_within_ms: None });
        }
        let missing: Vec<HostId> = self.missing().collect();
        for host in missing {
            self.hosts[host.0].end = Some(not_ended_without());
        }
        // No host was changed, and the guards hold: a person need not look there. While a missing host's guard may
        // still be armed, no host is through.
        let is_without = self.missing().next().is_some();
        self.leave_all(effects, |found| if is_without { found.left_so() } else { found.left() });
    }

    /// A host that was taken over begins its way back as it was found.
    pub(super) fn back_as_found(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        let patient = self.recovery.as_ref().is_some_and(|recovery| recovery.recorded.reached != Reached::Unknown);
        match self.hosts[host.0].found.clone() {
            None | Some(Found::Guarded(_)) => {}
            Some(found) if found.has_left() => {
                let end = self.moved_on(host);
                let now = &mut self.hosts[host.0];
                (now.back, now.end) = (Back::Untouched, Some(end));
            }
            Some(Found::Ended { stands: Side::New, .. } | Found::MovedOn { .. } | Found::Over) => {
                self.hosts[host.0].back = Back::Untouched;
                self.hosts[host.0].end = Some(HostOutcome::Committed);
            }
            Some(Found::Ended { .. }) => self.hosts[host.0].back = Back::Returned { by_guard: false },
            Some(Found::Old { by_guard }) => self.hosts[host.0].back = Back::Returned { by_guard },
            Some(Found::Cleaned(Side::Old | Side::Both)) => {
                self.hosts[host.0].back = Back::Returned { by_guard: false };
            }
            // In a run that was ended without hosts, only a host that is not at rest is moved.
            Some(Found::New { .. }) if self.ending().is_some() => {
                let end = self.end_by_marks(host);
                let now = &mut self.hosts[host.0];
                (now.back, now.end) = (Back::Untouched, Some(end));
            }
            // If a run was ended and cleaned on new somewhere, it is not taken back on hosts that are through.
            Some(found @ Found::New { .. }) if self.found().any(|(_, found)| *found == Found::Cleaned(Side::New)) => {
                self.lost(host, found.told());
            }
            Some(Found::New { .. }) => {
                let systems = Systems::all(&self.plan.host(host).new);
                self.arm_again(host, systems, effects);
            }
            Some(Found::Loose(systems)) => self.arm_again(host, systems, effects),
            Some(Found::Firing) => self.await_guard(host, effects),
            Some(Found::Silent { .. }) if patient => {
                self.hosts[host.0].back = Back::Awaited;
                self.run(host, Step::TakeOver { by_guard: true }, effects);
            }
            // Its time was over before anything was decided; while the others go back it may answer again.
            Some(found @ Found::Silent { .. }) if self.plan.host(host).old.current != Systems::not_known() => {
                self.give_up(host, found.told());
            }
            Some(
                found @ (Found::Silent { .. }
                | Found::Cleaned(Side::New | Side::Neither | Side::NotKnown)
                | Found::Elsewhere { .. }),
            ) => {
                self.lost(host, found.told());
            }
        }
    }

    /// Handles a host that was silent when the others turned back, and was now taken over, or has no time left.
    pub(super) fn after_late_take_over(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        self.find(host, answer, effects);
        if let Some(Found::Silent { why }) = self.hosts[host.0].found.clone() {
            self.give_up(host, Fate::SilentAfterGuard { cause: why });
            return;
        }
        let now = &mut self.hosts[host.0];
        now.back = now.back_by_flags();
        now.progress = Progress::Waiting;
        self.back_as_found(host, effects);
    }

    pub(super) fn all_found(&self, wanted: impl Fn(&Found) -> bool) -> bool {
        self.found().all(|(_, found)| wanted(found))
    }

    pub(super) fn found(&self) -> impl Iterator<Item = (HostId, &Found)> {
        let found = self.plan.changing().filter_map(|host| Some((host, self.hosts[host.0].found.as_ref()?)));
        // A host for which the run is over need not wait for the others.
        found.filter(|(_, found)| !found.has_left())
    }
}
