//! A recovery that is refused where it takes over: somebody else may be recovering the same run.
//!
//! The first host by machine id is where two who recover meet. Who is refused and simply takes the next one would let
//! both go on, each with hosts of its own. So taking stops, and the others are only asked how they stand. One that shows
//! another owner's lease, or that the run was ended, proves that somebody else goes on. If every other host was asked
//! twice, with time in between for somebody else to come to it, and none shows that, the refusing host stands alone with
//! its word: it is lost to this recovery, which begins anew with the next, above what that one has shown, and from then on
//! goes only back, unless a host is seen on new for good.

use crate::decide::fact::{GuardState, RefusalReason, Standing, StepAnswer, StepOutcome};
use crate::decide::plan::HostId;
use crate::decide::transaction::{Progress, Stage, Transaction};
use crate::decide::vocabulary::{Answer, Disowned, Effect, Step, Timer};
use crate::event::Event;

/// A host has refused to be taken over, and the others are asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Contest {
    host: HostId,
    says: Disowned,
    look: Look,
}

/// How often the others were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Look {
    First,
    Second,
}

impl Transaction {
    pub(super) fn contested(&mut self, host: HostId, said: &StepAnswer, text: String, effects: &mut Vec<Effect>) {
        let says = Disowned::Superseded { text };
        self.see_side(host, &said.standing);
        let others = self.others_than(host);
        let is_second = self.hosts.iter().any(|other| other.disowned);
        let Some(recovery) = self.recovery.as_mut().filter(|_| !is_second && !others.is_empty()) else {
            self.superseded(says.to_string(), effects);
            return;
        };
        let text = format!("says that {says}: no host is taken over before the others were asked whether that is so");
        let name = self.plan.host(host).name.clone();
        effects.push(Effect::Tell(Event::Warned { host: Some(name), text }));
        recovery.contest = Some(Contest { host, says, look: Look::First });
        self.hosts[host.0].progress = Progress::Done;
        self.ask_the_others(host, effects);
    }

    fn others_than(&self, host: HostId) -> Vec<HostId> {
        let is_other = |other: &HostId| *other != host && self.takes_part(*other);
        self.plan.changing().filter(is_other).collect()
    }

    fn ask_the_others(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        for other in self.others_than(host) {
            self.hosts[other.0].progress = Progress::Sent;
            self.run(other, Step::Ask, effects);
        }
    }

    pub(super) fn after_ask(&mut self, host: HostId, answer: Answer, effects: &mut Vec<Effect>) {
        let Some(contest) = self.recovery.as_ref().and_then(|recovery| recovery.contest.clone()) else { return };
        let why = match answer {
            Answer::Said(said) => {
                self.see_side(host, &said.standing);
                match said.outcome {
                    StepOutcome::Done => None,
                    StepOutcome::Refused { reason: RefusalReason::Superseded | RefusalReason::Ended, text } => {
                        self.superseded(text, effects);
                        return;
                    }
                    StepOutcome::Refused { text, .. } | StepOutcome::Failed { text } => Some(text),
                }
            }
            Answer::Unknown { why } | Answer::Denied { why } => Some(why),
            Answer::NotSent => Some("it could not be asked".to_owned()),
        };
        let Contest { host: refused, says, look } = contest;
        if let Some(why) = why {
            // Whether somebody else goes on there cannot be told.
            let (refused, silent) = (&self.plan.host(refused).name, &self.plan.host(host).name);
            self.superseded(format!("{refused} says that {says}, and {silent} cannot be asked ({why})"), effects);
            return;
        }
        self.hosts[host.0].progress = Progress::Done;
        if self.others_than(refused).iter().any(|other| self.hosts[other.0].progress != Progress::Done) {
            return;
        }
        match look {
            Look::First => effects.push(Effect::Expect(Timer::AskAgain)),
            Look::Second => self.begin_anew_without(refused, &says, effects),
        }
    }

    pub(super) fn ask_again(&mut self, effects: &mut Vec<Effect>) {
        let Some(contest) = self.recovery.as_mut().and_then(|recovery| recovery.contest.as_mut()) else { return };
        contest.look = Look::Second;
        let host = contest.host;
        self.ask_the_others(host, effects);
    }

    fn begin_anew_without(&mut self, refused: HostId, says: &Disowned, effects: &mut Vec<Effect>) {
        self.lose(refused, says, effects);
        if let Some(recovery) = &mut self.recovery {
            recovery.contest = None;
            recovery.only_back = true;
        }
        effects.push(Effect::Outbid { host: refused });
        for other in self.others_than(refused) {
            let now = &mut self.hosts[other.0];
            (now.progress, now.found) = (Progress::Waiting, None);
        }
        self.take_over_more(effects);
    }

    /// What a host shows of itself counts although it is not taken over.
    fn see_side(&mut self, host: HostId, standing: &Standing) {
        let for_good = matches!(standing.guard, GuardState::Disarmed { .. });
        if let Some(recovery) = &mut self.recovery
            && for_good
            && standing.systems.all_are(&self.plan.host(host).new)
        {
            recovery.seen_new = true;
        }
    }

    /// Whether anything is still to be done or asked on this host.
    pub(super) fn takes_part(&self, host: HostId) -> bool {
        !self.hosts[host.0].disowned
    }

    pub(super) fn is_contested(&self) -> bool {
        self.stage == Stage::TakeOver && self.recovery.as_ref().is_some_and(|recovery| recovery.contest.is_some())
    }
}
