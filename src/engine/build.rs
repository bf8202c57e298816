//! Phase 1: evaluates the systems, makes one build for the whole fleet, and puts each error to the host it belongs to.

mod groups;
mod rows;
mod signing;

pub(super) use groups::store_of;
pub(super) use signing::{KEY_LIMIT, SIGN_LIMIT};

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use self::rows::{BuildRows, shown};
use super::inquiry::{FleetScope, Inquiry, Phased};
use super::mutex::lock;
use crate::event::activity::Doing;
use crate::event::reason::build::{BuildFault, BuildNote};
use crate::event::reason::refusal::Refusal;
use crate::event::{Bytes, Event, Phase};
use crate::facts::source::FlakeSource;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName, Source};
use crate::nix;

/// The pause between two changes of a row, all hosts together.
const ROW_INTERVAL: Duration = Duration::from_millis(200);

/// The most hosts for which the rows say what is built for each. With more, a question to the store for each host would
/// burden the machine that builds, and no screen has so many rows.
const MOST_ROWS: usize = 50;

/// The most lines of a failed build's log that go to the record.
const LOG_LINES: usize = 2000;

/// The most lines of all failed builds' logs that go to the record: each log is told for each of its hosts.
const ALL_LOG_LINES: usize = 50_000;

/// The most failed builds that have their whole logs told; all have their last lines told.
const LOGS: usize = 10;

/// The most warnings of an evaluation that are told; the record has all.
const MOST_WARNINGS: usize = 50;

/// How long the refusal may wait for those logs.
const LOG_LIMIT: Duration = Duration::from_secs(10);

/// What the evaluation has said so far.
#[derive(Default)]
struct EvalNotes {
    warned: BTreeSet<String>,
    traces: usize,
    first_trace: Option<String>,
}

