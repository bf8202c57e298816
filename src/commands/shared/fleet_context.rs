//! Gets what every command that works on a fleet needs first: the inventory, the selected hosts, the sudo password.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::history::{state, unreadable};
use super::password::passwords;
use crate::commands::Trouble;
use crate::commands::shared::fleet_hosts::{
    AskedHostsArgs, BuildOnArgs, ChosenHostsArgs, FleetHostsArgs, WindowArgs, WithoutArgs,
};
use crate::commands::shared::global::GlobalArgs;
use crate::decide::survey::Allowed;
use crate::engine::inquiry::FleetScope;
use crate::engine::reach::Reach;
use crate::engine::shutdown::Shutdown;
use crate::engine::source::RunSource;
use crate::engine::turns::Turns;
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::command::CommandNote;
use crate::event::reason::command_fault::{Misuse, WorkstationFault};
use crate::event::reason::inventory_fault::InventoryRefusal;
use crate::event::reason::unlinked::{Unlinked, UnlinkedFleet};
use crate::event::stream::Events;
use crate::inventory::find::{VARIABLE, find};
use crate::inventory::model::{Become, BuildOn, EvaluationTerms, Fleet, Hooks, Host, HostName, Source, Steady};
use crate::inventory::{Inventory, Loaded, Overrides, SelectError, asks_for_failed, left_out, select, select_of_run};
use crate::nix::KeptEvaluations;
use crate::record::failed::LastRun;
use crate::remote::{Workspace, WorkspaceError};

/// Stands for no host, instead of a pattern. No host can have this name.
const NOBODY: &str = "none";

/// A fleet, ready to be worked on.
pub(crate) struct FleetContext {
    pub(crate) inventory: Inventory,
    pub(crate) fleet: Fleet,
    pub(crate) selected: BTreeSet<HostName>,
    /// Hosts that take no part, whether or not they answer; none of them is selected.
    pub(crate) without: BTreeSet<HostName>,
    /// The warnings of the inventory.
    warnings: Vec<AnyReason>,
}

/// Returns the inventory, with its warnings.
pub(crate) fn load(global: &GlobalArgs) -> Result<(Inventory, Vec<AnyReason>), Trouble> {
    let Loaded { inventory, warnings } = read(global)?;
    Ok((inventory, warnings.iter().map(|doubt| InventoryRefusal::from(doubt).into()).collect()))
}

pub(crate) fn read(global: &GlobalArgs) -> Result<Loaded, Trouble> {
    let here = std::env::current_dir().map_err(|error| Trouble::no_working_folder(&error))?;
    let path = find(global.inventory.as_deref(), std::env::var_os(VARIABLE).as_deref(), &here)
        .map_err(|error| Trouble::not_understood(InventoryRefusal::from(&error)))?;
    Inventory::load(&path).map_err(|error| Trouble::not_understood(InventoryRefusal::from(&error)).shown_as(error))
}

/// Returns what `@failed` means for this fleet.
fn failed_in_last_run(fleet: &str, inventory: &Path) -> Result<BTreeSet<HostName>, Trouble> {
    let last = state()?.last_run(fleet, inventory).map_err(unreadable)?;
    let fleet = fleet.to_owned();
    Err(Trouble::not_understood(match last {
        None => Misuse::FailedNotRecorded { fleet },
        Some(LastRun { run, failed: None }) => Misuse::FailedNotKnown { run: run.to_string(), fleet },
        Some(LastRun { run, failed: Some(failed) }) if failed.is_empty() => {
            Misuse::NobodyFailed { run: run.to_string(), fleet }
        }
        Some(LastRun { failed: Some(failed), .. }) => return Ok(failed),
    }))
}

fn failed_if_asked_for(
    fleet: &Fleet,
    inventory: &Inventory,
    patterns: &[&[String]],
) -> Result<Option<BTreeSet<HostName>>, Trouble> {
    let asked = patterns.iter().any(|patterns| asks_for_failed(patterns));
    asked.then(|| failed_in_last_run(&fleet.name, &inventory.path)).transpose()
}

/// A fleet or hosts that are not there.
pub(crate) fn not_selected(error: &SelectError) -> Trouble {
    Trouble::not_understood(InventoryRefusal::from(error))
}

