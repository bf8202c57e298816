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

/// Returns the PATH of a child, where it is not ours: behind ours, the folders in which earlier children of this run
/// were found. They are there before anything has vanished, since a program may vanish in the moment in which it is
/// started, and one that runs (ssh for a jump, nix for a copy) looks for others later.
pub(super) fn path() -> Option<OsString> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = std::env::var_os("PATH")?;
    with_known(&path, &known)
}

/// Returns the file by which a program is started, as the child's PATH would find it; `None`: it is to be looked for
/// there by the child, since it is no plain name, or its folder depends on that of the child, or it is nowhere.
///
/// A child that is started by its name and has a PATH of its own is made by fork(2), which copies the page tables of
/// this program. By a path it is made by `posix_spawn(3)`. The file is not followed: what is called by a link may look
/// at the folder in which it was called.
pub(super) fn file(program: &OsStr, path_of_child: Option<&OsStr>) -> Option<PathBuf> {
    let path = path_of_child.map(OsStr::to_owned).or_else(|| std::env::var_os("PATH"))?;
    file_in(program, &path)
}

fn file_in(program: &OsStr, path: &OsStr) -> Option<PathBuf> {
    if !is_name(program) {
        return None;
    }
    // From a folder on that is below the child's nothing is known here.
    let folders = std::env::split_paths(path).take_while(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(program)).find(|file| is_program(file))
}

/// Returns where a program was that this run has started once, if it is still there.
pub(super) fn known(program: &OsStr) -> Option<PathBuf> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(program).filter(|file| is_program(file)).cloned()
}

/// Returns whether a program that this run has started once is gone: from PATH, and from where it was.
pub(super) fn is_gone(program: &str) -> bool {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(OsStr::new(program)).is_some_and(|file| gone(OsStr::new(program), file, std::env::var_os("PATH")))
}

fn gone(program: &OsStr, file: &Path, path: Option<OsString>) -> bool {
    !is_program(file) && path.and_then(|path| find(program, &path)).is_none()
}

fn with_known(path: &OsStr, known: &BTreeMap<OsString, PathBuf>) -> Option<OsString> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(path).collect();
    let of_path = folders.len();
    for (name, file) in known {
        // A file with another name would not be found in its folder.
        if let (true, Some(folder)) = (file.file_name() == Some(name), file.parent())
            && !folders.iter().any(|listed| listed == folder)
        {
            folders.push(folder.to_owned());
        }
    }
    (folders.len() > of_path).then(|| std::env::join_paths(folders).ok())?
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
        let of_child = with_known(&path, &known).unwrap();
        assert_eq!(find(OsStr::new("ssh"), &of_child), Some(at("store/ssh")));
        assert_eq!(with_known(at("store").as_os_str(), &known), None, "it is there already");
        // In the moment in which the child is started.
        std::fs::remove_file(at("profile/ssh")).unwrap();
        assert_eq!(find(OsStr::new("ssh"), &of_child), Some(at("store/ssh")));
        assert!(!gone(OsStr::new("ssh"), &at("store/ssh"), Some(path.clone())), "it is where it was");
        assert!(gone(OsStr::new("ssh"), &at("store/gone"), Some(path.clone())));
        assert!(!gone(OsStr::new("ssh"), &at("store/gone"), Some(at("store").into())), "another is there");
        assert!(is_name(OsStr::new("ssh")) && !is_name(OsStr::new("./ssh")));
    }

    #[test]
    fn a_program_is_started_by_the_first_file_of_its_path_which_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for folder in ["store", "profile", "text"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        for file in ["store/nix", "text/nix-store"] {
            std::fs::write(at(file), "").unwrap();
        }
        std::fs::set_permissions(at("store/nix"), Permissions::from_mode(0o755)).unwrap();
        symlink(at("store/nix"), at("profile/nix-store")).unwrap();
        let path = std::env::join_paths([at("nowhere"), at("text"), at("profile"), at("store")]).unwrap();
        let found = |program: &str, path: &OsStr| file_in(OsStr::new(program), path);
        assert_eq!(found("nix-store", &path), Some(at("profile/nix-store")));
        assert_eq!(found("nix", &path), Some(at("store/nix")));
        assert_eq!(found("ssh", &path), None);
        assert_eq!(found("./nix", &path), None);
        // Where the child stands is not where this program stands.
        let relative = std::env::join_paths([Path::new("."), &at("store")]).unwrap();
        assert_eq!(found("nix", &relative), None);
    }
}
