//! Takes, renews and gives back the leases of a rolling reboot.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Before, LOOK_PAUSE, RebootDriver, STOPPING};
use crate::decide::reboot::RebootInput;
use crate::decide::reboot::trial::times::SETTLE_AFTER_BOOT;
use crate::engine::clock::{BootClock, Clock, within};
use crate::engine::lease::let_go;
use crate::event::Event;
use crate::event::reason::cause::Cause;
use crate::event::reason::reboot::RollingReason;
use crate::facts::plan::HostId;
use crate::inventory::model::{Fleet, Host, HostName};
use crate::remote::answer;
use crate::remote::step::RemoteStep;

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

impl RebootDriver<'_> {
    /// Takes a host's lease, or renews it. It is tried until the host answers or the time is over, because the way may
    /// come up again.
    pub(super) async fn hold(
        &self,
        id: HostId,
        boot_id: String,
        renews: bool,
        for_a_trial: bool,
        before: &Before,
    ) -> RebootInput {
        let name = &before.plan.host(id).name;
        let host = self.fleet_host(name);
        let limit = host.limits.connect + host.limits.step;
        let until = BootClock.now() + limit;
        let clock = before.clocks[id.0];
        // A lease that arrives late, after this run has ended, would hold the host for no one. A renewal cannot: it
        // needs the lease that it renews.
        let latest = (!renews).then(|| clock.uptime + until.saturating_sub(clock.at).as_secs());
        let (run, owner) = (self.run.to_owned(), self.owner.to_owned());
        let mut lasts = lasts(&self.inquiry.scope.fleet);
        if for_a_trial {
            // That of the slowest host of all: every host is held for the same time.
            let hosts = self.inquiry.scope.fleet.hosts.iter();
            lasts = hosts.map(|host| self.times_of(host).hold).max().unwrap_or_default().max(lasts);
        }
        let script = RemoteStep::Hold { run, owner, boot_id, latest, lasts }.script();
        loop {
            let asked =
                within(&BootClock, until.saturating_sub(BootClock.now()), self.inquiry.reach.run(name, &script, limit));
            let why = match asked.await {
                Some(Ok(raw)) => match answer::step_answer(&raw.lines) {
                    Ok(answer) => {
                        return match Cause::of_outcome(answer.outcome) {
                            None => RebootInput::Held { host: id },
                            Some(cause) => RebootInput::NotHeld { host: id, cause: cause.into() },
                        };
                    }
                    Err(error) => Cause::from(&error),
                },
                Some(Err(error)) => Cause::from(&error),
                None => Cause::SilentTooLong { waited: limit },
            };
            let now = BootClock.now();
            if now + LOOK_PAUSE >= until {
                return RebootInput::NotHeld { host: id, cause: why.into() };
            }
            BootClock.sleep_until(now + LOOK_PAUSE).await;
        }
    }

    /// Gives the leases back. On a host that cannot be reached the lease ends by its own time.
    pub(super) async fn let_go(&self, hosts: &BTreeSet<HostId>, before: &Before) {
        let names: Vec<&HostName> = hosts.iter().map(|id| &before.plan.host(*id).name).collect();
        let hosts: Vec<&Host> = names.into_iter().map(|name| self.fleet_host(name)).collect();
        let kept = let_go(&self.inquiry.reach, &hosts, self.run).await;
        for (host, cause) in kept {
            self.inquiry.tell(Event::warned(Some(&host), RollingReason::MayStillBeHeld { cause: cause.into() }));
        }
    }
}
