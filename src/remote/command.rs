//! Runs a person's command on a host, and passes its bytes on as they are printed: what `exec.sh` sends, and when it
//! has ended.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use super::login::ScriptEnd;
use super::session::{Child, Live, SentScript, Session, status};
use super::step::RemoteStep;
use super::transport::{ANSWER_MARK, Reading};
use super::{Script, StepError};
use crate::decide::exec::ExecEnd;
use crate::inventory::model::{Become, HostName};

/// How many bytes of one stream are read at once.
const CHUNK: usize = 64 * 1024;
/// The longest line that begins with a mark of ours: it says in words why a command did not begin.
const MARK_LINE: usize = 16 * 1024;
/// How much a login may say before the command begins.
const NOISE_LIMIT: usize = 256 * 1024;
/// How long nothing may come after the command's end until its streams count as ended. A program that it has left in
/// the background may hold them open.
const STRAGGLERS: Duration = Duration::from_secs(1);
/// How long ssh may take to tell how its command ended.
const FAREWELL: Duration = Duration::from_secs(5);

/// A command under way. To drop it also ends the command, because its input ends.
pub struct Command {
    host: HostName,
    script: &'static str,
    becoming: Become,
    child: Option<Child>,
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    reader: Reader,
    buffers: [Vec<u8>; 2],
    /// When the last byte came.
    heard: Instant,
    _live: std::sync::Arc<Live>,
}

/// A piece of a command's output, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Out(Vec<u8>),
    Err(Vec<u8>),
    /// The last piece.
    Ended {
        status: i32,
        took: Duration,
        end: ExecEnd,
    },
    /// The only piece: the host did not begin the command.
    Refused(String),
}

impl Session {
    /// Starts a command that a person has typed; the step must be [`RemoteStep::Exec`].
    ///
    /// # Errors
    /// [`StepError`] when it was not sent within `limit`. What follows has no deadline of its own.
    pub async fn command(&self, step: &RemoteStep, limit: Duration) -> Result<Command, StepError> {
        let script: Script = step.script();
        let mark = script.arguments.first().cloned().unwrap_or_default();
        let SentScript { child, stdin, stdout, stderr, becoming, live } = self.begin(&script, limit).await?;
        Ok(Command {
            host: self.host().clone(),
            script: script.name,
            becoming,
            child: Some(child),
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
            reader: Reader::new(&mark),
            buffers: [vec![0; CHUNK], vec![0; CHUNK]],
            heard: Instant::now(),
            _live: live,
        })
    }
}

impl Command {
    /// Returns the next piece; none comes after [`Piece::Ended`] and [`Piece::Refused`]. It may be cancelled: nothing
    /// is lost.
    ///
    /// # Errors
    /// [`StepError`] when it was not begun, or when the connection was lost before its end was known.
    pub async fn next(&mut self) -> Result<Piece, StepError> {
        loop {
            if let Some(piece) = self.reader.ready.pop() {
                return Ok(piece);
            }
            match &self.reader.last {
                Some(refused @ Piece::Refused(_)) => return Ok(refused.clone()),
                Some(last) if self.stdout.is_none() && self.stderr.is_none() => return Ok(last.clone()),
                None if self.stdout.is_none() && self.stderr.is_none() => return Err(self.cut_short().await),
                _ => {}
            }
            let Self { stdout, stderr, reader, buffers: [out, err], heard, .. } = self;
            let silent = sleep_until(*heard + STRAGGLERS);
            // Both reads may be cancelled: a byte is either in its buffer, and taken at once, or still in the stream.
            tokio::select! {
                count = read(stdout, out) => {
                    *heard = Instant::now();
                    reader.take_out(&out[..count]);
                }
                count = read(stderr, err) => {
                    *heard = Instant::now();
                    reader.take_err(&err[..count]);
                }
                // The command has ended, but a program that it left behind holds its streams open.
                () = silent, if reader.last.is_some() => (*stdout, *stderr) = (None, None),
            }
        }
    }

