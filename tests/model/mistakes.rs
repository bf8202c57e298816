//! Seeded mistakes.

use fleetdeploy::decide::plan::Plan;
use fleetdeploy::decide::transaction::Transaction;
use fleetdeploy::decide::vocabulary::{Effect, Input};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    AGuardForgetsTheBootDefault,
    AGuardLeavesTheStepRunning,
    AStepBeginsWithoutASecondLook,
    ARollBackNeedsNoGuard,
    DisarmingCleansUp,
    DisarmingLooksAtNothing,
    DisarmingOnlyStopsTheUnit,
    TheFenceIgnoresTheBoot,
    TheFenceTrustsTheSendersClock,
    ArmingForgetsThatItIsOver,
    ArmingIsNotReadBack,
    ArmingOverridesAForeignGuard,
}

impl Mistake {
    pub(crate) fn input(self, input: Input, _plan: &Plan, _going_back: bool) -> Input {
        input
    }

    pub(crate) fn effects(
        self,
        _seen: &Input,
        effects: Vec<Effect>,
        _plan: &Plan,
        _mind: &mut Transaction,
    ) -> Vec<Effect> {
        effects
    }
}
