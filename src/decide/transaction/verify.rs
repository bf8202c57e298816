//! Decides in phase 7 by new logins and the matrix from every host, and looks once more after the boot defaults moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decide::absent;
use crate::decide::asking::Continuity;
use crate::decide::transaction::link_proof::LinkProof;
use crate::decide::transaction::stage::{Extension, Stage};
use crate::decide::transaction::state::Transaction;
use crate::decide::vocabulary::{Answer, Effect, RollbackReason, Step, Timer};
use crate::event::reason::absent::Absence;
use crate::event::reason::cause::Cause;
use crate::event::reason::notice::Notice;
use crate::event::{Event, Phase};
use crate::facts::host::same_boot;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;

/// How many rounds of the matrix must hold one after another before a push is believed. Source:
/// docs/design.md, "The proof".
const ROUNDS_TO_HOLD: u32 = 3;

/// How many must hold if a service was restarted since before the push: one that crashes every few seconds is up in
/// between.
const ROUNDS_AFTER_A_RESTART: u32 = 10;

/// What the look on the way forward has seen so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ForwardProof {
    pub(super) links: LinkProof,
    /// Units that had failed in the last round.
    failed: BTreeSet<(HostId, String)>,
    /// A host that did not tell the state of its units in the last round.
    unheard: Option<HostId>,
    /// How often each unit had been restarted by the round before.
    restarts: BTreeMap<HostId, BTreeMap<String, u64>>,
    /// Links that lacked only a new handshake in the last round.
    waiting: BTreeSet<LinkId>,
    /// Whether the time for units to be up for long enough is over as well: the next round decides.
    units_had_time: bool,
}

impl ForwardProof {
    fn nothing_is_wrong(&self) -> bool {
        self.links.broken.is_empty() && self.failed.is_empty() && self.unheard.is_none()
    }
}

