//! Finds each host's system: what was evaluated before and has not changed is known, and some nix processes side by
//! side evaluate the others.
//!
//! Builds nothing (but what the evaluation itself imports), and touches no host. Only the hosts of a process that fails
//! are evaluated once more, each alone, to say which host it is.

mod answers;
mod arguments;
mod error;
mod flake_settings;
mod kept;
mod metadata;
mod question;
mod run;
mod window;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::invoke::{AskError, nix};
use super::version::{NixHere, NixVersion};
use crate::facts::configured::Configured;
use crate::facts::source::FlakeSource;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{EvaluationTerms, Host, HostName, NixSettings, Source};
use crate::local::process::Invocation;
use arguments::with_terms;
use flake_settings::flake_settings;
use kept::EvalKey;
use metadata::FlakeMetadata;
use run::{EvalRun, Evaluated};

pub use error::{EvalError, HostProblem};
pub use kept::KeptEvaluations;

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

/// What an evaluation is asked for.
#[derive(Clone, Copy)]
pub struct EvalRequest<'run> {
    pub source: &'run Source,
    pub hosts: &'run [Host],
    /// The folder of the inventory: what relative references are relative to.
    pub base: &'run Path,
    /// For everything, with the search for the hosts to blame.
    pub limit: Duration,
    pub terms: &'run EvaluationTerms,
    /// Where results are kept; `None`: nowhere.
    pub kept: Option<&'run KeptEvaluations>,
}

/// The news of an evaluation.
#[derive(Debug)]
pub enum EvalNews<'now> {
    /// What nix prints, for the record: its warnings, `trace:`, and errors with where they come from; of all hosts, or
    /// of one host that is evaluated alone.
    Printed { host: Option<&'now HostName>, lines: Vec<String> },
    /// A warning of an evaluation whose result was kept.
    Warned(&'now str),
    /// So many hosts are evaluated of those that have to be.
    Moved { done: usize, of: usize },
}

/// Hears the news. It must not wait: nix stands still meanwhile.
pub type HearEvaluation<'run> = dyn Fn(EvalNews<'_>) + Send + Sync + 'run;

/// The systems of a fleet, and where they come from.
#[derive(Debug)]
pub struct Evaluation {
    pub targets: BTreeMap<HostName, EvalTarget>,
    /// What hosts are configured to be, of those whose configuration could be looked at.
    pub configured: BTreeMap<HostName, Configured>,
    /// How many of them were evaluated before, and nothing has changed since.
    pub kept: usize,
    /// The flake as it was evaluated.
    pub source: Option<FlakeSource>,
    /// The settings of Nix that are for the builds: those of the flake, if they are taken over, below those of the
    /// terms.
    pub settings: NixSettings,
}

/// How often a fleet is evaluated anew because its flake was changed meanwhile.
const TRIES: usize = 3;

/// An evaluation that is about to begin: it knows what the flake is at this moment.
pub struct Evaluator<'run> {
    request: EvalRequest<'run>,
    deadline: Instant,
    version: Result<NixVersion, AskError>,
    look: FlakeLook,
}

/// What Nix has said of a flake at one moment.
#[derive(Debug, Default)]
pub struct FlakeLook {
    metadata: Option<FlakeMetadata>,
    /// What nix has printed beside it.
    printed: Vec<String>,
}

impl<'run> Evaluator<'run> {
    /// Asks what the flake is, and which nix this is. Whatever is wrong with a flake, the evaluation says it.
    pub async fn begin(request: EvalRequest<'run>) -> Self {
        Self::begin_with(request, &NixHere::default(), None).await
    }

    /// The same, where somebody else may have asked that nix already, and has looked at the flake a moment ago.
    pub async fn begin_with(request: EvalRequest<'run>, nix: &NixHere, looked: Option<FlakeLook>) -> Self {
        let deadline = Instant::now() + request.limit;
        let look = async {
            match looked {
                Some(look) => look,
                None => look_at_flake(&request, deadline).await,
            }
        };
        let (version, look) = tokio::join!(nix.version(request.limit), look);
        Self { request, deadline, version: version.cloned(), look }
    }

    /// Leaves what the flake was to an evaluation that begins at once.
    #[must_use]
    pub fn into_look(self) -> FlakeLook {
        self.look
    }

    /// Returns what the systems come from, if it is a flake and nix says it.
    #[must_use]
    pub fn source(&self) -> Option<&FlakeSource> {
        self.look.metadata.as_ref().map(|metadata| &metadata.source)
    }

    /// # Errors
    /// See [`AskError`].
    pub fn version(&self) -> Result<&NixVersion, &AskError> {
        self.version.as_ref()
    }

    /// Gives each host's system.
    ///
    /// # Errors
    /// See [`EvalError`]; with [`EvalError::Hosts`] every other host is known to be fine.
    pub async fn evaluate(mut self, hear: &HearEvaluation<'_>) -> Result<Evaluation, EvalError> {
        let EvalRequest { source, hosts, terms, .. } = self.request;
        match source {
            Source::System => {
                let (targets, settings) = (named_systems(hosts), terms.options.clone());
                let configured = BTreeMap::new();
                return Ok(Evaluation { targets, configured, kept: 0, source: None, settings });
            }
            Source::Flake { flake, .. } => ensure_flake_reference(flake)?,
            Source::File { .. } => {}
        }
        let names: Vec<HostName> = hosts.iter().map(|host| host.name.clone()).collect();
        for _ in 0..TRIES {
            let printed = std::mem::take(&mut self.look.printed);
            if !printed.is_empty() {
                hear(EvalNews::Printed { host: None, lines: printed });
            }
            let flake = self.look.metadata.clone();
            if let Some(evaluation) = self.evaluate_once(&names, hear).await? {
                return self.with_settings_of_flake(evaluation, flake).await;
            }
        }
        Err(EvalError::Changing { source_name: source_name(source) })
    }

