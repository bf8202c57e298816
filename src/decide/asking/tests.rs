use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pretty_assertions::assert_eq;

use super::*;

fn name(at: usize) -> HostName {
    HostName::new(format!("h{at:02}")).unwrap()
}

/// A mesh, with a ping and an ssh link for each pair.
fn mesh(hosts: usize) -> Vec<Link> {
    let mut links = Vec::new();
    for from in 0..hosts {
        for to in (0..hosts).filter(|to| *to != from) {
            let address = format!("10.0.0.{to}");
            for probe in [Probe::Ping { address: address.clone() }, Probe::Ssh { address, port: 22 }] {
                links.push(Link {
                    check: "vpn".to_owned(),
                    from: Place::Host(name(from)),
                    to: name(to).to_string(),
                    to_host: Some(name(to)),
                    probe: probe.clone(),
                    probe_after: probe,
                    required: true,
                    timeout: Duration::from_secs(2),
                    left_out: None,
                    shared: hosts > 10,
                });
            }
        }
    }
    links
}

fn host(boot: &str) -> HostRound {
    HostRound { boot_id: boot.to_owned(), ..HostRound::default() }
}

struct Fleet {
    links: Vec<Link>,
    hosts: usize,
    asking: RoundPlan,
    /// The boot of each host.
    boots: BTreeMap<usize, String>,
    late: BTreeSet<usize>,
    /// What makes a host late is its ping to itself alone.
    is_only_the_ping_late: bool,
    /// Hosts that let no ping come to themselves.
    mute: BTreeSet<usize>,
    silent: BTreeSet<LinkId>,
    busy: BTreeSet<LinkId>,
    asked: BTreeSet<LinkId>,
}

impl Fleet {
    fn of(hosts: usize) -> Self {
        let (boots, late, mute, silent, busy, asked) = Default::default();
        let (links, asking) = (mesh(hosts), RoundPlan::default());
        Self { links, hosts, asking, boots, late, is_only_the_ping_late: false, mute, silent, busy, asked }
    }

    fn round(&mut self) -> Round {
        self.asked = self.asking.next(&self.links);
        let mut heard: BTreeMap<Place, HeardLinks> = BTreeMap::new();
        for at in 0..self.hosts {
            let took = Duration::from_millis(if self.late.contains(&at) { 1500 } else { 20 });
            let pinged = (!self.mute.contains(&at)).then_some(took);
            let took = Some(if self.is_only_the_ping_late { Duration::from_millis(20) } else { took });
            let control = Some(Control { took, pinged, longest: Duration::from_secs(2) });
            heard.insert(Place::Host(name(at)), HeardLinks { control, ..HeardLinks::default() });
        }
        for id in &self.asked {
            let place = heard.get_mut(&self.links[*id].from).unwrap();
            if self.silent.contains(id) {
                place.silent.insert(*id);
                place.answers.insert(*id, LinkAnswer::Down { why: "no answer in 2 s".to_owned() });
            } else if self.busy.contains(id) {
                place.busy.insert(*id);
                place.answers.insert(*id, LinkAnswer::Down { why: "Not allowed at this time".to_owned() });
            } else {
                place.answers.insert(*id, LinkAnswer::Up { round_trip_us: None });
            }
        }
        let boot = |at: usize| self.boots.get(&at).map_or("a", String::as_str);
        let hosts = (0..self.hosts).map(|at| (name(at), host(boot(at)))).collect();
        self.asking.learn(&self.links, &self.asked, &heard, hosts)
    }

    fn down(&self, round: &Round) -> BTreeSet<LinkId> {
        let open = |id: &LinkId| !round.is_open(*id);
        round.down(&self.links).into_iter().filter(open).collect()
    }
}

#[test]
fn an_ssh_connection_is_made_once_and_again_when_an_end_of_it_has_changed() {
    let mut fleet = Fleet::of(3);
    let ssh = |fleet: &Fleet| -> BTreeSet<LinkId> { fleet.asked.iter().copied().filter(|id| id % 2 == 1).collect() };
    let first = fleet.round();
    assert_eq!((fleet.asked.len(), first.down(&fleet.links)), (12, BTreeSet::new()));
    let second = fleet.round();
    assert_eq!((fleet.asked.len(), ssh(&fleet), second.down(&fleet.links)), (6, BTreeSet::new(), BTreeSet::new()));
    // The round that sees it cannot use what was proven before, and the next one asks.
    fleet.boots.insert(2, "b".to_owned());
    let of_the_third = |link: &Link| link.from == Place::Host(name(2)) || link.to_host == Some(name(2));
    let its: BTreeSet<LinkId> = (0..12).filter(|id| id % 2 == 1 && of_the_third(&fleet.links[*id])).collect();
    assert_eq!(fleet.round().unasked, its);
    assert_eq!((fleet.round().down(&fleet.links), ssh(&fleet)), (BTreeSet::new(), its));
    // For a new proof nothing counts that was seen before.
    fleet.asking.begin(&fleet.links, Continuity::Anew);
    fleet.round();
    assert_eq!(fleet.asked.len(), 12);
}

