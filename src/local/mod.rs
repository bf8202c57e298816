//! The workstation itself: the only place that starts child processes.

pub mod limits;
pub mod process;
