//! What a push of many hosts costs the workstation: everything but ssh and nix, with a record, a screen and `--json`.
//!
//! A benchmark: `scripts/bench.sh workstation`.

use std::borrow::Cow;
use std::io;
use std::time::{Instant, SystemTime};

use fleetdeploy::decide::asking::RoundPlan;
use fleetdeploy::decide::matrix;
use fleetdeploy::event::line::Line;
use fleetdeploy::event::stream::{Events, ListenerEnd};
use fleetdeploy::event::{HostPlanned, Phase};
use fleetdeploy::facts::links::{Control, HeardLinks, resolve};
use fleetdeploy::facts::units::{UnitNow, UnitState};
use fleetdeploy::inventory::Inventory;
use fleetdeploy::record::folder::{RunFolder, SavedPlan, StateFolder};
use fleetdeploy::record::journal::Journal;
use fleetdeploy::record::{listener, read};
use fleetdeploy::ui::mode::Mode;
use fleetdeploy::ui::recap::{self, RecapStyle};
use fleetdeploy::ui::show::{self, Heading};
use fleetdeploy::ui::view::FleetView;
use fleetdeploy::ui::{Screen, ScreenEnd};

use pretty_assertions::assert_eq;

use super::*;

/// How many units of a host a round shows.
const UNITS: usize = 50;

const LONG: Duration = Duration::from_secs(600);

/// A fleet that answers the links it is asked.
struct ManyHosts {
    fleet: FakeFleet,
    asking: Mutex<RoundPlan>,
    /// Into how many groups its places were divided in each round.
    rounds: Mutex<Vec<usize>>,
    /// In so many rounds the second host is too slow for what it is asked on its new system, and hears nothing.
    slow: Mutex<usize>,
}

impl ManyHosts {
    fn of(fleet: FakeFleet, slow: usize) -> Arc<Self> {
        Arc::new(Self { fleet, asking: Mutex::default(), rounds: Mutex::default(), slow: Mutex::new(slow) })
    }

    /// What the places say in this round of the links that they are asked.
    fn heard(&self, asked: &BTreeSet<LinkId>) -> BTreeMap<Place, HeardLinks> {
        let mut heard = heard(&self.fleet.plan.links, asked);
        let mut slow = self.slow.lock().unwrap();
        if *slow > 0 && self.fleet.systems.lock().unwrap()[1].current == system("new") {
            *slow -= 1;
            let place = heard.entry(Place::Host(name(1))).or_default();
            let longest = Duration::from_secs(1);
            place.control = Some(Control { took: None, pinged: None, longest });
            let ends = |id: &LinkId| self.fleet.plan.links[*id].hosts().any(|host| *host == name(1));
            for id in asked.iter().filter(|id| ends(id)) {
                let from = heard.entry(self.fleet.plan.links[*id].from.clone()).or_default();
                from.answers.insert(*id, LinkAnswer::Down { why: "no answer in 1.000 s".to_owned() });
                from.silent.insert(*id);
            }
        }
        heard
    }
}

impl Hosts for ManyHosts {
    fn outbid(&self, _: HostId) {}

    fn perform(self: Arc<Self>, host: HostId, order: Order, notes: StepNotes) -> BoxFuture<'static, Answer> {
        if let Step::Job { kind, .. } = order.step {
            let lines = (0..20).map(|unit| format!("starting the following units: unit{unit}.service")).collect();
            let _ = notes.send(StepNote::Printed { kind, lines });
        }
        async move { self.fleet.answer(host, &order.step) }.boxed()
    }

    fn round(self: Arc<Self>, _: bool, continuity: Continuity) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)> {
        let links = &self.fleet.plan.links;
        let mut asking = self.asking.lock().unwrap();
        asking.begin(links, continuity);
        let asked = asking.next(links);
        self.rounds.lock().unwrap().push(asking.groups());
        let heard = self.heard(&asked);
        let systems = self.fleet.systems.lock().unwrap();
        let hosts = systems.iter().enumerate().map(|(at, systems)| (name(at), seen(systems))).collect();
        let round = asking.learn(links, &asked, &heard, hosts);
        async move { (round, BTreeSet::new()) }.boxed()
    }
}

