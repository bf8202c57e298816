//! Defines the one vocabulary between engine and screen: everything that a person, a CI log or the record hears of a
//! push.
//!
//! State events are never dropped; those whose doc says *lossy* may be when the listener does not keep up. The first
//! event of a push is [`Event::PushStarted`], of a recovery [`Event::RecoverStarted`], of a rolling reboot
//! [`Event::RebootStarted`]; the last is [`Event::Finished`]. A query that works on a fleet begins with
//! [`Event::QueryStarted`]; every query ends with [`Event::Ended`].

pub mod activity;
pub mod forecast;
pub mod line;
pub mod ration;
pub mod reason;
pub(crate) mod shorten;
pub mod steady;
pub mod stream;
pub mod waiting;
pub mod wording;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::forecast::{CopiesForecast, Forecast};
use crate::event::reason::any::{AnyReason, as_reason, as_why};
use crate::event::reason::rollback::LinksCause;
use crate::event::waiting::{AfterWait, HeldBack, WaitedFor};
use crate::facts::links::LinkAnswer;
use crate::facts::package_change::PackageChange;
use crate::facts::provenance::Provenance;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{GuardAction, HostName, Place};

/// The version of the JSON form. Fields and events may be added within a version.
pub const VERSION: u32 = 1;

/// The ten phases of a push, in order, and the roll back that may take the place of the later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Build,
    Survey,
    Copy,
    Baseline,
    Arm,
    Test,
    Verify,
    Decide,
    Switch,
    Disarm,
    RollBack,
    /// A recovery takes the run over on every host.
    TakeOver,
    /// Hosts are rebooted, each proven back before the next: by `reboot`, or after the commit of a push.
    Reboot,
    /// A query asks every host.
    Ask,
}

impl Phase {
    /// The ten phases of a push, in order.
    pub const OF_A_PUSH: [Self; 10] = [
        Self::Build,
        Self::Survey,
        Self::Copy,
        Self::Baseline,
        Self::Arm,
        Self::Test,
        Self::Verify,
        Self::Decide,
        Self::Switch,
        Self::Disarm,
    ];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Survey => "survey",
            Self::Copy => "copy",
            Self::Baseline => "baseline",
            Self::Arm => "arm",
            Self::Test => "test",
            Self::Verify => "verify",
            Self::Decide => "decide",
            Self::Switch => "switch",
            Self::Disarm => "disarm",
            Self::RollBack => "roll back",
            Self::TakeOver => "take over",
            Self::Reboot => "reboot",
            Self::Ask => "ask",
        }
    }
}

/// How a push, a recovery or a rolling reboot ended, for the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Committed,
    Unchanged,
    /// A dry run has shown what a push would do.
    Planned,
    RolledBack,
    /// Nothing was touched.
    Refused,
    /// Some hosts are new and some old, or one is unknown after its guard should have fired: a person must look.
    Split,
    /// It was left at once, as a person asked: the armed guards bring their hosts back by themselves, and `recover`
    /// ends the run.
    Left,
    /// Another coordinator has taken this run over, and ends it.
    Superseded,
    /// Every host that was to be rebooted is proven back.
    Rebooted,
    /// Some of the hosts that were to be rebooted are proven back, and the others were not rebooted.
    PartlyRebooted,
}

/// How a push ended for one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum HostOutcome {
    Committed,
    Unchanged,
    /// It was not to be changed; it probed and was probed.
    Witness,
    RolledBack {
        /// Whether its guard rebooted it, and not the push switched it back.
        by_guard: bool,
    },
    /// Its new system was tried once in a boot, and it runs again what it booted before, by whatever; its profile is
    /// still what was tried.
    WentBack,
    /// Not touched.
    Untouched,
    /// It is not known, or not where it should be.
    Lost {
        #[serde(flatten, with = "as_why")]
        #[schemars(with = "as_why::Shape")]
        why: AnyReason,
    },
    /// The program does not wait for it any more; its guard, if it has one, brings it back.
    Left {
        /// How it was seen last, and when it is back.
        #[serde(flatten, with = "as_why")]
        #[schemars(with = "as_why::Shape")]
        why: AnyReason,
        /// The time until it should be back at the latest; absent if no guard of the run is known there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back_within_ms: Option<u64>,
    },
    /// It took no part: it was left out by name, or is `optional` and did not answer.
    Skipped,
    /// A rolling reboot has rebooted it, and it is proven back.
    Rebooted,
    /// The run was ended without it: it did not answer, and nothing is known of it.
    Missing,
    /// A later act has brought it onto something else: the run was over for it.
    MovedOn {
        on: StorePath,
    },
}

