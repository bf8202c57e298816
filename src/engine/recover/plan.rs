//! The plan of the run: the record's, or without one what the hosts keep of it, each host's part from that host.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Chosen, RecoveryRun, SurveyedHosts};
use crate::decide::time::Times;
use crate::engine::orders::{HostClock, HostGuard};
use crate::engine::surveyor::Surveyor;
use crate::event::reason::recover::RecoverReason;
use crate::facts::links;
use crate::facts::plan::{HostId, HostPlan, Plan};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::units::UnitTerms;
use crate::inventory::model::{Host, HostName};

impl<S: Surveyor> RecoveryRun<'_, S> {
    #[expect(clippy::type_complexity, reason = "four lists by host, taken apart at once")]
    pub(super) fn plan(
        &self,
        chosen: &Chosen,
        surveyed: &SurveyedHosts,
    ) -> Result<(Plan, Vec<Times>, Vec<HostClock>, Vec<HostGuard>), RecoverReason> {
        let plan = match chosen.known.as_ref().and_then(|known| known.plan.clone()) {
            Some(plan) => plan,
            None => self.plan_from_hosts(chosen, surveyed),
        };
        // A host of the run that holds nothing of it any more stays in the plan: a run is cleaned away when all its
        // hosts are through, so that the others are neither taken back nor forward. A witness that does not answer
        // proves nothing.
        let gone = |host: &HostPlan| !host.changes && !surveyed.contains_key(&host.name);
        let plan = plan.without(gone);
        let (mut times, mut clocks, mut guards) = (Vec::new(), Vec::new(), Vec::new());
        for host in &plan.hosts {
            let Some(known) = self.request.fleet.hosts.iter().find(|known| known.name == host.name) else {
                return Err(RecoverReason::HostLeftFleet {
                    run: chosen.run.clone(),
                    name: host.name.clone(),
                    fleet: self.request.fleet.name.clone(),
                });
            };
            let mut its = self.times(known);
            let recorded = chosen.known.as_ref().and_then(|known| known.guards.as_ref()?.get(&host.name));
            if let Some(guard) = recorded {
                (its.unseen_guard, its.overdue) = (guard.left(), guard.overdue());
            } else if let Some(known) = &chosen.known {
                // A guard that was not seen was armed before the record's last entry.
                its.unseen_guard = its.guard.saturating_sub(known.since);
            }
            if chosen.waited {
                // So every guard that was armed before this recovery began is over.
                (its.unseen_guard, its.overdue) = (Duration::ZERO, its.awaited_until(Duration::ZERO));
            }
            times.push(its);
            guards.push(HostGuard::of(known));
            clocks.push(surveyed.get(&host.name).map_or(HostClock { uptime: 0, at: Duration::ZERO }, |one| one.clock));
        }
        Ok((plan, times, clocks, guards))
    }

    /// Plans every host of the fleet: the hosts of the run as their roots tell, the others as witnesses.
    fn plan_from_hosts(&self, chosen: &Chosen, surveyed: &SurveyedHosts) -> Plan {
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
                login: crate::facts::plan::LoginBefore::Unknown,
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
