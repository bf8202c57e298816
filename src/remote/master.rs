//! Starts and ends masters, and finds dead ones: the one ssh process for each machine that holds the connection.
//!
//! A master belongs to its machine, not to the host that needed it first: hosts behind a jump use the jump's master.
//! Each start gets a socket of its own name, and a link with the name in the config then points to it. So a dying
//! master removes its own socket only, never that of its successor, and a stale socket does no harm.

mod address_choice;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use self::address_choice::race;
use super::bounds::LOGIN;
use super::connect_error::{ConnectCause, ConnectError};
use super::machine::Machine;
use super::master_slot::{LOCAL, Master, end};
use super::workspace::Workspace;
use crate::local::process::ProcessError;

/// How long a master lives on that is not held any more, as after the death of a run (`ssh_config(5)`).
const PERSIST: &str = "-oControlPersist=60";

/// What a caller wants of a machine's master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want<'a> {
    /// A master that is there is good.
    Any,
    /// A master with another socket: the link behind this one is lost.
    OtherThan(&'a Path),
}

impl Workspace {
    /// Ends every master and removes the folder; bounded in time. Sessions on it are lost.
    pub async fn close(&self) {
        // Those beside the machines' own first: their way may be a jump.
        let spares = std::mem::take(&mut *self.spares.lock().unwrap_or_else(PoisonError::into_inner));
        futures::future::join_all(spares.iter().map(|socket| end(socket))).await;
        // A machine behind another goes first, while the way to it is still open.
        let depth = |machine: &Machine| std::iter::successors(Some(machine), |next| self.via(next)).count();
        let mut layers: BTreeMap<usize, Vec<&Machine>> = BTreeMap::new();
        for machine in self.machines.values() {
            layers.entry(depth(machine)).or_default().push(machine);
        }
        for machines in layers.values().rev() {
            futures::future::join_all(machines.iter().map(|machine| end_if_there(machine))).await;
        }
        let _ = tokio::fs::remove_dir_all(self.folder.path()).await;
    }
}

/// Ends the machine's master, if there is one; bounded in time.
pub(super) async fn end_if_there(machine: &Machine) {
    // A login under way holds this lock for as long as it lasts, and the end does not wait for that: once the run is
    // over such a master is not held any more, and ends by itself (`PERSIST`).
    let Ok(mut state) = tokio::time::timeout(LOCAL, machine.slot.state.lock()).await else { return };
    if let Some(master) = state.master.take() {
        end(&master.socket).await;
    }
}

/// Returns the machine's master, and starts it if need be, after the masters of the jumps on the way: one login for
/// each machine, however many callers there are.
///
/// # Errors
/// [`ConnectError`], which names the machine that the way ends at.
pub(super) async fn ensure(
    workspace: &Workspace,
    machine: &Machine,
    want: Want<'_>,
    deadline: Instant,
) -> Result<Arc<Master>, ConnectError> {
    let begun = Instant::now();
    let failed = |cause| machine.error(cause);
    let timed_out = || failed(ConnectCause::TimedOut(begun.elapsed()));
    // The count is read before the lock is waited for: below it tells whether another caller's start has ended
    // meanwhile.
    let ended_before = machine.slot.ended.load(Ordering::SeqCst);
    // The lock is held over the whole login, so that all other callers wait for this one and share its master.
    let Ok(mut state) = tokio::time::timeout_at(deadline, machine.slot.state.lock()).await else {
        return Err(timed_out());
    };
    if let Some(master) = state.master.clone() {
        if want != Want::OtherThan(&master.socket) && master.is_there().await {
            return Ok(master);
        }
        state.master = None;
        // The old one goes first: scripts that still wait over its link get their error now, and not when that master
        // gives up by itself.
        end(&master.socket).await;
    }
    // Another caller has failed while this one waited for the lock: twenty hosts behind one dead jump try it once, and
    // not one after the other.
    if let Some(failure) = state.failure.as_ref()
        && machine.slot.ended.load(Ordering::SeqCst) > ended_before
    {
        return Err(failure.clone());
    }
    let result = async {
        if !machine.is_settled() {
            return Box::pin(race(workspace, machine, deadline)).await;
        }
        // The jump's lock is taken while this machine's is held. A way has no circle, so two callers never wait for
        // each other.
        if let Some(jump) = workspace.via(machine) {
            Box::pin(ensure(workspace, jump, Want::Any, deadline)).await?;
        }
        let after = &machine.route().after;
        // If the push changes the way to the host, the old way or the new one may be right just now. Each gets half of
        // the time.
        let half_if_two = if after.is_some() { 2 } else { 1 };
        let limit = deadline.saturating_duration_since(Instant::now()) / half_if_two;
        let (cause, after) = match (start(workspace, machine, &machine.alias, limit).await, after) {
            (Ok(master), _) => return Ok(master),
            (Err(cause), None) => return Err(failed(cause)),
            // A host key that cannot be trusted is no reason to look elsewhere.
            (Err(cause), Some(_)) if !cause.is_silence() && !cause.is_refusal() => {
                return Err(failed(cause));
            }
            (Err(cause), Some(after)) => (cause, after),
        };
        workspace.know_after(machine, machine.route()).await.map_err(|error| machine.local(error))?;
        let limit = deadline.saturating_duration_since(Instant::now());
        match start(workspace, machine, after, limit).await {
            Ok(master) => Ok(master),
            Err(silence) if silence.is_silence() => Err(failed(cause)),
            Err(other) => Err(failed(other)),
        }
    }
    .await;
    // It is counted while the lock is still held, so that a caller that waits sees the count and the failure together.
    machine.slot.ended.fetch_add(1, Ordering::SeqCst);
    match result {
        Ok(StartedMaster { master, log }) => {
            // The way for after the push has an address that may not be that of the name before it.
            let is_usual = [&machine.alias, &machine.route().alias].contains(&&master.alias);
            let address = address_used(&log).filter(|_| is_usual);
            workspace.pin(machine, &log, address).await.map_err(|error| machine.local(error))?;
            let master = Arc::new(master);
            state.master = Some(Arc::clone(&master));
            state.failure = None;
            Ok(master)
        }
        Err(error) => {
            state.failure = Some(error.clone());
            Err(error)
        }
    }
}

