//! Serves a person who works by hand with guards: arms them on every host or on none, looks at them, extends and
//! disarms them.
//!
//! While the person works, no program of ours runs here: the guards are on the hosts, and are those that a push arms.

mod disarm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;

use super::absent::silence;
use super::ask::ask_all;
use super::clock::{BootClock, Clock};
use super::epochs::Epochs;
use super::host_survey::{self, Answered, SurveyAnswer};
use super::hosts::{Hosts, Order};
use super::inquiry::plan;
use super::orders::{HostGuard, Identity, Orders};
use super::reach::Reach;
use super::ssh_hosts::SshHosts;
use super::turns::Turns;
use crate::decide::guard::{Held, Hold, held, marked};
use crate::decide::survey::{Allowed, ByHand, Weight, judge_by_hand};
use crate::decide::time::Times;
use crate::decide::vocabulary::{Answer, Step};
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::fit::Unfit;
use crate::event::reason::guard::HandGuard;
use crate::event::stream::Events;
use crate::event::{Event, WayBack};
use crate::facts::host::GuardState;
use crate::facts::plan::{HostId, Plan};
use crate::facts::step_answer::StepOutcome;
use crate::facts::traces::EndMark;
use crate::inventory::model::{Fleet, Host, HostName};
use crate::remote::Workspace;
use crate::remote::answer;
use crate::remote::step::RemoteStep;

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct GuardRequest {
    pub fleet: Fleet,
    pub selected: BTreeSet<HostName>,
    pub allowed: Allowed,
    /// `person@workstation`.
    pub owner: String,
    /// The run that this workstation has armed by hand and not ended yet.
    pub known: Option<String>,
}

/// How the command went, for all selected hosts together. The worst host counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Went {
    /// Every host did what was asked.
    Well,
    /// A host did not; every host has answered, and its answer was told.
    No,
    /// A host does not answer, so it is not known how its guard stands.
    InDoubt,
}

/// The guards of a fleet's selected hosts.
pub struct Guards<'a> {
    request: &'a GuardRequest,
    reach: Arc<Reach>,
    events: &'a Events,
}

/// The selected hosts that are to be armed, as they were found.
pub struct Armable {
    pub plan: Plan,
    answered: BTreeMap<HostName, Answered>,
}

/// The answers of all selected hosts.
pub type Looked = BTreeMap<HostName, SurveyAnswer>;

impl<'a> Guards<'a> {
    #[must_use]
    pub fn new(request: &'a GuardRequest, workspace: Arc<Workspace>, events: &'a Events) -> Self {
        let connect = request.fleet.hosts.iter().map(|host| (host.name.clone(), host.limits.connect)).collect();
        let turns = Turns::new(request.fleet.parallel, events);
        Self { request, reach: Arc::new(Reach::new(workspace, connect, turns)), events }
    }

    pub async fn close(&self) {
        self.reach.close().await;
    }

    /// Asks every selected host, and tells which do not answer.
    pub async fn look(&self) -> Looked {
        let tell = |event| self.events.publish(event);
        let question = |host| host_survey::aloud(host, host_survey::ask(&self.reach, host), tell).boxed();
        let looked = ask_all(self.hosts().map(|host| (host.name.clone(), question(host)))).await;
        let silent = looked.iter().filter(|(_, answer)| answer.is_err()).map(|(host, _)| host).collect();
        for (host, answer) in &looked {
            if let Err(cause) = answer {
                let hosts = &self.request.fleet.hosts;
                self.events.publish(silence(hosts, &self.request.selected, &silent, host, cause));
            }
        }
        looked
    }

    /// Returns the guard that a host is under, and its owner.
    #[must_use]
    pub fn held(&self, answered: &Answered) -> Held {
        held(&answered.facts, &self.request.owner, self.request.known.as_deref())
    }

    /// Checks whether every selected host may be armed now. `None`: no, and the reason was told.
    #[must_use]
    pub fn armable(&self, looked: &Looked) -> Option<Armable> {
        let answered: BTreeMap<HostName, Answered> =
            looked.iter().filter_map(|(name, answer)| Some((name.clone(), answer.as_ref().ok()?.clone()))).collect();
        if answered.len() < looked.len() {
            return None;
        }
        let views: Vec<_> = self.hosts().map(|host| self.view(host, &answered)).collect();
        let findings = judge_by_hand(&self.request.fleet.name, &views, self.request.allowed, ByHand::Guard);
        for finding in &findings {
            self.events.publish(finding.event());
        }
        let mut plan = plan(&views, Vec::new());
        // No new system is known, but a person is about to change every host: each of them is armed.
        for host in &mut plan.hosts {
            host.changes = true;
        }
        let refused = findings.iter().any(|finding| finding.weight == Weight::Refusal);
        (!refused).then_some(Armable { plan, answered })
    }

