//! Makes the private folder of a run, makes it anew if it vanishes, and removes those of runs that were killed.
//!
//! A process that uses a folder holds the lock in it. The kernel frees the lock when the process dies, in whatever way,
//! and our children do not inherit it. So a folder with a free lock is not used any more, and the next run removes it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FallocateFlags, Flock, FlockArg, OFlag, fallocate};

use super::workspace_error::WorkspaceError;
use crate::local::private;

/// ssh binds `PATH.16characters` and a socket's path ends at 107 bytes: 89 worked and 91 did not
/// (docs/facts.md, "The path of a control socket").
const SOCKET_PATH_LIMIT: usize = 88;
/// The longest name within the folder: `m`, four digits, a dot, up to six digits.
const SOCKET_NAME_LENGTH: usize = 12;

const PREFIX: &str = "fleetdeploy-";
/// After the prefix: what tempfile makes up.
const RANDOM: usize = 6;
const LOCK: &str = "lock";
/// Keeps room in the file system: it is given up once a file finds none.
const ROOM: &str = "room.new";
/// The generated config of a hundred hosts, twice.
const ROOM_BYTES: i64 = 256 * 1024;

/// The most names that are looked at for left-overs: /tmp may be full of files of other users.
const LOOKED_AT: usize = 10_000;
/// The most left-overs that one run removes.
const REMOVED: usize = 100;

/// The folder, as long as this value lives.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    folder: tempfile::TempDir,
    kept: Mutex<FolderKept>,
}

#[derive(Debug)]
struct FolderKept {
    /// `None` only if the file system has no locks. Then no run takes the folder for a left-over, because its lock has
    /// another name.
    lock: Option<Flock<File>>,
    /// The files that were written here, by their names.
    files: BTreeMap<OsString, Vec<u8>>,
}

impl PrivateFolder {
    /// Makes the folder with mode 0700 whatever the umask, and with a path short enough for sockets: under `/tmp`, else
    /// under `XDG_RUNTIME_DIR`, which goes with the last login of the person while a run goes on (`pam_systemd(8)`).
    ///
    /// # Errors
    /// [`WorkspaceError::Folder`] where there is no place for it.
    pub(super) fn make() -> Result<Self, WorkspaceError> {
        let parent = PathBuf::from("/tmp");
        Self::make_in(&parent).or_else(|source| {
            let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|parent| fits(parent));
            let made = runtime.and_then(|parent| Self::make_in(&parent).ok());
            made.ok_or(WorkspaceError::Folder { folder: parent, source })
        })
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        remove_left_overs(parent);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(RANDOM)
            .permissions(private::folder_permissions())
            .tempdir_in(parent)?;
        // A umask can have left less of them.
        std::fs::set_permissions(folder.path(), private::folder_permissions())?;
        let lock = lock(folder.path()).ok();
        match keep_room(folder.path()) {
            // A full file system is no place; one that cannot keep room may have some.
            Err(error) if is_full(&error) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        Ok(Self { folder, kept: Mutex::new(FolderKept { lock, files: BTreeMap::new() }) })
    }

