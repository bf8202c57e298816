//! A push from its beginning to its end: phases 1 to 4, which touch nothing, and then the driver.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::clock;
use super::driver::{Driver, Ended, Surroundings};
use super::hosts::Hosts;
use super::reach::Reach;
use super::shutdown::Shutdown;
use super::ssh_hosts::{HostClock, Identity, SshHosts, ask_all, reason};
use crate::decide::fact::{Facts, PreSwitchCheck};
use crate::decide::links::{self, Link, Round};
use crate::decide::plan::{HostId, HostPlan, Plan};
use crate::decide::survey::{self, Allowed, Finding, Surveyed, Weight};
use crate::decide::time::Times;
use crate::decide::transaction::cells;
use crate::decide::vocabulary::{Signal, Verdict};
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, HostPlanned, Outcome, Phase};
use crate::inventory::model::{Fleet, Host, HostName, Jump, Place};
use crate::nix;
use crate::remote::answer;
use crate::remote::step::{Speaker, Step as RemoteStep};
use crate::remote::{StepError, Workspace};
use crate::store_path::StorePath;

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub fleet: Fleet,
    /// Where the inventory lies: relative sources are relative to it.
    pub folder: PathBuf,
    pub selected: BTreeSet<HostName>,
    pub allowed: Allowed,
    /// Survey, build and baseline, and nothing more.
    pub dry_run: bool,
    pub run: String,
    /// `person@workstation`.
    pub owner: String,
    /// Where the systems are rooted on the workstation.
    pub roots: PathBuf,
}

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Ended(Verdict),
    /// A dry run that found nothing against the push.
    Planned,
    /// A signal before anything was touched.
    Interrupted(Signal),
    /// A second signal: left at once. The hosts that may still be guarded, and how long until they fire.
    Left {
        guarded: Vec<(HostName, Duration)>,
        signal: Signal,
    },
}

/// Refused: nothing was touched. The findings were told as events.
struct Refused {
    text: String,
}

type Phased<T> = Result<T, Refused>;

/// Pushes a fleet. Everything on the way is told to `surroundings` and `events`.
pub async fn push(
    request: &Request,
    workspace: Arc<Workspace>,
    events: &Events,
    surroundings: &mut impl Surroundings,
    shutdown: &mut Shutdown,
) -> Pushed {
    let push = Push::new(request, workspace, events);
    let prepared = tokio::select! {
        prepared = push.prepare() => prepared,
        signal = shutdown.requested() => {
            push.abandon().await;
            return Pushed::Interrupted(signal);
        }
    };
    let pushed = match prepared {
        Err(Refused { text }) => {
            push.clean_prepared().await;
            Pushed::Ended(push.refused(text))
        }
        Ok(Prepared::Planned) => Pushed::Planned,
        Ok(Prepared::Unchanged(hosts)) => Pushed::Ended(unchanged(hosts)),
        Ok(Prepared::Ready(ready)) => {
            let Ready { hosts, plan, times } = *ready;
            let ended = Driver::new(Arc::clone(&hosts), Arc::clone(&plan), times).drive(surroundings, shutdown).await;
            let pushed = match ended {
                Ended::Verdict(mut verdict) => {
                    verdict.hosts = push.name_every_host(verdict.hosts);
                    Pushed::Ended(verdict)
                }
                Ended::Left { guarded, signal } => {
                    let name = |host: HostId| plan.host(host).name.clone();
                    let guarded = guarded.into_iter().map(|(host, left)| (name(host), left)).collect();
                    Pushed::Left { guarded, signal }
                }
            };
            hosts.stop_probing().await;
            pushed
        }
    };
    push.reach.close().await;
    pushed
}

enum Prepared {
    Planned,
    Unchanged(Vec<(HostName, HostOutcome)>),
    Ready(Box<Ready>),
}

struct Ready {
    hosts: Arc<SshHosts>,
    plan: Arc<Plan>,
    times: Vec<Times>,
}