fn seen(systems: &Systems) -> HostRound {
    let unit = |at: usize| {
        let state = UnitState::Active;
        let invocation = format!("{at:032x}");
        let unit = UnitNow { invocation, state, needed: true, triggered: false, transient: false, gone: false };
        (format!("unit{at}.service"), unit)
    };
    HostRound {
        boot_id: "boot".to_owned(),
        current: systems.current.to_string(),
        units: (0..UNITS).map(unit).collect(),
        ..HostRound::default()
    }
}

fn heard(links: &[Link], asked: &BTreeSet<LinkId>) -> BTreeMap<Place, HeardLinks> {
    let mut heard: BTreeMap<Place, HeardLinks> = BTreeMap::new();
    for id in asked {
        let from = heard.entry(links[*id].from.clone()).or_default();
        from.answers.insert(*id, LinkAnswer::Up { round_trip_us: Some(900) });
        let took = Some(Duration::from_millis(5));
        from.control = Some(Control { took, pinged: took, longest: links[*id].timeout });
    }
    heard
}

/// Says what took how long, and how much of the processors.
struct Stopwatch {
    began: Instant,
    used: f64,
    at: String,
}

impl Stopwatch {
    fn start() -> Self {
        Self { began: Instant::now(), used: used(), at: "start".to_owned() }
    }

    fn next(&mut self, next: &str) {
        let (took, now) = (self.began.elapsed().as_secs_f64(), used());
        say(&format!("{:<18} {took:>9.2} s {:>9.2} CPU s   {}", self.at, now - self.used, memory()));
        *self = Self { began: Instant::now(), used: now, at: next.to_owned() };
    }
}

/// The CPU seconds of all threads so far. Source: proc(5), `/proc/pid/stat`; a tick is a hundredth on Linux.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

#[expect(clippy::print_stderr, reason = "it is a benchmark")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// The most memory so far, and the threads of now.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned();
    format!("VmHWM {}, threads {}", of("VmHWM:"), of("Threads:"))
}

struct Desk {
    events: Events,
    run: RunFolder,
    journal: Journal,
    watch: Stopwatch,
}

impl Surroundings for Desk {
    fn tell(&mut self, event: Event) {
        if let Event::PhaseStarted { phase } = &event {
            self.watch.next(phase.word());
        }
        self.events.publish(event);
    }

    fn started(&mut self, plan: &Plan) -> io::Result<()> {
        self.watch.next("plan.json");
        let saved = SavedPlan {
            fleet: "many".to_owned(),
            inventory: "/inventory.yaml".into(),
            owner: "ada@laptop".to_owned(),
            rollback_to: None,
            without: BTreeSet::new(),
            provenance: None,
            plan: Cow::Borrowed(plan),
        };
        self.run.write_plan(&saved)?;
        self.journal.keep(self.run.plan());
        Ok(())
    }

    fn record(&mut self, entry: &Entry) -> io::Result<()> {
        Ok(self.journal.append(&entry.clone().into())?)
    }
}

fn inventory(hosts: usize, checks: &str) -> Inventory {
    let host = |at: usize| format!("  host{at}: {{vpn: 10.1.{}.{}}}\n", at / 250, at % 250 + 1);
    let hosts: String = (0..hosts).map(host).collect();
    let text = format!("hosts:\n{hosts}fleets: {{many: {{flake: ., hosts: all, checks: {checks}}}}}\n");
    let path = std::path::Path::new("/inventory.yaml");
    Inventory::parse(path, std::path::Path::new("/"), &text).unwrap().inventory
}

