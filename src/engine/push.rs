//! A push from its beginning to its end: phases 1 to 4, which touch nothing, and then the driver.

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
use crate::decide::links::{Link, Round};
use crate::decide::plan::{HostId, HostPlan, Plan};
use crate::decide::remembered::remembered;
use crate::decide::restless::restless;
use crate::decide::rollback::To;
use crate::decide::survey::{Allowed, Surveyed};
use crate::decide::time::{SteadyShortened, Times};
use crate::decide::traces::EndMark;
use crate::decide::units::UnitTerms;
use crate::decide::vocabulary::{Signal, Verdict};
use crate::decide::waves::Waves;
use crate::event::forecast::{Forecast, NotRun};
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, HostPlanned, Outcome, Phase};
use crate::inventory::model::{Fleet, Host, HostName, Place};
use crate::remote::Workspace;
use crate::remote::step::{Speaker, Step as RemoteStep};
use crate::store_path::StorePath;

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub fleet: Fleet,
    /// Where the inventory lies: relative sources are relative to it.
    pub folder: PathBuf,
    pub selected: BTreeSet<HostName>,
    /// Hosts that take no part, whether or not they answer: nothing is asked of them. None of them is selected.
    pub without: BTreeSet<HostName>,
    pub allowed: Allowed,
    /// Units that made a run roll back, and are to count as failed before this one.
    pub accept_failed: BTreeSet<String>,
    pub waves: Waves,
    /// The hosts have their new systems already, and go back to them; `None`: they are built.
    pub back: Option<To>,
    pub first: First,
    /// After the commit, the hosts are rebooted that need it for their new systems.
    pub reboot: bool,
    pub run: String,
    /// `person@workstation`.
    pub owner: String,
    /// Where the systems are rooted on the workstation.
    pub roots: PathBuf,
}

/// What comes before the first host is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It goes on by itself.
    Nothing,
    /// How the systems differ is shown in full, and it goes on.
    ShowDifferences,
    /// What it would do is shown, and a person asked whether to go on.
    Ask,
    /// What it would do is shown, and that is all: a dry run. With `units` the systems are copied, and asked on their
    /// hosts what they would do to the units.
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
    /// Committed, or unchanged, and then hosts were rebooted that needed it, or were to be.
    Rebooted(Verdict, Rolled),
    /// A dry run that found nothing against the push, which would change hosts.
    Planned,
    /// A signal before anything was touched.
    Interrupted(Signal),
    /// A second signal: left at once; see [`Ended::Left`].
    Left {
        through: Vec<(HostName, HostOutcome)>,
        guarded: Vec<LeftToGuard>,
        signal: Signal,
    },
}

/// Refused: nothing was touched. The findings were told as events.
pub(super) struct Refused {
    pub(super) text: String,
}

pub(super) type Phased<T> = Result<T, Refused>;

/// Pushes a fleet. Everything on the way is told to `surroundings` and `events`.
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
            let hosts = lock(&push.need_reboot).clone();
            if hosts.is_empty() {
                Pushed::Ended(verdict)
            } else {
                // One after the other.
                Pushed::Rebooted(verdict, push.roll(&hosts, &[], surroundings, shutdown).await)
            }
        }
        pushed => pushed,
    };
    push.reach.close().await;
    workstation.end().await;
    pushed
}

async fn push_to_the_end(push: &Push<'_>, surroundings: &mut impl Surroundings, shutdown: &mut Shutdown) -> Pushed {
    let interrupted = async |signal| {
        push.clean_prepared().await;
        Pushed::Interrupted(signal)
    };
    let prepared = tokio::select! {
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
            // With `--units` roots are there of a run that will not be.
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
                // No guard is armed: nothing runs out meanwhile, and arming looks anew whether the facts still hold.
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
                    // A round under way is not awaited: at once is at once.
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
    /// Hosts that hold roots of this run, for the clean-up of a refusal.
    pub(super) prepared: Mutex<BTreeSet<HostName>>,
    /// Hosts that take no part: those of [`Request::without`], and optional ones that did not answer the survey.
    pub(super) skipped: Mutex<BTreeSet<HostName>>,
    /// What it would do, as far as that is known by now.
    pub(super) ahead: Mutex<Forecast>,
    /// Hosts of whose new system some part comes only with a reboot.
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
        // Side by side: the build needs the workstation, the survey the hosts. The one that refuses first ends both.
        let (systems, surveyed) = match &self.request.back {
            None => tokio::try_join!(self.build(), self.survey_with_witnesses())?,
            Some(to) => self.survey_and_choose(to).await?,
        };
        let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name)).collect();
        let views: Vec<Surveyed<'_>> =
            hosts.iter().map(|host| self.view(host, &surveyed, systems.get(&host.name))).collect();
        // What only looks ahead runs nothing that stands in an inventory.
        let (commands, links): (Vec<Link>, Vec<Link>) =
            self.links(&surveyed).into_iter().partition(|link| self.request.first.is_all() && link.probe.is_command());
        let mut plan = plan(&views, links);
        self.remember_units(&mut plan, &views);
        self.foresee(&views, &plan);
        lock(&self.ahead).not_run = commands.iter().map(not_run).collect();
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
        // Two looks: what was started anew again and again between them does so by itself.
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

    /// What made a run roll back has not simply failed before this one.
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

    /// A witness that was selected was current already; hosts that are not in the plan were left out or skipped.
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
        Verdict { outcome: Outcome::Refused, hosts, text, interrupted: None, gone: Vec::new(), kept: BTreeMap::new() }
    }

    /// Roots of a run that will not be are taken away again.
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

/// A command check, as a dry run leaves it.
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
    Verdict { outcome: Outcome::Unchanged, hosts, text, interrupted: None, gone: Vec::new(), kept: BTreeMap::new() }
}

pub(super) fn refuse_if(refused: bool, text: &str) -> Phased<()> {
    if refused { Err(Refused { text: text.to_owned() }) } else { Ok(()) }
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A panic elsewhere leaves names in a set, and nothing half done.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
