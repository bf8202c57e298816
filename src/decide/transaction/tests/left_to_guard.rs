//! What is kept of what was seen when all is left at once.

use pretty_assertions::assert_eq;

use super::machine::{job, plan};
use super::world::{Fault, World};
use crate::decide::vocabulary::{Input, Signal, Step};
use crate::event::{HostOutcome, Outcome};
use crate::facts::host::JobKind;
use crate::facts::plan::HostId;

fn login(step: &Step) -> bool {
    matches!(step, Step::Login { .. })
}

fn seen_on_old(world: &World) -> Vec<bool> {
    (0..2).map(|host| world.now.transaction.is_seen_on_old(HostId(host))).collect()
}

#[test]
fn a_host_that_was_seen_on_old_is_not_called_lost_and_was_not_disarmed() {
    let mut world = World::new(plan(2, 2));
    world.until(0, login);
    world.give(Input::CancelRequested(Signal::Sigint));
    assert_eq!(seen_on_old(&world), [false, false]);
    let at = world.until(1, job(JobKind::Rollback));
    world.end_step(at, Fault::None);
    assert_eq!(seen_on_old(&world), [false, true]);
    let transaction = &world.now.transaction;
    assert_eq!(transaction.through(), [], "both are under their guards");
    assert_eq!(transaction.guarded().count(), 2);
    assert!((0..2).all(|host| !transaction.may_be_disarmed(HostId(host))), "nobody has sent that");
}

#[test]
fn a_host_that_its_guard_has_brought_back_is_rolled_back_also_when_all_is_left() {
    let mut world = World::new(plan(2, 2));
    world.until(0, login);
    world.give(Input::CancelRequested(Signal::Sigint));
    let at = world.until(1, job(JobKind::Rollback));
    world.end_step(at, Fault::Fires);
    let host = world.plan.host(HostId(1)).name.clone();
    assert_eq!(world.now.transaction.through(), [(host, HostOutcome::RolledBack { by_guard: true })]);
    let guarded: Vec<HostId> = world.now.transaction.left_to_guards().collect();
    assert_eq!(guarded, [HostId(0)]);
}

#[test]
fn a_recovery_that_is_left_keeps_how_it_has_found_the_hosts() {
    let mut world = World::new(plan(2, 2));
    world.until(0, login);
    world.fire(0);
    world.recover(true);
    let at = world.until(0, |step| matches!(step, Step::TakeOver { .. }));
    world.end_step(at, Fault::None);
    let host = world.plan.host(HostId(0)).name.clone();
    assert_eq!(world.now.transaction.through(), [(host, HostOutcome::RolledBack { by_guard: true })]);
    let guarded: Vec<HostId> = world.now.transaction.left_to_guards().collect();
    assert_eq!(guarded, [HostId(1)], "nobody has asked that one");
}

#[test]
fn hosts_that_were_waited_for_before_the_take_over_are_not_waited_for_again() {
    for waited in [false, true] {
        let mut world = World::new(plan(2, 2));
        world.until(0, login);
        world.fire(0);
        world.machines[1].dead = true;
        world.recover(false);
        if waited {
            world.now.transaction.has_waited();
        }
        assert_eq!(world.run_to_end().outcome, Outcome::Split);
        let waits = world.warnings.iter().any(|text| text.contains("must have brought them back"));
        assert_eq!(waits, !waited, "{:?}", world.warnings);
    }
}
