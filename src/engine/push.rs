//! A push from its beginning to its end: phases 1 to 4, which touch nothing, and then the driver.

mod prepare;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::prepare::{Prepared, Ready};
use super::causes::reason;
use super::clock::BootClock;
use super::driver::{Driver, Ended};
use super::inquiry::{FleetScope, Inquiry, Refused};
use super::last_look::look_at_every_host;
use super::mutex::lock;
use super::reboot::{Logbook, Rolled, RollingReboot};
use super::returned::Leftovers;
use super::shutdown::Shutdown;
use super::surroundings::Surroundings;
use super::workstation::Looking;
use crate::decide::left_to_guard::LeftToGuard;
use crate::decide::rollback::To;
use crate::decide::vocabulary::{Signal, Verdict};
use crate::decide::waves::Waves;
use crate::event::forecast::Forecast;
use crate::event::stream::Events;
use crate::event::{HostOutcome, Outcome};
use crate::facts::traces::EndMark;
use crate::inventory::model::{Host, HostName};
use crate::remote::Workspace;
use crate::remote::step::{Speaker, Step as RemoteStep};

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub scope: FleetScope,
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
                let skipped = lock(&push.skipped).clone();
                let rolling = RollingReboot {
                    inquiry: &push.inquiry,
                    skipped: &skipped,
                    run: &request.run,
                    owner: &request.owner,
                };
                Pushed::Rebooted(verdict, rolling.roll(&hosts, &[], surroundings, shutdown).await)
            }
        }
        pushed => pushed,
    };
    push.inquiry.reach.close().await;
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
                push.inquiry.fail(None, format!("the run's record cannot be written: {error}"), None);
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
                Ended::Left { through, guarded, signal } => {
                    // A round under way is not awaited: at once is at once.
                    Pushed::Left { through, guarded, signal }
                }
            }
        }
    }
}

pub(super) struct Push<'a> {
    pub(super) request: &'a Request,
    pub(super) inquiry: Inquiry<'a>,
    /// Hosts that hold roots of this run, for the clean-up of a refusal.
    pub(super) prepared: Mutex<BTreeSet<HostName>>,
    /// Hosts that take no part: those of [`FleetScope::without`], and optional ones that did not answer the survey.
    pub(super) skipped: Mutex<BTreeSet<HostName>>,
    /// What it would do, as far as that is known by now.
    pub(super) ahead: Mutex<Forecast>,
    /// Hosts of whose new system some part comes only with a reboot.
    pub(super) need_reboot: Mutex<BTreeSet<HostName>>,
}

impl<'a> Push<'a> {
    fn new(request: &'a Request, workspace: Arc<Workspace>, events: &'a Events) -> Self {
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

    /// A witness that was selected was current already; hosts that are not in the plan were left out or skipped.
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

    fn refused(&self, text: String) -> Verdict {
        let hosts =
            self.request.scope.fleet.hosts.iter().map(|host| (host.name.clone(), HostOutcome::Untouched)).collect();
        Verdict { outcome: Outcome::Refused, hosts, text, interrupted: None, gone: Vec::new() }
    }

    /// Roots of a run that will not be are taken away again.
    async fn clean_prepared(&self) {
        let prepared = lock(&self.prepared).clone();
        let speaker = Speaker { run: self.request.run.clone(), epoch: 1 };
        let script = RemoteStep::Clean { speaker, mark: EndMark::default() }.script();
        let cleanings = prepared.iter().map(|host| self.inquiry.reach.run(host, &script, Duration::from_secs(20)));
        for (host, cleaned) in prepared.iter().zip(futures::future::join_all(cleanings).await) {
            if let Err(error) = cleaned {
                self.inquiry.warn(Some(host), format!("roots of this run are left on it: {}", reason(&error)));
            }
        }
    }
}

fn unchanged(hosts: Vec<(HostName, HostOutcome)>) -> Verdict {
    let text = "every host already runs its system".to_owned();
    Verdict { outcome: Outcome::Unchanged, hosts, text, interrupted: None, gone: Vec::new() }
}
