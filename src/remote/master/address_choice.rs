//! Chooses one of a host's addresses: each is tried by a whole login, the earlier ones with a head start.
//!
//! A login proves more than a connection: a stranger that answers at a private address of another network has another
//! key, and is passed over. A login that is not needed any more is ended, so that sshd seldom sees a connection without
//! a login.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use super::{StartedMaster, Want, ensure, start};
use crate::event::reason::cause::Cause;
use crate::remote::connect_error::{ConnectCause, ConnectError};
use crate::remote::machine::{Machine, Route};
use crate::remote::workspace::Workspace;

/// How long an address is tried alone before the next one is tried beside it. A login takes about eight round trips,
/// over two links if there is a jump. A person away from home waits this long once in a run.
const HEAD_START: Duration = Duration::from_secs(2);

/// One block of the config to log in with.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    route: &'a Route,
    /// Whether it is the block for after the push.
    after: Option<&'a str>,
}

/// Makes a master over the first address that lets us in. From then on it is the machine's address.
///
/// # Errors
/// The error of an address where something answered, if there was one; else that of the first.
pub(super) async fn race(
    workspace: &Workspace,
    machine: &Machine,
    deadline: Instant,
) -> Result<StartedMaster, ConnectError> {
    let mut waiting = candidates(machine).into_iter();
    let mut running: FuturesUnordered<BoxFuture<'_, (Candidate<'_>, Result<StartedMaster, ConnectError>)>> =
        FuturesUnordered::new();
    let mut failures: Vec<ConnectError> = Vec::new();
    loop {
        // Each turn adds one address, after a failure or a head start; logins that were begun go on beside it.
        let next = waiting.next();
        let is_last = next.is_none();
        running.extend(next.map(|candidate| log_in(workspace, machine, candidate, deadline)));
        let head_start = tokio::time::sleep(HEAD_START);
        tokio::pin!(head_start);
        let (candidate, result) = tokio::select! {
            Some(ended) = running.next() => ended,
            () = &mut head_start, if !is_last => continue,
            // No login is left and no address is to come.
            else => {
                let silent = || machine.error(ConnectCause::Other(String::new()));
                return Err(most_telling(failures).unwrap_or_else(silent));
            }
        };
        match result {
            // To return drops the other logins, and that ends their processes.
            Ok(started) => {
                // Only the addresses before it were passed over; a way for after the push is not settled on.
                if candidate.after.is_none() {
                    let passed_over = failures.iter().filter(|error| !error.cause.is_silence());
                    let passed_over = passed_over.map(Cause::from).collect();
                    workspace.settle(machine, candidate.route, passed_over).map_err(|error| machine.local(error))?;
                }
                return Ok(started);
            }
            Err(error) => failures.push(error),
        }
    }
}

fn candidates(machine: &Machine) -> Vec<Candidate<'_>> {
    let usual = machine.routes.iter().map(|route| Candidate { route, after: None });
    let after = machine.routes.iter().filter_map(|route| Some(Candidate { route, after: Some(route.after.as_ref()?) }));
    usual.chain(after).collect()
}

fn log_in<'a>(
    workspace: &'a Workspace,
    machine: &'a Machine,
    candidate: Candidate<'a>,
    deadline: Instant,
) -> BoxFuture<'a, (Candidate<'a>, Result<StartedMaster, ConnectError>)> {
    Box::pin(async move {
        let Candidate { route, after } = candidate;
        let result = async {
            // Addresses behind one jump share its login: the second waits in `ensure` for what the first has begun.
            if let Some(jump) = workspace.jump_of(route) {
                ensure(workspace, jump, Want::Any, deadline).await?;
            }
            if after.is_some() {
                workspace.know_after(machine, route).await.map_err(|error| machine.local(error))?;
            }
            let limit = deadline.saturating_duration_since(Instant::now());
            start(workspace, machine, after.unwrap_or(&route.alias), limit)
                .await
                .map_err(|cause| machine.error_at(route, cause))
        };
        (candidate, result.await)
    })
}

/// Returns the more telling error: that of an address where something answered.
fn most_telling(mut failures: Vec<ConnectError>) -> Option<ConnectError> {
    let told = failures.iter().position(|error| !error.cause.is_silence()).unwrap_or(0);
    (!failures.is_empty()).then(|| failures.swap_remove(told))
}
