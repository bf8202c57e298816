//! Makes the reasons of failed logins and scripts, for the events, out of the errors of this room.

use super::answer::AnswerError;
use super::{BadScript, ConnectCause, ConnectError, RootRefusal, StepError};
use crate::event::reason::cause::Cause;
use crate::facts::privilege::RootLack;
use crate::inventory::model::HostName;
use crate::local::limits;

impl From<&ConnectError> for Cause {
    fn from(error: &ConnectError) -> Self {
        let (machine, by_hand) = (error.machine.clone(), error.by_hand.clone());
        match &error.cause {
            ConnectCause::UnknownHostKey { fingerprint } => {
                Self::HostKeyUnknown { machine, fingerprint: fingerprint.clone(), by_hand }
            }
            ConnectCause::ChangedHostKey { fingerprint, known, known_as } => Self::HostKeyChanged {
                machine,
                fingerprint: fingerprint.clone(),
                known_in: known.as_ref().map(|(file, _)| file.display().to_string()),
                known_line: known.as_ref().map(|(_, line)| *line),
                known_as: known_as.clone(),
                by_hand,
            },
            ConnectCause::AuthRefused(said) => Self::LoginRefused { machine, said: said.clone(), by_hand },
            ConnectCause::AgentFailed { said, agent } => {
                Self::AgentFailed { machine, said: said.clone(), agent: agent.clone(), by_hand }
            }
            ConnectCause::Unreachable(said) if said.contains("Connection refused") => {
                Self::ConnectionRefused { machine, said: said.clone(), by_hand }
            }
            ConnectCause::Unreachable(said) => Self::MachineUnreachable { machine, said: said.clone(), by_hand },
            ConnectCause::AccountRefused(said) => Self::AccountRefused { machine, said: said.clone(), by_hand },
            ConnectCause::Busy(said) => Self::SshdBusy { machine, said: said.clone(), by_hand },
            ConnectCause::SessionRefused(said) => Self::SessionRefused { machine, said: said.clone(), by_hand },
            ConnectCause::JumpBlocked => Self::JumpBlocked { machine, by_hand },
            ConnectCause::TimedOut(waited) => Self::LoginTimedOut { machine, waited: *waited, by_hand },
            ConnectCause::TooMuch { bytes } => Self::LoginTooLong { machine, bytes: *bytes, by_hand },
            ConnectCause::NameUnknown(said) => Self::NameUnknown { machine, said: said.clone(), by_hand },
            ConnectCause::Other(said) => Self::LoginFailed { machine, said: said.clone() },
            ConnectCause::FolderGone { folder, source } => {
                Self::RunFolderGone { machine, folder: folder.display().to_string(), said: source.to_string() }
            }
            ConnectCause::FolderUnusable { folder, source } => {
                Self::RunFolderUnusable { machine, folder: folder.display().to_string(), said: source.to_string() }
            }
            ConnectCause::Local(error) => Self::SshNotStarted {
                machine,
                limit: limits::reached(error.as_ref()),
                said: std::error::Error::source(error.as_ref()).map(ToString::to_string).unwrap_or_default(),
            },
        }
    }
}

/// Makes the cause of a host where a script did not become root's.
pub(super) fn no_root(host: &HostName, script: &str, RootRefusal { by, why }: &RootRefusal, said: String) -> Cause {
    let (machine, script, by) = (host.to_string(), script.to_owned(), by.clone());
    match why {
        RootLack::Password => Cause::RootPasswordNeeded { machine, script, by, said },
        RootLack::WrongPassword => Cause::RootPasswordWrong { machine, script, by, said },
        RootLack::Permission => Cause::RootNotAllowed { machine, script, by, said },
        RootLack::Program => Cause::RootProgramMissing { machine, script, by, said },
        RootLack::Terminal => Cause::RootTerminalNeeded { machine, script, by, said },
        RootLack::StillNotRoot => Cause::RootNotReached { machine, script, by, said },
        RootLack::Silent => Cause::RootSilent { machine, script, by, said },
        RootLack::NotKnown => Cause::RootFailed { machine, script, by, said },
    }
}

/// What sshd says in the place of a shell. Source: OpenSSH 10.0, `session.c`.
const NEW_PASSWORD: &str = "Password change required but no TTY available.";

impl From<&StepError> for Cause {
    fn from(error: &StepError) -> Self {
        // Some programs leave their name out before the colon.
        let last = error.stderr_tail().and_then(|tail| tail.lines().last());
        let said = last.unwrap_or_default().trim_start_matches([':', ' ']).to_owned();
        match error {
            StepError::BadScript(bad) => bad.into(),
            StepError::NotBegun { host, script, reason } => {
                Self::ScriptNotBegun { machine: host.to_string(), script: (*script).to_owned(), said: reason.clone() }
            }
            // Without a login the reason for that says it all; the script that was to run does not matter then.
            StepError::NoLogin { source, .. } => source.as_ref().into(),
            StepError::NotRoot { host, script, refusal, .. } => no_root(host, script, refusal, said),
            StepError::NoShell { host, .. } if said == NEW_PASSWORD => {
                Self::PasswordExpired { machine: host.to_string(), said }
            }
            StepError::NoShell { host, script, status, .. } => {
                Self::LoginShellUnfit { machine: host.to_string(), script: (*script).to_owned(), status: *status, said }
            }
            StepError::Exit { host, script, status, .. } => {
                Self::ScriptFailed { machine: host.to_string(), script: (*script).to_owned(), status: *status, said }
            }
            StepError::TimedOut { host, script, waited } => {
                Self::NoAnswer { machine: host.to_string(), script: (*script).to_owned(), waited: *waited }
            }
            StepError::Disconnected { host, script, .. } => {
                Self::ConnectionLost { machine: host.to_string(), script: (*script).to_owned(), said }
            }
            StepError::TooMuch { host, script, bytes } => {
                Self::AnswerTooLong { machine: host.to_string(), script: (*script).to_owned(), bytes: *bytes }
            }
            StepError::Truncated { host, script, .. } => {
                Self::AnswerCutShort { machine: host.to_string(), script: (*script).to_owned(), said }
            }
        }
    }
}

impl From<&BadScript> for Cause {
    fn from(BadScript { script, reason }: &BadScript) -> Self {
        Self::ScriptUnsendable { script: (*script).to_owned(), said: reason.clone() }
    }
}

impl From<&AnswerError> for Cause {
    fn from(error: &AnswerError) -> Self {
        match error {
            AnswerError::NotNixos => Self::NotNixos,
            AnswerError::Missing(lacking) => Self::AnswerUnreadable { lacking: (*lacking).to_owned() },
        }
    }
}
