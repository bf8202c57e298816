//! How nix is started, and the errors of short questions to it.

use std::time::Duration;

use tokio::time::Instant;

use super::plain::{last_lines, plain};
use super::progress::{Progress, Tracker};
use crate::local::process::{Finished, Invocation, ProcessError};

/// The longest a question about the local store may take: a look into its database.
pub(super) const QUESTION_LIMIT: Duration = Duration::from_secs(60);

/// How often the screen hears of progress. Nix itself sends at most one event per activity in this time in newer
/// versions, and one per chunk of 8 bytes in older ones (CONTRACTS.md 3.1).
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Lines of a failed command's stderr that are worth showing.
const TAIL: usize = 20;

/// A question about the local store that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("cannot ask nix")]
    Process(#[from] ProcessError),
    #[error("`{command}` failed: {message}")]
    Failed { command: &'static str, message: String },
    #[error("the answer of `{command}` makes no sense: {answer}")]
    Answer { command: &'static str, answer: String },
}

/// `nix`, with the features that every use here needs, and with nothing that could ask the terminal.
pub(super) fn nix(limit: Duration) -> Invocation {
    quiet(Invocation::new("nix", limit)).args(["--extra-experimental-features", "nix-command flakes"])
}

/// `nix-store`: the questions whose form has been the same since long before Nix 2.18.
pub(super) fn nix_store(limit: Duration) -> Invocation {
    quiet(Invocation::new("nix-store", limit))
}

/// Fetching a private flake input starts git and ssh. Both would ask on /dev/tty, and since our children are in process
/// groups of their own they would be stopped there until the limit: they shall fail at once instead.
/// Source: git(1) `GIT_TERMINAL_PROMPT`, ssh(1) `SSH_ASKPASS_REQUIRE`.
fn quiet(invocation: Invocation) -> Invocation {
    let invocation = invocation.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "force");
    if std::env::var_os("SSH_ASKPASS").is_some() { invocation } else { invocation.env("SSH_ASKPASS", "false") }
}

/// Runs a short question, and gives its stdout.
pub(super) async fn ask(command: &'static str, invocation: Invocation) -> Result<String, AskError> {
    let finished = invocation.run().await?;
    if finished.succeeded() {
        Ok(finished.stdout_text())
    } else {
        Err(AskError::Failed { command, message: message_of(&finished.stderr_text()) })
    }
}

/// Runs a long command that speaks `--log-format internal-json`, and follows it.
pub(super) async fn follow(
    invocation: Invocation,
    mut on_progress: impl FnMut(&Progress) + Send,
) -> (Result<Finished, ProcessError>, Tracker) {
    let mut tracker = Tracker::default();
    let mut told = None;
    let finished = invocation
        .run_with(|line| {
            tracker.take(line);
            if told.is_none_or(|at: Instant| at.elapsed() >= PROGRESS_INTERVAL) {
                on_progress(&tracker.progress());
                told = Some(Instant::now());
            }
        })
        .await;
    on_progress(&tracker.progress());
    (finished, tracker)
}

/// The part of nix's stderr that says what is wrong: from its last `error:` on, without the trace before it.
pub(super) fn message_of(stderr: &str) -> String {
    let text = plain(stderr);
    let lines: Vec<&str> = text.lines().collect();
    let said = match lines.iter().rposition(|line| line.trim_start().starts_with("error:")) {
        Some(start) => {
            let indent = lines[start].len() - lines[start].trim_start().len();
            let dedented = lines[start..].iter().map(|line| line.get(indent..).unwrap_or_else(|| line.trim_start()));
            let said = dedented.filter(|line| !line.trim().is_empty()).take(TAIL).collect::<Vec<_>>().join("\n");
            said.trim_start_matches("error:").trim().to_owned()
        }
        None => last_lines(&text, TAIL),
    };
    if said.is_empty() { "nix gave no reason".to_owned() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_what_follows_the_last_error() {
        let stderr = "warning: dirty\nerror:\n       … while calling the 'throw' builtin\n         at /nix/store/x:1:2:\n\n       error: this one throws\n       and says more\n";
        assert_eq!(message_of(stderr), "this one throws\nand says more");
        assert_eq!(message_of("\u{1b}[31merror:\u{1b}[0m flat\n   at a:1"), "flat\n   at a:1");
        assert_eq!(message_of("sh: nix: not found\n"), "sh: nix: not found");
        assert_eq!(message_of(""), "nix gave no reason");
    }
}
