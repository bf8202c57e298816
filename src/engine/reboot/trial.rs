//! Carries out the orders of a host's trial, and looks at the host until a look settles what is waited for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::{Before, LOOK_PAUSE, RebootDriver};
use crate::decide::reboot::RebootInput;
use crate::decide::reboot::trial::times::TrialTimes;
use crate::decide::reboot::trial::{Awaited, Trial, TrialAnswer, TrialInput, TrialOrder, TrialPlan, TrialSight};
use crate::engine::clock::{BootClock, Clock, within};
use crate::engine::mutex::lock;
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::reboot::RebootActivity;
use crate::event::reason::trying::TryingReason;
use crate::event::waiting::AfterWait;
use crate::facts::host::Standing;
use crate::facts::plan::{HostId, HostPlan};
use crate::facts::step_answer::{JobEnd, RefusalReason, StepAnswer, StepFailure, StepOutcome};
use crate::facts::trial::TrialJob;
use crate::inventory::model::Host;
use crate::remote::answer;
use crate::remote::step::{Expected, RemoteStep};

/// How much time the trial's guard must have left beyond `keep` itself: it reads back, and writes `proven`.
const KEEPING: Duration = Duration::from_secs(30);

/// The same for `register`, so that the order to go comes in time.
const REGISTERING: Duration = Duration::from_secs(60);

/// The status of `register` where the host cannot be tried, and nothing was moved (`not_to_be_tried` in `restore.sh`).
const NOT_TO_BE_TRIED: i32 = 102;

/// How long a clean-up may take beyond its answer: it has the loader installed where the guard could not
/// (`put_loader_right` in `clean_trial.sh`, 180 s and what that reads back).
pub(in crate::engine) const CLEANING: Duration = Duration::from_secs(240);

/// Beyond a detached step's own limit: the look at what became of it.
const AFTER_STEP: Duration = Duration::from_secs(30);

/// The trials of a rolling reboot.
#[derive(Debug, Default)]
pub(super) struct Trials {
    pub(super) plans: BTreeMap<HostId, TrialPlan>,
    /// The boots that they were seen on last.
    seen: Mutex<BTreeMap<HostId, String>>,
}

impl Trials {
    pub(super) fn new(plans: BTreeMap<HostId, TrialPlan>) -> Self {
        Self { plans, seen: Mutex::default() }
    }

    /// Returns the boot that orders for a host speak of.
    fn boot_of(&self, id: HostId, plan: &HostPlan) -> String {
        lock(&self.seen).get(&id).cloned().unwrap_or_else(|| plan.boot_id.clone())
    }

    fn saw(&self, id: HostId, standing: &Standing) {
        lock(&self.seen).insert(id, standing.boot_id.clone());
    }
}

