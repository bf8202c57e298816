//! Talks with a script line by line, while it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::oneshot;

use super::{Child, Live, SentScript, Session, read_up_to, status};
use crate::inventory::model::{Become, HostName};
use crate::remote::bounds::{Excess, LINE, Meter, STDERR};
use crate::remote::known_units::{KnownUnits, UnitsTold};
use crate::remote::login::ScriptEnd;
use crate::remote::transport::Reading;
use crate::remote::{BadScript, Script, StepError, tail};

/// How long a stream that has answered is given to end.
const FAREWELL: Duration = Duration::from_secs(5);

impl Session {
    /// Starts a script that is talked to line by line. Each answer to a [`Stream::send_line`] may be as long as that of
    /// [`Session::run`].
    ///
    /// # Errors
    /// [`StepError`] when it was not begun within `limit`. The talk after that has no deadline of its own: give each
    /// [`Stream::send_line`] and [`Stream::next_line`] one.
    pub async fn stream(&self, script: &Script, limit: Duration) -> Result<Stream, StepError> {
        self.stream_within(Meter::of_answer(), script, limit).await
    }

    /// Starts a script that prints the log of a job with its answer: only the caller knows how much of it is kept.
    ///
    /// # Errors
    /// As for [`Session::stream`].
    pub async fn stream_of_job(&self, script: &Script, limit: Duration) -> Result<Stream, StepError> {
        self.stream_within(Meter::of_job(), script, limit).await
    }

    async fn stream_within(&self, meter: Meter, script: &Script, limit: Duration) -> Result<Stream, StepError> {
        let SentScript { child, stdin, stdout, stderr, becoming, live } = self.begin(script, limit).await?;
        let (too_much, cut_off) = oneshot::channel();
        // stderr is read in a task of its own: a host that fills it would else stop, and never print its answer.
        let stderr = tokio::spawn(async move {
            let mut bytes = Vec::new();
            if let Err(excess) = read_up_to(Some(stderr), STDERR, &mut bytes).await {
                // The stream that reads the lines may be gone.
                let _ = too_much.send(excess);
            }
            bytes
        });
        Ok(Stream {
            host: self.host.clone(),
            script: Script { text: String::new(), ..script.clone() },
            becoming,
            child: Some(child),
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            partial: Vec::new(),
            stderr: Some(stderr),
            cut_off: Some(cut_off),
            meter,
            reading: Reading::default(),
            look: UnitsTold::default(),
            units: Arc::clone(&self.machine().units),
            _live: live,
        })
    }
}

/// A script that runs, reads lines and answers with lines.
///
/// Dropping it closes the script's stdin, and does not stop the script.
pub struct Stream {
    host: HostName,
    script: Script,
    becoming: Become,
    child: Option<Child>,
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stdout: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    partial: Vec<u8>,
    stderr: Option<tokio::task::JoinHandle<Vec<u8>>>,
    /// Tells that stderr has no end.
    cut_off: Option<oneshot::Receiver<Excess>>,
    meter: Meter,
    reading: Reading,
    look: UnitsTold,
    units: Arc<KnownUnits>,
    /// Holds the master, so that it does not end for lack of work while the script says nothing.
    _live: Arc<Live>,
}

