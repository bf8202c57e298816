//! What `doctor` finds on this workstation.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// A finding about this workstation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum WorkstationHealth {
    /// ssh is there.
    SshHere {
        #[serde(rename = "program_version")]
        version: String,
    },
    /// There is no ssh.
    SshMissing,
    /// Nix is here, is new enough, and its store answers.
    NixHere {
        #[serde(rename = "program_version")]
        version: String,
    },
    /// There is no nix.
    NixMissing { error: String },
    /// Nix is older than any whose words are known.
    NixTooOld {
        #[serde(rename = "program_version")]
        version: String,
    },
    /// Nix is here, and its store does not answer.
    NixStoreSilent {
        /// The words of nix.
        error: String,
    },
    /// The place of the records can be written.
    RecordsWritable { folder: String },
    /// The place of the records cannot be written.
    RecordsUnwritable { cause: FolderObstacle },
    /// There is room at this place.
    RoomEnough { place: String, free_bytes: u64 },
    /// There may be too little room for a record.
    RecordRoomScarce { place: String, free_bytes: u64 },
    /// There may be too little room for a build.
    StoreRoomScarce { place: String, free_bytes: u64 },
}

/// What keeps a folder from being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FolderObstacle {
    /// It is not known where it is to be.
    PlaceUnknown { error: String },
    /// Something else is in its place.
    NotAFolder { path: String },
    /// Nothing more can be written there.
    Full { path: String },
    /// The system does not let this user write there.
    NotWritable { path: String, error: String },
}
