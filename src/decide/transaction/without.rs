//! Decides for a recovery that ends a run without missing hosts.
//!
//! A recovery decides when every host is fenced or its guard is over. A missing host cannot be fenced: so nothing is
//! done before its guard must be over, and then only what is right wherever that host stands. `marks.rs` has the marks
//! on the hosts that were seen, and what a later recovery makes of them.

use crate::decide::transaction::inspection::{Found, GuardedState};
use crate::decide::transaction::recover::{Aim, Reached};
use crate::decide::transaction::state::{GivenUp, Progress, Transaction};
use crate::decide::vocabulary::{Effect, Step, Timer};
use crate::event::activity::Awaiting;
use crate::event::reason::fate::Fate;
use crate::event::reason::obstacle::HeldUp;
use crate::event::{Event, HostOutcome};
use crate::facts::plan::HostId;
use crate::facts::traces::Missing;
use crate::inventory::model::HostName;

/// Says how a host is left that the run was to end without, if the run was not ended.
pub(super) fn not_ended_without() -> HostOutcome {
    HostOutcome::Left { why: Fate::NotEndedWithout.into(), back_within_ms: None }
}

impl Transaction {
    /// Ends the run without this host: it takes no part, even if it answers meanwhile. It is called before the start,
    /// or once the host has not answered.
    pub fn go_without(&mut self, host: HostId) {
        let now = &mut self.hosts[host.0];
        (now.missing, now.progress, now.armed) = (true, Progress::Done, false);
        (now.step, now.found, now.held) = (None, None, false);
        now.end = Some(HostOutcome::Missing);
    }

    pub(super) fn aim(&self) -> Aim {
        self.recovery.as_ref().map_or(Aim::Recover, |recovery| recovery.aim)
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = HostId> + '_ {
        self.plan.ids().filter(|host| self.hosts[host.0].missing)
    }

    /// Returns the missing hosts by name, with their machine ids if these are known.
    pub(super) fn named_missing(&self) -> Missing {
        let missing = self.missing().map(|host| self.plan.host(host));
        let machine = |id: &String| Some(id.clone()).filter(|id| !id.is_empty());
        missing.map(|host| (host.name.clone(), machine(&host.machine_id))).collect()
    }

    /// Waits, once, until no guard of a missing host can be armed any more; then all other hosts are asked again.
    pub(super) fn waits_for_the_missing(&mut self, effects: &mut Vec<Effect>) -> bool {
        let is_to_wait = self.aim() == Aim::Without && self.missing().next().is_some();
        let Some(recovery) = self.recovery.as_mut().filter(|recovery| is_to_wait && !recovery.waited_for_the_missing)
        else {
            return false;
        };
        recovery.waited_for_the_missing = true;
        if self.may_go_forward_without() {
            // A host that could go forward must not be brought back by its own guard meanwhile.
            let is_ready = |(_, found): &(HostId, &Found)| matches!(found, Found::Guarded(GuardedState::New));
            let ready: Vec<HostId> = self.found().filter(is_ready).map(|(host, _)| host).collect();
            for host in ready {
                let boot_id = self.hosts[host.0].boot_id.clone();
                self.run(host, Step::Extend { boot_id }, effects);
            }
        }
        let missing = self.named_missing().into_keys().collect();
        let doing = Awaiting::MissingHosts { missing }.to_string();
        for host in self.plan.changing().filter(|host| self.takes_part(*host)) {
            effects.push(Effect::Tell(Event::moved(&self.plan.host(host).name, &doing)));
        }
        effects.push(Effect::Expect(Timer::GuardsOver));
        true
    }

    /// Returns whether a missing host may be on new for good: only if the disarm was reached.
    pub(super) fn may_go_forward_without(&self) -> bool {
        let reached = self.recovery.as_ref().map_or(Reached::Unknown, |recovery| recovery.recorded.reached);
        reached == Reached::Disarming
            || self.lost_on_new
            || self.found().any(|(_, found)| *found == Found::New { disarmed: true })
    }

    /// Returns the hosts that did not answer and were not named as missing.
    pub(super) fn silent(&self) -> Vec<HostName> {
        let silent = self.found().filter(|(_, found)| matches!(found, Found::Silent { .. }));
        silent.map(|(host, _)| self.plan.host(host).name.clone()).collect()
    }

    /// Returns the hosts that the run can be ended without: not one that answers and is held up, or is on the other
    /// side; other commands serve those.
    pub(super) fn is_gone(&self, host: HostId) -> bool {
        let now = &self.hosts[host.0];
        let is_silent = matches!(now.found, Some(Found::Silent { .. })) || now.given_up != GivenUp::No;
        now.missing || (is_silent && !now.disowned && matches!(now.end, Some(HostOutcome::Lost { .. })))
    }

    /// Leaves everything as it was found.
    pub(super) fn hold_up(&mut self, why: HeldUp, effects: &mut Vec<Effect>) {
        self.told.held_up = Some(why);
        self.leave_all(effects, |found| HostOutcome::Lost { why: Fate::LeftAsItWas { found: found.told() }.into() });
    }

    /// Returns whether the run is over for every host that answers, each by itself, or nothing of it is left there.
    pub(super) fn all_have_left(&self) -> bool {
        let hosts: Vec<HostId> = self.plan.changing().filter(|host| self.takes_part(*host)).collect();
        let any = hosts.iter().any(|host| self.hosts[host.0].has_left());
        any && hosts.iter().all(|host| {
            let now = &self.hosts[host.0];
            now.has_left() || matches!(now.found, Some(Found::Cleaned(_)))
        })
    }

    pub(super) fn moved_on(&self, host: HostId) -> HostOutcome {
        let now = &self.hosts[host.0];
        let moved_on = || HostOutcome::MovedOn { on: now.on.clone() };
        now.found.as_ref().map_or_else(moved_on, |found| found.end_of_who_has_left(&now.on))
    }

    /// Tells once of a host for which the run is over.
    pub(super) fn tell_who_has_left(&self, host: HostId, effects: &mut Vec<Effect>) {
        if let Some(found) = self.hosts[host.0].found.as_ref().filter(|found| found.has_left()) {
            let name = self.plan.host(host).name.clone();
            effects.push(Effect::Tell(Event::warned(Some(&name), found.told())));
        }
    }
}
