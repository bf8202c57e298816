//! Gives the time of events, and the clock of a screen that counts by them: the wall clock at the first look of this
//! process, plus the time that has passed since.
//!
//! The wall clock may be set while guards count down (a laptop that wakes up and asks a time server). Counted by it,
//! the rest of a guard's time would be nothing at once, or hours too much.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use ::nix::time::{ClockId, clock_gettime};

/// Reads the wall clock and the clock that is never set, together.
#[derive(Debug, Clone, Copy)]
struct Start {
    wall: SystemTime,
    ticks: Duration,
}

impl Start {
    fn at(self, ticks: Duration) -> SystemTime {
        self.wall + ticks.saturating_sub(self.ticks)
    }
}

/// Returns the time now, which goes on by itself whatever happens to the wall clock; suspends count.
#[must_use]
pub fn now() -> SystemTime {
    static START: LazyLock<Option<Start>> =
        LazyLock::new(|| ticks().map(|ticks| Start { wall: SystemTime::now(), ticks }));
    match (*START, ticks()) {
        (Some(start), Some(ticks)) => start.at(ticks),
        _ => SystemTime::now(),
    }
}

/// `CLOCK_BOOTTIME`, there since Linux 2.6.39. Source: `clock_gettime(2)`.
fn ticks() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_where_the_wall_clock_was() {
        let start = Start { wall: SystemTime::UNIX_EPOCH, ticks: Duration::from_secs(100) };
        assert_eq!(start.at(Duration::from_secs(160)), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
        let (first, wall) = (now(), SystemTime::now());
        assert!(now() >= first);
        assert!(wall.duration_since(first).unwrap_or_default() < Duration::from_secs(60));
    }
}
