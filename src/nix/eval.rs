//! Finds each host's system by one evaluation for the whole fleet.
//!
//! Builds nothing (but what the evaluation itself imports), and touches no host. Only when the one evaluation fails it
//! goes host by host, to say which host it is.

mod answers;
mod error;
mod metadata;
mod question;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::facts::source::FlakeSource;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName, Source};
use crate::nix::invoke::nix;
use answers::Answers;
use metadata::FlakeMetadata;
use question::{EvalQuestion, EvalRoot};

pub use error::{EvalError, HostProblem};

/// The system that a host is to run, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvalTarget {
    /// To be built, or substituted.
    Derivation { derivation: StorePath, output: StorePath },
    /// Named by its store path: valid already, or to be substituted.
    Path(StorePath),
}

impl EvalTarget {
    /// The system itself.
    #[must_use]
    pub fn output(&self) -> &StorePath {
        match self {
            Self::Derivation { output, .. } | Self::Path(output) => output,
        }
    }

    /// The derivation it is built from, if it is to be built.
    #[must_use]
    pub fn derivation(&self) -> Option<&StorePath> {
        match self {
            Self::Derivation { derivation, .. } => Some(derivation),
            Self::Path(_) => None,
        }
    }
}

/// Says which flake the systems come from, as it is at this moment. `base` is the folder of the inventory. `None`: it is
/// no flake, or nix does not say; then the evaluation says why.
pub async fn flake_source(source: &Source, base: &Path, limit: Duration) -> Option<FlakeSource> {
    let Source::Flake { flake, .. } = source else { return None };
    ensure_flake_reference(flake).ok()?;
    let question = nix(limit).args(["flake", "metadata", "--json", "--"]).arg(flake).folder(base);
    FlakeMetadata::ask(question).await.ok().map(|metadata| metadata.source)
}

/// Hears what nix prints while it evaluates, for the record: its warnings, `trace:`, and errors with where they come
/// from; of all hosts together, or of one host, while the host to blame is looked for.
pub type HearPrinted<'run> = dyn Fn(Option<&HostName>, Vec<String>) + Send + Sync + 'run;

/// Gives each host's system. `base` is the folder of the inventory: what relative references are relative to. `limit`
/// is for everything, with the search for the host to blame.
///
/// # Errors
/// See [`EvalError`]; with [`EvalError::Hosts`] every other host is known to be fine.
pub async fn evaluate(
    source: &Source,
    hosts: &[Host],
    base: &Path,
    limit: Duration,
    hear: &HearPrinted<'_>,
) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
    let names = || hosts.iter().map(|host| host.name.clone());
    let questions = match source {
        Source::System => return Ok(named_systems(hosts)),
        Source::File { file, attr } => {
            vec![EvalQuestion {
                root: EvalRoot::File(base.join(file)),
                template: attr.components().to_vec(),
                above: Vec::new(),
                hosts: names().collect(),
            }]
        }
        Source::Flake { flake, attr } => {
            ensure_flake_reference(flake)?;
            // One question for each attribute of the flake that is entered: that is one, unless its very first part
            // depends on the host.
            let mut groups: BTreeMap<String, Vec<HostName>> = BTreeMap::new();
            for host in names() {
                groups.entry(attr.first_for(host.as_str())).or_default().push(host);
            }
            let question = |(first, hosts): (String, Vec<HostName>)| EvalQuestion {
                root: EvalRoot::Flake { reference: flake.clone(), folder: base.to_owned(), attribute: first.clone() },
                template: attr.below_first().to_vec(),
                above: vec![first],
                hosts,
            };
            groups.into_iter().map(question).collect()
        }
    };
    let deadline = Instant::now() + limit;
    let mut answers = Answers::default();
    for question in questions {
        question.answer(deadline, hear, &mut answers).await?;
    }
    answers.into_result()
}

/// Returns what the inventory names for each host: systems that are in the store here, or are to be substituted.
fn named_systems(hosts: &[Host]) -> BTreeMap<HostName, EvalTarget> {
    let system = |host: &Host| host.system.clone().expect("the inventory refuses such a fleet with a host without one");
    hosts.iter().map(|host| (host.name.clone(), EvalTarget::Path(system(host)))).collect()
}

/// # Errors
/// [`EvalError::Flake`] if nix would read something else than a flake reference in it.
pub(super) fn ensure_flake_reference(flake: &str) -> Result<(), EvalError> {
    let wrong = flake.is_empty()
        || flake.starts_with('-')
        || flake.contains(|character: char| character == '#' || character.is_control());
    if wrong { Err(EvalError::Flake(flake.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
