//! Remembers where the programs of a run are, for the case that they vanish from PATH while it goes on.
//!
//! On NixOS the folders of PATH are links to what a profile has now. A switch of this very workstation, which may be a
//! host of the fleet, moves them, and the program itself stays in the store until it is collected.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

static KNOWN: LazyLock<Mutex<BTreeMap<OsString, PathBuf>>> = LazyLock::new(Mutex::default);

/// Remembers where a program is that was started by this name, unless that is known.
pub(super) fn remember(program: &OsStr) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !is_name(program) || known.contains_key(program) {
        return;
    }
    if let Some(found) = std::env::var_os("PATH").and_then(|path| find(program, &path)) {
        known.insert(program.to_owned(), found);
    }
}

/// Returns the PATH of a child, where it is not ours: with the folders of programs that have vanished from that. The
/// child, and what it starts, then finds what earlier ones of this run have found. Only then: with a PATH of its own a
/// child is made by fork(2), which copies the tables of all memory (std, `sys/process/unix/unix.rs`).
pub(super) fn path() -> Option<OsString> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = std::env::var_os("PATH")?;
    with_vanished(&path, &known)
}

/// Returns whether a program that this run has started once is gone: from PATH, and from where it was.
pub(super) fn is_gone(program: &str) -> bool {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(OsStr::new(program)).is_some_and(|file| gone(OsStr::new(program), file, std::env::var_os("PATH")))
}

fn gone(program: &OsStr, file: &Path, path: Option<OsString>) -> bool {
    !is_program(file) && path.and_then(|path| find(program, &path)).is_none()
}

fn with_vanished(path: &OsStr, known: &BTreeMap<OsString, PathBuf>) -> Option<OsString> {
    let vanished = known.iter().filter(|(name, file)| find(name, path).is_none() && is_program(file));
    // A file with another name would not be found in its folder.
    let folders = vanished.filter(|(name, file)| file.file_name() == Some(name)).filter_map(|(_, file)| file.parent());
    let folders: Vec<&Path> = folders.collect();
    if folders.is_empty() {
        return None;
    }
    std::env::join_paths(std::env::split_paths(path).chain(folders.into_iter().map(Path::to_owned))).ok()
}

fn is_name(program: &OsStr) -> bool {
    !program.as_encoded_bytes().contains(&b'/')
}

/// The file that execvp(3) would run, behind all links.
fn find(program: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let there = std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| is_program(file))?;
    std::fs::canonicalize(there).ok()
}

fn is_program(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_program_that_vanishes_from_path_is_found_in_the_folder_of_the_file_behind_all_links() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let at = |name: &str| home.join(name);
        for folder in ["store", "old", "profile", "text"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        for file in ["store/ssh", "text/ssh"] {
            std::fs::write(at(file), "").unwrap();
        }
        std::fs::set_permissions(at("store/ssh"), Permissions::from_mode(0o755)).unwrap();
        symlink(at("store/ssh"), at("old/ssh")).unwrap();
        symlink(at("old/ssh"), at("profile/ssh")).unwrap();
        let path = std::env::join_paths([at("nowhere"), at("text"), at("profile")]).unwrap();
        assert_eq!(find(OsStr::new("ssh"), &path), Some(at("store/ssh")));
        assert_eq!(find(OsStr::new("nix"), &path), None);
        let known = BTreeMap::from([("ssh".into(), at("store/ssh")), ("gone".into(), at("store/gone"))]);
        assert_eq!(with_vanished(&path, &known), None);
        std::fs::remove_file(at("profile/ssh")).unwrap();
        assert!(!gone(OsStr::new("ssh"), &at("store/ssh"), Some(path.clone())), "it is where it was");
        assert!(gone(OsStr::new("ssh"), &at("store/gone"), Some(path.clone())));
        assert!(!gone(OsStr::new("ssh"), &at("store/gone"), Some(at("store").into())), "another is there");
        let mended = with_vanished(&path, &known).unwrap();
        assert_eq!(std::env::split_paths(&mended).last(), Some(at("store")));
        assert_eq!(find(OsStr::new("ssh"), &mended), Some(at("store/ssh")));
        assert!(is_name(OsStr::new("ssh")) && !is_name(OsStr::new("./ssh")));
    }
}
