//! Writes down one event: a line of `--json` and of the record's `events.jsonl`.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// An event with its place in the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "fleetdeploy event")]
pub struct Line {
    /// The version of this form. Fields and events may be added within a version.
    pub version: u32,
    /// The run it belongs to; absent for commands that keep no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Counts from 1. A gap is a lossy event that this listener was too slow for.
    pub seq: u64,
    /// When it was published, RFC 3339 in UTC with milliseconds.
    #[serde(with = "rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: SystemTime,
    #[serde(flatten)]
    pub event: Event,
}

impl Line {
    /// Returns how long after `start` it was published; zero if the workstation's clock was set back meanwhile.
    #[must_use]
    pub fn since(&self, start: SystemTime) -> Duration {
        self.at.duration_since(start).unwrap_or_default()
    }
}

/// The JSON schema of a [`Line`]: `events.schema.json` at the top of the repository.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Line>()
}

/// Whole milliseconds, which is what a [`Line`] keeps of a time.
#[must_use]
pub fn to_millis(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::new(since.as_secs(), since.subsec_millis() * 1_000_000)
}

/// A [`SystemTime`] as RFC 3339 text in UTC with milliseconds.
pub mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(*at))
    }

    /// # Errors
    /// If the text is not a time in RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(de::Error::custom)
    }
}
