//! Every seeded mistake is found, by the property that it breaks.

use std::collections::BTreeSet;

use fleetdeploy::decide::transaction::recover::Reached;
use stateright::{Checker, HasDiscoveries, Model};

use crate::faults::{Budget, By, Fault, Typed, When};
use crate::mistakes::Mistake;
use crate::properties as broken;
use crate::words::{in_waves, plan};
use crate::world::{Change, Fleet};

/// The smallest world in which the mistake shows, breadth first.
fn finds(mistake: Mistake, property: &'static str, budget: Budget) {
    let foreign = mistake == Mistake::ArmingOverridesAForeignGuard;
    // Else the world in which a death shows it is too large for every day.
    let is_late = [Mistake::DisarmingCleansUp, Mistake::CleaningUpWhereverItStands].contains(&mistake);
    let mortal_from = if is_late { Reached::Disarming } else { Reached::Nothing };
    let by_waves = [Mistake::TheNextWaveBeginsUnseen, Mistake::RollingBackForgetsTheLaterWaves].contains(&mistake);
    let at_once = plan(2, false);
    let fleet = Fleet {
        plan: if by_waves { in_waves(&at_once) } else { at_once },
        changes: vec![Change::Good],
        budget,
        switch_back: false,
        foreign,
        mortal_from,
        liar: [Mistake::OneWordEndsItForAll, Mistake::ALostHostIsWaitedForByItsGuard].contains(&mistake).then_some(0),
        mistake: Some(mistake),
    };
    let checker = fleet.checker().finish_when(HasDiscoveries::AllOf(BTreeSet::from([property]))).spawn_bfs().join();
    let found: Vec<&str> = checker.discoveries().into_keys().collect();
    assert!(found.contains(&property), "{mistake:?} breaks {found:?}, in {} states", checker.unique_state_count());
}

fn faults(kinds: &[Fault]) -> Budget {
    Budget::of(kinds, u8::try_from(kinds.len()).unwrap(), 0)
}

macro_rules! found {
    ($($(#[$attribute:meta])* $name:ident: $mistake:ident, $property:ident, $budget:expr;)*) => {
        $($(#[$attribute])*
        #[test]
        fn $name() {
            finds(Mistake::$mistake, broken::$property, $budget);
        })*
    };
}

found! {
    disarm_before_commit: DisarmingBeforeTheSwitch, ONE, faults(&[]);
    commit_before_verify: CommittingBeforeVerify, TWO, faults(&[]);
    a_guard_that_does_not_restore_the_boot_default: AGuardForgetsTheBootDefault, FIVE, Budget::of(&[], 0, 1);
    a_guard_that_does_not_stop_the_runs_own_job: AGuardLeavesTheStepRunning, THREE_ENDS, faults(&[Fault::TimeUp]);
    no_barrier_before_disarm: DisarmingWithoutABarrier, FOUR_BARRIER, faults(&[]);
    a_lost_reply_taken_for_a_failure: ALostReplyIsAFailure, SIX_BACK, faults(&[Fault::Loss]);
    no_guard_read_as_disarmed: NoGuardIsDisarmed, SIX_COMMITTED, faults(&[Fault::TimeUp]);
    no_answer_read_as_disarmed: NoAnswerIsDisarmed, SIX_COMMITTED, faults(&[Fault::Loss]);
    a_fence_that_trusts_the_senders_clock: TheFenceTrustsTheSendersClock, THREE, faults(&[Fault::TimeUp]);
    a_fence_that_does_not_look_at_the_boot: TheFenceIgnoresTheBoot, SIX_BACK, faults(&[Fault::Late, Fault::Restart]);
    a_step_that_begins_without_a_second_look: AStepBeginsWithoutASecondLook, THREE, faults(&[Fault::TimeUp]);
    disarm_that_only_stops_the_unit: DisarmingOnlyStopsTheUnit, SIX_COMMITTED, faults(&[]);
    disarm_that_comes_too_late_and_says_done: DisarmingStopsAFiredGuard, SIX_COMMITTED, faults(&[Fault::TimeUp]);
    clean_up_together_with_disarm: DisarmingCleansUp, SEVEN, Budget::of(&[], 0, 1).recovered(None, When::InPeace);
    arm_without_read_back: ArmingIsNotReadBack, THREE, faults(&[Fault::Arming]);
    arm_that_forgets_that_the_run_is_over: ArmingForgetsThatItIsOver, SIX_BACK, faults(&[Fault::Late]);
    arm_over_a_foreign_guard: ArmingOverridesAForeignGuard, EIGHT, faults(&[]);
    recover_without_epoch: RecoveringWithoutAnEpoch, SIX_BACK,
        Budget::of(&[Fault::Late], 1, 1).recovered(None, When::Dead);
    recover_that_rolls_back_an_unguarded_host: RollingBackWithoutArming, THREE,
        Budget::of(&[Fault::Restart], 1, 1).recovered(None, When::Dead);
    a_next_wave_that_begins_without_a_look: TheNextWaveBeginsUnseen, WAVES, faults(&[]);
    a_roll_back_that_forgets_the_later_waves: RollingBackForgetsTheLaterWaves, SIX_BACK, faults(&[Fault::Signal]);
    a_guard_that_leaves_the_next_boot: AGuardLeavesTheNextBoot, FIVE, Budget::of(&[Fault::NextBoot], 1, 1);
    a_fence_that_does_not_look_at_the_next_boot: TheFenceIgnoresTheNextBoot, NEXT_BOOT, faults(&[Fault::NextBoot]);
    a_next_boot_that_binds_the_way_back: ANextBootBindsTheDisarm, LEFT, faults(&[Fault::NextBoot]);
    one_word_that_ends_it_for_all: OneWordEndsItForAll, NOBODY, faults(&[Fault::Lie]);
    one_word_that_leaves_all_to_their_guards: ALostHostIsWaitedForByItsGuard, LEFT, faults(&[Fault::Lie]);
    clean_up_without_a_look_at_where_the_host_stands: CleaningUpWhereverItStands, CLEAN_UP,
        Budget::of(&[], 0, 1).recovered(Some(By::Hosts), When::Dead).typed(Typed::Without).cleaned_up();
    roll_back_that_ends_at_the_first_error: RollingBackEndsAtTheFirstError, SIX_BACK, faults(&[Fault::Step]);
}
