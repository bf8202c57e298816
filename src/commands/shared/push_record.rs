//! Opens the record of a push or a rolling reboot: the fleet's lock, the folder on the disk, the journal.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::confirm::ask_whether_to_go_on;
use super::fleet_context::{FleetContext, owner};
use super::former::add_what_former_runs_took;
use crate::commands::Trouble;
use crate::decide::reboot;
use crate::decide::vocabulary::Entry;
use crate::engine::push::{Preview, PushRequest};
use crate::engine::reboot::Logbook;
use crate::engine::surroundings::{CleanedUp, Surroundings};
use crate::event::forecast::Forecast;
use crate::event::reason::any::AnyReason;
use crate::event::reason::command_end::NotAgreed;
use crate::event::reason::notice::Notice;
use crate::event::reason::record_fault::RecordFault;
use crate::event::stream::{Events, Follower};
use crate::event::{Event, Outcome};
use crate::facts::plan::{HostPlan, Plan};
use crate::inventory::model::HostName;
use crate::record::folder::{SavedPlan, StateFolder, UnfinishedRun};
use crate::record::journal::{HostStarted, Journal, JournalEntry, RollingStarted, RunStarted};
use crate::record::lock::{FleetLock, LockError};
use crate::record::losses::Recording;
use crate::record::{RecordError, listener};

/// The run's place on the disk, with the lock that holds the fleet against other pushes of this workstation.
pub(crate) struct PushRecord {
    pub(crate) run: String,
    pub(crate) folder: PathBuf,
    run_folder: crate::record::folder::RunFolder,
    journal: Journal,
    inventory: PathBuf,
    rolling: RebootProgress,
    fleet: String,
    owner: String,
    lock: FleetLock,
    /// The screen, from when there is one.
    events: Option<Events>,
}

/// How far the rolling reboot of the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RebootProgress {
    /// None was begun.
    None,
    UnderWay,
    Ended,
}

impl PushRecord {
    pub(crate) fn open(context: &FleetContext) -> Result<Self, Trouble> {
        let state = StateFolder::locate(|name| std::env::var_os(name)).map_err(Trouble::no_record)?;
        let mut lock = take(&state, context)?;
        // This process holds the fleet's lock, so the program that began this run is gone.
        if let Some(unfinished) = unfinished(&state, context)? {
            return Err(Trouble::not_begun(unfinished.reason()));
        }
        let now = SystemTime::now();
        // Old records that cannot be trimmed are no reason not to push.
        let _ = state.trim(now);
        let (run_folder, mut journal) = state.create_run(&context.fleet.name, now).map_err(Trouble::no_record)?;
        let jumps = context.inventory.jumps_of(&context.fleet);
        let fleet = &context.fleet;
        let known = fleet.hosts.iter().chain(&fleet.builders).chain(jumps);
        run_folder.write_addresses(known).map_err(Trouble::no_record)?;
        journal.keep(run_folder.addresses());
        let run = run_folder.id().as_str().to_owned();
        lock.name_run(&run).map_err(Trouble::no_record)?;
        let folder = run_folder.path().to_owned();
        let path = &context.inventory.path;
        let inventory = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let (rolling, fleet, owner) = (RebootProgress::None, context.fleet.name.clone(), owner());
        Ok(Self { run, folder, run_folder, journal, inventory, rolling, fleet, owner, lock, events: None })
    }

    fn append(&mut self, entry: &JournalEntry) -> std::io::Result<()> {
        let appended = append(&mut self.lock, &mut self.journal, entry);
        if let (true, Some(events)) = (self.journal.was_made_anew(), &self.events) {
            events.publish(Event::warned(None, made_anew(&self.journal)));
        }
        appended
    }

    /// Writes down the end of the run, if a rolling reboot has come to its end in it; else the end is written already,
    /// or is left to `recover`.
    pub(crate) fn close_rolling(&mut self, outcome: Outcome) -> std::io::Result<()> {
        if self.rolling != RebootProgress::Ended {
            return Ok(());
        }
        self.append(&JournalEntry::Finished { outcome })
    }

    pub(crate) fn listen(&mut self, events: &Events) -> Result<Recording, Trouble> {
        self.events = Some(events.clone());
        listener::start(events, &self.run_folder).map_err(Trouble::no_record)
    }
}

