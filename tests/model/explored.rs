//! The explorations: small ones for every day, and the large one by name.

use std::sync::Arc;
use std::time::Instant;

use fleetdeploy::decide::transaction::recover::Reached;
use stateright::{Checker, HasDiscoveries, Model};

use crate::faults::{ALL, ALL_AND_NEXT_BOOT, Budget, By, Fault, Typed, When};
use crate::host::Host;
use crate::station::Station;
use crate::words::{Places, in_turns, in_waves, plan};
use crate::world::{Action, Change, Fleet, To, World};

const CHANGES: [Change; 4] = [Change::Good, Change::CutsLinks, Change::CutsHosts, Change::Lasts];

fn fleet(hosts: usize, budget: Budget) -> Fleet {
    let changes = CHANGES.to_vec();
    Fleet {
        plan: plan(hosts, false),
        changes,
        budget,
        switch_back: false,
        foreign: false,
        mortal_from: Reached::Nothing,
        liar: None,
        mistake: None,
    }
}

/// One step of a way that breaks a property: where all stand, and what comes next.
fn step_of(world: &World, action: Option<Action>) -> String {
    let host = |(at, host): (usize, &Host)| {
        let Places { current, profile, boot } = host.on;
        let lease = host.lease.map(|lease| lease.epoch);
        format!(
            "  h{at} {current:?}/{profile:?}/{boot:?} boot {} {:?} {:?} lease {lease:?} fence {} mark {:?}",
            host.boot, host.token, host.guard, host.fence, host.mark
        )
    };
    let station = |(at, station): (usize, &Arc<Station>)| {
        let out: Vec<_> = station.out.iter().map(|out| out.as_ref().map(|out| (&out.step, &out.heard))).collect();
        format!("  s{at} epoch {} {out:?} {:?} {:?}", station.speaker.epoch, station.verdict, station.ends)
    };
    let hosts = world.hosts.iter().enumerate().map(host);
    let stations = world.stations.iter().enumerate().map(station);
    let lines: Vec<String> = hosts.chain(stations).chain([format!("{action:?}")]).collect();
    lines.join("\n")
}

/// Explores to the end, depth first: what waits to be looked at stays small.
fn explore(name: &str, fleet: Fleet) {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let checker = fleet.checker().threads(threads).finish_when(HasDiscoveries::Any).spawn_dfs().join();
    let said = format!(
        "{name}: {} states, {} of them different, depth {}, {:?}\n",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed()
    );
    std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
    if let Some((name, path)) = checker.discoveries().into_iter().next() {
        let steps: Vec<String> = path.into_vec().iter().map(|(world, action)| step_of(world, *action)).collect();
        panic!("{name}:\n{}", steps.join("\n"));
    }
}

#[test]
fn two_hosts_without_a_fault() {
    explore("2 hosts, no fault", fleet(2, Budget::of(&[], 0, 0)));
}

#[test]
fn two_hosts_and_rounds_that_could_not_be_carried_out() {
    explore("2 hosts, 2 blurred rounds", fleet(2, Budget::of(&[Fault::Blur], 2, 0)));
}

#[test]
fn two_hosts_of_a_large_mesh_and_misses() {
    let turns = |budget| Fleet { plan: in_turns(&plan(2, false)), ..fleet(2, budget) };
    explore("2 hosts, turns, 3 misses or blurred rounds", turns(Budget::of(&[Fault::Miss, Fault::Blur], 3, 0)));
    explore("2 hosts, turns, 1 miss, 1 death", turns(Budget::of(&[Fault::Miss], 1, 1)));
}

#[test]
fn two_hosts_and_a_workstation_that_dies() {
    explore("2 hosts, 1 death", fleet(2, Budget::of(&[], 0, 1)));
}

#[test]
fn two_hosts_and_somebody_elses_guard() {
    let budget = Budget::of(&[Fault::Loss], 1, 1);
    explore("2 hosts, 1 foreign, 1 loss, 1 death", Fleet { foreign: true, ..fleet(2, budget) });
}

