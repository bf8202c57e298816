//! The real decider on every way that a small fleet's world can take: stateright explores them all.
//!
//! What is modelled, what is not, and how large it is: docs/model-checking.md.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod explored;
mod faults;
mod found;
mod host;
mod mistakes;
mod properties;
mod scripts;
mod station;
mod words;
mod world;
