//! Named timers: the decider names them, the driver knows how long they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use crate::decide::vocabulary::Timer;

#[derive(Debug)]
pub(super) struct Timers {
    clock: Arc<dyn Clock>,
    due: BTreeMap<Timer, Duration>,
}

impl Timers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, due: BTreeMap::new() }
    }

    /// Starts a timer, or starts it again.
    pub(super) fn set(&mut self, timer: Timer, after: Duration) {
        self.due.insert(timer, self.clock.now() + after);
    }

    pub(super) fn forget(&mut self, timer: Timer) {
        self.due.remove(&timer);
    }

    /// Waits for the next timer; for ever when there is none.
    pub(super) async fn next(&mut self) -> Timer {
        // If several are due at once, the order of `Timer` decides, so that the simulator can replay a run.
        let Some((timer, due)) = self.due.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due)) else {
            return std::future::pending().await;
        };
        self.clock.sleep_until(due).await;
        // It is taken out only now: the driver drops this wait whenever something else comes first, and asks anew.
        self.due.remove(&timer);
        timer
    }
}
