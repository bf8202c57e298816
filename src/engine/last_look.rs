//! Looks a last time at hosts that did not all end where they should: what each runs, and what it would boot.

use std::time::Duration;

use futures::FutureExt;

use super::ask::ask_all;
use super::reach::Reach;
use crate::event::Event;
use crate::event::reason::cause::Cause;
use crate::event::reason::inspection::{GuardAtEnd, LastLook};
use crate::event::stream::Events;
use crate::facts::host::{GuardState, Standing};
use crate::inventory::model::Host;
use crate::remote::answer;
use crate::remote::step::{AskUnits, RemoteStep};

/// Tells how every host stands now, and which hosts do not answer.
pub(super) async fn look_at_every_host(reach: &Reach, hosts: &[Host], events: &Events) {
    let script = RemoteStep::Standing { run: None, units: AskUnits::No }.script();
    let look = |host: &Host| {
        let (name, limit, script) = (host.name.clone(), host.limits.connect + host.limits.step, &script);
        async move {
            let raw = reach.run(&name, script, limit).await.map_err(|error| Cause::from(&error))?;
            answer::standing(&raw.lines).map_err(|error| Cause::from(&error))
        }
    };
    let answers = ask_all(hosts.iter().map(|host| (host.name.clone(), look(host).boxed()))).await;
    for (host, answer) in answers {
        let look = match answer {
            Ok(standing) => seen(&standing),
            Err(cause) => LastLook::SilentAtEnd { cause },
        };
        events.publish(Event::HostFound { host, text: look.into() });
    }
}

fn seen(standing: &Standing) -> LastLook {
    let guard = match &standing.guard {
        GuardState::None | GuardState::Disarmed { .. } => GuardAtEnd::NotArmed,
        GuardState::Armed { deadline, .. } => {
            GuardAtEnd::Armed { fires_in: Duration::from_secs(deadline.saturating_sub(standing.uptime)) }
        }
        GuardState::Dead { .. } => GuardAtEnd::Dead,
        GuardState::Firing { .. } => GuardAtEnd::AtWork,
        GuardState::Fired { .. } => GuardAtEnd::Fired,
    };
    LastLook::StandsAtEnd { systems: standing.systems.clone(), guard }
}
