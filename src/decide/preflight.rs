//! Puts together what the survey says against a push, for the push itself and for whoever asks before it.

use std::collections::BTreeSet;

use super::remembered;
use super::survey::{self, Allowed, Finding, Surveyed};

/// Finds everything that the facts say against a push, or about it. `accept_failed` are units that made an earlier run
/// roll back, and that a person accepts.
#[must_use]
pub fn judge(fleet: &str, hosts: &[Surveyed<'_>], allowed: Allowed, accept_failed: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = survey::judge(fleet, hosts, allowed);
    findings.extend(remembered::judge(hosts, accept_failed));
    findings
}
