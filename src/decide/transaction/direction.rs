//! Decides for a recovery, once every host is taken over or will not answer: forward, back, or nothing to do.

use crate::decide::transaction::inspection::{Found, GuardedState};
use crate::decide::transaction::recover::{Aim, Reached, Recorded, Recovery};
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::{Effect, RollbackReason, Timer};
use crate::event::reason::notice::Notice;
use crate::event::reason::obstacle::HeldUp;
use crate::event::reason::rollback::Undone;
use crate::event::reason::run_end::Supersession;
use crate::event::{Event, HostOutcome, Outcome};
use crate::facts::systems::Systems;
use crate::inventory::model::HostName;

impl Transaction {
    /// Decides once every host has answered, or will not: forward, back, or nothing to do.
    pub(super) fn all_are_found(&mut self, effects: &mut Vec<Effect>) {
        let Some(recovery) = self.recovery.clone() else { return };
        let recorded = recovery.recorded;
        if let (Some(signal), true) = (self.interrupted, recovery.aim != Aim::Recover) {
            self.leave_as_found(signal, effects);
            return;
        }
        match recovery.aim {
            Aim::Recover => {}
            Aim::Without if self.waits_for_the_missing(effects) => return,
            Aim::Without => {
                let silent = self.silent();
                if !silent.is_empty() {
                    let missing = self.missing().map(|host| self.plan.host(host).name.clone()).collect();
                    self.hold_up(HeldUp::MoreHostsSilent { missing, silent }, effects);
                    return;
                }
            }
            Aim::Forget { as_they_stand } => {
                self.forget(as_they_stand, effects);
                return;
            }
            Aim::Returned if self.are_back_on_old() => {}
            Aim::Returned => {
                self.hold_up(HeldUp::NotBackOnOld, effects);
                return;
            }
        }
        if self.judge_by_marks(effects) {
            return;
        }
        if self.all_have_left() {
            self.leave_all(effects, |_| HostOutcome::Untouched);
            return;
        }
        let any_away = self.found().any(|(_, found)| found.is_away());
        if let Some(outcome) = recorded.ended_well() {
            let end = match outcome {
                Outcome::Committed => HostOutcome::Committed,
                Outcome::RolledBack => HostOutcome::RolledBack { by_guard: false },
                _ => HostOutcome::Untouched,
            };
            self.leave_all(effects, |_| end.clone());
        } else if self.found().any(|(_, found)| matches!(found, Found::Silent { .. }))
            && recorded.reached == Reached::Unknown
            && !recovery.waited
        {
            self.recovery = Some(Recovery { waited: true, ..recovery });
            effects.push(Effect::Tell(Event::warned(None, Notice::WaitingForGuards)));
            effects.push(Effect::Expect(Timer::GuardsOver));
        } else if self.missing().next().is_some() && self.all_found(|found| matches!(found, Found::Cleaned(_))) {
            // Another coordinator had ended it before. That says nothing about the missing host, and no other
            // coordinator goes on.
            self.leave_all(effects, |_| HostOutcome::Untouched);
        } else if self.all_found(|found| matches!(found, Found::Cleaned(_))) {
            self.superseded(Supersession::NoHostHoldsRun, effects);
        } else if self.found().any(|(_, found)| matches!(found, Found::Cleaned(_)))
            && self.ask_again_who_was_not_through(effects)
        {
            // They are asked.
        } else if self.found().any(|(_, found)| matches!(found, Found::Cleaned(_)))
            && self.others_are_through_on_one_side()
        {
            self.end_clean_up(effects);
        } else if self.all_found(|found| matches!(found, Found::Old { .. })) {
            let touched = recorded.reached >= Reached::Testing;
            // Under a guard by hand the person tests.
            let by_hand = self.plan.hosts.iter().all(|host| !host.changes || host.old == Systems::all(&host.new));
            self.leave_all(effects, |found| match found {
                Found::Old { by_guard } if touched || (by_hand && *by_guard) => {
                    HostOutcome::RolledBack { by_guard: *by_guard }
                }
                _ => HostOutcome::Untouched,
            });
        } else if self.all_found(|found| matches!(found, Found::New { .. }) || found.is_away())
            && !self.all_found(Found::is_away)
            && (any_away
                || self.missing().next().is_some()
                || recorded.reached == Reached::Disarming
                || self.all_found(|found| matches!(found, Found::New { disarmed: true })))
        {
            // Every host that answers is through. Silent hosts are no reason to take it all back.
            self.leave_all(effects, |found| match found {
                Found::New { .. } => HostOutcome::Committed,
                other => HostOutcome::Lost { why: other.told().into() },
            });
        } else if let Some(reason) = self.why_back(recorded) {
            self.turn_back(reason, effects);
        } else {
            self.enter_verify(effects);
        }
    }

    /// Says why the run is not taken forward; nothing if it is.
    fn why_back(&self, recorded: Recorded) -> Option<RollbackReason> {
        if let Some(signal) = self.interrupted {
            return Some(RollbackReason::Interrupted { signal });
        }
        let any_new = self.lost_on_new || self.found().any(|(_, found)| matches!(found, Found::New { .. }));
        let stays = self.found().find(|(host, found)| {
            !self.hosts[host.0].is_through() && !matches!(found, Found::Guarded(GuardedState::New))
        });
        let lost = self.plan.changing().find(|host| self.hosts[host.0].disowned);
        let missing: Vec<HostName> = self.missing().map(|host| self.plan.host(host).name.clone()).collect();
        let cause = if recorded.turned_back {
            Undone::TurnedBackBefore
        } else if let (Some(lost), false) = (lost, self.lost_on_new) {
            Undone::LostHostNotOnNew { lost: self.plan.host(lost).name.clone() }
        } else if !missing.is_empty() && !self.may_go_forward_without() {
            Undone::NoneOnNewWithoutMissing { missing }
        } else if !recorded.decided() && !any_new {
            match recorded.reached {
                Reached::Unknown => Undone::RecordElsewhere,
                _ => Undone::NotDecided,
            }
        } else if let Some((host, found)) = stays {
            Undone::HostCannotGoForward { stays: self.plan.host(host).name.clone(), found: found.told() }
        } else {
            return None;
        };
        Some(RollbackReason::RunUndone { cause })
    }

    /// Ends the run on hosts that need nothing any more: only its traces go, if all is well.
    pub(super) fn leave_all(&mut self, effects: &mut Vec<Effect>, end: impl Fn(&Found) -> HostOutcome) {
        self.leave_each(effects, |_, found| end(found));
    }

    pub(super) fn leave_each(&mut self, effects: &mut Vec<Effect>, end: impl Fn(&HostName, &Found) -> HostOutcome) {
        for (host, now) in self.plan.hosts.iter().zip(&mut self.hosts) {
            if let Some(found) = &now.found {
                let end = || end(&host.name, found);
                now.end = Some(if found.has_left() { found.end_of_who_has_left(&now.on) } else { end() });
            }
        }
        self.enter_clean(effects);
    }
}
