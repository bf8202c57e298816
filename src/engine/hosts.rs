//! The seam between the driver and the hosts: real ones over ssh, or a fleet of the tests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;

use crate::decide::asking::Continuity;
use crate::decide::vocabulary::{Answer, Step};
use crate::event::reason::cause::Cause;
use crate::event::reason::cut::Cut;
use crate::facts::host::JobKind;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;

/// A step with its times. All points in time are readings of the driver's [`Clock`](super::clock::Clock).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub step: Step,
    /// Until then a lost connection is made again, and the step is sent again.
    pub until: Duration,
    /// Arm and extend: how long the guard is to hold, from the moment the host takes the order.
    pub guard: Duration,
    /// How much time the host's guard must have left for the step to begin.
    pub needs: Duration,
    /// How long the step itself may take on the host.
    pub limit: Duration,
}

/// A note that a host task sends while its step is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepNote {
    /// The detached job has begun.
    Started,
    /// Lines that a detached job has printed since the note before, each line once.
    Printed {
        kind: JobKind,
        lines: Vec<String>,
    },
    /// Some of its output is left out; no more of it is told.
    Cut(Cut),
    Lost {
        why: Cause,
    },
    Made,
    /// The host does not answer, or it does and is not yet in the state that is waited for; it is asked again.
    StillAway {
        answers: bool,
    },
}

pub type StepNotes = UnboundedSender<StepNote>;

/// The last lines of a unit's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitJournal {
    pub unit: String,
    pub lines: Vec<String>,
}

pub trait Hosts: Send + Sync + 'static {
    /// Carries out one order to its end, reconnecting as needed. Dropping the future stops waiting, not the host.
    fn perform(self: Arc<Self>, host: HostId, order: Order, notes: StepNotes) -> BoxFuture<'static, Answer>;

    /// Looks at the whole matrix once: every link by the probe of before or after the change.
    ///
    /// The second part of the result is the links that lack nothing but a fresh handshake.
    fn round(self: Arc<Self>, after: bool, continuity: Continuity) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)>;

    /// Makes every order from now on speak with an epoch above the one that this host has shown.
    fn outbid(&self, host: HostId);

    /// Reads the journals of these units, if they can be read at once: within seconds, over a connection that is there,
    /// and beside all other work on the host. Hosts of the tests may have none.
    fn journals(self: Arc<Self>, host: HostId, units: BTreeSet<String>) -> BoxFuture<'static, Vec<UnitJournal>> {
        let _ = (host, units);
        async { Vec::new() }.boxed()
    }

    /// Has the host keep the names of units that made the run roll back, if it can be reached at once. Hosts of the
    /// tests may forget them.
    fn remember(self: Arc<Self>, host: HostId, units: BTreeSet<String>) -> BoxFuture<'static, ()> {
        let _ = (host, units);
        async {}.boxed()
    }
}
