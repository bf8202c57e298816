//! The folder of one run, and the files in it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::facts::plan::Plan;
use crate::facts::provenance::Provenance;
use crate::inventory::model::HostName;
use crate::local::private;
use crate::record::journal::{self, Written};
use crate::record::run_id::RunId;
use crate::record::{RecordError, read_whole, sync_folder, write_error};

/// `plan.json`: with the journal, all that a recovery needs to know of a run.
///
/// It borrows the plan that it writes: in a large mesh there is no room for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan<'a> {
    pub fleet: String,
    /// The inventory's file, absolute.
    pub inventory: PathBuf,
    /// `person@workstation`.
    pub owner: String,
    /// Where a rollback goes, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<String>,
    /// Hosts of the fleet that took no part: they were left out, or did not answer and were not needed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<HostName>,
    /// Where the new systems come from; absent: they were on the hosts, or a record of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    pub plan: Cow<'a, Plan>,
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    pub(super) id: RunId,
    pub(super) path: PathBuf,
}

impl RunFolder {
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `journal.jsonl`.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// `events.jsonl`.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// `plan.json`.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// `hosts/`, with a log for each host.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.path.join("hosts")
    }

    /// `hosts/NAME.log`.
    #[must_use]
    pub fn host_log(&self, host: &HostName) -> PathBuf {
        self.hosts().join(format!("{host}.log"))
    }

    /// `build.log`: what nix printed.
    #[must_use]
    pub fn build_log(&self) -> PathBuf {
        self.path.join("build.log")
    }

    /// # Errors
    /// Those of [`journal::read`].
    pub fn read_journal(&self) -> Result<Vec<Written>, RecordError> {
        journal::read(&self.journal())
    }

    /// Reads what [`write_plan`](Self::write_plan) has written; `None` if it cannot be read, for any reason: the hosts
    /// themselves tell the rest.
    #[must_use]
    pub fn read_plan(&self) -> Option<SavedPlan<'static>> {
        serde_json::from_slice(&read_whole(&self.plan()).ok()?).ok()
    }

    /// Writes `plan.json`, whole or not at all, and durable: a recovery reads it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_plan(&self, plan: &impl Serialize) -> Result<(), RecordError> {
        self.write_whole(&self.plan(), plan).map_err(write_error(&self.plan()))
    }

    /// Writes a JSON file of the run whole or not at all, and durable.
    pub(in crate::record) fn write_whole(&self, path: &Path, value: &impl Serialize) -> std::io::Result<()> {
        let fresh = path.with_extension("json.new");
        let file = private::open(std::fs::File::options().write(true).create(true).truncate(true), &fresh)?;
        // Never as one text: the plan of a large mesh is long.
        let mut file = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        let file = file.into_inner()?;
        // The text is durable before it gets its name: after a power cut the old file is there or the new one, and
        // never a part of it.
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        sync_folder(&self.path)
    }
}
