//! Rounds that could not be carried out: they prove nothing, and speak against nothing.

use pretty_assertions::assert_eq;

use super::machine::plan;
use super::world::{Fault, World};
use crate::decide::vocabulary::{Entry, Input, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::{HostOutcome, Outcome};
use crate::facts::links::{LinkAnswer, Round};
use crate::facts::plan::HostId;

/// A round in which the host of the first link was too slow for it.
fn blurred(world: &World) -> Round {
    let mut round = world.round();
    round.answers.remove(&0);
    round.unmeasured.insert(0);
    round
}

fn logged_in() -> World {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.end_steps();
    world
}

#[test]
fn a_round_that_could_not_be_carried_out_neither_commits_nor_makes_the_others_void() {
    let mut world = logged_in();
    for _ in 0..2 {
        world.see(world.round());
    }
    for _ in 0..5 {
        world.see(blurred(&world));
        assert!(!world.now.entries.contains(&Entry::Decided));
    }
    world.see(world.round());
    assert!(world.now.entries.contains(&Entry::Decided), "two rounds before and this one are three");
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn the_time_counts_from_the_first_rounds_that_are_carried_out_and_so_only_a_few_times() {
    let mut world = logged_in();
    let begun: Vec<bool> = (0..5)
        .map(|_| {
            world.now.timers.remove(&Timer::Settle);
            world.see(blurred(&world));
            world.now.timers.contains(&Timer::Settle)
        })
        .collect();
    assert_eq!(begun, [true, true, true, false, false]);
    // Something that is really down gets no time for that.
    let mut world = logged_in();
    world.now.timers.remove(&Timer::Settle);
    let mut round = blurred(&world);
    round.answers.insert(1, LinkAnswer::Down { why: "Connection refused".to_owned() });
    world.see(round);
    assert!(!world.now.timers.contains(&Timer::Settle));
}

#[test]
fn links_that_cannot_be_measured_roll_back_and_are_not_said_to_be_down() {
    let mut world = logged_in();
    world.see(blurred(&world));
    world.elapse(Timer::Settle);
    world.see(blurred(&world));
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    let said = verdict.text.to_string();
    let why = "a link could not be measured, and nothing else was wrong: too slow for their own probes were host0";
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_link_that_is_down_is_said_to_be_down_though_another_could_not_be_measured() {
    let mut world = logged_in();
    for elapse in [true, false] {
        let mut round = blurred(&world);
        round.answers.insert(1, LinkAnswer::Down { why: "Connection refused".to_owned() });
        world.see(round);
        if elapse && !world.now.timers.is_empty() {
            world.elapse(Timer::Settle);
            break;
        }
    }
    let said = world.run_to_end().text.to_string();
    assert!(said.contains("links are down: host1 -> host0 (ping, Connection refused)"), "{said}");
    assert!(!said.contains("host0 -> host1"), "{said}");
}

/// It may be down, and a reboot would bring it back: docs/design.md, "Invariants", 4.
#[test]
fn a_host_whose_links_cannot_be_measured_after_a_roll_back_is_left_to_its_guard_once() {
    let mut world = World::new(plan(2, 2));
    let at = world.until(1, |step| matches!(step, Step::Login { after: true }));
    world.end_step(at, Fault::Denied);
    world.until(0, |step| matches!(step, Step::Login { after: false }));
    world.end_steps();
    world.see(blurred(&world));
    world.elapse(Timer::SettleBack);
    assert!(world.now.pending.is_empty(), "one more round decides");
    world.see(blurred(&world));
    let warned = |world: &World, text: &str| world.warnings.iter().any(|warning| warning.contains(text));
    assert!(warned(&world, "its links could not be measured: its guard will reboot it"), "{:?}", world.warnings);
    assert!(!warned(&world, "stay down"), "{:?}", world.warnings);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.hosts.iter().all(|(_, end)| *end == HostOutcome::RolledBack { by_guard: true }), "{verdict:?}");
}

/// A link whose turn does not come must not keep the push for ever.
#[test]
fn a_link_that_is_never_asked_ends_the_push_all_the_same() {
    let mut world = logged_in();
    for _ in 0..60 {
        if world.now.verdict.is_some() || world.now.timers.is_empty() && !world.now.probe {
            break;
        }
        let mut round = world.round();
        round.answers.remove(&0);
        round.unasked.insert(0);
        world.see(round);
        assert!(!world.now.entries.contains(&Entry::Decided));
        if world.now.timers.contains(&Timer::Settle) {
            world.elapse(Timer::Settle);
        }
        if !world.now.pending.is_empty() {
            break;
        }
    }
    assert_eq!(world.run_to_end().outcome, Outcome::RolledBack);
}

/// A round in which the sshd at the end of the first link let nobody in just then.
fn busy(world: &World) -> Round {
    let mut round = world.round();
    round.answers.insert(0, LinkAnswer::Down { why: "Not allowed at this time".to_owned() });
    round.unasked.insert(0);
    round
}

#[test]
fn an_sshd_that_lets_nobody_in_just_now_is_asked_again_and_nothing_is_committed_before() {
    let mut world = logged_in();
    for _ in 0..5 {
        world.see(busy(&world));
        assert!(!world.now.entries.contains(&Entry::Decided));
    }
    world.see(world.round());
    assert_eq!(world.run_to_end().outcome, Outcome::Committed);
}

#[test]
fn an_sshd_that_never_lets_anybody_in_takes_the_push_back_and_is_quoted() {
    let mut world = logged_in();
    world.see(busy(&world));
    world.elapse(Timer::Settle);
    while !world.now.entries.iter().any(|entry| matches!(entry, Entry::RollingBack { .. })) {
        world.see(busy(&world));
    }
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.to_string().contains("Not allowed at this time"), "{}", verdict.text);
}

#[test]
fn a_login_that_does_not_come_is_named_by_why_it_was_lost() {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    let why = Cause::AccountRefused { machine: "host0".into(), said: "it has expired".into(), by_hand: String::new() };
    world.give(Input::ContactLost { host: HostId(0), why });
    world.end_round();
    world.elapse(Timer::Settle);
    let verdict = world.run_to_end();
    assert_eq!(verdict.outcome, Outcome::RolledBack);
    assert!(verdict.text.to_string().contains("it has expired"), "{}", verdict.text);
}

/// That WireGuard had its time to shake hands on the way forward is over by then.
#[test]
fn the_time_of_a_look_on_the_way_back_begins_anew_though_handshakes_were_waited_for_before() {
    let mut world = logged_in();
    world.wait_for_handshakes();
    world.links_up = false;
    world.elapse(Timer::Rekey);
    world.links_up = true;
    while !world.now.timers.contains(&Timer::SettleBack) {
        world.go_on();
    }
    world.now.timers.remove(&Timer::SettleBack);
    world.see(blurred(&world));
    assert!(world.now.timers.contains(&Timer::SettleBack));
}
