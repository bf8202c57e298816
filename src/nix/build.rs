//! Builds the systems of many hosts with one nix, in one store, and roots them there if it is that of this machine. If
//! a build fails, it says for which hosts, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::builder::BuilderTrouble;
use super::copy::{Destination, MISREAD_MASTER};
use super::eval::EvalTarget;
use super::invoke::{AskError, Heard, QUESTION_LIMIT, ask, follow, nix, nix_store, with_settings};
use super::needs::Needs;
use super::plain::{plain, without_credentials};
use super::printout::last_lines;
use super::tracker::{BuildFailure, Tracker, name_of};
use crate::event::reason::build::BuildFault;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{HostName, NixSettings};
use crate::local::causes::below;
use crate::local::private;
use crate::local::process::{Finished, ProcessError};

/// The name of the garbage collector roots in the caller's folder: `system`, `system-1`, ...
const ROOT_NAME: &str = "system";

/// A derivation that failed in its own build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBuild {
    pub derivation: StorePath,
    /// For people: `linux-6.12.8`.
    pub name: String,
    /// Nix's words, often more than one line: `builder failed with exit code 2`, a hash mismatch, a missing platform.
    pub reason: String,
    /// The end of its log.
    pub log: Vec<String>,
    /// The hosts with systems that need it.
    pub hosts: Vec<HostName>,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    Folder {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    Failed {
        /// The hosts without their systems.
        hosts: Vec<HostName>,
        /// The hosts with systems that are built all the same.
        built: Vec<HostName>,
        /// What failed, where nix told; a host of `hosts` that is in none of these was not built because nix stopped
        /// before, or could not be fetched: then `message` is what is known.
        failures: Vec<FailedBuild>,
        /// Nix's last error.
        message: String,
    },
    /// Every system is there, but nix failed.
    Nix {
        message: String,
    },
    Process {
        /// The host in whose store it was; `None`: this machine's.
        machine: Option<HostName>,
        /// The derivations that were being built when the time was over.
        running: Vec<String>,
        #[source]
        source: ProcessError,
    },
    Ask(#[from] AskError),
    /// The machine that was to build has failed, not a build.
    Builder {
        machine: HostName,
        trouble: BuilderTrouble,
        message: String,
    },
}

/// Where a build is made.
#[derive(Debug, Clone, Copy)]
pub enum BuildStore<'run> {
    /// Here. `roots` is a folder of the run's own: what is in it is not garbage collected as long as it is there.
    Here { roots: &'run Path },
    /// In the store of a host, by its own nix: derivations and sources go there, and no path needs a signature, because
    /// its name says what is in it. Nothing roots what was built there when this ends.
    There(Destination<'run>),
}

impl BuildError {
    /// Returns the reason, if it is not one of each host.
    #[must_use]
    pub fn fault(&self) -> Option<BuildFault> {
        self.reason(below(self))
    }

    /// Returns the reason, with these words of the cause.
    fn reason(&self, said: String) -> Option<BuildFault> {
        Some(match self {
            Self::Folder { folder, .. } => BuildFault::RootsFolderMissing { path: folder.display().to_string(), said },
            Self::Failed { .. } => return None,
            Self::Nix { message } => BuildFault::NixFailedAfterBuild { said: message.clone() },
            Self::Process { machine, running, .. } => {
                BuildFault::BuildFailed { said: at_work(said, machine.as_ref(), running) }
            }
            Self::Ask(_) => BuildFault::BuildNotSeen { said },
            Self::Builder { machine, trouble, message } => trouble.fault(machine, message),
        })
    }
}

/// Its words are those of the reason; its cause is below it.
impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.reason(String::new())) {
            (Self::Failed { hosts, .. }, _) => {
                let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
                write!(formatter, "cannot build the system of {}", hosts.join(", "))
            }
            (_, reason) => reason.map_or(Ok(()), |reason| reason.fmt(formatter)),
        }
    }
}

