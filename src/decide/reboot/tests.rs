use pretty_assertions::assert_eq;

use super::trial::{TrialAnswer, TrialSight};
use super::*;
use crate::decide::transaction::tests::{plan, system};
use crate::event::reason::Worded as _;
use crate::event::reason::any::AnyReason;
use crate::facts::links::{HostRound, LinkAnswer};
use crate::facts::systems::{BootLoader, Systems};
use crate::facts::trial::TrialStanding;

fn ids(places: &[usize]) -> BTreeSet<HostId> {
    places.iter().copied().map(HostId).collect()
}

/// Makes the facts of a host that stands on one system, and that no run holds.
pub(super) fn standing() -> Standing {
    let old = system("old");
    Standing {
        boot_id: "boot".into(),
        uptime: 5,
        systems: Systems::all(&old),
        booted: old,
        generation: 1,
        loader: BootLoader::Grub,
        next_boot: None,
        guard: GuardState::None,
        lease: None,
        rolling: None,
        jobs: BTreeMap::new(),
        failed_units: BTreeSet::new(),
        restarts: BTreeMap::new(),
        units: BTreeMap::new(),
        run_traces: None,
        fence: None,
        trial: TrialStanding::default(),
    }
}

/// As the host is after a good reboot.
fn back(plan: &Plan, place: usize) -> RebootInput {
    let host = HostId(place);
    let (systems, booted) = (plan.host(host).old.clone(), plan.host(host).old.boot_default.clone());
    let standing = Standing { boot_id: format!("again{place}"), systems, booted, ..standing() };
    RebootInput::Back { host, standing: Box::new(standing) }
}

/// Every link up, every host there; those of `again` on another boot.
fn good(plan: &Plan, again: &[usize]) -> Round {
    let hosts = plan.ids().map(|id| {
        let boot_id = if again.contains(&id.0) { format!("again{}", id.0) } else { plan.host(id).boot_id.clone() };
        (plan.host(id).name.clone(), HostRound { boot_id, ..HostRound::default() })
    });
    let up = LinkAnswer::Up { round_trip_us: None };
    Round {
        answers: (0..plan.links.len()).map(|link| (link, up.clone())).collect(),
        hosts: hosts.collect(),
        ..Round::default()
    }
}

fn fleet(hosts: usize) -> Arc<Plan> {
    let mut fleet = Plan::clone(&plan(hosts, 0));
    fleet.baseline = good(&fleet, &[]);
    Arc::new(fleet)
}

