//! Phase 4: looks at the whole matrix before anything changes, and logs into every host anew. A link that is down
//! already is not blamed on this push; a login that is not there would turn it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;

use super::ask::ask_all;
use super::inquiry::Inquiry;
use super::new_login::new_login;
use super::probing::Probing;
use crate::decide::absent;
use crate::decide::matrix::{cells, link_text};
use crate::event::activity::Doing;
use crate::event::reason::absent::Absence;
use crate::event::reason::baseline::{BaselineLink, BaselineLogin, LinkName};
use crate::event::reason::cause::Cause;
use crate::event::{Cell, Event, Phase};
use crate::facts::links::{Link, LinkAnswer, Round};
use crate::facts::plan::{LoginBefore, Plan};
use crate::inventory::model::{HostName, Place};

/// The matrix as it was found.
pub(super) struct Baseline {
    /// With what the round has shown of its links and hosts.
    pub(super) plan: Plan,
    pub(super) cells: Vec<Cell>,
    /// Required links that are down and accepted as they are, as asked.
    pub(super) accepted: Vec<String>,
    /// A host takes no new login; which one was told.
    pub(super) is_shut: bool,
    /// A required link is down that the push cannot mend, and that nobody accepts; which one was told.
    pub(super) is_hopeless: bool,
}

impl Inquiry<'_> {
    /// Looks at every link. `skipped` are the hosts that take no part; where something `changes`, what is down is said
    /// as what it means for that.
    pub(super) async fn baseline(&self, mut plan: Plan, skipped: &BTreeSet<HostName>, changes: bool) -> Baseline {
        let probing = Probing::of_plan(Arc::clone(&self.reach), &plan);
        self.tell_probing(&plan);
        let rounds = probing.baseline(&plan.links);
        // Where nothing changes, nothing will have to be proven.
        let logins = async { if changes { self.log_in_anew(&plan).await } else { BTreeMap::new() } };
        let (round, logins) = tokio::join!(rounds, logins);
        probing.stop().await;
        let is_shut = self.learn_logins(&mut plan, logins);
        let down: Vec<usize> = round.down(&plan.links).into_iter().filter(|link| plan.links[*link].required).collect();
        for host in absent::answering(&plan.links, &Round::default(), &round) {
            self.warn(Some(&host), Absence::LeftOutAnswers);
        }
        let cells = cells(&plan, &round, false);
        self.tell(Event::MatrixSeen { phase: Phase::Baseline, cells: cells.clone() });
        let mendable = |link: &Link| {
            let changing = |name: &HostName| plan.hosts.iter().any(|host| host.changes && host.name == *name);
            matches!(&link.from, Place::Host(from) if changing(from)) || link.to_host.as_ref().is_some_and(changing)
        };
        let mut is_hopeless = false;
        for link in &down {
            let one = &plan.links[*link];
            let cause = absent::likely_cause(&self.scope.fleet, one, skipped);
            let link_name = LinkName { from: one.from.clone(), to: one.to.clone(), kind: one.probe.kind().to_owned() };
            let reason = match cause {
                cause if !changes && *round.answer(*link) == LinkAnswer::Unknown => {
                    BaselineLink::LinkNotProbed { link: link_name, cause }
                }
                cause if !changes => BaselineLink::LinkDown { link: link_name, cause },
                cause if self.scope.allowed.broken => BaselineLink::LinkDownAccepted { link: link_name, cause },
                None if mendable(one) => BaselineLink::LinkDownMendable { link: link_name },
                None => BaselineLink::LinkDownHopeless { link: link_name },
                // It is not known whether a host that takes no part could mend the link.
                Some(cause) => BaselineLink::LinkDownAbsentHub { link: link_name, cause },
            };
            if matches!(reason, BaselineLink::LinkDownHopeless { .. } | BaselineLink::LinkDownAbsentHub { .. }) {
                self.tell(Event::failed(None, reason));
                is_hopeless = true;
            } else {
                self.warn(None, reason);
            }
        }
        let mut accepted = Vec::new();
        if self.scope.allowed.broken && changes {
            accepted = down.iter().map(|link| link_text(&plan.links[*link])).collect();
            plan.accepted = down.into_iter().collect();
        }
        learn_health(&mut plan, &round);
        plan.baseline = round;
        Baseline { plan, cells, accepted, is_shut, is_hopeless }
    }

    /// Logs into every host of the plan, side by side, by the way that verify will take.
    async fn log_in_anew(&self, plan: &Plan) -> BTreeMap<HostName, Result<LoginBefore, Cause>> {
        let hosts = plan.hosts.iter().filter_map(|planned| {
            let host = self.scope.fleet.hosts.iter().find(|host| host.name == planned.name)?;
            Some((planned.name.clone(), new_login(&self.reach, host, planned.changes).boxed()))
        });
        ask_all(hosts).await
    }

    /// Writes down who took a new login, and tells who did not. Returns whether there is one of these.
    fn learn_logins(&self, plan: &mut Plan, logins: BTreeMap<HostName, Result<LoginBefore, Cause>>) -> bool {
        let mut is_shut = false;
        for (name, login) in logins {
            match login {
                Ok(login) => {
                    if login == LoginBefore::NotTaken {
                        self.warn(Some(&name), BaselineLogin::MovedAlready);
                    }
                    plan.hosts.iter_mut().filter(|host| host.name == name).for_each(|host| host.login = login);
                }
                Err(cause) => {
                    self.tell(Event::failed(Some(&name), BaselineLogin::NewLoginMissing { cause }));
                    is_shut = true;
                }
            }
        }
        is_shut
    }

    fn tell_probing(&self, plan: &Plan) {
        for host in &plan.hosts {
            let count = plan.links.iter().filter(|link| link.from == Place::Host(host.name.clone())).count();
            let doing = if count == 0 { Doing::LookingAtUnits } else { Doing::Probing { links: count } };
            let doing = doing.to_string();
            self.tell(Event::HostMoved { host: host.name.clone(), doing });
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
