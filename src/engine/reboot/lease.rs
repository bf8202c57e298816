//! Takes, renews and gives back the leases of a rolling reboot.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt;

use super::{Before, LOOK_PAUSE, SETTLE_AFTER_BOOT, STOPPING};
use crate::decide::reboot::Input;
use crate::decide::transaction::refusal_text;
use crate::engine::clock::{BootClock, Clock, within};
use crate::engine::push::Push;
use crate::engine::reach::Reach;
use crate::engine::ssh_hosts::{ask_all, reason};
use crate::facts::plan::HostId;
use crate::facts::step_answer::StepOutcome;
use crate::inventory::model::{Fleet, Host, HostName};
use crate::remote::answer;
use crate::remote::step::Step as RemoteStep;

/// Returns how long a lease counts without being renewed: as long as one wave may take at the worst, from its renewal
/// to that of the next wave. A host that has restarted counts from its boot.
pub(super) fn lasts(fleet: &Fleet) -> Duration {
    let longest = |of: &dyn Fn(&Host) -> Duration| fleet.hosts.iter().map(of).max().unwrap_or_default();
    let answer = longest(&|host| host.limits.connect + host.limits.step);
    // Five answers: to renew, to be told, to be looked for, to log in, to see the last round.
    let answers = 5 * answer;
    let settles = 3 * fleet.settle.max(SETTLE_AFTER_BOOT);
    STOPPING + longest(&|host| host.boot_time) + settles + answers
}

impl Push<'_> {
    /// Takes a host's lease, or renews it. It is tried until the host answers or the time is over, because the way may
    /// come up again.
    pub(super) async fn hold(&self, id: HostId, boot_id: String, renews: bool, before: &Before) -> Input {
        let name = &before.plan.host(id).name;
        let host = self.fleet_host(name);
        let limit = host.limits.connect + host.limits.step;
        let until = BootClock.now() + limit;
        let clock = before.clocks[id.0];
        // A lease that arrives late, after this run has ended, would hold the host for no one. A renewal cannot: it
        // needs the lease that it renews.
        let latest = (!renews).then(|| clock.uptime + until.saturating_sub(clock.at).as_secs());
        let (run, owner) = (self.request.run.clone(), self.request.owner.clone());
        let script = RemoteStep::Hold { run, owner, boot_id, latest, lasts: lasts(&self.request.fleet) }.script();
        loop {
            let asked = within(&BootClock, until.saturating_sub(BootClock.now()), self.reach.run(name, &script, limit));
            let why = match asked.await {
                Some(Ok(raw)) => match answer::step_answer(&raw.lines).map(|answer| answer.outcome) {
                    Ok(StepOutcome::Done) => return Input::Held { host: id },
                    Ok(StepOutcome::Refused { reason, text }) => {
                        return Input::NotHeld { host: id, why: refusal_text(reason, &text) };
                    }
                    Ok(StepOutcome::Failed { text }) => return Input::NotHeld { host: id, why: text },
                    Err(error) => error.to_string(),
                },
                Some(Err(error)) => reason(&error),
                None => format!("no answer within {} s", limit.as_secs()),
            };
            let now = BootClock.now();
            if now + LOOK_PAUSE >= until {
                return Input::NotHeld { host: id, why };
            }
            BootClock.sleep_until(now + LOOK_PAUSE).await;
        }
    }

    /// Gives the leases back. On a host that cannot be reached the lease ends by its own time.
    pub(super) async fn let_go(&self, hosts: &BTreeSet<HostId>, before: &Before) {
        let names: Vec<&HostName> = hosts.iter().map(|id| &before.plan.host(*id).name).collect();
        let hosts: Vec<&Host> = names.into_iter().map(|name| self.fleet_host(name)).collect();
        let kept = let_go(&self.reach, &hosts, &self.request.run).await;
        for (host, why) in kept {
            let text = format!("may still be held for this rolling reboot, until that is over by itself: {why}");
            self.warn(Some(&host), text);
        }
    }
}

/// Ends a rolling reboot's hold on these hosts. Returns the hosts that it may still hold, with the reason.
pub(in crate::engine) async fn let_go(reach: &Reach, hosts: &[&Host], run: &str) -> Vec<(HostName, String)> {
    let script = RemoteStep::LetGo { run: run.to_owned() }.script();
    let questions = hosts.iter().map(|host| {
        let script = &script;
        let question = async move {
            let limit = host.limits.connect + host.limits.step;
            let asked = within(&BootClock, limit, reach.run(&host.name, script, limit)).await;
            match asked {
                Some(Ok(raw)) => match answer::step_answer(&raw.lines).map(|answer| answer.outcome) {
                    Ok(StepOutcome::Done) => None,
                    Ok(StepOutcome::Refused { text, .. } | StepOutcome::Failed { text }) => Some(text),
                    Err(error) => Some(error.to_string()),
                },
                Some(Err(error)) => Some(reason(&error)),
                None => Some("no answer".to_owned()),
            }
        };
        (host.name.clone(), question.boxed())
    });
    ask_all(questions).await.into_iter().filter_map(|(host, why)| Some((host, why?))).collect()
}
