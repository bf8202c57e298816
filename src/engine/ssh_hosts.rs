//! Speaks with the real hosts of a run: orders become scripts, lost connections are made again, answers become facts.
//!
//! It does not decide what an answer means.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::clock::{BootClock, Clock, within};
use super::hosts::{Hosts, Order, StepNote, StepNotes, UnitJournal};
use super::job_output::{Printing, TOGETHER};
use super::mutex::lock;
use super::orders::Orders;
use super::probing::Probing;
use super::reach::Reach;
use super::retry::{Try, WAY, until_answered};
use crate::decide::asking::Continuity;
use crate::decide::vocabulary::{Answer, Step};
use crate::event::reason::cause::Cause;
use crate::facts::host::JobKind;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;
use crate::facts::privilege::RootLack;
use crate::facts::step_answer::StepAnswer;
use crate::inventory::model::HostName;
use crate::local::process::ProcessError;
use crate::remote::answer::{self, AnswerError};
use crate::remote::bounds::{Excess, Meter};
use crate::remote::step::{RemoteStep, is_unit};
use crate::remote::{ConnectCause, RawAnswer, Script, StepError, Way};

/// The most units of a host whose journals are read: if more fail, these few show the cause.
const MOST_JOURNALS: usize = 8;

/// How long reading the journals may take; the script gives each a few seconds.
const JOURNALS_LIMIT: Duration = Duration::from_secs(15);

/// How long a take-over may take on the host: it is a moment's work there.
const LONGEST_TAKE_OVER: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct SshHosts {
    reach: Arc<Reach>,
    orders: Orders,
    probing: Probing,
    printing: Printing,
    /// When each host's activation was known to have ended.
    activated: Mutex<BTreeMap<HostName, Duration>>,
}

impl SshHosts {
    #[must_use]
    pub fn new(reach: Arc<Reach>, orders: Orders) -> Self {
        let probing = Probing::of_plan(Arc::clone(&reach), &orders.plan);
        Self::going_on(reach, orders, probing)
    }

    /// The same, with what has looked at the links before anything changed: its probers go on, and its rounds are
    /// counted on, so that no answer of the baseline can be taken for one of the proof.
    pub(super) fn going_on(reach: Arc<Reach>, orders: Orders, probing: Probing) -> Self {
        // From here on orders are carried out while guards count down.
        reach.turns().make_haste();
        Self { reach, orders, probing, printing: Printing::default(), activated: Mutex::default() }
    }

    /// Ends the probers on the hosts; bounded.
    pub async fn stop_probing(&self) {
        self.probing.stop().await;
    }

    async fn perform_until(&self, host: HostId, order: Order, notes: StepNotes) -> Answer {
        until_answered(&BootClock, &order, &notes, |limit| self.attempt(host, &order, limit, &notes)).await
    }

    async fn attempt(&self, host: HostId, order: &Order, limit: Duration, notes: &StepNotes) -> Try {
        let name = &self.orders.plan.host(host).name;
        // The script is made anew for each try, with what is known by now of the host's clock and epoch.
        let script = self.orders.remote_step(host, order).script();
        let raw = match &order.step {
            Step::Login { after } => {
                let way = if *after { Way::After } else { Way::Usual };
                // A roll back asks no more than that the old system lets us in.
                let jump = (*after && self.orders.plan.proves_its_jump(host)).then_some(way);
                self.reach.login_anew(name, way, jump, &script, limit).await
            }
            Step::Job { boot_id, .. } => self.run_job(name, boot_id, &script, limit, notes).boxed().await,
            Step::TakeOver { .. } => self.take_over(host, &script, limit, order.limit, notes).boxed().await,
            _ => self.reach.run(name, &script, limit).await,
        };
        let raw = match raw {
            Ok(raw) => raw,
            Err(error) if is_denial(&error) || (matches!(order.step, Step::Login { .. }) && is_without_ssh(&error)) => {
                return Orders::understand_denial(&order.step, Cause::from(&error));
            }
            Err(error @ StepError::TooMuch { .. }) => {
                return Orders::understand_excess(&order.step, Cause::from(&error));
            }
            // After any other error the script may be running, or may have run: the next try asks the host.
            Err(error) => return Try::Lost { why: Cause::from(&error), may_have_run: !error.nothing_ran() },
        };
        match answer::step_answer(&raw.lines) {
            Ok(answer) => self.understand(host, &order.step, answer),
            Err(AnswerError::NotNixos) => Try::Answer(Answer::Denied { why: Cause::NotNixos }),
            Err(AnswerError::Missing(lacking)) => {
                Try::Lost { why: Cause::AnswerUnreadable { lacking: lacking.to_owned() }, may_have_run: true }
            }
        }
    }

