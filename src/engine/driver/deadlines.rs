//! Counts how long everything may take: orders, timers, guards. The decider keeps no time, so all of it is counted
//! here.

use std::time::Duration;

use super::Driver;
use crate::decide::left_to_guard::LeftToGuard;
use crate::decide::time::{MARGIN, REKEY, Times};
use crate::decide::vocabulary::{Step, Timer, Verdict};
use crate::engine::hosts::{Hosts, Order};
use crate::event::HostOutcome;
use crate::facts::host::JobKind;
use crate::facts::plan::HostId;

/// How long a host behind a jump may hold the jump's own job back. Longer than a start takes over a slow line; short
/// against a master's 15 s for noticing that its link is dead.
const HEAD_START: Duration = Duration::from_secs(5);

/// How long links may take to come up after a guard's reboot. A WireGuard peer notices after 15 s that its hub is gone
/// (WireGuard white paper, section 6.5), and then needs a try or two.
const SETTLE_AFTER_BOOT: Duration = Duration::from_secs(45);

/// The pause between two rounds of the matrix. It may be short: the probe script itself connects to an sshd at most
/// once a second.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

impl<H: Hosts> Driver<H> {
    /// Returns when the host's guard fires at the latest, as far as is known.
    pub(super) fn latest(&self, host: HostId, now: Duration) -> Duration {
        let times = &self.times[host.0];
        // A guard that was not seen was armed before this recovery began, and holds for no longer than `unseen_guard`
        // from then. Two hosts whose guards have fired stand for all of them; see `seen_fired`.
        let unknown = if self.seen_fired.len() > 1 {
            now
        } else {
            (self.began.unwrap_or(now) + times.unseen_guard).saturating_sub(times.overdue)
        };
        self.deadlines[host.0].unwrap_or(unknown)
    }

    /// Returns how long the host's guard is to hold from now on.
    ///
    /// While the push waits for a host that its own guard brings back, the other hosts must still be guarded when it is
    /// back, with time to prove the links and to disarm.
    pub(super) fn guard(&self, host: HostId, step: &Step, now: Duration) -> Duration {
        let times = &self.times[host.0];
        let awaited = self.plan.ids().filter(|id| {
            // Only an extension is made for this wait: a first guard holds as long as the inventory says.
            matches!(step, Step::Extend { .. }) && self.out[id.0].as_ref().is_some_and(|out| is_awaited(&out.step))
        });
        let back = awaited.map(|id| self.times[id.0].awaited_until(self.latest(id, now)));
        let missing = self.missing_until.filter(|_| matches!(step, Step::Extend { .. }));
        let back = back.chain(missing).max();
        let after = times.settle_back() + times.limits.connect + times.limits.step + MARGIN;
        back.map_or(times.guard, |back| times.guard.max(back.saturating_sub(now) + after))
    }

    /// Makes the order of a step, with its times; `None` if the step could not end before the guard fires.
    pub(super) fn order(&self, host: HostId, step: Step, guard: Duration, now: Duration) -> Option<Order> {
        let times = &self.times[host.0];
        let limits = &times.limits;
        let deadline = self.deadlines[host.0];
        let short = limits.connect + limits.step;
        // After a suspend of this machine all that may be over already. The host may be there all the same, and the way
        // to it may take a moment to come up again.
        let back = self.awaited_until(host, now).max(now + times.settle + short);
        let (until, needs, limit) = match &step {
            Step::Arm { .. }
            | Step::Extend { .. }
            | Step::Ask
            | Step::Release
            | Step::Clean { .. }
            | Step::Unmark { .. } => (now + short, Duration::ZERO, limits.step),
            Step::Login { after: true } => (now + times.settle + limits.connect, Duration::ZERO, limits.step),
            Step::Login { after: false } => (now + times.settle_back() + limits.connect, Duration::ZERO, limits.step),
            Step::Job { kind: JobKind::Rollback, .. } => {
                let limit = times.rollback(now, deadline.unwrap_or(now))?;
                // It is tried until the last moment at which it can still end in time, because the way may open again.
                let until = deadline.unwrap_or(now).saturating_sub(MARGIN);
                (until, Duration::from_secs(1), limit)
            }
            Step::Job { kind, .. } => {
                let limit = times.job(*kind);
                // A host without a known deadline has no guard, and no step forward begins there.
                if !times.job_fits(*kind, now, deadline.unwrap_or(now)) {
                    return None;
                }
                // The host checks the same again when the order arrives (`needs`), because it may have been on its way
                // for long.
                (now + limit + limits.connect, limit, limit)
            }
            // A switch that is under way may finish: the take-over judges what it leaves behind.
            Step::TakeOver { by_guard: false } => (now + short, Duration::ZERO, limits.switch),
            Step::TakeOver { by_guard: true } => (back, Duration::ZERO, limits.switch),
            Step::Disarm { .. } | Step::Return { .. } => (back, Duration::ZERO, limits.step),
        };
        Some(Order { step, until, guard, needs, limit })
    }

