//! Why a fleet's systems could not be evaluated or built.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::facts::store_path::StorePath;

/// What stands against a host's system, or against those of all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum BuildFault {
    /// The workstation's Nix cannot do what is asked of it.
    WorkstationNixOld {
        /// What it has.
        #[serde(rename = "program_version")]
        version: String,
        /// The oldest that would do.
        oldest: String,
    },
    /// The workstation has no Nix that starts.
    WorkstationNixMissing { said: String },
    /// Nix has evaluated none of the systems.
    EvaluationFailed { said: String },
    /// Nix has evaluated no system of this host.
    SystemNotEvaluated { said: String },
    /// Nix misses a file that is in the folder of the flake, and that git does not track.
    FileUntracked {
        /// Relative to `repository`.
        file: String,
        repository: String,
        said: String,
    },
    /// No machine that may build for this workstation can build a derivation that the host's system needs.
    BuilderMissing {
        /// `linux-6.12.8`.
        name: String,
        /// `aarch64-linux`.
        system_type: String,
        /// `kvm`.
        features: Vec<String>,
    },
    /// A derivation that the host's system needs has failed.
    DerivationFailed {
        /// `linux-6.12.8`.
        name: String,
        /// In Nix's words.
        said: String,
        derivation: StorePath,
    },
    /// The host's system was not built, and nothing that it needs is known to have failed.
    SystemNotBuilt { said: String },
    /// The build as a whole came to no end.
    BuildFailed { said: String },
}

/// What a person should know of an evaluation or build that succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum BuildNote {
    /// The configuration warns of something.
    EvaluationWarning {
        /// In its own words.
        said: String,
    },
}
