//! Random walks: any step may be lost, fail or meet a firing guard, any coordinator may die at any moment; every walk
//! must end, and end truly.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::machine::{in_waves, plan};
use super::moves;
use super::world::{Fault, World};
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::{Effect, Entry, Input, Signal, Timer};
use crate::event::Outcome;
use crate::facts::plan::Plan;
use crate::facts::systems::Systems;

/// xorshift64, Marsaglia 2003.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

const FAULTS: [Fault; 7] = [
    Fault::LostCommand,
    Fault::LostReply,
    Fault::Fails,
    Fault::Fires,
    Fault::FiresAfter,
    Fault::Restarts,
    Fault::Denied,
];

/// Until the coordinator of now has ended, died, or falls asleep.
fn walk(world: &mut World, dice: &mut Dice, mut faults: usize, sleeps: bool, context: &str) {
    for turn in 0.. {
        assert!(turn < 2000, "{context} does not end: {:#?}", world.now);
        if world.now.verdict.is_some() || world.now.is_dead() || sleeps && dice.one_in(30) {
            return;
        }
        if faults > 0 && dice.one_in(20) {
            faults -= 1;
            world.links_up = !world.links_up;
        }
        if faults > 0 && dice.one_in(200) {
            world.give(Input::CancelRequested(Signal::Sigint));
            continue;
        }
        if !world.strays.is_empty() && dice.one_in(10) {
            world.stray_arrives(dice.below(world.strays.len()));
        }
        let choices = world.now.pending.len() + usize::from(world.now.probe);
        if choices == 0 || dice.one_in(30) {
            let timers: Vec<Timer> = world.now.timers.iter().copied().collect();
            if timers.is_empty() && choices == 0 {
                panic!("{context} stands still: {:#?}", world.now);
            } else if !timers.is_empty() {
                world.elapse(timers[dice.below(timers.len())]);
                continue;
            }
        }
        let choice = dice.below(choices);
        if choice == world.now.pending.len() {
            world.end_round();
        } else {
            let fault = if faults > 0 && dice.one_in(6) {
                faults -= 1;
                FAULTS[dice.below(FAULTS.len())]
            } else {
                Fault::None
            };
            world.end_step(choice, fault);
        }
    }
}

fn world(dice: &mut Dice) -> World {
    let hosts = 2 + dice.below(2);
    let changing = 1 + dice.below(hosts);
    let waves = [1, 1, 2, 3][dice.below(4)];
    let waves: Vec<usize> = (0..hosts).map(|_| dice.below(waves)).collect();
    World::asleep(in_waves(&plan(hosts, changing), &waves))
}

#[test]
fn random_faults_never_break_what_must_always_hold() {
    for seed in 0..20_000u64 {
        let mut dice = Dice::new(seed);
        let mut world = world(&mut dice);
        world.begin();
        let faults = dice.below(4);
        walk(&mut world, &mut dice, faults, false, &format!("seed {seed}"));
        world.check_end(&format!("seed {seed}"));
    }
}

