//! Puts systems and all that they need into a binary cache, or another store: by one `nix copy`, or by a command of the
//! person's own.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::sync::Notify;

use super::copy::{CopyError, Destination, LONGEST_LINE, MOST_OF_OTHERS, copy_all};
use super::invoke::{AskError, Heard, ask, follow, message_of, nix, run_with_ticks};
use super::plain::{plain, without_credentials};
use super::signing::at_home;
use super::tracker::Tracker;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HookCommand;
use crate::local::process::{Invocation, ProcessError};

/// How long nothing may move in `nix copy` until the cache counts as dead. Nix tells what it has read, also while it
/// compresses; of one large path that goes over a slow line in one piece it tells as it goes.
const LONGEST_STILL: Duration = Duration::from_secs(64);

/// For a store that nix reaches over ssh and that is no host of the fleet: no question, and no wait for the dead.
const SSH_OPTIONS: &str = "-oBatchMode=yes -oConnectTimeout=20 -oServerAliveInterval=15";

/// For a store that nix reaches over HTTP: the default is no limit but the kernel's (134 s), and five tries.
const HTTP_OPTIONS: [&str; 6] = ["--option", "connect-timeout", "10", "--option", "download-attempts", "2"];

/// Both outputs are one stream.
const ARGV: &str = r#"exec "$@" >&2"#;
const TEXT: &str = r#"exec sh -c "$1" >&2"#;

/// Why a cache has not got everything. What has arrived whole stays there.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Host(#[from] CopyError),
    #[error("it did not end within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("nothing has moved for {} s", .0.as_secs())]
    Still(Duration),
    #[error("{0}")]
    Process(ProcessError),
}

impl From<ProcessError> for FillError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::TimedOut { limit, .. } => Self::TimedOut(limit),
            error => Self::Process(error),
        }
    }
}

