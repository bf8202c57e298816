//! A recovery that finds a host on which nothing of the run is left: what that proves, and of whom.

use crate::decide::transaction::inspection::{Found, Side};
use crate::decide::transaction::state::{Progress, Transaction};
use crate::decide::vocabulary::Effect;
use crate::event::HostOutcome;
use crate::facts::plan::HostId;

impl Transaction {
    /// A run is cleaned away when all its hosts are through. Where one was not, or did not answer, that may have been
    /// before somebody else ended the run, while this workstation was asleep. Once.
    pub(super) fn ask_again_who_was_not_through(&mut self, effects: &mut Vec<Effect>) -> bool {
        let not_through = |found: &Found| matches!(found, Found::Guarded(_) | Found::Firing | Found::Silent { .. });
        let again: Vec<HostId> = self.found().filter(|(_, found)| not_through(found)).map(|(host, _)| host).collect();
        let Some(recovery) = self.recovery.as_mut().filter(|recovery| !recovery.asked_again) else { return false };
        recovery.asked_again = !again.is_empty();
        for host in &again {
            self.hosts[host.0].progress = Progress::Waiting;
        }
        self.take_over_more(effects);
        !again.is_empty()
    }

    /// Whether those that still hold something of the run are at rest on one side, or do not answer.
    pub(super) fn others_are_through_on_one_side(&self) -> bool {
        let is = |found: &Found, wanted: &dyn Fn(&Found) -> bool| {
            wanted(found) || found.is_away() || matches!(found, Found::Cleaned(_))
        };
        self.all_found(|found| is(found, &|found| matches!(found, Found::New { .. })))
            || self.all_found(|found| is(found, &|found| matches!(found, Found::Old { .. })))
    }

    /// Somebody's clean-up was not finished, and the others are at rest on one side: that is how it ended for them. One
    /// that says that it was cleaned tells only of itself: on the other side it is lost, and nothing that the others
    /// still keep could help it.
    pub(super) fn end_clean_up(&mut self, effects: &mut Vec<Effect>) {
        let is_new = |found: &Found| matches!(found, Found::New { .. });
        let is_old = |found: &Found| matches!(found, Found::Old { .. });
        let all_answer = !self.found().any(|(_, found)| found.is_away());
        let kept = self.found().find_map(|(_, found)| (is_new(found) || is_old(found)).then(|| is_new(found)));
        let committed = kept.unwrap_or_else(|| self.found().any(|(_, found)| *found == Found::Cleaned(Side::New)));
        self.lost_ones_keep_nothing = all_answer;
        self.leave_all(effects, |found| match found {
            Found::New { .. } | Found::Cleaned(Side::New | Side::Both) if committed => HostOutcome::Committed,
            Found::Old { by_guard } if !committed => HostOutcome::RolledBack { by_guard: *by_guard },
            Found::Cleaned(Side::Old | Side::Both) if !committed => HostOutcome::RolledBack { by_guard: false },
            Found::Cleaned(Side::Neither | Side::NotKnown) => HostOutcome::Untouched,
            other => HostOutcome::Lost { why: other.text() },
        });
    }
}
