//! Gathers the machines of a run and the settings of their blocks from the inventory and from `ssh -G`, before any
//! connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::login_hint;
use super::machine::{Machine, Route, alias_of};
use super::master_slot::Slot;
use super::privilege::Password;
use super::ssh_config::{HostBlock, UserSettings};
use super::workspace_error::WorkspaceError;
use crate::inventory::model::{Become, BootLoaderHint, Host, HostKey, Jump, Limits};
use crate::local::process::Invocation;

/// The user's jumps may have jumps of their own; more than these is a loop.
const JUMPS_IN_A_ROW: usize = 8;

/// `ssh -G` reads files and may run the user's `Match exec`; it opens no connection.
const READ_CONFIG: Duration = Duration::from_secs(20);

/// Lets no text into the config that would bring a newline, a quote or a second word with it.
///
/// # Panics
/// If there is one: the inventory has refused it before, so it could only come by a mistake of this program.
pub(super) fn assert_plain(host: &Host) {
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && !text.chars().any(|character| {
                character.is_control() || character.is_whitespace() || "\"'`\\$;&<>|(){}*?!,#".contains(character)
            })
    };
    let path = |text: &str| {
        !text.is_empty() && !text.chars().any(|character| character.is_control() || "\"\\".contains(character))
    };
    let (jump_host, jump_user) = match &host.jump {
        Some(Jump::Destination { user, host, .. }) => (Some(host), user.as_ref()),
        _ => (None, None),
    };
    let addresses = [Some(&host.address), host.after.address.as_ref(), jump_host];
    for text in addresses.into_iter().flatten().chain(&host.other_addresses) {
        assert!(plain(text) && !text.contains(['@', '/']), "the inventory takes no such address: {text:?}");
    }
    for text in [host.user.as_ref(), host.after.user.as_ref(), jump_user].into_iter().flatten() {
        assert!(plain(text), "the inventory takes no such user: {text:?}");
    }
    let identity = host.identity.as_ref().map(|file| file.to_string_lossy());
    assert!(identity.as_ref().is_none_or(|file| path(file)), "the inventory takes no such identity: {identity:?}");
}

/// A question to `ssh -G` about one destination.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) destination: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) port: Option<u16>,
    pub(super) identity: Option<&'a Path>,
    pub(super) config: Option<&'a Path>,
}

impl Question<'_> {
    /// Returns what `ssh -G` prints: for [`UserSettings::read`].
    pub(super) async fn ask(self) -> Result<String, WorkspaceError> {
        let mut ssh = Invocation::new("ssh", READ_CONFIG);
        if let Some(config) = self.config {
            ssh = ssh.arg("-F").arg(config);
        }
        if let Some(user) = self.user {
            ssh = ssh.arg("-l").arg(user);
        }
        if let Some(port) = self.port {
            ssh = ssh.arg("-p").arg(port.to_string());
        }
        if let Some(identity) = self.identity {
            ssh = ssh.arg("-i").arg(identity);
        }
        let destination = || self.destination.to_owned();
        let finished = ssh
            .args(["-T", "-G", self.destination])
            .run()
            .await
            .map_err(|source| WorkspaceError::Ssh { destination: destination(), source })?;
        if !finished.succeeded() {
            return Err(WorkspaceError::Config {
                destination: destination(),
                stderr_tail: super::tail(&finished.stderr),
            });
        }
        Ok(finished.stdout_text())
    }
}

/// Asks for the settings that ssh has without any config: those of a destination that differ are the user's. None that
/// counts depends on the destination, so that one answer is for all of them.
pub(super) async fn bare() -> Result<String, WorkspaceError> {
    let config = Some(Path::new("none"));
    Question { destination: "localhost", user: None, port: None, identity: None, config }.ask().await
}

