//! What is left of a run is removed, and no host is moved.

use pretty_assertions::assert_eq;

use super::machine::{job, plan, system};
use super::world::World;
use crate::decide::vocabulary::{Entry, Step};
use crate::event::{HostOutcome, Outcome};
use crate::facts::host::{GuardState, JobKind};
use crate::facts::step_answer::StepOutcome;
use crate::facts::systems::Systems;
use crate::facts::traces::EndSide;

fn disarm(step: &Step) -> bool {
    matches!(step, Step::Disarm { .. })
}

fn clean(step: &Step) -> bool {
    matches!(step, Step::Clean { .. })
}

/// Two hosts at rest on these sides, and what a dead run has left on them.
fn left(on: [&str; 2]) -> World {
    let mut world = World::new(plan(2, 2));
    world.until(0, disarm);
    world.now.pending.clear();
    for (host, on) in on.iter().enumerate() {
        world.fire(host);
        world.machines[host].systems = Systems::all(&system(on));
    }
    world
}

#[test]
fn a_run_whose_hosts_are_at_rest_on_one_side_is_removed() {
    for (on, outcome) in [("old", Outcome::RolledBack), ("new", Outcome::Committed)] {
        let mut world = left([on, on]);
        world.forget(false);
        let verdict = world.run_to_end();
        assert_eq!(verdict.outcome, outcome);
        for machine in &world.machines {
            assert_eq!((machine.roots, machine.lease), (false, None));
            assert_eq!(machine.systems, Systems::all(&system(on)), "nothing is moved");
        }
        assert!(matches!(world.now.entries[..], [.., Entry::Forgotten { .. }, Entry::Finished { .. }]));
    }
}

#[test]
fn hosts_on_two_sides_are_forgotten_only_as_they_stand_and_stay_split() {
    let mut world = left(["old", "new"]);
    world.forget(false);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert_eq!(verdict.gone, [], "both answer: nobody is to be left out");
    assert!(
        verdict.text.to_string().contains("host0 is back on its old system")
            && verdict.text.to_string().contains("--as-they-stand"),
        "{}",
        verdict.text
    );
    assert!(!world.sent.iter().any(|(_, step)| clean(step)));
    assert!(world.machines.iter().all(|machine| machine.roots && machine.lease.is_none()), "fenced, and given back");

    world.forget(true);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert!(world.machines.iter().all(|machine| !machine.roots && machine.lease.is_none()));
    let stood = world.now.entries.iter().find_map(|entry| match entry {
        Entry::Forgotten { stood } => Some(stood.len()),
        _ => None,
    });
    assert_eq!(stood, Some(2));
}

/// Another coordinator may be about to arm one of them again: none is cleaned while a guard may come to fire.
#[test]
fn nothing_is_removed_while_one_host_is_guarded() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.now.pending.clear();
    world.fire(0);
    world.forget(true);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split);
    assert!(
        verdict.text.to_string().starts_with("nothing was removed: a guard of the run is armed or at work on host1"),
        "{}",
        verdict.text
    );
    assert!(!world.sent.iter().any(|(_, step)| clean(step)));
    assert!(!world.now.entries.iter().any(|entry| matches!(entry, Entry::Forgotten { .. })));
}

#[test]
fn a_guard_whose_unit_is_gone_is_disarmed_where_its_host_is_at_rest() {
    let mut world = World::new(plan(1, 1));
    world.until(0, job(JobKind::Test));
    world.now.pending.clear();
    world.machines[0].guard = GuardState::Dead { run: "run".into(), deadline: 900 };
    world.forget(false);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    assert!(!world.machines[0].roots);
}

#[test]
fn a_guard_whose_unit_is_gone_is_started_again_and_fires_before_anything_is_removed() {
    let mut world = World::new(plan(1, 1));
    world.until(0, job(JobKind::Switch));
    world.now.pending.clear();
    world.machines[0].guard = GuardState::Dead { run: "run".into(), deadline: 900 };
    world.forget(false);
    assert_eq!(world.run_to_end().outcome, Outcome::Split);
    assert!(matches!(world.machines[0].guard, GuardState::Armed { .. }));
    world.fire(0);
    world.forget(false);
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
    assert!(!world.machines[0].roots);
}

#[test]
fn a_host_that_does_not_answer_keeps_what_it_has_and_the_others_a_mark_until_the_run_is_forgotten_again() {
    let mut world = left(["old", "old"]);
    world.machines[1].dead = true;
    world.forget(false);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.hosts.iter().any(|(_, end)| *end == HostOutcome::Missing));
    let mark = world.machines[0].traces.ended.clone().unwrap().mark;
    assert_eq!((mark.side, mark.missing.len()), (Some(EndSide::Old), 1));
    assert!(world.machines[1].roots);

    world.forget(false);
    assert_eq!(world.run_to_end().outcome, Outcome::Unchanged);
    assert_eq!(world.machines[0].traces.ended, None);
}

#[test]
fn who_forgets_fences_whoever_began_the_run() {
    let mut world = left(["old", "old"]);
    let sleeper = world.forget(false);
    world.until(0, clean);
    let forgetting = std::mem::replace(&mut world.now, sleeper);
    let step = Step::Extend { boot_id: world.machines[0].boot.clone() };
    let said = world.machines[0].perform(&world.plan.hosts[0], &step, world.now.epoch, false);
    assert!(matches!(said, StepOutcome::Refused { .. }), "{said:?}");
    world.now = forgetting;
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
}

#[test]
fn a_host_that_was_cleaned_on_the_other_side_makes_two_sides() {
    let mut world = left(["old", "new"]);
    (world.machines[1].roots, world.machines[1].lease, world.machines[1].guard) = (false, None, GuardState::None);
    world.forget(false);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::Split, "{verdict:?}");
    assert!(!world.sent.iter().any(|(_, step)| clean(step)));
}
