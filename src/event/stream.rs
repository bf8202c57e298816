//! Carries events from the engine and the commands to the listeners: the screen and the record.
//!
//! No publisher waits for a listener. A paused terminal, a closed pipe or a full disk must not hold back a push while
//! guards count down, so every listener works in a plain thread of its own behind a queue. State events queue without
//! bound, lossy ones only up to [`LOSSY_LIMIT`]. A plain thread rather than a task: a write that blocks would hold one
//! of the runtime's workers, and the runtime's end would wait for it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::event::line::{Line, to_millis};
use crate::event::ration::Ration;
use crate::event::{Event, VERSION, steady};

/// How many events may wait for a listener before lossy ones are dropped for it: some seconds of a large fleet's talk.
pub const LOSSY_LIMIT: usize = 1024;

/// The patience of a listener that does not care about time: longer than any command runs.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The publishing end; clones publish to the same listeners.
#[derive(Debug, Clone)]
pub struct Events {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    run: Option<String>,
    seq: u64,
    ration: Ration,
    listeners: Vec<Queue>,
}

impl Shared {
    fn tell(&mut self, line: Line) {
        #[cfg(test)]
        crate::codes::keep(&line.event);
        let lossy = line.event.is_lossy();
        let line = Arc::new(line);
        // A listener that is gone is forgotten: its screen was closed, or its thread has panicked.
        self.listeners.retain(|queue| {
            if lossy && queue.waiting.load(Ordering::Relaxed) >= LOSSY_LIMIT {
                return true;
            }
            queue.waiting.fetch_add(1, Ordering::Relaxed);
            queue.lines.send(Message::Line(Arc::clone(&line))).is_ok()
        });
    }
}

#[derive(Debug)]
struct Queue {
    lines: mpsc::Sender<Message>,
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Message {
    Line(Arc<Line>),
    /// Says when everything before it has been heard.
    Mark(mpsc::Sender<()>),
    /// The listener ends here; later events are not heard.
    Close,
}

impl Events {
    /// Makes a stream without listeners. `run` stands in every line; commands that keep no record have none.
    #[must_use]
    pub fn new(run: Option<String>) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { run, seq: 0, ration: Ration::default(), listeners: Vec::new() })) }
    }

    /// Puts this run into every line from now on.
    pub fn name_run(&self, run: &str) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).run = Some(run.to_owned());
    }

    /// Tells every listener, in the same order and with the same `seq` and time, and never waits for one. Foreign
    /// output without an end is cut (see [`ration`](super::ration)).
    pub fn publish(&self, event: Event) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for event in shared.ration.of(event) {
            shared.seq += 1;
            let line = Line {
                version: VERSION,
                run: shared.run.clone(),
                seq: shared.seq,
                at: to_millis(steady::now()),
                event,
            };
            shared.tell(line);
        }
    }

    /// Tells every listener a line as it is, with the number and the time that it has: a record that is played again.
    pub fn relay(&self, line: Line) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).tell(line);
    }

    /// Starts a thread that hands every event from now on to `hear`, until `hear` fails or the listener is finished.
    /// After a failure it goes on reading and hears no more.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn listen(
        &self,
        name: &str,
        mut hear: impl FnMut(&Line) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Listener> {
        self.listen_in_time(name, move |line| {
            line.map_or(Ok(()), &mut hear)?;
            Ok(FOR_EVER)
        })
    }

    /// Starts a listener that cares about time: it answers how long it can do without an event, and hears `None` when
    /// that time is over.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn listen_in_time(
        &self,
        name: &str,
        mut hear: impl FnMut(Option<&Line>) -> io::Result<Duration> + Send + 'static,
    ) -> io::Result<Listener> {
        let (lines, queue) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&waiting);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut patience = FOR_EVER;
            let mut failure = None;
            loop {
                let heard = match queue.recv_timeout(patience) {
                    Ok(Message::Line(line)) => {
                        taken.fetch_sub(1, Ordering::Relaxed);
                        Some(line)
                    }
                    Ok(Message::Mark(heard)) => {
                        // The task that waited may have given up.
                        let _ = heard.send(());
                        continue;
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => None,
                    Ok(Message::Close) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                };
                if failure.is_none() {
                    match hear(heard.as_deref()) {
                        Ok(until) => patience = until,
                        Err(error) => (failure, patience) = (Some(error), FOR_EVER),
                    }
                }
            }
            // The listener is dropped before its end is said, so its last act is done by then.
            drop(hear);
            // If this fails, no one waits for the end any more.
            let _ = ended.send(failure);
        })?;
        let queue = lines.clone();
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).listeners.push(Queue { lines, waiting });
        Ok(Listener { queue, end })
    }
}

/// A listener's thread.
#[derive(Debug)]
#[must_use = "without `finish` the program may end before the last events are written"]
pub struct Listener {
    queue: mpsc::Sender<Message>,
    end: mpsc::Receiver<Option<io::Error>>,
}

/// Knows how far a listener is.
#[derive(Debug, Clone)]
pub struct Follower {
    queue: mpsc::Sender<Message>,
}

impl Follower {
    /// Waits until the listener has heard everything that was published before this call, but no longer than
    /// `deadline`; returns whether it has. It blocks.
    #[must_use]
    pub fn has_heard_all(&self, deadline: Duration) -> bool {
        let (heard, all) = mpsc::channel();
        self.queue.send(Message::Mark(heard)).is_ok() && all.recv_timeout(deadline).is_ok()
    }
}

