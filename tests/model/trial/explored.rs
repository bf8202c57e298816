//! The explorations of a trial, small enough for every day.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use stateright::{Checker, CheckerVisitor, HasDiscoveries, Model, Path};

use super::host::{Cold, Firmware};
use super::properties::end_of;
use super::world::{ALL, Fault, Trials, World};
use crate::words::Sys;

pub(super) const COLDS: [Cold; 6] = [Cold::Good, Cold::Panics, Cold::Hangs, Cold::Mute, Cold::Lame, Cold::Bare];
const FIRMWARES: [Firmware; 3] = [Firmware::Takes, Firmware::Forgets, Firmware::Keeps];

pub(super) fn trials(kinds: &[Fault], faults: u8, deaths: u8) -> Trials {
    Trials {
        colds: COLDS.to_vec(),
        firmwares: FIRMWARES.to_vec(),
        befores: vec![Sys::New, Sys::Old],
        kinds: kinds.to_vec(),
        faults,
        deaths,
        mistake: None,
    }
}

/// Collects what was said in the ends.
#[derive(Debug, Clone, Default)]
struct Ends(Arc<Mutex<BTreeSet<String>>>);

impl CheckerVisitor<Trials> for Ends {
    fn visit(&self, _: &Trials, path: Path<World, super::world::Action>) {
        if let Some(said) = end_of(path.last_state()) {
            self.0.lock().unwrap().insert(format!("{said:?}"));
        }
    }
}

fn explore(name: &str, trials: Trials, says: &[&str]) {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let checker = trials.clone().checker().threads(threads).finish_when(HasDiscoveries::Any).spawn_dfs().join();
    let said = format!(
        "{name}: {} states, {} of them different, depth {}, {:?}\n",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed()
    );
    std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
    if let Some((property, path)) = checker.discoveries().into_iter().next() {
        let steps: Vec<String> =
            path.into_vec().iter().map(|(world, action)| format!("{:?}\n  {action:?}", world.host)).collect();
        let last = checker.discoveries().into_iter().next().map(|(_, path)| format!("{:#?}", path.last_state().past));
        panic!("{name}: {property}:\n{}\n{last:?}", steps.join("\n"));
    }
    if !says.is_empty() {
        let ends = Ends::default();
        let _ = trials.checker().visitor(ends.clone()).spawn_dfs().join();
        let seen = ends.0.lock().unwrap();
        assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), says, "{name}");
    }
}

#[test]
fn a_trial_without_a_fault() {
    explore("1 trial, no fault", trials(&[], 0, 0), &["Rebooted", "WentBack", "Wrong"]);
}

#[test]
fn a_trial_and_a_workstation_that_dies() {
    explore("1 trial, 1 death", trials(&[], 0, 1), &[]);
}

#[test]
fn a_trial_and_any_one_fault() {
    explore("1 trial, any 1 fault", trials(&ALL, 1, 0), &["NotBegun", "Rebooted", "Refused", "WentBack", "Wrong"]);
}

#[test]
fn a_trial_any_one_fault_and_a_death() {
    explore("1 trial, any 1 fault, 1 death", trials(&ALL, 1, 1), &[]);
}