/// Builds every target, and gives each host's system. `limit` is for the build; questions after a failure have their
/// own. A nix that builds on another machine has its own settings there, whatever `settings` says.
///
/// # Errors
/// See [`BuildError`]. What was built stays in the store, so that a second try goes on from there.
pub async fn build(
    targets: &BTreeMap<HostName, EvalTarget>,
    store: BuildStore<'_>,
    settings: &NixSettings,
    limit: Duration,
    mut hear: impl FnMut(Heard<'_>) + Send,
) -> Result<BTreeMap<HostName, StorePath>, BuildError> {
    if targets.is_empty() {
        return Ok(BTreeMap::new());
    }
    match store {
        BuildStore::Here { roots } => build_here(targets, (roots, settings), limit, &mut hear).await,
        BuildStore::There(builder) => build_there(targets, (builder, settings), limit, &mut hear).await,
    }
}

async fn build_here(
    targets: &BTreeMap<HostName, EvalTarget>,
    (roots, settings): (&Path, &NixSettings),
    limit: Duration,
    hear: &mut (impl FnMut(Heard<'_>) + Send),
) -> Result<BTreeMap<HostName, StorePath>, BuildError> {
    private::make_folders(roots).map_err(|source| BuildError::Folder { folder: roots.to_owned(), source })?;
    // Nix roots the outputs itself, before it lets go of them: there is no moment for a garbage collection.
    let invocation = with_settings(nix(limit).args(["build", "--keep-going"]), settings)
        .args(["--log-format", "internal-json", "--out-link"])
        .arg(roots.join(ROOT_NAME))
        .arg("--")
        .args(installables(targets));
    let (finished, tracker) = follow(invocation, Tracker::asking_for(derivations(targets)), u64::MAX, hear).await;
    let finished = ended(finished, &tracker, None)?;

    // Nothing is believed because nix exited 0; and with one failure nix prints nothing about the others.
    let missing = invalid(targets).await?;
    if missing.is_empty() && finished.succeeded() {
        return Ok(systems(targets));
    }
    let message = tracker.message();
    if missing.is_empty() {
        return Err(BuildError::Nix { message });
    }
    let (without, with): (Vec<_>, Vec<_>) = targets.iter().partition(|(_, target)| missing.contains(target.output()));
    let failures = blame(tracker.into_failures(), &without).await;
    let names = |hosts: Vec<(&HostName, &EvalTarget)>| hosts.into_iter().map(|(host, _)| host.clone()).collect();
    Err(BuildError::Failed { hosts: names(without), built: names(with), failures, message })
}

fn ended(
    finished: Result<Finished, ProcessError>,
    tracker: &Tracker,
    machine: Option<&HostName>,
) -> Result<Finished, BuildError> {
    finished.map_err(|source| {
        let running = tracker.progress().running.into_iter().map(|build| build.name).collect();
        BuildError::Process { machine: machine.cloned(), running, source }
    })
}

/// Adds to the words of a nix that came to no end where that was, and what it was building.
fn at_work(mut said: String, machine: Option<&HostName>, running: &[String]) -> String {
    /// More say no more to a person.
    const NAMED: usize = 4;
    if said.is_empty() {
        return said;
    }
    if let Some(machine) = machine {
        let _ = write!(said, " on {machine}");
    }
    if !running.is_empty() {
        let _ = write!(said, ", at {}", running[..running.len().min(NAMED)].join(", "));
    }
    said
}

fn systems(targets: &BTreeMap<HostName, EvalTarget>) -> BTreeMap<HostName, StorePath> {
    targets.iter().map(|(host, target)| (host.clone(), target.output().clone())).collect()
}

/// Builds in the store of a host.
///
/// Its nix does not hear of `--keep-going` (docs/facts.md, "Builds in the store of a host"): the first failure ends all
/// builds there. So it goes on without the hosts that need what has failed, and each round takes out one host at least.
async fn build_there(
    targets: &BTreeMap<HostName, EvalTarget>,
    (builder, settings): (Destination<'_>, &NixSettings),
    limit: Duration,
    hear: &mut (impl FnMut(Heard<'_>) + Send),
) -> Result<BTreeMap<HostName, StorePath>, BuildError> {
    let deadline = Instant::now() + limit;
    let mut left = targets.clone();
    let (mut failures, mut told, mut was_collected) = (Vec::new(), None, false);
    while !left.is_empty() {
        let time = deadline.saturating_duration_since(Instant::now());
        let (round, message) = match build_round(&left, (builder, settings), time, hear).await {
            Ok(Some(failed)) => failed,
            Ok(None) => break,
            // A garbage collection right behind the build.
            Err(BuildError::Nix { .. }) if !was_collected => {
                was_collected = true;
                continue;
            }
            Err(error) => return Err(error),
        };
        let asked: Vec<_> = left.iter().collect();
        let blamed = blame(round, &asked).await;
        let failed: BTreeSet<&HostName> = blamed.iter().flat_map(|failure| &failure.hosts).collect();
        told.get_or_insert(message);
        let before = left.len();
        left.retain(|host, _| !failed.contains(host));
        failures.extend(blamed);
        if left.len() == before {
            // It did not say for what it failed, so it would fail again.
            left.clear();
        }
    }
    let Some(message) = told else { return Ok(systems(targets)) };
    let hosts = targets.keys().filter(|host| !left.contains_key(*host)).cloned().collect();
    Err(BuildError::Failed { hosts, built: left.into_keys().collect(), failures, message })
}

/// Returns what has failed, with nix's last words, unless all was built.
async fn build_round(
    targets: &BTreeMap<HostName, EvalTarget>,
    (builder, settings): (Destination<'_>, &NixSettings),
    limit: Duration,
    hear: &mut (impl FnMut(Heard<'_>) + Send),
) -> Result<Option<(BTreeMap<StorePath, BuildFailure>, String)>, BuildError> {
    let deadline = Instant::now() + limit;
    let invocation = |ssh_options: &str| {
        let nix = nix(deadline.saturating_duration_since(Instant::now())).env("NIX_SSHOPTS", ssh_options);
        with_settings(nix.arg("build"), settings)
            .args(["--log-format", "internal-json", "--no-link", "--eval-store", "auto", "--store"])
            .arg(builder.store())
            .arg("--")
            .args(installables(targets))
    };
    let tracker = || Tracker::asking_for(derivations(targets));
    let ask_for = invocation(builder.ssh_options);
    let (mut finished, mut heard) = follow(ask_for, tracker(), u64::MAX, &mut *hear).await;
    if heard.message().contains(MISREAD_MASTER) {
        let again = invocation(&builder.without_master());
        (finished, heard) = follow(again, tracker(), u64::MAX, &mut *hear).await;
    }
    let finished = ended(finished, &heard, Some(builder.host))?;
    let machine = || builder.host.clone();
    if finished.succeeded() {
        // Nothing is believed because nix exited 0.
        let outputs: BTreeSet<&StorePath> = targets.values().map(EvalTarget::output).collect();
        let question = nix(QUESTION_LIMIT).env("NIX_SSHOPTS", builder.ssh_options);
        let question = question.args(["path-info", "--store"]).arg(builder.store()).arg("--").args(outputs);
        return match ask("nix path-info", question).await {
            Ok(_) => Ok(None),
            Err(AskError::Failed { message, .. }) if message.contains(" is not valid") => {
                Err(BuildError::Nix { message })
            }
            Err(AskError::Failed { message, .. }) => {
                Err(BuildError::Builder { machine: machine(), trouble: BuilderTrouble::Lost, message })
            }
            Err(error) => Err(error.into()),
        };
    }
    if !heard.has_failures()
        && let Some((trouble, message)) = BuilderTrouble::of(&heard)
    {
        return Err(BuildError::Builder { machine: machine(), trouble, message });
    }
    let message = heard.message();
    Ok(Some((heard.into_failures(), message)))
}

fn installables(targets: &BTreeMap<HostName, EvalTarget>) -> BTreeSet<String> {
    let installable = |target: &EvalTarget| match target {
        EvalTarget::Derivation { derivation, .. } => format!("{derivation}^out"),
        EvalTarget::Path(path) => path.to_string(),
    };
    targets.values().map(installable).collect()
}

fn derivations(targets: &BTreeMap<HostName, EvalTarget>) -> BTreeSet<String> {
    targets.values().filter_map(EvalTarget::derivation).map(ToString::to_string).collect()
}

/// Which outputs the store does not have: not by looking for files, since a failed build leaves some.
async fn invalid(targets: &BTreeMap<HostName, EvalTarget>) -> Result<BTreeSet<StorePath>, AskError> {
    const COMMAND: &str = "nix-store --check-validity";
    let outputs: BTreeSet<&StorePath> = targets.values().map(EvalTarget::output).collect();
    let question = nix_store(QUESTION_LIMIT).args(["--check-validity", "--print-invalid"]).args(outputs);
    store_paths(COMMAND, &ask(COMMAND, question).await?)
}

fn store_paths(command: &'static str, text: &str) -> Result<BTreeSet<StorePath>, AskError> {
    let path =
        |line: &str| StorePath::new(line).map_err(|error| AskError::Answer { command, answer: error.to_string() });
    text.lines().map(path).collect()
}

/// Says which hosts need which failed derivation. A question that is not answered leaves a host unexplained: the
/// failure is told all the same.
async fn blame(failures: BTreeMap<StorePath, BuildFailure>, without: &[(&HostName, &EvalTarget)]) -> Vec<FailedBuild> {
    if failures.is_empty() {
        return Vec::new();
    }
    let needs = Needs::of(without.iter().copied()).await;
    let explain = |(derivation, BuildFailure { reason, log }): (StorePath, BuildFailure)| {
        let hosts = needs.hosts_of(derivation.as_str()).into_iter().cloned();
        FailedBuild { name: name_of(derivation.as_str()), hosts: hosts.collect(), derivation, reason, log }
    };
    failures.into_iter().map(explain).collect()
}

/// The last `lines` lines of a build's log, as the local nix kept it.
///
/// # Errors
/// See [`AskError`]; also where nix keeps no logs.
pub async fn build_log(derivation: &StorePath, lines: usize, limit: Duration) -> Result<Vec<String>, AskError> {
    // Offline: a log that is not here is not on a cache either, since the build failed here.
    let question = nix(limit).args(["log", "--offline", "--"]).arg(derivation);
    let log = ask("nix log", question).await?;
    Ok(last_lines(&without_credentials(&plain(&log)), lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_an_end_says_where_it_was_and_at_what() {
        let web = HostName::new("web").unwrap();
        let source = || ProcessError::TimedOut { program: "nix".into(), limit: Duration::from_secs(9) };
        let said = |machine: Option<&HostName>, running: &[&str]| {
            let running = running.iter().map(ToString::to_string).collect();
            let fault = BuildError::Process { machine: machine.cloned(), running, source: source() }.fault();
            fault.unwrap().to_string()
        };
        assert_eq!(said(None, &[]), "cannot build the fleet: `nix` did not end within 9 s");
        let all = said(Some(&web), &["a", "b", "c", "d", "e"]);
        assert_eq!(all, "cannot build the fleet: `nix` did not end within 9 s on web, at a, b, c, d");
    }

    #[test]
    fn hosts_with_one_system_ask_for_it_once() {
        let path = |text: &str| StorePath::new(text).unwrap();
        let derivation = path("/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv");
        let output = path("/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1");
        let target = EvalTarget::Derivation { derivation, output: output.clone() };
        let host = |name| HostName::new(name).unwrap();
        let targets =
            BTreeMap::from([(host("a"), target.clone()), (host("b"), target), (host("c"), EvalTarget::Path(output))]);
        assert_eq!(
            installables(&targets).into_iter().collect::<Vec<_>>(),
            [
                "/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1",
                "/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv^out",
            ]
        );
    }
}
