//! What a person says of a host's units.

use std::fmt;

use globset::GlobBuilder;
use serde::{Deserialize, Serialize};

/// Names of units, as a glob: `restic-backups-*.service`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitPattern(String);

/// A text that can match no unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUnitPattern {
    #[error("`{pattern}` is no pattern of units: {reason}")]
    NoGlob { pattern: String, reason: String },
    /// The name of a unit has its kind at the end.
    #[error("`{pattern}` matches no unit: a unit's name ends in its kind")]
    NoKind { pattern: String },
}

impl UnitPattern {
    /// The kinds of units that are looked at: `read_units` of `remote/scripts/lib.sh`.
    const KINDS: [&str; 6] = [".service", ".mount", ".socket", ".timer", ".swap", ".path"];

    /// # Errors
    /// [`BadUnitPattern`] if it is no glob, or if it can match no unit that a push looks at.
    pub fn new(text: impl Into<String>) -> Result<Self, BadUnitPattern> {
        let pattern = text.into();
        let no_glob = |reason: String| BadUnitPattern::NoGlob { pattern: pattern.clone(), reason };
        if pattern.is_empty() {
            return Err(no_glob("it is empty".to_owned()));
        }
        // Source: systemd.unit(5), and what makes a glob.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@*?[]{},!".contains(&byte);
        if pattern.starts_with('-') || !pattern.bytes().all(fits) {
            return Err(no_glob("a unit's name has letters, digits and `:-_.\\@` in it".to_owned()));
        }
        glob(&pattern).map_err(|error| no_glob(error.kind().to_string()))?;
        let is_open = pattern.ends_with(['*', '?', ']', '}']);
        if !is_open && !Self::KINDS.iter().any(|kind| pattern.ends_with(kind)) {
            return Err(BadUnitPattern::NoKind { pattern });
        }
        Ok(Self(pattern))
    }

    #[must_use]
    pub fn matches(&self, unit: &str) -> bool {
        glob(&self.0).is_ok_and(|glob| glob.compile_matcher().is_match(unit))
    }
}

/// A backslash is a letter of a unit's name, as in `dev-disk\x2dby.mount`.
fn glob(text: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(text).backslash_escape(false).build()
}

impl fmt::Display for UnitPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for UnitPattern {
    type Error = BadUnitPattern;
    fn try_from(text: String) -> Result<Self, BadUnitPattern> {
        Self::new(text)
    }
}

impl From<UnitPattern> for String {
    fn from(pattern: UnitPattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_of_units() {
        for (pattern, unit, matches) in [
            ("backup.service", "backup.service", true),
            ("backup.service", "backup.timer", false),
            ("restic-backups-*.service", "restic-backups-nas.service", true),
            ("restic-backups-*", "restic-backups-nas.service", true),
            ("*-wait-online.service", "systemd-networkd-wait-online.service", true),
            ("{a,b}.service", "b.service", true),
            (r"dev-disk\x2dby.mount", r"dev-disk\x2dby.mount", true),
            ("backup", "backup.service", false),
        ] {
            assert_eq!(UnitPattern::new(pattern).is_ok_and(|it| it.matches(unit)), matches, "{pattern} {unit}");
        }
    }

    #[test]
    fn what_can_match_no_unit_is_no_pattern() {
        assert!(matches!(UnitPattern::new("backup"), Err(BadUnitPattern::NoKind { .. })));
        for bad in ["", "--user", "a b.service", "[a.service", "ä.service"] {
            assert!(matches!(UnitPattern::new(bad), Err(BadUnitPattern::NoGlob { .. })), "{bad}");
        }
    }
}
