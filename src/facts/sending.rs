//! The ways by which a system comes to its host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::model::HostName;

/// The way by which a system comes to its host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SendingWay {
    /// From this workstation.
    Sent,
    /// From this workstation, less what the host's own binary caches have.
    SentOrFetched,
    /// It fetches it from the cache of the fleet, which is filled first: this workstation sends nothing.
    Fetched,
    /// From the host that has built it, through this workstation.
    Between { from: HostName },
}

impl SendingWay {
    /// Whether bytes leave this workstation.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        !matches!(self, Self::Fetched)
    }

    /// The host that has built it, if this workstation has not.
    #[must_use]
    pub fn builder(&self) -> Option<&HostName> {
        match self {
            Self::Between { from } => Some(from),
            Self::Sent | Self::SentOrFetched | Self::Fetched => None,
        }
    }
}
