//! Real fleets taken through pushes, good ones and bad ones, while something is done to them at a random moment; and
//! then every invariant (docs/design.md, "Invariants") asked of the hosts. See `scripts/chaos.sh` and `docs/chaos.md`.

mod invariants;
mod records;
mod report;
mod run;
mod spec;
mod trial;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::chaos::report::{Results, Row};
use crate::chaos::run::{Came, run};
use crate::chaos::spec::{BLOCK, Spec};
use crate::fleet::{Fleet, Setup};

/// The runs that `scripts/chaos.sh` asks for. Not among the tests that are always run: see `.config/nextest.toml`.
#[test]
#[ignore = "needs the lab, and to be told what to do: scripts/chaos.sh runs it"]
fn the_runs_that_were_asked_for() {
    let number =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}: see scripts/chaos.sh")).parse().unwrap();
    let (first, count, jobs): (u64, u64, u64) = (number("CHAOS_SEED"), number("CHAOS_RUNS"), number("CHAOS_JOBS"));
    let place = PathBuf::from(std::env::var("CHAOS_PLACE").unwrap());
    let results = Results::open(&place, std::env::var("CHAOS_RESUME").is_ok_and(|value| value == "yes"));
    let kind =
        if std::env::var("CHAOS_KIND").is_ok_and(|value| value == "trials") { Kind::Trials } else { Kind::Pushes };
    let todo: Vec<u64> = (first..first + count).filter(|seed| !results.has(*seed)).collect();
    eprintln!("{} runs to do, {} done already", todo.len(), count - todo.len() as u64);
    let violated = runs(kind, &todo, jobs, &results);
    results.write_table();
    assert_eq!(violated, 0, "runs with violations; see {}", place.display());
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_dies_in_the_switch_or_sleeps_through_a_recovery_breaks_nothing() {
    fixed(&[50, 3]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_dies_in_the_disarm_or_loses_a_cable_in_the_test_breaks_nothing() {
    fixed(&[38, 86]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_dies_while_it_arms_or_loses_a_host_in_the_test_breaks_nothing() {
    fixed(&[78, 107]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_to_a_container_that_dies_in_the_test_or_sleeps_in_the_switch_breaks_nothing() {
    fixed(&[24, 29]);
}

/// The handful that always runs. They share their hosts.
fn fixed(seeds: &[u64]) {
    let place = tempfile::tempdir().unwrap();
    let results = Results::open(place.path(), false);
    assert_eq!(run_block(Kind::Pushes, 0, seeds, &results), 0, "runs with violations; see above");
}

/// Blocks of seeds, which share their hosts, by as many jobs; answers how many runs had violations.
fn runs(kind: Kind, seeds: &[u64], jobs: u64, results: &Results) -> usize {
    let blocks = Mutex::new(seeds.chunk_by(|one, other| one / BLOCK == other / BLOCK));
    let violated = Mutex::new(0);
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let (blocks, violated) = (&blocks, &violated);
            scope.spawn(move || {
                loop {
                    let Some(block) = blocks.lock().unwrap().next() else { return };
                    let count = run_block(kind, job, block, results);
                    *violated.lock().unwrap() += count;
                }
            });
        }
    });
    violated.into_inner().unwrap()
}

/// A fleet is used again as long as it is clean.
fn run_block(kind: Kind, job: u64, seeds: &[u64], results: &Results) -> usize {
    let mut fleet: Option<Fleet> = None;
    let mut violated = 0;
    for seed in seeds {
        let came = catch_unwind(AssertUnwindSafe(|| kind.run(&mut fleet, job, *seed)));
        let came = came.unwrap_or_else(|panic| kind.broken(*seed, &words(panic.as_ref())));
        results.add(came.as_ref());
        if !came.violations().is_empty() {
            violated += 1;
            if let Some(fleet) = fleet.take() {
                keep(&results.place().join(seed.to_string()), &fleet);
            }
        }
    }
    violated
}

/// What a fleet is taken through.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Pushes,
    Trials,
}

impl Kind {
    fn run(self, fleet: &mut Option<Fleet>, job: u64, seed: u64) -> Box<dyn Row> {
        match self {
            Self::Pushes => {
                let spec = Spec::of(seed);
                Box::new(run(fleet.get_or_insert_with(|| boot(job, &spec)), &spec))
            }
            Self::Trials => Box::new(trial::run(fleet.get_or_insert_with(|| trial::boot(job, seed)), seed)),
        }
    }

    fn broken(self, seed: u64, why: &str) -> Box<dyn Row> {
        match self {
            Self::Pushes => Box::new(Came::broken(&Spec::of(seed), why)),
            Self::Trials => Box::new(trial::broken(seed, why)),
        }
    }
}

fn boot(job: u64, spec: &Spec) -> Fleet {
    Fleet::made(&format!("chaos{job}-{}", spec.seed), &Setup { hosts: spec.hosts, ..Setup::default() })
}

/// Everything that tells why, before the fleet is gone.
fn keep(place: &Path, fleet: &Fleet) {
    let kept = catch_unwind(AssertUnwindSafe(|| fleet.evidence()));
    std::fs::create_dir_all(place).unwrap();
    for (name, text) in kept.unwrap_or_default() {
        std::fs::write(place.join(name), text).unwrap();
    }
    for journal in records::journals(fleet.place()) {
        let run = journal.parent().and_then(Path::file_name).unwrap();
        let workstation = if journal.to_string_lossy().contains("/ws/laptop2/") { "laptop2" } else { "laptop" };
        std::fs::copy(&journal, place.join(format!("journal of {} on {workstation}", run.to_string_lossy()))).unwrap();
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
