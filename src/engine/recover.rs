//! Runs a recovery from its beginning to its end: asks what the hosts hold of the run, then starts the driver.
//!
//! With the run's record the plan is that of the record. Without it the plan is put together from what the hosts hold:
//! leases, guards, roots. No host is changed before the driver takes the hosts over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::ask::ask_all;
use super::clock::Clock;
use super::host_survey::{self, Answered};
use super::last_look::look_at_every_host;
use super::reach::Reach;
use super::shutdown::Shutdown;
use super::surroundings::Surroundings;
use super::surveyor::{SshSurveyor, Surveyor};
use super::turns::Turns;
use super::workstation::Looking;
use crate::decide::left_to_guard::LeftRun;
use crate::decide::reboot::unfinished::UnfinishedReboot;
use crate::decide::time::{RecordedGuard, Times};
use crate::decide::transaction::recover::{Aim, Recorded};
use crate::decide::vocabulary::{Signal, Verdict};
use crate::event::reason::recover::RecoverReason;
use crate::event::stream::Events;
use crate::event::{Event, GUARD_TRACE, Outcome, Phase};
use crate::facts::plan::Plan;
use crate::facts::provenance::Provenance;
use crate::facts::traces::EndMark;
use crate::inventory::model::{Fleet, Host, HostName};
use crate::remote::Workspace;

pub use reboot::RollingEnded;

/// The pause between two looks for hosts that do not answer.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// What a person asked for, with what this workstation knows.
#[derive(Debug, Clone)]
pub struct RecoverRequest {
    pub fleet: Fleet,
    /// The name of this recovery alone: it tells two recoveries apart that end the same run at once.
    pub owner: String,
    /// Tells the epochs apart of two recoveries that begin at once.
    pub tag: u16,
    /// The newest unfinished run of the fleet on this workstation.
    pub known: Option<RecordedRun>,
    /// The run that the person has named.
    pub run: Option<String>,
    /// What is to be done with the run.
    pub aim: Aim,
    /// The hosts that the run is to end without.
    pub without: BTreeSet<HostName>,
    /// Runs of the fleet that were ended while hosts were missing, by the records of this workstation.
    pub ended: Vec<RecordedRun>,
}

/// A run with a record on this workstation.
#[derive(Debug, Clone)]
pub struct RecordedRun {
    pub run: String,
    /// `None`: the plan cannot be read, or was put together from the hosts; then the hosts tell it.
    pub plan: Option<Plan>,
    pub recorded: Recorded,
    /// The highest epoch that the record knows of.
    pub epoch: u64,
    /// The time since its last entry, by this workstation's clock.
    pub since: Duration,
    /// How long each host's guard holds from when it was armed; `None`: the record does not say.
    pub guards: Option<BTreeMap<HostName, RecordedGuard>>,
    /// Whether the unfinished run is a rolling reboot.
    pub rolling: Option<UnfinishedReboot>,
    /// The hosts that were missing when it was ended, and the side on which it was ended.
    pub mark: Option<EndMark>,
}

/// What was found to recover.
#[derive(Debug, Clone)]
pub struct FoundRun {
    pub run: String,
    pub epoch: u64,
    /// The run is known from the hosts alone, without a record of this workstation.
    pub alone: bool,
    pub plan: Arc<Plan>,
    /// The longest time from now on that a guard of the run can hold, except those that this recovery arms.
    pub longest_guard: Duration,
    /// Where its new systems come from, if all hosts that say so say the same.
    pub provenance: Option<Provenance>,
}

/// Makes the place for a recovery's entries, once it is known which run it is.
pub trait RecoveryRecords: Surroundings {
    /// Writes down that the run is about to be taken over.
    ///
    /// # Errors
    /// When that cannot be written down.
    fn recovering(&mut self, what: &FoundRun) -> std::io::Result<()>;

    /// Asks whether the run is to end without these hosts, which do not answer. The question ends by itself after some
    /// time. `wait`: how long that end would wait for their guards.
    fn goes_on_without(&mut self, silent: &BTreeSet<HostName>, wait: Duration) -> impl Future<Output = bool> + Send {
        let _ = (silent, wait);
        async { false }
    }

    /// Writes down that another coordinator has ended the run of the record: no host holds anything of it.
    fn ended_elsewhere(&mut self);
}

/// How a recovery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    Ended(Box<Verdict>),
    /// No host holds anything of an unfinished run. Hosts that did not answer are not known.
    Nothing {
        silent: Vec<HostName>,
    },
    /// It could not begin, for this reason.
    NotBegun(RecoverReason),
    /// It was a rolling reboot: what its trial had left was cleaned away, and its hosts were let go.
    Rolling(RollingEnded),
    /// The newest run is a guard that a person has armed, and that is still armed: it is not touched.
    ByHand {
        run: String,
    },
    Interrupted(Signal),
    /// See [`DriverEnd::Left`](super::driver::DriverEnd::Left).
    Left(LeftRun),
}

