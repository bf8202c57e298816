//! The way to the hosts.

pub mod answer;
pub mod step;

/// A script to run on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// For messages.
    pub name: &'static str,
    /// What `/bin/sh` runs.
    pub text: String,
    /// Become `$1`, `$2`, ...
    pub arguments: Vec<String>,
}
