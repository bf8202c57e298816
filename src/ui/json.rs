//! JSON lines for `--json`: one event each, in the shape that `events.schema.json` describes.

use std::fmt::Write as _;

use crate::event::line::Line;
use crate::ui::sanitise::steers_a_terminal;

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
    escaped(&json) + "\n"
}

/// Returns the same JSON for a parser, harmless where it is printed: `serde_json` escapes what is below a blank only,
/// and a terminal also acts on the controls behind ASCII (C1) and on characters that turn the direction.
///
/// Outside of its strings JSON has none of these characters. Source: RFC 8259, 7.
fn escaped(json: &str) -> String {
    if !json.contains(steers_a_terminal) {
        return json.to_owned();
    }
    json.chars().fold(String::with_capacity(json.len()), |mut out, character| {
        if steers_a_terminal(character) {
            // All of them are in the basic plane. Writing to a String cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.push(character);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::any::AnyReason;
    use crate::event::{Event, VERSION};

    #[test]
    fn nothing_in_a_line_steers_a_terminal_and_all_of_it_is_there() {
        let all: String = (0..0x250).chain(0x2000..0x2070).filter_map(char::from_u32).collect();
        for text in [all, "plain äöü ✓ 🙂".to_owned(), "\u{9b}2J\u{9d}0;title\u{9c}\u{85}".to_owned()] {
            let event = Event::Warned { host: None, text: AnyReason::without_code(&text) };
            let line = Line { version: VERSION, run: None, seq: 1, at: SystemTime::UNIX_EPOCH, event };
            let json = render(&line);
            assert!(!json.trim_end_matches('\n').contains(steers_a_terminal), "{json:?}");
            assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line);
        }
    }
}
