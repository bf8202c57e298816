//! A reason on its way to whoever listens: worded only when somebody asks for its words.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::event::reason::Reason;
use crate::event::reason::lists::LISTS;
use crate::event::shorten::shorten;

/// Why something is told. In the JSON form it is its words, its `code`, and its fields beside them.
#[derive(Clone)]
pub struct AnyReason(Content);

#[derive(Clone)]
enum Content {
    Reason(Arc<dyn Reason>),
    /// As a record has it: of this version or another one, with the words of its time.
    Read {
        text: String,
        code: Option<String>,
        fields: Map<String, Value>,
    },
}

impl AnyReason {
    /// Makes what a record of a version without codes has: words alone. Only tests, which have no such record, call it.
    #[must_use]
    pub fn without_code(text: &str) -> Self {
        Self(Content::Read { text: text.to_owned(), code: None, fields: Map::new() })
    }

    /// Returns the stable name of the reason; `None`: a record of a version without codes.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &self.0 {
            Content::Reason(reason) => Some(reason.code()),
            Content::Read { code, .. } => code.as_deref(),
        }
    }

    /// Returns what a person can do about it, if the reason itself says that.
    #[must_use]
    pub fn mend(&self) -> Option<String> {
        match &self.0 {
            Content::Reason(reason) => reason.mend(),
            Content::Read { .. } => None,
        }
    }

    /// Adds words at its end; its code and its fields stay.
    #[must_use]
    pub fn followed_by(self, words: &str) -> Self {
        if words.is_empty() {
            return self;
        }
        let (text, code, fields) = (format!("{self}{words}"), self.code().map(str::to_owned), self.fields());
        Self(Content::Read { text, code, fields })
    }

    /// Puts words before its own; its code and its fields stay.
    #[must_use]
    pub fn preceded_by(self, words: &str) -> Self {
        let (text, code, fields) = (format!("{words}{self}"), self.code().map(str::to_owned), self.fields());
        Self(Content::Read { text, code, fields })
    }

    /// Returns why it matters, if the reason itself says that.
    #[must_use]
    pub fn stake(&self) -> Option<&'static str> {
        match &self.0 {
            Content::Reason(reason) => reason.stake(),
            Content::Read { .. } => None,
        }
    }

    /// Writes it with its words under `what`, with code and fields beside them.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn write_as_what<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write("what", serializer)
    }

    /// Cuts its words to `longest` bytes, and its fields to about as much together.
    pub(crate) fn shorten(&mut self, longest: usize) {
        let (mut text, mut fields) = (self.to_string(), Value::Object(self.fields()));
        if text.len() <= longest && fields.to_string().len() <= longest {
            return;
        }
        shorten(&mut text, longest);
        fit(&mut fields, &mut longest.clone());
        let Value::Object(fields) = fields else { return };
        self.0 = Content::Read { text, code: self.code().map(str::to_owned), fields };
    }

    fn fields(&self) -> Map<String, Value> {
        match &self.0 {
            Content::Reason(reason) => reason.fields(),
            Content::Read { fields, .. } => fields.clone(),
        }
    }

    /// Writes the words under this key, with code and fields beside them.
    fn write<S: Serializer>(&self, key: &'static str, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(key, &self.to_string())?;
        if let Some(code) = self.code() {
            map.serialize_entry("code", code)?;
        }
        for (name, value) in self.fields().iter().filter(|(name, _)| *name != key && *name != "host") {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }

    fn read<'de, D: Deserializer<'de>>(key: &'static str, deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let Some(Value::String(text)) = fields.remove(key) else { return Err(D::Error::missing_field(key)) };
        let code = match fields.remove("code") {
            Some(Value::String(code)) => Some(code),
            _ => None,
        };
        Ok(Self(Content::Read { text, code, fields }))
    }
}