    /// Arms all of them, or none. `recorded` is called before the first command that arms.
    pub async fn arm(
        &self,
        run: &str,
        armable: &Armable,
        mut recorded: impl FnMut() -> std::io::Result<()>,
        cancelled: impl Fn() -> bool,
    ) -> Went {
        let plan = Arc::new(armable.plan.clone());
        let hosts = self.ssh_hosts(run, 1, &plan, &armable.answered);
        // Roots come before guards: the system that a guard brings back must not be collected meanwhile.
        let rooted = ask_all(plan.ids().map(|id| (id, self.root(run, &plan, id).boxed()))).await;
        let mut armed: BTreeSet<HostId> = BTreeSet::new();
        let mut good = rooted.values().all(|rooted| *rooted);
        // The record comes before the first guard: if this workstation dies in between, it still knows of the run.
        if good && let Err(error) = recorded() {
            self.fail(None, HandGuard::GuardNotRecorded { error: error.to_string() });
            good = false;
        }
        // The first host by machine id is armed alone. If two persons arm at once, both begin there, and exactly one of
        // them goes on.
        let mut order: Vec<HostId> = plan.ids().collect();
        order.sort_by_key(|id| plan.host(*id).machine_id.clone());
        let (first, rest) = order.split_at(order.len().min(1));
        for group in [first, rest] {
            // A signal is looked at between the groups only: a command that is under way has its answer awaited, since
            // it must be known which hosts are armed.
            if !good || cancelled() {
                good = false;
                break;
            }
            let step = |id: HostId| {
                let host = plan.host(id);
                Step::Arm { expect: host.old.clone(), boot_id: host.boot_id.clone() }
            };
            let answers =
                ask_all(group.iter().map(|id| (*id, self.order(&hosts, &plan, *id, step(*id)).boxed()))).await;
            for (id, answer) in answers {
                // A host that did not refuse may be armed, even if it did not answer.
                let refused = matches!(&answer, Answer::Said(said) if said.outcome != StepOutcome::Done)
                    || matches!(answer, Answer::Denied { .. } | Answer::NotSent);
                if !refused {
                    armed.insert(id);
                }
                good &= self.is_armed(run, &plan, id, &answer);
            }
        }
        if good && !cancelled() {
            return Went::Well;
        }
        if !armed.is_empty() {
            self.warn(None, HandGuard::GuardsTakenBack);
        }
        self.take_back(&hosts, &plan, &armed).await
    }

    /// Disarms the hosts that may be armed. None is armed afterwards, as far as the hosts answer.
    async fn take_back(&self, hosts: &Arc<SshHosts>, plan: &Arc<Plan>, armed: &BTreeSet<HostId>) -> Went {
        let step = |id: HostId| {
            let host = plan.host(id);
            Step::Disarm { expect: host.old.clone(), boot_id: host.boot_id.clone() }
        };
        // A disarm of a host that was never armed is refused there, and harms nothing.
        let answers = ask_all(armed.iter().map(|id| (*id, self.order(hosts, plan, *id, step(*id)).boxed()))).await;
        let mut went = Went::No;
        for (id, answer) in &answers {
            let disarmed = self.is_disarmed(plan, *id, answer);
            went = went.max(if disarmed { Went::No } else { Went::InDoubt });
        }
        // Roots go only when every host is known to be unguarded: a guard that is still armed needs them.
        if went == Went::No {
            self.clean(hosts, plan, plan.ids().collect()).await;
        }
        went
    }

    /// Gives every guard more time, after all of them were seen to be armed: all or none.
    pub async fn extend(&self, looked: &Looked) -> Went {
        let mut went = Went::Well;
        for (host, answer) in looked {
            let Ok(answered) = answer else {
                went = went.max(Went::InDoubt);
                continue;
            };
            if !self.is_mine_and_armed(host, answered) {
                went = went.max(Went::No);
            }
        }
        if went > Went::Well {
            return went;
        }
        let extend = |plan: &Plan, id: HostId| Step::Extend { boot_id: plan.host(id).boot_id.clone() };
        for (hosts, plan) in self.by_run(looked) {
            let answers =
                ask_all(plan.ids().map(|id| (id, self.order(&hosts, &plan, id, extend(&plan, id)).boxed()))).await;
            for (id, answer) in answers {
                let name = &plan.host(id).name;
                // A guard may have fired between the look and this order: then its host says so, and only that one.
                match said(&answer) {
                    Ok(left) => {
                        self.events.publish(Event::GuardExtended {
                            host: name.clone(),
                            left_ms: millis(left),
                            way_back: Some(self.way_back(name, left)),
                        });
                    }
                    Err((cause, known)) => {
                        self.fail(Some(name), HandGuard::GuardNotExtended { cause });
                        went = went.max(if known { Went::No } else { Went::InDoubt });
                    }
                }
            }
        }
        went
    }

