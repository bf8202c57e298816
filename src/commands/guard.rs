//! `guard`: arms the guard of a push for a person who works by hand.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::shared::conclusion::millis;
use super::shared::fleet_context::{FleetContext, owner};
use super::shared::history::{clock, colour, print};
use super::shared::push_record::{started, take};
use super::shared::query::interrupted;
use super::{CommandResult, FAREWELL, Trouble};
use crate::commands::shared::fleet_hosts::FleetHostsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::decide::guard::Hold;
use crate::decide::survey::Allowed;
use crate::decide::vocabulary::Signal;
use crate::engine::guard::{Armable, GuardRequest, Guards, Looked, Went};
use crate::engine::shutdown::Shutdown;
use crate::event::line::to_millis;
use crate::event::reason::command_end::OpenRun;
use crate::event::reason::command_fault::Misuse;
use crate::event::reason::guard::HandGuard;
use crate::event::stream::Events;
use crate::event::{Event, Outcome};
use crate::exit::{Ending, status};
use crate::inventory::{Overrides, duration};
use crate::record::folder::{SavedPlan, StateFolder, UnfinishedRun};
use crate::record::journal::{self, Journal};
use crate::record::lock::FleetLock;
use crate::record::losses::Recording;
use crate::record::run_id::RunId;
use crate::record::{RecordError, listener};
use crate::ui::Screen;
use crate::ui::guards::{GuardRow, GuardStanding, render};
use crate::ui::mode::Mode;

/// The guard of a push, for a person who works by hand
///
/// Armed, it brings each host back after its time: profile and boot default as they were, then a reboot (or, on a host
/// marked `guard_action: switch-back`, what ran is activated again). It lives on the hosts: this workstation may be
/// closed meanwhile. Disarmed, what runs by then stays.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct GuardArgs {
    #[command(subcommand)]
    pub command: GuardCommand,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum GuardCommand {
    Arm(GuardArmArgs),
    Status(GuardStatusArgs),
    Extend(GuardExtendArgs),
    Disarm(GuardDisarmArgs),
}

/// Arm the guard on every selected host, or on none
///
/// Refused where a reboot would not bring back what runs now, and where another run or person has a guard or a lease.
/// While it is armed, a push of the fleet is refused.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy guard arm homelab                the systems go back in the inventory's `guard` time
  fleetdeploy guard arm homelab --guard 30m    in half an hour
  fleetdeploy guard arm homelab --on vps       only one host

Exit status:
  0  armed on every selected host
  1  refused: armed on none
  2  usage or inventory
  3  a host does not answer, and may be armed: `guard status`
  130, 143, 129  interrupted: armed on none")]
pub struct GuardArmArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
    /// How long until it fires, at least 20s, instead of the inventory's `guard`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub guard: Option<Duration>,
    /// Also on hosts on which a reboot would not bring what runs now: a guard that fires then brings what a reboot
    /// brings
    #[arg(long)]
    pub accept_drift: bool,
}

/// Show on which hosts a guard is armed, until when and whose it is
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Example:
  fleetdeploy guard status homelab

Exit status:
  0  every selected host answers
  1  a host does not answer
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct GuardStatusArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
}

/// Give every armed guard more time, from now on
///
/// No guard is ever made to fire sooner than it would have. All are looked at first: unless each of them can be
/// extended, none is.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Example:
  fleetdeploy guard extend homelab --guard 15m    15 minutes from now on

Exit status:
  0  every guard is extended
  1  a host has no guard of yours, or it has fired
  2  usage or inventory
  3  a host does not answer
  130, 143, 129  interrupted before it began")]
pub struct GuardExtendArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
    /// How long until they fire, from now on, instead of the inventory's `guard`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub guard: Option<Duration>,
}

/// Disarm the guards: what the hosts run now stays
///
/// Refused, on all of them, while a host would come up on something else than it runs: then a guard is the only way
/// back. Make what runs permanent there (`nixos-rebuild switch`), or let the guard fire.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy guard disarm homelab
  fleetdeploy guard disarm homelab --on vps    only there; the other guards count down

Exit status:
  0  no guard of yours is armed any more, and none has fired
  1  refused; or a guard has fired; or something of it stays on a host
  2  usage or inventory
  3  a host does not answer
  130, 143, 129  interrupted before it began")]
pub struct GuardDisarmArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
}

/// A guard by hand is no shorter.
const SHORTEST: Duration = Duration::from_secs(20);

