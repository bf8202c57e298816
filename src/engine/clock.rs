//! The workstation's clock that goes on while it is suspended. Rust's `Instant` stands still then.

use std::time::Duration;

/// `CLOCK_BOOTTIME`: time since the workstation booted, suspend included.
///
/// # Panics
/// Never on Linux: the clock has been there since 2.6.39 (`clock_gettime(2)`).
#[must_use]
pub fn boot_time() -> Duration {
    let now = ::nix::time::clock_gettime(::nix::time::ClockId::CLOCK_BOOTTIME)
        .expect("every Linux that runs this program has CLOCK_BOOTTIME");
    Duration::from(now)
}
