//! What carries out a push (phases 1 to 4 in order, then the driver that does what the decider says) or its recovery.
//!
//! Nothing here prints, and nothing here decides what a failure means for the fleet.

mod absent;
mod activity;
pub mod ask;
mod baseline;
mod build;
mod cache;
pub mod causes;
pub mod clock;
mod copy;
mod diff;
pub mod doctor;
pub mod driver;
pub mod epochs;
pub mod exec;
mod forecast;
pub mod guard;
pub mod host_survey;
pub mod hosts;
pub mod inquiry;
mod job_output;
mod last_look;
mod lease;
mod mutex;
mod new_login;
pub mod orders;
mod own_machine;
mod probing;
pub mod push;
pub mod queries;
pub mod reach;
pub mod reboot;
mod renaming;
mod rollback;

pub mod recover;
mod reports;
pub mod retry;
pub mod returned;
mod sending;
pub mod shutdown;
pub mod source;
pub mod ssh_hosts;
pub mod status;
pub mod surroundings;
mod survey;
pub mod surveyor;
mod timers;
pub mod turns;
mod waves;
mod workstation;