/// Copies to a host of the run, as each copy goes there.
///
/// # Errors
/// See [`FillError`].
pub async fn fill_host(
    paths: &[StorePath],
    to: Destination<'_>,
    limit: Duration,
    hear: impl FnMut(Heard<'_>) + Send,
) -> Result<(), FillError> {
    let stands = Notify::new();
    tokio::select! {
        filled = copy_all(paths, to, limit, listening(&stands, hear)) => Ok(filled?),
        () = stands.notified() => Err(FillError::Still(LONGEST_STILL)),
    }
}

/// Copies to any other store of Nix.
///
/// # Errors
/// See [`FillError`].
pub async fn fill_store(
    paths: &[StorePath],
    store: &str,
    limit: Duration,
    hear: impl FnMut(Heard<'_>) + Send,
) -> Result<(), FillError> {
    let options = ["copy", "--no-check-sigs", "--log-format", "internal-json"].into_iter().chain(HTTP_OPTIONS);
    let invocation =
        over_ssh(nix(limit)).longest_line(LONGEST_LINE).args(options).args(["--to", store, "--"]).args(paths);
    let stands = Notify::new();
    let (finished, tracker) = tokio::select! {
        followed = follow(invocation, Tracker::default(), MOST_OF_OTHERS, listening(&stands, hear)) => followed,
        () = stands.notified() => return Err(FillError::Still(LONGEST_STILL)),
    };
    if finished?.succeeded() { Ok(()) } else { Err(FillError::Failed(tracker.message())) }
}

/// Signs these systems, and all that they need, in such a store, as far as that key has not signed it there yet: what a
/// store has already, a copy does not bring once more, and so not the signatures that it has got meanwhile.
///
/// # Errors
/// See [`AskError`]; what is signed stays so.
pub async fn sign_in_store(
    key: &Path,
    systems: &BTreeSet<&StorePath>,
    store: &str,
    limit: Duration,
) -> Result<(), AskError> {
    let sign = over_ssh(nix(limit)).args(["store", "sign", "--recursive"]).args(HTTP_OPTIONS);
    let sign = sign.arg("--key-file").arg(at_home(key)).args(["--store", store, "--"]).args(systems);
    ask("nix store sign", sign).await.map(drop)
}

/// Takes the person's own options for ssh, too.
fn over_ssh(invocation: Invocation) -> Invocation {
    let own = std::env::var("NIX_SSHOPTS").unwrap_or_default();
    invocation.env("NIX_SSHOPTS", format!("{SSH_OPTIONS} {own}").trim_end())
}

/// Runs the person's command in the inventory's folder, with the paths on its stdin, one a line.
///
/// # Errors
/// See [`FillError`].
pub async fn fill_by_command(
    paths: &[StorePath],
    command: &HookCommand,
    folder: &Path,
    limit: Duration,
    mut hear: impl FnMut(Heard<'_>) + Send,
) -> Result<(), FillError> {
    let (script, words) = match command {
        HookCommand::Argv(words) => (ARGV, words.as_slice()),
        HookCommand::Shell(text) => (TEXT, std::slice::from_ref(text)),
    };
    let lines: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let invocation = Invocation::new("sh", limit)
        .args(["-c", script, "sh"])
        .args(words)
        .folder(folder)
        .at_most(MOST_OF_OTHERS, MOST_OF_OTHERS)
        .input(format!("{}\n", lines.join("\n")));
    let said = |line: &str| hear(Heard::Printed(vec![without_credentials(&plain(line)).into_owned()]));
    let finished = run_with_ticks(invocation, said, || ()).await?;
    if finished.succeeded() { Ok(()) } else { Err(FillError::Failed(message_of(&finished.stderr_text()))) }
}

/// Hears of a nix that fills a cache, and says when it stands for too long. To drop the run ends its processes.
fn listening<'a>(stands: &'a Notify, mut hear: impl FnMut(Heard<'_>) + Send + 'a) -> impl FnMut(Heard<'_>) + Send + 'a {
    move |heard| {
        if matches!(heard, Heard::Still { silent, .. } if silent >= LONGEST_STILL) {
            stands.notify_one();
        }
        hear(heard);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn filled(text: &str) -> (Result<(), FillError>, Vec<String>) {
        let paths = ["00bgd045z0d4icpbc2yyz4gx48ak44la-a", "10bgd045z0d4icpbc2yyz4gx48ak44la-b"];
        let paths = paths.map(|name| StorePath::new(format!("/nix/store/{name}")).unwrap());
        let mut said = Vec::new();
        let command = HookCommand::Shell(text.to_owned());
        let filled = fill_by_command(&paths, &command, Path::new("/"), LIMIT, |heard| {
            if let Heard::Printed(lines) = heard {
                said.extend(lines);
            }
        })
        .await;
        (filled, said)
    }

    #[tokio::test]
    async fn a_command_reads_the_paths_and_its_end_says_whether_they_are_there() {
        let (end, said) = filled("while read -r path; do echo \"${path##*-}\"; done; pwd").await;
        assert!(end.is_ok());
        assert_eq!(said, ["a", "b", "/"]);
        // One that does not read them is no mistake.
        assert!(filled("exit 0").await.0.is_ok());
        let (end, _) = filled("echo 'error: no room at https://me:secret@cache/x' >&2; exit 3").await;
        assert_eq!(end.unwrap_err().to_string(), "no room at https://cache/x");
    }

    #[tokio::test(start_paused = true)]
    async fn a_nix_that_stands_for_a_minute_is_not_waited_for() {
        let stands = Notify::new();
        let mut listen = listening(&stands, |_| ());
        listen(Heard::Still { silent: Duration::from_secs(56), last: None });
        let waited = tokio::time::timeout(LIMIT, stands.notified());
        assert!(waited.await.is_err());
        listen(Heard::Still { silent: LONGEST_STILL, last: None });
        assert!(tokio::time::timeout(LIMIT, stands.notified()).await.is_ok());
    }
}
