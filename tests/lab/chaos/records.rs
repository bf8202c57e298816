//! The journals of a run, on whichever workstation they are, and the watch over the boot defaults while it goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::fleet::Fleet;

/// The journals that are new since this was made.
#[derive(Debug, Clone)]
pub(super) struct Records {
    fleet: PathBuf,
    known: BTreeSet<PathBuf>,
}

impl Records {
    pub(super) fn from_now_on(fleet: &Fleet) -> Self {
        let fleet = fleet.place().to_owned();
        let known = journals(&fleet);
        Self { fleet, known }
    }

    /// Whether somebody has written down the decision to commit.
    pub(super) fn decided(&self) -> bool {
        self.has(&["\"decided\"", "\"disarming\""])
    }

    fn has(&self, words: &[&str]) -> bool {
        journals(&self.fleet).difference(&self.known).any(|journal| {
            let text = std::fs::read_to_string(journal).unwrap_or_default();
            words.iter().any(|word| text.contains(word))
        })
    }
}

/// All of them, on both workstations.
pub(super) fn journals(fleet: &Path) -> BTreeSet<PathBuf> {
    let folders =
        ["laptop", "laptop2"].map(|ws| fleet.join("ws").join(ws).join("root/root/.local/state/fleetdeploy/runs"));
    let runs = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    runs.filter_map(|run| Some(run.ok()?.path().join("journal.jsonl"))).filter(|journal| journal.exists()).collect()
}

/// The hosts without a boot loader; see `scripts/lab/hosts.tsv`.
const CONTAINERS: [&str; 2] = ["box", "incus"];

/// Looks all the time that no boot default moves before the decision is written (invariant 2).
#[derive(Debug)]
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Option<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    /// Every host boots its system of now until then; but for a container, whose boot default every activation moves:
    /// for the seconds that it takes, and as long as nobody has noticed that it was cut off in the middle.
    pub(super) fn over(fleet: &Fleet, hosts: &'static [&'static str], records: &Records) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let boots: Vec<(PathBuf, String)> = hosts
            .iter()
            .filter(|host| !CONTAINERS.contains(host))
            .map(|host| (fleet.place().join("hosts").join(host).join("boot"), fleet.before(host).boot_default.clone()))
            .collect();
        let (records, stopped, found) = (records.clone(), Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (boot, old) in &boots {
                    // The journal after the loader: it is written first.
                    if let Some(now) = boot_default(boot).filter(|now| now != old)
                        && !records.decided()
                    {
                        found
                            .lock()
                            .unwrap()
                            .get_or_insert(format!("{} moved to {now} before the decision", boot.display()));
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    pub(super) fn ended(mut self) -> Option<String> {
        self.end();
        self.seen.lock().unwrap().take()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// The system that a boot loader's files would start; `None` while they are being written.
pub(super) fn boot_default(boot: &Path) -> Option<String> {
    let lines = if let Ok(conf) = std::fs::read_to_string(boot.join("loader/loader.conf")) {
        let entry = conf.lines().find_map(|line| line.strip_prefix("default "))?.trim().to_owned();
        std::fs::read_to_string(boot.join("loader/entries").join(entry)).ok()?
    } else {
        std::fs::read_to_string(boot.join("grub/grub.cfg")).ok()?
    };
    let (_, rest) = lines.split_once("init=")?;
    Some(rest.split_whitespace().next()?.trim_end_matches("/init").to_owned())
}
