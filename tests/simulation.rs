//! A seeded world of simulated hosts runs the real driver and decider through whatever goes wrong: see
//! docs/simulation.md.
//!
//! `FLEETDEPLOY_SEED=N cargo test --test simulation` replays one seed with its log;
//! `FLEETDEPLOY_RUNS=N cargo test --release --test simulation` runs more of them.

#![expect(clippy::print_stderr, reason = "a failing seed says what happened")]

#[path = "simulation/chance.rs"]
mod chance;
#[path = "simulation/checks.rs"]
mod checks;
#[path = "support/clock.rs"]
mod clock;
#[path = "simulation/fleet.rs"]
mod fleet;
#[path = "simulation/host.rs"]
mod host;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/scenario.rs"]
mod scenario;
#[path = "simulation/station.rs"]
mod station;
#[path = "simulation/works.rs"]
mod works;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use host::Mistake;
use run::simulate;

/// What CI runs; `FLEETDEPLOY_RUNS` asks for another number.
const RUNS: u64 = 400;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs seeds on all cores until one fails or all are through: the lowest that failed, and how the others ended.
fn search(first: u64, runs: u64, mistake: Option<Mistake>) -> (Option<u64>, BTreeMap<String, u64>) {
    let (next, failed) = (AtomicU64::new(first), AtomicU64::new(u64::MAX));
    let ends = Mutex::new(BTreeMap::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut mine: BTreeMap<String, u64> = BTreeMap::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + runs || failed.load(Ordering::Relaxed) < seed {
                        break;
                    }
                    let report = simulate(seed, mistake, false);
                    if !report.violations.is_empty() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                    let end = report.outcome.map_or_else(|| report.ends.to_owned(), |outcome| format!("{outcome:?}"));
                    *mine.entry(end).or_default() += 1;
                }
                let mut ends = ends.lock().expect("nobody panics here");
                for (end, count) in mine {
                    *ends.entry(end).or_default() += count;
                }
            });
        }
    });
    let failed = failed.into_inner();
    ((failed != u64::MAX).then_some(failed), ends.into_inner().expect("nobody panics here"))
}

fn replay(seed: u64) {
    let report = simulate(seed, None, true);
    eprintln!("{}", report.log);
    assert!(
        report.violations.is_empty(),
        "seed {seed}:\n{}\nreplay it with FLEETDEPLOY_SEED={seed} cargo test --test simulation",
        report.violations.join("\n")
    );
}

#[test]
fn nothing_that_goes_wrong_breaks_what_must_always_hold() {
    if let Some(seed) = number("FLEETDEPLOY_SEED") {
        return replay(seed);
    }
    let first = number("FLEETDEPLOY_FIRST").unwrap_or(0);
    let (failed, ends) = search(first, number("FLEETDEPLOY_RUNS").unwrap_or(RUNS), None);
    eprintln!("{ends:?}");
    if let Some(seed) = failed {
        replay(seed);
        panic!("seed {seed} failed, and does not when it is run again: the simulation itself is not repeatable");
    }
}

/// A check that cannot fail proves nothing: each of these must be found within so many seeds, on a seed that is fine
/// without it.
#[test]
fn every_seeded_mistake_is_found() {
    let mistakes = [
        (Mistake::GuardLeavesTheBootDefault, 2_000),
        (Mistake::DisarmStopsOnlyTheUnit, 100),
        (Mistake::LostReplyIsRefusal, 500),
    ];
    for (mistake, seeds) in mistakes {
        let (failed, _) = search(0, seeds, Some(mistake));
        let seed = failed.unwrap_or_else(|| panic!("{mistake:?} breaks nothing that is looked at"));
        let without = simulate(seed, None, false).violations;
        assert!(without.is_empty(), "seed {seed} fails also without {mistake:?}: {without:?}");
    }
}

/// Those that need a rare moment: too many seeds for every day.
#[test]
#[ignore = "minutes, unless it is built with --release"]
fn every_seeded_mistake_that_needs_a_rare_moment_is_found() {
    let rare =
        [Mistake::FenceWithoutGuard, Mistake::SilenceIsUp, Mistake::GuardLeavesTheStep, Mistake::ClockStandsStill];
    for mistake in rare {
        let (failed, _) = search(0, 60_000, Some(mistake));
        let seed = failed.unwrap_or_else(|| panic!("{mistake:?} breaks nothing that is looked at"));
        let without = simulate(seed, None, false).violations;
        assert!(without.is_empty(), "seed {seed} fails also without {mistake:?}: {without:?}");
    }
}
