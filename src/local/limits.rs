//! Raises the number of files that this process may have open: each host takes some, in pipes, sockets and children.

use std::error::Error;
use std::io;

use ::nix::errno::Errno;
use ::nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::facts::file_limit::FileLimit;

/// The highest limit that is set, even if more is allowed. Children inherit it, and programs that close every number up
/// to their limit take minutes if it is a billion, as in many containers. It is enough for a thousand hosts.
const ENOUGH: u64 = 65_536;

/// Raises the soft limit of open files to the hard one: many systems give a thousand where far more is allowed. If it
/// cannot be raised it stays as it is, and an error says so when it is reached.
pub fn raise_open_files() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = hard.min(ENOUGH);
    if wanted > soft {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}

/// Returns the limit of open files that an error comes from, if it does.
#[must_use]
pub fn reached(error: &(dyn Error + 'static)) -> Option<FileLimit> {
    let mut next = Some(error);
    while let Some(one) = next {
        let code = one.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        match code.map(Errno::from_raw) {
            Some(Errno::EMFILE) => return Some(FileLimit::Process),
            Some(Errno::ENFILE) => return Some(FileLimit::Machine),
            _ => next = one.source(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::process::ProcessError;

    #[test]
    fn too_many_open_files_are_called_that() {
        let start = |code| ProcessError::Start { program: "ssh".into(), source: io::Error::from_raw_os_error(code) };
        assert!(reached(&start(Errno::EMFILE as i32)) == Some(FileLimit::Process));
        assert!(reached(&start(Errno::ENFILE as i32)) == Some(FileLimit::Machine));
        assert_eq!(reached(&start(Errno::ENOENT as i32)), None);
    }
}
