//! Runs a push from its beginning to its end: phases 1 to 4, which touch nothing, and then the driver.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::BootClock;
use super::driver::{Driver, Ended, Surroundings};
use super::last_look::look_at_every_host;
use super::orders::{HostGuard, Identity, Orders};
use super::reach::Reach;
use super::reboot::{Logbook, Rolled};
use super::returned::Leftovers;
use super::shutdown::Shutdown;
use super::ssh_hosts::{SshHosts, reason};
use super::surveyor::Answered;
use super::workstation::Looking;
use crate::decide::left_to_guard::LeftToGuard;
use crate::decide::remembered::remembered;
use crate::decide::restless::restless;
use crate::decide::rollback::To;
use crate::decide::survey::{Allowed, Surveyed};
use crate::decide::time::{SteadyShortened, Times};
use crate::decide::vocabulary::{Signal, Verdict};
use crate::decide::waves::Waves;
use crate::event::forecast::{Forecast, NotRun};
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, HostPlanned, Outcome, Phase};
use crate::facts::links::{Link, Round};
use crate::facts::plan::{HostId, HostPlan, Plan};
use crate::facts::store_path::StorePath;
use crate::facts::traces::EndMark;
use crate::facts::units::UnitTerms;
use crate::inventory::model::{Fleet, Host, HostName, Place};
use crate::remote::Workspace;
use crate::remote::step::{Speaker, Step as RemoteStep};

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub fleet: Fleet,
    /// Where the inventory lies: relative sources are relative to it.
    pub folder: PathBuf,
    pub selected: BTreeSet<HostName>,
    /// Hosts that take no part, whether or not they answer: they are not asked. None of them is selected.
    pub without: BTreeSet<HostName>,
    pub allowed: Allowed,
    /// Units that made a run roll back, and that are to count as failed before this run.
    pub accept_failed: BTreeSet<String>,
    pub waves: Waves,
    /// Where a rollback goes: to systems that the hosts have already. `None`: the systems are built.
    pub back: Option<To>,
    pub first: First,
    /// Whether the hosts that need a reboot for their new systems are rebooted after the commit.
    pub reboot: bool,
    pub run: String,
    /// `person@workstation`.
    pub owner: String,
    /// Where the systems are rooted on the workstation.
    pub roots: PathBuf,
}

/// What happens before the first host is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It goes on by itself.
    Nothing,
    /// The differences of the systems are shown in full, and it goes on.
    ShowDifferences,
    /// The plan is shown, and a person is asked whether to go on.
    Ask,
    /// The plan is shown, and that is all: a dry run. With `units` the systems are copied, and each is asked on its
    /// host what it would do to the units.
    ShowPlan { units: bool },
}

impl First {
    #[must_use]
    pub fn is_all(self) -> bool {
        matches!(self, Self::ShowPlan { .. })
    }
}

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Ended(Verdict),
    /// It was committed, or unchanged, and then hosts that needed a reboot were rebooted, or were to be.
    Rebooted(Verdict, Rolled),
    /// A dry run that found nothing against the push, which would change hosts.
    Planned,
    /// A signal came before anything was touched.
    Interrupted(Signal),
    /// A second signal came, and the push was left at once; see [`Ended::Left`].
    Left {
        through: Vec<(HostName, HostOutcome)>,
        guarded: Vec<LeftToGuard>,
        signal: Signal,
    },
}

/// A refusal: nothing was touched. The findings were told as events.
pub(super) struct Refused {
    pub(super) text: String,
}

pub(super) type Phased<T> = Result<T, Refused>;

/// Pushes a fleet, and tells `surroundings` and `events` everything on the way.
pub async fn push(
    request: &Request,
    workspace: Arc<Workspace>,
    events: &Events,
    surroundings: &mut (impl Surroundings + Logbook),
    shutdown: &mut Shutdown,
) -> Pushed {
    let workstation = Looking::begin(events);
    let push = Push::new(request, workspace, events);
    let pushed = match push_to_the_end(&push, surroundings, shutdown).await {
        Pushed::Ended(verdict)
            if matches!(verdict.outcome, Outcome::Committed | Outcome::Unchanged) && request.reboot =>
        {
            // Only after the commit: a reboot before it would bring the old system, and take the proof away.
            let hosts = lock(&push.need_reboot).clone();
            if hosts.is_empty() {
                Pushed::Ended(verdict)
            } else {
                // No waves are named, so they are rebooted one after the other.
                Pushed::Rebooted(verdict, push.roll(&hosts, &[], surroundings, shutdown).await)
            }
        }
        pushed => pushed,
    };
    // The sessions are closed here and not dropped: to drop one blocks.
    push.reach.close().await;
    workstation.end().await;
    pushed
}

