//! Decides in phase 7 by new logins and the matrix from every host, and looks once more after the boot defaults moved.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decide::absent;
use crate::decide::asking::{self, Continuity};
use crate::decide::transaction::state::{Back, Stage, Transaction};
use crate::decide::vocabulary::{Answer, Effect, RollbackReason, Step, Timer};
use crate::event::reason::absent::Absence;
use crate::event::reason::cause::Cause;
use crate::event::reason::notice::Notice;
use crate::event::{Event, Phase};
use crate::facts::host::same_boot;
use crate::facts::links::{LinkAnswer, LinkId, Round};
use crate::facts::plan::HostId;

/// How many rounds of the matrix must hold one after another before a push is believed. Source:
/// docs/design.md, "The proof".
const ROUNDS_TO_HOLD: u32 = 3;

/// How many must hold if a service was restarted since before the push: one that crashes every few seconds is up in
/// between.
const ROUNDS_AFTER_A_RESTART: u32 = 10;

/// How often a look's time begins anew because a round could not be carried out: each such round halves what is asked
/// at once, and after three a host is asked with one in eight of the others.
const ANEW: u32 = 3;

impl Transaction {
    pub(super) fn enter_verify(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Verify, Phase::Verify, effects);
        for host in self.plan.ids() {
            // A host that is lost to this run is not asked.
            self.hosts[host.0].logged_in = !self.is_asked(host);
            if self.is_asked(host) {
                self.run(host, Step::Login { after: true }, effects);
            }
        }
        self.look(effects);
    }

    /// Looks at the matrix once more after the boot defaults moved.
    pub(super) fn enter_proof(&mut self, effects: &mut Vec<Effect>) {
        self.stage = Stage::Proof;
        self.look_anew();
        self.look(effects);
    }

    /// Starts the rounds of a proof, and the time that it may take.
    pub(super) fn look(&mut self, effects: &mut Vec<Effect>) {
        self.overtime = false;
        (self.begun_anew, self.open_rounds) = (0, 0);
        effects.push(Effect::Expect(self.settle_timer()));
        // A second activation may start what no round tells of.
        let has_activated = self.plan.changing().any(|host| self.plan.host(host).reactivate);
        let keeps = self.stage == Stage::Proof && !has_activated;
        self.probe(if keeps { Continuity::KeepsConnections } else { Continuity::Anew }, effects);
    }

    fn settle_timer(&self) -> Timer {
        let by_guard = self.hosts.iter().any(|host| host.back == Back::Returned { by_guard: true });
        match self.stage {
            Stage::BackProof if by_guard => Timer::SettleAfterBoot,
            Stage::BackProof => Timer::SettleBack,
            _ => Timer::Settle,
        }
    }

    /// Asks for a round.
    pub(super) fn probe(&mut self, continuity: Continuity, effects: &mut Vec<Effect>) {
        if self.probing {
            self.stale = true;
        } else {
            self.probing = true;
            let after = !matches!(self.stage, Stage::Back | Stage::BackProof);
            effects.push(Effect::Probe { after, continuity });
        }
    }

    /// Gives a look its time once more after a round that could not be carried out: such a round says nothing, and less
    /// is asked at once in the next one. Only so often, for the guards count on.
    pub(super) fn begin_time_anew(&mut self, round: &Round, effects: &mut Vec<Effect>) {
        let could_not = self.unproven.iter().any(|link| round.unmeasured.contains(link));
        if could_not && self.last_broken.is_empty() && !self.overtime && !self.rekeying && self.begun_anew < ANEW {
            self.begun_anew += 1;
            effects.push(Effect::Expect(self.settle_timer()));
        }
    }

    pub(super) fn after_login(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let plan = self.plan.host(host);
        let name = plan.name.clone();
        let reason = match answer {
            Answer::Said(said) => {
                let standing = &said.standing;
                if !same_boot(&standing.boot_id, &self.hosts[host.0].boot_id) && plan.changes {
                    RollbackReason::HostRestarted { host: name }
                } else if plan.changes && standing.systems.current != *self.runs(host) {
                    let cause = Cause::foreign(&standing.systems.current);
                    RollbackReason::StepFailed { host: name, phase: Phase::Verify, cause, boots: None }
                } else {
                    self.hosts[host.0].logged_in = true;
                    self.verified_when_all_holds(effects);
                    return;
                }
            }
            Answer::Unknown { why } | Answer::Denied { why } => RollbackReason::NoLogin { host: name, cause: why },
            Answer::NotSent => RollbackReason::NoTimeLeft,
        };
        self.turn_back(reason, effects);
    }

    pub(super) fn round_seen(&mut self, mut round: Round, waiting: BTreeSet<LinkId>, effects: &mut Vec<Effect>) {
        self.probing = false;
        if std::mem::take(&mut self.stale) {
            // The push waited for the end of an old round: the time begins with the first round that counts.
            if matches!(self.stage, Stage::Verify | Stage::Proof | Stage::BackProof) {
                self.look(effects);
            }
            return;
        }
        match self.stage {
            Stage::Verify | Stage::Proof => {}
            Stage::BackProof => {
                self.back_round_seen(round, effects);
                return;
            }
            _ => return,
        }
        if let Some(reason) = self.moved_by_itself(&round) {
            self.turn_back(reason, effects);
            return;
        }
        self.notice_witnesses(&round, effects);
        self.notice_absent(&round, effects);
        self.last_broken = self.broken_of_ours(&round);
        let unproven = self.without_lost_hosts(self.plan.unproven(&round));
        let was_open = std::mem::replace(&mut self.unproven, unproven);
        let is_measured = self.unproven.is_disjoint(&round.unmeasured);
        let is_missed = !self.unproven.is_disjoint(&round.missed);
        self.last_failures = self.failures_in(&round, effects);
        self.unheard = self.unheard_in(&round);
        self.waiting = waiting;
        let holds = self.nothing_is_wrong();
        self.streak = match (holds && !is_missed, is_measured) {
            (true, true) => (self.streak + 1).min(self.rounds_needed()),
            // It was not carried out: it neither proves anything nor speaks against what was proven.
            (true, false) => self.streak,
            (false, _) => 0,
        };
        self.begin_time_anew(&round, effects);
        effects.push(Effect::Tell(self.links_moved(&round)));
        round.hosts.clear();
        self.told.last_round = Some(round);
        self.verified_when_all_holds(effects);
        if !matches!(self.stage, Stage::Verify | Stage::Proof) || self.probing {
            return;
        }
        self.count_open_round();
        if self.overtime && !(holds && self.may_still_be_proven()) {
            self.settle_time_is_over(effects);
        } else if self.units.is_over() && !self.unsteady().is_empty() {
            self.not_verified(effects);
        }
        if !matches!(self.stage, Stage::Verify | Stage::Proof) {
            return;
        }
        // A round that proves something is followed by the next one at once. One that can only wait, for a link, a
        // unit or the next crash of a service, is not. Nor is one with a miss: what has lost it may last.
        let has_less_open = self.unproven.len() < was_open.len();
        let is_timed = self.rounds_needed() > ROUNDS_TO_HOLD || !self.unsteady().is_empty();
        if holds && is_measured && !is_missed && !is_timed && (self.streak < self.rounds_needed() || has_less_open) {
            self.probe(Continuity::GoesOn, effects);
        } else {
            effects.push(Effect::Expect(Timer::RoundPause));
        }
    }

    /// Counts a round after the time of its look that has left something unproven. As long as units are waited for,
    /// their own time is what ends the look.
    pub(super) fn count_open_round(&mut self) {
        if self.overtime && !self.unproven.is_empty() && self.unsteady().is_empty() {
            self.open_rounds = self.open_rounds.saturating_add(1);
        }
    }

    /// Returns whether what the last round has left unproven may be proven by those that follow: what could not be
    /// measured has another turn only where links share the rounds, and nothing has more than so many.
    pub(super) fn may_still_be_proven(&self) -> bool {
        let is_measured =
            |link: &LinkId| !self.told.last_round.as_ref().is_some_and(|round| round.unmeasured.contains(link));
        self.unproven.iter().all(|link| is_measured(link) || self.plan.links[*link].shared)
            && (self.unproven.is_empty() || self.open_rounds <= asking::open_rounds(&self.plan.links))
    }

    /// Returns whether links are not proven only because their turns are to come: that is so of a large mesh alone.
    pub(super) fn waits_for_turns(&self) -> bool {
        let share = |links: &BTreeSet<LinkId>| links.iter().all(|link| self.plan.links[*link].shared);
        self.last_broken.is_empty() && !self.unproven.is_empty() && share(&self.unproven)
    }

    /// Lets the rounds that are still to come decide. Those of a large mesh may be long, and have the time of the look
    /// once more: the guards count on.
    pub(super) fn enter_overtime(&mut self, effects: &mut Vec<Effect>) {
        (self.overtime, self.open_rounds) = (true, 0);
        if self.plan.links.iter().any(|link| link.shared) {
            effects.push(Effect::Expect(self.settle_timer()));
        }
    }

    /// Ends the time that a large mesh's turns have beyond that of the look: the round that is out, or to come,
    /// decides.
    fn overtime_is_over(&mut self, effects: &mut Vec<Effect>) {
        if self.unsteady().is_empty() {
            self.open_rounds = usize::MAX;
        } else {
            effects.push(Effect::Expect(self.settle_timer()));
        }
    }

    pub(super) fn verified_when_all_holds(&mut self, effects: &mut Vec<Effect>) {
        if self.streak < self.rounds_needed() || !self.unproven.is_empty() || !self.unsteady().is_empty() {
            return;
        }
        match self.stage {
            Stage::Verify if self.hosts.iter().all(|host| host.logged_in) => {
                Self::forget_verify_timers(effects);
                self.tell_matrix(Phase::Verify, effects);
                let next = self.plan.waves().range(self.wave + 1..).next().map(|(wave, _)| *wave);
                if let Some(next) = next {
                    self.extend_to_next_wave(next, effects);
                    return;
                }
                effects.push(Effect::Tell(Event::PhaseStarted { phase: Phase::Decide }));
                self.stage = Stage::ExtendToSwitch;
                self.extended = false;
                effects.push(Effect::Weigh);
            }
            Stage::Proof => {
                Self::forget_verify_timers(effects);
                self.stage = Stage::ExtendToDisarm;
                self.extended = false;
                effects.push(Effect::Weigh);
            }
            _ => {}
        }
    }

    fn rounds_needed(&self) -> u32 {
        let restarted = || self.last_restarts.iter().any(|(host, restarts)| self.plan.has_restarts(*host, restarts));
        match self.stage {
            Stage::Verify if restarted() => ROUNDS_AFTER_A_RESTART,
            Stage::Verify => ROUNDS_TO_HOLD,
            _ => 1,
        }
    }

    pub(super) fn timer_elapsed(&mut self, timer: Timer, effects: &mut Vec<Effect>) {
        match (timer, self.stage) {
            (Timer::GuardsOver, Stage::TakeOver) => self.guards_are_over(effects),
            (Timer::AskAgain, Stage::TakeOver) => self.ask_again(effects),
            (Timer::HeadStart, Stage::Test | Stage::Switch | Stage::Back) => self.send_waiting(true, effects),
            (Timer::RoundPause, Stage::Verify | Stage::Proof | Stage::BackProof) if !self.probing => {
                self.probe(Continuity::GoesOn, effects);
            }
            (Timer::Settle, Stage::Test | Stage::Switch) => self.silence_is_over_long(effects),
            (Timer::Settle, Stage::Verify | Stage::Proof) if self.overtime => self.overtime_is_over(effects),
            (Timer::Settle | Timer::Rekey, Stage::Verify | Stage::Proof) => {
                let held_so_far = self.nothing_is_wrong();
                let all_logged_in = self.stage == Stage::Proof || self.hosts.iter().all(|host| host.logged_in);
                if held_so_far && all_logged_in {
                    // One slow probe makes slow rounds, and three of them may need longer than a short settle time.
                    // Each round ends by its own limit, so this ends as well.
                    self.enter_overtime(effects);
                    // Even if all units are up for long enough by now, they must stay so.
                    if self.units.waits() {
                        effects.push(Effect::Expect(Timer::Steady));
                    }
                } else if timer == Timer::Rekey {
                    self.not_verified(effects);
                } else {
                    self.settle_time_is_over(effects);
                }
            }
            // The round that is out, or to come, decides.
            (Timer::Steady, Stage::Verify | Stage::Proof) => self.units.time_is_over(),
            (Timer::SettleBack | Timer::SettleAfterBoot, Stage::BackProof) if self.overtime => {
                self.overtime_is_over(effects);
            }
            (Timer::SettleBack | Timer::SettleAfterBoot, Stage::BackProof)
                if self.streak == 0 && self.last_broken.is_empty() =>
            {
                self.enter_overtime(effects);
            }
            (Timer::SettleBack | Timer::SettleAfterBoot, Stage::BackProof) => self.back_not_proven(effects),
            _ => {}
        }
    }

    fn settle_time_is_over(&mut self, effects: &mut Vec<Effect>) {
        let only_handshakes = !self.last_broken.is_empty()
            && self.last_failures.is_empty()
            && self.unheard.is_none()
            && self.last_broken.is_subset(&self.waiting);
        if only_handshakes && !self.rekeying {
            self.rekeying = true;
            self.overtime = false;
            effects.push(Effect::Forget(Timer::Settle));
            effects.push(Effect::Expect(Timer::Rekey));
            effects.push(Effect::Tell(Event::warned(None, Notice::WaitingForHandshake)));
        } else {
            self.not_verified(effects);
        }
    }

    pub(super) fn not_verified(&mut self, effects: &mut Vec<Effect>) {
        self.tell_matrix(Phase::Verify, effects);
        let unsteady: BTreeSet<(HostId, String)> =
            self.unsteady().into_iter().map(|(host, unit, _)| (host, unit.clone())).collect();
        let to_blame: BTreeSet<(HostId, String)> = self.last_failures.union(&unsteady).cloned().collect();
        // The roll back may stop the units before their journals are read; but their journals stay.
        for host in self.plan.changing() {
            let units = of_host(&to_blame, host);
            if !units.is_empty() {
                effects.push(Effect::ReadJournals { host, units });
            }
        }
        self.remember(&to_blame, effects);
        let silent = self.plan.ids().find(|host| self.stage == Stage::Verify && !self.hosts[host.0].logged_in);
        let name = |host: HostId| self.plan.host(host).name.clone();
        let no_login = |host: HostId, cause: Cause| RollbackReason::NoLogin { host: name(host), cause };
        let links_hold = self.last_broken.is_empty();
        let reason = if let Some((host, _)) = self.last_failures.first() {
            let units = self.with_their_past(*host, of_host(&self.last_failures, *host));
            RollbackReason::UnitsFailed { host: name(*host), units }
        } else if let (Some(host), true) = (silent, links_hold) {
            no_login(host, self.told.shut.get(&host).cloned().unwrap_or(Cause::SilentWhileSettling))
        } else if let (Some(host), true) = (self.unheard, links_hold) {
            no_login(host, Cause::UnitsUnheard)
        } else if let (Some((host, _)), true) = (unsteady.first(), links_hold) {
            let steady = self.plan.host(*host).units.steady;
            RollbackReason::UnitsUnsteady { host: name(*host), units: of_host(&unsteady, *host), steady }
        } else if let (true, down) = (links_hold, self.down_and_open())
            && !down.is_empty()
        {
            RollbackReason::LinksDown { links: self.down_links(&down), common: self.in_common(&down) }
        } else if links_hold && !self.unproven.is_empty() {
            RollbackReason::LinksNotMeasured { links: self.unproven.len(), hosts: self.slow_hosts() }
        } else {
            RollbackReason::LinksDown {
                links: self.down_links(&self.last_broken),
                common: self.in_common(&self.last_broken),
            }
        };
        self.turn_back(reason, effects);
    }

    /// Returns the links that are not proven, and were down when they were asked last: the sshd at their end let nobody
    /// in just then, or they have missed that one probe.
    pub(super) fn down_and_open(&self) -> BTreeSet<LinkId> {
        let is_down = |link: &LinkId| {
            self.told.last_round.as_ref().is_some_and(|round| matches!(round.answer(*link), LinkAnswer::Down { .. }))
        };
        self.unproven.iter().copied().filter(is_down).collect()
    }

    /// Finds a changed host that is on another boot or another system than it should be.
    pub(super) fn moved_by_itself(&self, round: &Round) -> Option<RollbackReason> {
        self.plan.changing().filter(|host| self.is_asked(*host)).find_map(|host| {
            let plan = self.plan.host(host);
            let seen = round.hosts.get(&plan.name)?;
            if !same_boot(&seen.boot_id, &self.hosts[host.0].boot_id) {
                Some(RollbackReason::HostRestarted { host: plan.name.clone() })
            } else if seen.current != self.runs(host).as_str() {
                let cause = Cause::RunsForeignSystem { system: seen.current.clone() };
                let (host, phase) = (plan.name.clone(), Phase::Verify);
                Some(RollbackReason::StepFailed { host, phase, cause, boots: None })
            } else {
                None
            }
        })
    }

    /// Tells of a witness that restarts or switches by itself. The push does not judge it, but a reader of its links
    /// should know.
    fn notice_witnesses(&mut self, round: &Round, effects: &mut Vec<Effect>) {
        for host in self.plan.ids() {
            let plan = self.plan.host(host);
            let Some(seen) = round.hosts.get(&plan.name).filter(|_| !plan.changes) else { continue };
            let notice = if !same_boot(&seen.boot_id, &plan.boot_id) {
                Notice::WitnessRestarted
            } else if seen.current != plan.old.current.as_str() {
                Notice::WitnessSwitched { onto: seen.current.clone() }
            } else {
                continue;
            };
            if self.told.noticed.insert(host) {
                effects.push(Effect::Tell(Event::warned(Some(&self.plan.host(host).name), notice)));
            }
        }
    }

    /// Tells of a host that answers though the run goes on without it: it stays left out.
    fn notice_absent(&mut self, round: &Round, effects: &mut Vec<Effect>) {
        for host in absent::answering(&self.plan.links, &self.plan.baseline, round) {
            if self.told.noticed_absent.insert(host.clone()) {
                effects.push(Effect::Tell(Event::warned(Some(&host), Absence::LeftOutAnswers)));
            }
        }
    }

    fn nothing_is_wrong(&self) -> bool {
        self.last_broken.is_empty() && self.last_failures.is_empty() && self.unheard.is_none()
    }

    /// Returns the changed hosts with units that count. A unit that fails on a host that the push has not come to is
    /// not its doing.
    fn judged_by_units(&self) -> Vec<HostId> {
        self.plan.changing().filter(|host| self.has_begun_on(*host) && self.is_asked(*host)).collect()
    }

    fn failures_in(&mut self, round: &Round, effects: &mut Vec<Effect>) -> BTreeSet<(HostId, String)> {
        let mut failures = BTreeSet::new();
        let plan = Arc::clone(&self.plan);
        for host in self.judged_by_units() {
            let Some(seen) = round.hosts.get(&plan.host(host).name) else { continue };
            let last = self.last_restarts.insert(host, seen.restarts.clone());
            let mut new = plan.new_failures(host, &seen.failed_units, &seen.restarts, last.as_ref());
            new.retain(|unit| self.answers_for(host, unit, &seen.units, effects));
            failures.extend(new.into_iter().map(|unit| (host, unit)));
            self.look_at_units(host, seen);
            // Its second activation starts units once more.
            if self.stage == Stage::Verify && plan.host(host).reactivate {
                self.learn_units_between(host, &seen.units);
            }
        }
        failures
    }

    /// Finds a host that is judged by its units and did not tell their state.
    fn unheard_in(&self, round: &Round) -> Option<HostId> {
        self.judged_by_units().into_iter().find(|host| !round.hosts.contains_key(&self.plan.host(*host).name))
    }
}

fn of_host(units: &BTreeSet<(HostId, String)>, host: HostId) -> BTreeSet<String> {
    units.iter().filter(|(other, _)| *other == host).map(|(_, unit)| unit.clone()).collect()
}
