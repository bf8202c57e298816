//! What a value of the inventory looks like, as the schema has it: [`file`](super::file) names one for each key.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::fields::At;
use super::model::{Become, BuildOn, GuardAction, HostKey, LoaderKind, MOST_PARALLEL, MOST_WORKERS, Substitute};

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The kinds of checks; a check has exactly one.
pub(super) static KINDS: [&str; 7] = ["vpn", "ping", "tcp", "http", "dns", "wireguard", "command"];

const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$";

pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1 })
}

pub(super) fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": NAME })
}

pub(super) fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "pattern": NAME } })
}

pub(super) fn unit_patterns(_: &mut SchemaGenerator) -> Schema {
    let pattern = r"^[A-Za-z0-9:_.@\\*?\[{][A-Za-z0-9:_.@\\*?\[\]{},!-]*$";
    json_schema!({
        "type": "array",
        "items": { "type": "string", "pattern": pattern, "examples": ["restic-backups-*.service"] },
    })
}

pub(super) fn user(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._+][A-Za-z0-9._+-]{0,63}$" })
}

pub(super) fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_:][A-Za-z0-9._:-]*$" })
}

pub(super) fn addresses(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": address(generator), "minItems": 1, "uniqueItems": true })
}

pub(super) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 })
}

pub(super) fn parallel(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST_PARALLEL })
}

pub(super) fn workers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST_WORKERS })
}

pub(super) fn memory(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[1-9][0-9]* ?(MiB|GiB)$", "examples": ["4GiB", "1500MiB"] })
}

pub(super) fn text_by_input(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_'-]*(/[A-Za-z_][A-Za-z0-9_'-]*)*$" },
        "additionalProperties": { "type": "string", "minLength": 1 },
    })
}

pub(super) fn text_by_setting(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^[a-z][a-z0-9-]*$" },
        "additionalProperties": { "type": "string" },
    })
}

pub(super) fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 100, "maximum": 599 })
}

pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^([0-9]+ *[A-Za-z]+ *)+$", "examples": ["90s", "15m", "1m30s", "2h"] })
}

pub(super) fn becoming(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "oneOf": [
            { "enum": ["auto", "no", "sudo", "sudo-password", "doas", "run0"] },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ],
    })
}

pub(super) fn host_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["strict", "accept-new"] })
}

pub(super) fn guard_action(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["reboot", "switch-back"] })
}

pub(super) fn loader_kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": LoaderKind::ALL })
}

pub(super) fn mount_point(_: &mut SchemaGenerator) -> Schema {
    let part = "/[A-Za-z0-9_+-][A-Za-z0-9._+-]*";
    json_schema!({ "type": "string", "pattern": format!("^({part})+$"), "maxLength": 255, "examples": ["/boot/esp"] })
}

pub(super) fn waves(_: &mut SchemaGenerator) -> Schema {
    let pattern = "^[0-9]+%?( *, *[0-9]+%?)*$";
    json_schema!({
        "oneOf": [
            { "type": "integer", "minimum": 1 },
            { "type": "string", "pattern": pattern, "examples": ["1,25%"] },
            {
                "type": "array",
                "minItems": 1,
                "items": { "oneOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": pattern }] },
            },
        ]
    })
}

pub(super) fn store(_: &mut SchemaGenerator) -> Schema {
    let pattern = r"^(file:///|(https?|s3|ssh|ssh-ng)://[A-Za-z0-9])[A-Za-z0-9/._+~@=,:?&%\[\]-]*$";
    json_schema!({ "type": "string", "pattern": pattern })
}

pub(super) fn public_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._][A-Za-z0-9._-]*:[A-Za-z0-9+/]{43}=$" })
}

pub(super) fn substitute(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, "auto"] })
}

pub(super) fn one_or_many(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "oneOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 } }
        ]
    })
}

pub(super) fn one_or_many_or_empty(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "oneOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 } },
            { "enum": [null] },
        ]
    })
}

pub(super) fn by_name<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let entry = generator.subschema_for::<T>();
    json_schema!({ "type": "object", "propertyNames": { "pattern": NAME }, "additionalProperties": entry })
}

pub(super) fn by_name_or_empty<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let entry = generator.subschema_for::<T>();
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": NAME },
        "additionalProperties": { "oneOf": [entry, { "enum": [null] }] },
    })
}

