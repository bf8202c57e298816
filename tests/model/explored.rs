//! The explorations: small ones for every day, and the large one by name.

use std::time::Instant;

use stateright::{Checker, Model};

use crate::faults::{ALL, Budget, Fault};
use crate::words::plan;
use crate::world::{Change, Fleet};

const CHANGES: [Change; 4] = [Change::Good, Change::CutsLinks, Change::CutsHosts, Change::Lasts];

fn fleet(hosts: usize, budget: Budget) -> Fleet {
    let changes = CHANGES.to_vec();
    Fleet { plan: plan(hosts, false), changes, budget, switch_back: false, foreign: false, mistake: None }
}

/// Explores to the end, depth first: what waits to be looked at stays small.
fn explore(name: &str, fleet: Fleet) {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let checker = fleet.checker().threads(threads).spawn_dfs().join();
    let said = format!(
        "{name}: {} states, {} of them different, depth {}, {:?}\n",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed()
    );
    std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
    if let Some((name, path)) = checker.discoveries().into_iter().next() {
        panic!("{name}: {:#?}", path.into_actions());
    }
}

#[test]
fn two_hosts_without_a_fault() {
    explore("2 hosts, no fault", fleet(2, Budget::of(&[], 0, 0)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_hosts_and_a_workstation_that_dies() {
    explore("2 hosts, 1 death", fleet(2, Budget::of(&[], 0, 1)));
}

#[test]
fn two_hosts_and_somebody_elses_guard() {
    let budget = Budget::of(&[Fault::Loss], 1, 1);
    explore("2 hosts, 1 foreign, 1 loss, 1 death", Fleet { foreign: true, ..fleet(2, budget) });
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_hosts_of_which_one_must_not_reboot() {
    // A guard that does not reboot cannot mend what only a reboot mends.
    let changes = vec![Change::Good, Change::CutsLinks, Change::CutsHosts];
    explore("2 hosts, switch-back, 1 death", Fleet { switch_back: true, changes, ..fleet(2, Budget::of(&[], 0, 1)) });
}

#[test]
fn two_hosts_one_behind_the_other() {
    explore("2 hosts, jump", Fleet { plan: plan(2, true), ..fleet(2, Budget::of(&[], 0, 0)) });
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_hosts_any_fault_and_a_death() {
    explore("2 hosts, 1 fault, 1 death", fleet(2, Budget::of(&ALL, 1, 1)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_hosts_a_death_and_a_recovery_in_peace() {
    explore("2 hosts, 1 death, 1 recovery", fleet(2, Budget::of(&[], 0, 1).recovered(1, false, true)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_hosts_a_push_that_sleeps_and_a_recovery() {
    explore("2 hosts, asleep, 1 recovery", fleet(2, Budget::of(&[], 0, 0).recovered(1, true, false)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn two_hosts_any_two_faults() {
    explore("2 hosts, 2 faults", fleet(2, Budget::of(&ALL, 2, 0)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn three_hosts_without_a_fault_and_a_death() {
    explore("3 hosts, 1 death", fleet(3, Budget::of(&[], 0, 1)));
}

#[test]
#[ignore = "minutes: run by name, with --release"]
fn three_hosts_and_any_fault() {
    explore("3 hosts, 1 fault", fleet(3, Budget::of(&ALL, 1, 0)));
}
