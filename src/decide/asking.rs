//! Decides which links a round asks, and what is said of those that it does not.
//!
//! A link that is not asked keeps its last answer of the same proof, and only as long as that proves it: an ssh
//! connection is believed until something changes at one of its ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
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

/// Returns how many rounds it takes at least until each of the links that share them has had its turn.
#[must_use]
pub fn turns(links: &[Link]) -> usize {
    Shares::of(links.iter().filter(|link| link.shared)).turns
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
    fn of<'a>(links: impl Iterator<Item = &'a Link>) -> Self {
        let mut begin: HashMap<&Place, usize> = HashMap::new();
        let mut lead: HashMap<Option<&HostName>, [usize; 2]> = HashMap::new();
        for link in links {
            *begin.entry(&link.from).or_default() += 1;
            let [all, connections] = lead.entry(link.to_host.as_ref()).or_default();
            *all += 1;
            *connections += usize::from(connects(link));
        }
        let links = begin.into_values().chain(lead.values().map(|[all, _]| *all)).max().unwrap_or_default();
        let connections = lead.values().map(|[_, connections]| *connections).max().unwrap_or_default();
        let turns = links.div_ceil(SHARED_LINKS).max(connections.div_ceil(SHARED_CONNECTIONS));
        let share = |of: usize| of.div_ceil(turns.max(1));
        Self { turns, links: share(links), connections: share(connections) }
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
    kept: BTreeMap<LinkId, LastAnswer>,
    /// When each link was asked last in this proof, by rounds, so that it was known what the answer says.
    asked: BTreeMap<LinkId, u64>,
    rounds: u64,
    halvings: u32,
    /// Places that have heard a ping to themselves: others may let none come to themselves.
    ping_themselves: BTreeSet<Place>,
}

/// The last answer of a link, and what its ends were then.
#[derive(Debug, Clone)]
struct LastAnswer {
    answer: LinkAnswer,
    ends: [Option<u64>; 2],
    /// It was down the time before, too.
    is_down_again: bool,
}

