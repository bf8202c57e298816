//! Asks many hosts one question, side by side over the same sessions: for the phases of a push and for every query.
//!
//! A host that does not answer is an answer as well, and never ends the questions to the others. This module does not
//! decide what the answers mean.

use std::collections::BTreeMap;
use std::future::Future;

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, FuturesUnordered, Stream};
use futures::{FutureExt, StreamExt};

use crate::event::activity::Doing;
use crate::event::reason::absent::Absence;
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::stream::Events;
use crate::event::{Event, Phase};
use crate::inventory::model::{Host, HostName};
use crate::remote::StepError;
use crate::remote::answer::AnswerError;

/// Why a host is unknown just now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoAnswer {
    #[error(transparent)]
    Step(#[from] StepError),
    /// The host was asked, and its answer makes no sense.
    #[error(transparent)]
    Senseless(#[from] AnswerError),
    /// The person wanted no more answers.
    #[error("{}", Absence::InterruptedUnasked)]
    Interrupted,
}

impl NoAnswer {
    /// Says why on one line, with the causes and what the host said.
    #[must_use]
    pub fn why(&self) -> String {
        self.reason().to_string()
    }

    /// Returns the reason for events and answers.
    #[must_use]
    pub fn reason(&self) -> AnyReason {
        match self {
            Self::Step(error) => Cause::from(error).into(),
            Self::Senseless(error) => Cause::from(error).into(),
            Self::Interrupted => Absence::InterruptedUnasked.into(),
        }
    }

    /// Says what a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Step(error) => error.hint(),
            Self::Senseless(_) | Self::Interrupted => None,
        }
    }
}

/// What came back from one host.
pub type Gathered<Answer> = Result<Answer, NoAnswer>;

/// Asks every host, all at once, each within the question's own limit. The answers come in the order of `hosts`, each
/// as soon as it and those before it are there.
///
/// It begins a phase, and tells each host's way through that phase: `connecting`, then done, or failed.
pub fn gather<'a, Answer, Asked>(
    hosts: impl IntoIterator<Item = &'a Host>,
    phase: Phase,
    events: &'a Events,
    question: impl Fn(&'a Host) -> Asked,
) -> impl Stream<Item = (HostName, Gathered<Answer>)>
where
    Asked: Future<Output = Gathered<Answer>>,
{
    events.publish(Event::PhaseStarted { phase });
    let ask = |host: &'a Host| {
        let name = host.name.clone();
        events.publish(Event::moved_within(&name, Doing::Connecting, host.limits.connect));
        let asked = question(host);
        async move {
            // The event goes out as soon as this host has answered, although the stream holds the answer back until the
            // hosts before it have theirs: the rows on the screen do not wait for a slow host.
            let gathered = asked.await;
            let host = name.clone();
            events.publish(match &gathered {
                Ok(_) => Event::HostDone { host, phase },
                // The hint belongs to the answer, and the command shows it there.
                Err(no_answer) => Event::Failed { host: Some(host), text: no_answer.reason(), hint: None },
            });
            (name, gathered)
        }
    };
    // All questions are asked at once, and each goes on while the caller waits for an earlier answer.
    hosts.into_iter().map(ask).collect::<FuturesOrdered<_>>()
}

/// Asks every host the same question side by side. A slow host does not hold up another: each has its own limit.
pub(super) async fn ask_all<Key: Ord + Clone, Answered>(
    questions: impl IntoIterator<Item = (Key, BoxFuture<'_, Answered>)>,
) -> BTreeMap<Key, Answered> {
    let all: FuturesUnordered<_> =
        questions.into_iter().map(|(key, question)| question.map(move |answer| (key, answer))).collect();
    all.collect().await
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::model::Inventory;

    fn hosts() -> Vec<Host> {
        let text = "hosts: {web: , db: , nas: }\nfleets: {lab: {flake: ., hosts: all}}\n";
        Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), text).unwrap().inventory.hosts
    }

    #[tokio::test]
    async fn answers_come_in_the_inventory_s_order_and_a_silent_host_keeps_nobody_from_answering() {
        let hosts = hosts();
        let events = Events::new(None);
        let (told, heard) = channel();
        let listener =
            events.listen("test", move |line| told.send(line.event.clone()).map_err(std::io::Error::other)).unwrap();
        let (answer, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let (last_is_there, waits_for_last) = tokio::sync::watch::channel(false);
        let question = |host: &Host| {
            let (name, answer) = (host.name.clone(), answer.clone());
            let (last_is_there, mut waits_for_last) = (last_is_there.clone(), waits_for_last.clone());
            async move {
                match name.as_str() {
                    // The first waits for the last.
                    "web" => drop(waits_for_last.wait_for(|there| *there).await),
                    "db" => return Err(NoAnswer::Senseless(AnswerError::NotNixos)),
                    _ => drop(last_is_there.send(true)),
                }
                answer.send(name.to_string()).unwrap();
                Ok(name.as_str().len())
            }
        };
        let asked = gather(&hosts, Phase::Survey, &events, question)
            .map(|(host, gathered)| (host.to_string(), gathered.map_err(|error| error.why())));
        let gathered: Vec<_> =
            tokio::time::timeout(Duration::from_secs(20), asked.collect()).await.expect("nobody waits for ever");
        let order = [("web", Ok(3)), ("db", Err("the host is not a NixOS".to_owned())), ("nas", Ok(3))];
        assert_eq!(gathered, order.map(|(host, answer)| (host.to_owned(), answer)));
        assert_eq!((answers.recv().await, answers.recv().await), (Some("nas".into()), Some("web".into())));
        let _ = listener.finish(Duration::from_secs(20));
        let name = |host: &str| HostName::new(host).unwrap();
        let moved = |host| Event::moved_within(&name(host), "connecting", Duration::from_secs(20));
        let done = |host| Event::HostDone { host: name(host), phase: Phase::Survey };
        assert_eq!(
            heard.iter().collect::<Vec<_>>(),
            [
                Event::PhaseStarted { phase: Phase::Survey },
                moved("web"),
                moved("db"),
                moved("nas"),
                Event::Failed { host: Some(name("db")), text: Cause::NotNixos.into(), hint: None },
                done("nas"),
                done("web"),
            ]
        );
    }
}
