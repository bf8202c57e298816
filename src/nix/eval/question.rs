//! Asks nix for the systems of some hosts with one process.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::answers::Answers;
use super::arguments::with_terms;
use super::{EvalError, EvalNews, EvalTarget, HearEvaluation, HostProblem};
use crate::facts::attr_path::{HOST, as_fragment, nix_strings, show};
use crate::facts::configured::Configured;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{EvaluationTerms, HostName, Source};
use crate::local::memory::peak_of;
use crate::local::process::{Finished, Invocation, ProcessError};
use crate::nix::invoke::{lock, message_of, nix, run_with_ticks, traced_message_of};
use crate::nix::plain::{cut, plain, without_credentials};
use crate::nix::printout::Printout;
use crate::nix::said::evaluation_warnings;

/// The option that lets nix tell every step.
const SHOW_TRACE: &str = "--show-trace";

/// The signal that the kernel sends where memory is short.
const SIGKILL: i32 = ::nix::sys::signal::Signal::SIGKILL as i32;

/// The most warnings of one process that are kept with its result.
const MOST_WARNINGS: usize = 50;

/// Walks from the evaluated root to each host's system, and says how far it came where it did not get there. The names
/// stand in a list, never as names of attributes: a host may be called `outPath`, which means something to Nix.
const WALK: &str = r#"
root: let
  open = value: if builtins.isFunction value then value { } else value;
  # What stands where the path to the system of a NixOS goes on is its configuration.
  look = host: config: at: path:
    if path == [ "system" "build" "toplevel" ] && config == null then look host at at path
    else if path == [ ] then
      if builtins.isAttrs at && at ? drvPath && at ? outPath
      then
        let derivation = at.drvPath; output = at.outPath; in
        { found = builtins.seq derivation (builtins.seq output (ahead host config { inherit derivation output; })); }
      else { strange = builtins.typeOf at; }
    else if builtins.isAttrs at && at ? ${builtins.head path}
    then look host config at.${builtins.head path} (builtins.tail path)
    else {
      missing = { left = builtins.length path; has = if builtins.isAttrs at then builtins.attrNames at else [ ]; };
    };
  start = open root;
  to = host: map (builtins.replaceStrings [ "{host}" ] [ host ]) template;
in builtins.seq start (map (host: look host null start (to host)) hosts)
"#;

/// Looks at what the systems are configured to be. It is written on lines of its own: it has comments.
const LOOK_AHEAD: &str = include_str!("look_ahead.nix");

/// Adds it to what is found, once the system itself is. What Nix prints meanwhile is the look's alone: it may read an
/// option by a name that is old, of which the person has used nothing.
const LOOKED: &str = r#"host: config: found:
    if config == null then found else
      let ahead = (@LOOK@
      ) config; in
      builtins.trace "fleetdeploy begins to look ahead"
        (builtins.deepSeq ahead (builtins.trace "fleetdeploy has looked ahead" (found // { inherit ahead; })))"#;

/// What Nix prints of the two lines above.
const BEGINS: &str = "trace: fleetdeploy begins to look ahead";
const ENDS: &str = "trace: fleetdeploy has looked ahead";

/// Whether the configuration is looked at, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LookWish {
    Looked,
    Not,
}

/// The place where an evaluation starts.
pub(super) enum EvalRoot {
    Flake { reference: String, folder: PathBuf, attribute: String },
    File(PathBuf),
}

impl EvalRoot {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Flake { reference, .. } => format!("the flake {reference}"),
            Self::File(file) => format!("the file {}", file.display()),
        }
    }

    fn named(&self, eval: Invocation) -> Invocation {
        match self {
            Self::Flake { reference, folder, attribute } => {
                eval.folder(folder).arg("--").arg(format!("{reference}#{}", as_fragment(attribute)))
            }
            Self::File(file) => eval.arg("--file").arg(file),
        }
    }
}

/// One evaluation: hosts under one root.
pub(super) struct EvalQuestion<'run> {
    pub(super) root: EvalRoot,
    /// The path below the root, `{host}` in it.
    pub(super) template: Vec<String>,
    /// The path of the root itself, for messages.
    pub(super) above: Vec<String>,
    pub(super) hosts: Vec<HostName>,
    pub(super) source: &'run Source,
    pub(super) terms: &'run EvaluationTerms,
    /// Whether the root evaluates without any host. It is asked once, when a process has failed.
    pub(super) root_ends: OnceCell<Result<(), String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EvalLook {
    Found {
        derivation: String,
        output: String,
        /// Of whatever shape: an answer that is not understood is none.
        #[serde(default)]
        ahead: serde_json::Value,
    },
    Strange(String),
    Missing {
        left: usize,
        has: Vec<String>,
    },
}

/// How a process with some hosts has ended.
pub(super) enum ChunkEnd {
    Answered(Finished),
    /// One of the hosts is to blame.
    Failed(Finished),
    /// No host is to blame.
    RootFails(String),
}

/// What was seen of a process beside its answer.
#[derive(Default)]
pub(super) struct Watched {
    /// The most memory that it has had, in bytes; 0: not known.
    pub(super) peak: u64,
    /// What it has warned of.
    pub(super) warnings: Vec<String>,
    /// Whether the system of a host is found, and the look at its configuration has not come to its end.
    looks_ahead: bool,
}