    /// Keeps a copy of this file, and of those that were not there the last time. What cannot be read is not kept.
    pub(super) fn keep(&self, changed: &OsStr) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(entries) = std::fs::read_dir(self.path()) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let is_whole = name != LOCK && !name.as_encoded_bytes().ends_with(b".new");
            if is_file && is_whole && (name == changed || !kept.files.contains_key(&name)) {
                let Ok(bytes) = std::fs::read(entry.path()) else { continue };
                kept.files.insert(name, bytes);
            }
        }
    }

    /// Makes the folder and its files anew where somebody has cleaned them away. The sockets in it are lost: masters
    /// must be started again.
    ///
    /// # Errors
    /// They cannot be made, or somebody else has put something in their place.
    pub(super) fn mend(&self, wanted: &OsStr) -> io::Result<()> {
        if std::fs::symlink_metadata(self.path().join(wanted)).is_ok_and(|metadata| metadata.is_file()) {
            return Ok(());
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match private::make_folder(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Below /tmp anybody may make a folder of this name once ours is gone.
                let found = std::fs::symlink_metadata(self.path())?;
                if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o077 != 0 {
                    return Err(error);
                }
            }
            made => made?,
        }
        if !self.path().join(LOCK).exists() {
            kept.lock = lock(self.path()).ok();
        }
        for (name, bytes) in &kept.files {
            let path = self.path().join(name);
            if !path.exists() {
                private::open(File::options().write(true).create_new(true), &path)?.write_all(bytes)?;
            }
        }
        Ok(())
    }

    /// Returns whether there is more room for a file that has found none, so that it may be written once more.
    pub(super) fn give_room(&self, found_none: &io::Error) -> bool {
        is_full(found_none) && std::fs::remove_file(self.path().join(ROOM)).is_ok()
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Plain characters only: the path stands in an ssh config and in `NIX_SSHOPTS`.
fn fits(parent: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    parent.is_absolute()
        && parent.as_os_str().as_encoded_bytes().iter().all(plain)
        && parent.as_os_str().len() + 1 + PREFIX.len() + RANDOM + 1 + SOCKET_NAME_LENGTH <= SOCKET_PATH_LIMIT
}

/// # Errors
/// There is no room, or the file system keeps none.
fn keep_room(folder: &Path) -> io::Result<()> {
    let room = folder.join(ROOM);
    let file = private::open(File::options().write(true).create(true), &room)?;
    fallocate(&file, FallocateFlags::empty(), 0, ROOM_BYTES)?;
    Ok(())
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Takes the folder for this process. The lock gets its name only once it is held, so a free lock with that name
/// belongs to a dead run.
fn lock(folder: &Path) -> io::Result<Flock<File>> {
    let draft = folder.join("lock.new");
    let file = private::open(File::options().write(true).create_new(true), &draft)?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| io::Error::from(errno))?;
    std::fs::rename(&draft, folder.join(LOCK))?;
    Ok(lock)
}

/// Removes the folders that killed runs of this user have left. A folder that cannot be looked at or removed stays, and
/// does no harm.
fn remove_left_overs(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let names = entries.take(LOOKED_AT).filter_map(Result::ok).filter(|entry| is_name_of_ours(&entry.file_name()));
    for folder in names.map(|entry| entry.path()).filter(|folder| is_left_over(folder)).take(REMOVED) {
        // `remove_dir_all` follows no link on its way.
        let _ = std::fs::remove_dir_all(folder);
    }
}

fn is_name_of_ours(name: &OsStr) -> bool {
    let random = name.as_encoded_bytes().strip_prefix(PREFIX.as_bytes());
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
}

/// Returns whether it is a folder of this user and no link to one, with a free lock in it.
fn is_left_over(folder: &Path) -> bool {
    let is_ours = |metadata: &std::fs::Metadata| metadata.uid() == nix::unistd::geteuid().as_raw();
    if !std::fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir() && is_ours(&metadata)) {
        return false;
    }
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let Ok(lock) = File::options().read(true).custom_flags(flags.bits()).open(folder.join(LOCK)) else { return false };
    let is_lock = lock.metadata().is_ok_and(|metadata| metadata.is_file() && is_ours(&metadata));
    is_lock && Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::{Mode, umask};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// As [`PrivateFolder::make_in`] leaves it when its process is killed.
    fn left_over(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(name);
        private::make_folder(&folder).unwrap();
        drop(lock(&folder).unwrap());
        std::fs::write(folder.join("config"), "Host vps").unwrap();
        folder
    }

    #[test]
    fn it_is_its_owners_alone_whatever_the_umask() {
        for bits in [0o000, 0o022, 0o077, 0o777] {
            let parent = tempfile::tempdir().unwrap();
            let before = umask(Mode::from_bits_truncate(bits));
            let made = PrivateFolder::make_in(parent.path());
            umask(before);
            let made = made.unwrap();
            assert_eq!((mode(made.path()), mode(&made.path().join(LOCK))), (0o700, 0o600), "umask {bits:o}");
        }
    }

    #[test]
    fn what_a_killed_run_has_left_is_removed_by_the_next_one() {
        let parent = tempfile::tempdir().unwrap();
        let left: Vec<PathBuf> =
            ["aaaaaa", "Zz0129"].iter().map(|name| left_over(parent.path(), &format!("{PREFIX}{name}"))).collect();
        let made = PrivateFolder::make_in(parent.path()).unwrap();
        assert!(left.iter().all(|folder| !folder.exists()));
        // A run that lives keeps its folder.
        let other = PrivateFolder::make_in(parent.path()).unwrap();
        assert!(made.path().join(LOCK).exists() && other.path().exists());
        let path = made.path().to_owned();
        drop(made);
        assert!(!path.exists(), "its own end removes it");
    }

    #[test]
    fn what_is_not_surely_a_left_over_of_ours_stays() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let elsewhere = tempfile::tempdir().unwrap();
        let precious = left_over(elsewhere.path(), "fleetdeploy-target");
        // These are not known to be ours: no lock, a lock that is a link, a lock that is a pipe.
        private::make_folder(&at("fleetdeploy-nolock")).unwrap();
        private::make_folder(&at("fleetdeploy-linked")).unwrap();
        symlink(precious.join(LOCK), at("fleetdeploy-linked").join(LOCK)).unwrap();
        private::make_folder(&at("fleetdeploy-fifofi")).unwrap();
        nix::unistd::mkfifo(&at("fleetdeploy-fifofi").join(LOCK), Mode::S_IRWXU).unwrap();
        // A link to a left-over, a file, and names that are not ours.
        symlink(&precious, at("fleetdeploy-llllll")).unwrap();
        std::fs::write(at("fleetdeploy-ffffff"), "").unwrap();
        left_over(parent.path(), "fleetdeploy-sevenxx");
        left_over(parent.path(), "fleetdeploy-a.b-cd");
        left_over(parent.path(), "other-abcdef");
        // A left-over that holds a link: the link goes, what it leads to stays.
        let with_link = left_over(parent.path(), "fleetdeploy-wlinks");
        symlink(&precious, with_link.join("way")).unwrap();
        let mut before: Vec<_> =
            std::fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        remove_left_overs(parent.path());
        let mut after: Vec<_> =
            std::fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        before.retain(|name| name != "fleetdeploy-wlinks");
        before.sort();
        after.sort();
        assert_eq!(after, before);
        assert!(precious.join("config").exists());
    }

    #[test]
    fn what_somebody_has_cleaned_away_is_made_anew_and_is_no_left_over() {
        let parent = tempfile::tempdir().unwrap();
        let made = PrivateFolder::make_in(parent.path()).unwrap();
        let config = made.path().join("config");
        for text in ["Host old", "Host vps"] {
            std::fs::write(&config, text).unwrap();
            made.keep(OsStr::new("config"));
        }
        let mend = || made.mend(OsStr::new("config"));
        std::fs::remove_file(&config).unwrap();
        mend().unwrap();
        assert_eq!(std::fs::read_to_string(&config).unwrap(), "Host vps");
        std::fs::remove_dir_all(made.path()).unwrap();
        mend().unwrap();
        assert_eq!((mode(made.path()), mode(&config)), (0o700, 0o600));
        assert_eq!(std::fs::read_to_string(&config).unwrap(), "Host vps");
        drop(PrivateFolder::make_in(parent.path()).unwrap());
        assert!(config.exists(), "a run that lives keeps its folder");
        // What somebody else has put in its place is not used.
        std::fs::remove_dir_all(made.path()).unwrap();
        symlink(parent.path(), made.path()).unwrap();
        assert!(mend().is_err());
        std::fs::remove_file(made.path()).unwrap();
        private::make_folder(made.path()).unwrap();
        std::fs::set_permissions(made.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(mend().is_err());
    }

    #[test]
    fn somebody_elses_left_over_stays() {
        if !nix::unistd::geteuid().is_root() {
            // Only root can give a folder away.
            return;
        }
        let parent = tempfile::tempdir().unwrap();
        let folder = left_over(parent.path(), "fleetdeploy-others");
        std::os::unix::fs::chown(&folder, Some(12_345), None).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        remove_left_overs(parent.path());
        assert!(folder.exists());
    }
}
