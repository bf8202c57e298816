//! Runs scripts over a host's master connection. It is the only file that names the openssh crate.

mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openssh::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::bounds::{ANSWER, Excess, STDERR};
use super::connect_error::ConnectError;
use super::login::{ScriptEnd, input, learn, machine};
use super::machine::Machine;
use super::master::{Want, end_if_there, ensure, spare};
use super::master_slot::Master;
use super::transport::{RawAnswer, Reading};
use super::workspace::Workspace;
use super::{Script, StepError, privilege, tail};
use crate::inventory::model::{Become, HostName};
use crate::local::process::{CueEar, conversation};

pub use stream::Stream;

/// How many scripts run at once on one session. sshd's `MaxSessions` is 10 (`sshd_config(5)`), so `nix copy` and one
/// more have room.
const AT_ONCE: usize = 8;

/// How long the last words of a host are waited for that took no script.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a master says whose sshd refuses one more session. Source: OpenSSH, mux.c, `mux_session_confirm`; held by
/// `a_host_with_one_session_for_each_connection_is_spoken_to_all_the_same` in `tests/ssh.rs`.
const REFUSED: &str = "Session open refused by peer";

/// The connection to one host.
///
/// Dropping it leaves the master to the [`Workspace`], which ends it in [`Workspace::close`].
#[derive(Debug)]
pub struct Session {
    host: HostName,
    workspace: Arc<Workspace>,
    live: Mutex<Arc<Live>>,
    /// More connections, where the sshd opens no more sessions on one. A script that needs the first is never kept from
    /// the host by it: the prober of a proof, which talks all the time, may have the only session there is.
    spares: Mutex<Vec<Arc<Live>>>,
    slots: Semaphore,
}

pub(super) type Child = openssh::Child<Arc<openssh::Session>>;

/// One master and the crate's handle for it.
#[derive(Debug)]
pub(super) struct Live {
    master: Arc<Master>,
    mux: Arc<openssh::Session>,
}

impl Live {
    fn new(master: Arc<Master>) -> Self {
        // A resumed session of the native mux starts no process and ends no master when it is dropped.
        let mux = openssh::Session::resume_mux(master.socket.clone().into_boxed_path(), None);
        Self { master, mux: Arc::new(mux) }
    }
}

impl Session {
    /// Logs in; the jumps on the way are logged in to first, once for all hosts behind them.
    ///
    /// # Errors
    /// [`ConnectError`], within `limit`. It may be about a jump: it names the machine.
    ///
    /// # Panics
    /// If the workspace was made without this host.
    pub async fn open(workspace: &Arc<Workspace>, host: &HostName, limit: Duration) -> Result<Self, ConnectError> {
        let master = ensure(workspace, machine(workspace, host), Want::Any, Instant::now() + limit).await?;
        Ok(Self {
            host: host.clone(),
            workspace: Arc::clone(workspace),
            live: Mutex::new(Arc::new(Live::new(master))),
            spares: Mutex::default(),
            slots: Semaphore::new(AT_ONCE),
        })
    }

