//! JSON lines for `--json`: one event each, in the shape that `events.schema.json` describes.

use crate::event::line::Line;

/// The event as one line of JSON, with its line end.
#[must_use]
pub fn render(line: &Line) -> String {
    // Every map of an event has strings as keys, so this cannot fail; a screen must not panic if it ever does.
    let json = serde_json::to_string(line).unwrap_or_else(|error| {
        let event = serde_json::json!({
            "version": line.version,
            "run": line.run,
            "seq": line.seq,
            "at": humantime::format_rfc3339_millis(line.at).to_string(),
            "event": "warned",
            "text": format!("an event could not be written as JSON: {error}"),
        });
        event.to_string()
    });
    json + "\n"
}
