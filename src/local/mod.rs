//! The workstation itself: the only place that starts child processes, and that makes files for nobody else.

pub mod limits;
pub mod private;
pub mod process;