/// Returns the chosen hosts that take part, and the hosts of the fleet that do not.
fn parted(
    hosts: &[Host],
    chosen: &[&Host],
    without: &WithoutArgs,
) -> Result<(BTreeSet<HostName>, BTreeSet<HostName>), Trouble> {
    let without = left_out(hosts, &without.hosts).map_err(|error| not_selected(&error))?;
    let chosen = chosen.iter().map(|host| &host.name);
    let selected: BTreeSet<HostName> = chosen.filter(|host| !without.contains(*host)).cloned().collect();
    if selected.is_empty() && !without.is_empty() {
        return Err(not_selected(&SelectError::ChosenAreWithout));
    }
    Ok((selected, without))
}

impl FleetContext {
    /// Returns the selected hosts that are tested first, by patterns like those of `--on`; `none` means no host, and
    /// without a pattern it is as the inventory says.
    pub(crate) fn canaries(&self, patterns: &[String]) -> Result<BTreeSet<HostName>, Trouble> {
        match patterns {
            [] => return Ok(self.fleet.canaries.intersection(&self.selected).cloned().collect()),
            [none] if none == NOBODY => return Ok(BTreeSet::new()),
            _ => {}
        }
        let selected: Vec<&Host> = self.fleet.hosts.iter().filter(|host| self.selected.contains(&host.name)).collect();
        let failed = failed_if_asked_for(&self.fleet, &self.inventory, &[patterns])?;
        let canaries = select_of_run(selected, patterns, &[], failed.as_ref()).map_err(|error| not_selected(&error))?;
        Ok(canaries.into_iter().map(|host| host.name.clone()).collect())
    }

    /// Returns the hosts that may get another name; each is a selected one.
    pub(crate) fn renamed(&self, names: &[HostName]) -> Result<BTreeSet<HostName>, Trouble> {
        let Some(_) = names.first() else { return Ok(BTreeSet::new()) };
        let patterns: Vec<String> = names.iter().map(ToString::to_string).collect();
        let selected: Vec<&Host> = self.fleet.hosts.iter().filter(|host| self.selected.contains(&host.name)).collect();
        select_of_run(selected, &patterns, &[], None).map_err(|error| not_selected(&error))?;
        Ok(names.iter().cloned().collect())
    }

    pub(crate) fn prepare(global: &GlobalArgs, hosts: &FleetHostsArgs, overrides: &Overrides) -> Result<Self, Trouble> {
        Self::of(global, Some(&hosts.name), &hosts.chosen, overrides)
    }

    /// Prepares a command that changes nothing.
    pub(crate) fn prepare_asked(
        global: &GlobalArgs,
        hosts: &AskedHostsArgs,
        overrides: &Overrides,
    ) -> Result<Self, Trouble> {
        Self::of(global, hosts.name.as_deref(), &hosts.chosen, overrides)
    }

    fn of(
        global: &GlobalArgs,
        name: Option<&str>,
        ChosenHostsArgs { hosts, window }: &ChosenHostsArgs,
        overrides: &Overrides,
    ) -> Result<Self, Trouble> {
        let (inventory, warnings) = load(global)?;
        let fleet = name.map_or_else(|| inventory.only_fleet(), |name| inventory.fleet(name));
        let overrides = Overrides { parallel: window.parallel, ..*overrides };
        let fleet = fleet.map_err(|error| not_selected(&error))?.clone().overridden(&overrides);
        let failed = failed_if_asked_for(&fleet, &inventory, &[&hosts.on, &hosts.except])?;
        let selected = select_of_run(&fleet.hosts, &hosts.on, &hosts.except, failed.as_ref())
            .map_err(|error| not_selected(&error))?;
        let (selected, without) = parted(&fleet.hosts, &selected, &hosts.without)?;
        Ok(Self { inventory, fleet, selected, without, warnings })
    }

    /// Builds its systems there, if that was typed.
    pub(crate) fn built_on(mut self, typed: &BuildOnArgs) -> Result<Self, Trouble> {
        if let Some(build_on) = &typed.build_on {
            let fleet = self.inventory.built_on(self.fleet, build_on);
            self.fleet = fleet.map_err(|error| not_selected(&error))?;
        }
        Ok(self)
    }

    /// Reduces the fleet to the selected hosts, for queries that do not look at the others.
    pub(crate) fn only_selected(&mut self) {
        self.fleet.hosts.retain(|host| self.selected.contains(&host.name));
    }

