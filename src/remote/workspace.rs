//! Keeps the folder of one run: the generated ssh config and the sockets of the masters.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;

use super::agent;
use super::connect_error::ConnectCause;
use super::folder::PrivateFolder;
use super::known_hosts::KeySource;
use super::layout::{LayoutPlan, Question, assert_plain, bare};
use super::machine::{Machine, Route, Settled, alias_of};
use super::privilege::Password;
use super::ssh_config::{HostBlock, UserSettings, render};
use super::workspace_error::WorkspaceError;
use crate::event::reason::cause::Cause;
use crate::inventory::model::{Become, Host, HostName, Jump};
use crate::local::private;
use crate::local::process::{Invocation, ProcessError};

/// The most `ssh -G` that run at once.
const READ_AT_ONCE: usize = 8;

/// What ssh says of a key that it has taken at first sight and cannot write down (OpenSSH, sshconnect.c).
const NOT_LEARNED: &str = "Failed to add the host to the list of known hosts";

/// What ssh says when it cannot make the socket of a master (OpenSSH, misc.c, `unix_listener`).
const NO_SOCKET: &str = "unix_listener: cannot ";

/// The ssh side of one run. It is made before the first connection and closed after the last.
///
/// A run that dies leaves no master behind for longer than the master's `ControlPersist`, and the folder until the next
/// run of the same user removes it.
#[derive(Debug)]
pub struct Workspace {
    pub(super) folder: PrivateFolder,
    config: PathBuf,
    pub(super) machines: HashMap<String, Machine>,
    blocks: Mutex<Vec<HostBlock>>,
    /// The sockets of the masters beside those of the machines.
    pub(super) spares: Mutex<Vec<PathBuf>>,
}

impl Workspace {
    /// Reads what the user's ssh config says about every host (without connecting), and writes the run's own.
    ///
    /// `hosts` are all hosts that may be connected to, jumps included. `user_config` stands in for the user's config;
    /// `None` is what `ssh` reads by itself.
    ///
    /// # Errors
    /// See [`WorkspaceError`]. Nothing was connected to.
    ///
    /// # Panics
    /// Without the password or the jump of a host, or with a text that no inventory takes.
    pub async fn create(
        hosts: &[Host],
        mut passwords: BTreeMap<HostName, Password>,
        user_config: Option<&Path>,
    ) -> Result<Arc<Self>, WorkspaceError> {
        let folder = PrivateFolder::make()?;
        for host in hosts {
            assert_plain(host);
        }
        let places = hosts.iter().flat_map(|host| {
            std::iter::once(&host.address).chain(&host.other_addresses).map(move |address| (host, address))
        });
        let asked = places.map(|(host, address)| async move {
            let question = Question {
                destination: address,
                user: host.user.as_deref(),
                port: host.port,
                identity: host.identity.as_deref(),
                config: user_config,
            };
            (address, question.ask().await)
        });
        // In the order of the questions, because each host takes its answers from the front.
        let asked = futures::stream::iter(asked).buffered(READ_AT_ONCE).collect::<Vec<_>>();
        let (bare, asked) = tokio::join!(bare(), asked);
        // An error names its host, where it is one.
        let asked = asked.into_iter().map(|(address, configured)| Ok((address, configured?)));
        let asked = asked.collect::<Result<Vec<_>, WorkspaceError>>()?;
        let bare = bare?;
        let mut settings = asked.iter().map(|(address, configured)| UserSettings::read(address, configured, &bare));

        let mut plan = LayoutPlan {
            folder: folder.path(),
            user_config,
            bare: &bare,
            machines: HashMap::new(),
            controls: 0,
            blocks: Vec::new(),
            jumps: HashMap::new(),
            hosts,
        };
        for host in hosts {
            let settings: Vec<_> = settings.by_ref().take(1 + host.other_addresses.len()).collect();
            let password = passwords.remove(&host.name);
            let needs_password = host.becoming == Become::SudoPassword;
            assert!(password.is_some() || !needs_password, "the password for {} was asked for before", host.name);
            if let Some(Jump::Host(jump)) = &host.jump {
                assert!(hosts.iter().any(|other| other.name == *jump), "{jump} is on the way to a host of the run");
            }
            plan.add_host(host, settings, password).await?;
        }
        let LayoutPlan { machines, blocks, .. } = plan;
        let config = folder.path().join("config");
        let workspace = Self { folder, config, machines, blocks: Mutex::new(blocks), spares: Mutex::default() };
        workspace
            .write_config()
            .map_err(|source| WorkspaceError::Folder { folder: workspace.folder.path().to_owned(), source })?;
        Ok(Arc::new(workspace))
    }

