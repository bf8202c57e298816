//! Every seeded mistake of a trial is found, by the property that it breaks.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use super::explored::trials;
use super::properties as broken;
use super::world::{Fault, Mistake};

fn finds(mistake: Mistake, property: &'static str, kinds: &[Fault], deaths: u8) {
    let faults = u8::try_from(kinds.len()).unwrap();
    let mut seeded = trials(kinds, faults, deaths);
    seeded.mistake = Some(mistake);
    let checker = seeded.checker().finish_when(HasDiscoveries::AllOf(BTreeSet::from([property]))).spawn_bfs().join();
    let found: Vec<&str> = checker.discoveries().into_keys().collect();
    assert!(found.contains(&property), "{mistake:?} breaks {found:?}, in {} states", checker.unique_state_count());
}

macro_rules! found {
    ($($name:ident: $mistake:ident, $property:ident, [$($fault:ident),*], $deaths:expr;)*) => {
        $(#[test]
        fn $name() {
            finds(Mistake::$mistake, broken::$property, &[$(Fault::$fault),*], $deaths);
        })*
    };
}

found! {
    a_guard_that_activates_the_old_system_in_the_trial: ActivatesTheOldSystem, KERNEL, [], 0;
    a_guard_that_reboots_beside_proven: RebootsBesideProven, PROVEN, [], 1;
    a_guard_that_does_nothing_when_its_installer_fails: StaysWhereTheInstallerFails, REST,
        [InstallerBreaks, StepFails], 0;
    a_guard_that_believes_the_loader_untouched: BelievesItUntouched, PUT_BACK, [StepFails], 0;
    a_guard_that_puts_back_what_was_tried: PutsBackWhatWasTried, PUT_BACK, [StepFails], 0;
    a_guard_that_is_started_again_and_forgets_go: ForgetsToGo, NEXT_BOOT, [GuardRestarts], 0;
    a_lease_that_outlives_its_guard: LeaseOutlivesItsGuard, LEASE, [StepFails], 0;
    keep_by_the_boots_identity_alone: KeepsByTheBootAlone, KEEPS, [Late], 0;
    keep_without_a_guard: KeepsWithoutAGuard, KEEPS, [GuardIsLost], 0;
    proven_before_the_default_is_read_back: ProvenBeforeTheDefault, PROVEN, [], 0;
    a_next_boot_before_the_survivor: NextBootBeforeTheSurvivor, NEXT_BOOT, [], 0;
    a_next_boot_before_the_default_is_the_old_system: NextBootBeforeTheDefault, NEXT_BOOT, [], 0;
    go_under_a_token_that_is_not_armed: GoUnderAnyToken, NEXT_BOOT, [Late], 0;
    a_clean_up_under_go: CleansUnderGo, WAY_OUT, [], 1;
    a_clean_up_of_a_survivor_whose_next_boot_is_ours: CleansTheSurvivorAlone, NEXT_BOOT, [], 0;
    a_second_order_to_go_that_is_taken_for_a_refusal: ASecondGoIsRefused, GOES_ON, [Loss], 0;
    a_clean_up_that_undoes_a_persons_switch: CleansAPersonsSwitch, THEIRS, [StepFails, Switch], 0;
    a_guard_that_overrules_a_persons_switch: OverrulesAPersonsSwitch, THEIRS, [StepFails, Switch], 0;
    a_failure_that_is_not_remembered: ForgetsThatItFailed, REST, [], 0;
    a_dead_guard_that_nobody_tends: NobodyTends, WAY_OUT, [GuardIsLost], 1;
    begin_in_a_boot_that_is_over: BeginsAnewWhereItIsOver, NO_RESET, [SoftReboot], 0;
    a_signal_that_fires_after_the_order_to_keep: ASignalFiresAfterKeep, NO_RETURN, [Signal], 0;
    a_further_host_after_one_that_went_back: WentBackIsGoodEnough, FURTHER, [], 0;
    a_hold_that_ends_in_the_trial: TheHoldIsShort, HELD, [], 0;
    a_recovery_that_takes_it_for_a_push: RecoversItAsAPush, KERNEL, [], 1;
}
