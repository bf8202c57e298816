//! Calculates deadlines: what still fits before a guard fires. It is pure; the clock's readings come as arguments.
//!
//! All points in time are readings of the workstation's clock that goes on in suspend.

use std::time::Duration;

use crate::event::reason::notice::Notice;
use crate::facts::host::JobKind;
pub use crate::inventory::model::MARGIN;
use crate::inventory::model::{Fleet, GuardAction, Host, Limits, Steady};

/// The shortest time for a roll back. One with less time is not begun: the guard does it better.
const SHORTEST_ROLLBACK: Duration = Duration::from_secs(10);

/// How long verify waits for a rekey: WireGuard ends a session 180 s after its last handshake. Source: WireGuard white
/// paper, section 6, `REJECT_AFTER_TIME`.
pub const REKEY: Duration = Duration::from_secs(180);

/// The shortest settle time of a roll back. When the way back opens, logins and tunnels have been failing for a while:
/// WireGuard tries every 5 s (white paper, section 6.1, `REKEY_TIMEOUT`), TCP after 1, 3 and 7 s (RFC 6298), behind a
/// jump one after the other. A shorter settle time would lead to needless reboots.
const SETTLE_BACK: Duration = Duration::from_secs(20);

/// How long one host may take for each kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub guard: Duration,
    /// How long a guard of the run may still hold on a host that has not been asked yet.
    pub unseen_guard: Duration,
    /// How long ago such a guard must have fired, if it must have.
    pub overdue: Duration,
    pub boot_time: Duration,
    pub guard_action: GuardAction,
    pub limits: Limits,
    pub settle: Duration,
    /// How long a unit that a push has started must have been up.
    pub steady: Duration,
}

impl Times {
    /// Makes the times as the inventory has them.
    #[must_use]
    pub fn of(host: &Host, settle: Duration, steady: Duration) -> Self {
        Self {
            guard: host.guard,
            unseen_guard: host.guard,
            overdue: Duration::ZERO,
            boot_time: host.boot_time,
            guard_action: host.guard_action,
            limits: host.limits,
            settle,
            steady,
        }
    }

    /// Returns how long a job itself may run.
    #[must_use]
    pub fn job(&self, kind: JobKind) -> Duration {
        match kind {
            JobKind::Test => self.limits.test,
            JobKind::Switch => self.limits.switch,
            JobKind::Reactivate => self.limits.test + self.limits.switch,
            JobKind::Rollback => self.limits.rollback,
        }
    }

    /// Returns the longest time that a guard of any of these hosts may still hold. While the push waits for a host that
    /// its guard brings back, the guards of the others are extended past that, with time to prove the links and to
    /// disarm.
    #[must_use]
    pub fn longest_guard(all: &[Self]) -> Duration {
        let longest = |of: &dyn Fn(&Self) -> Duration| all.iter().map(of).max().unwrap_or_default();
        longest(&|times| times.guard)
            + longest(&|times| times.limits.firing() + times.boot_time)
            + longest(&|times| times.settle_back() + times.limits.connect + times.limits.step)
            + MARGIN
    }

    /// Returns whether a forward job sent `now` ends, and can still be rolled back, before `deadline`.
    #[must_use]
    pub fn job_fits(&self, kind: JobKind, now: Duration, deadline: Duration) -> bool {
        now + self.job(kind) + self.limits.rollback + MARGIN <= deadline
    }

    /// Returns how long a roll back begun `now` may take; `None` when it is the guard's turn.
    #[must_use]
    pub fn rollback(&self, now: Duration, deadline: Duration) -> Option<Duration> {
        let left = deadline.checked_sub(MARGIN)?.checked_sub(now)?;
        (left >= SHORTEST_ROLLBACK).then(|| left.min(self.limits.rollback))
    }

    /// Returns whether the rest of the push, from the decision on, and a roll back of it end before `deadline`; `last`
    /// is the job that makes the new system permanent.
    #[must_use]
    pub fn rest_fits(&self, last: JobKind, now: Duration, deadline: Duration) -> bool {
        // Only another activation starts units once more.
        let steady = if last == JobKind::Reactivate { self.steady } else { Duration::ZERO };
        let rest = self.job(last) + self.settle + steady + self.limits.step + self.limits.rollback + MARGIN;
        now + rest <= deadline
    }

