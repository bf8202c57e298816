//! Copies a system to one host with `nix copy`, over the ssh settings that it is given.

use std::fmt;
use std::time::Duration;

use super::invoke::{Heard, follow, nix};
use super::tracker::Tracker;
use crate::event::reason::copy::CopyFault;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::local::causes::below;
use crate::local::process::ProcessError;

/// What nix says when it took a session over a master for a connection of its own, or the other way round: the word
/// that its ssh prints first was read as protocol. Source: docs/facts.md, "Nix over a master connection".
const MISREAD: &str = "protocol mismatch, got '";
pub(super) const MISREAD_MASTER: &str = "protocol mismatch, got 'started";

/// How much ssh and the host may say beside nix during a copy: banners, warnings, the reason why it fails.
pub(super) const MOST_OF_OTHERS: u64 = 1024 * 1024;

/// The longest line: no builder speaks in a copy.
pub(super) const LONGEST_LINE: usize = 1024 * 1024;

/// The host to copy to.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'run> {
    pub host: &'run HostName,
    /// The host's name in the run's ssh config; follows the rule of names of hosts.
    pub alias: &'run HostName,
    /// `NIX_SSHOPTS`: options for ssh without spaces in them, since Nix before 2.26 and Lix split it at every one.
    pub ssh_options: &'run str,
    /// The host itself fetches from its binary caches what these have.
    pub substitute: bool,
    /// The host that has the system, if this workstation has not.
    pub from: Option<&'run HostName>,
}

impl Destination<'_> {
    /// The host's store, as nix names it.
    #[must_use]
    pub(super) fn store(&self) -> String {
        store_of(self.alias)
    }

    /// ssh takes the first value that it is given.
    #[must_use]
    pub(super) fn without_master(&self) -> String {
        format!("-oControlPath=none {}", self.ssh_options).trim_end().to_owned()
    }
}

/// More than one connection would make nix start a master of its own; Determinate Nix does by default.
fn store_of(alias: &HostName) -> String {
    format!("ssh-ng://{alias}?max-connections=1")
}

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    NoRoom {
        host: HostName,
        path: StorePath,
        message: String,
    },
    /// The login is no trusted user of the host's nix: it must not bring unsigned paths.
    Untrusted {
        host: HostName,
        path: StorePath,
        message: String,
    },
    NoNix {
        host: HostName,
        message: String,
    },
    /// Something there, the login shell most likely, has printed before the host's nix.
    Garbled {
        host: HostName,
        message: String,
    },
    /// Paths that arrived whole stay there, and a second copy goes on from them.
    Connection {
        host: HostName,
        message: String,
    },
    TimedOut {
        host: HostName,
        limit: Duration,
    },
    TooMuch {
        host: HostName,
        bytes: u64,
    },
    Other {
        host: HostName,
        path: StorePath,
        message: String,
    },
    Process {
        host: HostName,
        #[source]
        source: ProcessError,
    },
}

impl CopyError {
    /// Returns the reason, with these words of the cause.
    fn reason(&self, said: String) -> CopyFault {
        let machine = |host: &HostName| host.to_string();
        match self {
            Self::NoRoom { host, path, message } => {
                CopyFault::CopyNoRoom { machine: machine(host), system: path.clone(), said: message.clone() }
            }
            Self::Untrusted { host, path, message } => CopyFault::CopyUntrusted {
                machine: machine(host),
                system: path.clone(),
                said: message.clone(),
                user: None,
            },
            Self::NoNix { host, message } => CopyFault::CopyNoNix { machine: machine(host), said: message.clone() },
            Self::Garbled { host, message } => CopyFault::CopyGarbled { machine: machine(host), said: message.clone() },
            Self::Connection { host, message } => {
                CopyFault::CopyInterrupted { machine: machine(host), said: message.clone() }
            }
            Self::TimedOut { host, limit } => CopyFault::CopyTimedOut { machine: machine(host), limit: *limit },
            Self::TooMuch { host, bytes } => CopyFault::CopyTooTalkative { machine: machine(host), bytes: *bytes },
            Self::Process { host, .. } => CopyFault::CopyNotStarted { machine: machine(host), said },
            Self::Other { host, path, message } => {
                CopyFault::CopyFailed { machine: machine(host), system: path.clone(), said: message.clone() }
            }
        }
    }
}

