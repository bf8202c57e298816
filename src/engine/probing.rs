//! Asks for the matrix: one streaming remote command for each host runs all of that host's probes, round after round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::ask::ask_all;
use super::clock::{BootClock, within};
use super::reach::Reach;
use crate::facts::links::{Link, LinkAnswer, LinkId, Probe, Round};
use crate::facts::plan::Plan;
use crate::inventory::model::{HostName, Place};
use crate::local::process::Invocation;
use crate::remote::answer::{ProbeRound, RoundReader};
use crate::remote::bounds::{ANSWER, STDERR};
use crate::remote::step::RemoteStep;
use crate::remote::{StepError, Stream};

/// How long a prober lives that is not asked any more; then it ends itself.
const LIFE: Duration = Duration::from_secs(2 * 3600);

/// How long a round may take beyond the longest of its probes: for the way there and back, a slow host's processes, and
/// a connection that was lost and is there again. A host that needs longer is unknown in this round, and the next round
/// asks it again: one silent host must not keep the push from looking at the others.
const WAY: Duration = Duration::from_secs(3);

pub(super) struct Probing {
    reach: Arc<Reach>,
    streams: BTreeMap<HostName, Mutex<ProberSlot>>,
    number: AtomicU64,
}

/// The state of a host's prober.
#[derive(Default)]
enum ProberSlot {
    #[default]
    Empty,
    /// It is being started, with a login of its own if need be. That may take longer than a round waits, so the next
    /// round goes on waiting for the same one. `after` says which probes it was given.
    ///
    /// It is a task, because it must go on between rounds as well: it holds the lock of the host's session. If it stood
    /// still, a roll back, which asks for no round, would wait for that lock. To drop it ends it.
    Opening {
        after: bool,
        opening: JoinSet<Result<Stream, StepError>>,
    },
    Open(Box<Prober>),
}

/// One host's running probe script, and which probes it was given.
struct Prober {
    stream: Stream,
    reader: RoundReader,
    after: bool,
}

impl std::fmt::Debug for Probing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Probing").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Probing {
    /// Of every host of the plan, and of every other at which a link of it begins: also a witness that did not answer
    /// the survey, since this push may be what brings it back.
    pub(super) fn of_plan(reach: Arc<Reach>, plan: &Plan) -> Self {
        let ends = plan.links.iter().filter_map(|link| match &link.from {
            Place::Host(name) => Some(name),
            Place::Workstation => None,
        });
        let hosts: BTreeSet<&HostName> = plan.hosts.iter().map(|host| &host.name).chain(ends).collect();
        let streams = hosts.into_iter().map(|host| (host.clone(), Mutex::default())).collect();
        Self { reach, streams, number: AtomicU64::new(0) }
    }

    /// Looks at every link once. The links of a host that does not answer in time are unknown.
    pub(super) async fn round(&self, links: &[Link], after: bool) -> Round {
        // The number tells the answers of this round from late ones of a round that was given up.
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let questions = self.streams.iter().map(|(host, slot)| {
            let probes = probes(links, &Place::Host(host.clone()), after);
            let limit = patience(&probes);
            let question = async move {
                let mut slot = slot.lock().await;
                let asking = self.ask(host, &mut slot, probes, (number, after), limit);
                let answered = within(&BootClock, limit, asking).await.and_then(Result::ok);
                if answered.is_none() && !matches!(&*slot, ProberSlot::Opening { .. }) {
                    // Half an answer may still be on its way, so the next round starts a new prober. One that is only
                    // being started is kept: to begin it anew each round would never end with a slow login.
                    *slot = ProberSlot::Empty;
                }
                answered
            };
            (host.clone(), question.boxed())
        });
        // All places at once: a round is to show one moment, and must not last for the sum of its silent hosts.
        let (hosts, here) = tokio::join!(ask_all(questions), here(links, number, after));
        let mut round = Round::default();
        for (host, answered) in hosts {
            if let Some(answered) = answered {
                round.answers.extend(begun_at(links, &Place::Host(host.clone()), answered.answers));
                round.hosts.insert(host, answered.host);
            }
        }
        let here = here.map(|here| here.answers).unwrap_or_default();
        round.answers.extend(begun_at(links, &Place::Workstation, here));
        round
    }

    async fn ask(
        &self,
        host: &HostName,
        slot: &mut ProberSlot,
        probes: Vec<(LinkId, Probe, Duration)>,
        (number, after): (u64, bool),
        limit: Duration,
    ) -> Result<ProbeRound, StepError> {
        match slot {
            ProberSlot::Open(open) if open.after == after => {}
            ProberSlot::Opening { after: wanted, .. } if *wanted == after => {}
            _ => {
                let script = RemoteStep::Probe { life: LIFE, probes }.script();
                let (reach, host) = (Arc::clone(&self.reach), host.clone());
                let mut opening = JoinSet::new();
                opening.spawn(async move { reach.stream(&host, &script, reach.connect(&host) + limit).await });
                *slot = ProberSlot::Opening { after, opening };
            }
        }
        if let ProberSlot::Opening { opening, .. } = slot {
            let opened = opening.join_next().await;
            // A task cannot be awaited twice, so the slot is emptied before its result is looked at.
            *slot = ProberSlot::Empty;
            let lost = || StepError::Truncated { host: host.clone(), script: "probe", stderr_tail: String::new() };
            // Only a panic ends the task without a result.
            let stream = opened.and_then(Result::ok).ok_or_else(lost)??;
            *slot = ProberSlot::Open(Box::new(Prober { stream, reader: RoundReader::default(), after }));
        }
        let ProberSlot::Open(open) = slot else { unreachable!("just opened") };
        let Prober { stream, reader, .. } = open.as_mut();
        stream.send_line(&format!("round {number}")).await?;
        loop {
            let Some((key, value)) = stream.next_line().await? else {
                return Err(StepError::Truncated { host: host.clone(), script: "probe", stderr_tail: String::new() });
            };
            match reader.take(&key, &value) {
                Some(round) if round.number == number => return Ok(round),
                // A line of this round that does not end it yet, or the end of an earlier round.
                _ => {}
            }
        }
    }

    /// Ends every prober, and waits for that, for a bounded time.
    pub(super) async fn stop(&self) {
        let ends = self.streams.values().map(|slot| async {
            if let ProberSlot::Open(prober) = std::mem::take(&mut *slot.lock().await) {
                // The prober ends when its input ends; how it ends does not matter any more.
                let _ = prober.stream.close().await;
            }
        });
        futures::future::join_all(ends).await;
    }
}