/// Machines and blocks while they are gathered.
pub(super) struct LayoutPlan<'a> {
    pub(super) hosts: &'a [Host],
    pub(super) folder: &'a Path,
    pub(super) user_config: Option<&'a Path>,
    /// The settings of ssh without any config, as it prints them.
    pub(super) bare: &'a str,
    pub(super) machines: HashMap<String, Machine>,
    /// How many masters have their place.
    pub(super) controls: usize,
    pub(super) blocks: Vec<HostBlock>,
    /// Jumps that are no hosts, by their names for the user or in the inventory.
    pub(super) jumps: HashMap<String, String>,
}

impl LayoutPlan<'_> {
    /// Adds a host. `settings` are those of each of its addresses.
    pub(super) async fn add_host(
        &mut self,
        host: &Host,
        settings: Vec<UserSettings>,
        password: Option<Password>,
    ) -> Result<(), WorkspaceError> {
        let alias = alias_of(&host.name);
        let control = self.next_control();
        let mut routes = Vec::new();
        let addresses = std::iter::once(&host.address).chain(&host.other_addresses);
        let users = settings.iter().map(|settings| &settings.user).chain([&host.after.user]).flatten();
        let logs_in_as_root = users.fold(None, |so_far, user| Some(so_far.unwrap_or(true) && user == "root"));
        let logs_in_as_root = logs_in_as_root.unwrap_or(false);
        for (number, (address, settings)) in addresses.zip(settings).enumerate() {
            // `+` cannot be in a host's name, so no other machine has these aliases.
            let alias = if number == 0 { alias.clone() } else { format!("{alias}+way{number}") };
            routes.push(self.add_route(host, alias, address, settings, &control).await?);
        }
        let machine = Machine {
            shown: host.name.to_string(),
            routes,
            settled: OnceLock::new(),
            connect: host.limits.connect,
            becoming: host.becoming.clone(),
            logs_in_as_root,
            boot_loader: host.boot_loader.clone(),
            password,
            slot: Slot::new(control),
            units: Arc::default(),
            alias: alias.clone(),
        };
        self.machines.insert(alias, machine);
        Ok(())
    }

    async fn add_route(
        &mut self,
        host: &Host,
        alias: String,
        address: &str,
        settings: UserSettings,
        control: &Path,
    ) -> Result<Route, WorkspaceError> {
        let via = match &host.jump {
            Some(Jump::Host(jump)) => Some(alias_of(jump)),
            Some(Jump::Destination { user, host, port }) => {
                Some(self.add_jump(user.as_deref(), host, *port, JUMPS_IN_A_ROW).await?)
            }
            None => self.add_users_jumps(&settings, JUMPS_IN_A_ROW).await?,
        };
        let block = HostBlock {
            alias: alias.clone(),
            hostname: settings.hostname.clone(),
            user: settings.user.clone(),
            port: settings.port,
            identity: host.identity.clone(),
            jump: via.clone(),
            known_as: None,
            trust: None,
            host_key: host.host_key,
            control: control.to_owned(),
            connect: host.limits.connect,
            compress: host.nix.compress,
            lines: settings.lines.clone(),
        };
        let after = &host.after;
        let differs = after.address.is_some() || after.port.is_some() || after.user.is_some();
        let after_alias = differs.then(|| format!("{alias}+after"));
        let after_block = after_alias.as_ref().map(|after_alias| HostBlock {
            alias: after_alias.clone(),
            hostname: after.address.clone().unwrap_or_else(|| block.hostname.clone()),
            user: after.user.clone().or_else(|| block.user.clone()),
            port: after.port.unwrap_or(block.port),
            // The machine is the same, so its key is the same: the machine that answers at the new address must be the
            // one that was pushed to.
            known_as: Some(settings.known().first),
            ..block.clone()
        });
        self.blocks.push(block);
        self.blocks.extend(after_block);
        Ok(Route {
            alias,
            address: address.to_owned(),
            by_hand: login_hint::to_host(&Host { address: address.to_owned(), ..host.clone() }, self.hosts),
            may_be_pinned: may_be_pinned(&settings, via.as_ref()),
            known: settings.known(),
            hostname: settings.hostname,
            after: after_alias,
            via,
        })
    }

    /// Adds the user's `ProxyJump a,b`: through `a` to `b` to the host. Returns the alias of the last one.
    async fn add_users_jumps(
        &mut self,
        settings: &UserSettings,
        depth: usize,
    ) -> Result<Option<String>, WorkspaceError> {
        let mut last = None;
        for (number, hop) in settings.proxy_jump.iter().enumerate() {
            let (user, host, port) = parse_destination(hop);
            let before = last.take();
            let alias = Box::pin(self.add_jump(user, host, port, depth)).await?;
            // ssh reaches a later hop of the list through the earlier one, whatever its own settings say.
            if number > 0 {
                for block in self.blocks.iter_mut().filter(|block| block.alias == alias) {
                    block.jump.clone_from(&before);
                }
                for route in self.machines.get_mut(&alias).into_iter().flat_map(|machine| &mut machine.routes) {
                    route.via.clone_from(&before);
                    route.may_be_pinned = false;
                }
            }
            last = Some(alias);
        }
        Ok(last)
    }

    async fn add_jump(
        &mut self,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        depth: usize,
    ) -> Result<String, WorkspaceError> {
        let shown = login_hint::destination(user, host, port);
        if let Some(alias) = self.jumps.get(&shown) {
            return Ok(alias.clone());
        }
        let depth = depth.checked_sub(1).ok_or_else(|| WorkspaceError::JumpLoop { destination: shown.clone() })?;
        let question = Question { destination: host, user, port, identity: None, config: self.user_config };
        let settings = UserSettings::read(host, &question.ask().await?, self.bare);
        let via = self.add_users_jumps(&settings, depth).await?;
        let alias = format!("jump+{}", self.jumps.len());
        let control = self.next_control();
        let route = Route {
            alias: alias.clone(),
            address: host.to_owned(),
            by_hand: login_hint::to_jump(user, host, port),
            may_be_pinned: may_be_pinned(&settings, via.as_ref()),
            hostname: settings.hostname.clone(),
            known: settings.known(),
            via: via.clone(),
            after: None,
        };
        let machine = Machine {
            alias: alias.clone(),
            shown: format!("the jump {shown}"),
            routes: vec![route],
            settled: OnceLock::new(),
            connect: Limits::default().connect,
            becoming: Become::No,
            logs_in_as_root: false,
            boot_loader: BootLoaderHint::default(),
            password: None,
            slot: Slot::new(control.clone()),
            units: Arc::default(),
        };
        self.blocks.push(HostBlock {
            alias: alias.clone(),
            hostname: settings.hostname.clone(),
            user: settings.user.clone(),
            port: settings.port,
            identity: None,
            jump: via,
            known_as: None,
            trust: None,
            host_key: HostKey::Strict,
            control,
            connect: machine.connect,
            compress: None,
            lines: settings.lines,
        });
        self.machines.insert(alias.clone(), machine);
        self.jumps.insert(shown, alias.clone());
        Ok(alias)
    }

    /// Each is given once: over the master of another machine everything for this one would go there.
    fn next_control(&mut self) -> PathBuf {
        let control = self.folder.join(format!("m{}", self.controls));
        self.controls += 1;
        control
    }
}

fn may_be_pinned(settings: &UserSettings, via: Option<&String>) -> bool {
    via.is_none() && !settings.proxy_command && !settings.needs_name && settings.hostname.parse::<IpAddr>().is_err()
}

/// `user@host:port`, `ssh://` before it or not, IPv6 addresses in brackets.
fn parse_destination(text: &str) -> (Option<&str>, &str, Option<u16>) {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
    if let Some((host, rest)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (user, host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => (user, host, port.parse().ok()),
        _ => (user, place, None),
    }
}
