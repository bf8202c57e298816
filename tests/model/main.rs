//! The real decider on every way that a small fleet's world can take: stateright explores them all.
//!
//! What is modelled, what is not, and how large it is: docs/model-checking.md.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::struct_excessive_bools, reason = "each is one independent fact of the world")]
#![expect(clippy::too_many_lines, reason = "every action there is, in one table")]
#![expect(clippy::trivially_copy_pass_by_ref, clippy::unused_self, reason = "asked like their larger neighbours")]
#![expect(clippy::nonminimal_bool, reason = "written as docs/design.md says it")]
#![expect(clippy::doc_markdown, reason = "files are named as paths with colons")]

mod choices;
#[path = "../support/codes.rs"]
#[expect(dead_code, reason = "nothing here is printed by the program")]
mod codes;
mod events;
mod explored;
mod faults;
mod found;
mod host;
mod mistakes;
mod properties;
mod scripts;
mod station;
mod trial;
mod words;
mod world;
