//! Is the one dictionary: turns each reason into the sentence that a person reads on the screen, in plain lines, in the
//! logs of the record and in `show`.

#![expect(clippy::format_push_string, reason = "text for people, a line at a time: `+=` reads better than `write!`")]

mod caution;
mod disowned;
pub(crate) mod host;
pub(crate) mod packages;
pub(crate) mod words;

use crate::event::reason::Worded;
