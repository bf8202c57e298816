//! What is to be said of hosts that a run goes on without.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::cause::Cause;
use crate::inventory::model::HostName;

/// What is to be said of a host that takes no part in a run, or does not answer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Absence {
    /// It was left out, and answers now.
    LeftOutAnswers,
    /// The proof needs it as a witness, and it does not answer.
    WitnessNeeded {
        /// The required links that begin or end there.
        links: usize,
        /// What to add to the command to go on without all that are silent.
        without: Option<String>,
    },
    /// It is `optional` and does not answer: the run goes on without it.
    OptionalHostSilent { cause: Cause },
    /// A witness does not answer: its links are not proven.
    WitnessSilent { cause: Cause },
    /// It answers at another of its addresses than this one.
    AddressPassedOver { cause: Cause },
    /// A person wanted no more answers.
    InterruptedUnasked,
}

/// Why a link between two other hosts may be down: an absent host is the hub of their VPN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum AbsentHub {
    /// The inventory says that it is the hub.
    HubLeftOut {
        hub: HostName,
        /// The check that says so.
        check: String,
    },
    /// The VPN between these two may lead over one of these.
    HubMaybeLeftOut { left_out: Vec<HostName> },
}