    /// Takes out of a rollback the hosts that the run was without: it changed nothing there, so nothing is to go back.
    pub(crate) fn pass_over(&mut self, without: &BTreeSet<HostName>, run: &str) -> Result<(), Trouble> {
        let passed: Vec<HostName> = self.selected.intersection(without).cloned().collect();
        self.selected.retain(|host| !without.contains(host));
        let run = run.to_owned();
        if self.selected.is_empty() {
            return Err(Trouble::not_understood(Misuse::AllPassedOver { run, hosts: passed }));
        }
        if !passed.is_empty() {
            self.warnings.push(CommandNote::HostsPassedOver { run, hosts: passed }.into());
        }
        Ok(())
    }

    /// Prepares the connections to the fleet's hosts; none of them is made yet.
    pub(crate) fn reach(&self, workspace: Arc<Workspace>, events: &Events) -> Reach {
        Reach::new(workspace, self.fleet.reached(), Turns::new(self.fleet.parallel, events))
    }

    /// Returns every host of the inventory, each with the settings of its first fleet, with which it is pushed.
    pub(crate) fn prepare_every_host(
        global: &GlobalArgs,
        on: &[String],
        except: &[String],
        without: &WithoutArgs,
        window: WindowArgs,
    ) -> Result<Self, Trouble> {
        let (inventory, warnings) = load(global)?;
        let of_fleet = |host: &Host| {
            let mut fleets = inventory.fleets.values();
            fleets.find_map(|fleet| fleet.hosts.iter().find(|other| other.name == host.name)).unwrap_or(host).clone()
        };
        let hosts: Vec<Host> = inventory.hosts.iter().map(of_fleet).collect();
        let selected = select(&hosts, on, except).map_err(|error| not_selected(&error))?;
        let (selected, without) = parted(&hosts, &selected, without)?;
        let fleet = Fleet {
            name: "every host".to_owned(),
            hosts,
            // This fleet is not built, probed or pushed.
            source: Source::System,
            checks: Vec::new(),
            settle: Fleet::DEFAULT_SETTLE,
            steady: Steady::Default,
            builders: Vec::new(),
            build_limit: Fleet::DEFAULT_BUILD_LIMIT,
            evaluation: EvaluationTerms::default(),
            parallel: window.parallel.unwrap_or(inventory.parallel),
            cache: None,
            canaries: BTreeSet::new(),
            waves: Vec::new(),
            hooks: Hooks::default(),
        };
        Ok(Self { inventory, fleet, selected, without, warnings })
    }

    /// Returns the name of a host's fleet for a command to type.
    pub(crate) fn fleet_of(&self, host: &HostName) -> &str {
        if self.inventory.fleets.contains_key(&self.fleet.name) {
            return &self.fleet.name;
        }
        let has = |fleet: &&Fleet| fleet.hosts.iter().any(|other| other.name == *host);
        self.inventory.fleets.values().find(has).map_or("FLEET", |fleet| fleet.name.as_str())
    }

    /// Returns the folder in which relative paths of the inventory begin.
    pub(crate) fn folder(&self) -> PathBuf {
        let path = std::path::absolute(&self.inventory.path).unwrap_or_else(|_| self.inventory.path.clone());
        path.parent().map_or_else(|| PathBuf::from("/"), PathBuf::from)
    }

    /// Tells the first events of a query.
    pub(crate) fn begin_query(&self, command: &str, events: &Events) {
        events.publish(Event::QueryStarted {
            command: command.to_owned(),
            fleet: self.fleet.name.clone(),
            hosts: self.fleet.hosts.iter().map(|host| host.name.clone()).collect(),
            inventory: self.inventory.path.display().to_string(),
        });
        self.warn(events);
    }

    /// Returns the fleet, and the selected hosts if they are not all of it, for a command to type next.
    pub(crate) fn as_typed(&self) -> String {
        let fleet = &self.fleet.name;
        if self.selected.len() == self.fleet.hosts.len() {
            return fleet.clone();
        }
        let hosts: Vec<&str> = self.selected.iter().map(HostName::as_str).collect();
        format!("{fleet} --on {}", hosts.join(","))
    }

    /// Tells the warnings of the inventory, and which hosts take no part.
    pub(crate) fn warn(&self, events: &Events) {
        if !self.without.is_empty() {
            let hosts = self.without.iter().cloned().collect();
            events.publish(Event::warned(None, CommandNote::HostsLeftOut { hosts }));
        }
        for warning in &self.warnings {
            events.publish(Event::Warned { host: None, text: warning.clone() });
        }
    }

