//! Judges the traces of a run that was ended without missing hosts, and those hosts when they are back.
//!
//! A host without any trace of a run proves that all its hosts were through only if a run is never ended without one.
//! So such an end leaves a mark on every host that was seen: where that host stood, and which hosts were missing. A
//! mark is one host's word: it tells of itself, and of others only if all others that answer show the same.

use std::collections::BTreeSet;

use crate::decide::transaction::inspection::{Found, GuardedState, Side};
use crate::decide::transaction::recover::Aim;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Progress, Transaction};
use crate::decide::vocabulary::{Effect, Entry, RollbackReason, Step};
use crate::event::reason::cause::Cause;
use crate::event::reason::fate::Fate;
use crate::event::reason::obstacle::HeldUp;
use crate::event::reason::rollback::Undone;
use crate::event::{HostOutcome, Outcome};
use crate::facts::plan::HostId;
use crate::facts::traces::{EndMark, EndSide, Missing};

/// The marks of a run, together with its record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EndMarks {
    pub(super) side: Option<EndSide>,
    /// All hosts that were missing by any mark.
    pub(super) missing: Missing,
}

impl Transaction {
    /// The record says that the run was ended without hosts: it counts like the marks, which may not all be written.
    pub fn was_ended(&mut self, mark: EndMark) {
        if let Some(recovery) = &mut self.recovery {
            recovery.mark = Some(mark);
        }
    }

    pub(super) fn marked(&self) -> impl Iterator<Item = (HostId, &EndMark)> {
        self.plan.changing().filter_map(|host| match &self.hosts[host.0].found {
            Some(Found::Ended { mark, .. }) => Some((host, mark)),
            _ => None,
        })
    }

    /// Returns whether the run was ended without hosts. Then those of them that answer are judged, each by itself, and
    /// no other host is touched for them.
    pub(super) fn judge_by_marks(&mut self, effects: &mut Vec<Effect>) -> bool {
        let recorded = self.recovery.as_ref().and_then(|recovery| recovery.mark.clone());
        let marks: Vec<EndMark> = self.marked().map(|(_, mark)| mark.clone()).chain(recorded).collect();
        if marks.is_empty() {
            return false;
        }
        let missing: Missing = marks.iter().flat_map(|mark| mark.missing.clone()).collect();
        let sides: BTreeSet<EndSide> = marks.iter().filter_map(|mark| mark.side).collect();
        let side = sides.first().copied();
        if let Some(recovery) = &mut self.recovery {
            recovery.ending = Some(EndMarks { side, missing: missing.clone() });
        }
        let is_named = |host: HostId| missing.contains_key(&self.plan.host(host).name);
        if sides.len() > 1 {
            let on = |side| {
                let hosts = self.marked().filter(|(_, mark)| mark.side == Some(side));
                hosts.map(|(host, _)| self.plan.host(host).name.clone()).collect()
            };
            self.hold_up(HeldUp::EndedOnBothSides { old: on(EndSide::Old), new: on(EndSide::New) }, effects);
            return true;
        }
        let stands_there = |found: &Found| match found {
            Found::Old { .. } => side == Some(EndSide::Old),
            Found::New { .. } => side == Some(EndSide::New),
            Found::Cleaned(Side::Neither | Side::NotKnown) | Found::Ended { .. } | Found::Silent { .. } => true,
            Found::Cleaned(at) => side.is_some_and(|side| at.is(side)),
            _ => false,
        };
        let other = self.found().find(|(host, found)| !is_named(*host) && !stands_there(found));
        if let Some((host, found)) = other {
            let why = HeldUp::NotAsMarked { elsewhere: self.plan.host(host).name.clone(), found: found.told() };
            self.hold_up(why, effects);
            return true;
        }
        let is_silent = |host: HostId| matches!(self.hosts[host.0].found, Some(Found::Silent { .. }));
        let away: Vec<HostId> = self.plan.changing().filter(|host| is_named(*host) && is_silent(*host)).collect();
        for host in away {
            self.go_without(host);
        }
        if !self.take_care_of_the_restless(side, effects) {
            self.leave_where_it_ended(side, effects);
        }
        true
    }

    /// Returns whether the only thing left to do is to clean hosts that were missing when the run was ended on old, and
    /// stand on old.
    pub(super) fn are_back_on_old(&self) -> bool {
        let mut sides = self.marked().map(|(_, mark)| mark.side).peekable();
        let is_marked_old = sides.peek().is_some() && sides.all(|side| side == Some(EndSide::Old));
        let is_at_rest = |found: &Found| {
            matches!(found, Found::Old { .. } | Found::Cleaned(_) | Found::Ended { .. } | Found::Silent { .. })
        };
        // Also of one that has moved on: there is more to be said of it than that it is back.
        let mut found = self.plan.changing().filter_map(|host| self.hosts[host.0].found.as_ref());
        is_marked_old && found.all(is_at_rest)
    }