/// One cell of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    pub check: String,
    pub from: Place,
    pub to: String,
    pub kind: String,
    pub required: bool,
    #[serde(flatten)]
    pub answer: LinkAnswer,
    /// Whether it was up before anything changed; absent in the baseline itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was_up: Option<bool>,
    /// It ends at a host that the run goes on without: shown, and not counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
}

/// The part of one host in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostPlanned {
    pub host: HostName,
    /// The system that it runs now.
    pub old: StorePath,
    /// The system that it is to run.
    pub new: StorePath,
    /// `false`: a witness, or already current.
    pub changes: bool,
    pub selected: bool,
    pub generation: u64,
}

/// The number of links that are up, of those that are probed from one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LinkCount {
    pub up: u64,
    pub of: u64,
}

/// What a guard does when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WayBack {
    pub action: GuardAction,
    /// The time from now until the host should be back at the latest.
    pub back_ms: u64,
}

/// How many of how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Bytes {
    pub done_bytes: u64,
    pub expected_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first event.
    PushStarted {
        fleet: String,
        /// In the inventory's order.
        hosts: Vec<HostName>,
        /// The hosts that are to be changed, if they are not current already; the others are witnesses.
        #[serde(default)]
        selected: Vec<HostName>,
        inventory: String,
        guard_ms: u64,
        record: Option<String>,
        /// It ends after the baseline and touches nothing.
        #[serde(default)]
        dry_run: bool,
        /// Present in a rollback, in which the hosts have the new systems already: what they go back to, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rollback_to: Option<String>,
    },
    /// The programs of the workstation, for a reader of the record.
    WorkstationSeen {
        fleetdeploy: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        nix: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ssh: Option<String>,
    },
    /// Where the systems come from, and who brings them: before they are evaluated, and anew if a hook has changed it.
    /// Not in a rollback, which brings what the hosts have.
    SourceKnown {
        #[serde(flatten)]
        provenance: Provenance,
    },
    /// A host has answered the survey, with the versions that run on it.
    HostSurveyed {
        host: HostName,
        /// `26.05.20261120.abcdef`; absent if the system does not say.
        #[serde(skip_serializing_if = "Option::is_none")]
        nixos: Option<String>,
        nix: String,
        systemd: String,
        kernel: String,
        /// Why kernel and initrd of its boot default cannot be compared with the system's own; absent: they can, or
        /// were not looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_files_unproven: Option<String>,
    },
    /// The address of a host with several: the first that let us log in, which is used from here on.
    AddressChosen {
        host: HostName,
        address: String,
    },
    /// The first event of a recovery.
    RecoverStarted {
        fleet: String,
        hosts: Vec<HostName>,
        inventory: String,
    },
    /// The first event of a rolling reboot.
    RebootStarted {
        fleet: String,
        /// In the inventory's order.
        hosts: Vec<HostName>,
        /// The hosts that are to be rebooted; the links of all hosts are looked at.
        selected: Vec<HostName>,
        inventory: String,
        record: String,
    },
    /// The first event of a query that asks hosts or builds for them.
    QueryStarted {
        /// `check`, `build`.
        command: String,
        fleet: String,
        /// In the inventory's order.
        hosts: Vec<HostName>,
        inventory: String,
    },
    /// A recovery knows which run it takes over; that stands in every line from here on.
    RunChosen {
        epoch: u64,
        /// The recovery works from the hosts alone: this workstation has no record of how far the run had come.
        alone: bool,
        record: String,
        /// The hosts that the run changes; absent in records of earlier versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<HostName>,
    },
    /// After build and survey: what the push will do, host by host.
    Planned {
        hosts: Vec<HostPlanned>,
    },
    /// The waves in which the hosts that change are tested, if there is more than one; or those in which hosts are
    /// rebooted, always.
    WavesPlanned {
        waves: Vec<Vec<HostName>>,
    },
    /// A hook of the person's own runs on this workstation.
    HookStarted {
        hook: String,
        /// How long it may take.
        limit_ms: u64,
    },
    /// What the push would do, shown before anything is touched.
    Foreseen {
        forecast: Box<Forecast>,
        /// All of it; otherwise only how the systems differ.
        whole: bool,
    },
    /// A person is asked whether to go on; before the reply nothing happens, and nothing is drawn.
    Asked {
        question: String,
    },
    Replied {
        yes: bool,
    },
    PhaseStarted {
        phase: Phase,
    },
    /// The hosts of one wave are tested or rebooted next, and the whole fleet is looked at before the next wave begins.
    /// It comes in every rolling reboot, and in a push with more than one wave; the phase follows.
    WaveStarted {
        /// From 1.
        wave: u64,
        of: u64,
        hosts: Vec<HostName>,
    },
    /// It takes no part in this run: it was left out by name, or is `optional` and does not answer.
    HostLeftOut {
        host: HostName,
    },
    /// What a host is doing now, in a few words. Lossy.
    HostMoved {
        host: HostName,
        doing: String,
        /// The time from now within which that ends, well or badly; absent: it has no end of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
        /// What comes if that time is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then: Option<AfterWait>,
    },
    /// What the build of the whole fleet is doing. Lossy.
    BuildMoved {
        /// Derivations.
        done: u64,
        expected: u64,
        /// The derivation that was started first of those being built, or what is done before the first.
        doing: String,
        /// The number of derivations that are being built.
        #[serde(default)]
        running: u64,
        /// The downloads from binary caches.
        #[serde(default)]
        download: Bytes,
        /// The path that is being downloaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        downloading: Option<String>,
    },
    /// Before anything is sent: how much goes to whom, and about how long that takes.
    CopiesForeseen {
        #[serde(flatten)]
        copies: CopiesForecast,
    },
    /// Bytes copied to a host of how many. Lossy.
    CopyMoved {
        host: HostName,
        done_bytes: u64,
        expected_bytes: u64,
    },
    /// A copy is through. Only where anything was sent at all, and not to a host that may fetch some of it by itself.
    CopyMeasured {
        /// Absent: to the cache of the fleet, which is none of its hosts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        /// The host that has built it; absent: it was sent from this workstation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<HostName>,
        /// Unpacked.
        bytes: u64,
        /// The time from when it was known what is to be sent.
        took_ms: u64,
    },
    /// The systems of all selected hosts are evaluated.
    Evaluated {
        /// How many were evaluated now.
        anew: usize,
        /// How many were evaluated before, and nothing that their evaluation can depend on has changed.
        kept: usize,
    },
    /// The new system is on the host, and this is what it changes there.
    Compared {
        host: HostName,
        /// The packages that differ, in the order of their names. Absent: it could not be found out.
        #[serde(skip_serializing_if = "Option::is_none")]
        packages: Option<Vec<PackageChange>>,
        /// The parts that only a reboot brings: `kernel`, `initrd`, `kernel modules`, `kernel parameters`; empty: none.
        reboot_for: Vec<String>,
    },
    /// A host is through with this phase.
    HostDone {
        host: HostName,
        phase: Phase,
    },
    GuardArmed {
        host: HostName,
        /// The time from now until it fires.
        left_ms: u64,
        /// What it does then; absent in records of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way_back: Option<WayBack>,
    },
    /// A recovery has found a guard armed.
    GuardSeen {
        host: HostName,
        left_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way_back: Option<WayBack>,
    },
    GuardExtended {
        host: HostName,
        left_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way_back: Option<WayBack>,
    },
    GuardDisarmed {
        host: HostName,
    },
    /// A reboot now brings the new system: this generation of the profile.
    BootDefaultMoved {
        host: HostName,
        generation: u64,
    },
    /// A host's connection is gone; it is being made again.
    ContactLost {
        host: HostName,
        /// How long that is tried for the step under way; absent: not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
        /// What comes if it is in vain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then: Option<AfterWait>,
        #[serde(flatten, with = "as_why")]
        #[schemars(with = "as_why::Shape")]
        why: AnyReason,
    },
    ContactMade {
        host: HostName,
    },
    /// Worth keeping on screen: the push goes on.
    Warned {
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        #[serde(flatten)]
        text: AnyReason,
    },
    /// Events are missing from the run's record. It stands in the record where they are missing, and on screen at the
    /// end.
    EventsLost {
        events: u64,
        /// The error of the last write of one.
        why: String,
    },
    /// Something went wrong, and this is what to do about it. The push cannot go on forward.
    Failed {
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        #[serde(flatten)]
        text: AnyReason,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The last lines of a log that belongs to a failure or a finished step.
    Logged {
        host: HostName,
        /// [`GUARD_TRACE`], or what wrote it.
        what: String,
        lines: Vec<String>,
    },
    /// Lines of a program as it printed them, for the record: a host's activation, or nix for all hosts.
    Printed {
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        /// `test`, `nix build`.
        by: String,
        lines: Vec<String>,
    },
    /// A whole round of the matrix: the baseline, the last round of verify, or one that broke.
    MatrixSeen {
        phase: Phase,
        cells: Vec<Cell>,
    },
    /// The progress of verify. Lossy.
    LinksMoved {
        up: u64,
        of: u64,
        rounds: u32,
        waiting_for: Vec<String>,
        /// What all links that are down have in common, if they have something in common.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<LinksCause>,
        /// The links, by the host that they are probed from.
        #[serde(default)]
        hosts: BTreeMap<HostName, LinkCount>,
    },
    /// The run waits for this, and no longer than that.
    WaitStarted {
        wait: WaitedFor,
        within_ms: u64,
        /// What comes if it was in vain.
        then: AfterWait,
    },
    /// That wait is over: what was waited for is there, or its time has run out.
    WaitEnded {
        wait: WaitedFor,
    },
    /// A host stands by until others have come so far. No others: it goes on.
    HostWaits {
        host: HostName,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waits_for: Vec<HostName>,
        /// How many more than those that are named.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<HeldBack>,
    },
    /// Whether a second signal may leave the run now without harm: every host that answers was seen on its old system.
    MayLeave {
        may: bool,
        /// The time until the last of the others should be back by its guard; absent: there is no other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back_within_ms: Option<u64>,
    },
    /// The decision to commit was written.
    Decided,
    RollBackStarted {
        /// The host to blame, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        #[serde(flatten, with = "as_reason")]
        #[schemars(with = "as_reason::Shape")]
        reason: AnyReason,
        /// What to do about it, before the next push.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// How a recovery has found a host, in words.
    HostFound {
        host: HostName,
        #[serde(flatten)]
        text: AnyReason,
    },
    /// The host cannot be reached: its guard will bring it back.
    LeftToGuard {
        host: HostName,
        fires_in_ms: u64,
        /// The time from then until it should be back at the latest: the guard puts things back, and the host boots.
        boot_ms: u64,
        /// What its guard does; absent in records of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<GuardAction>,
    },
    /// The host is back on another boot.
    CameBack {
        host: HostName,
        #[serde(flatten)]
        text: AnyReason,
    },
    /// The host has rebooted and takes logins again; its links are still to be seen.
    HostRebooted {
        host: HostName,
        took_ms: u64,
        /// The release of the kernel that it ran.
        old_kernel: String,
        new_kernel: String,
    },
    /// A query's answer.
    Answer {
        answer: serde_json::Value,
    },
    /// The last event of a query, and of a command that could not begin.
    Ended {
        exit: i32,
    },
    /// The last event of a push, a recovery or a rolling reboot.
    Finished {
        outcome: Outcome,
        #[serde(flatten)]
        text: AnyReason,
        hosts: BTreeMap<HostName, HostOutcome>,
        exit: i32,
        took_ms: u64,
    },
}

/// What a guard that has fired has left on its host, for the next boot.
pub const GUARD_TRACE: &str = "its guard's trace";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Event {
    /// Returns the warning about a host, or about all.
    #[must_use]
    pub fn warned(host: Option<&HostName>, reason: impl Into<AnyReason>) -> Self {
        Self::Warned { host: host.cloned(), text: reason.into() }
    }

    /// Returns the failure with what its reason says about mending it.
    #[must_use]
    pub fn failed(host: Option<&HostName>, reason: impl Into<AnyReason>) -> Self {
        let text = reason.into();
        let hint = text.mend();
        Self::Failed { host: host.cloned(), text, hint }
    }

    /// Returns what a host does, without an end of its own.
    #[must_use]
    pub fn moved(host: &HostName, doing: impl ToString) -> Self {
        Self::moved_until(host, doing, None, None)
    }

    /// Returns what a host does, and for how long at most from now on.
    #[must_use]
    pub fn moved_within(host: &HostName, doing: impl ToString, within: Duration) -> Self {
        Self::moved_until(host, doing, Some(within), None)
    }

    /// Returns what a host does, and where it is known for how long at most from now on, and what comes if that is not
    /// enough.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers give what they have just made")]
    pub fn moved_until(
        host: &HostName,
        doing: impl ToString,
        within: Option<Duration>,
        then: Option<AfterWait>,
    ) -> Self {
        let within_ms = within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        Self::HostMoved { host: host.clone(), doing: doing.to_string(), within_ms, then }
    }

    /// Returns whether it may be dropped for a listener that does not keep up.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        matches!(
            self,
            Self::HostMoved { .. } | Self::BuildMoved { .. } | Self::CopyMoved { .. } | Self::LinksMoved { .. }
        )
    }
}
