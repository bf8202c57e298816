//! Looks ahead: finds out what a push would do, without touching a host. It does not decide whether the push goes on.

use std::path::Path;

use futures::FutureExt;

use super::copy::COMPARISON;
use super::push::{First, Phased, Push, lock, refuse_if};
use super::ssh_hosts::{ask_all, reason};
use crate::decide::forecast::{BootParts, forecast};
use crate::decide::survey::Surveyed;
use crate::event::Event;
use crate::event::forecast::{Comparison, Forecast};
use crate::facts::plan::Plan;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::nix;
use crate::remote::answer::kept::{Compared, compared};
use crate::remote::answer::units::{DryActivation, dry_activation};
use crate::remote::step::Step as RemoteStep;

impl Push<'_> {
    /// Begins the forecast with what the survey tells.
    pub(super) fn foresee(&self, views: &[Surveyed<'_>], plan: &Plan) {
        *lock(&self.ahead) = forecast(&self.request.fleet.name, views, plan, self.request.back.as_ref());
    }

    pub(super) fn foresee_comparison(&self, host: &HostName, comparison: Comparison) {
        if let Some(packages) = &comparison.packages
            && let Some(reboot_for) = &comparison.reboot_for
        {
            let (packages, reboot_for) = (Some(packages.clone()), reboot_for.clone());
            self.tell(Event::Compared { host: host.clone(), packages, reboot_for });
        }
        if comparison.reboot_for.as_ref().is_some_and(|parts| !parts.is_empty()) {
            lock(&self.need_reboot).insert(host.clone());
        }
        if let Some(known) = lock(&self.ahead).host_mut(host) {
            known.comparison = comparison;
        }
    }

    /// Returns all that is known by now.
    pub(super) fn foreseen(&self, refused: Option<String>) -> Forecast {
        let mut known = lock(&self.ahead).clone();
        known.fleet.clone_from(&self.request.fleet.name);
        let skipped = lock(&self.skipped);
        let left_out = self.request.fleet.hosts.iter().map(|host| &host.name).filter(|host| skipped.contains(*host));
        known.left_out = left_out.cloned().collect();
        drop(skipped);
        // A refused push was not looked at to its end.
        if refused.is_none() {
            let not_known = self.not_known(&known);
            known.not_known.splice(0..0, not_known);
        }
        known.refused = refused;
        known
    }

    fn not_known(&self, known: &Forecast) -> Vec<String> {
        let changing = || known.hosts.iter().filter(|host| host.changes);
        let without = |lacks: &dyn Fn(&Comparison) -> bool| {
            let hosts: Vec<&str> =
                changing().filter(|host| lacks(&host.comparison)).map(|host| host.host.as_str()).collect();
            (!hosts.is_empty()).then(|| hosts.join(", "))
        };
        let packages = without(&|comparison| comparison.packages.is_none()).map(|hosts| {
            format!("which packages change on {hosts}: its two systems are in no store together before the copy")
        });
        let reboots = without(&|comparison| comparison.reboot_for.is_none())
            .map(|hosts| format!("whether a reboot is needed on {hosts}"));
        let units = match (&self.request.back, changing().next()) {
            _ if self.request.first == (First::ShowPlan { units: true }) => None,
            (_, None) => None,
            (back, Some(_)) => {
                let command = if back.is_none() { "plan --units" } else { "rollback --dry-run --units" };
                Some(format!("which units are stopped and started: `{command}` asks the hosts"))
            }
        };
        packages.into_iter().chain(reboots).chain(units).collect()
    }

    /// Brings the new systems to their hosts, or as near as a dry run allows; then it is known how they differ.
    pub(super) async fn bring(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        match self.request.first {
            First::ShowPlan { units: false } => return self.compare(views).await,
            First::ShowPlan { units: true } => {
                self.copy(views).await?;
                self.ask_for_units(views).await;
            }
            First::Nothing | First::Ask => self.copy(views).await?,
            First::ShowDifferences => {
                self.copy(views).await?;
                self.tell(Event::Foreseen { forecast: Box::new(self.foreseen(None)), whole: false });
            }
        }
        Ok(())
    }

    /// Compares each new system with the old one, if that is possible without a copy; and checks whether it would find
    /// room.
    pub(super) async fn compare(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        let changing = views.iter().filter(|view| view.changes()).filter_map(|view| Some((view, view.new?)));
        let questions = changing.map(|(view, new)| {
            let question = async move {
                self.foresee_comparison(&view.host.name, self.compare_one(view, new).await);
                self.request.back.is_some() || self.has_room(view, new).await
            };
            (view.host.name.clone(), question.boxed())
        });
        let fits = ask_all(questions).await;
        refuse_if(fits.values().any(|fits| !fits), "a new system could not be brought to its host")
    }

    /// Compares alone, for every selected host, in the inventory's order.
    pub(super) async fn compare_selected(&self, views: &[Surveyed<'_>]) -> Vec<(HostName, Comparison)> {
        let selected = || views.iter().filter_map(|view| Some((view, view.new?)));
        let questions = selected().map(|(view, new)| (view.host.name.clone(), self.compare_one(view, new).boxed()));
        let mut answers = ask_all(questions).await;
        selected()
            .map(|(view, _)| (view.host.name.clone(), answers.remove(&view.host.name).unwrap_or_default()))
            .collect()
    }

    /// Finds the hosts that run their new system already and need a reboot for some part of it.
    pub(super) async fn find_overdue_reboots(&self, views: &[Surveyed<'_>]) {
        let current = views.iter().filter(|view| view.selected && !view.changes());
        let current = current.filter_map(|view| Some((view, view.new?)));
        let questions = current.map(|(view, new)| (view.host.name.clone(), self.compare_one(view, new).boxed()));
        for (host, comparison) in ask_all(questions).await {
            let Some(reboot_for) = comparison.reboot_for.filter(|parts| !parts.is_empty()) else { continue };
            self.tell(Event::Compared { host: host.clone(), packages: Some(Vec::new()), reboot_for });
            lock(&self.need_reboot).insert(host);
        }
    }

    /// Compares first in this workstation's store, and asks the host for what that does not tell.
    async fn compare_one(&self, view: &Surveyed<'_>, new: &StorePath) -> Comparison {
        let standing = &view.facts.standing;
        let old = &standing.systems.current;
        let limit = view.host.limits.step;
        // A system does not differ from itself, so it need not be in any store here.
        let mut packages = (old == new).then(Vec::new);
        if packages.is_none() && is_here(old) && is_here(new) {
            packages = nix::diff(old, new, limit).await.ok();
        }
        let new_parts = boot_parts(new);
        let booted = boot_parts(&standing.booted);
        let mut reboot_for = booted.zip(new_parts.as_ref()).map(|(booted, new)| booted.reboot_for(new));
        if packages.is_none() || reboot_for.is_none() {
            let there = self.compare_there(view, new).await;
            let changes = there.changes.map(|lines| lines.join("\n"));
            packages = packages.or_else(|| nix::diff::changes_in(&changes?).ok());
            reboot_for = reboot_for
                .or(there.reboot_for)
                .or_else(|| there.booted.zip(new_parts.as_ref()).map(|(booted, new)| booted.reboot_for(new)));
        }
        Comparison { packages, reboot_for }
    }

    /// Says what could not be found out. That stops nothing.
    async fn compare_there(&self, view: &Surveyed<'_>, new: &StorePath) -> Compared {
        let (name, old) = (&view.host.name, view.facts.standing.systems.current.clone());
        let script = RemoteStep::Compare { old, new: new.clone() }.script();
        match self.reach.run(name, &script, view.host.limits.step + COMPARISON).await {
            Ok(raw) => compared(&raw.lines),
            Err(error) => {
                self.warn(Some(name), format!("does not say what its new system changes: {}", reason(&error)));
                Compared::default()
            }
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
        self.tell(Event::HostMoved { host: name.clone(), doing: "asking what it would do to its units".to_owned() });
        // An activation decides about the same units, and then waits for them as well: its limit is more than enough.
        let limit = view.host.limits.test;
        let script = RemoteStep::DryActivate { new: new.clone(), limit }.script();
        let answer = match self.reach.run(name, &script, limit + view.host.limits.step).await {
            Ok(raw) => dry_activation(&raw.lines),
            Err(error) => DryActivation::Failed { why: reason(&error), log: Vec::new() },
        };
        match answer {
            DryActivation::Said(units) => {
                if let Some(known) = lock(&self.ahead).host_mut(name) {
                    known.units = Some(units);
                }
            }
            DryActivation::Failed { why, log } => {
                if !log.is_empty() {
                    self.tell(Event::Logged { host: name.clone(), what: "dry-activate".to_owned(), lines: log });
                }
                lock(&self.ahead).not_known.push(format!("what happens to the units of {name}: {why}"));
            }
        }
    }
}

/// Returns whether a system lies in this workstation's store.
fn is_here(system: &StorePath) -> bool {
    Path::new(system.as_str()).exists()
}

/// Finds the parts as prepare.sh finds them on a host: where the links of the system lead to.
fn boot_parts(system: &StorePath) -> Option<BootParts> {
    if !is_here(system) {
        return None;
    }
    let folder = Path::new(system.as_str());
    let part = |name: &str| {
        let path = folder.join(name).canonicalize().ok()?;
        Some(path.to_string_lossy().into_owned())
    };
    Some(BootParts {
        kernel: part("kernel"),
        initrd: part("initrd"),
        modules: part("kernel-modules"),
        parameters: std::fs::read_to_string(folder.join("kernel-params")).unwrap_or_default(),
    })
}
