//! Lists every enum of reasons, for the schema of the events and the page of codes that is made from it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use strum::VariantNames;

use crate::event::reason::caution::Caution;
use crate::event::reason::disowned::Disowned;
use crate::event::reason::doctor::HostHealth;
use crate::event::reason::guard::HandGuard;
use crate::event::reason::reboot::{FoundRolling, Regression, RollingReason};
use crate::event::reason::recover::{ClaimDoubt, RecoverReason};
use crate::event::reason::rollback_target::RollbackDoubt;
use crate::event::reason::status::Ailment;
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
pub const LISTS: [ReasonList; 13] = [
    ReasonList::of::<Caution>(),
    ReasonList::of::<Disowned>(),
    ReasonList::of::<HostHealth>(),
    ReasonList::of::<HandGuard>(),
    ReasonList::of::<RollingReason>(),
    ReasonList::of::<Regression>(),
    ReasonList::of::<FoundRolling>(),
    ReasonList::of::<RecoverReason>(),
    ReasonList::of::<ClaimDoubt>(),
    ReasonList::of::<RollbackDoubt>(),
    ReasonList::of::<Ailment>(),
    ReasonList::of::<WorkstationHealth>(),
    ReasonList::of::<FolderObstacle>(),
];
