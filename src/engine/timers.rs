//! Named timers: the decider names them, the driver knows how long they are.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::decide::vocabulary::Timer;

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Starts a timer, or starts it again.
    pub(super) fn set(&mut self, timer: Timer, after: Duration) {
        self.due.insert(timer, Instant::now() + after);
    }

    pub(super) fn forget(&mut self, timer: Timer) {
        self.due.remove(&timer);
    }

    /// Waits for the next timer; for ever when there is none.
    pub(super) async fn next(&mut self) -> Timer {
        let Some((timer, due)) = self.due.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due)) else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(due).await;
        self.due.remove(&timer);
        timer
    }
}
