//! `push`: the transaction.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt;

use super::build::FAREWELL;
use super::ground::{Ground, owner};
use super::{Ended, Trouble};
use crate::cli::{Global, Push};
use crate::decide::plan::Plan;
use crate::decide::survey::Allowed;
use crate::decide::vocabulary::{Entry, Signal, Verdict};
use crate::engine::driver::Surroundings;
use crate::engine::push::{Pushed, Request, push};
use crate::engine::shutdown::Shutdown;
use crate::event::stream::{Events, Listener};
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::inventory::model::{Host, HostName};
use crate::record::folder::State;
use crate::record::journal::{self, HostStarted, Journal, Started};
use crate::record::listener;
use crate::record::lock::{FleetLock, LockError};
use crate::ui::Screen;
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Push) -> Ended {
    let overrides = Overrides { guard: arguments.guard, settle: arguments.settle };
    let ground = Ground::prepare(global, &arguments.fleet, &overrides)?;
    let not_begun = |error: Box<dyn std::error::Error>| Trouble::not_begun(error, None);
    // Before anything is written or asked: a signal from here on is ours.
    let mut shutdown = Shutdown::listen().map_err(|error| not_begun(error.into()))?;
    let workspace = ground.workspace().await?;

    let record = if arguments.dry_run { None } else { Some(Record::open(&ground)?) };
    let scratch = tempfile::tempdir().map_err(|error| not_begun(error.into()))?;
    let run = record.as_ref().map(|record| record.run.clone());
    let events = Events::new(run.clone());
    // After the question for a password: a person's time to type is not the push's.
    let began = Instant::now();
    let screen = Screen::start(mode, &events).map_err(|error| not_begun(error.into()))?;
    let recording = match &record {
        Some(record) => Some(record.listen(&events)?),
        None => None,
    };

    let request = Request {
        folder: ground.folder(),
        selected: ground.selected.clone(),
        allowed: Allowed { drift: arguments.accept_drift, broken: arguments.allow_broken },
        dry_run: arguments.dry_run,
        run: run.clone().unwrap_or_else(|| "dry-run".to_owned()),
        owner: owner(),
        roots: record.as_ref().map_or_else(|| scratch.path().to_owned(), |record| record.folder.join("systems")),
        fleet: ground.fleet.clone(),
    };
    events.publish(Event::PushStarted {
        fleet: request.fleet.name.clone(),
        hosts: request.fleet.hosts.iter().map(|host| host.name.clone()).collect(),
        inventory: ground.inventory.path.display().to_string(),
        guard_ms: millis(request.fleet.hosts.iter().map(|host| host.guard).min().unwrap_or_default()),
        record: record.as_ref().map(|record| record.folder.display().to_string()),
    });
    for text in ground.warnings {
        events.publish(Event::Warned { host: None, text });
    }

    let mut keeper = Keeper { events: events.clone(), record, guarded: false, request: &request };
    let pushing = push(&request, workspace, &events, &mut keeper, &mut shutdown);
    // A mistake of ours must not end without a word while guards are armed.
    let pushed = AssertUnwindSafe(pushing).catch_unwind().await;
    let (ending, outcome, text, hosts) = conclude(pushed.ok(), keeper.guarded, &request);
    events.publish(Event::Finished {
        outcome,
        text,
        hosts,
        exit: i32::from(status(ending)),
        took_ms: millis(began.elapsed()),
    });
    if let Some(recording) = recording {
        let _ = recording.finish(FAREWELL);
    }
    let _ = screen.finish(FAREWELL);
    Ok(ending)
}

type Conclusion = (Ending, Outcome, String, BTreeMap<HostName, HostOutcome>);

/// `None`: the engine has panicked.
fn conclude(pushed: Option<Pushed>, guards_armed: bool, request: &Request) -> Conclusion {
    let every = |end: HostOutcome| {
        let hosts = request.fleet.hosts.iter().map(|host: &Host| (host.name.clone(), end.clone()));
        hosts.collect::<BTreeMap<_, _>>()
    };
    match pushed {
        Some(Pushed::Ended(Verdict { outcome, hosts, text, interrupted })) => {
            (Ending::Pushed { outcome, interrupted }, outcome, text, hosts.into_iter().collect())
        }
        Some(Pushed::Planned) => {
            let text = "this is what a push would do; nothing was copied and nothing was touched".to_owned();
            (Ending::Answered { yes: true }, Outcome::Unchanged, text, every(HostOutcome::Untouched))
        }
        Some(Pushed::Interrupted(signal)) => {
            let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted: Some(signal) };
            (
                ending,
                Outcome::Refused,
                format!("interrupted by {signal} before anything was touched"),
                every(HostOutcome::Untouched),
            )
        }
        Some(Pushed::Left { guarded, signal }) => left(&guarded, signal, every(HostOutcome::Untouched)),
        None => {
            let text = "fleetdeploy itself has failed; every armed guard brings its host back by itself".to_owned();
            let end = HostOutcome::Lost { why: "fleetdeploy failed in the middle".to_owned() };
            (Ending::Bug { guards_armed }, Outcome::Split, text, every(end))
        }
    }
}