    /// Returns the guards of this person among the hosts that answer, run by run, each with the hosts to speak to.
    fn by_run(&self, looked: &Looked) -> Vec<(Arc<SshHosts>, Arc<Plan>)> {
        let mut runs: BTreeMap<(String, u64), BTreeSet<HostName>> = BTreeMap::new();
        for (host, answered) in looked.iter().filter_map(|(host, answer)| Some((host, answer.as_ref().ok()?))) {
            let held = self.held(answered);
            if let (Some(run), true) = (held.run, held.mine) {
                runs.entry((run, held.epoch)).or_default().insert(host.clone());
            }
        }
        let of_run = |((run, epoch), names): ((String, u64), BTreeSet<HostName>)| {
            let answered: BTreeMap<HostName, Answered> = looked
                .iter()
                .filter(|(host, _)| names.contains(*host))
                .filter_map(|(host, answer)| Some((host.clone(), answer.as_ref().ok()?.clone())))
                .collect();
            let here = self.hosts().filter(|host| names.contains(&host.name));
            let views: Vec<_> = here.map(|host| self.view(host, &answered)).collect();
            let plan = Arc::new(plan(&views, Vec::new()));
            (self.ssh_hosts(&run, epoch, &plan, &answered), plan)
        };
        runs.into_iter().map(of_run).collect()
    }

