//! The whole world, and everything that can happen in it: hosts, workstations, what is under way between them.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetdeploy::decide::fact::{JobKind, StepOutcome};
use fleetdeploy::decide::links::{HostRound, Round};
use fleetdeploy::decide::plan::{HostId, Plan};
use fleetdeploy::decide::vocabulary::{Answer, Input, Signal, Step, Timer};
use stateright::{Model, Property};

use crate::faults::{Budget, Fault};
use crate::host::{Guard, Host, JobState, Lease, Token};
use crate::mistakes::Mistake;
use crate::properties;
use crate::scripts::{Order, Reaction, Trace};
use crate::station::{Heard, Journal, Out, Probing, Station};
use crate::words::{Sys, boot_id, round};

/// What the new system does to the links of a host that runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Change {
    Good,
    /// The links between the hosts are down for as long as it runs.
    CutsLinks,
    /// Nobody reaches the host for as long as it runs.
    CutsHosts,
    /// The links stay down, also on the old system, until the host has rebooted.
    Lasts,
}

/// What is explored.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    pub(crate) plan: Arc<Plan>,
    pub(crate) changes: Vec<Change>,
    pub(crate) budget: Budget,
    /// The first host's guard switches back instead of rebooting it.
    pub(crate) switch_back: bool,
    /// Somebody else's guard and lease appear on the last host between the survey and the arming.
    pub(crate) foreign: bool,
    pub(crate) mistake: Option<Mistake>,
}

/// What happened, as far as the properties ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct History {
    pub(crate) moved_unproven: bool,
    pub(crate) began_unguarded: bool,
    pub(crate) worked_under_a_step: bool,
    /// By bit: hosts whose boot default has moved.
    pub(crate) moved: u8,
    /// A guard was disarmed for commit while another host's boot default had never moved.
    pub(crate) disarmed_too_soon: bool,
    /// A guard was disarmed so that its host stays on new.
    pub(crate) disarmed_for_commit: bool,
    pub(crate) fired: bool,
    /// A host restarted by itself after its boot default moved.
    pub(crate) restarted_after_move: bool,
    /// By bit: hosts whose power was cut between two writes.
    pub(crate) cut_between_writes: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) change: Change,
    pub(crate) hosts: Vec<Host>,
    pub(crate) stations: Vec<Arc<Station>>,
    pub(crate) journal: Journal,
    /// Copies of commands that are still under way although nobody waits for their answer.
    pub(crate) late: BTreeSet<(usize, LateOrder)>,
    pub(crate) left: Budget,
    pub(crate) history: History,
}

/// An [`Order`], in an order of its own so that states are canonical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LateOrder(pub(crate) Order);

impl LateOrder {
    fn rank(&self) -> (u8, u8, String, bool) {
        let Order { speaker, step, expired } = &self.0;
        (speaker.run, speaker.epoch, format!("{step:?}"), *expired)
    }
}

impl PartialOrd for LateOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LateOrder {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if self == other { std::cmp::Ordering::Equal } else { self.rank().cmp(&other.rank()) }
    }
}

/// How a command and its reply fare on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Well,
    /// It is carried out, and the reply is lost with the connection.
    ReplyLost,
    /// It is carried out, and the reply takes its time.
    ReplySlow,
    /// It is carried out, and arming fails.
    ArmingFails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The order of this workstation for this host arrives there.
    Arrive(usize, usize, Way),
    /// A slow reply is here.
    Reply(usize, usize),
    /// The connection is lost before the command has reached the host.
    LoseContact(usize, usize),
    /// A copy of the order stays under way.
    Linger(usize, usize),
    /// The driver's time for this order is over: nobody knows whether it ran.
    GiveUp(usize, usize),
    Deny(usize, usize),
    /// The driver knows that there is no time for it.
    NotSent(usize, usize),
    /// A copy that lingered arrives: the `n`th.
    ArriveLate(usize),
    /// A round of the matrix ends; `flap`: with a link down that is up.
    Round {
        station: usize,
        flap: bool,
    },
    /// A round ends, and its result is slow.
    SlowRound(usize),
    Elapse(usize, Timer),
    Weigh(usize, bool),
    Interrupt(usize),
    DiskFull(usize),
    /// The workstation's process is killed. Its orders are lost, or stay under way.
    Die {
        station: usize,
        orders_go_on: bool,
    },
    Begin(usize, JobKind),
    GoOn(usize, JobKind, bool),
    TimeIsUp(usize),
    Fire(usize),
    FireOn(usize, bool),
    Restart(usize),
    PullCable(usize),
    MendCable(usize),
    /// Somebody types `fleetdeploy recover`; on another workstation, without the run's record, where `alone`.
    Recover {
        alone: bool,
    },
}

