//! Why a fleet has no link.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::inventory::model::HostName;

/// The reason why a fleet has no link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Unlinked {
    /// One host alone has no other to look at it.
    SingleHostUnlinked { fleet: String, only: HostName },
    /// A mesh needs two hosts with a VPN address.
    VpnAddressesMissing {
        fleet: String,
        /// The one host that has an address.
        only: Option<HostName>,
    },
    /// Hosts have VPN addresses, and the fleet says `checks: []`.
    ChecksEmpty { fleet: String },
}

/// What is not proven of a fleet without a link, for commands that push or say what a push would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum UnlinkedFleet {
    /// It has no link, and this is what to write into the inventory.
    FleetUnlinked { cause: Unlinked },
}
