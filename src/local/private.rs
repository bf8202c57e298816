//! Makes files and folders that only their owner can use, whatever the umask.
//!
//! A mode that is given to `open(2)` or `mkdir(2)` loses the bits of the umask. It can only become narrower, and under
//! a umask of 777 even the owner gets nothing. So the mode is set once more; it was never wider in between.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Returns the permissions of a folder.
#[must_use]
pub fn folder_permissions() -> Permissions {
    Permissions::from_mode(FOLDER_MODE)
}

/// Makes one folder.
///
/// # Errors
/// Those of `mkdir(2)`, also where there is one already.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    std::fs::set_permissions(path, folder_permissions())
}

/// Makes a folder, and the missing ones above it. Folders that are there stay as they are.
///
/// # Errors
/// Those of `mkdir(2)`.
pub fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folders(above)?;
    }
    match make_folder(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Opens a file; only its owner can use a file that this makes. `options` must not ask for a mode.
///
/// # Errors
/// Those of `open(2)`.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let file = options.mode(FILE_MODE).open(path)?;
    if is_new {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// Writes a file so that a reader sees the old one or the new one, whole. Two who write it at once must not: they
/// would share its draft.
///
/// # Errors
/// Those of `open(2)`, `write(2)` and `rename(2)`.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let mut file = open(File::options().write(true).create(true).truncate(true), Path::new(&draft))?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::{Mode, umask};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// The umask is the whole process's: a test has a process of its own (cargo-nextest), and elsewhere others only see
    /// files of theirs a moment narrower or wider.
    #[test]
    fn neither_a_wide_nor_a_narrow_umask_changes_what_is_made() {
        for bits in [0o000, 0o022, 0o077, 0o777] {
            let home = tempfile::tempdir().unwrap();
            let (folder, file) = (home.path().join("a/b/c"), home.path().join("file"));
            let before = umask(Mode::from_bits_truncate(bits));
            let made = make_folders(&folder).and_then(|()| open(OpenOptions::new().append(true).create(true), &file));
            umask(before);
            made.unwrap();
            for folder in [&folder, folder.parent().unwrap()] {
                assert_eq!(mode(folder), 0o700, "umask {bits:o}: {}", folder.display());
            }
            assert_eq!(mode(&file), 0o600, "umask {bits:o}");
        }
    }

    #[test]
    fn what_is_there_stays_as_somebody_wanted_it() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "x").unwrap();
        for (path, mode) in [(home.path(), 0o750), (file.as_path(), 0o640)] {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        make_folders(home.path()).unwrap();
        open(OpenOptions::new().append(true).create(true), &file).unwrap();
        assert_eq!((mode(home.path()), mode(&file)), (0o750, 0o640));
        assert_eq!(make_folder(home.path()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
