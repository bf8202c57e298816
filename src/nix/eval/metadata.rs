//! Asks Nix what a flake is at this moment: which commit, which content, which inputs.

use serde::Deserialize;
use serde_json::Value;

use crate::facts::source::FlakeSource;
use crate::local::process::Invocation;
use crate::nix::invoke::{AskError, message_of};
use crate::nix::plain::{cut, plain, without_credentials};
use crate::nix::printout::Printout;

const COMMAND: &str = "nix flake metadata";

/// The most bytes of an answer: a lock file of hundreds of inputs has some hundred kilobytes.
const MOST: u64 = 16 << 20;

/// The answer of `nix flake metadata`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FlakeMetadata {
    pub(super) source: FlakeSource,
    /// As nix gives it, with a login that it may carry: for comparisons alone.
    pub(super) locked_url: String,
    /// The locked reference, with all that Nix tells of it.
    pub(super) locked: Value,
    /// The lock file as it is used: with the inputs that are overridden.
    pub(super) locks: Value,
    /// Its `flake.nix`, in the store.
    pub(super) file: Option<String>,
}

/// The same as Nix writes it. Source: docs/facts.md, "What nix tells of a flake".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataAnswer {
    original_url: String,
    url: String,
    revision: Option<String>,
    dirty_revision: Option<String>,
    last_modified: Option<u64>,
    path: Option<String>,
    #[serde(default)]
    locked: Value,
    #[serde(default)]
    locks: Value,
}

impl FlakeMetadata {
    /// Asks for it. Nix reads the whole flake for that, and its inputs only where the lock file lacks them. Returns
    /// what it prints beside it, too.
    ///
    /// # Errors
    /// See [`AskError`]; also where there is no such flake.
    pub(super) async fn ask(question: &Invocation) -> (Result<Self, AskError>, Vec<String>) {
        let finished = match question.clone().at_most(MOST, MOST).run().await {
            Ok(finished) => finished,
            Err(error) => return (Err(error.into()), Vec::new()),
        };
        let mut printout = Printout::default();
        printout.take(&without_credentials(&plain(&finished.stderr_text())));
        let answer = if finished.succeeded() {
            Self::read(&finished.stdout_text())
        } else {
            let message = message_of(&finished.stderr_text());
            Err(AskError::Failed { command: COMMAND, message })
        };
        (answer, printout.drain())
    }

    /// Whether this is the same state of the same flake, with the same inputs.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.locked_url, &self.locked, &self.locks) == (&other.locked_url, &other.locked, &other.locks)
    }

    fn read(answer: &str) -> Result<Self, AskError> {
        let nonsense = |_| AskError::Answer { command: COMMAND, answer: cut(&plain(answer), 200).to_owned() };
        let said: MetadataAnswer = serde_json::from_str(answer).map_err(nonsense)?;
        let shown = |url: &str| without_credentials(&plain(url)).into_owned();
        let nar_hash = said.locked.get("narHash").and_then(Value::as_str).map(str::to_owned);
        let source = FlakeSource {
            url: shown(&said.original_url),
            locked_url: shown(&said.url),
            nar_hash,
            revision: said.revision,
            dirty_revision: said.dirty_revision,
            last_modified: said.last_modified,
        };
        // A flake may be a folder of its tree.
        let folder = said.locked.get("dir").and_then(Value::as_str).map(|folder| format!("/{folder}"));
        let file = said.path.map(|path| format!("{path}{}/flake.nix", folder.unwrap_or_default()));
        Ok(Self { source, locked_url: said.url, locked: said.locked, locks: said.locks, file })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// Answers of Nix 2.26.3, shortened where nothing is read.
    const CLEAN: &str = r#"{"fingerprint":"9a86","lastModified":1796022574,"locked":{"__final":true,"lastModified":1796022574,"narHash":"sha256-EOFDUzAqPtZ9Bw92Khrbx71jNMnL8h6xoRhXsav6rNI=","ref":"refs/heads/master","rev":"07b9198bd9273a4902b94c33251253908398486b","revCount":2,"type":"git","url":"file:///fleet"},"locks":{"nodes":{"root":{}},"root":"root","version":7},"original":{"type":"git","url":"file:///fleet"},"originalUrl":"git+file:///fleet","path":"/nix/store/628xk5dkklmhrbyq7k7xa0qapfxcvgkj-source","revCount":2,"revision":"07b9198bd9273a4902b94c33251253908398486b","url":"git+file:///fleet?ref=refs/heads/master&rev=07b9198bd9273a4902b94c33251253908398486b"}"#;
    const DIRTY: &str = r#"{"dirtyRevision":"07b9198bd9273a4902b94c33251253908398486b-dirty","lastModified":1796022574,"locked":{"__final":true,"dirtyRev":"07b9198bd9273a4902b94c33251253908398486b-dirty","dirtyShortRev":"07b9198-dirty","lastModified":1796022574,"narHash":"sha256-mKOO/Bq9DsQ/mOCHim4qE4goR7dAxMMDtOwf9/OxVmw=","type":"git","url":"file:///fleet"},"locks":{},"originalUrl":"git+file:///fleet","url":"git+file:///fleet"}"#;

    #[test]
    fn a_clean_tree_has_a_revision_and_a_dirty_one_its_content() {
        let read = |answer| FlakeMetadata::read(answer).unwrap().source;
        let clean = FlakeSource {
            url: "git+file:///fleet".into(),
            locked_url: "git+file:///fleet?ref=refs/heads/master&rev=07b9198bd9273a4902b94c33251253908398486b".into(),
            nar_hash: Some("sha256-EOFDUzAqPtZ9Bw92Khrbx71jNMnL8h6xoRhXsav6rNI=".into()),
            revision: Some("07b9198bd9273a4902b94c33251253908398486b".into()),
            dirty_revision: None,
            last_modified: Some(1_796_022_574),
        };
        assert_eq!(read(CLEAN), clean);
        let dirty = read(DIRTY);
        assert_eq!(dirty.dirty_revision.as_deref(), Some("07b9198bd9273a4902b94c33251253908398486b-dirty"));
        assert_eq!((dirty.revision, dirty.locked_url.as_str()), (None, "git+file:///fleet"));
        assert_ne!(dirty.nar_hash, clean.nar_hash);
    }

    #[test]
    fn its_file_lies_in_the_store_and_in_the_folder_that_the_flake_is() {
        let file = |answer: &str| FlakeMetadata::read(answer).unwrap().file;
        let tree = "/nix/store/628xk5dkklmhrbyq7k7xa0qapfxcvgkj-source";
        assert_eq!(file(CLEAN), Some(format!("{tree}/flake.nix")));
        let of_folder = CLEAN.replace(r#""locked":{"#, r#""locked":{"dir":"nix/fleet","#);
        assert_eq!(file(&of_folder), Some(format!("{tree}/nix/fleet/flake.nix")));
        assert_eq!(file(DIRTY), None);
    }

    #[test]
    fn a_login_in_a_url_is_not_kept() {
        let answer =
            r#"{"originalUrl":"git+https://token@example.org/x","url":"git+https://token@example.org/x?rev=1"}"#;
        let source = FlakeMetadata::read(answer).unwrap().source;
        assert_eq!((source.url.as_str(), source.nar_hash), ("git+https://example.org/x", None));
        assert_eq!(source.locked_url, "git+https://example.org/x?rev=1");
        assert!(FlakeMetadata::read("[]").is_err());
    }
}
