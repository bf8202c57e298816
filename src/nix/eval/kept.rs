//! Keeps the results of pure evaluations, below `$XDG_CACHE_HOME/fleetdeploy/evaluations`: a file for each state of a
//! flake, with the hosts in it that were evaluated.
//!
//! What is kept is believed only if all that a pure evaluation can depend on is the same, and if the store here still
//! has the derivation. Whatever is wrong with a file, the fleet is evaluated as if there were none.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::EvalTarget;
use super::arguments::is_pure;
use super::metadata::FlakeMetadata;
use crate::facts::attr_path::AttrPath;
use crate::facts::configured::Configured;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{EvaluationTerms, HostName};
use crate::local::private;
use crate::nix::invoke::{QUESTION_LIMIT, ask, nix_store};
use crate::nix::plain::without_credentials;
use crate::nix::version::NixVersion;

/// Another form of the files makes all that are there unknown.
const FORM: u32 = 2;

/// The most states of flakes that are kept; those that were used longest ago go first.
const MOST_FILES: usize = 64;

/// The most bytes of a file that are read, or written: a host takes some 4000, mostly by its users.
const LARGEST_FILE: u64 = 16 << 20;

/// The bytes of a derivation's file in which its outputs stand.
const OUTPUTS_OF_DERIVATION: u64 = 4096;

/// All that the result of a pure evaluation can depend on, but for the host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EvalKey(String);

impl EvalKey {
    /// `None` where a result must not be kept: an impure evaluation, or a flake of which Nix does not say the content.
    pub(super) fn of(
        metadata: &FlakeMetadata,
        attr: &AttrPath,
        terms: &EvaluationTerms,
        version: &NixVersion,
    ) -> Option<Self> {
        if !is_pure(terms) || metadata.source.nar_hash.is_none() {
            return None;
        }
        let NixVersion { flavour, text, .. } = version;
        let parts = json!({
            "form": FORM,
            "nix": format!("{flavour:?} {text}"),
            "machine": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            // With hash, revision, dirty revision and date: a flake can read each of them from `self`.
            "url": metadata.locked_url,
            "locked": metadata.locked,
            "locks": metadata.locks,
            "attr": attr.components(),
            "options": terms.options,
            "override_inputs": terms.override_inputs,
        });
        // A login in a URL is no part of what is evaluated, and belongs into no file.
        Some(Self(without_credentials(&parts.to_string()).into_owned()))
    }
}

/// What is kept of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptHost {
    pub(super) derivation: StorePath,
    pub(super) output: StorePath,
    /// What the evaluation warned of, of this host or of one that was evaluated together with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    /// What it is configured to be, if that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) configured: Option<Box<Configured>>,
}

#[derive(Serialize, Deserialize)]
struct KeptFile {
    key: String,
    hosts: BTreeMap<HostName, KeptHost>,
    /// Of the hosts: nobody's secret, but a disk that has flipped a bit must not choose a system.
    sum: u64,
}

impl KeptFile {
    fn sum(hosts: &BTreeMap<HostName, KeptHost>) -> u64 {
        fnv(serde_json::to_string(hosts).unwrap_or_default().as_bytes())
    }
}

/// The folder of what is kept.
#[derive(Debug, Clone)]
pub struct KeptEvaluations {
    folder: PathBuf,
}

impl KeptEvaluations {
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// `$XDG_CACHE_HOME/fleetdeploy/evaluations`, or `$HOME/.cache/...`, read through `variable`; `None` if neither is
    /// an absolute path. Source: XDG Base Directory Specification.
    #[must_use]
    pub fn locate(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
        Some(Self::at(cache.join("fleetdeploy/evaluations")))
    }

    /// Returns those of the hosts that are known, and whose derivations are in the store.
    pub(super) async fn known(&self, key: &EvalKey, hosts: &[HostName]) -> BTreeMap<HostName, KeptHost> {
        let Some(kept) = self.read(key) else { return BTreeMap::new() };
        let _ = File::open(self.file(key)).and_then(|file| file.set_modified(SystemTime::now()));
        let mut kept: BTreeMap<_, _> = kept.into_iter().filter(|(host, _)| hosts.contains(host)).collect();
        kept.retain(|_, host| host.derivation.is_derivation() && is_output_of(&host.output, &host.derivation));
        if kept.is_empty() {
            return kept;
        }
        let Some(gone) = not_in_store(kept.values().map(|host| &host.derivation)).await else { return BTreeMap::new() };
        kept.retain(|_, host| !gone.contains(host.derivation.as_str()));
        kept
    }

