//! Looks ahead: finds out what a push would do, without touching a host. It does not decide whether the push goes on.

use futures::FutureExt;

use super::ask::ask_all;
use super::inquiry::{Phased, refuse_if};
use super::mutex::lock;
use super::push::{Preview, Push};
use crate::decide::forecast::forecast;
use crate::decide::survey::Surveyed;
use crate::event::Event;
use crate::event::activity::Doing;
use crate::event::forecast::{Comparison, Forecast};
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::forecast::DryFault;
use crate::event::reason::forecast::NotKnown;
use crate::event::reason::refusal::Refusal;
use crate::facts::plan::Plan;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::remote::answer::units::{DryActivation, dry_activation};
use crate::remote::step::RemoteStep;

impl Push<'_> {
    /// Begins the forecast with what the survey tells.
    pub(super) fn foresee(&self, views: &[Surveyed<'_>], plan: &Plan) {
        *lock(&self.ahead) = forecast(&self.request.scope.fleet.name, views, plan, self.request.back.as_ref());
    }

    pub(super) fn foresee_comparison(&self, host: &HostName, comparison: Comparison) {
        if let Some(packages) = &comparison.packages
            && let Some(reboot_for) = &comparison.reboot_for
        {
            let (packages, reboot_for) = (Some(packages.clone()), reboot_for.clone());
            self.inquiry.tell(Event::Compared { host: host.clone(), packages, reboot_for });
        }
        if comparison.reboot_for.as_ref().is_some_and(|parts| !parts.is_empty()) {
            lock(&self.need_reboot).insert(host.clone());
        }
        if let Some(known) = lock(&self.ahead).host_mut(host) {
            known.comparison = comparison;
        }
    }

    /// Returns all that is known by now.
    pub(super) fn foreseen(&self, refused: Option<&Refusal>) -> Forecast {
        let mut known = lock(&self.ahead).clone();
        known.fleet.clone_from(&self.request.scope.fleet.name);
        let skipped = lock(&self.skipped);
        let left_out =
            self.request.scope.fleet.hosts.iter().map(|host| &host.name).filter(|host| skipped.contains(*host));
        known.left_out = left_out.cloned().collect();
        drop(skipped);
        // A refused push was not looked at to its end.
        if refused.is_none() {
            let unknowns = self.unknowns(&known);
            known.not_known.splice(0..0, unknowns.iter().map(NotKnown::to_string));
            known.unknowns.splice(0..0, unknowns.into_iter().map(AnyReason::from));
        }
        known.refused = refused.map(ToString::to_string);
        known.refusal = refused.cloned().map(AnyReason::from);
        known
    }

    fn unknowns(&self, known: &Forecast) -> Vec<NotKnown> {
        let changing = || known.hosts.iter().filter(|host| host.changes);
        let without = |lacks: &dyn Fn(&Comparison) -> bool| {
            let hosts: Vec<HostName> =
                changing().filter(|host| lacks(&host.comparison)).map(|host| host.host.clone()).collect();
            (!hosts.is_empty()).then_some(hosts)
        };
        let packages =
            without(&|comparison| comparison.packages.is_none()).map(|hosts| NotKnown::PackagesNotKnown { hosts });
        let reboots =
            without(&|comparison| comparison.reboot_for.is_none()).map(|hosts| NotKnown::RebootNotKnown { hosts });
        let units = match (&self.request.back, changing().next()) {
            _ if self.request.first == (Preview::ShowPlan { units: true }) => None,
            (_, None) => None,
            (back, Some(_)) => {
                let command = if back.is_none() { "plan --units" } else { "rollback --dry-run --units" };
                Some(NotKnown::UnitsNotAsked { command: command.to_owned() })
            }
        };
        packages.into_iter().chain(reboots).chain(units).collect()
    }

    /// Brings the new systems to their hosts, or as near as a dry run allows; then it is known how they differ.
    pub(super) async fn bring(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        match self.request.first {
            Preview::ShowPlan { units: false } => return self.compare(views).await,
            Preview::ShowPlan { units: true } => {
                self.copy(views).await?;
                self.ask_for_units(views).await;
            }
            Preview::Nothing | Preview::Ask => self.copy(views).await?,
            Preview::ShowDifferences => {
                self.copy(views).await?;
                self.inquiry.tell(Event::Foreseen { forecast: Box::new(self.foreseen(None)), whole: false });
            }
        }
        Ok(())
    }

    /// Compares each new system with the old one, if that is possible without a copy; and checks whether it would find
    /// room.
    pub(super) async fn compare(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        let changing: Vec<(&Surveyed<'_>, &StorePath)> =
            views.iter().filter(|view| view.changes()).filter_map(|view| Some((view, view.new?))).collect();
        let weighed = self.weigh(views, &changing).await;
        if !weighed.copies.each.is_empty() {
            lock(&self.ahead).copies = Some(weighed.copies.clone());
        }
        let weighed = &weighed;
        let misnamed = changing.iter().filter(|(view, new)| !self.name_fits_from_here(view, new)).count();
        let questions = changing.into_iter().map(|(view, new)| {
            let question = async move {
                self.foresee_comparison(&view.host.name, self.inquiry.compare_one(view, new).await);
                self.request.back.is_some() || weighed.finds_room(view) || self.has_room(view, new).await
            };
            (view.host.name.clone(), question.boxed())
        });
        let fits = ask_all(questions).await;
        refuse_if(fits.values().any(|fits| !fits), Refusal::SystemsNotBringable)?;
        refuse_if(misnamed > 0, Refusal::SystemsNotBrought)
    }

    /// Finds the hosts that run their new system already and need a reboot for some part of it.
    pub(super) async fn find_overdue_reboots(&self, views: &[Surveyed<'_>]) {
        let current = views.iter().filter(|view| view.selected && !view.changes());
        let current = current.filter_map(|view| Some((view, view.new?)));
        let questions =
            current.map(|(view, new)| (view.host.name.clone(), self.inquiry.compare_one(view, new).boxed()));
        for (host, comparison) in ask_all(questions).await {
            let Some(reboot_for) = comparison.reboot_for.filter(|parts| !parts.is_empty()) else { continue };
            self.inquiry.tell(Event::Compared { host: host.clone(), packages: Some(Vec::new()), reboot_for });
            lock(&self.need_reboot).insert(host);
        }
    }

    /// Asks each new system, on its host, what activating it would do to the units.
    pub(super) async fn ask_for_units(&self, views: &[Surveyed<'_>]) {
        let changing = views.iter().filter(|view| view.changes()).filter_map(|view| Some((view, view.new?)));
        let questions = changing.map(|(view, new)| (view.host.name.clone(), self.ask_one_for_units(view, new).boxed()));
        ask_all(questions).await;
    }

    async fn ask_one_for_units(&self, view: &Surveyed<'_>, new: &StorePath) {
        let name = &view.host.name;
        // An activation decides about the same units, and then waits for them as well: its limit is more than enough.
        let limit = view.host.limits.test;
        self.inquiry.tell(Event::moved_within(name, Doing::AskedForUnits, limit + view.host.limits.step));
        let script = RemoteStep::DryActivate { new: new.clone(), limit }.script();
        let answer = match self.inquiry.reach.run(name, &script, limit + view.host.limits.step).await {
            Ok(raw) => dry_activation(&raw.lines),
            Err(error) => {
                DryActivation::Failed { why: DryFault::DryNotAsked { cause: Cause::from(&error) }, log: Vec::new() }
            }
        };
        match answer {
            DryActivation::Said(units) => {
                if let Some(known) = lock(&self.ahead).host_mut(name) {
                    known.units = Some(units);
                }
            }
            DryActivation::Failed { why, log } => {
                if !log.is_empty() {
                    self.inquiry.tell(Event::Logged {
                        host: name.clone(),
                        what: "dry-activate".to_owned(),
                        lines: log,
                    });
                }
                let unknown = NotKnown::UnitsNotKnown { of: name.clone(), cause: why.into() };
                let mut ahead = lock(&self.ahead);
                ahead.not_known.push(unknown.to_string());
                ahead.unknowns.push(unknown.into());
            }
        }
    }
}
