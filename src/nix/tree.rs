//! Asks which tree a flake is now: its revision, and whether there are changes that are in no commit.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::eval::ensure_flake_reference;
use super::invoke::nix;
use super::plain::without_credentials;
use crate::inventory::model::Source;

/// What can be known of the source of a fleet's systems without an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// The flake or the file, without credentials; absent: the systems are named by their store paths.
    pub source: Option<String>,
    /// The commit; of a dirty tree the one that was changed.
    pub revision: Option<String>,
    pub dirty: bool,
    pub nar_hash: Option<String>,
    /// Seconds since 1970.
    pub last_modified: Option<u64>,
}

/// Source: Nix 2.26, `src/nix/flake.cc`, `CmdFlakeMetadata`; of a git tree that has no commit yet there is neither
/// revision.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resolved_url: Option<String>,
    revision: Option<String>,
    dirty_revision: Option<String>,
    last_modified: Option<u64>,
    locked: Option<Locked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locked {
    nar_hash: Option<String>,
}

/// Behind the revision of a dirty tree. Source: Nix, `libfetchers/git.cc`, `dirtyRev`.
const DIRTY: &str = "-dirty";

/// Asks what the source of a fleet is now. Whatever Nix cannot say is absent: an evaluation says why.
pub async fn tree(source: &Source, folder: &Path, limit: Duration) -> Tree {
    match source {
        Source::System => Tree::default(),
        Source::File { file, .. } => Tree { source: Some(folder.join(file).display().to_string()), ..Tree::default() },
        Source::Flake { flake, .. } => {
            let asked = ask_flake(flake, folder, limit).await;
            asked.unwrap_or_else(|| Tree { source: Some(without_credentials(flake).into_owned()), ..Tree::default() })
        }
    }
}

async fn ask_flake(flake: &str, folder: &Path, limit: Duration) -> Option<Tree> {
    ensure_flake_reference(flake).ok()?;
    let asked = nix(limit).args(["flake", "metadata", "--json", "--"]).arg(flake).folder(folder).run().await.ok()?;
    if !asked.succeeded() {
        return None;
    }
    read(&asked.stdout_text(), flake)
}

fn read(answer: &str, flake: &str) -> Option<Tree> {
    let Metadata { resolved_url, revision, dirty_revision, last_modified, locked } =
        serde_json::from_str(answer).ok()?;
    let dirty = dirty_revision.is_some();
    let of_dirty = dirty_revision.map(|text| text.strip_suffix(DIRTY).unwrap_or(&text).to_owned());
    Some(Tree {
        source: Some(without_credentials(resolved_url.as_deref().unwrap_or(flake)).into_owned()),
        revision: revision.or(of_dirty),
        dirty,
        nar_hash: locked.and_then(|locked| locked.nar_hash),
        last_modified,
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_clean_tree_has_a_revision_and_a_dirty_one_that_which_was_changed() {
        // As Nix 2.26.3 answers, without what is not read.
        let clean = r#"{"lastModified":1795364100,"locked":{"narHash":"sha256-Zm9v","type":"git"},
            "locks":{},"resolvedUrl":"git+file:///etc/nixos","revision":"a1b2c3d4e5f60718293a4b5c6d7e8f9012345678"}"#;
        let expected = Tree {
            source: Some("git+file:///etc/nixos".into()),
            revision: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".into()),
            dirty: false,
            nar_hash: Some("sha256-Zm9v".into()),
            last_modified: Some(1_795_364_100),
        };
        assert_eq!(read(clean, "."), Some(expected.clone()));
        let dirty = clean.replace("\"revision\"", "\"dirtyRevision\"").replace("345678\"", "345678-dirty\"");
        assert_eq!(read(&dirty, "."), Some(Tree { dirty: true, ..expected }));
    }

    #[test]
    fn a_login_in_a_flake_reference_is_not_kept() {
        let url = "git+https://ada:hunter2@git.example.org/fleet";
        let answer = format!(r#"{{"resolvedUrl":"{url}"}}"#);
        for answer in [answer.as_str(), "{}"] {
            let source = read(answer, url).unwrap().source.unwrap();
            assert_eq!(source, "git+https://git.example.org/fleet");
        }
        assert_eq!(read("error: no", url), None);
    }
}
