//! Phase 4: looks at the whole matrix before anything changes. A link that is down already is not blamed on this push.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::inquiry::Inquiry;
use super::probing::Probing;
use crate::decide::absent;
use crate::decide::matrix::{cells, link_text};
use crate::event::activity::Doing;
use crate::event::reason::absent::Absence;
use crate::event::reason::baseline::{BaselineLink, LinkName};
use crate::event::{Cell, Event, Phase};
use crate::facts::links::{Link, LinkAnswer, Round};
use crate::facts::plan::Plan;
use crate::inventory::model::{HostName, Place};

/// The matrix as it was found.
pub(super) struct Baseline {
    /// With what the round has shown of its links and hosts.
    pub(super) plan: Plan,
    pub(super) cells: Vec<Cell>,
    /// Required links that are down and accepted as they are, as asked.
    pub(super) accepted: Vec<String>,
    /// A required link is down that the push cannot mend, and that nobody accepts; which one was told.
    pub(super) is_hopeless: bool,
}

impl Inquiry<'_> {
    /// Looks at every link. `skipped` are the hosts that take no part; where something `changes`, what is down is said
    /// as what it means for that.
    pub(super) async fn baseline(&self, mut plan: Plan, skipped: &BTreeSet<HostName>, changes: bool) -> Baseline {
        let probing = Probing::of_plan(Arc::clone(&self.reach), &plan);
        self.tell_probing(&plan);
        let mut round = probing.round(&plan.links, false).await;
        let counts = |link: &usize| plan.links[*link].left_out.is_none();
        if round.down(&plan.links).iter().any(counts) {
            // One lost packet is no broken link, so a link that is down is looked at a second time.
            round = probing.round(&plan.links, false).await;
        }
        probing.stop().await;
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
        Baseline { plan, cells, accepted, is_hopeless }
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