    /// The generated config: `ssh -F` of this and a host's name reach a host.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Returns the text for `NIX_SSHOPTS`. Old versions of Nix split it at every space, and the path has none. Nix then
    /// uses the host's master, but only with `?max-connections=1` (docs/facts.md, "Nix over a master connection").
    #[must_use]
    pub fn nix_ssh_options(&self) -> String {
        // If it cannot be made anew, Nix's ssh says what is missing.
        let _ = self.mend();
        format!("-F {}", self.config.display())
    }

    /// Returns the same with a connection of its own, for one more try after `protocol mismatch`; see
    /// [`Self::nix_ssh_options`].
    #[must_use]
    pub fn nix_ssh_options_without_master(&self) -> String {
        format!("{} -oControlPath=none", self.nix_ssh_options())
    }

    pub(super) fn machine(&self, host: &HostName) -> Option<&Machine> {
        self.machines.get(&alias_of(host))
    }

    pub(super) fn via(&self, machine: &Machine) -> Option<&Machine> {
        self.jump_of(machine.route())
    }

    pub(super) fn jump_of(&self, route: &Route) -> Option<&Machine> {
        route.via.as_ref().and_then(|alias| self.machines.get(alias))
    }

    /// Returns which of a host's several addresses is used, once one is, and what is to be said of those before it.
    #[must_use]
    pub fn settled_on(&self, host: &HostName) -> Option<(&str, &[Cause])> {
        let machine = self.machine(host)?;
        let settled = machine.settled.get()?;
        Some((&machine.route().address, &settled.passed_over))
    }

    /// Settles on one route to `machine`. From now on every reader of the config takes this one.
    pub(super) fn settle(&self, machine: &Machine, route: &Route, passed_over: Vec<Cause>) -> io::Result<()> {
        let number = machine.routes.iter().position(|known| known.alias == route.alias).unwrap_or(0);
        {
            // It is let go before `write_config` takes it.
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            let block = blocks.iter().find(|block| block.alias == route.alias).cloned();
            if let (Some(block), Some(of_machine)) =
                (block, blocks.iter_mut().find(|block| block.alias == machine.alias))
            {
                *of_machine = HostBlock { alias: machine.alias.clone(), ..block };
            }
        }
        // Only a holder of the machine's slot comes here, and only as long as nothing is settled, so no two can race.
        let _ = machine.settled.set(Settled { route: number, passed_over });
        self.write_config()
    }

    /// Makes the folder anew, with all that was written into it, if somebody has cleaned it away.
    ///
    /// # Errors
    /// [`ConnectCause::FolderGone`].
    pub(super) fn mend(&self) -> Result<(), ConnectCause> {
        let gone = |source: io::Error| ConnectCause::FolderGone {
            folder: self.folder.path().to_owned(),
            source: Arc::new(source),
        };
        self.folder.mend(self.config_name()).map_err(gone)
    }

    fn config_name(&self) -> &OsStr {
        self.config.file_name().unwrap_or_default()
    }

    /// Makes an `ssh` that reads the run's config and never asks a question.
    ///
    /// A `ProxyCommand ssh ...` of the user does not know our `BatchMode`, so the environment forbids questions as
    /// well: ssh(1), `SSH_ASKPASS_REQUIRE`.
    pub(super) fn ssh(&self, limit: Duration) -> Invocation {
        Invocation::new("ssh", limit)
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .arg("-F")
            .arg(&self.config)
    }

    /// Keeps what the first login on `machine` has shown: its `log` says what it trusted, `address` is where it went.
    /// From now on the machine is reached there, and known by that alone: DNS may live on the fleet, and the
    /// workstation's own `known_hosts` may be part of the push.
    pub(super) async fn pin(&self, machine: &Machine, log: &str, address: Option<IpAddr>) -> io::Result<()> {
        match self.pin_once(machine, log, address).await {
            Err(error) if self.folder.give_room(&error) => self.pin_once(machine, log, address).await,
            done => done,
        }
    }