impl EvalQuestion<'_> {
    /// Evaluates some of the hosts with one process.
    ///
    /// The look ahead asks what the system may never have asked, and Nix does not catch every error: where it fails,
    /// all is asked once more, without it.
    pub(super) async fn evaluate(
        &self,
        hosts: &[HostName],
        named: Option<&HostName>,
        deadline: Instant,
        hear: &HearEvaluation<'_>,
    ) -> (Result<ChunkEnd, ProcessError>, Watched) {
        let (end, watched) = self.ask(hosts, LookWish::Looked, named, deadline, hear).await;
        let fails_there = matches!(&end, Ok(ChunkEnd::Failed(finished)) if finished.signal.is_none());
        if !fails_there || !watched.looks_ahead {
            return (end, watched);
        }
        let (end, again) = self.ask(hosts, LookWish::Not, named, deadline, hear).await;
        (end, Watched { peak: watched.peak.max(again.peak), ..again })
    }

    /// What nix prints is told as it comes: a warning in an evaluation that takes minutes, not after it.
    async fn ask(
        &self,
        hosts: &[HostName],
        ahead: LookWish,
        named: Option<&HostName>,
        deadline: Instant,
        hear: &HearEvaluation<'_>,
    ) -> (Result<ChunkEnd, ProcessError>, Watched) {
        let heard = Mutex::new((Printout::default(), Watched::default()));
        let tell = |lines: Vec<String>| {
            if !lines.is_empty() {
                hear(EvalNews::Printed { host: named, lines });
            }
        };
        let drain = |(printout, watched): &mut (Printout, Watched)| {
            let lines = printout.drain();
            let warnings = evaluation_warnings(&lines);
            let room = MOST_WARNINGS.saturating_sub(watched.warnings.len());
            watched.warnings.extend(warnings.into_iter().take(room));
            lines
        };
        let take = |line: &str| {
            let mut heard = lock(&heard);
            let is_of_look = heard.1.looks_ahead;
            heard.1.looks_ahead = (is_of_look || line.ends_with(BEGINS)) && !line.ends_with(ENDS);
            if is_of_look || heard.1.looks_ahead {
                return;
            }
            heard.0.take(&readable(line));
            // Told at once: else a flood between two ticks is memory without a bound.
            if heard.0.is_full() {
                tell(drain(&mut heard));
            }
        };
        let id = Arc::new(AtomicU32::new(0));
        let tick = || {
            let mut heard = lock(&heard);
            tell(drain(&mut heard));
            let peak = peak_of(id.load(Ordering::Relaxed)).unwrap_or(0);
            heard.1.peak = heard.1.peak.max(peak);
        };
        let invocation = self.invocation(hosts, ahead, deadline).id_to(Arc::clone(&id));
        let finished = run_with_ticks(invocation, take, tick).await;
        let mut heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
        tell(drain(&mut heard));
        let end = match finished {
            Ok(finished) if finished.succeeded() => Ok(ChunkEnd::Answered(finished)),
            Ok(finished) => self.look_at_root(deadline).await.map(|root| match root {
                Ok(()) => ChunkEnd::Failed(finished),
                Err(message) => ChunkEnd::RootFails(message),
            }),
            Err(error) => Err(error),
        };
        (end, heard.1)
    }

    /// Evaluates the root without any host: cheap, and if that fails no host is to blame.
    async fn look_at_root(&self, deadline: Instant) -> Result<Result<(), String>, ProcessError> {
        let ask = || async {
            let root = self.invocation(&[], LookWish::Not, deadline).run().await?;
            Ok(if root.succeeded() { Ok(()) } else { Err(self.message(&root)) })
        };
        self.root_ends.get_or_try_init(ask).await.cloned()
    }

    /// The end of nix's message, with every step that led there if that was asked for.
    pub(super) fn message(&self, finished: &Finished) -> String {
        let said = finished.stderr_text();
        if let Some(signal) = finished.signal {
            return killed(signal);
        }
        if self.terms.show_trace {
            return traced_message_of(&said);
        }
        let message = message_of(&said);
        // Nix says so of a long trace, before the error itself.
        if said.contains(SHOW_TRACE) && !message.contains(SHOW_TRACE) {
            return format!("{message}\n(the steps that led there: {SHOW_TRACE})");
        }
        message
    }

    fn invocation(&self, hosts: &[HostName], ahead: LookWish, deadline: Instant) -> Invocation {
        let limit = deadline.saturating_duration_since(Instant::now());
        // Nix's own cache keeps nothing of what `--apply` finds, and who writes it holds up all others that evaluate
        // the same flake (docs/facts.md, "What an evaluation takes").
        let eval = nix(limit).args(["eval", "--json", "--option", "eval-cache", "false"]);
        let mut eval = with_terms(eval, self.terms, self.source);
        if self.terms.show_trace {
            eval = eval.arg(SHOW_TRACE);
        }
        self.root.named(eval.args(["--apply", &self.expression(hosts, ahead)]))
    }

    pub(super) fn expression(&self, hosts: &[HostName], ahead: LookWish) -> String {
        let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
        let (template, hosts) = (nix_strings(&self.template), nix_strings(&hosts));
        let ahead = match ahead {
            LookWish::Looked => LOOKED.replace("@LOOK@", LOOK_AHEAD.trim()),
            LookWish::Not => "host: config: found: found".to_owned(),
        };
        format!("let template = {template}; hosts = {hosts};\n  ahead = {ahead};\nin {}", WALK.trim())
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
            if let EvalLook::Found { ahead, .. } = &look
                && let Ok(configured) = Configured::deserialize(ahead)
            {
                answers.configured.insert(host.clone(), configured);
            }
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
            EvalLook::Found { derivation, output, ahead: _ } => Ok(EvalTarget::Derivation {
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

/// What is known of a nix that somebody else has ended: it has had no time to say anything.
fn killed(signal: i32) -> String {
    if signal == SIGKILL {
        "nix was killed, as the kernel does where memory is short: `evaluate` has `workers` and `memory`".to_owned()
    } else {
        format!("nix was ended by signal {signal}")
    }
}

fn readable(printed: &str) -> String {
    without_credentials(&plain(printed)).into_owned()
}
