//! What arrives at a simulated host and may change it: the fence, and what each script does. It follows
//! `src/remote/scripts`; the functions here bear the names of those.

use fleetdeploy::facts::host::{JobKind, Lease};
use fleetdeploy::facts::step_answer::{RefusalReason, StepOutcome};
use fleetdeploy::facts::traces::{EndMark, Ended};
use fleetdeploy::inventory::model::{GuardAction, HostName};
use fleetdeploy::remote::step::{Expected, Speaker};

use crate::host::{GuardPlan, Host, Ms, Root, RunFolder, Token, Work};
use crate::mistakes::Mistake;
use crate::systems::{Stand, Sys};

/// What a script did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Did {
    Said(StepOutcome),
    /// A step is there to be waited for; `begin` if it has just been started.
    Await {
        kind: JobKind,
        begin: bool,
    },
}

fn refusal(reason: RefusalReason) -> StepOutcome {
    StepOutcome::Refused { reason, text: String::new() }
}

fn refused(reason: RefusalReason) -> Result<(), StepOutcome> {
    Err(refusal(reason))
}

/// A recovery's roll back that no fence keeps from an unguarded host.
fn unarmed_rollback(kind: JobKind, epoch: u64, mistake: Option<Mistake>) -> bool {
    kind == JobKind::Rollback && epoch > 1 && mistake == Some(Mistake::RecoverWithoutArming)
}

/// What `arm` is told.
pub(crate) struct Arming<'a> {
    pub(crate) speaker: &'a Speaker,
    pub(crate) owner: &'a str,
    pub(crate) boot_id: &'a str,
    pub(crate) expected: &'a Expected,
    pub(crate) latest: u64,
    pub(crate) seconds: u64,
    pub(crate) action: GuardAction,
    pub(crate) job_wait: Ms,
}

/// What `step` is told.
pub(crate) struct Starting<'a> {
    pub(crate) speaker: &'a Speaker,
    pub(crate) boot_id: &'a str,
    pub(crate) kind: JobKind,
    pub(crate) needs: u64,
    pub(crate) expected: &'a Expected,
}

impl Host {
    pub(crate) fn still_here(&self, run: &str) -> Result<(), StepOutcome> {
        if self.mark.is_some() {
            return refused(RefusalReason::Ended);
        }
        let here = self.run.lease.as_ref().is_some_and(|lease| lease.run == run) || self.roots.contains_key(run);
        if here { Ok(()) } else { refused(RefusalReason::Ended) }
    }

    fn held_by(&self, speaker: &Speaker, boot_id: &str, mistake: Option<Mistake>) -> Result<(), StepOutcome> {
        if boot_id != self.boot_id() {
            return refused(RefusalReason::OtherBoot);
        }
        match &self.run.lease {
            None => refused(RefusalReason::ForeignLease),
            Some(lease) if lease.run != speaker.run => refused(RefusalReason::ForeignLease),
            Some(_) if mistake == Some(Mistake::RecoverWithoutEpoch) => Ok(()),
            Some(lease) if lease.epoch > speaker.epoch => refused(RefusalReason::Superseded),
            Some(lease) if lease.epoch < speaker.epoch => refused(RefusalReason::Other),
            Some(_) => Ok(()),
        }
    }

    fn guarded_for(&self, seconds: u64, now: Ms, mistake: Option<Mistake>) -> Result<(), StepOutcome> {
        if mistake == Some(Mistake::FenceWithoutGuard) {
            return Ok(());
        }
        match self.run.token {
            Token::Armed(_) if !self.run.guard_lives => refused(RefusalReason::NoGuard),
            Token::Armed(deadline) if deadline < self.uptime(now) + seconds => refused(RefusalReason::TooLate),
            Token::Armed(_) => Ok(()),
            Token::Fired(_) => refused(RefusalReason::Fired),
            Token::None | Token::Disarmed(_) => refused(RefusalReason::NoGuard),
        }
    }

