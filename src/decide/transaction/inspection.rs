//! Judges how a recovery finds a host that it takes over.

use crate::event::HostOutcome;
use crate::event::reason::cause::Cause;
use crate::event::reason::fate::Fate;
use crate::event::reason::inspection::{Elsewhere, FoundAs};
use crate::facts::host::{GuardState, JobKind, JobState, Standing, same_boot};
use crate::facts::plan::HostPlan;
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::traces::{EndMark, EndSide, RunTraces};

/// How a host was found when it was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::decide) enum Found {
    /// It did not answer, or could not be taken over.
    Silent { why: Cause },
    /// Back on what it ran and booted, without a guard.
    Old { by_guard: bool },
    /// Wholly on its new system, without a guard: disarmed, or restarted by itself after its boot default moved.
    New { disarmed: bool },
    /// Under this run's guard.
    Guarded(GuardedState),
    /// Somewhere between old and new, without a guard that could bring it back.
    Loose(Systems),
    /// Its guard has fired and is at work.
    Firing,
    /// It says itself that nothing of the run is left here.
    Cleaned(Side),
    /// The run was ended here without a host that was not seen, and nothing but that mark is left of it.
    Ended { mark: EndMark, stands: Side },
    /// A person has brought it onto something else since, for good, and no step of ours is at work.
    MovedOn { on: StorePath },
    /// A later run has committed here: this one is over for it.
    Over,
    /// It is not known where it is, or another run holds it: it must not be touched.
    Elsewhere { why: Elsewhere },
}

/// The place of a host that holds nothing of the run any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::decide) enum Side {
    Old,
    New,
    /// Old and new are one, as under a guard that was armed by hand.
    Both,
    /// It has moved on.
    Neither,
    /// No host that answers knows what it ran before the run, and what the run was to bring.
    NotKnown,
}

impl Side {
    pub(in crate::decide) fn of(plan: &HostPlan, systems: &Systems) -> Self {
        match (plan.is_back(systems), systems.all_are(&plan.new)) {
            _ if plan.old.current == Systems::not_known() => Self::NotKnown,
            (true, true) => Self::Both,
            (true, false) => Self::Old,
            (false, true) => Self::New,
            (false, false) => Self::Neither,
        }
    }

    pub(super) fn is(self, side: EndSide) -> bool {
        match side {
            EndSide::Old => matches!(self, Self::Old | Self::Both),
            EndSide::New => matches!(self, Self::New | Self::Both),
        }
    }
}

/// The state of a guarded host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::decide) enum GuardedState {
    /// No step has begun on it.
    Old,
    /// It runs its new system, and nothing is at work on it.
    New,
    Between,
}

impl Found {
    pub(in crate::decide) fn of(plan: &HostPlan, standing: &Standing) -> Self {
        let systems = &standing.systems;
        let runs = standing.jobs.values().any(|job| *job == JobState::Running);
        let rolled_back = standing.jobs.contains_key(&JobKind::Rollback);
        let untouched = plan.is_back(systems) && standing.jobs.is_empty();
        let old = [&plan.old.current, &plan.old.profile, &plan.old.boot_default];
        let places = [&systems.current, &systems.profile, &systems.boot_default];
        let traces = standing.run_traces.as_ref();
        // Before the run moves anything for good it announces that on the host. An older fleetdeploy leaves no such
        // trace.
        let may_be_ours = traces.is_none_or(|traces| !traces.traced || traces.switching);
        let has = |trace: fn(&RunTraces) -> bool| traces.is_some_and(trace);
        // It is not at rest, and this run did not do that: it is not known where it is going.
        let elsewhere = || Self::Elsewhere { why: Cause::NeitherOldNorNew { systems: systems.clone() }.into() };
        match &standing.guard {
            GuardState::Firing { .. } => Self::Firing,
            GuardState::Armed { .. } | GuardState::Dead { .. } if untouched => Self::Guarded(GuardedState::Old),
            GuardState::Armed { .. } if systems.current == plan.new && !runs && !rolled_back => {
                Self::Guarded(GuardedState::New)
            }
            GuardState::Armed { .. } => Self::Guarded(GuardedState::Between),
            GuardState::Dead { .. } => Self::Loose(systems.clone()),
            _ if has(|traces| traces.over) => Self::Over,
            // If old and new are one, as under a guard by hand, only a person who has disarmed it wanted what runs.
            guard
                if plan.is_back(systems)
                    && !(systems.all_are(&plan.new) && matches!(guard, GuardState::Disarmed { .. })) =>
            {
                let by_guard =
                    matches!(guard, GuardState::Fired { .. }) || !same_boot(&standing.boot_id, &plan.boot_id);
                Self::Old { by_guard }
            }
            guard if systems.all_are(&plan.new) => {
                let disarmed = matches!(guard, GuardState::Disarmed { .. }) || has(|traces| traces.committed);
                if disarmed || may_be_ours {
                    Self::New { disarmed }
                } else {
                    Self::MovedOn { on: systems.current.clone() }
                }
            }
            // It answers only now, after the plan was put together without it.
            _ if plan.old.current == Systems::not_known() => {
                Self::Elsewhere { why: Cause::OldNotKnown { systems: systems.clone() }.into() }
            }
            // A profile that is ahead of the boot default comes from a power cut between the two writes: those of the
            // run, if it had begun to move them. The current system is the run's only on the boot of its test.
            _ if places.iter().all(|place| old.contains(place) || **place == plan.new) => {
                let tested = same_boot(&standing.boot_id, &plan.boot_id) && !standing.jobs.is_empty();
                if tested || runs || may_be_ours { Self::Loose(systems.clone()) } else { elsewhere() }
            }
            _ if systems.agree() && !runs => Self::MovedOn { on: systems.current.clone() },
            _ => elsewhere(),
        }
    }

