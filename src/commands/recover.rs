//! `recover`: finishes or undoes an interrupted push.

mod conclude;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use futures::FutureExt;

use self::conclude::{conclude, rolling_outcome};
use super::shared::confirm::ask_whether_to_end_without;
use super::shared::fleet_context::{FleetContext, load, owner};
use super::shared::hooks::HooksOfPush;
use super::shared::push_record::{append, made_anew, started, take};
use super::shared::reports::{ReportArgs, Reports};
use super::{CommandResult, FAREWELL, Trouble};
use crate::commands::shared::fleet_hosts::{
    ChosenHostsArgs, FleetHostsArgs, PatternArgs, WindowArgs, WithoutArgs, parse_fleet,
};
use crate::commands::shared::global::GlobalArgs;
use crate::decide::reboot::unfinished::UnfinishedReboot;
use crate::decide::transaction::recover::Aim;
use crate::decide::vocabulary::Entry;
use crate::engine::epochs::tag;
use crate::engine::recover::{
    FoundRun, RecordedRun, RecoverRequest, Recovered, RecoveryRecords, RollingEnded, recover,
};
use crate::engine::shutdown::Shutdown;
use crate::engine::source::RunSource;
use crate::engine::surroundings::Surroundings;
use crate::event::reason::command_fault::Misuse;
use crate::event::reason::recover::RecoverReason;
use crate::event::stream::{Events, Follower};
use crate::event::{Event, Outcome};
use crate::facts::plan::Plan;
use crate::facts::provenance::Provenance;
use crate::inventory::Overrides;
use crate::inventory::model::{Host, HostName};
use crate::record::folder::{RunFolder, SavedPlan, StateFolder, UnfinishedRun};
use crate::record::journal::{self, Journal};
use crate::record::lock::FleetLock;
use crate::record::losses::Recording;
use crate::record::run_id::RunId;
use crate::record::{RecordError, listener};
use crate::ui::Screen;
use crate::ui::mode::Mode;

/// Finish or undo a push that was interrupted
///
/// Takes the run over on every host, so that the program that began it can do nothing more, and looks how each host
/// stands. If the push had decided to commit, and every host can go on, every link is proven anew and the run is
/// finished; if not, every host goes back to the system it ran. It works from the run's record, or from another
/// workstation, from what the hosts themselves hold.
///
/// A host that does not come back holds up the others only until you say so: with --without they are brought to one
/// side and freed as soon as no guard can be armed on it any more. On a terminal it asks before it waits. When the host
/// is back, `recover` deals with it; if it is back on the system that it ran, a push does so as well.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy recover            the newest unfinished run of this workstation
  fleetdeploy recover homelab    this fleet, also from another workstation
  fleetdeploy recover homelab --run 20261122-161500-homelab-3f9c
                                 this run of it, where hosts hold several
  fleetdeploy recover homelab --without nas
                                 nas is dead: bring the others to one side and end the run
  fleetdeploy recover homelab --forget 20261122-161500-homelab-3f9c
                                 only remove what that run has left, and move no host

Exit status:
  0  every host is on its new system, or nothing was unfinished; or a
     rolling reboot that died is ended, and no host went back or is lost
  1  every host was seen on its old system, without a guard; or one
     went back from its trial in a rolling reboot that died; or it is
     a guard that was armed by hand, which is left alone; or every host
     answers, and none holds anything of the run that was named
  2  usage or inventory
  3  some hosts are not where they should be, or do not answer; or
     somebody else has taken over; or it could not begin, and the run
     is as it was
  130, 143, 129  interrupted, and every host was seen on its old system")]
pub struct RecoverArgs {
    /// The fleet, as the inventory names it
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: Option<String>,
    /// This run, instead of the one that this workstation knows of or that most hosts hold something of
    #[arg(long, value_name = "RUN", requires = "name", value_parser = parse_run)]
    pub run: Option<RunId>,
    #[command(flatten)]
    pub without: WithoutArgs,
    #[command(flatten)]
    pub window: WindowArgs,
    /// Only remove what this run has left on the hosts, and move none of them
    #[arg(
        long,
        value_name = "RUN",
        requires = "name",
        value_parser = parse_run,
        conflicts_with_all = ["run", "without"]
    )]
    pub forget: Option<RunId>,
    /// With --forget: even if hosts are not at rest, or not on one side
    #[arg(long, requires = "forget")]
    pub as_they_stand: bool,
}

fn parse_run(text: &str) -> Result<RunId, String> {
    RunId::parse(text).map_err(|error| error.to_string())
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &RecoverArgs) -> CommandResult {
    recover_fleet(global, mode, arguments).await.map_err(Trouble::in_doubt)
}