    async fn pin_once(&self, machine: &Machine, log: &str, address: Option<IpAddr>) -> io::Result<()> {
        let route = machine.route();
        let is_known = |block: &HostBlock| block.alias == machine.alias && block.trust.is_some();
        let is_kept = self.blocks.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_known);
        let found = KeySource::read(log);
        let trust = if is_kept { None } else { route.known.trust(found, trust_file(machine)).await? };
        let trust = match trust {
            None if !is_kept && log.lines().any(|line| line.starts_with(NOT_LEARNED)) => {
                Some(route.known.learn(trust_file(machine))?)
            }
            trust => trust,
        };
        // Without lines of a file the name is all that there is to be known by, and that of a certificate has no port.
        let by_name = match found {
            _ if is_kept || trust.is_some() => true,
            KeySource::ByCommand { certificate: true } => route.known.first == route.known.name,
            KeySource::ByCommand { certificate: false }
            | KeySource::UnderFirst
            | KeySource::Unsaid
            | KeySource::NotAsked => true,
            KeySource::WithoutPort => false,
        };
        let mut changed = false;
        for block in self.blocks.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if block.alias != machine.alias && route.after.as_ref() != Some(&block.alias) {
                continue;
            }
            if let Some(trust) = &trust {
                block.trust = Some(trust.clone());
                changed = true;
            }
            // The block for after the push may have an address of its own.
            if let Some(address) = address.filter(|_| by_name && route.may_be_pinned)
                && block.hostname == route.hostname
            {
                let hostname = address.to_string();
                // Where no key is asked for, ssh must not learn a name for it either.
                let known_as = (found != KeySource::NotAsked).then(|| route.known.first.clone());
                // What stands there already is not written again: a later login must not fail for want of room here.
                changed |= (&block.hostname, &block.known_as) != (&hostname, &known_as);
                (block.hostname, block.known_as) = (hostname, known_as);
            }
        }
        if changed { self.write_config() } else { Ok(()) }
    }

    /// Lets the blocks for after the push know a machine as those for before it do, where it is looked for there first.
    pub(super) async fn know_after(&self, machine: &Machine, route: &Route) -> io::Result<()> {
        match self.know_after_once(machine, route).await {
            Err(error) if self.folder.give_room(&error) => self.know_after_once(machine, route).await,
            done => done,
        }
    }

    async fn know_after_once(&self, machine: &Machine, route: &Route) -> io::Result<()> {
        let Some(after) = &route.after else { return Ok(()) };
        let is_known = |block: &HostBlock| block.alias == *after && block.trust.is_some();
        if self.blocks.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_known) {
            return Ok(());
        }
        // Several addresses of one machine may be tried at once.
        let file = trust_file(machine).with_file_name(format!("{after}.known"));
        let Some(trust) = route.known.trust(KeySource::Unsaid, file).await? else { return Ok(()) };
        for block in self.blocks.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if block.alias == *after {
                block.trust = Some(trust.clone());
            }
        }
        self.write_config()
    }

    /// Reads why ssh gave up on `alias`, in the words of the user's own files.
    pub(super) fn cause(&self, alias: &str, log: &str, waited: Duration) -> ConnectCause {
        if let Some(line) = log.lines().map(str::trim_end).find(|line| line.starts_with(NO_SOCKET)) {
            let said = line.rsplit_once(": ").map_or(line, |(_, said)| said);
            let source = Arc::new(io::Error::other(said.to_owned()));
            return ConnectCause::FolderUnusable { folder: self.folder.path().to_owned(), source };
        }
        // The ssh of a jump that cannot be started looks like a host that closes the connection.
        if let Some(error) = ProcessError::of_vanished("ssh") {
            return ConnectCause::Local(Arc::new(error));
        }
        let cause = ConnectCause::read(log, waited);
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks.iter().find(|block| block.alias == alias);
        let cause = match cause {
            // The ssh of a jump says nothing of its agent.
            ConnectCause::AuthRefused(said) => match block.and_then(|block| agent::failure(&block.lines)) {
                Some(agent) => ConnectCause::AgentFailed { said, agent },
                None => ConnectCause::AuthRefused(said),
            },
            cause => cause,
        };
        match block.and_then(|block| block.trust.as_ref()) {
            Some(trust) => trust.in_the_users_words(cause),
            None => cause,
        }
    }

    /// Writes the config so that a reader sees the old one or the new one, whole.
    fn write_config(&self) -> io::Result<()> {
        // A first write has nothing to mend.
        if !self.folder.path().exists() {
            self.folder.mend(self.config_name())?;
        }
        // It is held until the rename, because two writers would share the draft.
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let text = render(&blocks);
        match private::write_whole(&self.config, &text) {
            Err(error) if self.folder.give_room(&error) => private::write_whole(&self.config, &text)?,
            written => written?,
        }
        self.folder.keep(self.config_name());
        Ok(())
    }
}

/// The file of what a machine is known by.
fn trust_file(machine: &Machine) -> PathBuf {
    machine.slot.link.with_extension("known")
}
