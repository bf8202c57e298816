//! Collects the system, or the problem, of each host.

use std::collections::BTreeMap;
use std::path::Path;

use super::{EvalError, EvalTarget, HostProblem};
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName};
use crate::local::process::Finished;
use crate::nix::invoke::message_of;

#[derive(Default)]
pub(super) struct Answers {
    pub(super) found: BTreeMap<HostName, EvalTarget>,
    pub(super) failed: BTreeMap<HostName, HostProblem>,
    pub(super) not_asked: Vec<HostName>,
}

impl Answers {
    pub(super) fn from_paths(hosts: &[Host], base: &Path) -> Self {
        let mut answers = Self::default();
        for host in hosts {
            match named_system(host, base) {
                Ok(path) => drop(answers.found.insert(host.name.clone(), EvalTarget::Path(path))),
                Err(problem) => drop(answers.failed.insert(host.name.clone(), problem)),
            }
        }
        answers
    }

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

/// A `system` is a store path, here or to be substituted, or a link to one (`./result`, a profile's generation).
fn named_system(host: &Host, base: &Path) -> Result<StorePath, HostProblem> {
    let path = host.system.as_deref().ok_or(HostProblem::NotNamed)?;
    if let Some(Ok(system)) = path.to_str().map(StorePath::new) {
        return Ok(system);
    }
    let refuse = |reason| HostProblem::NotInTheStore { path: path.to_owned(), reason };
    let real = base.join(path).canonicalize().map_err(|error| refuse(error.to_string()))?;
    let real = real.to_str().ok_or_else(|| refuse("it is not UTF-8".to_owned()))?;
    StorePath::new(real).map_err(|error| refuse(error.to_string()))
}
