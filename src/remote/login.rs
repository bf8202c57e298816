//! Makes a login of its own for one script, and judges the end of a script in either kind of login.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::bounds::{ANSWER, Excess, LOGIN, STDERR};
use super::connect_error::{ConnectCause, ConnectError};
use super::known_units::UnitsTold;
use super::machine::Machine;
use super::master::{Want, ensure, seconds_below, whole_seconds};
use super::transport::{NOTHING_RUN, RawAnswer, Reading, frame};
use super::workspace::Workspace;
use super::{BadScript, RootRefusal, Script, StepError, privilege, tail};
use crate::facts::privilege::RootLack;
use crate::inventory::model::{Become, HostName};
use crate::local::process::{InputPart, ProcessError, StopWords};

/// Which of a host's addresses and logins a new login uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As the inventory says; the survey came this way.
    Usual,
    /// As the push leaves it (`after:`), if it changes that.
    After,
}

/// Runs a script over a login of its own, which proves that one is possible: sshd, firewall, keys, and root.
///
/// It goes over the masters of the jumps, which are made if they are not there, and never over the host's own.
/// Our `limit` does not stop the script on the host.
///
/// # Errors
/// [`StepError::NoLogin`] when there was none; else as for [`Session::run`](super::Session::run).
///
/// # Panics
/// If the workspace was made without this host.
pub async fn login_anew(
    workspace: &Workspace,
    host: &HostName,
    way: Way,
    script: &Script,
    limit: Duration,
) -> Result<RawAnswer, StepError> {
    login_anew_all_the_way(workspace, host, way, None, script, limit).await
}

/// The same, with a new login by `jump` on the host's jump as well, if it has one. That proves that the jump still
/// forwards: what is open there already keeps the settings that its sshd had.
///
/// # Errors
/// As for [`login_anew`].
///
/// # Panics
/// As for [`login_anew`].
pub async fn login_anew_all_the_way(
    workspace: &Workspace,
    host: &HostName,
    way: Way,
    jump: Option<Way>,
    script: &Script,
    limit: Duration,
) -> Result<RawAnswer, StepError> {
    login_anew_with_turn(workspace, host, (way, jump), script, limit, ()).await
}

/// The same; `turn` is let go once the session stands, when the script may have long to run.
pub(crate) async fn login_anew_with_turn(
    workspace: &Workspace,
    host: &HostName,
    (way, jump): (Way, Option<Way>),
    script: &Script,
    limit: Duration,
    turn: impl Send,
) -> Result<RawAnswer, StepError> {
    let deadline = Instant::now() + limit;
    let machine = machine(workspace, host);
    let (parts, stop) = input(machine, script)?;
    let no_login =
        |source: ConnectError| StepError::NoLogin { host: host.clone(), script: script.name, source: Box::new(source) };
    let here = |cause| no_login(machine.error(cause));
    workspace.mend().map_err(here)?;
    if let Some(jump) = workspace.via(machine) {
        ensure(workspace, jump, Want::Any, deadline).await.map_err(no_login)?;
    }
    let alias = alias(machine, way);
    // As ssh does for `ProxyJump`, but for the master. Neither path nor alias has a character that a shell knows.
    let through = workspace.via(machine).zip(jump).map(|(jump, way)| {
        let config = workspace.config().display();
        format!("-oProxyCommand=ssh -F {config} -oControlPath=none -W [%h]:%p {}", self::alias(jump, way))
    });
    let remaining = deadline.saturating_duration_since(Instant::now());
    let mut logged_in = false;
    let mut turn = Some(turn);
    let finished = workspace
        .ssh(remaining)
        .args(["-v", "-T", "-oControlPath=none"])
        .arg(format!("-oConnectTimeout={}", seconds_below(remaining.min(machine.connect))))
        .args(through)
        .arg(alias)
        .arg(privilege::command(&machine.becoming))
        .input_in_parts(parts, stop)
        .at_most(ANSWER, LOGIN + STDERR)
        .run_with(|line| {
            if line.starts_with(SENDING) {
                logged_in = true;
                turn = None;
            }
        })
        .await;
    drop(turn);
    let finished = match finished {
        Ok(finished) => finished,
        Err(ProcessError::TimedOut { .. }) if logged_in => {
            return Err(StepError::TimedOut { host: host.clone(), script: script.name, waited: limit });
        }
        Err(ProcessError::TimedOut { .. }) => return Err(here(ConnectCause::TimedOut(limit))),
        Err(ProcessError::TooMuch { most, .. }) if logged_in => {
            return Err(StepError::TooMuch { host: host.clone(), script: script.name, bytes: most });
        }
        Err(ProcessError::TooMuch { most, .. }) => return Err(here(ConnectCause::TooMuch { bytes: most })),
        Err(error) => return Err(here(ConnectCause::Local(Arc::new(error)))),
    };
    // 255 is ssh's own status, and no script of ours ends with it.
    let status = finished.status.filter(|status| *status != 255);
    if status.is_none() && !logged_in {
        return Err(here(workspace.cause(alias, &finished.stderr_text(), whole_seconds(remaining))));
    }
    let said_there = said_by_host(&finished.stderr);
    let said = ScriptEnd { host, script: script.name, becoming: &machine.becoming, status, stderr: said_there };
    learn(machine, said.judge(Reading::of(&finished.stdout)))
}

