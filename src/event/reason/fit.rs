//! Why a new system does not fit its host.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;
use crate::facts::fit::Misfit;
use crate::inventory::model::HostName;

/// Why the new system's own pre-switch check refuses the push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PreSwitchRefusal {
    /// It says no.
    PreSwitchCheckFailed,
    /// It was ended after its limit: it has said neither yes nor no.
    PreSwitchCheckCutOff {
        #[serde(rename = "limit_ms", with = "millis")]
        #[schemars(with = "u64")]
        limit: Duration,
    },
}

/// Something about the new system that is not right for its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Unfit {
    /// The host itself says what.
    SystemUnfit {
        /// `architecture`, `missing`, `no_system`, `no_switch`, `not_prepared`, `busy`.
        kind: String,
        /// The host's words.
        said: String,
    },
    /// The new system has another name for the host than the one that it has, and nobody has said that it is renamed:
    /// it may be another host's system.
    HostNameDiffers {
        of: HostName,
        /// How the host calls itself now.
        here: String,
        /// How the new system calls it.
        new: String,
    },
    /// The new system brings another kind of boot loader.
    BootLoaderChanges {
        /// `from grub to systemd-boot`.
        change: String,
    },
}

/// What has come of `--rename` for a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NameNote {
    /// The new system gives the host another name, as somebody wants it.
    HostRenamed {
        /// How the host calls itself now.
        here: String,
        /// How the new system calls it.
        new: String,
    },
    /// The host keeps its name: there was nothing to take the check off for.
    NothingToRename {
        /// How the host calls itself.
        here: String,
    },
}

impl From<Misfit> for Unfit {
    fn from(misfit: Misfit) -> Self {
        Self::SystemUnfit { kind: misfit.kind, said: misfit.text }
    }
}
