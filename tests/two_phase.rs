//! The driver with the real decider on a fleet of the test's own: what it sends, and what it does when answers fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetdeploy::decide::asking::Continuity;
use fleetdeploy::decide::time::Times;
use fleetdeploy::decide::transaction::recover::{Reached, Recorded};
use fleetdeploy::decide::vocabulary::{Answer, Entry, Step};
use fleetdeploy::engine::clock::Clock;
use fleetdeploy::engine::driver::{Driver, DriverEnd};
use fleetdeploy::engine::hosts::{Hosts, Order, StepNote, StepNotes, UnitJournal};
use fleetdeploy::engine::shutdown::Shutdown;
use fleetdeploy::engine::surroundings::Surroundings;
use fleetdeploy::event::reason::cause::Cause;
use fleetdeploy::event::waiting::AfterWait;
use fleetdeploy::event::{Event, Outcome};
use fleetdeploy::facts::host::{GuardState, JobKind, Standing};
use fleetdeploy::facts::links::{HostRound, Link, LinkAnswer, LinkId, Probe, Round};
use fleetdeploy::facts::plan::{HostId, HostPlan, Plan};
use fleetdeploy::facts::step_answer::{JobEnd, StepAnswer, StepFailure, StepOutcome};
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::facts::systems::{BootLoader, Systems};
use fleetdeploy::inventory::model::{GuardAction, HostName, Limits, Place};
use futures::FutureExt;
use futures::future::BoxFuture;
use pretty_assertions::assert_eq;

#[path = "support/clock.rs"]
mod clock;
#[path = "support/codes.rs"]
#[expect(dead_code, reason = "a closed world has its events as values")]
mod codes;
#[path = "two_phase/many.rs"]
mod many;
#[path = "two_phase/waves.rs"]
mod waves;

use clock::VirtualClock;

fn system(name: &str) -> StorePath {
    StorePath::new(format!("/nix/store/{}-{name}", "0".repeat(32))).unwrap()
}

fn name(index: usize) -> HostName {
    HostName::new(format!("host{index}")).unwrap()
}

/// A host for each of these waves, and a link from each to the next.
fn plan(waves: &[usize]) -> Arc<Plan> {
    let host = |(index, wave): (usize, &usize)| HostPlan {
        name: name(index),
        changes: true,
        old: Systems::all(&system("old")),
        generation: 1,
        new: system("new"),
        boot_id: "boot".to_owned(),
        machine_id: index.to_string(),
        behind: None,
        reactivate: false,
        wave: *wave,
        login: fleetdeploy::facts::plan::LoginBefore::Taken,
        failed_units: BTreeSet::new(),
        restarts: BTreeMap::new(),
        units: fleetdeploy::facts::units::UnitTerms::default(),
    };
    let hosts: Vec<HostPlan> = waves.iter().enumerate().map(host).collect();
    let link = |to: usize| {
        let probe = Probe::Ping { address: format!("10.0.0.{to}") };
        Link {
            check: "vpn".to_owned(),
            from: Place::Host(name(to - 1)),
            to: name(to).to_string(),
            to_host: Some(name(to)),
            probe: probe.clone(),
            probe_after: probe,
            required: true,
            timeout: Duration::from_secs(1),
            left_out: None,
            shared: false,
        }
    };
    let links: Vec<Link> = (1..hosts.len()).map(link).collect();
    let baseline = Round { answers: answers(links.len(), true), ..Round::default() };
    Arc::new(Plan { hosts, links, baseline, accepted: BTreeSet::new() })
}

fn answers(links: usize, up: bool) -> BTreeMap<LinkId, LinkAnswer> {
    let down = || LinkAnswer::Down { why: "no answer".to_owned() };
    (0..links).map(|link| (link, if up { LinkAnswer::Up { round_trip_us: None } } else { down() })).collect()
}

