//! Disarms guards by hand: it looks at all of them first, and cleans a run away once all its hosts are through.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;

use super::{Guards, Looked, Went};
use crate::decide::guard::{Hold, may_be_disarmed};
use crate::decide::vocabulary::{Answer, Step};
use crate::engine::ask::ask_all;
use crate::engine::ssh_hosts::SshHosts;
use crate::event::reason::guard::HandGuard;
use crate::facts::plan::{HostId, Plan};

impl Guards<'_> {
    /// Disarms every guard of this person, if every host may be left without it, and cleans up runs that are through on
    /// all their hosts. It tells of guards that have fired. It also returns the runs that are over: nothing is left of
    /// them.
    pub async fn disarm(&self, looked: &Looked) -> (Went, BTreeSet<String>) {
        let mut went = Went::Well;
        let mut refused = false;
        for (host, answer) in looked {
            let Ok(answered) = answer else {
                went = went.max(Went::InDoubt);
                continue;
            };
            let held = self.held(answered);
            match (&held.hold, held.mine) {
                // No guard of theirs can fire.
                (Hold::Free, _) | (Hold::Leased | Hold::Disarmed, true) => {}
                (_, false) => {
                    let (owner, run) = (held.owner, held.run);
                    self.fail(Some(host), HandGuard::GuardOfAnotherToDisarm { owner, run });
                    refused = true;
                }
                (Hold::Firing, true) => {
                    self.fail(Some(host), HandGuard::GuardAtWork);
                    refused = true;
                }
                (Hold::Fired, true) => {
                    self.warn(Some(host), HandGuard::GuardBroughtBack);
                    went = went.max(Went::No);
                }
                (Hold::Armed { .. } | Hold::Dead, true) => {
                    if let Err(stays) = may_be_disarmed(&answered.facts.standing.systems) {
                        self.fail(Some(host), stays);
                        refused = true;
                    }
                }
            }
        }
        // All hosts were looked at before the first is disarmed, so that a refusal leaves every guard armed.
        if refused {
            return (went.max(Went::No), BTreeSet::new());
        }
        let mut over = BTreeSet::new();
        for (hosts, plan) in self.by_run(looked) {
            let run = looked.values().flatten().find(|one| one.facts.machine_id == plan.hosts[0].machine_id);
            let run = run.and_then(|one| self.held(one).run).unwrap_or_default();
            let ended = self.disarm_run(&hosts, &plan, looked).await;
            went = went.max(ended);
            if ended == Went::Well && has_all_hosts(&run, &plan, looked) {
                // What stays holds the host against every push: that is not what was asked for.
                if self.clean(&hosts, &plan, plan.ids().collect()).await {
                    over.insert(run);
                } else {
                    went = went.max(Went::No);
                }
            }
        }
        (went, over)
    }

    async fn disarm_run(&self, hosts: &Arc<SshHosts>, plan: &Arc<Plan>, looked: &Looked) -> Went {
        let holds = |id: &HostId| {
            let answered = looked.get(&plan.host(*id).name).and_then(|answer| answer.as_ref().ok());
            answered.map(|answered| self.held(answered).hold)
        };
        let armed = plan.ids().filter(|id| matches!(holds(id), Some(Hold::Armed { .. } | Hold::Dead)));
        let step = |id: HostId| {
            let host = plan.host(id);
            Step::Disarm { expect: host.old.clone(), boot_id: host.boot_id.clone() }
        };
        let answers = ask_all(armed.map(|id| (id, self.order(hosts, plan, id, step(id)).boxed()))).await;
        let mut went = Went::Well;
        for (id, answer) in &answers {
            if !self.is_disarmed(plan, *id, answer) {
                let known = matches!(answer, Answer::Said(_));
                went = went.max(if known { Went::No } else { Went::InDoubt });
            }
        }
        went
    }
}

/// Returns whether these are all hosts of the run. Only then is it cleaned away: a host that the roots name and that is
/// not among these still holds a guard.
fn has_all_hosts(run: &str, plan: &Plan, looked: &Looked) -> bool {
    let named = looked.values().flatten().filter_map(|one| one.facts.survivor_hosts.get(run)).flatten();
    let here = |name: &String| plan.hosts.iter().any(|host| host.name.as_str() == name);
    named.into_iter().all(here)
}