/// The words of a command at its end.
struct GuardEnd {
    ending: Ending,
    looked: Looked,
    /// Below the table.
    next: String,
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, command: &GuardCommand) -> CommandResult {
    let (word, hosts, guard, drift) = match command {
        GuardCommand::Arm(arguments) => ("guard arm", &arguments.fleet, arguments.guard, arguments.accept_drift),
        GuardCommand::Status(arguments) => ("guard status", &arguments.fleet, None, false),
        GuardCommand::Extend(arguments) => ("guard extend", &arguments.fleet, arguments.guard, false),
        GuardCommand::Disarm(arguments) => ("guard disarm", &arguments.fleet, None, false),
    };
    let context = FleetContext::prepare(global, hosts, &Overrides { guard, ..Overrides::default() })?;
    if matches!(command, GuardCommand::Arm(_)) {
        ensure_there_is_time(&context)?;
    }
    let state = StateFolder::locate(|name| std::env::var_os(name)).map_err(Trouble::no_record)?;
    // A command that only looks needs no lock.
    let lock = match command {
        GuardCommand::Status(_) => None,
        _ => Some(take(&state, &context)?),
    };
    let unfinished =
        state.unfinished(Some((&context.fleet.name, &context.inventory.path))).map_err(Trouble::no_record)?;
    if let (GuardCommand::Arm(_), Some(unfinished)) = (command, &unfinished) {
        return Err(is_taken(unfinished));
    }
    let known = unfinished.filter(UnfinishedRun::is_by_hand).map(|known| known.run.id().clone());
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let workspace = context.workspace(&mut shutdown).await?;
    let events = Events::new(known.as_ref().map(ToString::to_string));
    let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
    context.begin_query(word, &events);
    let request = GuardRequest {
        fleet: context.fleet.clone(),
        selected: context.selected.clone(),
        allowed: Allowed { drift, broken: false },
        owner: owner(),
        known: known.as_ref().map(ToString::to_string),
    };
    let guards = Guards::new(&request, workspace, &events);
    let mut records = Records { state: &state, lock, known, events: &events, recording: None };
    let looked = tokio::select! {
        looked = guards.look() => Ok(looked),
        signal = shutdown.requested() => {
            events.publish(interrupted(signal));
            Err(signal)
        }
    };
    let said = match (looked, command) {
        (Err(signal), _) => {
            GuardEnd { ending: Ending::QueryInterrupted(signal), looked: Looked::new(), next: String::new() }
        }
        (Ok(looked), GuardCommand::Arm(_)) => arm(&guards, looked, &context, &mut records, &mut shutdown).await,
        (Ok(looked), GuardCommand::Status(_)) => {
            let yes = looked.values().all(Result::is_ok);
            GuardEnd { ending: Ending::Answered { yes }, looked, next: String::new() }
        }
        (Ok(looked), GuardCommand::Extend(_)) => {
            records.go_on();
            let went = guards.extend(&looked).await;
            GuardEnd { ending: ending(went), looked: guards.look().await, next: String::new() }
        }
        (Ok(looked), GuardCommand::Disarm(_)) => disarm(&guards, looked, &context, &mut records).await,
    };
    guards.close().await;
    let rows = rows(&guards, &context, &said.looked);
    let now = SystemTime::now();
    if let Some(recording) = &records.recording {
        recording.warn_of_losses(&events);
    }
    events.publish(Event::Answer { answer: json(&rows, now, records.known.as_ref()) });
    events.publish(Event::Ended { exit: i32::from(status(said.ending)) });
    if let Some(recording) = records.recording.take() {
        let _ = recording.finish(FAREWELL);
    }
    let _ = screen.finish(FAREWELL);
    if mode != Mode::Json && !rows.is_empty() {
        print(&format!("{}{}", render(&rows, &clock(), now, colour(global)), said.next))?;
    }
    Ok(said.ending)
}

/// A guard that fires before its disarming can be typed is a slip: `15s` for `15m`.
fn ensure_there_is_time(context: &FleetContext) -> Result<(), Trouble> {
    let hosts = context.fleet.hosts.iter().filter(|host| context.selected.contains(&host.name));
    let Some(short) = hosts.into_iter().find(|host| host.guard < SHORTEST) else { return Ok(()) };
    let (name, guard, least) = (short.name.clone(), short.guard, SHORTEST);
    Err(Trouble::not_understood(Misuse::HandGuardTooShort { name, guard, least }))
}

