//! Forecasts a push: in which order it goes, how long at most, and what only a reboot would bring.

use std::time::Duration;

use crate::decide::rollback::To;
use crate::decide::survey::Surveyed;
use crate::event::Phase;
use crate::event::forecast::{Comparison, Forecast, GuardGap, HostForecast, PhaseForecast};
use crate::event::reason::any::AnyReason;
use crate::event::reason::trial::TrialOutlook;
use crate::facts::plan::{HostId, Plan};
use crate::facts::systems::{BootFiles, BootLoader};
use crate::inventory::model::{GuardAction, HostName};

/// The parts of a system that take effect at boot only: where they lie, and the kernel's parameters. A container has
/// none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootParts {
    pub kernel: Option<String>,
    pub initrd: Option<String>,
    pub modules: Option<String>,
    pub parameters: String,
}

impl BootParts {
    /// Returns in words which parts of `new` a host that has booted `self` has only after a reboot.
    #[must_use]
    pub fn reboot_for(&self, new: &Self) -> Vec<String> {
        let differs = [
            (self.kernel != new.kernel, "kernel"),
            (self.initrd != new.initrd, "initrd"),
            (self.modules != new.modules, "kernel modules"),
            (self.parameters.trim() != new.parameters.trim(), "kernel parameters"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).map(|(_, word)| word.to_owned()).collect()
    }
}

/// Forecasts all that the survey and the plan tell; comparisons and links come later.
#[must_use]
pub fn forecast(fleet: &str, hosts: &[Surveyed<'_>], plan: &Plan, back: Option<&To>) -> Forecast {
    let name = |host: HostId| plan.host(host).name.clone();
    Forecast {
        fleet: fleet.to_owned(),
        rollback_to: back.map(|to| to.aim().to_string()),
        hosts: hosts.iter().map(|host| of_host(host, plan)).collect(),
        armed_first: plan.first_armed().map(name),
        order: order(plan).into_iter().map(|group| group.into_iter().map(name).collect()).collect(),
        phases: phases(hosts, back),
        gaps: hosts.iter().filter(|host| host.changes()).flat_map(gaps).collect(),
        ..Forecast::default()
    }
}

/// Returns what the host's guard does not cover. A guard that does not reboot needs no kernel.
fn gaps(surveyed: &Surveyed<'_>) -> Vec<GuardGap> {
    let (host, facts) = (surveyed.host, surveyed.facts);
    let name = || host.name.clone();
    let moves = (facts.standing.loader == BootLoader::Init).then(|| GuardGap::ActivationMovesBoot { host: name() });
    let unproven = match &facts.boot_files {
        Some(BootFiles::Unproven { why }) if host.guard_action == GuardAction::Reboot => {
            Some(GuardGap::BootFilesNotCompared { host: name(), why: why.clone() })
        }
        _ => None,
    };
    moves.into_iter().chain(unproven).collect()
}

fn of_host(surveyed: &Surveyed<'_>, plan: &Plan) -> HostForecast {
    let (host, standing) = (surveyed.host, &surveyed.facts.standing);
    let systems = &standing.systems;
    let behind = plan.hosts.iter().find(|planned| planned.name == host.name).and_then(|planned| planned.behind);
    HostForecast {
        host: host.name.clone(),
        selected: surveyed.selected,
        changes: surveyed.changes(),
        old: systems.current.clone(),
        boots: systems.known_boot_default().filter(|boots| **boots != systems.current).cloned(),
        new: surveyed.new.unwrap_or(&systems.current).clone(),
        generation: standing.generation,
        behind: behind.map(|jump| plan.host(jump).name.clone()),
        guard_ms: millis(surveyed.times.guard),
        needed_ms: millis(host.shortest_guard(surveyed.times.settle, surveyed.times.steady)),
        boot_ms: millis(host.boot_time),
        comparison: Comparison::default(),
        trial: TrialOutlook::all(host, surveyed.times.settle, surveyed.facts).into_iter().next().map(AnyReason::from),
        units: None,
    }
}

/// Groups the changing hosts. Those behind a jump begin before the jump, because its own step may cut their way.
fn order(plan: &Plan) -> Vec<Vec<HostId>> {
    let mut left: Vec<HostId> = plan.changing().collect();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let waits = |host: &HostId| left.iter().any(|far| plan.is_behind(*far, *host));
        let (later, now): (Vec<HostId>, Vec<HostId>) = left.iter().partition(|host| waits(host));
        // No host is behind itself, so at least one host does not wait. A mistake there must not become a loop.
        if now.is_empty() {
            groups.push(later);
            break;
        }
        groups.push(now);
        left = later;
    }
    groups
}

fn phases(hosts: &[Surveyed<'_>], back: Option<&To>) -> Vec<PhaseForecast> {
    let changing: Vec<&Surveyed<'_>> = hosts.iter().filter(|host| host.changes()).collect();
    let slowest = |limit: &dyn Fn(&Surveyed<'_>) -> Duration| changing.iter().map(|host| millis(limit(host))).max();
    let again = |host: &Surveyed<'_>| {
        if host.host.reactivate { host.host.limits.test + host.times.steady } else { Duration::ZERO }
    };
    // A rollback copies nothing, but the systems are still looked at, and check themselves.
    let look = |host: &Surveyed<'_>| host.host.limits.step + host.host.limits.test;
    let copy = |host: &Surveyed<'_>| if back.is_some() { look(host) } else { host.host.limits.copy + look(host) };
    let limits = [
        (Phase::Build, None),
        (Phase::Survey, slowest(&|host| host.host.limits.connect + host.host.limits.step)),
        (Phase::Copy, slowest(&copy)),
        (Phase::Baseline, None),
        (Phase::Arm, slowest(&|host| host.host.limits.step)),
        (Phase::Test, slowest(&|host| host.host.limits.test)),
        (Phase::Verify, slowest(&|host| host.host.limits.connect + host.times.settle + host.times.steady)),
        (Phase::Decide, None),
        (Phase::Switch, slowest(&|host| host.host.limits.switch + again(host) + host.times.settle)),
        (Phase::Disarm, slowest(&|host| host.host.limits.step)),
        (Phase::RollBack, slowest(&|host| host.host.limits.rollback + host.times.settle_back())),
    ];
    limits.into_iter().map(|(phase, at_most_ms)| PhaseForecast { phase, at_most_ms, took_ms: None }).collect()
}

impl Forecast {
    /// Takes the waves of the plan, once it is divided.
    pub fn divide(&mut self, plan: &Plan) {
        let waves = plan.waves();
        if waves.len() > 1 {
            let names = |hosts: Vec<HostId>| hosts.into_iter().map(|host| plan.host(host).name.clone()).collect();
            self.waves = waves.into_values().map(names).collect();
            // Each wave is tested and proven before the next.
            let times = u64::try_from(self.waves.len()).unwrap_or(u64::MAX);
            for phase in self.phases.iter_mut().filter(|one| matches!(one.phase, Phase::Test | Phase::Verify)) {
                phase.at_most_ms = phase.at_most_ms.map(|one| one.saturating_mul(times));
            }
        }
    }

    /// Returns what is known of a host by now.
    pub fn host_mut(&mut self, name: &HostName) -> Option<&mut HostForecast> {
        self.hosts.iter_mut().find(|host| host.host == *name)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::status::tests::{fleet, system, well};
    use crate::decide::time::Times;
    use crate::facts::links::Round;
    use crate::facts::plan::HostPlan;
    use crate::facts::store_path::StorePath;
    use crate::facts::systems::Systems;

    fn plan(hosts: &[(&str, bool, Option<usize>)]) -> Plan {
        let host = |(name, changes, behind): &(&str, bool, Option<usize>)| {
            let system = StorePath::new("/nix/store/00000000000000000000000000000000-old").unwrap();
            HostPlan {
                name: HostName::new(*name).unwrap(),
                changes: *changes,
                old: Systems::all(&system),
                generation: 1,
                new: system,
                boot_id: String::new(),
                machine_id: (*name).to_owned(),
                behind: behind.map(HostId),
                reactivate: false,
                wave: 0,
                login: crate::facts::plan::LoginBefore::Unknown,
                failed_units: BTreeSet::new(),
                restarts: BTreeMap::new(),
                units: crate::facts::units::UnitTerms::default(),
            }
        };
        let hosts = hosts.iter().map(host).collect();
        Plan { hosts, links: Vec::new(), baseline: Round::default(), accepted: BTreeSet::new() }
    }

    fn names(plan: &Plan) -> Vec<Vec<&str>> {
        let name = |host: HostId| plan.host(host).name.as_str();
        order(plan).into_iter().map(|group| group.into_iter().map(name).collect()).collect()
    }

    #[test]
    fn whoever_is_behind_a_jump_begins_before_it() {
        let all = [("vps", true, None), ("home", true, Some(0)), ("web", true, None), ("nas", true, Some(1))];
        assert_eq!(names(&plan(&all)), [vec!["web", "nas"], vec!["home"], vec!["vps"]]);
        let far = [("vps", true, None), ("home", false, Some(0)), ("nas", true, Some(1))];
        assert_eq!(names(&plan(&far)), [vec!["nas"], vec!["vps"]]);
        assert_eq!(names(&plan(&[("vps", false, None)])), Vec::<Vec<&str>>::new());
    }

    #[test]
    fn a_test_in_waves_may_take_as_many_times_as_long() {
        let mut plan = plan(&[("a", true, None), ("b", true, None), ("c", true, None)]);
        plan.hosts[1].wave = 1;
        plan.hosts[2].wave = 2;
        let phases = [Phase::Arm, Phase::Test, Phase::Verify]
            .map(|phase| PhaseForecast { phase, at_most_ms: Some(1000), took_ms: None })
            .to_vec();
        let mut forecast = Forecast { phases, ..Forecast::default() };
        forecast.divide(&plan);
        let limits: Vec<Option<u64>> = forecast.phases.iter().map(|one| one.at_most_ms).collect();
        assert_eq!((forecast.waves.len(), limits), (3, vec![Some(1000), Some(3000), Some(3000)]));
    }

    #[test]
    fn what_a_guard_does_not_cover_is_said_of_the_hosts_that_change() {
        let fleet = fleet("hosts: {vps: , box: {guard_action: switch-back}}\nfleets: {lab: {flake: ., hosts: all}}\n");
        let (new, current) = (system('b', "2"), system('a', "1"));
        let mut facts = well().facts;
        facts.standing.loader = BootLoader::Init;
        facts.boot_files = Some(BootFiles::Unproven { why: "it is signed".into() });
        let gaps = |host: usize, new: &StorePath| {
            let host = &fleet.hosts[host];
            let view = Surveyed {
                host,
                selected: true,
                facts: &facts,
                new: Some(new),
                times: Times::of(host, fleet.settle, fleet.steady()),
            };
            forecast("lab", &[view], &plan(&[]), None).gaps
        };
        let host = |name: &str| HostName::new(name).unwrap();
        let moves = |name: &str| GuardGap::ActivationMovesBoot { host: host(name) };
        let not_compared = GuardGap::BootFilesNotCompared { host: host("vps"), why: "it is signed".into() };
        assert_eq!(gaps(0, &new), [moves("vps"), not_compared]);
        assert_eq!(gaps(1, &new), [moves("box")]);
        assert_eq!(gaps(0, &current), []);
    }

    #[test]
    fn a_reboot_is_needed_for_what_differs_from_what_was_booted() {
        let parts = |kernel: &str, parameters: &str| BootParts {
            kernel: Some(kernel.to_owned()),
            parameters: parameters.to_owned(),
            ..BootParts::default()
        };
        let booted = parts("/nix/store/a-linux/bzImage", "quiet\n");
        assert_eq!(booted.reboot_for(&parts("/nix/store/a-linux/bzImage", "quiet")), Vec::<String>::new());
        let words = booted.reboot_for(&parts("/nix/store/b-linux/bzImage", "loglevel=4"));
        assert_eq!(words, ["kernel", "kernel parameters"]);
        assert_eq!(BootParts::default().reboot_for(&BootParts::default()), Vec::<String>::new());
    }
}
