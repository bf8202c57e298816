//! Looks whether the ssh agent that a login would ask is there.

use std::io;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Returns why the agent that these lines of an ssh config name cannot be reached; without such a line it is the one
/// of the environment. `None`: it is there, or there is to be none.
pub(super) fn failure(lines: &[String]) -> Option<String> {
    let named = lines.iter().find_map(|line| {
        let (key, value) = line.trim().split_once(' ')?;
        key.eq_ignore_ascii_case("identityagent").then(|| value.trim().trim_matches('"').replace("%%", "%"))
    });
    let socket = socket(named.as_deref(), |name| std::env::var(name).ok())?;
    reach(&socket).err().map(|error| error.to_string())
}

/// Connects without waiting: an agent that is stopped, with its queue full, would be waited for without end.
fn reach(path: &Path) -> io::Result<()> {
    let ours = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    ours.set_nonblocking(true)?;
    match ours.connect(&SockAddr::unix(path)?) {
        // It is there, and has no time: what comes of that ssh says itself. Source: `unix(7)`, EAGAIN.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        reached => reached,
    }
}

/// Source: `ssh_config(5)`, `IdentityAgent`.
fn socket(named: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let path = match named.unwrap_or("SSH_AUTH_SOCK") {
        "none" => return None,
        "SSH_AUTH_SOCK" => variable("SSH_AUTH_SOCK")?,
        path => match (path.strip_prefix("~/"), path.strip_prefix('$')) {
            (Some(below), _) => format!("{}/{below}", variable("HOME")?),
            (None, Some(name)) => variable(name.trim_matches(['{', '}']))?,
            (None, None) => path.to_owned(),
        },
    };
    // One with a token of ssh's is ssh's to find.
    Some(PathBuf::from(path)).filter(|path| path.is_absolute() && !path.to_string_lossy().contains('%'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_agent_is_the_one_that_ssh_would_ask() {
        let variable = |name: &str| match name {
            "SSH_AUTH_SOCK" => Some("/run/agent".to_owned()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        let path = |named| socket(named, variable).map(|path| path.display().to_string());
        assert_eq!(path(None).as_deref(), Some("/run/agent"));
        assert_eq!(path(Some("SSH_AUTH_SOCK")).as_deref(), Some("/run/agent"));
        assert_eq!(path(Some("${SSH_AUTH_SOCK}")).as_deref(), Some("/run/agent"));
        assert_eq!(path(Some("~/agent")).as_deref(), Some("/home/me/agent"));
        assert_eq!(path(Some("/a b")).as_deref(), Some("/a b"));
        assert_eq!([path(Some("none")), path(Some("$OTHER")), path(Some("/run/%i"))], [None, None, None]);
        assert_eq!(socket(None, |_| None), None);
    }

    #[test]
    fn an_agent_that_takes_nobody_has_failed() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("an agent");
        let lines = ["  IdentitiesOnly no".to_owned(), format!("  identityagent \"{}\"", socket.display())];
        assert_eq!(failure(&lines).as_deref(), Some("No such file or directory (os error 2)"));
        let listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(failure(&lines), None);
        drop(listener);
        assert_eq!(failure(&lines).as_deref(), Some("Connection refused (os error 111)"));
    }
    /// Nobody takes what stands in its queue.
    #[test]
    fn an_agent_that_is_stopped_is_waited_for_by_nobody() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("agent");
        let stopped = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        stopped.bind(&SockAddr::unix(&place).unwrap()).unwrap();
        stopped.listen(0).unwrap();
        let lines = [format!("IdentityAgent {}", place.display())];
        for _ in 0..4 {
            assert_eq!(failure(&lines), None);
        }
    }
}