fn reboots(effects: &[RebootEffect]) -> Vec<usize> {
    let of = |effect: &RebootEffect| match effect {
        RebootEffect::Reboot(host) => Some(host.0),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// The hosts that are asked for their leases, and whether they are to be renewed.
fn asked(effects: &[RebootEffect]) -> Vec<(usize, bool)> {
    let of = |effect: &RebootEffect| match effect {
        RebootEffect::Hold { host, renews, .. } => Some((host.0, *renews)),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn give(rolling: &mut RollingReboot, input: RebootInput) -> Vec<RebootEffect> {
    let effects = rolling.handle(input);
    for effect in &effects {
        if let RebootEffect::Tell(event) = effect {
            crate::codes::keep(event);
        }
    }
    if is_over(&effects) {
        crate::codes::keep_judged(rolling.stopped().cloned());
        let wrong = rolling.ends().values().filter_map(|end| match end {
            HostEnd::Wrong { why } => Some(why.clone()),
            HostEnd::Rebooted | HostEnd::Refused { .. } | HostEnd::WentBack { .. } | HostEnd::NotBegun => None,
        });
        crate::codes::keep_judged(wrong);
    }
    effects
}

/// Every host that is asked gives its lease, until something else is to be done.
fn given(rolling: &mut RollingReboot, mut effects: Vec<RebootEffect>) -> Vec<RebootEffect> {
    let mut next = 0;
    while next < effects.len() {
        if let RebootEffect::Hold { host, .. } = effects[next] {
            effects.extend(give(rolling, RebootInput::Held { host }));
        }
        next += 1;
    }
    effects
}

fn start(rolling: &mut RollingReboot) -> Vec<RebootEffect> {
    let effects = rolling.start();
    given(rolling, effects)
}

fn prove(rolling: &mut RollingReboot, round: &Round) -> Vec<RebootEffect> {
    let mut effects = Vec::new();
    for _ in 0..ROUNDS {
        effects = give(rolling, RebootInput::RoundSeen { round: round.clone() });
    }
    given(rolling, effects)
}

fn is_over(effects: &[RebootEffect]) -> bool {
    effects.contains(&RebootEffect::Finish)
}

#[test]
fn hosts_behind_a_jump_come_before_it_and_never_beside_it() {
    // All are behind host0.
    let fleet = fleet(4);
    let shown = |sizes: &str| -> Vec<Vec<usize>> {
        let sizes: Vec<Size> = sizes.split(',').filter_map(|size| size.parse().ok()).collect();
        let all = waves(&fleet, &ids(&[0, 1, 2, 3]), &sizes, None, &ids(&[]));
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
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[], None);
    let effects = start(&mut rolling);
    let planned = effects.iter().find_map(|effect| match effect {
        RebootEffect::Tell(Event::WavesPlanned { waves }) => Some(waves.clone()),
        _ => None,
    });
    assert_eq!(planned, Some([1, 2, 0].map(|host| vec![fleet.host(HostId(host)).name.clone()]).to_vec()));
    assert_eq!(reboots(&effects), [1]);
    assert_eq!(reboots(&give(&mut rolling, back(&fleet, 1))), [0; 0]);
    let round = good(&fleet, &[1]);
    assert_eq!(reboots(&give(&mut rolling, RebootInput::RoundSeen { round: round.clone() })), [0; 0]);
    assert_eq!(reboots(&give(&mut rolling, RebootInput::RoundSeen { round: round.clone() })), [0; 0]);
    let proven = give(&mut rolling, RebootInput::RoundSeen { round });
    assert_eq!(reboots(&proven), [0; 0], "the leases are renewed first");
    assert_eq!(reboots(&given(&mut rolling, proven)), [2]);
    let _ = give(&mut rolling, back(&fleet, 2));
    assert_eq!(reboots(&prove(&mut rolling, &good(&fleet, &[1, 2]))), [0]);
    let _ = give(&mut rolling, back(&fleet, 0));
    assert!(is_over(&prove(&mut rolling, &good(&fleet, &[0, 1, 2]))));
    assert!(rolling.ends().values().all(|end| *end == HostEnd::Rebooted));
}

#[test]
fn a_lost_host_stops_it_there() {
    let fleet = fleet(3);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[], None);
    let _ = start(&mut rolling);
    let effects = give(&mut rolling, RebootInput::Lost { host: HostId(1), why: AnyReason::without_code("gone") });
    assert!(is_over(&effects) && reboots(&effects).is_empty());
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    assert_eq!(ends, [HostEnd::NotBegun, HostEnd::Wrong { why: AnyReason::without_code("gone") }, HostEnd::NotBegun]);
}

#[test]
fn a_host_that_comes_up_on_something_else_or_did_not_reboot_stops_it() {
    let fleet = fleet(2);
    let wrong = |change: &dyn Fn(&mut Standing)| {
        let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1]), &[], None);
        let _ = start(&mut rolling);
        let RebootInput::Back { host, mut standing } = back(&fleet, 1) else { unreachable!() };
        change(&mut standing);
        is_over(&give(&mut rolling, RebootInput::Back { host, standing }))
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
        let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1]), &[], None);
        let _ = start(&mut rolling);
        let _ = give(&mut rolling, back(&fleet, 1));
        assert!(!is_over(&prove(&mut rolling, &round)), "{says}");
        let _ = give(&mut rolling, RebootInput::SettleElapsed { wave: 0 });
        let effects = give(&mut rolling, RebootInput::RoundSeen { round });
        assert!(is_over(&effects) && reboots(&effects).is_empty(), "{says}");
        let HostEnd::Wrong { why } = &rolling.ends()[&HostId(1)] else { panic!("{says}") };
        assert!(why.to_string().contains(says), "{why}");
    }
}

#[test]
fn what_was_down_before_is_not_asked_for() {
    let mut broken = Plan::clone(&fleet(2));
    broken.baseline.answers.insert(0, LinkAnswer::Unknown);
    let broken = Arc::new(broken);
    let mut rolling = RollingReboot::new(Arc::clone(&broken), &ids(&[1]), &[], None);
    let _ = start(&mut rolling);
    let _ = give(&mut rolling, back(&broken, 1));
    let mut round = good(&broken, &[1]);
    round.answers.insert(0, LinkAnswer::Unknown);
    assert!(is_over(&prove(&mut rolling, &round)));
    assert_eq!(rolling.ends()[&HostId(1)], HostEnd::Rebooted);
}

