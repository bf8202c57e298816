//! Ends a child with its whole process group.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

/// How long a child has from SIGTERM to SIGKILL. nix ends its builders in much less.
const GRACE: Duration = Duration::from_secs(3);

/// The children that were told to end, each with its killer.
static ENDING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Waits until all children that were told to end have ended. It takes seconds at most, because a child that does not
/// listen is killed.
pub async fn let_children_end() {
    // The tasks are taken out first: the lock is not held over the wait, so a child that is dropped meanwhile is not
    // held up.
    let ending = std::mem::take(&mut *ENDING.lock().unwrap_or_else(PoisonError::into_inner));
    futures::future::join_all(ending).await;
}

/// A child that takes its process group with it when it is dropped before it has ended.
///
/// The group gets SIGTERM first: nix runs its builders in groups of their own, and only nix itself can end them.
pub(super) struct ProcessGroup {
    pub(super) inner: Option<tokio::process::Child>,
}

impl ProcessGroup {
    pub(super) fn inner(&mut self) -> &mut tokio::process::Child {
        self.inner.as_mut().expect("only dropping takes it")
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(mut child) = self.inner.take() else { return };
        // `id` is `None` once the child was waited for: its number may belong to another process by then.
        let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
        let group = nix::unistd::Pid::from_raw(group);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        // `drop` cannot wait, so a task does. `let_children_end` waits for that task before the program ends; else a
        // child that ignores SIGTERM would outlive us.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // A child that has not ended by then is not reaped either, so its number still belongs to it when the group
            // is killed.
            let killer = runtime.spawn(async move {
                if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
                }
            });
            let mut ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
            // Else a long push would gather a task for each child that it has ended.
            ending.retain(|other| !other.is_finished());
            ending.push(killer);
        }
    }
}
