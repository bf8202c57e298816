//! Carries the recovery out: takes over the run that was found, and lets the driver bring it to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Chosen, FoundRun, Recovered, RecoveryRecords, RecoveryRun, SurveyedHosts, claims};
use crate::decide::time::Times;
use crate::decide::transaction::recover::{Aim, Recorded};
use crate::engine::driver::{Driver, DriverEnd};
use crate::engine::epochs::Epochs;
use crate::engine::host_survey::Answered;
use crate::engine::orders::{Identity, Orders};
use crate::engine::shutdown::Shutdown;
use crate::engine::surveyor::Surveyor;
use crate::event::Event;
use crate::event::reason::recover::RecoverReason;
use crate::facts::plan::{HostPlan, Plan};
use crate::facts::provenance::Provenance;
use crate::inventory::model::HostName;

impl<S: Surveyor> RecoveryRun<'_, S> {
    pub(super) async fn take_over(
        &self,
        chosen: Chosen,
        surveyed: SurveyedHosts,
        records: &mut impl RecoveryRecords,
        shutdown: &mut Shutdown,
    ) -> Recovered {
        // A roll back could not take back what a person has changed beside the systems. Only the guard's own reboot
        // does.
        if claims::is_by_hand(&chosen.run, surveyed.values()) {
            return Recovered::ByHand { run: chosen.run };
        }
        let (plan, times, clocks, guards) = match self.plan(&chosen, &surveyed) {
            Ok(planned) => planned,
            Err(why) => return Recovered::NotBegun(why),
        };
        let shown = |host: &HostPlan| claims::epoch(&chosen.run, surveyed.get(&host.name)?);
        let recorded_epoch = chosen.known.as_ref().map_or(1, |known| known.epoch);
        // The epochs are chosen before the first take-over, from what hosts and record show, so that one order of two
        // recoveries holds on all hosts.
        let epochs = Epochs::above(plan.hosts.iter().map(shown).collect(), recorded_epoch, self.request.tag);
        let epoch = epochs.common();
        let alone = chosen.is_alone();
        let longest = claims::longest_guard(&chosen.run, &times, surveyed.values());
        let mut set_aside = Vec::new();
        for id in plan.changing() {
            let host = plan.host(id);
            let Some(one) = surveyed.get(&host.name) else { continue };
            if let Some(doubt) = claims::doubt(&chosen.run, one, epochs.has_no_room(id)) {
                set_aside.push((id, doubt.clone()));
                self.events.publish(Event::warned(Some(&host.name), RecoverReason::HostSetAside { doubt }));
            }
        }
        let until = (self.request.aim == Aim::Without)
            .then(|| self.until_no_guard_is_armed_on(&self.request.without, &chosen, &plan, &times, &surveyed))
            .flatten();
        self.tell_until_when(until);
        let plan = Arc::new(plan);
        let provenance = told_provenance(&chosen.run, &plan, &surveyed);
        let (run, plan_of_run) = (chosen.run.clone(), Arc::clone(&plan));
        let what = FoundRun { run, epoch, alone, plan: plan_of_run, longest_guard: longest, provenance };
        if let Err(error) = records.recovering(&what) {
            return Recovered::NotBegun(RecoverReason::RecoveryNotRecorded { error: error.to_string() });
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
            DriverEnd::Verdict(verdict) => {
                self.surveyor.dismiss(hosts).await;
                Recovered::Ended(Box::new(verdict))
            }
            DriverEnd::Left(left) => Recovered::Left(left),
        }
    }

    /// Returns the hosts that are missing by the marks while other machines answer under their names: these know
    /// nothing of the run.
    fn replaced(&self, chosen: &Chosen, surveyed: &SurveyedHosts) -> BTreeSet<HostName> {
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

    /// Returns until when a guard may be armed on one of the hosts that the run is to end without. The coordinator that
    /// began the run can have extended it until the others are fenced. If the record is here, that coordinator is dead:
    /// only one program at a time goes on with a record.
    pub(super) fn until_no_guard_is_armed_on(
        &self,
        without: &BTreeSet<HostName>,
        chosen: &Chosen,
        plan: &Plan,
        times: &[Times],
        surveyed: &SurveyedHosts,
    ) -> Option<Duration> {
        let now = self.clock.now();
        let known = chosen.known.as_ref().filter(|_| !chosen.is_alone());
        let shown = surveyed.values().filter_map(|one| claims::epoch(&chosen.run, one)).max();
        let is_ours = known.is_some_and(|known| shown.is_none_or(|shown| shown <= known.epoch));
        let until = plan.changing().filter(|host| without.contains(&plan.host(*host).name)).map(|host| {
            let its = &times[host.0];
            let (holds, past) = match known {
                // On the way back hosts that wait for another are extended past its guard, by an order that may arrive
                // late: the guard holds from then on.
                Some(known) if is_ours && known.recorded.turned_back => {
                    (Times::longest_guard(times) + its.limits.connect + its.limits.step, known.since)
                }
                Some(_) if is_ours => (its.unseen_guard, its.overdue),
                _ => (claims::longest_guard(&chosen.run, times, surveyed.values()).max(its.guard), Duration::ZERO),
            };
            now + (holds + its.limits.firing()).saturating_sub(past)
        });
        until.max()
    }

    fn tell_until_when(&self, until: Option<Duration>) {
        let Some(until) = until else { return };
        let hosts = self.request.without.iter().cloned().collect();
        let wait = until.saturating_sub(self.clock.now());
        self.events.publish(Event::warned(None, RecoverReason::EndsWithoutHosts { hosts, wait }));
    }
}

/// Returns where the hosts say that the run's systems come from. Each speaks for itself: what they do not agree on is
/// not known.
pub(super) fn told_provenance(run: &str, plan: &Plan, surveyed: &SurveyedHosts) -> Option<Provenance> {
    let mut told = plan.changing().filter_map(|id| {
        let host = plan.host(id);
        let brought = &surveyed.get(&host.name)?.facts.origin_of(&host.new)?.brought;
        (brought.run == run).then_some(&brought.provenance)
    });
    let first = told.next()?;
    told.all(|other| other == first).then(|| first.clone())
}
