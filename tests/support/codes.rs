//! Keeps an event for each code that a run has told, for tests/codes.rs: a run of the program, or of a closed world.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use fleetdeploy::decide::vocabulary::Verdict;
use fleetdeploy::event::Event;
use fleetdeploy::event::reason::any::AnyReason;
use serde::Serialize;
use serde_json::{Value, json};

/// The codes that this process has kept an event for.
static KEPT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("CODES_TOLD").map(PathBuf::from));

/// Where events are kept; `None`: nobody has asked.
pub(crate) fn folder() -> Option<&'static PathBuf> {
    FOLDER.as_ref()
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
    let event = serde_json::to_value(event).expect("an event is JSON");
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
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("CODES_TOLD is a folder");
    file.write_all(format!("{line}\n").as_bytes()).expect("there is room");
}

/// Keeps what a judge of the decider has said of a world that was made up for it, as an engine tells it.
pub(crate) fn keep_judged(reasons: impl IntoIterator<Item = impl Into<AnyReason>>) {
    if folder().is_some() {
        reasons.into_iter().for_each(|reason| keep(&Event::warned(None, reason)));
    }
}

/// Keeps the end of a closed world as the event that a command makes of it.
pub(crate) fn keep_end(verdict: &Verdict) {
    if folder().is_some() {
        let hosts = verdict.hosts.iter().cloned().collect();
        keep(&Event::Finished { outcome: verdict.outcome, text: verdict.text.clone(), hosts, exit: 0, took_ms: 0 });
    }
}

/// Keeps what a run said, as far as it is events.
pub(crate) fn keep_lines(said: &str) {
    if folder().is_some() {
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|event: Value| keep(&event));
    }
}
