//! What several commands need.

pub(super) mod conclusion;
pub(super) mod confirm;
pub(super) mod evaluation;
mod faults;
pub(super) mod fleet_context;
pub(super) mod fleet_hosts;
pub(super) mod former;
pub(super) mod global;
pub(super) mod history;
pub(super) mod hooks;
pub(super) mod password;
pub(super) mod push_record;
pub(super) mod query;
pub(super) mod recorded_run;
pub(super) mod reports;
pub(super) mod terms;
