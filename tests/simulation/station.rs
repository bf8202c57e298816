//! A workstation's program, push or recovery: whether it gets on, its signals, its end.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use fleetdeploy::decide::transaction::recover::Aim;
use fleetdeploy::decide::vocabulary::{Signal, Verdict};
use fleetdeploy::engine::driver::DriverEnd;
use fleetdeploy::engine::recover::Recovered;
use fleetdeploy::event::Phase;
use fleetdeploy::inventory::model::HostName;
use tokio::sync::mpsc::UnboundedSender;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Awake,
    /// Stopped, or its machine is suspended: its clock goes on.
    Asleep,
    Dead,
}

/// Whether a program gets on.
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

    /// `work`, which stands still while the program does.
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

/// How a program ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Push(DriverEnd),
    Recovery(Recovered),
}

impl End {
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Push(DriverEnd::Verdict(verdict)) => Some(verdict),
            Self::Recovery(Recovered::Ended(verdict)) => Some(verdict),
            _ => None,
        }
    }

    /// In a word or two, for the tables.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Push(DriverEnd::Left(_)) | Self::Recovery(Recovered::Left(_)) => "left".to_owned(),
            Self::Recovery(Recovered::Nothing { silent }) if silent.is_empty() => "nothing to recover".to_owned(),
            Self::Recovery(Recovered::Nothing { .. }) => "nothing found, some silent".to_owned(),
            Self::Recovery(Recovered::NotBegun { .. }) => "not begun".to_owned(),
            Self::Recovery(Recovered::Rolling(_)) => "a rolling reboot".to_owned(),
            Self::Recovery(Recovered::Interrupted(_)) => "interrupted".to_owned(),
            _ => self.verdict().map(|verdict| format!("{:?}", verdict.outcome)).unwrap_or_default(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) gate: Arc<Gate>,
    pub(crate) life: Life,
    /// The workstation it runs on.
    pub(crate) desk: usize,
    /// What a recovery is to do.
    pub(crate) aim: Aim,
    /// Without the run's record.
    pub(crate) alone: bool,
    /// Hosts that had not answered when its plan was put together from the others.
    pub(crate) never_seen: BTreeSet<HostName>,
    pub(crate) phase: Phase,
    signals: UnboundedSender<Signal>,
    pub(crate) end: Option<End>,
}

impl Station {
    pub(crate) fn new(signals: UnboundedSender<Signal>, desk: usize, phase: Phase) -> Self {
        let gate = Gate::new();
        let (aim, never_seen) = (Aim::Recover, BTreeSet::new());
        Self { gate, life: Life::Awake, desk, aim, alone: false, never_seen, phase, signals, end: None }
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

    pub(crate) fn is_over(&self) -> bool {
        self.life == Life::Dead || self.end.is_some()
    }
}
