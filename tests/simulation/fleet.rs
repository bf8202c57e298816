//! The hosts as a push or a recovery of the simulation has them: the engine's own orders and tries, over the world's
//! network.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fleetdeploy::decide::asking::Continuity;
use fleetdeploy::decide::vocabulary::{Answer, Step};
use fleetdeploy::engine::clock::{Clock, within};
use fleetdeploy::engine::hosts::{Hosts, Order, StepNotes};
use fleetdeploy::engine::orders::{HostClock, HostGuard, Identity, Orders};
use fleetdeploy::engine::retry::{Try, until_answered};
use fleetdeploy::event::reason::cause::Cause;
use fleetdeploy::facts::links::{LinkId, Round};
use fleetdeploy::facts::plan::HostId;
use fleetdeploy::remote::step::RemoteStep;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::network::Reply;
use crate::station::Gate;
use crate::world::World;

#[derive(Debug, Clone)]
pub(crate) struct Shared(pub(crate) Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody panics with the world in hand")
    }
}

pub(crate) const RUN: &str = "20261128-200000-sim-3f9c";

/// Who holds a host: no two programs call themselves the same.
pub(crate) fn owner(station: usize) -> String {
    format!("somebody@{station}")
}

pub(crate) struct SimFleet {
    world: Shared,
    station: usize,
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    orders: Orders,
    /// Which of the world's hosts each of the plan's is.
    hosts: Vec<usize>,
}

impl SimFleet {
    pub(crate) fn new(world: &Shared, station: usize, orders: Orders, clock: Arc<dyn Clock>) -> Arc<Self> {
        let now = world.lock();
        let hosts = orders.plan.hosts.iter().map(|host| now.scenario.index(&host.name)).collect();
        let gate = Arc::clone(&now.stations[station].gate);
        drop(now);
        Arc::new(Self { world: world.clone(), station, gate, clock, orders, hosts })
    }

    /// Those of a push, whose survey was just now.
    pub(crate) fn of_push(world: &Shared, station: usize, clock: Arc<dyn Clock>) -> Arc<Self> {
        let now = world.lock();
        let plan = Arc::clone(&now.scenario.plan);
        let at = clock.now();
        let identity = Identity {
            run: RUN.to_owned(),
            owner: owner(station),
            hosts: plan.changing().map(|host| plan.host(host).name.clone()).collect(),
        };
        let guards = now.scenario.natures.iter().zip(&now.scenario.times);
        let guards = guards.map(|(nature, times)| HostGuard::new(nature.action, times.limits.rollback)).collect();
        let clocks = now.hosts.iter().map(|host| HostClock { uptime: host.uptime(now.now), at }).collect();
        drop(now);
        Self::new(world, station, Orders::new(plan, identity, guards, clocks), clock)
    }

    async fn attempt(&self, host: HostId, order: &Order, limit: Duration, notes: &StepNotes) -> Try {
        let mut reply = self.ask(host, self.orders.remote_step(host, order), order, limit, notes).await;
        let first = match (&order.step, &reply) {
            (Step::TakeOver { .. }, Reply::Said(answer)) => self.orders.await_first(answer, order.limit),
            _ => None,
        };
        if let Some(awaiting) = first {
            reply = self.ask(host, awaiting, order, order.limit + Duration::from_secs(10), notes).await;
            if matches!(reply, Reply::Said(_)) {
                reply = self.ask(host, self.orders.remote_step(host, order), order, limit, notes).await;
            }
        }
        match reply {
            Reply::Said(answer) => self.orders.understand(host, &order.step, *answer, self.clock.now()),
            Reply::Surveyed(_) => unreachable!("no order asks for a survey"),
            Reply::Lost(why) => {
                Try::Lost { why: Cause::HostReportsFailure { said: why.to_owned() }, may_have_run: true }
            }
            Reply::Denied(why) => Orders::understand_denial(&order.step, Cause::HostRefused { said: why.to_owned() }),
        }
    }

    async fn ask(&self, host: HostId, command: RemoteStep, order: &Order, limit: Duration, notes: &StepNotes) -> Reply {
        let (reply, answer) = oneshot::channel();
        let (host, login) = (self.hosts[host.0], matches!(order.step, Step::Login { .. }));
        self.world.lock().send((self.station, host), command, login, Some(notes.clone()), reply);
        let answer = within(&*self.clock, limit, answer).await;
        answer.and_then(Result::ok).unwrap_or(Reply::Lost("no answer"))
    }
}

impl Hosts for SimFleet {
    fn outbid(&self, host: HostId) {
        self.orders.outbid(host);
    }

    fn perform(self: Arc<Self>, host: HostId, order: Order, notes: StepNotes) -> BoxFuture<'static, Answer> {
        let gate = Arc::clone(&self.gate);
        let work = async move {
            let attempt = |limit| self.attempt(host, &order, limit, &notes);
            let answer = until_answered(&*self.clock, &order, &notes, attempt).await;
            let name = &self.orders.plan.host(host).name;
            let text = || format!("{} hears {name} → {:?}: {}", self.station, order.step, brief(&answer));
            self.world.lock().say(text);
            answer
        };
        gate.through(work).boxed()
    }

    fn round(self: Arc<Self>, after: bool, _: Continuity) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)> {
        let gate = Arc::clone(&self.gate);
        let work = async move {
            let takes = self.world.lock().round_takes(self.station);
            self.clock.sleep_until(self.clock.now() + takes).await;
            self.world.lock().round(self.station, &self.orders.plan, after)
        };
        gate.through(work).boxed()
    }
}

fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Said(said) => format!(
            "{:?} boot {} current {} profile {} default {} {:?}",
            said.outcome,
            said.standing.boot_id,
            tail(&said.standing.systems.current),
            tail(&said.standing.systems.profile),
            tail(&said.standing.systems.boot_default),
            said.standing.guard
        ),
        other => format!("{other:?}"),
    }
}

fn tail(path: &fleetdeploy::facts::store_path::StorePath) -> &str {
    path.as_str().rsplit('-').next().unwrap_or_default()
}
