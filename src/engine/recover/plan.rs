//! Makes the plan of a run without a record on this workstation, from what the hosts keep of it: each host's part comes
//! from that host.

use std::collections::BTreeSet;

use super::{Chosen, Recovery, Surveyed};
use crate::engine::surveyor::Surveyor;
use crate::facts::links;
use crate::facts::plan::{HostId, HostPlan, Plan};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::units::UnitTerms;
use crate::inventory::model::{Host, HostName};

impl<S: Surveyor> Recovery<'_, S> {
    /// Plans every host of the fleet: the hosts of the run as their roots tell, the others as witnesses.
    pub(super) fn plan_from_hosts(&self, chosen: &Chosen, surveyed: &Surveyed) -> Plan {
        let fleet = &self.request.fleet;
        let id = |name: &HostName| fleet.hosts.iter().position(|host| host.name == *name).map(HostId);
        let host = |host: &Host| {
            let one = surveyed.get(&host.name).map(|one| &one.facts);
            let roots = one.and_then(|facts| facts.survivor_roots.get(&chosen.run));
            // If nothing of the run is left on a host, it is not known what the run was to bring there: what runs there
            // now is not called old or new.
            let holds = surveyed.get(&host.name).is_some_and(|one| one.holds(&chosen.run));
            let is_of_the_run = chosen.hosts.contains(&host.name);
            let here = one.filter(|_| holds || !is_of_the_run).map(|facts| facts.standing.systems.clone());
            let (old, generation) = roots
                .and_then(|roots| roots.old.clone())
                .or_else(|| here.zip(one.map(|facts| facts.standing.generation)))
                .unwrap_or_else(|| (Systems::all(&not_known()), 0));
            let new = roots.and_then(|roots| roots.new.clone()).unwrap_or_else(|| old.current.clone());
            HostPlan {
                name: host.name.clone(),
                changes: is_of_the_run,
                old,
                generation,
                new,
                boot_id: one.map(|facts| facts.standing.boot_id.clone()).unwrap_or_default(),
                machine_id: one.map(|facts| facts.machine_id.clone()).unwrap_or_default(),
                behind: host.way.iter().find_map(id),
                reactivate: host.reactivate,
                // The recovery goes forward only if all were tested already.
                wave: 0,
                // It is not known which units had failed before the run, so a unit that fails now is not blamed on it.
                failed_units: one.map(|facts| facts.standing.failed_units.clone()).unwrap_or_default(),
                restarts: one.map(|facts| facts.standing.restarts.clone()).unwrap_or_default(),
                units: UnitTerms { ignore: host.ignored_units.clone(), ..UnitTerms::default() },
            }
        };
        let hosts = fleet.hosts.iter().map(host).collect();
        let ports = surveyed.iter().filter_map(|(host, one)| Some((host.clone(), one.facts.ssh_port?))).collect();
        Plan {
            hosts,
            links: links::resolve(fleet, &ports),
            baseline: links::Round::default(),
            accepted: BTreeSet::new(),
        }
    }
}

/// Makes a system that stands for one that only the silent host itself knows: no host is ever found on it.
fn not_known() -> StorePath {
    StorePath::new("/nix/store/00000000000000000000000000000000-not-known").expect("it has the form of a store path")
}