async fn push_to_the_end(push: &Push<'_>, surroundings: &mut impl Surroundings, shutdown: &mut Shutdown) -> Pushed {
    let interrupted = async |signal| {
        // Phases 1 to 4 leave nothing on a host but roots, and these are taken away again.
        push.clean_prepared().await;
        Pushed::Interrupted(signal)
    };
    let prepared = tokio::select! {
        // To drop `prepare` in the middle is safe: it has armed and activated nothing, and local children end with it.
        prepared = push.prepare() => prepared,
        signal = shutdown.requested() => return interrupted(signal).await,
    };
    match prepared {
        Err(Refused { text }) => {
            push.clean_prepared().await;
            if push.request.first.is_all() {
                surroundings.foreseen(push.foreseen(Some(text.clone())));
            }
            Pushed::Ended(push.refused(text))
        }
        Ok(Prepared::Planned) => {
            // With `--units` the hosts have roots of a run that will not begin.
            push.clean_prepared().await;
            surroundings.foreseen(push.foreseen(None));
            Pushed::Planned
        }
        Ok(Prepared::Unchanged { hosts, leftovers }) => {
            if push.request.first.is_all() {
                surroundings.foreseen(push.foreseen(None));
            } else if let Err(signal) = push.clear_away(&leftovers, surroundings, shutdown).await {
                return interrupted(signal).await;
            }
            Pushed::Ended(unchanged(hosts))
        }
        Ok(Prepared::Ready(ready)) => {
            let Ready { hosts, plan, times, leftovers } = *ready;
            if push.request.first == First::Ask {
                surroundings.foreseen(push.foreseen(None));
                // No guard is armed yet, so no time runs out while the person reads; and arming checks anew whether the
                // facts still hold.
                let agreed = tokio::select! {
                    agreed = surroundings.agrees() => agreed,
                    signal = shutdown.requested() => return interrupted(signal).await,
                };
                if let Err(why) = agreed {
                    push.clean_prepared().await;
                    return Pushed::Ended(push.refused(why));
                }
            }
            if let Err(signal) = push.clear_away(&leftovers, surroundings, shutdown).await {
                return interrupted(signal).await;
            }
            // The plan must be on the disk before the first host is armed: `recover` reads it.
            if let Err(error) = surroundings.started(&plan) {
                push.clean_prepared().await;
                push.fail(None, format!("the run's record cannot be written: {error}"), None);
                return Pushed::Ended(push.refused("the run's record cannot be written".to_owned()));
            }
            let ended = Driver::new(Arc::clone(&hosts), Arc::clone(&plan), times, Arc::new(BootClock))
                .drive(surroundings, shutdown)
                .await;
            match ended {
                Ended::Verdict(mut verdict) => {
                    hosts.stop_probing().await;
                    // One look more, because a host may have come back since it was given up. A person who is in a
                    // hurry ends it with a signal.
                    if verdict.outcome == Outcome::Split {
                        let skipped = lock(&push.skipped).clone();
                        let took_part = push.request.fleet.hosts.iter().filter(|host| !skipped.contains(&host.name));
                        let took_part: Vec<Host> = took_part.cloned().collect();
                        tokio::select! {
                            () = look_at_every_host(&push.reach, &took_part, push.events) => {}
                            _ = shutdown.requested() => {}
                        }
                    }
                    verdict.hosts = push.name_every_host(verdict.hosts);
                    Pushed::Ended(verdict)
                }
                Ended::Left { through, guarded, signal } => {
                    // "At once" does not wait for a round that is under way; its prober ends with the session.
                    Pushed::Left { through, guarded, signal }
                }
            }
        }
    }
}

enum Prepared {
    Planned,
    Unchanged { hosts: Vec<(HostName, HostOutcome)>, leftovers: Leftovers },
    Ready(Box<Ready>),
}

struct Ready {
    hosts: Arc<SshHosts>,
    plan: Arc<Plan>,
    times: Vec<Times>,
    leftovers: Leftovers,
}

pub(super) struct Push<'a> {
    pub(super) request: &'a Request,
    pub(super) reach: Arc<Reach>,
    pub(super) events: &'a Events,
    /// Hosts that hold roots of this run: a refusal cleans them up.
    pub(super) prepared: Mutex<BTreeSet<HostName>>,
    /// Hosts that take no part: those of [`Request::without`], and optional ones that did not answer the survey.
    pub(super) skipped: Mutex<BTreeSet<HostName>>,
    /// What the push would do, as far as that is known by now.
    pub(super) ahead: Mutex<Forecast>,
    /// Hosts that need a reboot for some part of their new system.
    pub(super) need_reboot: Mutex<BTreeSet<HostName>>,
}

