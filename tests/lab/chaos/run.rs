//! One run: a push, something done to it, the wait for the guards, `recover`, and the look whether all of it held.

use std::time::{Duration, Instant};

use fleetdeploy::event::line::Line;
use fleetdeploy::event::{Event, Outcome, Phase};
use serde::Serialize;

use crate::chaos::invariants::{New, Side, Truth};
use crate::chaos::records::{Records, Watch};
use crate::chaos::report::Row;
use crate::chaos::spec::{Injection, Moment, Push, Recoverer, Spec};
use crate::chaos::world::{inject, mend};
use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::pushed::{Pushed, Pushing};

/// Recoveries in a row until one has nothing left to do: one that finds a host still rebooting, one that goes on from
/// there, and one that only looks.
pub(super) const RECOVERIES: usize = 4;

/// Short times: a dead push is over in a minute, and a machine that runs two fleets keeps up.
pub(super) const INVENTORY: Inventory = Inventory {
    defaults: "user: root",
    guard: "50s",
    settle: "8s",
    steady: "0s",
    boot_time: "20s",
    limits: "{connect: 6s, step: 6s, test: 8s, switch: 6s, rollback: 10s}",
    hosts: &[],
    checks: "- vpn: mesh",
    source: "flake: .",
};

/// So that at the decision less is left of the guards than the rest may need: they are extended first. Without that a
/// decision takes no longer than its entry, and nothing that is done to a push ever meets it.
const LATE_FOR_THE_REST: Inventory =
    Inventory { limits: "{connect: 3s, step: 6s, test: 5s, switch: 6s, rollback: 16s}", ..INVENTORY };

/// What came of a run: a line of the results.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Came {
    #[serde(flatten)]
    pub(super) spec: Spec,
    /// Where the push was when it was done to it; `ended` when it had no such phase.
    pub(super) phase_hit: &'static str,
    pub(super) push_ended: Ended,
    pub(super) recoveries: Vec<Ended>,
    pub(super) outcome: String,
    pub(super) seconds: u64,
    pub(super) violations: Vec<String>,
}

/// How a command ended.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Ended {
    by: String,
    /// Absent when it was killed.
    pub(super) exit: Option<i32>,
    outcome: Option<Outcome>,
    seconds: u64,
}

impl Ended {
    pub(super) fn of(by: &str, pushed: &Pushed) -> Self {
        let outcome = pushed.events().find_map(|event| match event {
            Event::Finished { outcome, .. } => Some(*outcome),
            _ => None,
        });
        Self { by: by.to_owned(), exit: pushed.status, outcome, seconds: pushed.took.as_secs() }
    }
}

impl Row for Came {
    fn seed(&self) -> u64 {
        self.spec.seed
    }

