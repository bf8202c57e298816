//! One host as its own scripts keep it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::decide::vocabulary::Step;
use crate::facts::host::{GuardState, JobKind, JobState, Standing};
use crate::facts::links::{Link, LinkAnswer, Probe, Round};
use crate::facts::plan::{HostId, HostPlan, Plan};
use crate::facts::step_answer::{RefusalReason, StepOutcome};
use crate::facts::store_path::StorePath;
use crate::facts::systems::{BootLoader, NextBoot, Systems};
use crate::facts::traces::{Ended, RunTraces};
use crate::facts::units::{UnitState, Units};
use crate::inventory::model::{HostName, Place};

pub(in crate::decide) fn system(name: &str) -> StorePath {
    StorePath::new(format!("/nix/store/00000000000000000000000000000000-{name}")).unwrap()
}

/// The same plan, and its hosts in these waves.
pub(super) fn in_waves(plan: &Plan, waves: &[usize]) -> Arc<Plan> {
    let mut plan = plan.clone();
    for (host, wave) in plan.hosts.iter_mut().zip(waves) {
        host.wave = *wave;
    }
    Arc::new(plan)
}

/// `hosts` in a row, all behind the first; the first `changing` of them change.
pub(in crate::decide) fn plan(hosts: usize, changing: usize) -> Arc<Plan> {
    let name = |index: usize| HostName::new(format!("host{index}")).unwrap();
    let mut links = Vec::new();
    for from in 0..hosts {
        for to in (0..hosts).filter(|to| *to != from) {
            let probe = Probe::Ping { address: format!("10.0.0.{to}") };
            links.push(Link {
                check: "vpn".to_owned(),
                from: Place::Host(name(from)),
                to: name(to).to_string(),
                to_host: Some(name(to)),
                probe: probe.clone(),
                probe_after: probe,
                required: true,
                timeout: Duration::from_secs(2),
                left_out: None,
                shared: false,
            });
        }
    }
    let baseline = Round {
        answers: (0..links.len()).map(|link| (link, LinkAnswer::Up { round_trip_us: None })).collect(),
        ..Round::default()
    };
    let hosts = (0..hosts)
        .map(|index| HostPlan {
            name: name(index),
            changes: index < changing,
            old: Systems::all(&system("old")),
            generation: 1,
            new: system("new"),
            boot_id: format!("boot{index}"),
            machine_id: format!("{index}"),
            behind: (index > 0).then_some(HostId(0)),
            reactivate: false,
            wave: 0,
            login: crate::facts::plan::LoginBefore::Unknown,
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
            units: crate::facts::units::UnitTerms::default(),
        })
        .collect();
    Arc::new(Plan { hosts, links, baseline, accepted: BTreeSet::new() })
}

/// How a host stands before anything has happened to it.
pub(in crate::decide) fn standing(host: &HostPlan) -> Standing {
    Machine::new(host).standing(host)
}

/// A host of the model world.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the host")]
pub(super) struct Machine {
    pub(super) boot: String,
    pub(super) boots: usize,
    pub(super) systems: Systems,
    pub(super) guard: GuardState,
    /// With the epoch that started each.
    pub(super) jobs: BTreeMap<JobKind, (JobState, u64)>,
    /// The epoch of the coordinator that holds it.
    pub(super) lease: Option<u64>,
    /// The highest epoch that was ever written beside the roots: a restart keeps it.
    pub(super) fence: u64,
    /// What the run keeps on it across reboots, until it is cleaned.
    pub(super) roots: bool,
    /// What a person has set as the next boot.
    pub(super) next_boot: Option<String>,
    pub(super) units: Units,
    /// On its own clock.
    pub(super) uptime: u64,
    /// It does not answer.
    pub(super) dead: bool,
    /// Whether it was ever armed, and ever tested, and said so.
    pub(super) told_armed: bool,
    pub(super) told_tested: bool,
    /// What its own scripts have written beside the roots.
    pub(super) traces: RunTraces,
}