/// A push dies or falls asleep, so does the recovery of it, and the next one ends it: with the record or from the hosts
/// alone, with faults in all but the last, and with late commands of the dead. Who then wakes changes nothing.
#[test]
fn whoever_dies_wherever_a_recovery_without_further_faults_brings_all_hosts_to_one_side() {
    for seed in 0..10_000u64 {
        let context = format!("seed {seed}");
        let mut dice = Dice::new(seed);
        let mut world = world(&mut dice);
        // Some do not die: they sleep, and wake when all is over.
        let life = |dice: &mut Dice| (!dice.one_in(4)).then(|| 1 + dice.below(120));
        world.now.life = life(&mut dice);
        world.begin();
        let faults = dice.below(3);
        let sleeps = world.now.life.is_none();
        walk(&mut world, &mut dice, faults, sleeps, &format!("{context}, push"));
        if world.now.verdict.is_some() {
            world.check_end(&format!("{context}, push"));
        }
        let (record, life) = (dice.one_in(2), life(&mut dice));
        let push = world.recover_after(record, life, |_| {});
        let faults = dice.below(3);
        let sleeps = world.now.life.is_none();
        walk(&mut world, &mut dice, faults, sleeps, &format!("{context}, first recovery"));
        if world.now.verdict.is_some() {
            world.check_end(&format!("{context}, first recovery"));
        }
        if dice.one_in(3) {
            for host in 0..world.machines.len() {
                world.fire(host);
            }
        }
        world.links_up = true;
        let record = dice.one_in(2);
        let first = world.recover(record);
        walk(&mut world, &mut dice, 0, false, &format!("{context}, last recovery"));
        world.check_end(&format!("{context}, last recovery"));
        let outcome = world.now.verdict.as_ref().unwrap().outcome;
        // A late clean-up may have ended it all the while.
        let changing: Vec<_> = world.plan.changing().map(|host| &world.machines[host.0]).collect();
        let ended = changing.iter().all(|one| !one.roots && one.systems == changing[0].systems);
        assert!(
            matches!(outcome, Outcome::Committed | Outcome::RolledBack | Outcome::Refused)
                || ended && outcome == Outcome::Superseded,
            "{context}: {:#?}\n{:#?}",
            world.now.verdict,
            world.machines
        );
        let ended: Vec<Systems> = world.machines.iter().map(|machine| machine.systems.clone()).collect();
        for (who, sleeper) in [("push", push), ("first recovery", first)] {
            // One that sleeps while it arms may arm an empty guard, which fires and changes nothing.
            let arms = sleeper.epoch == 1 && !sleeper.entries.contains(&Entry::Testing);
            if sleeper.verdict.is_some() || sleeper.is_dead() || arms {
                continue;
            }
            let context = format!("{context}, {who} wakes");
            world.now = sleeper;
            walk(&mut world, &mut dice, 0, false, &context);
            let now: Vec<Systems> = world.machines.iter().map(|machine| machine.systems.clone()).collect();
            assert_eq!(now, ended, "{context}: {:#?}", world.now.verdict);
            world.check_end(&context);
        }
    }
    // A row of the table that no walk takes allows more than anybody needs.
    let taken = moves::taken();
    let mut never_taken = moves::of_the_table();
    never_taken.retain(|row| !taken.contains(row));
    // No disk is full in these walks, no host is lost that is on new for good, and another coordinator takes over only
    // where one is at work: `doubt.rs`.
    never_taken.retain(|(from, to)| !matches!((*from, *to), (_, "taken over" | "verify")));
    let rest: Vec<_> = never_taken.into_iter().filter(|row| !moves::UNWRITTEN.contains(row)).collect();
    // Nothing is extended there, for each weighing ends well; and these two walks end a way back by its disarm.
    let known = [("back", "back"), ("back", "clean"), ("back proof", "clean"), ("extend to disarm", "back")];
    assert_eq!(rest, [known.as_slice(), &[("extend to switch", "back")]].concat());
}

fn print_of(transaction: &Transaction) -> u64 {
    let mut hasher = DefaultHasher::new();
    transaction.hash(&mut hasher);
    hasher.finish()
}

/// What is done of it, without what is only told.
fn done(effects: Vec<Effect>) -> Vec<String> {
    let words = effects.into_iter().filter_map(|effect| match effect {
        Effect::Tell(_) => None,
        Effect::Record(Entry::RollingBack { .. }) => Some("rolling back".to_owned()),
        Effect::Finish(verdict) => Some(format!("{:?} {:?}", verdict.outcome, verdict.interrupted)),
        effect => Some(format!("{effect:?}")),
    });
    words.collect()
}

/// The model checker takes two of them for one: they differ in what is only told, `state.rs`.
#[test]
fn transactions_that_hash_alike_go_the_same_way() {
    for waves in [[0, 0], [1, 0]] {
        go_the_same_way(&in_waves(&plan(2, 2), &waves));
    }
}

fn go_the_same_way(plan: &Arc<Plan>) {
    let mut alike: BTreeMap<u64, Vec<(Transaction, Input)>> = BTreeMap::new();
    for seed in 0..300u64 {
        let mut dice = Dice::new(seed);
        let mut world = World::asleep(Arc::clone(plan));
        world.met = Some(Vec::new());
        world.now.life = dice.one_in(2).then(|| 1 + dice.below(120));
        world.begin();
        walk(&mut world, &mut dice, 2, false, &format!("seed {seed}"));
        if world.now.is_dead() {
            let record = dice.one_in(2);
            world.recover(record);
            walk(&mut world, &mut dice, 1, false, &format!("seed {seed}, recovery"));
        }
        for (transaction, input) in world.met.take().unwrap() {
            let group = alike.entry(print_of(&transaction)).or_default();
            if !group.iter().any(|(known, given)| (known, given) == (&transaction, &input)) {
                group.push((transaction, input));
            }
        }
    }
    let mut compared = 0;
    for group in alike.values() {
        for (_, input) in group {
            let after = |(transaction, _): &(Transaction, Input)| {
                let mut transaction = transaction.clone();
                let effects = done(transaction.handle(input.clone()));
                (effects, print_of(&transaction))
            };
            for other in group[1..].iter().filter(|other| other.0 != group[0].0) {
                assert_eq!(after(&group[0]), after(other), "{input:#?}\n{:#?}\n{:#?}", group[0].0, other.0);
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} pairs were alike and not the same");
}
