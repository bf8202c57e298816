//! Does what the decider says, and tells the decider what came of it. It has the only `select!` over everything.

mod reports;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::activity::by_step;
use super::clock::Clock;
use super::hosts::{Hosts, Order};
use super::reports::{Report, ReportOnce};
use super::returned::CleanedUp;
use super::shutdown::Shutdown;
use super::timers::Timers;
use crate::decide::left_to_guard::LeftToGuard;
use crate::decide::time::{MARGIN, REKEY, Times};
use crate::decide::transaction::Transaction;
use crate::decide::transaction::recover::{Aim, Recorded};
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, Signal, Step, Timer, Verdict};
use crate::event::forecast::Forecast;
use crate::event::{Event, HostOutcome};
use crate::facts::plan::{HostId, Plan};
use crate::facts::traces::EndMark;
use crate::inventory::model::HostName;

/// How long a host behind a jump may hold the jump's own job back. Longer than a start takes over a slow line; short
/// against a master's 15 s for noticing that its link is dead.
const HEAD_START: Duration = Duration::from_secs(5);

/// How long links may take to come up after a guard's reboot. A WireGuard peer notices after 15 s that its hub is gone
/// (WireGuard white paper, section 6.5), and then needs a try or two.
const SETTLE_AFTER_BOOT: Duration = Duration::from_secs(45);

/// The pause between two rounds of the matrix. It may be short: the probe script itself connects to an sshd at most
/// every 2 s.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

/// How long the end of a push waits for journals that are still to come: most have come during the roll back.
const LAST_JOURNALS: Duration = Duration::from_secs(2);

/// How a driven push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Verdict(Verdict),
    /// A second signal came, and the push was left at once.
    Left {
        /// Hosts that have a known end, or that a recovery found in a known state.
        through: Vec<(HostName, HostOutcome)>,
        /// Hosts that may still be guarded.
        guarded: Vec<LeftToGuard>,
        signal: Signal,
    },
}

/// What the driver needs beside the hosts: where events and entries go.
pub trait Surroundings: Send {
    /// Never waits.
    fn tell(&mut self, event: Event);
    /// Shows what the push would do, if a person wants to see that first.
    fn foreseen(&mut self, forecast: Forecast) {
        let _ = forecast;
    }
    /// Asks the person who has seen it whether to go on; the question ends by itself after some time.
    ///
    /// # Errors
    /// Says in words why the push is not begun.
    fn agrees(&mut self) -> impl Future<Output = Result<(), String>> + Send {
        async { Ok(()) }
    }
    /// Writes down that a guard is about to be armed anew, or extended, and holds no longer than this from now on. It
    /// returns once that is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    fn guarded(&mut self, host: &HostName, holds: Duration) -> std::io::Result<()> {
        let _ = (host, holds);
        Ok(())
    }
    /// Writes down that hosts are cleaned up that another run was ended without.
    ///
    /// # Errors
    /// When that cannot be written down.
    fn cleaned_up(&mut self, what: &CleanedUp) -> std::io::Result<()> {
        let _ = what;
        Ok(())
    }
    /// Writes down what the push begins with, and returns once that is durable: before the first host is touched.
    ///
    /// # Errors
    /// When it cannot be written.
    fn started(&mut self, plan: &Plan) -> std::io::Result<()>;
    /// Writes an entry into the journal, and returns once it is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    fn record(&mut self, entry: &Entry) -> std::io::Result<()>;
}

