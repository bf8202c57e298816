//! What goes into the decider and what comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decide::fact::{JobKind, StepAnswer, Systems};
use crate::decide::links::{LinkId, Round};
use crate::decide::plan::HostId;
use crate::decide::traces::EndMark;
use crate::decide::units::{UnitPast, failing_text};
use crate::event::{Event, Outcome, Phase};
use crate::inventory::model::HostName;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// The host says that the detached job has begun; its end is still to come.
    Started {
        host: HostId,
    },
    /// The way to a host is gone while a step is under way there; the driver tries on within the step's limit.
    ContactLost {
        host: HostId,
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

/// How a step ended, seen from here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The host has answered: done, refused or failed.
    Said(Box<StepAnswer>),
    /// It could not have ended before the guard's safe time, so it was not sent at all.
    NotSent,
    /// No answer within the step's limit: it may have run, or may not. `why` is for people.
    Unknown { why: String },
    /// The host can be reached and does not let us do this (a login refused, sudo gone): nothing ran.
    Denied { why: String },
}

/// An order for one host. Each is idempotent on the host: after a lost reply it is sent again and answers how it went.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Takes a run over that another coordinator began: a higher epoch, from which on the host refuses every lower one.
    ///
    /// Answered with the standing. `by_guard`: tried until the host's guard must have brought it back; else as long as
    /// a host takes that can be reached.
    TakeOver {
        by_guard: bool,
    },
    /// Asks a host that is not to be taken over just now how it stands, and whether anything of the run is left there.
    Ask,
    /// Lease and guard, if the host still is where `expect` says.
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
    /// A new ssh connection, ending in root, and the facts over it. `after`: by the way that the push itself leaves.
    Login {
        after: bool,
    },
    /// Waits for the host's guard to have brought it back: another boot, or a guard that has done its work.
    Return {
        boot_id: String,
    },
    Disarm {
        expect: Systems,
        boot_id: String,
    },
    /// Gives the run's claim on the host back, and keeps the fence: lower epochs are refused there as before.
    Release,
    /// Removes what this run keeps on the host; the mark stays there if someone is missing by it.
    Clean {
        mark: EndMark,
    },
    /// A host that was missing has been dealt with, and goes out of the mark; `None`: the whole mark goes.
    Unmark {
        host: Option<HostName>,
    },
}

/// Something that is waited for; the driver knows how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A host behind a jump has had its head start.
    HeadStart,
    /// Between two rounds of the matrix.
    RoundPause,
    /// Links and logins have had their time to come up.
    Settle,
    /// What the push has started has had its time to be up for long enough, after the settle time.
    Steady,
    /// The same for the old ones, after a roll back: in the middle of cut ways, tunnels and logins are tried with
    /// pauses.
    SettleBack,
    /// The same after a host was brought back by its guard: the others' tunnels must first notice that it was gone.
    SettleAfterBoot,
    /// WireGuard has had its time to shake hands again.
    Rekey,
    /// Every guard that is known of has fired and its host has booted: hosts that did not answer are asked once more.
    GuardsOver,
    /// Somebody else who recovers the same run has had time to come to the next host: the hosts are asked once more.
    AskAgain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    Sigint,
    Sigterm,
    Sighup,
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sigint => "SIGINT",
            Self::Sigterm => "SIGTERM",
            Self::Sighup => "SIGHUP",
        })
    }
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Durable before any effect after it is carried out.
    Record(Entry),
    /// Replaces a step that is still under way on this host: the host itself knows how that one stands.
    Run {
        host: HostId,
        step: Step,
    },
    /// One round of the whole matrix; answered by [`Input::RoundSeen`].
    Probe {
        after: bool,
    },
    /// From now on every host is spoken to with an epoch above the one that this host has shown.
    Outbid {
        host: HostId,
    },
    /// Has the end of these units' journals told, when it can be had. Nothing waits for it, and nothing answers it.
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

/// What steers `recover`: written before the act that it announces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    Arming,
    Testing,
    Decided,
    Disarming,
    RollingBack {
        reason: String,
    },
    /// By its own word this host is not this coordinator's any more: somebody else may go on from here, and write
    /// elsewhere.
    HostLost {
        host: HostName,
        says: Disowned,
    },
    /// The run ends without these hosts: nobody has seen how they stand, and the marks on the others say so.
    EndedWithout {
        #[serde(flatten)]
        mark: EndMark,
    },
    /// What is left of the run is removed, as its hosts stand.
    Forgotten {
        stood: Vec<Stood>,
    },
    Finished {
        outcome: Outcome,
    },
}

/// How a host stood when its run was forgotten, in words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stood {
    pub host: HostName,
    pub text: String,
}

/// What a host says that takes it away from a coordinator. It is believed about itself only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Disowned {
    /// A coordinator with a higher epoch holds it.
    Superseded { text: String },
    /// Nothing of the run is left there.
    Ended { text: String },
    /// No run holds it any more, or another one does.
    NotHeld { text: String },
}