impl Machine {
    pub(super) fn new(host: &HostPlan) -> Self {
        Self {
            boot: host.boot_id.clone(),
            boots: 0,
            systems: host.old.clone(),
            guard: GuardState::None,
            jobs: BTreeMap::new(),
            lease: None,
            fence: 0,
            roots: true,
            next_boot: None,
            units: Units::new(),
            uptime: 100,
            dead: false,
            told_armed: false,
            told_tested: false,
            traces: RunTraces { traced: true, ..RunTraces::default() },
        }
    }

    pub(super) fn restart(&mut self) {
        self.boots += 1;
        self.boot = format!("{}+{}", self.boot, self.boots);
        self.systems.current = self.systems.boot_default.clone();
        self.guard = GuardState::None;
        self.jobs.clear();
        self.lease = None;
    }

    /// What a guard does that fires.
    pub(super) fn fire(&mut self, plan: &HostPlan) {
        if !matches!(self.guard, GuardState::Armed { .. }) {
            return;
        }
        if self.jobs.is_empty() && self.systems == plan.old {
            self.guard = GuardState::Fired { run: "run".to_owned() };
            return;
        }
        self.systems = Systems { current: self.systems.current.clone(), ..plan.old.clone() };
        self.restart();
    }

    pub(super) fn is_at_rest(&self, plan: &HostPlan) -> bool {
        let settled = plan.is_back(&self.systems) || self.systems.agree();
        settled && !matches!(self.guard, GuardState::Armed { .. })
    }

    pub(super) fn standing(&self, plan: &HostPlan) -> Standing {
        Standing {
            boot_id: self.boot.clone(),
            uptime: self.uptime,
            systems: self.systems.clone(),
            booted: plan.old.current.clone(),
            generation: 1,
            loader: BootLoader::SystemdBoot,
            next_boot: self.next_boot.clone().map(|entry| NextBoot { entry, system: None }),
            guard: self.guard.clone(),
            lease: None,
            rolling: None,
            jobs: self.jobs.iter().map(|(kind, (state, _))| (*kind, *state)).collect(),
            failed_units: self.failed_units(),
            restarts: BTreeMap::new(),
            units: self.units.clone(),
            run_traces: Some(self.traces.clone()),
            fence: None,
            trial: crate::facts::trial::TrialStanding::default(),
        }
    }

    pub(super) fn failed_units(&self) -> BTreeSet<String> {
        let failed = self.units.iter().filter(|(_, now)| now.state == UnitState::Failed);
        failed.map(|(unit, _)| unit.clone()).collect()
    }

