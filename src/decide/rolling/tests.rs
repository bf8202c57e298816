use pretty_assertions::assert_eq;

use super::*;
use crate::decide::fact::{BootLoader, Systems};
use crate::decide::links::{HostRound, LinkAnswer};
use crate::decide::tests::{plan, system};

fn ids(places: &[usize]) -> BTreeSet<HostId> {
    places.iter().copied().map(HostId).collect()
}

/// As the host is after a good reboot.
fn back(plan: &Plan, place: usize) -> Input {
    let host = HostId(place);
    let standing = Standing {
        boot_id: format!("again{place}"),
        uptime: 5,
        systems: plan.host(host).old.clone(),
        booted: plan.host(host).old.boot_default.clone(),
        generation: 1,
        loader: BootLoader::Grub,
        next_boot: None,
        guard: GuardState::None,
        lease: None,
        jobs: BTreeMap::new(),
        failed_units: BTreeSet::new(),
        restarts: BTreeMap::new(),
        run_traces: None,
        fence: None,
    };
    Input::Back { host, standing: Box::new(standing) }
}

/// Every link up, every host there; those of `again` on another boot.
fn good(plan: &Plan, again: &[usize]) -> Round {
    let hosts = plan.ids().map(|id| {
        let boot_id = if again.contains(&id.0) { format!("again{}", id.0) } else { plan.host(id).boot_id.clone() };
        (plan.host(id).name.clone(), HostRound { boot_id, ..HostRound::default() })
    });
    let up = LinkAnswer::Up { round_trip_us: None };
    Round { answers: (0..plan.links.len()).map(|link| (link, up.clone())).collect(), hosts: hosts.collect() }
}

fn fleet(hosts: usize) -> Arc<Plan> {
    let mut fleet = Plan::clone(&plan(hosts, 0));
    fleet.baseline = good(&fleet, &[]);
    Arc::new(fleet)
}

fn reboots(effects: &[Effect]) -> Vec<usize> {
    let of = |effect: &Effect| match effect {
        Effect::Reboot(host) => Some(host.0),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn prove(rolling: &mut Rolling, round: &Round) -> Vec<Effect> {
    let mut effects = Vec::new();
    for _ in 0..ROUNDS {
        effects = rolling.handle(Input::RoundSeen { round: round.clone() });
    }
    effects
}

fn is_over(effects: &[Effect]) -> bool {
    effects.contains(&Effect::Finish)
}

#[test]
fn hosts_behind_a_jump_come_before_it_and_never_beside_it() {
    // All are behind host0.
    let fleet = fleet(4);
    let shown = |sizes: &str| -> Vec<Vec<usize>> {
        let sizes: Vec<Size> = sizes.split(',').filter_map(|size| size.parse().ok()).collect();
        let all = waves(&fleet, &ids(&[0, 1, 2, 3]), &sizes);
        all.iter().map(|wave| wave.iter().map(|host| host.0).collect()).collect()
    };
    assert_eq!(shown(""), [vec![1], vec![2], vec![3], vec![0]]);
    assert_eq!(shown("1"), [vec![1], vec![2], vec![3], vec![0]]);
    assert_eq!(shown("2"), [vec![1, 2], vec![3], vec![0]]);
    assert_eq!(shown("1,50%"), [vec![1], vec![2, 3], vec![0]]);
    assert_eq!(shown("2,1"), [vec![1, 2], vec![3], vec![0]]);
    assert_eq!(shown("25%"), [vec![1], vec![2], vec![3], vec![0]]);
    assert_eq!(shown("9"), [vec![1, 2, 3], vec![0]]);
}

#[test]
fn the_next_host_waits_until_the_one_before_is_proven_back() {
    let fleet = fleet(3);
    let mut rolling = Rolling::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[]);
    let effects = rolling.start();
    let planned = effects.iter().find_map(|effect| match effect {
        Effect::Tell(Event::WavesPlanned { waves }) => Some(waves.clone()),
        _ => None,
    });
    assert_eq!(planned, Some([1, 2, 0].map(|host| vec![fleet.host(HostId(host)).name.clone()]).to_vec()));
    assert_eq!(reboots(&effects), [1]);
    assert_eq!(reboots(&rolling.handle(back(&fleet, 1))), [0; 0]);
    let round = good(&fleet, &[1]);
    assert_eq!(reboots(&rolling.handle(Input::RoundSeen { round: round.clone() })), [0; 0]);
    assert_eq!(reboots(&rolling.handle(Input::RoundSeen { round: round.clone() })), [0; 0]);
    assert_eq!(reboots(&rolling.handle(Input::RoundSeen { round })), [2]);
    let _ = rolling.handle(back(&fleet, 2));
    assert_eq!(reboots(&prove(&mut rolling, &good(&fleet, &[1, 2]))), [0]);
    let _ = rolling.handle(back(&fleet, 0));
    assert!(is_over(&prove(&mut rolling, &good(&fleet, &[0, 1, 2]))));
    assert!(rolling.ends().values().all(|end| *end == HostEnd::Rebooted));
}

#[test]
fn a_lost_host_stops_it_there() {
    let fleet = fleet(3);
    let mut rolling = Rolling::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[]);
    let _ = rolling.start();
    let effects = rolling.handle(Input::Lost { host: HostId(1), why: "gone".into() });
    assert!(is_over(&effects) && reboots(&effects).is_empty());
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    assert_eq!(ends, [HostEnd::NotBegun, HostEnd::Wrong { why: "gone".into() }, HostEnd::NotBegun]);
}