fn left(guarded: &[(HostName, Duration)], first: Signal, mut hosts: BTreeMap<HostName, HostOutcome>) -> Conclusion {
    let mut text = "left at once, as asked".to_owned();
    for (host, left) in guarded {
        let seconds = left.as_secs();
        let why = format!("its guard brings it back in {}m {:02}s unless it was disarmed", seconds / 60, seconds % 60);
        // Writing to a String cannot fail.
        let _ = write!(text, "; {host}: {why}");
        hosts.insert(host.clone(), HostOutcome::Lost { why });
    }
    let guards_armed = !guarded.is_empty();
    let outcome = if guards_armed { Outcome::Split } else { Outcome::Refused };
    (Ending::Left { first, guards_armed }, outcome, text, hosts)
}

/// The run's place on the disk, and the fleet held against other pushes of this workstation.
struct Record {
    run: String,
    folder: PathBuf,
    run_folder: crate::record::folder::RunFolder,
    journal: Journal,
    inventory: PathBuf,
    _lock: FleetLock,
}

impl Record {
    fn open(ground: &Ground) -> Result<Self, Trouble> {
        let hint = "a push that cannot write its record does not start".to_owned();
        let unwritable = |error: crate::record::RecordError| Trouble::not_begun(error, Some(hint.clone()));
        let state = State::locate(|name| std::env::var_os(name)).map_err(unwritable)?;
        let mut lock =
            FleetLock::take(&state, &ground.fleet.name, &ground.inventory.path).map_err(|error| match error {
                LockError::Held { .. } => {
                    Trouble::not_begun(error, Some("wait for it to end, or look at what it does".to_owned()))
                }
                LockError::Record(error) => unwritable(error),
            })?;
        let now = SystemTime::now();
        // Old records that cannot be trimmed are no reason not to push.
        let _ = state.trim(now);
        let (run_folder, journal) = state.create_run(&ground.fleet.name, now).map_err(unwritable)?;
        let run = run_folder.id().as_str().to_owned();
        lock.name_run(&run).map_err(unwritable)?;
        let folder = run_folder.path().to_owned();
        Ok(Self { run, folder, run_folder, journal, inventory: ground.inventory.path.clone(), _lock: lock })
    }

    fn listen(&self, events: &Events) -> Result<Listener, Trouble> {
        listener::start(events, &self.run_folder).map_err(|error| Trouble::not_begun(error, None))
    }
}

/// Where the driver's events and entries go.
struct Keeper<'a> {
    events: Events,
    record: Option<Record>,
    /// Between the first arm command and the end.
    guarded: bool,
    request: &'a Request,
}

impl Surroundings for Keeper<'_> {
    fn tell(&mut self, event: Event) {
        self.events.publish(event);
    }

    fn started(&mut self, plan: &Plan) -> std::io::Result<()> {
        let hosts = plan.hosts.iter().map(|host| HostStarted {
            host: host.name.clone(),
            machine_id: host.machine_id.clone(),
            boot_id: host.boot_id.clone(),
            old: host.old.clone(),
            generation: host.generation,
            new: host.new.clone(),
            changes: host.changes,
        });
        let Some(record) = &mut self.record else { return Ok(()) };
        let started = Started {
            fleet: self.request.fleet.name.clone(),
            inventory: record.inventory.clone(),
            epoch: 1,
            owner: self.request.owner.clone(),
            hosts: hosts.collect(),
        };
        record.run_folder.write_plan(&started).map_err(std::io::Error::other)?;
        record.journal.append(&journal::Entry::Started(started)).map_err(std::io::Error::other)
    }

    fn record(&mut self, entry: &Entry) -> std::io::Result<()> {
        match entry {
            Entry::Arming => self.guarded = true,
            Entry::Finished { .. } => self.guarded = false,
            _ => {}
        }
        let Some(record) = &mut self.record else { return Ok(()) };
        record.journal.append(&entry.clone().into()).map_err(std::io::Error::other)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
