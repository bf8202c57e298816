//! Says what the run waits for, what comes if that is in vain, and whether a person may leave: the screen shows it, and
//! works none of it out by itself.

use std::collections::BTreeMap;

use crate::decide::transaction::recover::Aim;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Back, Progress, Transaction};
use crate::decide::vocabulary::Timer;
use crate::event::HostOutcome;
use crate::event::waiting::{AfterWait, HeldBack, WaitedFor};
use crate::facts::plan::HostId;

/// How many hosts are named of those for which one stands by.
const NAMED: usize = 8;

/// What a host stands by for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandBy {
    pub why: HeldBack,
    /// The first of the hosts, in the plan's order.
    pub first: Vec<HostId>,
    /// How many there are beside these.
    pub more: usize,
}

impl StandBy {
    fn of(why: HeldBack, hosts: impl IntoIterator<Item = HostId>) -> Self {
        let mut all = Self { why, first: Vec::new(), more: 0 };
        hosts.into_iter().for_each(|host| all.add(host));
        all
    }

    fn add(&mut self, host: HostId) {
        if self.first.len() < NAMED {
            self.first.push(host);
        } else {
            self.more += 1;
        }
    }

    /// Returns whether a person who was told this other one should be told anew: of few hosts always, of many when they
    /// are half as many. Else each of many hosts would be told of each of the others.
    #[must_use]
    pub fn is_news_after(&self, told: &Self) -> bool {
        let (now, then) = (self.first.len() + self.more, told.first.len() + told.more);
        self.why != told.why
            || match (self.more, told.more) {
                (0, 0) => self.first != told.first,
                (0, _) | (_, 0) => true,
                _ => now <= then / 2 || now >= then * 2,
            }
    }
}

impl Transaction {
    /// Returns what is waited for until this timer elapses in the stage under way, and what comes then. `None`: the
    /// timer is a pause, and nothing depends on it for a person.
    #[must_use]
    pub fn wait_of(&self, timer: Timer) -> Option<(WaitedFor, AfterWait)> {
        let going_on = self.stage.proof().is_some();
        match timer {
            Timer::HeadStart | Timer::RoundPause => None,
            Timer::Settle if matches!(self.stage, Stage::Test(_) | Stage::Switch(_)) => {
                Some((WaitedFor::SilentHosts, AfterWait::AllGoBack))
            }
            Timer::Settle => going_on.then_some((WaitedFor::Links, AfterWait::AllGoBack)),
            Timer::Steady => going_on.then_some((WaitedFor::SteadyUnits, AfterWait::AllGoBack)),
            Timer::Rekey => going_on.then_some((WaitedFor::Handshakes, AfterWait::AllGoBack)),
            Timer::SettleBack | Timer::SettleAfterBoot => {
                let nothing_more = self.stage.undo().left_to_guards || self.missing().next().is_some();
                let then = if nothing_more { AfterWait::EndsAsItIs } else { AfterWait::LeftToGuards };
                matches!(self.stage, Stage::BackProof(..)).then_some((WaitedFor::OldLinks, then))
            }
            Timer::GuardsOver => {
                let without = self.aim() == Aim::Without;
                let then = if without { AfterWait::GoesOnWithout } else { AfterWait::AskedAgain };
                Some((WaitedFor::Guards, then))
            }
            Timer::AskAgain => Some((WaitedFor::OtherRecovery, AfterWait::AskedAgain)),
        }
    }

