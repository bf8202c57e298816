//! Runs phases 1 to 4, which touch nothing: finds out what the push would do, and whether anything is against it.

use std::sync::Arc;

use super::{Preview, Push};
use crate::decide::look_ahead;
use crate::decide::preflight;
use crate::decide::reboot::trial::{TrialWish, hindrance_before};
use crate::decide::remembered::remembered;
use crate::decide::restless::restless;
use crate::decide::survey::{Surveyed, Weight};
use crate::decide::time::{Times, shortened_steady};
use crate::engine::baseline::Baseline;
use crate::engine::inquiry::{Phased, plan, refuse_if};
use crate::engine::mutex::lock;
use crate::engine::orders::{HostGuard, Identity, Orders};
use crate::engine::own_machine::OwnMachine;
use crate::engine::returned::Leftovers;
use crate::engine::ssh_hosts::SshHosts;
use crate::engine::survey::FleetSurvey;
use crate::event::forecast::NotRun;
use crate::event::reason::any::AnyReason;
use crate::event::reason::push::PushNote;
use crate::event::reason::refusal::Refusal;
use crate::event::reason::trying::TryingReason;
use crate::event::{Event, HostOutcome, HostPlanned, Phase};
use crate::facts::links::Link;
use crate::facts::plan::Plan;
use crate::inventory::model::{Host, HostName, Place};
use crate::remote::step::AskUnits;

pub(super) enum Prepared {
    Planned,
    Unchanged { hosts: Vec<(HostName, HostOutcome)>, leftovers: Leftovers },
    Ready(Box<Ready>),
}

pub(super) struct Ready {
    pub(super) hosts: Arc<SshHosts>,
    pub(super) plan: Arc<Plan>,
    pub(super) times: Vec<Times>,
    pub(super) leftovers: Leftovers,
}