impl Logbook for PushRecord {
    fn rolling_begins(&mut self, plan: &Plan, hosts: &[HostName]) -> std::io::Result<()> {
        let on_boot = |host: &HostPlan| (host.name.clone(), host.boot_id.clone());
        let hosts = plan.hosts.iter().filter(|host| hosts.contains(&host.name)).map(on_boot).collect();
        let (fleet, inventory, owner) = (self.fleet.clone(), self.inventory.clone(), self.owner.clone());
        let started = RollingStarted { fleet, inventory, owner, hosts };
        self.rolling = RebootProgress::UnderWay;
        self.append(&JournalEntry::Rolling(started))
    }

    fn rolling_goes_on(&mut self, entry: &reboot::RebootEntry) -> std::io::Result<()> {
        self.append(&entry.clone().into())
    }

    fn rolling_ends(&mut self) {
        self.rolling = RebootProgress::Ended;
    }
}

fn unfinished(state: &StateFolder, context: &FleetContext) -> Result<Option<UnfinishedRun>, Trouble> {
    state.unfinished(Some((&context.fleet.name, &context.inventory.path))).map_err(Trouble::no_record)
}

/// Says why the records of this workstation would refuse a push of the fleet. A push that is under way here is no
/// reason here: the lock tells of it.
pub(crate) fn would_refuse(context: &FleetContext) -> Option<AnyReason> {
    let state = StateFolder::locate(|name| std::env::var_os(name)).ok()?;
    let running = state.running();
    let unfinished = match state.unfinished(Some((&context.fleet.name, &context.inventory.path))) {
        Err(error @ RecordError::Newer { .. }) => return Some(RecordFault::from(&error).into()),
        found => found.ok().flatten(),
    };
    unfinished.filter(|one| !running.iter().any(|run| run == one.run.id().as_str())).map(|one| one.reason().into())
}

/// Takes the driver's events and entries.
pub(crate) struct PushListener<'a> {
    events: Events,
    screen: Follower,
    record: Option<PushRecord>,
    /// Whether the first arm command was sent.
    pub(crate) touched: bool,
    /// Whether it is between the first arm command and the end.
    pub(crate) guarded: bool,
    request: &'a PushRequest,
    /// What the push would do, if that was asked for.
    pub(crate) foreseen: Option<Forecast>,
}

impl<'a> PushListener<'a> {
    pub(crate) fn new(events: &Events, screen: Follower, record: Option<PushRecord>, request: &'a PushRequest) -> Self {
        Self { events: events.clone(), screen, record, touched: false, guarded: false, request, foreseen: None }
    }
}

impl PushListener<'_> {
    /// See [`PushRecord::close_rolling`].
    pub(crate) fn close_rolling(&mut self, outcome: Outcome) {
        if let Some(Err(error)) = self.record.as_mut().map(|record| record.close_rolling(outcome)) {
            self.events.publish(Event::warned(None, Notice::RecordFailed { said: error.to_string() }));
        }
    }
}

impl Logbook for PushListener<'_> {
    fn rolling_begins(&mut self, plan: &Plan, hosts: &[HostName]) -> std::io::Result<()> {
        self.record.as_mut().map_or(Ok(()), |record| record.rolling_begins(plan, hosts))
    }

    fn rolling_goes_on(&mut self, entry: &reboot::RebootEntry) -> std::io::Result<()> {
        self.record.as_mut().map_or(Ok(()), |record| record.rolling_goes_on(entry))
    }

    fn rolling_ends(&mut self) {
        if let Some(record) = &mut self.record {
            record.rolling_ends();
        }
    }
}

/// Returns the hosts that took no part: the plan has all others.
fn took_no_part(request: &PushRequest, plan: &Plan) -> BTreeSet<HostName> {
    let names = request.scope.fleet.hosts.iter().map(|host| &host.name);
    names.filter(|name| plan.hosts.iter().all(|host| host.name != **name)).cloned().collect()
}