/// Recovers the newest unfinished run of a fleet.
pub async fn recover(
    request: &RecoverRequest,
    workspace: Arc<Workspace>,
    events: &Events,
    records: &mut impl RecoveryRecords,
    shutdown: &mut Shutdown,
) -> Recovered {
    let workstation = Looking::begin(events, Arc::default());
    let connect = request.fleet.hosts.iter().map(|host| (host.name.clone(), host.limits.connect)).collect();
    let reach = Arc::new(Reach::new(workspace, connect, Turns::new(request.fleet.parallel, events)));
    // Guards of the run may count down on its hosts already.
    reach.turns().make_haste();
    let surveyor = SshSurveyor { reach: Arc::clone(&reach) };
    let recovered = recover_with(&surveyor, request, events, records, shutdown).await;
    if matches!(&recovered, Recovered::Ended(verdict) if verdict.outcome == Outcome::Split) {
        tokio::select! {
            () = look_at_every_host(&reach, &request.fleet.hosts, events) => {}
            _ = shutdown.requested() => {}
        }
    }
    reach.close().await;
    workstation.end().await;
    recovered
}

/// Recovers over any way to the hosts, up to the verdict.
pub async fn recover_with(
    surveyor: &impl Surveyor,
    request: &RecoverRequest,
    events: &Events,
    records: &mut impl RecoveryRecords,
    shutdown: &mut Shutdown,
) -> Recovered {
    RecoveryRun { request, surveyor, clock: surveyor.clock(), events }.run(records, shutdown).await
}

type SurveyedHosts = BTreeMap<HostName, Answered>;

struct RecoveryRun<'a, S> {
    request: &'a RecoverRequest,
    surveyor: &'a S,
    clock: Arc<dyn Clock>,
    events: &'a Events,
}

/// The run that is recovered.
struct Chosen {
    run: String,
    known: Option<RecordedRun>,
    /// The hosts that it changes, if they are known.
    hosts: BTreeSet<HostName>,
    /// Whether hosts that do not answer were given the time until every guard must have fired.
    waited: bool,
}

impl Chosen {
    /// If this workstation has recorded no plan, it knows only what the hosts tell of the run.
    fn is_alone(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.plan.is_none())
    }
}

impl<S: Surveyor> RecoveryRun<'_, S> {
    async fn run(&self, records: &mut impl RecoveryRecords, shutdown: &mut Shutdown) -> Recovered {
        self.events.publish(Event::PhaseStarted { phase: Phase::Survey });
        let found = tokio::select! {
            // The search changes nothing of a push, and what a trial needs is done once however often it is ordered: it
            // may be dropped at any moment.
            found = self.find(records) => found,
            signal = shutdown.requested() => return Recovered::Interrupted(signal),
        };
        match found {
            Ok((chosen, surveyed, without)) if without.is_empty() => {
                self.take_over(chosen, surveyed, records, shutdown).await
            }
            Ok((chosen, surveyed, without)) => {
                let request = RecoverRequest { aim: Aim::Without, without, ..self.request.clone() };
                let (surveyor, clock, events) = (self.surveyor, Arc::clone(&self.clock), self.events);
                RecoveryRun { request: &request, surveyor, clock, events }
                    .take_over(chosen, surveyed, records, shutdown)
                    .await
            }
            Err(ended) => ended,
        }
    }

    /// Asks these hosts; those that do not answer are returned.
    async fn survey(
        &self,
        hosts: &BTreeSet<HostName>,
        surveyed: &mut SurveyedHosts,
        aloud: bool,
    ) -> BTreeSet<HostName> {
        let asked = self.request.fleet.hosts.iter().filter(|host| hosts.contains(&host.name));
        let tell = |event| {
            if aloud {
                self.events.publish(event);
            }
        };
        let questions =
            asked.map(|host| (host.name.clone(), host_survey::aloud(host, self.surveyor.ask(host), tell).boxed()));
        let mut silent = BTreeSet::new();
        for (host, answer) in ask_all(questions).await {
            match answer {
                Ok(answered) => {
                    for trace in &answered.facts.traces {
                        let lines = trace.lines().map(str::to_owned).collect();
                        let what = GUARD_TRACE.to_owned();
                        self.events.publish(Event::Logged { host: host.clone(), what, lines });
                    }
                    surveyed.insert(host, answered);
                }
                Err(cause) => {
                    if aloud {
                        let silent = RecoverReason::SilentInRecovery { cause: Box::new(cause) };
                        self.events.publish(Event::warned(Some(&host), silent));
                    }
                    silent.insert(host);
                }
            }
        }
        silent
    }

    fn times(&self, host: &Host) -> Times {
        Times::of(host, self.request.fleet.settle, Duration::ZERO)
    }
}

mod claims;
mod find;
mod plan;
mod reboot;
mod take_over;
#[cfg(test)]
pub(super) mod tests;
mod trial;
