//! Counts the events that could not be written down, so that a record with a gap says so, and its writer's screen as
//! well.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::event::Event;
use crate::event::line::Line;
use crate::event::stream::{Events, Listener, ListenerEnd};

/// How long a command's end waits to know whether the record has everything: what is written takes no longer, and a
/// disk that hangs is no reason to hold back the outcome.
const PATIENCE: Duration = Duration::from_secs(2);

/// The events that are not in a record.
#[derive(Debug, Clone, Default)]
pub(super) struct Losses {
    shared: Arc<Mutex<Lost>>,
}

#[derive(Debug, Clone, Default)]
struct Lost {
    /// Since the run's first event.
    events: u64,
    /// The lost events that the record itself does not tell of yet.
    untold: u64,
    /// The number and the time of the first of these.
    first: Option<(u64, SystemTime)>,
    why: String,
}

impl Losses {
    fn lock(&self) -> std::sync::MutexGuard<'_, Lost> {
        // Numbers, and nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, line: &Line, error: &io::Error) {
        let mut lost = self.lock();
        lost.events += 1;
        lost.untold += 1;
        lost.first.get_or_insert((line.seq, line.at));
        lost.why = error.to_string();
    }

    /// The same for events that were written down, from this one on, and are gone.
    pub(super) fn add_all(&self, first: (u64, SystemTime), events: u64, why: &str) {
        let mut lost = self.lock();
        lost.events += events;
        lost.untold += events;
        // What was not told of yet is no earlier than what was written before it.
        lost.first = Some(lost.first.map_or(first, |before| before.min(first)));
        why.clone_into(&mut lost.why);
    }

    /// The line that stands in the record for those that do not: with the number of the first of them.
    pub(super) fn untold(&self, next: &Line) -> Option<Line> {
        let lost = self.lock();
        let (seq, at) = lost.first?;
        let event = Event::EventsLost { events: lost.untold, why: lost.why.clone() };
        Some(Line { seq, at, event, ..next.clone() })
    }

    pub(super) fn told(&self) {
        let mut lost = self.lock();
        (lost.untold, lost.first) = (0, None);
    }

    fn all(&self) -> Option<Event> {
        let lost = self.lock();
        (lost.events > 0).then(|| Event::EventsLost { events: lost.events, why: lost.why.clone() })
    }
}

/// The writing of a run's events, under way.
#[derive(Debug)]
#[must_use = "without `finish` the program may end before the last events are written"]
pub struct Recording {
    pub(super) listener: Listener,
    pub(super) losses: Losses,
}

impl Recording {
    /// Warns, just before the last event, if not everything so far could be written down.
    pub fn warn_of_losses(&self, events: &Events) {
        // If the record is late, the warning is about its state now.
        let _ = self.listener.follower().has_heard_all(PATIENCE);
        if let Some(event) = self.losses.all() {
            events.publish(event);
        }
    }

    /// Waits until everything published before this call was written or given up, but no longer than `deadline`.
    #[must_use]
    pub fn finish(self, deadline: Duration) -> ListenerEnd {
        self.listener.finish(deadline)
    }
}
