//! The world: its time, and what goes wrong in it. One queue of happenings; the checks look after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fleetdeploy::engine::clock::Clock;
use fleetdeploy::facts::host::JobKind;
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::checks::Seen;
use crate::clock::VirtualClock;
use crate::desk::{DESKS, Desk};
use crate::fleet::RUN;
use crate::host::{Host, Ms, Power, Root};
use crate::mistakes::Mistake;
use crate::network::{Message, Reply};
use crate::scenario::{Reaction, Scenario, StationTrouble, Trouble, When};
use crate::station::{Life, Station};
use crate::systems::{Stand, Sys};

/// A host that was up before the world began.
pub(crate) const FOR_EVER: Ms = Ms::MAX;

#[derive(Debug)]
pub(crate) enum Happening {
    Arrive(u64),
    Answer(u64, Reply),
    /// A script has waited long enough on its host.
    WaitedEnough(u64),
    Alive(u64),
    Begin {
        host: usize,
        kind: JobKind,
        id: u64,
    },
    Job {
        host: usize,
        kind: JobKind,
        id: u64,
        stage: u8,
        since: Ms,
    },
    Guard {
        host: usize,
        boot: u32,
        stage: crate::works::GuardStage,
    },
    Boot(usize),
    Trouble(Trouble),
    /// A program that was stopped goes on.
    Wake(usize),
    /// A person types `recover` on this workstation.
    Recover(usize),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Ms,
    queue: BTreeMap<(Ms, u64), Happening>,
    pub(crate) serial: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) scenario: Scenario,
    pub(crate) chance: Chance,
    /// What people type comes out of its own: so the rest of a seed is what it was.
    pub(crate) typing: Chance,
    pub(crate) mistake: Option<Mistake>,
    pub(crate) stations: Vec<Station>,
    pub(crate) desks: [Desk; DESKS],
    /// Workstations on which a person has just typed `recover`.
    pub(crate) called: Vec<usize>,
    pub(crate) seen: Seen,
    pub(crate) messages: BTreeMap<u64, Message>,
    /// Which program has a connection to which host, on which boot.
    pub(crate) connected: BTreeSet<(usize, usize, u32)>,
    pub(crate) sent: u64,
    pub(crate) cut_until: Vec<Ms>,
    pub(crate) desk_cut_until: [Ms; DESKS],
    /// The faults have stopped.
    pub(crate) is_peace: bool,
    /// How often a person has typed `recover` since then.
    pub(crate) tries_in_peace: u64,
    /// How often what came.
    pub(crate) tally: BTreeMap<String, u64>,
    clock: Arc<VirtualClock>,
    pub(crate) changed: Arc<Notify>,
    log: Option<String>,
}

pub(crate) fn millis(duration: Duration) -> Ms {
    u64::try_from(duration.as_millis()).expect("a short time")
}

impl World {
    pub(crate) fn new(seed: u64, mistake: Option<Mistake>, clock: Arc<VirtualClock>, logs: bool) -> Self {
        let mut chance = Chance::new(seed);
        let now = millis(clock.now());
        let scenario = Scenario::from(&mut chance, now);
        let mut hosts: Vec<Host> =
            scenario.natures.iter().map(|nature| Host::new(nature.up_since, nature.drift)).collect();
        for host in scenario.plan.changing() {
            // As the copy leaves it.
            hosts[host.0].roots.insert(RUN.to_owned(), Root { old: Stand::all(Sys::Old), armed: false });
        }
        let mut world = Self {
            now,
            queue: BTreeMap::new(),
            serial: 0,
            seen: Seen::new(hosts.len()),
            cut_until: vec![0; hosts.len()],
            hosts,
            scenario,
            chance,
            typing: Chance::new(!seed),
            mistake,
            stations: Vec::new(),
            desks: std::array::from_fn(|_| Desk::default()),
            called: Vec::new(),
            messages: BTreeMap::new(),
            connected: BTreeSet::new(),
            sent: 0,
            desk_cut_until: [0; DESKS],
            is_peace: false,
            tries_in_peace: 0,
            tally: BTreeMap::new(),
            clock,
            changed: Arc::new(Notify::new()),
            log: logs.then(String::new),
        };
        let waves = world.scenario.plan.waves().len();
        if waves > 1 {
            world.count(format!("push in {waves} waves"));
        }
        if logs {
            let text = format!("{:#?}", world.scenario.natures);
            let plan: Vec<_> = world
                .scenario
                .plan
                .hosts
                .iter()
                .map(|host| (&host.name, host.changes, host.wave, host.behind))
                .collect();
            let text = format!("{plan:?}\n{:?}\n{:?}\n{text}", world.scenario.times, world.scenario.troubles);
            world.say(|| text);
        }
        for (when, trouble) in world.scenario.troubles.clone() {
            if let When::At(at) = when {
                world.at(at, Happening::Trouble(trouble));
            }
        }
        world
    }