/// Its words are those of the reason; its cause is below it.
impl fmt::Display for CopyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason(String::new()).fmt(formatter)
    }
}

impl From<&CopyError> for CopyFault {
    fn from(error: &CopyError) -> Self {
        error.reason(below(error))
    }
}

/// Copies `path` and all that it needs. `limit` is for everything, a second try included.
///
/// A session over a master that nix takes for something else is tried once more without the master.
///
/// # Errors
/// See [`CopyError`]; in every case paths that arrived whole stay on the host, and nothing there is touched.
pub async fn copy(
    path: &StorePath,
    to: Destination<'_>,
    limit: Duration,
    hear: impl FnMut(Heard<'_>) + Send,
) -> Result<(), CopyError> {
    copy_all(std::slice::from_ref(path), to, limit, hear).await
}

/// Copies several paths at once, and each thing that they need once. An error names the first of them.
pub(super) async fn copy_all(
    paths: &[StorePath],
    to: Destination<'_>,
    limit: Duration,
    mut hear: impl FnMut(Heard<'_>) + Send,
) -> Result<(), CopyError> {
    let start = tokio::time::Instant::now();
    let Err(error) = copy_once(paths, to, to.ssh_options, limit, &mut hear).await else { return Ok(()) };
    match error {
        CopyError::Other { message, .. } if message.contains(MISREAD_MASTER) => {
            let left = limit.saturating_sub(start.elapsed());
            copy_once(paths, to, &to.without_master(), left, &mut hear).await
        }
        error => Err(error),
    }
}

async fn copy_once(
    paths: &[StorePath],
    to: Destination<'_>,
    ssh_options: &str,
    limit: Duration,
    hear: &mut (impl FnMut(Heard<'_>) + Send),
) -> Result<(), CopyError> {
    let Some(path) = paths.first() else { return Ok(()) };
    let invocation =
        nix(limit).longest_line(LONGEST_LINE).env("NIX_SSHOPTS", ssh_options).args(options(to)).arg("--").args(paths);
    let (finished, tracker) = follow(invocation, Tracker::default(), MOST_OF_OTHERS, hear).await;
    match finished {
        Ok(finished) if finished.succeeded() => Ok(()),
        Ok(_) => Err(explain(&tracker, path, to.host)),
        Err(ProcessError::TimedOut { limit, .. }) => Err(CopyError::TimedOut { host: to.host.clone(), limit }),
        Err(ProcessError::TooMuch { most, .. }) => Err(CopyError::TooMuch { host: to.host.clone(), bytes: most }),
        Err(source) => Err(CopyError::Process { host: to.host.clone(), source }),
    }
}

fn options(to: Destination<'_>) -> Vec<String> {
    let substitute = to.substitute.then(|| "--substitute-on-destination".to_owned());
    // From host to host it goes through this machine, and not into its store.
    let from = to.from.map(|from| ["--from".to_owned(), store_of(from)]);
    let options = ["copy", "--no-check-sigs", "--log-format", "internal-json"].into_iter().map(str::to_owned);
    options.chain(substitute).chain(from.into_iter().flatten()).chain(["--to".to_owned(), to.store()]).collect()
}

/// Finds the words that tell one failure from another. Each is looked for where it is said: what a banner or a login
/// shell prints has any words, and nix's errors are not ssh's.
fn explain(tracker: &Tracker, path: &StorePath, host: &HostName) -> CopyError {
    let errors: Vec<String> = tracker.errors().map(str::to_lowercase).collect();
    let nix_says = |words: &[&str]| errors.iter().any(|error| words.iter().any(|words| error.contains(words)));
    let (host, path, message) = (host.clone(), path.clone(), tracker.message());
    // ssh knows more about a connection than nix.
    let of_ssh = || tracker.others().rev().find(|line| is_of_ssh(line)).or_else(|| tracker.last_of_others());
    let heard = || of_ssh().map_or_else(|| tracker.message(), str::to_owned);
    if message.contains(MISREAD_MASTER) {
        CopyError::Other { host, path, message }
    } else if let Some(message) = printed_before(&message) {
        CopyError::Garbled { host, message }
    } else if nix_says(NO_ROOM) {
        CopyError::NoRoom { host, path, message }
    } else if nix_says(&[
        "lacks a signature by a trusted key",
        "lacks a valid signature",
        "not allowed to connect to the nix daemon",
        "not trusted",
    ]) {
        CopyError::Untrusted { host, path, message }
    } else if let Some(line) = tracker.others().find(|line| is_no_nix(line)) {
        CopyError::NoNix { host, message: line.to_owned() }
    } else if nix_says(CONNECTION) || tracker.others().any(is_of_ssh) {
        CopyError::Connection { host, message: heard() }
    } else {
        CopyError::Other { host, path, message }
    }
}

/// Returns what stood before the words of the host's nix: its first line. Source: Nix, `remote-store.cc`: it shows what
/// came in the place of its greeting, to the end of that.
#[must_use]
pub fn printed_before(message: &str) -> Option<String> {
    let (_, got) = message.split_once(MISREAD)?;
    let (got, _) = got.rsplit_once('\'').unwrap_or((got, ""));
    // The greeting itself may stand behind it.
    let line = got.lines().next().unwrap_or_default().trim_end_matches("oixd").trim();
    Some(line.to_owned())
}

/// How bash, dash, zsh, fish and tcsh say that there is no `nix-daemon`.
pub(super) fn is_no_nix(line: &str) -> bool {
    ["nix-daemon: command not found", "nix-daemon: not found", "nix-daemon: Command not found."]
        .iter()
        .any(|end| line.ends_with(end))
        || line.ends_with("command not found: nix-daemon")
        || line.ends_with("Unknown command: nix-daemon")
}

/// How ssh says that there is no connection, or none any more (clientloop.c, packet.c, sshconnect.c).
pub(super) fn is_of_ssh(line: &str) -> bool {
    const BEGINNINGS: [&str; 9] = [
        "Connection closed by ",
        "Connection reset by ",
        "Connection to ",
        "Host key verification failed.",
        "Timeout, server ",
        "client_loop: ",
        "kex_exchange_identification: ",
        "mux_client_request_session: ",
        "ssh: ",
    ];
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// What nix says of a full disk.
pub(super) const NO_ROOM: &[&str] = &["no space left on device", "disk is full", "disk quota exceeded"];

/// What nix says when it has lost the other end.
pub(super) const CONNECTION: &[&str] = &[
    "failed to start ssh connection",
    "cannot connect to",
    "cannot open connection to remote store",
    "daemon disconnected unexpectedly",
    "unexpected end-of-file",
    "unexpected eof",
    "broken pipe",
    "connection reset",
    "connection closed",
    "connection to remote store",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(lines: &[&str]) -> CopyError {
        let mut tracker = Tracker::default();
        for line in lines {
            tracker.take(line);
        }
        let path = StorePath::new("/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1").unwrap();
        let error = explain(&tracker, &path, &HostName::new("vps").unwrap());
        crate::codes::keep_judged([CopyFault::from(&error)]);
        error
    }

    fn error(text: &str) -> String {
        format!(
            r#"@nix {{"action":"msg","column":null,"level":0,"msg":"\u001b[31;1merror:\u001b[0m {text}","raw_msg":"x"}}"#
        )
    }

    #[test]
    fn the_host_fetches_for_itself_only_where_that_was_said() {
        let vps = HostName::new("vps").unwrap();
        let to = Destination { host: &vps, alias: &vps, ssh_options: "", substitute: false, from: None };
        let words = |substitute| options(Destination { substitute, ..to }).join(" ");
        let with = "copy --no-check-sigs --log-format internal-json --substitute-on-destination --to \
                    ssh-ng://vps?max-connections=1";
        assert_eq!(words(true), with);
        assert_eq!(words(false), with.replace("--substitute-on-destination ", ""));
        let web = HostName::new("web").unwrap();
        let between = options(Destination { from: Some(&web), ..to }).join(" ");
        assert_eq!(between, words(false).replace("--to", "--from ssh-ng://web?max-connections=1 --to"));
    }

    /// Recorded from Nix 2.26.3 with OpenSSH 10.0, but for `unexpected end-of-file`, which is the protocol's own word
    /// for a lost peer.
    #[test]
    fn every_failure_of_a_copy_has_its_name() {
        let room = explained(&[&error(r"writing to file: \u001b[35;1mNo space left on device\u001b[0m")]);
        assert!(
            matches!(&room, CopyError::NoRoom { message, .. } if message == "writing to file: No space left on device"),
            "{room}"
        );

        let untrusted = explained(&[&error(
            r"cannot add path '\u001b[35;1m/nix/store/jf93vdhms5pb1x0df9wlpwji9gxw7ykm-base\u001b[0m' because it lacks a signature by a trusted key",
        )]);
        assert!(matches!(&untrusted, CopyError::Untrusted { .. }), "{untrusted}");

        let no_nix = explained(&[
            "bash: line 1: nix-daemon: command not found",
            &error(
                r"cannot open connection to remote store 'ssh-ng://': \u001b[31;1merror:\u001b[0m Nix daemon disconnected unexpectedly (maybe it crashed?)",
            ),
        ]);
        assert!(matches!(&no_nix, CopyError::NoNix { message, .. } if message.starts_with("bash")), "{no_nix}");

        let key = explained(&["Host key verification failed.", &error("failed to start SSH connection to 'vps'")]);
        assert!(
            matches!(&key, CopyError::Connection { message, .. } if message == "Host key verification failed."),
            "{key}"
        );

        let eof = explained(&[&error("unexpected end-of-file")]);
        assert!(matches!(&eof, CopyError::Connection { message, .. } if message == "unexpected end-of-file"), "{eof}");

        // The master was ended in the middle.
        let cut = explained(&[
            r#"@nix {"action":"msg","level":0,"msg":"error (ignored): \u001b[31;1merror:\u001b[0m writing to file: \u001b[35;1mBroken pipe\u001b[0m"}"#,
            &error(r"writing to file: \u001b[35;1mBroken pipe\u001b[0m"),
        ]);
        assert!(matches!(&cut, CopyError::Connection { .. }), "{cut}");

        // What a login shell or a banner prints is neither nix's word nor ssh's.
        let noise = explained(&[
            "Welcome. No space left on device alerts go to ops; a host that is not trusted: command not found.",
            &error("path '/nix/store/jf93vdhms5pb1x0df9wlpwji9gxw7ykm-base' is corrupt"),
        ]);
        assert!(matches!(&noise, CopyError::Other { message, .. } if message.contains("corrupt")), "{noise}");

        let misread = explained(&[
            "mux_client_request_session: session request failed: Session open refused by peer",
            &error(
                r"cannot open connection to remote store '\u001b[35;1mssh-ng://\u001b[0m': \u001b[31;1merror:\u001b[0m protocol mismatch, got '\u001b[35;1mstarted\n       oixd\u001b[0m",
            ),
        ]);
        assert!(matches!(&misread, CopyError::Other { message, .. } if message.contains(MISREAD_MASTER)), "{misread}");

        let garbled = explained(&[&error(
            r"cannot open connection to remote store '\u001b[35;1mssh-ng://\u001b[0m': \u001b[31;1merror:\u001b[0m protocol mismatch, got '\u001b[35;1mWelcome\n       oixd\u001b[0m'",
        )]);
        assert!(matches!(&garbled, CopyError::Garbled { message, .. } if message == "Welcome"), "{garbled}");
    }
}
