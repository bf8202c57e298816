//! The codes that no run tells in a test, each with why.

pub(crate) const UNTOLD: &[(&str, &str)] = &[
    ("stdout-unwritable", "where it would be told cannot be written"),
    ("cache-not-filled", "told by tests/lab/cached.rs, whose lines are not taken in yet"),
    ("cache-not-fetched", "told by tests/lab/cached.rs, whose lines are not taken in yet"),
    ("own-caches-silent", "told by tests/lab/cached.rs, whose lines are not taken in yet"),
    ("import-mistaken", "only by a mistake of ours"),
];
