//! Runs the hooks around a push, or after its recovery: commands of the person's own, on this workstation, one after
//! the other.
//!
//! They are no part of the transaction. A hook before it that fails refuses the push; a hook after it does not change
//! how the push has ended.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::conclusion::Conclusion;
use super::fleet_context::FleetContext;
use crate::decide::vocabulary::Signal;
use crate::engine::shutdown::Shutdown;
use crate::engine::source::RunSource;
use crate::event::reason::hooks::{HookFault, HooksEnd};
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::{Ending, status};
use crate::inventory::model::{Fleet, Hook, HookCommand, Hooks, HostName};
use crate::local::private;
use crate::local::process::{Invocation, ProcessError};

/// The file of the record that hooks find the recap in.
const RECAP: &str = "recap.txt";

/// How many lines of a hook's output stand beside its failure; the record has all of them.
const TAIL: usize = 10;

/// Starts the program with its arguments, or the text for a shell. Both outputs are one stream, so that their lines
/// keep their order.
const ARGV: &str = r#"exec "$@" >&2"#;
const TEXT: &str = r#"exec sh -c "$1" >&2"#;

/// The reason why there is no push after the first hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The failure has been told.
    Refused(HookFault),
    Interrupted(Signal),
}

impl Stopped {
    pub(crate) fn conclude(self, fleet: &Fleet) -> Conclusion {
        let (text, interrupted) = match self {
            Self::Refused(cause) => (HooksEnd::HookRefuses { cause }, None),
            Self::Interrupted(signal) => (HooksEnd::InterruptedInHook { signal: signal.to_string() }, Some(signal)),
        };
        let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted };
        Conclusion::of_all(fleet, &HostOutcome::Untouched, ending, Outcome::Refused, text)
    }
}

/// The hooks of one push.
pub(crate) struct HooksOfPush {
    hooks: Hooks,
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    source: RunSource,
    record: Option<PathBuf>,
    events: Events,
}

impl HooksOfPush {
    /// `pushed` are the hosts that it is about. A dry run has no run, and no hooks.
    pub(crate) fn new(
        context: &FleetContext,
        pushed: &BTreeSet<HostName>,
        run: Option<&str>,
        record: Option<&Path>,
        source: RunSource,
        events: &Events,
    ) -> Self {
        let path = &context.inventory.path;
        let inventory = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let hosts = context.fleet.hosts.iter().map(|host| &host.name).filter(|name| pushed.contains(*name));
        let hosts: Vec<&str> = hosts.map(HostName::as_str).collect();
        Self {
            hooks: run.map(|_| context.fleet.hooks.clone()).unwrap_or_default(),
            folder: context.folder(),
            environment: vec![
                ("FLEETDEPLOY_FLEET", context.fleet.name.clone()),
                ("FLEETDEPLOY_RUN", run.unwrap_or_default().to_owned()),
                ("FLEETDEPLOY_RECORD", record.map(|record| record.display().to_string()).unwrap_or_default()),
                ("FLEETDEPLOY_INVENTORY", inventory.to_string_lossy().into_owned()),
                ("FLEETDEPLOY_HOSTS", hosts.join(" ")),
            ],
            source,
            record: record.map(Path::to_owned),
            events: events.clone(),
        }
    }

    /// Returns whether a hook runs before the push.
    pub(crate) fn begin_before(&self) -> bool {
        !self.hooks.before.is_empty()
    }