/// Keeps the answers about links that begin at the place itself: it is believed about no others.
fn begun_at<'a>(
    links: &'a [Link],
    place: &'a Place,
    answers: BTreeMap<LinkId, LinkAnswer>,
) -> impl Iterator<Item = (LinkId, LinkAnswer)> + 'a {
    answers.into_iter().filter(|(id, _)| links.get(*id).is_some_and(|link| link.from == *place))
}

fn probes(links: &[Link], place: &Place, after: bool) -> Vec<(LinkId, Probe, Duration)> {
    links
        .iter()
        .enumerate()
        .filter(|(_, link)| link.from == *place)
        .map(|(id, link)| (id, if after { link.probe_after.clone() } else { link.probe.clone() }, link.timeout))
        .collect()
}

/// How long a look at what begins at this place may take at most: a link that is down is looked at twice.
pub(super) fn longest_look(links: &[Link], place: &Place) -> Duration {
    patience(&probes(links, place, false)) * 2
}

fn patience(probes: &[(LinkId, Probe, Duration)]) -> Duration {
    probes.iter().map(|(_, _, timeout)| *timeout).max().unwrap_or_default() + WAY
}

/// Looks at the links that begin at the workstation, with the same script, run here.
async fn here(links: &[Link], number: u64, after: bool) -> Option<ProbeRound> {
    let probes = probes(links, &Place::Workstation, after);
    if probes.is_empty() {
        return None;
    }
    let limit = patience(&probes);
    let script = RemoteStep::Probe { life: limit, probes }.script();
    let finished = Invocation::new("sh", limit)
        .args(["-c", &script.text, script.name])
        .args(&script.arguments)
        .input(format!("round {number}\nstop\n"))
        .at_most(ANSWER, STDERR)
        .run()
        .await
        .ok()?;
    let mut reader = RoundReader::default();
    finished.stdout_text().lines().find_map(|line| {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        reader.take(key, value)
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_host_is_believed_about_the_links_that_begin_there_and_about_no_other() {
        let place = |name: &str| Place::Host(HostName::new(name).unwrap());
        let link = |from: Place| {
            let probe = Probe::Ping { address: "10.0.0.9".to_owned() };
            Link {
                check: "vpn".to_owned(),
                from,
                to: "vps".to_owned(),
                to_host: None,
                probe: probe.clone(),
                probe_after: probe,
                required: true,
                timeout: Duration::from_secs(1),
                left_out: None,
            }
        };
        let links = [link(place("vps")), link(place("home")), link(Place::Workstation)];
        let says: BTreeMap<LinkId, LinkAnswer> =
            (0..9).map(|link| (link, LinkAnswer::Up { round_trip_us: None })).collect();
        for (from, counts) in [(place("vps"), 0), (place("home"), 1), (Place::Workstation, 2)] {
            let believed: Vec<LinkId> = begun_at(&links, &from, says.clone()).map(|(link, _)| link).collect();
            assert_eq!(believed, [counts]);
        }
    }
}
