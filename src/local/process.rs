//! Starts child processes: each in a process group of its own, with a deadline, both ends captured.
//!
//! A process group of its own keeps Ctrl-C at the terminal from reaching ssh and nix: a signal is for fleetdeploy
//! alone, which decides what becomes of its children.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

/// How much of a child's stdout is kept: enough for any answer of nix about a fleet of hundreds, and a bound on what a
/// broken program can make us keep.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;
/// How much of a child's stderr is kept, from the end: programs say last what went wrong.
const TALK_LIMIT: u64 = 2 * 1024 * 1024;
/// How much of one line of stderr is kept. Nix tells an activity in less; the rest of a longer line is passed over.
const LINE_LIMIT: usize = 256 * 1024;
/// How long a child has from SIGTERM to SIGKILL. nix ends its builders in much less.
const GRACE: Duration = Duration::from_secs(3);

/// How long the rest of the output of a child that has ended is read.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The children that were told to end, each with its killer.
static ENDING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Waits until all children that were told to end have ended. It takes seconds at most, because a child that does not
/// listen is killed.
pub async fn let_children_end() {
    let ending = std::mem::take(&mut *ENDING.lock().unwrap_or_else(PoisonError::into_inner));
    futures::future::join_all(ending).await;
}

/// A child to start. Arguments go to the program as they are; no shell is between.
#[derive(Debug, Clone)]
#[must_use]
pub struct Invocation {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Vec<u8>,
    stderr: Option<Arc<File>>,
    most: Option<Most>,
    longest_line: Option<usize>,
    limit: Duration,
}

/// How much a child may print, in bytes: it passes on the words of a host, and these may have no end.
#[derive(Debug, Clone, Copy)]
struct Most {
    stdout: u64,
    stderr: u64,
}

/// How a child ended, and what it said.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Finished {
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Some(0)
    }

    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot start `{program}`")]
    Start {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// The child and its process group were told to end, and are killed soon.
    #[error("`{program}` did not end within {} s", limit.as_secs())]
    TimedOut { program: String, limit: Duration },
    /// It printed more than it may. The child and its process group were told to end, and are killed soon.
    #[error("`{program}` printed more than {most} bytes and was ended")]
    TooMuch { program: String, most: u64 },
    #[error("lost `{program}`")]
    Lost {
        program: String,
        #[source]
        source: std::io::Error,
    },
}

