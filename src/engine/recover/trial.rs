//! Ends a trial whose rolling reboot has died: waits for the end that its host's own clock brings, and cleans then. It
//! is never taken over, because its run may be alive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::reboot::RollingClaim;
use super::{LOOK_PAUSE, RecoveryRun, RollingEnded, SurveyedHosts};
use crate::decide::reboot::trial::left::{TrialLeft, TrialRemedy};
use crate::decide::reboot::trial::times::{SETTLE_AFTER_BOOT, TrialTimes};
use crate::decide::transaction::recover::Aim;
use crate::engine::surveyor::Surveyor;
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::reboot::FoundRolling;
use crate::event::reason::trying::TryingReason;
use crate::facts::host::{GuardState, Standing, Uptime};
use crate::inventory::model::{Host, HostName};

/// For how long a clean-up that is refused is tried again: something else may be at work there for a moment.
const CLEANED_WITHIN: Duration = Duration::from_secs(60);

/// All that a recovery has found out about a trial, and done about it.
#[derive(Debug, Default)]
struct Mended {
    ends: BTreeMap<HostName, FoundRolling>,
    /// The hosts on which a clean-up came through.
    cleaned: BTreeSet<HostName>,
    /// The hosts of which the same was told already, and `None` for the whole.
    told: BTreeSet<Option<HostName>>,
}

/// Hosts that may be on their way in a rolling reboot of which there is no record.
struct Unseen {
    run: String,
    hosts: BTreeSet<HostName>,
    wait: Duration,
}