    fn stands_on(&self, expected: &Expected) -> Result<(), StepOutcome> {
        let Stand { current, profile, boot } = self.stand;
        let stands = current.is(expected.current.as_ref())
            && profile.is(expected.profile.as_ref())
            && boot.is(expected.boot_default.as_ref());
        if stands { Ok(()) } else { refused(RefusalReason::Moved) }
    }

    /// Whether the guard was armed anew, so that its clock must be started.
    pub(crate) fn arm(&mut self, arming: &Arming<'_>, now: Ms, mistake: Option<Mistake>) -> Result<bool, StepOutcome> {
        let run = &arming.speaker.run;
        if arming.boot_id != self.boot_id() {
            refused(RefusalReason::OtherBoot)?;
        }
        if self.run.lease.as_ref().is_some_and(|lease| lease.run != *run) {
            refused(RefusalReason::ForeignLease)?;
        }
        self.not_outbid(arming.speaker, Some(arming.owner))?;
        if arming.speaker.epoch > 1 || self.mark.is_some() {
            self.still_here(run)?;
            if mistake == Some(Mistake::RecoverWithoutArming) {
                return Ok(false);
            }
        }
        if self.run.guard_lives || matches!(self.run.token, Token::Armed(_)) {
            if self.run.plan.as_ref().is_none_or(|plan| plan.run != *run) {
                refused(RefusalReason::ForeignGuard)?;
            } else if matches!(self.run.token, Token::Fired(_)) {
                refused(RefusalReason::Fired)?;
            }
        }
        let lease = Lease { run: run.clone(), epoch: arming.speaker.epoch, owner: arming.owner.to_owned() };
        if let Token::Armed(_) = self.run.token {
            self.raise_fence(arming.speaker, arming.owner);
            self.run.lease = Some(lease);
            return Ok(!std::mem::replace(&mut self.run.guard_lives, true));
        }
        if self.uptime(now) > arming.latest {
            refused(RefusalReason::TooLate)?;
        }
        let epoch = arming.speaker.epoch;
        let same = self.run.plan.as_ref().is_some_and(|plan| plan.run == *run && plan.epoch == epoch);
        if self.run.token != Token::None && same {
            refused(RefusalReason::Other)?;
        }
        let nowhere = Root { old: self.stand, armed: false };
        let nowhere = (mistake == Some(Mistake::ArmForgetsThatItIsOver)).then_some(nowhere);
        let Some(Root { old, .. }) = self.roots.get(run).copied().or(nowhere) else {
            return Err(refusal(RefusalReason::Other));
        };
        if now < self.switch_lock {
            refused(RefusalReason::Busy)?;
        }
        self.stands_on(arming.expected)?;
        self.roots.insert(run.clone(), Root { old, armed: true });
        self.raise_fence(arming.speaker, arming.owner);
        self.run.lease = Some(lease);
        self.run.plan =
            Some(GuardPlan { run: run.clone(), epoch, old, action: arming.action, job_wait: arming.job_wait });
        self.run.token = Token::Armed(self.uptime(now) + arming.seconds);
        self.run.guard_lives = true;
        self.run.reactivated = false;
        Ok(true)
    }

    pub(crate) fn take_over(
        &mut self,
        speaker: &Speaker,
        owner: &str,
        mistake: Option<Mistake>,
    ) -> Result<(), StepOutcome> {
        self.still_here(&speaker.run)?;
        if self.run.lease.as_ref().is_some_and(|lease| lease.run != speaker.run) {
            refused(RefusalReason::ForeignLease)?;
        }
        self.not_outbid(speaker, Some(owner))?;
        let foreign = self.run.plan.as_ref().is_some_and(|plan| plan.run != speaker.run);
        if foreign && matches!(self.run.token, Token::Armed(_)) {
            refused(RefusalReason::ForeignGuard)?;
        }
        if mistake != Some(Mistake::RecoverWithoutEpoch) {
            self.raise_fence(speaker, owner);
            self.run.lease = Some(Lease { run: speaker.run.clone(), epoch: speaker.epoch, owner: owner.to_owned() });
        }
        Ok(())
    }

