//! Asks for the matrix: one streaming remote command for each host runs all of that host's probes, round after round,
//! from the baseline to the last proof.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::ask::ask_all;
use super::clock::{BootClock, Clock as _, within};
use super::mutex::lock;
use super::reach::Reach;
use crate::decide::asking::{Continuity, RoundPlan, turns};
use crate::facts::links::{HeardLinks, Link, LinkId, Round};
use crate::facts::plan::Plan;
use crate::inventory::model::{BootLoaderHint, HostName, Place};
use crate::local::process::Invocation;
use crate::remote::answer::{ProbeRound, RoundReader};
use crate::remote::bounds::{ANSWER, STDERR};
use crate::remote::step::{AskUnits, LinkProbe, RemoteStep};
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
    asking: std::sync::Mutex<RoundPlan>,
    units: AskUnits,
}

/// How often the baseline looks at most, until it has seen every link, beside the turns of a large mesh: with the pause
/// between two looks for as long as a look may last, for a penalty of an sshd is over within that (docs/facts.md,
/// "Penalties of sshd").
const BASELINE_ROUNDS: usize = 48;

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
    probes: Vec<LinkProbe>,
}

impl Prober {
    /// Returns whether it can answer for this side of the change, too. What asks a file, a resolver or a program is
    /// begun anew, because only a new session has the environment that its login shell sets by then.
    fn serves(&self, probes: impl FnOnce() -> Vec<LinkProbe>, after: bool) -> bool {
        let is_of_the_network = |one: &LinkProbe| one.probe.is_of_the_network();
        self.after == after || (self.probes.iter().all(is_of_the_network) && self.probes == probes())
    }

