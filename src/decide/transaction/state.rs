//! Where a transaction stands, and each of its hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::decide::transaction::inspection::{Found, Side};
use crate::decide::transaction::recover::Recovery;
use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::steady::UnitWatch;
use crate::decide::vocabulary::{RollbackReason, Signal, Step};
use crate::event::HostOutcome;
use crate::event::reason::cause::Cause;
use crate::event::reason::obstacle::HeldUp;
use crate::facts::links::Round;
use crate::facts::plan::{HostId, Plan};
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// The state of a host in the stage under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Progress {
    Waiting,
    Sent,
    /// The host has begun, or cannot be reached: another host need not wait for it before it cuts the way.
    Released,
    Done,
}

/// A host on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Back {
    /// This run never held it.
    Untouched,
    /// Its arm command is still out: it is not known yet whether there is a guard.
    Arming,
    Waiting,
    Rolling,
    /// It is on its old systems, on the boot it was on, with its guard still armed.
    Restored,
    /// It is out of reach, or cannot be rolled back from here any more: its guard brings it back.
    Awaited,
    /// It is back without a guard: its guard brought it back, or a recovery found it so.
    Returned {
        by_guard: bool,
    },
}

/// Says whether a host that did not answer in its time is asked once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum GivenUp {
    No,
    Silent,
    /// Another host has answered since, so the way to this one may be open again.
    HeardOthers,
    /// It was asked once more.
    ForGood,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the host")]
pub(super) struct HostNow {
    /// The order that is out; an answer to any other is late and means nothing.
    pub(super) step: Option<Step>,
    pub(super) progress: Progress,
    /// It may hold a guard of this run.
    pub(super) armed: bool,
    /// A `test` was sent: its current system may have moved.
    pub(super) activated: bool,
    /// A `switch` was sent: its boot default may have moved.
    pub(super) moved: bool,
    /// It has taken a new login in this stage.
    pub(super) logged_in: bool,
    pub(super) boot_id: String,
    pub(super) back: Back,
    /// It had lost its guard and was armed once more: not a second time.
    pub(super) armed_again: bool,
    /// How many disarms on the way back were not seen done: the guard was still there, or the answer was lost.
    pub(super) disarms_in_vain: u8,
    pub(super) given_up: GivenUp,
    /// It says that it is not this run's any more: it is left alone.
    pub(super) disowned: bool,
    /// A recovery cannot build on its words about itself, and leaves it as it is.
    pub(super) set_aside: bool,
    /// A recovery ends the run without it: it takes no part, even if it answers meanwhile.
    pub(super) missing: bool,
    /// The systems that it is on, if they are known.
    pub(super) on: StorePath,
    /// A recovery has taken it over on the boot that is known.
    pub(super) held: bool,
    /// How a recovery found it.
    pub(super) found: Option<Found>,
    pub(super) end: Option<HostOutcome>,
}

impl HostNow {
    /// Returns whether its end has not been told yet.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Returns whether a roll back must be proven here.
    pub(super) fn needs_proof(&self) -> bool {
        self.is_open() && self.activated && matches!(self.back, Back::Restored | Back::Returned { .. })
    }

    /// Returns whether it takes no part in the rest of the way forward: a recovery found it through already, or it is
    /// lost.
    pub(super) fn is_through(&self) -> bool {
        let on_new = matches!(
            self.found,
            Some(
                Found::New { .. }
                    | Found::Cleaned(Side::New | Side::Both)
                    | Found::Ended { stands: Side::New | Side::Both, .. }
            )
        );
        self.disowned || self.missing || self.has_left() || on_new
    }

    /// Returns whether the run is over for it, whatever becomes of the others: it is not asked any more.
    pub(super) fn has_left(&self) -> bool {
        self.found.as_ref().is_some_and(Found::has_left)
    }

    /// Returns where its way back begins, from what may have been done to it.
    pub(super) fn back_by_flags(&self) -> Back {
        let arming = matches!(self.step, Some(Step::Arm { .. }));
        match (self.armed, arming, self.activated || self.moved) {
            (false, ..) => Back::Untouched,
            (true, true, _) => Back::Arming,
            (true, false, false) => Back::Restored,
            (true, false, true) => Back::Waiting,
        }
    }
}