impl<S: Surveyor> RecoveryRun<'_, S> {
    /// Ends the trial that is meant, and then its rolling reboot; `None`: there is none, or a push is to be recovered,
    /// whose guards do not wait for it. It comes before all other claims: lease and guard of the host that is tried,
    /// and the holds of the others, look like a push of two stories.
    pub(super) async fn end_trial(
        &self,
        surveyed: &mut SurveyedHosts,
        silent: &BTreeSet<HostName>,
    ) -> Option<RollingEnded> {
        let known = self.request.known.as_ref().filter(|known| known.rolling.is_some());
        let away = known.and_then(|known| Some((known, known.rolling.as_ref()?.tried.clone()?)));
        let away = away.filter(|(_, host)| silent.contains(host) && !self.request.without.contains(host));
        if self.is_after_a_push(surveyed) {
            self.tell_of_trials(surveyed);
            return None;
        }
        let unseen = self.may_be_in_a_trial(surveyed, silent);
        let run = match (&away, self.run_of_trial(surveyed), &unseen) {
            (Some((known, _)), ..) => known.run.clone(),
            (None, Some(run), _) => run,
            (None, None, Some(unseen)) => unseen.run.clone(),
            (None, None, None) => {
                self.tell_of_trials(surveyed);
                return None;
            }
        };
        let unseen = unseen.filter(|unseen| away.is_none() && unseen.run == run);
        let start = self.clock.now();
        let longest = self.request.fleet.hosts.iter().map(|host| self.trial_times(host).back_by_itself).max();
        // An older entry of the record says that a part of it is over.
        let since = away.as_ref().map_or(Duration::ZERO, |(known, _)| known.since);
        let mut until = start + longest.unwrap_or_default().saturating_sub(since);
        let mut missing: BTreeSet<HostName> = away.into_iter().map(|(_, host)| host).collect();
        let mut mended = Mended::default();
        // One that then shows itself in its trial is waited for by its own clock.
        let (mut unseen, unseen_until) = match unseen {
            Some(Unseen { hosts, wait, .. }) => {
                until = until.max(start + wait);
                self.events.publish(Event::warned(None, waits_for_rebooted(&run, &hosts, wait)));
                mended.told.insert(None);
                missing.clone_from(&hosts);
                (hosts, start + wait)
            }
            None => (BTreeSet::new(), start),
        };
        let mut has_waited = false;
        loop {
            let is_unseen = |host: &HostName| unseen.contains(host) && self.clock.now() >= unseen_until;
            let mut goes_on = missing.iter().any(|host| !is_unseen(host));
            let mut asked = missing.clone();
            for host in &self.request.fleet.hosts {
                let Some(standing) = surveyed.get(&host.name).map(|one| one.facts.standing.clone()) else { continue };
                let Some(left) = TrialLeft::of(&run, &standing) else { continue };
                if mended.cleaned.contains(&host.name) {
                    continue;
                }
                let is_patient = self.clock.now() < start + CLEANED_WITHIN;
                asked.insert(host.name.clone());
                goes_on |= self.mend_trial(host, &run, &standing, &left, &mut mended).await
                    && (is_patient || left.remedy() != TrialRemedy::Clean);
            }
            if !goes_on || self.clock.now() >= until {
                break;
            }
            if mended.told.insert(None) {
                let wait_s = until.saturating_sub(self.clock.now()).as_secs();
                self.events.publish(Event::warned(None, TryingReason::WaitsForTrial { run: run.clone(), wait_s }));
            }
            self.clock.sleep_until(self.clock.now() + LOOK_PAUSE).await;
            has_waited = true;
            // Only those that it is about: what the others say does not matter before the end.
            let gone = self.survey(&asked, surveyed, false).await;
            // One that was seen in it goes back meanwhile.
            surveyed.retain(|host, _| !gone.contains(host));
            unseen.retain(|host| gone.contains(host));
            missing = gone;
        }
        if has_waited {
            let others = self.request.fleet.hosts.iter().map(|host| host.name.clone());
            let others = others.filter(|host| !mended.ends.contains_key(host) && !missing.contains(host)).collect();
            let gone = self.survey(&others, surveyed, false).await;
            surveyed.retain(|host, _| !gone.contains(host));
        }
        for host in missing.difference(&unseen) {
            let waited_s = self.clock.now().saturating_sub(start).as_secs();
            // How far its run had come with it is not known here.
            let overdue =
                TryingReason::TrialOverdue { waited_s, was_kept: None, cause: TryingReason::NotSeenSince.into() };
            self.events.publish(Event::failed(Some(host), overdue));
        }
        let Mended { mut ends, cleaned, .. } = mended;
        for (host, one) in surveyed.iter() {
            // What is not cleaned is told as it stands, and a trial that goes on is not over.
            if let Some(left) = TrialLeft::of(&run, &one.facts.standing) {
                ends.entry(host.clone()).or_insert(found(&left));
            }
        }
        let begun = known.filter(|known| known.run == run).and_then(|known| known.rolling.as_ref());
        Some(self.end_rolling(run, begun, surveyed, ends, cleaned).await)
    }

    /// Cleans in passing what other trials than the one that is meant have left at rest, once; whatever comes of it,
    /// the recovery goes on. Returns it as the end of the newest of their runs, in case that there is nothing else.
    pub(super) async fn clean_what_is_at_rest(&self, surveyed: &SurveyedHosts) -> Option<RollingEnded> {
        if self.request.aim != Aim::Recover || self.is_after_a_push(surveyed) {
            return None;
        }
        let is_meant = |run: &str| self.is_meant(run, surveyed) || self.run_of_trial(surveyed).as_deref() == Some(run);
        let mut newest: Option<RollingEnded> = None;
        for host in &self.request.fleet.hosts {
            let Some(standing) = surveyed.get(&host.name).map(|one| &one.facts.standing) else { continue };
            let at_rest = standing.trial.survivors.iter().filter_map(|survivor| {
                let left = TrialLeft::of(&survivor.run, standing)?;
                (left.remedy() == TrialRemedy::Clean && !is_meant(&survivor.run)).then(|| (survivor.run.clone(), left))
            });
            for (run, left) in at_rest {
                let mut mended = Mended::default();
                self.mend_trial(host, &run, standing, &left, &mut mended).await;
                if mended.cleaned.is_empty() {
                    continue;
                }
                let cause = (left != TrialLeft::NotBegun).then(|| found(&left).into());
                let cleaned = TryingReason::TrialCleaned { run: run.clone(), cause };
                self.events.publish(Event::warned(Some(&host.name), cleaned));
                if newest.as_ref().is_none_or(|newest| newest.run < run) {
                    newest = Some(RollingEnded { run: run.clone(), ..RollingEnded::default() });
                }
                if let Some(newest) = newest.as_mut().filter(|newest| newest.run == run) {
                    newest.hosts.extend(mended.ends);
                    newest.cleaned.extend(mended.cleaned);
                }
            }
        }
        newest
    }

    /// Does for one host what a recovery may do; returns whether there is something to wait for.
    async fn mend_trial(
        &self,
        host: &Host,
        run: &str,
        standing: &Standing,
        left: &TrialLeft,
        mended: &mut Mended,
    ) -> bool {
        let why = match left {
            TrialLeft::WentBack { trace: Some(trace) } => trace.clone(),
            _ => String::new(),
        };
        if let TrialLeft::Armed { deadline, in_trial, .. } = left
            && mended.told.insert(Some(host.name.clone()))
        {
            self.events.publish(Event::warned(Some(&host.name), still_in_trial(run, standing, *deadline, *in_trial)));
        }
        let remedy = left.remedy();
        if remedy == TrialRemedy::Wait {
            return true;
        }
        match self.surveyor.mend_trial(host, run, &standing.boot_id, remedy, &why).await {
            Ok(()) => {
                // A guard that lives again has its deadline before it.
                if remedy == TrialRemedy::Tend {
                    return true;
                }
                mended.ends.insert(host.name.clone(), found(left));
                mended.cleaned.insert(host.name.clone());
                false
            }
            Err(cause) => {
                let cause: AnyReason = cause.into();
                if mended.told.insert(Some(host.name.clone())) {
                    self.events.publish(Event::warned(Some(&host.name), TryingReason::TrialRemains { cause }));
                }
                true
            }
        }
    }

    /// Returns whether a push is to be recovered: by this workstation's record, or by a guard of another run than the
    /// trials that are there. A trial that is at rest, or that one host tells of, must not keep it until its guards
    /// have fired.
    fn is_after_a_push(&self, surveyed: &SurveyedHosts) -> bool {
        let is_push_guard = |standing: &Standing| match &standing.guard {
            GuardState::Armed { run, .. } | GuardState::Dead { run, .. } | GuardState::Firing { run } => {
                TrialLeft::of(run, standing).is_none()
            }
            GuardState::None | GuardState::Fired { .. } | GuardState::Disarmed { .. } => false,
        };
        self.request.known.as_ref().is_some_and(|known| known.rolling.is_none())
            || surveyed.values().any(|one| is_push_guard(&one.facts.standing))
    }

    /// Says of each host that is in a trial of a run that it is; nothing is waited for.
    fn tell_of_trials(&self, surveyed: &SurveyedHosts) {
        for (host, one) in surveyed {
            let standing = &one.facts.standing;
            if let GuardState::Armed { run, .. } | GuardState::Dead { run, .. } = &standing.guard
                && let Some(TrialLeft::Armed { deadline, in_trial, .. }) = TrialLeft::of(run, standing)
            {
                self.events.publish(Event::warned(Some(host), still_in_trial(run, standing, deadline, in_trial)));
            }
        }
    }

    /// Returns the run whose trial this recovery ends: the one that is meant, or else one that still goes on. What
    /// others have left at rest does not keep it from what it was called for.
    fn run_of_trial(&self, surveyed: &SurveyedHosts) -> Option<String> {
        let mut found: BTreeMap<String, bool> = BTreeMap::new();
        for standing in surveyed.values().map(|one| &one.facts.standing) {
            let survivors = standing.trial.survivors.iter().map(|survivor| &survivor.run);
            for run in standing.trial.line.iter().chain(survivors) {
                if let Some(left) = TrialLeft::of(run, standing) {
                    *found.entry(run.clone()).or_default() |= left.remedy() != TrialRemedy::Clean;
                }
            }
        }
        let meant = found.keys().find(|run| self.is_meant(run, surveyed)).cloned();
        let is_another_s = self.request.run.is_some() || self.request.known.is_some();
        meant.or_else(|| found.into_iter().find(|(_, goes_on)| *goes_on && !is_another_s).map(|(run, _)| run))
    }

    /// Returns whether the recovery is of this rolling reboot: by name, by this workstation's record, or because it
    /// holds hosts.
    fn is_meant(&self, run: &str, surveyed: &SurveyedHosts) -> bool {
        if let Some(named) = &self.request.run {
            return named == run;
        }
        if let Some(known) = &self.request.known {
            return known.run == run;
        }
        let holds = |standing: &Standing| standing.rolling.as_ref().is_some_and(|lease| lease.run == run);
        surveyed.values().any(|one| holds(&one.facts.standing))
    }

    /// Without a record nobody knows whom a rolling reboot has sent away: where it holds others, and is to be ended,
    /// that may be any host that does not answer. Its hold tells how long that may take: it is written anew before each
    /// reboot, for so long and for what follows it.
    fn may_be_in_a_trial(&self, surveyed: &SurveyedHosts, silent: &BTreeSet<HostName>) -> Option<Unseen> {
        if self.request.known.is_some() || self.request.aim != Aim::Recover {
            return None;
        }
        let RollingClaim::Ends { run, .. } = self.rolling(surveyed) else { return None };
        let hosts: BTreeSet<HostName> = silent.difference(&self.request.without).cloned().collect();
        let holds = surveyed.values().filter_map(|one| one.facts.standing.rolling.as_ref());
        let left = holds.filter(|hold| hold.run == run).map(|hold| Duration::from_secs(hold.left)).max()?;
        let follows = |host| {
            let times = self.trial_times(host);
            times.hold.saturating_sub(times.old_guard + times.back_by_itself)
        };
        let wait = left.saturating_sub(self.request.fleet.hosts.iter().map(follows).min().unwrap_or_default());
        (!hosts.is_empty() && !wait.is_zero()).then_some(Unseen { run, hosts, wait })
    }

    fn trial_times(&self, host: &Host) -> TrialTimes {
        TrialTimes::of(&host.limits, host.boot_time, self.request.fleet.settle.max(SETTLE_AFTER_BOOT))
    }
}

fn waits_for_rebooted(run: &str, hosts: &BTreeSet<HostName>, wait: Duration) -> TryingReason {
    let hosts = hosts.iter().cloned().collect();
    TryingReason::WaitsForRebooted { run: run.to_owned(), hosts, wait_s: wait.as_secs() }
}

fn still_in_trial(run: &str, standing: &Standing, deadline: Uptime, in_trial: bool) -> TryingReason {
    TryingReason::StillInTrial { run: run.to_owned(), fires_in_s: deadline.saturating_sub(standing.uptime), in_trial }
}

/// How the host is told of in the end; one whose trial goes on is proven by nobody yet.
fn found(left: &TrialLeft) -> FoundRolling {
    match left {
        TrialLeft::Kept => FoundRolling::RebootDone,
        TrialLeft::WentBack { .. } => FoundRolling::TrialWentBack,
        TrialLeft::NotBegun => FoundRolling::RebootNotBegun,
        TrialLeft::Unproven { .. }
        | TrialLeft::Elsewhere { .. }
        | TrialLeft::Armed { .. }
        | TrialLeft::Leaving { .. }
        | TrialLeft::Firing => FoundRolling::TrialUnproven,
    }
}
