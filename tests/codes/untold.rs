//! The codes that no run tells in a test, each with why.

pub(crate) const UNTOLD: &[(&str, &str)] = &[
    ("stdout-unwritable", "where it would be told cannot be written"),
    ("import-mistaken", "only by a mistake of ours"),
];