    /// Returns until when a host is asked that its guard brings back: as long as the push waits for any other host.
    fn awaited_until(&self, host: HostId, now: Duration) -> Duration {
        // A host that has answered keeps no one waiting, and the guard of one that never showed it would only be
        // guessed.
        let others = self.plan.changing().filter(|id| self.out[id.0].is_some() && self.deadlines[id.0].is_some());
        others.chain([host]).map(|id| self.times[id.0].awaited_until(self.latest(id, now))).fold(now, Duration::max)
    }

    /// Returns the longest of the times of all hosts.
    fn longest(&self, of: impl Fn(&Times) -> Duration) -> Duration {
        self.times.iter().map(of).max().unwrap_or_default()
    }

    pub(super) fn length(&self, timer: Timer) -> Duration {
        match timer {
            Timer::HeadStart => HEAD_START,
            Timer::RoundPause => ROUND_PAUSE,
            Timer::Settle => self.longest(|times| times.settle),
            Timer::Steady => self.longest(|times| times.steady),
            Timer::SettleBack => self.longest(Times::settle_back),
            Timer::SettleAfterBoot => self.longest(Times::settle_back).max(SETTLE_AFTER_BOOT),
            Timer::Rekey => REKEY,
            Timer::GuardsOver => self.guards_over(),
            // Another coordinator may take this long to come to a host.
            Timer::AskAgain => self.longest(|times| times.limits.connect + times.limits.step),
        }
    }

    pub(super) fn left_ms(&self, deadline: Duration) -> u64 {
        millis(deadline.saturating_sub(self.clock.now()))
    }

    /// Returns the time until every known guard has fired and its host has booted; if none is known, the longest time
    /// that a guard may take.
    fn guards_over(&self) -> Duration {
        let now = self.clock.now();
        // The recovery has counted this for the missing hosts, which have no deadline here.
        if let Some(until) = self.missing_until {
            return until.saturating_sub(now);
        }
        let known = self.plan.changing().any(|host| self.deadlines[host.0].is_some());
        let until = self
            .plan
            .changing()
            .filter(|host| !known || self.deadlines[host.0].is_some())
            .map(|host| self.times[host.0].awaited_until(self.latest(host, now)));
        until.max().unwrap_or(now).saturating_sub(now)
    }

    /// Returns whether every guard leaves time for the rest of the push. Only hosts under a guard take part in that
    /// rest.
    pub(super) fn enough_time(&self) -> bool {
        let now = self.clock.now();
        let fits =
            |host: HostId, deadline| self.times[host.0].rest_fits(self.plan.host(host).switch_job(), now, deadline);
        // A host that holds a guard whose deadline is not known counts as one without time.
        self.transaction.holding().all(|host| self.deadlines[host.0].is_some_and(|deadline| fits(host, deadline)))
    }

    pub(super) fn guarded(&self) -> Vec<LeftToGuard> {
        let now = self.clock.now();
        let one = |host: HostId| LeftToGuard {
            host: self.plan.host(host).name.clone(),
            back_within: self.times[host.0].awaited_until(self.latest(host, now)).saturating_sub(now),
            seen_on_old: self.transaction.is_seen_on_old(host),
            may_be_disarmed: self.transaction.may_be_disarmed(host),
        };
        self.transaction.left_to_guards().map(one).collect()
    }

    /// Adds to the verdict when hosts that are left to their guards are back: the decider keeps no time.
    pub(super) fn say_when_they_are_back(&self, verdict: &mut Verdict) {
        for guarded in self.guarded() {
            let left = verdict.hosts.iter_mut().find(|(host, _)| *host == guarded.host);
            if let Some((_, HostOutcome::Left { why, back_within_ms: back_within @ None })) = left
                && let HostOutcome::Left { why: when, back_within_ms } = guarded.outcome()
            {
                (*why, *back_within) = (why.clone().followed_by(&format!("; {when}")), back_within_ms);
            }
        }
    }
}

/// Returns whether the step waits for a host that its guard brings back.
pub(super) fn is_awaited(step: &Step) -> bool {
    matches!(step, Step::Return { .. } | Step::TakeOver { by_guard: true })
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
