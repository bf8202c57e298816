//! Locks mutexes, even after a task has panicked while it held one: their content is whole at every moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the mutex, also for one whose holder has panicked: it leaves names in a set, and nothing half done.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A mutex of std and not of tokio: it is held for some statements, and never over an `await` (clippy sees to that).
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
