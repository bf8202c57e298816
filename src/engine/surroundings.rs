//! Defines what the driver needs beside the hosts: a place for events, and one for entries.

use std::time::Duration;

use crate::decide::vocabulary::Entry;
use crate::event::Event;
use crate::event::forecast::Forecast;
use crate::event::reason::command_end::NotAgreed;
use crate::facts::plan::Plan;
use crate::inventory::model::HostName;

/// What the driver needs beside the hosts: where events and entries go.
pub trait Surroundings: Send {
    /// Never waits.
    fn tell(&mut self, event: Event);
    /// Shows what the push would do, if a person wants to see that first.
    fn foreseen(&mut self, forecast: Forecast) {
        let _ = forecast;
    }
    /// Asks the person who has seen it whether to go on; the question ends by itself after some time.
    ///
    /// # Errors
    /// Says in words why the push is not begun.
    fn agrees(&mut self) -> impl Future<Output = Result<(), NotAgreed>> + Send {
        async { Ok(()) }
    }
    /// Writes down that a guard is about to be armed anew, or extended, and holds no longer than this from now on. It
    /// returns once that is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    fn guarded(&mut self, host: &HostName, holds: Duration) -> std::io::Result<()> {
        let _ = (host, holds);
        Ok(())
    }
    /// Writes down that hosts are cleaned up that another run was ended without.
    ///
    /// # Errors
    /// When that cannot be written down.
    fn cleaned_up(&mut self, what: &CleanedUp) -> std::io::Result<()> {
        let _ = what;
        Ok(())
    }
    /// Writes down what the push begins with, and returns once that is durable: before the first host is touched.
    ///
    /// # Errors
    /// When it cannot be written.
    fn started(&mut self, plan: &Plan) -> std::io::Result<()>;
    /// Writes an entry into the journal, and returns once it is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    fn record(&mut self, entry: &Entry) -> std::io::Result<()>;
}

/// The changed end of another run, for its record, if this workstation has that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanedUp {
    pub run: String,
    pub epoch: u64,
    pub entries: Vec<Entry>,
}
