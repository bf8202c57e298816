//! Where a push or a rolling reboot is recorded: its folder on the disk, its journal, and whose turn it is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use super::Trouble;
use super::asking::ask_whether_to_go_on;
use super::ground::Ground;
use super::recover::started;
use crate::decide::back::To;
use crate::decide::plan::Plan;
use crate::decide::vocabulary::Entry;
use crate::engine::driver::Surroundings;
use crate::engine::push::{First, Request};
use crate::event::Event;
use crate::event::forecast::Forecast;
use crate::event::stream::{Events, Follower};
use crate::inventory::model::HostName;
use crate::record::RecordError;
use crate::record::folder::{SavedPlan, State, Unfinished};
use crate::record::journal::{self, Journal};
use crate::record::listener;
use crate::record::lock::{FleetLock, LockError};
use crate::record::losses::Recording;

/// The run's place on the disk, and the fleet held against other pushes of this workstation.
pub(super) struct Record {
    pub(super) run: String,
    pub(super) folder: PathBuf,
    run_folder: crate::record::folder::RunFolder,
    journal: Journal,
    inventory: PathBuf,
    _lock: FleetLock,
}

impl Record {
    pub(super) fn open(ground: &Ground) -> Result<Self, Trouble> {
        let state = State::locate(|name| std::env::var_os(name)).map_err(Trouble::no_record)?;
        let mut lock =
            FleetLock::take(&state, &ground.fleet.name, &ground.inventory.path).map_err(|error| match error {
                LockError::Held { .. } => {
                    Trouble::not_begun(error, Some("wait for it to end, or look at what it does".to_owned()))
                }
                LockError::Record(error) => Trouble::no_record(error),
            })?;
        // The fleet is ours, so whoever began this is gone.
        if let Some(unfinished) = unfinished(&state, ground)? {
            return Err(Trouble::not_begun(unfinished.text(), Some(tried_again(&unfinished))));
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

    pub(super) fn listen(&self, events: &Events) -> Result<Recording, Trouble> {
        listener::start(events, &self.run_folder).map_err(|error| Trouble::not_begun(error, None))
    }
}

fn unfinished(state: &State, ground: &Ground) -> Result<Option<Unfinished>, Trouble> {
    state.unfinished(Some((&ground.fleet.name, &ground.inventory.path))).map_err(Trouble::no_record)
}

/// Why this workstation's record, if it has one, would refuse a push of the fleet; one that is under way here is no
/// reason of its own.
pub(super) fn would_refuse(ground: &Ground) -> Option<(String, String)> {
    let state = State::locate(|name| std::env::var_os(name)).ok()?;
    let running = state.running();
    let unfinished = match state.unfinished(Some((&ground.fleet.name, &ground.inventory.path))) {
        Err(error @ RecordError::Newer { .. }) => {
            return Some((error.to_string(), error.hint().unwrap_or_default()));
        }
        found => found.ok().flatten(),
    };
    unfinished
        .filter(|one| !running.iter().any(|run| run == one.run.id().as_str()))
        .map(|one| (one.text(), tried_again(&one)))
}

fn tried_again(unfinished: &Unfinished) -> String {
    format!("type `{}`, then try again", unfinished.mend())
}

/// Where the driver's events and entries go.
pub(super) struct Keeper<'a> {
    events: Events,
    screen: Follower,
    record: Option<Record>,
    /// From the first arm command on.
    pub(super) touched: bool,
    /// Between the first arm command and the end.
    pub(super) guarded: bool,
    request: &'a Request,
    /// What the push would do, if that was asked for.
    pub(super) foreseen: Option<Forecast>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(events: &Events, screen: Follower, record: Option<Record>, request: &'a Request) -> Self {
        Self { events: events.clone(), screen, record, touched: false, guarded: false, request, foreseen: None }
    }
}

/// The plan has every host that the run asks anything of.
fn took_no_part(request: &Request, plan: &Plan) -> BTreeSet<HostName> {
    let names = request.fleet.hosts.iter().map(|host| &host.name);
    names.filter(|name| plan.hosts.iter().all(|host| host.name != **name)).cloned().collect()
}

impl Surroundings for Keeper<'_> {
    fn tell(&mut self, event: Event) {
        self.events.publish(event);
    }

    fn foreseen(&mut self, forecast: Forecast) {
        if self.request.first == First::Ask {
            self.events.publish(Event::Foreseen { forecast: Box::new(forecast), whole: true });
        } else {
            self.foreseen = Some(forecast);
        }
    }

    fn agrees(&mut self) -> impl Future<Output = Result<(), String>> + Send {
        let fleet = &self.request.fleet.name;
        let question = match self.request.back {
            None => format!("push {fleet} now? [y/N]"),
            Some(_) => format!("roll {fleet} back now? [y/N]"),
        };
        ask_whether_to_go_on(self.events.clone(), self.screen.clone(), question)
    }

    fn started(&mut self, plan: &Plan) -> std::io::Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let saved = SavedPlan {
            fleet: self.request.fleet.name.clone(),
            inventory: record.inventory.clone(),
            owner: self.request.owner.clone(),
            rollback_to: self.request.back.as_ref().map(To::words),
            without: took_no_part(self.request, plan),
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