#[tokio::test(start_paused = true)]
#[ignore = "a benchmark: scripts/bench.sh workstation"]
async fn many_hosts() {
    let variable = |name: &str| std::env::var(name).ok();
    let hosts: usize = variable("FLEETDEPLOY_HOSTS").map_or(100, |hosts| hosts.parse().unwrap());
    let checks = variable("FLEETDEPLOY_CHECKS").unwrap_or_else(|| "[{vpn: mesh}]".to_owned());
    let mut watch = Stopwatch::start();

    watch.next("inventory, links");
    let fleet = inventory(hosts, &checks).fleets["many"].clone();
    let links = resolve(&fleet, &BTreeMap::new());
    say(&format!("{hosts} hosts, {} links", links.len()));

    watch.next("baseline");
    let mut fake = FakeFleet::of_waves(&vec![0; hosts]);
    let hosts_planned = fake.plan.hosts.clone();
    let mut asking = RoundPlan::default();
    let mut baseline = Round::default();
    for _ in 0..100 {
        let asked = asking.next(&links);
        baseline = asking.learn(&links, &asked, &heard(&links, &asked), BTreeMap::new());
        if baseline.unasked.is_empty() {
            break;
        }
    }
    let plan = Plan { hosts: hosts_planned, links, baseline, accepted: BTreeSet::new() };
    let plan = Arc::new(plan);
    fake.plan = Arc::clone(&plan);

    watch.next("listeners");
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::at(folder.path().join("state"));
    let (run, journal) = state.create_run("many", SystemTime::now()).unwrap();
    let events = Events::new(Some(run.id().to_string()));
    let recording = listener::start(&events, &run).unwrap();
    let screens = [
        Mode::Live { colour: true, verbose: false, unicode: true },
        Mode::Plain { colour: false, verbose: false },
        Mode::Json,
    ]
    .map(|mode| {
        Screen::start_on(mode, &events, io::sink(), Box::new(|| (120, 50)), Box::new(SystemTime::now)).unwrap()
    });

    let names: Vec<HostName> = plan.hosts.iter().map(|host| host.name.clone()).collect();
    events.publish(Event::PushStarted {
        fleet: "many".to_owned(),
        hosts: names.clone(),
        selected: names.clone(),
        inventory: "/inventory.yaml".into(),
        guard_ms: 900_000,
        record: None,
        dry_run: false,
        rollback_to: None,
    });
    for phase in [Phase::Build, Phase::Survey, Phase::Copy] {
        events.publish(Event::PhaseStarted { phase });
        for host in &names {
            events.publish(Event::moved(host, "at it"));
            events.publish(Event::HostDone { host: host.clone(), phase });
        }
    }
    let planned = plan.hosts.iter().map(|host| HostPlanned {
        host: host.name.clone(),
        old: host.old.current.clone(),
        new: host.new.clone(),
        changes: true,
        selected: true,
        generation: 1,
    });
    events.publish(Event::Planned { hosts: planned.collect() });
    events.publish(Event::PhaseStarted { phase: Phase::Baseline });
    let cells = matrix::cells(&plan, &plan.baseline, false);
    events.publish(Event::MatrixSeen { phase: Phase::Baseline, cells });

    watch.next("driver");
    let (many, clock) = (ManyHosts::of(fake, 0), VirtualClock::new());
    let times = vec![times(900); hosts];
    let driver = Driver::new(Arc::clone(&many), Arc::clone(&plan), times, clock);
    let mut desk = Desk { events: events.clone(), run: run.clone(), journal, watch };
    desk.started(&plan).unwrap();
    let end = driver.drive(&mut desk, &mut Shutdown::listen().unwrap()).await;
    let DriverEnd::Verdict(verdict) = end else { panic!("nobody sent a signal") };
    let mut watch = desk.watch;
    watch.next("screens end");
    assert_eq!(verdict.outcome, Outcome::Committed, "{}", verdict.text);
    for screen in screens {
        assert!(matches!(screen.finish(LONG), ScreenEnd::Complete));
    }
    watch.next("record ends");
    assert!(matches!(recording.finish(LONG), ListenerEnd::Complete));
    let rounds = many.rounds.lock().unwrap().len();
    let size = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().len() / 1024;
    say(&format!("{rounds} rounds, events.jsonl {} KB, plan.json {} KB", size(run.events()), size(run.plan())));

    read_it_all(&run, watch);
}

/// What reads a record: the pages of a run, the list of runs, the logs, a recovery.
fn read_it_all(run: &RunFolder, mut watch: Stopwatch) {
    watch.next("read events");
    let told: Vec<Line> = read::events(&run.events()).unwrap().lines;
    watch.next("view, recap");
    let view = FleetView::of(&told);
    let style = RecapStyle { colour: false, columns: 120, wrapped: true, whole: false };
    let recap = recap::render(&view, style).len();
    watch.next("show");
    let nothing = String::new;
    let heading = Heading { run: nothing(), fleet: nothing(), began: nothing(), next: None, notes: Vec::new() };
    let page = show::render(&heading, &told, 120, false).len();
    watch.next("runs");
    let summary = run.summary();
    watch.next("logs");
    let logs = read::logs(run).unwrap().len();
    watch.next("plan, journal");
    let saved = run.read_plan().unwrap().plan.links.len();
    watch.next("");
    say(&format!("recap {recap}, page {page}, logs {logs}, {summary:?}, {saved} links"));
}

