//! Starts child processes: each in a process group of its own, with a deadline, both ends captured.
//!
//! A process group of its own keeps Ctrl-C at the terminal from reaching ssh and nix: a signal is for fleetdeploy
//! alone, which decides what becomes of its children.

mod cue;
mod group;
mod output;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::AsyncWriteExt;

use group::ProcessGroup;
use output::{CutShort, capture, capture_lines};

use super::programs;

pub(crate) use cue::{CueEar, conversation};
pub use cue::{InputPart, StopWords};

pub use group::let_children_end;

/// How long the rest of the output of a child that has ended is read.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A child to start. Arguments go to the program as they are; no shell is between.
#[derive(Debug, Clone)]
#[must_use]
pub struct Invocation {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Vec<InputPart>,
    stop: StopWords,
    stderr: Option<Arc<File>>,
    id: Option<Arc<AtomicU32>>,
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
    /// The signal that ended it.
    pub signal: Option<i32>,
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

impl ProcessError {
    /// Returns the error of a start of `program` where that has vanished from this workstation since it was started
    /// last. What another program says that starts it, such as an ssh whose way leads through a jump, does not tell.
    #[must_use]
    pub fn of_vanished(program: &str) -> Option<Self> {
        let source = || std::io::Error::from(std::io::ErrorKind::NotFound);
        programs::is_gone(program).then(|| Self::Start { program: program.to_owned(), source: source() })
    }
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
            stop: StopWords::default(),
            stderr: None,
            id: None,
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
    pub fn input(self, input: impl Into<Vec<u8>>) -> Self {
        let bytes = input.into();
        let parts = if bytes.is_empty() { Vec::new() } else { vec![InputPart { after: None, bytes }] };
        self.input_in_parts(parts, StopWords::default())
    }

    /// Sets the child's standard input, of which each part waits for a line of the child's; see [`InputPart`]. The
    /// input ends early after one of the stop words.
    pub fn input_in_parts(mut self, parts: Vec<InputPart>, stop: StopWords) -> Self {
        (self.input, self.stop) = (parts, stop);
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

    /// Writes the child's process id there once it runs.
    pub fn id_to(mut self, id: Arc<AtomicU32>) -> Self {
        self.id = Some(id);
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
        let (hear_out, mut hear_err, speaker) = conversation(self.input, self.stop);
        let feed = async move {
            if let Some(mut stdin) = stdin.take() {
                // A child that ends without reading its input is no error here: its status says how it went.
                let _ = speaker.speak(&mut stdin).await;
                let _ = stdin.shutdown().await;
            }
            Ok::<(), CutShort>(())
        };
        let mut hears = |line: &str| {
            hear_err.hear(line.as_bytes());
            hear_err.hear(b"\n");
            on_line(line);
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (inner.stdout.take(), inner.stderr.take());
        let everything = async {
            // All three flow side by side: a child that fills one pipe while we wait at another would hang.
            let talking = async {
                futures::try_join!(
                    feed,
                    capture(out, most.map(|most| most.stdout), &mut stdout, hear_out),
                    capture_lines(err, (most.map(|most| most.stderr), longest_line), &mut stderr, &mut hears)
                )
            };
            let mut talking = std::pin::pin!(talking);
            let status = tokio::select! {
                said = &mut talking => {
                    said?;
                    // A child may close its output long before it ends; `limit` bounds this wait, too.
                    inner.wait().await.map_err(CutShort::Broken)?
                }
                // The child has ended, and what it has printed last may still be in the pipes.
                status = inner.wait() => {
                    // A process that the child has left behind may keep the pipes open for ever.
                    if let Ok(said) = tokio::time::timeout(LAST_WORDS, &mut talking).await {
                        said?;
                    }
                    status.map_err(CutShort::Broken)?
                }
            };
            Ok(status)
        };
        // This clock stands still while the workstation sleeps. What is counted against a guard has a limit of its own
        // around this, on a clock that goes on.
        match tokio::time::timeout(limit, everything).await {
            Ok(Ok(status)) => Ok(Finished { status: status.code(), signal: status.signal(), stdout, stderr }),
            Ok(Err(error)) => Err(cut(error)),
            // Dropping `child` ends the whole group.
            Err(_) => Err(ProcessError::TimedOut { program, limit }),
        }
    }

    fn start(&self) -> Result<ProcessGroup, ProcessError> {
        let cannot_start =
            |source| ProcessError::Start { program: self.program.to_string_lossy().into_owned(), source };
        let path = programs::path();
        let given = self.environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_os_str());
        let inner = self.spawn(path.as_deref(), given.or(path.as_deref())).map_err(cannot_start)?;
        if let (Some(to), Some(id)) = (&self.id, inner.id()) {
            to.store(id, Ordering::Relaxed);
        }
        programs::remember(&self.program);
        Ok(ProcessGroup { inner: Some(inner) })
    }

    /// Starts it by the first file that its PATH leads to, by its name where that is gone by then or may not be run,
    /// and at last by the file that an earlier child of this name was. `path`: the PATH that it is given; `searched`:
    /// that of the child.
    fn spawn(&self, path: Option<&OsStr>, searched: Option<&OsStr>) -> std::io::Result<tokio::process::Child> {
        let mut spawned = match programs::file(&self.program, searched) {
            Some(file) => self.command(file.as_os_str(), path)?.spawn(),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        if spawned.as_ref().is_err_and(is_no_program) {
            // With a PATH of its own it is started by execvp(3), which has a shell run a script that names none.
            let own = path.map(OsStr::to_owned).or_else(|| std::env::var_os("PATH"));
            spawned = self.command(&self.program, own.as_deref())?.spawn();
        }
        match programs::known(&self.program).filter(|_| spawned.as_ref().is_err_and(is_no_program)) {
            Some(known) => self.command(known.as_os_str(), path)?.spawn(),
            None => spawned,
        }
    }

    /// `program`: its file, or its name.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts children")]
    fn command(&self, program: &OsStr, path: Option<&OsStr>) -> std::io::Result<tokio::process::Command> {
        let stderr = match &self.stderr {
            Some(file) => Stdio::from(file.try_clone()?),
            None => Stdio::piped(),
        };
        let mut command = tokio::process::Command::new(program);
        command
            // A program may be one of several in its file, and then goes by its name.
            .arg0(&self.program)
            .args(&self.arguments)
            .envs(path.map(|path| ("PATH", path)))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // A group of its own: `ProcessGroup` ends all of it, and Ctrl-C at the terminal does not reach it.
            .process_group(0)
            .stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(stderr);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        Ok(command)
    }
}

/// execvp(3) goes on to the next folder after the first two, and `posix_spawn(3)` knows no script without a `#!`.
fn is_no_program(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(Errno::ENOEXEC as i32)
}

#[cfg(test)]
mod tests;
