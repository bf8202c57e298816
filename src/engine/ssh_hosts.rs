//! The hosts of a run as they are: orders become scripts, lost connections are made again, answers become facts.
//!
//! Every script is idempotent on its host, so an order whose reply was lost is sent again and the host says how it
//! stands. Nothing here decides what an answer means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::clock;
use super::hosts::{Hosts, Note, Notes, Order};
use super::probing::Probing;
use super::push::lock;
use super::reach::Reach;
use crate::decide::fact::{GuardState, JobKind, JobState, RefusalReason, Standing, StepAnswer, StepOutcome, Systems};
use crate::decide::links::{LinkId, Round};
use crate::decide::plan::{HostId, Plan};
use crate::decide::vocabulary::{Answer, Step};
use crate::inventory::model::{GuardAction, Host, HostName, Place};
use crate::remote::answer::{self, AnswerError};
use crate::remote::step::{Expected, Speaker, Step as RemoteStep};
use crate::remote::{ConnectCause, RawAnswer, Script, StepError, Way};
use crate::store_path::StorePath;

/// Between two tries to reach a host: short at first, then no more than sshd forgives (CONTRACTS.md, penalties).
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Less than this is no time for a script to answer in.
const SHORTEST_TRY: Duration = Duration::from_secs(1);

/// What the way there and back may take beyond a script's own limit on the host.
const WAY: Duration = Duration::from_secs(10);

/// Taking over is a moment's work on the host.
const LONGEST_TAKE_OVER: Duration = Duration::from_secs(30);

/// Who this run is, for the hosts.
#[derive(Debug, Clone)]
pub struct Identity {
    pub speaker: Speaker,
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
}

impl HostGuard {
    /// A minute (DESIGN.md section 4), and never more than a third of what a roll back may take.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let job_wait = (host.limits.rollback / 3).clamp(Duration::from_secs(1), Duration::from_secs(60));
        Self { action: host.guard_action, job_wait }
    }
}

/// The host's own clock, as far as it is known here.
#[derive(Debug, Clone, Copy)]
pub struct HostClock {
    /// `/proc/uptime` of the survey, in seconds.
    pub uptime: u64,
    /// Ours, when the survey's answer had come.
    pub at: Duration,
}

#[derive(Debug)]
pub struct SshHosts {
    reach: Arc<Reach>,
    plan: Arc<Plan>,
    identity: Identity,
    guards: Vec<HostGuard>,
    clocks: Mutex<Vec<HostClock>>,
    probing: Probing,
    /// When each host's activation was known to have ended.
    activated: Mutex<BTreeMap<HostName, Duration>>,
}

enum Try {
    Answer(Answer),
    /// Nobody knows; worth another try.
    Lost {
        why: String,
        /// Whether this try may have reached the host all the same.
        may_have_run: bool,
    },
    /// The host answered, and is not yet where it is waited for.
    NotYet(Box<Standing>),
}

impl SshHosts {
    /// `guards` and `clocks` are by host, like the plan's.
    #[must_use]
    pub fn new(
        reach: Arc<Reach>,
        plan: Arc<Plan>,
        identity: Identity,
        guards: Vec<HostGuard>,
        clocks: Vec<HostClock>,
    ) -> Self {
        // Also a witness that did not answer the survey: this push may be what brings it back.
        let ends = plan.links.iter().filter_map(|link| match &link.from {
            Place::Host(name) => Some(name),
            Place::Workstation => None,
        });
        let hosts = plan.hosts.iter().map(|host| &host.name).chain(ends).cloned().collect();
        let probing = Probing::new(Arc::clone(&reach), hosts);
        let clocks = Mutex::new(clocks);
        Self { reach, plan, identity, guards, clocks, probing, activated: Mutex::default() }
    }

    /// Ends the probers on the hosts; bounded.
    pub async fn stop_probing(&self) {
        self.probing.stop().await;
    }

