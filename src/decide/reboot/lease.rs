//! Decides about the leases of a rolling reboot: one on every host of the fleet that answers, also on a witness, before
//! the first reboot; and all are renewed before each further wave.
//!
//! The first host by machine id is asked alone: of two rolling reboots that begin at once, and reach it, one goes on,
//! whatever hosts each of them is to reboot. All are held or none: if one host cannot be held all are let go. A lease
//! outlives the reboot of its host. If it is not renewed any more, it is over some time later by the host's own clock.

use std::collections::BTreeSet;

use super::{RebootEffect, RebootStage, RollingReboot};
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::reboot::RollingReason;
use crate::facts::plan::HostId;

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Holding {
    renews: bool,
    /// Hosts that have not been asked yet.
    waiting: Vec<HostId>,
    /// Hosts that were asked and have not answered yet.
    asked: BTreeSet<HostId>,
    not_held: Vec<HostId>,
    /// Hosts that may be held: all that were ever asked.
    pub(super) hosts: BTreeSet<HostId>,
}

impl Holding {
    /// Returns how many hosts have been asked and have not answered, and whether they renew.
    pub(super) fn is_asking(&self) -> (usize, bool) {
        (self.asked.len(), self.renews)
    }
}

impl RollingReboot {
    pub(super) fn take_leases(&mut self, effects: &mut Vec<RebootEffect>) {
        let mut order: Vec<HostId> = self.plan.ids().collect();
        order.sort_by_key(|host| self.plan.host(*host).machine_id.clone());
        let first: Vec<HostId> = order.drain(..order.len().min(1)).collect();
        self.holding = Holding { waiting: order, ..Holding::default() };
        self.ask_for_leases(first, effects);
    }

    pub(super) fn renew_leases(&mut self, effects: &mut Vec<RebootEffect>) {
        let hosts = std::mem::take(&mut self.holding.hosts);
        self.holding = Holding { renews: true, ..Holding::default() };
        self.ask_for_leases(hosts.into_iter().collect(), effects);
    }

    fn ask_for_leases(&mut self, hosts: Vec<HostId>, effects: &mut Vec<RebootEffect>) {
        self.stage = RebootStage::Holding;
        let wave = self.waves.get(self.wave).and_then(|wave| wave.first());
        let for_a_trial = self.holding.renews && wave.is_some_and(|host| self.tried.contains_key(host));
        for host in hosts {
            self.holding.asked.insert(host);
            self.holding.hosts.insert(host);
            let boot_id = self.boots.get(&host).unwrap_or(&self.plan.host(host).boot_id).clone();
            effects.push(RebootEffect::Hold { host, boot_id, renews: self.holding.renews, for_a_trial });
        }
    }

    pub(super) fn held(&mut self, host: HostId, effects: &mut Vec<RebootEffect>) {
        if self.holding.asked.remove(&host) {
            self.go_on_when_all_have_answered(effects);
        }
    }

    pub(super) fn not_held(&mut self, host: HostId, cause: AnyReason, effects: &mut Vec<RebootEffect>) {
        if self.holding.asked.remove(&host) {
            let name = &self.plan.host(host).name;
            effects.push(RebootEffect::Tell(Event::failed(Some(name), RollingReason::HostNotHeld { cause })));
            self.holding.not_held.push(host);
            self.holding.waiting.clear();
            self.go_on_when_all_have_answered(effects);
        }
    }

    fn go_on_when_all_have_answered(&mut self, effects: &mut Vec<RebootEffect>) {
        if !self.holding.asked.is_empty() {
            return;
        }
        if !self.holding.not_held.is_empty() {
            let hosts = self.holding.not_held.iter().map(|host| self.plan.host(*host).name.clone()).collect();
            self.stopped = Some(if self.holding.renews {
                RollingReason::HostsNotHeldLonger { hosts }
            } else {
                RollingReason::HostsNotHeld { hosts }
            });
            self.finish(effects);
        } else if self.interrupted.is_none() && !self.holding.waiting.is_empty() {
            let others = std::mem::take(&mut self.holding.waiting);
            self.ask_for_leases(others, effects);
        } else if self.holding.renews {
            self.reboot_wave(effects);
        } else {
            self.begin_wave(effects);
        }
    }
}
