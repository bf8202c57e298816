//! Decides the way back: every touched host goes back, and none is held up by an error of another.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decide::transaction::inspection::Found;
use crate::decide::transaction::state::{Back, GivenUp, Progress, Stage, Transaction};
use crate::decide::vocabulary::{Answer, Effect, Entry, RollbackReason, Step, Timer};
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::fate::Fate;
use crate::event::reason::inspection::ComeBack;
use crate::event::reason::notice::Notice;
use crate::event::{Event, HostOutcome, Phase};
use crate::facts::host::{GuardState, Standing, same_boot};
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::{HostId, LoginBefore};
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use crate::facts::systems::Systems;
use crate::inventory::model::HostName;

/// How often a disarm on the way back whose answer is lost is sent, beside the one that gives its host up.
const LOST_DISARMS: u8 = 2;

impl Transaction {
    /// Turns the whole push round. The first reason stays: later ones follow from it.
    pub(super) fn turn_back(&mut self, reason: RollbackReason, effects: &mut Vec<Effect>) {
        let (host, told) = (reason.host().cloned(), AnyReason::from(reason.clone()));
        self.reason = Some(reason);
        self.stage = Stage::Back;
        self.stale = self.probing;
        // Guards that were extended for the way forward may be extended once more for the way back.
        self.extended = false;
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
    fn ask_the_silent_again(&mut self, effects: &mut Vec<Effect>) -> bool {
        let again: Vec<HostId> =
            self.plan.ids().filter(|host| self.hosts[host.0].given_up == GivenUp::HeardOthers).collect();
        for host in &again {
            self.hosts[host.0].given_up = GivenUp::ForGood;
            self.hosts[host.0].end = None;
            self.stage = Stage::Back;
            if self.recovery.is_some() && !self.hosts[host.0].held {
                // The coordinator that began the run may be arming it just now: its state counts only once it is
                // fenced.
                self.hosts[host.0].back = Back::Awaited;
                self.run(*host, Step::TakeOver { by_guard: true }, effects);
            } else {
                self.await_guard(*host, effects);
            }
        }
        !again.is_empty()
    }

    /// Handles the barriers of the way back.
    pub(super) fn go_on_back(&mut self, effects: &mut Vec<Effect>) {
        if !matches!(self.stage, Stage::Back) {
            return;
        }
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
                if now.back == Back::Restored && now.is_open() && begun && now.step.is_none() && !self.extended {
                    let boot_id = now.boot_id.clone();
                    self.run(host, Step::Extend { boot_id }, effects);
                }
            }
            self.extended = true;
            return;
        }
        effects.push(Effect::Forget(Timer::HeadStart));
        let proven_by_nothing = self.hosts.iter().all(|host| !host.activated);
        if proven_by_nothing {
            self.enter_back_disarm(effects);
            return;
        }
        self.stage = Stage::BackProof;
        self.look_anew();
        for host in self.plan.ids() {
            if self.needs_login(host) {
                self.run(host, Step::Login { after: false }, effects);
            }
        }
        self.look(effects);
    }

    fn after_back_login(&mut self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        if self.stage == Stage::BackProof {
            self.hosts[host.0].logged_in = matches!(answer, Answer::Said(_));
            match answer {
                Answer::Said(said) => {
                    self.compare_after_back(host, &said.standing.failed_units, &said.standing.units);
                }
                Answer::Denied { why } => {
                    let (name, cause) = (&self.plan.host(host).name, why.clone());
                    effects.push(Effect::Tell(Event::warned(Some(name), Notice::LoginRefusedAfterRollback { cause })));
                }
                Answer::Unknown { .. } | Answer::NotSent => {}
            }
            self.back_proven_when_all_holds(effects);
        }
    }

    pub(super) fn back_round_seen(&mut self, mut round: Round, effects: &mut Vec<Effect>) {
        // The links of a host that is given up do not count: no reboot of another would bring them back.
        self.last_broken = self.without_lost_hosts(self.plan.newly_broken(&round));
        self.unproven = self.without_lost_hosts(self.plan.newly_unproven(&round));
        self.streak = u32::from(self.last_broken.is_empty() && self.unproven.is_empty());
        self.begin_time_anew(&round, effects);
        effects.push(Effect::Tell(self.links_moved(&round)));
        let changing: Vec<HostId> = self.plan.changing().filter(|host| self.hosts[host.0].activated).collect();
        for host in changing {
            if let Some(seen) = round.hosts.get(&self.plan.host(host).name) {
                self.compare_after_back(host, &seen.failed_units, &seen.units);
            }
        }
        round.hosts.clear();
        self.last_round = Some(round);
        self.back_proven_when_all_holds(effects);
        self.count_open_round();
        let waits = self.waits_for_turns() && self.may_still_be_proven();
        if self.stage == Stage::BackProof && self.overtime && !waits {
            self.back_not_proven(effects);
        } else if self.stage == Stage::BackProof {
            effects.push(Effect::Expect(Timer::RoundPause));
        }
    }

    /// Returns the links of these that neither begin nor end at a host that is lost to this run.
    pub(super) fn without_lost_hosts(&self, mut links: BTreeSet<LinkId>) -> BTreeSet<LinkId> {
        let lost = self.lost_hosts();
        if !lost.is_empty() {
            links.retain(|link| !self.plan.links[*link].has_an_end_at(&lost));
        }
        links
    }

    /// Returns the hosts whose links prove nothing for this run.
    pub(super) fn lost_hosts(&self) -> BTreeSet<&HostName> {
        let proves_nothing = |id: &HostId| {
            let now = &self.hosts[id.0];
            now.missing
                || now.has_left()
                || matches!(now.end, Some(HostOutcome::Lost { .. } | HostOutcome::MovedOn { .. }))
        };
        self.plan.ids().filter(proves_nothing).map(|host| &self.plan.host(host).name).collect()
    }

    /// Returns the hosts at the ends of these links.
    fn ends_of(&self, links: &BTreeSet<LinkId>) -> BTreeSet<&HostName> {
        links.iter().flat_map(|link| self.plan.links[*link].hosts()).collect()
    }

    /// Returns whether a roll back must be proven by a new login here: it asks no more than there was before, and no
    /// reboot brings a login that was not there. Where that is not known, it asks: the old system may not let us in
    /// before a reboot.
    fn needs_login(&self, host: HostId) -> bool {
        let was_taken = match self.plan.host(host).login {
            LoginBefore::Taken | LoginBefore::Unknown => true,
            LoginBefore::NotTaken => false,
        };
        was_taken && self.hosts[host.0].needs_proof()
    }

    fn without_login(&self) -> Vec<HostId> {
        self.plan.ids().filter(|host| self.needs_login(*host) && !self.hosts[host.0].logged_in).collect()
    }

    pub(super) fn back_proven_when_all_holds(&mut self, effects: &mut Vec<Effect>) {
        if self.stage == Stage::BackProof && self.streak > 0 && self.without_login().is_empty() {
            Self::forget_verify_timers(effects);
            self.tell_matrix(Phase::RollBack, effects);
            self.enter_back_disarm(effects);
        }
    }

    /// Leaves hosts to their guards if the old systems run again and the old links are not there: a reboot can mend
    /// more, and is armed already.
    pub(super) fn back_not_proven(&mut self, effects: &mut Vec<Effect>) {
        Self::forget_verify_timers(effects);
        let silent = self.without_login();
        // The links of the others may have led through a missing host: no reboot of theirs would mend that.
        let any_missing = self.missing().next().is_some();
        let down: BTreeSet<LinkId> = self.last_broken.union(&self.down_and_open()).copied().collect();
        let (broken, unproven) = (self.ends_of(&down), self.ends_of(&self.unproven));
        let is_at = |host: HostId, ends: &BTreeSet<&HostName>| ends.contains(&self.plan.host(host).name);
        // A link that could not be measured may be down: only a reboot is known to bring it back.
        let at_broken_link = |host: HostId| is_at(host, &broken) || is_at(host, &unproven);
        let suspects: Vec<HostId> = self
            .plan
            .ids()
            .filter(|host| self.hosts[host.0].back == Back::Restored && self.hosts[host.0].needs_proof())
            .filter(|host| silent.contains(host) || (at_broken_link(*host) && !any_missing))
            .collect();
        self.tell_matrix(Phase::RollBack, effects);
        if self.left_to_guards || suspects.is_empty() {
            let could_not = down.is_empty() && !self.unproven.is_empty() && silent.is_empty();
            let notice = if could_not { Notice::NotAllMeasured } else { Notice::NotAllUpAgain };
            effects.push(Effect::Tell(Event::warned(None, notice)));
            self.enter_back_disarm(effects);
            return;
        }
        let notices: Vec<Notice> = suspects
            .iter()
            .map(|host| {
                if silent.contains(host) {
                    Notice::LoginStaysDown
                } else if is_at(*host, &broken) {
                    Notice::LinksStayDown
                } else {
                    Notice::LinksStayUnmeasured
                }
            })
            .collect();
        self.left_to_guards = true;
        self.stage = Stage::Back;
        for (host, notice) in suspects.into_iter().zip(notices) {
            let name = self.plan.host(host).name.clone();
            effects.push(Effect::Tell(Event::warned(Some(&name), notice)));
            self.await_guard(host, effects);
        }
        self.go_on_back(effects);
    }

    /// Returns whether the last look after a roll back has found everything as it was before: the old links, and new
    /// logins.
    pub(super) fn is_back_proven(&self) -> bool {
        let logins = self.hosts.iter().all(|host| !host.activated || host.logged_in);
        let activated = self.hosts.iter().any(|host| host.activated);
        self.reason.is_some() && activated && logins && self.streak > 0 && self.last_broken.is_empty()
    }

    fn enter_back_disarm(&mut self, effects: &mut Vec<Effect>) {
        self.stage = Stage::BackDisarm;
        self.tell_what_is_left(effects);
        for host in self.plan.ids() {
            self.hosts[host.0].step = None;
            if !self.hosts[host.0].is_open() {
                continue;
            }
            match self.hosts[host.0].back {
                Back::Restored => self.disarm(host, self.plan.host(host).old.clone(), effects),
                Back::Returned { by_guard } => {
                    let now = &mut self.hosts[host.0];
                    now.armed = false;
                    let touched = by_guard || now.activated || now.moved;
                    now.end = Some(if touched { HostOutcome::RolledBack { by_guard } } else { HostOutcome::Untouched });
                }
                _ => {}
            }
        }
        self.clean_when_all_are_back(effects);
    }

    fn after_back_disarm(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        self.tell_next_boot(host, &answer, effects);
        let plan = self.plan.host(host);
        match answer {
            Answer::Said(said) if said.outcome == StepOutcome::Done && said.standing.systems == plan.old => {
                self.hosts[host.0].armed = false;
                effects.push(Effect::Tell(Event::GuardDisarmed { host: plan.name.clone() }));
                self.hosts[host.0].end = Some(self.end_of_disarmed(host));
            }
            // A host that perhaps never got its arm command has nothing to disarm, and is where it was.
            Answer::Said(said)
                if said.standing.systems == plan.old && matches!(said.standing.guard, GuardState::None) =>
            {
                self.hosts[host.0].armed = false;
                self.hosts[host.0].end = Some(self.end_of_disarmed(host));
            }
            // A guard whose process is gone never fires: it would be waited for, and disarmed in vain, for ever.
            Answer::Said(said) if self.is_guarded_still(host, &said) && self.hosts[host.0].disarms_in_vain > 0 => {
                let cause = match said.outcome {
                    StepOutcome::Refused { reason, text } => Cause::refused(reason, text),
                    StepOutcome::Failed { failure } => Cause::failed(failure),
                    StepOutcome::Done => Cause::OnOtherSystems { systems: said.standing.systems },
                };
                self.lost(host, Fate::NotDisarmed { cause });
            }
            // A lost one may have been done, so it is asked between each two how the host stands.
            Answer::Unknown { why } | Answer::Denied { why } if self.hosts[host.0].disarms_in_vain >= LOST_DISARMS => {
                self.lost(host, Fate::DisarmInDoubt { cause: why });
            }
            Answer::NotSent if self.hosts[host.0].disarms_in_vain >= LOST_DISARMS => {
                self.lost(host, Fate::DisarmInDoubt { cause: Cause::NoTimeToAsk });
            }
            answer => {
                let is_answered = matches!(answer, Answer::Said(_));
                let stays = matches!(&answer, Answer::Said(said) if self.is_guarded_still(host, said));
                self.hosts[host.0].disarms_in_vain += u8::from(stays || !is_answered);
                self.await_guard(host, effects);
                self.stage = Stage::Back;
                return;
            }
        }
        self.clean_when_all_are_back(effects);
    }

    /// Returns whether the host says that its guard is there as it was.
    fn is_guarded_still(&self, host: HostId, said: &StepAnswer) -> bool {
        same_boot(&said.standing.boot_id, &self.hosts[host.0].boot_id)
            && matches!(said.standing.guard, GuardState::Armed { .. } | GuardState::Dead { .. })
    }

    /// Returns whether a push by waves had not come to the host before it went back: such a host was only guarded.
    fn end_of_disarmed(&self, host: HostId) -> HostOutcome {
        let others_were_tested = self.hosts.iter().any(|host| host.activated);
        if self.plan.waves().len() > 1 && others_were_tested && !self.hosts[host.0].activated {
            HostOutcome::Untouched
        } else {
            HostOutcome::RolledBack { by_guard: false }
        }
    }

    pub(super) fn clean_when_all_are_back(&mut self, effects: &mut Vec<Effect>) {
        let waits = self.hosts.iter().any(|host| host.is_open() && host.back != Back::Untouched);
        if !waits && !self.ask_the_silent_again(effects) {
            self.enter_clean(effects);
        }
    }
}
