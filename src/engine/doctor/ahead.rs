//! Finds out what the hosts are configured to be, beside the look at the hosts themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::inquiry::{FleetScope, Inquiry};
use crate::event::reason::look_ahead::NotSeenAhead;
use crate::facts::configured::Configured;
use crate::inventory::model::{Host, HostName};
use crate::nix;

/// How much longer a doctor waits for the evaluation than for the hosts: who wants it waited for asks for a plan.
const PATIENCE: Duration = Duration::from_millis(900);

pub(super) type SeenAhead = Result<BTreeMap<HostName, Configured>, NotSeenAhead>;

impl Inquiry<'_> {
    /// Evaluates the selected hosts, or takes what was evaluated before and has not changed.
    pub(super) async fn configurations(&self) -> SeenAhead {
        let FleetScope { fleet, selected, folder, evaluations, .. } = self.scope;
        let hosts: Vec<Host> = fleet.hosts.iter().filter(|host| selected.contains(&host.name)).cloned().collect();
        let request = nix::EvalRequest {
            source: &fleet.source,
            hosts: &hosts,
            base: folder,
            limit: fleet.build_limit,
            terms: &fleet.evaluation,
            kept: evaluations.as_ref(),
        };
        let evaluator = nix::Evaluator::begin_with(request, &self.nix, self.scope.source.looked()).await;
        match evaluator.evaluate(&|_| {}).await {
            Ok(evaluation) => Ok(evaluation.configured),
            Err(error) => Err(NotSeenAhead::ConfigurationNotEvaluated { said: error.to_string() }),
        }
    }
}

/// Waits a moment longer.
pub(super) async fn await_seen(seen: oneshot::Receiver<SeenAhead>) -> SeenAhead {
    match tokio::time::timeout(PATIENCE, seen).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) | Err(_) => Err(NotSeenAhead::ConfigurationNotAwaited),
    }
}
