//! What comes of each thing that can happen.

use std::sync::Arc;

use fleetdeploy::decide::vocabulary::{Answer, Input, Signal, Step, Timer};
use fleetdeploy::event::Outcome;
use fleetdeploy::event::reason::cause::Cause;
use fleetdeploy::facts::links::{HostRound, Round};
use fleetdeploy::facts::plan::{HostId, Plan};
use fleetdeploy::facts::step_answer::{RefusalReason, StepOutcome};
use fleetdeploy::facts::systems::Systems;

use crate::choices::is_left_to_its_guard;
use crate::faults::{Fault, When};
use crate::host::{Guard, Host};
use crate::scripts::{Order, Reaction, Trace};
use crate::station::{Heard, Journal, Out, Probing, Said, Station, later_epoch};
use crate::words::{Sys, boot_id, not_known, round};
use crate::world::{Action, Change, Fleet, History, LateOrder, OURS, To, Way, Word, World};

/// What a round of the matrix finds: whether the links are up, and of each host that answers its boot and what runs.
type Seen = (bool, Vec<Option<(u8, Sys)>>);

impl Fleet {
    /// `None`: there is nothing to which it could happen.
    pub(crate) fn happen(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Arrive(at, to, way) => self.arrive(world, at, to, way)?,
            Action::Reply(at, to) => self.change(world, at, |station, journal| {
                if let Some(Out { heard: Heard::Reply(answer), .. }) = station.out[to].clone() {
                    station.answered(to, Answer::Said(answer), journal, &self.plan, self.mistake);
                }
            }),
            Action::LoseContact(at, to) => {
                if world.is_heard(&self.plan, at, to) {
                    world.left.spend(Fault::Loss);
                }
                self.lose_contact(world, at, to);
            }
            Action::Linger(at, to) => {
                world.left.spend(Fault::Late);
                let order = order(&world.stations[at], to)?;
                world.late.insert((to, LateOrder(order)));
                self.lose_contact(world, at, to);
            }
            Action::GiveUp(at, to) => self.give_up(world, at, to)?,
            Action::Deny(at, to) => {
                world.left.spend(Fault::Denial);
                self.answer(world, at, to, Answer::Denied { why: Cause::NotNixos });
            }
            Action::NotSent(at, to) => self.answer(world, at, to, Answer::NotSent),
            Action::ArriveLate(which) => {
                let (to, LateOrder(order)) = world.late.iter().nth(which)?.clone();
                world.late.remove(&(to, LateOrder(order.clone())));
                let was_here = world.hosts[to].saved.is_some();
                let (_, trace) = world.hosts[to].take(&order, true, self.mistake);
                world.history.note(trace, world.hosts.len());
                // The order of one that has died cleans as well as that of one that lives.
                if was_here && world.hosts[to].saved.is_none() {
                    let speaks = |station: &Arc<Station>| station.speaker == order.speaker;
                    let who = world.stations.iter().position(speaks)?;
                    world.history.cleaned_by |= 1 << who;
                }
            }
            Action::Round { station, flap } => self.end_round(world, station, flap),
            Action::BlurredRound(at) => {
                world.left.spend(Fault::Blur);
                let mut round = self.round_of(&self.look(world, at, false));
                round.unmeasured = std::mem::take(&mut round.answers).into_keys().collect();
                self.change(world, at, |station, journal| {
                    station.blurred(round, journal, &self.plan, self.mistake);
                });
            }
            Action::MissedRound(at) => {
                world.left.spend(Fault::Miss);
                let (_, says) = self.look(world, at, false);
                let mut round = self.round_of(&(false, says));
                round.missed = round.answers.keys().copied().collect();
                self.change(world, at, |station, journal| {
                    station.round_seen(false, false, round, journal, &self.plan, self.mistake);
                });
            }
            Action::SlowRound(at) => {
                world.left.spend(Fault::Slow);
                let seen = self.look(world, at, false);
                self.change(world, at, |station, _| {
                    let Probing::Out { fresh } = station.probing else { return };
                    station.probing = Probing::Seen { fresh, up: seen.0, round: Box::new(self.round_of(&seen)) };
                });
            }
            Action::Elapse(at, timer) => self.change(world, at, |station, journal| {
                station.timers.remove(&timer);
                station.give(Input::TimerElapsed(timer), journal, &self.plan, self.mistake);
            }),
            Action::Weigh(at, enough) => self.change(world, at, |station, journal| {
                station.weighing = false;
                station.give(Input::Weighed { enough }, journal, &self.plan, self.mistake);
            }),
            Action::Interrupt(at) => {
                world.left.spend(Fault::Signal);
                self.change(world, at, |station, journal| {
                    station.waits_no_longer =
                        station.timers.contains(&Timer::GuardsOver) && station.out.iter().all(Option::is_none);
                    station.give(Input::CancelRequested(Signal::Sigint), journal, &self.plan, self.mistake);
                });
            }
            Action::DiskFull(at) => {
                world.left.spend(Fault::Disk);
                self.change(world, at, |station, _| station.disk_is_full = true);
            }
            Action::Die { station, orders_go_on } => self.die(world, station, orders_go_on),
            Action::Begin(at, kind) => {
                let deed = world.hosts[at].begin(kind, OURS, self.mistake);
                world.history.began_unguarded |= deed.began_unguarded;
            }
            Action::GoOn(at, kind, well) => {
                if !well {
                    world.left.spend(Fault::Step);
                }
                let deed = world.hosts[at].go_on(kind, well);
                world.hosts[at].scarred |= deed.activated && world.change == Change::Lasts;
                if let Some(epoch) = deed.moved_by {
                    note_move(world, at, epoch);
                }
            }
            Action::TimeIsUp(at) => {
                if !self.somebody_waits_for_the_guard(world, at) {
                    world.left.spend(Fault::TimeUp);
                }
                world.hosts[at].short = true;
            }
            Action::Fire(at) => {
                world.history.fired = true;
                world.hosts[at].take_token();
            }
            Action::FireOn(at, well) => {
                if !well {
                    world.left.spend(Fault::Step);
                }
                let deed = world.hosts[at].fire_on(well, self.mistake);
                world.history.worked_under_a_step |= deed.worked_under_a_step;
            }
            Action::Restart(at) => {
                world.left.spend(Fault::Restart);
                restart(world, at);
            }
            Action::PullCable(at) => {
                world.left.spend(Fault::Cable);
                world.hosts[at].cut = true;
            }
            Action::MendCable(at) => world.hosts[at].cut = false,
            Action::Lie { station, word, runs } => self.lie(world, station, word, runs)?,
            Action::SetNextBoot(at) => {
                world.left.spend(Fault::NextBoot);
                world.hosts[at].next = true;
            }
            Action::Deafen(at, to) => {
                world.left.spend(Fault::Deaf);
                self.change(world, at, |station, _| station.deaf_to |= 1 << to);
            }
            Action::Hear(at, to) => self.change(world, at, |station, _| station.deaf_to &= !(1 << to)),
            Action::SwitchByHand(at, to) => {
                world.left.spend(Fault::ByHand);
                world.hosts[at].switch_by_hand(to);
                moves_on(world, at);
            }
            Action::CommitLater(at, to) => {
                world.left.spend(Fault::LaterRun);
                world.hosts[at].commit_later(to);
                moves_on(world, at);
            }
            Action::InstallAnew(at, with) => {
                world.left.spend(Fault::Anew);
                world.hosts[at].install_anew(with);
                // What was said of it before was said of another machine.
                for station in &mut world.stations {
                    Arc::make_mut(station).meant &= !(1 << at);
                }
            }
            Action::Recover { alone, to } => {
                if world.left.when == When::InPeace {
                    world.hosts.iter_mut().for_each(|host| host.cut = false);
                }
                world.left.recover();
                self.begin(world, alone, to);
            }
            Action::CleanUp => {
                world.left.clean_ups -= 1;
                self.begin(world, true, To::CleanUp);
            }
        }
        Some(())
    }

    /// A coordinator takes over.
    fn begin(&self, world: &mut World, alone: bool, to: To) {
        let highest = world.stations.iter().map(|station| station.speaker.epoch).max().unwrap_or(0);
        let tag = u8::try_from(world.stations.len()).unwrap_or(0) + 1;
        let epoch = later_epoch(highest, tag);
        let known = if alone { self.known_by_hosts(world) } else { Arc::clone(&self.plan) };
        let replaced = if to == To::Recover { world.replaced(alone) } else { 0 };
        let typed = (to, replaced);
        let station = Station::recover(&self.plan, known, epoch, alone, typed, &mut world.journal, self.mistake);
        let is_another = |(_, host): &(usize, &Host)| host.by_hand.is_some() || host.anew;
        let moved_on = world.hosts.iter().enumerate().filter(is_another);
        let moved_on = moved_on.fold(0, |all, (host, _)| all | 1 << host);
        world.stations.push(Arc::new(Station { moved_on, ..station }));
    }

    /// engine::recover::plan: if a host holds nothing of the run, it is not known what the run was to bring.
    fn known_by_hosts(&self, world: &World) -> Arc<Plan> {
        let mut plan = Plan { baseline: Round::default(), ..Plan::clone(&self.plan) };
        for (known, host) in plan.hosts.iter_mut().zip(&world.hosts) {
            if host.saved.is_none() && host.lease.is_none() {
                (known.old, known.new) = (Systems::all(&not_known()), not_known());
            }
        }
        Arc::new(plan)
    }

    fn change(&self, world: &mut World, at: usize, change: impl FnOnce(&mut Station, &mut Journal)) {
        let station = Arc::make_mut(&mut world.stations[at]);
        change(station, &mut world.journal);
        if world.change == Change::Lasts {
            // A host that is lost to a coordinator by its own word, true or not, takes its links with it: that one asks
            // for none.
            world.history.given_up |= station.lost;
        }
    }

    fn answer(&self, world: &mut World, at: usize, to: usize, answer: Answer) {
        self.change(world, at, |station, journal| {
            station.answered(to, answer, journal, &self.plan, self.mistake);
        });
    }

    fn lose_contact(&self, world: &mut World, at: usize, to: usize) {
        self.change(world, at, |station, journal| {
            set_heard(station, to, Heard::Lost);
            station.give(
                Input::ContactLost { host: HostId(to), why: Cause::NoTimeToAsk },
                journal,
                &self.plan,
                self.mistake,
            );
        });
    }

    fn arrive(&self, world: &mut World, at: usize, to: usize, way: Way) -> Option<()> {
        let station = &world.stations[at];
        let order = Order { speaker: station.speaker, step: station.out[to].as_ref()?.step.clone(), expired: false };
        match way {
            Way::Well => {}
            Way::ReplyLost => world.left.spend(Fault::Loss),
            Way::ReplySlow => world.left.spend(Fault::Slow),
            Way::ArmingFails => world.left.spend(Fault::Arming),
        }
        let was_here = world.hosts[to].saved.is_some();
        world.history.cleaned_amiss |= world.stations[at].cleans_up && is_amiss(world, to, &order.step);
        let (reaction, trace) = world.hosts[to].take(&order, way != Way::ArmingFails, self.mistake);
        world.history.note(trace, world.hosts.len());
        if was_here && world.hosts[to].saved.is_none() && (world.stations.len() > 1 || world.left.recoveries > 0) {
            world.history.cleaned_by |= 1 << at;
        }
        let outcome = match reaction {
            _ if way == Way::ReplyLost => {
                self.lose_contact(world, at, to);
                return Some(());
            }
            Reaction::Works => {
                self.change(world, at, |station, journal| {
                    set_heard(station, to, Heard::Begun);
                    station.give(Input::Started { host: HostId(to) }, journal, &self.plan, self.mistake);
                });
                return Some(());
            }
            Reaction::Answers(_) if matches!(order.step, Step::Return { .. }) => StepOutcome::Done,
            Reaction::Answers(outcome) => outcome,
        };
        let host = world.hosts[to].clone();
        self.change(world, at, |station, journal| {
            let answer = Box::new(host.answer_to(&order, outcome));
            if way == Way::ReplySlow {
                set_heard(station, to, Heard::Reply(answer));
            } else {
                station.answered(to, Answer::Said(answer), journal, &self.plan, self.mistake);
            }
        });
        Some(())
    }

    /// The host's own word, whatever it has done; its standing is true.
    fn lie(&self, world: &mut World, at: usize, lie: Word, runs: bool) -> Option<()> {
        let to = self.liar?;
        let station = &world.stations[at];
        let order = Order { speaker: station.speaker, step: station.out[to].as_ref()?.step.clone(), expired: false };
        world.left.spend(Fault::Lie);
        if world.change == Change::Lasts {
            world.history.given_up |= 1 << to;
        }
        if runs {
            let (_, trace) = world.hosts[to].take(&order, true, self.mistake);
            world.history.note(trace, world.hosts.len());
        }
        let reason = match lie {
            Word::Superseded => RefusalReason::Superseded,
            Word::Ended => RefusalReason::Ended,
            Word::NotHeld => RefusalReason::ForeignLease,
        };
        let answer = world.hosts[to].answer(StepOutcome::Refused { reason, text: String::new() });
        self.answer(world, at, to, Answer::Said(Box::new(answer)));
        Some(())
    }

    /// Holds every new verdict against how the hosts stand at that moment.
    pub(crate) fn hear_verdicts(&self, before: &World, world: &mut World) {
        for at in 0..world.stations.len() {
            let was = before.stations.get(at).and_then(|station| station.verdict);
            let station = Arc::clone(&world.stations[at]);
            let Some(verdict) = station.verdict.filter(|_| was.is_none()) else { continue };
            let honest = |host: &usize| self.liar != Some(*host);
            // A host that is switched while a coordinator is at work may be so in the instant after it was seen.
            let beside = world.history.by_hand_beside;
            for host in (0..world.hosts.len()).filter(honest).filter(|host| beside & (1 << host) == 0) {
                let stands = &world.hosts[host];
                let untrue = match station.ends.get(host) {
                    Some(Said::Committed) => !stands.on.rest_on(Sys::New),
                    Some(Said::RolledBack) => !stands.on.rest_on(Sys::Old),
                    Some(Said::Nothing) | None => false,
                };
                world.history.said_untrue |= untrue;
                // Once a guard was disarmed for commit, where somebody else has taken over, and where a person does not
                // want to wait for a silent host's guard, the guards are what is left.
                let holds = stands.lease == Some(station.speaker) && stands.guard == Guard::Watching;
                let is_left = holds && verdict != Outcome::Superseded && !station.disarming && !station.held_up;
                let may_be_left = verdict == Outcome::Left && station.waits_no_longer;
                world.history.left_to_guard |= is_left && !may_be_left && world.is_heard(&self.plan, at, host);
            }
            let others = world.stations.iter().enumerate().filter(|(other, _)| *other != at);
            let could = |(other, station): (usize, &Arc<Station>)| {
                other > at || station.is_alive() || station.verdict.is_some()
            };
            // Or where a coordinator that has died since had cleaned all hosts.
            let is_cleaned = (0..world.hosts.len()).filter(honest).all(|host| world.hosts[host].saved.is_none())
                && world.history.cleaned_by & !(1 << at) != 0;
            let by_nobody = verdict == Outcome::Superseded && !is_cleaned && !others.into_iter().any(could);
            world.history.superseded_by_nobody |= by_nobody;
            self.change(world, at, |station, _| {
                station.ends.clear();
                station.disarming = false;
            });
        }
    }

    fn give_up(&self, world: &mut World, at: usize, to: usize) -> Option<()> {
        let step = &world.stations[at].out[to].as_ref()?.step;
        if world.change == Change::Lasts && is_left_to_its_guard(step) {
            world.history.given_up |= 1 << to;
        }
        if matches!(step, Step::Arm { .. }) {
            let late = std::mem::take(&mut world.late);
            world.late = late.into_iter().map(|entry| past_latest(entry, to)).collect();
        }
        self.answer(world, at, to, Answer::Unknown { why: Cause::NoTimeToAsk });
        Some(())
    }

    fn end_round(&self, world: &mut World, at: usize, flap: bool) {
        if flap {
            world.left.spend(Fault::Flap);
        }
        let seen = self.look(world, at, flap);
        self.change(world, at, |station, journal| {
            let (fresh, up, round) = match station.probing.clone() {
                Probing::Not => return,
                Probing::Seen { fresh, up, round } => (fresh, up, *round),
                Probing::Out { fresh } => (fresh, seen.0, self.round_of(&seen)),
            };
            station.round_seen(up, fresh, round, journal, &self.plan, self.mistake);
        });
    }

    /// Links of a host that is not asked prove nothing.
    fn look(&self, world: &World, at: usize, flap: bool) -> Seen {
        let excused = world.stations[at].missing | world.stations[at].moved_on;
        let asked = |(host, _): &(usize, &Host)| excused & (1 << host) == 0;
        let asked: Vec<&Host> = world.hosts.iter().enumerate().filter(asked).map(|(_, host)| host).collect();
        // A link has two ends.
        let up = !flap && (asked.len() == 1 || asked.iter().all(|host| world.links_hold(host)));
        let says = world.hosts.iter().enumerate().map(|(at, host)| {
            let says = (host.boot, host.on.current);
            world.reaches(&self.plan, at).then_some(says)
        });
        (up, says.collect())
    }

    fn round_of(&self, (up, says): &Seen) -> Round {
        let mut round = round(self.plan.links.len(), *up);
        for (at, (boot, current)) in says.iter().enumerate().filter_map(|(at, says)| Some((at, (*says)?))) {
            let boot_id = boot_id(boot);
            let says = HostRound { boot_id, current: current.path().to_string(), ..HostRound::default() };
            round.hosts.insert(self.plan.host(HostId(at)).name.clone(), says);
        }
        round
    }

    fn die(&self, world: &mut World, at: usize, orders_go_on: bool) {
        world.left.deaths -= 1;
        if orders_go_on {
            world.left.spend(Fault::Late);
            let station = &world.stations[at];
            let under_way = (0..world.hosts.len()).filter_map(|to| Some((to, LateOrder(order(station, to)?))));
            world.late.extend(under_way);
        }
        self.change(world, at, |station, _| station.die());
    }
}