/// Refuses a second guard by hand on one fleet, which a person would forget; and a fleet with an unfinished push, which
/// `recover` must end.
fn is_taken(unfinished: &UnfinishedRun) -> Trouble {
    match unfinished.reason() {
        OpenRun::HandGuardOpen { run, fleet } => Trouble::not_begun(HandGuard::GuardArmedBefore { run, fleet }),
        open @ (OpenRun::RollingRebootOpen { .. } | OpenRun::PushOpen { .. }) => Trouble::not_begun(open),
    }
}

fn ending(went: Went) -> Ending {
    match went {
        Went::Well => Ending::Answered { yes: true },
        Went::No => Ending::Answered { yes: false },
        Went::InDoubt => Ending::InDoubt,
    }
}

async fn arm(
    guards: &Guards<'_>,
    looked: Looked,
    context: &FleetContext,
    records: &mut Records<'_>,
    shutdown: &mut Shutdown,
) -> GuardEnd {
    let on_none = "refused: no guard was armed, on any host\n";
    let refused = |looked| GuardEnd { ending: Ending::Answered { yes: false }, looked, next: on_none.to_owned() };
    let Some(armable) = guards.armable(&looked) else { return refused(looked) };
    let (mut journal, run) = match records.create(context, &armable) {
        Ok(created) => created,
        Err(error) => {
            let not_made = HandGuard::GuardRecordNotMade { error: error.whole() };
            records.events.publish(Event::failed(None, not_made));
            return refused(looked);
        }
    };
    // A signal takes everything back; commands under way may end first, within seconds.
    let signal: Cell<Option<Signal>> = Cell::new(None);
    let went = {
        let arming = || journal.append(&journal::JournalEntry::Arming).map_err(std::io::Error::from);
        let cancelled = || signal.get().is_some();
        let armed = guards.arm(&run, &armable, arming, cancelled);
        let mut armed = std::pin::pin!(armed);
        loop {
            tokio::select! {
                biased;
                went = &mut armed => break went,
                heard = shutdown.requested() => signal.set(signal.get().or(Some(heard))),
            }
        }
    };
    let (ending, next) = match (went, signal.get()) {
        (Went::Well, signal) => {
            let fleet = context.as_typed();
            let late =
                signal.map(|signal| format!("{signal} came too late: every guard is armed\n")).unwrap_or_default();
            let next = format!(
                "{late}next: work on the hosts; nothing need run here meanwhile. Then\n  \
                 fleetdeploy guard disarm {fleet}    what runs by then stays\n  \
                 fleetdeploy guard extend {fleet}    more time, from then on\n  \
                 or let it fire: the systems go back, with a reboot; files that were changed by hand stay\n"
            );
            (Ending::Answered { yes: true }, next)
        }
        (Went::No, signal) => {
            let _ = journal.append(&journal::JournalEntry::Finished { outcome: Outcome::Refused });
            let next = "no guard is armed, on any host\n".to_owned();
            (signal.map_or(Ending::Answered { yes: false }, Ending::QueryInterrupted), next)
        }
        (Went::InDoubt, _) => {
            let next = format!("next: fleetdeploy guard status {}\n", context.as_typed());
            (Ending::InDoubt, next)
        }
    };
    GuardEnd { ending, looked: guards.look().await, next }
}

async fn disarm(guards: &Guards<'_>, looked: Looked, context: &FleetContext, records: &mut Records<'_>) -> GuardEnd {
    records.go_on();
    let before: usize = looked.values().flatten().filter(|one| guards.held(one).hold != Hold::Free).count();
    let fired = looked.values().flatten().any(|one| guards.held(one).hold == Hold::Fired);
    let (went, over) = guards.disarm(&looked).await;
    let all_answer = looked.len() == context.fleet.hosts.len() && looked.values().all(Result::is_ok);
    let known = records.known.as_ref().map(ToString::to_string);
    // It is over too if the hosts hold nothing any more: another workstation has ended it.
    let is_over = known.is_some_and(|known| {
        let held = looked.values().flatten().any(|one| guards.held(one).run.as_deref() == Some(known.as_str()));
        over.contains(&known) || (all_answer && !held)
    });
    if is_over {
        // The changes are the person's own; the run itself has brought no system to the hosts.
        records.finish(if fired { Outcome::RolledBack } else { Outcome::Unchanged });
    }
    let next = if before == 0 && went == Went::Well { "no guard was armed\n" } else { "" };
    GuardEnd { ending: ending(went), looked: guards.look().await, next: next.to_owned() }
}

