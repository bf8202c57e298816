//! Where a transaction stands, and each of its hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decide::transaction::inspection::{Found, Side};
use crate::decide::transaction::recover::Recovery;
use crate::decide::transaction::steady::UnitWatch;
use crate::decide::transaction::without::HeldUp;
use crate::decide::vocabulary::{RollbackReason, Signal, Step};
use crate::event::HostOutcome;
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::{HostId, Plan};
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// Where the whole push stands. Every stage ends in a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// A recovery fences every host before anything else.
    TakeOver,
    Arm,
    /// The hosts of one wave are tested.
    Test,
    /// They, and all others, are looked at.
    Verify,
    /// Guards are being extended before the next wave, before the decision, or before the disarm.
    ExtendToTest,
    ExtendToSwitch,
    Switch,
    /// The matrix once more, after the boot defaults moved.
    Proof,
    ExtendToDisarm,
    Disarm,
    /// Every touched host is on its way back.
    Back,
    /// New logins and the baseline's matrix, before the guards of a roll back go.
    BackProof,
    BackDisarm,
    Clean,
    Over,
}

/// How a host stands in the stage under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Progress {
    Waiting,
    Sent,
    /// The host has begun, or cannot be reached: nobody needs to wait for it before cutting its way.
    Released,
    Done,
}

/// A host on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Back {
    /// This run never held it.
    Untouched,
    /// Its arm command is still out: nobody knows yet whether there is a guard.
    Arming,
    Waiting,
    Rolling,
    /// On its old systems, on the boot it was on, with its guard still armed.
    Restored,
    /// Out of reach, or beyond a roll back from here: its guard brings it back.
    Awaited,
    /// Back without a guard: brought back by it, or found so by a recovery.
    Returned {
        by_guard: bool,
    },
}

/// Whether a host that did not answer in its time is worth another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum GivenUp {
    No,
    Silent,
    /// Another host has answered since: what kept the way to this one closed may be over.
    HeardOthers,
    /// It was asked once more.
    ForGood,
}

#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub(super) given_up: GivenUp,
    /// It says that it is not this run's any more: nothing is done on it.
    pub(super) disowned: bool,
    /// A recovery does not build on what it says of itself, and leaves it as it is.
    pub(super) set_aside: bool,
    /// A recovery ends the run without it: it takes no part, also if it answers meanwhile.
    pub(super) missing: bool,
    /// What it runs, as far as known.
    pub(super) on: StorePath,
    /// A recovery has taken it over on the boot that is known of.
    pub(super) held: bool,
    /// How a recovery found it.
    pub(super) found: Option<Found>,
    pub(super) end: Option<HostOutcome>,
}

impl HostNow {
    /// Nothing was said about its end yet.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// A roll back must be proven here by a new login.
    pub(super) fn needs_login(&self) -> bool {
        self.is_open() && self.activated && matches!(self.back, Back::Restored | Back::Returned { .. })
    }

    /// A recovery found it through already, or it is lost: it takes no part in what is left of the way forward.
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

    /// The run is over for it, whatever becomes of the others: nothing is asked of it, and it is no longer theirs.
    pub(super) fn has_left(&self) -> bool {
        self.found.as_ref().is_some_and(Found::has_left)
    }

    /// Where its way back begins, from what may have been done to it.
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

/// One push over a fleet, or the recovery of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the push")]
pub struct Transaction {
    pub(super) plan: Arc<Plan>,
    /// The fleet's name, for a command to type; of a push it stands nowhere.
    pub(super) fleet: String,
    pub(super) hosts: Vec<HostNow>,
    pub(super) stage: Stage,
    /// The wave that is tested or looked at, by [`HostPlan::wave`](crate::facts::plan::HostPlan::wave): hosts of later
    /// ones are still where they were.
    pub(super) wave: usize,
    /// Rounds in a row that held; counted only as far as they are asked for, so that the states of a push are finite.
    pub(super) streak: u32,
    /// A round is out.
    pub(super) probing: bool,
    /// The round that is out began in an earlier stage and proves nothing for this one.
    pub(super) stale: bool,
    pub(super) last_broken: BTreeSet<LinkId>,
    pub(super) last_failures: BTreeSet<(HostId, String)>,
    /// A host that did not say in the last round how its units are.
    pub(super) unheard: Option<HostId>,
    /// How often each unit had been restarted by the round before.
    pub(super) last_restarts: BTreeMap<HostId, BTreeMap<String, u64>>,
    pub(super) waiting: BTreeSet<LinkId>,
    pub(super) units: UnitWatch,
    /// Only handshakes were missing when the settle time ended: WireGuard is given its rekey time, once.
    pub(super) rekeying: bool,
    /// The settle time ended while nothing spoke against the push: the rounds that are still to come decide, and the
    /// first that does not hold ends it.
    pub(super) overtime: bool,
    pub(super) extended: bool,
    /// Restored hosts whose links stayed down were left to their guards once already.
    pub(super) left_to_guards: bool,
    pub(super) last_round: Option<Round>,
    pub(super) reason: Option<RollbackReason>,
    pub(super) interrupted: Option<Signal>,
    /// Witnesses of which it was said that they restarted or switched.
    pub(super) noticed: BTreeSet<HostId>,
    /// Absent hosts of which it was said that they answer.
    pub(super) noticed_absent: BTreeSet<HostName>,
    /// Hosts of which it was said that they cannot write down what is done there.
    pub(super) told_volatile: BTreeSet<HostId>,
    /// Hosts that cannot be reached just now.
    pub(super) silent: BTreeSet<HostId>,
    /// A job's barrier waits for silent hosts alone, and no longer than the settle time.
    pub(super) silence_counts: bool,
    /// `None`: a push.
    pub(super) recovery: Option<Recovery>,
    /// A host has said that it is not this run's any more, past any take-over: nothing is armed from then on.
    pub(super) doubted: bool,
    /// A host that is lost to a recovery has shown itself on new for good.
    pub(super) lost_on_new: bool,
    /// All that is lost holds nothing of the run any more: what the others keep helps nobody.
    pub(super) lost_ones_keep_nothing: bool,
    /// Not every host could be disarmed, and those that were have been asked once more.
    pub(super) asked_the_committed: bool,
    /// What the host said that another coordinator has taken over.
    pub(super) superseded_by: Option<String>,
    /// Why a recovery leaves everything as it was.
    pub(super) held_up: Option<HeldUp>,
    /// Marks of an end without hosts are removed with all the rest.
    pub(super) forgets_marks: bool,
    /// Hosts that were missing, and of which nothing is left to be done but to say so in the marks of the others.
    pub(super) dealt_with: BTreeSet<HostId>,
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
            fleet: String::new(),
            hosts,
            stage: Stage::Arm,
            wave,
            streak: 0,
            probing: false,
            stale: false,
            last_broken: BTreeSet::new(),
            last_failures: BTreeSet::new(),
            unheard: None,
            last_restarts: BTreeMap::new(),
            waiting: BTreeSet::new(),
            units: UnitWatch::default(),
            rekeying: false,
            overtime: false,
            extended: false,
            left_to_guards: false,
            last_round: None,
            reason: None,
            interrupted: None,
            noticed: BTreeSet::new(),
            noticed_absent: BTreeSet::new(),
            told_volatile: BTreeSet::new(),
            silent: BTreeSet::new(),
            silence_counts: false,
            recovery: None,
            doubted: false,
            lost_on_new: false,
            lost_ones_keep_nothing: false,
            asked_the_committed: false,
            superseded_by: None,
            held_up: None,
            forgets_marks: false,
            dealt_with: BTreeSet::new(),
        }
    }
}
