//! Runs a push from its beginning to its end: phases 1 to 4, which touch nothing, and then the driver.

mod prepare;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::prepare::{Prepared, Ready};
use super::clock::BootClock;
use super::driver::{Driver, DriverEnd};
use super::inquiry::{FleetScope, Inquiry};
use super::last_look::look_at_every_host;
use super::mutex::lock;
use super::reboot::{Logbook, RebootDriver, Rolled};
use super::returned::Leftovers;
use super::shutdown::Shutdown;
use super::surroundings::Surroundings;
use super::workstation::Looking;
use crate::decide::left_to_guard::LeftRun;
use crate::decide::reboot::trial::TrialWish;
use crate::decide::rollback::To;
use crate::decide::sending::FormerCopies;
use crate::decide::vocabulary::{Signal, Verdict};
use crate::decide::waves::Waves;
use crate::event::forecast::Forecast;
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::push::PushNote;
use crate::event::reason::refusal::Refusal;
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, Outcome};
use crate::facts::traces::EndMark;
use crate::inventory::model::{Host, HostName};
use crate::remote::step::{RemoteStep, Speaker};
use crate::remote::{Workspace, answer};

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct PushRequest {
    pub scope: FleetScope,
    /// Units that made a run roll back, and that are to count as failed before this run.
    pub accept_failed: BTreeSet<String>,
    /// Hosts whose new systems may call them by another name.
    pub renamed: BTreeSet<HostName>,
    pub waves: Waves,
    /// Where a rollback goes: to systems that the hosts have already. `None`: the systems are built.
    pub back: Option<To>,
    pub first: Preview,
    /// How fast copies were in former runs.
    pub former: FormerCopies,
    /// Whether the hosts that need a reboot for their new systems are rebooted after the commit.
    /// Then it says, too, which new systems are tried before they are what a reboot brings.
    pub reboot: Option<TrialWish>,
    pub run: String,
    /// `person@workstation`.
    pub owner: String,
}

/// What happens before the first host is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preview {
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

impl Preview {
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
    /// A second signal: left at once; see [`DriverEnd::Left`].
    Left(LeftRun),
}

/// Pushes a fleet, and tells `surroundings` and `events` everything on the way.
pub async fn push(
    request: &PushRequest,
    workspace: Arc<Workspace>,
    events: &Events,
    surroundings: &mut (impl Surroundings + Logbook),
    shutdown: &mut Shutdown,
) -> Pushed {
    let push = Push::new(request, workspace, events);
    let workstation = Looking::begin(events, Arc::clone(&push.inquiry.nix));
    let pushed = match (push_to_the_end(&push, surroundings, shutdown).await, request.reboot) {
        (Pushed::Ended(verdict), Some(tries)) if matches!(verdict.outcome, Outcome::Committed | Outcome::Unchanged) => {
            // Only after the commit: a reboot before it would bring the old system, and take the proof away.
            let hosts = lock(&push.need_reboot).clone();
            if hosts.is_empty() {
                Pushed::Ended(verdict)
            } else {
                // No waves are named, so they are rebooted one after the other.
                let skipped = lock(&push.skipped).clone();
                let rolling = RebootDriver {
                    inquiry: &push.inquiry,
                    skipped: &skipped,
                    run: &request.run,
                    owner: &request.owner,
                    tries,
                };
                Pushed::Rebooted(verdict, rolling.roll(&hosts, &[], surroundings, shutdown).await)
            }
        }
        (pushed, _) => pushed,
    };
    push.inquiry.reach.close().await;
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
        Err(refusal) => {
            push.clean_prepared().await;
            if push.request.first.is_all() {
                surroundings.foreseen(push.foreseen(Some(&refusal)));
            }
            Pushed::Ended(push.refused(refusal))
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
            if push.request.first == Preview::Ask {
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
                push.inquiry.tell(Event::failed(None, PushNote::RecordNotWritten { said: error.to_string() }));
                return Pushed::Ended(push.refused(Refusal::RecordNotBegun));
            }
            let ended = Driver::new(Arc::clone(&hosts), Arc::clone(&plan), times, Arc::new(BootClock))
                .drive(surroundings, shutdown)
                .await;
            match ended {
                DriverEnd::Verdict(mut verdict) => {
                    hosts.stop_probing().await;
                    // One look more, because a host may have come back since it was given up. A person who is in a
                    // hurry ends it with a signal.
                    if verdict.outcome == Outcome::Split {
                        let skipped = lock(&push.skipped).clone();
                        let took_part =
                            push.request.scope.fleet.hosts.iter().filter(|host| !skipped.contains(&host.name));
                        let took_part: Vec<Host> = took_part.cloned().collect();
                        tokio::select! {
                            () = look_at_every_host(&push.inquiry.reach, &took_part, push.inquiry.events) => {}
                            _ = shutdown.requested() => {}
                        }
                    }
                    verdict.hosts = push.name_every_host(verdict.hosts);
                    Pushed::Ended(verdict)
                }
                // "At once" does not wait for a round that is under way; its prober ends with the session.
                DriverEnd::Left(left) => Pushed::Left(left),
            }
        }
    }
}

