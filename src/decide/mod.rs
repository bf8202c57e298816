//! The pure part: facts, answers and named timers in; effects and events out. No I/O, no clock, no durations in its
//! state.

pub mod absent;
mod cleanup;
mod commit;
mod contest;
pub mod doctor;
mod doubt;
pub mod exec;
pub mod fit;
pub mod forecast;
mod forget;
pub mod guard;
mod inspection;
pub mod left_to_guard;
mod marks;
pub mod progress;
mod proven;
pub mod reboot;
pub mod recover;
pub mod remembered;
pub mod restless;
pub mod rollback;
mod sameness;
pub mod status;
mod steady;
mod steps;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod time;
pub mod transaction;
mod tunnel;
mod undo;
pub mod unlinked;
mod verify;
pub mod vocabulary;
pub mod waves;
mod without;
