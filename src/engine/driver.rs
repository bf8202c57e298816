//! Does what the decider says, and tells the decider what came of it. It has the only `select!` over everything.

mod deadlines;
mod reports;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
use crate::decide::asking::Continuity;
use crate::decide::left_to_guard::LeftRun;
use crate::decide::time::Times;
use crate::decide::transaction::Transaction;
use crate::decide::transaction::recover::{Aim, Recorded};
use crate::decide::transaction::waiting::StandBy;
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, Step, Timer, Verdict};
use crate::event::Event;
use crate::event::reason::notice::Notice;
use crate::event::reason::recover::ClaimDoubt;
use crate::event::waiting::WaitedFor;
use crate::facts::plan::{HostId, Plan};
use crate::facts::traces::EndMark;

/// How long the end of a push waits for journals that are still to come: most have come during the roll back.
const LAST_JOURNALS: Duration = Duration::from_secs(2);

/// How a driven push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverEnd {
    Verdict(Verdict),
    /// A second signal came, and the push was left at once.
    Left(LeftRun),
}

/// A step that was sent and has not been answered yet.
struct Out {
    step: Step,
    /// The number of the step: reports of a step that was replaced carry another one.
    sent: u64,
    at: Duration,
    /// Until then it is tried; before `at` if it was not sent at all.
    until: Duration,
    /// How long the guard holds from `at` on, if the step is about the guard.
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
    /// How many journals of hosts are still to come.
    journals: usize,
    /// Until when a guard may be armed on a host that a recovery ends the run without.
    missing_until: Option<Duration>,
    /// When a recovery began: a guard of the run that it has not seen was armed before that. `None` in the push itself.
    began: Option<Duration>,
    /// The longest time that the driver waits for a guard that a host shows.
    longest_guard: Duration,
    /// Hosts that were taken over and on which the run's guard had fired. If two of them say so, the guards of the
    /// others have fired too, or soon will: one host alone could lie.
    seen_fired: BTreeSet<HostId>,
    /// What the run waits for by a timer, as it was told.
    waits: BTreeMap<Timer, WaitedFor>,
    /// The hosts for which another one stands by, as it was told.
    stand_by: BTreeMap<HostId, StandBy>,
    /// Whether it was told that a person may leave.
    may_leave: bool,
    sent: u64,
    reports: mpsc::UnboundedSender<Report>,
    inbox: mpsc::UnboundedReceiver<Report>,
}

impl<H: Hosts> Driver<H> {
    /// Makes the driver of a push. `times` are in the order of the plan's hosts. `hosts` must count with the same
    /// `clock`.
    pub fn new(hosts: Arc<H>, plan: Arc<Plan>, times: Vec<Times>, clock: Arc<dyn Clock>) -> Self {
        let transaction = Transaction::new(Arc::clone(&plan));
        Self::of(transaction, hosts, plan, times, clock)
    }

    /// Makes the driver of a recovery of the run that `plan` was made for. `hosts` speak with a higher epoch than any
    /// coordinator before.
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

    /// Says that the recovery has already waited for silent hosts until every guard must have brought them back.
    #[must_use]
    pub fn having_waited(mut self, waited: bool) -> Self {
        if waited {
            self.transaction.has_waited();
        }
        self
    }

    /// Names the hosts that a recovery leaves as they are, and why.
    #[must_use]
    pub fn leaving(mut self, hosts: Vec<(HostId, ClaimDoubt)>) -> Self {
        for (host, why) in hosts {
            self.transaction.set_aside(host, why);
        }
        self
    }

    /// Says what a recovery is to do, and how the record says that the run was ended while hosts were missing.
    #[must_use]
    pub fn aiming_at(mut self, aim: Aim, mark: Option<EndMark>) -> Self {
        self.transaction.aim_at(aim);
        if let Some(mark) = mark {
            self.transaction.was_ended(mark);
        }
        self
    }

    /// Gives the name of the fleet, for sentences that say what to type.
    #[must_use]
    pub fn of_fleet(mut self, fleet: &str) -> Self {
        self.transaction.is_of(fleet);
        self
    }

