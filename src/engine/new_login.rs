//! Takes a login of its own on a host that has answered over another: whether a push could prove the host.

use std::time::Duration;

use super::reach::Reach;
use super::ssh_hosts::is_denial;
use crate::event::reason::cause::Cause;
use crate::facts::plan::LoginBefore;
use crate::inventory::model::{After, Host};
use crate::remote::step::{AskUnits, RemoteStep};
use crate::remote::{Way, answer};

/// How long after a login that failed the next one is tried: an sshd that has too many at once drops some.
const PAUSE: Duration = Duration::from_secs(1);

/// The ways that are tried, one after the other.
fn ways(host: &Host, changes: bool) -> &'static [Way] {
    // Verify takes the way for after the push also to a host that does not change. One that changes may have moved
    // already, when an earlier push has brought the change.
    let moves = host.after != After::default();
    match (changes, moves) {
        (true, true) => &[Way::Usual, Way::Usual, Way::After],
        (true, false) => &[Way::Usual, Way::Usual],
        (false, _) => &[Way::After, Way::After],
    }
}

/// How long one login may take, with what is run over it.
fn limit(host: &Host) -> Duration {
    host.limits.connect + host.limits.step
}

/// How long [`new_login`] may take at most, without the wait for the turns of its logins.
pub(super) fn longest_new_login(host: &Host, changes: bool) -> Duration {
    let tries = u32::try_from(ways(host, changes).len()).unwrap_or(u32::MAX);
    limit(host).saturating_mul(tries) + PAUSE.saturating_mul(tries.saturating_sub(1))
}

/// Takes a new login on a host, as verify will, and once more if it fails by chance. `changes`: the push is to change
/// it.
///
/// # Errors
/// Why the first try failed: the second may only be the echo of a limit that the first has met.
pub(super) async fn new_login(reach: &Reach, host: &Host, changes: bool) -> Result<LoginBefore, Cause> {
    // That a jump forwards, its master has just shown: verify alone looks for that anew.
    let jump = None;
    let script = RemoteStep::Standing { run: None, units: AskUnits::No }.script();
    let mut first: Option<Cause> = None;
    let mut denied = None;
    for way in ways(host, changes) {
        // A host that refuses us is not asked the same again: some count that.
        if denied == Some(*way) {
            continue;
        }
        if first.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
        let cause = match reach.login_anew(&host.name, *way, jump, &script, limit(host)).await {
            Ok(raw) => match answer::step_answer(&raw.lines) {
                Ok(_) if changes && *way == Way::After => return Ok(LoginBefore::NotTaken),
                Ok(_) => return Ok(LoginBefore::Taken),
                Err(error) => Cause::from(&error),
            },
            Err(error) => {
                denied = is_denial(&error).then_some(*way);
                Cause::from(&error)
            }
        };
        first.get_or_insert(cause);
    }
    Err(first.unwrap_or(Cause::NoTimeToAsk))
}