impl Push<'_> {
    pub(super) async fn prepare(&self) -> Phased<Prepared> {
        let fleet = &self.request.scope.fleet;
        // Both run side by side: the build needs the workstation, the survey the hosts. The first that refuses ends
        // both.
        let (systems, survey) = match &self.request.back {
            None => tokio::try_join!(self.inquiry.build(), self.survey_with_witnesses())?,
            Some(to) => self.survey_and_choose(to).await?,
        };
        let surveyed = &survey.answered;
        self.inquiry.ensure_built(surveyed.keys())?;
        let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name)).collect();
        let views: Vec<Surveyed<'_>> =
            hosts.iter().map(|host| self.inquiry.view(host, surveyed, systems.get(&host.name))).collect();
        // A command that only looks ahead must not run a program of the inventory.
        let (commands, links): (Vec<Link>, Vec<Link>) = self
            .inquiry
            .links(&survey)
            .into_iter()
            .partition(|link| self.request.first.is_all() && link.probe.is_command());
        let mut plan = plan(&views, links);
        self.remember_units(&mut plan, &views);
        self.foresee(&views, &plan);
        lock(&self.ahead).not_run = commands.iter().map(not_run).collect();
        // The plan is put together before it is judged, so that a refused dry run shows what is known by now.
        self.judge(&views)?;
        let leftovers = Leftovers::of(&fleet.name, &views);
        self.inquiry.tell(Event::Planned { hosts: planned(&views) });
        self.tell_names_kept(&views);
        self.divide(&mut plan)?;
        lock(&self.ahead).divide(&plan);
        let changes = plan.changing().next().is_some();
        if let Some(shortened) = shortened_steady(fleet).filter(|_| changes) {
            self.inquiry.tell(Event::warned(None, shortened));
        }
        if changes {
            self.demand_trials_before_copies(&views).await?;
            self.bring(&views).await?;
        }
        if self.request.reboot.is_some() {
            self.find_overdue_reboots(&views).await;
            self.demand_trials(&views)?;
        }

        self.inquiry.tell(Event::PhaseStarted { phase: Phase::Baseline });
        let identity = self.identity(plan.changing().map(|host| plan.host(host).name.clone()).collect());
        let guards = hosts.iter().map(|host| HostGuard::of(host)).collect();
        let clocks = hosts.iter().map(|host| surveyed[&host.name].clock).collect();
        let skipped = lock(&self.skipped).clone();
        // Units are judged by what was before the change; the survey has shown those that have failed.
        let units = if changes { AskUnits::Yes } else { AskUnits::No };
        let baseline = self.inquiry.baseline(plan, &skipped, changes, units).await;
        let Baseline { mut plan, cells, accepted, refusal, probing, .. } = baseline;
        {
            let mut ahead = lock(&self.ahead);
            (ahead.links, ahead.accepted) = (cells, accepted);
        }
        if changes {
            self.look_ahead(&views, &plan);
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
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
        let probing = match probing {
            // Here it ends, or a person is asked: as long as they think, nothing is to run on the hosts.
            Some(probing) if self.request.first.is_all() || self.request.first == Preview::Ask => {
                probing.stop().await;
                Some(probing)
            }
            probing => probing,
        };
        if self.request.first.is_all() {
            return Ok(Prepared::Planned);
        }
        let plan = Arc::new(plan);
        let times = hosts.iter().map(|host| self.inquiry.times(host)).collect();
        let orders = Orders::new(Arc::clone(&plan), identity, guards, clocks);
        let reach = Arc::clone(&self.inquiry.reach);
        let hosts = Arc::new(match probing {
            Some(probing) => SshHosts::going_on(reach, orders, probing),
            None => SshHosts::new(reach, orders),
        });
        Ok(Prepared::Ready(Box::new(Ready { hosts, plan, times, leftovers })))
    }

    /// Surveys the fleet. It keeps who is left out before it may refuse, because a refused push names them, too.
    pub(in crate::engine) async fn survey_with_witnesses(&self) -> Phased<FleetSurvey> {
        let skipped = lock(&self.skipped).clone();
        let survey = self.inquiry.survey(&skipped).await;
        lock(&self.skipped).clone_from(&survey.skipped);
        self.inquiry.ensure_witnesses_answer(&survey)?;
        Ok(survey)
    }

    /// Warns of what the new systems are configured to be, before anything is touched; with its mend, which a warning
    /// does not show by itself.
    fn look_ahead(&self, views: &[Surveyed<'_>], plan: &Plan) {
        let changing: Vec<Surveyed<'_>> = views.iter().filter(|view| view.changes()).copied().collect();
        let configured = lock(&self.inquiry.configured);
        for finding in look_ahead::judge(&changing, &plan.links, &plan.baseline, &configured) {
            let mend = finding.text.mend().map(|mend| format!("\n  mend: {mend}")).unwrap_or_default();
            self.inquiry.tell(Event::Warned { host: finding.host, text: finding.text.followed_by(&mend) });
        }
    }

    fn judge(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        let scope = &self.request.scope;
        let findings = preflight::judge(&scope.fleet.name, views, scope.allowed, &self.request.accept_failed);
        self.inquiry.tell_findings(&findings);
        for view in views {
            for note in view.facts.notes.iter().filter(|_| view.changes()) {
                self.inquiry.warn(Some(&view.host.name), PushNote::HostNoted { said: note.clone() });
            }
        }
        refuse_if(findings.iter().any(|finding| finding.weight == Weight::Refusal), Refusal::HostNotTouchable)
    }

    /// Refuses where a host that is not to be rebooted untried can never try what is pushed: after the commit that
    /// would come too late. What belongs to the system that runs is said, and judged again once the new one runs.
    fn demand_trials(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        let mut is_refused = false;
        let to_reboot = lock(&self.need_reboot).clone();
        for (view, cause, stays) in self.hindered(views) {
            let name = &view.host.name;
            if !to_reboot.contains(name) {
                continue;
            }
            if stays {
                is_refused = true;
                self.inquiry.tell(Event::failed(Some(name), TryingReason::TrialDemanded { cause }));
            } else {
                self.inquiry.warn(Some(name), TryingReason::MayNotBeTried { cause });
            }
        }
        refuse_if(is_refused, Refusal::HostNotTouchable)
    }

    /// The same of those of which it is known without a copy that they will need a reboot.
    async fn demand_trials_before_copies(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        let mut is_refused = false;
        for (view, cause, _) in self.hindered(views).into_iter().filter(|(view, _, stays)| *stays && view.changes()) {
            let Some(new) = view.new else { continue };
            let parts = self.inquiry.compare_one(view, new).await.reboot_for;
            if parts.is_some_and(|parts| !parts.is_empty()) {
                is_refused = true;
                self.inquiry.tell(Event::failed(Some(&view.host.name), TryingReason::TrialDemanded { cause }));
            }
        }
        refuse_if(is_refused, Refusal::HostNotTouchable)
    }

    /// Returns the hosts that are not to be rebooted untried and could not try now what is pushed; why, and whether
    /// that stays so.
    fn hindered<'a>(&self, views: &'a [Surveyed<'a>]) -> Vec<(&'a Surveyed<'a>, AnyReason, bool)> {
        if self.request.reboot != Some(TrialWish::Demanded) {
            return Vec::new();
        }
        let machine = OwnMachine::read();
        let hindered = |view: &'a Surveyed<'a>| {
            let facts = view.facts;
            let is_own = machine.as_ref().is_some_and(|own| own.is(&facts.machine_id, &facts.standing.boot_id));
            let (cause, stays) = hindrance_before(view.host, facts, is_own)?;
            Some((view, cause, stays))
        };
        views.iter().filter_map(hindered).collect()
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

    fn identity(&self, changing: Vec<HostName>) -> Identity {
        Identity { run: self.request.run.clone(), owner: self.request.owner.clone(), hosts: changing }
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
