//! Keeps the terminal from writing what is typed between the live rows: an Enter would push them up by a line, and
//! leave their first line behind.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};

/// The terminal's own echo; clones are of the same terminal. It is on again when [`Echo::restore`] was called.
#[derive(Debug, Clone)]
pub(crate) struct Echo {
    terminal: Arc<OwnedFd>,
    /// As it was found, while it is off.
    before: Arc<Mutex<Option<Termios>>>,
}

impl Echo {
    /// Of the terminal behind this descriptor. `None`: there is none.
    pub(crate) fn of(descriptor: impl AsFd) -> Option<Self> {
        tcgetattr(descriptor.as_fd()).ok()?;
        let terminal = Arc::new(descriptor.as_fd().try_clone_to_owned().ok()?);
        Some(Self { terminal, before: Arc::default() })
    }

    /// Signals are typed as before. Nothing is done in the background, where the terminal is somebody else's, and would
    /// stop this program (`SIGTTOU`, termios(3)).
    pub(crate) fn off(&self) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if before.is_some() || !self.is_ours() {
            return;
        }
        let Ok(found) = tcgetattr(&*self.terminal) else { return };
        if !found.local_flags.contains(LocalFlags::ECHO) {
            return;
        }
        let mut quiet = found.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        if tcsetattr(&*self.terminal, SetArg::TCSANOW, &quiet).is_ok() {
            *before = Some(found);
        }
    }

    pub(crate) fn restore(&self) {
        let found = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(found) = found.filter(|_| self.is_ours()) {
            // A terminal that is gone needs no echo.
            let _ = tcsetattr(&*self.terminal, SetArg::TCSANOW, &found);
        }
    }

    fn is_ours(&self) -> bool {
        tcgetpgrp(&*self.terminal).is_ok_and(|group| group == getpgrp())
    }
}
