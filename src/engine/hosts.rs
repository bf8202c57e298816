//! The seam between the driver and the hosts: real ones over ssh, or a fleet of the tests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;

use crate::decide::vocabulary::{Answer, Step};
use crate::event::ration::Cut;
use crate::facts::host::JobKind;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;

/// A step with its times. All points in time are readings of the driver's [`Clock`](super::clock::Clock).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub step: Step,
    /// A lost connection is made again, and the step sent again, until then.
    pub until: Duration,
    /// Arm and extend: how long the guard is to hold, from the moment the host takes the order.
    pub guard: Duration,
    /// What must be left on the host's guard for the step to begin.
    pub needs: Duration,
    /// How long the step itself may take on the host.
    pub limit: Duration,
}

/// What a host task says while its step is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepNote {
    /// The detached job has begun.
    Started,
    /// What a detached job has printed since the note before, each line once.
    Printed {
        kind: JobKind,
        lines: Vec<String>,
    },
    /// Of what it has printed no more is told.
    Cut(Cut),
    Lost {
        why: String,
    },
    Made,
    /// It does not answer, or it does and is not yet where it is waited for; asked again.
    StillAway {
        answers: bool,
    },
}

pub type StepNotes = UnboundedSender<StepNote>;

/// The end of what a unit of a host has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitJournal {
    pub unit: String,
    pub lines: Vec<String>,
}

pub trait Hosts: Send + Sync + 'static {
    /// Carries out one order to its end, reconnecting as needed. Dropping the future stops waiting, not the host.
    fn perform(self: Arc<Self>, host: HostId, order: Order, notes: StepNotes) -> BoxFuture<'static, Answer>;

    /// One round of the whole matrix: every link by the probe of before or after the change.
    ///
    /// Links that lack nothing but a fresh handshake come second.
    fn round(self: Arc<Self>, after: bool) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)>;

    /// From now on every order speaks with an epoch above the one that this host has shown.
    fn outbid(&self, host: HostId);

    /// What these units have to say, as far as it can be read at once: within seconds, over a connection that is there,
    /// and beside whatever else is done on the host. Hosts of the tests may have nothing to say.
    fn journals(self: Arc<Self>, host: HostId, units: BTreeSet<String>) -> BoxFuture<'static, Vec<UnitJournal>> {
        let _ = (host, units);
        async { Vec::new() }.boxed()
    }

    /// Has the host keep the names of units that made the run roll back, as far as it can be reached at once. Hosts of
    /// the tests may forget.
    fn remember(self: Arc<Self>, host: HostId, units: BTreeSet<String>) -> BoxFuture<'static, ()> {
        let _ = (host, units);
        async {}.boxed()
    }
}
