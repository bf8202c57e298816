//! `push`: the transaction.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use futures::FutureExt;

use super::build::FAREWELL;
use super::ending::{Conclusion, millis};
use super::ground::{Ground, owner};
use super::hooks::HooksOfPush;
use super::recover::started;
use super::{Ended, Trouble};
use crate::cli::{Global, Push};
use crate::decide::plan::Plan;
use crate::decide::survey::Allowed;
use crate::decide::vocabulary::Entry;
use crate::decide::waves::Waves;
use crate::engine::driver::Surroundings;
use crate::engine::push::{Pushed, Request, push};
use crate::engine::shutdown::Shutdown;
use crate::event::stream::{Events, Listener};
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::inventory::model::Fleet;
use crate::record::folder::{SavedPlan, State, Unfinished};
use crate::record::journal::{self, Journal};
use crate::record::listener;
use crate::record::lock::{FleetLock, LockError};
use crate::ui::Screen;
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Push) -> Ended {
    let overrides = Overrides { guard: arguments.guard, settle: arguments.settle };
    let ground = Ground::prepare(global, &arguments.fleet, &overrides)?;
    let waves = Waves { canaries: ground.canaries(&arguments.canary)?, sizes: arguments.waves.clone() };
    let not_begun = |error: Box<dyn std::error::Error>| Trouble::not_begun(error, None);
    // Before anything is written or asked: a signal from here on is ours.
    let mut shutdown = Shutdown::listen().map_err(|error| not_begun(error.into()))?;
    let workspace = ground.workspace(&mut shutdown).await?;

    let record = if arguments.dry_run { None } else { Some(Record::open(&ground)?) };
    let scratch = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
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
        waves,
        dry_run: arguments.dry_run,
        reboot: arguments.reboot,
        run: run.clone().unwrap_or_else(|| "dry-run".to_owned()),
        owner: owner(),
        roots: record.as_ref().map_or_else(|| scratch.path().to_owned(), |record| record.folder.join("systems")),
        fleet: ground.fleet.clone(),
    };
    events.publish(Event::PushStarted {
        fleet: request.fleet.name.clone(),
        hosts: request.fleet.hosts.iter().map(|host| host.name.clone()).collect(),
        selected: request
            .fleet
            .hosts
            .iter()
            .map(|host| &host.name)
            .filter(|name| request.selected.contains(*name))
            .cloned()
            .collect(),
        inventory: ground.inventory.path.display().to_string(),
        guard_ms: millis(request.fleet.hosts.iter().map(|host| host.guard).min().unwrap_or_default()),
        record: record.as_ref().map(|record| record.folder.display().to_string()),
        dry_run: arguments.dry_run,
    });
    ground.warn(&events);

    let mut keeper = Keeper { events: events.clone(), record, touched: false, guarded: false, request: &request };
    let hooks = HooksOfPush::new(&ground, run.as_deref(), &events);
    let concluded = match hooks.before(&mut shutdown).await {
        Ok(()) => {
            let pushing = push(&request, workspace, &events, &mut keeper, &mut shutdown);
            // A mistake of ours must not end without a word while guards are armed.
            let pushed = AssertUnwindSafe(pushing).catch_unwind().await;
            conclude(pushed.ok(), keeper.touched, keeper.guarded, &request.fleet)
        }
        Err(stopped) => stopped.conclude(&request.fleet),
    };
    hooks.after(&concluded, &mut shutdown).await;
    events.publish(Event::Finished {
        outcome: concluded.outcome,
        text: concluded.text,
        hosts: concluded.hosts,
        exit: i32::from(status(concluded.ending)),
        took_ms: millis(began.elapsed()),
    });
    if let Some(recording) = recording {
        let _ = recording.finish(FAREWELL);
    }
    let _ = screen.finish(FAREWELL);
    Ok(concluded.ending)
}

