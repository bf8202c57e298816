//! Collects the system, or the problem, of each host.

use std::collections::BTreeMap;

use super::kept::KeptHost;
use super::{EvalError, EvalTarget, HostProblem};
use crate::facts::configured::Configured;
use crate::inventory::model::HostName;
use crate::local::process::ProcessError;

#[derive(Default)]
pub(super) struct Answers {
    pub(super) found: BTreeMap<HostName, EvalTarget>,
    /// What some of them are configured to be.
    pub(super) configured: BTreeMap<HostName, Configured>,
    pub(super) failed: BTreeMap<HostName, HostProblem>,
    pub(super) not_asked: Vec<HostName>,
}

impl Answers {
    pub(super) fn fails(&mut self, host: &HostName, message: String) {
        self.failed.insert(host.clone(), HostProblem::Fails(message));
    }

    pub(super) fn does_not_end(&mut self, host: &HostName, error: &ProcessError) {
        self.failed.insert(host.clone(), HostProblem::NotEnded(error.to_string()));
    }

    /// Whether every host that was asked about has a system.
    pub(super) fn are_good(&self) -> bool {
        self.failed.is_empty() && self.not_asked.is_empty()
    }

    /// Returns the systems that were found by evaluating a derivation, with what was warned of then.
    pub(super) fn to_keep(&self, warnings: &BTreeMap<HostName, Vec<String>>) -> BTreeMap<HostName, KeptHost> {
        let kept = |(host, target): (&HostName, &EvalTarget)| match target {
            EvalTarget::Derivation { derivation, output } => {
                let (derivation, output) = (derivation.clone(), output.clone());
                let warnings = warnings.get(host).cloned().unwrap_or_default();
                let configured = self.configured.get(host).cloned().map(Box::new);
                Some((host.clone(), KeptHost { derivation, output, warnings, configured }))
            }
            EvalTarget::Path(_) => None,
        };
        self.found.iter().filter_map(kept).collect()
    }

    pub(super) fn into_result(mut self) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
        if self.are_good() {
            return Ok(self.found);
        }
        self.not_asked.sort();
        Err(EvalError::Hosts { failed: self.failed, fine: self.found.into_keys().collect(), not_asked: self.not_asked })
    }
}
