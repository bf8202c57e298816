//! Rolling reboots that try new systems, while something is done to them in one of the steps of a trial; and then the
//! rules of docs/trial-boots.md, asked of the hosts.

mod rest;
mod spec;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fleetdeploy::event::{Event, Outcome};
use serde::Serialize;

use rest::{Side, Systems, Truth, Watch, booted, hurry};
pub(super) use spec::Step;
use spec::{HOSTS, Spec, Tried, Victim};

use crate::chaos::report::Row;
use crate::chaos::run::{Ended, INVENTORY, RECOVERIES};
use crate::chaos::spec::{Injection, Recoverer};
use crate::fleet::{Fleet, Setup};
use crate::pushed::{Pushed, Pushing};

/// Where a boot starts it, and not where a switch does.
const FAILS_FROM_COLD: &str = "[Unit]\nConditionPathExists=!/run/warm\n[Service]\nType=oneshot\n\
                               RemainAfterExit=yes\nExecStart=/bin/false\n";

/// What came of a run: a line of the results.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Came {
    #[serde(flatten)]
    spec: Spec,
    /// The step in which it was done; `ended` where there was no such step.
    phase_hit: &'static str,
    run_ended: Option<Ended>,
    recoveries: Vec<Ended>,
    outcome: String,
    seconds: u64,
    violations: Vec<String>,
}

impl Row for Came {
    fn seed(&self) -> u64 {
        self.spec.seed
    }

    fn words(&self) -> String {
        format!(
            "{:?} on {}, {} ({:?}) in {}: {}, {} s",
            self.spec.tried,
            self.spec.changed.join(" and "),
            self.spec.injection.words(),
            self.spec.victim,
            self.phase_hit,
            self.outcome,
            self.seconds
        )
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

pub(super) fn broken(seed: u64, why: &str) -> Came {
    Came {
        spec: Spec::of(seed),
        phase_hit: "ended",
        run_ended: None,
        recoveries: Vec::new(),
        outcome: "BROKEN".to_owned(),
        seconds: 0,
        violations: vec![format!("the run could not be ended: {why}")],
    }
}

pub(super) fn boot(job: u64, seed: u64) -> Fleet {
    Fleet::made(&format!("chaost{job}-{seed}"), &Setup { hosts: &HOSTS, ..Setup::default() })
}

/// Takes the fleet through a run. A panic is the harness's, or a host that does not come up any more.
pub(super) fn run(fleet: &mut Fleet, seed: u64) -> Came {
    let start = Instant::now();
    let spec = Spec::of(seed);
    fleet.forget_logs();
    let mut violations = Vec::new();
    // Whatever the last run has left hinders no push.
    let pushed = prepare(fleet, &spec);
    if pushed.status != Some(0) {
        violations.push(format!("the push before it ended with {:?}: {}", pushed.status, pushed.words(None)));
    }
    fleet.look();
    let systems: BTreeMap<&'static str, Systems> = HOSTS
        .into_iter()
        .map(|host| (host, Systems { booted: booted(fleet, host), tried: fleet.before(host).profile.clone() }))
        .collect();
    if let Some(mode) = spec.tried.firmware() {
        fleet.host(spec.faulty, &format!("echo {mode} >/usr/lib/lab/firmware.d/one-shot"));
    }
    let truth = Truth { fleet, spec: &spec, systems: &systems };

    let watch = Watch::over(fleet, &systems);
    let run = fleet.start_any("laptop", &["reboot", "homelab", "--trial", "--on", &spec.changed.join(",")]);
    let hit = reached(&run, &spec);
    let phase_hit = if hit.is_some() { step_now(&run) } else { "ended" };
    let mut recoveries = Vec::new();
    if let Some(tried) = &hit {
        inject(fleet, &spec, &run, tried);
        if spec.injection == Injection::Asleep {
            let recovery = recover_on(fleet, "laptop2");
            recoveries.push(Ended::of("recover on laptop2, the run asleep", &hurried(fleet, recovery)));
            run.signal("CONT");
        }
    }
    let killed = hit.is_some() && matches!(spec.injection, Injection::Kill | Injection::KillTwice);
    let ended = run.ended();
    if !killed && spec.injection != Injection::Asleep {
        violations.extend(truth.of_claim(&ended));
    }
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
        recoveries.extend(first_recovery(fleet, spec.recoverer));
    }
    let (last, wrong) = recovered_to_the_end(&truth);
    recoveries.extend(last);
    violations.extend(wrong);
    violations.extend(watch.ended());
    let (sides, wrong) = truth.at_rest();
    violations.extend(wrong);
    violations.extend(unexpected(&spec, hit.is_some(), &ended));
    if spec.tried.firmware().is_some() {
        fleet.host(spec.faulty, "rm -f /usr/lib/lab/firmware.d/one-shot");
    }

    let run_ended = Ended::of("reboot --trial", &ended);
    let outcome = outcome(&sides, killed, &ended);
    let seconds = start.elapsed().as_secs();
    Came { spec, phase_hit, run_ended: Some(run_ended), recoveries, outcome, seconds, violations }
}

/// Every host gets a system that it runs and has not booted, the next boot's.
fn prepare(fleet: &Fleet, spec: &Spec) -> Pushed {
    fleet.write_inventory(&INVENTORY);
    for host in HOSTS {
        fleet.set(host, "version", &format!("\"trial{}\"", spec.seed));
        let loader = if spec.tried == Tried::Slow { "\"slow:2\"" } else { "null" };
        fleet.set(host, "loader", loader);
        let fails = spec.tried == Tried::FailsFromCold && host == spec.faulty;
        let units = if fails { serde_json::json!({ "cold.service": FAILS_FROM_COLD }) } else { serde_json::json!({}) };
        fleet.set(host, "raw_units", &units.to_string());
        fleet.host(host, "touch /run/warm");
    }
    fleet.push(&["homelab", "--accept-drift"])
}

/// Waits for the run's step; the host that is in it, unless the run has ended without it.
fn reached(run: &Pushing, spec: &Spec) -> Option<String> {
    if spec.injection == Injection::Nothing {
        return None;
    }
    let in_step = |event: &Event| match event {
        Event::HostMoved { host, doing, .. } if doing == spec.step.doing() => Some(host.to_string()),
        _ => None,
    };
    if !run.until_lines(|lines| lines.iter().any(|line| in_step(&line.event).is_some())) {
        return None;
    }
    std::thread::sleep(Duration::from_millis(spec.delay_ms));
    let lines = run.lines();
    let ended = lines.iter().any(|line| matches!(line.event, Event::Finished { .. }));
    lines.iter().find_map(|line| in_step(&line.event)).filter(|_| !ended)
}

/// The step that a run is in, by what it has said.
fn step_now(run: &Pushing) -> &'static str {
    let lines = run.lines();
    let said = lines.iter().rev().find_map(|line| match &line.event {
        Event::HostMoved { doing, .. } => Step::ALL.iter().find(|step| step.doing() == doing),
        _ => None,
    });
    said.map_or("before", |step| step.word())
}

