//! Is the one dictionary: turns each reason into the sentence that a person reads on the screen, in plain lines, in the
//! logs of the record and in `show`.

#![expect(clippy::format_push_string, reason = "text for people, a line at a time: `+=` reads better than `write!`")]

mod caution;
mod disowned;
mod doctor;
mod guard;
pub(crate) mod host;
pub(crate) mod packages;
mod reboot;
mod recover;
mod rollback_target;
mod status;
pub(crate) mod words;
mod workstation;

use crate::event::reason::Worded;