    /// One line of the log; made only if there is one.
    pub(crate) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{:>10.3} {}", Duration::from_millis(self.now).as_secs_f64(), text());
        }
    }

    pub(crate) fn take_log(&mut self) -> String {
        self.log.take().unwrap_or_default()
    }

    pub(crate) fn at(&mut self, at: Ms, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), happening);
        self.changed.notify_one();
    }

    pub(crate) fn after(&mut self, wait: Ms, happening: Happening) {
        self.at(self.now + wait, happening);
    }

    pub(crate) fn next_at(&self) -> Option<Ms> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_peace || self.now >= self.scenario.quiet_from
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self) {
        self.advance_to(millis(self.clock.now()));
    }

    fn advance_to(&mut self, end: Ms) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(happening);
            self.check_hosts_at_rest();
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive(id) => self.arrive(id),
            Happening::Answer(id, reply) => self.answer_arrives(id, reply),
            Happening::WaitedEnough(id) => self.stop_waiting(id),
            Happening::Alive(id) => self.is_alive(id),
            Happening::Begin { host, kind, id } => self.begin(host, kind, id),
            Happening::Job { host, kind, id, stage, since } => self.job_goes_on(host, kind, id, stage, since),
            Happening::Guard { host, boot, stage } => self.guard_goes_on(host, boot, stage),
            Happening::Boot(host) => {
                let now = self.now;
                self.hosts[host].come_up(now);
                self.say(|| format!("host{host} is up again"));
            }
            Happening::Trouble(trouble) => self.trouble(trouble),
            Happening::Wake(station) => self.wake(station),
            Happening::Recover(desk) => self.call(desk),
        }
    }

    /// One more of this, for the tables.
    pub(crate) fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    fn trouble(&mut self, trouble: Trouble) {
        let victim = self.victim();
        let hit = victim.map(|victim| (if victim == 0 { "push" } else { "recovery" }, self.stations[victim].phase));
        let whom = hit.map_or_else(|| "nobody awake".to_owned(), |(by, phase)| format!("{by}: {}", phase.word()));
        self.say(|| format!("TROUBLE {trouble:?} for {victim:?} in {whom}"));
        self.count(format!("{} | {whom}", trouble.word()));
        match trouble {
            Trouble::Cut(host, lasts) => {
                self.cut_until[host] = lasts.map_or(FOR_EVER, |lasts| self.now + lasts).max(self.cut_until[host]);
            }
            Trouble::Crash(host, off) => self.crash(host, off),
            Trouble::Recover(desk) => self.call(desk),
            Trouble::Meddle(host) if self.hosts[host].power == Power::On => {
                self.seen.meddled[host] = true;
                self.hosts[host].stand = Stand::all(Sys::Other);
                self.hosts[host].activated_at = self.now;
            }
            Trouble::Meddle(_) => {}
            Trouble::OfStation(trouble) => {
                if let Some(victim) = victim {
                    self.trouble_of_station(victim, trouble);
                }
            }
        }
    }

    fn trouble_of_station(&mut self, victim: usize, trouble: StationTrouble) {
        let desk = self.stations[victim].desk;
        match trouble {
            StationTrouble::Cut(lasts) => {
                self.desk_cut_until[desk] = self.desk_cut_until[desk].max(self.now + lasts);
            }
            StationTrouble::Suspend(lasts) => self.suspend(victim, lasts),
            StationTrouble::Stop(lasts, reaction) => {
                self.stations[victim].set(Life::Asleep);
                self.after(lasts, Happening::Wake(victim));
                self.react(reaction);
            }
            StationTrouble::Signal(signal) => self.stations[victim].signal(signal),
            StationTrouble::Kill(reaction) => {
                self.stations[victim].set(Life::Dead);
                self.react(reaction);
            }
            StationTrouble::DiskFull => self.desks[desk].full = true,
        }
    }

    /// The program that the next trouble hits: one that is awake.
    fn victim(&mut self) -> Option<usize> {
        let awake = |station: &Station| station.life == Life::Awake && station.end.is_none();
        let awake: Vec<usize> = (0..self.stations.len()).filter(|station| awake(&self.stations[*station])).collect();
        (!awake.is_empty()).then(|| self.chance.pick(&awake))
    }

    /// The world goes on, and the workstation hears of nothing until it wakes up. Where other programs go on, too, it
    /// is merely stopped: all of them share one clock.
    fn suspend(&mut self, station: usize, lasts: Ms) {
        if self.stations.iter().filter(|station| !station.is_over()).count() > 1 {
            self.stations[station].set(Life::Asleep);
            self.after(lasts, Happening::Wake(station));
            return;
        }
        let end = self.now + lasts;
        self.advance_to(end);
        self.clock.jump(Duration::from_millis(lasts));
        self.say(|| "the workstation wakes up".to_owned());
    }

    fn wake(&mut self, station: usize) {
        self.say(|| format!("{station} wakes up"));
        if !self.stations[station].is_over() {
            self.stations[station].set(Life::Awake);
        }
    }

    fn react(&mut self, reaction: Option<Reaction>) {
        let Some(Reaction { after, desk, second }) = reaction else { return };
        self.after(after, Happening::Recover(desk));
        if let Some((later, desk)) = second {
            self.after(after + later, Happening::Recover(desk));
        }
    }

    /// By chance, and nobody else's.
    pub(crate) fn tag(&mut self, station: usize) -> u16 {
        let chance = u16::try_from(self.chance.below(1 << 10)).expect("a small number");
        chance << 6 | u16::try_from(station & 0x3f).expect("a small number")
    }

    fn call(&mut self, desk: usize) {
        self.called.push(desk);
        self.changed.notify_one();
    }
}