/// A master that has just been started.
#[derive(Debug)]
pub(super) struct StartedMaster {
    master: Master,
    /// What `ssh -v` has said.
    log: String,
}

/// Logs in once, and leaves a master, which everybody uses that goes by the config.
pub(super) async fn start(
    workspace: &Workspace,
    machine: &Machine,
    alias: &str,
    limit: Duration,
) -> Result<StartedMaster, ConnectCause> {
    let unusable = |source| machine.unusable(source);
    let started = log_in(workspace, machine, alias, limit).await?;
    // The link is renamed into its place, so that an ssh that looks it up finds the old master or the new one, and
    // never no link. A draft is left if an earlier rename has failed.
    let draft = numbered(&machine.slot.link, "new");
    let _ = std::fs::remove_file(&draft);
    std::os::unix::fs::symlink(&started.master.socket, &draft).map_err(unusable)?;
    std::fs::rename(&draft, &machine.slot.link).map_err(unusable)?;
    Ok(started)
}

/// Makes a master beside the one that `beside` is, by the same way: for a host whose sshd opens no more sessions on
/// that one (`MaxSessions`). Only its session uses it; [`Workspace::close`] ends it.
///
/// # Errors
/// See [`ConnectError`].
pub(super) async fn spare(
    workspace: &Workspace,
    machine: &Machine,
    beside: &Master,
    deadline: Instant,
) -> Result<Master, ConnectError> {
    if let Some(jump) = workspace.via(machine) {
        Box::pin(ensure(workspace, jump, Want::Any, deadline)).await?;
    }
    let limit = deadline.saturating_duration_since(Instant::now()).min(machine.connect);
    let started = log_in(workspace, machine, &beside.alias, limit).await;
    let master = started.map_err(|cause| machine.error(cause))?.master;
    workspace.spares.lock().unwrap_or_else(PoisonError::into_inner).push(master.socket.clone());
    Ok(master)
}