#[test]
fn what_was_not_heard_is_down_only_where_both_ends_kept_up_with_the_round() {
    let mut fleet = Fleet::of(3);
    fleet.round();
    // From the first to the second host, and from the third to the first.
    fleet.silent = BTreeSet::from([0, 8]);
    let round = fleet.round();
    assert_eq!((fleet.down(&round), round.unmeasured), (BTreeSet::from([0, 8]), BTreeSet::new()));
    assert_eq!(fleet.asking.groups(), 1);
    fleet.late.insert(1);
    let round = fleet.round();
    assert_eq!((fleet.down(&round), round.unmeasured), (BTreeSet::from([8]), BTreeSet::from([0])));
    // Each such round halves what is asked at once, as long as that can help.
    let groups: Vec<usize> = (0..3)
        .map(|_| {
            fleet.round();
            fleet.asking.groups()
        })
        .collect();
    assert_eq!(groups, [4, 8, 8]);
    // What it does hear counts all the same.
    fleet.silent.clear();
    assert_eq!(fleet.round().down(&fleet.links), BTreeSet::new());
}

#[test]
fn a_large_mesh_is_asked_in_shares_and_all_of_it_in_a_few_rounds() {
    let mut fleet = Fleet::of(24);
    let mut rounds = 0;
    loop {
        let round = fleet.round();
        rounds += 1;
        let count = |of: &dyn Fn(&Link) -> bool| fleet.asked.iter().filter(|id| of(&fleet.links[**id])).count();
        for at in 0..24 {
            assert!(count(&|link| link.from == Place::Host(name(at))) <= 20);
            assert!(count(&|link| link.to_host == Some(name(at))) <= 20);
            let connects = |link: &Link| matches!(link.probe, Probe::Ssh { .. }) && link.to_host == Some(name(at));
            assert!(count(&connects) <= 8);
        }
        assert_eq!(fleet.down(&round), BTreeSet::new());
        if round.unasked.is_empty() {
            break;
        }
    }
    assert!(rounds <= 4, "{rounds}");
    // One that is down is asked again in the very next round, before all others.
    fleet.silent = (0..10).collect();
    let down: BTreeSet<LinkId> = (0..4)
        .flat_map(|_| {
            let round = fleet.round();
            fleet.down(&round)
        })
        .collect();
    fleet.round();
    assert!(down.iter().all(|id| fleet.asked.contains(id)) && !down.is_empty(), "{down:?}");
}

#[test]
fn a_link_of_a_large_mesh_is_down_when_it_has_missed_two_probes_in_a_row() {
    let mut fleet = Fleet::of(11);
    while !fleet.round().unasked.is_empty() {}
    // A ping that is asked in each round; the first one is lost.
    fleet.silent = BTreeSet::from([0]);
    let round = fleet.round();
    assert_eq!((&round.missed, round.is_open(0)), (&fleet.silent, true));
    let round = fleet.round();
    assert!(round.missed.is_empty() && !round.is_open(0) && !round.answer(0).is_up());
    // It came back, and misses one more.
    fleet.silent.clear();
    assert!(fleet.round().missed.is_empty());
    fleet.silent.insert(0);
    assert_eq!(fleet.round().missed, fleet.silent);
    // A host that is too slow in between has told nothing: it begins anew.
    fleet.late = BTreeSet::from([0]);
    assert!(fleet.round().unmeasured.contains(&0));
    fleet.late.clear();
    assert_eq!(fleet.round().missed, fleet.silent);
    // Where each round asks every link, one miss is down, as it is seen in each of three rounds.
    let mut small = Fleet::of(10);
    small.silent = BTreeSet::from([0]);
    let round = small.round();
    assert!(round.missed.is_empty() && !round.is_open(0));
}

#[test]
fn a_link_whose_sshd_lets_nobody_in_just_now_is_open_with_its_reason_and_is_asked_again() {
    let mut fleet = Fleet::of(2);
    fleet.busy = BTreeSet::from([1]);
    let round = fleet.round();
    assert!(round.is_open(1) && fleet.down(&round).is_empty());
    assert_eq!(round.answer(1), &LinkAnswer::Down { why: "Not allowed at this time".to_owned() });
    fleet.busy.clear();
    assert!(fleet.round().answer(1).is_up());
    // What was known of it counts no more.
    fleet.boots.insert(1, "b".to_owned());
    fleet.round();
    fleet.busy = BTreeSet::from([1]);
    assert!(fleet.round().is_open(1));
}

#[test]
fn every_link_of_a_large_mesh_has_had_its_turn_after_so_many_rounds() {
    for hosts in [2, 11, 24, 60, 120] {
        let mut fleet = Fleet::of(hosts);
        let turns = turns(&fleet.links);
        let mut rounds = 1;
        while !fleet.round().unasked.is_empty() {
            rounds += 1;
        }
        assert!(turns <= rounds && rounds <= turns + turns / 2 + 1, "{hosts} hosts: {rounds} rounds, {turns} turns");
    }
}