/// No link of it can hold while the other is away: it is not called rebooted, and the time for links is not waited for.
#[test]
fn beside_a_lost_host_of_its_wave_no_host_is_called_proven() {
    let fleet = fleet(3);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[Size::Hosts(2)], None);
    assert_eq!(reboots(&start(&mut rolling)), [1, 2]);
    let _ = give(&mut rolling, back(&fleet, 1));
    let effects = give(&mut rolling, RebootInput::Lost { host: HostId(2), why: AnyReason::without_code("gone") });
    assert!(is_over(&effects) && reboots(&effects).is_empty(), "{effects:?}");
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    let [not_proven, gone] = [RollingReason::LinksNotProven.into(), AnyReason::without_code("gone")];
    assert_eq!(ends, [HostEnd::NotBegun, HostEnd::Wrong { why: not_proven }, HostEnd::Wrong { why: gone }]);
}

/// A round without an answer proves nothing: it is waited for until the time is over, and then it is no proof.
#[test]
fn a_link_that_nobody_could_measure_after_a_reboot_is_not_taken_for_up() {
    let fleet = fleet(2);
    let mut open = good(&fleet, &[1]);
    open.answers.insert(0, LinkAnswer::Unknown);
    open.unmeasured.insert(0);
    let begun = || {
        let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1]), &[], None);
        let _ = start(&mut rolling);
        let _ = give(&mut rolling, back(&fleet, 1));
        assert!(!is_over(&prove(&mut rolling, &open)), "it is asked again");
        rolling
    };
    let mut rolling = begun();
    let _ = give(&mut rolling, RebootInput::SettleElapsed { wave: 0 });
    assert!(is_over(&give(&mut rolling, RebootInput::RoundSeen { round: open.clone() })));
    let HostEnd::Wrong { why } = &rolling.ends()[&HostId(1)] else { panic!("{:?}", rolling.ends()) };
    let link = link_text(&fleet.links[0]);
    let wrong = vec![Regression::LinkNotMeasuredAfterReboot { link }];
    assert_eq!(*why, RollingReason::NotAllAsBefore { wrong }.into());
    // In time it counts neither way.
    assert_eq!(reboots(&prove(&mut begun(), &good(&fleet, &[1]))), [0]);
}

/// Of thousands of links that are asked in turn one always loses a packet.
#[test]
fn a_large_meshs_link_that_has_missed_one_probe_when_the_time_is_over_is_asked_once_more() {
    let mut fleet = Plan::clone(&fleet(2));
    fleet.links.iter_mut().for_each(|link| link.shared = true);
    let fleet = Arc::new(fleet);
    let mut missed = good(&fleet, &[1]);
    missed.answers.insert(0, LinkAnswer::Down { why: "no answer".to_owned() });
    let down = missed.clone();
    missed.missed.insert(0);
    let begun = || {
        let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1]), &[], None);
        let _ = start(&mut rolling);
        let _ = give(&mut rolling, back(&fleet, 1));
        let effects = give(&mut rolling, RebootInput::SettleElapsed { wave: 0 });
        assert!(effects.iter().any(|effect| matches!(effect, RebootEffect::Expect { wave: 0 })), "{effects:?}");
        assert!(!is_over(&give(&mut rolling, RebootInput::RoundSeen { round: missed.clone() })));
        rolling
    };
    assert_eq!(reboots(&prove(&mut begun(), &good(&fleet, &[1]))), [0]);
    let ends_as_down = |rolling: &RollingReboot| {
        let HostEnd::Wrong { why } = &rolling.ends()[&HostId(1)] else { panic!("{:?}", rolling.ends()) };
        let wrong = vec![Regression::LinkDownAfterReboot { link: link_text(&fleet.links[0]) }];
        assert_eq!(*why, RollingReason::NotAllAsBefore { wrong }.into());
    };
    let mut rolling = begun();
    assert!(is_over(&give(&mut rolling, RebootInput::RoundSeen { round: down })), "down twice in a row");
    ends_as_down(&rolling);
    // One that never holds ends it all the same.
    let mut rolling = begun();
    let more = (0..100).take_while(|_| !is_over(&give(&mut rolling, RebootInput::RoundSeen { round: missed.clone() })));
    assert_eq!(more.count(), 29);
    ends_as_down(&rolling);
    // And one whose rounds are long, when the time is over once more: the next one decides.
    let mut rolling = begun();
    assert!(!is_over(&give(&mut rolling, RebootInput::SettleElapsed { wave: 0 })));
    assert!(is_over(&give(&mut rolling, RebootInput::RoundSeen { round: missed.clone() })));
    ends_as_down(&rolling);
}

#[test]
fn ctrl_c_begins_no_further_host_and_waits_for_the_one_under_way() {
    let fleet = fleet(2);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1]), &[], None);
    let _ = start(&mut rolling);
    assert!(!is_over(&give(&mut rolling, RebootInput::CancelRequested(Signal::Sigint))));
    let _ = give(&mut rolling, back(&fleet, 1));
    assert!(is_over(&prove(&mut rolling, &good(&fleet, &[1]))));
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    assert_eq!((ends, rolling.interrupted()), (vec![HostEnd::NotBegun, HostEnd::Rebooted], Some(Signal::Sigint)));
}