const JOBS: [JobKind; 3] = [JobKind::Test, JobKind::Switch, JobKind::Rollback];

impl World {
    /// Whether the links of this host carry packets.
    pub(crate) fn links_hold(&self, host: &Host) -> bool {
        let cut_by_change = matches!(self.change, Change::CutsLinks | Change::CutsHosts) && host.on.current == Sys::New;
        !cut_by_change && !host.scarred && !host.cut
    }

    fn reaches(&self, plan: &Plan, host: usize) -> bool {
        let answers = |at: usize| {
            let host = &self.hosts[at];
            !host.cut && !(self.change == Change::CutsHosts && host.on.current == Sys::New)
        };
        answers(host) && plan.host(HostId(host)).behind.is_none_or(|jump| answers(jump.0))
    }

    pub(crate) fn all_rest(&self) -> bool {
        self.hosts.iter().all(Host::at_rest)
    }

    pub(crate) fn anybody_drives(&self) -> bool {
        self.stations.iter().any(|station| station.is_alive())
    }
}

impl Fleet {
    fn station_actions(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let station = &world.stations[at];
        for host in 0..world.hosts.len() {
            if let Some(out) = &station.out[host] {
                self.order_actions(world, at, host, out, actions);
            }
        }
        match station.probing {
            Probing::Not => {}
            Probing::Out { .. } => {
                actions.push(Action::Round { station: at, flap: false });
                if world.left.allows(Fault::Flap) && world.hosts.iter().all(|host| world.links_hold(host)) {
                    actions.push(Action::Round { station: at, flap: true });
                }
                if world.left.allows(Fault::Slow) {
                    actions.push(Action::SlowRound(at));
                }
            }
            Probing::Seen { .. } => actions.push(Action::Round { station: at, flap: false }),
        }
        // engine::driver, `guards_over`: long enough for every guard that is known of.
        let elapses = |timer: &&Timer| **timer != Timer::GuardsOver || world.all_rest();
        actions.extend(station.timers.iter().filter(elapses).map(|timer| Action::Elapse(at, *timer)));
        if world.left.allows(Fault::Signal) {
            actions.push(Action::Interrupt(at));
        }
        if world.left.allows(Fault::Disk) && !station.disk_is_full {
            actions.push(Action::DiskFull(at));
        }
        if world.left.deaths > 0 {
            actions.push(Action::Die { station: at, orders_go_on: false });
            if world.left.allows(Fault::Late) && station.out.iter().flatten().any(|out| out.heard != Heard::Begun) {
                actions.push(Action::Die { station: at, orders_go_on: true });
            }
        }
    }

