//! Runs a command on many hosts, side by side.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use futures::Stream;
use tokio::sync::watch;

use super::ask::{Gathered, NoAnswer, gather};
use super::clock::{BootClock, within};
use super::reach::Reach;
use super::retry::WAY;
use crate::decide::exec::{Came, Channel, Printed, Ran};
use crate::event::stream::Events;
use crate::event::{Event, Phase};
use crate::inventory::model::{Host, HostName};
use crate::remote::step::RemoteStep;
use crate::remote::{Piece, StepError};

/// How much of one host's output is kept, both streams together. A whole journal is less.
pub const KEPT: usize = 10 * 1024 * 1024;

/// How much of the output of all hosts is kept, an equal part of each: it is folded and shown from memory.
const KEPT_OF_ALL: usize = 64 * 1024 * 1024;

/// How long a command has from SIGTERM to SIGKILL on the host (exec.sh), and its end then has to get here.
const TO_END: Duration = Duration::from_secs(5 + 5);

/// What to run.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    pub words: Vec<OsString>,
    pub as_root: bool,
    /// How long it may run on the host, from its beginning.
    pub limit: Duration,
}

/// Hears every piece as it is printed.
pub type OnPiece<'a> = &'a dyn Fn(&HostName, Channel, &[u8]);

/// Runs the command on every host. The answers come in the order of `hosts`, each as soon as it and those before it are
/// there. Once `stop` holds `true` the commands are ended on the hosts, and their results are still told.
pub fn exec<'a>(
    reach: &'a Reach,
    hosts: impl IntoIterator<Item = &'a Host>,
    order: &'a ExecRequest,
    events: &'a Events,
    stop: &'a watch::Receiver<bool>,
    on_piece: OnPiece<'a>,
) -> impl Stream<Item = (HostName, Came)> {
    use futures::StreamExt;
    let hosts: Vec<&Host> = hosts.into_iter().collect();
    let room = KEPT.min(KEPT_OF_ALL / hosts.len().max(1));
    let ask = move |host: &'a Host| Run { reach, host, order, events, on_piece, room }.ended(stop.clone());
    gather(hosts, Phase::Ask, events, ask).map(|(host, gathered)| {
        let came = match gathered {
            Ok(ran) => Came::Ran(ran),
            Err(no_answer) => Came::Unknown { why: no_answer.why(), hint: no_answer.hint() },
        };
        (host, came)
    })
}

/// Runs the command on one host.
struct Run<'a> {
    reach: &'a Reach,
    host: &'a Host,
    order: &'a ExecRequest,
    events: &'a Events,
    on_piece: OnPiece<'a>,
    /// How much of its output is kept.
    room: usize,
}

impl Run<'_> {
    async fn ended(self, stop: watch::Receiver<bool>) -> Gathered<Ran> {
        // Its login may wait for its turn, which is taken from no command's time.
        let mut stopped = stop.clone();
        tokio::select! {
            connected = self.reach.connected(&self.host.name, "exec") => connected?,
            () = is_true(&mut stopped) => return Err(NoAnswer::Interrupted),
        }
        let connect = self.host.limits.connect;
        // The host itself ends a command that runs too long. This limit is for a host that does not.
        let whole = connect + self.order.limit + TO_END + WAY;
        let timed_out = || StepError::TimedOut { host: self.host.name.clone(), script: "exec", waited: whole };
        within(&BootClock, whole, self.run(stop)).await.unwrap_or_else(|| Err(timed_out().into()))
    }

    async fn run(&self, mut stop: watch::Receiver<bool>) -> Gathered<Ran> {
        let ExecRequest { words, as_root, limit } = self.order;
        let order = RemoteStep::Exec { mark: mark(), as_root: *as_root, limit: *limit, words: words.clone() };
        let name = &self.host.name;
        let mut command = tokio::select! {
            // A command that was not sent yet need not be ended. If it was sent just now, to drop it ends its input,
            // and that ends it on the host.
            command = self.reach.command(name, &order, self.host.limits.connect + WAY) => command?,
            () = is_true(&mut stop) => return Err(NoAnswer::Interrupted),
        };
        self.events.publish(Event::moved_within(name, "running", *limit));
        let (mut stdout, mut stderr, mut room) = (Printed::default(), Printed::default(), self.room);
        let mut stopping = false;
        loop {
            let piece = tokio::select! {
                piece = command.next() => piece?,
                () = is_true(&mut stop), if !stopping => {
                    // It is only told to stop: its last output and its end still come, and are waited for.
                    stopping = true;
                    command.stop().await;
                    continue;
                }
            };
            match piece {
                Piece::Out(bytes) => {
                    (self.on_piece)(name, Channel::Stdout, &bytes);
                    stdout.take(&bytes, &mut room);
                }
                Piece::Err(bytes) => {
                    (self.on_piece)(name, Channel::Stderr, &bytes);
                    stderr.take(&bytes, &mut room);
                }
                Piece::Ended { status, took, end } => return Ok(Ran { status, end, stdout, stderr, took }),
                Piece::Refused(reason) => {
                    let host = name.clone();
                    return Err(StepError::NotBegun { host, script: "exec", reason }.into());
                }
            }
        }
    }
}

/// Waits until `stop` is `true`; for ever if its sender is gone.
async fn is_true(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Makes a text that no command prints by chance. The keys of std's hash maps are random, and new for each map.
fn mark() -> String {
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("fleetdeploy-{:016x}{:016x}", random(), random())
}
