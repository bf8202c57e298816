//! Decides which links a round asks, and what is said of those that it does not.
//!
//! A link that is not asked keeps its last answer of the same proof, and only as long as that proves it: an ssh
//! connection is believed until something changes at one of its ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::time::Duration;

use crate::facts::links::{Control, HeardLinks, HostRound, Link, LinkAnswer, LinkId, Probe, Round};
use crate::facts::units::{UnitNow, UnitState};
use crate::inventory::model::{HostName, Place};

/// How many links of one place, and how many that lead to one host, a round asks of those that share the rounds.
const SHARED_LINKS: usize = 20;

/// How many connections a round makes to one host's sshd by links that share the rounds. Far below what an sshd takes
/// at once (`MaxStartups`, 10 before it begins to refuse). Source: `sshd_config(5)`.
const SHARED_CONNECTIONS: usize = 8;

/// Into how many groups the places are divided at most, each asked when the one before is through: two to the power of
/// this.
const MOST_HALVINGS: u32 = 3;

/// For how many rounds after its time a look waits at least for links whose turn has not come.
const OPEN_ROUNDS: usize = 30;

/// Returns for how many rounds after its time a look waits for links that are not proven, and that nothing speaks
/// against: for as many as it takes to ask each once, if those are more.
#[must_use]
pub fn open_rounds(links: &[Link]) -> usize {
    OPEN_ROUNDS.max(turns(links))
}

/// Returns how many rounds it takes at least until each of the links that share them has had its turn.
#[must_use]
pub fn turns(links: &[Link]) -> usize {
    let shared: Vec<LinkId> = (0..links.len()).filter(|id| links[*id].shared).collect();
    Shares::of(&Ends::of(links), &shared, links).turns
}

/// How a number of links is divided among rounds.
struct Shares {
    turns: usize,
    /// How many of one place, and how many that lead to one host, a round asks at most.
    links: usize,
    /// How many connections it makes to one host's sshd at most.
    connections: usize,
}

impl Shares {
    /// As few rounds as there can be, and all of them alike: one that asks more than the others makes the hosts late.
    fn of(ends: &Ends, shared: &[LinkId], links: &[Link]) -> Self {
        let mut begin = vec![0; ends.numbers()];
        let mut lead = vec![[0; 2]; ends.numbers()];
        for id in shared {
            let [from, to] = ends.of_shared(*id);
            begin[from] += 1;
            lead[to][0] += 1;
            lead[to][1] += usize::from(connects(&links[*id]));
        }
        let most = begin.into_iter().chain(lead.iter().map(|[all, _]| *all)).max().unwrap_or_default();
        let connections = lead.iter().map(|[_, connections]| *connections).max().unwrap_or_default();
        let turns = most.div_ceil(SHARED_LINKS).max(connections.div_ceil(SHARED_CONNECTIONS));
        let share = |of: usize| of.div_ceil(turns.max(1));
        Self { turns, links: share(most), connections: share(connections) }
    }
}

/// The hosts at the ends of each link, by number: a large mesh has too many links to compare their names in each round.
#[derive(Debug, Clone, Default)]
struct Ends {
    /// [`NO_HOST`] for the workstation, and for an address that is no host's.
    of: Vec<[u32; 2]>,
    /// By number.
    hosts: Vec<HostName>,
    /// By a host's number, its place in the circle of those that share the rounds.
    ring: Vec<u32>,
    /// How many of them share the rounds.
    in_ring: usize,
}

const NO_HOST: u32 = u32::MAX;

