//! Ends a rolling reboot's hold on hosts: for the reboot itself, a recovery, or the next push.

use futures::FutureExt;

use super::ask::ask_all;
use super::clock::{BootClock, within};
use super::reach::Reach;
use crate::event::reason::cause::Cause;
use crate::inventory::model::{Host, HostName};
use crate::remote::answer;
use crate::remote::step::RemoteStep;

/// Ends a rolling reboot's hold on these hosts. Returns the hosts that it may still hold, with the reason.
pub(super) async fn let_go(reach: &Reach, hosts: &[&Host], run: &str) -> Vec<(HostName, Cause)> {
    let script = RemoteStep::LetGo { run: run.to_owned() }.script();
    let questions = hosts.iter().map(|host| {
        let script = &script;
        let question = async move {
            let limit = host.limits.connect + host.limits.step;
            let asked = within(&BootClock, limit, reach.run(&host.name, script, limit)).await;
            match asked {
                Some(Ok(raw)) => match answer::step_answer(&raw.lines) {
                    Ok(answer) => Cause::of_outcome(answer.outcome),
                    Err(error) => Some(Cause::from(&error)),
                },
                Some(Err(error)) => Some(Cause::from(&error)),
                None => Some(Cause::SilentTooLong { waited: limit }),
            }
        };
        (host.name.clone(), question.boxed())
    });
    ask_all(questions).await.into_iter().filter_map(|(host, why)| Some((host, why?))).collect()
}
