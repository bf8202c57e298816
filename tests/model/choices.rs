//! What can happen next in a world.

use fleetdeploy::decide::vocabulary::{Step, Timer};
use fleetdeploy::facts::host::JobKind;

use crate::faults::{By, Fault, Typed, When};
use crate::host::{Guard, Host, JobState, Token};
use crate::scripts::Reaction;
use crate::station::{Heard, Out, Probing};
use crate::words::{Sys, boot_id};
use crate::world::{Action, Fleet, OURS, To, Way, Word, World};

const JOBS: [JobKind; 3] = [JobKind::Test, JobKind::Switch, JobKind::Rollback];

impl Fleet {
    pub(crate) fn choices(&self, world: &World, actions: &mut Vec<Action>) {
        // The driver asks the clock and goes on at once: nothing comes between. No guard at all leaves time enough.
        if let Some(at) = world.stations.iter().position(|station| station.weighing) {
            actions.push(Action::Weigh(at, true));
            if world.stations[at].mind.as_ref().is_some_and(|mind| mind.guarded().next().is_some()) {
                actions.push(Action::Weigh(at, false));
            }
            return;
        }
        for at in 0..world.stations.len() {
            if world.stations[at].is_alive() {
                self.station_actions(world, at, actions);
            }
        }
        for at in 0..world.hosts.len() {
            let before = actions.len();
            self.own_actions(world, at, actions);
            // What hosts that are left alone do touches no other: one after the other is enough.
            // docs/model-checking.md, "How it stays small".
            let goes_on = actions.len() > before && world.is_left_alone();
            self.blows(world, at, actions);
            if goes_on {
                break;
            }
        }
        actions.extend((0..world.late.len()).map(Action::ArriveLate));
        if world.left.clean_ups > 0 && world.may_be_cleaned_up() {
            actions.push(Action::CleanUp);
        }
        let wanted = |by| world.left.by.is_none_or(|only| only == by);
        let may_recover = world.left.recoveries > 0 && (world.left.when == When::Asleep || !world.anybody_drives());
        if may_recover && let Some((by, to)) = world.left.next_in_turn() {
            if by == By::Hosts || world.journal.is_unfinished() {
                actions.push(Action::Recover { alone: by == By::Hosts, to });
            }
        } else if may_recover {
            if wanted(By::Record) && world.journal.is_unfinished() {
                actions.extend(self.typed(world).map(|to| Action::Recover { alone: false, to }));
            }
            if wanted(By::Hosts) {
                actions.extend(self.typed(world).map(|to| Action::Recover { alone: true, to }));
            }
        }
    }

    /// What may be typed.
    fn typed(&self, world: &World) -> impl Iterator<Item = To> + use<> {
        let hosts = if world.left.typed == Typed::Without { world.hosts.len() } else { 0 };
        let forgets = if world.left.typed == Typed::Forget { vec![false, true] } else { Vec::new() };
        let forgets = forgets.into_iter().map(|as_they_stand| To::Forget { as_they_stand });
        std::iter::once(To::Recover).chain((0..hosts).map(To::GoWithout)).chain(forgets)
    }