/// What runs on this host is its own affair from now on.
fn moves_on(world: &mut World, at: usize) {
    world.history.moved |= 1 << at;
    if world.anybody_drives() {
        world.history.by_hand_beside |= 1 << at;
    }
    for station in &mut world.stations {
        Arc::make_mut(station).moved_on |= 1 << at;
    }
}

/// What a push's clean-up must not do. Who is switched by hand while somebody drives may be so in the instant after it
/// was seen.
fn is_amiss(world: &World, to: usize, step: &Step) -> bool {
    let host = &world.hosts[to];
    match step {
        Step::TakeOver { .. } | Step::Ask | Step::Release | Step::Unmark { .. } | Step::Login { .. } => false,
        Step::Clean { .. } => {
            let is_back = host.on.rest_on(Sys::Old) && host.at_rest();
            host.saved.is_some() && !is_back && world.history.by_hand_beside & (1 << to) == 0
        }
        Step::Arm { .. } | Step::Extend { .. } | Step::Job { .. } | Step::Disarm { .. } | Step::Return { .. } => true,
    }
}

/// What a host's own step has done, for the properties.
fn note_move(world: &mut World, at: usize, epoch: u8) {
    let proof = world.stations.iter().find(|station| station.speaker.epoch == epoch).map(|station| &station.proof);
    let proven = proof.is_some_and(|proof| proof.whole && proof.logins[at] == Some(world.hosts[at].boot));
    world.history.moved_unproven |= !proven;
    world.history.moved |= 1 << at;
}

