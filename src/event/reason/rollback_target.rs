//! What a rollback goes back to, and what keeps a host from that.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// The aim of a rollback, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackAim {
    BeforeRun { run: String },
    AfterRun { run: String },
    At { time: String },
    Generation { number: u64 },
}

/// Why a rollback is not begun, or what it warns of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RollbackDoubt {
    /// The run that the host is to go back to does not know the host.
    HostNotInRun {
        #[serde(rename = "of_run")]
        run: String,
        host: HostName,
    },
    /// The system that the run names is not in the host's store any more.
    SystemOfRunGone { system: StorePath, generations: Vec<u64>, host: HostName },
    /// The host has no generation that is as old as the time.
    NoGenerationThen {
        time: String,
        /// The oldest that it has.
        #[serde(skip_serializing_if = "Option::is_none")]
        oldest: Option<OldestGeneration>,
        /// Those with a system that is still there.
        generations: Vec<u64>,
        host: HostName,
    },
    /// The system of the generation that ran at the time is not in the host's store any more.
    SystemThenGone { time: String, generation: u64, system: StorePath, generations: Vec<u64>, host: HostName },
    /// The system of the generation is not in the host's store any more.
    SystemOfGenerationGone { generation: u64, system: StorePath, generations: Vec<u64>, host: HostName },
    /// The host has no such generation.
    NoSuchGeneration { generation: u64, generations: Vec<u64>, host: HostName },
    /// The host runs something else than the run has left on it.
    ChangedSinceRun {
        #[serde(rename = "of_run")]
        run: String,
        current: StorePath,
        left: StorePath,
    },
}

/// The oldest generation of a host's system profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OldestGeneration {
    pub number: u64,
    /// When it was made: seconds since 1970, by the host's clock.
    pub made: u64,
}
