//! The table of moves between stages, pair by pair.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
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

type Move = (&'static str, &'static str);

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
    ("disarm", &["clean", "taken over"]),
    ("back", &["back", "back proof", "back disarm", "clean", "taken over"]),
    ("back proof", &["back", "back disarm", "clean", "taken over"]),
    ("back disarm", &["back", "clean", "taken over"]),
    ("clean", &["over", "taken over"]),
    ("over", &[]),
    ("taken over", &[]),
];

/// These are open too if the entry could not be written that was to announce the disarm.
pub(super) const UNWRITTEN: [Move; 3] = [("disarm", "back"), ("clean", "back"), ("over", "back")];

thread_local! {
    static TAKEN: RefCell<BTreeSet<Move>> = const { RefCell::new(BTreeSet::new()) };
    /// A move that the table has not, for a while.
    static REFUSED: Cell<Option<Move>> = const { Cell::new(None) };
}

/// Keeps that the move was taken.
pub(in crate::decide::transaction) fn keep(from: &Stage, to: &Stage, unwritten: bool) {
    let taken = (name(from), name(to));
    assert!(REFUSED.get() != Some(taken), "the table of this test has no such move");
    let is_only_then = UNWRITTEN.contains(&taken);
    assert!(!is_only_then || unwritten, "{taken:?} although its entry is written");
    TAKEN.with_borrow_mut(|all| all.insert(taken));
}

/// Returns the moves that were taken since the last call.
pub(super) fn taken() -> BTreeSet<Move> {
    TAKEN.take()
}

/// Returns every move of the table.
pub(super) fn of_the_table() -> BTreeSet<Move> {
    let rows = MOVES.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, *to)));
    rows.chain(UNWRITTEN).collect()
}

/// Says whether something happens that needs this move, by what a decider without it would do.
pub(super) fn needs(refused: Move, goes: impl FnOnce()) -> bool {
    REFUSED.set(Some(refused));
    let went = catch_unwind(AssertUnwindSafe(goes));
    REFUSED.set(None);
    went.is_err()
}

fn name(stage: &Stage) -> &'static str {
    match stage {
        Stage::TakeOver => "take-over",
        Stage::Arm => "arm",
        Stage::Test(_) => "test",
        Stage::Verify(_) => "verify",
        Stage::ExtendToTest => "extend to test",
        Stage::ExtendToSwitch(_) => "extend to switch",
        Stage::Switch(_) => "switch",
        Stage::Proof(_) => "proof",
        Stage::ExtendToDisarm(_) => "extend to disarm",
        Stage::Disarm(_) => "disarm",
        Stage::Back(_) => "back",
        Stage::BackProof(..) => "back proof",
        Stage::BackDisarm(_) => "back disarm",
        Stage::Clean(_) => "clean",
        Stage::Over(None) => "over",
        Stage::Over(Some(_)) => "taken over",
    }
}

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
        let next = MOVES.iter().map(|(to, _)| *to).filter(|to| stage(from).may_become(&stage(to), false));
        assert_eq!(next.collect::<Vec<_>>(), expected, "from {from}");
        for (to, _) in MOVES {
            let is_open = stage(from).may_become(&stage(to), true);
            assert_eq!(is_open, expected.contains(&to) || UNWRITTEN.contains(&(from, to)), "from {from} to {to}");
        }
    }
}

/// A row that the table lacks is found by the walks: this one is seldom taken.
#[test]
fn a_table_without_one_of_its_rows_is_found_by_who_needs_it() {
    let pushes = || {
        let mut world = World::new(plan(2, 2));
        world.until(0, |step| matches!(step, Step::Disarm { .. }));
        world.run_to_end();
    };
    assert!(needs(("extend to disarm", "disarm"), pushes));
    assert!(!needs(("back", "back proof"), pushes), "nothing goes back");
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