    /// Says what is not proven of a fleet without a link, for commands that push or say what a push would do.
    pub(crate) fn warn_of_no_link(&self, events: &Events) {
        if let Some(unlinked) = Unlinked::of(&self.fleet) {
            events.publish(Event::warned(None, UnlinkedFleet::FleetUnlinked { cause: unlinked }));
        }
    }

    /// What the engine is asked about. `roots` is where systems are rooted here, if any are built.
    pub(crate) fn scope(&self, allowed: Allowed, roots: PathBuf) -> FleetScope {
        FleetScope {
            folder: self.folder(),
            fleet: self.fleet.clone(),
            selected: self.selected.clone(),
            without: self.without.clone(),
            allowed,
            roots,
            source: RunSource::new(owner()),
            evaluations: KeptEvaluations::locate(|name| std::env::var_os(name)),
        }
    }

    /// Returns whether a selected host's system is built on another machine than this one.
    pub(crate) fn builds_elsewhere(&self) -> bool {
        let selected = self.fleet.hosts.iter().filter(|host| self.selected.contains(&host.name));
        selected.into_iter().any(|host| host.build_on != BuildOn::Workstation)
    }

    /// Returns every host that is reached, for a command that runs no script there.
    pub(crate) fn without_root(&self) -> Vec<Host> {
        let jumps = self.inventory.jumps_of(&self.fleet);
        let hosts = self.fleet.hosts.iter().chain(jumps).chain(&self.fleet.builders).cloned();
        hosts.map(|host| Host { becoming: Become::No, ..host }).collect()
    }

    /// Asks for the sudo password if any host needs one: once, now, and never again.
    pub(crate) async fn workspace(&self, shutdown: &mut Shutdown) -> Result<Arc<Workspace>, Trouble> {
        let mut hosts: Vec<Host> = self.fleet.hosts.clone();
        // No script runs on a host that is only on the way, or builds, so no password is needed there.
        let others = self.inventory.jumps_of(&self.fleet).into_iter().chain(&self.fleet.builders).cloned();
        hosts.extend(others.map(|other| Host { becoming: Become::No, ..other }));
        let passwords = passwords(&self.fleet.hosts, shutdown).await?;
        Workspace::create(&hosts, passwords, None).await.map_err(no_workspace)
    }
}

/// A fault of the inventory or of ssh's config is a mistake of usage; a thing that this workstation lacks is not.
pub(crate) fn no_workspace(error: WorkspaceError) -> Trouble {
    let reason = WorkstationFault::from(&error);
    let trouble = match error {
        WorkspaceError::Ssh { .. } | WorkspaceError::Folder { .. } => Trouble::not_begun(reason),
        WorkspaceError::Config { .. } | WorkspaceError::JumpLoop { .. } => Trouble::not_understood(reason),
    };
    trouble.shown_as(error)
}

/// `person@workstation`, for the leases on the hosts.
pub(crate) fn owner() -> String {
    let user = ::nix::unistd::User::from_uid(::nix::unistd::getuid()).ok().flatten();
    let user = user.map_or_else(|| "somebody".to_owned(), |user| user.name);
    let host = ::nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{user}@{}", host.unwrap_or_else(|| "somewhere".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::exit::Ending;
    use crate::local::process::ProcessError;

    #[test]
    fn what_the_workstation_lacks_is_no_mistake_of_usage() {
        let source = || Error::from(ErrorKind::NotFound);
        let folder = WorkspaceError::Folder { folder: "/tmp".into(), source: source() };
        let start = ProcessError::Start { program: "ssh".into(), source: source() };
        let ssh = WorkspaceError::Ssh { destination: "vps".into(), source: start };
        // What takes its time there is in the config; ssh itself is not missing.
        let slow = ProcessError::TimedOut { program: "ssh".into(), limit: std::time::Duration::from_secs(10) };
        let slow = WorkspaceError::Ssh { destination: "vps".into(), source: slow };
        for (lacking, mend) in [(folder, "XDG_RUNTIME_DIR"), (ssh, "install OpenSSH"), (slow, "ssh -G vps")] {
            let trouble = no_workspace(lacking);
            assert_eq!(trouble.ending, Ending::NotBegun);
            assert!(trouble.hint().is_some_and(|hint| hint.contains(mend)), "{:?}", trouble.hint());
        }
        let config = WorkspaceError::Config { destination: "vps".into(), stderr_tail: "line 3".into() };
        assert_eq!(no_workspace(config).ending, Ending::NotUnderstood);
    }
}