    fn understand(&self, host: HostId, step: &Step, answer: StepAnswer) -> Try {
        let name = || self.orders.plan.host(host).name.clone();
        let now = BootClock.now();
        match step {
            Step::Job { kind: JobKind::Test | JobKind::Reactivate, .. } => {
                lock(&self.activated).insert(name(), now);
            }
            // If this run changed the settings of a tunnel, the proof needs a handshake that is newer than the
            // activation. A recovery did not see the activation, so its own first look stands for it; `or_insert` keeps
            // that moment when a host is taken over a second time.
            Step::TakeOver { .. } => {
                lock(&self.activated).entry(name()).or_insert(now);
            }
            _ => {}
        }
        self.orders.understand(host, step, answer, now)
    }

    /// Takes the host over, after a switch that is still at work there has ended, within `patience`.
    async fn take_over(
        &self,
        host: HostId,
        script: &Script,
        limit: Duration,
        patience: Duration,
        notes: &StepNotes,
    ) -> Result<RawAnswer, StepError> {
        let name = &self.orders.plan.host(host).name;
        // The take-over comes first: from then on the fence refuses the old coordinator, so no further step of it can
        // begin while this one waits for the switch.
        let raw = self.reach.run(name, script, limit.min(LONGEST_TAKE_OVER)).await?;
        let taken_over = answer::step_answer(&raw.lines).ok();
        let Some(taken_over) = taken_over else { return Ok(raw) };
        let Some(first) = self.orders.await_first(&taken_over, patience) else { return Ok(raw) };
        self.run_job(name, &taken_over.standing.boot_id, &first.script(), patience + WAY, notes).await?;
        // The host is asked once more, because the switch has changed what the first answer said.
        self.reach.run(name, script, LONGEST_TAKE_OVER).await
    }

    /// Runs a script that waits for a job, and tells when the job has begun and what it prints, before its end.
    async fn run_job(
        &self,
        host: &HostName,
        boot_id: &str,
        script: &Script,
        limit: Duration,
        notes: &StepNotes,
    ) -> Result<RawAnswer, StepError> {
        let whole = async {
            let mut stream = self.reach.stream_of_job(host, script, limit).await?;
            let (mut lines, mut meter) = (Vec::new(), Meter::of_answer());
            let mut printed = self.printing.read(host, boot_id, notes);
            loop {
                // Lines that a job prints close together are told together. A timeout here loses no line: `next_line`
                // is safe to cancel.
                let next = if printed.waits() {
                    tokio::time::timeout(TOGETHER, stream.next_line()).await.ok()
                } else {
                    Some(stream.next_line().await)
                };
                let line = match next {
                    Some(Ok(Some(line))) => line,
                    Some(Ok(None)) => break,
                    Some(Err(error)) => {
                        // The lines that have come are told before the error: they may say why the job failed.
                        printed.tell();
                        return Err(error);
                    }
                    None => {
                        printed.tell();
                        continue;
                    }
                };
                match line.0.as_str() {
                    "begun" => drop(notes.send(StepNote::Started)),
                    "printed" => {
                        if let Some((kind, text)) = answer::printed(&line.1) {
                            printed.take(kind, text);
                        }
                    }
                    _ => {
                        let kept = meter.take(line.0.len() + line.1.len()).and_then(|()| meter.take_line());
                        if let Err(Excess { most }) = kept {
                            printed.tell();
                            return Err(StepError::TooMuch { host: host.clone(), script: script.name, bytes: most });
                        }
                        lines.push(line);
                    }
                }
            }
            printed.tell();
            // The answer is complete, whatever the close of the channel brings.
            let _ = stream.close().await;
            Ok(RawAnswer { lines, stderr_tail: String::new() })
        };
        let timed_out = || StepError::TimedOut { host: host.clone(), script: script.name, waited: limit };
        within(&BootClock, limit, whole).await.unwrap_or_else(|| Err(timed_out()))
    }

