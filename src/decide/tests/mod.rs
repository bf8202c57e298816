//! The decider under every order of answers that a small fleet can give: scenarios by name, and random walks.

mod doubt;
mod left;
mod machine;
mod push;
mod recover;
mod walks;
mod waves;
mod world;

pub(super) use machine::{plan, system};
