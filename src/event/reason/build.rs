//! Why a fleet's systems could not be evaluated or built.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::cause::Cause;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// What stands against a host's system, or against those of all hosts. `said` is the words of Nix or of the operating
/// system.
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
    WorkstationNixMissing {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// Only a tree without changes was to be taken, and it has some that are in no commit.
    TreeDirty {
        /// The flake.
        source: String,
        /// The commit that was changed; absent: there is none yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
    },
    /// Only a tree of a known revision was to be taken, and none is known of this source.
    RevisionUnknown {
        /// The flake or the file; empty: the systems are named by their store paths.
        source: String,
    },
    /// What names the flake is no reference to one.
    FlakeMistaken { flake: String },
    /// Nix has evaluated none of the systems.
    EvaluationFailed {
        /// The flake or the file.
        source: String,
        said: String,
    },
    /// Nix came to no end of the evaluation, of one host or of the fleet.
    EvaluationNotEnded {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The flake was changed each time while it was evaluated.
    FlakeChanging {
        /// The flake.
        source: String,
    },
    /// Nix's answer is none.
    EvaluationSenseless {
        /// The flake or the file.
        source: String,
        said: String,
    },
    /// Nix has evaluated no system of this host.
    SystemNotEvaluated { said: String },
    /// The flake has no such attribute.
    AttributeMissing {
        /// The flake or the file.
        source: String,
        attribute: String,
        /// The attribute in which it is not.
        parent: String,
        /// What is there instead.
        has: Vec<String>,
    },
    /// The attribute is something else than a derivation.
    AttributeNoDerivation {
        /// The flake or the file.
        source: String,
        attribute: String,
        /// What it is.
        kind: String,
    },
    /// The path of the system is not known before it is built.
    SystemPathUnknown { said: String },
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
        /// The host that was to build it, if it is not this workstation.
        #[serde(skip_serializing_if = "Option::is_none")]
        machine: Option<HostName>,
    },
    /// A derivation that the host's system needs has failed.
    DerivationFailed {
        /// `linux-6.12.8`.
        name: String,
        /// In Nix's words.
        said: String,
        derivation: StorePath,
        /// The host that built it, if it is not this workstation.
        #[serde(skip_serializing_if = "Option::is_none")]
        machine: Option<HostName>,
    },
    /// There is no login to the host that was to build the system.
    BuilderNotReached { machine: HostName, cause: Cause },
    /// The host that was to build the system, or the connection to it, has died in the middle.
    BuilderLost { machine: HostName, said: String },
    /// The disk of the host that was to build the system is full.
    BuilderFull { machine: HostName, said: String },
    /// The host that was to build the system has no Nix that this login may speak to.
    BuilderUnusable { machine: HostName, said: String },
    /// The file that is to sign the systems cannot do so.
    SignKeyUnusable { path: String, said: String },
    /// A system is built, and could not be signed.
    SystemNotSigned {
        path: String,
        said: String,
        /// The host in whose store it lies, if that is not this workstation.
        #[serde(skip_serializing_if = "Option::is_none")]
        machine: Option<HostName>,
    },
    /// The host's system was not built, and nothing that it needs is known to have failed.
    SystemNotBuilt { said: String },
    /// There is no folder for what keeps the systems from a garbage collection.
    RootsFolderMissing {
        path: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// Every system is there, and Nix failed all the same.
    NixFailedAfterBuild { said: String },
    /// The build as a whole came to no end.
    BuildFailed {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The store does not say what was built.
    BuildNotSeen {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
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
    /// The configuration traces values, as somebody lets it who looks for a mistake.
    EvaluationTraced {
        count: usize,
        /// The first of them.
        first: String,
    },
}