impl<'a> Push<'a> {
    pub(super) fn new(request: &'a Request, workspace: Arc<Workspace>, events: &'a Events) -> Self {
        let connect = request.fleet.hosts.iter().map(|host| (host.name.clone(), host.limits.connect)).collect();
        Self {
            request,
            reach: Arc::new(Reach::new(workspace, connect)),
            events,
            prepared: Mutex::default(),
            skipped: Mutex::new(request.without.clone()),
            ahead: Mutex::default(),
            need_reboot: Mutex::default(),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        self.events.publish(event);
    }

    pub(super) fn warn(&self, host: Option<&HostName>, text: impl Into<String>) {
        self.tell(Event::Warned { host: host.cloned(), text: text.into() });
    }

    pub(super) fn fail(&self, host: Option<&HostName>, text: impl Into<String>, hint: Option<String>) {
        self.tell(Event::Failed { host: host.cloned(), text: text.into(), hint });
    }

    async fn prepare(&self) -> Phased<Prepared> {
        let fleet = &self.request.fleet;
        // Both run side by side: the build needs the workstation, the survey the hosts. The first that refuses ends
        // both.
        let (systems, surveyed) = match &self.request.back {
            None => tokio::try_join!(self.build(), self.survey_with_witnesses())?,
            Some(to) => self.survey_and_choose(to).await?,
        };
        let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name)).collect();
        let views: Vec<Surveyed<'_>> =
            hosts.iter().map(|host| self.view(host, &surveyed, systems.get(&host.name))).collect();
        // A command that only looks ahead must not run a program of the inventory.
        let (commands, links): (Vec<Link>, Vec<Link>) =
            self.links(&surveyed).into_iter().partition(|link| self.request.first.is_all() && link.probe.is_command());
        let mut plan = plan(&views, links);
        self.remember_units(&mut plan, &views);
        self.foresee(&views, &plan);
        lock(&self.ahead).not_run = commands.iter().map(not_run).collect();
        // The plan is put together before it is judged, so that a refused dry run shows what is known by now.
        self.judge(&views)?;
        let leftovers = Leftovers::of(&views);
        self.tell(Event::Planned { hosts: planned(&views) });
        self.divide(&mut plan)?;
        lock(&self.ahead).divide(&plan);
        let changes = plan.changing().next().is_some();
        if let Some(shortened) = SteadyShortened::of(fleet).filter(|_| changes) {
            self.warn(None, shortened.to_string());
        }
        if changes {
            self.bring(&views).await?;
        }
        if self.request.reboot {
            self.find_overdue_reboots(&views).await;
        }