    /// Brings a host that is back and not at rest to the side of the others: back alone, or forward.
    fn take_care_of_the_restless(&mut self, side: Option<EndSide>, effects: &mut Vec<Effect>) -> bool {
        let is_restless = |found: &Found| matches!(found, Found::Guarded(_) | Found::Firing | Found::Loose(_));
        let Some((host, found)) = self.found().find(|(_, found)| is_restless(found)) else { return false };
        let cause = Undone::MissingHostNotAtRest { back: self.plan.host(host).name.clone(), found: found.told() };
        let goes_on = |found: &Found| match found {
            Found::New { .. } | Found::Guarded(GuardedState::New) | Found::Ended { .. } => true,
            Found::Cleaned(side) => side.is(EndSide::New),
            _ => false,
        };
        if side == Some(EndSide::New) && self.interrupted.is_none() && self.all_found(goes_on) {
            self.enter_verify(effects);
        } else {
            self.turn_back(RollbackReason::RunUndone { cause }, effects);
        }
        true
    }

    fn leave_where_it_ended(&mut self, side: Option<EndSide>, effects: &mut Vec<Effect>) {
        let side = side.filter(|_| !self.have_the_marked_moved_on());
        let is_found = |wanted: &dyn Fn(&Found) -> bool| self.found().any(|(_, found)| wanted(found));
        let are_apart = side.is_none()
            && is_found(&|found| matches!(found, Found::Old { .. }))
            && is_found(&|found| matches!(found, Found::New { .. }));
        let fleet = self.told.fleet.clone();
        self.leave_each(effects, |host, found| match (found, side) {
            (Found::Old { by_guard }, Some(EndSide::Old)) => HostOutcome::RolledBack { by_guard: *by_guard },
            (Found::New { .. }, Some(EndSide::New)) => HostOutcome::Committed,
            (Found::Ended { stands: at, .. } | Found::Cleaned(at), Some(EndSide::Old)) if at.is(EndSide::Old) => {
                HostOutcome::RolledBack { by_guard: false }
            }
            (Found::Ended { stands: at, .. } | Found::Cleaned(at), Some(EndSide::New)) if at.is(EndSide::New) => {
                HostOutcome::Committed
            }
            (found @ (Found::Old { .. } | Found::New { .. }), None) if are_apart => {
                HostOutcome::Lost { why: Fate::MissingOnesApart { found: found.told() }.into() }
            }
            // The others stood on neither side: there is nothing for it to be apart from.
            (Found::Old { .. } | Found::New { .. } | Found::Cleaned(_), None)
            | (Found::Cleaned(Side::Neither | Side::NotKnown), _) => HostOutcome::Untouched,
            (Found::Old { .. } | Found::New { .. } | Found::Cleaned(_), Some(side)) => {
                HostOutcome::Lost { why: Fate::apart(host, side, &fleet).into() }
            }
            (other, _) => HostOutcome::Lost { why: other.told().into() },
        });
    }

    pub(super) fn ending(&self) -> Option<&EndMarks> {
        self.recovery.as_ref().and_then(|recovery| recovery.ending.as_ref())
    }

    /// Returns the end of a host that is on its new system for good, beside one that is not at rest.
    pub(super) fn end_by_marks(&self, host: HostId) -> HostOutcome {
        match self.ending().and_then(|ending| ending.side) {
            Some(EndSide::New) => HostOutcome::Committed,
            Some(EndSide::Old) => {
                let name = &self.plan.host(host).name;
                HostOutcome::Lost { why: Fate::apart(name, EndSide::Old, &self.told.fleet).into() }
            }
            None => HostOutcome::Untouched,
        }
    }

    /// Returns whether all hosts with a mark have moved on since: then a host that comes back cannot be apart from
    /// them.
    fn have_the_marked_moved_on(&self) -> bool {
        let marked = || self.plan.changing().filter_map(|host| self.hosts[host.0].found.as_ref());
        let is_marked = |found: &&Found| matches!(found, Found::Ended { .. });
        // If it is not known what they were to run, their mark is all that is known.
        let has_moved_on =
            |found: &Found| found.has_left() && !matches!(found, Found::Ended { stands: Side::NotKnown, .. });
        marked().any(|found| is_marked(&found)) && marked().filter(is_marked).all(has_moved_on)
    }

    /// Names hosts that were brought back alone while the others were ended on new. The marks of these may be heard
    /// only on the way back, from hosts that were silent when it was judged.
    pub(super) fn settle_by_marks(&mut self) {
        let was_told = self.ending().and_then(|ending| ending.side) == Some(EndSide::New);
        let is_heard = self.marked().any(|(host, _)| self.hosts[host.0].end == Some(HostOutcome::Committed));
        if !was_told && !is_heard {
            return;
        }
        for host in self.plan.ids() {
            if matches!(self.hosts[host.0].end, Some(HostOutcome::RolledBack { .. })) {
                let why = Fate::apart(&self.plan.host(host).name, EndSide::New, &self.told.fleet);
                self.hosts[host.0].end = Some(HostOutcome::Lost { why: why.into() });
            }
        }
    }

