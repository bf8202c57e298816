//! Decides about the leases of a rolling reboot: one on every host of the fleet that answers, also on a witness, before
//! the first reboot; and all are renewed before each further wave.
//!
//! The first host by machine id is asked alone: of two rolling reboots that begin at once, and reach it, one goes on,
//! whatever hosts each of them is to reboot. All are held or none: if one host cannot be held all are let go. A lease
//! outlives the reboot of its host. If it is not renewed any more, it is over some time later by the host's own clock.

use std::collections::BTreeSet;
use std::fmt;

use super::{RebootEffect, RebootStage, RollingReboot};
use crate::event::Event;
use crate::facts::plan::HostId;
use crate::inventory::model::HostName;

/// The reason why no further host is rebooted, though none is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotHeld {
    /// A host is not held before the first reboot: another rolling reboot may be at work on this fleet.
    Taking { hosts: Vec<HostName> },
    /// A host is not held in the middle: another workstation may have ended this one.
    Renewing { hosts: Vec<HostName> },
    /// The record cannot be written: after a death no command would know of it.
    Record { why: String },
}

impl NotHeld {
    /// Stable, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Taking { .. } => "rolling_not_held",
            Self::Renewing { .. } => "rolling_not_renewed",
            Self::Record { .. } => "rolling_not_recorded",
        }
    }
}

impl fmt::Display for NotHeld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |hosts: &[HostName]| hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Taking { hosts } => write!(
                formatter,
                "every host that answers must be held before the first is rebooted, and {} could not be",
                names(hosts)
            ),
            Self::Renewing { hosts } => {
                write!(formatter, "{} could not be held any longer, and then no further host is begun", names(hosts))
            }
            Self::Record { why } => write!(formatter, "its record cannot be written: {why}"),
        }
    }
}

#[derive(Debug, Default)]
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
        for host in hosts {
            self.holding.asked.insert(host);
            self.holding.hosts.insert(host);
            let boot_id = self.boots.get(&host).unwrap_or(&self.plan.host(host).boot_id).clone();
            effects.push(RebootEffect::Hold { host, boot_id, renews: self.holding.renews });
        }
    }

    pub(super) fn held(&mut self, host: HostId, effects: &mut Vec<RebootEffect>) {
        if self.holding.asked.remove(&host) {
            self.go_on_when_all_have_answered(effects);
        }
    }

    pub(super) fn not_held(&mut self, host: HostId, why: &str, effects: &mut Vec<RebootEffect>) {
        if self.holding.asked.remove(&host) {
            let name = Some(self.plan.host(host).name.clone());
            let text = format!("cannot be held for this rolling reboot: {why}");
            let hint =
                "wait for what else is under way there; what has died is ended by `fleetdeploy recover`".to_owned();
            effects.push(RebootEffect::Tell(Event::Failed { host: name, text: text.into(), hint: Some(hint) }));
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
            self.stopped =
                Some(if self.holding.renews { NotHeld::Renewing { hosts } } else { NotHeld::Taking { hosts } });
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