pub(super) struct Push<'a> {
    pub(super) request: &'a PushRequest,
    pub(super) inquiry: Inquiry<'a>,
    /// Hosts that hold roots of this run: a refusal cleans them up.
    pub(super) prepared: Mutex<BTreeSet<HostName>>,
    /// Hosts that take no part: those of [`FleetScope::without`], and optional ones that did not answer the survey.
    pub(super) skipped: Mutex<BTreeSet<HostName>>,
    /// What the push would do, as far as that is known by now.
    pub(super) ahead: Mutex<Forecast>,
    /// Hosts that need a reboot for some part of their new system.
    pub(super) need_reboot: Mutex<BTreeSet<HostName>>,
}

impl<'a> Push<'a> {
    fn new(request: &'a PushRequest, workspace: Arc<Workspace>, events: &'a Events) -> Self {
        Self {
            request,
            inquiry: Inquiry::new(&request.scope, workspace, events),
            prepared: Mutex::default(),
            skipped: Mutex::new(request.scope.without.clone()),
            ahead: Mutex::default(),
            need_reboot: Mutex::default(),
        }
    }

    fn standing_end(&self, host: &HostName) -> HostOutcome {
        if self.request.scope.selected.contains(host) { HostOutcome::Unchanged } else { HostOutcome::Witness }
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
        self.request.scope.fleet.hosts.iter().map(|host| (host.name.clone(), end(host))).collect()
    }

    fn absent(&self, host: &HostName) -> HostOutcome {
        let skipped = lock(&self.skipped);
        if skipped.contains(host) { HostOutcome::Skipped } else { HostOutcome::Witness }
    }

    async fn clear_away(
        &self,
        leftovers: &Leftovers,
        surroundings: &mut impl Surroundings,
        shutdown: &mut Shutdown,
    ) -> Result<(), Signal> {
        let skipped = lock(&self.skipped).clone();
        leftovers.clear_away(&self.inquiry, &skipped, &self.request.owner, surroundings, shutdown).await
    }

    fn refused(&self, reason: impl Into<AnyReason>) -> Verdict {
        let text = reason.into();
        let hosts =
            self.request.scope.fleet.hosts.iter().map(|host| (host.name.clone(), HostOutcome::Untouched)).collect();
        Verdict { outcome: Outcome::Refused, hosts, text, interrupted: None, gone: Vec::new(), kept: BTreeMap::new() }
    }

    /// Takes away the roots of a run that will not begin.
    async fn clean_prepared(&self) {
        let prepared = lock(&self.prepared).clone();
        let speaker = Speaker { run: self.request.run.clone(), epoch: 1 };
        let script = RemoteStep::Clean { speaker, mark: EndMark::default() }.script();
        let cleanings = prepared.iter().map(|host| self.inquiry.reach.run(host, &script, Duration::from_secs(20)));
        for (host, cleaned) in prepared.iter().zip(futures::future::join_all(cleanings).await) {
            let left = match cleaned.map(|raw| answer::step_answer(&raw.lines)) {
                Ok(Ok(said)) => Cause::of_outcome(said.outcome),
                Ok(Err(error)) => Some(Cause::from(&error)),
                Err(error) => Some(Cause::from(&error)),
            };
            if let Some(cause) = left {
                self.inquiry.warn(Some(host), PushNote::RootsLeft { cause: cause.into() });
            }
        }
    }
}

fn unchanged(hosts: Vec<(HostName, HostOutcome)>) -> Verdict {
    let text = PushNote::EveryHostCurrent.into();
    Verdict { outcome: Outcome::Unchanged, hosts, text, interrupted: None, gone: Vec::new(), kept: BTreeMap::new() }
}
