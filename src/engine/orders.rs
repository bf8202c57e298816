//! Turns orders into the scripts that are sent, and the answers of hosts into what they mean for the order: all that a
//! simulated host shares with a real one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::epochs::Epochs;
use super::hosts::Order;
use super::mutex::lock;
use super::retry::Try;
use crate::decide::vocabulary::{Answer, Step};
use crate::event::reason::cause::Cause;
use crate::facts::host::{GuardState, JobKind, JobState, Standing, same_boot};
use crate::facts::plan::{HostId, Plan};
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::inventory::model::{GuardAction, Host, HostName};
use crate::remote::step::{AskUnits, Expected, RemoteStep, Speaker};

/// The names by which the hosts know this run.
#[derive(Debug, Clone)]
pub struct Identity {
    pub run: String,
    /// `person@workstation`.
    pub owner: String,
    /// The hosts that the run changes: kept on each of them for `recover`.
    pub hosts: Vec<HostName>,
}

/// How a host's guard brings it back.
#[derive(Debug, Clone, Copy)]
pub struct HostGuard {
    pub action: GuardAction,
    /// How long a step that still runs may take to end before it is killed, by a roll back or by the guard itself.
    pub job_wait: Duration,
    /// Whether a person works on the host. Not all that they do shows in its systems, so the guard goes back whatever
    /// it sees there.
    pub by_hand: bool,
}

impl HostGuard {
    /// Makes the guard of a host. A step that still runs gets a minute (docs/design.md, "Firing"), and never more than
    /// a third of what a roll back may take.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self::new(host.guard_action, host.limits.rollback)
    }

    #[must_use]
    pub fn new(action: GuardAction, rollback: Duration) -> Self {
        let job_wait = (rollback / 3).clamp(Duration::from_secs(1), Duration::from_secs(60));
        Self { action, job_wait, by_hand: false }
    }

    /// Returns the guard's own times and ways, by their names in `guard.sh`.
    fn pace(self) -> Vec<(&'static str, u64)> {
        let by_hand = self.by_hand.then_some(("by_hand", 1));
        std::iter::once(("job_wait", self.job_wait.as_secs())).chain(by_hand).collect()
    }
}

/// The host's own clock, as it is known here.
#[derive(Debug, Clone, Copy)]
pub struct HostClock {
    /// `/proc/uptime` of the survey, in seconds.
    pub uptime: u64,
    /// Our clock when the survey's answer had come.
    pub at: Duration,
}

/// All that is known of the hosts when orders become commands.
#[derive(Debug)]
pub struct Orders {
    pub plan: Arc<Plan>,
    identity: Identity,
    guards: Vec<HostGuard>,
    /// Tasks of several hosts read and write these two at once. Each lock is held for one statement, and none over an
    /// `await`.
    clocks: Mutex<Vec<HostClock>>,
    epochs: Mutex<Epochs>,
}

impl Orders {
    /// Makes the orders of a run. `guards` and `clocks` are in the order of the plan's hosts.
    #[must_use]
    pub fn new(plan: Arc<Plan>, identity: Identity, guards: Vec<HostGuard>, clocks: Vec<HostClock>) -> Self {
        let epochs = Mutex::new(Epochs::first(plan.hosts.len()));
        Self { plan, identity, guards, clocks: Mutex::new(clocks), epochs }
    }

    /// Makes them the orders of a coordinator that takes the run over.
    #[must_use]
    pub fn with_epochs(self, epochs: Epochs) -> Self {
        Self { epochs: Mutex::new(epochs), ..self }
    }

    /// Bids higher than the host; see [`Epochs::outbid`].
    pub fn outbid(&self, host: HostId) {
        lock(&self.epochs).outbid(host);
    }

    pub(super) fn speaker(&self, host: HostId) -> Speaker {
        Speaker { run: self.identity.run.clone(), epoch: lock(&self.epochs).of(host) }
    }

    /// Returns the step that is sent to the host.
    pub fn remote_step(&self, host: HostId, order: &Order) -> RemoteStep {
        let speaker = self.speaker(host);
        let plan = self.plan.host(host);
        match &order.step {
            Step::TakeOver { .. } => RemoteStep::TakeOver { speaker, owner: self.identity.owner.clone() },
            Step::Arm { expect, boot_id } => RemoteStep::Arm {
                speaker,
                owner: self.identity.owner.clone(),
                boot_id: boot_id.clone(),
                expected: Expected::from(expect),
                latest: self.latest(host, order.until),
                guard: order.guard,
                action: self.guards[host.0].action,
                pace: self.guards[host.0].pace(),
                hosts: self.identity.hosts.clone(),
            },
            Step::Extend { boot_id } => RemoteStep::Extend { speaker, boot_id: boot_id.clone(), guard: order.guard },
            Step::Job { kind, boot_id } => RemoteStep::Job {
                boot_id: boot_id.clone(),
                kind: *kind,
                needs: order.needs,
                // Only a recovery speaks with a higher epoch than the first.
                expected: expected_before(*kind, speaker.epoch > 1, &plan.old, &plan.new),
                speaker,
                new: plan.new.clone(),
                limit: order.limit,
            },
            Step::Ask => RemoteStep::Ask { run: speaker.run },
            // The rounds of a proof tell the units; after a roll back the login's answer does, too.
            Step::Login { after: true } => RemoteStep::Standing { run: Some(speaker.run), units: AskUnits::No },
            Step::Login { after: false } | Step::Return { .. } => {
                RemoteStep::Standing { run: Some(speaker.run), units: AskUnits::Yes }
            }
            Step::Disarm { expect, boot_id } => {
                RemoteStep::Disarm { speaker, boot_id: boot_id.clone(), expected: Expected::from(expect) }
            }
            Step::Release => RemoteStep::Release { speaker },
            Step::Clean { mark } => RemoteStep::Clean { speaker, mark: mark.clone() },
            Step::Unmark { host } => RemoteStep::Unmark { speaker, host: host.clone() },
        }
    }