#[test]
fn a_host_that_says_no_stops_it_and_its_neighbours_of_the_wave_are_proven() {
    let fleet = fleet(3);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[Size::Hosts(2)], None);
    assert_eq!(reboots(&start(&mut rolling)), [1, 2]);
    let _ = give(&mut rolling, RebootInput::Refused { host: HostId(1), why: AnyReason::without_code("busy") });
    let _ = give(&mut rolling, back(&fleet, 2));
    assert!(is_over(&prove(&mut rolling, &good(&fleet, &[2]))));
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    assert_eq!(ends, [HostEnd::NotBegun, HostEnd::Refused { why: AnyReason::without_code("busy") }, HostEnd::Rebooted]);
}

#[test]
fn no_host_is_rebooted_before_every_host_is_held_and_the_first_by_machine_id_is_asked_alone() {
    let fleet = fleet(3);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[1]), &[], None);
    let first = rolling.start();
    let by_machine_id = |host: &HostId| fleet.host(*host).machine_id.clone();
    let meeting_point = fleet.ids().min_by_key(by_machine_id).unwrap();
    assert_eq!(asked(&first), [(meeting_point.0, false)]);
    let others: Vec<HostId> = fleet.ids().filter(|host| *host != meeting_point).collect();
    let rest = give(&mut rolling, RebootInput::Held { host: meeting_point });
    assert_eq!(asked(&rest), others.iter().map(|host| (host.0, false)).collect::<Vec<_>>(), "witnesses too");
    assert_eq!(give(&mut rolling, RebootInput::Held { host: others[0] }), []);
    let renewed = give(&mut rolling, RebootInput::Held { host: others[1] });
    assert_eq!(asked(&renewed), [(0, true), (1, true), (2, true)]);
    assert_eq!(give(&mut rolling, RebootInput::Held { host: HostId(0) }), []);
    assert_eq!(give(&mut rolling, RebootInput::Held { host: HostId(2) }), []);
    let reboot = give(&mut rolling, RebootInput::Held { host: HostId(1) });
    let written =
        reboot.iter().position(|effect| matches!(effect, RebootEffect::Record(RebootEntry::Rebooting { .. })));
    let told = reboot.iter().position(|effect| *effect == RebootEffect::Reboot(HostId(1)));
    assert!(written.unwrap() < told.unwrap(), "{reboot:?}");
}

#[test]
fn where_one_host_cannot_be_held_none_is_and_none_is_rebooted() {
    let fleet = fleet(3);
    for refuses in 0..3 {
        let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[], None);
        let mut effects = rolling.start();
        let mut next = 0;
        while next < effects.len() {
            if let RebootEffect::Hold { host, renews, .. } = effects[next] {
                assert!(!renews, "{refuses}");
                let no = RebootInput::NotHeld {
                    host,
                    cause: AnyReason::without_code("run r-2 of bob@desktop holds this host"),
                };
                let answer = if host.0 == refuses { no } else { RebootInput::Held { host } };
                effects.extend(give(&mut rolling, answer));
            }
            next += 1;
        }
        let everybody_asked: BTreeSet<HostId> = asked(&effects).into_iter().map(|(host, _)| HostId(host)).collect();
        assert!(effects.ends_with(&[RebootEffect::LetGo(everybody_asked), RebootEffect::Finish]), "{effects:?}");
        assert_eq!(reboots(&effects), [0; 0]);
        let hosts = vec![fleet.host(HostId(refuses)).name.clone()];
        assert_eq!(rolling.stopped(), Some(&RollingReason::HostsNotHeld { hosts }));
    }
}

#[test]
fn a_rolling_reboot_that_was_ended_from_elsewhere_begins_no_further_host() {
    let fleet = fleet(3);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1, 2]), &[], None);
    let _ = start(&mut rolling);
    let _ = give(&mut rolling, back(&fleet, 1));
    for _ in 0..ROUNDS {
        let effects = give(&mut rolling, RebootInput::RoundSeen { round: good(&fleet, &[1]) });
        // On the boot that it came back on.
        let is_of_1 = |effect: &&RebootEffect| matches!(effect, RebootEffect::Hold { host: HostId(1), .. });
        for effect in effects.iter().filter(is_of_1) {
            let boot_id = "again1".to_owned();
            assert_eq!(*effect, RebootEffect::Hold { host: HostId(1), boot_id, renews: true, for_a_trial: false });
        }
    }
    let _ = give(
        &mut rolling,
        RebootInput::NotHeld { host: HostId(0), cause: AnyReason::without_code("it was ended from elsewhere") },
    );
    let _ = give(&mut rolling, RebootInput::Held { host: HostId(1) });
    let effects = give(&mut rolling, RebootInput::Held { host: HostId(2) });
    assert!(effects.ends_with(&[RebootEffect::LetGo(ids(&[0, 1, 2])), RebootEffect::Finish]), "{effects:?}");
    assert_eq!(reboots(&effects), [0; 0]);
    let ends: Vec<HostEnd> = rolling.ends().values().cloned().collect();
    assert_eq!(ends, [HostEnd::NotBegun, HostEnd::Rebooted, HostEnd::NotBegun]);
    assert!(matches!(rolling.stopped(), Some(RollingReason::HostsNotHeldLonger { .. })));
}