impl Inquiry<'_> {
    pub(super) async fn build(&self) -> Phased<BTreeMap<HostName, StorePath>> {
        let FleetScope { fleet, selected, .. } = self.scope;
        self.tell(Event::PhaseStarted { phase: Phase::Build });
        let hosts: Vec<Host> = fleet.hosts.iter().filter(|host| selected.contains(&host.name)).cloned().collect();
        // A key that cannot sign is better known before an evaluation of minutes.
        self.ensure_keys_sign(&hosts).await?;
        // What both carry over their waits would be a part of the whole push.
        let nix::Evaluation { targets, settings, configured, .. } = Box::pin(self.evaluate(&hosts)).await?;
        *lock(&self.configured) = configured;
        let systems = Box::pin(self.build_groups(&hosts, targets, settings)).await?;
        self.sign(&hosts, &systems).await?;
        for host in &hosts {
            self.tell(Event::HostDone { host: host.name.clone(), phase: Phase::Build });
        }
        Ok(systems)
    }

    async fn evaluate(&self, hosts: &[Host]) -> Phased<nix::Evaluation> {
        let FleetScope { fleet, folder, evaluations, .. } = self.scope;
        self.tell(build_moved(&nix::NixProgress::default(), Doing::Evaluating.to_string()));
        let request = nix::EvalRequest {
            source: &fleet.source,
            hosts,
            base: folder,
            limit: fleet.build_limit,
            terms: &fleet.evaluation,
            kept: evaluations.as_ref(),
        };
        let evaluator = nix::Evaluator::begin_with(request, &self.nix, self.scope.source.looked()).await;
        if let Some(old) = evaluator.version().ok().filter(|version| !version.is_new_enough()) {
            let oldest = nix::OLDEST_TEXT.to_owned();
            self.tell(Event::failed(None, BuildFault::WorkstationNixOld { version: old.to_string(), oldest }));
            return Err(Refusal::SystemsNotEvaluated);
        }
        let version = evaluator.version().ok().cloned();
        self.source_known(evaluator.source(), version.as_ref())?;
        let notes = Mutex::new(EvalNotes::default());
        let hear = |news: nix::EvalNews<'_>| self.hear_evaluation(news, &notes);
        let evaluation = evaluator.evaluate(&hear).await.map_err(|error| self.evaluation_failed(&error))?;
        let EvalNotes { traces, first_trace, .. } = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = first_trace {
            self.warn(None, BuildNote::EvaluationTraced { count: traces, first });
        }
        if let Some(source) = &evaluation.source {
            self.source_known(Some(source), version.as_ref())?;
        }
        if fleet.source != Source::System {
            let kept = evaluation.kept;
            self.tell(Event::Evaluated { anew: evaluation.targets.len().saturating_sub(kept), kept });
        }
        Ok(evaluation)
    }

    fn hear_evaluation(&self, news: nix::EvalNews<'_>, notes: &Mutex<EvalNotes>) {
        let warn = |said: &str| {
            let mut notes = lock(notes);
            // Several processes, and a host that is asked alone to find the one to blame, say the same again.
            if notes.warned.len() < MOST_WARNINGS && notes.warned.insert(said.to_owned()) {
                self.warn(None, BuildNote::EvaluationWarning { said: said.to_owned() });
            }
        };
        match news {
            nix::EvalNews::Printed { host, lines } => {
                for said in nix::evaluation_warnings(&lines) {
                    warn(&said);
                }
                for said in nix::evaluation_traces(&lines) {
                    let mut notes = lock(notes);
                    notes.traces += 1;
                    notes.first_trace.get_or_insert_with(|| said.to_owned());
                }
                self.tell(Event::Printed { host: host.cloned(), by: "nix eval".to_owned(), lines });
            }
            nix::EvalNews::Warned(said) => warn(said),
            nix::EvalNews::Moved { done, of } => {
                let doing = Doing::EvaluatingHosts { done, of }.to_string();
                self.tell(build_moved(&nix::NixProgress::default(), doing));
            }
        }
    }

    /// Looks at what the systems come from, before anything is evaluated and once more after it: here a push may be
    /// refused for it.
    fn source_known(&self, known: Option<&FlakeSource>, version: Option<&nix::NixVersion>) -> Phased<()> {
        let FleetScope { fleet, folder, source, .. } = self.scope;
        source.take(fleet, folder, known, version, self.events)
    }

    /// Says what is being built for each host, from the first derivation to the end of the build.
    async fn tell_rows(
        &self,
        targets: &BTreeMap<HostName, nix::EvalTarget>,
        is_wanted: bool,
        begun: &Notify,
        rows: &Mutex<BuildRows>,
    ) -> Infallible {
        if !is_wanted {
            std::future::pending::<()>().await;
        }
        begun.notified().await;
        let needs = nix::Needs::of(targets).await;
        lock(rows).know(needs);
        let mut ticks = interval(ROW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some((host, doing)) = lock(rows).next_changed() {
                self.tell(Event::moved(&host, doing));
            }
        }
    }

    fn evaluation_failed(&self, error: &nix::EvalError) -> Refusal {
        if let nix::EvalError::Hosts { failed, .. } = error {
            for (host, problem) in failed {
                let fault = BuildFault::from(problem);
                let fault = self.untracked(&fault.to_string()).unwrap_or(fault);
                self.tell(Event::failed(Some(host), fault));
            }
        } else if let Some(fault) = error.fault() {
            let fault = self.untracked(&fault.to_string()).unwrap_or(fault);
            self.tell(Event::failed(None, fault));
        }
        Refusal::SystemsNotEvaluated
    }

    fn untracked(&self, said: &str) -> Option<BuildFault> {
        let nix::UntrackedFile { repository, file } =
            nix::untracked_file(&self.scope.fleet.source, &self.scope.folder, said)?;
        let (file, repository) = (file.display().to_string(), repository.display().to_string());
        Some(BuildFault::FileUntracked { file, repository, said: said.to_owned() })
    }

    /// Tells why the systems of these hosts were not built, on `machine` or here.
    async fn build_failed(&self, of: &[HostName], machine: Option<&HostName>, error: &nix::BuildError) {
        if let nix::BuildError::Failed { hosts, failures, message, .. } = error {
            for failure in failures {
                let name = failure.name.clone();
                let fault = if let Some(missing) = nix::missing_builder(&failure.reason) {
                    let nix::MissingBuilder { system_type, features } = missing;
                    BuildFault::BuilderMissing { name, system_type, features, machine: machine.cloned() }
                } else {
                    let (said, derivation) = (failure.reason.clone(), failure.derivation.clone());
                    BuildFault::DerivationFailed { name, said, derivation, machine: machine.cloned() }
                };
                for host in &failure.hosts {
                    self.tell(Event::failed(Some(host), fault.clone()));
                    // What has never run has no log.
                    if !failure.log.is_empty() {
                        let what = format!("build of {}", failure.name);
                        self.tell(Event::Logged { host: host.clone(), what, lines: failure.log.clone() });
                    }
                }
            }
            for host in hosts.iter().filter(|host| !failures.iter().any(|failure| failure.hosts.contains(host))) {
                self.tell(Event::failed(Some(host), BuildFault::SystemNotBuilt { said: message.clone() }));
            }
            // The log of a build in the store of a host stays there.
            if machine.is_none() {
                self.record_logs(failures).await;
            }
        } else if let Some(fault) = error.fault() {
            if machine.is_some() {
                for host in of {
                    self.tell(Event::failed(Some(host), fault.clone()));
                }
            } else {
                self.tell(Event::failed(None, fault));
            }
        }
    }

    /// Tells the whole logs of the failed builds, for the record: for every host that needs the build. A log that
    /// cannot be read does no harm, because its end was told already.
    async fn record_logs(&self, failures: &[nix::FailedBuild]) {
        let told = failures.iter().filter(|failure| !failure.hosts.is_empty()).take(LOGS);
        let logs: Vec<_> = told.map(|failure| log_of(failure).boxed()).collect();
        let mut left = ALL_LOG_LINES;
        for (failure, lines) in futures::future::join_all(logs).await {
            for host in &failure.hosts {
                if lines.is_empty() || lines.len() > left {
                    break;
                }
                left -= lines.len();
                let by = format!("build of {}", failure.name);
                self.tell(Event::Printed { host: Some(host.clone()), by, lines: lines.clone() });
            }
        }
    }
}

