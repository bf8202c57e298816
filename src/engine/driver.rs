//! Does what the decider says, and tells it what came of it. The only `select!` over everything.

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
use crate::decide::recover::{Aim, Recorded};
use crate::decide::time::{MARGIN, REKEY, Times};
use crate::decide::transaction::Transaction;
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, Signal, Step, Timer, Verdict};
use crate::event::forecast::Forecast;
use crate::event::{Event, HostOutcome};
use crate::facts::plan::{HostId, Plan};
use crate::facts::traces::EndMark;
use crate::inventory::model::HostName;

/// How long a host behind a jump may hold the jump's own job back. Longer than a start takes over a slow line; short
/// against a master's 15 s for noticing that its link is dead.
const HEAD_START: Duration = Duration::from_secs(5);

/// A WireGuard peer notices after 15 s that its hub is gone (WireGuard white paper, section 6.5), and needs a try or
/// two.
const SETTLE_AFTER_BOOT: Duration = Duration::from_secs(45);

/// Between two rounds of the matrix. Ping often; the probe script itself connects to an sshd at most every 2 s.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

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

/// What the driver needs beside the hosts: where events and entries go.
pub trait Surroundings: Send {
    /// Never waits.
    fn tell(&mut self, event: Event);
    /// What the push would do, where a person wants to see that first.
    fn foreseen(&mut self, forecast: Forecast) {
        let _ = forecast;
    }
    /// Whether a person who has seen it wants it; ends by itself some time.
    ///
    /// # Errors
    /// Why the push is not begun, in words.
    fn agrees(&mut self) -> impl Future<Output = Result<(), String>> + Send {
        async { Ok(()) }
    }
    /// A guard is about to be armed anew, or extended, and holds no longer than this from now on; durable before that.
    ///
    /// # Errors
    /// When it is not.
    fn guarded(&mut self, host: &HostName, holds: Duration) -> std::io::Result<()> {
        let _ = (host, holds);
        Ok(())
    }
    /// Another run's end while hosts were missing has come to more: hosts of it that were missing are cleaned up.
    ///
    /// # Errors
    /// When that cannot be written down.
    fn cleaned_up(&mut self, what: &CleanedUp) -> std::io::Result<()> {
        let _ = what;
        Ok(())
    }
    /// What the push begins with, durable before the first host is touched.
    ///
    /// # Errors
    /// When it is not.
    fn started(&mut self, plan: &Plan) -> std::io::Result<()>;
    /// Returns once the entry is durable.
    ///
    /// # Errors
    /// When it is not.
    fn record(&mut self, entry: &Entry) -> std::io::Result<()>;
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

    /// When the host's guard fires at the latest, as far as is known. A guard that is not known was armed before now.
    fn latest(&self, host: HostId, now: Duration) -> Duration {
        let times = &self.times[host.0];
        let unknown = if self.seen_fired.len() > 1 {
            now
        } else {
            (self.began.unwrap_or(now) + times.unseen_guard).saturating_sub(times.overdue)
        };
        self.deadlines[host.0].unwrap_or(unknown)
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

    /// How long the host's guard is to hold from now on. Where a host is awaited from its own guard, the others must
    /// still be there when it is back, with time to prove the links and to disarm.
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

    /// The step with its times; `None` when it could not end before the guard fires.
    fn order(&self, host: HostId, step: Step, guard: Duration, now: Duration) -> Option<Order> {
        let times = &self.times[host.0];
        let limits = &times.limits;
        let deadline = self.deadlines[host.0];
        let short = limits.connect + limits.step;
        // Also when all that is over already, because this machine was suspended: the host may be there, and the way to
        // it may take a moment to come up again.
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
                // Tried until the last moment at which it could still be done in time: the way may open again.
                let until = deadline.unwrap_or(now).saturating_sub(MARGIN);
                (until, Duration::from_secs(1), limit)
            }
            Step::Job { kind, .. } => {
                let limit = times.job(*kind);
                if !times.job_fits(*kind, now, deadline.unwrap_or(now)) {
                    return None;
                }
                (now + limit + limits.connect, limit, limit)
            }
            // A switch that is under way is let finish: what it leaves behind is what counts.
            Step::TakeOver { by_guard: false } => (now + short, Duration::ZERO, limits.switch),
            Step::TakeOver { by_guard: true } => (back, Duration::ZERO, limits.switch),
            Step::Disarm { .. } | Step::Return { .. } => (back, Duration::ZERO, limits.step),
        };
        Some(Order { step, until, guard, needs, limit })
    }

    /// Until when a host is asked that its guard brings back: for as long as any other is waited for, too.
    fn awaited_until(&self, host: HostId, now: Duration) -> Duration {
        let others = self.plan.changing().filter(|id| self.out[id.0].is_some() && self.deadlines[id.0].is_some());
        others.chain([host]).map(|id| self.times[id.0].awaited_until(self.latest(id, now))).fold(now, Duration::max)
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

    /// The longest of what the hosts may take.
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
            // As long as somebody else may take to come to a host.
            Timer::AskAgain => self.longest(|times| times.limits.connect + times.limits.step),
        }
    }

    fn left_ms(&self, deadline: Duration) -> u64 {
        millis(deadline.saturating_sub(self.clock.now()))
    }

    /// Until every guard that is known of has fired and its host has booted; where none is known, the longest there
    /// may be.
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

    /// Only hosts under a guard take part in what is left.
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

    /// The decider keeps no time: of hosts that it leaves to their guards it cannot tell.
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

/// Whether the step waits for a host that its guard brings back.
fn is_awaited(step: &Step) -> bool {
    matches!(step, Step::Return { .. } | Step::TakeOver { by_guard: true })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