impl Ends {
    fn of(links: &[Link]) -> Self {
        let mut numbers: HashMap<&HostName, u32> = HashMap::new();
        let mut of = Vec::with_capacity(links.len());
        for link in links {
            let ends = [host_of(&link.from), link.to_host.as_ref()].map(|host| {
                let next = u32::try_from(numbers.len()).unwrap_or(NO_HOST);
                host.map_or(NO_HOST, |host| *numbers.entry(host).or_insert(next))
            });
            of.push(ends);
        }
        let mut hosts: Vec<(u32, &HostName)> = numbers.into_iter().map(|(host, number)| (number, host)).collect();
        hosts.sort_unstable();
        let mut in_ring = vec![false; hosts.len()];
        for (ends, _) in of.iter().zip(links).filter(|(_, link)| link.shared) {
            ends.iter().filter(|end| **end != NO_HOST).for_each(|end| in_ring[*end as usize] = true);
        }
        let mut circle: Vec<u32> =
            hosts.iter().map(|(number, _)| *number).filter(|host| in_ring[*host as usize]).collect();
        circle.sort_unstable_by_key(|host| hosts[*host as usize].1);
        let mut ring = vec![0; hosts.len() + 1];
        for (place, host) in (0..).zip(&circle) {
            ring[*host as usize] = place;
        }
        Self { of, hosts: hosts.into_iter().map(|(_, host)| host.clone()).collect(), ring, in_ring: circle.len() }
    }

    /// Returns the hosts at the ends of a link that shares the rounds: below [`Self::numbers`].
    fn of_shared(&self, link: LinkId) -> [usize; 2] {
        self.of[link].map(|end| (end as usize).min(self.hosts.len()))
    }

    /// Returns one more than there are hosts. Links of a mesh have a host at both ends; a record may say what it will.
    fn numbers(&self) -> usize {
        self.hosts.len() + 1
    }

    /// Returns how many steps it is in the circle from such a link's one end to its other.
    fn distance(&self, link: LinkId) -> usize {
        let [from, to] = self.of_shared(link).map(|end| self.ring[end] as usize);
        (to + self.in_ring - from) % self.in_ring.max(1)
    }
}

/// What still counts, when a round begins, of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Continuity {
    /// All of it: the round is the next one of a proof.
    GoesOn,
    /// Nothing: the round is the first one of a proof.
    Anew,
    /// The connections of a large mesh, where neither end has changed since, but for one into each host: nothing has
    /// been started or stopped since they were made.
    KeepsConnections,
}

/// What is known of the links of one proof.
#[derive(Debug, Clone, Default)]
pub struct RoundPlan {
    ends: Ends,
    /// By link.
    last: Vec<LastAnswer>,
    rounds: u64,
    halvings: u32,
    /// Places that have heard a ping to themselves: others may let none come to themselves.
    ping_themselves: BTreeSet<Place>,
}

/// The last answer of a link, and what its ends were then.
#[derive(Debug, Clone, Default)]
struct LastAnswer {
    /// `None`: nothing is known.
    answer: Option<LinkAnswer>,
    ends: [Option<NonZeroU64>; 2],
    /// The round that asked it last in this proof, so that it was known what the answer says; 0 for none.
    asked: u64,
    /// It was down the time before, too.
    is_down_again: bool,
}

impl LastAnswer {
    fn is_up(&self) -> bool {
        self.answer.as_ref().is_some_and(LinkAnswer::is_up)
    }

    fn is_down(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| !answer.is_up())
    }

    fn has_missed_once(&self) -> bool {
        self.is_down() && !self.is_down_again
    }

    fn forget(&mut self) {
        self.answer = None;
        self.is_down_again = false;
    }
}

impl RoundPlan {
    /// Begins a new proof, or goes on with the one under way. What the places could keep up with stays known.
    pub fn begin(&mut self, links: &[Link], continuity: Continuity) {
        if self.last.len() != links.len() {
            self.ends = Ends::of(links);
            self.last = vec![LastAnswer::default(); links.len()];
        }
        match continuity {
            Continuity::GoesOn => {}
            Continuity::Anew => self.last.fill(LastAnswer::default()),
            Continuity::KeepsConnections => {
                let mut nearest = vec![(usize::MAX, 0); self.ends.numbers()];
                for (id, (last, link)) in self.last.iter_mut().zip(links).enumerate() {
                    last.asked = 0;
                    if !(link.shared && connects(link) && last.is_up()) {
                        last.forget();
                        continue;
                    }
                    let nearest = &mut nearest[self.ends.of_shared(id)[1]];
                    *nearest = (self.ends.distance(id), id).min(*nearest);
                }
                nearest.into_iter().filter(|(steps, _)| *steps < usize::MAX).for_each(|(_, id)| self.last[id].forget());
            }
        }
    }

