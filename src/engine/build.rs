//! Phase 1: one evaluation and one build for the whole fleet; errors are put to the host they belong to.

use std::collections::BTreeMap;

use super::push::{Phased, Push, Refused, Request, chain};
use crate::event::{Bytes, Event, Phase};
use crate::inventory::model::{Host, HostName};
use crate::local::process::ProcessError;
use crate::nix;
use crate::store_path::StorePath;

impl Push<'_> {
    pub(super) async fn build(&self) -> Phased<BTreeMap<HostName, StorePath>> {
        let Request { fleet, folder, selected, roots, .. } = self.request;
        self.tell(Event::PhaseStarted { phase: Phase::Build });
        let hosts: Vec<Host> = fleet.hosts.iter().filter(|host| selected.contains(&host.name)).cloned().collect();
        self.tell(build_moved(&nix::Progress::default(), "evaluating".to_owned()));
        let evaluation = nix::evaluate(&fleet.source, &hosts, folder, fleet.build_limit);
        let (version, evaluated) = tokio::join!(nix::version(fleet.build_limit), evaluation);
        if let Some(old) = version.ok().filter(|version| !version.is_new_enough()) {
            let hint = format!("install Nix {} or newer here", nix::OLDEST_TEXT);
            self.fail(None, format!("this workstation has {old}, which is too old"), Some(hint));
            return Err(Refused { text: "the systems could not be evaluated".to_owned() });
        }
        let targets = evaluated.map_err(|error| self.evaluation_failed(&error))?;
        let on_progress = |progress: &nix::Progress| self.tell(build_moved(progress, doing(progress)));
        let built = nix::build(&targets, roots, fleet.build_limit, on_progress).await;
        let systems = built.map_err(|error| self.build_failed(&error))?;
        for host in &hosts {
            self.tell(Event::HostDone { host: host.name.clone(), phase: Phase::Build });
        }
        Ok(systems)
    }

    fn evaluation_failed(&self, error: &nix::EvalError) -> Refused {
        if let nix::EvalError::Hosts { failed, .. } = error {
            for (host, problem) in failed {
                self.fail(Some(host), problem.to_string(), None);
            }
        } else {
            let no_nix = matches!(error, nix::EvalError::Process(ProcessError::Start { .. }));
            let hint = no_nix.then(|| "`nix` must be in PATH: install Nix".to_owned());
            self.fail(None, chain(error), hint);
        }
        Refused { text: "the systems could not be evaluated".to_owned() }
    }

    fn build_failed(&self, error: &nix::BuildError) -> Refused {
        if let nix::BuildError::Failed { hosts, failures, message, .. } = error {
            for failure in failures {
                for host in &failure.hosts {
                    let text = format!("cannot build its system: {} failed: {}", failure.name, failure.reason);
                    self.fail(Some(host), text, Some(format!("nix log {}", failure.derivation)));
                    let what = format!("build of {}", failure.name);
                    self.tell(Event::Logged { host: host.clone(), what, lines: failure.log.clone() });
                }
            }
            for host in hosts.iter().filter(|host| !failures.iter().any(|failure| failure.hosts.contains(host))) {
                self.fail(Some(host), format!("its system was not built: {message}"), None);
            }
        } else {
            self.fail(None, chain(error), None);
        }
        Refused { text: "the systems could not be built".to_owned() }
    }
}

fn doing(progress: &nix::Progress) -> String {
    match progress.running.first() {
        Some(build) => match &build.phase {
            Some(phase) => format!("{} ({phase})", build.name),
            None => build.name.clone(),
        },
        None if progress.copied.expected > progress.copied.done => "downloading".to_owned(),
        None => String::new(),
    }
}

fn build_moved(progress: &nix::Progress, doing: String) -> Event {
    let nix::Progress { builds, downloaded, .. } = progress;
    Event::BuildMoved {
        done: builds.done,
        expected: builds.expected,
        doing,
        running: builds.running,
        download: Bytes { done_bytes: downloaded.done, expected_bytes: downloaded.expected },
        downloading: None,
    }
}
