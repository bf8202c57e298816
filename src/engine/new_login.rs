//! Takes a login of its own on a host that has answered over another: whether a push could prove the host.

use std::time::Duration;

use super::reach::Reach;
use super::ssh_hosts::is_denial;
use crate::event::reason::cause::Cause;
use crate::facts::plan::LoginBefore;
use crate::inventory::model::{After, Host};
use crate::remote::step::RemoteStep;
use crate::remote::{Way, answer};

/// How long after a login that failed the next one is tried: an sshd that has too many at once drops some.
const PAUSE: Duration = Duration::from_secs(1);

/// How long [`new_login`] may take, once it has its turn.
pub(super) fn longest_new_login(host: &Host) -> Duration {
    let tries = if host.after == After::default() { 2 } else { 3 };
    (host.limits.connect + host.limits.step + PAUSE) * tries
}

/// Takes a new login on a host, as verify will, and once more if it fails by chance. `changes`: the push is to change
/// it.
///
/// # Errors
/// Why the first try failed: the second may only be the echo of a limit that the first has met.
pub(super) async fn new_login(reach: &Reach, host: &Host, changes: bool) -> Result<LoginBefore, Cause> {
    // Verify takes the way for after the push also to a host that does not change. One that changes may have moved
    // already, when an earlier push has brought the change.
    let moves = host.after != After::default();
    let ways: &[Way] = match (changes, moves) {
        (true, true) => &[Way::Usual, Way::Usual, Way::After],
        (true, false) => &[Way::Usual, Way::Usual],
        (false, _) => &[Way::After, Way::After],
    };
    // That a jump forwards, its master has just shown: verify alone looks for that anew.
    let jump = None;
    let script = RemoteStep::Standing { run: None }.script();
    let limit = host.limits.connect + host.limits.step;
    let mut first: Option<Cause> = None;
    let mut denied = None;
    for way in ways {
        // A host that refuses us is not asked the same again: some count that.
        if denied == Some(*way) {
            continue;
        }
        if first.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
        let cause = match reach.login_anew(&host.name, *way, jump, &script, limit).await {
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
    Err(first.unwrap_or(Cause::NotAsked))
}
