//! A machine's place for its master, and the master that is held there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::UnixStream;

use super::connect_error::ConnectError;

/// How long a local process may take to answer over its socket.
pub(super) const LOCAL: Duration = Duration::from_secs(2);

/// A running master. While this value exists, the master does not end for lack of work.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) socket: PathBuf,
    /// The block of the config that it was started with.
    pub(super) alias: String,
    /// A client that is connected and says nothing counts as an open channel (OpenSSH, channels.c,
    /// `channel_still_open`: `SSH_CHANNEL_MUX_CLIENT`), takes no place of `MaxSessions`, and is closed by the kernel
    /// when we die. So `ControlPersist` counts from our end. Held by `a_master_lives_as_long_as_it_is_held` in
    /// `tests/ssh.rs`.
    pub(super) hold: UnixStream,
}

impl Master {
    /// Returns when the master has ended.
    pub(super) async fn ended(&self) {
        let mut greeting = [0; 256];
        loop {
            if self.hold.readable().await.is_err() {
                return;
            }
            // What the master says is taken out of the socket; else `readable` would return at once for ever.
            match self.hold.try_read(&mut greeting) {
                Ok(1..) => {}
                // `readable` may be wrong. Only a read that returns nothing says that the master has closed its end.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Returns whether the process is there and takes clients. That says nothing about the link to the host.
    pub(super) async fn is_there(&self) -> bool {
        matches!(tokio::time::timeout(LOCAL, UnixStream::connect(&self.socket)).await, Ok(Ok(_)))
    }
}

/// A machine's place for its master.
#[derive(Debug)]
pub(super) struct Slot {
    /// The path in the config.
    pub(super) link: PathBuf,
    /// How many starts there were; the number names the socket of each.
    pub(super) starts: AtomicU64,
    /// How many starts have ended, with a master or without.
    pub(super) ended: AtomicU64,
    pub(super) state: tokio::sync::Mutex<State>,
}

impl Slot {
    pub(super) fn new(link: PathBuf) -> Self {
        Self { link, starts: AtomicU64::new(0), ended: AtomicU64::new(0), state: tokio::sync::Mutex::default() }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) master: Option<Arc<Master>>,
    /// How the last start failed, if it did.
    pub(super) failure: Option<ConnectError>,
}