    fn words(&self) -> String {
        let spec = &self.spec;
        format!(
            "{:?} to {} of {}, {} ({}) in {}: {}, {} s",
            spec.push,
            spec.changed.len(),
            spec.hosts.len(),
            spec.injection.words(),
            spec.victim,
            self.phase_hit,
            self.outcome,
            self.seconds,
        )
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl Came {
    /// Of a run that could not be brought to its end.
    pub(super) fn broken(spec: &Spec, why: &str) -> Self {
        let push_ended = Ended { by: "push".to_owned(), exit: None, outcome: None, seconds: 0 };
        let (outcome, violations) = ("BROKEN".to_owned(), vec![format!("the run could not be ended: {why}")]);
        let spec = spec.clone();
        Self { spec, phase_hit: "ended", push_ended, recoveries: Vec::new(), outcome, seconds: 0, violations }
    }
}

/// Takes the fleet through a run. A panic is the harness's, or a host that does not come up any more.
pub(super) fn run(fleet: &mut Fleet, spec: &Spec) -> Came {
    let start = Instant::now();
    fleet.forget_logs();
    fleet.look();
    let records = Records::from_now_on(fleet);
    let parameters = fleet.ws("cat params.json");
    prepare(fleet, spec);

    let watch = Watch::over(fleet, spec.hosts, &records);
    let push = fleet.start(&["homelab"]);
    let hit = reached(&push, spec);
    let phase_hit = if hit { phase_now(&push.lines(), spec.changed.len()) } else { "ended" };
    let mut under_way = Vec::new();
    if hit {
        inject(fleet, spec, &push);
        if spec.injection == Injection::Asleep {
            under_way.push(("recover on laptop2, the push asleep", recover_on(fleet, "laptop2").ended()));
            push.signal("CONT");
        }
    }
    let pushed = push.ended();
    let mut violations: Vec<String> = watch.ended().into_iter().collect();
    let new = planned(&pushed);
    let truth = Truth { fleet, spec, new: &new };
    let killed = hit && matches!(spec.injection, Injection::Kill | Injection::KillTwice);
    if !killed {
        violations.extend(truth.of_claim("the push", &pushed));
    }
    mend(fleet, spec);

    let mut recoveries = Vec::new();
    if killed {
        if !spec.at_once {
            violations.extend(truth.wait_for_rest().err());
        }
        if spec.injection == Injection::KillTwice {
            let recovery = recover_on(fleet, "laptop");
            std::thread::sleep(Duration::from_millis(spec.lasts_ms));
            recovery.signal("KILL");
            recoveries.push(Ended::of("laptop, killed", &recovery.ended()));
        }
        under_way.extend(first_recovery(fleet, spec.recoverer));
    }
    for (by, recovered) in &under_way {
        recoveries.push(Ended::of(by, recovered));
        violations.extend(truth.of_claim(by, recovered));
    }
    let (last, wrong) = recovered_to_the_end(&truth);
    recoveries.extend(last);
    violations.extend(wrong);
    let (side, wrong) = truth.at_rest(&records);
    violations.extend(wrong);
    violations.extend(unexpected(spec, hit, &pushed));

    if side != Side::New {
        fleet.write("params.json", &parameters);
    }
    let push_ended = Ended::of("push", &pushed);
    let outcome = outcome(side, &push_ended, &recoveries, killed);
    Came {
        spec: spec.clone(),
        phase_hit,
        push_ended,
        recoveries,
        outcome,
        seconds: start.elapsed().as_secs(),
        violations,
    }
}

/// The parameters of the hosts' next systems; what a run that was rolled back has set is taken back after it, or its
/// systems would be pushed to the next one's witnesses.
fn prepare(fleet: &Fleet, spec: &Spec) {
    fleet.write_inventory(if spec.moment == Moment::Decide { &LATE_FOR_THE_REST } else { &INVENTORY });
    for host in &spec.changed {
        for (key, _) in Push::ALL.iter().flat_map(|push| push.fault()) {
            fleet.set(host, key, "null");
        }
        fleet.set(host, "version", &format!("\"chaos{}\"", spec.seed));
    }
    for (key, value) in spec.push.fault() {
        fleet.set(spec.faulty, key, value);
    }
}

/// Waits for the run's moment; `false` when the push has ended without it.
fn reached(push: &Pushing, spec: &Spec) -> bool {
    if spec.injection == Injection::Nothing {
        return false;
    }
    let has_begun = |lines: &[Line]| {
        let phase = match spec.moment {
            Moment::CleanUp => return all_disarmed(lines, spec.changed.len()),
            Moment::Build => Phase::Build,
            Moment::Survey => Phase::Survey,
            Moment::Copy => Phase::Copy,
            Moment::Baseline => Phase::Baseline,
            Moment::Arm => Phase::Arm,
            Moment::Test => Phase::Test,
            Moment::Verify => Phase::Verify,
            Moment::Decide => Phase::Decide,
            Moment::Switch => Phase::Switch,
            Moment::Disarm => Phase::Disarm,
            Moment::RollBack => Phase::RollBack,
        };
        lines.iter().any(|line| matches!(line.event, Event::PhaseStarted { phase: begun } if begun == phase))
    };
    push.until_lines(has_begun) && {
        std::thread::sleep(Duration::from_millis(spec.delay_ms));
        !push.lines().iter().any(|line| matches!(line.event, Event::Finished { .. }))
    }
}

fn all_disarmed(lines: &[Line], hosts: usize) -> bool {
    lines.iter().filter(|line| matches!(line.event, Event::GuardDisarmed { .. })).count() >= hosts
}

/// The phase that a push is in, by what it has said. Build and survey go on side by side.
fn phase_now(lines: &[Line], changed: usize) -> &'static str {
    let latest = lines.iter().rev().find_map(|line| match line.event {
        Event::PhaseStarted { phase } => Some(phase),
        _ => None,
    });
    let is_built = lines.iter().any(|line| matches!(line.event, Event::HostDone { phase: Phase::Build, .. }));
    let surveyed =
        lines.iter().filter(|line| matches!(line.event, Event::HostDone { phase: Phase::Survey, .. })).count();
    match latest {
        None => "before",
        Some(Phase::Build | Phase::Survey) if surveyed < 2 || is_built => "survey",
        Some(Phase::Build | Phase::Survey) => "build",
        Some(Phase::Disarm) if all_disarmed(lines, changed) => "clean up",
        Some(phase) => phase.word(),
    }
}

/// The systems that were to be brought, as the push itself has said.
fn planned(pushed: &Pushed) -> New {
    let hosts = pushed.events().find_map(|event| match event {
        Event::Planned { hosts } => Some(hosts),
        _ => None,
    });
    let hosts = hosts.into_iter().flatten().filter(|host| host.changes);
    hosts.map(|host| (host.host.to_string(), host.new.to_string())).collect()
}

fn recover_on(fleet: &Fleet, workstation: &str) -> Pushing {
    fleet.start_recover(workstation, &["homelab"])
}

fn first_recovery(fleet: &Fleet, recoverer: Recoverer) -> Vec<(&'static str, Pushed)> {
    let workstations: &[&'static str] = match recoverer {
        Recoverer::Same => return Vec::new(),
        Recoverer::Other => &["laptop2"],
        Recoverer::Both => &["laptop", "laptop2"],
    };
    let begun: Vec<Pushing> = workstations.iter().map(|workstation| recover_on(fleet, workstation)).collect();
    workstations.iter().copied().zip(begun.into_iter().map(Pushing::ended)).collect()
}

/// `recover` on the workstation of the push, again until it has nothing left to do.
fn recovered_to_the_end(truth: &Truth) -> (Vec<Ended>, Vec<String>) {
    let (mut recoveries, mut violations) = (Vec::new(), Vec::new());
    for _ in 0..RECOVERIES {
        let recovered = recover_on(truth.fleet, "laptop").ended();
        recoveries.push(Ended::of("laptop", &recovered));
        violations.extend(truth.of_claim("recover", &recovered));
        violations.extend(truth.wait_for_rest().err());
        if recovered.status == Some(0) {
            return (recoveries, violations);
        }
    }
    violations.push(format!("after {RECOVERIES} recoveries there is still something to recover: {recoveries:?}"));
    (recoveries, violations)
}

/// A push that nothing was done to ends as it was made to.
fn unexpected(spec: &Spec, hit: bool, pushed: &Pushed) -> Option<String> {
    let expected = if spec.push.is_good() { Some(0) } else { Some(1) };
    let undisturbed = spec.injection == Injection::Nothing && !hit;
    (undisturbed && pushed.status != expected)
        .then(|| format!("{:?} on {} ended with {:?}", spec.push, spec.faulty, pushed.status))
}

/// In the words of the table: what the push said, and where that left the fleet, what has led out of it.
fn outcome(side: Side, push: &Ended, recoveries: &[Ended], killed: bool) -> String {
    let recovered = |wanted| recoveries.iter().any(|ended| ended.exit.is_some() && ended.outcome == Some(wanted));
    let after = match side {
        Side::New if recovered(Outcome::Committed) => "finished by `recover`",
        Side::New => "committed",
        Side::Old if recovered(Outcome::RolledBack) => "rolled back by `recover`",
        Side::Old => "old",
        Side::Neither => "BROKEN",
    };
    match push.outcome {
        Some(Outcome::Split) => format!("split; {after}"),
        Some(outcome) if !killed => serde_json::to_value(outcome).unwrap().as_str().unwrap().replace('_', " "),
        _ => format!("dead; {after}"),
    }
}
