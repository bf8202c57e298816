//! Phase 3: copies the closures to their hosts, so many at once as the window lets, and looks at each new system there.

use std::collections::BTreeMap;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ask::ask_all;
use super::build::store_of;
use super::cache::Filled;
use super::diff::COMPARISON;
use super::inquiry::{Phased, refuse_if};
use super::mutex::lock;
use super::push::Push;
use super::sending::{CopyMeter, Weighed, free};
use crate::decide::survey::Surveyed;
use crate::event::activity::{CopyBehind, Doing, Standstill};
use crate::event::forecast::Comparison;
use crate::event::reason::boot::BootDoubt;
use crate::event::reason::cause::Cause;
use crate::event::reason::copy::{CopyAgain, CopyFault};
use crate::event::reason::fit::{PreSwitchRefusal, Unfit};
use crate::event::reason::refusal::Refusal;
use crate::event::{Event, Phase};
use crate::facts::fit::Fit;
use crate::facts::provenance::Brought;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName};
use crate::nix;
use crate::remote::answer;
use crate::remote::step::RemoteStep;

/// How a new system was found on its host.
enum CopyCheck {
    Fits,
    /// The reasons were told.
    Unfit,
    /// It is not there, or not whole, and nothing was touched.
    Again(CopyAgain),
}

/// How a new system comes to its host.
#[derive(Debug, Clone, Copy)]
struct CopyWay<'a> {
    /// The host that has built it; `None`: this workstation has it.
    from: Option<&'a HostName>,
    /// The host itself fetches what its binary caches have.
    substitute: bool,
}

/// Which copies are through: those to the jumps of a host come before its own.
struct CopyOrder {
    through: BTreeMap<HostName, watch::Sender<bool>>,
}

impl CopyOrder {
    fn of(hosts: &[HostName]) -> Self {
        Self { through: hosts.iter().map(|host| (host.clone(), watch::Sender::new(false))).collect() }
    }

    /// No host is its own jump, and no jumps go in a circle, so each wait has an end: that of a copy.
    async fn wait_for_jumps(&self, host: &Host, tell: impl Fn(&HostName)) {
        for jump in host.way.iter().filter(|jump| **jump != host.name) {
            let Some(through) = self.through.get(jump).filter(|through| !*through.borrow()) else { continue };
            tell(jump);
            let _ = through.subscribe().wait_for(|through| *through).await;
        }
    }

    /// Also of a copy that has failed.
    fn is_through(&self, host: &HostName) {
        if let Some(through) = self.through.get(host) {
            through.send_replace(true);
        }
    }
}