/// `None`: the engine has panicked.
fn conclude(pushed: Option<Pushed>, touched: bool, guards_armed: bool, fleet: &Fleet) -> Conclusion {
    let untouched = HostOutcome::Untouched;
    match pushed {
        Some(Pushed::Ended(verdict)) => Conclusion::of_verdict(fleet, verdict),
        Some(Pushed::Rebooted(verdict, rolled)) => {
            let mut concluded = Conclusion::of_verdict(fleet, verdict);
            let (ending, text) = super::reboot::ending(&rolled);
            // It stays committed whatever came of the reboots; the exit says that not all went well.
            concluded.text = format!("{}; {text}", concluded.text);
            if status(ending) != 0 {
                concluded.ending = ending;
            }
            concluded
        }
        Some(Pushed::Planned) => {
            let text = "this is what a push would do; nothing was copied and nothing was touched".to_owned();
            Conclusion::of_all(fleet, &untouched, Ending::Answered { yes: true }, Outcome::Planned, text)
        }
        Some(Pushed::Interrupted(signal)) => {
            let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted: Some(signal) };
            let text = format!("interrupted by {signal} before anything was touched");
            Conclusion::of_all(fleet, &untouched, ending, Outcome::Refused, text)
        }
        Some(Pushed::Left { through, guarded, signal }) => {
            Conclusion::left(fleet, &guarded, signal, &untouched, through)
        }
        None if !touched => {
            let text = "fleetdeploy itself has failed, before anything was touched".to_owned();
            Conclusion::of_all(fleet, &untouched, Ending::Bug { guards_armed }, Outcome::Refused, text)
        }
        None => Conclusion::bug(fleet, guards_armed),
    }
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
        let state = State::locate(|name| std::env::var_os(name)).map_err(Trouble::no_record)?;
        let mut lock =
            FleetLock::take(&state, &ground.fleet.name, &ground.inventory.path).map_err(|error| match error {
                LockError::Held { .. } => {
                    Trouble::not_begun(error, Some("wait for it to end, or look at what it does".to_owned()))
                }
                LockError::Record(error) => Trouble::no_record(error),
            })?;
        // The fleet is ours, so whoever began this is gone.
        let unfinished =
            state.unfinished(Some((&ground.fleet.name, &ground.inventory.path))).map_err(Trouble::no_record)?;
        if let Some(by_hand) = unfinished.as_ref().filter(|unfinished| unfinished.is_by_hand()) {
            let text = format!("this fleet is under a guard that was armed by hand: run {}", by_hand.run.id());
            let hint =
                format!("when the work is done, type `fleetdeploy guard disarm {}`, then push again", by_hand.fleet);
            return Err(Trouble::not_begun(text, Some(hint)));
        }
        if let Some(Unfinished { run, fleet, .. }) = unfinished {
            let text = format!("run {} of this fleet did not come to its end", run.id());
            return Err(Trouble::not_begun(text, Some(format!("type `fleetdeploy recover {fleet}`, then push again"))));
        }
        let now = SystemTime::now();
        // Old records that cannot be trimmed are no reason not to push.
        let _ = state.trim(now);
        let (run_folder, journal) = state.create_run(&ground.fleet.name, now).map_err(Trouble::no_record)?;
        let jumps = ground.inventory.jumps_of(&ground.fleet);
        run_folder.write_addresses(ground.fleet.hosts.iter().chain(jumps)).map_err(Trouble::no_record)?;
        let run = run_folder.id().as_str().to_owned();
        lock.name_run(&run).map_err(Trouble::no_record)?;
        let folder = run_folder.path().to_owned();
        let path = &ground.inventory.path;
        let inventory = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Ok(Self { run, folder, run_folder, journal, inventory, _lock: lock })
    }

    fn listen(&self, events: &Events) -> Result<Listener, Trouble> {
        listener::start(events, &self.run_folder).map_err(|error| Trouble::not_begun(error, None))
    }
}

/// Where the driver's events and entries go.
struct Keeper<'a> {
    events: Events,
    record: Option<Record>,
    /// From the first arm command on.
    touched: bool,
    /// Between the first arm command and the end.
    guarded: bool,
    request: &'a Request,
}

impl Surroundings for Keeper<'_> {
    fn tell(&mut self, event: Event) {
        self.events.publish(event);
    }

    fn started(&mut self, plan: &Plan) -> std::io::Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let saved = SavedPlan {
            fleet: self.request.fleet.name.clone(),
            inventory: record.inventory.clone(),
            owner: self.request.owner.clone(),
            plan: plan.clone(),
        };
        record.run_folder.write_plan(&saved).map_err(std::io::Error::other)?;
        record.journal.append(&journal::Entry::Started(started(&saved, 1))).map_err(std::io::Error::other)
    }

    fn record(&mut self, entry: &Entry) -> std::io::Result<()> {
        match entry {
            Entry::Arming => (self.touched, self.guarded) = (true, true),
            Entry::Finished { .. } => self.guarded = false,
            _ => {}
        }
        let Some(record) = &mut self.record else { return Ok(()) };
        record.journal.append(&entry.clone().into()).map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_mistake_of_ours_before_anything_was_touched_is_no_split() {
        let fleet = Fleet {
            name: "homelab".into(),
            hosts: Vec::new(),
            source: crate::inventory::model::Source::System,
            checks: Vec::new(),
            hooks: crate::inventory::model::Hooks::default(),
            settle: Fleet::DEFAULT_SETTLE,
            build_limit: Fleet::DEFAULT_BUILD_LIMIT,
        };
        let end = |touched, guards_armed| {
            let concluded = conclude(None, touched, guards_armed, &fleet);
            (concluded.outcome, status(concluded.ending))
        };
        assert_eq!(end(false, false), (Outcome::Refused, 1));
        assert_eq!(end(true, true), (Outcome::Split, 3));
        let planned = conclude(Some(Pushed::Planned), false, false, &fleet);
        assert_eq!((planned.outcome, status(planned.ending)), (Outcome::Planned, 0));
    }
}
