//! Decides in phases 8 and 10: whether the time is enough, the commit, the disarm, and how it all ended.

use crate::decide::transaction::inspection::Found;
use crate::decide::transaction::proof::links_at_end;
use crate::decide::transaction::recover::Aim;
use crate::decide::transaction::stage::{CleanUp, Disarming, Stage};
use crate::decide::transaction::state::{HostNow, Progress, Transaction};
use crate::decide::vocabulary::{Answer, Effect, Entry, RollbackReason, Step, Verdict};
use crate::event::reason::cause::Cause;
use crate::event::reason::caution::Caution;
use crate::event::reason::fate::Fate;
use crate::event::reason::notice::Notice;
use crate::event::reason::run_end::{Concluded, FleetEnd, WhyEnded};
use crate::event::{Event, HostOutcome, Outcome, Phase};
use crate::facts::host::{GuardState, same_boot};
use crate::facts::links::LinkId;
use crate::facts::plan::HostId;
use crate::facts::step_answer::{RefusalReason, StepOutcome};
use crate::facts::systems::Systems;

impl Transaction {
    pub(super) fn weighed(&mut self, enough: bool, effects: &mut Vec<Effect>) {
        match (&mut self.stage, enough) {
            (Stage::ExtendToSwitch(_), true) => self.enter_switch(effects),
            (Stage::ExtendToDisarm(_), true) => self.enter_disarm(effects),
            (Stage::ExtendToSwitch(extension) | Stage::ExtendToDisarm(extension), false) if !extension.is_sent => {
                extension.is_sent = true;
                self.extend_all(effects);
            }
            (Stage::ExtendToSwitch(_) | Stage::ExtendToDisarm(_), false) => {
                self.turn_back(RollbackReason::NoTimeLeft, effects);
            }
            _ => {}
        }
    }

    pub(super) fn extend_all(&mut self, effects: &mut Vec<Effect>) {
        let changing: Vec<HostId> = self.plan.changing().filter(|host| !self.hosts[host.0].is_through()).collect();
        for host in changing {
            self.hosts[host.0].progress = Progress::Sent;
            let boot_id = self.hosts[host.0].boot_id.clone();
            self.run(host, Step::Extend { boot_id }, effects);
        }
    }

    pub(super) fn after_extend(&mut self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        if matches!(answer, Answer::Said(said) if said.outcome == StepOutcome::Done) {
            self.hosts[host.0].progress = Progress::Done;
            match self.stage {
                _ if !self.all_changing(Progress::Done) => {}
                // A whole guard is time enough, as the survey has checked. Each test weighs again when it is sent,
                // since the answers have used up some of it.
                Stage::ExtendToTest => self.enter_next_wave(effects),
                _ => effects.push(Effect::Weigh),
            }
        } else {
            // All or nothing: the earliest deadline known for certain counts.
            self.turn_back(RollbackReason::NoTimeLeft, effects);
        }
    }