    fn station_actions(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let station = &world.stations[at];
        for host in 0..world.hosts.len() {
            if let Some(out) = &station.out[host] {
                self.order_actions(world, at, host, out, actions);
            }
        }
        // A unit that systemd has started comes to its first line long before a round is over.
        let epoch = station.speaker.epoch;
        let still_starts = |host: &Host| JOBS.iter().any(|kind| host.job(*kind).starting.is_some_and(|by| by < epoch));
        match station.probing {
            Probing::Not => {}
            _ if world.hosts.iter().any(still_starts) => {}
            Probing::Out { .. } => {
                actions.push(Action::Round { station: at, flap: false });
                if world.left.allows(Fault::Flap) && world.hosts.iter().all(|host| world.links_hold(host)) {
                    actions.push(Action::Round { station: at, flap: true });
                }
                if world.left.allows(Fault::Blur) {
                    actions.push(Action::BlurredRound(at));
                }
                if world.left.allows(Fault::Miss) {
                    actions.push(Action::MissedRound(at));
                }
                if world.left.allows(Fault::Slow) {
                    actions.push(Action::SlowRound(at));
                }
            }
            Probing::Seen { .. } => actions.push(Action::Round { station: at, flap: false }),
        }
        // engine::driver::deadlines, `guards_over`: long enough for every guard that is known of.
        // Or for those of the hosts that it goes without.
        let are_over = || match station.missing {
            0 => world.all_rest(),
            missing => world
                .hosts
                .iter()
                .enumerate()
                .all(|(host, its)| missing & (1 << host) == 0 || (its.token != Token::Armed && !its.is_firing())),
        };
        let elapses = |timer: &&Timer| **timer != Timer::GuardsOver || are_over();
        actions.extend(station.timers.iter().filter(elapses).map(|timer| Action::Elapse(at, *timer)));
        if world.left.allows(Fault::Signal) {
            actions.push(Action::Interrupt(at));
        }
        if world.left.allows(Fault::Disk) && !station.disk_is_full {
            actions.push(Action::DiskFull(at));
        }
        for host in 0..world.hosts.len() {
            if station.deaf_to & (1 << host) != 0 {
                actions.push(Action::Hear(at, host));
            } else if world.left.allows(Fault::Deaf) {
                actions.push(Action::Deafen(at, host));
            }
        }
        if world.left.deaths > 0 && world.journal.0.reached >= self.mortal_from {
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
        let reaches = world.is_heard(&self.plan, at, to);
        let only_asks = matches!(out.step, Step::Login { .. } | Step::Return { .. } | Step::Ask);
        let by_guard = is_left_to_its_guard(&out.step);
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
        if reaches && self.liar == Some(to) && world.left.allows(Fault::Lie) && out.heard != Heard::Begun {
            for word in [Word::Superseded, Word::Ended, Word::NotHeld] {
                actions.extend([false, true].map(|runs| Action::Lie { station: at, word, runs }));
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
        // engine::driver::deadlines, `order`: these two are asked until the guard must have fired, and brought its host
        // back.
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

    /// What a host does by itself.
    fn own_actions(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
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
    }

    /// What hits a host from outside.
    fn blows(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let host = &world.hosts[at];
        if world.left.allows(Fault::NextBoot) && !host.next && host.on.current != Sys::Other {
            actions.push(Action::SetNextBoot(at));
        }
        let is_through = host.at_rest() && !host.any_lives() && host.lease.is_none();
        if world.left.allows(Fault::ByHand) && host.boot > 0 && is_through {
            actions.extend([Sys::New, Sys::Other].map(|to| Action::SwitchByHand(at, to)));
        }
        if world.left.allows(Fault::LaterRun) && is_through && !host.next {
            actions.extend([Sys::New, Sys::Other].map(|to| Action::CommitLater(at, to)));
        }
        if world.left.allows(Fault::Anew) && !world.anybody_drives() {
            actions.extend([Sys::Old, Sys::Other].map(|with| Action::InstallAnew(at, with)));
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
    pub(crate) fn somebody_waits_for_the_guard(&self, world: &World, at: usize) -> bool {
        !world.anybody_drives()
            || !world.reaches(&self.plan, at)
            || world.stations.iter().any(|station| station.is_alive() && station.deaf_to & (1 << at) != 0)
            || world.stations.iter().any(|station| station.timers.contains(&Timer::GuardsOver))
            || world.stations.iter().any(|station| {
                station.out[at].as_ref().is_some_and(|out| {
                    is_left_to_its_guard(&out.step)
                        || (out.heard == Heard::Lost && matches!(out.step, Step::Disarm { .. }))
                })
            })
    }
}

/// An order that is tried until the host's guard must have brought it back.
pub(crate) fn is_left_to_its_guard(step: &Step) -> bool {
    matches!(step, Step::Return { .. } | Step::TakeOver { by_guard: true })
}
