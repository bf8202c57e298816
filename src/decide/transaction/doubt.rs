//! Decides what it means if a host says that a run is not this coordinator's any more.
//!
//! A host is believed about itself only. One that says *superseded*, *ended* or *not held* may tell of another
//! coordinator that goes on with the run, or it may lie: from here the two look alike. So it is lost to this run, and
//! from then on this coordinator does only what is right in both cases: it writes down that its record may not tell
//! all, arms no host again that it has not taken over, never goes forward, and goes back where its guards still live.
//! Another coordinator decides only when every host is fenced, or its guard is over, so it sees then what was taken
//! back before. A second host that says so ends the run for this coordinator: of two hosts at most one lies.

use std::sync::Arc;

use crate::decide::transaction::link_proof::LinkProof;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Back, GivenUp, Progress, Transaction};
use crate::decide::vocabulary::{Answer, Disowned, Effect, Entry, RollbackReason, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::reason::fate::Fate;
use crate::event::reason::notice::Notice;
use crate::event::reason::rollback::Unarmed;
use crate::event::reason::run_end::Supersession;
use crate::event::{Event, HostOutcome, Outcome};
use crate::facts::host::{GuardState, Standing};
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;
use crate::facts::step_answer::{RefusalReason, StepOutcome};
use crate::facts::systems::Systems;

impl Transaction {
    /// Returns what the host says if it is not this coordinator's any more: a higher epoch holds it, or no claim of the
    /// run is left, although this run held it on this very boot.
    pub(super) fn disowned_by(&self, host: HostId, step: &Step, answer: &Answer) -> Option<Disowned> {
        let Answer::Said(said) = answer else { return None };
        let StepOutcome::Refused { reason, text } = &said.outcome else { return None };
        if !self.plan.host(host).changes {
            // No run ever held it.
            return None;
        }
        let held = match step {
            Step::Job { .. } | Step::Extend { .. } => true,
            // An arm command that never arrived has nothing to disarm.
            Step::Disarm { .. } => self.hosts[host.0].activated,
            Step::TakeOver { .. }
            | Step::Ask
            | Step::Arm { .. }
            | Step::Login { .. }
            | Step::Return { .. }
            | Step::Release
            | Step::Clean { .. }
            | Step::Unmark { .. } => false,
        };
        let text = text.clone();
        match reason {
            RefusalReason::Superseded => Some(Disowned::SupersededByAnother { said: text }),
            // If a recovery takes the host over late, this only says how the host is found.
            RefusalReason::Ended if !matches!(step, Step::TakeOver { .. }) => {
                Some(Disowned::EndedElsewhere { said: text })
            }
            RefusalReason::ForeignLease if held => Some(Disowned::HeldNoMore { said: text }),
            _ => None,
        }
    }

    /// Loses the host to this run. From now on this coordinator doubts that the run is its own.
    pub(super) fn disown(&mut self, host: HostId, says: Disowned, standing: &Standing, effects: &mut Vec<Effect>) {
        self.doubted = true;
        let is_new = self.is_on_new_for_good(host, standing);
        self.lose(host, &says, effects);
        self.lost_on_new |= is_new && self.recovery.is_some();
        if self.is_left_by_all(host) {
            self.superseded(Supersession::HostsDisown { cause: says }, effects);
            return;
        }
        match self.stage {
            Stage::TakeOver | Stage::Clean(_) | Stage::Over(_) => {}
            // Nothing was tested anywhere: it is a refusal like any other, and what this host may hold is empty.
            Stage::Arm => {
                let holds = matches!(standing.guard, GuardState::Armed { .. } | GuardState::Firing { .. });
                if !holds {
                    self.hosts[host.0].end = None;
                }
                let host = self.plan.host(host).name.clone();
                self.turn_back(RollbackReason::NotArmed { host, cause: Unarmed::Disowned(says) }, effects);
            }
            Stage::Test(_)
            | Stage::Verify(_)
            | Stage::ExtendToTest
            | Stage::ExtendToSwitch(_)
            | Stage::Switch(_)
            | Stage::Proof(_)
            | Stage::ExtendToDisarm(_)
                if self.lost_on_new =>
            {
                // To go back would leave it alone on new: the others are proven without it.
                Self::forget_verify_timers(effects);
                effects.push(Effect::Forget(Timer::HeadStart));
                self.enter_verify(effects);
            }
            Stage::Test(_)
            | Stage::Verify(_)
            | Stage::ExtendToTest
            | Stage::ExtendToSwitch(_)
            | Stage::Switch(_)
            | Stage::Proof(_)
            | Stage::ExtendToDisarm(_) => {
                let host = self.plan.host(host).name.clone();
                self.turn_back(RollbackReason::HostDisowned { host, cause: says }, effects);
            }
            Stage::Disarm(_) => {
                self.ask_who_was_through(effects);
                self.mind_the_disarms(effects);
                self.clean_when_all_are_disarmed(effects);
            }
            Stage::Back(_) | Stage::BackProof(..) | Stage::BackDisarm(_) => self.go_on_back_without_arming(effects),
        }
    }

    /// Stops all work on this host; it is not asked any more.
    pub(super) fn lose(&mut self, host: HostId, says: &Disowned, effects: &mut Vec<Effect>) {
        let name = self.plan.host(host).name.clone();
        effects.push(Effect::Record(Entry::HostLost { host: name.clone(), says: says.clone().into() }));
        effects.push(Effect::Tell(Event::warned(Some(&name), Notice::HostLost { cause: says.clone() })));
        self.silent.remove(&host);
        let now = &mut self.hosts[host.0];
        (now.disowned, now.step, now.found) = (true, None, None);
        (now.progress, now.back, now.given_up) = (Progress::Done, Back::Untouched, GivenUp::ForGood);
        now.end = Some(HostOutcome::Lost { why: Fate::NotOurs { cause: says.clone() }.into() });
    }

    /// Returns whether a second host says so, or the only one that there is.
    pub(super) fn is_left_by_all(&self, host: HostId) -> bool {
        self.plan.changing().any(|other| other != host && self.hosts[other.0].disowned)
            || self.plan.changing().all(|other| !self.takes_part(other))
    }

    /// Returns whether a host may be armed again. In doubt that is so only if a recovery has taken it over on the boot
    /// that it is on: else another coordinator may have ended this run forward meanwhile, and the host is where it
    /// should be.
    pub(super) fn may_arm_again(&self, host: HostId) -> bool {
        !self.doubted || self.hosts[host.0].held
    }

    /// Returns the broken links that count. A link that begins or ends at a host that is lost to this run proves
    /// nothing for it.
    pub(super) fn broken_of_ours(&self, round: &Round) -> std::collections::BTreeSet<LinkId> {
        self.without_lost_hosts(self.plan.broken(round))
    }

    fn go_on_back_without_arming(&mut self, effects: &mut Vec<Effect>) {
        for host in self.plan.ids() {
            let now = &self.hosts[host.0];
            let arming = matches!(now.step, Some(Step::Arm { .. })) && (now.activated || now.moved);
            if arming && !self.may_arm_again(host) {
                // An arm command may be under way to it, to take it back. If it has arrived already, its guard brings
                // it back.
                self.await_guard(host, effects);
            }
        }
        match self.stage {
            Stage::BackProof(..) => {
                let LinkProof { broken, unproven, .. } = self.links();
                let (broken, unproven) = (broken.clone(), unproven.clone());
                let (broken, unproven) = (self.without_lost_hosts(broken), self.without_lost_hosts(unproven));
                if let Some(links) = self.stage.links_mut() {
                    (links.broken, links.unproven) = (broken, unproven);
                }
                self.back_proven_when_all_holds(effects);
            }
            Stage::BackDisarm(_) => self.clean_when_all_are_back(effects),
            _ => {
                self.send_waiting(false, effects);
                self.go_on_back(effects);
            }
        }
    }

    /// Asks hosts that were disarmed once more before they are called committed. If they were disarmed before the first
    /// doubt, or before it was known that not every host would be disarmed, another coordinator may have taken them
    /// back since.
    pub(super) fn ask_who_was_through(&mut self, effects: &mut Vec<Effect>) {
        for host in self.plan.ids() {
            if self.hosts[host.0].end == Some(HostOutcome::Committed) {
                self.hosts[host.0].end = None;
                self.run(host, Step::Ask, effects);
            }
        }
    }

    /// Handles disarms in doubt. While no guard is known to be disarmed, a disarm that was lost on its way is not sent
    /// again, because another coordinator may be taking the others back; the host is only asked what has become of it.
    /// Once one host is on new for good all others are to follow it.
    pub(super) fn mind_the_disarms(&mut self, effects: &mut Vec<Effect>) {
        if !matches!(self.stage, Stage::Disarm(_)) || !self.doubted {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let for_good = self.hosts.iter().any(|host| host.end == Some(HostOutcome::Committed));
        for host in plan.changing() {
            let now = &self.hosts[host.0];
            match now.step {
                Some(Step::Disarm { .. }) if !for_good && self.silent.contains(&host) => {
                    let boot_id = now.boot_id.clone();
                    self.run(host, Step::Return { boot_id }, effects);
                }
                Some(Step::Return { .. }) if for_good => {
                    self.disarm(host, Systems::all(&plan.host(host).new), effects);
                }
                _ => {}
            }
        }
    }

    /// Returns the end of a host that was disarmed, or of one with a disarm that was lost on its way and not sent
    /// again.
    pub(super) fn seen_without_disarm(&self, host: HostId, answer: Answer) -> HostOutcome {
        let plan = self.plan.host(host);
        let standing = match answer {
            Answer::Said(said) => said.standing,
            Answer::Unknown { why } | Answer::Denied { why } => {
                return HostOutcome::Lost { why: Fate::DisarmInDoubt { cause: why }.into() };
            }
            Answer::NotSent => return HostOutcome::Lost { why: Cause::NoTimeToAsk.into() },
        };
        match standing.guard {
            GuardState::None | GuardState::Disarmed { .. } if standing.systems.all_are(&plan.new) => {
                HostOutcome::Committed
            }
            GuardState::None | GuardState::Fired { .. } if plan.is_back(&standing.systems) => {
                HostOutcome::RolledBack { by_guard: true }
            }
            _ => HostOutcome::Lost { why: Cause::OnOtherSystems { systems: standing.systems }.into() },
        }
    }

    /// Ends this coordinator, because another has taken the run over: it makes not one more step, on any host.
    pub(super) fn superseded(&mut self, by: Supersession, effects: &mut Vec<Effect>) {
        self.enter(Stage::Over(Some(by)));
        for host in self.plan.ids() {
            let now = &mut self.hosts[host.0];
            now.step = None;
            if self.plan.host(host).changes && now.end.is_none() {
                now.end = Some(HostOutcome::Lost { why: Fate::LeftToOther.into() });
            }
        }
        Self::forget_verify_timers(effects);
        effects.extend([Timer::HeadStart, Timer::GuardsOver, Timer::AskAgain].map(Effect::Forget));
        effects.push(Effect::Record(Entry::Finished { outcome: Outcome::Superseded }));
        effects.push(Effect::Finish(self.verdict()));
    }
}