impl Invocation {
    /// `limit` is the longest the child may run, from start to end of its output.
    pub fn new(program: impl AsRef<OsStr>, limit: Duration) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: Vec::new(),
            stderr: None,
            most: None,
            longest_line: None,
            limit,
        }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn args<Argument: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = Argument>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Sets the child's standard input; without this it reads nothing.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Ends a child that prints more than so many bytes on a stream: [`ProcessError::TooMuch`]. Without this the rest
    /// is dropped.
    pub fn at_most(mut self, stdout: u64, stderr: u64) -> Self {
        self.most = Some(Most { stdout, stderr });
        self
    }

    /// Ends a child with a longer line on stderr in the middle of that line: [`ProcessError::TooMuch`]. Without this
    /// the rest of the line is passed over.
    pub fn longest_line(mut self, bytes: usize) -> Self {
        self.longest_line = Some(bytes);
        self
    }

    /// Sends the child's stderr to `file` instead of capturing it.
    ///
    /// This is for a child that leaves a process behind which keeps stderr open (an ssh master with `-v`): the end of a
    /// captured stderr would never come.
    pub fn stderr_to(mut self, file: File) -> Self {
        self.stderr = Some(Arc::new(file));
        self
    }

    /// Runs the child to its end.
    ///
    /// # Errors
    /// See [`ProcessError`]; a status other than 0 is not an error here.
    pub async fn run(self) -> Result<Finished, ProcessError> {
        self.run_with(|_| {}).await
    }

    /// Runs the child like [`Invocation::run`], and gives each line of its stderr to `on_line` as it comes.
    ///
    /// # Errors
    /// See [`ProcessError`]; a status other than 0 is not an error here.
    pub async fn run_with(self, mut on_line: impl FnMut(&str) + Send) -> Result<Finished, ProcessError> {
        let program = self.program.to_string_lossy().into_owned();
        let (limit, most, longest_line) = (self.limit, self.most, self.longest_line);
        let mut child = self.start()?;
        let lost = |source| ProcessError::Lost { program: program.clone(), source };
        let cut = |error| match error {
            CutShort::TooMuch(most) => ProcessError::TooMuch { program: program.clone(), most },
            CutShort::Broken(source) => lost(source),
        };

        let inner = child.inner();
        let mut stdin = inner.stdin.take();
        let input = self.input;
        let feed = async move {
            if let Some(mut stdin) = stdin.take() {
                // A child that ends without reading its input is no error here: its status says how it went.
                let _ = stdin.write_all(&input).await;
                let _ = stdin.shutdown().await;
            }
            Ok::<(), CutShort>(())
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (inner.stdout.take(), inner.stderr.take());
        let everything = async {
            // All three flow side by side: a child that fills one pipe while we wait at another would hang.
            let talking = async {
                futures::try_join!(
                    feed,
                    capture(out, most.map(|most| most.stdout), &mut stdout),
                    capture_lines(err, (most.map(|most| most.stderr), longest_line), &mut stderr, &mut on_line)
                )
            };
            let mut talking = std::pin::pin!(talking);
            let status = tokio::select! {
                said = &mut talking => {
                    said?;
                    inner.wait().await.map_err(CutShort::Broken)?
                }
                status = inner.wait() => {
                    // A process that the child has left behind may keep the pipes open for ever.
                    if let Ok(said) = tokio::time::timeout(LAST_WORDS, &mut talking).await {
                        said?;
                    }
                    status.map_err(CutShort::Broken)?
                }
            };
            Ok(status.code())
        };
        match tokio::time::timeout(limit, everything).await {
            Ok(Ok(status)) => Ok(Finished { status, stdout, stderr }),
            Ok(Err(error)) => Err(cut(error)),
            // Dropping `child` ends the whole group.
            Err(_) => Err(ProcessError::TimedOut { program, limit }),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts children")]
    fn start(&self) -> Result<ProcessGroup, ProcessError> {
        let cannot_start =
            |source| ProcessError::Start { program: self.program.to_string_lossy().into_owned(), source };
        let stderr = match &self.stderr {
            Some(file) => Stdio::from(file.try_clone().map_err(cannot_start)?),
            None => Stdio::piped(),
        };
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // `Group` ends the whole group, and Ctrl-C at the terminal does not reach it.
            .process_group(0)
            .stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(stderr);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let inner = command.spawn().map_err(cannot_start)?;
        Ok(ProcessGroup { inner: Some(inner) })
    }
}

/// A child that takes its process group with it when it is dropped before it has ended.
///
/// The group gets SIGTERM first: nix runs its builders in groups of their own, and only nix itself can end them.
struct ProcessGroup {
    inner: Option<tokio::process::Child>,
}

impl ProcessGroup {
    fn inner(&mut self) -> &mut tokio::process::Child {
        self.inner.as_mut().expect("only dropping takes it")
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(mut child) = self.inner.take() else { return };
        // `id` is `None` once the child was waited for: its number may belong to another process by then.
        let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
        let group = nix::unistd::Pid::from_raw(group);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        // `drop` cannot wait, so a task does. `let_children_end` waits for that task before the program ends; else a
        // child that ignores SIGTERM would outlive us.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let killer = runtime.spawn(async move {
                if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
                }
            });
            let mut ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
            ending.retain(|other| !other.is_finished());
            ending.push(killer);
        }
    }
}

/// Why a stream was not read to its end.
enum CutShort {
    TooMuch(u64),
    Broken(std::io::Error),
}

async fn capture(
    stream: Option<impl AsyncRead + Unpin>,
    most: Option<u64>,
    bytes: &mut Vec<u8>,
) -> Result<(), CutShort> {
    let Some(mut stream) = stream else { return Ok(()) };
    (&mut stream).take(most.unwrap_or(ANSWER_LIMIT)).read_to_end(bytes).await.map_err(CutShort::Broken)?;
    match most {
        // One byte more tells whether the child has printed too much.
        Some(most) if stream.read(&mut [0]).await.map_err(CutShort::Broken)? > 0 => Err(CutShort::TooMuch(most)),
        Some(_) => Ok(()),
        // The rest is read and dropped: a child stands still at a pipe that is not read.
        None => tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop).map_err(CutShort::Broken),
    }
}

async fn capture_lines(
    stream: Option<impl AsyncRead + Unpin>,
    (most, longest_line): (Option<u64>, Option<usize>),
    bytes: &mut Vec<u8>,
    on_line: &mut (impl FnMut(&str) + Send),
) -> Result<(), CutShort> {
    let Some(stream) = stream else { return Ok(()) };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let (mut read, mut length) = (0, 0);
    loop {
        let more = reader.fill_buf().await.map_err(CutShort::Broken)?;
        let end = more.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(more.len(), |end| end + 1);
        let room = LINE_LIMIT.saturating_sub(line.len());
        line.extend_from_slice(&more[..used.min(room)]);
        reader.consume(used);
        read += used as u64;
        length += used;
        if let Some(longest) = longest_line.filter(|longest| length > *longest) {
            return Err(CutShort::TooMuch(longest as u64));
        }
        if let Some(most) = most.filter(|most| read > *most) {
            return Err(CutShort::TooMuch(most));
        }
        if end.is_some() || used == 0 {
            if !line.is_empty() {
                on_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
                keep_the_end(bytes, &line);
                line.clear();
                length = 0;
            }
            if used == 0 {
                return Ok(());
            }
        }
    }
}

