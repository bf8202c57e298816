//! Phase 3: copies the closures to their hosts, so many at once as the window lets, and looks at each new system there.

use futures::FutureExt;

use super::ask::ask_all;
use super::diff::COMPARISON;
use super::inquiry::{Phased, refuse_if};
use super::mutex::lock;
use super::push::Push;
use crate::decide::survey::Surveyed;
use crate::event::activity::Doing;
use crate::event::forecast::Comparison;
use crate::event::reason::boot::BootDoubt;
use crate::event::reason::cause::Cause;
use crate::event::reason::copy::CopyFault;
use crate::event::reason::fit::{PreSwitchRefusal, Unfit};
use crate::event::reason::refusal::Refusal;
use crate::event::{Event, Phase};
use crate::facts::fit::Fit;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::nix;
use crate::remote::answer;
use crate::remote::step::RemoteStep;

impl Push<'_> {
    pub(super) async fn copy(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        self.inquiry.tell(Event::PhaseStarted { phase: Phase::Copy });
        let changing: Vec<(&Surveyed<'_>, &StorePath)> =
            views.iter().filter(|view| view.changes()).filter_map(|view| Some((view, view.new?))).collect();
        let of_run: Vec<HostName> = changing.iter().map(|(view, _)| view.host.name.clone()).collect();
        let questions =
            changing.iter().map(|(view, new)| (view.host.name.clone(), self.copy_one(view, new, &of_run).boxed()));
        let answers = ask_all(questions).await;
        refuse_if(answers.values().any(|fits| !fits), Refusal::SystemsNotBrought)
    }

    async fn copy_one(&self, view: &Surveyed<'_>, new: &StorePath, of_run: &[HostName]) -> bool {
        let host = view.host;
        let name = &host.name;
        if self.request.back.is_some() {
            // A rollback's system has been on the host all the time. This workstation need not have it, and does not
            // ask about it.
            return self.prepare_one(view, new, of_run).await;
        }
        let turn = self.inquiry.reach.turns().copy(name).await;
        if !self.has_room(view, new).await {
            return false;
        }
        let ssh_options = self.inquiry.reach.workspace().nix_ssh_options();
        let substitute = host.nix.substitute_on_destination;
        let destination = nix::Destination { host: name, alias: name, ssh_options: &ssh_options, substitute };
        let hear = |heard: nix::Heard<'_>| {
            self.inquiry.tell(match heard {
                nix::Heard::Progress(nix::NixProgress { copied, .. }) => {
                    Event::CopyMoved { host: name.clone(), done_bytes: copied.done, expected_bytes: copied.expected }
                }
                nix::Heard::Printed(lines) => {
                    Event::Printed { host: Some(name.clone()), by: "nix copy".to_owned(), lines }
                }
            });
        };
        if let Err(error) = nix::copy(new, destination, host.limits.copy, hear).await {
            self.inquiry.tell(Event::failed(Some(name), fault(&error, host.user.as_deref())));
            return false;
        }
        self.inquiry.tell(Event::HostMoved { host: name.clone(), doing: Doing::LookingWhetherFits.to_string() });
        drop(turn);
        self.prepare_one(view, new, of_run).await
    }

    /// Checks whether the missing paths fit on the host's disk. The host is asked which are missing only if the whole
    /// closure would not fit.
    pub(super) async fn has_room(&self, view: &Surveyed<'_>, new: &StorePath) -> bool {
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
        let fault = CopyFault::RoomTooLittle { needed_bytes: missing, free_bytes: free };
        self.inquiry.tell(Event::failed(Some(&view.host.name), fault));
        false
    }

    async fn prepare_one(&self, view: &Surveyed<'_>, new: &StorePath, of_run: &[HostName]) -> bool {
        let name = &view.host.name;
        let systems = &view.facts.standing.systems;
        let script = RemoteStep::Prepare {
            run: self.request.run.clone(),
            old_current: systems.current.clone(),
            old_boot: systems.boot_default.clone(),
            new: new.clone(),
            check: view.host.limits.check,
            hosts: of_run.to_vec(),
        }
        .script();
        lock(&self.prepared).insert(name.clone());
        let limit = view.host.limits.step + view.host.limits.check + COMPARISON;
        let raw = match self.inquiry.reach.run(name, &script, limit).await {
            Ok(raw) => raw,
            Err(error) => {
                self.inquiry.fail(Some(name), Cause::from(&error));
                return false;
            }
        };
        let fit = match answer::fit(&raw.lines) {
            Ok(fit) => fit,
            Err(error) => {
                self.inquiry.fail(Some(name), Cause::from(&error));
                return false;
            }
        };
        self.tell_comparison(name, &fit);
        if let Some(doubt) = BootDoubt::of_parts(view.facts, &fit.brings) {
            self.inquiry.warn(Some(name), doubt);
        }
        let mut fits = true;
        for misfit in &fit.misfits {
            self.inquiry.tell(Event::failed(Some(name), Unfit::from(misfit.clone())));
            fits = false;
        }
        if let Some(change) = &fit.loader_change {
            self.inquiry.tell(Event::failed(Some(name), Unfit::BootLoaderChanges { change: change.clone() }));
            fits = false;
        }
        if let Some(unfit) = PreSwitchRefusal::of(fit.check, view.host.limits.check) {
            let what = "pre-switch check".to_owned();
            self.inquiry.tell(Event::Logged { host: name.clone(), what, lines: fit.log });
            self.inquiry.tell(Event::failed(Some(name), unfit));
            fits = false;
        }
        if fits {
            self.inquiry.tell(Event::HostDone { host: name.clone(), phase: Phase::Copy });
        }
        fits
    }

    fn tell_comparison(&self, host: &HostName, fit: &Fit) {
        let packages = fit.changes.as_ref().and_then(|lines| nix::diff::changes_in(&lines.join("\n")).ok());
        let reboot_for = fit.reboot_for.clone();
        if packages.is_none() {
            // The plan then says that the packages are not known.
            self.inquiry.tell(Event::Compared { host: host.clone(), packages: None, reboot_for: reboot_for.clone() });
        }
        self.foresee_comparison(host, Comparison { packages, reboot_for: Some(reboot_for) });
    }
}

/// `user`: who logs in there, if the inventory says so.
fn fault(error: &nix::CopyError, login: Option<&str>) -> CopyFault {
    let mut fault = CopyFault::from(error);
    if let CopyFault::CopyUntrusted { user, .. } = &mut fault {
        *user = login.map(str::to_owned);
    }
    fault
}
