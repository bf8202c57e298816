//! How a recovery comes to its hosts: over ssh, or into a world of the tests.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::clock::{BootClock, Clock};
use super::hosts::Hosts;
use super::orders::Orders;
use super::push::Answered;
use super::reach::Reach;
use super::ssh_hosts::SshHosts;
use super::survey;
use crate::inventory::model::Host;

/// One host's survey, or why there is none and what mends it.
pub type Surveyed = Result<Answered, (String, Option<String>)>;

pub trait Surveyor: Send + Sync {
    type Hosts: Hosts;

    /// The clock that everything is counted on.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Asks a host for every fact, once.
    fn ask<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Surveyed>;

    /// The hosts as the driver needs them.
    fn hosts(&self, orders: Orders) -> Arc<Self::Hosts>;

    /// The driver has come to its verdict and needs them no more.
    fn dismiss(&self, hosts: Arc<Self::Hosts>) -> BoxFuture<'_, ()>;
}

/// Over the masters of a recovery.
pub(super) struct SshSurveyor {
    pub(super) reach: Arc<Reach>,
}

impl Surveyor for SshSurveyor {
    type Hosts = SshHosts;

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(BootClock)
    }

    fn ask<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Surveyed> {
        survey::ask(&self.reach, host).boxed()
    }

    fn hosts(&self, orders: Orders) -> Arc<SshHosts> {
        Arc::new(SshHosts::new(Arc::clone(&self.reach), orders))
    }

    fn dismiss(&self, hosts: Arc<SshHosts>) -> BoxFuture<'_, ()> {
        async move { hosts.stop_probing().await }.boxed()
    }
}
