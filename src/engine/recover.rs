//! A recovery from its beginning to its end: what the hosts hold of the run, then the driver.
//!
//! With the run's record the plan is the record's. Without it the plan is put together from what the hosts hold: leases,
//! guards, roots. Nothing is changed on any host before the driver takes them over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::clock::Clock;
use super::driver::{Driver, Ended, Surroundings};
use super::ending::look_at_every_host;
use super::epochs::Epochs;
use super::orders::{HostClock, HostGuard, Identity, Orders};
use super::reach::Reach;
use super::shutdown::Shutdown;
use super::ssh_hosts::ask_all;
use super::survey;
use super::surveyor::{Answered, SshSurveyor, Surveyor};
use super::workstation::Looking;
use crate::decide::left::LeftToGuard;
use crate::decide::plan::{HostPlan, Plan};
use crate::decide::recover::Recorded;
use crate::decide::rolling::ended::Begun;
use crate::decide::time::{RecordedGuard, Times};
use crate::decide::vocabulary::{Signal, Verdict};
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, Outcome, Phase};
use crate::inventory::model::{Fleet, Host, HostName};
use crate::remote::Workspace;

pub use rolling::RollingEnded;

/// Between two looks for hosts that do not answer.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// What a person asked for, and what this workstation knows.
#[derive(Debug, Clone)]
pub struct Request {
    pub fleet: Fleet,
    /// Nobody else's: two who recover the same run at once are told apart by it.
    pub owner: String,
    /// The same for the epochs of two who begin at once.
    pub tag: u16,
    /// The newest unfinished run of the fleet on this workstation.
    pub known: Option<Known>,
    /// The run that the person has named.
    pub run: Option<String>,
}

/// A run of which this workstation has the record.
#[derive(Debug, Clone)]
pub struct Known {
    pub run: String,
    /// `None`: it cannot be read, or was put together from the hosts; then the hosts tell.
    pub plan: Option<Plan>,
    pub recorded: Recorded,
    /// The highest epoch that the record knows of.
    pub epoch: u64,
    /// Since its last entry, as this workstation's clock says.
    pub since: Duration,
    /// Each host's guard, counted from when it was armed; `None`: the record does not say.
    pub guards: Option<BTreeMap<HostName, RecordedGuard>>,
    /// What is unfinished is a rolling reboot.
    pub rolling: Option<Begun>,
}

/// What was found to recover.
#[derive(Debug, Clone)]
pub struct Recovering {
    pub run: String,
    pub epoch: u64,
    /// Without a record of this workstation.
    pub alone: bool,
    pub plan: Arc<Plan>,
    /// No guard of the run can hold longer than this from now on, but for those that this recovery arms.
    pub longest_guard: Duration,
}

/// Where a recovery's entries go, made when it is known which run it is.
pub trait Records: Surroundings {
    /// The run is about to be taken over.
    ///
    /// # Errors
    /// When that cannot be written down.
    fn recovering(&mut self, what: &Recovering) -> std::io::Result<()>;

    /// The run of the record was ended by somebody else: no host holds anything of it.
    fn ended_elsewhere(&mut self);
}

/// How a recovery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    Ended(Verdict),
    /// No host holds anything of an unfinished run. Hosts that did not answer are not known.
    Nothing {
        silent: Vec<HostName>,
    },
    /// It could not begin; why.
    NotBegun {
        text: String,
        hint: Option<String>,
    },
    /// It was a rolling reboot, and nothing was done to its hosts but to let them go.
    Rolling(RollingEnded),
    /// The newest run is a guard that a person has armed, and that is still armed: nothing is touched.
    ByHand {
        run: String,
    },
    Interrupted(Signal),
    /// See [`Ended::Left`].
    Left {
        through: Vec<(HostName, HostOutcome)>,
        guarded: Vec<LeftToGuard>,
        signal: Signal,
    },
}

/// Recovers the newest unfinished run of a fleet.
pub async fn recover(
    request: &Request,
    workspace: Arc<Workspace>,
    events: &Events,
    records: &mut impl Records,
    shutdown: &mut Shutdown,
) -> Recovered {
    let workstation = Looking::begin(events);
    let connect = request.fleet.hosts.iter().map(|host| (host.name.clone(), host.limits.connect)).collect();
    let reach = Arc::new(Reach::new(workspace, connect));
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

/// The same by whichever way to the hosts, up to the verdict.
pub async fn recover_with(
    surveyor: &impl Surveyor,
    request: &Request,
    events: &Events,
    records: &mut impl Records,
    shutdown: &mut Shutdown,
) -> Recovered {
    Recovery { request, surveyor, clock: surveyor.clock(), events }.run(records, shutdown).await
}

type Surveyed = BTreeMap<HostName, Answered>;

struct Recovery<'a, S> {
    request: &'a Request,
    surveyor: &'a S,
    clock: Arc<dyn Clock>,
    events: &'a Events,
}

