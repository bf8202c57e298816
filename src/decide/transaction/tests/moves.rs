//! The table of moves between stages, pair by pair.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pretty_assertions::assert_eq;

use super::machine::plan;
use super::world::World;
use crate::decide::transaction::link_proof::LinkProof;
use crate::decide::transaction::stage::{Barrier, CleanUp, Disarming, Extension, Stage};
use crate::decide::transaction::state::Transaction;
use crate::decide::transaction::undo::Undo;
use crate::decide::transaction::verify::ForwardProof;
use crate::decide::vocabulary::{Effect, Step};
use crate::event::reason::run_end::Supersession;

/// From each stage, those that may come next.
const MOVES: [(&str, &[&str]); 16] = [
    ("take-over", &["verify", "back", "clean", "taken over"]),
    ("arm", &["test", "back", "taken over"]),
    ("test", &["verify", "back", "taken over"]),
    ("verify", &["verify", "extend to test", "extend to switch", "back", "taken over"]),
    ("extend to test", &["test", "verify", "back", "taken over"]),
    ("extend to switch", &["verify", "switch", "back", "taken over"]),
    ("switch", &["verify", "proof", "back", "taken over"]),
    ("proof", &["verify", "extend to disarm", "back", "taken over"]),
    ("extend to disarm", &["verify", "disarm", "back", "taken over"]),
    ("disarm", &["back", "clean", "taken over"]),
    ("back", &["back", "back proof", "back disarm", "clean", "taken over"]),
    ("back proof", &["back", "back disarm", "clean", "taken over"]),
    ("back disarm", &["back", "clean", "taken over"]),
    ("clean", &["back", "over", "taken over"]),
    ("over", &["back"]),
    ("taken over", &[]),
];

fn stage(name: &str) -> Stage {
    match name {
        "take-over" => Stage::TakeOver,
        "arm" => Stage::Arm,
        "test" => Stage::Test(Barrier::default()),
        "verify" => Stage::Verify(ForwardProof::default()),
        "extend to test" => Stage::ExtendToTest,
        "extend to switch" => Stage::ExtendToSwitch(Extension::default()),
        "switch" => Stage::Switch(Barrier::default()),
        "proof" => Stage::Proof(ForwardProof::default()),
        "extend to disarm" => Stage::ExtendToDisarm(Extension::default()),
        "disarm" => Stage::Disarm(Disarming::default()),
        "back" => Stage::Back(Undo::default()),
        "back proof" => Stage::BackProof(Undo::default(), LinkProof::default()),
        "back disarm" => Stage::BackDisarm(Undo::default()),
        "clean" => Stage::Clean(CleanUp::default()),
        "over" => Stage::Over(None),
        "taken over" => Stage::Over(Some(Supersession::NoHostHoldsRun)),
        other => panic!("no stage is called {other}"),
    }
}

#[test]
fn every_pair_of_stages_is_a_move_or_is_refused() {
    for (from, expected) in MOVES {
        let next = MOVES.iter().map(|(to, _)| *to).filter(|to| stage(from).may_become(&stage(to)));
        assert_eq!(next.collect::<Vec<_>>(), expected, "from {from}");
    }
}

/// In verify, with every guard armed.
fn in_verify() -> Transaction {
    let mut world = World::new(plan(2, 2));
    world.until(0, |step| matches!(step, Step::Login { .. }));
    world.now.transaction
}

fn is_refused(mut ask: impl FnMut(&mut Transaction, &mut Vec<Effect>)) {
    let (mut transaction, mut effects) = (in_verify(), Vec::new());
    let before = transaction.clone();
    let asked = catch_unwind(AssertUnwindSafe(|| ask(&mut transaction, &mut effects)));
    assert!(asked.is_err(), "a mistake of the decider ends the run at once, also in a release");
    assert_eq!((effects, transaction), (Vec::new(), before));
}

#[test]
fn whoever_wants_a_move_that_is_refused_has_ordered_nothing() {
    is_refused(Transaction::enter_switch);
    is_refused(Transaction::enter_proof);
    is_refused(Transaction::enter_disarm);
    is_refused(Transaction::enter_back_disarm);
    is_refused(Transaction::enter_clean);
    is_refused(Transaction::enter_next_wave);
}