    /// Tells the host to end the command. Its [`Piece::Ended`] comes some seconds later at most.
    pub async fn stop(&mut self) {
        if let Some(mut stdin) = self.stdin.take() {
            // If this does not arrive, the end of the input says the same.
            let _ = tokio::time::timeout(FAREWELL, stdin.write_all(b"stop\n")).await;
        }
    }

    /// Judges a command that has ended both streams without a word about its own end.
    async fn cut_short(&mut self) -> StepError {
        let status = match self.child.take() {
            Some(child) => tokio::time::timeout(FAREWELL, status(child)).await.ok().flatten(),
            None => None,
        };
        let disconnected =
            || StepError::Disconnected { host: self.host.clone(), script: self.script, stderr_tail: String::new() };
        // Once it has begun it may still be running; before that, the login's own words say what went wrong.
        if self.reader.begun {
            return disconnected();
        }
        let (becoming, stderr) = (&self.becoming, &self.reader.err);
        let said = ScriptEnd { host: &self.host, script: self.script, becoming, status, stderr };
        said.judge(Reading::of(&self.reader.out)).err().unwrap_or_else(disconnected)
    }
}

/// Reads from a stream. It waits for ever if there is nothing more to read, so that the `select!` of its caller goes on
/// with the other.
async fn read(stream: &mut Option<Box<dyn AsyncRead + Send + Unpin>>, buffer: &mut [u8]) -> usize {
    let Some(open) = stream else { return std::future::pending().await };
    match open.read(buffer).await {
        Ok(count) if count > 0 => count,
        _ => {
            *stream = None;
            0
        }
    }
}

/// Separates the command's output from what stands around it. It is pure.
#[derive(Debug, Default)]
struct Reader {
    mark: Vec<u8>,
    /// Until the command has begun: the login's noise. Then: the end of stderr that may be the beginning of the mark.
    err: Vec<u8>,
    /// The login's noise, until the answer begins.
    out: Vec<u8>,
    answer_seen: bool,
    begun: bool,
    /// The newest first: at most two.
    ready: Vec<Piece>,
    last: Option<Piece>,
}

impl Reader {
    fn new(mark: &str) -> Self {
        Self { mark: format!("{mark} ").into_bytes(), ..Self::default() }
    }

    fn take_out(&mut self, bytes: &[u8]) {
        if self.answer_seen {
            self.give(Piece::Out, bytes.to_vec());
            return;
        }
        self.out.extend_from_slice(bytes);
        let line = format!("\n{ANSWER_MARK}\n").into_bytes();
        if let Some(at) = find(&self.out, &line) {
            self.answer_seen = true;
            // The host's answer still counts if nothing more comes.
            let rest = self.out.split_off(at + line.len());
            self.give(Piece::Out, rest);
        }
        self.out.truncate(NOISE_LIMIT);
    }

    fn take_err(&mut self, bytes: &[u8]) {
        if self.last.is_some() {
            // A late line of a program in the background belongs to no answer any more.
            return;
        }
        self.err.extend_from_slice(bytes);
        while let Some(at) = find(&self.err, &self.mark) {
            let Some(end) = self.err[at..].iter().position(|byte| *byte == b'\n') else { break };
            let words = String::from_utf8_lossy(&self.err[at + self.mark.len()..at + end]).into_owned();
            let printed = self.err.drain(..=at + end).take(at).collect();
            if self.begun {
                self.give(Piece::Err, printed);
            }
            match Self::ending(&words) {
                None => self.begun = true,
                last => {
                    self.last = last;
                    self.err.clear();
                    return;
                }
            }
        }
        if self.begun {
            let kept = self.possible_mark();
            let printed = self.err.drain(..self.err.len() - kept).collect();
            self.give(Piece::Err, printed);
        } else {
            self.err.truncate(NOISE_LIMIT);
        }
    }

