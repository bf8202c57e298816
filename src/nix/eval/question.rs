//! Asks nix for the systems of many hosts at once, and of each alone if that fails.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use serde::Deserialize;
use tokio::time::Instant;

use super::answers::Answers;
use super::{EvalError, EvalTarget, HearPrinted, HostProblem};
use crate::facts::attr_path::{HOST, as_fragment, nix_strings, show};
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::local::process::{Finished, Invocation, ProcessError};
use crate::nix::invoke::{lock, message_of, nix, run_with_ticks};
use crate::nix::plain::{cut, plain, without_credentials};
use crate::nix::printout::Printout;

/// Walks from the evaluated root to each host's system, and says how far it came where it did not get there. The names
/// stand in a list, never as names of attributes: a host may be called `outPath`, which means something to Nix.
const WALK: &str = r#"
root: let
  open = value: if builtins.isFunction value then value { } else value;
  look = at: path:
    if path == [ ] then
      if builtins.isAttrs at && at ? drvPath && at ? outPath
      then { found = { derivation = at.drvPath; output = at.outPath; }; }
      else { strange = builtins.typeOf at; }
    else if builtins.isAttrs at && at ? ${builtins.head path}
    then look at.${builtins.head path} (builtins.tail path)
    else {
      missing = { left = builtins.length path; has = if builtins.isAttrs at then builtins.attrNames at else [ ]; };
    };
  start = open root;
in builtins.seq start (map (host: look start (map (builtins.replaceStrings [ "{host}" ] [ host ]) template)) hosts)
"#;

/// The most evaluations at a time while looking for the host to blame: one of a whole NixOS takes a gigabyte and more.
const BLAME_AT_A_TIME: usize = 2;

/// The place where an evaluation starts.
pub(super) enum EvalRoot {
    Flake { reference: String, folder: PathBuf, attribute: String },
    File(PathBuf),
}

impl EvalRoot {
    fn name(&self) -> String {
        match self {
            Self::Flake { reference, .. } => format!("the flake {reference}"),
            Self::File(file) => format!("the file {}", file.display()),
        }
    }

    fn invocation(&self, expression: &str, limit: Duration) -> Invocation {
        let eval = nix(limit).args(["eval", "--json", "--apply", expression]);
        match self {
            Self::Flake { reference, folder, attribute } => {
                eval.folder(folder).arg("--").arg(format!("{reference}#{}", as_fragment(attribute)))
            }
            Self::File(file) => eval.arg("--file").arg(file),
        }
    }
}

/// One evaluation: hosts under one root.
pub(super) struct EvalQuestion {
    pub(super) root: EvalRoot,
    /// The path below the root, `{host}` in it.
    pub(super) template: Vec<String>,
    /// The path of the root itself, for messages.
    pub(super) above: Vec<String>,
    pub(super) hosts: Vec<HostName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EvalLook {
    Found { derivation: String, output: String },
    Strange(String),
    Missing { left: usize, has: Vec<String> },
}

impl EvalQuestion {
    pub(super) async fn answer(
        &self,
        deadline: Instant,
        hear: &HearPrinted<'_>,
        answers: &mut Answers,
    ) -> Result<(), EvalError> {
        let finished = self.ask_aloud(deadline, hear).await?;
        if finished.succeeded() {
            return self.take(&self.hosts, &finished, answers);
        }
        // The root without any host: cheap, and if that fails no host is to blame.
        let root = self.ask(&[], deadline).await?;
        if !root.succeeded() {
            let message = message_of(&root.stderr_text());
            return Err(EvalError::Source { source_name: self.root.name(), message });
        }
        if let [host] = self.hosts.as_slice() {
            answers.fails(host, &finished);
            return Ok(());
        }
        let failed_before = answers.failed.len();
        let looks =
            self.hosts.iter().map(|host| async move { (host, self.ask(std::slice::from_ref(host), deadline).await) });
        let mut looks = futures::stream::iter(looks).buffer_unordered(BLAME_AT_A_TIME);
        while let Some((host, asked)) = looks.next().await {
            match asked {
                Ok(finished) if finished.succeeded() => {
                    self.take(std::slice::from_ref(host), &finished, answers)?;
                }
                Ok(finished) => {
                    answers.fails(host, &finished);
                    let mut printout = Printout::default();
                    printout.take(&readable(&finished.stderr_text()));
                    hear(Some(host), printout.drain());
                }
                // The time is over for those after it, too: nothing is wrong with them as far as is known.
                Err(ProcessError::TimedOut { .. }) => answers.not_asked.push(host.clone()),
                Err(error) => return Err(error.into()),
            }
        }
        if answers.failed.len() == failed_before {
            // Together they failed, and none was found to fail alone: memory, most likely, or no time to look.
            let message = message_of(&finished.stderr_text());
            return Err(EvalError::Source { source_name: self.root.name(), message });
        }
        Ok(())
    }

