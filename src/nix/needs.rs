//! Tells which derivations go into which host's system: which hosts wait for a build, and which a failure concerns.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{FutureExt, StreamExt};

use super::eval::EvalTarget;
use super::invoke::{QUESTION_LIMIT, ask, nix_store};
use crate::inventory::model::HostName;

const COMMAND: &str = "nix-store --query --requisites";

/// Questions about closures of derivations at a time.
const QUESTIONS_AT_A_TIME: usize = 4;

/// For each derivation the hosts with systems that are built from it, directly or not.
///
/// Hosts of a fleet have most of their thousands of derivations in common, so each stands here once.
#[derive(Debug, Default)]
pub struct Needs {
    hosts: Vec<HostName>,
    /// By the places of the hosts in `hosts`.
    needed_by: HashMap<String, Vec<usize>>,
}

impl Needs {
    /// Asks the local store about every target that is to be built. A question that is not answered leaves its host
    /// without needs.
    pub async fn of<'fleet>(targets: impl IntoIterator<Item = (&'fleet HostName, &'fleet EvalTarget)>) -> Self {
        // One question for hosts with one system.
        let mut asked: BTreeMap<&str, Vec<&HostName>> = BTreeMap::new();
        for (host, target) in targets {
            if let Some(derivation) = target.derivation() {
                asked.entry(derivation.as_str()).or_default().push(host);
            }
        }
        // Boxed in a list: what waits for this could not be given to another thread otherwise (rust-lang/rust#102211).
        let questions: Vec<_> =
            asked.into_iter().map(|(derivation, hosts)| requisites(derivation, hosts).boxed()).collect();
        let mut answers = futures::stream::iter(questions).buffer_unordered(QUESTIONS_AT_A_TIME);
        let mut needs = Self::default();
        while let Some((hosts, answer)) = answers.next().await {
            needs.add(&hosts, &answer);
        }
        needs
    }

    /// `requisites` are all paths that go into a derivation, with itself and with sources, which are not built.
    fn add(&mut self, hosts: &[&HostName], requisites: &str) {
        let first = self.hosts.len();
        self.hosts.extend(hosts.iter().copied().cloned());
        for derivation in requisites.lines().filter(|path| path.strip_suffix(".drv").is_some()) {
            self.needed_by.entry(derivation.to_owned()).or_default().extend(first..self.hosts.len());
        }
    }

    /// Returns the hosts with systems that need `derivation`.
    #[must_use]
    pub fn hosts_of(&self, derivation: &str) -> BTreeSet<&HostName> {
        let places = self.needed_by.get(derivation).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|&place| &self.hosts[place]).collect()
    }
}

/// A question that is not answered has nothing in its answer.
async fn requisites<'fleet>(derivation: &str, hosts: Vec<&'fleet HostName>) -> (Vec<&'fleet HostName>, String) {
    let question = nix_store(QUESTION_LIMIT).args(["--query", "--requisites"]).arg(derivation);
    (hosts, ask(COMMAND, question).await.unwrap_or_default())
}

#[cfg(test)]
impl Needs {
    /// Returns the answer of the store for these hosts.
    pub(crate) fn from_answers(answers: &[(&HostName, &str)]) -> Self {
        let mut needs = Self::default();
        for (host, requisites) in answers {
            needs.add(&[host], requisites);
        }
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derivation_belongs_to_every_host_that_needs_it() {
        let host = |name| HostName::new(name).unwrap();
        let (vps, home, nas) = (host("vps"), host("home"), host("nas"));
        let mut needs = Needs::default();
        needs.add(&[&vps, &home], "/nix/store/a-source.sh\n/nix/store/b-linux.drv\n/nix/store/c-top.drv\n");
        needs.add(&[&nas], "/nix/store/b-linux.drv\n/nix/store/d-top.drv\n");
        assert_eq!(needs.hosts_of("/nix/store/b-linux.drv"), [&vps, &home, &nas].into());
        assert_eq!(needs.hosts_of("/nix/store/d-top.drv"), [&nas].into());
        assert_eq!(needs.hosts_of("/nix/store/a-source.sh"), [].into());
    }
}
