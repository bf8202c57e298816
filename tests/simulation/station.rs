//! A workstation as far as a push is concerned: its power, its signals, its record.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use fleetdeploy::decide::vocabulary::{Entry, Signal};
use fleetdeploy::engine::driver::Ended;
use tokio::sync::mpsc::UnboundedSender;

use crate::host::Ms;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Awake,
    Dead,
}

/// Whether a workstation's program gets on.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<(Life, Vec<Waker>)>);

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((Life::Awake, Vec::new()))))
    }

    pub(crate) fn set(&self, life: Life) {
        let mut now = self.0.lock().expect("nobody panics here");
        now.0 = life;
        now.1.drain(..).for_each(Waker::wake);
    }

    /// `work`, which stands still while the workstation does.
    pub(crate) async fn through<Work: Future>(self: Arc<Self>, work: Work) -> Work::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            let mut now = self.0.lock().expect("nobody panics here");
            if now.0 == Life::Awake {
                drop(now);
                work.as_mut().poll(context)
            } else {
                now.1.push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) gate: Arc<Gate>,
    pub(crate) life: Life,
    pub(crate) signals: UnboundedSender<Signal>,
    pub(crate) journal: Vec<(Ms, Entry)>,
    pub(crate) ended: Option<(Ms, Ended)>,
}

impl Station {
    pub(crate) fn new(signals: UnboundedSender<Signal>) -> Self {
        let gate = Gate::new();
        Self { gate, life: Life::Awake, signals, journal: Vec::new(), ended: None }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        // A push that is over hears of none.
        let _ = self.signals.send(signal);
    }

    pub(crate) fn set(&mut self, life: Life) {
        if self.life != Life::Dead {
            self.life = life;
            self.gate.set(life);
        }
    }

    pub(crate) fn has_recorded(&self, entry: &Entry) -> bool {
        self.journal.iter().any(|(_, recorded)| recorded == entry)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.life == Life::Dead || self.ended.is_some()
    }
}