    /// Logs in again, and ends the old master, even if that one still thinks that it is connected.
    ///
    /// The master of a jump on the way is taken as good while it is there. Behind a dead link it ends itself after 15
    /// to 20 s (`ServerAliveCountMax`), so an attempt before that may fail where a later one succeeds. Scripts that run
    /// over the old connection get [`StepError::Disconnected`].
    ///
    /// # Errors
    /// [`ConnectError`], within `limit`; the session can be reopened later.
    pub async fn reopen(&self, limit: Duration) -> Result<(), ConnectError> {
        // If two callers find the same link dead, the second one gets the master that the first has made meanwhile:
        // its socket is another one than `old` has.
        let old = self.live();
        let want = Want::OtherThan(&old.master.socket);
        let master = ensure(&self.workspace, self.machine(), want, Instant::now() + limit).await?;
        // Scripts under way keep their own handle of the old connection, and end with an error of their own.
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Live::new(master));
        self.spares().clear();
        Ok(())
    }

    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Returns whether the master is there. A dead link to the host shows here only once the master has given up on it.
    pub async fn is_alive(&self) -> bool {
        self.live().master.is_there().await
    }

    /// Returns when the master has ended: the link was lost, or the master was closed.
    pub async fn lost(&self) {
        let live = self.live();
        live.master.ended().await;
    }

    /// Ends the master; bounded in time. Hosts behind this one lose their connection too: close them before.
    pub async fn close(self) {
        let machine = self.machine();
        end_if_there(machine).await;
    }

    /// Runs a script to its end.
    ///
    /// Our `limit` does not stop the script on the host; neither does dropping this future.
    ///
    /// # Errors
    /// See [`StepError`]: after some of them it is unknown whether the script ran.
    pub async fn run(&self, script: &Script, limit: Duration) -> Result<RawAnswer, StepError> {
        // One deadline is for all of it, the wait for a place included: limits of the parts would add up to more than
        // the caller has.
        let deadline = Instant::now() + limit;
        let machine = self.machine();
        let (parts, stop) = input(machine, script)?;
        let Ok(_slot) = timeout_at(deadline, self.slots.acquire()).await else {
            return Err(self.not_begun(script, "too many scripts at once on this host".to_owned()));
        };
        // The connection is looked up only now: while this one waited for a place, another may have logged in again.
        let (mut child, _live) = match timeout_at(deadline, self.spawn(&machine.becoming, deadline)).await {
            Ok(spawned) => spawned.map_err(|reason| self.not_begun(script, reason))?,
            Err(_) => return Err(self.not_begun(script, "the connection does not answer".to_owned())),
        };
        let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let mut sent = false;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (hear_out, hear_err, speaker) = conversation(parts, stop);
        let talk = async {
            // Input and output flow side by side: a host that prints before it reads would else wait for us, and we for
            // it.
            let feed = async {
                if let Some(mut stdin) = stdin {
                    sent = speaker.speak(&mut stdin).await;
                }
                Ok(())
            };
            tokio::try_join!(
                feed,
                read_and_hear(stdout, ANSWER, &mut out, hear_out),
                read_and_hear(stderr, STDERR, &mut err, hear_err)
            )
        };
        let talked = timeout_at(deadline, talk).await;
        let status = match talked {
            // Without a status in time the last line of the answer alone says whether it is whole.
            Ok(Ok(_)) => timeout_at(deadline, status(child)).await.ok().flatten(),
            Ok(Err(excess)) => return Err(self.too_much(script, excess)),
            // The whole script was sent, so it may be running still.
            Err(_) if sent => {
                return Err(StepError::TimedOut { host: self.host.clone(), script: script.name, waited: limit });
            }
            Err(_) => None,
        };
        let reading = Reading::of(&out);
        let said =
            ScriptEnd { host: &self.host, script: script.name, becoming: &machine.becoming, status, stderr: &err };
        // The host does nothing before the last line of the input has arrived.
        if !sent && status.is_none() {
            return Err(said.unsent(&reading, talked.is_err()));
        }
        learn(machine, said.judge(reading))
    }

    /// Sends a script, whole, and leaves the rest to the caller.
    pub(super) async fn begin(&self, script: &Script, limit: Duration) -> Result<SentScript, StepError> {
        let deadline = Instant::now() + limit;
        let machine = self.machine();
        let (parts, stop) = input(machine, script)?;
        // It takes none of the places of `run`: a prober talks for as long as the push lasts, and would keep one all
        // that time.
        let begin = async {
            let (mut child, live) = self.spawn(&machine.becoming, deadline).await?;
            let lost = || "the connection was lost while sending".to_owned();
            let stdin = child.stdin().take().ok_or_else(lost)?;
            let stdout = child.stdout().take().ok_or_else(lost)?;
            let stderr = child.stderr().take().ok_or_else(lost)?;
            Ok((child, live, stdin, stdout, stderr))
        };
        let (child, live, mut stdin, mut stdout, mut stderr) = match timeout_at(deadline, begin).await {
            Ok(spawned) => spawned.map_err(|reason: String| self.not_begun(script, reason))?,
            Err(_) => return Err(self.not_begun(script, "the connection does not answer".to_owned())),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (hear_out, hear_err, speaker) = conversation(parts, stop);
        let sent = {
            let hear = async {
                // A host that says too much ends the sending, and is judged below.
                let _ = tokio::join!(
                    read_and_hear(Some(&mut stdout), ANSWER, &mut out, hear_out),
                    read_and_hear(Some(&mut stderr), STDERR, &mut err, hear_err)
                );
                std::future::pending::<bool>().await
            };
            // Both streams are heard only until all is sent: from then on they are the caller's. A host that fills the
            // pipe with noise before it reads its input would else wait for us, and we for it.
            let talk = async {
                tokio::select! {
                    biased;
                    sent = speaker.speak(&mut stdin) => sent,
                    never = hear => never,
                }
            };
            timeout_at(deadline, talk).await
        };
        if !matches!(sent, Ok(true)) {
            // The end of its input ends what still waits for some.
            drop(stdin);
            let status = timeout_at(deadline, status(child)).await.ok().flatten();
            // The last words may still be in the pipes.
            let last_words = async {
                let (hear_out, hear_err, _) = conversation(Vec::new(), stop);
                tokio::join!(
                    read_and_hear(Some(&mut stdout), ANSWER, &mut out, hear_out),
                    read_and_hear(Some(&mut stderr), STDERR, &mut err, hear_err)
                )
            };
            let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
            if out.len() as u64 > ANSWER {
                return Err(self.too_much(script, Excess { most: ANSWER }));
            }
            let becoming = &machine.becoming;
            let said = ScriptEnd { host: &self.host, script: script.name, becoming, status, stderr: &err };
            return Err(said.unsent(&Reading::of(&out), sent.is_err()));
        }
        Ok(SentScript {
            child,
            stdin: Box::new(stdin),
            stdout: Box::new(std::io::Cursor::new(out).chain(stdout)),
            stderr: Box::new(std::io::Cursor::new(err).chain(stderr)),
            becoming: machine.becoming.clone(),
            live,
        })
    }

    /// Opens a session on the master, or, where its sshd opens no more there, on a connection beside it.
    async fn spawn(&self, becoming: &Become, deadline: Instant) -> Result<(Child, Arc<Live>), String> {
        let live = self.live();
        let refusal = match spawn(&live, becoming).await {
            Ok(child) => return Ok((child, live)),
            Err(error) => reason(&error),
        };
        if !refusal.contains(REFUSED) {
            return Err(refusal);
        }
        let spares = self.spares().clone();
        for spare in spares {
            if let Ok(child) = spawn(&spare, becoming).await {
                return Ok((child, spare));
            }
        }
        let master = spare(&self.workspace, self.machine(), &live.master, deadline).await;
        let master = master.map_err(|error| format!("{refusal}, and there is no other connection: {error}"))?;
        let live = Arc::new(Live::new(Arc::new(master)));
        let child = spawn(&live, becoming).await.map_err(|error| reason(&error))?;
        let mut spares = self.spares();
        spares.push(Arc::clone(&live));
        Ok((child, live.clone()))
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Arc<Live>>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> Arc<Live> {
        // The mutex is held for this clone alone, and never over an `await`: a login that hangs must not keep others
        // from the connection that is there.
        Arc::clone(&self.live.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn machine(&self) -> &Machine {
        machine(&self.workspace, &self.host)
    }

    fn too_much(&self, script: &Script, Excess { most }: Excess) -> StepError {
        StepError::TooMuch { host: self.host.clone(), script: script.name, bytes: most }
    }

    fn not_begun(&self, script: &Script, reason: String) -> StepError {
        StepError::NotBegun { host: self.host.clone(), script: script.name, reason }
    }
}

/// A script that was sent whole, with its ends.
pub(super) struct SentScript {
    pub(super) child: Child,
    pub(super) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) stderr: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) becoming: Become,
    pub(super) live: Arc<Live>,
}

async fn spawn(live: &Live, becoming: &Become) -> Result<Child, openssh::Error> {
    openssh::Session::to_raw_command(Arc::clone(&live.mux), privilege::command(becoming))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .await
}

/// Returns an error with its causes, in one line.
fn reason(error: &openssh::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    tail(text.as_bytes())
}

/// Returns the exit status. `None`: the connection was lost, or a signal ended the remote shell; the protocol does not
/// tell which.
pub(super) async fn status(child: Child) -> Option<i32> {
    match child.wait().await {
        Ok(status) => status.code(),
        // The crate turns the status 127 into an error of its own.
        Err(openssh::Error::Remote(_)) => Some(127),
        Err(_) => None,
    }
}

/// As [`read_up_to`], and gives every piece to an ear as it comes.
///
/// # Errors
/// As for [`read_up_to`].
async fn read_and_hear(
    stream: Option<impl AsyncRead + Unpin>,
    limit: u64,
    bytes: &mut Vec<u8>,
    mut ear: CueEar,
) -> Result<(), Excess> {
    let Some(stream) = stream else { return Ok(()) };
    let mut stream = stream.take((limit + 1).saturating_sub(bytes.len() as u64));
    loop {
        let before = bytes.len();
        match stream.read_buf(bytes).await {
            Ok(count @ 1..) => ear.hear(&bytes[before..before + count]),
            // A stream that breaks has ended. The status and the missing last line say that it was cut.
            Ok(0) | Err(_) => break,
        }
    }
    if bytes.len() as u64 > limit { Err(Excess { most: limit }) } else { Ok(()) }
}

/// Reads to the end. An honest host never says more than `limit` bytes.
///
/// # Errors
/// There are more. They are not read: the host stops when the pipe is full, and the close of the channel ends it.
async fn read_up_to(stream: Option<impl AsyncRead + Unpin>, limit: u64, bytes: &mut Vec<u8>) -> Result<(), Excess> {
    if let Some(stream) = stream {
        // A stream that breaks has ended. The status and the missing last line say that it was cut.
        let _ = stream.take(limit + 1).read_to_end(bytes).await;
    }
    if bytes.len() as u64 > limit { Err(Excess { most: limit }) } else { Ok(()) }
}