/// Returns the part of `ssh -v`'s stderr that comes after the login: before it stand ssh's own words, and the host's
/// banner, which says nothing about what was run.
fn said_by_host(stderr: &[u8]) -> &[u8] {
    let at = stderr.windows(SENDING.len()).rposition(|window| window == SENDING.as_bytes());
    at.map_or(stderr, |at| &stderr[at..])
}

/// ssh says this last before it gives the host anything to do (OpenSSH, clientloop.c).
const SENDING: &str = "debug1: Sending command: ";

/// Returns the block of the config that is used.
fn alias(machine: &Machine, way: Way) -> &str {
    match (way, &machine.route().after) {
        (Way::After, Some(after)) => after,
        _ => &machine.alias,
    }
}

pub(super) fn machine<'a>(workspace: &'a Workspace, host: &HostName) -> &'a Machine {
    workspace.machine(host).expect("a workspace is made with all hosts of its run")
}

/// Makes the command's input: what becoming root needs, then the framed script.
pub(super) fn input(machine: &Machine, script: &Script) -> Result<(Vec<InputPart>, StopWords), BadScript> {
    let framed = frame(script, &machine.boot_loader, &machine.units.word())?;
    Ok(privilege::input(&machine.becoming, machine.logs_in_as_root, machine.password.as_ref(), framed))
}

/// Keeps what a whole answer says of the host's services, for the scripts after this one.
pub(super) fn learn(machine: &Machine, answer: Result<RawAnswer, StepError>) -> Result<RawAnswer, StepError> {
    if let Ok(answer) = &answer {
        let mut look = UnitsTold::default();
        for (key, value) in &answer.lines {
            look.take(key, value);
        }
        machine.units.learn(look);
    }
    answer
}

/// The rest of a script's answer, beside stdout.
pub(super) struct ScriptEnd<'a> {
    pub(super) host: &'a HostName,
    pub(super) script: &'static str,
    pub(super) becoming: &'a Become,
    /// `None`: unknown.
    pub(super) status: Option<i32>,
    pub(super) stderr: &'a [u8],
}

impl ScriptEnd<'_> {
    /// Says why a script was not sent whole; `out_of_time`: because its time was over.
    pub(super) fn unsent(&self, reading: &Reading, out_of_time: bool) -> StepError {
        let (host, script) = (self.host.clone(), self.script);
        if (self.status.is_some() || reading.uid.is_some_and(|uid| uid != 0))
            && let Err(error) = self.judge(reading.clone())
        {
            return error;
        }
        if out_of_time && reading.shell_seen && reading.uid.is_none() && *self.becoming != Become::No {
            let mut refusal = self.refusal(reading);
            if refusal.why == RootLack::NotKnown {
                refusal.why = RootLack::Silent;
            }
            return StepError::NotRoot { host, script, refusal, stderr_tail: tail(self.stderr) };
        }
        let reason = if out_of_time && !reading.shell_seen {
            "its login shell does not begin"
        } else {
            "the connection was lost while sending"
        };
        StepError::NotBegun { host, script, reason: reason.to_owned() }
    }

    fn refusal(&self, reading: &Reading) -> RootRefusal {
        RootRefusal::read(self.becoming, reading.uid, &String::from_utf8_lossy(self.stderr))
    }

    pub(super) fn judge(&self, reading: Reading) -> Result<RawAnswer, StepError> {
        let (host, script, stderr_tail) = (self.host.clone(), self.script, tail(self.stderr));
        // Whoever stands in for a shell, or for root's, may have said on either stream why there is none.
        let said = || {
            let noise: Vec<&str> = reading.noise.iter().map(String::as_str).collect();
            tail(&[noise.join("\n").as_bytes(), self.stderr].join(&b'\n'))
        };
        if let Some(Excess { most }) = reading.excess {
            return Err(StepError::TooMuch { host, script, bytes: most });
        }
        if reading.uid.is_some_and(|uid| uid != 0) && !reading.answer_seen {
            let refusal = self.refusal(&reading);
            return Err(StepError::NotRoot { host, script, refusal, stderr_tail });
        }
        match (self.status, reading.answer_seen) {
            (_, true) if reading.end_seen && self.status.is_none_or(|status| status == 0) => {
                Ok(RawAnswer { lines: reading.lines, stderr_tail })
            }
            (None, _) => Err(StepError::Disconnected { host, script, stderr_tail }),
            (Some(0), true) => Err(StepError::Truncated { host, script, stderr_tail }),
            (Some(status), true) => Err(StepError::Exit { host, script, status, stderr_tail }),
            (Some(NOTHING_RUN), false) if reading.shell_seen => {
                let reason = "the connection was lost while sending".to_owned();
                Err(StepError::NotBegun { host, script, reason })
            }
            (Some(_), false) if reading.shell_seen && *self.becoming != Become::No => {
                let refusal = self.refusal(&reading);
                Err(StepError::NotRoot { host, script, refusal, stderr_tail: said() })
            }
            (Some(status), false) => Err(StepError::NoShell { host, script, status, stderr_tail: said() }),
        }
    }
}