async fn log_of(failure: &nix::FailedBuild) -> (&nix::FailedBuild, Vec<String>) {
    (failure, nix::build_log(&failure.derivation, LOG_LINES, LOG_LIMIT).await.unwrap_or_default())
}

fn doing(progress: &nix::NixProgress) -> String {
    let nix::NixProgress { running, transferring, copied, looking, .. } = progress;
    match (running.first(), transferring) {
        (Some(build), _) => shown(build),
        (None, Some(name)) => format!("downloading {name}"),
        (None, None) if copied.expected > copied.done => "downloading".to_owned(),
        (None, None) if *looking => Doing::AskingCaches.to_string(),
        (None, None) => String::new(),
    }
}

fn build_moved(progress: &nix::NixProgress, doing: String) -> Event {
    let nix::NixProgress { builds, transferring, .. } = progress;
    let nix::Amount { done, expected } = progress.fetched();
    Event::BuildMoved {
        done: builds.done,
        expected: builds.expected,
        doing,
        running: builds.running,
        download: Bytes { done_bytes: done, expected_bytes: expected },
        downloading: transferring.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_comes_before_what_is_downloaded() {
        let mut progress = nix::NixProgress { looking: true, ..nix::NixProgress::default() };
        assert_eq!(doing(&progress), "asking the binary caches");
        progress.transferring = Some("linux-6.12.8".into());
        assert_eq!(doing(&progress), "downloading linux-6.12.8");
        progress.running = vec![nix::RunningBuild {
            derivation: "/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-etc.drv".into(),
            name: "etc".into(),
            phase: Some("installPhase".into()),
            machine: None,
            last_line: None,
        }];
        assert_eq!(doing(&progress), "etc (installPhase)");
        let moved = build_moved(&progress, doing(&progress));
        assert!(
            matches!(&moved, Event::BuildMoved { downloading: Some(name), .. } if name == "linux-6.12.8"),
            "{moved:?}"
        );
    }
}
