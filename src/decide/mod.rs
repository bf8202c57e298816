//! The pure part: facts, answers and named timers in; effects and events out. No I/O, no clock, no durations in its
//! state.

pub mod absent;
pub mod asking;
pub mod baseline;
pub mod cached;
pub mod doctor;
pub mod exec;
pub mod fit;
pub mod forecast;
pub mod guard;
pub mod left_to_guard;
pub mod look_ahead;
pub mod matrix;
pub mod preflight;
pub mod reboot;
pub mod remembered;
pub mod restless;
pub mod rollback;
pub mod sending;
pub mod status;
pub mod survey;
pub mod time;
pub mod transaction;
pub mod trial;
mod tunnel;
pub mod unlinked;
pub mod vocabulary;
pub mod waves;
