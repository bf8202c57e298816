//! Finds out why there is no login: it reads that from the output of `ssh -v`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::tail;
use crate::event::reason::Worded;
use crate::event::reason::cause::Cause;
use crate::local::process::ProcessError;

/// No ssh login on a machine.
#[derive(Debug, Clone, thiserror::Error)]
pub struct ConnectError {
    /// The machine that the cause is about: the host itself, or the jump on the way to it.
    pub machine: String,
    /// How a person would log in there by hand.
    pub by_hand: String,
    pub cause: ConnectCause,
}

#[derive(Debug, Clone)]
pub enum ConnectCause {
    UnknownHostKey {
        fingerprint: Option<String>,
    },
    ChangedHostKey {
        fingerprint: Option<String>,
        /// Where the known key stands: file and line.
        known: Option<(PathBuf, u32)>,
        /// The name under which it is known there.
        known_as: Option<String>,
    },
    AuthRefused(String),
    /// The same, and the ssh agent of this workstation could not give the keys that it may have.
    AgentFailed {
        said: String,
        agent: String,
    },
    /// sshd has taken a key, and does not let the account in: it has expired, or the machine is about to stop.
    AccountRefused(String),
    Unreachable(String),
    /// An ssh that uses a jump's master is told this, whatever the reason.
    JumpBlocked,
    TimedOut(Duration),
    TooMuch {
        bytes: u64,
    },
    /// sshd takes no connection from here just now: it has too many logins under way, or punishes this address.
    Busy(String),
    /// sshd has let us in, and opens no session.
    SessionRefused(String),
    NameUnknown(String),
    Other(String),
    /// The folder of the run has vanished from this workstation, and cannot be made anew.
    FolderGone {
        folder: PathBuf,
        source: Arc<std::io::Error>,
    },
    /// Nothing can be written into it, or be reached there.
    FolderUnusable {
        folder: PathBuf,
        source: Arc<std::io::Error>,
    },
    Local(Arc<ProcessError>),
}

/// Its words are those of the reason.
impl fmt::Display for ConnectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cause::from(self).fmt(formatter)
    }
}

impl ConnectError {
    /// Says what to type, or to look at.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Cause::from(self).mend()
    }
}

impl ConnectCause {
    /// Returns whether the machine did not show itself at all, or talked without an end, which counts the same.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::JumpBlocked | Self::TimedOut(_) | Self::TooMuch { .. } | Self::NameUnknown(_)
        )
    }

    /// Returns whether the machine has shown its key, and does not let us in.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::AuthRefused(_) | Self::AgentFailed { .. } | Self::AccountRefused(_) | Self::SessionRefused(_)
        )
    }

    /// Reads what `ssh -v` said before it gave up.
    ///
    /// Only ssh's own lines count, each in ssh's own form: the banner of a host, and what PAM says there, stand between
    /// them and may have any words. Source: the message texts of OpenSSH 9.2 and 10.0 (sshconnect.c, ssh.c, packet.c,
    /// channels.c); held by `tests/ssh.rs` against a real sshd, and by the table below. The first sign from the top of
    /// this list counts: a key that cannot be trusted also ends in "connection closed".
    pub(super) fn read(log: &str, waited: Duration) -> Self {
        let log = SshLog::of(log);
        let words = |line: &str| tail(line.trim_start_matches("ssh: ").as_bytes());
        if log.own(|line| line.starts_with('@') && CHANGED.iter().any(|sign| line.contains(sign))).is_some() {
            return Self::ChangedHostKey {
                fingerprint: log.fingerprint(),
                known: log.own(|line| line.starts_with("Offending ")).and_then(offending),
                known_as: log
                    .own(|line| line.starts_with("Host key for "))
                    .and_then(|line| line.strip_prefix("Host key for "))
                    .and_then(|rest| rest.split_once(" has changed"))
                    .map(|(name, _)| tail(name.as_bytes())),
            };
        }
        if log.own(|line| line == "Host key verification failed.").is_some() {
            return Self::UnknownHostKey { fingerprint: log.fingerprint() };
        }
        if let Some(line) = log.own(is_refusal) {
            let said = log.reason().unwrap_or_else(|| words(line));
            return match log.agent {
                Some(agent) => Self::AgentFailed { said, agent: tail(agent.as_bytes()) },
                None => Self::AuthRefused(said),
            };
        }
        let closed = |line: &str| line.starts_with("Connection closed by ") || line.starts_with("Connection reset by ");
        if let (true, Some(line)) = (log.key_taken, log.own(closed)) {
            // The key was right, and sshd closed all the same: PAM does not want the account.
            return Self::AccountRefused(log.reason().unwrap_or_else(|| words(line)));
        }
        if let Some(said) = log.busy {
            return Self::Busy(tail(said.as_bytes()));
        }
        if let Some(line) = log.own(|line| line.starts_with("ssh: Could not resolve hostname ")) {
            return Self::NameUnknown(words(line));
        }
        if log.own(is_time_out).is_some() {
            return Self::TimedOut(waited);
        }
        if log.own(|line| FORWARDING.iter().any(|sign| line.starts_with(sign))).is_some() {
            return Self::JumpBlocked;
        }
        if let Some(line) = log.own(|line| line.starts_with("channel 0: open failed: ")) {
            return Self::SessionRefused(words(line));
        }
        if let Some(line) = log.own(|line| closed(line) || CUT.iter().any(|sign| line.starts_with(sign))) {
            return Self::Unreachable(words(line));
        }
        Self::Other(log.all_own())
    }
}

