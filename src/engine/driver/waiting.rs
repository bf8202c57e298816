//! Tells what the run waits for, and until when: the decider knows what, and only the driver knows how long.

use std::time::Duration;

use super::Driver;
use super::deadlines::millis;
use crate::decide::vocabulary::Timer;
use crate::engine::hosts::Hosts;
use crate::engine::surroundings::Surroundings;
use crate::event::{Event, WayBack};
use crate::facts::plan::HostId;

impl<H: Hosts> Driver<H> {
    pub(super) fn tell_wait(&mut self, timer: Timer, surroundings: &mut impl Surroundings) {
        let Some((wait, then)) = self.transaction.wait_of(timer) else { return };
        self.waits.insert(timer, wait);
        surroundings.tell(Event::WaitStarted { wait, within_ms: millis(self.length(timer)), then });
    }

    pub(super) fn tell_wait_is_over(&mut self, timer: Timer, surroundings: &mut impl Surroundings) {
        if let Some(wait) = self.waits.remove(&timer) {
            surroundings.tell(Event::WaitEnded { wait });
        }
    }

    /// Tells, before the next wait, which hosts stand by for others, and whether a person may leave; only what is new.
    pub(super) fn tell_what_is_waited_for(&mut self, surroundings: &mut impl Surroundings) {
        let standing_by = self.transaction.standing_by();
        let told = std::mem::take(&mut self.stand_by);
        for host in told.keys().filter(|host| !standing_by.contains_key(host)) {
            let host = self.plan.host(*host).name.clone();
            surroundings.tell(Event::HostWaits { host, waits_for: Vec::new(), more: 0, why: None });
        }
        for (host, now) in standing_by {
            let before = told.get(&host);
            if let Some(before) = before.filter(|before| !now.is_news_after(before)) {
                self.stand_by.insert(host, before.clone());
                continue;
            }
            surroundings.tell(Event::HostWaits {
                host: self.plan.host(host).name.clone(),
                waits_for: now.first.iter().map(|other| self.plan.host(*other).name.clone()).collect(),
                more: now.more,
                why: Some(now.why),
            });
            self.stand_by.insert(host, now);
        }
        let may = self.transaction.may_leave();
        if may != self.may_leave {
            self.may_leave = may;
            let back = self.guarded().into_iter().filter(|left| !left.seen_on_old).map(|left| left.back_within).max();
            surroundings.tell(Event::MayLeave { may, back_within_ms: back.filter(|_| may).map(millis) });
        }
    }

    /// Says what the guard of a host with this deadline does when it fires.
    pub(super) fn way_back(&self, host: HostId, deadline: Duration) -> WayBack {
        let back = self.times[host.0].awaited_until(deadline);
        WayBack { action: self.times[host.0].guard_action, back_ms: self.left_ms(back) }
    }
}
