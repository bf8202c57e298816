//! The codes that no run tells in a test, each with why.

pub(crate) const UNTOLD: &[(&str, &str)] = &[];