fn restart(world: &mut World, at: usize) {
    let host = &mut world.hosts[at];
    if host.boots_new() {
        world.history.restarted_after_move = true;
    }
    if host.next {
        world.history.booted_other |= 1 << at;
    }
    if host.on.profile != host.on.boot {
        world.history.cut_between_writes |= 1 << at;
    }
    host.reboot();
}

fn set_heard(station: &mut Station, host: usize, heard: Heard) {
    if let Some(out) = &mut station.out[host] {
        out.heard = heard;
    }
}

impl History {
    fn note(&mut self, trace: Trace, hosts: usize) {
        self.began_unguarded |= trace.unfenced;
        self.began_past_next_boot |= trace.past_next_boot;
        self.disarmed_for_commit |= trace.disarmed_for_commit;
        self.disarmed_too_soon |= trace.disarmed_for_commit && (self.moved.count_ones() as usize) < hosts;
    }
}

/// What would still be under way of the order that is out to a host.
fn order(station: &Station, to: usize) -> Option<Order> {
    let out = station.out[to].as_ref()?;
    let only_asks = matches!(out.step, Step::Login { .. } | Step::Return { .. } | Step::Ask);
    let under_way = matches!(out.heard, Heard::Nothing | Heard::Lost) && !only_asks;
    under_way.then(|| Order { speaker: station.speaker, step: out.step.clone(), expired: false })
}

/// The driver has given an arm command up: the host's clock is past the latest time that stands in it.
fn past_latest((to, LateOrder(order)): (usize, LateOrder), host: usize) -> (usize, LateOrder) {
    let expired = order.expired || (to == host && matches!(order.step, Step::Arm { .. }));
    (to, LateOrder(Order { expired, ..order }))
}