#[test]
fn without_its_record_no_host_is_rebooted() {
    let fleet = fleet(2);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1]), &[], None);
    let effects = start(&mut rolling);
    assert!(effects.iter().any(|effect| matches!(effect, RebootEffect::Record(_))));
    let effects = give(&mut rolling, RebootInput::RecordFailed { error: "disk full".into() });
    assert_eq!(effects, [RebootEffect::LetGo(ids(&[0, 1])), RebootEffect::Finish]);
    assert!(rolling.away().is_empty() && rolling.ends().values().all(|end| *end == HostEnd::NotBegun));
}

#[test]
fn ctrl_c_while_the_leases_are_taken_reboots_no_host() {
    let fleet = fleet(2);
    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[0, 1]), &[], None);
    let first = rolling.start();
    let _ = give(&mut rolling, RebootInput::CancelRequested(Signal::Sigint));
    let effects = given(&mut rolling, first);
    assert!(is_over(&effects) && reboots(&effects).is_empty(), "{effects:?}");
}

#[test]
fn the_machine_that_it_runs_on_goes_last_and_alone() {
    let fleet = fleet(4);
    let shown = |own: usize, selected: &[usize], sizes: &[Size]| -> Vec<Vec<usize>> {
        let all = waves(&fleet, &ids(selected), sizes, Some(HostId(own)), &ids(&[]));
        all.iter().map(|wave| wave.iter().map(|host| host.0).collect()).collect()
    };
    // All are behind host0.
    assert_eq!(shown(2, &[0, 1, 2, 3], &[]), [vec![1], vec![3], vec![0], vec![2]]);
    assert_eq!(shown(2, &[0, 1, 2, 3], &[Size::Hosts(9)]), [vec![1, 3], vec![0], vec![2]]);
    assert_eq!(shown(0, &[0, 1], &[Size::Hosts(9)]), [vec![1], vec![0]]);
    assert_eq!(shown(2, &[0, 1], &[]), [vec![1], vec![0]], "it is not to be rebooted");

    let mut rolling = RollingReboot::new(Arc::clone(&fleet), &ids(&[1, 2]), &[], Some(HostId(2)));
    let _ = start(&mut rolling);
    assert!(!rolling.is_going_down());
    let _ = give(&mut rolling, back(&fleet, 1));
    assert_eq!(reboots(&prove(&mut rolling, &good(&fleet, &[1]))), [2]);
    assert!(rolling.is_going_down());
}

/// Of three hosts, all behind host0, these are to be tried.
fn trying(fleet: &Arc<Plan>, selected: &[usize], tried: &[usize], sizes: &[Size]) -> RollingReboot {
    let of = |host: usize| {
        let tried = system("new");
        let plan = TrialPlan {
            run: "r-1".into(),
            boot_id: format!("boot{host}"),
            booted: system("booted"),
            before: tried.clone(),
            tried,
        };
        (HostId(host), plan)
    };
    let tried = tried.iter().copied().map(of).collect();
    RollingReboot::trying(Arc::clone(fleet), &ids(selected), sizes, None, tried)
}

