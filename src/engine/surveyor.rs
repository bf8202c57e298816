//! Brings a recovery to its hosts: over ssh, or into a world of the tests.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::ask::ask_all;
use super::clock::{BootClock, Clock, within};
use super::host_survey::{self, SurveyAnswer};
use super::hosts::Hosts;
use super::lease::let_go;
use super::orders::Orders;
use super::reach::Reach;
use super::reboot::CLEANING;
use super::ssh_hosts::SshHosts;
use crate::decide::reboot::trial::left::TrialRemedy;
use crate::event::reason::cause::Cause;
use crate::inventory::model::Host;
use crate::remote::answer;
use crate::remote::step::RemoteStep;

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

    /// Does for the trial of a dead rolling reboot what a recovery may do. The worlds of the tests have none.
    fn mend_trial<'a>(
        &'a self,
        host: &'a Host,
        run: &'a str,
        boot_id: &'a str,
        remedy: TrialRemedy,
        why: &'a str,
    ) -> BoxFuture<'a, Result<(), Cause>> {
        let _ = (host, run, boot_id, remedy, why);
        std::future::ready(Ok(())).boxed()
    }

    /// Cleans away what a trial has left, within this time. The worlds of the tests have none.
    fn clean_trial<'a>(
        &'a self,
        host: &'a Host,
        run: &'a str,
        why: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), Cause>> {
        let _ = (host, run, why, within);
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

impl SshSurveyor {
    /// Has a host take a step, within this time.
    async fn take(&self, host: &Host, step: RemoteStep, limit: Duration) -> Result<(), Cause> {
        match within(&BootClock, limit, self.reach.run(&host.name, &step.script(), limit)).await {
            Some(Ok(raw)) => match answer::step_answer(&raw.lines) {
                Ok(answer) => Cause::of_outcome(answer.outcome).map_or(Ok(()), Err),
                Err(error) => Err(Cause::from(&error)),
            },
            Some(Err(error)) => Err(Cause::from(&error)),
            None => Err(Cause::SilentTooLong { waited: limit }),
        }
    }
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

    fn mend_trial<'a>(
        &'a self,
        host: &'a Host,
        run: &'a str,
        boot_id: &'a str,
        remedy: TrialRemedy,
        why: &'a str,
    ) -> BoxFuture<'a, Result<(), Cause>> {
        let limit = host.limits.connect + host.limits.step + host.limits.switch.max(CLEANING);
        match remedy {
            TrialRemedy::Tend => {
                let step = RemoteStep::Tend { run: run.to_owned(), boot_id: boot_id.to_owned() };
                self.take(host, step, limit).boxed()
            }
            TrialRemedy::Clean => self.clean_trial(host, run, why, limit),
            TrialRemedy::Wait => std::future::ready(Ok(())).boxed(),
        }
    }

    fn clean_trial<'a>(
        &'a self,
        host: &'a Host,
        run: &'a str,
        why: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), Cause>> {
        let step = RemoteStep::CleanTrial { run: run.to_owned(), why: why.to_owned() };
        self.take(host, step, within).boxed()
    }

    fn hosts(&self, orders: Orders) -> Arc<SshHosts> {
        Arc::new(SshHosts::new(Arc::clone(&self.reach), orders))
    }

    fn dismiss(&self, hosts: Arc<SshHosts>) -> BoxFuture<'_, ()> {
        async move { hosts.stop_probing().await }.boxed()
    }
}
