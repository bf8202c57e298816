//! The name of a run.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Letters of the fleet's name that a run id keeps: it stands in unit names and paths on the hosts.
const LONGEST_FLEET: usize = 32;

/// The longest run id: date and time, fleet and random part with their hyphens.
const LONGEST: usize = 15 + 1 + LONGEST_FLEET + 1 + 4;

/// The name of a run: `20261122-161500-homelab-3f9c`, the date and time (UTC) it began, its fleet and something random.
///
/// Sorts by time. It stands on command lines, in unit names and in paths here and on the hosts, so it has nothing but
/// `a` to `z`, digits and `-`, and begins with a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// An error: the text cannot be a [`RunId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a run id, such as 20261122-161500-homelab-3f9c", .0.escape_debug())]
pub struct BadRunId(pub String);

impl RunId {
    /// A new name for a run of `fleet` that begins at `at`.
    #[must_use]
    pub fn new(fleet: &str, at: SystemTime) -> Self {
        // The keys of std's hash maps are random, anew for each one; this is to keep two runs that begin in one second
        // apart, not a secret.
        let random = std::hash::RandomState::new().build_hasher().finish();
        Self::with_random(fleet, at, u16::try_from(random & 0xffff).unwrap_or_default())
    }

    fn with_random(fleet: &str, at: SystemTime, random: u16) -> Self {
        let time: String = humantime::format_rfc3339_seconds(at)
            .to_string()
            .chars()
            .filter_map(|character| match character {
                '0'..='9' => Some(character),
                'T' => Some('-'),
                _ => None,
            })
            .collect();
        Self(format!("{time}-{}-{random:04x}", cleaned(fleet)))
    }

    /// # Errors
    /// [`BadRunId`] if the text breaks the rule in the type's description.
    pub fn parse(text: impl Into<String>) -> Result<Self, BadRunId> {
        let text = text.into();
        let fits = text.len() <= LONGEST
            && text.starts_with(|first: char| first.is_ascii_digit())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits { Ok(Self(text)) } else { Err(BadRunId(text)) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fleet's name as the id holds it: cleaned, and cut if it was long.
    #[must_use]
    pub fn fleet(&self) -> &str {
        let behind_the_time = self.0.splitn(3, '-').nth(2);
        behind_the_time.and_then(|rest| rest.rsplit_once('-')).map_or(&self.0, |(fleet, _)| fleet)
    }

    /// When the run began, to the second; long ago if the id does not say it.
    #[must_use]
    pub fn began(&self) -> SystemTime {
        let part = |range: std::ops::Range<usize>| self.0.get(range).unwrap_or_default();
        let (date, time) = (0, 9);
        let text = format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(date..date + 4),
            part(date + 4..date + 6),
            part(date + 6..date + 8),
            part(time..time + 2),
            part(time + 2..time + 4),
            part(time + 4..time + 6)
        );
        humantime::parse_rfc3339(&text).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Makes it lower case, with one hyphen for everything but letters and digits, and none at the ends.
pub(super) fn cleaned(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' })
        .collect();
    let mut name = name.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    name.truncate(LONGEST_FLEET);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "fleet".to_owned() } else { name.to_owned() }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = BadRunId;
    fn try_from(text: String) -> Result<Self, BadRunId> {
        Self::parse(text)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_run_is_named_by_its_time_its_fleet_and_chance() {
        let run = RunId::with_random("homelab", at(1_795_364_100), 0x3f9c);
        assert_eq!(run.as_str(), "20261122-161500-homelab-3f9c");
        assert_eq!((run.fleet(), run.began()), ("homelab", at(1_795_364_100)));
        assert_eq!(RunId::parse(run.as_str()), Ok(run));
    }

    #[test]
    fn an_id_that_was_named_by_hand_still_has_a_fleet_and_a_time() {
        for (id, fleet) in [("1", "1"), ("20261122-161500-home-lab-3f9c", "home-lab"), ("2026-x", "2026-x")] {
            assert_eq!(RunId::parse(id).unwrap().fleet(), fleet);
        }
        assert_eq!(RunId::parse("1").unwrap().began(), SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn every_fleet_name_gives_a_run_id_that_is_one() {
        for (fleet, clean) in [
            ("Home_Lab.2", "home-lab-2"),
            ("__", "fleet"),
            ("a..b", "a-b"),
            (&"x".repeat(63), &"x".repeat(32)),
            (&format!("{}_b", "x".repeat(31)), &"x".repeat(31)),
        ] {
            let run = RunId::with_random(fleet, at(0), 1);
            assert_eq!(run.as_str(), format!("19700101-000000-{clean}-0001"));
            assert_eq!(RunId::parse(run.as_str()), Ok(run));
        }
    }

    #[test]
    fn later_runs_sort_after_earlier_ones() {
        assert!(RunId::with_random("zz", at(1), 0xffff) < RunId::with_random("aa", at(2), 0));
    }

    #[test]
    fn nothing_else_is_a_run_id() {
        for text in ["", "-x", "last", "2026/x", "2026..", "2026 x", "2026X", "2026\n", &"2".repeat(54)] {
            assert_eq!(RunId::parse(text), Err(BadRunId(text.to_owned())));
        }
    }
}
