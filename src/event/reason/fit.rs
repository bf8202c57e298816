//! Why a new system does not fit its host.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;
use crate::facts::fit::Misfit;

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
        /// `architecture`, `host_name`, `missing`, `no_system`, `no_switch`, `not_prepared`, `busy`.
        kind: String,
        /// The host's words.
        said: String,
    },
    /// The new system brings another kind of boot loader.
    BootLoaderChanges {
        /// `from grub to systemd-boot`.
        change: String,
    },
}

impl From<Misfit> for Unfit {
    fn from(misfit: Misfit) -> Self {
        Self::SystemUnfit { kind: misfit.kind, said: misfit.text }
    }
}