/// What the survey brought, by host.
struct Answered {
    facts: Facts,
    clock: HostClock,
}

struct Push<'a> {
    request: &'a Request,
    reach: Arc<Reach>,
    events: &'a Events,
    /// Hosts that hold roots of this run, for the clean-up of a refusal.
    prepared: std::sync::Mutex<BTreeSet<HostName>>,
    /// Optional hosts that did not answer the survey.
    skipped: std::sync::Mutex<BTreeSet<HostName>>,
}

impl<'a> Push<'a> {
    fn new(request: &'a Request, workspace: Arc<Workspace>, events: &'a Events) -> Self {
        let connect = request.fleet.hosts.iter().map(|host| (host.name.clone(), host.limits.connect)).collect();
        Self {
            request,
            reach: Arc::new(Reach::new(workspace, connect)),
            events,
            prepared: std::sync::Mutex::default(),
            skipped: std::sync::Mutex::default(),
        }
    }

    fn tell(&self, event: Event) {
        self.events.publish(event);
    }

    fn warn(&self, host: Option<&HostName>, text: impl Into<String>) {
        self.tell(Event::Warned { host: host.cloned(), text: text.into() });
    }

    fn fail(&self, host: Option<&HostName>, text: impl Into<String>, hint: Option<String>) {
        self.tell(Event::Failed { host: host.cloned(), text: text.into(), hint });
    }