    /// Names the hosts that a recovery ends the run without, and until when a guard of theirs may be armed.
    #[must_use]
    pub fn going_without(mut self, hosts: Vec<HostId>, until: Option<Duration>) -> Self {
        for host in hosts {
            self.transaction.go_without(host);
        }
        self.missing_until = until;
        self
    }

    /// Says how long a guard of the run may hold, if that is not what the inventory says.
    #[must_use]
    pub fn with_longest_guard(self, longest_guard: Duration) -> Self {
        Self { longest_guard, ..self }
    }

    fn of(transaction: Transaction, hosts: Arc<H>, plan: Arc<Plan>, times: Vec<Times>, clock: Arc<dyn Clock>) -> Self {
        // Unbounded: no task waits for the driver, which may itself wait for the disk, and no answer is lost.
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
            waits: BTreeMap::new(),
            stand_by: BTreeMap::new(),
            may_leave: false,
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
    pub async fn drive(mut self, surroundings: &mut impl Surroundings, shutdown: &mut Shutdown) -> DriverEnd {
        let mut effects: VecDeque<Effect> = self.transaction.start().into();
        let mut asked_to_stop = false;
        loop {
            // All effects of one input come before the next input, in their order: a step that an entry announces
            // stands behind that entry, and so is sent only once the entry is durable.
            while let Some(effect) = effects.pop_front() {
                match effect {
                    Effect::Record(entry) => {
                        // This waits for the disk, and everything waits with it: nothing may be sent before the entry
                        // is durable.
                        if let Err(error) = surroundings.record(&entry) {
                            // On the way back, and at the end, a full disk stops nothing: the hosts come first.
                            let forward = !matches!(
                                entry,
                                Entry::RollingBack { .. }
                                    | Entry::HostLost { .. }
                                    | Entry::EndedWithout { .. }
                                    | Entry::Forgotten { .. }
                                    | Entry::Finished { .. }
                            );
                            let why = error.to_string();
                            let notice = Notice::RecordFailed { said: why.clone() };
                            surroundings.tell(Event::warned(None, notice));
                            if forward {
                                // The effects that are left in the queue are dropped: what the entry announces must not
                                // happen without it. The decider turns back instead.
                                effects = self.transaction.handle(Input::RecordFailed { why }).into();
                            }
                        }
                    }
                    Effect::Run { host, step } => self.send(host, step, surroundings),
                    Effect::Probe { after, continuity } => self.probe(after, continuity),
                    Effect::Outbid { host } => self.hosts.outbid(host),
                    Effect::ReadJournals { host, units } => self.read_journals(host, units),
                    Effect::Remember { host, units } => self.remember(host, units),
                    Effect::Expect(timer) => {
                        self.tell_wait(timer, surroundings);
                        self.timers.set(timer, self.length(timer));
                    }
                    Effect::Forget(timer) => {
                        self.tell_wait_is_over(timer, surroundings);
                        self.timers.forget(timer);
                    }
                    // It is weighed now, when its turn has come, since the guards count on. What the decider says to
                    // that comes after what it has said before.
                    Effect::Weigh => {
                        let enough = self.enough_time();
                        effects.extend(self.transaction.handle(Input::Weighed { enough }));
                    }
                    Effect::Tell(event) => surroundings.tell(event),
                    Effect::Finish(mut verdict) => {
                        self.say_when_they_are_back(&mut verdict);
                        // A push that was superseded takes no further step, and does not try one again: another
                        // coordinator speaks to the hosts now.
                        for out in self.out.iter().flatten() {
                            out.task.abort();
                        }
                        // They are told before the end, which is the last event; the verdict does not depend on them.
                        self.hear_last_journals(surroundings).await;
                        return DriverEnd::Verdict(verdict);
                    }
                }
            }
            self.tell_what_is_waited_for(surroundings);
            let input = tokio::select! {
                // The order is fixed, so that an answer that is there counts, although its time ran out while this
                // machine was suspended; and so that the simulator can replay a run.
                biased;
                // The driver holds a sender itself, so the inbox never closes.
                Some(report) = self.inbox.recv() => self.take(report, surroundings),
                timer = self.timers.next() => {
                    self.tell_wait_is_over(timer, surroundings);
                    Some(Input::TimerElapsed(timer))
                }
                signal = shutdown.requested() => {
                    if asked_to_stop {
                        // Tasks under way hold connections open, and the caller closes these next. The command itself
                        // may still run on its host; its guard covers that.
                        self.out.iter().flatten().for_each(|out| out.task.abort());
                        let (through, guarded) = (self.transaction.through(), self.guarded());
                        let goes_back = self.transaction.goes_back();
                        return match self.transaction.ended() {
                            // Only the clean-up was still under way: the verdict stands already.
                            Some(verdict) => DriverEnd::Verdict(verdict),
                            None => DriverEnd::Left(LeftRun { through, guarded, goes_back, signal }),
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
            // The task that is aborted still reports, with its old number, and `take` passes over that. The command may
            // still arrive on the host: the fence there decides about it.
            old.task.abort();
        }
        // It counts over all hosts and never goes back, so a late report is never taken for that of another step.
        self.sent += 1;
        let sent = self.sent;
        let now = self.clock.now();
        let reports = self.reports.clone();
        if is_awaited(&step) {
            let latest = self.latest(host, now);
            let fires_in_ms = self.left_ms(latest);
            let boot_ms = millis(self.times[host.0].awaited_until(latest).saturating_sub(latest.max(now)));
            let action = Some(self.times[host.0].guard_action);
            let host = self.plan.host(host).name.clone();
            surroundings.tell(Event::LeftToGuard { host, fires_in_ms, boot_ms, action });
        }
        let guard = self.guard(host, &step, now);
        let order = self.order(host, step.clone(), guard, now);
        // The record must know of a longer guard before the host does: the workstation may die in between.
        self.note_guard(host, order.as_ref(), now, surroundings);
        let until = order.as_ref().map_or(now, |order| order.until);
        surroundings.tell(self.doing(host, &step, until, by_step(&step)));
        let hosts = Arc::clone(&self.hosts);
        let task = tokio::spawn(async move {
            // It is made before the work begins, and reports when it is dropped: exactly once, even if the work panics.
            let mut report = ReportOnce::new(host, sent, reports);
            match order {
                Some(order) => report.hear(|notes| hosts.perform(host, order, notes)).await,
                None => report.answer(Answer::NotSent),
            }
        });
        // `at` is from before the order went out, so the deadline that is counted from it is never too late.
        self.out[host.0] = Some(Out { step, sent, at: now, until, guard, task: task.abort_handle() });
    }

    /// Writes down how long a guard holds. A recovery that cannot ask the host counts from that. The first guards of a
    /// run need no such note: the entry `arming` tells of them.
    fn note_guard(&self, host: HostId, order: Option<&Order>, now: Duration, surroundings: &mut impl Surroundings) {
        let Some(order) = order else { return };
        let is_first = self.began.is_none() && self.deadlines[host.0].is_none();
        let holds = match &order.step {
            Step::Extend { .. } => order.guard,
            Step::Arm { .. } if !is_first => order.guard,
            _ => return,
        };
        let host = &self.plan.host(host).name;
        // The order may arrive as late as `until`, and the guard holds from then on.
        if let Err(error) = surroundings.guarded(host, holds + order.until.saturating_sub(now)) {
            let notice = Notice::RecordFailed { said: error.to_string() };
            surroundings.tell(Event::warned(Some(host), notice));
        }
    }

    /// Reads journals beside everything else: a roll back goes on meanwhile.
    fn read_journals(&mut self, host: HostId, units: BTreeSet<String>) {
        // It is counted before the task begins, so that an end that comes at once waits for it. A task that panics
        // sends nothing, and the end then waits for `LAST_JOURNALS`.
        self.journals += 1;
        let hosts = Arc::clone(&self.hosts);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let journals = hosts.journals(host, units).await;
            // The driver is gone only when the push is over.
            let _ = reports.send(Report::Journals { host, journals });
        });
    }

    /// Has a host remember its failed units, beside everything else; the end waits for it as for the journals.
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

    fn probe(&self, after: bool, continuity: Continuity) {
        let hosts = Arc::clone(&self.hosts);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            // One round is under way at a time: the decider asks for the next only when it has seen this one.
            let (round, waiting) = hosts.round(after, continuity).await;
            // The driver is gone only when the push is over.
            let _ = reports.send(Report::Round(round, waiting));
        });
    }
}
