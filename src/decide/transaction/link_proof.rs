//! Decides by the rounds of a look at the links, forward or back: how often each must be asked, and for how long.

use std::collections::BTreeSet;

use crate::decide::asking;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Back, Transaction};
use crate::decide::vocabulary::{Effect, Timer};
use crate::facts::links::{LinkAnswer, LinkId, Round};

/// How often a look's time begins anew because a round could not be carried out: each such round halves what is asked
/// at once, and after three a host is asked with one in eight of the others.
const ANEW: u32 = 3;

/// What the rounds of one look have proven so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct LinkProof {
    /// Rounds in a row that held; they are counted only as far as they are needed, so that the states of a push are
    /// finite.
    pub(super) streak: u32,
    pub(super) broken: BTreeSet<LinkId>,
    /// Links that count, that are not proven, and that nothing speaks against: the last round could say nothing of
    /// them, or they have missed one probe.
    pub(super) unproven: BTreeSet<LinkId>,
    /// How often the time of this look was begun anew, because a round could not be carried out.
    begun_anew: u32,
    /// Rounds after the end of the time of this look that have left something unproven; more than there are to be when
    /// the time of these is over, too.
    open_rounds: usize,
    /// Whether the time ended while nothing spoke against the run: then the rounds that are still to come decide, and
    /// the first with something against it ends it.
    pub(super) overtime: bool,
}

impl LinkProof {
    pub(super) const NONE: Self = Self {
        streak: 0,
        broken: BTreeSet::new(),
        unproven: BTreeSet::new(),
        begun_anew: 0,
        open_rounds: 0,
        overtime: false,
    };

    /// Gives the look its whole time: rounds that were seen still count.
    pub(super) fn begin_time(&mut self) {
        (self.overtime, self.begun_anew, self.open_rounds) = (false, 0, 0);
    }
}

impl Transaction {
    pub(super) fn settle_timer(&self) -> Timer {
        let by_guard = self.hosts.iter().any(|host| host.back == Back::Returned { by_guard: true });
        match self.stage {
            Stage::BackProof(..) if by_guard => Timer::SettleAfterBoot,
            Stage::BackProof(..) => Timer::SettleBack,
            _ => Timer::Settle,
        }
    }

    /// Gives a look its time once more after a round that could not be carried out: such a round says nothing, and less
    /// is asked at once in the next one. Only so often, for the guards count on.
    pub(super) fn begin_time_anew(&mut self, round: &Round, effects: &mut Vec<Effect>) {
        let timer = self.settle_timer();
        // The look on the way forward has the time of the handshakes then.
        let rekeys = self.rekeying && self.stage.proof().is_some();
        let Some(links) = self.stage.links_mut() else { return };
        let could_not = links.unproven.iter().any(|link| round.unmeasured.contains(link));
        if could_not && links.broken.is_empty() && !links.overtime && !rekeys && links.begun_anew < ANEW {
            links.begun_anew += 1;
            effects.push(Effect::Expect(timer));
        }
    }

    /// Counts a round after the time of its look that has left something unproven. As long as units are waited for,
    /// their own time is what ends the look.
    pub(super) fn count_open_round(&mut self) {
        let are_steady = self.unsteady().is_empty();
        let Some(links) = self.stage.links_mut() else { return };
        if links.overtime && !links.unproven.is_empty() && are_steady {
            links.open_rounds = links.open_rounds.saturating_add(1);
        }
    }

    /// Returns whether what the last round has left unproven may be proven by those that follow: what could not be
    /// measured has another turn only where links share the rounds, and nothing has more than so many.
    pub(super) fn may_still_be_proven(&self) -> bool {
        let links = self.links();
        let is_measured =
            |link: &LinkId| !self.told.last_round.as_ref().is_some_and(|round| round.unmeasured.contains(link));
        links.unproven.iter().all(|link| is_measured(link) || self.plan.links[*link].shared)
            && (links.unproven.is_empty() || links.open_rounds <= asking::open_rounds(&self.plan.links))
    }

    /// Returns whether links are not proven only because their turns are to come: that is so of a large mesh alone.
    pub(super) fn waits_for_turns(&self) -> bool {
        let LinkProof { broken, unproven, .. } = self.links();
        broken.is_empty() && !unproven.is_empty() && unproven.iter().all(|link| self.plan.links[*link].shared)
    }

    /// Lets the rounds that are still to come decide. Those of a large mesh may be long, and have the time of the look
    /// once more: the guards count on.
    pub(super) fn enter_overtime(&mut self, effects: &mut Vec<Effect>) {
        if let Some(links) = self.stage.links_mut() {
            (links.overtime, links.open_rounds) = (true, 0);
        }
        if self.plan.links.iter().any(|link| link.shared) {
            effects.push(Effect::Expect(self.settle_timer()));
        }
    }

    /// Ends the time that a large mesh's turns have beyond that of the look: the round that is out, or to come,
    /// decides.
    pub(super) fn overtime_is_over(&mut self, effects: &mut Vec<Effect>) {
        if !self.unsteady().is_empty() {
            effects.push(Effect::Expect(self.settle_timer()));
        } else if let Some(links) = self.stage.links_mut() {
            links.open_rounds = usize::MAX;
        }
    }

    /// Returns the links that are not proven, and were down when they were asked last: the sshd at their end let nobody
    /// in just then, or they have missed that one probe.
    pub(super) fn down_and_open(&self) -> BTreeSet<LinkId> {
        let is_down = |link: &LinkId| {
            self.told.last_round.as_ref().is_some_and(|round| matches!(round.answer(*link), LinkAnswer::Down { .. }))
        };
        self.links().unproven.iter().copied().filter(is_down).collect()
    }
}
