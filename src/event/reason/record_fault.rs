//! Why a record cannot be written, read or found.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// What stands against the record of a run. `said` is always the words of the operating system or of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RecordFault {
    /// Neither `XDG_STATE_HOME` nor `HOME` says where records belong.
    RecordPlaceUnknown,
    /// It cannot be written.
    RecordWriteFailed {
        path: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// It cannot be read.
    RecordReadFailed {
        path: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A line of a journal is none.
    JournalEntryUnknown {
        path: String,
        /// Counts from 1.
        line: usize,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A newer fleetdeploy has written it.
    RecordOfNewerVersion {
        path: String,
        /// The version that has written it, if it says so.
        #[serde(rename = "program_version")]
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// Another process works on the fleet.
    FleetInUse {
        fleet: String,
        /// Absent in the moment before it has said who it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// Absent until the run has its record.
        #[serde(rename = "of_run")]
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<String>,
    },
}

/// Why no run is the one that a person means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RunFault {
    /// There is no record of any run.
    NoRunRecorded,
    /// No run was rolled back, refused or split.
    NoRunFailed,
    /// No run has this name.
    RunNameUnknown {
        name: String,
        /// What was probably meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
    },
    /// Several runs have this name.
    RunNameAmbiguous {
        name: String,
        /// Newest first.
        candidates: Vec<String>,
    },
    /// No run of the fleet was committed.
    NoRunCommitted { fleet: String },
    /// The run is of another fleet.
    RunOfOtherFleet {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
        /// The inventory of that fleet.
        path: String,
    },
    /// The run was refused, or had nothing to do, so the systems of its hosts were not written down.
    RunChangedNothing {
        #[serde(rename = "of_run")]
        run: String,
    },
    /// The run did not leave its hosts on one side.
    RunOnNoOneSide {
        #[serde(rename = "of_run")]
        run: String,
        ended: NoOneSide,
    },
}

/// How a run ended that did not leave its hosts on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoOneSide {
    Split,
    Left,
    Superseded,
    Unfinished,
}