fn orders(effects: &[RebootEffect]) -> Vec<TrialOrder> {
    let of = |effect: &RebootEffect| match effect {
        RebootEffect::Try { order, .. } => Some(order.clone()),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn tried(rolling: &mut RollingReboot, host: usize, input: TrialInput) -> Vec<RebootEffect> {
    let boot_id = matches!(input, TrialInput::LoggedIn(_)).then(|| format!("again{host}"));
    give(rolling, RebootInput::Tried { host: HostId(host), input, boot_id })
}

fn done(rolling: &mut RollingReboot, host: usize, order: TrialOrder) -> Vec<RebootEffect> {
    tried(rolling, host, TrialInput::Answered { order, answer: TrialAnswer::Done })
}

/// From its first order to the order to prove.
fn to_the_proof(rolling: &mut RollingReboot, host: usize) -> Vec<RebootEffect> {
    let in_trial = || TrialSight::InTrial { is_alive: true, lacks: None };
    let _ = done(rolling, host, TrialOrder::Arm);
    let go = done(rolling, host, TrialOrder::Register);
    let name = rolling.plan.host(HostId(host)).name.clone();
    // The record says it before the host is told.
    let last = [
        RebootEffect::Record(RebootEntry::Trying { host: name }),
        RebootEffect::Try { host: HostId(host), order: TrialOrder::Go },
    ];
    assert!(go.ends_with(&last), "{go:?}");
    let _ = done(rolling, host, TrialOrder::Go);
    let _ = tried(rolling, host, TrialInput::Seen(in_trial()));
    tried(rolling, host, TrialInput::LoggedIn(in_trial()))
}

fn back_on_old(rolling: &mut RollingReboot, host: usize) -> Vec<RebootEffect> {
    let effects = tried(rolling, host, TrialInput::Seen(TrialSight::BackOnOld { trace: None }));
    let [clean] = &orders(&effects)[..] else { panic!("{effects:?}") };
    done(rolling, host, clean.clone())
}

#[test]
fn a_host_that_is_tried_is_alone_in_its_wave_and_all_are_held_for_as_long_as_that_may_take() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[0, 1, 2], &[1], &[Size::Hosts(9)]);
    let first = rolling.start();
    let waves: Vec<Vec<HostId>> = rolling.waves.clone();
    assert_eq!(waves, [vec![HostId(1)], vec![HostId(2)], vec![HostId(0)]]);
    let effects = given(&mut rolling, first);
    let for_a_trial = effects.iter().filter_map(|effect| match effect {
        RebootEffect::Hold { renews, for_a_trial, .. } => Some((*renews, *for_a_trial)),
        _ => None,
    });
    assert!(for_a_trial.clone().all(|(renews, for_a_trial)| renews == for_a_trial));
    assert_eq!(for_a_trial.filter(|(_, for_a_trial)| *for_a_trial).count(), 3, "the others' holds, too");
    assert_eq!((reboots(&effects), orders(&effects)), (vec![], vec![TrialOrder::Arm]));
    assert!(!effects.iter().any(|effect| matches!(effect, RebootEffect::Record(_))));
}

/// A person who wants several at a time must hear that it takes longer.
#[test]
fn it_is_said_where_trials_make_more_waves_than_were_asked_for() {
    let fleet = fleet(4);
    let all = ids(&[1, 2, 3]);
    let said = |sizes: &[Size], tried: &[usize]| tried_one_by_one(&fleet, &all, sizes, None, &ids(tried));
    assert_eq!(said(&[Size::Hosts(3)], &[]), None);
    assert_eq!(said(&[], &[1, 2]), None, "one at a time, as ever");
    let hosts = [1, 2].map(|host| fleet.host(HostId(host)).name.clone()).to_vec();
    let told = said(&[Size::Hosts(3)], &[1, 2]);
    crate::codes::keep_judged(told.clone());
    assert_eq!(told, Some(TryingReason::TriedOneByOne { hosts, waves: 3, untried: 1 }));
}

#[test]
fn the_next_host_waits_until_the_one_that_is_tried_is_kept_and_cleaned() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let _ = start(&mut rolling);
    let probes = to_the_proof(&mut rolling, 1);
    assert!(probes.contains(&RebootEffect::Probe { after_a_pause: false }), "{probes:?}");
    assert_eq!(orders(&prove(&mut rolling, &good(&fleet, &[1]))), [TrialOrder::Keep]);
    assert_eq!(orders(&done(&mut rolling, 1, TrialOrder::Keep)), [TrialOrder::End]);
    let clean = TrialOrder::Clean { why: String::new() };
    assert_eq!(orders(&done(&mut rolling, 1, TrialOrder::End)), std::slice::from_ref(&clean));
    assert_eq!(rolling.ends()[&HostId(1)], HostEnd::NotBegun, "not yet");
    let renewed = done(&mut rolling, 1, clean);
    assert_eq!(rolling.ends()[&HostId(1)], HostEnd::Rebooted);
    // On the boot that it was logged into; the next one is rebooted as ever.
    let held = RebootEffect::Hold { host: HostId(1), boot_id: "again1".into(), renews: true, for_a_trial: false };
    assert!(renewed.contains(&held), "{renewed:?}");
    assert_eq!(reboots(&given(&mut rolling, renewed)), [2]);
}

