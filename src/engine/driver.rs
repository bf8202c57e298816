//! Does what the decider says, and tells it what came of it. The only `select!` over everything.

mod deadlines;
mod reports;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use self::deadlines::{is_awaited, millis};
use super::activity::by_step;
use super::clock::Clock;
use super::hosts::{Hosts, Order};
use super::reports::{Report, ReportOnce};
use super::shutdown::Shutdown;
use super::surroundings::Surroundings;
use super::timers::Timers;
use crate::decide::left_to_guard::LeftToGuard;
use crate::decide::time::Times;
use crate::decide::transaction::Transaction;
use crate::decide::transaction::recover::{Aim, Recorded};
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, Signal, Step, Verdict};
use crate::event::{Event, HostOutcome};
use crate::facts::plan::{HostId, Plan};
use crate::facts::traces::EndMark;
use crate::inventory::model::HostName;

/// How long the end of a push waits for journals that are still to come: most have come during the roll back.
const LAST_JOURNALS: Duration = Duration::from_secs(2);

/// How a driven push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Verdict(Verdict),
    /// A second signal: left at once.
    Left {
        /// Hosts of which it is known how it ended for them, or how they were found.
        through: Vec<(HostName, HostOutcome)>,
        /// Those that may still be guarded.
        guarded: Vec<LeftToGuard>,
        signal: Signal,
    },
}

/// A step that is out.
struct Out {
    step: Step,
    /// Its number: reports of a replaced step carry another one.
    sent: u64,
    at: Duration,
    /// How long the guard holds from then on, if the step is about it.
    guard: Duration,
    task: AbortHandle,
}

pub struct Driver<H> {
    clock: Arc<dyn Clock>,
    hosts: Arc<H>,
    plan: Arc<Plan>,
    times: Vec<Times>,
    transaction: Transaction,
    timers: Timers,
    out: Vec<Option<Out>>,
    /// Until when each host's guard holds, at the earliest.
    deadlines: Vec<Option<Duration>>,
    /// How many hosts' journals are still to come.
    journals: usize,
    /// Until when a guard may be armed of a host that a recovery ends the run without.
    missing_until: Option<Duration>,
    /// When a recovery began: a guard of the run that nobody has seen was armed before. `None`: this is the push
    /// itself.
    began: Option<Duration>,
    /// No guard that a host shows is waited for longer than this.
    longest_guard: Duration,
    /// Hosts that were taken over and on which the run's guard had fired. Where two say so those of the others have,
    /// too, or soon will.
    seen_fired: BTreeSet<HostId>,
    sent: u64,
    reports: mpsc::UnboundedSender<Report>,
    inbox: mpsc::UnboundedReceiver<Report>,
}

impl<H: Hosts> Driver<H> {
    /// `times` are by host, like the plan's. `hosts` must count with the same `clock`.
    pub fn new(hosts: Arc<H>, plan: Arc<Plan>, times: Vec<Times>, clock: Arc<dyn Clock>) -> Self {
        let transaction = Transaction::new(Arc::clone(&plan));
        Self::of(transaction, hosts, plan, times, clock)
    }

    /// A recovery of a run that `plan` was made for. `hosts` speak with a higher epoch than anybody before.
    pub fn recovering(
        hosts: Arc<H>,
        plan: Arc<Plan>,
        times: Vec<Times>,
        clock: Arc<dyn Clock>,
        recorded: Recorded,
    ) -> Self {
        let transaction = Transaction::recover(Arc::clone(&plan), recorded);
        let began = Some(clock.now());
        Self { began, ..Self::of(transaction, hosts, plan, times, clock) }
    }

    /// Hosts that do not answer were given the time already until every guard must have brought them back.
    #[must_use]
    pub fn having_waited(mut self, waited: bool) -> Self {
        if waited {
            self.transaction.has_waited();
        }
        self
    }

    /// Hosts that a recovery leaves as they are, and why.
    #[must_use]
    pub fn leaving(mut self, hosts: Vec<(HostId, String)>) -> Self {
        for (host, why) in hosts {
            self.transaction.set_aside(host, why);
        }
        self
    }