#[test]
fn two_hosts_of_which_one_must_not_reboot() {
    // A guard that does not reboot cannot mend what only a reboot mends.
    let changes = vec![Change::Good, Change::CutsLinks, Change::CutsHosts];
    explore("2 hosts, switch-back, 1 death", Fleet { switch_back: true, changes, ..fleet(2, Budget::of(&[], 0, 1)) });
}

#[test]
fn two_hosts_one_behind_the_other() {
    explore("2 hosts, jump", Fleet { plan: plan(2, true), ..fleet(2, Budget::of(&[], 0, 0)) });
}

/// Tested host by host.
fn wave_by_wave(fleet: Fleet) -> Fleet {
    Fleet { plan: in_waves(&fleet.plan), ..fleet }
}

#[test]
fn two_hosts_in_two_waves_and_a_workstation_that_dies() {
    explore("2 waves, 1 death", wave_by_wave(fleet(2, Budget::of(&[], 0, 1))));
}

#[test]
fn two_hosts_in_two_waves_one_behind_the_other() {
    let jump = Fleet { plan: plan(2, true), ..fleet(2, Budget::of(&[], 0, 0)) };
    explore("2 waves, jump", wave_by_wave(jump));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_waves_any_fault_and_a_death() {
    explore("2 waves, any 1 fault, 1 death", wave_by_wave(fleet(2, Budget::of(&ALL, 1, 1))));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_waves_a_death_and_a_recovery_in_peace() {
    let budget = Budget::of(&[], 0, 1).recovered(None, When::InPeace);
    explore("2 waves, 1 death, then a recovery in peace", wave_by_wave(fleet(2, budget)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_waves_and_a_recovery_beside_a_push_that_sleeps() {
    let budget = Budget::of(&[], 0, 0).recovered(None, When::Asleep);
    explore("2 waves, a push that sleeps and a recovery beside it", wave_by_wave(fleet(2, budget)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn three_waves_and_a_death() {
    explore("3 waves, 1 death", wave_by_wave(fleet(3, Budget::of(&[], 0, 1))));
}

/// With one host that lies, once or twice, at any moment.
fn with_a_liar(fleet: Fleet) -> Fleet {
    Fleet { liar: Some(0), ..fleet }
}

#[test]
fn two_hosts_one_of_which_lies() {
    explore("2 hosts, 1 lies twice", with_a_liar(fleet(2, Budget::of(&[Fault::Lie], 2, 0))));
}

#[test]
fn two_hosts_whose_next_boot_a_person_sets() {
    explore("2 hosts, 1 next boot, 1 death", fleet(2, Budget::of(&[Fault::NextBoot], 1, 1)));
}

/// Any one of them may be named, silent or not.
#[test]
fn two_hosts_a_death_in_the_disarm_and_a_recovery_without_one_of_them() {
    let budget = Budget::of(&[], 0, 1).recovered(Some(By::Record), When::Dead).typed(Typed::Without);
    explore(
        "2 hosts, 1 death, a recovery without one",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_host_out_of_reach_a_death_in_the_disarm_and_a_recovery_without_one_host() {
    let budget = Budget::of(&[Fault::Cable], 1, 1).recovered(None, When::Dead).typed(Typed::Without);
    explore(
        "2 hosts, 1 cable, 1 death, a recovery without one",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
fn two_hosts_a_death_in_the_disarm_and_one_that_is_switched_by_hand() {
    let budget = Budget::of(&[Fault::ByHand], 1, 1).recovered(Some(By::Record), When::Dead);
    explore(
        "2 hosts, 1 switched by hand, 1 death in the disarm, a recovery",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_death_and_a_host_that_is_switched_by_hand() {
    let budget = Budget::of(&[Fault::ByHand], 1, 1).recovered(None, When::Dead);
    explore(
        "2 hosts, 1 switched by hand, 1 death, a recovery",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Decided, ..fleet(2, budget) },
    );
}

/// From the mark on, at any moment, wherever the host stands that was missing.
fn cleaned_up(name: &str, budget: Budget) {
    explore(name, Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) });
}

#[test]
fn two_hosts_a_death_in_the_disarm_a_recovery_without_one_of_them_and_a_push_that_cleans_up() {
    let budget = Budget::of(&[], 0, 1).recovered(Some(By::Hosts), When::Dead).typed(Typed::Without).cleaned_up();
    cleaned_up("2 hosts, 1 death in the disarm, a recovery without one, a clean-up", budget);
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_push_that_cleans_up_beside_a_second_recovery() {
    let budget = Budget::of(&[], 0, 1).recovered_twice(None, When::Dead).typed(Typed::Without).cleaned_up();
    cleaned_up("2 hosts, 1 death in the disarm, 2 recoveries without one or with all, a clean-up", budget);
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_push_that_cleans_up_beside_a_second_recovery_and_a_switch_by_hand_or_a_restart() {
    let faults = Budget::of(&[Fault::ByHand, Fault::Restart], 1, 1);
    let budget = faults.recovered_twice(Some(By::Hosts), When::Dead).typed(Typed::Without).cleaned_up();
    cleaned_up("the same from the hosts, 1 switched by hand or 1 restart", budget);
}

#[test]
fn two_hosts_a_death_in_the_disarm_and_somebody_who_forgets() {
    let budget = Budget::of(&[], 0, 1).recovered(None, When::Dead).typed(Typed::Forget);
    explore(
        "2 hosts, 1 death, forgotten",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_death_a_recovery_without_one_host_and_another_when_it_is_back() {
    let budget = Budget::of(&[Fault::Cable], 1, 1).recovered_twice(None, When::Dead).typed(Typed::Without);
    explore(
        "2 hosts, 1 cable, 1 death, 2 recoveries without one, or with all",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_push_that_sleeps_and_a_recovery_without_one_host() {
    let budget = Budget::of(&[], 0, 0).recovered(None, When::Asleep).typed(Typed::Without);
    explore(
        "2 hosts, a push that sleeps, a recovery without one",
        Fleet { changes: vec![Change::Good], ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_push_that_sleeps_and_somebody_who_forgets() {
    let budget = Budget::of(&[], 0, 0).recovered(None, When::Asleep).typed(Typed::Forget);
    explore("2 hosts, a push that sleeps, forgotten", Fleet { changes: vec![Change::Good], ..fleet(2, budget) });
}

/// From two workstations, beside a push that holds the third: none of them has its record.
fn each_without(first: usize, second: usize) {
    let each = [(By::Hosts, To::GoWithout(first)), (By::Hosts, To::GoWithout(second))];
    let budget = Budget::of(&[], 0, 0).recovered_twice(None, When::Asleep).typed(Typed::InTurn(each));
    explore(
        "2 hosts, a push that sleeps, 2 recoveries without one each",
        Fleet { changes: vec![Change::Good], ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_recoveries_without_the_first_and_the_second_host_beside_a_push_that_sleeps() {
    each_without(0, 1);
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_recoveries_without_the_second_and_the_first_host_beside_a_push_that_sleeps() {
    each_without(1, 0);
}

/// Any host, at any moment when the run does not hold it.
#[test]
fn two_hosts_a_death_in_the_disarm_and_a_later_run_on_one() {
    let budget = Budget::of(&[Fault::LaterRun], 1, 1).recovered(Some(By::Record), When::Dead);
    explore(
        "2 hosts, 1 later run, 1 death in the disarm, a recovery",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_death_and_a_later_run_on_one_host() {
    let budget = Budget::of(&[Fault::LaterRun], 1, 1).recovered(None, When::Dead);
    explore(
        "2 hosts, 1 later run, 1 death, a recovery",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Decided, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_later_run_and_two_recoveries_without_one_host_or_with_all() {
    let budget = Budget::of(&[Fault::LaterRun], 1, 1).recovered_twice(None, When::Dead).typed(Typed::Without);
    explore(
        "2 hosts, 1 later run, 1 death, 2 recoveries without one, or with all",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
fn two_hosts_a_death_in_the_disarm_and_one_that_is_installed_anew() {
    let budget = Budget::of(&[Fault::Anew], 1, 1).recovered(Some(By::Record), When::Dead);
    explore(
        "2 hosts, 1 installed anew, 1 death in the disarm, a recovery",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_death_and_a_host_that_is_installed_anew() {
    let budget = Budget::of(&[Fault::Anew], 1, 1).recovered(None, When::Dead).typed(Typed::Forget);
    explore(
        "2 hosts, 1 installed anew, 1 death, a recovery, or forgotten",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Decided, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_recovery_without_one_host_and_another_when_that_is_back_and_was_installed_anew() {
    let budget = Budget::of(&[Fault::Anew], 1, 1).recovered_twice(None, When::Dead).typed(Typed::Without);
    explore(
        "2 hosts, 1 installed anew, 1 death, 2 recoveries without one, or with all",
        Fleet { changes: vec![Change::Good], mortal_from: Reached::Disarming, ..fleet(2, budget) },
    );
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn three_hosts_one_of_which_lies() {
    explore("3 hosts, 1 lies twice", with_a_liar(fleet(3, Budget::of(&[Fault::Lie], 2, 0))));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_liar_a_death_and_a_recovery() {
    let budget = Budget::of(&[Fault::Lie], 2, 1).recovered(None, When::Dead);
    explore("2 hosts, 1 lies twice, 1 death, a recovery", with_a_liar(fleet(2, budget)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn a_liar_and_a_recovery_beside_a_push_that_sleeps() {
    // The push holds its workstation, with its record.
    let budget = Budget::of(&[Fault::Lie], 1, 0).recovered(Some(By::Hosts), When::Asleep);
    let good = Fleet { changes: vec![Change::Good], ..fleet(2, budget) };
    explore("2 hosts, 1 lies, a push that sleeps and a recovery beside it", with_a_liar(good));
}

/// By two people, beside the push; of the three one may die, or none.
fn two_at_once(first: By, second: By, deaths: u8) {
    let each = [(first, To::Recover), (second, To::Recover)];
    let budget = Budget::of(&[], 0, deaths).recovered_twice(None, When::Asleep).typed(Typed::InTurn(each));
    explore("2 hosts, 2 recoveries at any time", Fleet { changes: vec![Change::Good], ..fleet(2, budget) });
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_recoveries_at_once_of_whom_none_dies() {
    two_at_once(By::Hosts, By::Hosts, 0);
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_recoveries_at_once_from_the_hosts_alone() {
    two_at_once(By::Hosts, By::Hosts, 1);
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_recoveries_at_once_the_first_from_the_record() {
    two_at_once(By::Record, By::Hosts, 1);
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_recoveries_at_once_the_second_from_the_record() {
    two_at_once(By::Hosts, By::Record, 1);
}

macro_rules! explored {
    ($($name:ident: $hosts:expr, $faults:expr, $together:expr, $deaths:expr $(, $by:expr, $when:expr)?;)*) => {
        $(#[test]
        #[ignore = "minutes: run by name, with --release"]
        fn $name() {
            let budget = Budget::of($faults, $together, $deaths)$(.recovered($by, $when))?;
            explore(stringify!($name), fleet($hosts, budget));
        })*
    };
}

explored! {
    two_hosts_any_fault_and_a_death: 2, &ALL, 1, 1;
    any_fault_with_a_next_boot_and_a_death: 2, &ALL_AND_NEXT_BOOT, 1, 1;
    a_next_boot_a_restart_and_a_death: 2, &[Fault::NextBoot, Fault::Restart], 2, 1;
    a_next_boot_a_death_and_a_recovery: 2, &[Fault::NextBoot, Fault::Restart], 2, 1, None, When::Dead;
    a_host_that_one_workstation_cannot_reach: 2, &[Fault::Deaf], 1, 0, None, When::Asleep;
    // A failed arming and a copy of its command together: docs/model-checking.md, "Found".
    two_hosts_any_two_faults: 2, &ALL.map(|kind| if kind == Fault::Arming { Fault::Step } else { kind }), 2, 0;
    three_hosts_and_a_death: 3, &[], 0, 1;

    // Three hosts, by what goes wrong: all at once is too large.
    three_hosts_and_a_loss: 3, &[Fault::Loss], 1, 0;
    three_hosts_and_a_late_command: 3, &[Fault::Late], 1, 0;
    three_hosts_and_a_slow_reply: 3, &[Fault::Slow], 1, 0;
    three_hosts_and_a_denial: 3, &[Fault::Denial], 1, 0;
    three_hosts_and_a_restart: 3, &[Fault::Restart], 1, 0;
    three_hosts_and_a_guard_whose_time_is_up: 3, &[Fault::TimeUp], 1, 0;
    three_hosts_and_a_failed_step: 3, &[Fault::Step], 1, 0;
    three_hosts_and_a_failed_arming: 3, &[Fault::Arming], 1, 0;
    three_hosts_and_a_flap: 3, &[Fault::Flap], 1, 0;
    three_hosts_and_a_pulled_cable: 3, &[Fault::Cable], 1, 0;
    three_hosts_and_a_full_disk: 3, &[Fault::Disk], 1, 0;
    three_hosts_and_a_signal: 3, &[Fault::Signal], 1, 0;

    // Recoveries of a push that died.
    a_death_and_a_recovery_in_peace: 2, &[], 0, 1, None, When::InPeace;
    any_fault_a_death_and_a_recovery_in_peace: 2, &ALL, 1, 1, None, When::InPeace;
    any_fault_a_death_and_a_recovery_by_the_record: 2, &ALL, 1, 1, Some(By::Record), When::Dead;
    any_fault_a_death_and_a_recovery_by_the_hosts: 2, &ALL, 1, 1, Some(By::Hosts), When::Dead;
    a_death_and_a_recovery_that_dies_too: 2, &[], 0, 2, None, When::Dead;
    three_hosts_a_death_and_a_recovery_in_peace: 3, &[], 0, 1, None, When::InPeace;

    // Recoveries beside a push that only sleeps, or one that does not know that another coordinator took it for dead.
    asleep: 2, &[], 0, 0, None, When::Asleep;
    asleep_and_a_death: 2, &[], 0, 1, None, When::Asleep;
    asleep_and_a_loss: 2, &[Fault::Loss], 1, 0, None, When::Asleep;
    asleep_and_a_late_command: 2, &[Fault::Late], 1, 0, None, When::Asleep;
    asleep_and_a_slow_reply: 2, &[Fault::Slow], 1, 0, None, When::Asleep;
    asleep_and_a_denial: 2, &[Fault::Denial], 1, 0, None, When::Asleep;
    asleep_and_a_restart: 2, &[Fault::Restart], 1, 0, None, When::Asleep;
    asleep_and_a_guard_whose_time_is_up: 2, &[Fault::TimeUp], 1, 0, None, When::Asleep;
    asleep_and_a_failed_step: 2, &[Fault::Step], 1, 0, None, When::Asleep;
    asleep_and_a_failed_arming: 2, &[Fault::Arming], 1, 0, None, When::Asleep;
    asleep_and_a_flap: 2, &[Fault::Flap], 1, 0, None, When::Asleep;
    asleep_and_a_pulled_cable: 2, &[Fault::Cable], 1, 0, None, When::Asleep;
    asleep_and_a_full_disk: 2, &[Fault::Disk], 1, 0, None, When::Asleep;
    asleep_and_a_signal: 2, &[Fault::Signal], 1, 0, None, When::Asleep;
}
