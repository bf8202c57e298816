//! Says why there is no login, in words of a person; it reads them from the output of `ssh -v`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::tail;
use crate::event::reason::Worded;
use crate::event::reason::cause::Cause;
use crate::local::process::ProcessError;

/// No ssh login on a machine.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no ssh login on {machine}: {cause}")]
pub struct ConnectError {
    /// The machine that the cause is about: the host itself, or the jump on the way to it.
    pub machine: String,
    /// How a person would log in there by hand.
    pub by_hand: String,
    pub cause: ConnectCause,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectCause {
    #[error("its host key is not known{}", fingerprint_text(fingerprint.as_ref()))]
    UnknownHostKey { fingerprint: Option<String> },
    #[error("ITS HOST KEY HAS CHANGED{}", fingerprint_text(fingerprint.as_ref()))]
    ChangedHostKey {
        fingerprint: Option<String>,
        /// Where the known key stands: file and line.
        known: Option<(PathBuf, u32)>,
        /// The name under which it is known there.
        known_as: Option<String>,
    },
    #[error("{0}")]
    AuthRefused(String),
    #[error("{0}")]
    Unreachable(String),
    /// An ssh that uses a jump's master is told this, whatever the reason.
    #[error("the jump on the way does not get through to it, or does not forward")]
    JumpBlocked,
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("it says more than any login has, and was cut off after {bytes} bytes")]
    TooMuch { bytes: u64 },
    #[error("{0}")]
    NameUnknown(String),
    #[error("{}", if .0.is_empty() { "ssh ended without a word" } else { .0.as_str() })]
    Other(String),
    #[error("cannot run ssh")]
    Local(#[source] Arc<ProcessError>),
}

fn fingerprint_text(fingerprint: Option<&String>) -> String {
    fingerprint.map(|text| format!(" ({text})")).unwrap_or_default()
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

    /// Reads what `ssh -v` said before it gave up.
    ///
    /// Source: the message texts of OpenSSH 9.2 and 10.0 (sshconnect.c, ssh.c, packet.c, channels.c); held by
    /// `tests/ssh.rs` against a real sshd. The first sign from the top of this list counts: a key that cannot be
    /// trusted also ends in "connection closed".
    pub(super) fn read(log: &str, waited: Duration) -> Self {
        let lines: Vec<&str> = log.lines().map(|line| line.trim_end_matches('\r')).collect();
        let find = |signs: &[&str]| {
            let told = lines.iter().filter(|line| !line.starts_with("debug1: "));
            told.copied().find(|line| signs.iter().any(|sign| line.contains(sign)))
        };
        let words = |line: &str| tail(line.trim_start_matches("ssh: ").as_bytes());
        let fingerprint = || {
            let key = lines.iter().rev().find_map(|line| line.strip_prefix("debug1: Server host key: "));
            key.map(|key| tail(key.as_bytes()))
        };
        if find(&["REMOTE HOST IDENTIFICATION HAS CHANGED", "REVOKED HOST KEY"]).is_some() {
            return Self::ChangedHostKey {
                fingerprint: fingerprint(),
                known: find(&["Offending "]).and_then(offending),
                known_as: find(&["Host key for "])
                    .and_then(|line| line.strip_prefix("Host key for "))
                    .and_then(|rest| rest.split_once(" has changed"))
                    .map(|(name, _)| tail(name.as_bytes())),
            };
        }
        if find(&["host key is known for", "Host key verification failed"]).is_some() {
            return Self::UnknownHostKey { fingerprint: fingerprint() };
        }
        if let Some(line) =
            find(&["Permission denied (", "Too many authentication failures", "No more authentication methods"])
        {
            return Self::AuthRefused(words(line));
        }
        if let Some(line) = find(&["Could not resolve hostname"]) {
            return Self::NameUnknown(words(line));
        }
        if find(&["timed out during banner exchange", "Connection timed out", "Operation timed out", "not responding"])
            .is_some()
        {
            return Self::TimedOut(waited);
        }
        if find(&["Stdio forwarding request failed", "stdio forwarding failed"]).is_some() {
            return Self::JumpBlocked;
        }
        if let Some(line) = find(&[
            "Connection refused",
            "No route to host",
            "Network is unreachable",
            "Host is down",
            "open failed:",
            "Connection closed by",
            "Connection reset by",
            "kex_exchange_identification",
            "Broken pipe",
        ]) {
            return Self::Unreachable(words(line));
        }
        Self::Other(tail(log.as_bytes()))
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