    fn order_actions(&self, world: &World, at: usize, to: usize, out: &Out, actions: &mut Vec<Action>) {
        let host = &world.hosts[to];
        if matches!(out.heard, Heard::Reply(_)) {
            actions.push(Action::Reply(at, to));
            return;
        }
        let reaches = world.reaches(&self.plan, to);
        let only_asks = matches!(out.step, Step::Login { .. } | Step::Return { .. });
        let by_guard = matches!(out.step, Step::Return { .. } | Step::TakeOver { by_guard: true });
        if reaches && self.would_answer(host, out) {
            actions.push(Action::Arrive(at, to, Way::Well));
            if !only_asks && out.heard != Heard::Begun {
                if world.left.allows(Fault::Loss) {
                    actions.push(Action::Arrive(at, to, Way::ReplyLost));
                }
                if world.left.allows(Fault::Arming) && matches!(out.step, Step::Arm { .. }) {
                    actions.push(Action::Arrive(at, to, Way::ArmingFails));
                }
            }
            if world.left.allows(Fault::Slow) {
                actions.push(Action::Arrive(at, to, Way::ReplySlow));
            }
        }
        let asked_until_known = by_guard || matches!(out.step, Step::Disarm { .. });
        if out.heard != Heard::Lost && !by_guard && (!reaches || world.left.allows(Fault::Loss)) {
            actions.push(Action::LoseContact(at, to));
        }
        if out.heard == Heard::Nothing {
            if world.left.allows(Fault::Late) && !only_asks {
                actions.push(Action::Linger(at, to));
            }
            if reaches && world.left.allows(Fault::Denial) && !asked_until_known {
                actions.push(Action::Deny(at, to));
            }
            if matches!(out.step, Step::Job { .. }) && (host.short || host.token != Token::Armed) {
                actions.push(Action::NotSent(at, to));
            }
        }
        // engine::driver, `order`: these two are asked until the guard must have fired, and brought its host back.
        let guard_is_through = host.token != Token::Armed && !host.is_firing();
        let may_end = match out.step {
            _ if by_guard => !reaches && guard_is_through,
            Step::Disarm { .. } => out.heard == Heard::Lost && guard_is_through,
            _ => out.heard == Heard::Lost,
        };
        if may_end {
            actions.push(Action::GiveUp(at, to));
        }
    }

    /// Whether the host has something to say to this order now: it does not while a detached step is at work, and not
    /// to a `Return` before the guard is through. engine::ssh_hosts, `has_returned`.
    fn would_answer(&self, host: &Host, out: &Out) -> bool {
        match &out.step {
            Step::Return { boot_id: left_on } => {
                let rebooted = boot_id(host.boot) != *left_on;
                rebooted || (host.token != Token::Armed && !host.is_firing())
            }
            Step::Job { kind, boot_id: sent_for } if out.heard == Heard::Begun => {
                boot_id(host.boot) != *sent_for || host.await_job(*kind) != Reaction::Works
            }
            _ => true,
        }
    }

    fn host_actions(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let host = &world.hosts[at];
        for kind in JOBS {
            let job = host.job(kind);
            if job.starting.is_some() {
                actions.push(Action::Begin(at, kind));
            }
            if let JobState::Running { writes } = job.state {
                actions.push(Action::GoOn(at, kind, true));
                let may_fail = kind == JobKind::Test || writes > 0;
                if may_fail && world.left.allows(Fault::Step) {
                    actions.push(Action::GoOn(at, kind, false));
                }
            }
        }
        if host.guard == Guard::Watching && host.guard_of == OURS {
            if host.short {
                actions.push(Action::Fire(at));
            } else if self.somebody_waits_for_the_guard(world, at) || world.left.allows(Fault::TimeUp) {
                actions.push(Action::TimeIsUp(at));
            }
        }
        if host.is_firing() {
            actions.push(Action::FireOn(at, true));
            if host.guard == Guard::ProfileBack && host.boots_new() && world.left.allows(Fault::Step) {
                actions.push(Action::FireOn(at, false));
            }
        }
        if world.left.allows(Fault::Restart) {
            actions.push(Action::Restart(at));
        }
        if host.cut {
            actions.push(Action::MendCable(at));
        } else if world.left.allows(Fault::Cable) {
            actions.push(Action::PullCable(at));
        }
    }

    /// Time passes where nothing but time is waited for.
    fn somebody_waits_for_the_guard(&self, world: &World, at: usize) -> bool {
        !world.anybody_drives()
            || !world.reaches(&self.plan, at)
            || world.stations.iter().any(|station| station.timers.contains(&Timer::GuardsOver))
            || world.stations.iter().any(|station| {
                station.out[at].as_ref().is_some_and(|out| {
                    matches!(out.step, Step::Return { .. } | Step::TakeOver { by_guard: true })
                        || (out.heard == Heard::Lost && matches!(out.step, Step::Disarm { .. }))
                })
            })
    }