async fn recover_fleet(global: &GlobalArgs, mode: Mode, arguments: &RecoverArgs) -> CommandResult {
    let began = Instant::now();
    let state = StateFolder::locate(|name| std::env::var_os(name)).map_err(Trouble::no_record)?;
    let (global, name) = which(global, &state, arguments)?;
    let (without, window) = (arguments.without.clone(), arguments.window);
    let chosen = ChosenHostsArgs { hosts: PatternArgs { without, ..PatternArgs::default() }, window };
    let fleet = FleetHostsArgs { name, chosen };
    let context = FleetContext::prepare(&global, &fleet, &Overrides::default())?;
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let lock = take(&state, &context)?;
    let named = arguments.run.as_ref().or(arguments.forget.as_ref());
    let known = match named {
        // Without a record of it the hosts tell.
        Some(run) => state.unfinished_run(run).map_err(Trouble::no_record)?,
        None => state.unfinished(Some((&context.fleet.name, &context.inventory.path))).map_err(Trouble::no_record)?,
    };
    let known = known.map(known_of);
    let ended = state.ended_without(&context.fleet.name, &context.inventory.path).map_err(Trouble::no_record)?;
    let ended: Vec<RecordedRun> = ended.into_iter().map(known_of).collect();
    let workspace = context.workspace(&mut shutdown).await?;

    let events = Events::new(known.as_ref().map(|known| known.run.clone()));
    let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
    let reports = Reports::start(ReportArgs::default(), &context.fleet.hooks, &events);
    let inventory = std::path::absolute(&context.inventory.path).unwrap_or_else(|_| context.inventory.path.clone());
    events.publish(Event::RecoverStarted {
        fleet: context.fleet.name.clone(),
        hosts: context.fleet.hosts.iter().map(|host| host.name.clone()).collect(),
        inventory: context.inventory.path.display().to_string(),
    });
    context.warn(&events);
    let jumps = context.inventory.jumps_of(&context.fleet).into_iter().cloned().collect();
    let tag = tag();
    let request = RecoverRequest {
        fleet: context.fleet.clone(),
        owner: format!("{}#{tag:04x}", owner()),
        tag,
        known,
        run: named.map(RunId::to_string),
        aim: aim(arguments),
        without: context.without.clone(),
        ended,
    };
    let mut keeper = RecoverListener {
        events: events.clone(),
        // Without a terminal no question is asked, and the recovery waits for its hosts.
        asks: matches!(mode, Mode::Live { .. }) && std::io::stdin().is_terminal(),
        screen: screen.follower(),
        state,
        lock,
        inventory,
        jumps,
        request: &request,
        record: None,
        guarded: false,
    };
    let recovering = recover(&request, workspace, &events, &mut keeper, &mut shutdown);
    let recovered = AssertUnwindSafe(recovering).catch_unwind().await;
    let is_known = request.known.is_some();
    if let Ok(Recovered::Rolling(ended)) = &recovered {
        keeper.close_rolling(ended);
    }
    let concluded = conclude(recovered.ok(), keeper.guarded, is_known, &request.fleet, &events);
    // The push that had them to run is gone; without a run that was taken over nothing has ended.
    if let Some(ResumedRecord { run, changing, provenance, journal, .. }) = &keeper.record {
        let source = RunSource::of(provenance.clone());
        let hooks = HooksOfPush::new(&context, changing, Some(run), journal.path().parent(), source, &events);
        let recap = || reports.recap(&concluded.clone().event(began.elapsed()));
        hooks.after(&concluded, recap, &mut shutdown).await;
    }
    let ending = concluded.ending;
    if let Some(record) = &keeper.record {
        record.recording.warn_of_losses(&events);
    }
    events.publish(concluded.event(began.elapsed()));
    if let Some(record) = keeper.record {
        let _ = record.recording.finish(FAREWELL);
    }
    let _ = screen.finish(FAREWELL);
    reports.finish();
    Ok(ending)
}

/// Returns the fleet that is meant, and its inventory: without a name those of the newest unfinished run.
fn which(global: &GlobalArgs, state: &StateFolder, arguments: &RecoverArgs) -> Result<(GlobalArgs, String), Trouble> {
    if let Some(name) = &arguments.name {
        return Ok((global.clone(), name.clone()));
    }
    let unfinished = state.unfinished(None).map_err(Trouble::no_record)?;
    if let Some(UnfinishedRun { fleet, inventory, .. }) = unfinished {
        let inventory = global.inventory.clone().unwrap_or(inventory);
        return Ok((GlobalArgs { inventory: Some(inventory), ..global.clone() }, fleet));
    }
    let fleets: Vec<String> =
        load(global).map(|(inventory, _)| inventory.fleets.keys().cloned().collect()).unwrap_or_default();
    Err(Trouble::not_understood(Misuse::NoRunUnfinished { fleets }))
}

