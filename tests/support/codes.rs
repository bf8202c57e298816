//! Keeps an event for each code that a run has told, for tests/codes.rs: a run of the program, or of a closed world.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

/// The codes that this process has kept an event for.
static KEPT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Where events are kept; `None`: nobody has asked.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os("CODES_TOLD").map(PathBuf::from)
}

/// All codes that stand somewhere in an event.
pub(crate) fn of(value: &Value, codes: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            codes.extend(fields.get("code").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| of(field, codes));
        }
        Value::Array(items) => items.iter().for_each(|item| of(item, codes)),
        _ => {}
    }
}

/// Keeps an event of a run, if it bears a code that this process has not seen.
pub(crate) fn keep(event: &impl Serialize) {
    let Some(folder) = folder() else { return };
    let event = serde_json::to_value(event).unwrap();
    let mut codes = BTreeSet::new();
    of(&event, &mut codes);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    codes.retain(|code| kept.insert(code.clone()));
    if codes.is_empty() {
        return;
    }
    let test = std::env::var("NEXTEST_TEST_NAME").unwrap_or_default();
    let line = json!({ "test": test, "codes": codes, "event": event });
    let path = folder.join(format!("{}.jsonl", std::process::id()));
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Keeps what a run said, as far as it is events.
pub(crate) fn keep_lines(said: &str) {
    if folder().is_some() {
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|event: Value| keep(&event));
    }
}
