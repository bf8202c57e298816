//! A large mesh shares its rounds: what is asked in turn decides nothing by one probe, nor before its turn has come.

use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::machine::plan;
use super::world::World;
use crate::decide::vocabulary::{Entry, Step, Timer};
use crate::event::{HostOutcome, Outcome};
use crate::facts::links::{LinkAnswer, LinkId, Round};

/// Three hosts whose links share the rounds, in verify; all have taken a login.
fn in_verify() -> World {
    let mut plan = plan(3, 3);
    Arc::make_mut(&mut plan).links.iter_mut().for_each(|link| link.shared = true);
    let mut world = World::new(plan);
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.end_steps();
    world
}

fn down() -> LinkAnswer {
    LinkAnswer::Down { why: "no answer".to_owned() }
}

/// A round in which this link has missed its probe, the first one in a row.
fn missed(world: &World, link: LinkId) -> Round {
    let mut round = world.round();
    round.answers.insert(link, down());
    round.missed.insert(link);
    round
}

/// A round in which this link was down a second time.
fn down_again(world: &World, link: LinkId) -> Round {
    let mut round = world.round();
    round.answers.insert(link, down());
    round
}

/// The settle time is over, and one link has missed its last probe.
fn in_overtime() -> World {
    let mut world = in_verify();
    world.see(missed(&world, 4));
    world.elapse(Timer::Settle);
    world
}

/// A push that a link which stayed down has taken back; the time of the look after it is over, and another link has
/// missed its last probe.
fn gone_back() -> World {
    let mut world = in_overtime();
    world.see(down_again(&world, 4));
    world.until(0, |step| matches!(step, Step::Login { after: false }));
    world.end_steps();
    world.see(missed(&world, 3));
    world.elapse(Timer::SettleBack);
    world
}

fn decided(world: &World) -> bool {
    world.now.entries.contains(&Entry::Decided)
}

fn goes_back(world: &World) -> bool {
    world.now.entries.iter().any(|entry| matches!(entry, Entry::RollingBack { .. }))
}

#[test]
fn a_miss_when_the_settle_time_ends_is_asked_again_and_three_rounds_without_one_commit() {
    let mut world = in_overtime();
    assert!(!goes_back(&world), "one probe decides nothing");
    // Another one of thousands, and one that could not be measured, each in its turn.
    world.see(missed(&world, 2));
    let mut round = world.round();
    round.answers.remove(&1);
    round.unmeasured.insert(1);
    world.see(round);
    for _ in 0..2 {
        world.see(world.round());
        assert!(!decided(&world), "a miss counts against the rounds before it");
    }
    world.see(world.round());
    assert!(decided(&world));
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn nothing_is_committed_while_a_miss_was_not_made_good() {
    let mut world = in_verify();
    for _ in 0..8 {
        world.see(missed(&world, 4));
        assert!(!decided(&world));
    }
}

#[test]
fn a_link_that_is_down_twice_in_a_row_after_the_settle_time_takes_the_push_back_at_once() {
    let mut world = in_overtime();
    world.see(down_again(&world, 4));
    assert!(goes_back(&world));
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.to_string().contains("links are down: host2 -> host0 (ping, no answer)"), "{}", verdict.text);
}

/// A liar, or a line that loses much: it has an end.
#[test]
fn misses_without_an_end_take_the_push_back_after_some_rounds_and_are_named() {
    let mut world = in_overtime();
    let rounds = (0..100).take_while(|_| {
        world.see(missed(&world, 4));
        !goes_back(&world)
    });
    assert_eq!(rounds.count(), 30);
    let said = world.run_to_end().text.to_string();
    assert!(said.contains("links are down: host2 -> host0 (ping, no answer)"), "{said}");
}

#[test]
fn after_a_roll_back_turns_are_waited_for_and_nothing_reboots() {
    let mut world = gone_back();
    for link in [1, 2, 5] {
        world.see(missed(&world, link));
    }
    world.see(world.round());
    let verdict = world.run_to_end();
    assert!(verdict.hosts.iter().all(|(_, end)| *end == HostOutcome::RolledBack { by_guard: false }), "{verdict:?}");
}

#[test]
fn after_a_roll_back_a_link_that_stays_down_leaves_its_hosts_to_their_guards() {
    let mut world = gone_back();
    world.see(down_again(&world, 3));
    let warned = world.warnings.iter().any(|warning| warning.contains("its guard will reboot it"));
    assert!(warned, "{:?}", world.warnings);
}

/// A round of hosts that are late is long: thirty of them would outlast the guards.
#[test]
fn turns_have_the_time_of_the_look_once_more_and_no_longer() {
    let mut world = in_overtime();
    world.see(missed(&world, 2));
    world.elapse(Timer::Settle);
    assert!(!goes_back(&world), "the round that is to come decides");
    world.see(missed(&world, 1));
    assert!(goes_back(&world));
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
}

#[test]
fn a_miss_is_not_followed_by_the_next_round_at_once() {
    let mut world = in_verify();
    world.see(missed(&world, 4));
    assert!(!world.now.probe && world.now.timers.contains(&Timer::RoundPause));
}
