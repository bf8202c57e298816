//! What the driver needs beside the hosts: where events go, and where entries are written down.

use std::time::Duration;

use crate::decide::vocabulary::Entry;
use crate::event::Event;
use crate::event::forecast::Forecast;
use crate::facts::plan::Plan;
use crate::inventory::model::HostName;

/// What the driver needs beside the hosts: where events and entries go.
pub trait Surroundings: Send {
    /// Never waits.
    fn tell(&mut self, event: Event);
    /// What the push would do, where a person wants to see that first.
    fn foreseen(&mut self, forecast: Forecast) {
        let _ = forecast;
    }
    /// Whether a person who has seen it wants it; ends by itself some time.
    ///
    /// # Errors
    /// Why the push is not begun, in words.
    fn agrees(&mut self) -> impl Future<Output = Result<(), String>> + Send {
        async { Ok(()) }
    }
    /// A guard is about to be armed anew, or extended, and holds no longer than this from now on; durable before that.
    ///
    /// # Errors
    /// When it is not.
    fn guarded(&mut self, host: &HostName, holds: Duration) -> std::io::Result<()> {
        let _ = (host, holds);
        Ok(())
    }
    /// Another run's end while hosts were missing has come to more: hosts of it that were missing are cleaned up.
    ///
    /// # Errors
    /// When that cannot be written down.
    fn cleaned_up(&mut self, what: &CleanedUp) -> std::io::Result<()> {
        let _ = what;
        Ok(())
    }
    /// What the push begins with, durable before the first host is touched.
    ///
    /// # Errors
    /// When it is not.
    fn started(&mut self, plan: &Plan) -> std::io::Result<()>;
    /// Returns once the entry is durable.
    ///
    /// # Errors
    /// When it is not.
    fn record(&mut self, entry: &Entry) -> std::io::Result<()>;
}

/// What the end of another run comes to, for its record, if that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanedUp {
    pub run: String,
    pub epoch: u64,
    pub entries: Vec<Entry>,
}