fn inject(fleet: &Fleet, spec: &Spec, run: &Pushing, tried: &str) {
    let other = HOSTS.into_iter().find(|host| *host != tried).unwrap();
    let victim = match spec.victim {
        Victim::Tried => tried,
        Victim::Other => other,
        Victim::Workstation => "laptop",
    };
    match spec.injection {
        Injection::Kill | Injection::KillTwice => run.signal("KILL"),
        Injection::Asleep => run.signal("STOP"),
        Injection::Interrupt => run.signal("INT"),
        Injection::PowerCut => fleet.power(victim, "cut"),
        Injection::GuardKilled => fleet.try_host(victim, "systemctl kill -s KILL fleetdeploy-guard.service"),
        Injection::CableForAWhile | Injection::CableForLong => {
            fleet.cable(victim, "down");
            std::thread::sleep(Duration::from_millis(spec.lasts_ms));
            fleet.cable(victim, "up");
        }
        other => panic!("{other:?} is not done to a trial"),
    }
}

fn recover_on(fleet: &Fleet, workstation: &str) -> Pushing {
    fleet.start_recover(workstation, &["homelab"])
}

/// To its end, while the guards that it waits for are hurried.
fn hurried(fleet: &Fleet, recovery: Pushing) -> Pushed {
    let is_over = || recovery.lines().iter().any(|line| matches!(line.event, Event::Finished { .. }));
    let start = Instant::now();
    while !is_over() && start.elapsed() < Duration::from_secs(240) {
        for host in HOSTS {
            hurry(fleet, host);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    recovery.ended()
}

fn first_recovery(fleet: &Fleet, recoverer: Recoverer) -> Vec<Ended> {
    let workstations: &[&'static str] = match recoverer {
        Recoverer::Same => return Vec::new(),
        Recoverer::Other => &["laptop2"],
        Recoverer::Both => &["laptop", "laptop2"],
    };
    let begun: Vec<Pushing> = workstations.iter().map(|workstation| recover_on(fleet, workstation)).collect();
    let ended = workstations.iter().zip(begun);
    ended.map(|(workstation, recovery)| Ended::of(workstation, &hurried(fleet, recovery))).collect()
}

/// `recover` on the workstation of the run, again until it has nothing left to do.
fn recovered_to_the_end(truth: &Truth) -> (Vec<Ended>, Vec<String>) {
    let (mut recoveries, mut violations) = (Vec::new(), Vec::new());
    for _ in 0..RECOVERIES {
        let recovered = hurried(truth.fleet, recover_on(truth.fleet, "laptop"));
        recoveries.push(Ended::of("laptop", &recovered));
        violations.extend(truth.wait_for_rest().err());
        let nothing =
            recovered.events().any(|event| matches!(event, Event::Finished { outcome: Outcome::Unchanged, .. }));
        if recovered.status == Some(0) && nothing {
            return (recoveries, violations);
        }
    }
    if recoveries.last().and_then(|ended| ended.exit) != Some(0) {
        violations.push(format!("after {RECOVERIES} recoveries there is still something to recover: {recoveries:?}"));
    }
    (recoveries, violations)
}

/// A run that nothing was done to ends as its system should.
fn unexpected(spec: &Spec, hit: bool, ended: &Pushed) -> Option<String> {
    let expected = if spec.tried.is_good() { Some(0) } else { Some(1) };
    let undisturbed = spec.injection == Injection::Nothing && !hit;
    (undisturbed && ended.status != expected)
        .then(|| format!("{:?} on {} ended with {:?}", spec.tried, spec.faulty, ended.status))
}

fn outcome(sides: &BTreeMap<&'static str, Side>, killed: bool, ended: &Pushed) -> String {
    let mut all: Vec<Side> = sides.values().copied().collect();
    all.sort_unstable();
    all.dedup();
    let words: Vec<&str> = all
        .iter()
        .map(|side| match side {
            Side::New => "on new",
            Side::Back => "went back",
            Side::Untouched => "not rebooted",
            Side::Neither => "BROKEN",
        })
        .collect();
    let said = match ended.status {
        Some(0) if !killed => "exit 0; ".to_owned(),
        Some(status) if !killed => format!("exit {status}; "),
        _ => "dead; ".to_owned(),
    };
    said + &words.join(" and ")
}
