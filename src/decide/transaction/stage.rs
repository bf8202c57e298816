//! The stages of a run: each carries what means something in it alone.

use std::collections::BTreeSet;

use crate::decide::transaction::link_proof::LinkProof;
use crate::decide::transaction::state::Transaction;
use crate::decide::transaction::undo::Undo;
use crate::decide::transaction::verify::ForwardProof;
use crate::event::reason::run_end::Supersession;
use crate::facts::plan::HostId;

/// The stage of the whole push. Every stage ends in a barrier.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// A recovery fences every host before anything else.
    TakeOver,
    Arm,
    /// The hosts of one wave are tested.
    Test(Barrier),
    /// The hosts of the wave, and all others, are looked at.
    Verify(ForwardProof),
    /// Guards are being extended before the next wave, before the decision, or before the disarm.
    ExtendToTest,
    ExtendToSwitch(Extension),
    Switch(Barrier),
    /// The matrix is looked at once more, after the boot defaults moved.
    Proof(ForwardProof),
    ExtendToDisarm(Extension),
    Disarm(Disarming),
    /// Every touched host is on its way back.
    Back(Undo),
    /// New logins and the baseline's matrix are proven, before the guards of a roll back go.
    BackProof(Undo, LinkProof),
    BackDisarm(Undo),
    Clean(CleanUp),
    /// It has ended; and how it is known that another coordinator has taken over, if one has.
    Over(Option<Supersession>),
}

/// The barrier of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Barrier {
    /// Whether it waits for silent hosts alone: then no longer than the settle time.
    pub(super) awaits_silent: bool,
}

/// The time that the guards leave is weighed, and may be made longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Extension {
    /// Whether every guard was extended for what is to come: not a second time.
    pub(super) is_sent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Disarming {
    /// Whether the hosts that were disarmed have been asked once more, because not every host could be disarmed.
    pub(super) asked_the_committed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct CleanUp {
    /// Hosts that were missing and are done: only the marks of the others must still say so.
    pub(super) dealt_with: BTreeSet<HostId>,
}

impl Stage {
    /// Returns what the look at the links has proven so far, if it is one.
    pub(super) fn links(&self) -> Option<&LinkProof> {
        match self {
            Self::Verify(proof) | Self::Proof(proof) => Some(&proof.links),
            Self::BackProof(_, links) => Some(links),
            _ => None,
        }
    }

    pub(super) fn links_mut(&mut self) -> Option<&mut LinkProof> {
        match self {
            Self::Verify(proof) | Self::Proof(proof) => Some(&mut proof.links),
            Self::BackProof(_, links) => Some(links),
            _ => None,
        }
    }

    /// Returns what the look on the way forward has seen so far, if it is one.
    pub(super) fn proof(&self) -> Option<&ForwardProof> {
        match self {
            Self::Verify(proof) | Self::Proof(proof) => Some(proof),
            _ => None,
        }
    }

    pub(super) fn proof_mut(&mut self) -> Option<&mut ForwardProof> {
        match self {
            Self::Verify(proof) | Self::Proof(proof) => Some(proof),
            _ => None,
        }
    }

    /// Returns what was done on the way back so far.
    pub(super) fn undo(&self) -> Undo {
        match self {
            Self::Back(undo) | Self::BackProof(undo, _) | Self::BackDisarm(undo) => *undo,
            _ => Undo::default(),
        }
    }

    pub(super) fn is_way_back(&self) -> bool {
        matches!(self, Self::Back(_) | Self::BackProof(..) | Self::BackDisarm(_))
    }
}

impl Stage {
    /// The one table of moves. One that it does not have is a mistake of the decider, and no event of the fleet.
    /// `unwritten`: the entry could not be written that was to announce what has led here.
    pub(super) fn may_become(&self, next: &Self, unwritten: bool) -> bool {
        match self {
            // No guard was disarmed yet if that could not be announced. After it there is no way back.
            Self::Disarm(_) | Self::Clean(_) | Self::Over(None) if matches!(next, Self::Back(_)) => unwritten,
            Self::Over(_) => false,
            // The way back, and the end because another coordinator has taken over, are open from everywhere else.
            _ if matches!(next, Self::Back(_) | Self::Over(Some(_))) => true,
            Self::TakeOver => matches!(next, Self::Verify(_) | Self::Clean(_)),
            Self::Arm => matches!(next, Self::Test(_)),
            Self::Test(_) => matches!(next, Self::Verify(_)),
            // Again, without a host that is lost to a recovery: so also from the stages that follow, up to the disarm.
            Self::Verify(_) => matches!(next, Self::Verify(_) | Self::ExtendToTest | Self::ExtendToSwitch(_)),
            Self::ExtendToTest => matches!(next, Self::Test(_) | Self::Verify(_)),
            Self::ExtendToSwitch(_) => matches!(next, Self::Switch(_) | Self::Verify(_)),
            Self::Switch(_) => matches!(next, Self::Proof(_) | Self::Verify(_)),
            Self::Proof(_) => matches!(next, Self::ExtendToDisarm(_) | Self::Verify(_)),
            Self::ExtendToDisarm(_) => matches!(next, Self::Disarm(_) | Self::Verify(_)),
            Self::Disarm(_) | Self::BackDisarm(_) => matches!(next, Self::Clean(_)),
            Self::Back(_) => matches!(next, Self::BackProof(..) | Self::BackDisarm(_) | Self::Clean(_)),
            Self::BackProof(..) => matches!(next, Self::BackDisarm(_) | Self::Clean(_)),
            Self::Clean(_) => matches!(next, Self::Over(None)),
        }
    }
}

impl Transaction {
    /// Moves on, by the table of moves.
    ///
    /// # Panics
    /// If the table does not have the move. That is a mistake of ours: the run ends at once and says so, every guard
    /// stays armed, and a recovery goes on from there. To go on without the move could leave a run that waits for
    /// nothing, with no guard left to end it.
    pub(super) fn enter(&mut self, next: Stage) {
        self.enter_after(next, false);
    }

    /// Moves on, by the table of moves; it panics like [`Self::enter`]. `unwritten`: an entry could not be written.
    pub(super) fn enter_after(&mut self, next: Stage, unwritten: bool) {
        assert!(self.stage.may_become(&next, unwritten), "{:?} does not become {next:?}", self.stage);
        #[cfg(test)]
        super::tests::moves::keep(&self.stage, &next, unwritten);
        if let Stage::BackProof(_, links) = &self.stage {
            self.told.old_links_up = links.streak > 0 && links.broken.is_empty();
        }
        self.stage = next;
    }

    /// Returns what the look at the links has proven so far: nothing, if none is under way.
    pub(super) fn links(&self) -> &LinkProof {
        static NOTHING: LinkProof = LinkProof::NONE;
        self.stage.links().unwrap_or(&NOTHING)
    }
}