/// Cuts texts and lists inside a value, so that it takes little more than `left` bytes. Each text gets half of what is
/// left at most: no long one takes the others of its reason away, and a cut reason still fits the schema.
fn fit(value: &mut Value, left: &mut usize) {
    /// What a small value, or the name of a field, takes at most.
    const SMALL: usize = 32;
    match value {
        Value::String(text) => {
            shorten(text, *left / 2);
            *left = left.saturating_sub(text.len());
        }
        Value::Array(items) => items.retain_mut(|item| {
            let has_room = *left > SMALL;
            *left = left.saturating_sub(SMALL);
            fit(item, left);
            has_room
        }),
        Value::Object(fields) => fields.retain(|name, field| {
            let has_room = *left > SMALL;
            *left = left.saturating_sub(name.len());
            fit(field, left);
            has_room
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl fmt::Display for AnyReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Reason(reason) => reason.fmt(formatter),
            Content::Read { text, .. } => formatter.write_str(text),
        }
    }
}

impl std::error::Error for AnyReason {}

impl fmt::Debug for AnyReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}] {self}", self.code().unwrap_or_default())
    }
}

/// What is told is the same if its words and its code are.
impl PartialEq for AnyReason {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code() && self.to_string() == other.to_string()
    }
}

impl Eq for AnyReason {}

/// The details are told, and steer nothing.
impl Hash for AnyReason {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code().hash(state);
    }
}

impl<R: Reason + 'static> From<R> for AnyReason {
    fn from(reason: R) -> Self {
        Self(Content::Reason(Arc::new(reason)))
    }
}

impl Serialize for AnyReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write("text", serializer)
    }
}

impl<'de> Deserialize<'de> for AnyReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read("text", deserializer)
    }
}

impl JsonSchema for AnyReason {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnyReason".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema("text", generator)
    }
}

/// The words, and either no code, as in records of the first version, or one of all reasons with its fields.
fn schema(key: &str, generator: &mut SchemaGenerator) -> Schema {
    let reasons = LISTS.iter().map(|list| list.schema(generator).to_value());
    let without_code = json!({ "not": { "required": ["code"] } });
    let reasons: Vec<Value> = std::iter::once(without_code).chain(reasons).collect();
    json_schema!({
        "type": "object",
        "properties": { key: { "description": "In words, for a person.", "type": "string" } },
        "required": [key],
        "anyOf": reasons,
    })
}

/// A [`AnyReason`] whose words stand under another key than `text`.
macro_rules! under {
    ($name:ident, $key:literal, $doc:literal) => {
        #[doc = $doc]
        pub(crate) mod $name {
            use schemars::{JsonSchema, Schema, SchemaGenerator};
            use serde::{Deserializer, Serializer};

            use super::AnyReason;

            pub(crate) fn serialize<S: Serializer>(told: &AnyReason, serializer: S) -> Result<S::Ok, S::Error> {
                told.write($key, serializer)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AnyReason, D::Error> {
                AnyReason::read($key, deserializer)
            }

            pub(crate) struct Shape;

            impl JsonSchema for Shape {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> std::borrow::Cow<'static, str> {
                    concat!("AnyReason as ", $key).into()
                }

                fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                    super::schema($key, generator)
                }
            }
        }
    };
}

under!(as_why, "why", "The words are under `why`.");
under!(as_reason, "reason", "The words are under `reason`.");

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::cause::Cause;
    use crate::event::reason::notice::Notice;

    #[test]
    fn a_reason_that_is_too_long_keeps_its_code_and_every_field() {
        let said = "no ".repeat(500_000);
        let cause = Cause::ScriptFailed { machine: "vps".into(), script: "survey".into(), status: 1, said };
        let mut reason = AnyReason::from(Notice::TracesKept { cause });
        reason.shorten(16 * 1024);
        let json = serde_json::to_value(&reason).unwrap();
        let short = json.to_string().len();
        assert!(short < 40 * 1024, "{short} bytes");
        assert_eq!(json["code"], "traces-kept");
        let cause = &json["cause"];
        let rest = [&cause["code"], &cause["machine"], &cause["script"], &cause["status"]];
        assert_eq!(rest, [&json!("script-failed"), &json!("vps"), &json!("survey"), &json!(1)]);
        assert!(cause["said"].as_str().unwrap().ends_with('…'));
    }

    #[test]
    fn a_list_of_thousands_is_cut() {
        let names: Vec<String> = (0..100_000).map(|number| format!("unit-{number}.service")).collect();
        let mut value = json!({ "units": names, "more": { "code": "x" } });
        fit(&mut value, &mut 4096);
        let length = value.to_string().len();
        assert!((1024..8192).contains(&length), "{length} bytes");
        assert_eq!(value["more"]["code"], "x");
    }
}
