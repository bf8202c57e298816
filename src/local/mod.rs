//! Works on the workstation itself: it alone starts child processes, and makes files that only their owner can read.

pub mod causes;
pub mod limits;
pub mod memory;
pub mod private;
pub mod process;
mod programs;