fn times(guard: u64) -> Times {
    Times {
        guard: Duration::from_secs(guard),
        unseen_guard: Duration::from_secs(guard),
        overdue: Duration::ZERO,
        boot_time: Duration::from_secs(1),
        guard_action: GuardAction::Reboot,
        limits: Limits::default(),
        settle: Duration::from_secs(5),
        steady: Duration::ZERO,
    }
}

/// A fleet that does what it is told, but for one kind of step on its second host.
struct FakeFleet {
    plan: Arc<Plan>,
    clock: Arc<VirtualClock>,
    sent: Mutex<Vec<String>>,
    systems: Mutex<Vec<Systems>>,
    trouble: Option<(JobKind, Trouble)>,
    /// How long the last extended guard was to hold.
    extended_by: Mutex<Duration>,
    guard: GuardState,
    /// A unit of the second host fails under the new system; its journal can be had only after so long.
    journal_after: Option<Duration>,
    /// Every link is down while this host runs its new system.
    breaks_links: Option<HostId>,
    /// How long a test takes.
    slow: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Panics,
    Fails,
    /// The detached step ends so.
    Ends(JobEnd),
    /// The workstation is suspended while the step is out, for longer than the guards wait.
    Sleeps,
}

impl FakeFleet {
    fn new(trouble: Option<(JobKind, Trouble)>) -> Arc<Self> {
        Arc::new(Self::of(Systems::all(&system("old")), GuardState::None, trouble))
    }

    /// A fleet that was tested, and whose guards fire in so many seconds.
    fn tested(left: u64) -> Arc<Self> {
        let guard = GuardState::Armed { run: "run".to_owned(), deadline: 1 + left };
        Arc::new(Self::of(Systems { current: system("new"), ..Systems::all(&system("old")) }, guard, None))
    }

    fn in_waves(waves: &[usize]) -> Arc<Self> {
        Arc::new(Self::of_waves(waves))
    }

    fn of_waves(waves: &[usize]) -> Self {
        let systems = Mutex::new(vec![Systems::all(&system("old")); waves.len()]);
        Self { plan: plan(waves), systems, ..Self::of(Systems::all(&system("old")), GuardState::None, None) }
    }

    fn of(systems: Systems, guard: GuardState, trouble: Option<(JobKind, Trouble)>) -> Self {
        let systems = Mutex::new(vec![systems; 2]);
        Self {
            plan: plan(&[0, 0]),
            clock: VirtualClock::new(),
            sent: Mutex::default(),
            systems,
            trouble,
            extended_by: Mutex::default(),
            guard,
            journal_after: None,
            breaks_links: None,
            slow: Duration::ZERO,
        }
    }

    fn has(&self, host: HostId, step: &Step) -> Option<Trouble> {
        let of = |kind: JobKind| matches!(step, Step::Job { kind: is, .. } if *is == kind);
        self.trouble.filter(|(kind, _)| host.0 == 1 && of(*kind)).map(|(_, trouble)| trouble)
    }

