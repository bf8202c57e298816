//! Reads the workstation's clock that goes on while the workstation is suspended. Rust's `Instant`, and so tokio's
//! timers, stand still then.
//!
//! All times that are counted against a guard are counted and waited for on this clock: a laptop that wakes up must
//! know at once how late it is.

use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::time::Duration;

use ::nix::sys::time::TimeSpec;
use ::nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::unix::AsyncFd;

/// A clock that goes on in a suspend, and can wake a task that waits on it. Points in time are durations since its
/// zero.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    fn now(&self) -> Duration;

    /// Returns once `now` has reached `at`; after a suspend that went past it, at once.
    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()>;
}

/// `CLOCK_BOOTTIME`: time since the workstation booted, suspend included.
#[derive(Debug, Clone, Copy, Default)]
pub struct BootClock;

impl Clock for BootClock {
    /// # Panics
    /// Never on Linux: the clock has been there since 2.6.39 (`clock_gettime(2)`).
    fn now(&self) -> Duration {
        let now = ::nix::time::clock_gettime(::nix::time::ClockId::CLOCK_BOOTTIME)
            .expect("every Linux that runs this program has CLOCK_BOOTTIME");
        Duration::from(now)
    }

    /// The kernel's own timer is used, because it looks at the clock again when the machine wakes up
    /// (`timerfd_create(2)`).
    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        async move {
            let waited = async { alarm(at)?.readable().await.map(drop) };
            if waited.await.is_err() {
                // No file descriptor is left. A timer that is late by a suspend is better than none.
                tokio::time::sleep(at.saturating_sub(BootClock.now())).await;
            }
        }
        .boxed()
    }
}

/// Returns a descriptor that is readable from `at` on.
#[expect(
    deprecated,
    reason = "its other form is `unsafe`; an `OwnedFd` stays open and the same for as long as it lives"
)]
fn alarm(at: Duration) -> std::io::Result<AsyncFd<OwnedFd>> {
    let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    // Zero would mean that the timer never fires.
    let at = TimeSpec::from(at.max(Duration::from_nanos(1)));
    timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
    AsyncFd::new(OwnedFd::from(timer))
}

/// Returns the result of `work`, if it ends within `limit` on this clock; else drops it.
pub async fn within<Work: Future>(clock: &dyn Clock, limit: Duration, work: Work) -> Option<Work::Output> {
    let end = clock.sleep_until(clock.now() + limit);
    tokio::select! {
        // Work that is done counts, even if the time is over in the same instant: after a suspend both are true at
        // once.
        biased;
        done = work => Some(done),
        () = end => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_point_in_time_that_is_past_is_not_waited_for() {
        BootClock.sleep_until(Duration::ZERO).await;
        BootClock.sleep_until(BootClock.now()).await;
    }

    #[tokio::test]
    async fn the_kernels_timer_wakes_who_waits_and_not_before_its_time() {
        let at = BootClock.now() + Duration::from_millis(30);
        BootClock.sleep_until(at).await;
        assert!(BootClock.now() >= at);
    }

    #[tokio::test]
    async fn work_that_never_ends_is_given_up() {
        let limit = Duration::from_millis(5);
        assert_eq!(within(&BootClock, limit, std::future::pending::<()>()).await, None);
        assert_eq!(within(&BootClock, Duration::ZERO, async { 7 }).await, Some(7));
    }
}
