//! Why the ssh side of a run could not be made; nothing was connected to.

use std::path::PathBuf;
use std::{fmt, io};

use crate::event::reason::command_fault::WorkstationFault;
use crate::local::causes::below;
use crate::local::process::ProcessError;

#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    Ssh {
        destination: String,
        #[source]
        source: ProcessError,
    },
    Config {
        destination: String,
        stderr_tail: String,
    },
    JumpLoop {
        destination: String,
    },
}

impl WorkspaceError {
    /// Returns the reason, with these words of the cause.
    fn reason(&self, said: String) -> WorkstationFault {
        match self {
            Self::Folder { folder, .. } => {
                WorkstationFault::SocketsHaveNoPlace { path: folder.display().to_string(), said }
            }
            Self::Ssh { destination, source: ProcessError::TimedOut { .. } } => {
                WorkstationFault::SshConfigSlow { destination: destination.clone(), said }
            }
            Self::Ssh { destination, .. } => {
                WorkstationFault::SshConfigNotAsked { destination: destination.clone(), said }
            }
            Self::Config { destination, stderr_tail } => {
                WorkstationFault::SshConfigUnreadable { destination: destination.clone(), said: stderr_tail.clone() }
            }
            Self::JumpLoop { destination } => WorkstationFault::JumpsInCircle { destination: destination.clone() },
        }
    }
}

/// Its words are those of the reason; its cause is below it.
impl fmt::Display for WorkspaceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason(String::new()).fmt(formatter)
    }
}

impl From<&WorkspaceError> for WorkstationFault {
    fn from(error: &WorkspaceError) -> Self {
        error.reason(below(error))
    }
}