pub(super) fn system_by_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": NAME },
        "additionalProperties": { "type": "string", "pattern": "^/nix/store/[0-9a-z]{32}-[A-Za-z0-9+._?=-]+$" },
    })
}

/// The words `mesh` and `full-mesh`.
pub(super) struct Mesh;

/// Any text.
pub(super) struct Text;

/// The short form of a value.
pub(super) trait ShortForm {
    fn schema() -> Schema;
}

impl ShortForm for Mesh {
    fn schema() -> Schema {
        json_schema!({ "enum": ["mesh", "full-mesh"] })
    }
}

impl ShortForm for Text {
    fn schema() -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

pub(super) fn word_or_map<W: ShortForm, T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (word, map) = (W::schema(), generator.subschema_for::<T>());
    json_schema!({ "oneOf": [word, map] })
}

pub(super) fn peers<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let map = generator.subschema_for::<T>();
    json_schema!({
        "oneOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 } },
            map,
            { "enum": [null] },
        ]
    })
}

pub(super) fn hooks<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (command, map) = (one_or_many(generator), generator.subschema_for::<T>());
    json_schema!({ "type": "array", "items": { "oneOf": [command, map] } })
}

/// For keys that may not be absent: all fields are `Option`s, so that the decoder can go on without them.
pub(super) fn requires(keys: &'static [&'static str]) -> impl FnMut(&mut Schema) {
    |schema| {
        schema.insert("required".into(), keys.into());
    }
}

/// A default that the schema tells.
pub(super) trait SchemaDefault {
    /// As it is written in the file.
    fn value(&self) -> Value;
}

impl SchemaDefault for Duration {
    fn value(&self) -> Value {
        Value::from(time(*self))
    }
}

impl SchemaDefault for bool {
    fn value(&self) -> Value {
        Value::from(*self)
    }
}

impl SchemaDefault for Substitute {
    fn value(&self) -> Value {
        match self {
            Self::Always => Value::from(true),
            Self::Never => Value::from(false),
            Self::Auto => Value::from("auto"),
        }
    }
}

impl SchemaDefault for u16 {
    fn value(&self) -> Value {
        Value::from(*self)
    }
}

impl SchemaDefault for Become {
    fn value(&self) -> Value {
        word(self)
    }
}

impl SchemaDefault for BuildOn {
    fn value(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl SchemaDefault for HostKey {
    fn value(&self) -> Value {
        word(self)
    }
}

impl SchemaDefault for GuardAction {
    fn value(&self) -> Value {
        word(self)
    }
}

fn word(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("a word of the inventory is a text")
}

/// In the largest unit that leaves a whole number, as people write it: `90s`, `15m`.
fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// Says the default, to programs and to people.
pub(super) fn with_default(default: impl SchemaDefault) -> impl FnMut(&mut Schema) {
    move |schema| {
        let value = default.value();
        say_default(schema, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        schema.insert("default".into(), value);
    }
}

/// Says the default time of a check, and that of one of kind `command`.
pub(super) fn with_defaults(probe: Duration, command: Duration) -> impl FnMut(&mut Schema) {
    move |schema| say_default(schema, &format!("{}, for a `command` {}", time(probe), time(command)))
}

/// Says the default `attr`, which depends on where the systems come from.
pub(super) fn with_default_attrs(of_flake: &'static str, of_file: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| say_default(schema, &format!("`{of_flake}`, in a `file` `{of_file}`"))
}

fn say_default(schema: &mut Schema, default: &str) {
    let told = schema.get("description").and_then(Value::as_str).map(|told| format!("{told} Default: {default}."));
    schema.insert("description".into(), Value::from(told.expect("a key has its comment")));
}

pub(super) fn not_both(one: &'static str, other: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| {
        schema.insert("not".into(), serde_json::json!({ "required": [one, other] }));
    }
}

pub(super) fn exactly_one_source(schema: &mut Schema) {
    exactly_one(schema, &["flake", "file", "system"]);
}

pub(super) fn exactly_one_kind(schema: &mut Schema) {
    exactly_one(schema, &KINDS);
}

fn exactly_one(schema: &mut Schema, keys: &[&str]) {
    let choices: Vec<Value> = keys.iter().map(|key| serde_json::json!({ "required": [key] })).collect();
    schema.insert("oneOf".into(), choices.into());
}