/// The run's record on this workstation.
struct Records<'a> {
    state: &'a StateFolder,
    lock: Option<FleetLock>,
    /// The run that was armed by hand and has not ended.
    known: Option<RunId>,
    events: &'a Events,
    recording: Option<Recording>,
}

impl Records<'_> {
    fn create(&mut self, context: &FleetContext, armable: &Armable) -> Result<(Journal, String), RecordError> {
        let now = SystemTime::now();
        let _ = self.state.trim(now);
        let (folder, mut journal) = self.state.create_run(&context.fleet.name, now)?;
        let (fleet, jumps) = (&context.fleet, context.inventory.jumps_of(&context.fleet));
        folder.write_addresses(fleet.hosts.iter().chain(&fleet.builders).chain(jumps))?;
        let path = &context.inventory.path;
        let saved = SavedPlan {
            fleet: context.fleet.name.clone(),
            inventory: std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            owner: owner(),
            plan: Cow::Borrowed(&armable.plan),
            rollback_to: None,
            without: BTreeSet::new(),
            provenance: None,
        };
        folder.write_plan(&saved)?;
        journal.append(&journal::JournalEntry::Started(started(&saved, 1, |_| None)))?;
        journal.append(&journal::JournalEntry::ByHand)?;
        let run = folder.id().to_string();
        if let Some(lock) = &mut self.lock {
            lock.name_run(&run)?;
        }
        self.events.name_run(&run);
        self.recording = Some(listener::start(self.events, &folder)?);
        self.known = Some(folder.id().clone());
        Ok((journal, run))
    }

    /// Writes the events from now on into the known run's record; a record that cannot be written does not keep a guard
    /// armed.
    fn go_on(&mut self) {
        let Some(folder) = self.known.as_ref().and_then(|run| self.state.open_run(run)) else { return };
        self.recording = listener::start(self.events, &folder).ok();
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(run) = self.known.clone() else { return };
        let written = self
            .state
            .adopt_run(run)
            .and_then(|(_, mut journal)| journal.append(&journal::JournalEntry::Finished { outcome }));
        if let Err(error) = written {
            let not_recorded = HandGuard::GuardEndNotRecorded { error: error.whole() };
            self.events.publish(Event::warned(None, not_recorded));
        }
    }
}

fn rows(guards: &Guards<'_>, context: &FleetContext, looked: &Looked) -> Vec<GuardRow> {
    let row = |name: &crate::inventory::model::HostName| {
        let row = GuardRow {
            host: name.to_string(),
            standing: GuardStanding::NoAnswer,
            owner: None,
            run: None,
            at_rest: None,
        };
        let Ok(answered) = looked.get(name)? else { return Some(row) };
        let held = guards.held(answered);
        let standing = match held.hold {
            Hold::Free => GuardStanding::None,
            Hold::Armed { left } => GuardStanding::Armed { left },
            Hold::Dead => GuardStanding::Dead,
            Hold::Firing => GuardStanding::Firing,
            Hold::Fired => GuardStanding::Fired,
            Hold::Disarmed => GuardStanding::Disarmed,
            Hold::Leased => GuardStanding::Leased,
        };
        let found = &answered.facts.standing;
        let is_known = found.systems.known_boot_default().is_some();
        let at_rest = is_known.then(|| found.systems.agree() && found.next_boot.is_none());
        Some(GuardRow { standing, owner: held.owner, run: held.run, at_rest, ..row })
    };
    context.fleet.hosts.iter().filter_map(|host| row(&host.name)).collect()
}

fn json(rows: &[GuardRow], now: SystemTime, run: Option<&RunId>) -> serde_json::Value {
    let host = |row: &GuardRow| {
        let left = match row.standing {
            GuardStanding::Armed { left } => Some(left),
            _ => None,
        };
        let fires = |left: Duration| humantime::format_rfc3339_millis(to_millis(now + left)).to_string();
        serde_json::json!({
            "host": row.host,
            "guard": row.standing.word(),
            "left_ms": left.map(millis),
            "fires": left.map(fires),
            "owner": row.owner,
            "run": row.run,
            "a_reboot_brings_what_runs": row.at_rest,
        })
    };
    serde_json::json!({ "run": run.map(RunId::as_str), "hosts": rows.iter().map(host).collect::<Vec<_>>() })
}
