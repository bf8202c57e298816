//! Decides the way back: every touched host goes back, and none is held up by an error of another.

use std::sync::Arc;

use crate::decide::transaction::inspection::Found;
use crate::decide::transaction::link_proof::LinkProof;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Back, GivenUp, Progress, Transaction};
use crate::decide::vocabulary::{Answer, Effect, Entry, RollbackReason, Step, Timer};
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::fate::Fate;
use crate::event::reason::inspection::ComeBack;
use crate::event::reason::notice::Notice;
use crate::event::{Event, HostOutcome, Phase};
use crate::facts::host::{GuardState, Standing, same_boot};
use crate::facts::plan::HostId;
use crate::facts::step_answer::{RefusalReason, StepOutcome};
use crate::facts::systems::Systems;

/// What was done on the way back so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Undo {
    /// Whether the guards of restored hosts were extended while others are missing. Guards that were extended for the
    /// way forward may be extended once more.
    pub(super) extended: bool,
    /// Whether restored hosts with links that stayed down were left to their guards once already.
    pub(super) left_to_guards: bool,
}

impl Transaction {
    /// Turns the whole push round. The first reason stays: later ones follow from it.
    pub(super) fn turn_back(&mut self, reason: RollbackReason, effects: &mut Vec<Effect>) {
        let unwritten = matches!(reason, RollbackReason::RecordUnwritable { .. });
        self.enter_after(Stage::Back(Undo { extended: false, ..self.stage.undo() }), unwritten);
        let (host, told) = (reason.host().cloned(), AnyReason::from(reason.clone()));
        self.told.reason = Some(reason);
        self.stale = self.probing;
        Self::forget_verify_timers(effects);
        effects.push(Effect::Tell(Event::RollBackStarted { host, hint: told.mend(), reason: told.clone() }));
        effects.push(Effect::Record(Entry::RollingBack { reason: told }));
        effects.push(Effect::Tell(Event::PhaseStarted { phase: Phase::RollBack }));
        for host in self.plan.ids() {
            let now = &mut self.hosts[host.0];
            now.logged_in = false;
            now.progress = Progress::Waiting;
            let arming = matches!(now.step, Some(Step::Arm { .. }));
            if !arming {
                // The roll back replaces any order that is out: its own script waits for a running job on the host.
                now.step = None;
            }
            now.back = now.back_by_flags();
            if now.disowned || now.missing {
                now.back = Back::Untouched;
            } else {
                // A recovery may have called it through already, just before the record could not be written.
                now.end = None;
            }
        }
        for host in self.plan.ids() {
            self.back_as_found(host, effects);
        }
        self.send_waiting(false, effects);
        effects.push(Effect::Expect(Timer::HeadStart));
        self.go_on_back(effects);
    }

    pub(super) fn after_back(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        self.hosts[host.0].progress = Progress::Done;
        if matches!(answer, Answer::Said(_)) {
            for other in self.hosts.iter_mut().filter(|other| other.given_up == GivenUp::Silent) {
                other.given_up = GivenUp::HeardOthers;
            }
        }
        match step {
            Step::TakeOver { .. } => self.after_late_take_over(host, answer, effects),
            Step::Arm { .. } => self.after_late_arm(host, answer, effects),
            Step::Job { .. } => self.after_rollback(host, answer, effects),
            Step::Return { .. } => self.after_return(host, answer, effects),
            Step::Login { .. } => self.after_back_login(host, &answer, effects),
            Step::Disarm { .. } => {
                self.after_back_disarm(host, answer, effects);
                return;
            }
            // An extension only helps a host that must wait for another: without it its guard fires, and that brings it
            // to the same old system.
            Step::Extend { .. } | Step::Release | Step::Clean { .. } | Step::Unmark { .. } | Step::Ask => {}
        }
        self.send_waiting(false, effects);
        self.go_on_back(effects);
    }

    /// Handles the answer to an arm command that was out when the push turned round, or that arms a host again.
    fn after_late_arm(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let now = &mut self.hosts[host.0];
        match answer {
            Answer::Said(said) => match said.outcome {
                StepOutcome::Done if now.activated || now.moved => {
                    now.back = Back::Waiting;
                    now.progress = Progress::Waiting;
                }
                StepOutcome::Done | StepOutcome::Failed { .. } => now.back = Back::Restored,
                StepOutcome::Refused { reason: RefusalReason::Fired, .. } => self.await_guard(host, effects),
                StepOutcome::Refused { .. } if !(now.activated || now.moved) => {
                    now.armed = false;
                    now.back = Back::Untouched;
                }
                StepOutcome::Refused { reason: RefusalReason::OtherBoot, .. } => {
                    now.armed_again = false;
                    self.judge_return(host, &said.standing, effects);
                }
                StepOutcome::Refused { reason, text } => self.lost(host, Cause::refused(reason, text)),
            },
            Answer::NotSent | Answer::Denied { .. } if !(now.activated || now.moved) => {
                now.armed = false;
                now.back = Back::Untouched;
            }
            Answer::NotSent | Answer::Denied { .. } | Answer::Unknown { .. } => self.await_guard(host, effects),
        }
    }