    /// Returns the hosts that stand by, each with those for which it does.
    #[must_use]
    pub fn standing_by(&self) -> BTreeMap<HostId, StandBy> {
        let takes_part = |host: &HostId| self.takes_part(*host);
        let waits = |host: &HostId| {
            let now = &self.hosts[host.0];
            now.progress == Progress::Waiting && now.step.is_none()
        };
        // Those of a fleet that stand by for the same ones are told of the same list.
        let (why, waiting, others): (HeldBack, Vec<HostId>, StandBy) = match self.stage {
            Stage::Arm | Stage::TakeOver => {
                let sent = |host: &HostId| self.hosts[host.0].step.is_some();
                let why = HeldBack::FirstAlone;
                let waiting = self.plan.changing().filter(takes_part).filter(waits).collect();
                (why, waiting, StandBy::of(why, self.plan.changing().filter(sent)))
            }
            Stage::Test(_) | Stage::Switch(_) => return self.standing_by_for_ways(waits),
            Stage::Back(_) => {
                let is_restored = |host: &HostId| {
                    let now = &self.hosts[host.0];
                    now.back == Back::Restored && now.is_open()
                };
                let is_away = |host: &HostId| {
                    let now = &self.hosts[host.0];
                    now.is_open() && matches!(now.back, Back::Arming | Back::Waiting | Back::Rolling | Back::Awaited)
                };
                let why = HeldBack::OthersAway;
                let waiting = self.plan.changing().filter(takes_part).filter(is_restored).collect();
                (why, waiting, StandBy::of(why, self.plan.changing().filter(is_away)))
            }
            _ => return BTreeMap::new(),
        };
        let mut standing_by = match self.stage {
            Stage::Back(_) => self.standing_by_for_ways(|host| self.hosts[host.0].back == Back::Waiting),
            _ => BTreeMap::new(),
        };
        if !others.first.is_empty() {
            standing_by.extend(waiting.into_iter().map(|host| (host, StandBy { why, ..others.clone() })));
        }
        standing_by
    }

    /// Returns those of the hosts that wait through which others are reached whose own step must begin first.
    fn standing_by_for_ways(&self, waits: impl Fn(&HostId) -> bool) -> BTreeMap<HostId, StandBy> {
        let mut standing_by: BTreeMap<HostId, StandBy> = BTreeMap::new();
        for far in self.plan.changing().filter(|far| self.holds_its_way_open(*far)) {
            for near in self.plan.way_to(far) {
                if self.plan.host(near).changes && self.takes_part(near) && waits(&near) {
                    standing_by.entry(near).or_insert_with(|| StandBy::of(HeldBack::WayOfOthers, [])).add(far);
                }
            }
        }
        standing_by
    }

    /// Returns whether a person may leave without harm: the run goes back, and every host that answers was seen on its
    /// old system. What is left are guards, which bring hosts to where they would be brought anyway.
    #[must_use]
    pub fn may_leave(&self) -> bool {
        let is_harmless = |host: HostId| {
            let now = &self.hosts[host.0];
            let answered = matches!(now.back, Back::Restored | Back::Returned { .. } | Back::Awaited);
            answered
                || self.silent.contains(&host)
                || !now.armed
                || matches!(now.end, Some(HostOutcome::RolledBack { .. } | HostOutcome::Untouched))
        };
        let any_guarded = self.left_to_guards().next().is_some();
        self.stage.is_way_back() && any_guarded && self.plan.changing().all(is_harmless)
    }

    /// Returns what becomes of a host that stays out of reach during the step that is out on it.
    #[must_use]
    pub fn if_it_stays_away(&self, host: HostId) -> Option<AfterWait> {
        match self.stage {
            Stage::Arm
            | Stage::Test(_)
            | Stage::Verify(_)
            | Stage::ExtendToTest
            | Stage::ExtendToSwitch(_)
            | Stage::Switch(_)
            | Stage::Proof(_)
            | Stage::ExtendToDisarm(_) => Some(AfterWait::AllGoBack),
            Stage::Back(_) | Stage::BackProof(..) | Stage::BackDisarm(_) if self.hosts[host.0].armed => {
                Some(AfterWait::ItsGuard)
            }
            Stage::TakeOver
            | Stage::Disarm(_)
            | Stage::Back(_)
            | Stage::BackProof(..)
            | Stage::BackDisarm(_)
            | Stage::Clean(_)
            | Stage::Over(_) => None,
        }
    }
}
