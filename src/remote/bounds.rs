//! Bounds how much a host may say. A host is believed about itself only, and one that was taken over may say anything,
//! for ever: a host that says more than this is cut off, and counts as one that does not answer.
//!
//! All of it is measured against honest hosts, with room to spare: a survey of a host with hundreds of units and traces
//! has less than 200 KB, a round of probes among 200 hosts less than 100 KB, and our scripts cut every line that they
//! pass on. Eight scripts may run at once on each host (`AT_ONCE` in session.rs), so that what one of them may fill is
//! small.

/// The most bytes of one line. Our scripts cut lines of programs to 500 bytes, or 4000 (`put_lines` in lib.sh). Their
/// own longest line names every host of a run (`survivor_hosts`: 64 bytes each), or all that a WireGuard peer may send.
pub(super) const LINE: usize = 64 * 1024;

/// The most bytes of one whole answer, with what a login shell prints before it. The difference of two systems without
/// a common package has 4000 lines (`compared`) of some hundred bytes.
pub(crate) const ANSWER: u64 = 2 * 1024 * 1024;

/// The most lines of one answer. A line of one byte costs a hundred in memory, so lines are counted as well.
pub(super) const LINES: usize = 20_000;

/// The most bytes of one script's stderr, with that of the login. Its last lines are shown.
pub(crate) const STDERR: u64 = 256 * 1024;

/// The most bytes that ssh itself says about one login, with banners and jumps: `-v` of a good login has 10 KB.
pub(super) const LOGIN: u64 = 256 * 1024;

/// The most bytes that come with the answer of a job: its log, of which waiting.sh sends a megabyte a second. It is not
/// kept here; the part that is told has bounds of its own (`engine/job_output.rs`).
pub(super) const JOB: u64 = 64 * 1024 * 1024;

/// Counts the bytes and lines of one answer.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    most: u64,
    most_lines: usize,
    bytes: u64,
    lines: usize,
}

/// More came than may; `most` is how many bytes there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) most: u64,
}

impl Meter {
    /// Makes a meter for a whole answer.
    pub(crate) fn of_answer() -> Self {
        Self { most: ANSWER, most_lines: LINES, bytes: 0, lines: 0 }
    }

    /// Makes a meter for the answer of a job, with its log.
    pub(super) fn of_job() -> Self {
        Self { most: JOB, most_lines: usize::MAX, bytes: 0, lines: 0 }
    }

    /// Begins another answer.
    pub(super) fn begin(&mut self) {
        (self.bytes, self.lines) = (0, 0);
    }

    /// # Errors
    /// These were too many.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Excess> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes > self.most { Err(Excess { most: self.most }) } else { Ok(()) }
    }

    /// Counts a line that is kept.
    ///
    /// # Errors
    /// It was one too many.
    pub(crate) fn take_line(&mut self) -> Result<(), Excess> {
        self.lines += 1;
        if self.lines > self.most_lines { Err(Excess { most: self.most }) } else { Ok(()) }
    }
}
