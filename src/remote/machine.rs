//! The machines of a run, as ssh knows them: their addresses, and which of these is used.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::connect_error::{ConnectCause, ConnectError};
use super::known_hosts::Known;
use super::known_units::KnownUnits;
use super::master_slot::Slot;
use super::privilege::Password;
use crate::event::reason::cause::Cause;
use crate::inventory::model::{Become, BootLoaderHint, HostName};
use crate::local::limits;
use crate::local::process::ProcessError;

/// A machine of this run: a host of the inventory, or a jump that is not one.
#[derive(Debug)]
pub(super) struct Machine {
    /// Its name for ssh.
    pub(super) alias: String,
    /// Its name for a person.
    pub(super) shown: String,
    /// One for each of its addresses, in the inventory's order.
    pub(super) routes: Vec<Route>,
    /// The route that is used, of several, and what is to be said of those before it.
    pub(super) settled: OnceLock<Settled>,
    pub(super) connect: Duration,
    pub(super) becoming: Become,
    /// Whether every login there, also after the push, is that of `root` by name.
    pub(super) logs_in_as_root: bool,
    /// The boot loader that the inventory gives it.
    pub(super) boot_loader: BootLoaderHint,
    pub(super) password: Option<Password>,
    pub(super) slot: Slot,
    /// What it has said of its services.
    pub(super) units: Arc<KnownUnits>,
}

/// One address of a machine.
#[derive(Debug)]
pub(super) struct Route {
    /// The name of its block. The first route has that of the machine.
    pub(super) alias: String,
    /// As the inventory has it.
    pub(super) address: String,
    /// The command a person would log in with.
    pub(super) by_hand: String,
    /// The alias of the machine that it is reached through.
    pub(super) via: Option<String>,
    /// The alias of its block after the push, if that differs.
    pub(super) after: Option<String>,
    /// The address that its first login used may stand in for its name from then on.
    pub(super) may_be_pinned: bool,
    pub(super) hostname: String,
    pub(super) known: Known,
}

#[derive(Debug)]
pub(super) struct Settled {
    pub(super) route: usize,
    /// The machine that answered there was not the host, or did not let us in.
    pub(super) passed_over: Vec<Cause>,
}

impl Machine {
    /// Returns the route that is used; the first one as long as none of several has worked.
    pub(super) fn route(&self) -> &Route {
        &self.routes[self.settled.get().map_or(0, |settled| settled.route)]
    }

    pub(super) fn is_settled(&self) -> bool {
        self.routes.len() == 1 || self.settled.get().is_some()
    }

    pub(super) fn error(&self, cause: ConnectCause) -> ConnectError {
        self.error_at(self.route(), cause)
    }

    /// Makes an error of this workstation, not of the machine: its folder cannot be written.
    pub(super) fn local(&self, source: std::io::Error) -> ConnectError {
        self.error(self.unusable(source))
    }

    pub(super) fn unusable(&self, source: std::io::Error) -> ConnectCause {
        let folder = self.slot.link.parent().map(ToOwned::to_owned).unwrap_or_default();
        let error = ProcessError::Start { program: "ssh".to_owned(), source };
        match (limits::reached(&error), error) {
            (None, ProcessError::Start { source, .. }) => {
                ConnectCause::FolderUnusable { folder, source: Arc::new(source) }
            }
            (_, error) => ConnectCause::Local(Arc::new(error)),
        }
    }

    pub(super) fn error_at(&self, route: &Route, cause: ConnectCause) -> ConnectError {
        let machine = match self.routes.len() {
            1 => self.shown.clone(),
            _ => format!("{} at {}", self.shown, route.address),
        };
        ConnectError { machine, by_hand: route.by_hand.clone(), cause }
    }
}

/// Returns the name of a host for ssh (and `ssh-ng://`).
pub(super) fn alias_of(host: &HostName) -> String {
    host.as_str().to_owned()
}
