//! Holds the connections of one run: one master for each host, made when it is first needed and made again when it is
//! lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::turns::Turns;
use crate::inventory::model::HostName;
use crate::remote::step::RemoteStep;
use crate::remote::{Command, RawAnswer, Script, Session, StepError, Stream, Way, Workspace, login_anew_with_turn};

/// The connections to all hosts of the fleet.
#[derive(Debug)]
pub struct Reach {
    workspace: Arc<Workspace>,
    sessions: BTreeMap<HostName, Mutex<Option<Arc<Session>>>>,
    /// How long one login may take, jumps included.
    connect: BTreeMap<HostName, Duration>,
    turns: Turns,
}

impl Reach {
    /// Takes the hosts with how long a login to each may take. Nothing is connected yet.
    #[must_use]
    pub fn new(workspace: Arc<Workspace>, hosts: BTreeMap<HostName, Duration>, turns: Turns) -> Self {
        let sessions = hosts.keys().map(|host| (host.clone(), Mutex::new(None))).collect();
        Self { workspace, sessions, connect: hosts, turns }
    }

    /// The turns that logins and copies wait for.
    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Makes the host's master if it is not there: for a caller whose own time begins only with the connection.
    ///
    /// # Errors
    /// [`StepError::NoLogin`].
    pub async fn connected(&self, host: &HostName, script: &'static str) -> Result<(), StepError> {
        self.session(host, script, self.connect[host]).await.map(drop)
    }

    /// Returns how long a login to a host of [`Reach::new`] may take.
    #[must_use]
    pub fn connect(&self, host: &HostName) -> Duration {
        self.connect[host]
    }

    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Makes the host's master again if it is lost.
    ///
    /// # Errors
    /// [`StepError::NoLogin`], within `limit`.
    pub async fn ready(&self, host: &HostName, limit: Duration) -> Result<(), StepError> {
        self.session(host, "prepare", limit).await.map(drop)
    }

    /// Runs a script over the host's master. A lost master is made again first, once; and once more if it is lost, or
    /// its socket is removed, before the script has begun.
    ///
    /// # Errors
    /// See [`StepError`]: after some of them it is unknown whether the script ran.
    pub async fn run(&self, host: &HostName, script: &Script, limit: Duration) -> Result<RawAnswer, StepError> {
        let session = self.session(host, script.name, limit).await?;
        let begun = Instant::now();
        match session.run(script, limit).await {
            Err(error) if error.nothing_ran() && !session.is_alive().await => {
                let left = limit.saturating_sub(begun.elapsed());
                // What was wrong first says most.
                let Ok(session) = self.session(host, script.name, left).await else { return Err(error) };
                session.run(script, limit.saturating_sub(begun.elapsed())).await
            }
            done => done,
        }
    }

    /// Runs a script over the host's master as it is: a lost master is not made again. It is for scripts that must not
    /// hold up another order. `None` when the script was not run, or not to its end.
    pub async fn run_over_what_is_there(&self, host: &HostName, script: &Script, limit: Duration) -> Option<RawAnswer> {
        // A task that makes the master holds the lock for as long as that takes. This script does not wait for it.
        let slot = tokio::time::timeout(limit, self.sessions[host].lock()).await.ok()?;
        let session = slot.clone()?;
        // It is let go before the script runs: an order that has to log in anew must not wait for this one.
        drop(slot);
        if !session.is_alive().await {
            return None;
        }
        session.run(script, limit).await.ok()
    }

    /// Starts a script that is talked to line by line.
    ///
    /// # Errors
    /// See [`StepError`].
    pub async fn stream(&self, host: &HostName, script: &Script, limit: Duration) -> Result<Stream, StepError> {
        let session = self.session(host, script.name, limit).await?;
        session.stream(script, limit).await
    }

    /// Starts a script that prints the log of a job with its answer.
    ///
    /// # Errors
    /// See [`StepError`].
    pub async fn stream_of_job(&self, host: &HostName, script: &Script, limit: Duration) -> Result<Stream, StepError> {
        let session = self.session(host, script.name, limit).await?;
        session.stream_of_job(script, limit).await
    }

    /// Starts a command that a person has typed.
    ///
    /// # Errors
    /// See [`StepError`].
    pub async fn command(&self, host: &HostName, step: &RemoteStep, limit: Duration) -> Result<Command, StepError> {
        let session = self.session(host, "exec", limit).await?;
        session.command(step, limit).await
    }

    /// Runs a script over a login of its own; with a `jump`, over a new one on the host's jump by that way as well.
    ///
    /// # Errors
    /// See [`StepError`].
    pub async fn login_anew(
        &self,
        host: &HostName,
        way: Way,
        jump: Option<Way>,
        script: &Script,
        limit: Duration,
    ) -> Result<RawAnswer, StepError> {
        let turn = self.turns.login(host, self.connect[host], limit).await;
        let limit = turn.limit;
        login_anew_with_turn(&self.workspace, host, (way, jump), script, limit, turn).await
    }

    /// Ends every master; bounded in time.
    pub async fn close(&self) {
        self.workspace.close().await;
    }

    async fn session(&self, host: &HostName, script: &'static str, limit: Duration) -> Result<Arc<Session>, StepError> {
        let no_login = |source| StepError::NoLogin { host: host.clone(), script, source: Box::new(source) };
        let (whole, limit) = (limit, limit.min(self.connect[host]));
        // The lock is held over the whole login: other orders to this host wait for it and share it. That wait ends,
        // because each login has a limit; it is not counted against this one's. Other hosts have locks of their own.
        let mut slot = self.sessions[host].lock().await;
        match &*slot {
            Some(session) if session.is_alive().await => Ok(Arc::clone(session)),
            Some(session) => {
                let turn = self.turns.login(host, self.connect[host], limit).await;
                // A login that fails leaves the session where it is: the next order tries again.
                session.reopen(turn.limit).await.map_err(no_login)?;
                Ok(Arc::clone(session))
            }
            None => {
                let turn = self.turns.login(host, self.connect[host], limit).await;
                let session = Arc::new(Session::open(&self.workspace, host, turn.limit).await.map_err(no_login)?);
                *slot = Some(Arc::clone(&session));
                // Where nothing is to follow within this time the caller tells what does.
                if whole > limit {
                    self.turns.logged_in(host, whole);
                }
                Ok(session)
            }
        }
    }
}