impl Push<'_> {
    pub(super) async fn copy(&self, views: &[Surveyed<'_>]) -> Phased<()> {
        self.inquiry.tell(Event::PhaseStarted { phase: Phase::Copy });
        let changing: Vec<(&Surveyed<'_>, &StorePath)> =
            views.iter().filter(|view| view.changes()).filter_map(|view| Some((view, view.new?))).collect();
        let of_run: Vec<HostName> = changing.iter().map(|(view, _)| view.host.name.clone()).collect();
        let weighed = self.weigh(views, &changing).await;
        if !weighed.copies.each.is_empty() {
            self.inquiry.tell(Event::CopiesForeseen { copies: weighed.copies.clone() });
        }
        let filled = self.fill_cache(&changing).await;
        let order = CopyOrder::of(&of_run);
        let questions = changing.iter().map(|(view, new)| {
            let copied = async {
                // What a jump gets and what goes through it share a line.
                if self.request.back.is_none() {
                    order
                        .wait_for_jumps(view.host, |jump| {
                            let doing = CopyBehind { jump: jump.clone() }.to_string();
                            self.inquiry.tell(Event::moved(&view.host.name, doing));
                        })
                        .await;
                }
                let fits = self.copy_one(view, new, &of_run, &weighed, filled.as_ref()).await;
                order.is_through(&view.host.name);
                fits
            };
            (view.host.name.clone(), copied.boxed())
        });
        let answers = ask_all(questions).await;
        refuse_if(answers.values().any(|fits| !fits), Refusal::SystemsNotBrought)
    }

    async fn copy_one(
        &self,
        view: &Surveyed<'_>,
        new: &StorePath,
        of_run: &[HostName],
        weighed: &Weighed,
        filled: Option<&Filled<'_>>,
    ) -> bool {
        let host = view.host;
        let name = &host.name;
        if self.request.back.is_some() {
            // A rollback's system has been on the host all the time. This workstation need not have it, and does not
            // ask about it.
            return matches!(self.prepare_new(view, new, of_run, false).await, CopyCheck::Fits);
        }
        let there = lock(&self.inquiry.built_there).get(name).cloned();
        let from = there.as_ref().map(|there| &there.machine).filter(|machine| *machine != name);
        let is_there = there.is_some() && from.is_none();
        let turn = self.inquiry.reach.turns().copy(name).await;
        if !weighed.finds_room(view) && !self.has_room(view, new).await {
            return false;
        }
        if let Some(filled) = filled.filter(|_| there.is_none()) {
            self.fetch_from(filled, host, new).await;
        }
        let substitute = !is_there && self.fetches_by_itself(host, filled).await;
        let copied = CopyWay { from, substitute };
        let deadline = Instant::now() + host.limits.copy;
        let brought = if is_there { Ok(()) } else { self.bring_over(view, new, copied, deadline).await };
        let first = match brought {
            Ok(()) => {
                // What follows is little work: another copy may begin.
                drop(turn);
                self.prepare_new(view, new, of_run, true).await
            }
            // What has arrived whole stays there, and a connection that was lost may be had again.
            Err(nix::CopyError::Connection { message, .. }) => {
                drop(turn);
                CopyCheck::Again(CopyAgain::CopiedAgain { said: message })
            }
            // A garbage collection where it was built, most likely: nothing there has rooted it.
            Err(nix::CopyError::Other { message, .. }) if from.is_some() => {
                drop(turn);
                CopyCheck::Again(CopyAgain::CopiedAgain { said: message })
            }
            Err(error) => return self.not_brought(view, &error),
        };
        let why = match first {
            CopyCheck::Fits => return true,
            CopyCheck::Unfit => return false,
            CopyCheck::Again(why) => why,
        };
        // Once more, and only once: nothing on the host was touched.
        self.inquiry.warn(Some(name), why);
        self.inquiry.tell(Event::moved_within(
            name,
            Doing::CopyingAgain,
            deadline.saturating_duration_since(Instant::now()),
        ));
        // The master is made again where it was lost. If that fails, the copy says why.
        let _ = self.inquiry.reach.ready(name, host.limits.connect).await;
        // What is built there still is not built again by this.
        if let Some(there) = &there
            && !self.inquiry.build_again(name, there).boxed().await
        {
            return false;
        }
        if is_there {
            return matches!(self.prepare_new(view, new, of_run, false).await, CopyCheck::Fits);
        }
        // The wait for its turn is taken from no copy's time.
        let waiting = Instant::now();
        let turn = self.inquiry.reach.turns().copy(name).await;
        let brought = self.bring_over(view, new, copied, deadline + waiting.elapsed()).await;
        drop(turn);
        match brought {
            Ok(()) => matches!(self.prepare_new(view, new, of_run, false).await, CopyCheck::Fits),
            Err(error) => self.not_brought(view, &error),
        }
    }

    /// Copies the new system to its host, from this workstation or the host that has built it.
    async fn bring_over(
        &self,
        view: &Surveyed<'_>,
        new: &StorePath,
        how: CopyWay<'_>,
        deadline: Instant,
    ) -> Result<(), nix::CopyError> {
        let host = view.host;
        let name = &host.name;
        let ssh_options = self.inquiry.reach.workspace().nix_ssh_options();
        let left = deadline.saturating_duration_since(Instant::now());
        self.inquiry.tell(Event::moved_within(name, Doing::Copying, left));
        let destination = nix::Destination {
            host: name,
            alias: name,
            ssh_options: &ssh_options,
            substitute: how.substitute,
            from: how.from,
        };
        let mut meter = CopyMeter::default();
        let hear = |heard: nix::Heard<'_>| {
            meter.take(&heard);
            self.inquiry.tell(match heard {
                nix::Heard::Progress(nix::NixProgress { copied, .. }) => {
                    Event::CopyMoved { host: name.clone(), done_bytes: copied.done, expected_bytes: copied.expected }
                }
                nix::Heard::Printed(lines) => {
                    Event::Printed { host: Some(name.clone()), by: "nix copy".to_owned(), lines }
                }
                nix::Heard::Still { silent, last } => {
                    let doing = Standstill { silent, last: last.map(str::to_owned) }.to_string();
                    Event::moved_within(name, doing, deadline.saturating_duration_since(Instant::now()))
                }
            });
        };
        nix::copy(new, destination, deadline.saturating_duration_since(Instant::now()), hear).await?;
        // What a host fetches by itself, its nix tells of as of what is copied.
        if let Some(measured) = meter.measured(Some(name), how.from).filter(|_| !how.substitute) {
            self.inquiry.tell(measured);
        }
        Ok(())
    }

    fn not_brought(&self, view: &Surveyed<'_>, error: &nix::CopyError) -> bool {
        self.inquiry.tell(Event::failed(Some(&view.host.name), fault(error, view.host.user.as_deref())));
        false
    }

    /// Checks whether the missing paths fit on the host's disk. The host is asked which are missing only if the whole
    /// closure would not fit.
    pub(super) async fn has_room(&self, view: &Surveyed<'_>, new: &StorePath) -> bool {
        let there = lock(&self.inquiry.built_there).get(&view.host.name).map(|there| there.machine.clone());
        // What is built on the host itself lies there already.
        if there.as_ref() == Some(&view.host.name) {
            return true;
        }
        let free = free(view);
        let ssh_options = self.inquiry.reach.workspace().nix_ssh_options();
        let from = there.as_ref().map(|from| store_of(from, &ssh_options));
        let Ok(closure) = nix::closure([new], from, view.host.limits.step).await else { return true };
        if closure.size() <= free {
            return true;
        }
        let old = &view.facts.standing.systems.current;
        let known = nix::closure([old], from, view.host.limits.step).await.ok();
        let missing = closure.size_without(|path| known.as_ref().is_some_and(|known| known.paths.contains_key(path)));
        if missing <= free {
            return true;
        }
        let fault = CopyFault::RoomTooLittle { needed_bytes: missing, free_bytes: free };
        self.inquiry.tell(Event::failed(Some(&view.host.name), fault));
        false
    }

    /// Roots the systems on the host, and looks whether the new one fits. `may_come_again`: if it is not there, nothing
    /// is said of that yet.
    async fn prepare_new(
        &self,
        view: &Surveyed<'_>,
        new: &StorePath,
        of_run: &[HostName],
        may_come_again: bool,
    ) -> CopyCheck {
        let name = &view.host.name;
        let limit = view.host.limits.step + view.host.limits.check + COMPARISON;
        self.inquiry.tell(Event::moved_within(name, Doing::LookingWhetherFits, limit));
        let systems = &view.facts.standing.systems;
        let script = RemoteStep::Prepare {
            run: self.request.run.clone(),
            old_current: systems.current.clone(),
            old_boot: systems.boot_default.clone(),
            new: new.clone(),
            check: view.host.limits.check,
            brought: self.brought(),
            hosts: of_run.to_vec(),
        }
        .script();
        lock(&self.prepared).insert(name.clone());
        let raw = match self.inquiry.reach.run(name, &script, limit).await {
            Ok(raw) => raw,
            Err(error) => {
                self.inquiry.fail(Some(name), Cause::from(&error));
                return CopyCheck::Unfit;
            }
        };
        let fit = match answer::fit(&raw.lines) {
            Ok(fit) => fit,
            Err(error) => {
                self.inquiry.fail(Some(name), Cause::from(&error));
                return CopyCheck::Unfit;
            }
        };
        // A garbage collection between the copy and the roots. The roots are there now, so it does not go again.
        if may_come_again && fit.misfits.iter().any(|misfit| misfit.kind == "missing") {
            return CopyCheck::Again(CopyAgain::CollectedAfterCopy);
        }
        self.tell_comparison(name, &fit);
        if let Some(doubt) = BootDoubt::of_parts(view.facts, &fit.brings) {
            self.inquiry.warn(Some(name), doubt);
        }
        let mut fits = self.name_fits(view, fit.renaming.as_ref());
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
            CopyCheck::Fits
        } else {
            CopyCheck::Unfit
        }
    }

    /// What a host keeps of where its new system comes from. In a rollback it knows that already, and a dry run leaves
    /// nothing.
    fn brought(&self) -> Option<Brought> {
        let known = self.request.scope.source.known().filter(|_| !self.request.first.is_all())?;
        Some(Brought::now(&self.request.run, known))
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
