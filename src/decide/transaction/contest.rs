//! Decides for a recovery that is refused at the take-over: another coordinator may be recovering the same run.
//!
//! Two recoveries meet at the first host by machine id. If the refused one simply took the next host, both would go on,
//! each with hosts of its own. So the taking stops, and the other hosts are only asked how they stand, twice, with time
//! in between for the other coordinator to come to them. A host that shows another owner's lease proves that another
//! coordinator goes on. If none does, the one that holds the refusing host is dead or has not come further, or the host
//! lies. Then this recovery begins anew, above the epoch that this host has shown, with the other hosts first and this
//! one last: so it is fenced as well, if it is honest. A host that also refuses the higher bid stands alone with its
//! word: it is lost, and this recovery goes only back, unless that very host shows itself on new for good.

use crate::decide::transaction::recover::Aim;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Progress, Transaction};
use crate::decide::vocabulary::{Answer, Disowned, Effect, Step, Timer};
use crate::event::Event;
use crate::event::reason::notice::Notice;
use crate::event::reason::run_end::Supersession;
use crate::facts::host::{GuardState, Standing};
use crate::facts::plan::HostId;
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};

/// A host has refused to be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Contest {
    pub(super) host: HostId,
    pub(super) look: Look,
}

/// How far it is known what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Look {
    /// The others are asked.
    First,
    Second,
    /// No host has shown another coordinator: all are taken over anew, and the host that refused comes last.
    Over,
}

impl Transaction {
    pub(super) fn contested(&mut self, host: HostId, said: &StepAnswer, text: String, effects: &mut Vec<Effect>) {
        let says = Disowned::SupersededByAnother { said: text };
        let others = self.others_than(host);
        let before = self.recovery.as_ref().and_then(|recovery| recovery.contest);
        match before {
            // A recovery that cannot see all hosts must not go on beside another.
            None if !others.is_empty() && self.aim() == Aim::Recover => {
                let name = self.plan.host(host).name.clone();
                let notice = Notice::TakeOverContested { cause: says };
                effects.push(Effect::Tell(Event::warned(Some(&name), notice)));
                self.set_contest(Contest { host, look: Look::First });
                self.hosts[host.0].progress = Progress::Done;
                self.ask_the_others(host, effects);
            }
            // This recovery holds all other hosts, and has asked this one with a higher epoch than it has shown.
            Some(Contest { host: refused, look: Look::Over }) if refused == host && !others.is_empty() => {
                let is_new = self.is_on_new_for_good(host, &said.standing);
                self.lose(host, &says, effects);
                self.lost_on_new |= is_new;
                if self.all_changing(Progress::Done) {
                    self.all_are_found(effects);
                }
            }
            _ => self.superseded(Supersession::HostsDisown { cause: says }, effects),
        }
    }

    fn set_contest(&mut self, contest: Contest) {
        if let Some(recovery) = &mut self.recovery {
            recovery.contest = Some(contest);
        }
    }

    fn others_than(&self, host: HostId) -> Vec<HostId> {
        let is_other = |other: &HostId| *other != host && self.takes_part(*other) && !self.is_set_aside(*other);
        self.plan.changing().filter(is_other).collect()
    }

    fn ask_the_others(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        for other in self.others_than(host) {
            let now = &mut self.hosts[other.0];
            (now.progress, now.found) = (Progress::Sent, None);
            self.run(other, Step::Ask, effects);
        }
    }

    /// Takes the answer of a host that was asked. A host that does not answer, or holds nothing of the run, shows no
    /// other coordinator; the take-over finds out the rest.
    pub(super) fn after_ask(&mut self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        let Some(contest) = self.recovery.as_ref().and_then(|recovery| recovery.contest) else { return };
        if let Answer::Said(said) = answer
            && let StepOutcome::Refused { reason: RefusalReason::Superseded, text } = &said.outcome
        {
            self.superseded(Supersession::OtherOwnerShown { said: text.clone() }, effects);
            return;
        }
        self.hosts[host.0].progress = Progress::Done;
        if self.others_than(contest.host).iter().any(|other| self.hosts[other.0].progress != Progress::Done) {
            return;
        }
        match contest.look {
            Look::First => effects.push(Effect::Expect(Timer::AskAgain)),
            Look::Second | Look::Over => self.begin_anew(contest.host, effects),
        }
    }

    pub(super) fn ask_again(&mut self, effects: &mut Vec<Effect>) {
        if let Some(Contest { host, look: Look::First }) = self.recovery.as_ref().and_then(|it| it.contest) {
            self.set_contest(Contest { host, look: Look::Second });
            self.ask_the_others(host, effects);
        }
    }

    fn begin_anew(&mut self, refused: HostId, effects: &mut Vec<Effect>) {
        self.set_contest(Contest { host: refused, look: Look::Over });
        effects.push(Effect::Outbid { host: refused });
        for host in self.others_than(refused).into_iter().chain([refused]) {
            let now = &mut self.hosts[host.0];
            (now.progress, now.found) = (Progress::Waiting, None);
        }
        self.take_over_more(effects);
    }

    /// Returns whether the host has refused before: it is the last to be taken over.
    pub(super) fn is_kept_for_last(&self, host: HostId) -> bool {
        let refused = self.recovery.as_ref().and_then(|recovery| recovery.contest).map(|contest| contest.host);
        refused == Some(host)
            && self.others_than(host).iter().any(|other| self.hosts[other.0].progress != Progress::Done)
    }

    /// Returns whether the host shows itself on new for good. That counts for itself, although it is not taken over.
    pub(super) fn is_on_new_for_good(&self, host: HostId, standing: &Standing) -> bool {
        matches!(standing.guard, GuardState::Disarmed { .. }) && standing.systems.all_are(&self.plan.host(host).new)
    }

    /// Returns whether anything is still to be done or asked on this host.
    pub(super) fn takes_part(&self, host: HostId) -> bool {
        !self.hosts[host.0].disowned && !self.hosts[host.0].missing
    }

    /// Returns whether it is to run what the others run, and can prove or disprove it.
    pub(super) fn is_asked(&self, host: HostId) -> bool {
        self.takes_part(host) && !self.hosts[host.0].has_left()
    }

    /// Returns whether the others are being asked, or are about to be.
    pub(super) fn is_contested(&self) -> bool {
        let look = self.recovery.as_ref().and_then(|recovery| recovery.contest).map(|contest| contest.look);
        self.stage == Stage::TakeOver && matches!(look, Some(Look::First | Look::Second))
    }
}