fn known_of(unfinished: UnfinishedRun) -> RecordedRun {
    let UnfinishedRun { run, journal, .. } = unfinished;
    let epochs = journal.iter().filter_map(|written| match &written.entry {
        journal::JournalEntry::Started(started) => Some(started.epoch),
        journal::JournalEntry::Recovering(recovering) => Some(recovering.epoch),
        _ => None,
    });
    // What an earlier recovery from the hosts alone has written down may lack what a host did not tell it then.
    let whole =
        !journal.iter().any(|written| matches!(&written.entry, journal::JournalEntry::Recovering(how) if how.alone));
    let last = journal.last().map_or(SystemTime::now(), |written| written.at);
    let rolling = journal::rolling(&journal).map(|(started, told)| UnfinishedReboot {
        hosts: started.hosts.iter().cloned().collect(),
        told: told.into_iter().cloned().collect(),
        tried: match journal.last().map(|written| &written.entry) {
            Some(journal::JournalEntry::Trying { host }) => Some(host.clone()),
            _ => None,
        },
    });
    RecordedRun {
        rolling,
        run: run.id().to_string(),
        plan: run.read_plan().filter(|_| whole).map(|saved| saved.plan.into_owned()),
        recorded: journal::recorded(&journal),
        epoch: epochs.max().unwrap_or(1),
        since: SystemTime::now().duration_since(last).unwrap_or(Duration::ZERO),
        mark: journal::ended_without(&journal).cloned(),
        guards: journal::guards(&journal, SystemTime::now()),
    }
}

fn aim(arguments: &RecoverArgs) -> Aim {
    match (&arguments.forget, arguments.without.hosts.is_empty()) {
        (Some(_), _) => Aim::Forget { as_they_stand: arguments.as_they_stand },
        (None, false) => Aim::Without,
        (None, true) => Aim::Recover,
    }
}

/// The run's record on this workstation, which the recovery goes on with.
struct ResumedRecord {
    run: String,
    /// The hosts that get new systems by it.
    changing: BTreeSet<HostName>,
    /// Where those come from.
    provenance: Option<Provenance>,
    journal: Journal,
    recording: Recording,
}

impl ResumedRecord {
    fn append(&mut self, lock: &mut FleetLock, events: &Events, entry: &journal::JournalEntry) -> std::io::Result<()> {
        let appended = append(lock, &mut self.journal, entry);
        if self.journal.was_made_anew() {
            events.publish(Event::warned(None, made_anew(&self.journal)));
        }
        appended
    }
}

struct RecoverListener<'a> {
    events: Events,
    asks: bool,
    screen: Follower,
    state: StateFolder,
    lock: FleetLock,
    inventory: PathBuf,
    /// The hosts outside the fleet through which its hosts are reached.
    jumps: Vec<Host>,
    request: &'a RecoverRequest,
    record: Option<ResumedRecord>,
    guarded: bool,
}

impl RecoverListener<'_> {
    fn open(&mut self, what: &FoundRun) -> Result<ResumedRecord, RecordError> {
        let id = RunId::parse(what.run.clone()).map_err(|_| RecordError::Write {
            path: self.state.folder().join("runs").join(&what.run),
            source: std::io::ErrorKind::InvalidFilename.into(),
        })?;
        let (folder, mut journal) = self.state.adopt_run(id)?;
        // Only a report needs them: no reason to leave a fleet as it is.
        let fleet = &self.request.fleet;
        let _ = folder.write_addresses(fleet.hosts.iter().chain(&fleet.builders).chain(&self.jumps));
        journal.keep(folder.addresses());
        if what.alone {
            self.write_down(&folder, &mut journal, what)?;
        }
        journal.keep(folder.plan());
        let owner = self.request.owner.clone();
        journal.append(&journal::JournalEntry::Recovering(journal::Recovering {
            epoch: what.epoch,
            owner,
            alone: what.alone,
        }))?;
        self.lock.name_run(&what.run)?;
        let recording = listener::start(&self.events, &folder)?;
        let changing = what.plan.hosts.iter().filter(|host| host.changes).map(|host| host.name.clone()).collect();
        let provenance = folder.read_plan().and_then(|saved| saved.provenance);
        Ok(ResumedRecord { run: what.run.clone(), changing, provenance, journal, recording })
    }

    /// Ends the record of a rolling reboot, if there is one here: even if a host is away, nothing is left to do for it.
    fn close_rolling(&self, ended: &RollingEnded) {
        let closed = self.state.close_rolling(&ended.run, &self.request.owner, rolling_outcome(ended));
        if let Err(error) = closed {
            let not_recorded = RecoverReason::EndNotRecorded { error: error.whole() };
            self.events.publish(Event::warned(None, not_recorded));
        }
    }

    /// Writes down what a later recovery here must know, as the hosts have told it.
    fn write_down(&self, folder: &RunFolder, journal: &mut Journal, what: &FoundRun) -> Result<(), RecordError> {
        let before = folder.read_plan();
        let saved = SavedPlan {
            fleet: self.request.fleet.name.clone(),
            inventory: self.inventory.clone(),
            owner: self.request.owner.clone(),
            rollback_to: before.as_ref().and_then(|before| before.rollback_to.clone()),
            without: before.as_ref().map(|before| before.without.clone()).unwrap_or_default(),
            provenance: before.and_then(|before| before.provenance).or_else(|| what.provenance.clone()),
            plan: Cow::Borrowed(&what.plan),
        };
        folder.write_plan(&saved)?;
        if folder.read_journal()?.is_empty() {
            let guards = |_: &HostName| Some(what.longest_guard);
            journal.append(&journal::JournalEntry::Started(started(&saved, what.epoch, guards)))?;
        }
        Ok(())
    }
}

