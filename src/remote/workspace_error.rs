//! Why the ssh side of a run could not be made; nothing was connected to.

use std::io;
use std::path::PathBuf;

use crate::inventory::model::HostName;
use crate::local::process::ProcessError;

#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    #[error("cannot make the folder for ssh's sockets under {}", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read what ssh's config says about `{destination}`")]
    Ssh {
        destination: String,
        #[source]
        source: ProcessError,
    },
    #[error("ssh cannot read its config about `{destination}`: {stderr_tail}")]
    Config { destination: String, stderr_tail: String },
    #[error("{host}: `{text}` cannot stand in an ssh config as {what}")]
    BadText { host: HostName, what: &'static str, text: String },
    #[error("{host}: its jump `{jump}` is not among the hosts of this run")]
    NoSuchJump { host: HostName, jump: HostName },
    #[error("{destination}: its jumps lead in a circle")]
    JumpLoop { destination: String },
    #[error("{host} needs a sudo password, and none was given")]
    NoPassword { host: HostName },
}