    async fn prepare(&self) -> Phased<Prepared> {
        let fleet = &self.request.fleet;
        // Side by side: the build needs the workstation, the survey the hosts. The one that refuses first ends both.
        let (systems, surveyed) = tokio::try_join!(self.build(), self.survey())?;
        let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name)).collect();
        let times = |host: &Host| Times {
            guard: host.guard,
            boot_time: host.boot_time,
            limits: host.limits,
            settle: fleet.settle,
        };
        let views: Vec<Surveyed<'_>> = hosts
            .iter()
            .map(|host| Surveyed {
                host,
                selected: self.request.selected.contains(&host.name),
                facts: &surveyed[&host.name].facts,
                new: systems.get(&host.name),
                times: times(host),
            })
            .collect();
        self.judge(&views)?;
        self.tell(Event::Planned { hosts: planned(&views) });

        let ports = surveyed.iter().filter_map(|(host, one)| Some((host.clone(), one.facts.ssh_port?))).collect();
        let links = links::resolve(fleet, &ports);
        let plan = plan(&views, links);
        let changes = plan.changing().next().is_some();
        if changes && !self.request.dry_run {
            self.copy(&views).await?;
        }

        self.tell(Event::PhaseStarted { phase: Phase::Baseline });
        let identity = self.identity(&hosts);
        let actions = hosts.iter().map(|host| host.guard_action).collect();
        let clocks = hosts.iter().map(|host| surveyed[&host.name].clock).collect();
        let plan = self.baseline(plan, &identity, changes).await?;
        if self.request.dry_run {
            return Ok(Prepared::Planned);
        }
        if !changes {
            let ends = plan.hosts.iter().map(|host| (host.name.clone(), self.standing_end(&host.name))).collect();
            return Ok(Prepared::Unchanged(ends));
        }
        let plan = Arc::new(plan);
        let times = hosts.iter().map(|host| times(host)).collect();
        let hosts = Arc::new(SshHosts::new(Arc::clone(&self.reach), Arc::clone(&plan), identity, actions, clocks));
        Ok(Prepared::Ready(Box::new(Ready { hosts, plan, times })))
    }

    // Phase 1: build.

    async fn build(&self) -> Phased<BTreeMap<HostName, StorePath>> {
        let Request { fleet, folder, selected, roots, .. } = self.request;
        self.tell(Event::PhaseStarted { phase: Phase::Build });
        let hosts: Vec<Host> = fleet.hosts.iter().filter(|host| selected.contains(&host.name)).cloned().collect();
        self.tell(Event::BuildMoved { done: 0, expected: 0, doing: "evaluating".to_owned() });
        let evaluated = nix::evaluate(&fleet.source, &hosts, folder, fleet.build_limit).await;
        let targets = evaluated.map_err(|error| self.evaluation_failed(&error))?;
        let on_progress = |progress: &nix::Progress| self.tell(build_moved(progress));
        let built = nix::build(&targets, roots, fleet.build_limit, on_progress).await;
        let systems = built.map_err(|error| self.build_failed(&error))?;
        for host in &hosts {
            self.tell(Event::HostDone { host: host.name.clone(), phase: Phase::Build });
        }
        Ok(systems)
    }

    fn evaluation_failed(&self, error: &nix::EvalError) -> Refused {
        if let nix::EvalError::Hosts { failed, .. } = error {
            for (host, problem) in failed {
                self.fail(Some(host), problem.to_string(), None);
            }
        } else {
            self.fail(None, chain(error), None);
        }
        Refused { text: "the systems could not be evaluated".to_owned() }
    }

    fn build_failed(&self, error: &nix::BuildError) -> Refused {
        if let nix::BuildError::Failed { hosts, failures, message, .. } = error {
            for failure in failures {
                for host in &failure.hosts {
                    let text = format!("cannot build its system: {} failed: {}", failure.name, failure.reason);
                    self.fail(Some(host), text, Some(format!("nix log {}", failure.derivation)));
                    let what = format!("build of {}", failure.name);
                    self.tell(Event::Logged { host: host.clone(), what, lines: failure.log.clone() });
                }
            }
            for host in hosts.iter().filter(|host| !failures.iter().any(|failure| failure.hosts.contains(host))) {
                self.fail(Some(host), format!("its system was not built: {message}"), None);
            }
        } else {
            self.fail(None, chain(error), None);
        }
        Refused { text: "the systems could not be built".to_owned() }
    }

    // Phase 2: survey.

    async fn survey(&self) -> Phased<BTreeMap<HostName, Answered>> {
        self.tell(Event::PhaseStarted { phase: Phase::Survey });
        let hosts = &self.request.fleet.hosts;
        let questions = hosts.iter().map(|host| (host.name.clone(), self.survey_one(host).boxed()));
        let answers = ask_all(questions).await;
        let mut surveyed = BTreeMap::new();
        let mut refused = false;
        for host in hosts {
            match answers[&host.name].as_ref() {
                Ok(_) => {}
                Err((text, hint)) if host.optional => {
                    self.warn(Some(&host.name), format!("is left out of this push: {text}{}", hinted(hint)));
                    self.skipped.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(host.name.clone());
                }
                Err((text, hint)) if !self.request.selected.contains(&host.name) => {
                    self.warn(Some(&host.name), format!("this witness does not answer: {text}{}", hinted(hint)));
                }
                Err((text, hint)) => {
                    self.fail(Some(&host.name), text.clone(), hint.clone());
                    refused = true;
                }
            }
        }
        if refused {
            return Err(Refused { text: "not every host could be surveyed".to_owned() });
        }
        for (host, answer) in answers {
            if let Ok(answered) = answer {
                self.tell(Event::HostDone { host: host.clone(), phase: Phase::Survey });
                surveyed.insert(host, answered);
            }
        }
        Ok(surveyed)
    }

    async fn survey_one(&self, host: &Host) -> Result<Answered, (String, Option<String>)> {
        let script = RemoteStep::Survey.script();
        let limit = host.limits.connect + host.limits.step;
        let raw = self.reach.run(&host.name, &script, limit).await;
        let at = clock::boot_time();
        let raw = raw.map_err(|error| (reason(&error), error.hint()))?;
        let facts = answer::facts(&raw.lines).map_err(|error| (error.to_string(), None))?;
        Ok(Answered { clock: HostClock { uptime: facts.standing.uptime, at }, facts })
    }

    fn judge(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        let findings = survey::judge(views, self.request.allowed);
        self.tell_findings(&findings);
        for view in views {
            for note in view.facts.notes.iter().filter(|_| view.changes()) {
                self.warn(Some(&view.host.name), note.clone());
            }
        }
        refuse_if(findings.iter().any(|finding| finding.weight == Weight::Refusal), "a host must not be touched now")
    }

    fn tell_findings(&self, findings: &[Finding]) {
        for finding in findings {
            match finding.weight {
                Weight::Warning => self.warn(finding.host.as_ref(), finding.text.clone()),
                Weight::Refusal => self.fail(finding.host.as_ref(), finding.text.clone(), finding.hint.clone()),
            }
        }
    }

    // Phase 3: copy.

    async fn copy(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        self.tell(Event::PhaseStarted { phase: Phase::Copy });
        let changing: Vec<(&Surveyed<'_>, &StorePath)> =
            views.iter().filter(|view| view.changes()).filter_map(|view| Some((view, view.new?))).collect();
        let questions = changing.iter().map(|(view, new)| (view.host.name.clone(), self.copy_one(view, new).boxed()));
        let answers = ask_all(questions).await;
        refuse_if(
            answers.values().any(|fits| !fits),
            "a new system could not be brought to its host, or does not fit it",
        )
    }

    async fn copy_one(&self, view: &Surveyed<'_>, new: &StorePath) -> bool {
        let host = view.host;
        let name = &host.name;
        if !self.has_room(view, new).await {
            return false;
        }
        let ssh_options = self.reach.workspace().nix_ssh_options();
        let destination = nix::Destination { host: name, alias: name, ssh_options: &ssh_options };
        let on_progress = |progress: &nix::Progress| {
            self.tell(Event::CopyMoved {
                host: name.clone(),
                done_bytes: progress.copied.done,
                expected_bytes: progress.copied.expected,
            });
        };
        if let Err(error) = nix::copy(new, destination, host.limits.copy, on_progress).await {
            let mend = error.mend(host.user.as_deref().unwrap_or("the user that logs in"));
            self.fail(Some(name), chain(&error), mend.map(|mend| format!("in the host's NixOS configuration: {mend}")));
            return false;
        }
        self.prepare_one(view, new).await
    }

    /// Whether what is missing on the host fits on its disk. Only asked of the host when the whole closure would not.
    async fn has_room(&self, view: &Surveyed<'_>, new: &StorePath) -> bool {
        let free = if view.facts.free_store == 0 { view.facts.free_root } else { view.facts.free_store };
        let Ok(closure) = nix::closure(new, view.host.limits.step).await else { return true };
        if closure.size() <= free {
            return true;
        }
        let old = &view.facts.standing.systems.current;
        let known = nix::closure(old, view.host.limits.step).await.ok();
        let missing = closure.size_without(|path| known.as_ref().is_some_and(|known| known.paths.contains_key(path)));
        if missing <= free {
            return true;
        }
        let text = format!(
            "not enough room: its new system brings up to {} MB, and {} MB are free",
            missing.div_ceil(1_000_000),
            free / 1_000_000
        );
        self.fail(Some(&view.host.name), text, Some("run `nix-collect-garbage -d` there, or make room".to_owned()));
        false
    }

    async fn prepare_one(&self, view: &Surveyed<'_>, new: &StorePath) -> bool {
        let name = &view.host.name;
        let systems = &view.facts.standing.systems;
        let script = RemoteStep::Prepare {
            run: self.request.run.clone(),
            old_current: systems.current.clone(),
            old_boot: systems.boot_default.clone(),
            new: new.clone(),
            hosts: self.request.fleet.hosts.iter().map(|host| host.name.clone()).collect(),
        }
        .script();
        self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name.clone());
        // The new system's own check may take longer than a short step.
        let limit = view.host.limits.step + view.host.limits.test;
        let raw = match self.reach.run(name, &script, limit).await {
            Ok(raw) => raw,
            Err(error) => {
                self.fail(Some(name), reason(&error), error.hint());
                return false;
            }
        };
        let fit = match answer::fit(&raw.lines) {
            Ok(fit) => fit,
            Err(error) => {
                self.fail(Some(name), error.to_string(), None);
                return false;
            }
        };
        let mut fits = true;
        for misfit in &fit.misfits {
            self.fail(Some(name), misfit.text.clone(), None);
            fits = false;
        }
        if let Some(change) = &fit.loader_change {
            let hint = "install the new loader by hand once (`nixos-rebuild boot --install-bootloader`)".to_owned();
            self.fail(Some(name), format!("the new system changes the kind of boot loader, {change}"), Some(hint));
            fits = false;
        }
        if fit.check == PreSwitchCheck::Failed {
            let hint = "what it says is above; such a change wants `nixos-rebuild boot` and a reboot".to_owned();
            let what = "pre-switch check".to_owned();
            self.tell(Event::Logged { host: name.clone(), what, lines: fit.log });
            self.fail(Some(name), "the new system's own pre-switch check says no", Some(hint));
            fits = false;
        }
        if fits {
            self.tell(Event::HostDone { host: name.clone(), phase: Phase::Copy });
        }
        fits
    }

    // Phase 4: baseline.

    /// The whole matrix before anything changes: what is down now is known, and not blamed on this push.
    async fn baseline(&self, mut plan: Plan, identity: &Identity, changes: bool) -> Phased<Plan> {
        let looking = Arc::new(plan.clone());
        let none = |_| HostClock { uptime: 0, at: Duration::ZERO };
        let prober = Arc::new(SshHosts::new(
            Arc::clone(&self.reach),
            Arc::clone(&looking),
            identity.clone(),
            Vec::new(),
            looking.ids().map(none).collect(),
        ));
        let (mut round, _) = Arc::clone(&prober).round(false).await;
        if !round.down(&plan.links).is_empty() {
            // One lost packet is no broken link.
            (round, _) = Arc::clone(&prober).round(false).await;
        }
        prober.stop_probing().await;
        let down: Vec<usize> = round.down(&plan.links).into_iter().filter(|link| plan.links[*link].required).collect();
        self.tell(Event::MatrixSeen { phase: Phase::Baseline, cells: cells(&plan, &round, false) });
        let mendable = |link: &Link| {
            let changing = |name: &HostName| plan.hosts.iter().any(|host| host.changes && host.name == *name);
            matches!(&link.from, Place::Host(from) if changing(from)) || link.to_host.as_ref().is_some_and(changing)
        };
        let mut hopeless = false;
        for link in &down {
            let one = &plan.links[*link];
            let text = format!("{} is already down, before anything was changed", describe_link(one));
            if self.request.allowed.broken || !changes {
                self.warn(None, text);
            } else if mendable(one) {
                self.warn(None, format!("{text}: unless this push mends it, it will be rolled back"));
            } else {
                let hint = "mend it first, or accept it with --allow-broken".to_owned();
                self.fail(None, format!("{text}, and no host that this push changes can mend it"), Some(hint));
                hopeless = true;
            }
        }
        refuse_if(hopeless, "a required link is down that this push cannot mend")?;
        if self.request.allowed.broken {
            plan.accepted = down.into_iter().collect();
        }
        learn_health(&mut plan, &round);
        plan.baseline = round;
        Ok(plan)
    }

    // The end.

    fn identity(&self, hosts: &[&Host]) -> Identity {
        Identity {
            speaker: Speaker { run: self.request.run.clone(), epoch: 1 },
            owner: self.request.owner.clone(),
            hosts: hosts.iter().map(|host| host.name.clone()).collect(),
        }
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
        let skipped = self.skipped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if skipped.contains(host) { HostOutcome::Skipped } else { HostOutcome::Witness }
    }

    fn refused(&self, text: String) -> Verdict {
        let hosts = self.request.fleet.hosts.iter().map(|host| (host.name.clone(), HostOutcome::Untouched)).collect();
        Verdict { outcome: Outcome::Refused, hosts, text, interrupted: None }
    }

    /// Roots of a run that will not be are taken away again.
    async fn clean_prepared(&self) {
        let prepared = self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let script = RemoteStep::Clean { speaker: self.identity(&[]).speaker }.script();
        let cleanings = prepared.iter().map(|host| self.reach.run(host, &script, Duration::from_secs(20)));
        for (host, cleaned) in prepared.iter().zip(futures::future::join_all(cleanings).await) {
            if let Err(error) = cleaned {
                self.warn(Some(host), format!("roots of this run are left on it: {}", reason(&error)));
            }
        }
    }

    async fn abandon(&self) {
        self.clean_prepared().await;
        self.reach.close().await;
    }
}