impl Transaction {
    pub(super) fn enter_verify(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Verify(ForwardProof::default()));
        self.begin(Phase::Verify, effects);
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
        self.enter(Stage::Proof(ForwardProof::default()));
        self.look(effects);
    }

    /// Starts the rounds of a proof, and the time that it may take.
    pub(super) fn look(&mut self, effects: &mut Vec<Effect>) {
        if let Some(links) = self.stage.links_mut() {
            links.begin_time();
        }
        effects.push(Effect::Expect(self.settle_timer()));
        // A second activation may start what no round tells of.
        let has_activated = self.plan.changing().any(|host| self.plan.host(host).reactivate);
        let keeps = matches!(self.stage, Stage::Proof(_)) && !has_activated;
        self.probe(if keeps { Continuity::KeepsConnections } else { Continuity::Anew }, effects);
    }

    /// Asks for a round.
    pub(super) fn probe(&mut self, continuity: Continuity, effects: &mut Vec<Effect>) {
        if self.probing {
            self.stale = true;
        } else {
            self.probing = true;
            let after = !matches!(self.stage, Stage::Back(_) | Stage::BackProof(..));
            effects.push(Effect::Probe { after, continuity });
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
            if self.stage.links().is_some() {
                self.look(effects);
            }
            return;
        }
        match self.stage {
            Stage::Verify(_) | Stage::Proof(_) => {}
            Stage::BackProof(..) => {
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
        let broken = self.broken_of_ours(&round);
        let unproven = self.without_lost_hosts(self.plan.unproven(&round));
        let (failed, unheard) = (self.failures_in(&round, effects), self.unheard_in(&round));
        let needed = self.rounds_needed();
        let Some(proof) = self.stage.proof_mut() else { return };
        let was_open = std::mem::replace(&mut proof.links.unproven, unproven);
        let is_measured = proof.links.unproven.is_disjoint(&round.unmeasured);
        let is_missed = !proof.links.unproven.is_disjoint(&round.missed);
        proof.links.broken = broken;
        (proof.failed, proof.unheard, proof.waiting) = (failed, unheard, waiting);
        let holds = proof.nothing_is_wrong();
        proof.links.streak = match (holds && !is_missed, is_measured) {
            (true, true) => (proof.links.streak + 1).min(needed),
            // It was not carried out: it neither proves anything nor speaks against what was proven.
            (true, false) => proof.links.streak,
            (false, _) => 0,
        };
        self.begin_time_anew(&round, effects);
        effects.push(Effect::Tell(self.links_moved(&round)));
        round.hosts.clear();
        self.told.last_round = Some(round);
        self.verified_when_all_holds(effects);
        if self.stage.proof().is_none() || self.probing {
            return;
        }
        self.count_open_round();
        let had_time = self.stage.proof().is_some_and(|proof| proof.units_had_time);
        if self.links().overtime && !(holds && self.may_still_be_proven()) {
            self.settle_time_is_over(effects);
        } else if had_time && !self.unsteady().is_empty() {
            self.not_verified(effects);
        }
        if self.stage.proof().is_none() {
            return;
        }
        // A round that proves something is followed by the next one at once. One that can only wait, for a link, a
        // unit or the next crash of a service, is not. Nor is one with a miss: what has lost it may last.
        let has_less_open = self.links().unproven.len() < was_open.len();
        let is_timed = self.rounds_needed() > ROUNDS_TO_HOLD || !self.unsteady().is_empty();
        let is_short = self.links().streak < self.rounds_needed();
        if holds && is_measured && !is_missed && !is_timed && (is_short || has_less_open) {
            self.probe(Continuity::GoesOn, effects);
        } else {
            effects.push(Effect::Expect(Timer::RoundPause));
        }
    }

    pub(super) fn verified_when_all_holds(&mut self, effects: &mut Vec<Effect>) {
        let links = self.links();
        if links.streak < self.rounds_needed() || !links.unproven.is_empty() || !self.unsteady().is_empty() {
            return;
        }
        match self.stage {
            Stage::Verify(_) if self.hosts.iter().all(|host| host.logged_in) => {
                Self::forget_verify_timers(effects);
                self.tell_matrix(Phase::Verify, effects);
                let next = self.plan.waves().range(self.wave + 1..).next().map(|(wave, _)| *wave);
                if let Some(next) = next {
                    self.extend_to_next_wave(next, effects);
                    return;
                }
                self.enter(Stage::ExtendToSwitch(Extension::default()));
                effects.push(Effect::Tell(Event::PhaseStarted { phase: Phase::Decide }));
                effects.push(Effect::Weigh);
            }
            Stage::Proof(_) => {
                Self::forget_verify_timers(effects);
                self.enter(Stage::ExtendToDisarm(Extension::default()));
                effects.push(Effect::Weigh);
            }
            _ => {}
        }
    }

    fn rounds_needed(&self) -> u32 {
        let has_restarted = |proof: &ForwardProof| {
            proof.restarts.iter().any(|(host, restarts)| self.plan.has_restarts(*host, restarts))
        };
        match &self.stage {
            Stage::Verify(proof) if has_restarted(proof) => ROUNDS_AFTER_A_RESTART,
            Stage::Verify(_) => ROUNDS_TO_HOLD,
            _ => 1,
        }
    }

    pub(super) fn timer_elapsed(&mut self, timer: Timer, effects: &mut Vec<Effect>) {
        match (timer, &self.stage) {
            (Timer::GuardsOver, Stage::TakeOver) => self.guards_are_over(effects),
            (Timer::AskAgain, Stage::TakeOver) => self.ask_again(effects),
            (Timer::HeadStart, Stage::Test(_) | Stage::Switch(_) | Stage::Back(_)) => self.send_waiting(true, effects),
            (Timer::RoundPause, Stage::Verify(_) | Stage::Proof(_) | Stage::BackProof(..)) if !self.probing => {
                self.probe(Continuity::GoesOn, effects);
            }
            (Timer::Settle, Stage::Test(_) | Stage::Switch(_)) => self.silence_is_over_long(effects),
            (Timer::Settle, Stage::Verify(proof) | Stage::Proof(proof)) if proof.links.overtime => {
                self.overtime_is_over(effects);
            }
            (Timer::Settle | Timer::Rekey, stage @ (Stage::Verify(proof) | Stage::Proof(proof))) => {
                let held_so_far = proof.nothing_is_wrong();
                let all_logged_in = matches!(stage, Stage::Proof(_)) || self.hosts.iter().all(|host| host.logged_in);
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
            (Timer::Steady, Stage::Verify(_) | Stage::Proof(_)) => {
                if let Some(proof) = self.stage.proof_mut() {
                    proof.units_had_time = true;
                }
            }
            (Timer::SettleBack | Timer::SettleAfterBoot, Stage::BackProof(_, links)) if links.overtime => {
                self.overtime_is_over(effects);
            }
            (Timer::SettleBack | Timer::SettleAfterBoot, Stage::BackProof(_, links))
                if links.streak == 0 && links.broken.is_empty() =>
            {
                self.enter_overtime(effects);
            }
            (Timer::SettleBack | Timer::SettleAfterBoot, Stage::BackProof(..)) => self.back_not_proven(effects),
            _ => {}
        }
    }

    fn settle_time_is_over(&mut self, effects: &mut Vec<Effect>) {
        let Some(proof) = self.stage.proof_mut() else { return };
        let broken = &proof.links.broken;
        let only_handshakes = !broken.is_empty()
            && proof.failed.is_empty()
            && proof.unheard.is_none()
            && broken.is_subset(&proof.waiting);
        if only_handshakes && !self.rekeying {
            self.rekeying = true;
            proof.links.overtime = false;
            effects.push(Effect::Forget(Timer::Settle));
            effects.push(Effect::Expect(Timer::Rekey));
            effects.push(Effect::Tell(Event::warned(None, Notice::WaitingForHandshake)));
        } else {
            self.not_verified(effects);
        }
    }

    pub(super) fn not_verified(&mut self, effects: &mut Vec<Effect>) {
        self.tell_matrix(Phase::Verify, effects);
        let Some(ForwardProof { links, failed, unheard, .. }) = self.stage.proof() else { return };
        let unsteady: BTreeSet<(HostId, String)> =
            self.unsteady().into_iter().map(|(host, unit, _)| (host, unit.clone())).collect();
        let to_blame: BTreeSet<(HostId, String)> = failed.union(&unsteady).cloned().collect();
        // The roll back may stop the units before their journals are read; but their journals stay.
        for host in self.plan.changing() {
            let units = of_host(&to_blame, host);
            if !units.is_empty() {
                effects.push(Effect::ReadJournals { host, units });
            }
        }
        self.remember(&to_blame, effects);
        let is_verify = matches!(self.stage, Stage::Verify(_));
        let silent = self.plan.ids().find(|host| is_verify && !self.hosts[host.0].logged_in);
        let name = |host: HostId| self.plan.host(host).name.clone();
        let no_login = |host: HostId, cause: Cause| RollbackReason::NoLogin { host: name(host), cause };
        let links_hold = links.broken.is_empty();
        let reason = if let Some((host, _)) = failed.first() {
            let units = self.with_their_past(*host, of_host(failed, *host));
            RollbackReason::UnitsFailed { host: name(*host), units }
        } else if let (Some(host), true) = (silent, links_hold) {
            no_login(host, self.told.shut.get(&host).cloned().unwrap_or(Cause::SilentWhileSettling))
        } else if let (Some(host), true) = (unheard, links_hold) {
            no_login(*host, Cause::UnitsUnheard)
        } else if let (Some((host, _)), true) = (unsteady.first(), links_hold) {
            let steady = self.plan.host(*host).units.steady;
            RollbackReason::UnitsUnsteady { host: name(*host), units: of_host(&unsteady, *host), steady }
        } else if let (true, down) = (links_hold, self.down_and_open())
            && !down.is_empty()
        {
            RollbackReason::LinksDown { links: self.down_links(&down), common: self.in_common(&down) }
        } else if links_hold && !links.unproven.is_empty() {
            RollbackReason::LinksNotMeasured { links: links.unproven.len(), hosts: self.slow_hosts() }
        } else {
            RollbackReason::LinksDown { links: self.down_links(&links.broken), common: self.in_common(&links.broken) }
        };
        self.turn_back(reason, effects);
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
            let last = self.stage.proof_mut().and_then(|proof| proof.restarts.insert(host, seen.restarts.clone()));
            let mut new = plan.new_failures(host, &seen.failed_units, &seen.restarts, last.as_ref());
            new.retain(|unit| self.answers_for(host, unit, &seen.units, effects));
            failures.extend(new.into_iter().map(|unit| (host, unit)));
            self.look_at_units(host, seen);
            // Its second activation starts units once more.
            if matches!(self.stage, Stage::Verify(_)) && plan.host(host).reactivate {
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
