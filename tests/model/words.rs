//! The few words that the model shares: systems, where a host stands on them, and how the decider's own types say it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fleetdeploy::facts::host::JobKind;
use fleetdeploy::facts::links::{Link, LinkAnswer, Probe, Round};
use fleetdeploy::facts::plan::{HostId, HostPlan, Plan};
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::facts::systems::Systems;
use fleetdeploy::inventory::model::{HostName, Place};

/// A system, as far as the model tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sys {
    Old,
    New,
    /// What a person has set as the next boot, and a restart has brought.
    Other,
}

/// The three places of a host: `Systems` in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Places {
    pub(crate) current: Sys,
    pub(crate) profile: Sys,
    pub(crate) boot: Sys,
}

static PATHS: LazyLock<[StorePath; 3]> = LazyLock::new(|| {
    ["old", "new", "other"].map(|name| StorePath::new(format!("/nix/store/{}-{name}", "0".repeat(32))).unwrap())
});

impl Sys {
    pub(crate) fn path(self) -> &'static StorePath {
        &PATHS[self as usize]
    }

    fn of(path: &StorePath) -> Self {
        let all = [Self::Old, Self::New, Self::Other];
        all.into_iter().find(|system| system.path() == path).unwrap_or(Self::Other)
    }
}

impl Places {
    pub(crate) fn all(system: Sys) -> Self {
        Self { current: system, profile: system, boot: system }
    }

    pub(crate) fn all_are(self, system: Sys) -> bool {
        self == Self::all(system)
    }

    /// There for good; a restart of the last instant may have brought what a person had set, once.
    pub(crate) fn rest_on(self, system: Sys) -> bool {
        self.all_are(system) || self == Self { current: Sys::Other, ..Self::all(system) }
    }

    pub(crate) fn systems(self) -> Systems {
        Systems {
            current: self.current.path().clone(),
            profile: self.profile.path().clone(),
            boot_default: self.boot.path().clone(),
        }
    }

    pub(crate) fn of(systems: &Systems) -> Self {
        Self {
            current: Sys::of(&systems.current),
            profile: Sys::of(&systems.profile),
            boot: Sys::of(&systems.boot_default),
        }
    }
}

pub(crate) fn host_name(number: u8) -> HostName {
    HostName::new(format!("h{number}")).unwrap()
}

pub(crate) fn host_number(name: &HostName) -> u8 {
    name.as_str()[1..].parse().unwrap()
}

/// Stands for an unknown system, as engine::recover has it for a host that holds nothing of a run without a record.
pub(crate) fn not_known() -> StorePath {
    StorePath::new("/nix/store/00000000000000000000000000000000-not-known").unwrap()
}

/// The boot id of a host's `number`th boot since the survey.
pub(crate) fn boot_id(number: u8) -> String {
    format!("b{number}")
}

/// Whether a host stands where a job's script demands it, as `engine::ssh_hosts::expected_before` says it.
pub(crate) fn stands_for(on: Places, kind: JobKind, recovers: bool) -> bool {
    match kind {
        JobKind::Test => on.all_are(Sys::Old),
        JobKind::Switch | JobKind::Reactivate if recovers => on.current == Sys::New,
        JobKind::Switch | JobKind::Reactivate => on == Places { current: Sys::New, ..Places::all(Sys::Old) },
        JobKind::Rollback => true,
    }
}

/// A fleet of `hosts` that all change, each with a link to every other. `jump`: the way to all others leads over the
/// first.
pub(crate) fn plan(hosts: usize, jump: bool) -> Arc<Plan> {
    let name = |index: usize| HostName::new(format!("h{index}")).unwrap();
    let pairs = (0..hosts).flat_map(|from| (0..hosts).filter(move |to| *to != from).map(move |to| (from, to)));
    let links: Vec<Link> = pairs
        .map(|(from, to)| {
            let probe = Probe::Ping { address: format!("10.0.0.{to}") };
            Link {
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
            }
        })
        .collect();
    let baseline = round(links.len(), true);
    let hosts = (0..hosts).map(|index| HostPlan {
        name: name(index),
        changes: true,
        old: Places::all(Sys::Old).systems(),
        generation: 1,
        new: Sys::New.path().clone(),
        boot_id: boot_id(0),
        machine_id: index.to_string(),
        behind: (jump && index > 0).then_some(HostId(0)),
        reactivate: false,
        wave: 0,
        login: fleetdeploy::facts::plan::LoginBefore::Taken,
        failed_units: BTreeSet::new(),
        restarts: BTreeMap::new(),
        units: fleetdeploy::facts::units::UnitTerms::default(),
    });
    Arc::new(Plan { hosts: hosts.collect(), links, baseline, accepted: BTreeSet::new() })
}

/// The same fleet, in a mesh so large that its links share the rounds.
pub(crate) fn in_turns(plan: &Plan) -> Arc<Plan> {
    let mut plan = plan.clone();
    plan.links.iter_mut().for_each(|link| link.shared = true);
    Arc::new(plan)
}

/// The same fleet, tested host by host.
pub(crate) fn in_waves(plan: &Plan) -> Arc<Plan> {
    let mut plan = plan.clone();
    for (wave, host) in plan.hosts.iter_mut().enumerate() {
        host.wave = wave;
    }
    Arc::new(plan)
}

/// A round in which every link gives the same answer; what the hosts say is still to be filled in.
pub(crate) fn round(links: usize, up: bool) -> Round {
    let answer = if up { LinkAnswer::Up { round_trip_us: None } } else { LinkAnswer::Down { why: String::new() } };
    Round { answers: (0..links).map(|link| (link, answer.clone())).collect(), ..Round::default() }
}
