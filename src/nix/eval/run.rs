//! Evaluates hosts with some nix processes side by side, each of which has some of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::answers::Answers;
use super::question::{ChunkEnd, EvalQuestion, EvalRoot, Watched};
use super::window::{EvalChunk, EvalMachine, EvalQueue, EvalWindow};
use super::{EvalError, EvalNews, EvalRequest, HearEvaluation, flake_question};
use crate::inventory::model::{HostName, Source};
use crate::local::memory;
use crate::local::process::ProcessError;
use crate::nix::invoke::ask;

/// The longest the look whether the inputs are here may take.
const LOOK: Duration = Duration::from_secs(30);

/// What a process has taken that has ended before the first look at it, a tenth of a second: it cannot be much.
const MEMORY_OF_A_MOMENT: u64 = 128 << 20;

/// One evaluation of some hosts.
pub(super) struct EvalRun<'run> {
    pub(super) request: &'run EvalRequest<'run>,
    pub(super) deadline: Instant,
    pub(super) hear: &'run HearEvaluation<'run>,
}

pub(super) struct Evaluated {
    pub(super) answers: Answers,
    /// What was warned of, by the hosts that were evaluated when it was.
    pub(super) warnings: BTreeMap<HostName, Vec<String>>,
    pub(super) processes: usize,
}

impl EvalRun<'_> {
    /// # Errors
    /// See [`EvalError`]; what is wrong with single hosts is among the answers.
    pub(super) async fn evaluate(&self, hosts: &[HostName]) -> Result<Evaluated, EvalError> {
        let machine = EvalMachine {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            available: memory::available(),
        };
        let window = EvalWindow::of(self.request.terms, hosts.len(), machine);
        let questions = self.questions(hosts);
        // Two processes would fetch the same inputs side by side.
        let first_alone = window.workers > 1 && self.misses_inputs().await;
        let waiting = questions.iter().map(|question| question.hosts.iter().cloned().collect()).collect();
        let mut queue = EvalQueue::new(waiting, window, first_alone);
        let mut evaluated = Evaluated { answers: Answers::default(), warnings: BTreeMap::new(), processes: 0 };
        let evaluate = |chunk: EvalChunk| {
            let question = &questions[chunk.question];
            async move {
                let alone = chunk.hosts.first().filter(|_| chunk.hosts.len() == 1 && hosts.len() > 1);
                let ended = question.evaluate(&chunk.hosts, alone, self.deadline, self.hear).await;
                (chunk, ended)
            }
        };
        let mut running = FuturesUnordered::new();
        let mut failed_together = None;
        loop {
            while let Some(chunk) = queue.next() {
                evaluated.processes += 1;
                running.push(evaluate(chunk));
            }
            let Some((chunk, (end, Watched { peak, warnings, .. }))) = running.next().await else { break };
            let unseen = machine.available.map(|_| MEMORY_OF_A_MOMENT);
            queue.ended(&chunk, Some(peak).filter(|peak| *peak > 0).or(unseen));
            let question = &questions[chunk.question];
            let answers = &mut evaluated.answers;
            match end {
                Ok(ChunkEnd::Answered(finished)) => {
                    question.take(&chunk.hosts, &finished, answers)?;
                    evaluated.warnings.extend(chunk.hosts.into_iter().map(|host| (host, warnings.clone())));
                }
                Ok(ChunkEnd::RootFails(message)) => {
                    return Err(EvalError::Source { source_name: question.root.name(), message });
                }
                Ok(ChunkEnd::Failed(finished)) if finished.signal.is_some() && !chunk.suspect => queue.killed(chunk),
                Ok(ChunkEnd::Failed(finished)) => {
                    let message = question.message(&finished);
                    if let [host] = chunk.hosts.as_slice() {
                        answers.fails(host, message);
                    } else {
                        failed_together.get_or_insert((chunk.question, message));
                        queue.suspect(chunk);
                    }
                }
                // The time is over for those who have not begun, too: nothing is wrong with them as far as is known.
                // Nor with a host that was only asked to find the one to blame.
                Err(error @ ProcessError::TimedOut { .. }) => {
                    if chunk.suspect {
                        answers.not_asked.extend(chunk.hosts);
                    } else {
                        chunk.hosts.iter().for_each(|host| answers.does_not_end(host, &error));
                    }
                    answers.not_asked.extend(queue.give_up());
                }
                Err(error) => return Err(error.into()),
            }
            let done = answers.found.len() + answers.failed.len();
            (self.hear)(EvalNews::Moved { done, of: hosts.len() });
        }
        let answers = &evaluated.answers;
        match failed_together.filter(|_| answers.failed.is_empty() && !answers.not_asked.is_empty()) {
            // None was found to fail alone before the time was over.
            Some((question, message)) => {
                Err(EvalError::Source { source_name: questions[question].root.name(), message })
            }
            None => Ok(evaluated),
        }
    }

    fn questions(&self, hosts: &[HostName]) -> Vec<EvalQuestion<'_>> {
        let EvalRequest { source, base, terms, .. } = *self.request;
        let question = |root, template: &[String], above, hosts| EvalQuestion {
            root,
            template: template.to_vec(),
            above,
            hosts,
            source,
            terms,
            root_ends: OnceCell::new(),
        };
        match source {
            Source::System => Vec::new(),
            Source::File { file, attr } => {
                vec![question(EvalRoot::File(base.join(file)), attr.components(), Vec::new(), hosts.to_vec())]
            }
            Source::Flake { flake, attr } => {
                // One question for each attribute of the flake that is entered: that is one, unless its very first part
                // depends on the host.
                let mut groups: BTreeMap<String, Vec<HostName>> = BTreeMap::new();
                for host in hosts {
                    groups.entry(attr.first_for(host.as_str())).or_default().push(host.clone());
                }
                let root = |attribute: &String| EvalRoot::Flake {
                    reference: flake.clone(),
                    folder: base.to_owned(),
                    attribute: attribute.clone(),
                };
                let groups = groups.into_iter();
                groups.map(|(first, hosts)| question(root(&first), attr.below_first(), vec![first], hosts)).collect()
            }
        }
    }

    /// Whether some input of the flake is not in the store. Where nix does not say, each fetches what it needs.
    async fn misses_inputs(&self) -> bool {
        let words = ["archive", "--dry-run", "--json"];
        let deadline = self.deadline.min(Instant::now() + LOOK);
        let Some(question) = flake_question(self.request, deadline, &words) else { return false };
        let Ok(answer) = ask("nix flake archive", question).await else { return false };
        serde_json::from_str::<ArchivedInput>(&answer).is_ok_and(|flake| flake.is_missing())
    }
}

/// An input of a flake, with its own. Source: docs/facts.md, "What nix tells of a flake".
#[derive(Deserialize)]
struct ArchivedInput {
    path: Option<String>,
    #[serde(default)]
    inputs: BTreeMap<String, Self>,
}

impl ArchivedInput {
    /// A look at files is enough: this only decides what begins first.
    fn is_missing(&self) -> bool {
        self.path.as_ref().is_some_and(|path| !Path::new(path).exists()) || self.inputs.values().any(Self::is_missing)
    }
}