    /// Returns the wait for a switch that is still at work on a host that was just taken over: what it leaves behind
    /// decides between forward and back. Other jobs are not waited for, because a roll back ends them.
    #[must_use]
    pub fn await_first(&self, taken_over: &StepAnswer, limit: Duration) -> Option<RemoteStep> {
        let jobs = &taken_over.standing.jobs;
        let runs = |kind: &JobKind| jobs.get(kind) == Some(&JobState::Running);
        let kind = [JobKind::Switch, JobKind::Reactivate].into_iter().find(runs)?;
        Some(RemoteStep::Await { run: self.identity.run.clone(), kind, limit })
    }

    /// Says what a host's answer means for the order it was given; `now` is when it came.
    #[must_use]
    pub fn understand(&self, host: HostId, step: &Step, mut answer: StepAnswer, now: Duration) -> Try {
        let speaker = self.speaker(host);
        let shown = answer.standing.fence.as_ref().or(answer.standing.lease.as_ref());
        if let Some(lease) = shown.filter(|lease| lease.run == speaker.run) {
            // It is written down before the answer is judged: the decider may outbid the host at once, and must be
            // above this.
            lock(&self.epochs).saw(host, lease.epoch);
            // Two recoveries that have begun at once may even have the same epoch.
            let is_anothers = *step == Step::Ask && lease.owner != self.identity.owner;
            if lease.epoch > speaker.epoch || (is_anothers && lease.epoch == speaker.epoch) {
                // Every answer shows the lease, also the answer to a question that no fence guards.
                let text = lease.taken_over();
                answer.outcome = StepOutcome::Refused { reason: RefusalReason::Superseded, text };
            }
        }
        // The clock of a host that has restarted begins anew, so it is learned from every answer.
        lock(&self.clocks)[host.0] = HostClock { uptime: answer.standing.uptime, at: now };
        match step {
            Step::Return { boot_id } if !has_returned(boot_id, &answer.standing) => {
                Try::NotYet(Box::new(answer.standing))
            }
            // Any other answer ends the tries, also a refusal: what to do about it is for the decider.
            _ => Try::Answer(Answer::Said(Box::new(answer))),
        }
    }

    /// Says what it means that a host does not let us in. A guard may be about to take that away; and while a guard may
    /// still be armed, the host is asked until the guard is known to be disarmed or fired.
    #[must_use]
    pub fn understand_denial(step: &Step, why: Cause) -> Try {
        match step {
            Step::Return { .. } | Step::Disarm { .. } | Step::TakeOver { by_guard: true } => {
                Try::Lost { why, may_have_run: false }
            }
            _ => Try::Answer(Answer::Denied { why }),
        }
    }

    /// Says what it means that a host's answer had no end. The host is not asked the same again, because that would
    /// take all our time; but a guard that may still be armed is asked about, as on any host that does not answer.
    #[must_use]
    pub fn understand_excess(step: &Step, why: Cause) -> Try {
        match step {
            Step::Return { .. } | Step::Disarm { .. } | Step::TakeOver { .. } => Try::Lost { why, may_have_run: true },
            _ => Try::Answer(Answer::Unknown { why }),
        }
    }

    /// Returns the host's clock when ours says `until`. It is never too late, because the host's answer was on its way
    /// when we read ours.
    fn latest(&self, host: HostId, until: Duration) -> u64 {
        let clock = lock(&self.clocks)[host.0];
        clock.uptime + until.saturating_sub(clock.at).as_secs()
    }
}

/// Returns whether a host that was left to its guard is through with it: on another boot, brought back without one, or
/// disarmed after all.
fn has_returned(boot_id: &str, standing: &Standing) -> bool {
    !same_boot(&standing.boot_id, boot_id)
        || matches!(standing.guard, GuardState::Fired { .. } | GuardState::Disarmed { .. })
}

/// Returns where a host must stand for a job to begin. A recovery may find a switch half done, and does it again.
fn expected_before(kind: JobKind, recovers: bool, old: &Systems, new: &StorePath) -> Expected {
    match kind {
        JobKind::Test => Expected::from(old),
        JobKind::Switch | JobKind::Reactivate if recovers => {
            Expected { current: Some(new.clone()), ..Expected::default() }
        }
        JobKind::Switch | JobKind::Reactivate => Expected { current: Some(new.clone()), ..Expected::from(old) },
        // A roll back begins from whatever half a step has left behind.
        JobKind::Rollback => Expected::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_an_end_is_no_answer_and_only_a_guard_is_asked_about_again() {
        let boot_id = String::new;
        for step in [Step::Return { boot_id: boot_id() }, Step::TakeOver { by_guard: false }] {
            let lost = Try::Lost { why: Cause::StepGivenUp, may_have_run: true };
            assert_eq!(Orders::understand_excess(&step, Cause::StepGivenUp), lost, "{step:?}");
        }
        for step in [Step::Job { kind: JobKind::Test, boot_id: boot_id() }, Step::Extend { boot_id: boot_id() }] {
            let unknown = Try::Answer(Answer::Unknown { why: Cause::StepGivenUp });
            assert_eq!(Orders::understand_excess(&step, Cause::StepGivenUp), unknown, "{step:?}");
        }
    }
}