/// How a listener ended.
#[derive(Debug)]
pub enum ListenerEnd {
    /// Every event was heard.
    Complete,
    /// The first error; nothing after it was heard.
    Failed(io::Error),
    /// It still blocks: its thread is left behind and ends with the program.
    Stuck,
}

impl Listener {
    /// Returns a handle that tells how far the listener is, while it goes on.
    #[must_use]
    pub fn follower(&self) -> Follower {
        Follower { queue: self.queue.clone() }
    }

    /// Waits until everything published before this call was heard, but no longer than `deadline`.
    #[must_use]
    pub fn finish(self, deadline: Duration) -> ListenerEnd {
        // If this fails the thread is gone already, and the answer below says how.
        let _ = self.queue.send(Message::Close);
        match self.end.recv_timeout(deadline) {
            Ok(None) => ListenerEnd::Complete,
            Ok(Some(error)) => ListenerEnd::Failed(error),
            Err(mpsc::RecvTimeoutError::Timeout) => ListenerEnd::Stuck,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                ListenerEnd::Failed(io::Error::other("the listener's thread has panicked"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::SystemTime;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Phase;
    use crate::inventory::model::HostName;

    const SOON: Duration = Duration::from_secs(30);

    fn moved() -> Event {
        Event::moved(&HostName::new("vps").unwrap(), "copying")
    }

    #[test]
    fn every_listener_hears_the_same_lines_in_the_same_order() {
        let events = Events::new(Some("run-1".into()));
        let (first, heard_first) = channel();
        let (second, heard_second) = channel();
        let one = events.listen("one", move |line| first.send(line.clone()).map_err(io::Error::other)).unwrap();
        let two = events.listen("two", move |line| second.send(line.clone()).map_err(io::Error::other)).unwrap();
        let clone = events.clone();
        let publisher = std::thread::spawn(move || (0..100).for_each(|_| clone.publish(moved())));
        (0..100).for_each(|_| events.publish(Event::PhaseStarted { phase: Phase::Arm }));
        publisher.join().unwrap();
        assert!(matches!(one.finish(SOON), ListenerEnd::Complete));
        assert!(matches!(two.finish(SOON), ListenerEnd::Complete));
        let lines: Vec<Line> = heard_first.iter().collect();
        assert_eq!(lines, heard_second.iter().collect::<Vec<_>>());
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    }

    #[test]
    fn who_waits_for_a_listener_knows_when_it_has_heard_all() {
        let events = Events::new(None);
        let (hear, heard) = channel();
        let listener = events.listen("waited for", move |_| hear.send(()).map_err(io::Error::other)).unwrap();
        (0..100).for_each(|_| events.publish(Event::Decided));
        assert!(listener.follower().has_heard_all(SOON));
        assert_eq!(heard.try_iter().count(), 100);
        assert!(matches!(listener.finish(SOON), ListenerEnd::Complete));
        let (release, released) = channel::<()>();
        let hear = move |_: &Line| released.recv().map_err(io::Error::other);
        let stuck = events.listen("stuck", hear).unwrap();
        events.publish(Event::Decided);
        assert!(!stuck.follower().has_heard_all(Duration::from_millis(20)));
        drop(release);
        let _ = stuck.finish(SOON);
    }

    #[test]
    fn a_line_that_is_relayed_stays_as_it_was() {
        let events = Events::new(Some("run-2".into()));
        let (hear, heard) = channel();
        let listener = events.listen("relayed", move |line| hear.send(line.clone()).map_err(io::Error::other)).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let old = Line { version: VERSION, run: Some("run-1".into()), seq: 41, at, event: Event::Decided };
        events.relay(old.clone());
        assert!(matches!(listener.finish(SOON), ListenerEnd::Complete));
        assert_eq!(heard.iter().collect::<Vec<_>>(), [old]);
    }

    #[test]
    fn a_listener_that_blocks_holds_nobody_up_and_loses_only_lossy_events() {
        let events = Events::new(None);
        let (release, released) = channel::<()>();
        let (hear, heard) = channel();
        let listener = events
            .listen("blocked", move |line| {
                let _ = released.recv();
                hear.send(line.event.is_lossy()).map_err(io::Error::other)
            })
            .unwrap();
        (0..5000).for_each(|_| {
            events.publish(moved());
            events.publish(Event::Decided);
        });
        drop(release);
        assert!(matches!(listener.finish(SOON), ListenerEnd::Complete));
        let heard: Vec<bool> = heard.iter().collect();
        assert_eq!(heard.iter().filter(|lossy| !**lossy).count(), 5000);
        assert!(heard.iter().filter(|lossy| **lossy).count() <= LOSSY_LIMIT + 1);
    }

    #[test]
    fn finish_waits_no_longer_than_its_deadline() {
        let events = Events::new(None);
        let (_hold, held) = channel::<()>();
        let listener = events.listen("stuck", move |_| held.recv().map_err(io::Error::other)).unwrap();
        events.publish(Event::Decided);
        assert!(matches!(listener.finish(Duration::from_millis(20)), ListenerEnd::Stuck));
    }

    #[test]
    fn the_first_failure_is_the_last_thing_heard() {
        let events = Events::new(None);
        let (hear, heard) = channel();
        let listener = events
            .listen("failing", move |line| {
                hear.send(line.seq).map_err(io::Error::other)?;
                if line.seq == 2 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
            })
            .unwrap();
        (0..5).for_each(|_| events.publish(Event::Decided));
        let ListenerEnd::Failed(error) = listener.finish(SOON) else { panic!("no failure") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(heard.iter().collect::<Vec<_>>(), [1, 2]);
    }
}