#[test]
fn a_host_that_went_back_stops_it_there() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[1, 2], &[1, 2], &[]);
    let _ = start(&mut rolling);
    let _ = to_the_proof(&mut rolling, 1);
    let mut lame = good(&fleet, &[1]);
    lame.answers.insert(0, LinkAnswer::Down { why: "no".into() });
    assert!(orders(&prove(&mut rolling, &lame)).is_empty(), "links may still come up");
    let _ = give(&mut rolling, RebootInput::SettleElapsed { wave: 0 });
    assert_eq!(orders(&give(&mut rolling, RebootInput::RoundSeen { round: lame })), [TrialOrder::Fire]);
    let _ = done(&mut rolling, 1, TrialOrder::Fire);
    let over = back_on_old(&mut rolling, 1);
    assert!(is_over(&over) && reboots(&over).is_empty(), "{over:?}");
    let HostEnd::WentBack { why } = &rolling.ends()[&HostId(1)] else { panic!("{:?}", rolling.ends()) };
    assert!(why.to_string().contains("ping"), "{why}");
    assert_eq!(rolling.ends()[&HostId(2)], HostEnd::NotBegun);
    assert!(rolling.trial().is_none() && rolling.away().is_empty());
}

#[test]
fn a_round_that_comes_after_a_signal_keeps_nothing() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let _ = start(&mut rolling);
    let _ = to_the_proof(&mut rolling, 1);
    assert_eq!(orders(&give(&mut rolling, RebootInput::CancelRequested(Signal::Sigint))), [TrialOrder::Fire]);
    assert!(orders(&prove(&mut rolling, &good(&fleet, &[1]))).is_empty());
    let _ = done(&mut rolling, 1, TrialOrder::Fire);
    assert!(is_over(&back_on_old(&mut rolling, 1)));
    assert!(matches!(rolling.ends()[&HostId(1)], HostEnd::WentBack { .. }));
}

#[test]
fn a_trial_that_cannot_be_recorded_is_turned_back_and_no_host_is_begun_any_more() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let _ = start(&mut rolling);
    let _ = done(&mut rolling, 1, TrialOrder::Arm);
    let _ = done(&mut rolling, 1, TrialOrder::Register);
    // The order to go was dropped with the entry.
    let effects = give(&mut rolling, RebootInput::RecordFailed { error: "disk full".into() });
    assert_eq!(orders(&effects), [TrialOrder::Fire]);
    let _ = done(&mut rolling, 1, TrialOrder::Fire);
    let effects = tried(&mut rolling, 1, TrialInput::Seen(TrialSight::OldAtRest { restored: true }));
    assert_eq!(orders(&effects), [TrialOrder::Clean { why: String::new() }]);
    let over = done(&mut rolling, 1, TrialOrder::Clean { why: String::new() });
    assert!(is_over(&over) && reboots(&over).is_empty(), "{over:?}");
    assert!(matches!(rolling.stopped(), Some(RollingReason::RebootNotRecorded { .. })));
    assert!(rolling.ends().values().all(|end| *end == HostEnd::NotBegun));
}

/// `register` has looked, moved nothing, and cannot try it; then all of it is cleaned.
fn cannot_try(rolling: &mut RollingReboot, cleaned: TrialAnswer) -> Vec<RebootEffect> {
    let why = AnyReason::without_code("its line is too long");
    not_registered(rolling, TrialAnswer::CannotTry { why }, cleaned)
}

fn not_registered(rolling: &mut RollingReboot, register: TrialAnswer, cleaned: TrialAnswer) -> Vec<RebootEffect> {
    let answered = |order, answer| TrialInput::Answered { order, answer };
    let _ = start(rolling);
    let _ = done(rolling, 1, TrialOrder::Arm);
    let _ = tried(rolling, 1, answered(TrialOrder::Register, register));
    let _ = done(rolling, 1, TrialOrder::Fire);
    let effects = tried(rolling, 1, TrialInput::Seen(TrialSight::OldAtRest { restored: true }));
    let over = tried(rolling, 1, answered(orders(&effects)[0].clone(), cleaned));
    given(rolling, over)
}

#[test]
fn a_host_that_cannot_try_is_rebooted_as_without_trials() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let effects = cannot_try(&mut rolling, TrialAnswer::Done);
    assert_eq!((reboots(&effects), orders(&effects)), (vec![1], vec![]), "{effects:?}");
    let told = |effect: &RebootEffect| match effect {
        RebootEffect::Tell(Event::Warned { text, .. }) => text.code() == Some("rebooted-untried"),
        _ => false,
    };
    assert!(effects.iter().any(told), "{effects:?}");
    let wave = |effect: &RebootEffect| matches!(effect, RebootEffect::Tell(Event::WaveStarted { .. }));
    assert!(!effects.iter().any(wave), "its wave began before its trial: {effects:?}");
    let hosts = vec![fleet.host(HostId(1)).name.clone()];
    assert!(effects.contains(&RebootEffect::Record(RebootEntry::Rebooting { hosts })), "{effects:?}");
    let _ = give(&mut rolling, back(&fleet, 1));
    let next = prove(&mut rolling, &good(&fleet, &[1]));
    assert_eq!((reboots(&next), next.iter().filter(|effect| wave(effect)).count()), (vec![2], 1));
    assert_eq!(rolling.ends()[&HostId(1)], HostEnd::Rebooted);
}