    async fn perform_until(&self, host: HostId, order: Order, notes: Notes) -> Answer {
        let mut pause = FIRST_PAUSE;
        // The first reason tells most: the later tries have less and less time.
        let mut why: Option<String> = None;
        let mut lost = false;
        let mut may_have_run = false;
        let mut seen: Option<Box<Standing>> = None;
        // The notes are for the screen: whoever listened is gone only when the push is over.
        let note = |note| drop(notes.send(note));
        loop {
            let left = order.until.saturating_sub(clock::boot_time());
            if left < SHORTEST_TRY {
                return match seen {
                    Some(standing) => said(StepOutcome::Done, *standing, Vec::new()),
                    None => Answer::Unknown { why: why.unwrap_or_else(|| "there was no time to ask it".to_owned()) },
                };
            }
            match self.attempt(host, &order, left, &notes).await {
                Try::Answer(answer) => {
                    if lost {
                        note(Note::Made);
                    }
                    return match answer {
                        // That the host lets us in no more says nothing of a try before.
                        Answer::Denied { why } if may_have_run => Answer::Unknown { why },
                        answer => answer,
                    };
                }
                Try::NotYet(standing) => seen = Some(standing),
                Try::Lost { why: reason, may_have_run: this_one } => {
                    may_have_run |= this_one;
                    if !lost && !matches!(order.step, Step::Return { .. } | Step::TakeOver { by_guard: true }) {
                        note(Note::Lost { why: reason.clone() });
                        lost = true;
                    }
                    why.get_or_insert(reason);
                }
            }
            note(Note::StillAway);
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, host: HostId, order: &Order, left: Duration, notes: &Notes) -> Try {
        let name = &self.plan.host(host).name;
        let script = self.remote_step(host, order).script();
        let limit = left.min(order.limit + WAY);
        let raw = match &order.step {
            Step::Login { after } => {
                let way = if *after { Way::After } else { Way::Usual };
                self.reach.login_anew(name, way, &script, limit).await
            }
            Step::Job { .. } => self.run_job(name, &script, limit, notes).await,
            Step::TakeOver { .. } => self.take_over(host, &script, left, order.limit).await,
            _ => self.reach.run(name, &script, limit).await,
        };
        let raw = match raw {
            Ok(raw) => raw,
            Err(error) => {
                return match denied_or_lost(&error) {
                    // What does not let us in is what the guard is about to take away; and a guard that may still be
                    // armed is asked about until it is known to be disarmed or fired.
                    Try::Answer(Answer::Denied { why })
                        if matches!(
                            order.step,
                            Step::Return { .. } | Step::Disarm { .. } | Step::TakeOver { by_guard: true }
                        ) =>
                    {
                        Try::Lost { why, may_have_run: false }
                    }
                    other => other,
                };
            }
        };
        match answer::step_answer(&raw.lines) {
            Ok(answer) => self.understand(host, &order.step, answer),
            Err(AnswerError::NotNixos) => Try::Answer(Answer::Denied { why: AnswerError::NotNixos.to_string() }),
            Err(error) => Try::Lost { why: format!("its answer made no sense: {error}"), may_have_run: true },
        }
    }

    fn understand(&self, host: HostId, step: &Step, mut answer: StepAnswer) -> Try {
        let speaker = &self.identity.speaker;
        if let Some(lease) = &answer.standing.lease
            && lease.run == speaker.run
            && lease.epoch > speaker.epoch
        {
            // Said by every answer, also one to a question that no fence guards.
            let text = format!("{} has taken this run over (epoch {})", lease.owner, lease.epoch);
            answer.outcome = StepOutcome::Refused { reason: RefusalReason::Superseded, text };
        }
        // A host that has restarted counts anew.
        lock(&self.clocks)[host.0] = HostClock { uptime: answer.standing.uptime, at: clock::boot_time() };
        match step {
            Step::Job { kind: JobKind::Test | JobKind::Reactivate, .. } => {
                let name = self.plan.host(host).name.clone();
                lock(&self.activated).insert(name, clock::boot_time());
            }
            // A tunnel whose settings this run changed is proven by a handshake that is newer than this moment.
            Step::TakeOver { .. } => {
                let name = self.plan.host(host).name.clone();
                lock(&self.activated).entry(name).or_insert_with(clock::boot_time);
            }
            Step::Return { boot_id } if !has_returned(boot_id, &answer.standing) => {
                return Try::NotYet(Box::new(answer.standing));
            }
            _ => {}
        }
        Try::Answer(Answer::Said(Box::new(answer)))
    }

    /// Takes the host over. A switch that is still at work there is let end first, within `patience`: forward or back
    /// is decided from what it leaves behind. Other jobs are not: a roll back ends them.
    async fn take_over(
        &self,
        host: HostId,
        script: &Script,
        limit: Duration,
        patience: Duration,
    ) -> Result<RawAnswer, StepError> {
        let name = &self.plan.host(host).name;
        let raw = self.reach.run(name, script, limit.min(LONGEST_TAKE_OVER)).await?;
        let jobs = answer::step_answer(&raw.lines).map(|answer| answer.standing.jobs).unwrap_or_default();
        let runs = |kind: &JobKind| jobs.get(kind) == Some(&JobState::Running);
        let Some(kind) = [JobKind::Switch, JobKind::Reactivate].into_iter().find(runs) else { return Ok(raw) };
        let run = self.identity.speaker.run.clone();
        let awaiting = RemoteStep::Await { run, kind, limit: patience }.script();
        self.reach.run(name, &awaiting, patience + WAY).await?;
        self.reach.run(name, script, LONGEST_TAKE_OVER).await
    }

    /// Runs a job's script and tells when the job has begun, before its end.
    async fn run_job(
        &self,
        host: &HostName,
        script: &Script,
        limit: Duration,
        notes: &Notes,
    ) -> Result<RawAnswer, StepError> {
        let whole = async {
            let mut stream = self.reach.stream(host, script, limit).await?;
            let mut lines = Vec::new();
            while let Some((key, value)) = stream.next_line().await? {
                if key == "begun" {
                    let _ = notes.send(Note::Started);
                } else {
                    lines.push((key, value));
                }
            }
            // The answer is complete; how the channel closes changes nothing about it.
            let _ = stream.close().await;
            Ok(RawAnswer { lines, stderr_tail: String::new() })
        };
        let timed_out = || StepError::TimedOut { host: host.clone(), script: script.name, waited: limit };
        tokio::time::timeout(limit, whole).await.unwrap_or_else(|_| Err(timed_out()))
    }

    fn remote_step(&self, host: HostId, order: &Order) -> RemoteStep {
        let speaker = self.identity.speaker.clone();
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
                pace: vec![("job_wait", self.guards[host.0].job_wait.as_secs())],
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
            Step::Login { .. } | Step::Return { .. } => RemoteStep::Standing,
            Step::Disarm { expect, boot_id } => {
                RemoteStep::Disarm { speaker, boot_id: boot_id.clone(), expected: Expected::from(expect) }
            }
            Step::Clean => RemoteStep::Clean { speaker },
        }
    }

