//! A recovery from its beginning to its end: what the hosts hold of the run, then the driver.
//!
//! With the run's record the plan is the record's. Without it the plan is put together from what the hosts hold:
//! leases, guards, roots. Nothing is changed on any host before the driver takes them over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::clock::Clock;
use super::driver::{Driver, Ended, Surroundings};
use super::epochs::Epochs;
use super::last_look::look_at_every_host;
use super::orders::{HostClock, HostGuard, Identity, Orders};
use super::reach::Reach;
use super::shutdown::Shutdown;
use super::ssh_hosts::ask_all;
use super::survey;
use super::surveyor::{Answered, SshSurveyor, Surveyor};
use super::workstation::Looking;
use crate::decide::left_to_guard::LeftToGuard;
use crate::decide::plan::{HostPlan, Plan};
use crate::decide::reboot::unfinished::Begun;
use crate::decide::recover::{Aim, Recorded};
use crate::decide::time::{RecordedGuard, Times};
use crate::decide::traces::EndMark;
use crate::decide::vocabulary::{Signal, Verdict};
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, Outcome, Phase};
use crate::inventory::model::{Fleet, Host, HostName};
use crate::remote::Workspace;

use reboot::Rolling;
pub use reboot::RollingEnded;

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
    /// What it is to be done with it.
    pub aim: Aim,
    /// The hosts that it is to end without.
    pub without: BTreeSet<HostName>,
    /// Runs of the fleet that were ended while hosts were missing, by the records of this workstation.
    pub ended: Vec<Known>,
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
    /// Who was missing when it was ended, and on which side that was.
    pub mark: Option<EndMark>,
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

    /// Whether the run is to end without these hosts, which do not answer; ends by itself some time. `wait`: how long
    /// that would wait for their guards.
    fn goes_on_without(&mut self, silent: &BTreeSet<HostName>, wait: Duration) -> impl Future<Output = bool> + Send {
        let _ = (silent, wait);
        async { false }
    }

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
        match found {
            Ok((chosen, surveyed, without)) if without.is_empty() => {
                self.take_over(chosen, surveyed, records, shutdown).await
            }
            Ok((chosen, surveyed, without)) => {
                let request = Request { aim: Aim::Without, without, ..self.request.clone() };
                let (surveyor, clock, events) = (self.surveyor, Arc::clone(&self.clock), self.events);
                Recovery { request: &request, surveyor, clock, events }
                    .take_over(chosen, surveyed, records, shutdown)
                    .await
            }
            Err(ended) => ended,
        }
    }

    async fn take_over(
        &self,
        chosen: Chosen,
        surveyed: Surveyed,
        records: &mut impl Records,
        shutdown: &mut Shutdown,
    ) -> Recovered {
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
        let until = (self.request.aim == Aim::Without)
            .then(|| self.until_no_guard_is_armed_on(&self.request.without, &chosen, &plan, &times, &surveyed))
            .flatten();
        self.tell_until_when(until);
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
        let replaced = self.replaced(&chosen, &surveyed);
        let is_left_out = |host: &HostName| self.request.without.contains(host) || replaced.contains(host);
        let without = plan.changing().filter(|host| is_left_out(&plan.host(*host).name)).collect();
        let mark = chosen.known.as_ref().and_then(|known| known.mark.clone());
        let driver = Driver::recovering(Arc::clone(&hosts), Arc::clone(&plan), times, clock, recorded)
            .of_fleet(&self.request.fleet.name)
            .leaving(set_aside)
            .aiming_at(self.request.aim, mark)
            .going_without(without, until)
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

    /// Which run it is, how the hosts stand, and whom a person has just said that it is to end without. Changes
    /// nothing.
    async fn find(&self, records: &mut impl Records) -> Result<(Chosen, Surveyed, BTreeSet<HostName>), Recovered> {
        let mut surveyed = Surveyed::new();
        let all: BTreeSet<HostName> = self.request.fleet.hosts.iter().map(|host| host.name.clone()).collect();
        // Whom the run is to end without is asked for nothing: it takes no part, also if it answers.
        let left_out: BTreeSet<HostName> = match self.request.aim {
            Aim::Without | Aim::Returned => self.request.without.clone(),
            Aim::Recover | Aim::Forget { .. } => BTreeSet::new(),
        };
        let asked: BTreeSet<HostName> = all.difference(&left_out).cloned().collect();
        let mut silent = self.survey(&asked, &mut surveyed, true).await;
        silent.extend(left_out);
        let mut rolling = self.rolling(&surveyed);
        if let Rolling::SaidByOne { run, host } = rolling {
            rolling = self.look_at_rolling_again(run, host, &mut surveyed).await;
            silent = all.iter().filter(|host| !surveyed.contains_key(*host)).cloned().collect();
        }
        match rolling {
            Rolling::None | Rolling::SaidByOne { .. } => {}
            Rolling::Ends { run, begun } => {
                return Err(Recovered::Rolling(self.end_rolling(run, begun.as_ref(), &surveyed).await));
            }
            Rolling::Holds { run, hosts } => return Err(self.held_by(&run, &hosts)),
        }
        self.let_go_what_is_over(&surveyed).await;
        let Some(mut chosen) = self.choose(&surveyed)? else {
            if let (Some(Known { run, plan: Some(_), .. }), false) = (&self.request.known, silent.is_empty()) {
                // Its hosts may be the ones that do not answer.
                return Ok((self.chosen(run, &surveyed), surveyed, BTreeSet::new()));
            }
            let silent = self.tell_of_marks(silent, &surveyed);
            return Err(self.nothing(silent, records));
        };
        let named = Self::named_by_marks(&chosen, &surveyed);
        let missing = || {
            let missing = chosen.hosts.intersection(&silent);
            missing.filter(|host| !self.request.without.contains(host) && !named.contains(*host)).cloned().collect()
        };
        let unexpected: BTreeSet<HostName> = missing();
        if self.request.aim == Aim::Without && !unexpected.is_empty() {
            let silent: Vec<&str> = unexpected.iter().map(HostName::as_str).collect();
            let all = self.request.without.iter().chain(&unexpected).map(HostName::as_str);
            return Err(Recovered::NotBegun {
                text: format!(
                    "{} {} not answer either, and a run is not ended without a host that was not named",
                    silent.join(", "),
                    if silent.len() == 1 { "does" } else { "do" }
                ),
                hint: Some(format!(
                    "if {} not come back: `fleetdeploy recover {} --without {}`",
                    if silent.len() == 1 { "it does" } else { "they do" },
                    self.request.fleet.name,
                    all.collect::<Vec<_>>().join(",")
                )),
            });
        }
        let would_wait = self.request.aim == Aim::Recover && !unexpected.is_empty();
        if would_wait
            // What cannot be planned is refused as soon as it is to be taken over.
            && let Ok((plan, times, ..)) = self.plan(&chosen, &surveyed)
            && let until = self.until_no_guard_is_armed_on(&unexpected, &chosen, &plan, &times, &surveyed)
            && let wait = until.map_or(Duration::ZERO, |until| until.saturating_sub(self.clock.now()))
            && records.goes_on_without(&unexpected, wait).await
        {
            return Ok((chosen, surveyed, unexpected));
        }
        if chosen.is_alone() && self.request.aim == Aim::Recover && !unexpected.is_empty() {
            self.wait_for(unexpected, &chosen, &mut surveyed).await;
            if !surveyed.values().any(|one| one.holds(&chosen.run)) {
                // Somebody else has ended it meanwhile.
                let silent = all.into_iter().filter(|host| !surveyed.contains_key(host)).collect();
                return Err(self.nothing(silent, records));
            }
            chosen.waited = true;
        }
        Ok((chosen, surveyed, BTreeSet::new()))
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
            "this workstation has no record of run {run}, and {} cannot be asked: nothing is done for up to {}, until \
             every guard must have fired",
            names.join(", "),
            humantime::format_duration(Duration::from_secs(until.saturating_sub(now).as_secs()))
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
        let mut runs = claims::runs(surveyed);
        for (run, hosts) in claims::to_be_judged(surveyed) {
            runs.entry(run).or_default().extend(hosts);
        }
        // A mark claims nothing: only who names its run means it.
        if let Some(run) = &self.request.run {
            let marked = surveyed.iter().filter(|(_, one)| one.mark(run).is_some()).map(|(host, _)| host.clone());
            let marked: Vec<HostName> = marked.collect();
            if !marked.is_empty() {
                runs.entry(run.clone()).or_default().extend(marked);
            }
            let over = surveyed.iter().filter(|(_, one)| one.holds(run)).map(|(host, _)| host.clone());
            let over: Vec<HostName> = over.collect();
            if !over.is_empty() {
                runs.entry(run.clone()).or_default().extend(over);
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
                "run {other} did not come to its end either, says {}: after this, `fleetdeploy recover {} --run \
                 {other}`",
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
        let known = self.request.known.iter().chain(&self.request.ended).find(|known| known.run == run).cloned();
        let mut hosts = BTreeSet::new();
        if let Some(plan) = known.as_ref().and_then(|known| known.plan.as_ref()) {
            hosts.extend(plan.changing().map(|host| plan.host(host).name.clone()));
        }
        let is_recorded = !hosts.is_empty();
        for (host, one) in surveyed.iter().filter(|(_, one)| one.holds(run) || one.mark(run).is_some()) {
            // A true name that is left out would let the others be decided without that host; a false one costs a wait.
            // What the record tells no host changes.
            if !is_recorded {
                hosts.extend(claims::names(run, one));
            }
            hosts.insert(host.clone());
        }
        Chosen { run: run.to_owned(), known, hosts, waited: false }
    }

    /// Hosts that were missing when the run was ended, and still are: nobody waits for them. So is one whose name
    /// another machine has now.
    fn named_by_marks(chosen: &Chosen, surveyed: &Surveyed) -> BTreeSet<HostName> {
        let marks = surveyed.values().filter_map(|one| one.mark(&chosen.run));
        let recorded = chosen.known.as_ref().and_then(|known| known.mark.as_ref());
        marks.chain(recorded).flat_map(|mark| mark.missing.keys().cloned()).collect()
    }

    /// Hosts that are missing by the marks, and under whose names other machines answer: those know nothing of the run.
    fn replaced(&self, chosen: &Chosen, surveyed: &Surveyed) -> BTreeSet<HostName> {
        let marks = surveyed.values().filter_map(|one| one.mark(&chosen.run));
        let recorded = chosen.known.as_ref().and_then(|known| known.mark.as_ref());
        let missing = marks.chain(recorded).flat_map(|mark| &mark.missing);
        let is_replaced = |(host, machine): &(&HostName, &Option<String>)| {
            let is_another =
                |one: &Answered| !claims::is_back(Some(one), machine.as_deref()) && !one.holds(&chosen.run);
            self.request.aim == Aim::Recover && surveyed.get(*host).is_some_and(is_another)
        };
        missing.filter(is_replaced).map(|(host, _)| host.clone()).collect()
    }

    /// Says of the marks on the hosts that nothing is to be done about them now. Who is missing by one is not silent by
    /// itself: that is known.
    fn tell_of_marks(&self, mut silent: BTreeSet<HostName>, surveyed: &Surveyed) -> BTreeSet<HostName> {
        let fleet = &self.request.fleet.name;
        let mut told = BTreeSet::new();
        for mark in surveyed.values().flat_map(|one| &one.facts.marks) {
            for host in mark.ended.mark.missing.keys() {
                silent.remove(host);
                if told.insert((mark.run.clone(), host.clone())) {
                    let how = if surveyed.contains_key(host) {
                        "and another machine answers under its name now"
                    } else {
                        "and it does not answer: when it does, this command ends what is left of the run there"
                    };
                    let text = format!(
                        "was missing when run {0} was ended, {how}; `fleetdeploy recover {fleet} --forget {0}` ends \
                         the waiting for it",
                        mark.run
                    );
                    self.events.publish(Event::Warned { host: Some(host.clone()), text });
                }
            }
        }
        silent
    }

    /// Until when a guard may be armed on one of the hosts that the run is to end without. Whoever began the run can
    /// have extended it until the others are fenced, but for one whose record this is: nobody else goes on with that
    /// while it is held here.
    fn until_no_guard_is_armed_on(
        &self,
        without: &BTreeSet<HostName>,
        chosen: &Chosen,
        plan: &Plan,
        times: &[Times],
        surveyed: &Surveyed,
    ) -> Option<Duration> {
        let now = self.clock.now();
        let known = chosen.known.as_ref().filter(|_| !chosen.is_alone());
        let shown = surveyed.values().filter_map(|one| claims::epoch(&chosen.run, one)).max();
        let is_ours = known.is_some_and(|known| shown.is_none_or(|shown| shown <= known.epoch));
        let until = plan.changing().filter(|host| without.contains(&plan.host(*host).name)).map(|host| {
            let its = &times[host.0];
            let holds = match known {
                // On the way back those who wait for another are extended past that one.
                Some(known) if is_ours && known.recorded.turned_back => {
                    Times::longest_guard(times).saturating_sub(known.since)
                }
                Some(_) if is_ours => its.unseen_guard,
                _ => claims::longest_guard(&chosen.run, times, surveyed.values()).max(its.guard),
            };
            now + holds + its.limits.firing()
        });
        until.max()
    }

    fn tell_until_when(&self, until: Option<Duration>) {
        let Some(until) = until else { return };
        let now = self.clock.now();
        let names: Vec<&str> = self.request.without.iter().map(HostName::as_str).collect();
        let text = format!(
            "the run is ended without {}: nothing is decided for up to {}, until no guard can be armed there any more; \
             then the others go to one side and are free",
            names.join(", "),
            humantime::format_duration(Duration::from_secs(until.saturating_sub(now).as_secs()))
        );
        self.events.publish(Event::Warned { host: None, text });
    }

    fn times(&self, host: &Host) -> Times {
        Times::of(host, self.request.fleet.settle, Duration::ZERO)
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
        // A host of the run that holds nothing of it any more stays in the plan: a run is cleaned away when all its
        // hosts are through, so that the others are neither taken back nor forward. A witness that does not answer
        // proves nothing.
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
mod reboot;
#[cfg(test)]
mod tests;
