//! Defines what hosts say of their units, and what a plan says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::model::UnitPattern;

/// A service that runs, or any unit that has failed, in one look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the unit")]
pub struct UnitNow {
    /// systemd's `InvocationID`: another one after every start. Empty if it was never started.
    pub invocation: String,
    pub state: UnitState,
    /// Another unit needs or wants it.
    pub needed: bool,
    /// A timer, path, socket or mount point starts it.
    pub triggered: bool,
    /// A command has made it; no system has it.
    pub transient: bool,
    /// The system that runs does not have it any more.
    pub gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitState {
    Active,
    /// On its way up or down.
    Moving,
    /// Failed, or about to be started again after a failure.
    Failed,
}

/// By the unit's name.
pub type Units = BTreeMap<String, UnitNow>;

/// The knowledge about a host's units before a push, and the terms for them in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct UnitTerms {
    /// Units that a person has taken out.
    pub ignore: Vec<UnitPattern>,
    /// How long a unit that the push has started must have been up before the decision.
    pub steady: Duration,
    /// Units that were started again and again before the push already.
    pub restless: BTreeSet<String>,
    /// Units that made a run roll back and have failed since, each with that run.
    pub remembered: BTreeMap<String, String>,
}

impl UnitTerms {
    #[must_use]
    pub fn ignores(&self, unit: &str) -> bool {
        self.ignore.iter().any(|pattern| pattern.matches(unit))
    }
}

/// The state of a failing unit before the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitPast {
    Running,
    NotRunning,
    NotKnown,
}

/// Writes failing units with their past, as the end of a sentence.
#[must_use]
pub fn failing_text(units: &BTreeMap<String, UnitPast>) -> String {
    let of = |past: UnitPast| {
        let named: Vec<&str> = units.iter().filter(|(_, its)| **its == past).map(|(unit, _)| unit.as_str()).collect();
        (!named.is_empty()).then(|| named.join(", "))
    };
    let running = of(UnitPast::Running).map(|named| format!("{named} (running before this push)"));
    let not_running = of(UnitPast::NotRunning).map(|named| format!("{named} (not running before this push)"));
    [running, not_running, of(UnitPast::NotKnown)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_of_each_failing_unit_what_it_did_before() {
        let units = |all: &[(&str, UnitPast)]| all.iter().map(|(unit, past)| ((*unit).to_owned(), *past)).collect();
        assert_eq!(failing_text(&units(&[("a.service", UnitPast::NotKnown)])), "a.service");
        assert_eq!(
            failing_text(&units(&[
                ("a.service", UnitPast::NotRunning),
                ("b.service", UnitPast::Running),
                ("c.mount", UnitPast::Running)
            ])),
            "b.service, c.mount (running before this push), a.service (not running before this push)"
        );
    }
}
