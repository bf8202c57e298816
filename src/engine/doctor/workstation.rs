//! Looks at what a push needs of the workstation.

use std::path::Path;

use ::nix::sys::statvfs::statvfs;
use ::nix::unistd::{AccessFlags, access, geteuid};

use super::LIMIT;
use crate::decide::doctor::{Nix, Workstation};
use crate::engine::causes::chain;
use crate::engine::workstation::ssh_version;
use crate::event::reason::command_end::OpenRun;
use crate::event::reason::record_fault::RecordFault;
use crate::event::reason::workstation::FolderObstacle;
use crate::nix;
use crate::record::RecordError;
use crate::record::folder::StateFolder;
use crate::record::lock::FleetLock;

/// Returns whether there is an ssh here: without one no host can be asked anything.
pub async fn has_ssh() -> bool {
    ssh_version().await.is_some()
}

/// Looks at the workstation. `fleet` and the inventory's file name the runs that may be unfinished.
pub async fn workstation(fleet: &str, inventory: &Path) -> Workstation {
    let (nix, ssh) = tokio::join!(nix_here(), ssh_version());
    let state = StateFolder::locate(|name| std::env::var_os(name));
    let (unfinished, refused) = state.as_ref().map_or((None, None), |state| of_records(state, fleet, inventory));
    Workstation {
        nix,
        ssh,
        record: state
            .map_err(|error| FolderObstacle::PlaceUnknown { error: chain(&error) })
            .and_then(|state| writable(state.folder())),
        free_store: free(Path::new("/nix/store")),
        unfinished,
        refused,
        unlinked: None,
    }
}

/// Finds what the records of this workstation have against a push: a run that has not ended, or another reason.
fn of_records(state: &StateFolder, fleet: &str, inventory: &Path) -> (Option<OpenRun>, Option<RecordFault>) {
    // A push that is under way has not ended either, and is nothing to recover.
    if let Some(in_use) = FleetLock::holder(state, fleet, inventory) {
        return (None, Some(in_use));
    }
    match state.unfinished(Some((fleet, inventory))) {
        Ok(unfinished) => (unfinished.map(|one| one.reason()), None),
        Err(error @ RecordError::Newer { .. }) => (None, Some(RecordFault::from(&error))),
        // What cannot be read is said of the place of the records.
        Err(_) => (None, None),
    }
}

async fn nix_here() -> Nix {
    match nix::version(LIMIT).await {
        Err(error) => Nix::Missing(chain(&error)),
        Ok(version) if !version.is_new_enough() => Nix::TooOld(version.to_string()),
        Ok(version) => match nix::ping(None, LIMIT).await {
            Ok(_) => Nix::Works(version.to_string()),
            Err(error) => Nix::Broken(chain(&error)),
        },
    }
}

/// Returns the folder in which it will be made, if it is not there yet.
fn writable(folder: &Path) -> Result<(String, Option<u64>), FolderObstacle> {
    let shown = |path: &Path| path.display().to_string();
    // The root is there always.
    let there = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return Err(FolderObstacle::NotAFolder { path: shown(there) });
    }
    access(there, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| FolderObstacle::NotWritable { path: shown(there), error: error.desc().to_owned() })?;
    if is_full(there) {
        return Err(FolderObstacle::Full { path: shown(there) });
    }
    Ok((folder.display().to_string(), free(there)))
}

/// Says whether not even a small file can be written there.
fn is_full(path: &Path) -> bool {
    let Ok(found) = statvfs(path) else { return false };
    // Some blocks may be kept for root. File systems that make files as they need them count none of them.
    let blocks = if geteuid().is_root() { found.blocks_free() } else { found.blocks_available() };
    blocks == 0 || (found.files() > 0 && found.files_free() == 0)
}

fn free(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    found.blocks_available().checked_mul(found.fragment_size())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_writable_where_it_can_be_made() {
        let there = tempfile::tempdir().unwrap();
        let (shown, free) = writable(&there.path().join("a/b")).unwrap();
        assert!(shown.ends_with("a/b") && free.is_some());
        let file = there.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(writable(&file.join("a")), Err(FolderObstacle::NotAFolder { path: file.display().to_string() }));
    }
}
