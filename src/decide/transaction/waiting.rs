//! Says what the run waits for, what comes if that is in vain, and whether a person may leave: the screen shows it, and
//! works none of it out by itself.

use crate::decide::transaction::recover::Aim;
use crate::decide::transaction::state::{Back, Progress, Stage, Transaction};
use crate::decide::vocabulary::Timer;
use crate::event::HostOutcome;
use crate::event::waiting::{AfterWait, HeldBack, WaitedFor};
use crate::facts::plan::HostId;

impl Transaction {
    /// Returns what is waited for until this timer elapses in the stage under way, and what comes then. `None`: the
    /// timer is a pause, and nothing depends on it for a person.
    #[must_use]
    pub fn wait_of(&self, timer: Timer) -> Option<(WaitedFor, AfterWait)> {
        let going_on = matches!(self.stage, Stage::Verify | Stage::Proof);
        match timer {
            Timer::HeadStart | Timer::RoundPause => None,
            Timer::Settle if matches!(self.stage, Stage::Test | Stage::Switch) => {
                Some((WaitedFor::SilentHosts, AfterWait::AllGoBack))
            }
            Timer::Settle => going_on.then_some((WaitedFor::Links, AfterWait::AllGoBack)),
            Timer::Steady => going_on.then_some((WaitedFor::SteadyUnits, AfterWait::AllGoBack)),
            Timer::Rekey => going_on.then_some((WaitedFor::Handshakes, AfterWait::AllGoBack)),
            Timer::SettleBack | Timer::SettleAfterBoot => {
                let nothing_more = self.left_to_guards || self.missing().next().is_some();
                let then = if nothing_more { AfterWait::EndsAsItIs } else { AfterWait::LeftToGuards };
                (self.stage == Stage::BackProof).then_some((WaitedFor::OldLinks, then))
            }
            Timer::GuardsOver => {
                let without = self.aim() == Aim::Without;
                let then = if without { AfterWait::GoesOnWithout } else { AfterWait::AskedAgain };
                Some((WaitedFor::Guards, then))
            }
            Timer::AskAgain => Some((WaitedFor::OtherRecovery, AfterWait::AskedAgain)),
        }
    }

    /// Returns the hosts for which this one stands by, and why; none if it does not.
    #[must_use]
    pub fn waits_for(&self, host: HostId) -> Option<(HeldBack, Vec<HostId>)> {
        let now = &self.hosts[host.0];
        if !self.plan.host(host).changes || !self.takes_part(host) {
            return None;
        }
        let changing = || self.plan.changing().filter(|other| *other != host);
        let waits = now.progress == Progress::Waiting && now.step.is_none();
        let (why, others): (HeldBack, Vec<HostId>) = match self.stage {
            Stage::Arm | Stage::TakeOver if waits => {
                (HeldBack::FirstAlone, changing().filter(|other| self.hosts[other.0].step.is_some()).collect())
            }
            Stage::Test | Stage::Switch if waits => {
                let holds = |far: &HostId| self.plan.is_behind(*far, host) && self.holds_its_way_open(*far);
                (HeldBack::WayOfOthers, changing().filter(holds).collect())
            }
            Stage::Back if now.back == Back::Waiting => {
                let holds = |far: &HostId| self.plan.is_behind(*far, host) && self.holds_its_way_open(*far);
                (HeldBack::WayOfOthers, changing().filter(holds).collect())
            }
            Stage::Back if now.back == Back::Restored && now.is_open() => {
                let is_away = |other: &HostId| {
                    let other = &self.hosts[other.0];
                    other.is_open()
                        && matches!(other.back, Back::Arming | Back::Waiting | Back::Rolling | Back::Awaited)
                };
                (HeldBack::OthersAway, changing().filter(is_away).collect())
            }
            _ => return None,
        };
        (!others.is_empty()).then_some((why, others))
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
        matches!(self.stage, Stage::Back | Stage::BackProof | Stage::BackDisarm)
            && any_guarded
            && self.plan.changing().all(is_harmless)
    }

    /// Returns what becomes of a host that stays out of reach during the step that is out on it.
    #[must_use]
    pub fn if_it_stays_away(&self, host: HostId) -> Option<AfterWait> {
        match self.stage {
            Stage::Arm
            | Stage::Test
            | Stage::Verify
            | Stage::ExtendToTest
            | Stage::ExtendToSwitch
            | Stage::Switch
            | Stage::Proof
            | Stage::ExtendToDisarm => Some(AfterWait::AllGoBack),
            Stage::Back | Stage::BackProof | Stage::BackDisarm if self.hosts[host.0].armed => Some(AfterWait::ItsGuard),
            Stage::TakeOver
            | Stage::Disarm
            | Stage::Back
            | Stage::BackProof
            | Stage::BackDisarm
            | Stage::Clean
            | Stage::Over => None,
        }
    }
}