    fn answer(&self, host: HostId, step: &Step) -> Answer {
        let word = match step {
            Step::Job { kind, .. } => kind.word(),
            Step::Arm { .. } => "arm",
            Step::Login { .. } => "login",
            Step::Disarm { .. } => "disarm",
            Step::Release => "release",
            Step::Clean { .. } => "clean",
            Step::Unmark { .. } => "unmark",
            Step::Extend { .. } => "extend",
            Step::Return { .. } => "return",
            Step::Ask => "ask",
            Step::TakeOver { .. } => "take-over",
        };
        self.sent.lock().unwrap().push(format!("{word} {}", host.0));
        let mut outcome = StepOutcome::Done;
        let mut log = Vec::new();
        let trouble = self.has(host, step);
        if let Step::Job { kind, .. } = step {
            assert!(trouble != Some(Trouble::Panics), "a mistake in the code that talks to a host");
            let mut systems = self.systems.lock().unwrap();
            match (kind, trouble) {
                (kind, Some(Trouble::Ends(end))) => {
                    if end == JobEnd::Status(11) {
                        log.push("Could not acquire lock".to_owned());
                    }
                    outcome = StepOutcome::Failed { failure: StepFailure::Job(*kind, end) };
                }
                (_, Some(_)) => outcome = StepOutcome::said_to_have_failed("status 1"),
                (JobKind::Test, None) => systems[host.0].current = system("new"),
                (JobKind::Rollback, None) => systems[host.0] = Systems::all(&system("old")),
                (JobKind::Switch | JobKind::Reactivate, None) => systems[host.0] = Systems::all(&system("new")),
            }
        }
        let standing = Standing {
            boot_id: "boot".to_owned(),
            uptime: 1,
            systems: self.systems.lock().unwrap()[host.0].clone(),
            booted: system("old"),
            generation: 1,
            loader: BootLoader::SystemdBoot,
            next_boot: None,
            guard: self.guard.clone(),
            lease: None,
            rolling: None,
            jobs: BTreeMap::new(),
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
            units: BTreeMap::new(),
            run_traces: None,
            fence: None,
            trial: fleetdeploy::facts::trial::TrialStanding::default(),
        };
        Answer::Said(Box::new(StepAnswer { outcome, standing, log }))
    }
}

impl Hosts for FakeFleet {
    fn outbid(&self, _: HostId) {}

    fn perform(self: Arc<Self>, host: HostId, order: Order, notes: StepNotes) -> BoxFuture<'static, Answer> {
        if let Step::Job { kind, .. } = order.step {
            let lines = ["setting up", "starting the following units: a.service", "done"].map(str::to_owned).to_vec();
            let _ = notes.send(StepNote::Printed { kind, lines });
            let rest = vec!["stopping the following units: of another job".to_owned()];
            let _ = notes.send(StepNote::Printed { kind: JobKind::Rollback, lines: rest });
        }
        if matches!(order.step, Step::Extend { .. }) {
            *self.extended_by.lock().unwrap() = order.guard;
        }
        async move {
            if self.has(host, &order.step) == Some(Trouble::Sleeps) {
                self.sent.lock().unwrap().push("sleep".to_owned());
                // Two guards of 15 minutes have fired meanwhile, and brought their hosts back.
                self.clock.jump(Duration::from_secs(3600));
                *self.systems.lock().unwrap() = vec![Systems::all(&system("old")); 2];
                return Answer::Unknown { why: Cause::StepGivenUp };
            }
            if let Step::Return { .. } = order.step {
                assert!(order.until > self.clock.now() + Duration::from_secs(30), "no time to ask: {order:?}");
            }
            if matches!(order.step, Step::Job { kind: JobKind::Test, .. }) {
                self.clock.sleep_until(self.clock.now() + self.slow).await;
            }
            self.answer(host, &order.step)
        }
        .boxed()
    }

    fn round(self: Arc<Self>, _: bool, _: Continuity) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)> {
        let systems = self.systems.lock().unwrap().clone();
        let fails = |host: usize, systems: &Systems| {
            host == 1 && systems.current == system("new") && self.journal_after.is_some()
        };
        let seen = |host: usize, systems: Systems| HostRound {
            boot_id: "boot".to_owned(),
            current: systems.current.to_string(),
            failed_units: fails(host, &systems).then(|| "late.service".to_owned()).into_iter().collect(),
            ..HostRound::default()
        };
        let up = self.breaks_links.is_none_or(|host| systems[host.0].current != system("new"));
        let answers = answers(self.plan.links.len(), up);
        let hosts =
            systems.into_iter().enumerate().map(|(index, systems)| (name(index), seen(index, systems))).collect();
        async move { (Round { hosts, answers, ..Round::default() }, BTreeSet::new()) }.boxed()
    }

    fn journals(self: Arc<Self>, _: HostId, units: BTreeSet<String>) -> BoxFuture<'static, Vec<UnitJournal>> {
        async move {
            self.clock.sleep_until(self.clock.now() + self.journal_after.unwrap()).await;
            units.into_iter().map(|unit| UnitJournal { unit, lines: vec!["too late".to_owned()] }).collect()
        }
        .boxed()
    }
}