    /// Says where a host stands that the run is over for.
    fn own_side(&self, host: HostId) -> Option<EndSide> {
        let now = &self.hosts[host.0];
        match (&now.end, &now.found) {
            (Some(HostOutcome::Committed), _) => Some(EndSide::New),
            (Some(HostOutcome::RolledBack { .. }), _) | (_, Some(Found::Old { .. })) => Some(EndSide::Old),
            (_, Some(Found::New { .. })) => Some(EndSide::New),
            _ => None,
        }
    }

    /// Returns what the record keeps of hosts that were not seen, or that are not where the others are.
    pub(super) fn record_who_is_missing(&self, outcome: Outcome, effects: &mut Vec<Effect>) {
        let mut missing = self.named_missing();
        let ending = self.ending();
        if outcome == Outcome::Split {
            // Nothing is cleaned: it stays as it was.
            let Some(ending) = ending else {
                let recorded = self.recovery.as_ref().and_then(|recovery| recovery.mark.clone());
                effects.extend(recorded.map(|mark| Effect::Record(Entry::EndedWithout { mark })));
                return;
            };
            missing.clone_from(&ending.missing);
        }
        if missing.is_empty() || self.forgets_marks || (outcome == Outcome::Left && ending.is_none()) {
            return;
        }
        let by_outcome = match outcome {
            Outcome::Committed => Some(EndSide::New),
            Outcome::RolledBack | Outcome::Refused => Some(EndSide::Old),
            _ => None,
        };
        let side = ending.map_or(by_outcome, |ending| ending.side);
        effects.push(Effect::Record(Entry::EndedWithout { mark: EndMark { side, missing } }));
    }

    /// Removes everything that the run keeps; while a host is missing a mark stays.
    pub(super) fn clean_all(&mut self, effects: &mut Vec<Effect>) {
        let missing = if self.forgets_marks { Missing::new() } else { self.named_missing() };
        let forgets = matches!(self.aim(), Aim::Forget { .. });
        for host in self.plan.ids() {
            // A host that was never armed is cleaned too: the copy has made roots there.
            if !self.plan.host(host).changes || !self.takes_part(host) {
                continue;
            }
            let step = match self.hosts[host.0].found {
                Some(Found::Ended { .. }) if forgets => Step::Unmark { host: None },
                Some(Found::Ended { .. }) => continue,
                _ => Step::Clean { mark: EndMark { side: self.own_side(host), missing: missing.clone() } },
            };
            self.hosts[host.0].progress = Progress::Sent;
            self.run(host, step, effects);
        }
        let Some(ending) = self.ending().filter(|_| !forgets) else { return };
        let dealt_with =
            |host: &HostId| ending.missing.contains_key(&self.plan.host(*host).name) && self.takes_part(*host);
        let dealt_with = self.plan.changing().filter(dealt_with).collect();
        if let Stage::Clean(clean_up) = &mut self.stage {
            clean_up.dealt_with = dealt_with;
        }
    }

    /// A host on which the mark could not be left that the run was ended without others, although it holds something of
    /// the run: who recovers that from the hosts would know nothing of the end, and undo it. So it is none yet.
    pub(super) fn leave_unmarked(&mut self, host: HostId, mark: &EndMark, why: &Cause, effects: &mut Vec<Effect>) {
        let now = &self.hosts[host.0];
        let is_ended =
            matches!(now.end, Some(HostOutcome::Committed | HostOutcome::RolledBack { .. } | HostOutcome::Untouched));
        if mark.missing.is_empty() || !is_ended || matches!(now.found, Some(Found::Cleaned(_))) {
            return;
        }
        let missing = mark.missing.keys().cloned().collect();
        let why = Fate::MarkNotLeft { missing, fleet: self.told.fleet.clone(), cause: why.clone() };
        let side = self.ending().map_or(mark.side, |ending| ending.side);
        let mark = EndMark { side, missing: mark.missing.clone() };
        self.hosts[host.0].end = Some(HostOutcome::Left { why: why.into(), back_within_ms: None });
        effects.push(Effect::Record(Entry::EndedWithout { mark }));
        effects.push(Effect::Record(Entry::Finished { outcome: self.outcome() }));
    }

    /// Takes a host that has been dealt with out of the marks of the others, one after the other: never before all of
    /// the run is gone from that host itself.
    pub(super) fn unmark_next(&mut self, effects: &mut Vec<Effect>) {
        let Stage::Clean(clean_up) = &mut self.stage else { return };
        let Some(host) = clean_up.dealt_with.pop_first() else { return };
        let name = self.plan.host(host).name.clone();
        let marked: Vec<HostId> = self.marked().map(|(host, _)| host).collect();
        for host in marked {
            self.run(host, Step::Unmark { host: Some(name.clone()) }, effects);
        }
    }

    /// Judges a host that holds nothing of the run, if the plan does not know what the run was to bring there.
    pub(super) fn is_not_known(&self, host: HostId) -> bool {
        matches!(
            self.hosts[host.0].found,
            Some(Found::Cleaned(Side::Neither | Side::NotKnown) | Found::Ended { stands: Side::NotKnown, .. })
        ) && self.hosts[host.0].end == Some(HostOutcome::Untouched)
    }
}