    fn arrive(&self, world: &mut World, at: usize, to: usize, way: Way) {
        let station = &world.stations[at];
        let Some(out) = &station.out[to] else { return };
        let order = Order { speaker: station.speaker, step: out.step.clone(), expired: false };
        match way {
            Way::Well => {}
            Way::ReplyLost => world.left.spend(Fault::Loss),
            Way::ReplySlow => world.left.spend(Fault::Slow),
            Way::ArmingFails => world.left.spend(Fault::Arming),
        }
        let (reaction, trace) = world.hosts[to].take(&order, way != Way::ArmingFails, self.mistake);
        world.history.note(trace, world.hosts.len());
        let is_return = matches!(order.step, Step::Return { .. });
        let station = Arc::make_mut(&mut world.stations[at]);
        let journal = &mut world.journal;
        match (reaction, way) {
            (_, Way::ReplyLost) => {
                set_heard(station, to, Heard::Lost);
                station.give(Input::ContactLost { host: HostId(to) }, journal, &self.plan, self.mistake);
            }
            (Reaction::Works, _) => {
                set_heard(station, to, Heard::Begun);
                station.give(Input::Started { host: HostId(to) }, journal, &self.plan, self.mistake);
            }
            (Reaction::Answers(outcome), Way::ReplySlow) => {
                set_heard(station, to, Heard::Reply(Box::new(world.hosts[to].answer(outcome))));
            }
            (Reaction::Answers(outcome), _) => {
                let outcome = if is_return { StepOutcome::Done } else { outcome };
                let answer = Answer::Said(Box::new(world.hosts[to].answer(outcome)));
                station.answered(to, answer, journal, &self.plan, self.mistake);
            }
        }
    }

    fn end_round(&self, world: &mut World, at: usize, flap: bool) {
        if flap {
            world.left.spend(Fault::Flap);
        }
        let (fresh, up, seen) = match world.stations[at].probing.clone() {
            Probing::Not => return,
            Probing::Seen { fresh, up, round } => (fresh, up, *round),
            Probing::Out { fresh } => {
                let (up, round) = self.look(world, flap);
                (fresh, up, round)
            }
        };
        let station = Arc::make_mut(&mut world.stations[at]);
        station.round_seen(up, fresh, seen, &mut world.journal, &self.plan, self.mistake);
    }

    fn look(&self, world: &World, flap: bool) -> (bool, Round) {
        let up = !flap && world.hosts.iter().all(|host| world.links_hold(host));
        let mut round = round(self.plan.links.len(), up);
        for (at, host) in world.hosts.iter().enumerate().filter(|(at, _)| world.reaches(&self.plan, *at)) {
            let says = HostRound {
                boot_id: boot_id(host.boot),
                current: host.on.current.path().to_string(),
                ..HostRound::default()
            };
            round.hosts.insert(self.plan.host(HostId(at)).name.clone(), says);
        }
        (up, round)
    }

    /// What a host's own step has done, for the properties.
    fn note_move(&self, world: &mut World, at: usize, epoch: u8) {
        let proof = world.stations.iter().find(|station| station.speaker.epoch == epoch).map(|station| &station.proof);
        let proven = proof.is_some_and(|proof| proof.whole && proof.logins[at] == Some(world.hosts[at].boot));
        world.history.moved_unproven |= !proven;
        world.history.moved |= 1 << at;
    }

    fn restart(&self, world: &mut World, at: usize) {
        let host = &mut world.hosts[at];
        if host.boots_new() {
            world.history.restarted_after_move = true;
        }
        if host.on.profile != host.on.boot {
            world.history.cut_between_writes |= 1 << at;
        }
        host.reboot();
    }
}

/// The run that is explored, in `guard_of` and leases.
pub(crate) const OURS: u8 = 1;
pub(crate) const THEIRS: u8 = 9;

fn set_heard(station: &mut Station, host: usize, heard: Heard) {
    if let Some(out) = &mut station.out[host] {
        out.heard = heard;
    }
}