impl Surroundings for PushListener<'_> {
    fn tell(&mut self, event: Event) {
        self.events.publish(event);
    }

    fn foreseen(&mut self, mut forecast: Forecast) {
        add_what_former_runs_took(&mut forecast);
        if self.request.first == Preview::Ask {
            self.events.publish(Event::Foreseen { forecast: Box::new(forecast), whole: true });
        } else {
            self.foreseen = Some(forecast);
        }
    }

    fn agrees(&mut self) -> impl Future<Output = Result<(), NotAgreed>> + Send {
        let fleet = &self.request.scope.fleet.name;
        let question = match self.request.back {
            None => format!("push {fleet} now? [y/N]"),
            Some(_) => format!("roll {fleet} back now? [y/N]"),
        };
        ask_whether_to_go_on(self.events.clone(), self.screen.clone(), question)
    }

    fn started(&mut self, plan: &Plan) -> std::io::Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let saved = SavedPlan {
            fleet: self.request.scope.fleet.name.clone(),
            inventory: record.inventory.clone(),
            owner: self.request.owner.clone(),
            rollback_to: self.request.back.as_ref().map(|to| to.aim().to_string()),
            without: took_no_part(self.request, plan),
            provenance: self.request.scope.source.known(),
            plan: Cow::Borrowed(plan),
        };
        record.journal.mend()?;
        record.run_folder.write_plan(&saved)?;
        record.journal.keep(record.run_folder.plan());
        // The time counts from the entry that announces the command: the command itself may be on its way for so long.
        let guards = |name: &HostName| {
            let host = self.request.scope.fleet.hosts.iter().find(|host| host.name == *name)?;
            Some(host.guard + host.limits.connect + host.limits.step)
        };
        record.append(&JournalEntry::Started(started(&saved, 1, guards)))
    }

    fn cleaned_up(&mut self, what: &CleanedUp) -> std::io::Result<()> {
        let state = StateFolder::locate(|name| std::env::var_os(name))?;
        let CleanedUp { run, epoch, entries } = what;
        Ok(state.end_again(run, *epoch, &self.request.owner, entries)?)
    }

    fn guarded(&mut self, host: &HostName, holds: Duration) -> std::io::Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        record.append(&JournalEntry::guarded(host, holds))
    }

    fn record(&mut self, entry: &Entry) -> std::io::Result<()> {
        match entry {
            Entry::Arming => (self.touched, self.guarded) = (true, true),
            Entry::Finished { .. } => self.guarded = false,
            _ => {}
        }
        let Some(record) = &mut self.record else { return Ok(()) };
        record.append(&entry.clone().into())
    }
}

/// Writes an entry, where this process still holds the fleet: another one may go on with a record that was deleted in
/// the middle of a run.
pub(crate) fn append(lock: &mut FleetLock, journal: &mut Journal, entry: &JournalEntry) -> std::io::Result<()> {
    lock.keep()?;
    Ok(journal.append(entry)?)
}

pub(crate) fn made_anew(journal: &Journal) -> Notice {
    Notice::RecordMadeAnew { path: journal.path().display().to_string() }
}

pub(crate) fn take(state: &StateFolder, context: &FleetContext) -> Result<FleetLock, Trouble> {
    FleetLock::take(state, &context.fleet.name, &context.inventory.path).map_err(|error| match error {
        LockError::Held(fault) => Trouble::not_begun(fault),
        LockError::Record(error) => Trouble::no_record(error),
    })
}

/// How a plan stands in the journal.
pub(crate) fn started(saved: &SavedPlan<'_>, epoch: u64, guards: impl Fn(&HostName) -> Option<Duration>) -> RunStarted {
    let hosts = saved.plan.hosts.iter().map(|host| HostStarted {
        host: host.name.clone(),
        machine_id: host.machine_id.clone(),
        boot_id: host.boot_id.clone(),
        old: host.old.clone(),
        generation: host.generation,
        new: host.new.clone(),
        changes: host.changes,
        guarded_for: guards(&host.name).map(|guard| guard.as_secs() + u64::from(guard.subsec_nanos() > 0)),
    });
    RunStarted {
        fleet: saved.fleet.clone(),
        inventory: saved.inventory.clone(),
        epoch,
        owner: saved.owner.clone(),
        hosts: hosts.collect(),
        without: saved.without.clone(),
        provenance: saved.provenance.clone(),
    }
}
