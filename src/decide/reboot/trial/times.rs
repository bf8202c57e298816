//! How long a trial, its guards and what waits for them may take. All of it counts on the host's own `/proc/uptime`.

use std::time::Duration;

use crate::inventory::model::Limits;

/// How long links may take to come up after a reboot: the tunnels of the other hosts must first notice that the host
/// was gone, and then find it again. It is the same after a guard's reboot.
pub const SETTLE_AFTER_BOOT: Duration = Duration::from_secs(45);

/// How long a guard's reboot may take until the machine is reset: in order, by force, by the kernel alone
/// (`reboot_wait`, `force_wait` and the rest in `guard.sh`).
const LADDER: Duration = Duration::from_secs(240 + 150 + 30);

/// How long a guard that has fired may take before that, where the scripts let each part be as long as it may
/// (`guard_trial.sh`): the lock, the end of `keep` and of its unit, the trace, the loader's installer, the next boot,
/// the files that are read, the trace once more, the last sync.
const FIRING: Duration = Duration::from_secs(20 + 60 + 50 + 30 + 270 + 30 + 60 + 30 + 30);

/// What the guard of the old boot has beyond its orders: an installer that is ended, and one that puts back.
const SPARE_BEFORE: Duration = Duration::from_secs(120);

/// What the deadline of a trial has beyond its parts: `keep` reads back and syncs, and a busy machine is late.
const SPARE_IN_TRIAL: Duration = Duration::from_secs(30 + 60);

/// The times of one host's trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialTimes {
    /// The guard of the old boot, from its arming.
    pub old_guard: Duration,
    /// The deadline of the trial, from the start of its kernel.
    pub seconds: Duration,
    /// From the order to go until the first answer is overdue: it may hang, or is on its way back by itself.
    pub may_hang: Duration,
    /// From the order to go until the host is back by itself at the latest, on whatever system.
    pub back_by_itself: Duration,
    /// How long every host of the fleet is held for it.
    pub hold: Duration,
}

impl TrialTimes {
    /// `settle` is that of the links after a boot, in any reboot.
    #[must_use]
    pub fn of(limits: &Limits, boot_time: Duration, settle: Duration) -> Self {
        let answer = limits.connect + limits.step;
        let old_guard = 3 * answer + limits.switch + SPARE_BEFORE;
        // One boot, a login, links that come up, the rounds, and `keep` with its installer.
        let seconds = boot_time + 3 * settle + 5 * answer + limits.switch + SPARE_IN_TRIAL;
        let may_hang = LADDER + boot_time;
        let back_by_itself = 2 * may_hang + seconds + FIRING;
        let hold = old_guard + back_by_itself + 3 * settle + 5 * answer;
        Self { old_guard, seconds, may_hang, back_by_itself, hold }
    }

    /// How long the old boot's guard may take from now until it is through, at most: it has the loader installed again
    /// and again while that fails.
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.old_guard + FIRING
    }

    /// How long a trial that is not kept may take until the host is back on what booted last.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.seconds + FIRING + self.may_hang
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_deadline_holds_a_boot_the_proof_and_an_installer_and_the_hold_holds_all_of_it() {
        let limits = Limits {
            connect: seconds(10),
            step: seconds(20),
            copy: seconds(1),
            check: seconds(1),
            test: seconds(1),
            switch: seconds(240),
            rollback: seconds(1),
        };
        let times = TrialTimes::of(&limits, seconds(120), seconds(45));
        assert_eq!(times.old_guard, seconds(90 + 240 + 120));
        assert_eq!(times.seconds, seconds(120 + 135 + 150 + 240 + 90));
        assert_eq!(times.may_hang, seconds(540));
        assert_eq!(times.back_by_itself, seconds(2 * 540 + 735 + 580));
        assert_eq!(times.hold, times.old_guard + times.back_by_itself + seconds(135 + 150));
        assert_eq!(times.rest(), times.old_guard + seconds(580));
        assert_eq!(times.end(), seconds(735 + 580 + 540));
        // What the trial waits for comes before the whole is over.
        assert!(times.end() < times.back_by_itself);
    }
}