#[test]
fn a_host_that_cannot_try_is_not_rebooted_where_that_would_bring_what_booted_last_or_something_is_left() {
    let fleet = fleet(3);
    let is_refused = |mut rolling: RollingReboot, cleaned| {
        let effects = cannot_try(&mut rolling, cleaned);
        assert!(is_over(&effects) && reboots(&effects).is_empty(), "{effects:?}");
        let HostEnd::Refused { why } = &rolling.ends()[&HostId(1)] else { panic!("{:?}", rolling.ends()) };
        crate::codes::keep_judged([why.clone()]);
        assert_eq!(why.code(), Some("cannot-try"));
        let told = RollingReason::HostNotRebooted { cause: why.clone() };
        assert!(told.mend().is_some_and(|mend| mend.contains("--no-trial")), "{told}");
    };
    let mut again = trying(&fleet, &[1, 2], &[1], &[]);
    again.tried.get_mut(&HostId(1)).expect("it is to be tried").before = system("booted");
    is_refused(again, TrialAnswer::Done);
    let why = AnyReason::without_code("busy");
    is_refused(trying(&fleet, &[1, 2], &[1], &[]), TrialAnswer::Failed { why });
    // Nor where a person wants no other reboot.
    is_refused(trying(&fleet, &[1, 2], &[1], &[]).only_tried(), TrialAnswer::Done);
}

#[test]
fn an_installer_that_fails_before_the_order_to_go_costs_the_trial_and_not_the_reboot() {
    let fleet = fleet(3);
    let failed = || TrialAnswer::Failed { why: AnyReason::without_code("the ESP is full") };
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let effects = not_registered(&mut rolling, failed(), TrialAnswer::Done);
    assert_eq!((reboots(&effects), orders(&effects)), (vec![1], vec![]), "{effects:?}");
    // Something of it may be left.
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let effects = not_registered(&mut rolling, failed(), failed());
    assert!(is_over(&effects) && reboots(&effects).is_empty(), "{effects:?}");
    // Nobody has heard what became of it.
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let silent = TrialAnswer::Unknown { why: AnyReason::without_code("silent") };
    let effects = not_registered(&mut rolling, silent, TrialAnswer::Done);
    assert!(is_over(&effects) && reboots(&effects).is_empty(), "{effects:?}");
}

#[test]
fn what_failed_before_the_order_to_go_and_was_put_back_was_not_rebooted() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[1, 2], &[1], &[]);
    let _ = start(&mut rolling);
    let why = AnyReason::without_code("the disk is full");
    let failed = TrialAnswer::Failed { why: why.clone() };
    let _ = tried(&mut rolling, 1, TrialInput::Answered { order: TrialOrder::Arm, answer: failed });
    let _ = done(&mut rolling, 1, TrialOrder::Fire);
    let effects = tried(&mut rolling, 1, TrialInput::Seen(TrialSight::OldAtRest { restored: true }));
    assert!(is_over(&done(&mut rolling, 1, orders(&effects)[0].clone())));
    assert_eq!(rolling.ends()[&HostId(1)], HostEnd::Refused { why });
}

#[test]
fn what_a_trial_may_have_left_is_said() {
    let fleet = fleet(3);
    let mut rolling = trying(&fleet, &[1], &[1], &[]);
    let _ = start(&mut rolling);
    let refused = || TrialAnswer::Refused { why: AnyReason::without_code("busy") };
    let answered = |order, answer| TrialInput::Answered { order, answer };
    let _ = tried(&mut rolling, 1, answered(TrialOrder::Arm, refused()));
    let _ = done(&mut rolling, 1, TrialOrder::Fire);
    let effects = tried(&mut rolling, 1, TrialInput::Seen(TrialSight::OldAtRest { restored: true }));
    let over = tried(&mut rolling, 1, answered(orders(&effects)[0].clone(), refused()));
    let told = |event: &RebootEffect| match event {
        RebootEffect::Tell(Event::Warned { text, .. }) => text.code().map(str::to_owned),
        _ => None,
    };
    assert_eq!(over.iter().filter_map(told).collect::<Vec<_>>(), ["trial-remains"]);
    assert!(is_over(&over));
    assert_eq!(rolling.ends()[&HostId(1)], HostEnd::Refused { why: AnyReason::without_code("busy") });
}