    /// Returns whether the run is over for this host, whatever becomes of the others.
    pub(super) fn has_left(&self) -> bool {
        match self {
            Self::MovedOn { .. } | Self::Over => true,
            // It was there when the run was ended.
            Self::Ended { mark, stands } => mark.side.is_none_or(|side| !stands.is(side)),
            _ => false,
        }
    }

    pub(in crate::decide) fn told(&self) -> FoundAs {
        let names = |mark: &EndMark| mark.missing.keys().cloned().collect();
        match self {
            Self::Silent { why } => FoundAs::FoundSilent { cause: why.clone() },
            Self::Old { by_guard: true } => FoundAs::FoundBroughtBack,
            Self::Old { by_guard: false } => FoundAs::FoundOnOld,
            Self::New { disarmed: true } => FoundAs::FoundCommitted,
            Self::New { disarmed: false } => FoundAs::FoundOnNew,
            Self::Guarded(GuardedState::Old) => FoundAs::FoundGuarded,
            Self::Guarded(GuardedState::New) => FoundAs::FoundGuardedOnNew,
            Self::Guarded(GuardedState::Between) => FoundAs::FoundGuardedBetween,
            Self::Loose(systems) => FoundAs::FoundBetween { systems: systems.clone() },
            Self::Firing => FoundAs::FoundFiring,
            Self::Cleaned(Side::Both) => FoundAs::FoundCleaned,
            Self::Cleaned(Side::Old) => FoundAs::FoundCleanedOnOld,
            Self::Cleaned(Side::New) => FoundAs::FoundCleanedOnNew,
            Self::Cleaned(Side::Neither) => FoundAs::FoundCleanedAndMovedOn,
            Self::Cleaned(Side::NotKnown) => FoundAs::FoundCleanedAndNotKnown,
            Self::Ended { mark, .. } if self.has_left() => FoundAs::FoundEndedAndMovedOn { missing: names(mark) },
            Self::Ended { mark, .. } => FoundAs::FoundEnded { missing: names(mark) },
            Self::MovedOn { on } => FoundAs::FoundMovedOn { onto: on.clone() },
            Self::Over => FoundAs::FoundOver,
            Self::Elsewhere { why } => FoundAs::FoundElsewhere { cause: why.clone() },
        }
    }

    /// Returns the end of a host that the run is over for. A host in an unknown state is not called moved on.
    pub(super) fn end_of_who_has_left(&self, on: &StorePath) -> HostOutcome {
        match self {
            Self::Ended { stands: Side::NotKnown, .. } => HostOutcome::Untouched,
            _ => HostOutcome::MovedOn { on: on.clone() },
        }
    }

    /// Returns the end of a host that a recovery leaves as it has found it.
    pub(super) fn left(&self) -> HostOutcome {
        match self {
            Self::Old { by_guard } => HostOutcome::RolledBack { by_guard: *by_guard },
            other => other.left_so(),
        }
    }

    pub(super) fn left_so(&self) -> HostOutcome {
        HostOutcome::Left { why: Fate::LeftAsFound { found: self.told() }.into(), back_within_ms: None }
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Elsewhere { .. })
    }
}