    pub(crate) fn extend(
        &mut self,
        speaker: &Speaker,
        boot_id: &str,
        seconds: u64,
        now: Ms,
        mistake: Option<Mistake>,
    ) -> Result<(), StepOutcome> {
        self.held_by(speaker, boot_id, mistake)?;
        self.guarded_for(1, now, mistake)?;
        let wanted = self.uptime(now) + seconds;
        if let Token::Armed(deadline) = &mut self.run.token {
            *deadline = wanted.max(*deadline);
        }
        Ok(())
    }

    /// Whether a job must be started, or is there already.
    pub(crate) fn start(&self, step: &Starting<'_>, now: Ms, mistake: Option<Mistake>) -> Result<bool, StepOutcome> {
        self.held_by(step.speaker, step.boot_id, mistake)?;
        let begun = self.run.jobs.get(&step.kind).filter(|job| job.work != Work::NotBegun);
        if begun.is_some_and(|job| job.epoch == step.speaker.epoch) {
            return Ok(false);
        }
        if !unarmed_rollback(step.kind, step.speaker.epoch, mistake) {
            self.guarded_for(step.needs, now, mistake)?;
        }
        self.stands_on(step.expected)?;
        if step.kind != JobKind::Rollback {
            if self.run.started.contains(&JobKind::Rollback) {
                refused(RefusalReason::Other)?;
            } else if self.job_lives(false) || now < self.switch_lock {
                refused(RefusalReason::Busy)?;
            }
        }
        Ok(!(step.kind == JobKind::Rollback && self.job_lives(true)))
    }

    /// The fence once more, where nothing can come between.
    pub(crate) fn begin(&mut self, kind: JobKind, id: u64, mistake: Option<Mistake>) -> bool {
        let Some(job) = self.run.jobs.get_mut(&kind).filter(|job| job.id == id) else { return false };
        let held = self.run.lease.as_ref().is_some_and(|lease| {
            lease.run == job.run && (lease.epoch == job.epoch || mistake == Some(Mistake::RecoverWithoutEpoch))
        });
        let armed = matches!(self.run.token, Token::Armed(_))
            || mistake == Some(Mistake::FenceWithoutGuard)
            || unarmed_rollback(kind, job.epoch, mistake);
        job.work = if held && armed { Work::Running } else { Work::NotBegun };
        if job.work == Work::Running {
            self.run.started.insert(kind);
        }
        job.work == Work::Running
    }

    pub(crate) fn disarm(
        &mut self,
        speaker: &Speaker,
        boot_id: &str,
        expected: &Expected,
        mistake: Option<Mistake>,
    ) -> Result<(), StepOutcome> {
        self.held_by(speaker, boot_id, mistake)?;
        self.stands_on(expected)?;
        if self.job_lives(false) || self.job_lives(true) {
            refused(RefusalReason::Busy)?;
        }
        match self.run.token {
            Token::Armed(_) if mistake == Some(Mistake::DisarmStopsOnlyTheUnit) => Ok(()),
            Token::Armed(deadline) => {
                self.committed |= self.stand == Stand::all(Sys::New);
                self.run.token = Token::Disarmed(deadline);
                self.run.guard_lives = false;
                Ok(())
            }
            Token::Disarmed(_) => Ok(()),
            Token::Fired(_) => refused(RefusalReason::Fired),
            Token::None => refused(RefusalReason::NoGuard),
        }
    }

