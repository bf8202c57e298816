//! Builds the systems in the stores where they are to be built: here, and in those of hosts, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::rows::BuildRows;
use super::{MOST_ROWS, build_moved, doing};
use crate::engine::inquiry::{BuiltThere, Inquiry, Phased, refuse_if};
use crate::engine::mutex::lock;
use crate::event::Event;
use crate::event::activity::Standstill;
use crate::event::reason::build::BuildFault;
use crate::event::reason::cause::Cause;
use crate::event::reason::refusal::Refusal;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName, NixSettings};
use crate::nix::{self, EvalTarget};

/// What is built in one store; `None` is that of this workstation.
type BuildGroups = BTreeMap<Option<HostName>, BTreeMap<HostName, EvalTarget>>;

/// Why nothing was built in a store, or not all.
enum GroupFault {
    NotReached(Cause),
    Build(nix::BuildError),
}

/// What all groups tell together.
struct Together {
    progress: Mutex<BTreeMap<Option<HostName>, nix::NixProgress>>,
    told: Mutex<Option<Event>>,
    /// Whether each host's row says what is built for it.
    rows: bool,
    settings: Arc<NixSettings>,
}

impl Inquiry<'_> {
    /// Builds every group to its end, also when another one fails. A host that was to build for itself and does not
    /// answer has no system here: whether it must answer is the survey's question.
    pub(super) async fn build_groups(
        &self,
        hosts: &[Host],
        targets: BTreeMap<HostName, EvalTarget>,
        settings: NixSettings,
    ) -> Phased<BTreeMap<HostName, StorePath>> {
        let groups = grouped(hosts, targets);
        let rows = groups.values().map(BTreeMap::len).sum::<usize>() <= MOST_ROWS;
        let settings = Arc::new(settings);
        let together = Together::new(rows, &settings);
        let deadline = Instant::now() + self.scope.fleet.build_limit;
        let builds = groups.iter().map(|(machine, targets)| {
            let together = &together;
            async move { (machine, targets, self.build_group(machine.as_ref(), targets, deadline, together).await) }
        });
        let (mut systems, mut failed) = (BTreeMap::new(), false);
        for (machine, targets, built) in join_all(builds).await {
            match built {
                Ok(built) => systems.extend(built),
                Err(GroupFault::NotReached(cause)) => {
                    failed |= self.builder_not_reached(machine.as_ref(), targets, &cause);
                }
                Err(GroupFault::Build(error)) => {
                    let of: Vec<HostName> = targets.keys().cloned().collect();
                    self.build_failed(&of, machine.as_ref(), &error).await;
                    failed = true;
                }
            }
        }
        refuse_if(failed, Refusal::SystemsNotBuilt)?;
        let there = groups.into_iter().filter_map(|(machine, targets)| Some((machine?, targets)));
        let built_there = there.flat_map(|(machine, targets)| {
            targets.into_iter().map(move |(host, target)| (host, (machine.clone(), target)))
        });
        let there = |(machine, target)| BuiltThere { machine, target, settings: Arc::clone(&settings) };
        lock(&self.built_there).extend(built_there.map(|(host, built)| (host, there(built))));
        Ok(systems)
    }

    /// Returns whether that is a failure by itself.
    fn builder_not_reached(
        &self,
        machine: Option<&HostName>,
        targets: &BTreeMap<HostName, EvalTarget>,
        cause: &Cause,
    ) -> bool {
        let Some(machine) = machine else { return false };
        let mut failed = false;
        for host in targets.keys() {
            if host == machine {
                lock(&self.not_reached).insert(host.clone(), cause.clone());
            } else {
                self.fail(Some(host), BuildFault::BuilderNotReached { machine: machine.clone(), cause: cause.clone() });
                failed = true;
            }
        }
        failed
    }

    /// Refuses if one of these hosts has no system because it did not let us in to build it, although it has answered
    /// since: it must not be taken for one that was not meant.
    pub(in crate::engine) fn ensure_built<'h>(&self, answered: impl IntoIterator<Item = &'h HostName>) -> Phased<()> {
        let not_reached = lock(&self.not_reached).clone();
        let mut failed = false;
        for host in answered {
            let Some(cause) = not_reached.get(host) else { continue };
            self.fail(Some(host), BuildFault::BuilderNotReached { machine: host.clone(), cause: cause.clone() });
            failed = true;
        }
        refuse_if(failed, Refusal::SystemsNotBuilt)
    }

    async fn build_group(
        &self,
        machine: Option<&HostName>,
        targets: &BTreeMap<HostName, EvalTarget>,
        deadline: Instant,
        together: &Together,
    ) -> Result<BTreeMap<HostName, StorePath>, GroupFault> {
        let Some(machine) = machine else {
            let store = nix::BuildStore::Here { roots: &self.scope.roots };
            return self.build_in(store, targets, deadline, (None, together)).await.map_err(GroupFault::Build);
        };
        // Each takes a nix here, which has some memory: as many as copies.
        let _turn = self.reach.turns().build(targets.keys()).await;
        let reached = self.reach.connected(machine, "build").await;
        reached.map_err(|error| GroupFault::NotReached(Cause::from(&error)))?;
        let ssh_options = self.reach.workspace().nix_ssh_options();
        let store = nix::BuildStore::There(store_of(machine, &ssh_options));
        self.build_in(store, targets, deadline, (Some(machine), together)).await.map_err(GroupFault::Build)
    }

    async fn build_in(
        &self,
        store: nix::BuildStore<'_>,
        targets: &BTreeMap<HostName, EvalTarget>,
        deadline: Instant,
        (machine, together): (Option<&HostName>, &Together),
    ) -> Result<BTreeMap<HostName, StorePath>, nix::BuildError> {
        let rows = Mutex::new(BuildRows::new(targets));
        let begun = Notify::new();
        let by = machine.map_or_else(|| "nix build".to_owned(), |machine| format!("nix build on {machine}"));
        let hear = |heard: nix::Heard<'_>| match heard {
            nix::Heard::Progress(progress) => {
                let moved = together.moved(machine, progress);
                // The next line of a builder is progress as well, but this event does not carry it.
                if let Some(moved) = moved {
                    self.tell(moved);
                }
                lock(&rows).see(progress);
                if !progress.running.is_empty() {
                    begun.notify_one();
                }
            }
            nix::Heard::Still { silent, last } => {
                lock(&rows).stand(&Standstill { silent, last: last.map(str::to_owned) });
                begun.notify_one();
            }
            nix::Heard::Printed(lines) => {
                self.tell(Event::Printed { host: None, by: by.clone(), lines });
            }
        };
        let limit = deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            built = nix::build(targets, store, &together.settings, limit, hear) => built,
            never = self.tell_rows(targets, together.rows, &begun, &rows) => match never {},
        }
    }

    /// Builds a system again that a garbage collection has taken from the store of the machine that has built it.
    /// Returns whether it is there again; why not was told.
    pub(in crate::engine) async fn build_again(&self, host: &HostName, there: &BuiltThere) -> bool {
        let deadline = Instant::now() + self.scope.fleet.build_limit;
        let BuiltThere { machine, target, settings } = there;
        let targets = BTreeMap::from([(host.clone(), target.clone())]);
        let together = Together::new(true, settings);
        match self.build_group(Some(machine), &targets, deadline, &together).await {
            Ok(_) => true,
            Err(GroupFault::NotReached(cause)) => {
                self.fail(Some(host), BuildFault::BuilderNotReached { machine: machine.clone(), cause });
                false
            }
            Err(GroupFault::Build(error)) => {
                self.build_failed(std::slice::from_ref(host), Some(machine), &error).await;
                false
            }
        }
    }
}