    /// The host's clock when ours says `until`, never later: its answer was on the way when we read ours.
    fn latest(&self, host: HostId, until: Duration) -> u64 {
        let clock = lock(&self.clocks)[host.0];
        clock.uptime + until.saturating_sub(clock.at).as_secs()
    }
}

/// Whether a host that was left to its guard is through with it: on another boot, or brought back without one.
fn has_returned(boot_id: &str, standing: &Standing) -> bool {
    standing.boot_id != boot_id || matches!(standing.guard, GuardState::Fired { .. })
}

/// Where a host must stand for a job to begin. A recovery may find a switch half done, and does it again.
fn expected_before(kind: JobKind, recovers: bool, old: &Systems, new: &StorePath) -> Expected {
    match kind {
        JobKind::Test => Expected::from(old),
        JobKind::Switch | JobKind::Reactivate if recovers => {
            Expected { current: Some(new.clone()), ..Expected::default() }
        }
        JobKind::Switch | JobKind::Reactivate => Expected { current: Some(new.clone()), ..Expected::from(old) },
        // Whatever half a step has left behind.
        JobKind::Rollback => Expected::default(),
    }
}

fn said(outcome: StepOutcome, standing: Standing, log: Vec<String>) -> Answer {
    Answer::Said(Box::new(StepAnswer { outcome, standing, log }))
}

fn denied_or_lost(error: &StepError) -> Try {
    let why = reason(error);
    let refused = match error {
        StepError::NotRoot { .. } | StepError::NoShell { .. } | StepError::BadScript(_) => true,
        StepError::NoLogin { source, .. } => matches!(
            source.cause,
            ConnectCause::AuthRefused { .. }
                | ConnectCause::ChangedHostKey { .. }
                | ConnectCause::UnknownHostKey { .. }
        ),
        _ => false,
    };
    if refused { Try::Answer(Answer::Denied { why }) } else { Try::Lost { why, may_have_run: !error.nothing_ran() } }
}

/// An error with its causes, and what the host said, on one line.
pub(super) fn reason(error: &StepError) -> String {
    // Why there was no login says it all; which script was to run over it is of no interest then.
    let told: &dyn std::error::Error = match error {
        StepError::NoLogin { source, .. } => source.as_ref(),
        other => other,
    };
    let mut text = told.to_string();
    let mut source = told.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    match error.stderr_tail().and_then(|tail| tail.lines().last()) {
        // Some programs leave their name out before the colon.
        Some(last) => format!("{text}: {}", last.trim_start_matches([':', ' '])),
        None => text,
    }
}

impl Hosts for SshHosts {
    fn perform(self: Arc<Self>, host: HostId, order: Order, notes: Notes) -> BoxFuture<'static, Answer> {
        async move { self.perform_until(host, order, notes).await }.boxed()
    }

    fn round(self: Arc<Self>, after: bool) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)> {
        async move {
            let mut round = self.probing.round(&self.plan.links, after).await;
            let now = clock::boot_time();
            let since = lock(&self.activated).clone();
            let since = since.into_iter().map(|(host, at)| (host, now.saturating_sub(at).as_secs())).collect();
            // A roll back asks no more than the baseline had.
            let waiting = if after {
                round.require_handshakes(&self.plan.links, &self.plan.baseline, &since)
            } else {
                BTreeSet::new()
            };
            (round, waiting)
        }
        .boxed()
    }
}

/// Asks every host the same thing side by side, each within its own limit.
pub(super) async fn ask_all<Key: Ord + Clone, Answered>(
    questions: impl IntoIterator<Item = (Key, BoxFuture<'_, Answered>)>,
) -> BTreeMap<Key, Answered> {
    let all: futures::stream::FuturesUnordered<_> =
        questions.into_iter().map(|(key, question)| question.map(move |answer| (key, answer))).collect();
    all.collect().await
}
