//! A machine's place for its master, and the master that is held there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

/// The words between a master and its clients, each in a packet of 32-bit numbers, the high byte first, with its length
/// before it (OpenSSH, PROTOCOL.mux).
const HELLO: u32 = 0x0000_0001;
const VERSION: u32 = 4;
const TERMINATE: u32 = 0x1000_0005;

/// The most that is read of a packet: one word, and the number of the question.
const LONGEST_PACKET: u32 = 4096;

/// Ends a master, and all sessions on it, as `ssh -O exit` does, but without a process; bounded in time.
pub(super) async fn end(socket: &Path) {
    // If this fails, the master ends by itself, because it is not held any more.
    let _ = tokio::time::timeout(LOCAL, ask_to_end(socket)).await;
}

/// Returns once the master has said yes or no, or is gone.
async fn ask_to_end(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    let words = [8, HELLO, VERSION, 8, TERMINATE, 0];
    stream.write_all(&words.map(u32::to_be_bytes).concat()).await?;
    loop {
        let length = stream.read_u32().await?;
        if !(4..=LONGEST_PACKET).contains(&length) {
            return Ok(());
        }
        let word = stream.read_u32().await?;
        let mut rest = vec![0; length as usize - 4];
        stream.read_exact(&mut rest).await?;
        if word != HELLO {
            return Ok(());
        }
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
