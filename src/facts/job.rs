//! How a detached step on a host stands.

use serde::{Deserialize, Serialize};

/// The state of a detached step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// It was never started here on this boot.
    None,
    Running,
    Exited {
        status: i32,
    },
    /// It was started, is not running and left no status: it was killed.
    Lost,
}