    /// Keeps these hosts beside those that are kept under the same key. Of two who keep at once, one wins. A cache that
    /// cannot be written is none.
    pub(super) fn keep(&self, key: &EvalKey, found: BTreeMap<HostName, KeptHost>) {
        if found.is_empty() || private::make_folders(&self.folder).is_err() || !self.is_ours() {
            return;
        }
        let mut hosts = self.read(key).unwrap_or_default();
        hosts.extend(found);
        let file = KeptFile { key: key.0.clone(), sum: KeptFile::sum(&hosts), hosts };
        let Ok(text) = serde_json::to_string(&file) else { return };
        if u64::try_from(text.len()).is_ok_and(|length| length <= LARGEST_FILE) {
            // The draft has a name of its own, and only its owner can read it.
            let draft = tempfile::NamedTempFile::new_in(&self.folder);
            let _ = draft.and_then(|mut draft| {
                draft.write_all(text.as_bytes())?;
                draft.persist(self.file(key)).map_err(|error| error.error)
            });
        }
        self.trim();
    }

    fn read(&self, key: &EvalKey) -> Option<BTreeMap<HostName, KeptHost>> {
        if !self.is_ours() {
            return None;
        }
        let mut text = String::new();
        File::open(self.file(key)).ok()?.take(LARGEST_FILE).read_to_string(&mut text).ok()?;
        let KeptFile { key: of, hosts, sum } = serde_json::from_str(&text).ok()?;
        (of == key.0 && sum == KeptFile::sum(&hosts)).then_some(hosts)
    }

    /// Two keys with one name take each other's place: the whole key stands in the file.
    fn file(&self, key: &EvalKey) -> PathBuf {
        self.folder.join(format!("{:016x}.json", fnv(key.0.as_bytes())))
    }

    /// What others may write is not believed: it names what runs on a fleet.
    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.folder).is_ok_and(|folder| {
            folder.is_dir() && folder.uid() == ::nix::unistd::geteuid().as_raw() && folder.mode() & 0o022 == 0
        })
    }

    /// Removes what was used longest ago, and the drafts of those that did not come to an end.
    fn trim(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let with_time = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
        let mut files: Vec<_> = entries.flatten().filter_map(with_time).collect();
        files.sort();
        for (_, file) in &files[..files.len().saturating_sub(MOST_FILES)] {
            let _ = fs::remove_file(file);
        }
    }
}

/// A derivation that can be read here must name the output: then nothing but the store itself says what is built.
fn is_output_of(output: &StorePath, derivation: &StorePath) -> bool {
    let mut head = Vec::new();
    let file = File::open::<&Path>(derivation.as_ref());
    match file.and_then(|file| file.take(OUTPUTS_OF_DERIVATION).read_to_end(&mut head)) {
        Ok(_) => String::from_utf8_lossy(&head).contains(&format!("\"{output}\"")),
        // The store may be elsewhere.
        Err(_) => true,
    }
}

/// Returns those that the store does not have; `None` if it does not say.
async fn not_in_store<'a>(derivations: impl Iterator<Item = &'a StorePath>) -> Option<BTreeSet<String>> {
    let derivations: BTreeSet<&StorePath> = derivations.collect();
    let question = nix_store(QUESTION_LIMIT).args(["--check-validity", "--print-invalid"]).args(derivations);
    let answer = ask("nix-store --check-validity", question).await.ok()?;
    Some(answer.lines().map(str::to_owned).collect())
}

