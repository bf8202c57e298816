//! Seeded mistakes: a check that cannot fail proves nothing. Each must be found, and by the property that names it.
//!
//! A mistake of a host is a branch in the model's scripts; a mistake of the decider alters what the real one is told,
//! or what it orders, here.

use std::collections::BTreeMap;

use fleetdeploy::decide::transaction::Transaction;
use fleetdeploy::decide::vocabulary::{Answer, Effect, Entry, Input, Step, Timer, Verdict};
use fleetdeploy::event::reason::any::AnyReason;
use fleetdeploy::event::{HostOutcome, Outcome};
use fleetdeploy::facts::host::JobKind;
use fleetdeploy::facts::links::HostRound;
use fleetdeploy::facts::plan::{HostId, Plan};
use fleetdeploy::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};

use crate::host::Host;
use crate::words::{Places, Sys, boot_id, round};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    // Mistakes of the host.
    AGuardForgetsTheBootDefault,
    AGuardLeavesTheStepRunning,
    AStepBeginsWithoutASecondLook,
    DisarmingCleansUp,
    DisarmingOnlyStopsTheUnit,
    DisarmingStopsAFiredGuard,
    TheFenceIgnoresTheBoot,
    TheFenceTrustsTheSendersClock,
    ArmingForgetsThatItIsOver,
    ArmingIsNotReadBack,
    ArmingOverridesAForeignGuard,
    RecoveringWithoutAnEpoch,
    AGuardLeavesTheNextBoot,
    TheFenceIgnoresTheNextBoot,
    ANextBootBindsTheDisarm,
    // Mistakes of the decider.
    DisarmingBeforeTheSwitch,
    CommittingBeforeVerify,
    DisarmingWithoutABarrier,
    ALostReplyIsAFailure,
    NoGuardIsDisarmed,
    NoAnswerIsDisarmed,
    RollingBackEndsAtTheFirstError,
    RollingBackWithoutArming,
    TheNextWaveBeginsUnseen,
    RollingBackForgetsTheLaterWaves,
    OneWordEndsItForAll,
    ALostHostIsWaitedForByItsGuard,
    CleaningUpWhereverItStands,
}

fn tested() -> Places {
    Places { current: Sys::New, ..Places::all(Sys::Old) }
}

fn is_switch(step: &Step) -> bool {
    matches!(step, Step::Job { kind: JobKind::Switch, .. })
}

fn said_done(on: Places) -> Answer {
    let host = Host { on, ..Host::new() };
    Answer::Said(Box::new(host.answer(StepOutcome::Done)))
}

impl Mistake {
    /// What the decider is told instead. `cleans_up`: it is that of a push which cleans up where a host is back.
    pub(crate) fn input(self, input: Input, cleans_up: bool) -> Input {
        let Input::Answered { host, step, answer } = input else { return input };
        let on = match &step {
            Step::Disarm { expect, .. } => Some(Places::of(expect)),
            _ => None,
        };
        let answer = match (self, on, answer) {
            (Self::ALostReplyIsAFailure, None, Answer::Unknown { why }) if matches!(step, Step::Arm { .. }) => {
                Answer::Denied { why }
            }
            (Self::NoAnswerIsDisarmed, Some(on), Answer::Unknown { .. }) => said_done(on),
            (Self::NoGuardIsDisarmed, Some(on), Answer::Said(said)) if has_no_guard(&said) => said_done(on),
            (Self::CleaningUpWhereverItStands, None, Answer::Said(said))
                if cleans_up && said.outcome == StepOutcome::Done && matches!(step, Step::TakeOver { .. }) =>
            {
                said_done(Places::all(Sys::Old))
            }
            (_, _, answer) => answer,
        };
        Input::Answered { host, step, answer }
    }

