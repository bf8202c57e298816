//! Drives a rolling reboot: does what [`RollingReboot`] decides, and tells it what came of it.

mod lease;
mod trial;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::baseline::Baseline;
use super::clock::{BootClock, Clock, within};
use super::inquiry::{FleetScope, Inquiry, plan};
use super::orders::HostClock;
use super::own_machine::OwnMachine;
use super::probing::Probing;
use super::shutdown::Shutdown;
use crate::decide::asking::Continuity;
use crate::decide::reboot::trial::times::SETTLE_AFTER_BOOT;
use crate::decide::reboot::trial::{ToTry, TrialOrder, TrialWish, said_once};
use crate::decide::reboot::{HostEnd, RebootEffect, RebootEntry, RebootInput, RollingReboot, tried_one_by_one};
use crate::decide::survey::{ByHand, Weight, judge_by_hand};
use crate::decide::vocabulary::Signal;
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::reboot::{RebootActivity, RollingReason};
use crate::event::stream::Events;
use crate::event::waiting::{AfterWait, WaitedFor};
use crate::event::{Event, Phase};
use crate::facts::host::{Standing, same_boot};
use crate::facts::plan::{HostId, Plan};
use crate::inventory::model::Size;
use crate::inventory::model::{Host, HostName};
use crate::remote::answer;
use crate::remote::step::{AskUnits, Expected, RemoteStep};
use crate::remote::{Way, Workspace};

use trial::Trials;

pub(super) use trial::CLEANING;

/// How long a host may take to stop its units before it goes down: systemd gives each 90 s. Source:
/// systemd-system.conf(5), `DefaultTimeoutStopSec`.
const STOPPING: Duration = Duration::from_secs(90);

/// The pause between two tries to reach a host that reboots, so long that sshd does not punish the address.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// The pause between two rounds of the matrix, as in a push.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

/// How a rolling reboot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rolled {
    /// The end of every host that was to be rebooted; empty if none was begun.
    pub hosts: BTreeMap<HostName, HostEnd>,
    pub how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It went to its end, good or bad: the ends of the hosts say which.
    Through,
    /// No host was rebooted; the reason was told.
    Refused { text: AnyReason },
    /// No further host was begun, and no host is to blame.
    Stopped(RollingReason),
    /// No further host was begun.
    Interrupted(Signal),
    /// A second signal came: it was left while these hosts were on their way.
    Left {
        signal: Signal,
        away: Vec<HostName>,
        /// How long it may still take until the host that is being tried is at rest by itself.
        rests_within: Option<Duration>,
    },
}

/// Where a rolling reboot is written down. Each entry is durable before the act that it announces.
pub trait Logbook: Send {
    /// Writes down, before the first host is held, which hosts are to be rebooted.
    ///
    /// # Errors
    /// When it is not durable.
    fn rolling_begins(&mut self, plan: &Plan, hosts: &[HostName]) -> std::io::Result<()>;
    /// # Errors
    /// When it is not durable.
    fn rolling_goes_on(&mut self, entry: &RebootEntry) -> std::io::Result<()>;
    /// Writes down that it has come to its end, and that nothing is left to `recover`.
    fn rolling_ends(&mut self);
}

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct RebootRequest {
    pub scope: FleetScope,
    pub run: String,
    /// `person@workstation`.
    pub owner: String,
    /// Which new systems are tried once before they are what a reboot brings.
    pub tries: TrialWish,
}

/// Reboots the selected hosts of a fleet, in waves of these sizes ([`waves`](crate::decide::reboot::waves)).
pub async fn reboot(
    request: &RebootRequest,
    sizes: &[Size],
    workspace: Arc<Workspace>,
    events: &Events,
    logbook: &mut impl Logbook,
    shutdown: &mut Shutdown,
) -> Rolled {
    let RebootRequest { scope, run, owner, tries } = request;
    let inquiry = Inquiry::new(scope, workspace, events);
    let rolling = RebootDriver { inquiry: &inquiry, skipped: &scope.without, run, owner, tries: *tries };
    let rolled = rolling.roll(&scope.selected, sizes, logbook, shutdown).await;
    inquiry.reach.close().await;
    rolled
}