/// A step that was sent and has not been answered yet.
struct Out {
    step: Step,
    /// The number of the step: reports of a step that was replaced carry another one.
    sent: u64,
    at: Duration,
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
    pub fn leaving(mut self, hosts: Vec<(HostId, String)>) -> Self {
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
            // All effects of one input come before the next input, in their order: a step that an entry announces
            // stands behind that entry, and so is sent only once the entry is durable.
            while let Some(effect) = effects.pop_front() {
                match effect {
                    Effect::Record(entry) => {
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
                            surroundings.tell(Event::Warned { host: None, text: format!("the record failed: {why}") });
                            if forward {
                                // The effects that are left in the queue are dropped: what the entry announces must not
                                // happen without it. The decider turns back instead.
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
                        // A push that was superseded takes no further step, and does not try one again: another
                        // coordinator speaks to the hosts now.
                        for out in self.out.iter().flatten() {
                            out.task.abort();
                        }
                        self.hear_last_journals(surroundings).await;
                        return Ended::Verdict(verdict);
                    }
                }
            }
            let input = tokio::select! {
                // The order is fixed, so that an answer that is there counts, although its time ran out while this
                // machine was suspended; and so that the simulator can replay a run.
                biased;
                Some(report) = self.inbox.recv() => self.take(report, surroundings),
                timer = self.timers.next() => Some(Input::TimerElapsed(timer)),
                signal = shutdown.requested() => {
                    if asked_to_stop {
                        // Tasks under way hold connections open, and the caller closes these next. The command itself
                        // may still run on its host; its guard covers that.
                        self.out.iter().flatten().for_each(|out| out.task.abort());
                        let (through, guarded) = (self.transaction.through(), self.guarded());
                        return match self.transaction.ended() {
                            // Only the clean-up was still under way: the verdict stands already.
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

    /// Returns when the host's guard fires at the latest, as far as is known.
    fn latest(&self, host: HostId, now: Duration) -> Duration {
        let times = &self.times[host.0];
        let unknown = if self.seen_fired.len() > 1 {
            now
        } else {
            // A guard that was not seen was armed before the recovery began, by a coordinator that has died.
            (self.began.unwrap_or(now) + times.unseen_guard).saturating_sub(times.overdue)
        };
        self.deadlines[host.0].unwrap_or(unknown)
    }

    fn send(&mut self, host: HostId, step: Step, surroundings: &mut impl Surroundings) {
        if let Some(old) = self.out[host.0].take() {
            // The task that is aborted still reports, with its old number, and `take` passes over that. The command may
            // still arrive on the host: the fence there decides about it.
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
        // The record must know of a longer guard before the host does: the workstation may die in between.
        self.note_guard(host, order.as_ref(), now, surroundings);
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
        self.out[host.0] = Some(Out { step, sent, at: now, guard, task: task.abort_handle() });
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
            let text = format!("the record failed: {error}");
            surroundings.tell(Event::Warned { host: Some(host.clone()), text });
        }
    }

    /// Returns how long the host's guard is to hold from now on.
    ///
    /// While the push waits for a host that its own guard brings back, the other hosts must still be guarded when it is
    /// back, with time to prove the links and to disarm.
    fn guard(&self, host: HostId, step: &Step, now: Duration) -> Duration {
        let times = &self.times[host.0];
        let awaited = self.plan.ids().filter(|id| {
            matches!(step, Step::Extend { .. }) && self.out[id.0].as_ref().is_some_and(|out| is_awaited(&out.step))
        });
        let back = awaited.map(|id| self.times[id.0].awaited_until(self.latest(id, now)));
        let missing = self.missing_until.filter(|_| matches!(step, Step::Extend { .. }));
        let back = back.chain(missing).max();
        let after = times.settle_back() + times.limits.connect + times.limits.step + MARGIN;
        back.map_or(times.guard, |back| times.guard.max(back.saturating_sub(now) + after))
    }

    /// Makes the order of a step, with its times; `None` if the step could not end before the guard fires.
    fn order(&self, host: HostId, step: Step, guard: Duration, now: Duration) -> Option<Order> {
        let times = &self.times[host.0];
        let limits = &times.limits;
        let deadline = self.deadlines[host.0];
        let short = limits.connect + limits.step;
        // After a suspend of this machine all that may be over already. The host may be there all the same, and the way
        // to it may take a moment to come up again.
        let back = self.awaited_until(host, now).max(now + times.settle + short);
        let (until, needs, limit) = match &step {
            Step::Arm { .. }
            | Step::Extend { .. }
            | Step::Ask
            | Step::Release
            | Step::Clean { .. }
            | Step::Unmark { .. } => (now + short, Duration::ZERO, limits.step),
            Step::Login { after: true } => (now + times.settle + limits.connect, Duration::ZERO, limits.step),
            Step::Login { after: false } => (now + times.settle_back() + limits.connect, Duration::ZERO, limits.step),
            Step::Job { kind: crate::facts::host::JobKind::Rollback, .. } => {
                let limit = times.rollback(now, deadline.unwrap_or(now))?;
                // It is tried until the last moment at which it can still end in time, because the way may open again.
                let until = deadline.unwrap_or(now).saturating_sub(MARGIN);
                (until, Duration::from_secs(1), limit)
            }
            Step::Job { kind, .. } => {
                let limit = times.job(*kind);
                // A host without a known deadline has no guard, and no step forward begins there.
                if !times.job_fits(*kind, now, deadline.unwrap_or(now)) {
                    return None;
                }
                (now + limit + limits.connect, limit, limit)
            }
            // A switch that is under way may finish: the take-over judges what it leaves behind.
            Step::TakeOver { by_guard: false } => (now + short, Duration::ZERO, limits.switch),
            Step::TakeOver { by_guard: true } => (back, Duration::ZERO, limits.switch),
            Step::Disarm { .. } | Step::Return { .. } => (back, Duration::ZERO, limits.step),
        };
        Some(Order { step, until, guard, needs, limit })
    }

    /// Returns until when a host is asked that its guard brings back: as long as the push waits for any other host.
    fn awaited_until(&self, host: HostId, now: Duration) -> Duration {
        let others = self.plan.changing().filter(|id| self.out[id.0].is_some() && self.deadlines[id.0].is_some());
        others.chain([host]).map(|id| self.times[id.0].awaited_until(self.latest(id, now))).fold(now, Duration::max)
    }

    /// Reads journals beside everything else: a roll back goes on meanwhile.
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

    fn probe(&self, after: bool) {
        let hosts = Arc::clone(&self.hosts);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            // One round is under way at a time: the decider asks for the next only when it has seen this one.
            let (round, waiting) = hosts.round(after).await;
            // The driver is gone only when the push is over.
            let _ = reports.send(Report::Round(round, waiting));
        });
    }

    /// Returns the longest of the times of all hosts.
    fn longest(&self, of: impl Fn(&Times) -> Duration) -> Duration {
        self.times.iter().map(of).max().unwrap_or_default()
    }

    fn length(&self, timer: Timer) -> Duration {
        match timer {
            Timer::HeadStart => HEAD_START,
            Timer::RoundPause => ROUND_PAUSE,
            Timer::Settle => self.longest(|times| times.settle),
            Timer::Steady => self.longest(|times| times.steady),
            Timer::SettleBack => self.longest(Times::settle_back),
            Timer::SettleAfterBoot => self.longest(Times::settle_back).max(SETTLE_AFTER_BOOT),
            Timer::Rekey => REKEY,
            Timer::GuardsOver => self.guards_over(),
            // Another coordinator may take this long to come to a host.
            Timer::AskAgain => self.longest(|times| times.limits.connect + times.limits.step),
        }
    }

    fn left_ms(&self, deadline: Duration) -> u64 {
        millis(deadline.saturating_sub(self.clock.now()))
    }

    /// Returns the time until every known guard has fired and its host has booted; if none is known, the longest time
    /// that a guard may take.
    fn guards_over(&self) -> Duration {
        let now = self.clock.now();
        if let Some(until) = self.missing_until {
            return until.saturating_sub(now);
        }
        let known = self.plan.changing().any(|host| self.deadlines[host.0].is_some());
        let until = self
            .plan
            .changing()
            .filter(|host| !known || self.deadlines[host.0].is_some())
            .map(|host| self.times[host.0].awaited_until(self.latest(host, now)));
        until.max().unwrap_or(now).saturating_sub(now)
    }

    /// Returns whether every guard leaves time for the rest of the push. Only hosts under a guard take part in that
    /// rest.
    fn enough_time(&self) -> bool {
        let now = self.clock.now();
        let fits =
            |host: HostId, deadline| self.times[host.0].rest_fits(self.plan.host(host).switch_job(), now, deadline);
        self.transaction.holding().all(|host| self.deadlines[host.0].is_some_and(|deadline| fits(host, deadline)))
    }

    fn guarded(&self) -> Vec<LeftToGuard> {
        let now = self.clock.now();
        let one = |host: HostId| LeftToGuard {
            host: self.plan.host(host).name.clone(),
            back_within: self.times[host.0].awaited_until(self.latest(host, now)).saturating_sub(now),
            seen_on_old: self.transaction.is_seen_on_old(host),
            may_be_disarmed: self.transaction.may_be_disarmed(host),
        };
        self.transaction.left_to_guards().map(one).collect()
    }

    /// Adds to the verdict when hosts that are left to their guards are back: the decider keeps no time.
    fn say_when_they_are_back(&self, verdict: &mut Verdict) {
        for guarded in self.guarded() {
            let left = verdict.hosts.iter_mut().find(|(host, _)| *host == guarded.host);
            if let Some((_, HostOutcome::Left { why, back_within_ms: back_within @ None })) = left
                && let HostOutcome::Left { why: when, back_within_ms } = guarded.outcome()
            {
                (*why, *back_within) = (format!("{why}; {when}"), back_within_ms);
            }
        }
    }
}

/// Returns whether the step waits for a host that its guard brings back.
fn is_awaited(step: &Step) -> bool {
    matches!(step, Step::Return { .. } | Step::TakeOver { by_guard: true })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
