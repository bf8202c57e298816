//! Asks by which keys this workstation's Nix signs what it builds.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::invoke::{ask, nix};

/// The longest file that is read as a key: one line.
const LONGEST_KEY: u64 = 4096;

/// The keys by which what is built here is signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SigningKeys {
    /// `name:base64`, as they stand in `trusted-public-keys`.
    pub public: Vec<String>,
    /// Files of `secret-key-files` that this user cannot read; the Nix daemon may.
    pub unread: Vec<PathBuf>,
}

/// Asks for them. Nothing is signed by this, and no secret leaves this machine. Without an answer there are none.
pub async fn signing_keys(limit: Duration) -> SigningKeys {
    let mut keys = SigningKeys::default();
    // Nix 2.20 gave the command its second name (`nix config show`), and later versions may drop the first.
    let shown = match ask("nix config show", nix(limit).args(["config", "show", "--json"])).await {
        Err(_) => ask("nix show-config", nix(limit).args(["show-config", "--json"])).await,
        shown => shown,
    };
    for file in shown.map(|shown| key_files(&shown)).unwrap_or_default() {
        let is_short = std::fs::metadata(&file).is_ok_and(|file| file.is_file() && file.len() <= LONGEST_KEY);
        let secret = if is_short { std::fs::read(&file).ok() } else { None };
        let public = match secret {
            Some(secret) => {
                let convert = nix(limit).args(["key", "convert-secret-to-public"]).input(secret);
                ask("nix key convert-secret-to-public", convert).await.ok()
            }
            None => None,
        };
        match public.map(|key| key.trim().to_owned()).filter(|key| key.contains(':')) {
            Some(key) => keys.public.push(key),
            None => keys.unread.push(file),
        }
    }
    keys
}

fn key_files(shown: &str) -> Vec<PathBuf> {
    let shown: Value = serde_json::from_str(shown).unwrap_or_default();
    let files = shown["secret-key-files"]["value"].as_array().cloned().unwrap_or_default();
    files.iter().filter_map(Value::as_str).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// From Nix 2.26.3, cut to two of its settings.
    #[test]
    fn the_files_of_keys_are_read_from_nix_s_own_settings() {
        let shown = r#"{"secret-key-files":{"aliases":[],"defaultValue":[],"description":"","documentDefault":true,
            "experimentalFeature":null,"value":["/etc/nix/key.private"]},"sandbox":{"value":false}}"#;
        assert_eq!(key_files(shown), [PathBuf::from("/etc/nix/key.private")]);
        assert_eq!(key_files(&shown.replace(r#"["/etc/nix/key.private"]"#, "[]")), Vec::<PathBuf>::new());
        assert_eq!(key_files("warning: no"), Vec::<PathBuf>::new());
    }
}
