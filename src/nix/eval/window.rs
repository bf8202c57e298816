//! How many evaluations run at once, and of how many hosts each is.
//!
//! Nix gives no memory back before it ends, so one process for all hosts would take what all of them take. Each process
//! evaluates some hosts, and ends.

use std::collections::VecDeque;

use crate::inventory::model::{EvaluationTerms, HostName};

/// How much memory the evaluation of one host takes, as long as none has been measured: that of a NixOS takes 0.6 to
/// 1.2 GB. Source: docs/facts.md, "What an evaluation takes".
pub(super) const MEMORY_OF_A_HOST: u64 = 1 << 30;

/// How many evaluations may run at once, and how much memory they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EvalWindow {
    pub(super) workers: usize,
    /// The bytes that a process with more than one host may take.
    pub(super) share: u64,
    /// The bytes of all together. More than one process runs only while they fit.
    pub(super) memory: u64,
}

/// What this machine has.
#[derive(Debug, Clone, Copy)]
pub(super) struct EvalMachine {
    pub(super) processors: usize,
    /// In bytes; `None`: not known.
    pub(super) available: Option<u64>,
}

impl EvalWindow {
    /// As the terms say, or else: a worker for each processor and each [`MEMORY_OF_A_HOST`] of the free memory, of
    /// which a quarter is left alone; never more than there are hosts.
    pub(super) fn of(terms: &EvaluationTerms, hosts: usize, machine: EvalMachine) -> Self {
        let free = machine.available.map(|bytes| bytes / 4 * 3);
        let bound = terms.memory.or(free).unwrap_or(u64::MAX);
        let fitting = usize::try_from(bound / MEMORY_OF_A_HOST).unwrap_or(usize::MAX);
        let wished = terms.workers.map_or_else(|| machine.processors.min(fitting), usize::from);
        let workers = wished.clamp(1, hosts.max(1));
        let workers_of_share = u64::try_from(workers).unwrap_or(u64::MAX);
        let share = terms.memory.map_or(MEMORY_OF_A_HOST, |memory| memory / workers_of_share);
        Self { workers, share, memory: bound }
    }
}

/// Hosts that one process evaluates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EvalChunk {
    /// Which question they belong to.
    pub(super) question: usize,
    pub(super) hosts: Vec<HostName>,
    /// Together with others it failed: it is asked alone, to find the one to blame.
    pub(super) suspect: bool,
}

/// Says which hosts are evaluated next. It has no clock and starts nothing.
#[derive(Debug)]
pub(super) struct EvalQueue {
    window: EvalWindow,
    /// By question.
    waiting: Vec<VecDeque<HostName>>,
    suspects: VecDeque<EvalChunk>,
    /// What one host takes: the most that was measured.
    measured: Option<u64>,
    running: usize,
    /// The first process runs alone, and fetches what all need.
    first_alone: bool,
}

impl EvalQueue {
    pub(super) fn new(questions: Vec<VecDeque<HostName>>, window: EvalWindow, first_alone: bool) -> Self {
        Self { window, waiting: questions, suspects: VecDeque::new(), measured: None, running: 0, first_alone }
    }

    /// Returns the hosts that another process is to evaluate now; `None`: one that runs must end first, or nothing is
    /// left.
    pub(super) fn next(&mut self) -> Option<EvalChunk> {
        if self.running >= self.most_running() {
            return None;
        }
        let chunk = self.suspects.pop_front().or_else(|| self.next_waiting())?;
        self.running += 1;
        Some(chunk)
    }

    fn next_waiting(&mut self) -> Option<EvalChunk> {
        let many = self.hosts_at_once();
        let question = self.waiting.iter().position(|hosts| !hosts.is_empty())?;
        let hosts = &mut self.waiting[question];
        let hosts = hosts.drain(..many.min(hosts.len())).collect();
        Some(EvalChunk { question, hosts, suspect: false })
    }