/// Which of them it is, and in what words, is told and steers nothing.
impl Hash for Disowned {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Display for Disowned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (meaning, text) = match self {
            Self::Superseded { text } => ("another fleetdeploy has taken this run over", text),
            Self::Ended { text } => ("this run has been ended from elsewhere", text),
            Self::NotHeld { text } => ("this run does not hold it any more", text),
        };
        if text.is_empty() { formatter.write_str(meaning) } else { write!(formatter, "{meaning} ({text})") }
    }
}

/// What is worth saying of a host that is left without its guard. It binds no way back and no disarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caution {
    /// Somebody has set what the next reboot brings, once.
    NextBoot { entry: String },
    /// What the run has written there is only in memory.
    Volatile,
}

impl fmt::Display for Caution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NextBoot { entry } => write!(
                formatter,
                "the next reboot brings {entry}, once, and what this run leaves here only after it: somebody has set \
                 that"
            ),
            Self::Volatile => formatter.write_str(
                "cannot write down beside its roots what this run has done there (is the disk full?): a restart \
                 forgets it",
            ),
        }
    }
}

/// How it all ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verdict {
    pub outcome: Outcome,
    pub hosts: Vec<(HostName, crate::event::HostOutcome)>,
    /// Why, in one sentence.
    pub text: String,
    pub interrupted: Option<Signal>,
    /// Hosts of a recovery that did not answer, or were missing: the run can be ended without them.
    pub gone: Vec<HostName>,
    /// Hosts on which not all that the run keeps could be cleaned away, and why.
    pub kept: BTreeMap<HostName, String>,
}

/// Why a push turns back, by severity: the first one given stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackReason {
    /// Arming did not succeed everywhere: nothing was changed yet.
    NotArmed {
        host: HostName,
        why: String,
    },
    StepFailed {
        host: HostName,
        phase: Phase,
        why: String,
    },
    /// A host is on another boot than the one that was surveyed.
    Restarted {
        host: HostName,
    },
    UnitsFailed {
        host: HostName,
        units: BTreeMap<String, UnitPast>,
    },
    /// What the push has started was not up for long enough from one start.
    UnitsUnsteady {
        host: HostName,
        units: BTreeSet<String>,
        steady: Duration,
    },
    NoLogin {
        host: HostName,
        why: String,
    },
    LinksDown {
        links: Vec<String>,
    },
    NoTime,
    /// One host says that it is not this run's any more.
    Disowned {
        host: HostName,
        says: Disowned,
    },
    NoRecord {
        why: String,
    },
    /// An interrupted run is undone.
    Recovered {
        why: String,
    },
    Interrupted(Signal),
}

impl RollbackReason {
    /// The host that is to blame.
    #[must_use]
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::NotArmed { host, .. }
            | Self::StepFailed { host, .. }
            | Self::Restarted { host }
            | Self::UnitsFailed { host, .. }
            | Self::UnitsUnsteady { host, .. }
            | Self::Disowned { host, .. }
            | Self::NoLogin { host, .. } => Some(host),
            Self::LinksDown { .. }
            | Self::NoTime
            | Self::NoRecord { .. }
            | Self::Recovered { .. }
            | Self::Interrupted(_) => None,
        }
    }
}

/// It is told, and steers nothing: two pushes that differ in it alone go the same way.
impl Hash for RollbackReason {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Display for RollbackReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotArmed { host, why } => write!(formatter, "the guard on {host} could not be armed: {why}"),
            Self::StepFailed { host, phase, why } => write!(formatter, "{} failed on {host}: {why}", phase.word()),
            Self::Restarted { host } => write!(formatter, "{host} has restarted in the middle of the push"),
            Self::UnitsFailed { host, units } => {
                write!(formatter, "units fail on {host}: {}", failing_text(units))
            }
            Self::UnitsUnsteady { host, units, steady } => {
                let units: Vec<&str> = units.iter().map(String::as_str).collect();
                let steady = humantime::format_duration(*steady);
                write!(formatter, "what this push started was not up for {steady} on {host}: {}", units.join(", "))
            }
            Self::NoLogin { host, why } => write!(formatter, "{host} takes no new ssh login: {why}"),
            Self::LinksDown { links } => write!(formatter, "links are down: {}", links.join("; ")),
            Self::NoTime => write!(formatter, "the guards leave too little time for the rest of the push"),
            Self::Disowned { host, says } => write!(formatter, "{host} says that {says}"),
            Self::NoRecord { why } => write!(formatter, "the run's record cannot be written: {why}"),
            Self::Recovered { why } => write!(formatter, "the interrupted run is undone: {why}"),
            Self::Interrupted(signal) => write!(formatter, "interrupted by {signal}"),
        }
    }
}
