//! The JSON schema of the inventory, for editors: made from the types of [`file`](super::file), so that it cannot say
//! something else.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::File;

/// The JSON schema of the inventory file (`fleetdeploy inventory schema`); `inventory.schema.json` is a copy of it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<File>().to_value();
    without_null(&mut schema);
    schema
}

/// Takes out the `null` that schemars adds to everything that may be absent: a key without a value is a mistake here.
/// If there is none, the schema says so with `"enum": [null]`.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(keys) => {
            if let Some(Value::Array(types)) = keys.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    keys.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = keys.get_mut("anyOf") {
                choices.retain(|choice| choice != &serde_json::json!({ "type": "null" }));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    keys.remove("anyOf");
                    // Beside a `$ref` draft 7 ignores every other key, the description among them.
                    if only.contains_key("$ref") {
                        keys.insert("allOf".into(), Value::Array(vec![Value::Object(only)]));
                    } else {
                        keys.extend(only);
                    }
                }
            }
            keys.values_mut().for_each(without_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