impl RebootDriver<'_> {
    /// Returns the times of a host's trial.
    pub(super) fn times_of(&self, host: &Host) -> TrialTimes {
        TrialTimes::of(&host.limits, host.boot_time, self.settle_after_boot())
    }

    /// Carries out an order of a trial. `trial` says which look settles what is waited for.
    pub(super) async fn try_one(
        &self,
        id: HostId,
        order: TrialOrder,
        trial: Option<Trial>,
        before: &Before,
    ) -> RebootInput {
        let plan = before.plan.host(id);
        let host = self.fleet_host(&plan.name);
        let input = match order {
            TrialOrder::Await(awaited) => self.await_sight(id, host, awaited, trial, before).await,
            TrialOrder::LogIn => return self.log_in(id, host, before).await,
            order => {
                let answer = self.step_of_trial(id, host, &order, trial.as_ref(), before).await;
                TrialInput::Answered { order, answer }
            }
        };
        RebootInput::Tried { host: id, input, boot_id: None }
    }

    /// Sends a step until the host has answered or its time is over. Each is done once, however often it is sent.
    async fn step_of_trial(
        &self,
        id: HostId,
        host: &Host,
        order: &TrialOrder,
        trial: Option<&Trial>,
        before: &Before,
    ) -> TrialAnswer {
        let plan = before.plan.host(id);
        let times = self.times_of(host);
        let answer = host.limits.connect + host.limits.step;
        let (activity, time) = match order {
            TrialOrder::Arm => (RebootActivity::ArmingTrial, answer),
            TrialOrder::Register => (RebootActivity::RegisteringTrial, answer + host.limits.switch + AFTER_STEP),
            TrialOrder::Go | TrialOrder::Leave => (RebootActivity::Told, answer),
            TrialOrder::Keep => (RebootActivity::KeepingTrial, answer + host.limits.switch + AFTER_STEP),
            TrialOrder::End => (RebootActivity::KeepingTrial, answer),
            TrialOrder::Tend => (RebootActivity::TendingGuard, answer),
            TrialOrder::Fire if trial.is_some_and(Trial::is_on_its_first_boot) => (RebootActivity::PuttingBack, answer),
            TrialOrder::Fire => (RebootActivity::GoingBack, answer),
            TrialOrder::Clean { .. } => (RebootActivity::CleaningTrial, answer + host.limits.switch.max(CLEANING)),
            TrialOrder::Await(_) | TrialOrder::LogIn | TrialOrder::Prove => (RebootActivity::LoggingIn, answer),
        };
        self.inquiry.tell(Event::moved_until(&host.name, activity, Some(time), None));
        let until = BootClock.now() + time;
        let clock = before.clocks[id.0];
        let is_on_its_first_boot = trial.is_some_and(Trial::is_on_its_first_boot);
        let boot_id = if is_on_its_first_boot { plan.boot_id.clone() } else { before.trials.boot_of(id, plan) };
        let run = self.run.to_owned();
        let job = |kind, spare| RemoteStep::TrialJob {
            run: run.clone(),
            boot_id: boot_id.clone(),
            kind,
            needs: host.limits.switch + spare,
            limit: host.limits.switch,
        };
        let step = match order {
            TrialOrder::Arm => {
                let Some(tried) = before.trials.plans.get(&id) else {
                    return TrialAnswer::Refused { why: TryingReason::DidNotGo { said: None }.into() };
                };
                RemoteStep::ArmTrial {
                    run,
                    owner: self.owner.to_owned(),
                    boot_id,
                    // One that is late would arm for nobody.
                    latest: clock.uptime + until.saturating_sub(clock.at).as_secs(),
                    booted: tried.booted.clone(),
                    tried: tried.tried.clone(),
                    guard: times.old_guard,
                    seconds: times.seconds,
                    pace: Vec::new(),
                }
            }
            TrialOrder::Register => job(TrialJob::Register, REGISTERING),
            TrialOrder::Keep => job(TrialJob::Keep, KEEPING),
            TrialOrder::Go => RemoteStep::Go { run, boot_id },
            TrialOrder::End => RemoteStep::EndTrial { run, boot_id },
            TrialOrder::Fire => RemoteStep::Fire { run, boot_id },
            TrialOrder::Tend => RemoteStep::Tend { run, boot_id },
            TrialOrder::Leave => RemoteStep::Reboot { run, boot_id, expected: Expected::default() },
            TrialOrder::Clean { why } => RemoteStep::CleanTrial { run, why: why.clone() },
            TrialOrder::Await(_) | TrialOrder::LogIn | TrialOrder::Prove => {
                return TrialAnswer::Refused { why: TryingReason::DidNotGo { said: None }.into() };
            }
        };
        let script = step.script();
        let mut may_have_run = false;
        loop {
            let limit = until.saturating_sub(BootClock.now());
            let asked = within(&BootClock, limit, self.inquiry.reach.run(&host.name, &script, limit));
            let why = match asked.await {
                Some(Ok(raw)) => match answer::step_answer(&raw.lines) {
                    Ok(answer) => {
                        before.trials.saw(id, &answer.standing);
                        return answered(order, answer, may_have_run);
                    }
                    Err(error) => {
                        may_have_run = true;
                        Cause::from(&error)
                    }
                },
                Some(Err(error)) => {
                    may_have_run |= !error.nothing_ran();
                    Cause::from(&error)
                }
                None => {
                    may_have_run = true;
                    Cause::SilentTooLong { waited: limit }
                }
            };
            let now = BootClock.now();
            if now + LOOK_PAUSE >= until {
                let why = why.into();
                // One that nobody could ask to leave its trial has refused nothing: it may come back by itself.
                let is_unknown = may_have_run || *order == TrialOrder::Leave;
                return if is_unknown { TrialAnswer::Unknown { why } } else { TrialAnswer::Refused { why } };
            }
            BootClock.sleep_until(now + LOOK_PAUSE).await;
        }
    }

    /// Looks at the host until a look settles what is waited for, or its time is over.
    async fn await_sight(
        &self,
        id: HostId,
        host: &Host,
        awaited: Awaited,
        trial: Option<Trial>,
        before: &Before,
    ) -> TrialInput {
        let (Some(trial), Some(plan)) = (trial, before.trials.plans.get(&id)) else {
            return TrialInput::Silent { why: TryingReason::DidNotGo { said: None }.into() };
        };
        let times = self.times_of(host);
        let (activity, expected, longest) = match awaited {
            Awaited::Rest => (RebootActivity::PuttingBack, times.rest(), times.rest()),
            Awaited::Return => (RebootActivity::GoingDown, times.may_hang, times.back_by_itself),
            Awaited::End => (RebootActivity::GoingBack, times.end(), times.end()),
        };
        let then = Some(AfterWait::NoFurtherReboot);
        self.inquiry.tell(Event::moved_until(&host.name, activity, Some(expected), then));
        let begun = BootClock.now();
        let until = begun + longest;
        // What was said of it since it is late.
        let mut said = None;
        loop {
            let last = match self.look(host).await {
                Ok(standing) => {
                    before.trials.saw(id, &standing);
                    let sight = TrialSight::of(plan, &standing);
                    if trial.is_settled_by(awaited, &sight) {
                        return TrialInput::Seen(sight);
                    }
                    None
                }
                Err(why) => Some(why),
            };
            let now = BootClock.now();
            let late = if last.is_none() { RebootActivity::StandsStill } else { RebootActivity::MayHang };
            if now >= until {
                return TrialInput::Silent { why: trial.overdue(now.saturating_sub(begun), last) };
            }
            if now >= begun + expected && said.replace(late) != Some(late) {
                let left = until.saturating_sub(now);
                self.inquiry.tell(Event::moved_until(&host.name, late, Some(left), then));
            }
            BootClock.sleep_until(now + LOOK_PAUSE).await;
        }
    }

    async fn log_in(&self, id: HostId, host: &Host, before: &Before) -> RebootInput {
        let settle = self.settle_after_boot();
        let within = settle + settle + host.limits.connect + host.limits.step;
        self.inquiry.tell(Event::moved_until(&host.name, RebootActivity::LoggingIn, Some(within), None));
        match (self.login_after_boot(host).await, before.trials.plans.get(&id)) {
            (Ok((standing, _)), Some(plan)) => {
                before.trials.saw(id, &standing);
                let sight = TrialSight::of(plan, &standing);
                let input = TrialInput::LoggedIn(sight);
                RebootInput::Tried { host: id, input, boot_id: Some(standing.boot_id) }
            }
            (Ok(_), None) => {
                let why = AnyReason::from(TryingReason::DidNotGo { said: None });
                RebootInput::Tried { host: id, input: TrialInput::NoLogin { why }, boot_id: None }
            }
            (Err(cause), _) => {
                let why = crate::event::reason::reboot::RollingReason::NoLoginAfterReboot { cause }.into();
                RebootInput::Tried { host: id, input: TrialInput::NoLogin { why }, boot_id: None }
            }
        }
    }
}

