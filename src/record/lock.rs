//! Allows one push at a time for each fleet on one workstation. Pushes from two workstations meet at the hosts' leases.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::event::reason::record_fault::RecordFault;
use crate::local::private;
use crate::record::folder::StateFolder;
use crate::record::run_id::cleaned;
use crate::record::{RecordError, read_whole, write_error};

/// The lock of a fleet: no other process on this workstation pushes it until this is dropped or the process ends, in
/// any way.
#[derive(Debug)]
#[must_use = "dropping it lets the fleet go"]
pub struct FleetLock {
    file: Flock<File>,
    path: PathBuf,
}

/// The process that holds a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// Absent until the run has its record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{0}")]
    Held(RecordFault),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl FleetLock {
    /// Takes the fleet of this inventory, without waiting. `inventory` is the file's path, resolved if it can be, so
    /// that two ways to one file are one fleet.
    ///
    /// # Errors
    /// [`LockError::Held`] names who has it.
    pub fn take(state: &StateFolder, fleet: &str, inventory: &Path) -> Result<Self, LockError> {
        let path = place(state, fleet, inventory);
        if let Some(folder) = path.parent() {
            StateFolder::make(folder)?;
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = private::open(&mut options, &path).map_err(write_error(&path))?;
        // It is a flock, and no file that is made and deleted: the kernel frees it when the process dies. The file
        // stays, because a process could else lock it after its name is gone, while another one locks a new file of
        // that name. Our children do not keep it, std opens every file close-on-exec.
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => {
                // Until this is written the file still names the holder before, or no one. No decision reads it.
                let mut lock = Self { file, path };
                lock.say(&Holder { pid: std::process::id(), run: None })?;
                Ok(lock)
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let holder = file.read_to_string(&mut text).ok();
                let holder: Option<Holder> = holder.and_then(|_| serde_json::from_str(&text).ok());
                let (pid, run) = holder.map_or((None, None), |Holder { pid, run }| (Some(pid), run));
                Err(LockError::Held(RecordFault::FleetInUse { fleet: fleet.to_owned(), pid, run }))
            }
            Err((_, errno)) => Err(write_error(&path)(errno.into()).into()),
        }
    }

    /// Says who has the fleet, without taking it: to take it for a moment could refuse a push that begins just then.
    #[must_use]
    pub fn holder(state: &StateFolder, fleet: &str, inventory: &Path) -> Option<RecordFault> {
        let path = place(state, fleet, inventory).canonicalize().ok()?;
        let Holder { pid, run } = serde_json::from_slice(&read_whole(&path).ok()?).ok()?;
        // The number may be another process's by now: only one that has the file open holds it.
        let mut open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let holds = open.any(|file| std::fs::read_link(file.path()).is_ok_and(|file| file == path));
        holds.then(|| RecordFault::FleetInUse { fleet: fleet.to_owned(), pid: Some(pid), run })
    }

    /// Lets others read which run holds the fleet.
    ///
    /// # Errors
    /// If the lock's file cannot be written; the fleet is held nevertheless.
    pub fn name_run(&mut self, run: &str) -> Result<(), RecordError> {
        self.say(&Holder { pid: std::process::id(), run: Some(run.to_owned()) })
    }

    fn say(&mut self, holder: &Holder) -> Result<(), RecordError> {
        let write = |file: &mut File| {
            let text = serde_json::to_vec(holder)?;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&text)
        };
        write(&mut self.file).map_err(write_error(&self.path))
    }
}

/// The lock's file.
fn place(state: &StateFolder, fleet: &str, inventory: &Path) -> PathBuf {
    let inventory = inventory.canonicalize().unwrap_or_else(|_| inventory.to_owned());
    let key = [fleet.as_bytes(), b"\0", inventory.as_os_str().as_encoded_bytes()].concat();
    state.folder().join("locks").join(format!("{}-{:016x}.lock", cleaned(fleet), fnv1a(&key)))
}

impl StateFolder {
    /// The runs that a living process of this workstation works on.
    ///
    /// Asks the locks' files and not the locks: to take one for a moment could refuse a push that begins just then. So
    /// this is for people, and nothing may be decided from it.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder().join("locks")).into_iter().flatten().flatten();
        let holders = files.filter_map(|file| serde_json::from_slice::<Holder>(&read_whole(&file.path()).ok()?).ok());
        let lives = |pid: u32| Path::new("/proc").join(pid.to_string()).exists();
        holders.filter(|holder| lives(holder.pid)).filter_map(|holder| holder.run).collect()
    }
}

/// FNV-1a, 64 bits: a short name for a fleet that every version of fleetdeploy gives it; std's hashes may change with
/// the compiler. Source: draft-eastlake-fnv.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_fleet_is_held_once_and_let_go_with_its_lock() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        let inventory = home.path().join("inventory.yaml");
        std::fs::write(&inventory, "").unwrap();
        assert_eq!(FleetLock::holder(&state, "homelab", &inventory), None, "nobody has ever held it");
        let mut first = FleetLock::take(&state, "homelab", &inventory).unwrap();
        first.name_run("20261122-161500-homelab-3f9c").unwrap();
        assert_eq!(state.running(), ["20261122-161500-homelab-3f9c"]);
        let same = home.path().join("./inventory.yaml");
        let run = Some("20261122-161500-homelab-3f9c".to_owned());
        let held = RecordFault::FleetInUse { fleet: "homelab".into(), pid: Some(std::process::id()), run };
        assert_eq!(FleetLock::holder(&state, "homelab", &same), Some(held));
        let error = FleetLock::take(&state, "homelab", &same).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "another fleetdeploy works on fleet `homelab`: process {}, run 20261122-161500-homelab-3f9c",
                std::process::id()
            )
        );
        let _other_fleet = FleetLock::take(&state, "office", &inventory).unwrap();
        let _other_inventory = FleetLock::take(&state, "homelab", &home.path().join("other.yaml")).unwrap();
        drop(first);
        let _again = FleetLock::take(&state, "homelab", &inventory).unwrap();
    }

    /// This is no test of its own, but the other process of the next test.
    #[test]
    #[expect(clippy::print_stdout, reason = "the next test waits for it")]
    fn holder_process() {
        let Ok(home) = std::env::var("FLEETDEPLOY_TEST_LOCK_HOME") else { return };
        let state = StateFolder::at(Path::new(&home).join("state"));
        let _lock = FleetLock::take(&state, "homelab", &Path::new(&home).join("inventory.yaml")).unwrap();
        println!("\nheld");
        let _ = std::io::stdin().read_line(&mut String::new());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a second process is what this is about")]
    fn another_process_that_holds_the_fleet_is_named_and_its_death_frees_it() {
        let home = tempfile::tempdir().unwrap();
        let mut other = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "record::lock::tests::holder_process", "--nocapture"])
            .env("FLEETDEPLOY_TEST_LOCK_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(other.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.into_iter().any(|line| line == "held"));
        let state = StateFolder::at(home.path().join("state"));
        let inventory = home.path().join("inventory.yaml");
        let Err(LockError::Held(fault)) = FleetLock::take(&state, "homelab", &inventory) else {
            panic!("the fleet is not held")
        };
        assert_eq!(fault, RecordFault::FleetInUse { fleet: "homelab".into(), pid: Some(other.id()), run: None });
        other.kill().unwrap();
        other.wait().unwrap();
        let _lock = FleetLock::take(&state, "homelab", &inventory).unwrap();
    }

    #[test]
    fn a_fleet_has_the_same_lock_file_in_every_version() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