/// What is told, and what ends by it: after the input that brought it, it steers no order to a host that the states'
/// other parts do not tell apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Telling {
    /// The fleet's name, for a command to type; a push does not need it.
    pub(super) fleet: String,
    /// The last round that counted.
    pub(super) last_round: Option<Round>,
    /// Why the push goes back, or has ended so.
    pub(super) reason: Option<RollbackReason>,
    /// Witnesses that were already told to have restarted or switched.
    pub(super) noticed: BTreeSet<HostId>,
    /// Absent hosts that were already told to answer.
    pub(super) noticed_absent: BTreeSet<HostName>,
    /// Hosts that were already told to be unable to write down what is done there.
    pub(super) volatile: BTreeSet<HostId>,
    /// Why a recovery leaves everything as it was.
    pub(super) held_up: Option<HeldUp>,
    /// Hosts on which not all that the run keeps could be cleaned away, and why.
    pub(super) kept: BTreeMap<HostId, Cause>,
    /// Why the way to a host was lost last.
    pub(super) shut: BTreeMap<HostId, Cause>,
    /// Whether the last look after a roll back has found every link that was up before.
    pub(super) old_links_up: bool,
}

/// Two states that differ in it alone go the same way from here on, whatever comes: they hash alike, and the model
/// checker takes them for one. `transaction/tests/walks.rs` compares such pairs, as far as its walks come.
impl Hash for Telling {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// One push over a fleet, or the recovery of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the push")]
pub struct Transaction {
    pub(super) plan: Arc<Plan>,
    pub(super) hosts: Vec<HostNow>,
    pub(super) stage: Stage,
    /// The wave that is tested or looked at, by [`HostPlan::wave`](crate::facts::plan::HostPlan::wave): hosts of later
    /// ones are still where they were.
    pub(super) wave: usize,
    /// A round is out.
    pub(super) probing: bool,
    /// Whether the round that is out began in an earlier stage: then it proves nothing for this one.
    pub(super) stale: bool,
    pub(super) units: UnitWatch,
    /// Whether only handshakes were missing when the settle time ended: then WireGuard is given its rekey time, once.
    pub(super) rekeying: bool,
    pub(super) interrupted: Option<Signal>,
    /// Hosts that cannot be reached just now.
    pub(super) silent: BTreeSet<HostId>,
    /// `None`: a push.
    pub(super) recovery: Option<Recovery>,
    /// Whether a host has said that it is not this run's any more, after any take-over: from then on nothing is armed.
    pub(super) doubted: bool,
    /// Whether a host that is lost to a recovery has shown itself on new for good.
    pub(super) lost_on_new: bool,
    /// Whether all lost hosts hold nothing of the run any more: then the traces on the others help no one.
    pub(super) lost_ones_keep_nothing: bool,
    /// Whether marks of an end without hosts are removed with all the rest.
    pub(super) forgets_marks: bool,
    pub(super) told: Telling,
}

impl Transaction {
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let hosts = plan
            .hosts
            .iter()
            .map(|host| HostNow {
                step: None,
                progress: Progress::Waiting,
                armed: false,
                activated: false,
                moved: false,
                logged_in: false,
                boot_id: host.boot_id.clone(),
                back: Back::Untouched,
                armed_again: false,
                disarms_in_vain: 0,
                given_up: GivenUp::No,
                disowned: false,
                set_aside: false,
                missing: false,
                on: host.old.current.clone(),
                held: false,
                found: None,
                end: None,
            })
            .collect();
        let wave = plan.waves().keys().next().copied().unwrap_or(0);
        Self {
            plan,
            hosts,
            stage: Stage::Arm,
            wave,
            probing: false,
            stale: false,
            units: UnitWatch::default(),
            rekeying: false,
            interrupted: None,
            silent: BTreeSet::new(),
            recovery: None,
            doubted: false,
            lost_on_new: false,
            lost_ones_keep_nothing: false,
            forgets_marks: false,
            told: Telling::default(),
        }
    }
}