/// Each of many hosts that are back keeps its guard for those that are not: it must not be told of each of them.
#[tokio::test(start_paused = true)]
async fn a_roll_back_of_many_hosts_tells_each_of_few_others() {
    let hosts = 100;
    let fleet = FakeFleet { breaks_links: Some(HostId(hosts - 1)), ..FakeFleet::of_waves(&vec![0; hosts]) };
    let mut notebook = Notebook::default();
    let (outcome, _) = drive(&Arc::new(fleet), 900, &mut notebook).await;
    assert_eq!(outcome, Outcome::RolledBack);
    let waits = notebook.told.iter().filter_map(|event| match event {
        Event::HostWaits { waits_for, more, .. } => Some((waits_for.len(), *more)),
        _ => None,
    });
    let waits: Vec<(usize, usize)> = waits.collect();
    assert!(waits.iter().all(|(named, more)| *named == 8 || (*named < 8 && *more == 0)), "{waits:?}");
    // Some halvings, then each of the last eight, and the end of it.
    let most = waits.len().div_ceil(hosts);
    assert!((2..=16).contains(&most), "{most} for each host");
}

/// A push of three hosts, each with a link to the next, the second of which is slow in so many rounds.
async fn push_with_a_slow_host(slow: usize) -> (Arc<ManyHosts>, Notebook, Outcome, String) {
    let many = ManyHosts::of(FakeFleet::of_waves(&[0, 0, 0]), slow);
    let (plan, clock) = (Arc::clone(&many.fleet.plan), Arc::clone(&many.fleet.clock));
    let mut notebook = Notebook::default();
    let driver = Driver::new(Arc::clone(&many), plan, vec![times(900); 3], clock);
    let end = driver.drive(&mut notebook, &mut Shutdown::listen().unwrap()).await;
    let DriverEnd::Verdict(verdict) = end else { panic!("nobody sent a signal") };
    codes::keep_end(&verdict);
    (many, notebook, verdict.outcome, verdict.text.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_host_too_slow_to_measure_commits_nothing_is_never_down_and_halves_what_is_asked() {
    let (many, notebook, outcome, text) = push_with_a_slow_host(usize::MAX).await;
    assert_eq!(outcome, Outcome::RolledBack, "{text}");
    let reasons = notebook.told.iter().filter_map(|event| match event {
        Event::RollBackStarted { reason, .. } => Some((reason.code(), reason.to_string())),
        _ => None,
    });
    let reasons: Vec<_> = reasons.collect();
    let [(Some("links-not-measured"), why)] = reasons.as_slice() else { panic!("{reasons:?}") };
    assert!(!why.contains("down") && !text.contains("down"), "{why}: {text}");
    let down = notebook.told.iter().filter_map(|event| match event {
        Event::LinksMoved { waiting_for, .. } => Some(waiting_for.len()),
        Event::MatrixSeen { cells, .. } => {
            Some(cells.iter().filter(|cell| matches!(cell.answer, LinkAnswer::Down { .. })).count())
        }
        _ => None,
    });
    assert_eq!(down.sum::<usize>(), 0, "a link that was not measured was said to be down");
    let sent = many.fleet.sent.lock().unwrap().clone();
    assert!(!sent.iter().any(|order| order.starts_with("switch")), "{sent:?}");
    assert!(notebook.entries.iter().all(|entry| *entry != Entry::Decided));
    let rounds = many.rounds.lock().unwrap().clone();
    assert_eq!(rounds[..4], [1, 2, 4, 8], "{rounds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_slow_for_two_rounds_holds_up_nobody() {
    let (many, _, outcome, text) = push_with_a_slow_host(2).await;
    assert_eq!(outcome, Outcome::Committed, "{text}");
    let rounds = many.rounds.lock().unwrap().clone();
    assert_eq!((rounds[0], rounds[1], rounds.last()), (1, 2, Some(&4)), "{rounds:?}");
}