    fn after_rollback(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let said = match answer {
            Answer::Said(said) => said,
            Answer::NotSent | Answer::Unknown { .. } | Answer::Denied { .. } => {
                self.await_guard(host, effects);
                return;
            }
        };
        match said.outcome {
            StepOutcome::Done if said.standing.systems == self.plan.host(host).old => {
                self.hosts[host.0].back = Back::Restored;
                let name = self.plan.host(host).name.clone();
                effects.push(Effect::Tell(Event::HostDone { host: name, phase: Phase::RollBack }));
            }
            StepOutcome::Refused { reason: RefusalReason::OtherBoot, .. } => {
                self.judge_return(host, &said.standing, effects);
            }
            StepOutcome::Refused { reason: RefusalReason::NoGuard, .. }
                if self.ends_where_it_has_left(host, &said.standing, effects) => {}
            StepOutcome::Refused { reason: RefusalReason::NoGuard, .. } if !self.hosts[host.0].armed_again => {
                self.hosts[host.0].boot_id.clone_from(&said.standing.boot_id);
                self.arm_again(host, said.standing.systems, effects);
            }
            outcome => {
                let name = self.plan.host(host).name.clone();
                let cause = match outcome {
                    StepOutcome::Refused { reason, text } => Cause::refused(reason, text),
                    StepOutcome::Failed { failure } => Cause::failed(failure),
                    StepOutcome::Done => Cause::OnOtherSystems { systems: said.standing.systems },
                };
                effects.push(Effect::Tell(Event::Logged {
                    host: name.clone(),
                    what: Phase::RollBack.word().to_owned(),
                    lines: said.log,
                }));
                effects.push(Effect::Tell(Event::warned(Some(&name), Notice::RollbackLeftToGuard { cause })));
                self.await_guard(host, effects);
            }
        }
    }

    /// Arms a host that lost its guard: it is never touched without one.
    pub(super) fn arm_again(&mut self, host: HostId, expect: Systems, effects: &mut Vec<Effect>) {
        if !self.may_arm_again(host) {
            self.lost(host, Fate::GuardGone { systems: expect });
            return;
        }
        let now = &mut self.hosts[host.0];
        now.back = Back::Arming;
        now.armed = true;
        now.armed_again = true;
        // Of the new guard nothing is known yet.
        now.disarms_in_vain = 0;
        now.progress = Progress::Sent;
        let boot_id = now.boot_id.clone();
        self.run(host, Step::Arm { expect, boot_id }, effects);
    }

    pub(super) fn await_guard(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        self.hosts[host.0].back = Back::Awaited;
        let boot_id = self.hosts[host.0].boot_id.clone();
        self.run(host, Step::Return { boot_id }, effects);
    }

    fn after_return(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        match answer {
            Answer::Said(said) => self.judge_return(host, &said.standing, effects),
            Answer::Unknown { why } | Answer::Denied { why } => {
                self.give_up(host, Fate::SilentAfterGuard { cause: why });
            }
            Answer::NotSent => self.lost(host, Cause::NoTimeToAsk),
        }
    }

    /// Handles a host that answers again, on this boot or another.
    fn judge_return(&mut self, host: HostId, standing: &Standing, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let plan = plan.host(host);
        let rebooted = !same_boot(&standing.boot_id, &self.hosts[host.0].boot_id);
        let armed = matches!(standing.guard, GuardState::Armed { .. } | GuardState::Dead { .. });
        let back = standing.systems == plan.old || (rebooted && plan.is_back(&standing.systems));
        if matches!(standing.guard, GuardState::Firing { .. }) {
            self.give_up(host, Fate::GuardStillAtWork { systems: standing.systems.clone() });
        } else if standing.systems == plan.old && armed {
            self.hosts[host.0].back = Back::Restored;
        } else if back {
            self.hosts[host.0].back = Back::Returned { by_guard: true };
            self.hosts[host.0].boot_id.clone_from(&standing.boot_id);
            let how = if rebooted { ComeBack::BackOnNewBoot } else { ComeBack::BackByGuard };
            effects.push(Effect::Tell(Event::CameBack { host: plan.name.clone(), text: how.into() }));
        } else if self.ends_where_it_has_left(host, standing, effects) {
            // This run does not undo what came after it.
        } else if rebooted && !armed && !self.hosts[host.0].armed_again {
            // It restarted by itself, without its guard, onto something else: it is armed first and then rolled back,
            // but only once.
            self.hosts[host.0].boot_id.clone_from(&standing.boot_id);
            self.hosts[host.0].held = false;
            self.arm_again(host, standing.systems.clone(), effects);
        } else {
            self.lost(host, Cause::OnOtherSystems { systems: standing.systems.clone() });
        }
    }

