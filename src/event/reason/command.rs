//! What is to be said of a command before it begins, or as a person ends it.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::inventory::model::HostName;

/// A warning about the command as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CommandNote {
    /// Hosts take no part, as a person has asked.
    HostsLeftOut {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// Hosts are passed over that a run was without: nothing of it is there to go back from.
    HostsPassedOver {
        #[serde(rename = "of_run")]
        run: String,
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// The hosts are asked what the new systems would do to their units, which runs these there.
    UnitsWillBeAsked {
        /// The new systems are copied to the hosts for it.
        copies: bool,
    },
    /// A person ends a command that runs on many hosts.
    CommandEnding { signal: String },
}
