//! The path of one store object, checked.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The store folder that every host of a fleet has; other store folders cannot be pushed.
const STORE: &str = "/nix/store/";

/// Characters of a store path's hash part. Source: Nix manual, "Store path", "Base-32 encoding".
const HASH_LENGTH: usize = 32;

/// The alphabet of Nix's base 32: digits and letters without `e`, `o`, `u` and `t`.
const HASH_ALPHABET: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// The longest name part. Source: Nix, `libstore/path.hh`, `MaxPathLen`.
const LONGEST_NAME: usize = 211;

/// The path of a store object itself, `/nix/store/HASH-NAME`, never of something inside it.
///
/// It stands on command lines here and in scripts on the hosts, so it can be built only from text that can never be an
/// option, more than one word of a shell, or a step out of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(String);

/// A text that cannot be a [`StorePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a store path of the form {STORE}HASH-NAME", .0.escape_debug())]
pub struct BadStorePath(pub String);

impl StorePath {
    /// # Errors
    /// [`BadStorePath`] if the text is not `/nix/store/`, a hash, `-` and a name.
    pub fn new(text: impl Into<String>) -> Result<Self, BadStorePath> {
        let text = text.into();
        if is_store_path(&text) { Ok(Self(text)) } else { Err(BadStorePath(text)) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name after the hash, for people: `nixos-system-vps-25.05` of a toplevel.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[STORE.len() + HASH_LENGTH + 1..]
    }

    /// Returns whether this is the path of a derivation, and not of something built.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.0.strip_suffix(".drv").is_some()
    }
}

fn is_store_path(text: &str) -> bool {
    let Some(base) = text.strip_prefix(STORE) else { return false };
    let Some((hash, name)) = base.split_at_checked(HASH_LENGTH) else { return false };
    let Some(name) = name.strip_prefix('-') else { return false };
    hash.bytes().all(|byte| HASH_ALPHABET.contains(&byte))
        && (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte))
}

impl fmt::Display for StorePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl AsRef<str> for StorePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::ffi::OsStr> for StorePath {
    fn as_ref(&self) -> &std::ffi::OsStr {
        self.0.as_ref()
    }
}

impl AsRef<std::path::Path> for StorePath {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl TryFrom<String> for StorePath {
    type Error = BadStorePath;
    fn try_from(text: String) -> Result<Self, BadStorePath> {
        Self::new(text)
    }
}

impl std::str::FromStr for StorePath {
    type Err = BadStorePath;
    fn from_str(text: &str) -> Result<Self, BadStorePath> {
        Self::new(text)
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-25.05";

    #[test]
    fn a_store_path_survives_json_and_names_itself() {
        let path = StorePath::new(SYSTEM).unwrap();
        assert_eq!(path.name(), "nixos-system-vps-25.05");
        assert_eq!(path.to_string(), SYSTEM);
        assert!(!path.is_derivation());
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(json, format!("\"{SYSTEM}\""));
        assert_eq!(serde_json::from_str::<StorePath>(&json).unwrap(), path);
        assert!(StorePath::new(format!("{SYSTEM}.drv")).unwrap().is_derivation());
    }

    #[test]
    fn nothing_that_a_command_line_could_misread_is_a_store_path() {
        let hash = "0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h";
        for text in [
            String::new(),
            "-option".into(),
            "/nix/store".into(),
            "/nix/store/".into(),
            format!("/nix/store/{hash}"),
            format!("/nix/store/{hash}-"),
            format!("/nix/store/{hash}-a b"),
            format!("/nix/store/{hash}-a;b"),
            format!("/nix/store/{hash}-a\n"),
            format!("/nix/store/{hash}-a/bin/sh"),
            format!("/nix/store/{hash}-a/../../etc"),
            format!("/nix/store/{hash}-a^out"),
            format!("/nix/store/{}-a", hash.replace('g', "e")),
            format!("/nix/store/{hash}-{}", "x".repeat(212)),
            format!("/gnu/store/{hash}-a"),
            format!("/nix/store/{}-ä", &hash[1..]),
        ] {
            assert_eq!(StorePath::new(text.clone()), Err(BadStorePath(text)));
        }
    }

    #[test]
    fn json_cannot_smuggle_a_bad_path_in() {
        assert!(serde_json::from_str::<StorePath>("\"/nix/store/x\"").is_err());
    }
}
