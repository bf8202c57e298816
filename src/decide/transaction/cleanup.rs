//! Decides what it proves if a recovery finds a host on which nothing of the run is left, and about which hosts.

use crate::decide::transaction::inspection::{Found, Side};
use crate::decide::transaction::state::{Progress, Transaction};
use crate::decide::vocabulary::Effect;
use crate::event::HostOutcome;
use crate::facts::plan::HostId;

impl Transaction {
    /// Asks hosts once more, once, that were not through or did not answer. A run is cleaned away only when all its
    /// hosts are through; so their answers may be from before another coordinator ended the run, while this workstation
    /// was asleep.
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

    /// Returns whether the hosts that still hold something of the run are at rest on one side, or do not answer.
    pub(super) fn others_are_through_on_one_side(&self) -> bool {
        let is = |found: &Found, wanted: &dyn Fn(&Found) -> bool| {
            wanted(found) || found.is_away() || matches!(found, Found::Cleaned(_))
        };
        self.all_found(|found| is(found, &|found| matches!(found, Found::New { .. })))
            || self.all_found(|found| is(found, &|found| matches!(found, Found::Old { .. })))
    }

    /// Ends a run with a clean-up that was not finished, while the others are at rest on one side: so it ended for
    /// them. A host that says that it was cleaned tells only of itself. If it is on the other side it is lost, and the
    /// traces of the others could not help it.
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
            other => HostOutcome::Lost { why: other.told().into() },
        });
    }
}