impl RoundPlan {
    /// Begins a new proof, or goes on with the one under way. What the places could keep up with stays known.
    pub fn begin(&mut self, links: &[Link], continuity: Continuity) {
        match continuity {
            Continuity::GoesOn => return,
            Continuity::Anew => self.kept.clear(),
            Continuity::KeepsConnections => {
                self.kept.retain(|id, kept| links[*id].shared && connects(&links[*id]) && kept.answer.is_up());
                let ring = Ring::of(self.kept.keys().map(|id| &links[*id]));
                let mut nearest: BTreeMap<Option<&HostName>, (usize, LinkId)> = BTreeMap::new();
                for id in self.kept.keys() {
                    let found = (ring.distance(&links[*id]), *id);
                    let nearest = nearest.entry(links[*id].to_host.as_ref()).or_insert(found);
                    *nearest = found.min(*nearest);
                }
                for (_, id) in nearest.values() {
                    self.kept.remove(id);
                }
            }
        }
        self.asked.clear();
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
    pub fn next(&self, links: &[Link]) -> BTreeSet<LinkId> {
        let is_up = |id: &LinkId| self.kept.get(id).is_some_and(|kept| kept.answer.is_up());
        let open = (0..links.len()).filter(|id| !(connects(&links[*id]) && is_up(id)));
        let (mut shared, whole): (Vec<LinkId>, Vec<LinkId>) = open.partition(|id| links[*id].shared);
        let mut next: BTreeSet<LinkId> = whole.into_iter().collect();
        let mut most = (SHARED_LINKS, SHARED_CONNECTIONS);
        if shared.iter().any(|id| !self.asked.contains_key(id)) {
            shared.retain(|id| !is_up(id));
            let shares = Shares::of(shared.iter().map(|id| &links[*id]));
            most = (shares.links, shares.connections);
        }
        let ring = Ring::of(shared.iter().map(|id| &links[*id]));
        // What was not down until just now first, then what is not known, what stays down, and what is up; of each what
        // was asked longest ago. A host that is off must not keep its other links from being asked by those that are
        // known to be down. Hosts begin with different targets, so that not all come to one at once.
        shared.sort_by_cached_key(|id| {
            let order = match self.kept.get(id) {
                Some(kept) if kept.answer.is_up() => 3,
                Some(kept) if kept.is_down_again => 2,
                Some(_) => 0,
                None => 1,
            };
            (order, self.asked.get(id).copied().unwrap_or_default(), ring.distance(&links[*id]), *id)
        });
        let mut from: HashMap<&Place, usize> = HashMap::new();
        let mut to: HashMap<Option<&HostName>, [usize; 2]> = HashMap::new();
        for id in shared {
            let link = &links[id];
            let connects = usize::from(connects(link));
            let (begin, lead) = (from.entry(&link.from).or_default(), to.entry(link.to_host.as_ref()).or_default());
            if *begin < most.0 && lead[0] < most.0 && lead[1] + connects <= most.1 {
                *begin += 1;
                lead[0] += 1;
                lead[1] += connects;
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
        let state: BTreeMap<&HostName, u64> = hosts.iter().map(|(host, seen)| (host, state_of(seen))).collect();
        let controls = || heard.iter().filter_map(|(place, heard)| Some((place, heard.control.as_ref()?)));
        self.ping_themselves
            .extend(controls().filter(|(_, control)| control.pinged.is_some()).map(|(at, _)| at.clone()));
        let is_late = |(place, control): &(&Place, &Control)| is_late(control, self.ping_themselves.contains(*place));
        let late: BTreeSet<&Place> = controls().filter(is_late).map(|(place, _)| place).collect();
        let late_hosts: BTreeSet<&HostName> = late.iter().filter_map(|place| host_of(place)).collect();
        let mut round = Round::default();
        for (id, link) in links.iter().enumerate() {
            let ends =
                || [host_of(&link.from), link.to_host.as_ref()].map(|end| end.and_then(|end| state.get(end).copied()));
            if !asked.contains(&id) {
                let has_changed = |kept: &LastAnswer| {
                    // What a host that does not answer is by now will be seen when it does.
                    kept.ends.iter().zip(ends()).any(|(then, now)| now.is_some() && *then != now)
                };
                if connects(link) && self.kept.get(&id).is_some_and(has_changed) {
                    self.kept.remove(&id);
                    self.asked.remove(&id);
                }
                match self.kept.get(&id) {
                    Some(kept) => _ = round.answers.insert(id, kept.answer.clone()),
                    None => _ = round.unasked.insert(id),
                }
                continue;
            }
            let late = late.contains(&link.from) || link.to_host.as_ref().is_some_and(|to| late_hosts.contains(to));
            let Some(heard) = heard.get(&link.from) else {
                self.asked.insert(id, self.rounds);
                self.kept.remove(&id);
                continue;
            };
            let was_later = heard.later.contains(&id);
            if heard.odd.contains(&id) || (late && (was_later || heard.silent.contains(&id))) {
                // Its last answer does not count any more: nobody knows the one after it.
                self.kept.remove(&id);
                round.unmeasured.insert(id);
            } else if was_later {
                match self.kept.get(&id) {
                    Some(kept) => _ = round.answers.insert(id, kept.answer.clone()),
                    None => _ = round.unasked.insert(id),
                }
            } else if let (true, Some(answer)) = (heard.busy.contains(&id), heard.answers.get(&id)) {
                // It proves nothing, and it speaks against nothing: what lets nobody in may be the run's own logins.
                self.asked.insert(id, self.rounds);
                self.kept.remove(&id);
                round.answers.insert(id, answer.clone());
                round.unasked.insert(id);
            } else if let Some(answer) = heard.answers.get(&id) {
                self.asked.insert(id, self.rounds);
                let was_down = self.kept.get(&id).is_some_and(|kept| !kept.answer.is_up());
                let is_down_again = was_down && !answer.is_up();
                self.kept.insert(id, LastAnswer { answer: answer.clone(), ends: ends(), is_down_again });
                round.answers.insert(id, answer.clone());
            } else {
                self.asked.insert(id, self.rounds);
                self.kept.remove(&id);
            }
        }
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

/// The hosts at the ends of some links, in a circle by their names.
struct Ring<'a>(HashMap<&'a HostName, usize>);

impl<'a> Ring<'a> {
    fn of(links: impl Iterator<Item = &'a Link>) -> Self {
        let hosts: BTreeSet<&HostName> = links.flat_map(Link::hosts).collect();
        Self(hosts.into_iter().zip(0..).collect())
    }

    /// Returns how many steps it is from the link's one end to its other. Of a mesh, so that it begins at a host, too.
    fn distance(&self, link: &Link) -> usize {
        let at = |host: Option<&HostName>| host.and_then(|host| self.0.get(host).copied()).unwrap_or_default();
        (at(link.to_host.as_ref()) + self.0.len() - at(host_of(&link.from))) % self.0.len().max(1)
    }
}

fn host_of(place: &Place) -> Option<&HostName> {
    match place {
        Place::Host(name) => Some(name),
        Place::Workstation => None,
    }
}

/// Returns a number that changes when the host restarts, switches, or starts or stops something for good, or when its
/// tunnels are others. What comes and goes with logins, timers and sockets is no change.
fn state_of(host: &HostRound) -> u64 {
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
    state.finish()
}

#[cfg(test)]
mod tests;