#[test]
fn a_host_that_comes_up_on_something_else_or_did_not_reboot_stops_it() {
    let fleet = fleet(2);
    let wrong = |change: &dyn Fn(&mut Standing)| {
        let mut rolling = Rolling::new(Arc::clone(&fleet), &ids(&[0, 1]), &[]);
        let _ = rolling.start();
        let Input::Back { host, mut standing } = back(&fleet, 1) else { unreachable!() };
        change(&mut standing);
        is_over(&rolling.handle(Input::Back { host, standing }))
    };
    assert!(!wrong(&|_| ()));
    assert!(wrong(&|standing| standing.boot_id = "boot1".into()));
    assert!(wrong(&|standing| standing.booted = system("other")));
    assert!(wrong(&|standing| standing.systems = Systems::all(&system("other"))));
    assert!(wrong(&|standing| standing.guard = GuardState::Armed { run: "r".into(), deadline: 9 }));
}

#[test]
fn a_link_that_stays_down_a_unit_that_fails_and_a_silent_host_stop_it_when_the_time_is_over() {
    let fleet = fleet(2);
    let name = |place: usize| fleet.host(HostId(place)).name.clone();
    let mut down = good(&fleet, &[1]);
    down.answers.insert(0, LinkAnswer::Down { why: "no".into() });
    let mut failed = good(&fleet, &[1]);
    failed.hosts.get_mut(&name(1)).unwrap().failed_units.insert("app.service".into());
    let mut silent = good(&fleet, &[1]);
    silent.hosts.remove(&name(0));
    let mut again = good(&fleet, &[1]);
    again.hosts.get_mut(&name(1)).unwrap().boot_id = "thrice".into();
    for (round, says) in [(down, "ping"), (failed, "app.service"), (silent, "host0"), (again, "once more")] {
        let mut rolling = Rolling::new(Arc::clone(&fleet), &ids(&[0, 1]), &[]);
        let _ = rolling.start();
        let _ = rolling.handle(back(&fleet, 1));
        assert!(!is_over(&prove(&mut rolling, &round)), "{says}");
        let _ = rolling.handle(Input::SettleElapsed { wave: 0 });
        let effects = rolling.handle(Input::RoundSeen { round });
        assert!(is_over(&effects) && reboots(&effects).is_empty(), "{says}");
        let HostEnd::Wrong { why } = &rolling.ends()[&HostId(1)] else { panic!("{says}") };
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn what_was_down_before_is_not_asked_for() {
    let mut broken = Plan::clone(&fleet(2));
    broken.baseline.answers.insert(0, LinkAnswer::Unknown);
    let broken = Arc::new(broken);
    let mut rolling = Rolling::new(Arc::clone(&broken), &ids(&[1]), &[]);
    let _ = rolling.start();
    let _ = rolling.handle(back(&broken, 1));
    let mut round = good(&broken, &[1]);
    round.answers.insert(0, LinkAnswer::Unknown);
    assert!(is_over(&prove(&mut rolling, &round)));
    assert_eq!(rolling.ends()[&HostId(1)], HostEnd::Rebooted);
}

#[test]
fn ctrl_c_begins_no_further_host_and_waits_for_the_one_under_way() {
    let fleet = fleet(2);
    let mut rolling = Rolling::new(Arc::clone(&fleet), &ids(&[0, 1]), &[]);
    let _ = rolling.start();
    assert!(!is_over(&rolling.handle(Input::CancelRequested(Signal::Sigint))));
    let _ = rolling.handle(back(&fleet, 1));
    assert!(is_over(&prove(&mut rolling, &good(&fleet, &[1]))));
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    assert_eq!((ends, rolling.interrupted()), (vec![HostEnd::NotBegun, HostEnd::Rebooted], Some(Signal::Sigint)));
}

#[test]
fn a_host_that_says_no_stops_it_and_its_neighbours_of_the_wave_are_proven() {
    let fleet = fleet(3);
    let mut rolling = Rolling::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[Size::Hosts(2)]);
    assert_eq!(reboots(&rolling.start()), [1, 2]);
    let _ = rolling.handle(Input::Refused { host: HostId(1), why: "busy".into() });
    let _ = rolling.handle(back(&fleet, 2));
    assert!(is_over(&prove(&mut rolling, &good(&fleet, &[2]))));
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    assert_eq!(ends, [HostEnd::NotBegun, HostEnd::Refused { why: "busy".into() }, HostEnd::Rebooted]);
}
