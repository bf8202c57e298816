//! Finds out which programs the workstation has, for the reader of the record: beside the push, which never waits for
//! it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::event::Event;
use crate::event::stream::Events;
use crate::local::process::Invocation;
use crate::nix;

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(10);

/// The look that is under way.
pub(super) struct Looking {
    task: JoinHandle<()>,
}

impl Looking {
    pub(super) fn begin(events: &Events, nix: Arc<nix::NixHere>) -> Self {
        let events = events.clone();
        Self {
            task: tokio::spawn(async move {
                let (nix, ssh) = tokio::join!(nix.version(LIMIT), ssh_version());
                events.publish(Event::WorkstationSeen {
                    fleetdeploy: env!("CARGO_PKG_VERSION").to_owned(),
                    nix: nix.ok().map(ToString::to_string),
                    ssh,
                });
            }),
        }
    }

    /// Ends the look. From now on nothing is told, because the last event of a push is another one.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // The task ends at its next wait, if it has not ended already.
        let _ = (&mut self.task).await;
    }
}

/// Ends the look also if the push has panicked.
impl Drop for Looking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn ssh_version() -> Option<String> {
    let asked = Invocation::new("ssh", LIMIT).arg("-V").run().await.ok()?;
    ssh_version_in(&asked.stderr_text())
}

/// `OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1 1 Jul 2025`, without its libraries.
fn ssh_version_in(text: &str) -> Option<String> {
    let version = text.lines().next()?.split(',').next()?.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_says_its_version_before_that_of_its_libraries() {
        for (text, version) in [
            ("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1 1 Jul 2025\n", Some("OpenSSH_10.0p2 Debian-7")),
            ("OpenSSH_9.9p2, LibreSSL 3.3.6\n", Some("OpenSSH_9.9p2")),
            ("", None),
        ] {
            assert_eq!(ssh_version_in(text).as_deref(), version);
        }
    }
}