/// FNV-1a, 64 bits: the same in every build of this program.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl From<&KeptHost> for EvalTarget {
    fn from(host: &KeptHost) -> Self {
        Self::Derivation { derivation: host.derivation.clone(), output: host.output.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pretty_assertions::assert_eq;

    use super::*;

    const DERIVATION: &str = "/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv";
    const OUTPUT: &str = "/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1";

    fn key(text: &str) -> EvalKey {
        EvalKey(format!("url: {text}"))
    }

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn one(name: &str) -> BTreeMap<HostName, KeptHost> {
        let path = |text: &str| StorePath::new(text).unwrap();
        let kept = KeptHost {
            derivation: path(DERIVATION),
            output: path(OUTPUT),
            warnings: vec!["old".into()],
            configured: None,
        };
        BTreeMap::from([(host(name), kept)])
    }

    #[test]
    fn every_part_makes_another_key_and_a_login_is_none() {
        let metadata = |url: &str, lock: &str| FlakeMetadata {
            source: crate::facts::source::FlakeSource {
                url: "x".into(),
                locked_url: "x".into(),
                nar_hash: Some("sha256-x".into()),
                revision: None,
                dirty_revision: None,
                last_modified: None,
            },
            locked_url: url.to_owned(),
            locked: json!({ "narHash": "sha256-x" }),
            locks: json!({ "nodes": lock }),
            file: None,
        };
        let attr = |text: &str| AttrPath::parse(text).unwrap();
        let nix = |text: &str| NixVersion::parse(text).unwrap();
        let terms = EvaluationTerms::default();
        let usual = (metadata("git+https://example.org/x", "one"), attr("a.{host}"), nix("nix (Nix) 2.26.3"));
        let of =
            |(metadata, attr, nix): &(FlakeMetadata, AttrPath, NixVersion)| EvalKey::of(metadata, attr, &terms, nix);
        let key = of(&usual).unwrap();
        for other in [
            (metadata("git+https://example.org/y", "one"), usual.1.clone(), usual.2.clone()),
            (metadata("git+https://example.org/x", "two"), usual.1.clone(), usual.2.clone()),
            (usual.0.clone(), attr("b.{host}"), usual.2.clone()),
            (usual.0.clone(), usual.1.clone(), nix("nix (Nix) 2.26.4")),
            (usual.0.clone(), usual.1.clone(), nix("nix (Lix, like Nix) 2.26.3")),
        ] {
            assert_ne!(of(&other).unwrap(), key);
        }
        let with_login = (metadata("git+https://token@example.org/x", "one"), usual.1.clone(), usual.2.clone());
        assert_eq!(of(&with_login).unwrap(), key);
        let mut without_hash = usual;
        without_hash.0.source.nar_hash = None;
        assert_eq!(of(&without_hash), None);
    }

    fn folder() -> (tempfile::TempDir, KeptEvaluations) {
        let home = tempfile::tempdir().unwrap();
        let kept = KeptEvaluations::at(home.path().join("fleetdeploy/evaluations"));
        (home, kept)
    }

    #[test]
    fn hosts_of_one_state_are_kept_beside_each_other_and_only_their_owner_reads_them() {
        let (_home, kept) = folder();
        assert_eq!(kept.read(&key("a")), None);
        kept.keep(&key("a"), one("vps"));
        kept.keep(&key("a"), one("home"));
        assert_eq!(kept.read(&key("a")).unwrap().keys().cloned().collect::<Vec<_>>(), [host("home"), host("vps")]);
        assert_eq!(kept.read(&key("b")), None);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&kept.folder), mode(&kept.file(&key("a")))), (0o700, 0o600));
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let (_home, kept) = folder();
        kept.keep(&key("a"), one("vps"));
        let file = kept.file(&key("a"));
        let text = fs::read_to_string(&file).unwrap();
        for broken in [
            String::new(),
            text[..text.len() - 9].to_owned(),
            text.replace("nixos-system-vps-1\"", "nixos-system-vps-2\""),
            text.replace(OUTPUT, "/etc/passwd"),
            text.replace("url: a", "url: b"),
            "[".repeat(100_000),
        ] {
            assert_ne!(broken, text);
            fs::write(&file, &broken).unwrap();
            assert_eq!(kept.read(&key("a")), None, "{broken:.200}");
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(kept.read(&key("a")), None);
        kept.keep(&key("a"), one("vps"));
    }

    #[test]
    fn what_others_may_write_is_not_believed() {
        let (_home, kept) = folder();
        kept.keep(&key("a"), one("vps"));
        fs::set_permissions(&kept.folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(kept.read(&key("a")), None);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let (_home, kept) = folder();
        for number in 0..MOST_FILES + 5 {
            kept.keep(&key(&number.to_string()), one("vps"));
            let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            File::open(kept.file(&key(&number.to_string()))).unwrap().set_modified(long_ago).unwrap();
        }
        assert_eq!(fs::read_dir(&kept.folder).unwrap().count(), MOST_FILES);
        assert_eq!(kept.read(&key("4")), None);
        assert!(kept.read(&key("5")).is_some());
    }

    #[test]
    fn the_place_is_that_of_caches() {
        let at = |cache: &str, home: &str| {
            let variable = |name: &str| Some(OsString::from(if name == "HOME" { home } else { cache }));
            KeptEvaluations::locate(variable).map(|kept| kept.folder.display().to_string())
        };
        assert_eq!(at("/c", "/h").as_deref(), Some("/c/fleetdeploy/evaluations"));
        assert_eq!(at("", "/h").as_deref(), Some("/h/.cache/fleetdeploy/evaluations"));
        assert_eq!(at("c", "h"), None);
    }
}