    /// Returns how long logins and links may take to come up again after a roll back.
    #[must_use]
    pub fn settle_back(&self) -> Duration {
        self.settle.max(SETTLE_BACK)
    }

    /// Returns until when the push waits for a host with a guard that fires at `deadline`.
    #[must_use]
    pub fn awaited_until(&self, deadline: Duration) -> Duration {
        deadline + self.limits.firing() + self.boot_time
    }
}

/// Returns the warning that the default `steady` gives way, because the guards leave less time than it takes and no
/// person has asked for it.
#[must_use]
pub fn shortened_steady(fleet: &Fleet) -> Option<Notice> {
    let (to, default) = (fleet.steady(), Fleet::DEFAULT_STEADY);
    (fleet.steady == Steady::Default && to < default).then_some(Notice::SteadyShortened { to, default })
}

/// A guard as a record knows it: when it was armed, armed anew or extended, and how long it may hold from then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedGuard {
    pub ago: Duration,
    pub holds: Duration,
}

impl RecordedGuard {
    /// Returns how long it may still hold.
    #[must_use]
    pub fn left(self) -> Duration {
        self.holds.saturating_sub(self.ago)
    }

    /// Returns how long ago it must have fired.
    #[must_use]
    pub fn overdue(self) -> Duration {
        self.ago.saturating_sub(self.holds)
    }

    /// Returns the one of two that holds longer.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if other.holds + self.ago > self.holds + other.ago { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Times {
        Times {
            guard: Duration::from_secs(900),
            unseen_guard: Duration::from_secs(900),
            overdue: Duration::ZERO,
            boot_time: Duration::from_secs(180),
            guard_action: GuardAction::Reboot,
            limits: Limits::default(),
            settle: Duration::from_secs(60),
            steady: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_second_activation_is_a_part_of_the_rest() {
        let at = Duration::from_secs;
        // 90 s to switch, 60 s to settle, 30 s for a step, 300 s to roll back, 5 s between.
        assert!(times().rest_fits(JobKind::Switch, at(415), at(900)));
        assert!(!times().rest_fits(JobKind::Switch, at(416), at(900)));
        // And 240 s to activate once more, and 10 s in which what that starts must stay up.
        assert!(times().rest_fits(JobKind::Reactivate, at(165), at(900)));
        assert!(!times().rest_fits(JobKind::Reactivate, at(166), at(900)));
    }

    #[test]
    fn only_a_default_that_gives_way_is_spoken_of() {
        let fleet = |of_fleet: &str| {
            let text = format!("hosts: {{vps: }}\nfleets: {{lab: {{flake: ., hosts: all, {of_fleet}}}}}\n");
            crate::decide::status::tests::fleet(&text)
        };
        let said = |of_fleet: &str| {
            let said = shortened_steady(&fleet(of_fleet));
            crate::codes::keep_judged(said.clone());
            said
        };
        let long = fleet("guard: 30m");
        let guard = long.hosts[0].shortest_guard(long.settle, Duration::ZERO) + Duration::from_secs(3);
        let guard = format!("guard: {}s", guard.as_secs());
        assert_eq!(said("guard: 30m"), None);
        let default = Fleet::DEFAULT_STEADY;
        assert_eq!(said(&guard), Some(Notice::SteadyShortened { to: Duration::from_secs(3), default }));
        assert_eq!(said(&format!("{guard}, steady: 1s")), None);
    }

    #[test]
    fn a_roll_back_that_comes_too_late_is_left_to_the_guard() {
        let at = Duration::from_secs;
        assert_eq!(times().rollback(at(0), at(900)), Some(at(300)));
        assert_eq!(times().rollback(at(800), at(900)), Some(at(95)));
        assert_eq!(times().rollback(at(886), at(900)), None);
        assert_eq!(times().rollback(at(2000), at(900)), None);
    }

    #[test]
    fn a_test_is_sent_only_while_it_could_still_be_rolled_back() {
        let at = Duration::from_secs;
        assert!(times().job_fits(JobKind::Test, at(355), at(900)));
        assert!(!times().job_fits(JobKind::Test, at(356), at(900)));
    }
}
