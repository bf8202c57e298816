//! Judges what a push needs of the workstation.

use super::{DoctorFinding, Severity};
use crate::event::reason::command_end::OpenRun;
use crate::event::reason::doctor::Stake;
use crate::event::reason::record_fault::RecordFault;
use crate::event::reason::unlinked::Unlinked;
use crate::event::reason::workstation::{FolderObstacle, WorkstationHealth};

/// The findings about the workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workstation {
    pub nix: Nix,
    /// `OpenSSH_10.0p2`; `None`: there is none.
    pub ssh: Option<String>,
    /// The place of the records, with the free space there; or why it cannot be written.
    pub record: Result<(String, Option<u64>), FolderObstacle>,
    /// Bytes that are free in the store.
    pub free_store: Option<u64>,
    /// A run of this fleet that did not come to its end.
    pub unfinished: Option<OpenRun>,
    /// Another reason of the records for which a push is refused.
    pub refused: Option<RecordFault>,
    /// The fleet has no link.
    pub unlinked: Option<Unlinked>,
}

/// The workstation's nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nix {
    Missing(String),
    TooOld(String),
    /// Nix is there, and its store does not answer.
    Broken(String),
    Works(String),
}

/// Less than this is little for records, and for a build.
const LITTLE_RECORD: u64 = 50 << 20;
const LITTLE_STORE: u64 = 1 << 30;

/// Finds what would stop a push here.
#[must_use]
pub fn of_workstation(found: &Workstation) -> Vec<DoctorFinding> {
    let mut findings = vec![nix(&found.nix)];
    findings.push(match found.ssh.clone() {
        Some(version) => DoctorFinding::fine(WorkstationHealth::SshHere { version }),
        None => DoctorFinding::blocker(WorkstationHealth::SshMissing),
    });
    match found.record.clone() {
        Err(cause) => findings.push(DoctorFinding::blocker(WorkstationHealth::RecordsUnwritable { cause })),
        Ok((folder, free)) => {
            findings.push(DoctorFinding::fine(WorkstationHealth::RecordsWritable { folder: folder.clone() }));
            findings.extend(free.map(|free_bytes| {
                if free_bytes < LITTLE_RECORD {
                    DoctorFinding::warning(WorkstationHealth::RecordRoomScarce { place: folder, free_bytes })
                } else {
                    DoctorFinding::fine(WorkstationHealth::RoomEnough { place: folder, free_bytes })
                }
            }));
        }
    }
    findings.extend(found.free_store.map(|free_bytes| {
        let place = "/nix/store".to_owned();
        if free_bytes < LITTLE_STORE {
            DoctorFinding::warning(WorkstationHealth::StoreRoomScarce { place, free_bytes })
        } else {
            DoctorFinding::fine(WorkstationHealth::RoomEnough { place, free_bytes })
        }
    }));
    findings.extend(
        found
            .unfinished
            .clone()
            .map(|open| DoctorFinding::taken(Severity::Blocker, open.clone(), Stake::RunUnfinished(open))),
    );
    findings
        .extend(found.refused.clone().map(|fault| DoctorFinding::taken(Severity::Blocker, fault, Stake::PushRefused)));
    findings.extend(
        found
            .unlinked
            .as_ref()
            .map(|unlinked| DoctorFinding::taken(Severity::Warning, unlinked.clone(), Stake::NothingProven)),
    );
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn nix(nix: &Nix) -> DoctorFinding {
    match nix.clone() {
        Nix::Missing(error) => DoctorFinding::blocker(WorkstationHealth::NixMissing { error }),
        Nix::TooOld(version) => DoctorFinding::blocker(WorkstationHealth::NixTooOld { version }),
        Nix::Broken(error) => DoctorFinding::blocker(WorkstationHealth::NixStoreSilent { error }),
        Nix::Works(version) => DoctorFinding::fine(WorkstationHealth::NixHere { version }),
    }
}
