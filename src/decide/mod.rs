//! The pure part: facts, answers and named timers in; effects and events out. No I/O, no clock, no durations in its
//! state.

pub mod absent;
pub mod ahead;
pub mod back;
pub mod by_hand;
mod cleanup;
mod commit;
mod contest;
pub mod doctor;
mod doubt;
pub mod fact;
pub mod fit;
mod forget;
mod found;
pub mod left;
pub mod links;
mod marks;
pub mod plan;
mod proven;
pub mod ran;
pub mod recover;
pub mod remembered;
pub mod restless;
mod rollback;
pub mod rolling;
mod sameness;
pub mod status;
mod steady;
mod steps;
pub mod survey;
pub mod telling;
#[cfg(test)]
mod tests;
pub mod time;
pub mod traces;
pub mod transaction;
mod tunnel;
pub mod units;
pub mod unlinked;
mod verify;
pub mod vocabulary;
pub mod waves;
mod without;
