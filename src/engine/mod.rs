//! What carries out a push (phases 1 to 4 in order, then the driver that does what the decider says) or its recovery.
//!
//! Nothing here prints, and nothing here decides what a failure means for the fleet.

mod absent;
mod ahead;
mod back;
mod baseline;
mod build;
pub mod by_hand;
pub mod clock;
mod copy;
pub mod doctor;
mod doing;
pub mod driver;
mod ending;
pub mod epochs;
pub mod exec;
pub mod gather;
pub mod hosts;
pub mod orders;
mod own_machine;
mod printing;
mod probing;
pub mod push;
pub mod queries;
pub mod reach;
pub mod reboot;

pub mod recover;
mod reports;
pub mod returned;
pub mod shutdown;
pub mod ssh_hosts;
pub mod status;
mod survey;
pub mod surveyor;
mod timers;
pub mod tries;
mod waves;
mod workstation;
