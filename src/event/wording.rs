//! Is the one dictionary: turns each reason into the sentence that a person reads on the screen, in plain lines, in the
//! logs of the record and in `show`.

mod caution;
mod doctor;
mod guard;
mod reboot;
mod recover;
mod rollback_target;
mod status;
mod workstation;

use std::fmt;

/// Words of a reason. `Display` is the sentence; it may have several lines.
pub trait Worded: fmt::Display {
    /// Returns what a person can do about it, if there is something.
    fn mend(&self) -> Option<String> {
        None
    }

    /// Returns why it matters, for a person who looks before anything is begun.
    fn stake(&self) -> Option<&'static str> {
        None
    }
}