    /// Returns into how many groups the places are divided, each of which is asked for itself.
    #[must_use]
    pub fn groups(&self) -> usize {
        1 << self.halvings
    }

    /// Returns the links that the next round asks.
    ///
    /// An ssh connection costs the far end a process and more, so one that is proven is not made again. Of links that
    /// share the rounds nothing that is up is asked again before each of them was asked.
    #[must_use]
    pub fn next(&mut self, links: &[Link]) -> BTreeSet<LinkId> {
        self.begin(links, Continuity::GoesOn);
        let last = |id: LinkId| &self.last[id];
        let open = (0..links.len()).filter(|id| !(connects(&links[*id]) && last(*id).is_up()));
        let (mut shared, whole): (Vec<LinkId>, Vec<LinkId>) = open.partition(|id| links[*id].shared);
        let mut next: BTreeSet<LinkId> = whole.into_iter().collect();
        let mut most = (SHARED_LINKS, SHARED_CONNECTIONS);
        if shared.iter().any(|id| last(*id).asked == 0) {
            shared.retain(|id| !last(*id).is_up());
            let each = Shares::of(&self.ends, &shared, links);
            most = (each.links, each.connections);
        }
        // What was not down until just now first, then what is not known, what stays down, and what is up; of each what
        // was asked longest ago. A host that is off must not keep its other links from being asked by those that are
        // known to be down. Hosts begin with different targets, so that not all come to one at once.
        shared.sort_unstable_by_key(|id| {
            let last = last(*id);
            let order = match &last.answer {
                Some(answer) if answer.is_up() => 3,
                Some(_) if last.is_down_again => 2,
                Some(_) => 0,
                None => 1,
            };
            (order, last.asked, self.ends.distance(*id), *id)
        });
        let mut begin = vec![0; self.ends.numbers()];
        let mut lead = vec![[0; 2]; self.ends.numbers()];
        for id in shared {
            let ([from, to], connects) = (self.ends.of_shared(id), usize::from(connects(&links[id])));
            if begin[from] < most.0 && lead[to][0] < most.0 && lead[to][1] + connects <= most.1 {
                begin[from] += 1;
                lead[to][0] += 1;
                lead[to][1] += connects;
                next.insert(id);
            }
        }
        next
    }

