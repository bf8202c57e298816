//! Looks a last time at hosts that did not all end where they should: what each runs, and what it would boot.

use futures::FutureExt;

use super::ask::ask_all;
use super::causes::reason;
use super::reach::Reach;
use crate::event::Event;
use crate::event::stream::Events;
use crate::facts::host::{GuardState, Standing};
use crate::inventory::model::Host;
use crate::remote::answer;
use crate::remote::step::RemoteStep;

/// Tells how every host stands now, and which hosts do not answer.
pub(super) async fn look_at_every_host(reach: &Reach, hosts: &[Host], events: &Events) {
    let script = RemoteStep::Standing { run: None }.script();
    let look = |host: &Host| {
        let (name, limit, script) = (host.name.clone(), host.limits.connect + host.limits.step, &script);
        async move {
            let raw = reach.run(&name, script, limit).await.map_err(|error| reason(&error))?;
            answer::standing(&raw.lines).map_err(|error| error.to_string())
        }
    };
    let answers = ask_all(hosts.iter().map(|host| (host.name.clone(), look(host).boxed()))).await;
    for (host, answer) in answers {
        let text = match answer {
            Ok(standing) => describe(&standing),
            Err(why) => format!("does not answer: {why}"),
        };
        events.publish(Event::HostFound { host, text: text.into() });
    }
}

fn describe(standing: &Standing) -> String {
    let systems = &standing.systems;
    let guard = match &standing.guard {
        GuardState::None | GuardState::Disarmed { .. } => "no guard is armed".to_owned(),
        GuardState::Armed { deadline, .. } => {
            format!("its guard fires in {} s", deadline.saturating_sub(standing.uptime))
        }
        GuardState::Dead { .. } => "its guard is dead".to_owned(),
        GuardState::Firing { .. } => "its guard has fired and is at work".to_owned(),
        GuardState::Fired { .. } => "its guard has fired".to_owned(),
    };
    let profile = if systems.profile == systems.boot_default {
        String::new()
    } else {
        format!(", its profile is {}", systems.profile)
    };
    format!("runs {}, would boot {}{profile}; {guard}", systems.current, systems.boot_default_text())
}