/// Logs in once, and leaves a master.
///
/// `-v` makes ssh say the fingerprint of a key it refuses and the address it used, and leaves a jump's stderr open
/// (OpenSSH, sshconnect.c: with `ControlPersist` it is closed otherwise). The master keeps its stderr open as long as
/// it lives, and a host can make it talk for ever. So stderr is a pipe, and what comes after the login is thrown away.
async fn log_in(
    workspace: &Workspace,
    machine: &Machine,
    alias: &str,
    limit: Duration,
) -> Result<StartedMaster, ConnectCause> {
    let local = |source| ConnectCause::Local(Arc::new(ProcessError::Start { program: "ssh".to_owned(), source }));
    workspace.mend()?;
    // Logins to several addresses of one machine may run at once, and each needs a socket of its own.
    let number = machine.slot.starts.fetch_add(1, Ordering::SeqCst) + 1;
    let socket = numbered(&machine.slot.link, &number.to_string());
    let (mut overheard, stderr) = Overheard::begin().map_err(local)?;
    let login = workspace
        .ssh(limit)
        .args(["-v", "-T", "-M", "-f", "-N", PERSIST])
        .arg(format!("-oConnectTimeout={}", seconds_below(limit)))
        .arg("-S")
        .arg(&socket)
        .arg(alias)
        .at_most(0, LOGIN)
        .stderr_to(stderr)
        .run();
    let finished = tokio::select! {
        finished = login => finished,
        // To drop the login ends its process.
        () = overheard.listen() => return Err(ConnectCause::TooMuch { bytes: LOGIN }),
    };
    // All of it is read before the login is judged: ssh has said why it failed before it ended, and some of that may
    // still be in the pipe.
    let said = overheard.end();
    match finished {
        Ok(finished) if finished.succeeded() => {}
        Ok(_) => return Err(workspace.cause(alias, &said, whole_seconds(limit))),
        Err(ProcessError::TimedOut { .. }) => return Err(ConnectCause::TimedOut(whole_seconds(limit))),
        Err(error) => return Err(ConnectCause::Local(Arc::new(error))),
    }
    // It is held at once: a host that has no work yet must keep its master for longer than `PERSIST`.
    let hold = match tokio::time::timeout(LOCAL, UnixStream::connect(&socket)).await {
        Ok(Ok(hold)) => hold,
        Ok(Err(source)) => return Err(machine.unusable(source)),
        Err(_) => return Err(ConnectCause::TimedOut(LOCAL)),
    };
    Ok(StartedMaster { master: Master { socket, alias: alias.to_owned(), hold }, log: said })
}

/// What a login says on stderr.
struct Overheard {
    pipe: pipe::Receiver,
    bytes: Vec<u8>,
}

impl Overheard {
    /// Makes the pipe; the file is its end to write to.
    fn begin() -> std::io::Result<(Self, File)> {
        let (reader, writer) = std::io::pipe()?;
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok((Self { pipe, bytes: Vec::new() }, File::from(OwnedFd::from(writer))))
    }

    /// Returns only when ssh has said more than any login says. It may be cancelled: nothing is lost.
    async fn listen(&mut self) {
        let mut buffer = vec![0; 8192];
        while self.bytes.len() as u64 <= LOGIN {
            match self.pipe.read(&mut buffer).await {
                Ok(count @ 1..) => self.bytes.extend_from_slice(&buffer[..count]),
                // The output has ended; the exit status of the process says how.
                Ok(0) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Returns all that was said until now. From then on a task only keeps the pipe from filling up, until every writer
    /// has ended. A writer that outlives us gets SIGPIPE, and ssh ignores that (ssh.c).
    fn end(mut self) -> String {
        let mut buffer = vec![0; 8192];
        // The kernel is asked directly, because the runtime may not know yet that there is more.
        while let Ok(count @ 1..) = nix::unistd::read(&self.pipe, &mut buffer)
            && self.bytes.len() as u64 <= LOGIN
        {
            self.bytes.extend_from_slice(&buffer[..count]);
        }
        let mut pipe = self.pipe;
        tokio::spawn(async move { tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await });
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

fn numbered(link: &Path, suffix: &str) -> PathBuf {
    link.with_extension(suffix)
}

/// Returns ssh's own limit, in whole seconds: it ends before ours, so that ssh can say what was wrong.
pub(super) fn seconds_below(limit: Duration) -> u64 {
    whole_seconds(limit).as_secs().saturating_sub(1).max(1)
}

/// Rounds to whole seconds: what is left of a limit of six seconds, once a login begins, is a little less than six.
pub(super) fn whole_seconds(limit: Duration) -> Duration {
    Duration::from_secs((limit + Duration::from_millis(500)).as_secs())
}

/// Returns the address of the last line like `debug1: Connecting to vps.example.org [198.51.100.1] port 22.`: the last
/// try is the one that worked.
fn address_used(log: &str) -> Option<IpAddr> {
    log.lines()
        .filter_map(|line| line.strip_prefix("debug1: Connecting to "))
        .filter_map(|rest| rest.split_once('[').and_then(|(_, rest)| rest.split_once(']')))
        .filter_map(|(address, _)| address.parse().ok())
        .next_back()
}
