//! One run: from a seed to what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetdeploy::decide::transaction::recover::Aim;
use fleetdeploy::decide::vocabulary::Signal;
use fleetdeploy::engine::clock::Clock;
use fleetdeploy::engine::driver::Driver;
use fleetdeploy::engine::recover::{RecoverRequest, recover_with};
use fleetdeploy::engine::shutdown::Shutdown;
use fleetdeploy::event::Phase;
use fleetdeploy::event::stream::Events;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::clock::VirtualClock;
use crate::desk::{Aside, Notebook};
use crate::fleet::{Shared, SimFleet, owner};
use crate::host::Ms;
use crate::mistakes::Mistake;
use crate::station::{End, Station};
use crate::surveyor::SimSurveyor;
use crate::typing::Typed;
use crate::world::World;

/// Longer than anything may take: guards, boots and everything that was late, several times.
const LONGEST: Ms = 24 * 3600 * 1000;

/// So many recoveries in which nothing goes wrong must be enough: one that meets a guard at work, one that finds what
/// it has left, one that cleans up, and one from which the push's own workstation learns of it.
pub(crate) const PEACEFUL: u64 = 4;

/// What came of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) violations: Vec<String>,
    /// How often what came.
    pub(crate) tally: BTreeMap<String, u64>,
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
    let mut peaceful = 0;
    loop {
        until_rest(&world, &clock).await;
        let (desk, pushes) = {
            let mut now = world.lock();
            let over = now.stations.iter().all(Station::is_over);
            if !over || peaceful == PEACEFUL || !now.is_unfinished() {
                break;
            }
            peaceful += 1;
            now.make_peace();
            let desk = now.peaceful_desk();
            (desk, now.cleans_up_first(desk))
        };
        if pushes {
            begin(&world, &clock, desk, Some(Typed::push()));
            until_rest(&world, &clock).await;
        }
        recover(&world, &clock, desk);
    }
    let mut world = world.lock();
    world.count(format!("recoveries in peace: {peaceful}"));
    world.check_end();
    Report { violations: world.seen.violations.clone(), tally: world.tally.clone(), log: world.take_log() }
}

/// Lets time go on until nothing is going to happen any more, or nothing ever will.
async fn until_rest(world: &Shared, clock: &Arc<VirtualClock>) {
    let changed = Arc::clone(&world.lock().changed);
    let begin = world.lock().now;
    loop {
        world.lock().advance();
        let called = std::mem::take(&mut world.lock().called);
        for desk in called {
            recover(world, clock, desk);
        }
        let (next, now, over) = {
            let now = world.lock();
            (now.next_at(), now.now, now.stations.iter().all(Station::is_over))
        };
        let wake = match next {
            None if over => return,
            _ if now > begin + LONGEST => return,
            Some(at) => at,
            None => begin + LONGEST + 1,
        };
        tokio::select! {
            biased;
            () = changed.notified() => {}
            () = clock.sleep_until(Duration::from_millis(wake)) => {}
        }
    }
}

fn listening() -> (UnboundedSender<Signal>, Shutdown) {
    let (signals, heard) = tokio::sync::mpsc::unbounded_channel();
    let heard = futures::stream::unfold(heard, |mut heard| async move { Some((heard.recv().await?, heard)) });
    (signals, Shutdown::from_stream(heard))
}

/// Begins a push.
fn push(world: &Shared, clock: &Arc<VirtualClock>, mistake: Option<Mistake>) {
    let (signals, mut shutdown) = listening();
    let clock: Arc<dyn Clock> = match mistake {
        Some(Mistake::ClockStandsStill) => Arc::new(StillClock { zero: Instant::now(), begin: clock.now() }),
        _ => Arc::clone(clock) as Arc<dyn Clock>,
    };
    let (gate, plan, times) = {
        let mut world = world.lock();
        let station = Station::new(signals, 0, Phase::Arm);
        let gate = Arc::clone(&station.gate);
        world.stations.push(station);
        let (now, plan) = (world.now, Arc::clone(&world.scenario.plan));
        world.desks[0].begin(&plan, now);
        // As the survey leaves it.
        let connections = plan.ids().map(|host| (0, host.0, 0));
        world.connected.extend(connections);
        (gate, plan, world.scenario.times.clone())
    };
    let fleet = SimFleet::of_push(world, 0, Arc::clone(&clock));
    let world = world.clone();
    tokio::spawn(gate.through(async move {
        let mut notebook = Notebook { world: world.clone(), station: 0 };
        let ended = Driver::new(fleet, plan, times, clock).drive(&mut notebook, &mut shutdown).await;
        end(&world, 0, End::Push(ended));
    }));
}

/// Begins a recovery on this workstation, or on another one where a program that stands still holds the fleet.
fn recover(world: &Shared, clock: &Arc<VirtualClock>, desk: usize) {
    begin(world, clock, desk, None);
}

/// With what is typed, or whatever a person types just then.
fn begin(world: &Shared, clock: &Arc<VirtualClock>, desk: usize, typed: Option<Typed>) {
    let (signals, mut shutdown) = listening();
    let (gate, station, request) = {
        let mut world = world.lock();
        let Some(desk) = world.free_desk(desk) else { return };
        let station = world.stations.len();
        let it = Station::new(signals, desk, Phase::Survey);
        let gate = Arc::clone(&it.gate);
        world.stations.push(it);
        let typed = typed.unwrap_or_else(|| world.typed(desk));
        let by_hosts = typed.aim == Aim::Returned;
        // A run that is named is gone on with only where its record is unfinished; else the hosts tell.
        let known = world.desks[desk].known(world.now).filter(|_| !by_hosts);
        let ended = if by_hosts { Vec::new() } else { world.desks[desk].ended(world.now) };
        let tag = world.tag(station);
        world.say(|| format!("{station} on workstation {desk}: {typed:?}, knowing {known:?}, ended {ended:?}"));
        world.note_typed(station, &typed);
        (
            gate,
            station,
            RecoverRequest {
                fleet: world.scenario.fleet(),
                owner: owner(station),
                tag,
                known,
                run: typed.run,
                aim: typed.aim,
                without: typed.without,
                ended,
            },
        )
    };
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let surveyor = SimSurveyor { world: world.clone(), station, clock };
    let world = world.clone();
    tokio::spawn(gate.through(async move {
        let events = Events::new(None);
        let recovered = if request.aim == Aim::Returned {
            let mut aside = Aside::new(world.clone(), station);
            let recovered = recover_with(&surveyor, &request, &events, &mut aside, &mut shutdown).await;
            aside.write_down(&recovered);
            recovered
        } else {
            let mut notebook = Notebook { world: world.clone(), station };
            recover_with(&surveyor, &request, &events, &mut notebook, &mut shutdown).await
        };
        end(&world, station, End::Recovery(recovered));
    }));
}

fn end(world: &Shared, station: usize, end: End) {
    let mut world = world.lock();
    world.advance();
    world.ended(station, end);
}
