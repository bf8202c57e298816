//! Disarms the hosts of a push that went back, after the proof, and ends the way back.

use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Back, Transaction};
use crate::decide::vocabulary::{Answer, Effect};
use crate::event::reason::cause::Cause;
use crate::event::reason::fate::Fate;
use crate::event::{Event, HostOutcome};
use crate::facts::host::{GuardState, same_boot};
use crate::facts::plan::HostId;
use crate::facts::step_answer::{StepAnswer, StepOutcome};

/// How often a disarm on the way back whose answer is lost is sent, beside the one that gives its host up.
const LOST_DISARMS: u8 = 2;

impl Transaction {
    pub(super) fn enter_back_disarm(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::BackDisarm(self.stage.undo()));
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

    pub(super) fn after_back_disarm(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
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
                self.enter(Stage::Back(self.stage.undo()));
                self.await_guard(host, effects);
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
