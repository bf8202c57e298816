//! Turns signals into inputs. Child processes do not get them: each is in a process group of its own.

use std::fmt;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use tokio::signal::unix::{SignalKind, signal};

use crate::decide::vocabulary::Signal;

/// Hears SIGINT, SIGTERM and SIGHUP from the moment it is made.
pub struct Shutdown {
    signals: BoxStream<'static, Signal>,
}

impl Shutdown {
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        let hear = |kind, name| {
            let mut heard = signal(kind)?;
            Ok::<_, std::io::Error>(stream::poll_fn(move |context| heard.poll_recv(context)).map(move |()| name))
        };
        Ok(Self::from_stream(stream::select_all([
            hear(SignalKind::interrupt(), Signal::Sigint)?,
            hear(SignalKind::terminate(), Signal::Sigterm)?,
            hear(SignalKind::hangup(), Signal::Sighup)?,
        ])))
    }

    /// Takes signals that come another way than from the kernel.
    pub fn from_stream(signals: impl Stream<Item = Signal> + Send + 'static) -> Self {
        Self { signals: signals.boxed() }
    }

    /// Waits for the next signal. It may be cancelled: no signal is lost.
    pub async fn requested(&mut self) -> Signal {
        match self.signals.next().await {
            Some(signal) => signal,
            // The sender is gone, so no signal can come any more.
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shutdown").finish_non_exhaustive()
    }
}