/// Says what the host's answer means. `may_have_run`: the step was sent before, and the answer to that was lost.
fn answered(order: &TrialOrder, answer: StepAnswer, may_have_run: bool) -> TrialAnswer {
    let StepAnswer { outcome, log, .. } = answer;
    match outcome {
        StepOutcome::Done => TrialAnswer::Done,
        // The guard may have read the first copy, and have rebooted: then the boot that refuses is the trial's.
        StepOutcome::Refused { reason, text } if *order == TrialOrder::Go && may_have_run => {
            TrialAnswer::Unknown { why: Cause::refused(reason, text).into() }
        }
        // It has left that boot already.
        StepOutcome::Refused { reason: reason @ RefusalReason::OtherBoot, text } if *order == TrialOrder::Leave => {
            TrialAnswer::Unknown { why: Cause::refused(reason, text).into() }
        }
        StepOutcome::Refused { reason, text } => TrialAnswer::Refused { why: Cause::refused(reason, text).into() },
        StepOutcome::Failed { failure } => {
            let cannot_try = failure == StepFailure::Trial(TrialJob::Register, JobEnd::Status(NOT_TO_BE_TRIED));
            let why = Cause::failed_by_log(failure, &log).into();
            if cannot_try { TrialAnswer::CannotTry { why } } else { TrialAnswer::Failed { why } }
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn answer(outcome: StepOutcome) -> StepAnswer {
        let standing = crate::decide::status::tests::well().facts.standing;
        StepAnswer { outcome, standing, log: vec!["the kernel's line is too long".into(), String::new()] }
    }

    #[test]
    fn an_order_to_go_that_may_have_been_read_is_never_refused() {
        let refused = || answer(StepOutcome::Refused { reason: RefusalReason::OtherBoot, text: "it is two".into() });
        let of = |order, may_have_run| answered(&order, refused(), may_have_run);
        assert!(matches!(of(TrialOrder::Go, true), TrialAnswer::Unknown { .. }));
        assert!(matches!(of(TrialOrder::Go, false), TrialAnswer::Refused { .. }));
        assert!(matches!(of(TrialOrder::Fire, true), TrialAnswer::Refused { .. }));
        assert!(matches!(of(TrialOrder::Leave, false), TrialAnswer::Unknown { .. }), "it has left already");
    }

    #[test]
    fn what_register_has_not_moved_cannot_be_tried_and_says_why() {
        let failed = |job, status| {
            let failure = StepFailure::Trial(job, JobEnd::Status(status));
            answered(&TrialOrder::Register, answer(StepOutcome::Failed { failure }), false)
        };
        let TrialAnswer::CannotTry { why } = failed(TrialJob::Register, 102) else { panic!("it can be tried") };
        assert!(why.to_string().contains("the kernel's line is too long"), "{why}");
        for (job, status) in [(TrialJob::Register, 103), (TrialJob::Keep, 102)] {
            assert!(matches!(failed(job, status), TrialAnswer::Failed { .. }), "{job:?} {status}");
        }
        assert_eq!(answered(&TrialOrder::Register, answer(StepOutcome::Done), true), TrialAnswer::Done);
    }
}
