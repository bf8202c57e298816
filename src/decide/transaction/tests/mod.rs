//! The decider under every order of answers that a small fleet can give: scenarios by name, and random walks.

mod absent;
mod doubt;
mod forget;
mod left_to_guard;
mod machine;
mod marked;
mod measured;
pub(super) mod moves;
mod push;
mod recover;
mod turns;
mod units;
mod waiting;
mod walks;
mod waves;
mod without;
mod world;

pub(in crate::decide) use machine::{plan, standing, system};