const CHANGED: [&str; 2] = ["REMOTE HOST IDENTIFICATION HAS CHANGED", "REVOKED HOST KEY"];
const FORWARDING: [&str; 2] = ["Stdio forwarding request failed", "stdio forwarding failed"];
const CUT: [&str; 4] =
    ["ssh: connect to host ", "kex_exchange_identification: ", "ssh_dispatch_run_fatal: Connection to ", "Broken pipe"];

/// How ssh says that `SSH_AUTH_SOCK` or `IdentityAgent` names an agent that cannot be reached, and that it does not
/// sign: it is locked, has died meanwhile, or its key is unplugged (sshconnect2.c, `get_agent_identities` and
/// `sign_and_send_pubkey`).
const NO_AGENT: &str = "ssh_get_authentication_socket: ";
const SIGNING: &str = "sign_and_send_pubkey: signing failed for ";
const OF_AGENT: &str = " from agent: ";

/// How ssh quotes a line that came before, or instead of, the greeting (kex.c, `kex_exchange_identification`).
const BANNER: &str = "kex_exchange_identification: banner line ";

/// What sshd says instead of its greeting to a connection that it drops: beyond `MaxStartups`, up to OpenSSH 9.7; that,
/// or from an address that it punishes, since then.
///
/// Source: docs/facts.md, "Penalties of sshd".
const BUSY: [&str; 2] = ["Exceeded MaxStartups", "Not allowed at this time"];

fn is_refusal(line: &str) -> bool {
    let by_name = line.split_once(": Permission denied (").is_some_and(|(login, _)| !login.contains(' '));
    by_name
        || ["Too many authentication failures", "No more authentication methods available"]
            .iter()
            .any(|sign| line.ends_with(sign) && line.starts_with("Received disconnect from "))
}

fn is_time_out(line: &str) -> bool {
    let of_connect = line.starts_with("ssh: connect to host ");
    line == "Connection timed out during banner exchange"
        || (of_connect && [": Connection timed out", ": Operation timed out"].iter().any(|sign| line.ends_with(sign)))
        || (line.starts_with("Connection to ") && line.ends_with(" timed out"))
        || (line.starts_with("Timeout, server ") && line.contains("not responding"))
}

/// What ssh with `-v` has printed, taken apart.
struct SshLog<'a> {
    lines: Vec<&'a str>,
    /// What the host has said since it knows who wants in: the reasons of PAM. The banner comes before.
    reason: Vec<&'a str>,
    key: Option<&'a str>,
    /// How the agent has failed, if there is to be one.
    agent: Option<&'a str>,
    /// What sshd has said instead of its greeting, where that is one of [`BUSY`].
    busy: Option<&'a str>,
    /// sshd has taken a key, and what came then was not an "authenticated".
    key_taken: bool,
}

