//! Runs that an older version began and did not end, as tests/fixtures/old-runs keeps them: see the README there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where one host of such a run stood, from `facts.json`.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct OldHost {
    pub(crate) boot_id: String,
    pub(crate) machine_id: String,
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) generation: u64,
    pub(crate) sw: String,
    pub(crate) systemd: String,
    pub(crate) uptime: u64,
    /// The name of the token's file: `armed-4688`.
    pub(crate) token: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
struct Facts {
    run: String,
    hosts: BTreeMap<String, OldHost>,
}

/// An old run, dead at one of its stages.
#[derive(Debug)]
pub(crate) struct OldRun {
    pub(crate) run: String,
    pub(crate) hosts: BTreeMap<String, OldHost>,
    folder: PathBuf,
}

/// The folder of a version's fixtures.
pub(crate) fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old-runs").join(version)
}

/// Every stage of a version.
pub(crate) fn stages(version: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder(version)).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut stages: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    stages.sort();
    stages
}

impl OldRun {
    pub(crate) fn read(version: &str, stage: &str) -> Self {
        let folder = folder(version).join(stage);
        let text = std::fs::read_to_string(folder.join("facts.json")).unwrap();
        let Facts { run, hosts } = serde_json::from_str(&text).unwrap();
        Self { run, hosts, folder }
    }

    /// The files of the run's record, by their paths in its folder.
    pub(crate) fn record(&self) -> BTreeMap<String, String> {
        files(&self.folder.join("record"))
    }

    /// What a host had in /run/fleetdeploy, but its token and its programs.
    pub(crate) fn place(&self, host: &str) -> BTreeMap<String, String> {
        files(&self.folder.join(host).join("run"))
    }

    /// The files beside a host's roots.
    pub(crate) fn beside_roots(&self, host: &str) -> BTreeMap<String, String> {
        let mut files = files(&self.folder.join(host).join("roots"));
        files.remove("links");
        files
    }

    /// A host's roots: names and store paths.
    pub(crate) fn roots(&self, host: &str) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.folder.join(host).join("roots/links")).unwrap();
        let pair = |line: &str| line.split_once(' ').map(|(name, path)| (name.to_owned(), path.to_owned()));
        text.lines().map(|line| pair(line).unwrap()).collect()
    }
}

/// All files below a folder, by their paths in it; none if it is not there.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}