    fn most_running(&self) -> usize {
        if self.first_alone {
            return 1;
        }
        let fitting = self.measured.map_or(usize::MAX, |measured| number(self.window.memory / measured));
        self.window.workers.min(fitting).max(1)
    }

    /// As many hosts as fit into a worker's share; the last ones are parted among all workers.
    fn hosts_at_once(&self) -> usize {
        // What a process takes is not known before the first has ended.
        let Some(measured) = self.measured else { return 1 };
        let waiting: usize = self.waiting.iter().map(VecDeque::len).sum();
        number(self.window.share / measured).min(waiting.div_ceil(self.window.workers)).max(1)
    }

    /// Takes note that a process has ended which has had so much memory, if that is known.
    pub(super) fn ended(&mut self, chunk: &EvalChunk, peak: Option<u64>) {
        self.running -= 1;
        self.first_alone = false;
        let hosts = u64::try_from(chunk.hosts.len()).unwrap_or(u64::MAX).max(1);
        let taken = peak.map_or(MEMORY_OF_A_HOST, |peak| peak / hosts).max(1);
        self.measured = Some(self.measured.map_or(taken, |before| before.max(taken)));
    }

    /// Asks each host of a chunk alone, before any other: they failed together.
    pub(super) fn suspect(&mut self, chunk: EvalChunk) {
        let question = chunk.question;
        let alone = |host| EvalChunk { question, hosts: vec![host], suspect: true };
        self.suspects.extend(chunk.hosts.into_iter().map(alone));
    }

    /// Asks each host of a chunk once more and alone, and no two at once from now on: its process was killed, most
    /// likely because memory was short.
    pub(super) fn killed(&mut self, chunk: EvalChunk) {
        self.window.workers = 1;
        self.suspect(chunk);
    }

    /// Takes out every host that has not been begun.
    pub(super) fn give_up(&mut self) -> Vec<HostName> {
        let suspects = std::mem::take(&mut self.suspects).into_iter().flat_map(|chunk| chunk.hosts);
        let waiting = self.waiting.iter_mut().flat_map(std::mem::take);
        suspects.chain(waiting).collect()
    }
}

fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn window(terms: &EvaluationTerms, hosts: usize, processors: usize, available: Option<u64>) -> (usize, u64, u64) {
        let EvalWindow { workers, share, memory } = EvalWindow::of(terms, hosts, EvalMachine { processors, available });
        (workers, share, memory)
    }

    #[test]
    fn workers_follow_processors_free_memory_and_hosts_unless_somebody_says_otherwise() {
        let unsaid = EvaluationTerms::default();
        assert_eq!(window(&unsaid, 64, 8, Some(64 * GIB)), (8, GIB, 48 * GIB));
        assert_eq!(window(&unsaid, 64, 8, Some(4 * GIB)), (3, GIB, 3 * GIB));
        assert_eq!(window(&unsaid, 2, 8, Some(64 * GIB)), (2, GIB, 48 * GIB));
        assert_eq!(window(&unsaid, 64, 8, Some(100 * MIB)).0, 1);
        assert_eq!(window(&unsaid, 64, 4, None), (4, GIB, u64::MAX));
        let memory = EvaluationTerms { memory: Some(4 * GIB), ..EvaluationTerms::default() };
        assert_eq!(window(&memory, 64, 2, Some(64 * GIB)), (2, 2 * GIB, 4 * GIB));
        assert_eq!(window(&memory, 64, 8, Some(64 * GIB)), (4, GIB, 4 * GIB));
        let both = EvaluationTerms { workers: Some(2), ..memory };
        assert_eq!(window(&both, 64, 8, Some(GIB)), (2, 2 * GIB, 4 * GIB));
        let workers = EvaluationTerms { workers: Some(6), ..EvaluationTerms::default() };
        assert_eq!(window(&workers, 4, 2, Some(64 * GIB)).0, 4);
    }

    fn queue(hosts: usize, window: EvalWindow, first_alone: bool) -> EvalQueue {
        let hosts = (0..hosts).map(|number| HostName::new(format!("h{number}")).unwrap()).collect();
        EvalQueue::new(vec![hosts], window, first_alone)
    }

    /// Runs everything; each host takes `size`, each process `base` more. Returns how many hosts each process has had,
    /// and the most memory at once.
    fn run(mut queue: EvalQueue, base: u64, size: u64) -> (Vec<usize>, u64) {
        let (mut chunks, mut running, mut most) = (Vec::new(), VecDeque::new(), 0);
        let takes = |chunk: &EvalChunk| base + size * chunk.hosts.len() as u64;
        loop {
            while let Some(chunk) = queue.next() {
                chunks.push(chunk.hosts.len());
                running.push_back(chunk);
            }
            most = most.max(running.iter().map(takes).sum());
            let Some(chunk) = running.pop_front() else { break };
            queue.ended(&chunk, Some(takes(&chunk)));
        }
        (chunks, most)
    }

    #[test]
    fn memory_is_bounded_whatever_the_number_of_hosts() {
        let window = EvalWindow { workers: 2, share: GIB, memory: 8 * GIB };
        for hosts in [8, 64, 500] {
            let (chunks, most) = run(queue(hosts, window, false), 50 * MIB, 800 * MIB);
            assert_eq!((chunks.len(), most), (hosts, 2 * 850 * MIB));
        }
        // Small ones are evaluated together, and the last are parted among all.
        let (chunks, most) = run(queue(100, window, false), 20 * MIB, 10 * MIB);
        assert_eq!(chunks, [1, 1, 34, 32, 16, 8, 4, 2, 1, 1]);
        assert!(most <= 2 * GIB, "{most}");
    }

    #[test]
    fn hosts_that_take_more_than_was_thought_run_one_after_the_other() {
        let window = EvalWindow { workers: 4, share: GIB, memory: 4 * GIB };
        let mut queue = queue(9, window, false);
        let first: Vec<_> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(first.len(), 4);
        for chunk in &first {
            queue.ended(chunk, Some(3 * GIB));
        }
        assert!(queue.next().is_some());
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn the_first_runs_alone_where_inputs_are_to_be_fetched() {
        let window = EvalWindow { workers: 2, share: GIB, memory: 8 * GIB };
        let mut queue = queue(3, window, true);
        let first = queue.next().unwrap();
        assert_eq!(queue.next(), None);
        queue.ended(&first, None);
        assert_eq!((queue.next().is_some(), queue.next().is_some(), queue.next()), (true, true, None));
    }

    #[test]
    fn hosts_whose_process_was_killed_are_asked_alone_with_no_other_beside_them() {
        let window = EvalWindow { workers: 2, share: GIB, memory: 8 * GIB };
        let mut queue = queue(3, window, false);
        let (first, second) = (queue.next().unwrap(), queue.next().unwrap());
        queue.ended(&first, None);
        queue.killed(first.clone());
        assert_eq!(queue.next(), None, "another one is under way");
        queue.ended(&second, None);
        assert_eq!(queue.next(), Some(EvalChunk { suspect: true, ..first }));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn hosts_that_failed_together_are_asked_alone_before_any_other() {
        let window = EvalWindow { workers: 1, share: 2 * GIB, memory: 8 * GIB };
        let mut queue = queue(6, window, false);
        let first = queue.next().unwrap();
        queue.ended(&first, Some(GIB));
        let failed = queue.next().unwrap();
        assert_eq!((failed.hosts.len(), failed.suspect), (2, false));
        queue.ended(&failed, Some(GIB));
        queue.suspect(failed.clone());
        for host in failed.hosts {
            let chunk = queue.next().unwrap();
            assert_eq!(chunk, EvalChunk { question: 0, hosts: vec![host], suspect: true });
            queue.ended(&chunk, None);
        }
        assert!(!queue.next().unwrap().suspect);
        assert_eq!(queue.give_up().len(), 1);
    }
}
