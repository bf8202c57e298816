//! Collects the system, or the problem, of each host.

use std::collections::BTreeMap;

use super::{EvalError, EvalTarget, HostProblem};
use crate::inventory::model::HostName;
use crate::local::process::Finished;
use crate::nix::invoke::message_of;

#[derive(Default)]
pub(super) struct Answers {
    pub(super) found: BTreeMap<HostName, EvalTarget>,
    pub(super) failed: BTreeMap<HostName, HostProblem>,
    pub(super) not_asked: Vec<HostName>,
}

impl Answers {
    pub(super) fn fails(&mut self, host: &HostName, finished: &Finished) {
        self.failed.insert(host.clone(), HostProblem::Fails(message_of(&finished.stderr_text())));
    }

    pub(super) fn into_result(mut self) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
        if self.failed.is_empty() && self.not_asked.is_empty() {
            return Ok(self.found);
        }
        self.not_asked.sort();
        Err(EvalError::Hosts { failed: self.failed, fine: self.found.into_keys().collect(), not_asked: self.not_asked })
    }
}