        self.tell(Event::PhaseStarted { phase: Phase::Baseline });
        let identity = self.identity(plan.changing().map(|host| plan.host(host).name.clone()).collect());
        let guards = hosts.iter().map(|host| HostGuard::of(host)).collect();
        let clocks = hosts.iter().map(|host| surveyed[&host.name].clock).collect();
        let mut plan = self.baseline(plan, &identity, changes).await?;
        // Survey and baseline are two looks before anything changed: a unit that was started anew between them restarts
        // by itself, and the push is not blamed for it.
        for host in &mut plan.hosts {
            let (Some(one), Some(two)) = (surveyed.get(&host.name), plan.baseline.hosts.get(&host.name)) else {
                continue;
            };
            host.units.restless = restless(host.units.steady, &one.facts.standing, two);
        }
        if !changes {
            let ends = plan.hosts.iter().map(|host| (host.name.clone(), self.standing_end(&host.name))).collect();
            return Ok(Prepared::Unchanged { hosts: self.name_every_host(ends), leftovers });
        }
        if self.request.first.is_all() {
            return Ok(Prepared::Planned);
        }
        let plan = Arc::new(plan);
        let times = hosts.iter().map(|host| self.times(host)).collect();
        let orders = Orders::new(Arc::clone(&plan), identity, guards, clocks);
        let hosts = Arc::new(SshHosts::new(Arc::clone(&self.reach), orders));
        Ok(Prepared::Ready(Box::new(Ready { hosts, plan, times, leftovers })))
    }

    pub(super) fn view<'b>(
        &'b self,
        host: &'b Host,
        surveyed: &'b BTreeMap<HostName, Answered>,
        new: Option<&'b StorePath>,
    ) -> Surveyed<'b> {
        Surveyed {
            host,
            selected: self.request.selected.contains(&host.name),
            facts: &surveyed[&host.name].facts,
            new,
            times: self.times(host),
        }
    }

    /// Takes units that made an earlier run roll back out of those that had failed before this run: that run broke
    /// them.
    fn remember_units(&self, plan: &mut Plan, views: &[Surveyed<'_>]) {
        for (host, view) in plan.hosts.iter_mut().zip(views) {
            host.units.remembered = remembered(view, &self.request.accept_failed);
            let remembered = &host.units.remembered;
            host.failed_units.retain(|unit| !remembered.contains_key(unit));
        }
    }

    fn times(&self, host: &Host) -> Times {
        Times::of(host, self.request.fleet.settle, self.request.fleet.steady())
    }

    // The end.

    pub(super) fn identity(&self, changing: Vec<HostName>) -> Identity {
        Identity { run: self.request.run.clone(), owner: self.request.owner.clone(), hosts: changing }
    }

    fn standing_end(&self, host: &HostName) -> HostOutcome {
        if self.request.selected.contains(host) { HostOutcome::Unchanged } else { HostOutcome::Witness }
    }

    /// Gives every host of the fleet its end. A witness that was selected had its system already; a host that is not in
    /// the plan was left out or skipped.
    fn name_every_host(&self, ends: Vec<(HostName, HostOutcome)>) -> Vec<(HostName, HostOutcome)> {
        let ends: BTreeMap<HostName, HostOutcome> = ends.into_iter().collect();
        let end = |host: &Host| match ends.get(&host.name) {
            Some(HostOutcome::Witness) => self.standing_end(&host.name),
            Some(end) => end.clone(),
            None => self.absent(&host.name),
        };
        self.request.fleet.hosts.iter().map(|host| (host.name.clone(), end(host))).collect()
    }

    fn absent(&self, host: &HostName) -> HostOutcome {
        let skipped = lock(&self.skipped);
        if skipped.contains(host) { HostOutcome::Skipped } else { HostOutcome::Witness }
    }

    fn refused(&self, text: String) -> Verdict {
        let hosts = self.request.fleet.hosts.iter().map(|host| (host.name.clone(), HostOutcome::Untouched)).collect();
        Verdict { outcome: Outcome::Refused, hosts, text, interrupted: None, gone: Vec::new() }
    }

    /// Takes away the roots of a run that will not begin.
    async fn clean_prepared(&self) {
        let prepared = lock(&self.prepared).clone();
        let speaker = Speaker { run: self.request.run.clone(), epoch: 1 };
        let script = RemoteStep::Clean { speaker, mark: EndMark::default() }.script();
        let cleanings = prepared.iter().map(|host| self.reach.run(host, &script, Duration::from_secs(20)));
        for (host, cleaned) in prepared.iter().zip(futures::future::join_all(cleanings).await) {
            if let Err(error) = cleaned {
                self.warn(Some(host), format!("roots of this run are left on it: {}", reason(&error)));
            }
        }
    }
}

/// Describes a `command` check that a dry run has not run.
fn not_run(link: &Link) -> NotRun {
    let from = match &link.from {
        Place::Host(host) => Some(host.clone()),
        Place::Workstation => None,
    };
    NotRun { check: link.check.clone(), from, required: link.required }
}

pub(super) fn plan(views: &[Surveyed<'_>], links: Vec<Link>) -> Plan {
    let id = |name: &HostName| views.iter().position(|view| view.host.name == *name).map(HostId);
    let host = |view: &Surveyed<'_>| {
        let standing = &view.facts.standing;
        let ignore = view.host.ignored_units.clone();
        HostPlan {
            name: view.host.name.clone(),
            changes: view.changes(),
            old: standing.systems.clone(),
            generation: standing.generation,
            new: view.new.unwrap_or(&standing.systems.current).clone(),
            boot_id: standing.boot_id.clone(),
            machine_id: view.facts.machine_id.clone(),
            behind: view.host.way.iter().find_map(id),
            reactivate: view.host.reactivate,
            wave: 0,
            failed_units: standing.failed_units.clone(),
            restarts: standing.restarts.clone(),
            units: UnitTerms { ignore, steady: view.times.steady, ..UnitTerms::default() },
        }
    };
    let hosts = views.iter().map(host).collect();
    Plan { hosts, links, baseline: Round::default(), accepted: BTreeSet::new() }
}

fn planned(views: &[Surveyed<'_>]) -> Vec<HostPlanned> {
    let host = |view: &Surveyed<'_>| HostPlanned {
        host: view.host.name.clone(),
        old: view.facts.standing.systems.current.clone(),
        new: view.new.unwrap_or(&view.facts.standing.systems.current).clone(),
        changes: view.changes(),
        selected: view.selected,
        generation: view.facts.standing.generation,
    };
    views.iter().map(host).collect()
}

fn unchanged(hosts: Vec<(HostName, HostOutcome)>) -> Verdict {
    let text = "every host already runs its system".to_owned();
    Verdict { outcome: Outcome::Unchanged, hosts, text, interrupted: None, gone: Vec::new() }
}

pub(super) fn refuse_if(refused: bool, text: &str) -> Phased<()> {
    if refused { Err(Refused { text: text.to_owned() }) } else { Ok(()) }
}

/// Returns an error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Locks, also after a panic elsewhere: what these mutexes hold is whole at every moment.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