    pub(super) fn enter_disarm(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Disarm(Disarming::default()));
        self.begin(Phase::Disarm, effects);
        effects.push(Effect::Record(Entry::Disarming));
        let changing: Vec<HostId> = self.plan.changing().collect();
        for host in changing {
            if !self.takes_part(host) {
                // Its end is known already.
            } else if self.hosts[host.0].has_left() {
                self.hosts[host.0].end = Some(self.moved_on(host));
            } else if self.hosts[host.0].is_through() {
                self.hosts[host.0].end = Some(HostOutcome::Committed);
            } else {
                self.disarm(host, Systems::all(&self.plan.host(host).new), effects);
            }
        }
        self.clean_when_all_are_disarmed(effects);
    }

    pub(super) fn disarm(&mut self, host: HostId, expect: Systems, effects: &mut Vec<Effect>) {
        self.hosts[host.0].progress = Progress::Sent;
        let boot_id = self.hosts[host.0].boot_id.clone();
        self.run(host, Step::Disarm { expect, boot_id }, effects);
    }

    pub(super) fn after_disarm(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        let plan = self.plan.host(host);
        self.tell_next_boot(host, &answer, effects);
        let end = match answer {
            answer if matches!(step, Step::Return { .. } | Step::Ask) => self.seen_without_disarm(host, answer),
            Answer::Said(said) => {
                let on_new = said.standing.systems.all_are(&plan.new);
                let rebooted = !same_boot(&said.standing.boot_id, &self.hosts[host.0].boot_id);
                let through = rebooted || matches!(said.standing.guard, GuardState::Fired { .. });
                match said.outcome {
                    // The second: it restarted by itself after its boot default moved, on the new system, unguarded.
                    StepOutcome::Done | StepOutcome::Refused { reason: RefusalReason::OtherBoot, .. } if on_new => {
                        HostOutcome::Committed
                    }
                    // This workstation slept until the guard had brought it back.
                    StepOutcome::Refused { .. } if through && plan.is_back(&said.standing.systems) => {
                        HostOutcome::RolledBack { by_guard: true }
                    }
                    StepOutcome::Refused { reason, text } => {
                        HostOutcome::Lost { why: Cause::refused(reason, text).into() }
                    }
                    StepOutcome::Failed { failure } => HostOutcome::Lost { why: Cause::failed(failure).into() },
                    StepOutcome::Done => {
                        HostOutcome::Lost { why: Fate::DisarmedElsewhere { systems: said.standing.systems }.into() }
                    }
                }
            }
            Answer::Unknown { why } | Answer::Denied { why } => HostOutcome::Lost { why: why.into() },
            Answer::NotSent => HostOutcome::Lost { why: Cause::NoTimeToAsk.into() },
        };
        let was_armed = self.hosts[host.0].armed;
        if !matches!(end, HostOutcome::Lost { .. }) {
            self.hosts[host.0].armed = false;
        }
        if end == HostOutcome::Committed && was_armed {
            effects.push(Effect::Tell(Event::GuardDisarmed { host: plan.name.clone() }));
        }
        self.hosts[host.0].end = Some(end);
        self.mind_the_disarms(effects);
        self.clean_when_all_are_disarmed(effects);
    }

    pub(super) fn tell_next_boot(&self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        let Answer::Said(said) = answer else { return };
        if let (StepOutcome::Done, Some(next)) = (&said.outcome, &said.standing.next_boot) {
            let caution = Caution::OneShotSet { entry: next.entry.clone() };
            effects.push(Effect::Tell(Event::warned(Some(&self.plan.host(host).name), caution)));
        }
    }

    pub(super) fn clean_when_all_are_disarmed(&mut self, effects: &mut Vec<Effect>) {
        if self.plan.changing().any(|host| self.hosts[host.0].end.is_none()) {
            return;
        }
        let is_committed = |host: &HostId| self.hosts[host.0].end == Some(HostOutcome::Committed);
        let committed = self.plan.changing().any(|host| is_committed(&host));
        let is_split = committed && !self.plan.changing().all(|host| is_committed(&host));
        if let Stage::Disarm(disarming) = &mut self.stage
            && is_split
            && !disarming.asked_the_committed
        {
            disarming.asked_the_committed = true;
            self.ask_who_was_through(effects);
            return;
        }
        for host in self.hosts.iter_mut().filter(|_| committed) {
            if matches!(host.end, Some(HostOutcome::RolledBack { .. })) {
                host.end = Some(HostOutcome::Lost { why: Fate::BroughtBackBeforeDisarm.into() });
            }
        }
        self.enter_clean(effects);
    }

    /// Cleans up only after the last answer, because `recover` needs the traces that a split leaves on the hosts.
    pub(super) fn enter_clean(&mut self, effects: &mut Vec<Effect>) {
        self.enter(Stage::Clean(CleanUp::default()));
        self.settle_by_marks();
        let outcome = self.outcome();
        self.record_who_is_missing(outcome, effects);
        // The run has not come to its end on this host.
        if outcome != Outcome::Left {
            effects.push(Effect::Record(Entry::Finished { outcome }));
        }
        let has_ended = !matches!(outcome, Outcome::Split | Outcome::Left) && self.told.held_up.is_none();
        if has_ended || self.lost_ones_keep_nothing {
            self.clean_all(effects);
        } else if self.recovery.is_some() {
            self.release_all(effects);
        }
        self.finish_when_clean(effects);
    }

    /// Gives back the claims of a recovery that has not ended the run; the fence stays. On a host where a guard may be
    /// armed the claim belongs to that guard, and stays.
    fn release_all(&mut self, effects: &mut Vec<Effect>) {
        for host in self.plan.ids() {
            let now = &self.hosts[host.0];
            if now.held && !now.armed && self.takes_part(host) {
                self.hosts[host.0].progress = Progress::Sent;
                self.run(host, Step::Release, effects);
            }
        }
    }

    /// Tells of traces that stay on a host: they hold it against the next push, and that must not come as a surprise.
    pub(super) fn after_clean(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        if *step == Step::Release {
            // A claim that could not be given back hinders a push, which names the way out, and no recovery.
            return;
        }
        if self.is_overtaken(host, step, &answer, effects) {
            return;
        }
        let why = match answer {
            Answer::Said(said) => match said.outcome {
                StepOutcome::Done => return,
                StepOutcome::Refused { reason, text } => Cause::refused(reason, text),
                StepOutcome::Failed { failure } => Cause::failed(failure),
            },
            Answer::Unknown { why } | Answer::Denied { why } => why,
            Answer::NotSent => Cause::NoTimeToAsk,
        };
        // Its mark on the others stays as well.
        if let Stage::Clean(clean_up) = &mut self.stage {
            clean_up.dealt_with.remove(&host);
        }
        if let Step::Clean { mark } = step {
            self.leave_unmarked(host, mark, &why, effects);
        }
        self.told.kept.insert(host, why.clone());
        let notice = Notice::TracesKept { cause: why };
        effects.push(Effect::Tell(Event::warned(Some(&self.plan.host(host).name), notice)));
    }

    /// Checks whether another recovery has overtaken this one. If all hosts were through, any later coordinator finds
    /// them so. If one is missing, another recovery may have taken back meanwhile what this one was about to call
    /// ended, and may even be through with it: the host says where it is.
    fn is_overtaken(&mut self, host: HostId, step: &Step, answer: &Answer, effects: &mut Vec<Effect>) -> bool {
        let Answer::Said(said) = answer else { return false };
        if self.missing().next().is_none() {
            return false;
        }
        if let Some(says) = self.disowned_by(host, step, answer) {
            self.disown(host, says, &said.standing, effects);
        } else {
            let (plan, systems) = (self.plan.host(host), &said.standing.systems);
            let is_there = match self.hosts[host.0].end {
                Some(HostOutcome::Committed) => systems.all_are(&plan.new),
                Some(HostOutcome::RolledBack { .. }) => plan.is_back(systems),
                _ => true,
            };
            if is_there {
                return false;
            }
            let fate = Fate::MovedMeanwhile { systems: systems.clone() };
            self.hosts[host.0].end = Some(HostOutcome::Lost { why: fate.into() });
        }
        if matches!(self.stage, Stage::Clean(_)) {
            effects.push(Effect::Record(Entry::Finished { outcome: self.outcome() }));
        }
        true
    }

    pub(super) fn finish_when_clean(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.stage, Stage::Over(_)) {
            return;
        }
        if self.hosts.iter().all(|host| host.step.is_none()) {
            self.unmark_next(effects);
        }
        if self.hosts.iter().all(|host| host.step.is_none()) {
            self.enter(Stage::Over(None));
            effects.push(Effect::Finish(self.verdict()));
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        if matches!(self.stage, Stage::Over(Some(_))) {
            return Outcome::Superseded;
        }
        let ends = || self.hosts.iter().filter_map(|host| host.end.as_ref());
        let is_lost = |host: &HostNow| matches!(host.end, Some(HostOutcome::Lost { .. }));
        // If nothing was tested, a host that is lost to this run can hold an empty guard at most.
        let is_harmless = |host: &HostNow| host.disowned && self.recovery.is_none() && !self.anything_tested();
        if self.hosts.iter().any(|host| is_lost(host) && !is_harmless(host)) {
            Outcome::Split
        } else if ends().any(|end| matches!(end, HostOutcome::Left { .. })) {
            Outcome::Left
        } else if ends().any(|end| *end == HostOutcome::Committed) {
            Outcome::Committed
        } else if self.recovery.is_some() && ends().any(|end| matches!(end, HostOutcome::RolledBack { .. })) {
            Outcome::RolledBack
        } else if self.is_over_by_itself() {
            Outcome::Unchanged
        } else if !self.anything_tested() && self.interrupted.is_none() {
            Outcome::Refused
        } else {
            Outcome::RolledBack
        }
    }

    /// Returns whether nothing is left of the run that could go forward or back.
    fn is_over_by_itself(&self) -> bool {
        let forgets = matches!(self.aim(), Aim::Forget { .. });
        let untouched = |host: HostId| self.hosts[host.0].end == Some(HostOutcome::Untouched);
        let was_cleaned = self.missing().next().is_some()
            && self
                .plan
                .changing()
                .filter(|host| self.takes_part(*host))
                .all(|host| untouched(host) && matches!(self.hosts[host.0].found, Some(Found::Cleaned(_))));
        let mut ends = self.hosts.iter().filter_map(|host| host.end.as_ref());
        self.recovery.is_some()
            && (was_cleaned
                || ends.any(|end| matches!(end, HostOutcome::MovedOn { .. }))
                || self.hosts.iter().any(HostNow::has_left)
                || (forgets && self.told.held_up.is_none()))
    }

    fn anything_tested(&self) -> bool {
        self.hosts.iter().any(|host| host.activated)
    }

    pub(super) fn verdict(&self) -> Verdict {
        let hosts = self.plan.ids().map(|host| {
            let plan = self.plan.host(host);
            let end = self.hosts[host.0].end.clone().unwrap_or(if plan.changes {
                HostOutcome::Untouched
            } else {
                HostOutcome::Witness
            });
            (plan.name.clone(), end)
        });
        let gone = self.plan.changing().filter(|host| self.recovery.is_some() && self.is_gone(*host));
        Verdict {
            outcome: self.outcome(),
            hosts: hosts.collect(),
            text: self.concluded().into(),
            interrupted: self.interrupted,
            gone: gone.map(|host| self.plan.host(host).name.clone()).collect(),
            kept: self.told.kept.iter().map(|(host, why)| (self.plan.host(*host).name.clone(), why.clone())).collect(),
        }
    }

    /// Says why it all ended so, and which hosts that does not mean.
    fn concluded(&self) -> Concluded {
        let named = |wanted: &dyn Fn(HostId) -> bool| {
            let hosts = self.plan.changing().filter(|host| wanted(*host)).map(|host| self.plan.host(host).name.clone());
            hosts.collect::<Vec<_>>()
        };
        let end = |host: HostId| self.hosts[host.0].end.as_ref();
        Concluded {
            why: self.why_ended(),
            network_as_before: self.outcome() == Outcome::RolledBack
                && self.is_back_proven()
                && self.plan.links.iter().any(|link| link.left_out.is_none()),
            ended_without: named(&|host| end(host) == Some(&HostOutcome::Missing)),
            moved_on: named(&|host| matches!(end(host), Some(HostOutcome::MovedOn { .. }))),
            not_marked: named(&|host| {
                self.told.kept.contains_key(&host) && matches!(end(host), Some(HostOutcome::Left { .. }))
            }),
            not_known: named(&|host| self.is_not_known(host)),
        }
    }

    fn why_ended(&self) -> WhyEnded {
        let outcome = self.outcome();
        if let Stage::Over(Some(cause)) = &self.stage {
            return WhyEnded::End(FleetEnd::LeftToAnother { cause: cause.clone() });
        }
        if let Some(reason) = &self.told.reason {
            return WhyEnded::TurnedBack(reason.clone());
        }
        if let Some(held_up) = &self.told.held_up {
            return WhyEnded::HeldUp(held_up.clone());
        }
        let is_disarm = matches!(self.stage, Stage::Disarm(_));
        WhyEnded::End(match outcome {
            Outcome::Unchanged => FleetEnd::NothingLeft,
            Outcome::Split if self.recovery.is_some() && !is_disarm => FleetEnd::NotAllAnswer,
            Outcome::Split => FleetEnd::NotAllDisarmed,
            Outcome::RolledBack => FleetEnd::AllBackBefore,
            Outcome::Refused => FleetEnd::NothingTouched,
            _ => {
                let lost = self.lost_hosts();
                let counts = |link: LinkId| !self.plan.links[link].has_an_end_at(&lost);
                FleetEnd::AllAsMeant { links: links_at_end(&self.plan, self.told.last_round.as_ref(), counts) }
            }
        })
    }
}