/// The run that is recovered.
struct Chosen {
    run: String,
    known: Option<Known>,
    /// The hosts that it changes, as far as known.
    hosts: BTreeSet<HostName>,
    /// Those that do not answer were given the time until every guard must have fired.
    waited: bool,
}

impl Chosen {
    /// Without a plan of its own recording, this workstation knows of the run what its hosts tell.
    fn is_alone(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.plan.is_none())
    }
}

impl<S: Surveyor> Recovery<'_, S> {
    async fn run(&self, records: &mut impl Records, shutdown: &mut Shutdown) -> Recovered {
        self.events.publish(Event::PhaseStarted { phase: Phase::Survey });
        let found = tokio::select! {
            found = self.find(records) => found,
            signal = shutdown.requested() => return Recovered::Interrupted(signal),
        };
        let (chosen, surveyed) = match found {
            Ok(found) => found,
            Err(ended) => return ended,
        };
        // A roll back could not mend what a person has changed beside the systems: only the guard's own reboot does.
        if claims::is_by_hand(&chosen.run, surveyed.values()) {
            return Recovered::ByHand { run: chosen.run };
        }
        let (plan, times, clocks, guards) = match self.plan(&chosen, &surveyed) {
            Ok(planned) => planned,
            Err((text, hint)) => return Recovered::NotBegun { text, hint: Some(hint) },
        };
        let shown = |host: &HostPlan| claims::epoch(&chosen.run, surveyed.get(&host.name)?);
        let recorded_epoch = chosen.known.as_ref().map_or(1, |known| known.epoch);
        let epochs = Epochs::above(plan.hosts.iter().map(shown).collect(), recorded_epoch, self.request.tag);
        let epoch = epochs.common();
        let alone = chosen.is_alone();
        let longest = claims::longest_guard(&chosen.run, &times, surveyed.values());
        let mut set_aside = Vec::new();
        for id in plan.changing() {
            let host = plan.host(id);
            let Some(one) = surveyed.get(&host.name) else { continue };
            if let Some(doubt) = claims::doubt(&chosen.run, one, epochs.has_no_room(id)) {
                let text = format!("{doubt}: it is left as it is");
                self.events.publish(Event::Warned { host: Some(host.name.clone()), text });
                set_aside.push((id, doubt.to_string()));
            }
        }
        let plan = Arc::new(plan);
        let what =
            Recovering { run: chosen.run.clone(), epoch, alone, plan: Arc::clone(&plan), longest_guard: longest };
        if let Err(error) = records.recovering(&what) {
            let text = format!("the recovery's record cannot be written: {error}");
            return Recovered::NotBegun { text, hint: None };
        }
        let identity = Identity {
            run: chosen.run.clone(),
            owner: self.request.owner.clone(),
            hosts: plan.changing().map(|host| plan.host(host).name.clone()).collect(),
        };
        let recorded = chosen.known.as_ref().filter(|_| !alone).map_or_else(Recorded::nowhere, |known| known.recorded);
        let orders = Orders::new(Arc::clone(&plan), identity, guards, clocks).with_epochs(epochs);
        let hosts = self.surveyor.hosts(orders);
        let clock = Arc::clone(&self.clock);
        let driver = Driver::recovering(Arc::clone(&hosts), Arc::clone(&plan), times, clock, recorded)
            .leaving(set_aside)
            .having_waited(chosen.waited)
            .with_longest_guard(longest);
        let ended = driver.drive(records, shutdown).await;
        match ended {
            Ended::Verdict(verdict) => {
                self.surveyor.dismiss(hosts).await;
                Recovered::Ended(verdict)
            }
            Ended::Left { through, guarded, signal } => Recovered::Left { through, guarded, signal },
        }
    }

    /// Which run it is, and how the hosts stand. Changes nothing.
    async fn find(&self, records: &mut impl Records) -> Result<(Chosen, Surveyed), Recovered> {
        let mut surveyed = Surveyed::new();
        let all: BTreeSet<HostName> = self.request.fleet.hosts.iter().map(|host| host.name.clone()).collect();
        let silent = self.survey(&all, &mut surveyed, true).await;
        if let Some(rolling) = self.rolling(&surveyed) {
            let (run, begun) = rolling?;
            return Err(Recovered::Rolling(self.end_rolling(run, begun.as_ref(), &surveyed).await));
        }
        let Some(mut chosen) = self.choose(&surveyed)? else {
            if let (Some(Known { run, plan: Some(_), .. }), false) = (&self.request.known, silent.is_empty()) {
                // Its hosts may be the ones that do not answer.
                return Ok((self.chosen(run, &surveyed), surveyed));
            }
            return Err(self.nothing(silent, records));
        };
        let missing = || chosen.hosts.intersection(&silent).cloned().collect::<BTreeSet<_>>();
        if chosen.is_alone() && !missing().is_empty() {
            self.wait_for(missing(), &chosen, &mut surveyed).await;
            if !surveyed.values().any(|one| one.holds(&chosen.run)) {
                // Somebody else has ended it meanwhile.
                let silent = all.into_iter().filter(|host| !surveyed.contains_key(host)).collect();
                return Err(self.nothing(silent, records));
            }
            chosen.waited = true;
        }
        Ok((chosen, surveyed))
    }

    fn nothing(&self, silent: BTreeSet<HostName>, records: &mut impl Records) -> Recovered {
        if self.request.known.is_some() && silent.is_empty() {
            records.ended_elsewhere();
        }
        Recovered::Nothing { silent: silent.into_iter().collect() }
    }

    /// Asks these hosts; those that do not answer are returned.
    async fn survey(&self, hosts: &BTreeSet<HostName>, surveyed: &mut Surveyed, aloud: bool) -> BTreeSet<HostName> {
        let asked = self.request.fleet.hosts.iter().filter(|host| hosts.contains(&host.name));
        let tell = |event| {
            if aloud {
                self.events.publish(event);
            }
        };
        let questions =
            asked.map(|host| (host.name.clone(), survey::aloud(host, self.surveyor.ask(host), tell).boxed()));
        let mut silent = BTreeSet::new();
        for (host, answer) in ask_all(questions).await {
            match answer {
                Ok(answered) => {
                    for trace in &answered.facts.traces {
                        let lines = trace.lines().map(str::to_owned).collect();
                        let what = "its guard's trace".to_owned();
                        self.events.publish(Event::Logged { host: host.clone(), what, lines });
                    }
                    surveyed.insert(host, answered);
                }
                Err((text, hint)) => {
                    if aloud {
                        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                        let text = format!("does not answer: {text}{hint}");
                        self.events.publish(Event::Warned { host: Some(host.clone()), text });
                    }
                    silent.insert(host);
                }
            }
        }
        silent
    }

    /// Without a record, what a silent host ran before the run is known to nobody else. It has until the latest guard
    /// that is known must have brought it back.
    async fn wait_for(&self, mut silent: BTreeSet<HostName>, chosen: &Chosen, surveyed: &mut Surveyed) {
        let run = &chosen.run;
        let now = self.clock.now();
        let all_times: Vec<Times> = self.request.fleet.hosts.iter().map(|host| self.times(host)).collect();
        let longest = claims::longest_guard(run, &all_times, surveyed.values());
        let until = self.request.fleet.hosts.iter().filter_map(|host| {
            let one = surveyed.get(&host.name)?;
            let times = self.times(host);
            match claims::left(run, one) {
                Some(left) => Some(times.awaited_until(one.clock.at + left.min(longest))),
                // The others were armed with it.
                _ if one.holds(run) => Some(times.awaited_until(now)),
                _ => None,
            }
        });
        let mut until = until.max().unwrap_or(now);
        let recorded = chosen.known.as_ref().and_then(|known| known.guards.as_ref());
        if let Some(guards) = recorded
            && surveyed.values().all(|one| claims::left(run, one).is_none())
        {
            // An earlier recovery here has written down when they were armed at the latest.
            let over = |host: &Host| {
                let guard = guards.get(&host.name)?;
                Some(now + self.times(host).awaited_until(guard.holds).saturating_sub(guard.ago))
            };
            until = until.min(self.request.fleet.hosts.iter().filter_map(over).max().unwrap_or(until));
        }
        let names: Vec<&str> = silent.iter().map(HostName::as_str).collect();
        let text = format!(
            "this workstation has no record of run {run}, and {} cannot be asked: nothing is done for up to {} s, until \
             every guard must have fired",
            names.join(", "),
            until.saturating_sub(now).as_secs()
        );
        if until > now {
            self.events.publish(Event::Warned { host: None, text });
        }
        while !silent.is_empty() && self.clock.now() < until {
            self.clock.sleep_until(self.clock.now() + LOOK_PAUSE).await;
            silent = self.survey(&silent, surveyed, false).await;
        }
        // What the others said before the wait is old by now.
        let others = surveyed.keys().cloned().collect();
        self.survey(&others, surveyed, false).await;
    }

    /// The run that was named, or that this workstation knows of, or that most hosts hold something of.
    fn choose(&self, surveyed: &Surveyed) -> Result<Option<Chosen>, Recovered> {
        let mut runs: BTreeMap<String, BTreeSet<HostName>> = BTreeMap::new();
        for (host, one) in surveyed {
            for run in one.runs() {
                runs.entry(run).or_default().insert(host.clone());
            }
        }
        if let Some(named) = &self.request.run
            && !runs.contains_key(named)
            && self.request.known.as_ref().is_none_or(|known| known.run != *named)
        {
            return Err(Recovered::NotBegun {
                text: format!("no host that answers holds anything of run {named}"),
                hint: Some("`fleetdeploy recover` without --run says which runs there are".to_owned()),
            });
        }
        let known = self.request.known.as_ref().map(|known| known.run.clone());
        let known = known.filter(|run| runs.contains_key(run));
        let Some(run) = self.request.run.clone().or(known).or_else(|| claims::most_claimed(&runs)) else {
            return Ok(None);
        };
        for (other, hosts) in runs.iter().filter(|(other, _)| **other != run) {
            let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
            let text = format!(
                "run {other} did not come to its end either, says {}: after this, `fleetdeploy recover {} --run {other}`",
                hosts.join(", "),
                self.request.fleet.name
            );
            self.events.publish(Event::Warned { host: None, text });
        }
        let chosen = self.chosen(&run, surveyed);
        let strangers =
            claims::strangers(&run, &chosen.hosts, &self.request.fleet, surveyed, self.request.run.is_some());
        if strangers.is_empty() {
            return Ok(Some(chosen));
        }
        Err(Recovered::NotBegun {
            text: format!(
                "run {run} changed hosts that are not in fleet {}: {}",
                self.request.fleet.name,
                strangers.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
            ),
            hint: Some("name the fleet that it pushed, with an inventory that has all of its hosts".to_owned()),
        })
    }

    fn chosen(&self, run: &str, surveyed: &Surveyed) -> Chosen {
        let known = self.request.known.clone().filter(|known| known.run == run);
        let mut hosts = BTreeSet::new();
        if let Some(plan) = known.as_ref().and_then(|known| known.plan.as_ref()) {
            hosts.extend(plan.changing().map(|host| plan.host(host).name.clone()));
        }
        let is_recorded = !hosts.is_empty();
        for (host, one) in surveyed.iter().filter(|(_, one)| one.holds(run)) {
            // A true name that is left out would let the others be decided without that host; a false one costs a wait. What
            // the record tells no host changes.
            if !is_recorded {
                hosts.extend(claims::names(run, one));
            }
            hosts.insert(host.clone());
        }
        Chosen { run: run.to_owned(), known, hosts, waited: false }
    }

    fn times(&self, host: &Host) -> Times {
        Times::of(host, self.request.fleet.settle)
    }

    #[expect(clippy::type_complexity, reason = "four lists by host, taken apart at once")]
    fn plan(
        &self,
        chosen: &Chosen,
        surveyed: &Surveyed,
    ) -> Result<(Plan, Vec<Times>, Vec<HostClock>, Vec<HostGuard>), (String, String)> {
        let plan = match chosen.known.as_ref().and_then(|known| known.plan.clone()) {
            Some(plan) => plan,
            None => self.plan_from_hosts(chosen, surveyed),
        };
        // A host of the run that holds nothing of it any more stays in the plan: a run is cleaned away when all its hosts are
        // through, so that the others are neither taken back nor forward. A witness that does not answer proves nothing.
        let gone = |host: &HostPlan| !host.changes && !surveyed.contains_key(&host.name);
        let plan = plan.without(gone);
        let (mut times, mut clocks, mut guards) = (Vec::new(), Vec::new(), Vec::new());
        for host in &plan.hosts {
            let Some(known) = self.request.fleet.hosts.iter().find(|known| known.name == host.name) else {
                let text = format!(
                    "run {} changed {}, which is not in fleet {}",
                    chosen.run, host.name, self.request.fleet.name
                );
                return Err((text, "put it back into the inventory, as it was when the run began".to_owned()));
            };
            let mut its = self.times(known);
            let recorded = chosen.known.as_ref().and_then(|known| known.guards.as_ref()?.get(&host.name));
            if let Some(guard) = recorded {
                (its.unseen_guard, its.overdue) = (guard.left(), guard.overdue());
            } else if let Some(known) = &chosen.known {
                // A guard that nobody has seen was armed before the record's last entry.
                its.unseen_guard = its.guard.saturating_sub(known.since);
            }
            if chosen.waited {
                // And so every guard is over that was armed before this recovery began.
                (its.unseen_guard, its.overdue) = (Duration::ZERO, its.awaited_until(Duration::ZERO));
            }
            times.push(its);
            guards.push(HostGuard::of(known));
            clocks.push(surveyed.get(&host.name).map_or(HostClock { uptime: 0, at: Duration::ZERO }, |one| one.clock));
        }
        Ok((plan, times, clocks, guards))
    }
}

mod claims;
mod plan;
mod rolling;
#[cfg(test)]
mod tests;