/// The rounds before anything changed tell the two apart.
#[test]
fn a_host_that_lets_no_ping_come_to_itself_is_not_late_for_that_and_one_that_did_is() {
    let of = |mute: bool| {
        let mut fleet = Fleet::of(3);
        fleet.is_only_the_ping_late = true;
        if mute {
            fleet.mute.insert(1);
        }
        fleet.round();
        fleet.asking.begin(&fleet.links, Continuity::Anew);
        if !mute {
            fleet.late.insert(1);
        }
        fleet.silent = (0..fleet.links.len()).filter(|id| fleet.links[*id].from == Place::Host(name(1))).collect();
        let silent = fleet.silent.clone();
        let round = fleet.round();
        let down = fleet.down(&round);
        (round.unmeasured, down, silent)
    };
    let (unmeasured, down, silent) = of(true);
    assert_eq!((unmeasured, down), (BTreeSet::new(), silent));
    let (unmeasured, _, silent) = of(false);
    assert_eq!(unmeasured, silent);
}

#[test]
fn a_large_mesh_is_asked_once_by_rounds_that_are_alike_and_then_again_by_its_pings() {
    let mut fleet = Fleet::of(24);
    let mut asked = Vec::new();
    for _ in 0..3 {
        fleet.round();
        let begin_at =
            |at: usize| fleet.asked.iter().filter(|id| fleet.links[**id].from == Place::Host(name(at))).count();
        assert!((0..24).all(|at| (14..=16).contains(&begin_at(at))));
        asked.extend(fleet.asked.iter().copied());
    }
    asked.sort_unstable();
    assert_eq!(asked, (0..fleet.links.len()).collect::<Vec<LinkId>>());
    let round = fleet.round();
    assert_eq!((fleet.asked.len(), round.down(&fleet.links)), (24 * 20, BTreeSet::new()));
    assert!(fleet.asked.iter().all(|id| !connects(&fleet.links[*id])));
}

#[test]
fn after_the_boot_defaults_have_moved_each_ping_of_a_large_mesh_is_asked_and_one_connection_into_each_host() {
    let mut fleet = Fleet::of(24);
    while !fleet.round().unasked.is_empty() {}
    fleet.asking.begin(&fleet.links, Continuity::KeepsConnections);
    let mut asked = BTreeSet::new();
    for _ in 0..2 {
        assert!(!asked.is_superset(&(0..fleet.links.len()).step_by(2).collect()));
        fleet.round();
        asked.extend(fleet.asked.iter().copied());
    }
    assert_eq!(fleet.round().down(&fleet.links), BTreeSet::new());
    let (connections, pings): (Vec<LinkId>, Vec<LinkId>) = asked.iter().partition(|id| connects(&fleet.links[**id]));
    assert_eq!(pings.len(), 24 * 23);
    let into: BTreeSet<Option<HostName>> = connections.iter().map(|id| fleet.links[*id].to_host.clone()).collect();
    assert_eq!((connections.len(), into.len()), (24, 24));
    // Where an end has changed since, none of its connections stands.
    fleet.asking.begin(&fleet.links, Continuity::KeepsConnections);
    fleet.boots.insert(5, "b".to_owned());
    let mut asked = BTreeSet::new();
    while !fleet.round().unasked.is_empty() {
        asked.extend(fleet.asked.iter().copied());
    }
    asked.extend(fleet.asked.iter().copied());
    let of_it = |id: &LinkId| fleet.links[*id].hosts().any(|host| *host == name(5));
    let its: BTreeSet<LinkId> = (0..fleet.links.len()).filter(of_it).collect();
    assert!(asked.is_superset(&its));
    // A small mesh is looked at as a whole.
    let mut fleet = Fleet::of(3);
    fleet.round();
    fleet.asking.begin(&fleet.links, Continuity::KeepsConnections);
    fleet.round();
    assert_eq!(fleet.asked.len(), 12);
}

#[test]
fn what_is_down_in_a_large_mesh_keeps_nothing_else_from_being_asked_again() {
    let mut fleet = Fleet::of(12);
    // A host that is off, as the others see it.
    fleet.silent = (0..fleet.links.len()).filter(|id| fleet.links[*id].to_host == Some(name(3))).collect();
    let mut last = BTreeMap::new();
    let mut left = turns(&fleet.links) + 1;
    while !fleet.round().unasked.is_empty() {
        left -= 1;
    }
    assert!(left > 0);
    for round in 0..9 {
        fleet.round();
        last.extend(fleet.asked.iter().map(|id| (*id, round)));
    }
    let pings = (0..fleet.links.len()).filter(|id| !connects(&fleet.links[*id]));
    assert!(pings.map(|id| last[&id]).min() >= Some(6), "{last:?}");
}