impl Surroundings for RecoverListener<'_> {
    fn tell(&mut self, event: Event) {
        self.events.publish(event);
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        Ok(())
    }

    fn guarded(&mut self, host: &HostName, holds: Duration) -> std::io::Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        record.append(&mut self.lock, &self.events, &journal::JournalEntry::guarded(host, holds))
    }

    fn record(&mut self, entry: &Entry) -> std::io::Result<()> {
        if matches!(entry, Entry::Finished { .. }) {
            self.guarded = false;
        }
        let Some(record) = &mut self.record else { return Ok(()) };
        record.append(&mut self.lock, &self.events, &entry.clone().into())
    }
}

impl RecoveryRecords for RecoverListener<'_> {
    fn recovering(&mut self, what: &FoundRun) -> std::io::Result<()> {
        self.events.name_run(&what.run);
        let record = self.open(what)?;
        let provenance = record.provenance.clone();
        self.record = Some(record);
        self.guarded = true;
        let record = self.state.folder().join("runs").join(&what.run).display().to_string();
        let changes = what.plan.changing().map(|host| what.plan.host(host).name.clone()).collect();
        self.events.publish(Event::RunChosen { epoch: what.epoch, alone: what.alone, record, changes });
        if let Some(provenance) = provenance {
            self.events.publish(Event::SourceKnown { provenance });
        }
        Ok(())
    }

    fn goes_on_without(&mut self, silent: &BTreeSet<HostName>, wait: Duration) -> impl Future<Output = bool> + Send {
        let (asks, events, screen, silent) = (self.asks, self.events.clone(), self.screen.clone(), silent.clone());
        async move { asks && ask_whether_to_end_without(events, screen, &silent, wait).await }
    }

    fn ended_elsewhere(&mut self) {
        let Some(known) = &self.request.known else { return };
        let note = RunId::parse(known.run.clone()).ok().map(|id| {
            let (_, mut journal) = self.state.adopt_run(id)?;
            journal.append(&journal::JournalEntry::Finished { outcome: Outcome::Superseded })
        });
        self.events.publish(Event::warned(None, RecoverReason::RunEndedElsewhere { run: known.run.clone() }));
        if let Some(Err(error)) = note {
            let not_recorded = RecoverReason::EndNotRecorded { error: error.whole() };
            self.events.publish(Event::warned(None, not_recorded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::shared::fleet_hosts::{WindowArgs, WithoutArgs};

    #[test]
    fn what_a_recovery_is_to_do_is_what_was_typed() {
        let typed = |without: &[&str], forget: Option<&str>, as_they_stand: bool| {
            let hosts = without.iter().map(|host| HostName::new(*host).unwrap()).collect();
            let forget = forget.map(|run| RunId::parse(run.to_owned()).unwrap());
            aim(&RecoverArgs {
                name: None,
                run: None,
                without: WithoutArgs { hosts },
                window: WindowArgs::default(),
                forget,
                as_they_stand,
            })
        };
        let run = Some("20261122-161500-homelab-3f9c");
        assert_eq!(typed(&[], None, false), Aim::Recover);
        assert_eq!(typed(&["nas"], None, false), Aim::Without);
        for as_they_stand in [false, true] {
            assert_eq!(typed(&[], run, as_they_stand), Aim::Forget { as_they_stand });
        }
    }
}