impl<'a> SshLog<'a> {
    fn of(log: &'a str) -> Self {
        // ssh ends its own lines by CR and LF, and passes a banner on as it is (log.c, sshconnect2.c).
        let marked = log.contains("\r\n");
        let mut read =
            Self { lines: Vec::new(), reason: Vec::new(), key: None, agent: None, busy: None, key_taken: false };
        let mut is_known = false;
        for line in log.split_terminator('\n') {
            let (line, is_own) = match line.strip_suffix('\r') {
                Some(line) => (line, true),
                None => (line, !marked),
            };
            let Some(debug) = line.strip_prefix("debug1: ") else {
                if is_own {
                    let unsigned = line.strip_prefix(SIGNING).and_then(|rest| rest.split_once(OF_AGENT));
                    read.agent = unsigned.map_or(read.agent, |(_, how)| Some(how));
                    read.lines.push(line);
                    read.key_taken &= !line.starts_with("Authenticated to ");
                } else if is_known && !line.trim().is_empty() {
                    read.reason.push(line);
                }
                continue;
            };
            if is_own {
                read.agent = debug.split_once(NO_AGENT).map_or(read.agent, |(_, how)| Some(how));
                let said = debug.strip_prefix(BANNER).and_then(|rest| rest.split_once(": ")).map(|(_, said)| said);
                read.busy = said.filter(|said| BUSY.contains(said)).or(read.busy);
            }
            is_known |= debug.starts_with("Authentications that can continue");
            read.key_taken |= debug.starts_with("Server accepts key: ");
            read.key = debug.strip_prefix("Server host key: ").or(read.key);
        }
        read
    }

    fn own(&self, is_it: impl Fn(&str) -> bool) -> Option<&'a str> {
        self.lines.iter().copied().find(|line| is_it(line))
    }

    fn fingerprint(&self) -> Option<String> {
        self.key.map(|key| tail(key.as_bytes()))
    }

    /// Returns the last line that the host has given as a reason.
    fn reason(&self) -> Option<String> {
        self.reason.last().map(|line| tail(line.as_bytes()))
    }

    fn all_own(&self) -> String {
        tail(self.lines.join("\n").as_bytes())
    }
}

/// `Offending ED25519 key in /home/me/.ssh/known_hosts:12`
fn offending(line: &str) -> Option<(PathBuf, u32)> {
    let (_, place) = line.split_once(" in ")?;
    let (file, number) = place.trim().rsplit_once(':')?;
    Some((PathBuf::from(tail(file.as_bytes())), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &str) -> ConnectCause {
        ConnectCause::read(log, Duration::from_secs(7))
    }

    #[test]
    fn a_changed_key_is_named_with_its_place_and_what_to_type() {
        let log = "debug1: Server host key: ssh-ed25519 SHA256:new\n@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS \
                   CHANGED!     @\nOffending ED25519 key in /home/me/known hosts:12\n  remove with:\n\
                   Host key for [vps]:22 has changed and you have requested strict checking.\nHost key verification \
                   failed.\n";
        let error = ConnectError { machine: "vps".into(), by_hand: "ssh vps".into(), cause: read(log) };
        assert_eq!(error.to_string(), "no ssh login on vps: ITS HOST KEY HAS CHANGED (ssh-ed25519 SHA256:new)");
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("line 12") && hint.contains("ssh-keygen -f /home/me/known hosts -R '[vps]:22'"),
            "{hint}"
        );
    }

    #[test]
    fn an_agent_that_fails_is_named_where_no_other_key_is_taken() {
        let refused = "me@h: Permission denied (publickey).\r\n";
        for (log, agent) in [
            (
                "debug1: get_agent_identities: ssh_get_authentication_socket: Connection refused\r\n",
                "Connection refused",
            ),
            (
                "sign_and_send_pubkey: signing failed for ED25519 \"key\" from agent: agent refused operation\r\n",
                "agent refused operation",
            ),
        ] {
            let cause = read(&format!("{log}{refused}"));
            assert!(matches!(&cause, ConnectCause::AgentFailed { agent: said, .. } if said == agent), "{cause:?}");
        }
        // A banner may have such words, and has no CR.
        let banner = "debug1: get_agent_identities: ssh_get_authentication_socket: No such file or directory\n";
        assert!(matches!(read(&format!("{banner}{refused}")), ConnectCause::AuthRefused(_)));
    }

    #[test]
    fn what_ssh_says_cannot_steer_a_terminal() {
        let ConnectCause::Other(text) = read("debug1: noise\nodd \u{1b}[2Jthing\r\n") else { panic!("not other") };
        assert_eq!(text, "odd [2Jthing");
    }

    #[test]
    fn each_cause_has_its_own_name() {
        assert!(matches!(read("joe@h: Permission denied (publickey).\n"), ConnectCause::AuthRefused(_)));
        assert!(matches!(
            read("ssh: Could not resolve hostname h: Name or service not known"),
            ConnectCause::NameUnknown(_)
        ));
        assert!(matches!(read("ssh: connect to host h port 22: Connection refused"), ConnectCause::Unreachable(_)));
        assert!(matches!(read("Connection timed out during banner exchange"), ConnectCause::TimedOut(_)));
        assert!(matches!(read(""), ConnectCause::Other(_)));
    }
}