fn plan(views: &[Surveyed<'_>], links: Vec<Link>) -> Plan {
    let id = |name: &HostName| views.iter().position(|view| view.host.name == *name).map(HostId);
    let host = |view: &Surveyed<'_>| {
        let standing = &view.facts.standing;
        HostPlan {
            name: view.host.name.clone(),
            changes: view.changes(),
            old: standing.systems.clone(),
            new: view.new.unwrap_or(&standing.systems.current).clone(),
            boot_id: standing.boot_id.clone(),
            machine_id: view.facts.machine_id.clone(),
            behind: match &view.host.jump {
                Some(Jump::Host(jump)) => id(jump),
                _ => None,
            },
            reactivate: view.host.reactivate,
            failed_units: standing.failed_units.clone(),
            restarts: standing.restarts.clone(),
        }
    };
    let hosts = views.iter().map(host).collect();
    Plan { hosts, links, baseline: Round::default(), accepted: BTreeSet::new() }
}

/// The very looks that verify will take: what failed in the baseline is not blamed on this push.
fn learn_health(plan: &mut Plan, round: &Round) {
    for host in &mut plan.hosts {
        if let Some(seen) = round.hosts.get(&host.name) {
            host.failed_units.extend(seen.failed_units.iter().cloned());
            host.restarts.extend(seen.restarts.clone());
        }
    }
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
    Verdict { outcome: Outcome::Unchanged, hosts, text, interrupted: None }
}