    /// Takes what was heard of the links that were `asked`, by the place where they begin, and returns the whole
    /// matrix. A place that is missing did not answer.
    pub fn learn(
        &mut self,
        links: &[Link],
        asked: &BTreeSet<LinkId>,
        heard: &BTreeMap<Place, HeardLinks>,
        hosts: BTreeMap<HostName, HostRound>,
    ) -> Round {
        self.rounds += 1;
        let state: Vec<Option<NonZeroU64>> = self.ends.hosts.iter().map(|host| hosts.get(host).map(state_of)).collect();
        let controls = || heard.iter().filter_map(|(place, heard)| Some((place, heard.control.as_ref()?)));
        self.ping_themselves
            .extend(controls().filter(|(_, control)| control.pinged.is_some()).map(|(at, _)| at.clone()));
        let is_late = |(place, control): &(&Place, &Control)| is_late(control, self.ping_themselves.contains(*place));
        let late: BTreeSet<&Place> = controls().filter(is_late).map(|(place, _)| place).collect();
        let late_hosts: BTreeSet<&HostName> = late.iter().filter_map(|place| host_of(place)).collect();
        let mut round = Round::default();
        let mut answers = Vec::with_capacity(links.len());
        for (id, (link, last)) in links.iter().zip(&mut self.last).enumerate() {
            let ends = self.ends.of[id].map(|end| state.get(end as usize).copied().flatten());
            if !asked.contains(&id) {
                // What a host that does not answer is by now will be seen when it does.
                let has_changed = last.ends.iter().zip(ends).any(|(then, now)| now.is_some() && *then != now);
                if last.answer.is_some() && connects(link) && has_changed {
                    *last = LastAnswer::default();
                }
                match &last.answer {
                    Some(answer) => answers.push((id, answer.clone())),
                    None => _ = round.unasked.insert(id),
                }
                continue;
            }
            let late = late.contains(&link.from) || link.to_host.as_ref().is_some_and(|to| late_hosts.contains(to));
            let Some(heard) = heard.get(&link.from) else {
                last.forget();
                last.asked = self.rounds;
                continue;
            };
            let was_later = heard.later.contains(&id);
            if heard.odd.contains(&id) || (late && (was_later || heard.silent.contains(&id))) {
                // Its last answer does not count any more: nobody knows the one after it.
                last.forget();
                round.unmeasured.insert(id);
            } else if was_later {
                match &last.answer {
                    Some(answer) => answers.push((id, answer.clone())),
                    None => _ = round.unasked.insert(id),
                }
            } else if let (true, Some(answer)) = (heard.busy.contains(&id), heard.answers.get(&id)) {
                // It proves nothing, and it speaks against nothing: what lets nobody in may be the run's own logins.
                last.forget();
                last.asked = self.rounds;
                answers.push((id, answer.clone()));
                round.unasked.insert(id);
            } else if let Some(answer) = heard.answers.get(&id) {
                let is_down_again = last.is_down() && !answer.is_up();
                *last = LastAnswer { answer: Some(answer.clone()), ends, asked: self.rounds, is_down_again };
                answers.push((id, answer.clone()));
            } else {
                last.forget();
                last.asked = self.rounds;
            }
        }
        round.answers = answers.into_iter().collect();
        let known = links.iter().zip(&self.last).enumerate();
        round.missed =
            known.filter(|(_, (link, last))| link.shared && last.has_missed_once()).map(|(id, _)| id).collect();
        if !round.unmeasured.is_empty() {
            self.halvings = (self.halvings + 1).min(MOST_HALVINGS);
        }
        round.hosts = hosts;
        round
    }
}

/// Returns whether a place could not keep up with the round: its own control took more than half of the time that the
/// links had. One that has never heard a ping to itself is not late for that: it may let none come, and does what else
/// a round takes.
fn is_late(control: &Control, pings_itself: bool) -> bool {
    let came_late = |took: Option<Duration>| took.is_none_or(|took| took > control.longest / 2);
    control.longest > Duration::ZERO && (came_late(control.took) || (pings_itself && came_late(control.pinged)))
}

/// Returns whether the link makes a connection to an sshd.
fn connects(link: &Link) -> bool {
    matches!(link.probe, Probe::Ssh { .. })
}

fn host_of(place: &Place) -> Option<&HostName> {
    match place {
        Place::Host(name) => Some(name),
        Place::Workstation => None,
    }
}

/// Returns a number that changes when the host restarts, switches, or starts or stops something for good, or when its
/// tunnels are others. What comes and goes with logins, timers and sockets is no change.
fn state_of(host: &HostRound) -> NonZeroU64 {
    let mut state = DefaultHasher::new();
    (&host.boot_id, &host.current).hash(&mut state);
    for (unit, UnitNow { state: now, invocation, transient, triggered, .. }) in &host.units {
        if *now == UnitState::Active && !transient && !triggered && !unit.contains('@') {
            (unit, invocation).hash(&mut state);
        }
    }
    for interface in &host.wireguard {
        (&interface.name, interface.index, &interface.settings, interface.port).hash(&mut state);
    }
    NonZeroU64::new(state.finish()).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests;