    /// Asks for a round. With an error comes whether it had said anything in it.
    async fn ask(&mut self, own: &[LinkId], round: (u64, AskUnits)) -> Result<ProbeRound, (StepError, bool)> {
        let (number, units) = round;
        self.stream.send_line(&round_line(number, units, own)).await.map_err(|error| (error, false))?;
        let mut has_spoken = false;
        loop {
            let line = self.stream.next_line().await.map_err(|error| (error, has_spoken))?;
            let Some((key, value)) = line else { return Err((self.stream.truncated(), has_spoken)) };
            has_spoken = true;
            match self.reader.take(&key, &value) {
                Some(round) if round.number == number => return Ok(round),
                // A line of this round that does not end it yet, or the end of an earlier round.
                _ => {}
            }
        }
    }
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
        let asking = std::sync::Mutex::default();
        Self { reach, streams, number: AtomicU64::new(0), asking, units: AskUnits::Yes }
    }

    /// Asks the hosts for their units in each round, or only for the links.
    pub(super) fn asking(self, units: AskUnits) -> Self {
        Self { units, ..self }
    }

    /// Looks at every link, and a second time at what is down: one lost packet is no broken link.
    pub(super) async fn baseline(&self, links: &[Link]) -> Round {
        let mut round = self.round(links, false, Continuity::Anew).await;
        let mut was_down = false;
        let until = BootClock.now() + longest_look(links);
        for _ in 1..BASELINE_ROUNDS + turns(links) {
            if BootClock.now() >= until {
                break;
            }
            let down = round.down(links).into_iter().any(|link| links[link].left_out.is_none() && !round.is_open(link));
            let open = (0..links.len()).any(|link| round.is_open(link));
            if !open && (!down || was_down) {
                break;
            }
            was_down = down || !round.missed.is_empty();
            let next = self.round(links, false, Continuity::GoesOn).await;
            // What has no turn yet is a machine that was asked at another address less than a second ago, or an sshd
            // that has just failed.
            let is_held_back = |of: fn(&Round) -> &BTreeSet<LinkId>| of(&next) == of(&round) && !of(&next).is_empty();
            if is_held_back(|round| &round.unasked) || is_held_back(|round| &round.missed) {
                BootClock.sleep_until(BootClock.now() + Duration::from_millis(500)).await;
            }
            round = next;
        }
        round
    }

    /// Looks at the links whose turn it is, and adds what is known of the others. The links of a host that does not
    /// answer in time are unknown.
    pub(super) async fn round(&self, links: &[Link], after: bool, continuity: Continuity) -> Round {
        // The number tells the answers of this round from late ones of a round that was given up.
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let (asked, groups) = {
            let mut asking = lock(&self.asking);
            asking.begin(links, continuity);
            (asking.next(links), asking.groups())
        };
        let begins = by_place(links);
        let mut heard: BTreeMap<Place, HeardLinks> = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        // All places of a group at once: a round is to show one moment, and must not last for the sum of its silent
        // hosts. Only where they could not keep up there is more than one group.
        for group in 0..groups.min(self.streams.len()).max(1) {
            let members = self.streams.iter().enumerate().filter(|(at, _)| at % groups == group);
            let questions = members.map(|(_, (host, slot))| {
                let place = Place::Host(host.clone());
                let all: &[LinkId] = begins.get(&place).map_or(&[], Vec::as_slice);
                let own: Vec<LinkId> = all.iter().copied().filter(|id| asked.contains(id)).collect();
                let limit = patience(links, all);
                let probes = move || probes(links, all, after);
                let question = async move {
                    let mut slot = slot.lock().await;
                    let asking = self.ask(host, &mut slot, probes, &own, (number, after), limit);
                    let answered = within(&BootClock, limit, asking).await.and_then(Result::ok);
                    if answered.is_none() && !matches!(&*slot, ProberSlot::Opening { .. }) {
                        // Half an answer may still be on its way, so the next round starts a new prober. One that is
                        // only being started is kept: to begin it anew each round would never end with a slow login.
                        *slot = ProberSlot::Empty;
                    }
                    answered
                };
                (host.clone(), question.boxed())
            });
            let of_here = begins.get(&Place::Workstation).filter(|_| group == 0).map_or(&[][..], Vec::as_slice);
            let here = here(links, of_here, &asked, number, after);
            let (answered, here) = tokio::join!(ask_all(questions), here);
            for (host, answered) in answered {
                if let Some(answered) = answered {
                    let place = Place::Host(host.clone());
                    heard.insert(place.clone(), begun_at(links, &place, answered.links));
                    hosts.insert(host, answered.host);
                }
            }
            if let Some(here) = here {
                heard.insert(Place::Workstation, begun_at(links, &Place::Workstation, here.links));
            }
        }
        lock(&self.asking).learn(links, &asked, &heard, hosts)
    }

    async fn ask(
        &self,
        host: &HostName,
        slot: &mut ProberSlot,
        probes: impl Fn() -> Vec<LinkProbe>,
        own: &[LinkId],
        (number, after): (u64, bool),
        limit: Duration,
    ) -> Result<ProbeRound, StepError> {
        if let ProberSlot::Open(open) = slot
            && open.serves(&probes, after)
        {
            open.after = after;
            match open.ask(own, (number, self.units)).await {
                // It has ended since the last round: an activation may end the sessions that are there. One that has
                // answered something is not begun anew here: it has asked, and its sshds must not be asked twice.
                Err((error, false)) if !matches!(error, StepError::TooMuch { .. }) => *slot = ProberSlot::Empty,
                answered => return answered.map_err(|(error, _)| error),
            }
        }
        if !matches!(slot, ProberSlot::Opening { after: wanted, .. } if *wanted == after) {
            let script = RemoteStep::Probe { life: LIFE, probes: probes() }.script();
            let (reach, host) = (Arc::clone(&self.reach), host.clone());
            let mut opening = JoinSet::new();
            opening.spawn(async move { reach.stream(&host, &script, reach.connect(&host) + limit).await });
            *slot = ProberSlot::Opening { after, opening };
        }
        if let ProberSlot::Opening { opening, .. } = slot {
            let opened = opening.join_next().await;
            // A task cannot be awaited twice, so the slot is emptied before its result is looked at.
            *slot = ProberSlot::Empty;
            let lost = || StepError::Truncated { host: host.clone(), script: "probe", stderr_tail: String::new() };
            // Only a panic ends the task without a result.
            let stream = opened.and_then(Result::ok).ok_or_else(lost)??;
            *slot =
                ProberSlot::Open(Box::new(Prober { stream, reader: RoundReader::default(), after, probes: probes() }));
        }
        let ProberSlot::Open(open) = slot else { unreachable!("just opened") };
        open.ask(own, (number, self.units)).await.map_err(|(error, _)| error)
    }

    /// Ends what is still being started: orders to those hosts would wait for its login.
    pub(super) async fn end_what_only_begins(&self) {
        for slot in self.streams.values() {
            let mut slot = slot.lock().await;
            if matches!(&*slot, ProberSlot::Opening { .. }) {
                *slot = ProberSlot::Empty;
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

/// `round N ID…`: a number that no link has, where none is asked, for without a number it is all of them.
fn round_line(number: u64, units: AskUnits, own: &[LinkId]) -> String {
    let own: Vec<String> = own.iter().map(ToString::to_string).collect();
    let word = if units == AskUnits::Yes { "round" } else { "links" };
    format!("{word} {number} {}", if own.is_empty() { "-".to_owned() } else { own.join(" ") })
}

/// Keeps the answers about links that begin at the place itself: it is believed about no others.
fn begun_at(links: &[Link], place: &Place, mut heard: HeardLinks) -> HeardLinks {
    let is_its = |id: &LinkId| links.get(*id).is_some_and(|link| link.from == *place);
    heard.answers.retain(|id, _| is_its(id));
    for of in [&mut heard.silent, &mut heard.later, &mut heard.busy, &mut heard.odd] {
        of.retain(is_its);
    }
    heard
}

/// Returns the links that begin at each place, in the order in which it asks them. Places begin at different ones, so
/// that not all come to one host at the same time: its sshd takes ten connections at once before it begins to refuse.
/// To begin at different times instead would make each round longer.
fn by_place(links: &[Link]) -> BTreeMap<&Place, Vec<LinkId>> {
    let mut places: BTreeMap<&Place, Vec<LinkId>> = BTreeMap::new();
    for (id, link) in links.iter().enumerate() {
        places.entry(&link.from).or_default().push(id);
    }
    let count = places.len();
    for (at, own) in places.values_mut().enumerate() {
        let first = at * own.len() / count;
        own.rotate_left(first);
    }
    places
}

fn probes(links: &[Link], of: &[LinkId], after: bool) -> Vec<LinkProbe> {
    let probe = |id: &LinkId| {
        let link = &links[*id];
        LinkProbe {
            id: *id,
            probe: if after { link.probe_after.clone() } else { link.probe.clone() },
            timeout: link.timeout,
            to_host: link.to_host.clone(),
        }
    };
    of.iter().map(probe).collect()
}

/// How long a baseline goes on to look, but for the round that has begun by then: a link that is down is looked at
/// twice, and a large mesh has its turns.
pub(super) fn longest_look(links: &[Link]) -> Duration {
    let rounds = u32::try_from(turns(links) + 2).unwrap_or(u32::MAX).max(4);
    (links.iter().map(|link| link.timeout).max().unwrap_or_default() + WAY) * rounds
}

fn patience(links: &[Link], of: &[LinkId]) -> Duration {
    of.iter().map(|id| links[*id].timeout).max().unwrap_or_default() + WAY
}

/// Looks at those links of the workstation, `own`, whose turn it is, with the same script, run here. It is run anew
/// each time, and knows nothing of the connections that it has made before.
async fn here(
    links: &[Link],
    own: &[LinkId],
    asked: &BTreeSet<LinkId>,
    number: u64,
    after: bool,
) -> Option<ProbeRound> {
    let own: Vec<LinkId> = own.iter().copied().filter(|id| asked.contains(id)).collect();
    if own.is_empty() {
        return None;
    }
    let (limit, probes) = (patience(links, &own), probes(links, &own, after));
    let script = RemoteStep::Probe { life: limit, probes }.script();
    let finished = Invocation::new("sh", limit)
        .args(["-c", &script.text, script.name])
        .args(script.words(&BootLoaderHint::default(), "-").map(Cow::into_owned))
        // For a shell that must become another one; on a host the transport has it there.
        .env("s", &script.text)
        // Nobody reads what the workstation's own units are.
        .input(format!("links {number}\nstop\n"))
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
    use crate::facts::links::Probe;

    fn link(from: Place, probe: Probe) -> Link {
        Link {
            check: "vpn".to_owned(),
            from,
            to: "vps".to_owned(),
            to_host: None,
            probe: probe.clone(),
            probe_after: probe,
            required: true,
            timeout: Duration::from_secs(5),
            left_out: None,
            shared: false,
        }
    }

    #[test]
    fn hosts_of_a_mesh_begin_with_different_ones() {
        let name = |at: usize| HostName::new(format!("h{at}")).unwrap();
        for hosts in [3, 8, 10] {
            let pairs = (0..hosts).flat_map(|from| (0..hosts).filter(move |to| *to != from).map(move |to| (from, to)));
            let links: Vec<Link> = pairs
                .map(|(from, to)| {
                    let probe = Probe::Ssh { address: to.to_string(), port: 22 };
                    Link { to_host: Some(name(to)), ..link(Place::Host(name(from)), probe) }
                })
                .collect();
            let places = by_place(&links);
            for step in 0..hosts - 1 {
                let mut come: BTreeMap<Option<&HostName>, usize> = BTreeMap::new();
                for own in places.values() {
                    *come.entry(links[own[step]].to_host.as_ref()).or_default() += 1;
                }
                assert!(come.values().all(|come| *come <= 2), "{hosts} hosts, connection {step}: {come:?}");
            }
            let mut all: Vec<LinkId> = places.into_values().flatten().collect();
            all.sort_unstable();
            assert_eq!(all, (0..links.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_host_is_believed_about_the_links_that_begin_there_and_about_no_other() {
        let place = |name: &str| Place::Host(HostName::new(name).unwrap());
        let link = |from: Place| link(from, Probe::Ping { address: "10.0.0.9".to_owned() });
        let links = [link(place("vps")), link(place("home")), link(Place::Workstation)];
        let up = |link| (link, crate::facts::links::LinkAnswer::Up { round_trip_us: None });
        let says = HeardLinks { answers: (0..9).map(up).collect(), later: (0..9).collect(), ..HeardLinks::default() };
        for (from, counts) in [(place("vps"), 0), (place("home"), 1), (Place::Workstation, 2)] {
            let believed = begun_at(&links, &from, says.clone());
            assert_eq!(believed.answers.into_keys().collect::<Vec<LinkId>>(), [counts]);
            assert_eq!(believed.later, BTreeSet::from([counts]));
        }
    }

    #[tokio::test]
    async fn the_workstation_asks_those_of_its_links_whose_turn_it_is() {
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let links = listeners.each_ref().map(|listener| {
            let port = listener.local_addr().unwrap().port();
            link(Place::Workstation, Probe::Tcp { address: "127.0.0.1".to_owned(), port })
        });
        let heard = here(&links, &[0, 1], &BTreeSet::from([1, 7]), 4, false).await.unwrap();
        assert_eq!(heard.number, 4);
        let answers: Vec<(LinkId, bool)> = heard.links.answers.iter().map(|(id, said)| (*id, said.is_up())).collect();
        assert_eq!(answers, [(1, true)]);
        let connections = listeners.map(|listener| {
            listener.set_nonblocking(true).unwrap();
            listener.incoming().take_while(Result::is_ok).count()
        });
        assert_eq!(connections, [0, 1]);
        assert_eq!(here(&links, &[0], &BTreeSet::from([1]), 5, false).await, None);
    }
}
