//! Brings a recovery to its hosts: over ssh, or into a world of the tests.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::ask::ask_all;
use super::clock::{BootClock, Clock};
use super::host_survey::{self, SurveyAnswer};
use super::hosts::Hosts;
use super::lease::let_go;
use super::orders::Orders;
use super::reach::Reach;
use super::ssh_hosts::SshHosts;
use crate::event::reason::cause::Cause;
use crate::inventory::model::Host;

pub trait Surveyor: Send + Sync {
    type Hosts: Hosts;

    /// Returns the clock that all times are counted on.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Asks a host for every fact, once.
    fn ask<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, SurveyAnswer>;

    /// Ends a rolling reboot's hold on a host. The worlds of the tests have none.
    fn let_go<'a>(&'a self, host: &'a Host, run: &'a str) -> BoxFuture<'a, Result<(), Cause>> {
        let _ = (host, run);
        std::future::ready(Ok(())).boxed()
    }

    /// Returns the hosts as the driver needs them.
    fn hosts(&self, orders: Orders) -> Arc<Self::Hosts>;

    /// The driver has come to its verdict and needs them no more.
    fn dismiss(&self, hosts: Arc<Self::Hosts>) -> BoxFuture<'_, ()>;
}

/// Takes away leases of rolling reboots that are over, by host and run.
///
/// If that fails, nothing is worse than before: the lease counts again after the host's next boot, for its own time.
pub(super) async fn let_go_all<'a>(surveyor: &impl Surveyor, over: Vec<(&'a Host, &'a str)>) {
    let questions: Vec<_> =
        over.into_iter().map(|(host, run)| (host.name.clone(), surveyor.let_go(host, run))).collect();
    let _ = ask_all(questions).await;
}

/// Reaches the hosts over the masters of a recovery.
pub(super) struct SshSurveyor {
    pub(super) reach: Arc<Reach>,
}

impl Surveyor for SshSurveyor {
    type Hosts = SshHosts;

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(BootClock)
    }

    fn ask<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, SurveyAnswer> {
        host_survey::ask(&self.reach, host).boxed()
    }

    fn let_go<'a>(&'a self, host: &'a Host, run: &'a str) -> BoxFuture<'a, Result<(), Cause>> {
        async move {
            let kept = let_go(&self.reach, &[host], run).await;
            match kept.into_iter().next() {
                None => Ok(()),
                Some((_, why)) => Err(why),
            }
        }
        .boxed()
    }

    fn hosts(&self, orders: Orders) -> Arc<SshHosts> {
        Arc::new(SshHosts::new(Arc::clone(&self.reach), orders))
    }

    fn dismiss(&self, hosts: Arc<SshHosts>) -> BoxFuture<'_, ()> {
        async move { hosts.stop_probing().await }.boxed()
    }
}