    /// Adds what the flake's own settings say of builds, where they are taken over.
    async fn with_settings_of_flake(
        &self,
        mut evaluation: Evaluation,
        flake: Option<FlakeMetadata>,
    ) -> Result<Evaluation, EvalError> {
        let Some(flake) = flake.filter(|_| self.request.terms.accept_flake_config) else { return Ok(evaluation) };
        let limit = self.deadline.saturating_duration_since(Instant::now());
        let nix = nix(limit).args(["--option", "accept-flake-config", "false"]).folder(self.request.base);
        let mut settings = flake_settings(nix, &flake).await.map_err(|error| {
            let message = error.to_string();
            EvalError::Source { source_name: source_name(self.request.source), message }
        })?;
        settings.append(&mut evaluation.settings);
        evaluation.settings = settings;
        Ok(evaluation)
    }

    /// `None`: the flake was changed meanwhile, so that its hosts may be of different states.
    async fn evaluate_once(
        &mut self,
        names: &[HostName],
        hear: &HearEvaluation<'_>,
    ) -> Result<Option<Evaluation>, EvalError> {
        let kept = self.request.kept.zip(self.key());
        let known = match &kept {
            Some((kept, key)) if !self.request.terms.anew => kept.known(key, names).await,
            _ => BTreeMap::new(),
        };
        for warning in known.values().flat_map(|host| &host.warnings) {
            hear(EvalNews::Warned(warning));
        }
        let left: Vec<HostName> = names.iter().filter(|name| !known.contains_key(name)).cloned().collect();
        let mut targets: BTreeMap<_, _> = known.iter().map(|(host, kept)| (host.clone(), kept.into())).collect();
        let looked =
            |(host, kept): (&HostName, &kept::KeptHost)| Some((host.clone(), kept.configured.as_deref().cloned()?));
        let mut configured: BTreeMap<_, _> = known.iter().filter_map(looked).collect();
        let known = known.len();
        let source = self.source().cloned();
        let settings = self.request.terms.options.clone();
        if left.is_empty() {
            return Ok(Some(Evaluation { targets, configured, kept: known, source, settings }));
        }
        let run = EvalRun { request: &self.request, deadline: self.deadline, hear };
        let Evaluated { mut answers, warnings, processes } = run.evaluate(&left).await?;
        if let Some(before) = self.look.metadata.take() {
            // Nix reads a tree that is not committed anew in each process, and it may be edited meanwhile.
            let look = look_at_flake(&self.request, self.deadline).await;
            let is_same = look.metadata.as_ref().is_some_and(|now| now.is_same(&before));
            if let Some((kept, key)) = kept.filter(|_| is_same) {
                kept.keep(&key, answers.to_keep(&warnings));
            }
            if !is_same && answers.are_good() && (processes > 1 || known > 0) {
                self.look = look;
                return Ok(None);
            }
        }
        configured.append(&mut answers.configured);
        targets.extend(answers.into_result()?);
        Ok(Some(Evaluation { targets, configured, kept: known, source, settings }))
    }

    fn key(&self) -> Option<EvalKey> {
        let Source::Flake { attr, .. } = self.request.source else { return None };
        EvalKey::of(self.look.metadata.as_ref()?, attr, self.request.terms, self.version.as_ref().ok()?)
    }
}

/// Asks what the flake is. A lock file that nix has written for that makes it another one.
async fn look_at_flake(request: &EvalRequest<'_>, deadline: Instant) -> FlakeLook {
    let Some(question) = flake_question(request, deadline, &["metadata", "--json"]) else {
        return FlakeLook::default();
    };
    let (metadata, mut printed) = FlakeMetadata::ask(&question).await;
    if !printed.iter().any(|line| line.contains("lock file")) {
        return FlakeLook { metadata: metadata.ok(), printed };
    }
    let (metadata, again) = FlakeMetadata::ask(&question).await;
    printed.extend(again);
    FlakeLook { metadata: metadata.ok(), printed }
}

/// Returns a question about the flake; `None`: it is none.
fn flake_question(request: &EvalRequest<'_>, deadline: Instant, words: &[&str]) -> Option<Invocation> {
    let Source::Flake { flake, .. } = request.source else { return None };
    ensure_flake_reference(flake).ok()?;
    let limit = deadline.saturating_duration_since(Instant::now());
    let question = with_terms(nix(limit).arg("flake").args(words), request.terms, request.source);
    Some(question.arg("--").arg(flake).folder(request.base))
}

fn source_name(source: &Source) -> String {
    match source {
        Source::Flake { flake, .. } => format!("the flake {flake}"),
        Source::File { file, .. } => format!("the file {}", file.display()),
        Source::System => "the inventory".to_owned(),
    }
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
