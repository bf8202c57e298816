//! Signals become inputs. No child hears of them: each is in a process group of its own.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::decide::vocabulary::Signal;

/// SIGINT, SIGTERM and SIGHUP, from its making on.
#[derive(Debug)]
pub struct Shutdown {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
}

impl Shutdown {
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal. It may be cancelled: no signal is lost.
    pub async fn requested(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Sigint,
            _ = self.terminate.recv() => Signal::Sigterm,
            _ = self.hangup.recv() => Signal::Sighup,
        }
    }
}