    /// What a recovery is to do, and what the record says of an end while hosts were missing.
    #[must_use]
    pub fn aiming_at(mut self, aim: Aim, mark: Option<EndMark>) -> Self {
        self.transaction.aim_at(aim);
        if let Some(mark) = mark {
            self.transaction.was_ended(mark);
        }
        self
    }

    /// The fleet's name, for what is said of what to type.
    #[must_use]
    pub fn of_fleet(mut self, fleet: &str) -> Self {
        self.transaction.is_of(fleet);
        self
    }

    /// Hosts that a recovery ends the run without, and until when a guard of theirs may be armed.
    #[must_use]
    pub fn going_without(mut self, hosts: Vec<HostId>, until: Option<Duration>) -> Self {
        for host in hosts {
            self.transaction.go_without(host);
        }
        self.missing_until = until;
        self
    }

    /// How long a guard of the run may hold, where it is not what the inventory says.
    #[must_use]
    pub fn with_longest_guard(self, longest_guard: Duration) -> Self {
        Self { longest_guard, ..self }
    }

    fn of(transaction: Transaction, hosts: Arc<H>, plan: Arc<Plan>, times: Vec<Times>, clock: Arc<dyn Clock>) -> Self {
        let (reports, inbox) = mpsc::unbounded_channel();
        Self {
            transaction,
            timers: Timers::new(Arc::clone(&clock)),
            out: plan.ids().map(|_| None).collect(),
            deadlines: vec![None; plan.hosts.len()],
            journals: 0,
            missing_until: None,
            began: None,
            longest_guard: Times::longest_guard(&times),
            seen_fired: BTreeSet::new(),
            sent: 0,
            clock,
            hosts,
            plan,
            times,
            reports,
            inbox,
        }
    }

    /// Drives the push to its end.
    pub async fn drive(mut self, surroundings: &mut impl Surroundings, shutdown: &mut Shutdown) -> Ended {
        let mut effects: VecDeque<Effect> = self.transaction.start().into();
        let mut asked_to_stop = false;
        loop {
            while let Some(effect) = effects.pop_front() {
                match effect {
                    Effect::Record(entry) => {
                        if let Err(error) = surroundings.record(&entry) {
                            let forward = !matches!(
                                entry,
                                Entry::RollingBack { .. }
                                    | Entry::HostLost { .. }
                                    | Entry::EndedWithout { .. }
                                    | Entry::Forgotten { .. }
                                    | Entry::Finished { .. }
                            );
                            let why = error.to_string();
                            surroundings.tell(Event::Warned { host: None, text: format!("the record failed: {why}") });
                            if forward {
                                // What the entry announces must not happen without it.
                                effects = self.transaction.handle(Input::RecordFailed { why }).into();
                            }
                        }
                    }
                    Effect::Run { host, step } => self.send(host, step, surroundings),
                    Effect::Probe { after } => self.probe(after),
                    Effect::Outbid { host } => self.hosts.outbid(host),
                    Effect::ReadJournals { host, units } => self.read_journals(host, units),
                    Effect::Remember { host, units } => self.remember(host, units),
                    Effect::Expect(timer) => self.timers.set(timer, self.length(timer)),
                    Effect::Forget(timer) => self.timers.forget(timer),
                    Effect::Weigh => {
                        let enough = self.enough_time();
                        effects.extend(self.transaction.handle(Input::Weighed { enough }));
                    }
                    Effect::Tell(event) => surroundings.tell(event),
                    Effect::Finish(mut verdict) => {
                        self.say_when_they_are_back(&mut verdict);
                        // Who was superseded takes no further step, also not one that is being tried again.
                        for out in self.out.iter().flatten() {
                            out.task.abort();
                        }
                        self.hear_last_journals(surroundings).await;
                        return Ended::Verdict(verdict);
                    }
                }
            }
            let input = tokio::select! {
                // In this order, so that what happened is taken before what did not: an answer that is there counts
                // although its time ran out while this machine was suspended. And so that a run can be replayed.
                biased;
                Some(report) = self.inbox.recv() => self.take(report, surroundings),
                timer = self.timers.next() => Some(Input::TimerElapsed(timer)),
                signal = shutdown.requested() => {
                    if asked_to_stop {
                        // What is on its way holds connections open, which are closed next.
                        self.out.iter().flatten().for_each(|out| out.task.abort());
                        let (through, guarded) = (self.transaction.through(), self.guarded());
                        return match self.transaction.ended() {
                            // Only the clean-up was still under way.
                            Some(verdict) => Ended::Verdict(verdict),
                            None => Ended::Left { through, guarded, signal },
                        };
                    }
                    asked_to_stop = true;
                    Some(Input::CancelRequested(signal))
                }
            };
            if let Some(input) = input {
                effects.extend(self.transaction.handle(input));
            }
        }
    }