    /// `None`: it has only begun.
    fn ending(words: &str) -> Option<Piece> {
        if let Some(text) = words.strip_prefix("refused ") {
            return Some(Piece::Refused(text.to_owned()));
        }
        let words: Vec<&str> = words.split(' ').collect();
        let ["ended", status, took, end] = words[..] else { return None };
        let end = match end {
            "timed_out" => ExecEnd::TimedOut,
            "stopped" => ExecEnd::Stopped,
            _ => ExecEnd::ByItself,
        };
        let took = Duration::from_millis(took.parse().ok()?);
        Some(Piece::Ended { status: status.parse().ok()?, took, end })
    }

    /// Returns how many bytes at the end may be the beginning of the mark, or the mark with a line that is not whole.
    fn possible_mark(&self) -> usize {
        if let Some(at) = find(&self.err, &self.mark) {
            let length = self.err.len() - at;
            // A longer one is no line of ours. A host that knows its mark must not fill our memory with it.
            return if length > MARK_LINE { 0 } else { length };
        }
        let longest = self.err.len().min(self.mark.len());
        (1..=longest).rev().find(|length| self.err.ends_with(&self.mark[..*length])).unwrap_or(0)
    }

    fn give(&mut self, piece: impl FnOnce(Vec<u8>) -> Piece, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.ready.insert(0, piece(bytes));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// Both streams, cut into pieces of `size` bytes.
    fn read_all(out: &[u8], err: &[u8], size: usize) -> (Vec<u8>, Vec<u8>, Option<Piece>) {
        let mut reader = Reader::new("fleetdeploy-1f");
        let (mut printed_out, mut printed_err) = (Vec::new(), Vec::new());
        out.chunks(size).for_each(|chunk| reader.take_out(chunk));
        err.chunks(size).for_each(|chunk| reader.take_err(chunk));
        while let Some(piece) = reader.ready.pop() {
            match piece {
                Piece::Out(bytes) => printed_out.extend(bytes),
                Piece::Err(bytes) => printed_err.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        (printed_out, printed_err, reader.last)
    }

    #[test]
    fn the_command_s_bytes_come_out_as_they_are_wherever_they_are_cut() {
        let out = b"Welcome!\n\nfleetdeploy-shell\n\nfleetdeploy-answer\n\xff\0one\nfleetdeploy-answer\ntwo";
        let err = b"noise\nfleetdeploy-1f begun\nfleetdeploy-1 no\nf\xfefleetdeploy-1ffleetdeploy-1f ended 3 1250 \
                    by_itself\nlate\n";
        let ended = Piece::Ended { status: 3, took: Duration::from_millis(1250), end: ExecEnd::ByItself };
        for size in 1..100 {
            let read = read_all(out, err, size);
            assert_eq!(read.0, b"\xff\0one\nfleetdeploy-answer\ntwo", "{size}");
            assert_eq!(String::from_utf8_lossy(&read.1), "fleetdeploy-1 no\nf\u{fffd}fleetdeploy-1f", "{size}");
            assert_eq!(read.2, Some(ended.clone()), "{size}");
        }
    }

    #[test]
    fn a_refusal_is_the_end() {
        let read = read_all(b"\nfleetdeploy-answer\n", b"fleetdeploy-1f refused it must run as root\n", 7);
        assert_eq!(read, (vec![], vec![], Some(Piece::Refused("it must run as root".into()))));
    }

    #[test]
    fn a_mark_whose_line_never_ends_is_not_held_back_for_ever() {
        let mut reader = Reader::new("fleetdeploy-1f");
        reader.take_err(b"fleetdeploy-1f begun\nfleetdeploy-1f ended ");
        let mut printed = 0;
        for _ in 0..100 {
            reader.take_err(&[b'x'; 4096]);
            while let Some(Piece::Err(bytes)) = reader.ready.pop() {
                printed += bytes.len();
            }
            assert!(reader.err.len() <= MARK_LINE + 4096, "{}", reader.err.len());
        }
        assert!(printed > 300_000, "{printed}");
    }

    #[test]
    fn a_line_of_stderr_is_not_held_back() {
        let mut reader = Reader::new("fleetdeploy-1f");
        reader.take_err(b"fleetdeploy-1f begun\na whole line\n");
        assert_eq!(reader.ready.pop(), Some(Piece::Err(b"a whole line\n".to_vec())));
    }
}
