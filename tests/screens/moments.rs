//! The moments, with what the truth answers and the words of the screen that say so.

/// An answer: what is true, and the words of the screen that say it. A `#` there is any time.
pub(crate) type Answered = (&'static str, &'static [&'static str]);

pub(crate) enum At {
    /// So many seconds after the first event whose JSON has this in it.
    After {
        event: &'static str,
        seconds: f64,
    },
    End,
}

pub(crate) struct Moment {
    pub(crate) title: &'static str,
    /// What was typed.
    pub(crate) typed: &'static str,
    /// The record: `tests/screens/NAME.jsonl`.
    pub(crate) record: &'static str,
    pub(crate) at: At,
    pub(crate) happens: Answered,
    pub(crate) lost: Answered,
    pub(crate) todo: Answered,
}

pub(crate) const MOMENTS: &[Moment] = &[];
