//! Decides for a recovery that only cleans up: it removes what a run has left, and moves no host.

use crate::decide::transaction::inspection::{Found, Side};
use crate::decide::transaction::recover::Aim;
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::{Effect, Entry, Step, Stood};
use crate::event::reason::fate::Fate;
use crate::event::reason::notice::Notice;
use crate::event::reason::obstacle::{HeldUp, Stand};
use crate::event::{Event, HostOutcome};
use crate::facts::host::{GuardState, JobState, Standing};
use crate::facts::plan::HostId;
use crate::facts::step_answer::{StepAnswer, StepOutcome};
use crate::facts::traces::EndSide;
use crate::inventory::model::HostName;

impl Transaction {
    /// Handles a guard without its unit: it would look armed for ever. On a host at rest it cannot fire, and is
    /// disarmed; elsewhere it is started again, to bring the host back.
    pub(super) fn ends_a_dead_guard(&mut self, host: HostId, said: &StepAnswer, effects: &mut Vec<Effect>) -> bool {
        let is_dead = matches!(said.standing.guard, GuardState::Dead { .. }) && said.outcome == StepOutcome::Done;
        let forgets = matches!(self.aim(), Aim::Forget { .. });
        if !is_dead || !forgets || self.hosts[host.0].armed_again {
            return false;
        }
        self.hosts[host.0].armed_again = true;
        let plan = self.plan.host(host);
        let (expect, boot_id) = (said.standing.systems.clone(), said.standing.boot_id.clone());
        let at_rest = !matches!(Side::of(plan, &expect), Side::Neither | Side::NotKnown);
        let (step, notice) = if at_rest {
            (Step::Disarm { expect, boot_id }, Notice::DeadGuardDisarmed)
        } else {
            (Step::Arm { expect, boot_id }, Notice::DeadGuardStarted)
        };
        effects.push(Effect::Tell(Event::warned(Some(&plan.name), notice)));
        self.run(host, step, effects);
        true
    }

    /// Refuses while a step is at work: its traces are still needed.
    pub(super) fn is_at_work(&self, standing: &Standing) -> bool {
        matches!(self.aim(), Aim::Forget { .. }) && standing.jobs.values().any(|job| *job == JobState::Running)
    }

    /// Goes on once every host that answers is fenced and has said how it stands.
    pub(super) fn forget(&mut self, as_they_stand: bool, effects: &mut Vec<Effect>) {
        let is_guarded = |(_, found): &(HostId, &Found)| matches!(found, Found::Guarded(_) | Found::Firing);
        let name = |(host, _): (HostId, &Found)| self.plan.host(host).name.clone();
        let guarded: Vec<HostName> = self.found().filter(is_guarded).map(name).collect();
        if !guarded.is_empty() {
            self.hold_up(HeldUp::StillGuarded { guarded }, effects);
            return;
        }
        let side = |found: &Found| match found {
            Found::Old { .. } => Some(EndSide::Old),
            Found::New { .. } => Some(EndSide::New),
            Found::Ended { stands: at, .. } | Found::Cleaned(at) => match at {
                Side::Old => Some(EndSide::Old),
                Side::New => Some(EndSide::New),
                Side::Both | Side::Neither | Side::NotKnown => None,
            },
            _ => None,
        };
        let is_on = |wanted: EndSide| self.found().any(|(_, found)| side(found) == Some(wanted));
        let is_between = |found: &Found| matches!(found, Found::Loose(_) | Found::Elsewhere { .. });
        let is_apart = (is_on(EndSide::Old) && is_on(EndSide::New)) || self.found().any(|(_, found)| is_between(found));
        let stand =
            |(host, found): (HostId, &Found)| Stand { host: self.plan.host(host).name.clone(), found: found.told() };
        let stands: Vec<Stand> = self.found().map(stand).collect();
        if is_apart && !as_they_stand {
            self.hold_up(HeldUp::NotOnOneSide { stands }, effects);
            return;
        }
        // A person who forgets a run that was ended without a host does not wait for that host any more.
        let is_marked = self.marked().next().is_some();
        self.forgets_marks = is_marked;
        let is_silent = |(_, found): &(HostId, &Found)| matches!(found, Found::Silent { .. });
        let silent: Vec<HostId> = self.found().filter(is_silent).map(|(host, _)| host).collect();
        for host in silent {
            self.go_without(host);
        }
        let removed = self.plan.changing().filter(|host| self.takes_part(*host));
        let removed_on = removed.map(|host| self.plan.host(host).name.clone()).collect();
        effects.push(Effect::Tell(Event::warned(None, Notice::TracesRemoved { removed_on })));
        let stood = stands.into_iter().map(|Stand { host, found }| Stood { host, text: found.into() }).collect();
        effects.push(Effect::Record(Entry::Forgotten { stood }));
        self.lost_ones_keep_nothing = true;
        self.leave_all(effects, |found| match found {
            _ if is_apart => HostOutcome::Lost { why: Fate::ForgottenAsItStood { found: found.told() }.into() },
            Found::Old { by_guard } => HostOutcome::RolledBack { by_guard: *by_guard },
            Found::New { .. } => HostOutcome::Committed,
            _ => HostOutcome::Untouched,
        });
    }
}