/// Adds a line, and lets go of the oldest bytes once there are twice as many as are kept.
fn keep_the_end(bytes: &mut Vec<u8>, line: &[u8]) {
    let limit = usize::try_from(TALK_LIMIT).unwrap_or(usize::MAX);
    bytes.extend_from_slice(line);
    if bytes.len() > 2 * limit {
        bytes.drain(..bytes.len() - limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn both_ends_and_the_status_are_captured() {
        let finished =
            Invocation::new("sh", LONG).args(["-c", "cat; echo talk >&2; exit 7"]).input("answer").run().await.unwrap();
        assert_eq!(
            (finished.status, finished.stdout_text(), finished.stderr_text()),
            (Some(7), "answer".into(), "talk\n".into())
        );
    }

    #[tokio::test]
    async fn a_child_that_outlives_its_limit_is_killed_with_its_own_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let error = Invocation::new("sh", Duration::from_millis(300))
            .args(["-c", "sleep 600 & echo $! > \"$0\"; wait"])
            .arg(&file)
            .run()
            .await
            .unwrap_err();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
        let grandchild: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        assert_goes(grandchild).await;
    }

    fn is_gone(process: i32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    }

    /// The kill is sent; the kernel may need a moment to carry it out.
    async fn assert_goes(process: i32) {
        for _ in 0..200 {
            if is_gone(process) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("process {process} is still there");
    }

    #[tokio::test]
    async fn a_child_that_does_not_listen_is_killed_before_the_program_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let error = Invocation::new("sh", Duration::from_millis(300))
            .args(["-c", "trap : TERM; echo $$ > \"$0\"; sleep 600; sleep 600"])
            .arg(&file)
            .run()
            .await
            .unwrap_err();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
        let shell: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let_children_end().await;
        assert_goes(shell).await;
    }

    #[tokio::test]
    async fn what_a_child_leaves_behind_does_not_keep_it_from_having_ended() {
        let finished =
            Invocation::new("sh", LONG).args(["-c", "sleep 600 & echo $!; echo talk >&2; exit 3"]).run().await.unwrap();
        assert_eq!((finished.status, finished.stderr_text()), (Some(3), "talk\n".into()));
        let left: i32 = finished.stdout_text().trim().parse().unwrap();
        assert!(!is_gone(left), "it was asked to stay");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(left), nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[tokio::test]
    async fn a_child_has_a_process_group_of_its_own() {
        let finished =
            Invocation::new("sh", LONG).args(["-c", "cut -d' ' -f5 /proc/$$/stat; echo $$"]).run().await.unwrap();
        let text = finished.stdout_text();
        let numbers: Vec<&str> = text.lines().collect();
        assert_eq!(numbers[0], numbers[1]);
    }

    /// What a child may make us keep, in bytes: `limit` on either stream, or it is ended.
    #[tokio::test]
    async fn a_child_that_prints_without_an_end_is_ended() {
        for (script, limits) in [
            ("exec yes", (100_000, 100_000)),
            ("exec yes >&2", (100_000, 100_000)),
            // No line ever ends.
            ("exec tr '\\0' x </dev/zero", (100_000, 100_000)),
            ("exec tr '\\0' x </dev/zero >&2", (100_000, 100_000)),
        ] {
            let mut longest = 0;
            let ran = Invocation::new("sh", LONG).args(["-c", script]).at_most(limits.0, limits.1);
            let error = ran.run_with(|line| longest = longest.max(line.len())).await.unwrap_err();
            assert!(matches!(error, ProcessError::TooMuch { most: 100_000, .. }), "{script}: {error}");
            assert!(longest <= 100_000, "{script}: {longest}");
        }
        let endless = Invocation::new("sh", LONG).args(["-c", "exec tr '\\0' x </dev/zero >&2"]).longest_line(1 << 20);
        assert!(matches!(endless.run().await, Err(ProcessError::TooMuch { .. })));
        let just = Invocation::new("sh", LONG).args(["-c", "printf 12345; printf 123456 >&2"]).at_most(5, 6);
        let finished = just.run().await.unwrap();
        assert_eq!((finished.stdout_text().as_str(), finished.stderr_text().as_str()), ("12345", "123456"));
    }

    #[tokio::test]
    async fn of_a_long_talk_the_end_is_kept_and_of_a_long_line_the_beginning() {
        let script = "head -c 6000000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; i=0; \
                      while [ $i -lt 40 ]; do head -c 200000 /dev/zero | tr '\\0' y >&2; echo >&2; i=$((i + 1)); done; \
                      echo the end >&2";
        let mut lengths = Vec::new();
        let finished = Invocation::new("sh", LONG).args(["-c", script]).run_with(|line| lengths.push(line.len()));
        let finished = finished.await.unwrap();
        assert_eq!((lengths[0], lengths.len(), *lengths.last().unwrap()), (LINE_LIMIT, 42, 7));
        assert!(finished.stderr.len() as u64 <= 2 * TALK_LIMIT, "{}", finished.stderr.len());
        assert!(finished.stderr_text().ends_with("\nthe end\n"));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Invocation::new("no-such-program-here", LONG).run().await.unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program-here`");
    }
}
