//! One run: from a seed to what came of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetdeploy::engine::clock::Clock;
use fleetdeploy::engine::driver::{Driver, Ended};
use fleetdeploy::engine::shutdown::Shutdown;
use fleetdeploy::event::Outcome;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::clock::VirtualClock;
use crate::fleet::{Notebook, Shared, SimFleet};
use crate::host::{Mistake, Ms};
use crate::station::{Life, Station};
use crate::world::World;

/// Longer than any push may take: guards, boots and everything that was late, several times.
const LONGEST: Ms = 24 * 3600 * 1000;

/// What came of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) violations: Vec<String>,
    /// How the push ended; `None` if its workstation died.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) ends: &'static str,
    pub(crate) log: String,
}

/// A clock that stands still in a suspend, as `Instant` does: one of the seeded mistakes.
#[derive(Debug)]
struct StillClock {
    zero: Instant,
    begin: Duration,
}

impl Clock for StillClock {
    fn now(&self) -> Duration {
        self.begin + self.zero.elapsed()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        let at = self.zero + at.saturating_sub(self.begin);
        tokio::time::sleep_until(at).boxed()
    }
}

pub(crate) fn simulate(seed: u64, mistake: Option<Mistake>, logs: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs nothing").block_on(live(seed, mistake, logs))
}

async fn live(seed: u64, mistake: Option<Mistake>, logs: bool) -> Report {
    let clock = VirtualClock::new();
    let world = Shared(Arc::new(Mutex::new(World::new(seed, mistake, Arc::clone(&clock), logs))));
    push(&world, &clock, mistake);
    let changed = Arc::clone(&world.lock().changed);
    let begin = world.lock().now;
    loop {
        world.lock().advance();
        let (next, now, over) = {
            let now = world.lock();
            (now.next_at(), now.now, now.stations.iter().all(Station::is_over))
        };
        let wake = match next {
            None if over => break,
            _ if now > begin + LONGEST => break,
            Some(at) => at,
            None => begin + LONGEST + 1,
        };
        tokio::select! {
            biased;
            () = changed.notified() => {}
            () = clock.sleep_until(Duration::from_millis(wake)) => {}
        }
    }
    let mut world = world.lock();
    world.check_end();
    let ended = world.stations[0].ended.clone();
    let (outcome, ends) = match ended {
        Some((_, Ended::Verdict(verdict))) => (Some(verdict.outcome), "verdict"),
        Some((_, Ended::Left { .. })) => (None, "left"),
        None => (None, "dead"),
    };
    Report { violations: world.seen.violations.clone(), outcome, ends, log: world.take_log() }
}

/// Begins a push from a workstation of its own.
fn push(world: &Shared, clock: &Arc<VirtualClock>, mistake: Option<Mistake>) {
    let (signals, heard) = tokio::sync::mpsc::unbounded_channel();
    let heard = futures::stream::unfold(heard, |mut heard| async move { Some((heard.recv().await?, heard)) });
    let mut shutdown = Shutdown::from_stream(heard);
    let station = {
        let mut world = world.lock();
        world.stations.push(Station::new(signals));
        world.stations.len() - 1
    };
    let clock: Arc<dyn Clock> = match mistake {
        Some(Mistake::ClockStandsStill) => Arc::new(StillClock { zero: Instant::now(), begin: clock.now() }),
        _ => Arc::clone(clock) as Arc<dyn Clock>,
    };
    let fleet = SimFleet::new(world, station, 1, Arc::clone(&clock));
    let (plan, times) = {
        let world = world.lock();
        (Arc::clone(&world.scenario.plan), world.scenario.times.clone())
    };
    let gate = Arc::clone(&world.lock().stations[station].gate);
    let world = world.clone();
    let work = async move {
        let mut notebook = Notebook { world: world.clone(), station };
        let ended = Driver::new(fleet, plan, times, clock).drive(&mut notebook, &mut shutdown).await;
        let mut world = world.lock();
        world.advance();
        world.say(|| format!("ENDED {ended:?}"));
        world.check_verdict(&ended);
        let now = world.now;
        world.stations[station].ended = Some((now, ended));
        world.changed.notify_one();
    };
    tokio::spawn(gate.through(work));
}

impl World {
    pub(crate) fn kill_station(&mut self, station: usize) {
        self.stations[station].set(Life::Dead);
    }
}
