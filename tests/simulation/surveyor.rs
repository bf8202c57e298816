//! How a recovery of the simulation comes to its hosts, and what they tell it: the survey.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleetdeploy::engine::clock::{Clock, within};
use fleetdeploy::engine::orders::{HostClock, Orders};
use fleetdeploy::event::reason::cause::Cause;
use fleetdeploy::facts::host::Facts;
use fleetdeploy::facts::systems::Roots;
use fleetdeploy::facts::traces::RunMark;

use fleetdeploy::engine::host_survey::{Answered, SurveyAnswer};
use fleetdeploy::engine::surveyor::Surveyor;
use fleetdeploy::inventory::model::{
    After, Become, Check, CheckKind, Fleet, Hooks, Host, HostKey, HostName, Jump, NixOptions, Source, Target,
};
use fleetdeploy::remote::step::RemoteStep;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::fleet::{RUN, Shared, SimFleet};
use crate::network::Reply;
use crate::scenario::Scenario;
use crate::systems::Sys;
use crate::world::World;

pub(crate) struct SimSurveyor {
    pub(crate) world: Shared,
    pub(crate) station: usize,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Surveyor for SimSurveyor {
    type Hosts = SimFleet;

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    fn ask<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, SurveyAnswer> {
        let limit = host.limits.connect + host.limits.step;
        async move {
            let (reply, answer) = oneshot::channel();
            {
                let mut world = self.world.lock();
                let index = world.scenario.index(&host.name);
                world.send((self.station, index), RemoteStep::Survey, true, None, reply);
            }
            match within(&*self.clock, limit, answer).await.and_then(Result::ok) {
                Some(Reply::Surveyed(facts)) => {
                    let clock = HostClock { uptime: facts.standing.uptime, at: self.clock.now() };
                    Ok(Answered { clock, facts: *facts })
                }
                _ => Err(Cause::SilentTooLong { waited: limit }),
            }
        }
        .boxed()
    }

    fn hosts(&self, orders: Orders) -> Arc<SimFleet> {
        SimFleet::new(&self.world, self.station, orders, Arc::clone(&self.clock))
    }

    fn dismiss(&self, _: Arc<SimFleet>) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl World {
    /// `survey.sh`, as far as a recovery reads it.
    pub(crate) fn facts(&self, host: usize) -> Facts {
        let plan = &self.scenario.plan;
        let names: Vec<String> = plan.changing().map(|host| plan.host(host).name.to_string()).collect();
        let mark = self.hosts[host].mark.clone();
        let none = std::collections::BTreeMap::new();
        // Beside a mark they were left by a clean-up that was cut off.
        let roots = if mark.is_some() { &none } else { &self.hosts[host].roots };
        let old = |armed: bool, old: crate::systems::Stand| armed.then(|| (old.systems(), 1));
        Facts {
            standing: self.standing(host),
            host_name: plan.hosts[host].name.to_string(),
            machine_id: plan.hosts[host].machine_id.clone(),
            system_type: "x86_64-linux".to_owned(),
            free_root: 1 << 40,
            free_store: 1 << 40,
            free_boot: None,
            nix_version: "2.28".to_owned(),
            systemd_version: "257".to_owned(),
            kernel: "6.12.1".to_owned(),
            nixos_version: None,
            ssh_port: Some(22),
            crypto_devices: Vec::new(),
            survivors: roots.keys().cloned().collect(),
            survivor_hosts: roots.keys().map(|run| (run.clone(), names.clone())).collect(),
            remembered: std::collections::BTreeMap::new(),
            survivor_roots: roots
                .iter()
                .map(|(run, root)| (run.clone(), Roots { old: old(root.armed, root.old), new: Some(Sys::New.path()) }))
                .collect(),
            fences: self.hosts[host].fence(RUN).map(|fence| (fence.run.clone(), fence)).into_iter().collect(),
            marks: mark.map(|ended| RunMark { run: RUN.to_owned(), ended }).into_iter().collect(),
            over: BTreeSet::new(),
            switching: roots.keys().filter(|_| self.hosts[host].switching).cloned().collect(),
            rolling_over: None,
            traces: Vec::new(),
            busy: Vec::new(),
            boot_missing: None,
            boot_files: None,
            trial: fleetdeploy::facts::trial::TrialFacts::default(),
            boot_note: None,
            notes: Vec::new(),
            current_was_booted: true,
            lacks_bash: false,
            origins: Vec::new(),
            wireguard: Vec::new(),
        }
    }
}

impl Scenario {
    pub(crate) fn index(&self, name: &HostName) -> usize {
        self.plan.hosts.iter().position(|host| host.name == *name).expect("a host of this world")
    }

    /// The inventory that the push was made from, as a recovery reads it.
    pub(crate) fn fleet(&self) -> Fleet {
        let host = |index: usize| {
            let (plan, times) = (&self.plan.hosts[index], &self.times[index]);
            Host {
                name: plan.name.clone(),
                address: plan.name.to_string(),
                other_addresses: Vec::new(),
                port: None,
                user: None,
                identity: None,
                jump: plan.behind.map(|jump| Jump::Host(self.plan.host(jump).name.clone())),
                way: std::iter::successors(plan.behind, |jump| self.plan.host(*jump).behind)
                    .map(|jump| self.plan.host(jump).name.clone())
                    .collect(),
                becoming: Become::Auto,
                host_key: HostKey::Strict,
                vpn: Some(format!("10.0.0.{index}")),
                tags: Vec::new(),
                boot_time: times.boot_time,
                guard: times.guard,
                guard_action: self.natures[index].action,
                boot_loader: fleetdeploy::inventory::model::BootLoaderHint::default(),
                runs_on: None,
                optional: false,
                reactivate: plan.reactivate,
                after: After::default(),
                build_on: fleetdeploy::inventory::model::BuildOn::Workstation,
                nix: NixOptions::default(),
                limits: times.limits,
                ignored_units: Vec::new(),
                system: None,
                guard_action_given: false,
            }
        };
        let check = |link: &fleetdeploy::facts::links::Link| Check {
            name: link.check.clone(),
            kind: CheckKind::Ping { to: link.to_host.iter().cloned().map(Target::Host).collect() },
            from: vec![link.from.clone()],
            to_themselves: Vec::new(),
            required: link.required,
            timeout: link.timeout,
        };
        Fleet {
            name: "fleet".to_owned(),
            hosts: (0..self.plan.hosts.len()).map(host).collect(),
            source: Source::System,
            checks: self.plan.links.iter().map(check).collect(),
            settle: self.times.iter().map(|times| times.settle).max().unwrap_or(Duration::ZERO),
            steady: fleetdeploy::inventory::model::Steady::Default,
            hooks: Hooks::default(),
            builders: Vec::new(),
            build_limit: Fleet::DEFAULT_BUILD_LIMIT,
            evaluation: fleetdeploy::inventory::model::EvaluationTerms::default(),
            parallel: Fleet::DEFAULT_PARALLEL,
            cache: None,
            canaries: std::collections::BTreeSet::new(),
            waves: Vec::new(),
        }
    }
}