    /// What the host's own scripts do with a step that a coordinator of this epoch has sent.
    pub(super) fn perform(&mut self, plan: &HostPlan, step: &Step, epoch: u64, fails: bool) -> StepOutcome {
        let run = || "run".to_owned();
        let refused = |reason| StepOutcome::Refused { reason, text: String::new() };
        if matches!(step, Step::Return { .. }) {
            self.fire(plan);
            return StepOutcome::Done;
        }
        let machine = self;
        if machine.fence.max(machine.lease.unwrap_or(0)) > epoch && !matches!(step, Step::Login { .. }) {
            return refused(RefusalReason::Superseded);
        }
        let ended = machine.traces.ended.is_some();
        let begins = matches!(step, Step::TakeOver { .. } | Step::Ask) || matches!(step, Step::Arm { .. }) && epoch > 1;
        if begins && (ended || machine.lease.is_none() && !machine.roots) {
            return refused(RefusalReason::Ended);
        }
        let armed = matches!(machine.guard, GuardState::Armed { .. });
        let dead = matches!(machine.guard, GuardState::Dead { .. });
        match step {
            Step::TakeOver { .. } | Step::Arm { .. } if fails => return refused(RefusalReason::ForeignLease),
            Step::Arm { boot_id, .. }
            | Step::Extend { boot_id }
            | Step::Job { boot_id, .. }
            | Step::Disarm { boot_id, .. }
                if *boot_id != machine.boot =>
            {
                return refused(RefusalReason::OtherBoot);
            }
            Step::Extend { .. } | Step::Job { .. } | Step::Disarm { .. } if machine.lease.is_none() => {
                return refused(RefusalReason::ForeignLease);
            }
            Step::Extend { .. } | Step::Job { .. } | Step::Disarm { .. } if machine.lease != Some(epoch) => {
                return refused(RefusalReason::Other);
            }
            _ => {}
        }
        match step {
            Step::TakeOver { .. } => (machine.lease, machine.fence) = (Some(epoch), epoch),
            Step::Arm { .. } if dead => machine.guard = GuardState::Armed { run: run(), deadline: 900 },
            Step::Arm { .. } if armed => (machine.lease, machine.fence) = (Some(epoch), epoch),
            Step::Arm { expect, .. } if *expect != machine.systems => return refused(RefusalReason::Moved),
            Step::Arm { .. } => {
                (machine.lease, machine.fence) = (Some(epoch), epoch);
                machine.guard = GuardState::Armed { run: run(), deadline: 900 };
            }
            Step::Job { kind, .. } if machine.jobs.get(kind).is_some_and(|(_, by)| *by == epoch) => {
                let failed = machine.jobs[kind].0 != JobState::Exited { status: 0 };
                return if failed { StepOutcome::said_to_have_failed("status 1") } else { StepOutcome::Done };
            }
            Step::Extend { .. } | Step::Job { .. } if !armed => return refused(RefusalReason::NoGuard),
            Step::Job { kind: JobKind::Test | JobKind::Switch, .. }
                if machine.jobs.contains_key(&JobKind::Rollback) =>
            {
                return refused(RefusalReason::Other);
            }
            Step::Job { kind: JobKind::Test, .. } if machine.systems != plan.old => {
                return refused(RefusalReason::Moved);
            }
            Step::Job { kind: JobKind::Switch, .. } if machine.systems.current != plan.new => {
                return refused(RefusalReason::Moved);
            }
            Step::Job { kind, .. } => return machine.work(plan, *kind, epoch, fails),
            Step::Disarm { expect, .. } => match machine.guard {
                GuardState::Armed { .. } if *expect != machine.systems => return refused(RefusalReason::Moved),
                GuardState::Armed { .. } => {
                    machine.traces.committed |= machine.systems.all_are(&plan.new);
                    machine.guard = GuardState::Disarmed { run: run() };
                }
                GuardState::Dead { .. } => machine.guard = GuardState::Disarmed { run: run() },
                GuardState::Disarmed { .. } => {}
                GuardState::Fired { .. } => return refused(RefusalReason::Fired),
                _ => return refused(RefusalReason::NoGuard),
            },
            Step::Clean { .. } | Step::Release if armed => return refused(RefusalReason::Other),
            Step::Release => machine.lease = None,
            Step::Clean { mark } => {
                if !mark.missing.is_empty() {
                    machine.traces.ended = Some(Ended { epoch, mark: mark.clone() });
                }
                (machine.lease, machine.guard, machine.roots) = (None, GuardState::None, false);
                machine.fence = 0;
                machine.jobs.clear();
            }
            Step::Unmark { host } => {
                let ended = machine.traces.ended.as_mut();
                if let (Some(ended), Some(host)) = (ended, host) {
                    ended.mark.missing.remove(host);
                }
                let is_over = |ended: &Ended| host.is_none() || ended.mark.missing.is_empty();
                machine.traces.ended.take_if(|ended| is_over(ended));
            }
            Step::Extend { .. } | Step::Login { .. } | Step::Return { .. } | Step::Ask => {}
        }
        StepOutcome::Done
    }

    fn work(&mut self, plan: &HostPlan, kind: JobKind, epoch: u64, fails: bool) -> StepOutcome {
        self.traces.switching |= matches!(kind, JobKind::Switch | JobKind::Reactivate);
        self.jobs.insert(kind, (JobState::Exited { status: i32::from(fails) }, epoch));
        match (kind, fails) {
            (JobKind::Rollback, false) => self.systems = plan.old.clone(),
            (JobKind::Rollback, true) => {}
            (JobKind::Test, _) => self.systems.current = plan.new.clone(),
            // A loader that cannot be installed leaves the profile moved.
            (_, true) => self.systems.profile = plan.new.clone(),
            (_, false) => self.systems = Systems::all(&plan.new),
        }
        if fails { StepOutcome::said_to_have_failed("status 1") } else { StepOutcome::Done }
    }
}

pub(super) fn job(kind: JobKind) -> impl Fn(&Step) -> bool {
    move |step| matches!(step, Step::Job { kind: other, .. } if *other == kind)
}
