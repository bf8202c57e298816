//! The nouns that events and decisions both stand on: what hosts say of themselves, links and their answers, plans.
//! No rule of the transaction, no I/O, no clock.

pub mod attr_path;
pub mod configured;
pub mod file_limit;
pub mod fit;
pub mod host;
pub mod job;
pub mod links;
pub mod package_change;
pub mod plan;
pub mod privilege;
pub mod provenance;
pub mod sending;
pub mod signal;
pub mod signatures;
pub mod source;
pub mod step_answer;
pub mod store_graph;
pub mod store_path;
pub mod systems;
pub mod traces;
pub mod trial;
pub mod unit_changes;
pub mod units;
