//! Defines where a system comes from: which revision of which flake, who has pushed it, and with which programs.

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::store_path::StorePath;

/// Where the systems of a run come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// The flake or the file that the systems are evaluated from, without credentials; absent: the inventory names them
    /// by their store paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The commit; of a dirty tree the one that was changed. Absent: none is known of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether the tree has changes that are in no commit.
    #[serde(default)]
    pub dirty: bool,
    /// The hash of the whole tree, as Nix writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_hash: Option<String>,
    /// When the tree was changed last: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<u64>,
    /// `person@workstation`.
    #[serde(default)]
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nix: Option<String>,
    /// The version of fleetdeploy.
    #[serde(default)]
    pub fleetdeploy: String,
}

impl Provenance {
    /// How many digits of a commit Nix shows in a `shortRev`.
    const SHORT: usize = 7;

    /// Returns the revision as Nix shortens it: `a1b2c3d`, `a1b2c3d-dirty`.
    #[must_use]
    pub fn short_revision(&self) -> Option<String> {
        let revision = self.revision.as_ref()?;
        let short: String = revision.chars().take(Self::SHORT).collect();
        Some(if self.dirty { format!("{short}-dirty") } else { short })
    }

    /// Returns it without anything that could not stand in a line, or is longer than it can be.
    fn tamed(self) -> Self {
        let is_revision = |text: &String| {
            (Self::SHORT..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        Self {
            source: self.source.map(|source| tame(&source, 300)).filter(|source| !source.is_empty()),
            revision: self.revision.filter(is_revision),
            dirty: self.dirty,
            nar_hash: self.nar_hash.map(|hash| tame(&hash, 80)),
            last_modified: self.last_modified,
            by: tame(&self.by, 120),
            nix: self.nix.map(|nix| tame(&nix, 60)),
            fleetdeploy: tame(&self.fleetdeploy, 30),
        }
    }
}

/// Returns at most so many characters of it, and none that is a control or that JSON writes with a backslash.
fn tame(text: &str, most: usize) -> String {
    text.chars().filter(|character| !character.is_control() && !matches!(character, '"' | '\\')).take(most).collect()
}

/// What a host keeps of a system that a push has brought to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SystemOrigin {
    /// The system that it is about; it says nothing of another one that runs.
    pub system: StorePath,
    #[serde(flatten)]
    pub brought: Brought,
}

/// Which push has brought a system, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Brought {
    pub run: String,
    /// Seconds since 1970, by the workstation's clock.
    #[serde(default)]
    pub at: u64,
    #[serde(flatten)]
    pub provenance: Provenance,
}

impl Brought {
    /// The most bytes of its text; `remote/scripts/prepare.sh` and `survey.sh` know this number, too.
    const LONGEST: usize = 1500;

    /// Makes what a run that begins now leaves beside its systems.
    #[must_use]
    pub fn now(run: &str, provenance: Provenance) -> Self {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { run: run.to_owned(), at, provenance }
    }

    /// Returns it as a host keeps it: one line without a backslash, at most 1500 bytes; `-` if that cannot
    /// be.
    #[must_use]
    pub fn word(&self) -> String {
        let mut brought = self.clone().tamed();
        let mut text = brought.text();
        if text.len() > Self::LONGEST {
            brought.provenance.source = None;
            text = brought.text();
        }
        if text.len() > Self::LONGEST || !text.starts_with('{') { "-".to_owned() } else { text }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn tamed(self) -> Self {
        Self { run: tame(&self.run, 64), at: self.at, provenance: self.provenance.tamed() }
    }
}

impl SystemOrigin {
    /// Reads what a host shows: the system, a space, and what it keeps of it. A host may show anything: `None` if it is
    /// nothing like it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (system, brought) = text.split_once(' ')?;
        if brought.len() > Brought::LONGEST {
            return None;
        }
        let brought: Brought = serde_json::from_str(brought).ok()?;
        Some(Self { system: StorePath::new(system).ok()?, brought: brought.tamed() })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const SYSTEM: &str = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-1";

    fn provenance() -> Provenance {
        Provenance {
            source: Some("git+file:///etc/nixos".into()),
            revision: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".into()),
            dirty: false,
            nar_hash: Some("sha256-c2FtcGxl+/4=".into()),
            last_modified: Some(1_795_364_100),
            by: "ada@laptop".into(),
            nix: Some("Nix 2.26.3".into()),
            fleetdeploy: "0.1.0".into(),
        }
    }

    fn brought(provenance: Provenance) -> Brought {
        Brought { run: "20261122-161500-homelab-3f9c".into(), at: 1_795_364_200, provenance }
    }

    #[test]
    fn a_host_gives_back_what_it_was_given() {
        let brought = brought(provenance());
        let word = brought.word();
        assert!(word.starts_with('{') && !word.contains(['\\', '\n']), "{word}");
        let system = StorePath::new(SYSTEM).unwrap();
        assert_eq!(SystemOrigin::read(&format!("{SYSTEM} {word}")), Some(SystemOrigin { system, brought }));
    }

    #[test]
    fn whatever_stands_in_it_it_is_one_short_line_for_the_host() {
        let long = "ä\n\"\\\u{1b}[31m$(reboot)`".repeat(1000);
        let odd = Provenance {
            source: Some(long.clone()),
            revision: Some("HEAD; reboot".into()),
            by: long.clone(),
            nix: Some(long.clone()),
            ..provenance()
        };
        let word = brought(odd).word();
        assert!(word.len() <= Brought::LONGEST && !word.contains(['\\', '\n', '\u{1b}']), "{word}");
        let read = SystemOrigin::read(&format!("{SYSTEM} {word}")).unwrap();
        assert_eq!(read.brought.provenance.revision, None);
    }

    #[test]
    fn a_host_that_shows_something_else_has_said_nothing() {
        let word = brought(provenance()).word();
        let long = format!("{SYSTEM} {{\"run\":\"{}\"}}", "r".repeat(Brought::LONGEST));
        for text in ["", SYSTEM, &format!("{SYSTEM} {{"), &format!("vps {word}"), &format!("{SYSTEM} []"), &long] {
            assert_eq!(SystemOrigin::read(text), None, "{text}");
        }
        // Of what it does say, no more is taken than can stand in a line.
        let lie = r#"{"run":"r-1","revision":"\u001b[2Jabcdef0123","by":"a\u001b[31mda","dirty":true}"#;
        let told = SystemOrigin::read(&format!("{SYSTEM} {lie}")).unwrap().brought.provenance;
        assert_eq!((told.revision.as_deref(), told.by.as_str(), told.dirty), (None, "a[31mda", true));
    }

    #[test]
    fn a_revision_is_shortened_as_nix_does_it() {
        assert_eq!(provenance().short_revision().as_deref(), Some("a1b2c3d"));
        assert_eq!(Provenance { dirty: true, ..provenance() }.short_revision().as_deref(), Some("a1b2c3d-dirty"));
        assert_eq!(Provenance { revision: None, ..provenance() }.short_revision(), None);
    }
}
