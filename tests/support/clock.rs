//! A clock of the tests' own: tokio's, paused or not, and what a suspend adds to it.

use std::sync::Arc;
use std::time::Duration;

use fleetdeploy::engine::clock::Clock;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

/// Goes on like `CLOCK_BOOTTIME`; tokio's own clock under it stands still in a suspend, like `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    zero: Instant,
    asleep: watch::Sender<Duration>,
}

impl VirtualClock {
    /// Within a tokio runtime. It does not begin at 0: nobody's clock does.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { zero: Instant::now(), asleep: watch::Sender::new(Duration::from_secs(100)) })
    }

    /// The machine was suspended for so long, and has just woken up.
    pub(crate) fn jump(&self, by: Duration) {
        self.asleep.send_modify(|asleep| *asleep += by);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        self.zero.elapsed() + *self.asleep.borrow()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        let mut asleep = self.asleep.subscribe();
        let zero = self.zero;
        async move {
            loop {
                let left = at.saturating_sub(zero.elapsed() + *asleep.borrow_and_update());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    biased;
                    changed = asleep.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(left) => {}
                }
            }
        }
        .boxed()
    }
}