    /// Where the systems come from; empty words where that is not known.
    fn of_source(&self) -> [(&'static str, String); 3] {
        let known = self.source.known().unwrap_or_default();
        let dirty = if known.dirty { "yes" } else { "no" };
        [
            ("FLEETDEPLOY_SOURCE", known.source.unwrap_or_default()),
            ("FLEETDEPLOY_DIRTY", known.revision.as_ref().map(|_| dirty.to_owned()).unwrap_or_default()),
            ("FLEETDEPLOY_REVISION", known.revision.unwrap_or_default()),
        ]
    }

    /// # Errors
    /// The first hook that fails, or a signal, is the end of it.
    pub(crate) async fn before(&self, shutdown: &mut Shutdown) -> Result<(), Stopped> {
        for hook in &self.hooks.before {
            let ended = tokio::select! {
                ended = self.run(hook, "before", &[]) => ended,
                signal = shutdown.requested() => return Err(Stopped::Interrupted(signal)),
            };
            if let Err(fault) = ended {
                self.events.publish(Event::failed(None, fault.clone()));
                return Err(Stopped::Refused(fault));
            }
        }
        Ok(())
    }

    /// Runs the hooks after a push. A failure here is a warning: the push has ended as it has. A person who left at
    /// once does not wait for a hook.
    ///
    /// `recap`: what the run says of its end, as text.
    pub(crate) async fn after(&self, concluded: &Conclusion, recap: impl FnOnce() -> String, shutdown: &mut Shutdown) {
        if matches!(concluded.ending, Ending::Left { .. }) {
            return;
        }
        let (hooks, phase) = match concluded.outcome {
            Outcome::Committed | Outcome::Unchanged => (&self.hooks.after_commit, "after_commit"),
            Outcome::Planned | Outcome::Rebooted | Outcome::PartlyRebooted => return,
            Outcome::RolledBack | Outcome::Refused | Outcome::Split | Outcome::Left | Outcome::Superseded => {
                (&self.hooks.after_abort, "after_abort")
            }
        };
        let outcome = serde_json::to_value(concluded.outcome).unwrap_or_default();
        let of_end = [
            ("FLEETDEPLOY_OUTCOME", outcome.as_str().unwrap_or_default().to_owned()),
            ("FLEETDEPLOY_EXIT", status(concluded.ending).to_string()),
            ("FLEETDEPLOY_RECAP", if hooks.is_empty() { String::new() } else { self.written(&recap()) }),
        ];
        for (number, hook) in hooks.iter().enumerate() {
            let warn = |end: HooksEnd| self.events.publish(Event::warned(None, end));
            tokio::select! {
                ended = self.run(hook, phase, &of_end) => if let Err(cause) = ended {
                    warn(HooksEnd::AfterHookFailed { cause });
                },
                signal = shutdown.requested() => {
                    let left = hooks[number..].iter().map(|hook| hook.name.clone()).collect();
                    warn(HooksEnd::HooksInterrupted { signal: signal.to_string(), hooks: left });
                    return;
                }
            }
        }
    }

    /// Keeps the recap in the record, and says where; nothing where that cannot be.
    fn written(&self, recap: &str) -> String {
        let file = self.record.as_ref().map(|record| record.join(RECAP));
        let written = file.filter(|file| private::write_whole(file, recap).is_ok());
        written.map(|file| file.display().to_string()).unwrap_or_default()
    }

    async fn run(&self, hook: &Hook, phase: &str, of_end: &[(&str, String)]) -> Result<(), HookFault> {
        let limit_ms = super::conclusion::millis(hook.timeout);
        self.events.publish(Event::HookStarted { hook: hook.name.clone(), limit_ms });
        let by = format!("hook {}", hook.name);
        let mut tail = VecDeque::new();
        let mut invocation = invocation(hook, &self.folder).env("FLEETDEPLOY_PHASE", phase);
        for (name, value) in self.environment.iter().chain(&self.of_source()).chain(of_end) {
            invocation = invocation.env(name, value);
        }
        let finished = invocation
            .run_with(|line| {
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(line.to_owned());
                self.events.publish(Event::Printed { host: None, by: by.clone(), lines: vec![line.to_owned()] });
            })
            .await;
        let (fleet, hook) = (self.environment[0].1.clone(), hook.name.clone());
        let tail = tail.into();
        Err(match finished {
            Ok(finished) if finished.succeeded() => return Ok(()),
            Ok(finished) => match finished.status {
                Some(status) => HookFault::HookFailed { fleet, hook, status, tail },
                None => HookFault::HookKilled { fleet, hook, tail },
            },
            Err(ProcessError::TimedOut { limit, .. }) => HookFault::HookTimedOut { fleet, hook, limit, tail },
            Err(error) => HookFault::HookNotRun { fleet, hook, said: error.to_string(), tail },
        })
    }
}

/// A shell reads no word of the inventory but a text that was meant for one.
fn invocation(hook: &Hook, folder: &Path) -> Invocation {
    let shell = Invocation::new("sh", hook.timeout).folder(folder).arg("-c");
    match &hook.command {
        HookCommand::Argv(words) => shell.args([ARGV, "hook"]).args(words),
        HookCommand::Shell(text) => shell.args([TEXT, "hook", text]),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;

    async fn run(command: HookCommand) -> (Option<i32>, String) {
        let hook = Hook { name: "x".into(), command, timeout: Duration::from_secs(30) };
        let finished = invocation(&hook, Path::new("/")).run().await.unwrap();
        (finished.status, finished.stderr_text())
    }

    #[tokio::test]
    async fn arguments_arrive_as_they_are_and_a_text_is_for_a_shell() {
        let argv = |words: &[&str]| HookCommand::Argv(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(run(argv(&["printf", "%s|", "$(id)", "a b", "-c"])).await, (Some(0), "$(id)|a b|-c|".into()));
        let text = HookCommand::Shell("pwd; echo out; echo talk >&2; exit 3".into());
        assert_eq!(run(text).await, (Some(3), "/\nout\ntalk\n".into()));
        let (status, said) = run(argv(&["no-such-program-here"])).await;
        assert!(status == Some(127) && said.contains("no-such-program-here"), "{said}");
    }
}