    async fn remember_units(&self, host: HostId, units: BTreeSet<String>) {
        let name = &self.orders.plan.host(host).name;
        let units: Vec<String> = units.into_iter().filter(|unit| is_unit(unit)).collect();
        let script = RemoteStep::Remember { speaker: self.orders.speaker(host), units }.script();
        let asked = self.reach.run_over_what_is_there(name, &script, JOURNALS_LIMIT);
        // If the host cannot keep it, the next push does not know of it; this push loses nothing.
        let _ = within(&BootClock, JOURNALS_LIMIT, asked).await;
    }

    async fn read_journals(&self, host: HostId, units: BTreeSet<String>) -> Vec<UnitJournal> {
        let name = &self.orders.plan.host(host).name;
        let units: Vec<String> = units.into_iter().filter(|unit| is_unit(unit)).take(MOST_JOURNALS).collect();
        if units.is_empty() {
            return Vec::new();
        }
        let script = RemoteStep::Journal { units }.script();
        let asked = self.reach.run_over_what_is_there(name, &script, JOURNALS_LIMIT);
        let answer = within(&BootClock, JOURNALS_LIMIT, asked).await.flatten();
        let journals = answer.map(|answer| answer::journals(&answer.lines)).unwrap_or_default();
        journals.into_iter().map(|(unit, lines)| UnitJournal { unit, lines }).collect()
    }
}

/// Returns whether the host can be reached and does not let us do this, so that nothing ran.
pub(super) fn is_denial(error: &StepError) -> bool {
    match error {
        // One that says nothing may do so only now.
        StepError::NotRoot { refusal, .. } => refusal.why != RootLack::Silent,
        StepError::NoShell { .. } | StepError::BadScript(_) => true,
        StepError::NoLogin { source, .. } => matches!(
            source.cause,
            ConnectCause::AuthRefused { .. }
                | ConnectCause::AgentFailed { .. }
                | ConnectCause::ChangedHostKey { .. }
                | ConnectCause::UnknownHostKey { .. }
        ),
        _ => false,
    }
}

/// Returns whether this workstation has no ssh any more. Another try would find none either, and a new login cannot be
/// proven; steps go over connections that are there, and need none.
fn is_without_ssh(error: &StepError) -> bool {
    let StepError::NoLogin { source, .. } = error else { return false };
    let ConnectCause::Local(error) = &source.cause else { return false };
    matches!(
        error.as_ref(),
        ProcessError::Start { source, .. } if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
    )
}

impl Hosts for SshHosts {
    fn outbid(&self, host: HostId) {
        self.orders.outbid(host);
    }

    fn perform(self: Arc<Self>, host: HostId, order: Order, notes: StepNotes) -> BoxFuture<'static, Answer> {
        async move { self.perform_until(host, order, notes).await }.boxed()
    }

    fn round(self: Arc<Self>, after: bool, continuity: Continuity) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)> {
        async move {
            let mut round = self.probing.round(&self.orders.plan.links, after, continuity).await;
            let now = BootClock.now();
            let since = lock(&self.activated).clone();
            let since = since.into_iter().map(|(host, at)| (host, now.saturating_sub(at).as_secs())).collect();
            // A roll back asks for no more than the baseline had, so it needs no newer handshake.
            let waiting = if after {
                round.require_handshakes(&self.orders.plan.links, &self.orders.plan.baseline, &since)
            } else {
                BTreeSet::new()
            };
            (round, waiting)
        }
        .boxed()
    }

    fn journals(self: Arc<Self>, host: HostId, units: BTreeSet<String>) -> BoxFuture<'static, Vec<UnitJournal>> {
        async move { self.read_journals(host, units).await }.boxed()
    }

    fn remember(self: Arc<Self>, host: HostId, units: BTreeSet<String>) -> BoxFuture<'static, ()> {
        async move { self.remember_units(host, units).await }.boxed()
    }
}
