//! Waiting: bounded looks at short intervals, never a fixed sleep.

use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until there is an answer; panics with `what` after `limit`.
pub(crate) fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        look_again();
    }
}

/// The time between two looks.
pub(crate) fn look_again() {
    std::thread::sleep(LOOK);
}

/// Seconds, for limits.
pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