    fn send(&mut self, host: HostId, step: Step, surroundings: &mut impl Surroundings) {
        if let Some(old) = self.out[host.0].take() {
            old.task.abort();
        }
        self.sent += 1;
        let sent = self.sent;
        let now = self.clock.now();
        let reports = self.reports.clone();
        if is_awaited(&step) {
            let latest = self.latest(host, now);
            let fires_in_ms = self.left_ms(latest);
            let boot_ms = millis(self.times[host.0].awaited_until(latest).saturating_sub(latest.max(now)));
            let host = self.plan.host(host).name.clone();
            surroundings.tell(Event::LeftToGuard { host, fires_in_ms, boot_ms });
        }
        let moved = Event::HostMoved { host: self.plan.host(host).name.clone(), doing: by_step(&step).to_owned() };
        surroundings.tell(moved);
        let guard = self.guard(host, &step, now);
        let order = self.order(host, step.clone(), guard, now);
        self.note_guard(host, order.as_ref(), now, surroundings);
        let hosts = Arc::clone(&self.hosts);
        let task = tokio::spawn(async move {
            // Reports exactly once, also when the work panics.
            let mut report = ReportOnce::new(host, sent, reports);
            match order {
                Some(order) => report.hear(|notes| hosts.perform(host, order, notes)).await,
                None => report.answer(Answer::NotSent),
            }
        });
        self.out[host.0] = Some(Out { step, sent, at: now, guard, task: task.abort_handle() });
    }

    /// A recovery that cannot ask the host counts from what stands in the record. The entry `arming` tells of the first
    /// guards.
    fn note_guard(&self, host: HostId, order: Option<&Order>, now: Duration, surroundings: &mut impl Surroundings) {
        let Some(order) = order else { return };
        let is_first = self.began.is_none() && self.deadlines[host.0].is_none();
        let holds = match &order.step {
            Step::Extend { .. } => order.guard,
            Step::Arm { .. } if !is_first => order.guard,
            _ => return,
        };
        let host = &self.plan.host(host).name;
        if let Err(error) = surroundings.guarded(host, holds + order.until.saturating_sub(now)) {
            let text = format!("the record failed: {error}");
            surroundings.tell(Event::Warned { host: Some(host.clone()), text });
        }
    }

    /// Beside everything else: a roll back goes on meanwhile.
    fn read_journals(&mut self, host: HostId, units: BTreeSet<String>) {
        self.journals += 1;
        let hosts = Arc::clone(&self.hosts);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let journals = hosts.journals(host, units).await;
            // The driver is gone only when the push is over.
            let _ = reports.send(Report::Journals { host, journals });
        });
    }

    /// Beside everything else, like the journals, and waited for like these.
    fn remember(&mut self, host: HostId, units: BTreeSet<String>) {
        self.journals += 1;
        let hosts = Arc::clone(&self.hosts);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            hosts.remember(host, units).await;
            // The driver is gone only when the push is over.
            let _ = reports.send(Report::Journals { host, journals: Vec::new() });
        });
    }

    fn probe(&self, after: bool) {
        let hosts = Arc::clone(&self.hosts);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let (round, waiting) = hosts.round(after).await;
            // The driver is gone only when the push is over.
            let _ = reports.send(Report::Round(round, waiting));
        });
    }
}