impl History {
    fn note(&mut self, trace: Trace, hosts: usize) {
        self.began_unguarded |= trace.unfenced;
        self.disarmed_for_commit |= trace.disarmed_for_commit;
        self.disarmed_too_soon |= trace.disarmed_for_commit && (self.moved.count_ones() as usize) < hosts;
    }
}

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut hosts = vec![Host::new(); self.plan.hosts.len()];
        hosts[0].switch_back = self.switch_back;
        if let (true, Some(last)) = (self.foreign, hosts.last_mut()) {
            last.lease = Some(Lease { run: THEIRS, epoch: 1 });
            (last.token, last.guard, last.guard_of) = (Token::Armed, Guard::Watching, THEIRS);
        }
        let world = |change: &Change| {
            let mut journal = Journal::new();
            let push = Station::push(&self.plan, &mut journal, self.mistake);
            World {
                change: *change,
                hosts: hosts.clone(),
                stations: vec![Arc::new(push)],
                journal,
                late: BTreeSet::new(),
                left: self.budget,
                history: History::default(),
            }
        };
        self.changes.iter().map(world).collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // The driver asks the clock and goes on at once: nothing comes between.
        if let Some(at) = world.stations.iter().position(|station| station.weighing) {
            actions.extend([Action::Weigh(at, true), Action::Weigh(at, false)]);
            return;
        }
        for at in 0..world.stations.len() {
            if world.stations[at].is_alive() {
                self.station_actions(world, at, actions);
            }
        }
        for at in 0..world.hosts.len() {
            self.host_actions(world, at, actions);
        }
        actions.extend((0..world.late.len()).map(Action::ArriveLate));
        if world.left.recoveries > 0 && world.journal.is_unfinished() && (world.left.asleep || !world.anybody_drives())
        {
            actions.extend([Action::Recover { alone: false }, Action::Recover { alone: true }]);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        let (plan, mistake) = (&*self.plan, self.mistake);
        let World { hosts, stations, journal, late, left, history, .. } = &mut next;
        match action {
            Action::Arrive(at, to, way) => self.arrive(&mut next, at, to, way),
            Action::Reply(at, to) => {
                let station = Arc::make_mut(&mut stations[at]);
                let Some(Out { heard: Heard::Reply(answer), .. }) = station.out[to].clone() else { return None };
                station.answered(to, Answer::Said(answer), journal, plan, mistake);
            }
            Action::LoseContact(at, to) => {
                if world.reaches(plan, to) {
                    left.spend(Fault::Loss);
                }
                let station = Arc::make_mut(&mut stations[at]);
                set_heard(station, to, Heard::Lost);
                station.give(Input::ContactLost { host: HostId(to) }, journal, plan, mistake);
            }
            Action::Linger(at, to) => {
                left.spend(Fault::Late);
                late.insert((to, LateOrder(order(&stations[at], to)?)));
            }
            Action::GiveUp(at, to) => {
                if matches!(stations[at].out[to].as_ref()?.step, Step::Arm { .. }) {
                    *late = std::mem::take(late).into_iter().map(|entry| past_latest(entry, to)).collect();
                }
                let answer = Answer::Unknown { why: String::new() };
                Arc::make_mut(&mut stations[at]).answered(to, answer, journal, plan, mistake);
            }
            Action::Deny(at, to) => {
                left.spend(Fault::Denial);
                let answer = Answer::Denied { why: String::new() };
                Arc::make_mut(&mut stations[at]).answered(to, answer, journal, plan, mistake);
            }
            Action::NotSent(at, to) => {
                Arc::make_mut(&mut stations[at]).answered(to, Answer::NotSent, journal, plan, mistake);
            }
            Action::ArriveLate(which) => {
                let (to, LateOrder(order)) = late.iter().nth(which)?.clone();
                late.remove(&(to, LateOrder(order.clone())));
                let (_, trace) = hosts[to].take(&order, true, mistake);
                history.note(trace, hosts.len());
            }
            Action::Round { station, flap } => self.end_round(&mut next, station, flap),
            Action::SlowRound(at) => {
                left.spend(Fault::Slow);
                let (up, round) = self.look(world, false);
                let station = Arc::make_mut(&mut stations[at]);
                let Probing::Out { fresh } = station.probing else { return None };
                station.probing = Probing::Seen { fresh, up, round: Box::new(round) };
            }
            Action::Elapse(at, timer) => {
                let station = Arc::make_mut(&mut stations[at]);
                station.timers.remove(&timer);
                station.give(Input::TimerElapsed(timer), journal, plan, mistake);
            }
            Action::Weigh(at, enough) => {
                let station = Arc::make_mut(&mut stations[at]);
                station.weighing = false;
                station.give(Input::Weighed { enough }, journal, plan, mistake);
            }
            Action::Interrupt(at) => {
                left.spend(Fault::Signal);
                let station = Arc::make_mut(&mut stations[at]);
                station.give(Input::CancelRequested(Signal::Sigint), journal, plan, mistake);
            }
            Action::DiskFull(at) => {
                left.spend(Fault::Disk);
                Arc::make_mut(&mut stations[at]).disk_is_full = true;
            }
            Action::Die { station, orders_go_on } => {
                left.deaths -= 1;
                if orders_go_on {
                    left.spend(Fault::Late);
                    for to in 0..hosts.len() {
                        late.extend(order(&stations[station], to).map(|order| (to, LateOrder(order))));
                    }
                }
                Arc::make_mut(&mut stations[station]).die();
            }
            Action::Begin(at, kind) => {
                let deed = hosts[at].begin(kind, OURS, mistake);
                history.began_unguarded |= deed.began_unguarded;
            }
            Action::GoOn(at, kind, well) => {
                if !well {
                    left.spend(Fault::Step);
                }
                let deed = hosts[at].go_on(kind, well);
                hosts[at].scarred |= deed.activated && world.change == Change::Lasts;
                if let Some(epoch) = deed.moved_by {
                    self.note_move(&mut next, at, epoch);
                }
            }
            Action::TimeIsUp(at) => {
                if !self.somebody_waits_for_the_guard(world, at) {
                    left.spend(Fault::TimeUp);
                }
                hosts[at].short = true;
            }
            Action::Fire(at) => {
                history.fired = true;
                hosts[at].take_token();
            }
            Action::FireOn(at, well) => {
                if !well {
                    left.spend(Fault::Step);
                }
                let deed = hosts[at].fire_on(well, mistake);
                history.worked_under_a_step |= deed.worked_under_a_step;
            }
            Action::Restart(at) => {
                left.spend(Fault::Restart);
                self.restart(&mut next, at);
            }
            Action::PullCable(at) => {
                left.spend(Fault::Cable);
                hosts[at].cut = true;
            }
            Action::MendCable(at) => hosts[at].cut = false,
            Action::Recover { alone } => {
                left.recoveries -= 1;
                if left.then_peace {
                    left.make_peace();
                    hosts.iter_mut().for_each(|host| host.cut = false);
                }
                let epoch = stations.iter().map(|station| station.speaker.epoch).max().unwrap_or(0) + 1;
                stations.push(Arc::new(Station::recover(&self.plan, epoch, alone, journal, mistake)));
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

/// What would still be under way of the order that is out to a host.
fn order(station: &Station, to: usize) -> Option<Order> {
    let out = station.out[to].as_ref()?;
    let only_asks = matches!(out.step, Step::Login { .. } | Step::Return { .. });
    let under_way = matches!(out.heard, Heard::Nothing | Heard::Lost) && !only_asks;
    under_way.then(|| Order { speaker: station.speaker, step: out.step.clone(), expired: false })
}

/// The driver has given an arm command up: the host's clock is past the latest time that stands in it.
fn past_latest((to, LateOrder(order)): (usize, LateOrder), host: usize) -> (usize, LateOrder) {
    let expired = order.expired || (to == host && matches!(order.step, Step::Arm { .. }));
    (to, LateOrder(Order { expired, ..order }))
}
