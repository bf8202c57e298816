//! Why a recovery leaves everything as it found it.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::inspection::FoundAs;
use crate::inventory::model::HostName;

/// The reason why a recovery leaves everything as it found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum HeldUp {
    /// Hosts do not answer that the person did not name.
    MoreHostsSilent {
        /// The hosts that were named as missing.
        missing: Vec<HostName>,
        /// The hosts that do not answer either.
        silent: Vec<HostName>,
    },
    /// A guard is armed, or a step is at work: nothing is removed.
    StillGuarded {
        /// The hosts with that guard.
        guarded: Vec<HostName>,
    },
    /// The hosts are not all at rest on one side, and that was not accepted.
    NotOnOneSide {
        /// How each host stands.
        stands: Vec<Stand>,
    },
    /// Some say that the run was ended on old, and others on new.
    EndedOnBothSides {
        /// The hosts that say that it was ended on old.
        old: Vec<HostName>,
        /// The hosts that say that it was ended on new.
        new: Vec<HostName>,
    },
    /// A host says that the run was ended, and one that was there then is not where that was.
    NotAsMarked {
        /// That host.
        elsewhere: HostName,
        found: FoundAs,
    },
    /// More is to be done than to clean up after a run that was ended on old.
    NotBackOnOld,
}

/// How a host stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Stand {
    pub host: HostName,
    pub found: FoundAs,
}
