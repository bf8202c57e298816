//! Asks how every host is, in one round trip to each.

use futures::Stream;

use super::ask::{Gathered, gather};
use super::reach::Reach;
use crate::decide::status::Condition;
use crate::event::Phase;
use crate::event::stream::Events;
use crate::inventory::model::{Host, HostName};
use crate::remote::answer;
use crate::remote::step::RemoteStep;

/// Asks every host; the answers come in the order of `hosts`. `phase` is the survey where a build runs beside it.
pub fn status<'a>(
    reach: &'a Reach,
    hosts: impl IntoIterator<Item = &'a Host>,
    phase: Phase,
    events: &'a Events,
) -> impl Stream<Item = (HostName, Gathered<Condition>)> {
    gather(hosts, phase, events, move |host| async move {
        let script = RemoteStep::Status.script();
        let raw = reach.run(&host.name, &script, host.limits.connect + host.limits.step).await?;
        Ok(answer::condition(&raw.lines)?)
    })
}