impl Stream {
    /// Sends a line to the script's stdin. It must not be cancelled in the middle: half a line would be left behind.
    ///
    /// # Errors
    /// [`StepError::BadScript`] for a line that is not one, [`StepError::Disconnected`].
    pub async fn send_line(&mut self, line: &str) -> Result<(), StepError> {
        if line.chars().any(|character| character.is_control() && character != '\t') {
            let reason = "a line for it has a control character".to_owned();
            return Err(BadScript { script: self.script.name, reason }.into());
        }
        self.meter.begin();
        let sent = match &mut self.stdin {
            Some(stdin) => stdin.write_all(format!("{line}\n").as_bytes()).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.disconnected()) }
    }

    /// Returns the script's next line; `None` after its `end`. It may be cancelled: nothing is lost.
    ///
    /// # Errors
    /// As for [`Session::run`], when the script ends without its last line.
    pub async fn next_line(&mut self) -> Result<Option<(String, String)>, StepError> {
        while !self.reading.end_seen {
            let raw = self.raw_line().await.map_err(|excess| self.too_much(excess))?;
            let Some(line) = raw else { return Err(self.ended_early().await) };
            if let Some(line) = self.reading.take(&line) {
                self.meter.take_line().map_err(|excess| self.too_much(excess))?;
                self.look.take(&line.0, &line.1);
                // The end of a round.
                if line.0 == "done" {
                    self.units.learn(std::mem::take(&mut self.look));
                }
                return Ok(Some(line));
            }
        }
        self.units.learn(std::mem::take(&mut self.look));
        Ok(None)
    }

    /// Closes the script's stdin and waits a few seconds for its end.
    ///
    /// # Errors
    /// As for [`Session::run`]. The lines that come until then are dropped.
    pub async fn close(mut self) -> Result<(), StepError> {
        // The end of its input ends a script that reads lines.
        self.stdin = None;
        let waited = FAREWELL;
        let host = self.host.clone();
        let script = self.script.name;
        let farewell = async {
            while self.next_line().await?.is_some() {}
            match self.child.take() {
                Some(child) => match status(child).await {
                    None | Some(0) => Ok(()),
                    Some(status) => {
                        let stderr_tail = self.stderr_tail().await;
                        Err(StepError::Exit { host: self.host.clone(), script, status, stderr_tail })
                    }
                },
                None => Ok(()),
            }
        };
        tokio::time::timeout(waited, farewell).await.unwrap_or(Err(StepError::TimedOut { host, script, waited }))
    }

    /// Returns one line of stdout without its newline; `None` at the end.
    async fn raw_line(&mut self) -> Result<Option<String>, Excess> {
        loop {
            // `fill_buf` takes nothing out of the buffer, and half a line stays in `partial`: so it may be cancelled.
            let bytes = tokio::select! {
                bytes = self.stdout.fill_buf() => bytes.unwrap_or_default(),
                excess = told(&mut self.cut_off) => return Err(excess),
            };
            if bytes.is_empty() {
                return Ok(None);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(bytes.len(), |end| end + 1);
            self.partial.extend_from_slice(&bytes[..end.unwrap_or(used)]);
            self.stdout.consume(used);
            self.meter.take(used)?;
            if self.partial.len() > LINE {
                return Err(Excess { most: LINE as u64 });
            }
            if end.is_some() {
                let line = std::mem::take(&mut self.partial);
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
        }
    }

    async fn ended_early(&mut self) -> StepError {
        // The end of the input ends a script that still waits for a line; else its status would never come.
        self.stdin = None;
        let status = match self.child.take() {
            Some(child) => tokio::time::timeout(FAREWELL, status(child)).await.ok().flatten(),
            None => None,
        };
        // stderr comes after the status: it has its end only when the script has.
        let stderr = self.stderr().await;
        let said =
            ScriptEnd { host: &self.host, script: self.script.name, becoming: &self.becoming, status, stderr: &stderr };
        said.judge(self.reading.clone()).err().unwrap_or_else(|| self.disconnected())
    }

    async fn stderr(&mut self) -> Vec<u8> {
        match self.stderr.take() {
            Some(task) => tokio::time::timeout(FAREWELL, task).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    async fn stderr_tail(&mut self) -> String {
        tail(&self.stderr().await)
    }

    fn too_much(&self, Excess { most }: Excess) -> StepError {
        StepError::TooMuch { host: self.host.clone(), script: self.script.name, bytes: most }
    }

    /// Says that the script has come to its end, although more was to come.
    pub(crate) fn truncated(&self) -> StepError {
        StepError::Truncated { host: self.host.clone(), script: self.script.name, stderr_tail: String::new() }
    }

    fn disconnected(&self) -> StepError {
        StepError::Disconnected { host: self.host.clone(), script: self.script.name, stderr_tail: String::new() }
    }
}

/// Returns when stderr was too long, and else never: its end without a word must not end the `select!` of its caller.
async fn told(cut_off: &mut Option<oneshot::Receiver<Excess>>) -> Excess {
    if let Some(excess) = cut_off
        && let Ok(excess) = excess.await
    {
        return excess;
    }
    // A receiver that has answered must not be polled again: it would panic.
    *cut_off = None;
    std::future::pending().await
}