impl Together {
    fn new(rows: bool, settings: &Arc<NixSettings>) -> Self {
        Self { progress: Mutex::default(), told: Mutex::default(), rows, settings: Arc::clone(settings) }
    }

    /// Returns what is to be told of all groups, if that has changed.
    fn moved(&self, machine: Option<&HostName>, progress: &nix::NixProgress) -> Option<Event> {
        let mut all = lock(&self.progress);
        all.insert(machine.cloned(), progress.clone());
        let sum = nix::NixProgress::of_all(all.values());
        let moved = build_moved(&sum, doing(&sum));
        let mut told = lock(&self.told);
        if told.as_ref() == Some(&moved) {
            return None;
        }
        *told = Some(moved.clone());
        Some(moved)
    }
}

/// The store of a host, to build there or to copy from.
pub(in crate::engine) fn store_of<'run>(machine: &'run HostName, ssh_options: &'run str) -> nix::Destination<'run> {
    nix::Destination { host: machine, alias: machine, ssh_options, substitute: false, from: None }
}

/// A system that is named by its store path is not built: it is here, or comes from a cache.
fn grouped(hosts: &[Host], targets: BTreeMap<HostName, EvalTarget>) -> BuildGroups {
    let machines: BTreeMap<&HostName, Option<&HostName>> =
        hosts.iter().map(|host| (&host.name, host.build_on.machine(&host.name))).collect();
    let mut groups = BuildGroups::new();
    for (host, target) in targets {
        let machine = machines.get(&host).copied().flatten().filter(|_| target.derivation().is_some());
        groups.entry(machine.cloned()).or_default().insert(host, target);
    }
    groups
}

/// Names of hosts without repetition, for what is done once for each of them.
pub(super) fn by_machine<'a>(
    systems: &'a BTreeMap<HostName, StorePath>,
    machine_of: impl Fn(&HostName) -> Option<HostName>,
    of: &BTreeSet<&HostName>,
) -> BTreeMap<Option<HostName>, BTreeSet<&'a StorePath>> {
    let mut by_machine: BTreeMap<Option<HostName>, BTreeSet<&StorePath>> = BTreeMap::new();
    for (host, system) in systems.iter().filter(|(host, _)| of.contains(host)) {
        by_machine.entry(machine_of(host)).or_default().insert(system);
    }
    by_machine
}
