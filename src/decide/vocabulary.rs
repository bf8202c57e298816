//! Defines what goes into the decider and what comes out of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::decide::asking::Continuity;
use crate::event::reason::any::{AnyReason, as_reason};
use crate::event::reason::cause::Cause;
pub use crate::event::reason::disowned::Disowned;
pub use crate::event::reason::rollback::RollbackReason;
use crate::event::{Event, Outcome};
use crate::facts::host::JobKind;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;
pub use crate::facts::signal::Signal;
use crate::facts::step_answer::StepAnswer;
use crate::facts::systems::Systems;
use crate::facts::traces::EndMark;
use crate::inventory::model::HostName;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// The host says that the detached job has begun; its end is still to come.
    Started {
        host: HostId,
    },
    /// The way to a host is gone while a step is under way there; the driver goes on trying within the step's limit.
    ContactLost {
        host: HostId,
        why: Cause,
    },
    /// A step's one report.
    Answered {
        host: HostId,
        step: Step,
        answer: Answer,
    },
    /// A whole round of the matrix. `waiting` are the links that only lack a fresh handshake.
    RoundSeen {
        round: Round,
        waiting: BTreeSet<LinkId>,
    },
    TimerElapsed(Timer),
    CancelRequested(Signal),
    /// An entry could not be made durable; nothing that was to follow it was carried out.
    RecordFailed {
        why: String,
    },
    /// The answer to [`Effect::Weigh`]: whether every guard leaves time enough.
    Weighed {
        enough: bool,
    },
}

/// The end of a step, seen from here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The host has answered: done, refused or failed.
    Said(Box<StepAnswer>),
    /// It could not have ended before the guard's safe time, so it was not sent at all. Only a job has such a time:
    /// every other order is sent.
    NotSent,
    /// No answer within the step's limit: it may have run, or may not.
    Unknown { why: Cause },
    /// The host can be reached and does not let us do this (a login refused, sudo gone): nothing ran.
    Denied { why: Cause },
}

/// An order for one host. Each is idempotent on the host: after a lost reply it is sent again, and the answer says how
/// it went.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Takes a run over that another coordinator began: a higher epoch, from which on the host refuses every lower one.
    ///
    /// It is answered with the standing. `by_guard`: it is tried until the host's guard must have brought it back; else
    /// as long as a reachable host may take.
    TakeOver {
        by_guard: bool,
    },
    /// Asks a host that is not to be taken over just now how it stands, and whether anything of the run is left there.
    Ask,
    /// Writes lease and guard, if the host still is where `expect` says.
    Arm {
        expect: Systems,
        boot_id: String,
    },
    Extend {
        boot_id: String,
    },
    /// A detached job, started once and awaited.
    Job {
        kind: JobKind,
        boot_id: String,
    },
    /// Makes a new ssh connection, ending in root, and asks for the facts over it. `after`: by the way that the push
    /// itself leaves.
    Login {
        after: bool,
    },
    /// Waits until the host's guard has brought it back: another boot, or a guard that has done its work.
    Return {
        boot_id: String,
    },
    Disarm {
        expect: Systems,
        boot_id: String,
    },
    /// Gives the run's claim on the host back, and keeps the fence: lower epochs are refused there as before.
    Release,
    /// Removes what this run keeps on the host; the mark stays there if a host is missing by it.
    Clean {
        mark: EndMark,
    },
    /// A host that was missing has been dealt with, and goes out of the mark; `None`: the whole mark goes.
    Unmark {
        host: Option<HostName>,
    },
}

/// A time that is waited for; the driver knows how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A host behind a jump has had its head start.
    HeadStart,
    /// The pause between two rounds of the matrix.
    RoundPause,
    /// Links and logins have had their time to come up.
    Settle,
    /// Units that the push has started have had their time to be up for long enough, after the settle time.
    Steady,
    /// The old links and logins have had their time, after a roll back: while ways are cut, tunnels and logins are
    /// tried with pauses.
    SettleBack,
    /// They have had their time after a guard has brought a host back: the tunnels of the others must first notice that
    /// it was gone.
    SettleAfterBoot,
    /// WireGuard has had its time to shake hands again.
    Rekey,
    /// Every known guard has fired and its host has booted: hosts that did not answer are asked once more.
    GuardsOver,
    /// Another recovery of the same run has had time to come to the next host: the hosts are asked once more.
    AskAgain,
}

/// An order for the driver; they are carried out in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Durable before any effect after it is carried out.
    Record(Entry),
    /// Replaces a step that is still under way on this host: the host itself knows how that one stands.
    Run {
        host: HostId,
        step: Step,
    },
    /// Asks for one round of the whole matrix; answered by [`Input::RoundSeen`].
    Probe {
        after: bool,
        continuity: Continuity,
    },
    /// Speaks from now on to every host with an epoch above the one that this host has shown.
    Outbid {
        host: HostId,
    },
    /// Has the last lines of these units' journals told, if they can be read. Nothing waits for it, and nothing answers
    /// it.
    ReadJournals {
        host: HostId,
        units: BTreeSet<String>,
    },
    /// Has the host keep the names of these units, instead of those that it keeps: they made this run roll back.
    /// Nothing waits for it, and nothing answers it.
    Remember {
        host: HostId,
        units: BTreeSet<String>,
    },
    Expect(Timer),
    Forget(Timer),
    /// Asks the clock whether every armed guard leaves time for the rest of the push and a roll back.
    Weigh,
    Tell(Event),
    Finish(Verdict),
}

/// An entry that steers `recover`. It is written before the act that it announces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    Arming,
    Testing,
    Decided,
    Disarming,
    RollingBack {
        #[serde(flatten, with = "as_reason")]
        reason: AnyReason,
    },
    /// This host says that it is not this coordinator's any more: another coordinator may go on from here, and write
    /// elsewhere.
    HostLost {
        host: HostName,
        says: AnyReason,
    },
    /// The run ends without these hosts: their state was not seen, and the marks on the others say so.
    EndedWithout {
        #[serde(flatten)]
        mark: EndMark,
    },
    /// The traces of the run are removed, as its hosts stand.
    Forgotten {
        stood: Vec<Stood>,
    },
    Finished {
        outcome: Outcome,
    },
}

/// How a host stood when its run was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stood {
    pub host: HostName,
    #[serde(flatten)]
    pub text: AnyReason,
}

/// How it all ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verdict {
    pub outcome: Outcome,
    pub hosts: Vec<(HostName, crate::event::HostOutcome)>,
    /// The reason.
    pub text: AnyReason,
    pub interrupted: Option<Signal>,
    /// Hosts of a recovery that did not answer, or were missing: the run can be ended without them.
    pub gone: Vec<HostName>,
    /// Hosts on which not all that the run keeps could be cleaned away, and why.
    pub kept: BTreeMap<HostName, Cause>,
}