    /// What is done instead of what the decider orders. `going_back`: a roll back is under way.
    pub(crate) fn effects(
        self,
        seen: &Input,
        effects: Vec<Effect>,
        plan: &Plan,
        mind: &mut Transaction,
        going_back: bool,
    ) -> Vec<Effect> {
        match self {
            Self::DisarmingBeforeTheSwitch => disarm_before_the_switch(seen, effects),
            Self::CommittingBeforeVerify => commit_before_verify(effects, plan, mind),
            Self::DisarmingWithoutABarrier => disarm_without_a_barrier(seen, effects),
            Self::RollingBackEndsAtTheFirstError if going_back => end_at_the_first_error(seen, effects, plan),
            Self::RollingBackWithoutArming => effects.into_iter().map(roll_back_without_arming).collect(),
            Self::TheNextWaveBeginsUnseen => begin_the_next_wave_unseen(seen, effects, plan, mind),
            Self::OneWordEndsItForAll => end_at_the_first_word(effects),
            Self::ALostHostIsWaitedForByItsGuard => leave_all_to_their_guards(effects),
            Self::RollingBackForgetsTheLaterWaves => forget_the_later_waves(effects, plan, mind),
            _ => effects,
        }
    }
}

fn has_no_guard(said: &StepAnswer) -> bool {
    let reasons = [RefusalReason::NoGuard, RefusalReason::OtherBoot, RefusalReason::Fired];
    matches!(&said.outcome, StepOutcome::Refused { reason, .. } if reasons.contains(reason))
}

/// The procedure by hand: cancel the scheduled reboot, then switch.
fn disarm_before_the_switch(seen: &Input, effects: Vec<Effect>) -> Vec<Effect> {
    let mut instead: Vec<Effect> = effects
        .into_iter()
        .map(|effect| match effect {
            Effect::Run { host, step: Step::Job { kind: JobKind::Switch, boot_id } } => {
                Effect::Run { host, step: Step::Disarm { expect: tested().systems(), boot_id } }
            }
            effect => effect,
        })
        .collect();
    if let Input::Answered { host, step: Step::Disarm { expect, boot_id }, answer: Answer::Said(said) } = seen
        && *expect == tested().systems()
        && said.outcome == StepOutcome::Done
    {
        let step = Step::Job { kind: JobKind::Switch, boot_id: boot_id.clone() };
        instead.push(Effect::Run { host: *host, step });
    }
    instead
}

fn commit_before_verify(effects: Vec<Effect>, plan: &Plan, mind: &mut Transaction) -> Vec<Effect> {
    look_at_nothing(effects, plan, mind, |_| tested())
}

/// The wave whose test has just ended is not looked at; the last one is.
fn begin_the_next_wave_unseen(seen: &Input, effects: Vec<Effect>, plan: &Plan, mind: &mut Transaction) -> Vec<Effect> {
    let Input::Answered { host, .. } = seen else { return effects };
    let wave = plan.host(*host).wave;
    let is_last = plan.waves().keys().next_back() == Some(&wave);
    let on = |host: HostId| if plan.host(host).wave <= wave { tested() } else { Places::all(Sys::Old) };
    if is_last { effects } else { look_at_nothing(effects, plan, mind, on) }
}

/// Every login and every round is taken for good, with the hosts where `on` says.
fn look_at_nothing(
    effects: Vec<Effect>,
    plan: &Plan,
    mind: &mut Transaction,
    on: impl Fn(HostId) -> Places,
) -> Vec<Effect> {
    let looks = |effect: &Effect| {
        matches!(effect, Effect::Probe { after: true, .. } | Effect::Run { step: Step::Login { after: true }, .. })
    };
    if !effects.iter().any(|effect| matches!(effect, Effect::Run { step: Step::Login { after: true }, .. })) {
        return effects;
    }
    let mut all = effects;
    for host in plan.ids() {
        let step = Step::Login { after: true };
        all.extend(mind.handle(Input::Answered { host, step, answer: said_done(on(host)) }));
    }
    for _ in 0..3 {
        let mut round = round(plan.links.len(), true);
        for host in plan.ids() {
            let current = on(host).systems().current.to_string();
            let says = HostRound { boot_id: boot_id(0), current, ..HostRound::default() };
            round.hosts.insert(plan.host(host).name.clone(), says);
        }
        all.extend(mind.handle(Input::RoundSeen { round, waiting: std::collections::BTreeSet::new() }));
        all.extend(mind.handle(Input::TimerElapsed(Timer::RoundPause)));
    }
    all.retain(|effect| !looks(effect));
    all
}