    fn view<'b>(
        &self,
        host: &'b Host,
        answered: &'b BTreeMap<HostName, Answered>,
    ) -> crate::decide::survey::Surveyed<'b> {
        crate::decide::survey::Surveyed {
            host,
            selected: true,
            facts: &answered[&host.name].facts,
            new: None,
            times: Times::of(host, self.request.fleet.settle, Duration::ZERO),
        }
    }

    fn ssh_hosts(
        &self,
        run: &str,
        epoch: u64,
        plan: &Arc<Plan>,
        answered: &BTreeMap<HostName, Answered>,
    ) -> Arc<SshHosts> {
        let identity = Identity {
            run: run.to_owned(),
            owner: marked(&self.request.owner),
            hosts: plan.hosts.iter().map(|host| host.name.clone()).collect(),
        };
        let guard = |name: &HostName| HostGuard { by_hand: true, ..HostGuard::of(self.host(name)) };
        let guards = plan.hosts.iter().map(|host| guard(&host.name)).collect();
        let clocks = plan.hosts.iter().map(|host| answered[&host.name].clock).collect();
        let orders =
            Orders::new(Arc::clone(plan), identity, guards, clocks).with_epochs(Epochs::same(epoch, plan.hosts.len()));
        Arc::new(SshHosts::new(Arc::clone(&self.reach), orders))
    }

    async fn order(&self, hosts: &Arc<SshHosts>, plan: &Arc<Plan>, id: HostId, step: Step) -> Answer {
        let host = self.host(&plan.host(id).name);
        let limit = host.limits.connect + host.limits.step;
        self.events.publish(Event::moved_within(&host.name, super::activity::by_step(&step), limit));
        // A lost answer is asked for again until then; after that it is not known what the host has done.
        let until = BootClock.now() + limit;
        let order = Order { step, until, guard: host.guard, needs: Duration::ZERO, limit: host.limits.step };
        // Its notes on the way are not shown here.
        let (notes, _unheard) = mpsc::unbounded_channel();
        Arc::clone(hosts).perform(id, order, notes).await
    }

    /// Makes the roots on a host. It is not armed without them: the system that it is to go back to must still be there
    /// when the guard fires.
    async fn root(&self, run: &str, plan: &Plan, id: HostId) -> bool {
        let host = plan.host(id);
        let script = RemoteStep::Root {
            run: run.to_owned(),
            old_current: host.old.current.clone(),
            old_boot: host.old.boot_default.clone(),
            hosts: plan.hosts.iter().map(|host| host.name.clone()).collect(),
        }
        .script();
        let limit = self.host(&host.name).limits.step;
        let fit = match self.reach.run(&host.name, &script, limit).await {
            Ok(raw) => answer::fit(&raw.lines).map_err(|error| Cause::from(&error)),
            Err(error) => Err(Cause::from(&error)),
        };
        let wrong: Option<AnyReason> = match fit {
            Ok(fit) => fit.misfits.into_iter().map(|misfit| Unfit::from(misfit).into()).next(),
            Err(cause) => Some(cause.into()),
        };
        match wrong {
            None => true,
            Some(why) => {
                self.fail(Some(&host.name), why);
                false
            }
        }
    }

    /// Removes what is left of a guard; tells what stays, and returns whether that is nothing.
    async fn clean(&self, hosts: &Arc<SshHosts>, plan: &Arc<Plan>, ids: Vec<HostId>) -> bool {
        let answers = ask_all(
            ids.into_iter()
                .map(|id| (id, self.order(hosts, plan, id, Step::Clean { mark: EndMark::default() }).boxed())),
        )
        .await;
        let mut clean = true;
        for (id, answer) in answers {
            if let Err((cause, _)) = said(&answer) {
                self.warn(Some(&plan.host(id).name), HandGuard::GuardNotCleanedUp { cause });
                clean = false;
            }
        }
        clean
    }

    fn is_armed(&self, run: &str, plan: &Plan, id: HostId, answer: &Answer) -> bool {
        let name = &plan.host(id).name;
        let is_ours = |guard: &GuardState| matches!(guard, GuardState::Armed { run: of, .. } if of == run);
        let cause = match (said(answer), answer) {
            // "Done" alone is not enough: the host must show this run's guard, by its own word.
            (Ok(left), Answer::Said(answer)) if is_ours(&answer.standing.guard) => {
                let way_back = Some(self.way_back(name, left));
                self.events.publish(Event::GuardArmed { host: name.clone(), left_ms: millis(left), way_back });
                return true;
            }
            (Ok(_), _) => HandGuard::GuardNotThere.into(),
            (Err((cause, _)), _) => cause,
        };
        self.fail(Some(name), HandGuard::GuardNotArmed { cause });
        false
    }

    fn way_back(&self, name: &HostName, left: Duration) -> WayBack {
        let host = self.host(name);
        let back = left + host.limits.firing() + host.boot_time;
        WayBack { action: host.guard_action, back_ms: millis(back) }
    }

    fn is_disarmed(&self, plan: &Plan, id: HostId, answer: &Answer) -> bool {
        let name = &plan.host(id).name;
        match said(answer) {
            Ok(_) => {
                self.events.publish(Event::GuardDisarmed { host: name.clone() });
                true
            }
            Err((cause, _)) => {
                self.fail(Some(name), HandGuard::GuardNotDisarmed { cause });
                false
            }
        }
    }

    fn is_mine_and_armed(&self, host: &HostName, answered: &Answered) -> bool {
        let held = self.held(answered);
        let missing = match (&held.hold, held.mine) {
            (Hold::Armed { .. }, true) => return true,
            (Hold::Free, _) | (Hold::Disarmed | Hold::Leased, true) => HandGuard::NoGuardArmed,
            (_, false) => HandGuard::GuardOfAnother { owner: held.owner, run: held.run },
            (Hold::Fired | Hold::Firing, true) => HandGuard::GuardFired,
            (Hold::Dead, true) => HandGuard::GuardDead,
        };
        self.fail(Some(host), missing);
        false
    }

    fn hosts(&self) -> impl Iterator<Item = &'a Host> + '_ {
        self.request.fleet.hosts.iter().filter(|host| self.request.selected.contains(&host.name))
    }

    fn host(&self, name: &HostName) -> &'a Host {
        let known = self.request.fleet.hosts.iter().find(|host| host.name == *name);
        known.expect("every plan here is made from the fleet's own hosts")
    }

    fn warn(&self, host: Option<&HostName>, reason: impl Into<AnyReason>) {
        self.events.publish(Event::warned(host, reason));
    }

    fn fail(&self, host: Option<&HostName>, reason: impl Into<AnyReason>) {
        self.events.publish(Event::failed(host, reason));
    }
}

/// Returns the time that is left of the guard after a step that was done; else why not, and whether the host itself
/// says so.
fn said(answer: &Answer) -> Result<Duration, (AnyReason, bool)> {
    match answer {
        Answer::Said(said) => match Cause::of_outcome(said.outcome.clone()) {
            None => Ok(match &said.standing.guard {
                GuardState::Armed { deadline, .. } => {
                    Duration::from_secs(deadline.saturating_sub(said.standing.uptime))
                }
                _ => Duration::ZERO,
            }),
            Some(cause) => Err((cause.into(), true)),
        },
        Answer::Denied { why } | Answer::Unknown { why } => Err((why.clone().into(), false)),
        Answer::NotSent => Err((Cause::NoTimeToAsk.into(), true)),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