    /// Ends the run for a host that a person has brought onto something else.
    fn ends_where_it_has_left(&mut self, host: HostId, standing: &Standing, effects: &mut Vec<Effect>) -> bool {
        let found = Found::of(self.plan.host(host), standing);
        if !found.has_left() {
            return false;
        }
        let name = self.plan.host(host).name.clone();
        effects.push(Effect::Tell(Event::warned(Some(&name), found.told())));
        let now = &mut self.hosts[host.0];
        now.on.clone_from(&standing.systems.current);
        (now.armed, now.back) = (false, Back::Untouched);
        self.hosts[host.0].end = Some(self.moved_on(host));
        true
    }

    pub(super) fn lost(&mut self, host: HostId, why: impl Into<AnyReason>) {
        self.hosts[host.0].back = Back::Untouched;
        self.hosts[host.0].end = Some(HostOutcome::Lost { why: why.into() });
    }

    /// Gives a host up as lost, unless it answers when it is asked once more.
    pub(super) fn give_up(&mut self, host: HostId, why: impl Into<AnyReason>) {
        self.lost(host, why);
        let now = &mut self.hosts[host.0];
        now.given_up = if now.given_up == GivenUp::No { GivenUp::Silent } else { GivenUp::ForGood };
    }

    /// Asks hosts once more, before the end is called a split, that were given up while others were still waited for.
    pub(super) fn ask_the_silent_again(&mut self, effects: &mut Vec<Effect>) -> bool {
        let again: Vec<HostId> =
            self.plan.ids().filter(|host| self.hosts[host.0].given_up == GivenUp::HeardOthers).collect();
        if again.is_empty() {
            return false;
        }
        self.enter(Stage::Back(self.stage.undo()));
        for host in &again {
            self.hosts[host.0].given_up = GivenUp::ForGood;
            self.hosts[host.0].end = None;
            if self.recovery.is_some() && !self.hosts[host.0].held {
                // The coordinator that began the run may be arming it just now: its state counts only once it is
                // fenced.
                self.hosts[host.0].back = Back::Awaited;
                self.run(*host, Step::TakeOver { by_guard: true }, effects);
            } else {
                self.await_guard(*host, effects);
            }
        }
        true
    }

    /// Handles the barriers of the way back.
    pub(super) fn go_on_back(&mut self, effects: &mut Vec<Effect>) {
        let Stage::Back(undo) = self.stage else { return };
        let under_way = |back: &Back| matches!(back, Back::Arming | Back::Waiting | Back::Rolling);
        if self.hosts.iter().any(|host| under_way(&host.back)) {
            return;
        }
        if self.hosts.iter().any(|host| host.is_open() && host.back == Back::Awaited) {
            // While a host is missing that links of another may lead to, the other keeps its guard, past the missing
            // one's deadline and boot. A host that the push had not come to keeps its guard as well: one that fires
            // there brings nothing back, and only frightens a person.
            let begun = self.hosts.iter().any(|host| host.activated);
            for host in self.plan.ids() {
                let now = &self.hosts[host.0];
                if now.back == Back::Restored && now.is_open() && begun && now.step.is_none() && !undo.extended {
                    let boot_id = now.boot_id.clone();
                    self.run(host, Step::Extend { boot_id }, effects);
                }
            }
            self.stage = Stage::Back(Undo { extended: true, ..undo });
            return;
        }
        effects.push(Effect::Forget(Timer::HeadStart));
        let proven_by_nothing = self.hosts.iter().all(|host| !host.activated);
        if proven_by_nothing {
            self.enter_back_disarm(effects);
            return;
        }
        self.enter(Stage::BackProof(undo, LinkProof::default()));
        for host in self.plan.ids() {
            if self.needs_login(host) {
                self.run(host, Step::Login { after: false }, effects);
            }
        }
        self.look(effects);
    }
}