fn build_moved(progress: &nix::Progress) -> Event {
    let doing = match progress.running.first() {
        Some(build) => match &build.phase {
            Some(phase) => format!("{} ({phase})", build.name),
            None => build.name.clone(),
        },
        None if progress.copied.expected > progress.copied.done => "downloading".to_owned(),
        None => String::new(),
    };
    Event::BuildMoved { done: progress.builds.done, expected: progress.builds.expected, doing }
}

fn describe_link(link: &Link) -> String {
    let from = match &link.from {
        Place::Workstation => "the workstation",
        Place::Host(name) => name.as_str(),
    };
    format!("the link {from} -> {} ({})", link.to, link.probe.kind())
}

fn refuse_if(refused: bool, text: &str) -> Phased<()> {
    if refused { Err(Refused { text: text.to_owned() }) } else { Ok(()) }
}

fn hinted(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// For commands that ask the hosts something without changing them: the same survey, errors by host.
pub async fn survey_hosts(reach: &Reach, hosts: &[Host]) -> BTreeMap<HostName, Result<Facts, StepError>> {
    let script = RemoteStep::Survey.script();
    let questions = hosts.iter().map(|host| {
        let limit = host.limits.connect + host.limits.step;
        let question = reach.run(&host.name, &script, limit).map(move |raw| {
            raw.and_then(|raw| {
                answer::facts(&raw.lines).map_err(|error| StepError::Truncated {
                    host: host.name.clone(),
                    script: "survey",
                    stderr_tail: error.to_string(),
                })
            })
        });
        (host.name.clone(), question.boxed())
    });
    ask_all(questions).await
}
