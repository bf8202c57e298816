//! Says why, in types: each reason has a stable code for programs, fields with what it is about, and its words in
//! [`wording`](super::wording).
//!
//! A code is kebab-case, has no host and no path in it, and is never renamed within version 1 of the events. It is the
//! variant's name: whoever renames a variant renames its code, which the list in docs/codes.md shows.

pub mod absent;
pub mod any;
pub mod baseline;
pub mod boot;
pub mod build;
pub mod cache;
pub mod cause;
pub mod caution;
pub mod claim;
pub mod command;
pub mod command_end;
pub mod command_fault;
pub mod copy;
pub mod cut;
pub mod disowned;
pub mod doctor;
pub mod fate;
pub mod fit;
pub mod forecast;
pub mod guard;
pub mod hooks;
pub mod inspection;
pub mod inventory_fault;
pub mod job;
pub mod leftover;
pub mod lists;
pub mod look_ahead;
pub mod notice;
pub mod obstacle;
pub mod push;
pub mod reboot;
pub mod record_fault;
pub mod recover;
pub mod refusal;
pub mod rollback;
pub mod rollback_target;
pub mod run_end;
pub mod status;
pub mod survey;
pub mod trial;
pub mod trying;
pub mod tunnel;
pub mod units;
pub mod unlinked;
pub mod waves;
pub mod workstation;

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// Whole milliseconds, for a field that the events name `..._ms`: `#[serde(rename = "waited_ms", with = "millis")]`,
/// and `#[schemars(with = "u64")]` for the schema.
pub mod millis {
    use std::time::Duration;

    use serde::Serializer;

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Words of a reason. `Display` is the sentence; it may have several lines.
pub trait Worded: fmt::Display {
    /// Returns what a person can do about it, if there is something.
    fn mend(&self) -> Option<String> {
        None
    }

    /// Returns why it matters, for a person who looks before anything is begun.
    fn stake(&self) -> Option<&'static str> {
        None
    }
}

/// A reason that a person is told: a warning, a failure, a refusal, why a fleet is rolled back.
pub trait Reason: fmt::Debug + Worded + Send + Sync {
    /// Returns its stable name for programs.
    fn code(&self) -> &'static str;

    /// Returns what it is about, by name; durations end in `_ms`.
    fn fields(&self) -> Map<String, Value>;
}

/// Every enum of reasons: its code is the variant's name (`strum`), its fields are the variant's (`serde`), and its
/// words are in the dictionary.
impl<R> Reason for R
where
    R: fmt::Debug + Worded + Serialize + Send + Sync,
    for<'a> &'a R: Into<&'static str>,
{
    fn code(&self) -> &'static str {
        self.into()
    }

    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut fields)) => {
                fields.remove("code");
                fields
            }
            // A reason of other shape has no fields: the test of all codes holds that there is none.
            _ => Map::new(),
        }
    }
}

/// A reason of tests that are about the ways of any reason.
#[cfg(test)]
pub(crate) mod sample {
    use std::fmt;

    use serde::Serialize;

    use super::Worded;

    #[derive(Debug, Clone, Serialize)]
    pub(crate) struct Sample {
        #[serde(skip)]
        words: String,
        #[serde(skip)]
        mend: Option<String>,
    }

    impl Sample {
        pub(crate) fn new(words: impl Into<String>, mend: Option<&str>) -> Self {
            Self { words: words.into(), mend: mend.map(str::to_owned) }
        }
    }

    impl From<&Sample> for &'static str {
        fn from(_: &Sample) -> Self {
            "sample"
        }
    }

    impl fmt::Display for Sample {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(&self.words)
        }
    }

    impl Worded for Sample {
        fn mend(&self) -> Option<String> {
            self.mend.clone()
        }
    }
}