/// Keeps what it is told, and cannot write one kind of entry.
#[derive(Default)]
struct Notebook {
    entries: Vec<Entry>,
    told: Vec<Event>,
    unwritable: Option<Entry>,
    /// From this entry on nothing can be written any more.
    unwritable_from: Option<Entry>,
    is_full: bool,
}

impl Surroundings for Notebook {
    fn tell(&mut self, event: Event) {
        codes::keep(&event);
        self.told.push(event);
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        Ok(())
    }

    fn record(&mut self, entry: &Entry) -> std::io::Result<()> {
        let is_kind = |other: &Entry| std::mem::discriminant(other) == std::mem::discriminant(entry);
        if self.unwritable_from.as_ref().is_some_and(is_kind) {
            (self.unwritable_from, self.is_full) = (None, true);
        }
        if self.is_full || self.unwritable.as_ref() == Some(entry) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.entries.push(entry.clone());
        Ok(())
    }
}

/// Why it ended, where the network was seen to be as it was.
fn proven(why: &str) -> String {
    format!("{why}; the network is as before: every link that was up is up again")
}

async fn drive(fleet: &Arc<FakeFleet>, guard: u64, notebook: &mut Notebook) -> (Outcome, String) {
    let plan = Arc::clone(&fleet.plan);
    let times = vec![times(guard); plan.hosts.len()];
    let driver = Driver::new(Arc::clone(fleet), plan, times, fleet.clock.clone());
    match driver.drive(notebook, &mut Shutdown::listen().unwrap()).await {
        DriverEnd::Verdict(verdict) => {
            codes::keep_end(&verdict);
            (verdict.outcome, verdict.text.to_string())
        }
        DriverEnd::Left(_) => panic!("nobody sent a signal"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_push_sends_each_order_once_and_disarms_after_every_switch() {
    let fleet = FakeFleet::new(None);
    let (outcome, _) = drive(&fleet, 900, &mut Notebook::default()).await;
    let sent = fleet.sent.lock().unwrap().clone();
    assert_eq!(outcome, Outcome::Committed);
    let phase = |word: &str| [format!("{word} 0"), format!("{word} 1")];
    let words = ["arm", "test", "login", "switch", "disarm", "clean"];
    assert_eq!(sent, words.iter().flat_map(|word| phase(word)).collect::<Vec<_>>());
}

/// A new login has none of its own: it and the links are waited for together, and that wait is told.
#[tokio::test(start_paused = true)]
async fn every_step_says_until_when_it_is_waited_for_and_what_comes_then() {
    let fleet = FakeFleet::new(None);
    let mut notebook = Notebook::default();
    drive(&fleet, 900, &mut notebook).await;
    let of_first = notebook.told.iter().filter_map(|event| match event {
        Event::HostMoved { host, doing, within_ms, then } if host.as_str() == "host0" => {
            Some((doing.as_str(), within_ms.map(|within| within / 1000), *then))
        }
        _ => None,
    });
    let then = Some(AfterWait::AllGoBack);
    assert_eq!(
        of_first.collect::<Vec<_>>(),
        [
            ("arming its guard", Some(50), then),
            ("activating the new system", Some(260), then),
            ("starting a.service", Some(260), then),
            ("logging in anew", None, None),
            ("making it what a reboot brings", Some(110), then),
            ("starting a.service", Some(110), then),
            // It is tried as long as guards may bring hosts back.
            ("disarming its guard", Some(1051), None),
            ("cleaning up", Some(50), None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_is_never_silent_and_the_end_of_a_switch_is_what_a_reboot_brings() {
    let fleet = FakeFleet::new(None);
    let mut notebook = Notebook::default();
    drive(&fleet, 900, &mut notebook).await;
    let of_first = notebook.told.iter().filter_map(|event| match event {
        Event::HostMoved { host, doing, .. } if host.as_str() == "host0" => Some(doing.clone()),
        Event::Printed { host: Some(host), by, lines } if host.as_str() == "host0" => {
            Some(format!("{by} printed {}", lines.len()))
        }
        Event::BootDefaultMoved { host, generation } if host.as_str() == "host0" => {
            Some(format!("boots generation {generation}"))
        }
        _ => None,
    });
    let expected = [
        "arming its guard",
        "activating the new system",
        "test printed 3",
        "starting a.service",
        "rollback printed 1",
        "logging in anew",
        "making it what a reboot brings",
        "switch printed 3",
        "starting a.service",
        "rollback printed 1",
        "boots generation 1",
        "disarming its guard",
        "cleaning up",
    ];
    assert_eq!(of_first.collect::<Vec<_>>(), expected);
}

/// The test of the new system ends with each status that means something on one of the two hosts.
#[tokio::test(start_paused = true)]
async fn whatever_a_detached_step_ends_with_both_hosts_go_back_and_its_meaning_is_told() {
    for (end, code) in [
        (JobEnd::Unfinished, "job-unfinished"),
        (JobEnd::Killed, "job-killed"),
        (JobEnd::NotBegun, "job-not-begun"),
        (JobEnd::Status(1), "switch-program-failed"),
        (JobEnd::Status(2), "activation-script-failed"),
        (JobEnd::Status(11), "switch-lock-taken"),
        (JobEnd::Status(90), "profile-not-moved"),
        (JobEnd::Status(91), "old-system-not-activated"),
        (JobEnd::Status(92), "boot-default-not-put-back"),
        (JobEnd::Status(93), "profile-not-put-back"),
        (JobEnd::Status(94), "boot-default-not-moved"),
        (JobEnd::Status(95), "generation-not-written-down"),
        (JobEnd::Status(96), "plan-there-damaged"),
        (JobEnd::Status(97), "booted-files-not-whole"),
        (JobEnd::Status(98), "next-boot-not-put-back"),
        (JobEnd::Status(99), "no-place-for-loader"),
        (JobEnd::Status(100), "activation-needs-reboot"),
        (JobEnd::Status(101), "switch-program-crashed"),
        (JobEnd::Status(7), "job-status-unknown"),
    ] {
        let fleet = FakeFleet::new(Some((JobKind::Test, Trouble::Ends(end))));
        let mut notebook = Notebook::default();
        let (outcome, _) = drive(&fleet, 900, &mut notebook).await;
        assert_eq!(outcome, Outcome::RolledBack, "{code}");
        let mut told = BTreeSet::new();
        notebook.told.iter().for_each(|event| codes::of(&serde_json::to_value(event).unwrap(), &mut told));
        assert!(told.contains(code), "{code} is not among {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn journals_of_failed_units_are_told_before_the_end_which_waits_for_them_only_a_moment() {
    for (after, told) in [(Duration::ZERO, true), (Duration::from_secs(1), true), (Duration::from_secs(3600), false)] {
        let fleet = FakeFleet {
            journal_after: Some(after),
            ..FakeFleet::of(Systems::all(&system("old")), GuardState::None, None)
        };
        let (fleet, mut notebook) = (Arc::new(fleet), Notebook::default());
        let before = fleet.clock.now();
        let (outcome, text) = drive(&fleet, 900, &mut notebook).await;
        assert_eq!((outcome, text.as_str()), (Outcome::RolledBack, &*proven("units fail on host1: late.service")));
        let host = HostName::new("host1").unwrap();
        let journal =
            Event::Logged { host, what: "journal of late.service".to_owned(), lines: vec!["too late".to_owned()] };
        assert_eq!(notebook.told.contains(&journal), told, "after {after:?}: {:?}", notebook.told);
        // Of which 5 s are the settle time, which a unit has to come right.
        assert!(fleet.clock.now() < before + Duration::from_secs(15), "the end was held up");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_task_that_panics_is_a_report_like_any_other() {
    let fleet = FakeFleet::new(Some((JobKind::Test, Trouble::Panics)));
    let (outcome, text) = drive(&fleet, 900, &mut Notebook::default()).await;
    assert_eq!((outcome, text), (Outcome::RolledBack, proven("test failed on host1: the step was given up")));
    assert_eq!(*fleet.systems.lock().unwrap(), vec![Systems::all(&system("old")); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_switch_takes_the_other_host_back_too() {
    let fleet = FakeFleet::new(Some((JobKind::Switch, Trouble::Fails)));
    let (outcome, _) = drive(&fleet, 900, &mut Notebook::default()).await;
    assert_eq!(outcome, Outcome::RolledBack);
    assert_eq!(*fleet.systems.lock().unwrap(), vec![Systems::all(&system("old")); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_test_that_could_not_be_rolled_back_in_time_is_never_sent() {
    let fleet = FakeFleet::new(None);
    let (outcome, text) = drive(&fleet, 60, &mut Notebook::default()).await;
    let sent = fleet.sent.lock().unwrap().clone();
    assert_eq!(text, proven("the guards leave too little time for the rest of the push"));
    assert!(!sent.iter().any(|order| order.starts_with("test")), "{sent:?}");
    assert_eq!(outcome, Outcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_cannot_be_written_is_not_acted_on() {
    let fleet = FakeFleet::new(None);
    let mut notebook = Notebook { unwritable: Some(Entry::Decided), ..Notebook::default() };
    let (outcome, _) = drive(&fleet, 900, &mut notebook).await;
    let sent = fleet.sent.lock().unwrap().clone();
    assert!(!sent.iter().any(|order| order.starts_with("switch")), "{sent:?}");
    assert_eq!(outcome, Outcome::RolledBack);
}

/// A disk that is full from any entry on: what it announces is not done, and nothing holds up the way back, or the end.
#[tokio::test(start_paused = true)]
async fn a_record_that_fails_in_any_phase_begins_nothing_more_and_keeps_no_host_on_its_way_back() {
    let back = || Entry::RollingBack { reason: fleetdeploy::event::reason::any::AnyReason::without_code("") };
    let end = || Entry::Finished { outcome: Outcome::Committed };
    for (from, trouble, outcome, last_forward) in [
        (Entry::Arming, None, Outcome::Refused, None),
        (Entry::Testing, None, Outcome::RolledBack, Some("arm")),
        (Entry::Decided, None, Outcome::RolledBack, Some("login")),
        (Entry::Disarming, None, Outcome::RolledBack, Some("switch")),
        (end(), None, Outcome::Committed, Some("disarm")),
        (back(), Some((JobKind::Test, Trouble::Fails)), Outcome::RolledBack, Some("test")),
        (back(), Some((JobKind::Switch, Trouble::Fails)), Outcome::RolledBack, Some("switch")),
        (end(), Some((JobKind::Test, Trouble::Fails)), Outcome::RolledBack, Some("test")),
    ] {
        let fleet = FakeFleet::new(trouble);
        let mut notebook = Notebook { unwritable_from: Some(from.clone()), ..Notebook::default() };
        let (ended, why) = drive(&fleet, 900, &mut notebook).await;
        let sent = fleet.sent.lock().unwrap().clone();
        assert_eq!(ended, outcome, "{from:?}: {why}: {sent:?}");
        let forward = ["arm", "test", "login", "switch", "disarm"];
        let until = last_forward.and_then(|last| forward.iter().position(|word| *word == last));
        let begun = until.map_or(&forward[..0], |last| &forward[..=last]);
        let of_switch = |order: &&String| order.split(' ').next().is_some_and(|word| forward[3..].contains(&word));
        // The way back logs in and disarms, too.
        let first = sent.iter().take_while(|order| !order.starts_with("rollback")).filter(of_switch);
        assert!(first.clone().all(|order| begun.iter().any(|word| order.starts_with(word))), "{from:?}: {sent:?}");
        let runs = if outcome == Outcome::Committed { "new" } else { "old" };
        assert_eq!(*fleet.systems.lock().unwrap(), vec![Systems::all(&system(runs)); 2], "{from:?}: {sent:?}");
        let said =
            |event: &Event| matches!(event, Event::Warned { text, .. } if text.to_string().contains("no storage"));
        assert!(notebook.told.iter().any(said), "{from:?}: {:?}", notebook.told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_host_keeps_its_guard_until_the_one_that_is_awaited_is_back() {
    let fleet = FakeFleet::new(Some((JobKind::Rollback, Trouble::Fails)));
    let mut notebook = Notebook { unwritable: Some(Entry::Decided), ..Notebook::default() };
    drive(&fleet, 900, &mut notebook).await;
    let sent = fleet.sent.lock().unwrap().clone();
    assert!(sent.contains(&"extend 0".to_owned()), "{sent:?}");
    // The other's guard fires within 900 s, may stop a step and put the boot default back, and boots.
    let back = times(900).awaited_until(Duration::from_secs(900));
    let extended_by = *fleet.extended_by.lock().unwrap();
    assert!(extended_by >= back, "extended by {extended_by:?}, and the other one is back within {back:?}");
}

#[tokio::test(start_paused = true)]
async fn a_recovery_learns_from_the_hosts_how_long_their_guards_hold() {
    for (left, extends) in [(900, false), (60, true)] {
        let fleet = FakeFleet::tested(left);
        let recorded = Recorded { reached: Reached::Decided, turned_back: false, finished: None, ended_without: false };
        let driver =
            Driver::recovering(Arc::clone(&fleet), plan(&[0, 0]), vec![times(900); 2], fleet.clock.clone(), recorded);
        let ended = driver.drive(&mut Notebook::default(), &mut Shutdown::listen().unwrap()).await;
        let sent = fleet.sent.lock().unwrap().clone();
        let DriverEnd::Verdict(verdict) = ended else { panic!("nobody sent a signal") };
        assert_eq!(verdict.outcome, Outcome::Committed, "{sent:?}");
        assert_eq!(sent[..2], ["take-over 0", "take-over 1"]);
        assert_eq!(sent.contains(&"extend 0".to_owned()), extends, "{left} s left: {sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_workstation_that_was_suspended_past_the_guards_sends_no_job_any_more_and_asks_how_the_hosts_are() {
    let fleet = FakeFleet::new(Some((JobKind::Test, Trouble::Sleeps)));
    let (outcome, _) = drive(&fleet, 900, &mut Notebook::default()).await;
    let sent = fleet.sent.lock().unwrap().clone();
    let woken = sent.iter().position(|order| order == "sleep").unwrap();
    let after: Vec<&str> = sent[woken + 1..].iter().map(String::as_str).collect();
    assert_eq!(after, ["return 0", "return 1", "login 0", "login 1", "clean 0", "clean 1"]);
    assert_eq!(outcome, Outcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn what_is_waited_for_is_over_at_once_after_a_suspend_that_went_past_it() {
    let clock = VirtualClock::new();
    let at = clock.now() + Duration::from_secs(900);
    let mut waiting = clock.sleep_until(at);
    assert_eq!(futures::poll!(&mut waiting), std::task::Poll::Pending);
    let before = tokio::time::Instant::now();
    clock.jump(Duration::from_secs(901));
    waiting.await;
    assert_eq!(before.elapsed(), Duration::ZERO);
}