    /// The one question about all hosts. What nix prints is told as it comes: a warning in an evaluation that takes
    /// minutes, not after it.
    async fn ask_aloud(&self, deadline: Instant, hear: &HearPrinted<'_>) -> Result<Finished, ProcessError> {
        let printout = Mutex::new(Printout::default());
        let give = || {
            let lines = lock(&printout).drain();
            if !lines.is_empty() {
                hear(None, lines);
            }
        };
        let take = |line: &str| {
            // The printout is let go before `give` takes it: a mutex of std cannot be taken twice.
            let is_full = {
                let mut printout = lock(&printout);
                printout.take(&readable(line));
                printout.is_full()
            };
            if is_full {
                give();
            }
        };
        let finished = run_with_ticks(self.invocation(&self.hosts, deadline), take, give).await;
        give();
        finished
    }

    async fn ask(&self, hosts: &[HostName], deadline: Instant) -> Result<Finished, ProcessError> {
        self.invocation(hosts, deadline).run().await
    }

    fn invocation(&self, hosts: &[HostName], deadline: Instant) -> Invocation {
        let limit = deadline.saturating_duration_since(Instant::now());
        self.root.invocation(&self.expression(hosts), limit)
    }

    pub(super) fn expression(&self, hosts: &[HostName]) -> String {
        let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
        format!("let template = {}; hosts = {}; in {}", nix_strings(&self.template), nix_strings(&hosts), WALK.trim())
    }

    pub(super) fn take(&self, hosts: &[HostName], finished: &Finished, answers: &mut Answers) -> Result<(), EvalError> {
        let text = finished.stdout_text();
        let nonsense =
            || EvalError::Answer { source_name: self.root.name(), answer: cut(&plain(&text), 200).to_owned() };
        let looks: Vec<EvalLook> = serde_json::from_str(&text).map_err(|_| nonsense())?;
        if looks.len() != hosts.len() {
            return Err(nonsense());
        }
        for (host, look) in hosts.iter().zip(looks) {
            match self.judge(host, look) {
                Ok(target) => drop(answers.found.insert(host.clone(), target)),
                Err(problem) => drop(answers.failed.insert(host.clone(), problem)),
            }
        }
        Ok(())
    }

    fn judge(&self, host: &HostName, look: EvalLook) -> Result<EvalTarget, HostProblem> {
        let below = self.template.iter().map(|part| part.replace(HOST, host.as_str()));
        let path: Vec<String> = self.above.iter().cloned().chain(below).collect();
        let source_name = self.root.name();
        match look {
            EvalLook::Found { derivation, output } => Ok(EvalTarget::Derivation {
                derivation: StorePath::new(derivation).map_err(HostProblem::NoPath)?,
                output: StorePath::new(output).map_err(HostProblem::NoPath)?,
            }),
            EvalLook::Strange(kind) => Err(HostProblem::NotADerivation { source_name, attribute: show(&path), kind }),
            EvalLook::Missing { left, has } => {
                // `left` counts the missing part too.
                let end = (path.len() + 1).saturating_sub(left).clamp(1, path.len());
                let (attribute, parent) = (show(&path[..end]), show(&path[..end - 1]));
                Err(HostProblem::Missing { source_name, attribute, parent, has })
            }
        }
    }
}

fn readable(printed: &str) -> String {
    without_credentials(&plain(printed)).into_owned()
}
