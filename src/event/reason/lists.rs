//! Lists every enum of reasons, for the schema of the events and the page of codes that is made from it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use strum::VariantNames;

use crate::event::reason::absent::{Absence, AbsentHub};
use crate::event::reason::baseline::{BaselineLink, BaselineLogin};
use crate::event::reason::boot::{BootDoubt, BootRefusal};
use crate::event::reason::build::{BuildFault, BuildNote};
use crate::event::reason::cache::CacheNote;
use crate::event::reason::cause::Cause;
use crate::event::reason::caution::Caution;
use crate::event::reason::claim::Claim;
use crate::event::reason::command::CommandNote;
use crate::event::reason::command_end::{CommandEnd, NotAgreed, OpenRun};
use crate::event::reason::command_fault::{Misuse, WorkstationFault};
use crate::event::reason::copy::{CopyAgain, CopyFault};
use crate::event::reason::cut::Cut;
use crate::event::reason::disowned::Disowned;
use crate::event::reason::doctor::HostHealth;
use crate::event::reason::fate::Fate;
use crate::event::reason::fit::{NameNote, PreSwitchRefusal, Unfit};
use crate::event::reason::forecast::{DryFault, NotKnown};
use crate::event::reason::guard::HandGuard;
use crate::event::reason::hooks::{HookFault, HooksEnd};
use crate::event::reason::inspection::{ComeBack, FoundAs, LastLook};
use crate::event::reason::inventory_fault::{ImportFault, InventoryFault};
use crate::event::reason::job::JobFailure;
use crate::event::reason::leftover::Left;
use crate::event::reason::look_ahead::{LookAhead, NotSeenAhead};
use crate::event::reason::notice::Notice;
use crate::event::reason::obstacle::HeldUp;
use crate::event::reason::push::PushNote;
use crate::event::reason::reboot::{FoundRolling, Regression, RollingEnd, RollingReason};
use crate::event::reason::record_fault::{RecordFault, RunFault};
use crate::event::reason::recover::{ClaimDoubt, RecoverReason};
use crate::event::reason::refusal::Refusal;
use crate::event::reason::rollback::{RollbackReason, Undone};
use crate::event::reason::rollback_target::RollbackDoubt;
use crate::event::reason::run_end::{FleetEnd, LinksAtEnd, Supersession};
use crate::event::reason::status::Ailment;
use crate::event::reason::survey::Judgement;
use crate::event::reason::trial::{TrialOutlook, TrialRefusal};
use crate::event::reason::trying::TryingReason;
use crate::event::reason::units::UnitCaution;
use crate::event::reason::unlinked::{Unlinked, UnlinkedFleet};
use crate::event::reason::waves::WaveFault;
use crate::event::reason::workstation::{FolderObstacle, WorkstationHealth};

/// One enum of reasons.
#[derive(Debug)]
pub struct ReasonList {
    /// In the order of its variants.
    pub codes: &'static [&'static str],
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl ReasonList {
    const fn of<R: VariantNames + JsonSchema>() -> Self {
        Self { codes: R::VARIANTS, schema: SchemaGenerator::subschema_for::<R> }
    }

    pub(super) fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

/// A reason that is in none of these fits no schema, which the tests of the events and of the lab see.
pub const LISTS: [ReasonList; 70] = [
    ReasonList::of::<Absence>(),
    ReasonList::of::<AbsentHub>(),
    ReasonList::of::<BaselineLink>(),
    ReasonList::of::<BaselineLogin>(),
    ReasonList::of::<BootRefusal>(),
    ReasonList::of::<BootDoubt>(),
    ReasonList::of::<BuildFault>(),
    ReasonList::of::<BuildNote>(),
    ReasonList::of::<CacheNote>(),
    ReasonList::of::<Cause>(),
    ReasonList::of::<Caution>(),
    ReasonList::of::<Claim>(),
    ReasonList::of::<CommandNote>(),
    ReasonList::of::<CommandEnd>(),
    ReasonList::of::<NotAgreed>(),
    ReasonList::of::<OpenRun>(),
    ReasonList::of::<Misuse>(),
    ReasonList::of::<WorkstationFault>(),
    ReasonList::of::<CopyFault>(),
    ReasonList::of::<CopyAgain>(),
    ReasonList::of::<Cut>(),
    ReasonList::of::<Disowned>(),
    ReasonList::of::<HostHealth>(),
    ReasonList::of::<Fate>(),
    ReasonList::of::<PreSwitchRefusal>(),
    ReasonList::of::<Unfit>(),
    ReasonList::of::<NameNote>(),
    ReasonList::of::<NotKnown>(),
    ReasonList::of::<DryFault>(),
    ReasonList::of::<HandGuard>(),
    ReasonList::of::<HookFault>(),
    ReasonList::of::<HooksEnd>(),
    ReasonList::of::<LastLook>(),
    ReasonList::of::<FoundAs>(),
    ReasonList::of::<ComeBack>(),
    ReasonList::of::<InventoryFault>(),
    ReasonList::of::<ImportFault>(),
    ReasonList::of::<JobFailure>(),
    ReasonList::of::<Left>(),
    ReasonList::of::<LookAhead>(),
    ReasonList::of::<NotSeenAhead>(),
    ReasonList::of::<Notice>(),
    ReasonList::of::<HeldUp>(),
    ReasonList::of::<PushNote>(),
    ReasonList::of::<RollingReason>(),
    ReasonList::of::<RollingEnd>(),
    ReasonList::of::<Regression>(),
    ReasonList::of::<FoundRolling>(),
    ReasonList::of::<RecordFault>(),
    ReasonList::of::<RunFault>(),
    ReasonList::of::<RecoverReason>(),
    ReasonList::of::<ClaimDoubt>(),
    ReasonList::of::<Refusal>(),
    ReasonList::of::<RollbackReason>(),
    ReasonList::of::<Undone>(),
    ReasonList::of::<RollbackDoubt>(),
    ReasonList::of::<FleetEnd>(),
    ReasonList::of::<Supersession>(),
    ReasonList::of::<LinksAtEnd>(),
    ReasonList::of::<Ailment>(),
    ReasonList::of::<Judgement>(),
    ReasonList::of::<TrialOutlook>(),
    ReasonList::of::<TrialRefusal>(),
    ReasonList::of::<TryingReason>(),
    ReasonList::of::<UnitCaution>(),
    ReasonList::of::<Unlinked>(),
    ReasonList::of::<UnlinkedFleet>(),
    ReasonList::of::<WaveFault>(),
    ReasonList::of::<WorkstationHealth>(),
    ReasonList::of::<FolderObstacle>(),
];