/// Each host is disarmed as soon as it has switched.
fn disarm_without_a_barrier(seen: &Input, mut effects: Vec<Effect>) -> Vec<Effect> {
    if let Input::Answered { host, step, answer: Answer::Said(said) } = seen
        && is_switch(step)
        && said.outcome == StepOutcome::Done
        && !effects.iter().any(|effect| matches!(effect, Effect::Run { host: other, .. } if other == host))
    {
        let step = Step::Disarm { expect: Places::all(Sys::New).systems(), boot_id: boot_id(0) };
        effects.push(Effect::Run { host: HostId(host.0), step });
    }
    effects
}

fn has_lost_a_host(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Record(Entry::HostLost { .. })))
}

fn end_at_the_first_word(effects: Vec<Effect>) -> Vec<Effect> {
    if !has_lost_a_host(&effects) {
        return effects;
    }
    vec![Effect::Finish(Verdict {
        outcome: Outcome::Superseded,
        hosts: Vec::new(),
        text: AnyReason::without_code(""),
        interrupted: None,
        gone: Vec::new(),
        kept: BTreeMap::new(),
    })]
}

fn leave_all_to_their_guards(effects: Vec<Effect>) -> Vec<Effect> {
    if !has_lost_a_host(&effects) {
        return effects;
    }
    vec![Effect::Finish(Verdict {
        outcome: Outcome::Split,
        hosts: Vec::new(),
        text: AnyReason::without_code(""),
        interrupted: None,
        gone: Vec::new(),
        kept: BTreeMap::new(),
    })]
}

fn end_at_the_first_error(seen: &Input, effects: Vec<Effect>, plan: &Plan) -> Vec<Effect> {
    let failed = match seen {
        Input::Answered { step: Step::Job { kind: JobKind::Rollback, .. }, answer, .. } => {
            !matches!(answer, Answer::Said(said) if said.outcome == StepOutcome::Done)
        }
        _ => false,
    };
    if !failed {
        return effects;
    }
    let outcome = Outcome::RolledBack;
    let back = HostOutcome::RolledBack { by_guard: false };
    let hosts = plan.hosts.iter().map(|host| (host.name.clone(), back.clone())).collect();
    let verdict = Verdict {
        outcome,
        hosts,
        text: AnyReason::without_code(""),
        interrupted: None,
        gone: Vec::new(),
        kept: BTreeMap::new(),
    };
    vec![Effect::Record(Entry::Finished { outcome }), Effect::Finish(verdict)]
}

/// Only the first wave goes back; the orders for the others are taken for done.
fn forget_the_later_waves(effects: Vec<Effect>, plan: &Plan, mind: &mut Transaction) -> Vec<Effect> {
    let old = Places::all(Sys::Old);
    let is_forgotten = |host: HostId, step: &Step| {
        let goes_back = match step {
            Step::Disarm { expect, .. } => *expect == old.systems(),
            Step::Job { kind, .. } => *kind == JobKind::Rollback,
            _ => false,
        };
        goes_back && plan.host(host).wave > 0
    };
    let mut all = Vec::new();
    for effect in effects {
        match effect {
            Effect::Run { host, step } if is_forgotten(host, &step) => {
                let more = mind.handle(Input::Answered { host, step, answer: said_done(old) });
                all.extend(forget_the_later_waves(more, plan, mind));
            }
            effect => all.push(effect),
        }
    }
    all
}

/// With a fence that lets it.
fn roll_back_without_arming(effect: Effect) -> Effect {
    match effect {
        Effect::Run { host, step: Step::Arm { expect, boot_id } } if !Places::of(&expect).all_are(Sys::Old) => {
            Effect::Run { host, step: Step::Job { kind: JobKind::Rollback, boot_id } }
        }
        effect => effect,
    }
}
