//! Phase 4: looks at the whole matrix before anything changes, and logs into every host anew. A link that is down
//! already is not blamed on this push; a login that is not there would turn it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;

use super::ask::ask_all;
use super::inquiry::Inquiry;
use super::new_login::{longest_new_login, new_login};
use super::probing::{Probing, longest_look};
use crate::decide::baseline::{BaselineTerms, JudgedBaseline, judge};
use crate::decide::matrix::{cells, link_text};
use crate::decide::survey::Finding;
use crate::event::activity::Doing;
use crate::event::reason::cause::Cause;
use crate::event::reason::refusal::Refusal;
use crate::event::{Cell, Event, Phase};
use crate::facts::links::Round;
use crate::facts::plan::{LoginBefore, Plan};
use crate::inventory::model::{HostName, Place};
use crate::remote::step::AskUnits;

/// The matrix as it was found.
pub(super) struct Baseline {
    /// With what the round has shown of its links and hosts.
    pub(super) plan: Plan,
    pub(super) cells: Vec<Cell>,
    /// Required links that are down and accepted as they are, as asked.
    pub(super) accepted: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// Why a push must not go on from here.
    pub(super) refusal: Option<Refusal>,
    /// What has looked, and goes on to prove what a push changes: its probers are there until it is stopped or dropped.
    pub(super) probing: Option<Probing>,
}

impl Inquiry<'_> {
    /// Looks at every link, and tells what was found.
    pub(super) async fn baseline(
        &self,
        plan: Plan,
        skipped: &BTreeSet<HostName>,
        changes: bool,
        units: AskUnits,
    ) -> Baseline {
        let baseline = self.look_at_baseline(plan, skipped, changes, units).await;
        self.tell_findings(&baseline.findings);
        baseline
    }

    /// Looks at every link. `skipped` are the hosts that take no part; where something `changes`, every host is logged
    /// into anew, and what is down is judged as what it means for that. Every login and every round has a limit of
    /// its own. The hosts are asked for their `units`, too, where those are to be compared with what comes later. The
    /// findings are left to the caller.
    pub(super) async fn look_at_baseline(
        &self,
        mut plan: Plan,
        skipped: &BTreeSet<HostName>,
        changes: bool,
        units: AskUnits,
    ) -> Baseline {
        let probing = Probing::of_plan(Arc::clone(&self.reach), &plan).asking(units);
        self.tell_probing(&plan, changes);
        let rounds = probing.baseline(&plan.links);
        // Where nothing changes, nothing will have to be proven.
        let logins = async { if changes { self.log_in_anew(&plan).await } else { BTreeMap::new() } };
        let (round, logins) = tokio::join!(rounds, logins);
        let accepts_broken = self.scope.allowed.broken;
        let terms = BaselineTerms { fleet: &self.scope.fleet, skipped, changes, accepts_broken };
        let JudgedBaseline { findings, down, refusal } = judge(&plan, &round, &logins, terms);
        let cells = cells(&plan, &round, false);
        self.tell(Event::MatrixSeen { phase: Phase::Baseline, cells: cells.clone() });
        let mut accepted = Vec::new();
        if accepts_broken && changes {
            accepted = down.iter().map(|link| link_text(&plan.links[*link])).collect();
            plan.accepted = down.into_iter().collect();
        }
        for host in &mut plan.hosts {
            if let Some(Ok(login)) = logins.get(&host.name) {
                host.login = *login;
            }
        }
        learn_health(&mut plan, &round);
        plan.baseline = round;
        let probing = if changes && refusal.is_none() {
            probing.end_what_only_begins().await;
            Some(probing)
        } else {
            probing.stop().await;
            None
        };
        Baseline { plan, cells, accepted, findings, refusal, probing }
    }

    /// Logs into every host of the plan, side by side, by the way that verify will take.
    async fn log_in_anew(&self, plan: &Plan) -> BTreeMap<HostName, Result<LoginBefore, Cause>> {
        let hosts = plan.hosts.iter().filter_map(|planned| {
            let host = self.scope.fleet.hosts.iter().find(|host| host.name == planned.name)?;
            Some((planned.name.clone(), new_login(&self.reach, host, planned.changes).boxed()))
        });
        ask_all(hosts).await
    }

    fn tell_probing(&self, plan: &Plan, changes: bool) {
        let look = longest_look(&plan.links);
        let mut begins: BTreeMap<&Place, usize> = BTreeMap::new();
        for link in &plan.links {
            *begins.entry(&link.from).or_default() += 1;
        }
        for planned in &plan.hosts {
            let links = begins.get(&Place::Host(planned.name.clone())).copied().unwrap_or_default();
            let host = self.scope.fleet.hosts.iter().find(|host| host.name == planned.name);
            let known = host.filter(|_| changes);
            let login = known.map(|host| longest_new_login(host, planned.changes)).unwrap_or_default();
            let doing = match known {
                Some(_) => Doing::ProbingAndLoggingIn { links },
                None if links == 0 => Doing::LookingAtUnits,
                None => Doing::Probing { links },
            };
            self.tell(Event::moved_within(&planned.name, doing, look.max(login)));
        }
    }
}

/// Looks exactly as verify will: a look that fails in the baseline is not blamed on this push.
fn learn_health(plan: &mut Plan, round: &Round) {
    for host in &mut plan.hosts {
        if let Some(seen) = round.hosts.get(&host.name) {
            let forgiven = seen.failed_units.iter().filter(|unit| !host.units.remembered.contains_key(*unit));
            host.failed_units.extend(forgiven.cloned());
            host.restarts.extend(seen.restarts.clone());
        }
    }
}
