//! Asks by which keys this workstation's Nix signs what it builds, and signs by the key of an inventory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::copy::Destination;
use super::invoke::{AskError, ask, nix};
use crate::facts::signatures::Signatures;
use crate::facts::store_path::StorePath;

const CONVERT: &str = "nix key convert-secret-to-public";

/// How many bytes of paths without a signature are read.
const UNSIGNED_TOLD: u64 = 64 * 1024;

/// The longest file that is read as a key: one line.
const LONGEST_KEY: u64 = 4096;

/// The keys by which what is built here is signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SigningKeys {
    /// Those in `secret-key-files` that this user can read.
    pub own: Vec<OwnKey>,
    /// Files of `secret-key-files` that this user cannot read; the Nix daemon may.
    pub unread: Vec<PathBuf>,
    /// Those of binary caches that this workstation fetches from: what comes from there may have their signatures.
    pub fetched: Vec<String>,
}

/// A key by which Nix signs what it builds, from when on it has that key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKey {
    /// `name:base64`, as it stands in `trusted-public-keys`.
    pub public: String,
    /// The secret one.
    pub file: PathBuf,
}

/// Asks for them. Nothing is signed by this, and no secret leaves this machine. Without an answer there are none.
pub async fn signing_keys(limit: Duration) -> SigningKeys {
    let mut keys = SigningKeys::default();
    // Nix 2.20 gave the command its second name (`nix config show`), and later versions may drop the first.
    let shown = match ask("nix config show", nix(limit).args(["config", "show", "--json"])).await {
        Err(_) => ask("nix show-config", nix(limit).args(["show-config", "--json"])).await,
        shown => shown,
    };
    let settings: Value = shown.ok().and_then(|shown| serde_json::from_str(&shown).ok()).unwrap_or_default();
    keys.fetched = keys_of_caches(&settings);
    for file in key_files(&settings) {
        match public_key(&file, limit).await {
            Ok(public) => keys.own.push(OwnKey { public, file }),
            Err(_) => keys.unread.push(file),
        }
    }
    keys
}

/// A file that cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    #[error("it cannot be read")]
    Unread(#[source] std::io::Error),
    #[error("it is no file of one line")]
    NoFile,
    #[error("it has no secret key of nix in it")]
    NoKey(#[source] AskError),
}

/// Returns the public key that belongs to the secret one in a file.
///
/// # Errors
/// [`KeyFault`]: nothing could be signed by it.
pub async fn public_key(file: &Path, limit: Duration) -> Result<String, KeyFault> {
    let file = at_home(file);
    let found = std::fs::metadata(&file).map_err(KeyFault::Unread)?;
    if !found.is_file() || found.len() > LONGEST_KEY {
        return Err(KeyFault::NoFile);
    }
    let secret = std::fs::read(&file).map_err(KeyFault::Unread)?;
    let convert = nix(limit).args(["key", "convert-secret-to-public"]).input(secret);
    let public = ask(CONVERT, convert).await.map_err(KeyFault::NoKey)?.trim().to_owned();
    if public.contains(':') {
        Ok(public)
    } else {
        Err(KeyFault::NoKey(AskError::Answer { command: CONVERT, answer: String::new() }))
    }
}

/// Signs these systems, and all that they need, as far as that key has not signed it yet. The key stays here, also
/// where they lie in the store of a host.
///
/// # Errors
/// See [`AskError`]; what is signed stays so.
pub async fn sign(
    key: &Path,
    systems: &BTreeSet<&StorePath>,
    store: Option<Destination<'_>>,
    limit: Duration,
) -> Result<(), AskError> {
    let mut invocation = nix(limit).args(["store", "sign", "--recursive", "--key-file"]).arg(at_home(key));
    if let Some(store) = store {
        invocation = invocation.env("NIX_SSHOPTS", store.ssh_options).arg("--store").arg(store.store());
    }
    ask("nix store sign", invocation.arg("--").args(systems)).await.map(drop)
}

/// Tells how the store here has this path; `None`: it is not there, or nothing is known of it.
pub async fn signatures(path: &StorePath, limit: Duration) -> Option<Signatures> {
    // It is not to be fetched for this.
    let question = nix(limit).args(["path-info", "--option", "substitute", "false", "--sigs", "--"]).arg(path);
    let shown = ask("nix path-info", question).await.ok()?;
    shown.lines().find_map(Signatures::read)
}

/// What is looked at for its signatures in the store here.
#[derive(Debug, Clone, Copy)]
pub enum Verified<'a> {
    /// This path alone.
    Path(&'a StorePath),
    /// Everything.
    Store,
}

/// Whether each of them is signed by one of these public keys, as a host will find that trusts these: by the keys, and
/// not by their names alone. What is named by its content needs no signature. `false` also where that was not seen in
/// time.
pub async fn are_signed(what: Verified<'_>, keys: &[String], limit: Duration) -> bool {
    // Without the second setting the keys that sign here count, too.
    let verify = nix(limit)
        // Into a pipe it would tell of each path that it looks at (Nix 2.7 and later), more than is read of it.
        .args(["store", "verify", "--quiet", "--no-contents", "--sigs-needed", "1", "--option", "secret-key-files", ""])
        .args(["--option", "trusted-public-keys", keys.join(" ").as_str()])
        // It names each path that is not signed; some of them tell it, too.
        .at_most(UNSIGNED_TOLD, UNSIGNED_TOLD);
    let verify = match what {
        Verified::Path(path) => verify.arg("--").arg(path),
        Verified::Store => verify.arg("--all"),
    };
    ask("nix store verify", verify).await.is_ok()
}

/// Nix takes a path as it stands.
pub(super) fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(below), Some(home)) => Path::new(&home).join(below),
        _ => path.to_owned(),
    }
}

/// The words of a setting of Nix that is a list.
fn words<'a>(settings: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    settings[name]["value"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn key_files(settings: &Value) -> Vec<PathBuf> {
    words(settings, "secret-key-files").map(PathBuf::from).collect()
}

/// The key of cache.nixos.org, which all have, signs no system of a person's own.
fn keys_of_caches(settings: &Value) -> Vec<String> {
    let fetches = words(settings, "substituters").next().is_some();
    let keys = words(settings, "trusted-public-keys").filter(|key| !key.starts_with("cache.nixos.org-1:"));
    keys.filter(|_| fetches).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// From Nix 2.26.3, cut to two of its settings.
    #[test]
    fn the_files_of_keys_are_read_from_nix_s_own_settings() {
        let shown = r#"{"secret-key-files":{"aliases":[],"defaultValue":[],"description":"","documentDefault":true,
            "experimentalFeature":null,"value":["/etc/nix/key.private"]},"sandbox":{"value":false},
            "substituters":{"value":["https://ci"]},"trusted-public-keys":{"value":["cache.nixos.org-1:x","ci-1:y"]}}"#;
        let read = |shown: &str| {
            let settings = serde_json::from_str(shown).unwrap_or_default();
            (key_files(&settings), keys_of_caches(&settings))
        };
        let (files, keys) = (vec![PathBuf::from("/etc/nix/key.private")], vec!["ci-1:y".to_owned()]);
        assert_eq!(read(shown), (files.clone(), keys.clone()));
        assert_eq!(read(&shown.replace(r#"["/etc/nix/key.private"]"#, "[]")), (Vec::new(), keys));
        // Who fetches nothing has nothing that is signed elsewhere.
        assert_eq!(read(&shown.replace(r#"["https://ci"]"#, "[]")), (files, Vec::new()));
        assert_eq!(read("warning: no"), (Vec::new(), Vec::new()));
    }
}
