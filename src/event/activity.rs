//! What a host is doing, for the few words of its row.

use std::time::Duration;

use crate::inventory::model::HostName;

/// What is being done with a host, or by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Evaluating,
    EvaluatingHosts {
        done: usize,
        of: usize,
    },
    TakenOver,
    AskedForHolder,
    Arming,
    Extending,
    Activating,
    MadePermanent,
    Reactivating,
    GoingBack,
    LoggingIn,
    WaitingForGuard,
    Disarming,
    Releasing,
    NotingReturn,
    CleaningUp,
    LookingAtUnits,
    Probing {
        links: usize,
    },
    /// It is probed, and a login of its own is taken on it.
    ProbingAndLoggingIn {
        links: usize,
    },
    LookingWhetherFits,
    CopyingAgain,
    AskedForUnits,
    Built,
    WaitingForBuild,
    Connecting,
    /// It has logged in; what was sent after that is under way.
    Answering,
    /// So many logins are under way already, and no more begin at once.
    WaitingToLogIn {
        at_once: u16,
    },
    /// So many builds in the stores of hosts are.
    WaitingToBuild {
        at_once: u16,
    },
    /// So many copies are.
    WaitingForCopy {
        at_once: u16,
    },
    /// What is to be copied is signed, for hosts that trust no login of ours.
    Signing,
    Copying,
    /// What several hosts need is put into the cache of the fleet.
    FillingCache,
    FetchingFromCache,
    /// What came into the cache before without a signature is signed there.
    SigningInCache,
    AskingCaches,
    AskedForItsNix,
    InstallingLoader,
    WaitingForStep,
    PuttingProfileBack,
    PuttingBootDefaultBack,
    ActivatingOld,
}

/// A copy, or the wait for a build, in which nothing has moved for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standstill {
    pub silent: Duration,
    /// What nix has said last.
    pub last: Option<String>,
}

/// The wait of a host behind others for their copies, which have the line first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyBehind {
    pub jump: HostName,
}

/// What is waited for at a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaiting {
    /// No guard can be armed on the missing hosts any more.
    MissingHosts { missing: Vec<HostName> },
    /// Its answer, or its return by its guard: a guard with no time left must have fired.
    UnderGuard { answers: bool, fires_in: Option<Duration> },
}

/// A unit that has not been up for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsteadyUnit {
    pub unit: String,
    pub host: HostName,
    /// How long it has been up, if it is.
    pub up: Option<Duration>,
    /// How long it must have been up.
    pub steady: Duration,
}
