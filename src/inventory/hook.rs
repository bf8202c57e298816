//! Commands of the person's own around a push.

use std::time::Duration;

/// The hooks of a fleet, each list in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Before anything else: one that fails refuses the push.
    pub before: Vec<Hook>,
    /// After a push that has committed, or had nothing to do.
    pub after_commit: Vec<Hook>,
    /// After a push that has ended in any other way, one that a hook has refused among them.
    pub after_abort: Vec<Hook>,
}

/// One command, run on the workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What the screen calls it.
    pub name: String,
    pub command: HookCommand,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookCommand {
    Argv(Vec<String>),
    Shell(String),
}

impl HookCommand {
    /// On one line, for people.
    #[must_use]
    pub fn words(&self) -> String {
        let words = match self {
            Self::Argv(words) => words.join(" "),
            Self::Shell(text) => text.clone(),
        };
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