    /// traces.sh, `read_fence`: the highest that ever spoke here for the run, beside the roots or in the lease.
    pub(crate) fn fence(&self, run: &str) -> Option<Lease> {
        let beside = self.fences.get(run).map(|(epoch, owner)| (*epoch, owner.clone()));
        let mark = self.mark.as_ref().map(|ended| (ended.epoch, Lease::NOBODY.to_owned()));
        let lease = self.run.lease.as_ref().filter(|lease| lease.run == run);
        let highest = beside.into_iter().chain(mark).chain(lease.map(|lease| (lease.epoch, lease.owner.clone())));
        // If two are equal, the one beside the roots counts.
        let (epoch, owner) = highest.reduce(|one, other| if other.0 > one.0 { other } else { one })?;
        Some(Lease { run: run.to_owned(), epoch, owner })
    }

    /// traces.sh, `outbid`.
    fn not_outbid(&self, speaker: &Speaker, owner: Option<&str>) -> Result<(), StepOutcome> {
        let Some(fence) = self.fence(&speaker.run) else { return Ok(()) };
        let is_another = fence.epoch == speaker.epoch && owner.is_some_and(|owner| owner != fence.owner);
        if fence.epoch > speaker.epoch || is_another { refused(RefusalReason::Superseded) } else { Ok(()) }
    }

    /// traces.sh, `raise_fence`.
    fn raise_fence(&mut self, speaker: &Speaker, owner: &str) {
        self.fences.insert(speaker.run.clone(), (speaker.epoch, owner.to_owned()));
    }

    /// `release.sh`.
    pub(crate) fn release(&mut self, speaker: &Speaker) -> Result<(), StepOutcome> {
        self.not_outbid(speaker, None)?;
        if self.run.lease.as_ref().is_some_and(|lease| lease.run != speaker.run) {
            self.raise_fence(speaker, Lease::NOBODY);
            return Ok(());
        }
        if matches!(self.run.token, Token::Armed(_)) || self.run.guard_lives {
            refused(RefusalReason::Other)?;
        } else if self.job_lives(false) || self.job_lives(true) {
            refused(RefusalReason::Busy)?;
        }
        self.raise_fence(speaker, Lease::NOBODY);
        self.run.lease = None;
        Ok(())
    }

    pub(crate) fn clean(&mut self, speaker: &Speaker, mark: &EndMark) -> Result<(), StepOutcome> {
        self.not_outbid(speaker, None)?;
        let holds_place = self.run.lease.as_ref().is_none_or(|lease| lease.run == speaker.run);
        if holds_place && (matches!(self.run.token, Token::Armed(_)) || self.run.guard_lives) {
            refused(RefusalReason::Other)?;
        } else if holds_place && (self.job_lives(false) || self.job_lives(true)) {
            refused(RefusalReason::Busy)?;
        }
        let is_here = self.mark.is_some() || self.roots.contains_key(&speaker.run) || self.run.lease.is_some();
        if is_here && !mark.missing.is_empty() {
            self.mark = Some(Ended { epoch: speaker.epoch, mark: mark.clone() });
        }
        self.roots.remove(&speaker.run);
        self.fences.remove(&speaker.run);
        (self.switching, self.committed) = (false, false);
        if holds_place {
            self.run = RunFolder::empty();
        }
        Ok(())
    }

    /// `unmark.sh`.
    pub(crate) fn unmark(&mut self, speaker: &Speaker, host: Option<&HostName>) -> Result<(), StepOutcome> {
        let Some(mut ended) = self.mark.clone() else { return Ok(()) };
        self.not_outbid(speaker, None)?;
        match host {
            Some(host) => drop(ended.mark.missing.remove(host)),
            None => ended.mark.missing.clear(),
        }
        ended.epoch = speaker.epoch;
        self.mark = Some(ended).filter(|ended| !ended.mark.missing.is_empty());
        if self.mark.is_none() && self.run.lease.as_ref().is_none_or(|lease| lease.run != speaker.run) {
            self.roots.remove(&speaker.run);
            self.fences.remove(&speaker.run);
        }
        Ok(())
    }
}
