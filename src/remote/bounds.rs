//! How much a host may say. A host is believed about itself only, and one that was taken over may say anything, for
//! ever: whoever says more than this is cut off, and counts as one that does not answer.
//!
//! All of it is measured against honest hosts, with room to spare: a survey of a host with hundreds of units and traces
//! has less than 200 KB, a round of probes among 200 hosts less than 100 KB, and our scripts cut every line that they
//! pass on. Eight scripts may run at once on each host (`AT_ONCE` in session.rs), so that what one of them may fill is
//! small.

/// One line: our scripts cut what programs print to 500 bytes, or 4000 (`put_lines` in lib.sh), and the longest of
/// their own names every host of a run (`survivor_hosts`: 64 bytes each) or all that a WireGuard peer may send.
pub(super) const LINE: usize = 64 * 1024;

/// One whole answer, and with it what a login shell prints before: two systems of which every package differs are told
/// apart in 4000 lines (`compared`) of some hundred bytes.
pub(crate) const ANSWER: u64 = 2 * 1024 * 1024;

/// Lines of one answer. A line of one byte costs a hundred in memory, so they are counted, too.
pub(super) const LINES: usize = 20_000;

/// The stderr of one script, the login's included. Its last lines are shown.
pub(crate) const STDERR: u64 = 256 * 1024;

/// What ssh itself says of one login, banners and jumps included: `-v` of a good one has 10 KB.
pub(super) const LOGIN: u64 = 256 * 1024;

/// What comes with the answer of a job: its log, of which waiting.sh sends a megabyte a second. It is not kept here;
/// what of it is told has bounds of its own (`engine/job_output.rs`).
pub(super) const JOB: u64 = 64 * 1024 * 1024;

/// Counts what one answer has brought.
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
    /// For a whole answer.
    pub(crate) fn of_answer() -> Self {
        Self { most: ANSWER, most_lines: LINES, bytes: 0, lines: 0 }
    }

    /// For what comes with the answer of a job.
    pub(super) fn of_job() -> Self {
        Self { most: JOB, most_lines: usize::MAX, bytes: 0, lines: 0 }
    }

    /// What comes from now on is another answer.
    pub(super) fn begin(&mut self) {
        (self.bytes, self.lines) = (0, 0);
    }

    /// # Errors
    /// These were too many.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Excess> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes > self.most { Err(Excess { most: self.most }) } else { Ok(()) }
    }

    /// A line that is kept.
    ///
    /// # Errors
    /// It was one too many.
    pub(crate) fn take_line(&mut self) -> Result<(), Excess> {
        self.lines += 1;
        if self.lines > self.most_lines { Err(Excess { most: self.most }) } else { Ok(()) }
    }
}