/// The reboot of a fleet's hosts, by a command of its own or at the end of a push.
pub(super) struct RebootDriver<'a> {
    pub(super) inquiry: &'a Inquiry<'a>,
    /// Hosts that take no part.
    pub(super) skipped: &'a BTreeSet<HostName>,
    pub(super) run: &'a str,
    /// `person@workstation`.
    pub(super) owner: &'a str,
    /// Which new systems are tried.
    pub(super) tries: TrialWish,
}

/// The fleet before the first reboot.
struct Before {
    plan: Arc<Plan>,
    kernels: BTreeMap<HostName, String>,
    /// By host, like the plan's.
    clocks: Vec<HostClock>,
    /// The machine that this runs on.
    own: Option<HostId>,
    trials: Trials,
}

impl RebootDriver<'_> {
    /// Reboots these hosts, each proven back before the next.
    pub(super) async fn roll(
        &self,
        hosts: &BTreeSet<HostName>,
        sizes: &[Size],
        logbook: &mut impl Logbook,
        shutdown: &mut Shutdown,
    ) -> Rolled {
        let none = |how| Rolled { hosts: BTreeMap::new(), how };
        let before = tokio::select! {
            before = self.before_reboot(hosts) => before,
            signal = shutdown.requested() => return none(How::Interrupted(signal)),
        };
        let before = match before {
            Ok(before) => before,
            Err(text) => return none(How::Refused { text }),
        };
        let plan = Arc::clone(&before.plan);
        let ids = plan.ids().filter(|id| hosts.contains(&plan.host(*id).name)).collect();
        if let Some(own) = before.own.filter(|own| hosts.contains(&plan.host(*own).name)) {
            let caution = RollingReason::OwnMachineReboots { fleet: self.inquiry.scope.fleet.name.clone() };
            self.inquiry.tell(Event::warned(Some(&plan.host(own).name), caution));
        }
        let tried = before.trials.plans.clone();
        let alone = tried.keys().copied().collect();
        if let Some(one_by_one) = tried_one_by_one(&plan, &ids, sizes, before.own, &alone) {
            self.inquiry.tell(Event::warned(None, one_by_one));
        }
        let mut rolling = RollingReboot::trying(Arc::clone(&plan), &ids, sizes, before.own, tried);
        if self.tries == TrialWish::Demanded {
            rolling = rolling.only_tried();
        }
        let name = |id: &HostId| plan.host(*id).name.clone();
        if let Err(error) = logbook.rolling_begins(&plan, &ids.iter().map(name).collect::<Vec<_>>()) {
            return none(How::Stopped(RollingReason::RebootNotRecorded { error: error.to_string() }));
        }
        // From here on hosts go down, and those that must come back do not wait for others.
        self.inquiry.reach.turns().make_haste();
        let probing = Probing::of_plan(Arc::clone(&self.inquiry.reach), &plan);
        let how = self.carry_out(&mut rolling, &before, &probing, logbook, shutdown).await;
        // One that was left stays unfinished in the record, so that `recover` lets its hosts go.
        if !matches!(how, How::Left { .. }) {
            logbook.rolling_ends();
            probing.stop().await;
        }
        Rolled { hosts: rolling.ends().iter().map(|(id, end)| (name(id), end.clone())).collect(), how }
    }

    async fn carry_out(
        &self,
        rolling: &mut RollingReboot,
        before: &Before,
        probing: &Probing,
        logbook: &mut impl Logbook,
        shutdown: &mut Shutdown,
    ) -> How {
        // When the host that is being tried is at rest by itself, at the latest.
        let mut rests_at: Option<Duration> = None;
        let left = |rolling: &RollingReboot, signal, rests_at: Option<Duration>| {
            let away = rolling.away().iter().map(|host| before.plan.host(*host).name.clone()).collect();
            let rests_within = rests_at.map(|at| at.saturating_sub(BootClock.now()));
            How::Left { signal, away, rests_within: rests_within.filter(|_| rolling.trial().is_some()) }
        };
        let mut effects: VecDeque<RebootEffect> = rolling.start().into();
        let mut under_way: FuturesUnordered<BoxFuture<'_, RebootInput>> = FuturesUnordered::new();
        let settle = self.settle_after_boot();
        // Only while links are waited for.
        let mut waits_for_links = false;
        loop {
            while let Some(effect) = effects.pop_front() {
                match effect {
                    RebootEffect::Record(entry) => {
                        if let Err(error) = logbook.rolling_goes_on(&entry) {
                            // The effects that are left in the queue are dropped: what the entry announces must not
                            // happen without it. The decider turns back instead.
                            effects = rolling.handle(RebootInput::RecordFailed { error: error.to_string() }).into();
                        }
                    }
                    RebootEffect::Hold { host, boot_id, renews, for_a_trial } => {
                        under_way.push(self.hold(host, boot_id, renews, for_a_trial, before).boxed());
                    }
                    RebootEffect::LetGo(hosts) => {
                        // It is waited for here, because only `Finish` comes behind it. A signal ends that wait.
                        tokio::select! {
                            () = self.let_go(&hosts, before) => {}
                            signal = shutdown.requested() => return left(rolling, signal, rests_at),
                        }
                    }
                    RebootEffect::Reboot(host) => {
                        if std::mem::take(&mut waits_for_links) {
                            self.inquiry.tell(Event::WaitEnded { wait: WaitedFor::Links });
                        }
                        under_way.push(self.reboot_one(host, before).boxed());
                    }
                    RebootEffect::Try { host, order } => {
                        if std::mem::take(&mut waits_for_links) {
                            self.inquiry.tell(Event::WaitEnded { wait: WaitedFor::Links });
                        }
                        let times = self.times_of(self.fleet_host(&before.plan.host(host).name));
                        let rests_within = match &order {
                            TrialOrder::Arm => Some(times.rest()),
                            TrialOrder::Go => Some(times.back_by_itself),
                            _ => None,
                        };
                        rests_at = rests_within.map(|within| BootClock.now() + within).or(rests_at);
                        let trial = rolling.trial().map(|(_, trial)| trial.clone());
                        under_way.push(self.try_one(host, order, trial, before).boxed());
                    }
                    RebootEffect::Probe { after_a_pause } => {
                        let continuity = if after_a_pause { Continuity::GoesOn } else { Continuity::Anew };
                        let looking = async move {
                            if after_a_pause {
                                BootClock.sleep_until(BootClock.now() + ROUND_PAUSE).await;
                            }
                            RebootInput::RoundSeen { round: probing.round(&before.plan.links, false, continuity).await }
                        };
                        under_way.push(looking.boxed());
                    }
                    RebootEffect::Expect { wave } => {
                        waits_for_links = true;
                        self.inquiry.tell(Event::WaitStarted {
                            wait: WaitedFor::Links,
                            within_ms: u64::try_from(settle.as_millis()).unwrap_or(u64::MAX),
                            then: AfterWait::NoFurtherReboot,
                        });
                        let over = BootClock.sleep_until(BootClock.now() + settle);
                        under_way.push(over.map(move |()| RebootInput::SettleElapsed { wave }).boxed());
                    }
                    RebootEffect::Tell(event) => self.inquiry.tell(event),
                    RebootEffect::Finish => {
                        if waits_for_links {
                            self.inquiry.tell(Event::WaitEnded { wait: WaitedFor::Links });
                        }
                        let stopped = rolling.stopped().cloned().map_or(How::Through, How::Stopped);
                        return rolling.interrupted().map_or(stopped, How::Interrupted);
                    }
                }
            }
            let input = tokio::select! {
                // An answer that is there counts before a signal: a host that is back must not end as being away.
                biased;
                Some(input) = under_way.next() => input,
                signal = shutdown.requested() => {
                    // The shutdown of this machine sends a signal, and waits for this program to end. So if the own
                    // machine is going down already, the first signal leaves at once.
                    if rolling.interrupted().is_some() || rolling.is_going_down() {
                        return left(rolling, signal, rests_at);
                    }
                    RebootInput::CancelRequested(signal)
                }
            };
            effects.extend(rolling.handle(input));
        }
    }

    /// Makes survey and baseline; or says why no host must be rebooted now.
    async fn before_reboot(&self, hosts: &BTreeSet<HostName>) -> Result<Before, AnyReason> {
        // Witnesses are asked as well. Else the first host would be rebooted, and then the settle time would be waited
        // out for links that no host can bring up.
        let survey = self.inquiry.survey(self.skipped).await;
        self.inquiry.ensure_witnesses_answer(&survey).map_err(AnyReason::from)?;
        let surveyed = &survey.answered;
        let there: Vec<&Host> =
            self.inquiry.scope.fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name)).collect();
        let mut views: Vec<_> = there.iter().map(|host| self.inquiry.view(host, surveyed, None)).collect();
        for view in &mut views {
            view.selected = hosts.contains(&view.host.name);
        }
        let findings =
            judge_by_hand(&self.inquiry.scope.fleet.name, &views, self.inquiry.scope.allowed, ByHand::Reboot);
        self.inquiry.tell_findings(&findings);
        if findings.iter().any(|finding| finding.weight == Weight::Refusal) {
            return Err(RollingReason::RebootNotAllowed.into());
        }
        if !views.iter().any(|view| view.selected) {
            return Err(RollingReason::NobodyToReboot.into());
        }
        let machine = OwnMachine::read();
        let is_own = |machine_id: &str, boot_id: &str| machine.as_ref().is_some_and(|own| own.is(machine_id, boot_id));
        let mut trials = BTreeMap::new();
        let mut is_refused = false;
        let mut untried = Vec::new();
        for (name, facts) in views.iter().filter(|view| view.selected).map(|view| (&view.host.name, view.facts)) {
            let is_own = is_own(&facts.machine_id, &facts.standing.boot_id);
            match ToTry::of(self.run, self.fleet_host(name), facts, is_own, self.tries) {
                ToTry::Nothing => {}
                ToTry::Plan(plan) => drop(trials.insert(name.clone(), plan)),
                ToTry::Not(why) => untried.push((name.clone(), why)),
                ToTry::NotAgain(why) if self.inquiry.scope.allowed.drift => {
                    self.inquiry.tell(Event::warned(Some(name), why));
                }
                ToTry::NotAgain(why) | ToTry::Refused(why) => {
                    is_refused = true;
                    self.inquiry.tell(Event::failed(Some(name), why));
                }
            }
        }
        if is_refused {
            return Err(RollingReason::RebootNotAllowed.into());
        }
        for (host, why) in said_once(untried) {
            self.inquiry.tell(Event::warned(host.as_ref(), why));
        }
        let plan = plan(&views, self.inquiry.links(&survey));
        self.inquiry.tell(Event::PhaseStarted { phase: Phase::Baseline });
        let Baseline { plan, .. } = self.inquiry.baseline(plan, &survey.skipped, false, AskUnits::Yes).await;
        let kernels = surveyed.iter().map(|(host, one)| (host.clone(), one.facts.kernel.clone())).collect();
        let clocks = plan.hosts.iter().map(|host| surveyed[&host.name].clock).collect();
        let own = plan.ids().find(|id| is_own(&plan.host(*id).machine_id, &plan.host(*id).boot_id));
        let trials = plan.ids().filter_map(|id| Some((id, trials.remove(&plan.host(id).name)?))).collect();
        let trials = Trials::new(trials);
        Ok(Before { plan: Arc::new(plan), kernels, clocks, own, trials })
    }

    fn fleet_host(&self, name: &HostName) -> &Host {
        let host = self.inquiry.scope.fleet.hosts.iter().find(|host| host.name == *name);
        host.expect("the plan is made from the fleet's own hosts")
    }

    /// Tells one host to reboot and waits for it, until it has taken a new login or its time is over.
    async fn reboot_one(&self, id: HostId, before: &Before) -> RebootInput {
        let plan = before.plan.host(id);
        let host = self.fleet_host(&plan.name);
        let name = &host.name;
        // With a host that is not proven back the rolling reboot ends.
        let then = Some(AfterWait::NoFurtherReboot);
        let doing = |doing: RebootActivity, within: Duration| {
            self.inquiry.tell(Event::moved_until(name, doing, Some(within), then));
        };
        let begun = BootClock.now();
        // The boot id goes with the order, so a late copy of it reboots nothing after the reboot.
        let limit = host.limits.connect + host.limits.step;
        doing(RebootActivity::Told, limit);
        let script = RemoteStep::Reboot {
            run: self.run.to_owned(),
            boot_id: plan.boot_id.clone(),
            expected: Expected::from(&plan.old),
        }
        .script();
        let told = within(&BootClock, limit, self.inquiry.reach.run(name, &script, limit)).await;
        match told {
            Some(Ok(raw)) => {
                let refused = answer::step_answer(&raw.lines).ok().and_then(|answer| Cause::of_outcome(answer.outcome));
                if let Some(cause) = refused {
                    return RebootInput::Refused { host: id, why: cause.into() };
                }
            }
            Some(Err(error)) if error.nothing_ran() => {
                let undelivered = RollingReason::RebootNotDelivered { cause: Cause::from(&error).into() };
                return RebootInput::Refused { host: id, why: undelivered.into() };
            }
            // The connection may be gone because the host reboots already, so this error proves nothing.
            Some(Err(_)) | None => {}
        }
        let away = STOPPING + host.boot_time + host.limits.connect;
        // The last look may begin just before that.
        doing(RebootActivity::GoingDown, away + host.limits.connect);
        let until = BootClock.now() + away;
        loop {
            let last = match self.look(host).await {
                // Only another boot proves the reboot: a host that is slow to stop still answers on the old one.
                Ok(standing) if !same_boot(&standing.boot_id, &plan.boot_id) => break,
                Ok(_) => RollingReason::StillOnOldBoot.into(),
                Err(why) => why,
            };
            let now = BootClock.now();
            if now >= until {
                let overdue = RollingReason::RebootOverdue { waited: now.saturating_sub(begun), cause: last };
                return RebootInput::Lost { host: id, why: overdue.into() };
            }
            BootClock.sleep_until(now + LOOK_PAUSE).await;
        }
        // The last try may begin just before the settle time is over, and waits that long for units by itself.
        let settle = self.settle_after_boot();
        doing(RebootActivity::LoggingIn, settle + settle + host.limits.connect + host.limits.step);
        match self.login_after_boot(host).await {
            Ok((standing, kernel)) => {
                let took = BootClock.now().saturating_sub(begun);
                self.inquiry.tell(Event::HostRebooted {
                    host: name.clone(),
                    took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    old_kernel: before.kernels.get(name).cloned().unwrap_or_default(),
                    new_kernel: kernel,
                });
                RebootInput::Back { host: id, standing: Box::new(standing) }
            }
            Err(cause) => RebootInput::Lost { host: id, why: RollingReason::NoLoginAfterReboot { cause }.into() },
        }
    }

    /// Returns how long links and logins may take to come up after a boot.
    fn settle_after_boot(&self) -> Duration {
        self.inquiry.scope.fleet.settle.max(SETTLE_AFTER_BOOT)
    }

    async fn look(&self, host: &Host) -> Result<Standing, AnyReason> {
        let limit = host.limits.connect;
        let script = RemoteStep::Standing { run: None, units: AskUnits::No }.script();
        let asked = within(&BootClock, limit, self.inquiry.reach.run(&host.name, &script, limit)).await;
        let raw = asked.ok_or(Cause::SilentTooLong { waited: limit })?.map_err(|error| Cause::from(&error))?;
        answer::standing(&raw.lines).map_err(|error| Cause::from(&error).into())
    }

    /// Makes a new ssh login that ends in root, and waits until all units of the boot have started. It is tried until
    /// the settle time is over, because a host that boots lets only root in at first (`pam_nologin(8)`).
    async fn login_after_boot(&self, host: &Host) -> Result<(Standing, String), AnyReason> {
        let settle = self.settle_after_boot();
        let until = BootClock.now() + settle;
        let limit = host.limits.connect + settle + host.limits.step;
        let script = RemoteStep::Booted { limit: settle }.script();
        loop {
            let login = self.inquiry.reach.login_anew(&host.name, Way::Usual, None, &script, limit);
            let answered = within(&BootClock, limit, login).await;
            let why = match answered {
                Some(Ok(raw)) => {
                    let one =
                        |key: &str| raw.lines.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
                    match answer::standing(&raw.lines) {
                        Ok(standing) => {
                            if one("starting").is_some() {
                                self.inquiry.tell(Event::warned(Some(&host.name), RollingReason::BootNotEnded));
                            }
                            return Ok((standing, one("kernel").unwrap_or_default()));
                        }
                        Err(error) => Cause::from(&error),
                    }
                }
                Some(Err(error)) => Cause::from(&error),
                None => Cause::SilentTooLong { waited: limit },
            };
            // The last try may begin just before `until`: it has its own limit.
            if BootClock.now() >= until {
                return Err(why.into());
            }
            BootClock.sleep_until(BootClock.now() + LOOK_PAUSE).await;
        }
    }
}
